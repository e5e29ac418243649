#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two appliances and a real Redis: what is pushed on one decides on the other within a second; Redis may forget
everything, restart, or come late; who has not the fleet's key is not believed; a roll-out stops where decisions
go wrong."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

from appliance import Appliance, Failure, ROOT
from redis_server import Redis

BUNDLES = ROOT / "examples/policies/payments/bundles"
LOAD = ("--template", "PaymentAuthorization", "--generate", 3, "--rate", 2000, "--seconds", 120, "--yield")


def node(build, redis, number, key, name="default", **settings):
    """Small: ordinary memory, a worker that sleeps when idle."""
    secret = redis.folder / f"key-{number}"
    secret.write_text(key)
    password = redis.folder / "password"
    password.write_text(redis.password + "\n")
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    return Appliance(build, huge_pages=False, instance=f"rg{os.getpid()}n{number}", settings={
        "node": number,
        "region": {"ring_bytes": "1MiB"},
        "dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 200},
        "control": {"opa": opa},
        "redis": {"enabled": True, "fleet": name, "port": redis.port, "password_file": str(password),
                  "key_file": str(secret)},
        **settings})


def revision(unit):
    return unit.riskctl("status")["policy"].get("revision")


def wait_for_revision(unit, wanted, seconds=30):
    unit.wait_until(lambda status: status["policy"].get("revision") == wanted, seconds, f"revision {wanted}")


def fleet(unit):
    return unit.riskctl("status")["fleet"]


def first_decision_ns(unit, wanted, seconds=30):
    """When the first request was received that was decided with the revision."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.closing(sqlite3.connect(f"file:{unit.folder}/state/decisions.sqlite?mode=ro", uri=True)) as db:
            first = db.execute("SELECT min(receive_time_ns) FROM decisions WHERE revision = ?", (wanted,)).fetchone()[0]
        if first:
            return first
        time.sleep(0.2)
    raise Failure(f"no decision with {wanted} within {seconds} s")


def reaches_others(a, b):
    a.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz", "--reason", "first")
    wait_for_revision(b, "payments-1")
    load = b.load("load", *LOAD)
    time.sleep(2)
    begin_ns = time.time_ns()
    a.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz", "--reason", "limits for May")
    pushed_ns = time.time_ns()
    delay_ms = (first_decision_ns(b, "payments-2") - begin_ns) / 1e6
    print(f"push on A takes {(pushed_ns - begin_ns) / 1e6:.0f} ms; first decision on B {delay_ms:.0f} ms after its start",
          flush=True)
    if delay_ms > 1000:
        raise Failure(f"{delay_ms:.0f} ms from the push on A to the first decision on B")
    event = b.riskctl("policy", "history", "--limit", 1)["events"][0]
    if event["reason"] != "limits for May" or "fleet: node 1: push" not in event["why"]:
        raise Failure(f"B does not know who pushed and why: {event}")
    load.child.send_signal(2)
    b.finish_load(load)
    if fleet(a)["offered"] != 2 or fleet(b)["offered"] or fleet(a)["received"]:
        raise Failure(f"a revision went round: {fleet(a)} {fleet(b)}")


def redis_forgets(a, b, redis):
    redis.command("FLUSHALL")
    deadline = time.monotonic() + 15
    while redis.command("HGET", "riskgate:default:current", "number") != "2":
        if time.monotonic() > deadline:
            raise Failure("nobody put the revision back after FLUSHALL")
        time.sleep(0.1)
    redis.kill()
    b.wait_until(lambda status: not status["fleet"]["redis"], 15, "Redis known to be away")
    a.riskctl("policy", "rollback", "--reason", "while Redis is away")
    if revision(b) != "payments-2":
        raise Failure("B changed its policy while Redis was away")
    redis.start()
    try:
        wait_for_revision(b, "payments-1")
    except Failure as failure:
        raise Failure(f"{failure}; A: {fleet(a)}") from None
    print("FLUSHALL and a restart lost nothing", flush=True)


def comes_late(build, redis, key):
    """Nothing on disk, no bundle, and Redis only after the start; then one that has not the fleet's key."""
    redis.kill()
    with node(build, redis, 3, key) as c:
        c.start()
        if c.riskctl("status")["policy"]["sequence"]:
            raise Failure("a new node has a policy")
        redis.start()
        wait_for_revision(c, "payments-1")
    with node(build, redis, 4, "another key of 16+") as d:
        d.start_control()
        status = d.wait_until(lambda status: status["fleet"].get("last_error"), 15, "a revision that is not believed")
        if "key_file" not in status["fleet"]["last_error"] or status["fleet"]["received"]:
            raise Failure(f"a revision with another key: {status['fleet']}")
    print("a new node took the fleet's policy; one without the key did not", flush=True)


def roll_out_halts(build, redis, key):
    rollout = {"enabled": True, "observe_ms": 1500, "lease_ms": 3000, "min_decisions": 100}
    with node(build, redis, 5, key, "careful", rollout=rollout) as a, \
            node(build, redis, 6, key, "careful", rollout=rollout) as b:
        a.start()
        b.start()
        a.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz")
        wait_for_revision(b, "payments-1")
        load = b.load("load", *LOAD)
        b.wait_until(lambda status: status["fleet"]["rollout"]["state"] == "idle", 30, "the roll-out over")
        time.sleep(2)
        strict = a.folder / "strict"
        strict.mkdir()
        (strict / "payments.rego").write_text("package payments\n\ndeny := true\n")
        (strict / ".manifest").write_text('{"revision": "strict"}')
        a.riskctl("policy", "push", strict)  # nobody asks A: it sees nothing wrong
        status = b.wait_until(lambda status: status["fleet"]["rollout"]["state"] == "halted", 60, "the roll-out halted")
        if "node 6" not in status["fleet"]["rollout"]["why"] or "DENY" not in status["fleet"]["rollout"]["why"]:
            raise Failure(f"why it halted: {status['fleet']}")
        wait_for_revision(b, "payments-1")
        events = [event["event"] for event in b.riskctl("policy", "history")["events"]]
        if "halted" not in events:
            raise Failure(f"B's history: {events}")
        a.wait_until(lambda status: status["fleet"]["rollout"].get("halted"), 15, "A knows of the halt")
        time.sleep(1)
        if revision(b) != "payments-1":
            raise Failure("B went back to what it had halted")
        load.child.send_signal(2)
        b.finish_load(load)
        print(f"halted: {status['fleet']['rollout']['why']}", flush=True)


def main():
    build, key = sys.argv[1], "a secret of the fleet"
    with Redis(password="a password") as redis:
        with node(build, redis, 1, key) as a, node(build, redis, 2, key) as b:
            a.start()
            b.start()
            reaches_others(a, b)
            redis_forgets(a, b, redis)
            comes_late(build, redis, key)
        roll_out_halts(build, redis, key)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
