#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `riskctl status --json` tells of a running appliance, against what was done with it: status.py BUILD

The members that dashboards and scripts read: policy, records, workers, sinks, journal. Before a policy, with one, under load,
after a push that was refused, and after a restart of control.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from appliance import Appliance, Failure, ROOT

BUNDLES = ROOT / "examples/policies/payments/bundles"
RATE = 1000
SECONDS = 4


def expect(condition, text):
    if not condition:
        raise Failure(text)


def has(value, **members):
    """The members are there and are of these types, or equal these values."""
    for name, wanted in members.items():
        expect(name in value, f"no member \"{name}\" in {value}")
        good = isinstance(value[name], wanted) if isinstance(wanted, (type, tuple)) else value[name] == wanted
        expect(good and not (wanted is int and isinstance(value[name], bool)), f"{name}: {value[name]}, not {wanted}: {value}")


def before_a_policy(unit):
    status = unit.riskctl("status")
    has(status, ok=True, version=str, instance=unit.instance, node=int, pid=unit.control.pid, uptime_s=int)
    has(status["policy"], sequence=0, accepted=0, refused=0, under_way=0)
    expect(not {"bundle", "revision", "age_s", "last_error"} & status["policy"].keys(), f"{status['policy']}")
    has(status["records"], journaled=0, stored=0, lag=0, missing=0, corrupt=0, repeated=0)
    has(status["dataplane"], running=True, joined=True, pid=unit.dataplane.pid, workers=1, epoch=int)


def with_a_policy(unit):
    unit.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz")
    begun = time.monotonic()
    status = unit.wait_for_policy()
    has(status["policy"], sequence=1, bundle=str, revision="payments-1", age_s=int, state="active", accepted=1, refused=0)
    time.sleep(2.1)
    age = unit.riskctl("status")["policy"]["age_s"]
    expect(2 <= age <= time.monotonic() - begun + 1, f"age_s {age} after {time.monotonic() - begun:.1f} s")


def under_load(unit):
    load = unit.load("load", "--target", "10.71.0.1:9471", "--template", "PaymentAuthorization", "--generate", 7, "--rate", RATE,
                     "--seconds", SECONDS, "--yield", "--log-answers", unit.folder / "answers.csv")
    unit.finish_load(load)
    status = unit.wait_until(lambda status: status["records"]["lag"] == 0 and status["records"]["journaled"] > 0, 30, "no lag")
    answered = (unit.folder / "answers.csv").read_text().count("\n") - 1
    records, worker = status["records"], status["workers"][0]
    expect(records["journaled"] == records["stored"] >= answered > RATE, f"{answered} answers, records {records}")
    has(worker, worker=0, state="running", core=int, queues=str, policy_sequence=1, records=records["journaled"],
        records_lost=0, recorder_full=0)
    expect(worker["requests"] == worker["allow"] + worker["deny"] + worker["review"] == records["journaled"], f"{worker}")
    expect(abs(time.time_ns() - worker["heartbeat_ns"]) < 5 * 10**9, f"heartbeat_ns {worker['heartbeat_ns']}")
    latency = worker["latency_ns"]
    expect(0 < latency["p50"] <= latency["p99"] <= latency["p999"] <= latency["max"], f"{latency}")
    sqlite = status["sinks"][0]
    has(sqlite, name="sqlite", state="ok", stored=records["stored"], lag=0, lag_s=0, failures=0, passed_over=0, refused=0,
        dropped=0)
    has(status["journal"], records=records["journaled"], write_failures=0, sync_failures=0, frames_abandoned=0)
    expect(status["journal"]["durable_frames"] == status["journal"]["frames"], f"{status['journal']}")
    return records["journaled"]


def refused_push(unit):
    bad = unit.folder / "bad.rego"
    bad.write_text("package payments\n\ndeny := http.send({\"url\": \"http://x\", \"method\": \"get\"})\n")
    unit.riskctl("policy", "push", bad, check=False)
    policy = unit.riskctl("status")["policy"]
    has(policy, sequence=1, revision="payments-1", accepted=1, refused=1, last_error=str, last_error_ns=int)
    expect("http.send" in policy["last_error"], f"last_error {policy['last_error']}")
    expect(abs(time.time_ns() - policy["last_error_ns"]) < 60 * 10**9, f"last_error_ns {policy['last_error_ns']}")
    unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    policy = unit.wait_until(lambda status: status["policy"]["revision"] == "payments-2", 30, "payments-2")["policy"]
    expect("last_error" not in policy, f"the error of a push before the last one: {policy}")


def after_a_restart(unit, journaled):
    unit.control.kill()
    unit.start_control()
    status = unit.riskctl("status")
    has(status["policy"], revision="payments-2", accepted=0, refused=0)
    has(status["records"], journaled=journaled, stored=journaled, lag=0)
    expect(status["uptime_s"] < 30, f"uptime_s {status['uptime_s']}")


def main(build):
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    with Appliance(build, huge_pages=False, settings={"journal": {"sync_interval_ms": 10}}) as unit:
        unit.config["control"]["opa"] = opa
        unit.config_file.write_text(json.dumps(unit.config))
        unit.start()
        before_a_policy(unit)
        with_a_policy(unit)
        journaled = under_load(unit)
        refused_push(unit)
        after_a_restart(unit, journaled)
    print(f"{journaled} decisions, and every figure of them", flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"status: {failure}")
    print("status: ok")
