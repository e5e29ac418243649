#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of either process under load: no answered request is missing from the journal, none is there twice.

A kernel client in a network namespace sends over a veth pair, which outlives the data plane. Every answer it
got is compared with the journal and with SQLite: by request id, with verdict, status and policy sequence.
Requests that fell into an outage may go unanswered; what was answered must be recorded.
"""

import os
import random
import sys
import time

import records
from appliance import Appliance, Failure, HugePages, Process, ROOT, Veth

SECONDS = 8
RATE = 20000


def veth_port(veth):
    return [{"device": f"net_af_packet0,iface={veth.device}", "addresses": ["10.71.0.1/24", "fd71::1/64"]}]


def start_load(unit, veth):
    answers = unit.folder / "answers.csv"
    load = Process("riskgate-loadgen",
                   veth.inside(unit.program("riskgate-loadgen"), "--target", "10.71.0.1:9471",
                               "--schema", unit.config["schema"], "--template", "PaymentAuthorization",
                               "--generate", 7, "--rate", RATE, "--seconds", SECONDS, "--yield",
                               "--json", unit.folder / "load.json", "--log-answers", answers),
                   unit.folder / "load.log", core=unit.other_core)
    load.report = unit.folder / "load.json"
    load.answers = answers
    return load


def compare(unit, load):
    unit.finish_load(load)
    answers = records.read_answers(load.answers)
    if len(answers) < RATE * SECONDS // 10:
        raise Failure(f"only {len(answers)} requests were answered in {SECONDS} s")
    return len(answers), records.compare(unit, answers)


def restart_dataplane(unit):
    unit.dataplane.kill()
    unit.start_dataplane()


def restart_control(unit):
    unit.control.kill()
    time.sleep(random.uniform(0, 0.3))
    unit.start_control()


def scenario(build, name, actions, seed, huge):
    random.seed(seed)
    with Veth() as veth, Appliance(build, policy="payments", huge_pages=huge, ports=veth_port(veth),
                                   bundle=ROOT / "examples/policies/payments/bundles/payments-1.tar.gz") as unit:
        unit.start()
        unit.wait_for_policy()
        load = start_load(unit, veth)
        time.sleep(1)
        for action in actions:
            action(unit)
            time.sleep(random.uniform(0.2, 0.8))
        answered, recorded = compare(unit, load)
        print(f"{name}: {answered} answers, {recorded} records, each answer recorded exactly once", flush=True)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root for network namespaces")
        return 77
    build = sys.argv[1]
    seed = int(os.environ.get("RISKGATE_SEED", random.randrange(1 << 30)))
    print(f"RISKGATE_SEED={seed}")
    with HugePages(512) as huge:
        scenario(build, "control killed", [restart_control] * 3, seed, huge.available)
        scenario(build, "data plane killed", [restart_dataplane] * 2, seed, huge.available)
        scenario(build, "both killed", [restart_dataplane, restart_control, restart_dataplane], seed, huge.available)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
