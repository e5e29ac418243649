#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Four eyes, end to end: a push waits, through a restart, until the right key approves it; then a rollback with its
reason, and the history of all of it."""

import json
import subprocess
import sys

from appliance import Appliance, Failure, ROOT

BUNDLES = ROOT / "examples/policies/payments/bundles"


def make_key(folder, name):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / f"{name}.key"], check=True)
    subprocess.run(["openssl", "pkey", "-in", folder / f"{name}.key", "-pubout", "-out", folder / f"{name}.pub"],
                   check=True)
    return folder / f"{name}.key"


def refused(unit, words, *command):
    done = subprocess.run([str(unit.program("riskctl")), "--config", str(unit.config_file), *map(str, command)],
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 1 or words not in done.stderr:
        raise Failure(f"{' '.join(map(str, command))}: status {done.returncode}, no \"{words}\" in {done.stderr}")


def policies(unit):
    return {policy["sequence"]: policy["state"] for policy in unit.riskctl("policy", "list")["policies"]}


def main():
    settings = {"dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 200}, "region": {"ring_bytes": "1MiB"}}
    with Appliance(sys.argv[1], huge_pages=False, bundle=BUNDLES / "payments-1.tar.gz", settings={
            **settings, "four_eyes": {"enabled": True, "approvers": []}}) as unit:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        bob, ann, eve = (make_key(unit.folder, name) for name in ("bob", "ann", "eve"))
        unit.config["four_eyes"]["approvers"] = [
            {"name": "bob", "key": str(unit.folder / "bob.pub"), "user": "bob"},
            {"name": "ann", "key": str(unit.folder / "ann.pub"), "user": user}]
        unit.config["control"]["require_reason"] = True
        unit.config_file.write_text(json.dumps(unit.config))
        unit.start()
        unit.wait_for_policy()

        refused(unit, "a reason is required", "policy", "push", BUNDLES / "payments-2.tar.gz")
        waiting = unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz", "--reason", "limits for May")
        sequence = waiting["sequence"]
        if waiting["state"] != "waiting" or policies(unit) != {1: "active", sequence: "waiting"}:
            raise Failure(f"the push does not wait: {waiting}, {policies(unit)}")
        refused(unit, "waits for approval", "policy", "rollback", sequence, "--reason", "around it")

        unit.control.kill()
        unit.start_control()
        refused(unit, "none of four_eyes.approvers", "policy", "approve", sequence)
        refused(unit, "not one of policy", "policy", "approve", sequence, "--key", eve, "--as", "bob")
        refused(unit, "a second identity", "policy", "approve", sequence, "--key", ann, "--as", "ann")
        if unit.riskctl("status")["policy"]["revision"] != "payments-1":
            raise Failure("a policy that nobody approved is in use")
        done = unit.riskctl("policy", "approve", sequence, "--key", bob, "--as", "bob", "--reason", "seen")
        if (done["state"], done["revision"]) != ("active", "payments-2") or sequence in policies(unit):
            raise Failure(f"approved: {done}, {policies(unit)}")
        refused(unit, "there is no stored policy", "policy", "approve", sequence, "--key", bob, "--as", "bob")

        again = unit.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz", "--reason", "not meant")["sequence"]
        unit.riskctl("policy", "reject", again, "--reason", "a mistake")
        unit.riskctl("policy", "rollback", "--reason", "denies too much")  # it was in use before: no second identity
        if unit.riskctl("status")["policy"]["revision"] != "payments-1":
            raise Failure("the rollback did not happen")

        events = unit.riskctl("policy", "history")["events"]
        told = [(event["event"], event["user"], event["reason"]) for event in reversed(events)]
        wanted = [("active", "root", ""), ("waiting", user, "limits for May"), ("approved", "bob", "limits for May"),
                  ("active", user, "limits for May"), ("waiting", user, "not meant"), ("rejected", user, "not meant"),
                  ("active", user, "denies too much")]
        if told[0][0] != "active" or told[1:] != wanted[1:]:
            raise Failure(f"history: {told}")
        difference = unit.riskctl("policy", "diff", 1, done["sequence"])["difference"]
        if difference["rules"]["changed"] != ["data.payments.signals"]:
            raise Failure(f"diff: {difference['rules']}")
        print("\n".join(f"{event['n']} {event['event']} {event['sequence']} {event['user']} {event['why']}"
                        for event in reversed(events)), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
