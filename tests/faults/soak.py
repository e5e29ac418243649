#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything at random for as long as it is asked to: not a part of the test run.

usage: PYTHONPATH=scripts soak.py BUILD MINUTES      RISKGATE_SEED=N for the same choices again

Under load, one thing after another: either process is killed at a failpoint or at any moment, stopped for a while or slowed
down at a failpoint; a call fails; good bundles, rollbacks and broken bundles are pushed. After each the appliance must come
back by itself: both processes run, a policy that was pushed is in force, the sinks follow. At the end it is what kills.py
checks: each answer recorded exactly once, the journal whole, nothing left behind.
"""

import os
import random
import signal
import subprocess
import sys
import time

import kills
import records
from appliance import Failure, HugePages, ROOT, Veth

CONTROL_POINTS = (*kills.UNANNOUNCED, *kills.ANNOUNCED, *(point for point, _, _ in kills.RECORDS))
CALLS = ("image.room", "image.rename", "store.write", "store.rename", "store.add", "journal.write", "journal.sync",
         "journal.segment_write", "sqlite.commit")


class Soak:
    def __init__(self, unit):
        self.unit = unit
        self.bundles = kills.Bundles(unit.folder)
        self.pushed = {"payments-1"}
        self.counts = {}

    def push(self, wait=True):
        """A push that may be refused or cut off: its revision may be in force from now on."""
        path, revision = self.bundles.make()
        self.pushed.add(revision)
        client = kills.start_push(self.unit, path)
        if wait:
            client.communicate(timeout=60)
        return client

    def restart_control(self, armed=""):
        self.unit.control.kill()
        kills.spawn_control(self.unit, armed)

    def kill_control_at_a_point(self):
        self.restart_control(f"{random.choice(CONTROL_POINTS)}=kill@{random.randint(1, 30)}")
        self.push()
        time.sleep(random.uniform(0, 1))

    def kill_dataplane_at_a_point(self):
        self.unit.dataplane.kill()
        armed = f"{random.choice(kills.DATAPLANE)}=kill@{random.randint(1, 2)}"
        self.unit.start_dataplane(env={"RISKGATE_FAILPOINTS": armed})
        self.push(wait=False)
        time.sleep(random.uniform(0, 1))

    def kill_at_any_moment(self):
        self.push(wait=False)
        time.sleep(random.uniform(0, 0.2))
        random.choice((self.unit.control, self.unit.dataplane)).kill()

    def stop_for_a_while(self):
        process = random.choice((self.unit.control, self.unit.dataplane))
        process.child.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.1, 3))
        process.child.send_signal(signal.SIGCONT)

    def slow_down(self):
        self.restart_control(f"{random.choice(CONTROL_POINTS)}=delay:{random.randint(1, 500)}@{random.randint(1, 5)}+")
        self.push(wait=False)
        time.sleep(random.uniform(0, 3))

    def fail_calls(self):
        self.restart_control(",".join(f"{random.choice(CALLS)}=error:28@{random.randint(1, 5)}" for _ in range(3)))
        self.push()

    def roll_back(self):
        subprocess.run([str(self.unit.program("riskctl")), "--config", str(self.unit.config_file), "policy", "rollback"],
                       capture_output=True, timeout=60)

    def push_broken(self):
        path = self.unit.folder / "broken.tar.gz"
        path.write_bytes(os.urandom(random.randint(1, 100000)))
        kills.start_push(self.unit, path).communicate(timeout=60)

    def recover(self):
        """Start what died, as systemd would, without faults; then it must be as it should."""
        if not self.unit.dataplane.running():
            self.unit.start_dataplane()
        self.unit.control.kill()
        self.unit.start_control()
        status = self.unit.wait_until(lambda status: status["policy"]["revision"] in self.pushed
                                      and status["records"]["lag"] < 20 * kills.RATE, 60,
                                      "a policy that was pushed in force, and the sinks following")
        return status["policy"]["sequence"]

    def run(self, seconds):
        actions = (self.kill_control_at_a_point, self.kill_dataplane_at_a_point, self.kill_at_any_moment,
                   self.stop_for_a_while, self.slow_down, self.fail_calls, self.roll_back, self.push_broken)
        ends, sequence = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            action = random.choice(actions)
            self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
            action()
            before, sequence = sequence, self.recover()
            if sequence < before:
                raise Failure(f"policy {sequence} is in force after {before}, which was newer ({action.__name__})")
        kills.push(self.unit, self.bundles)


def run(build, minutes):
    settings = {"dataplane": {"idle_sleep_us": 50}, "journal": {"segment_bytes": "4MiB", "sync_interval_ms": 20},
                "control": {"keep_images": 5}}
    with HugePages(512) as huge, Veth() as veth, kills.FailpointAppliance(
            build, huge_pages=huge.available, settings=settings,
            ports=[{"device": f"net_af_packet0,iface={veth.device}", "addresses": ["10.71.0.1/24", "fd71::1/64"]}],
            bundle=ROOT / "examples/policies/payments/bundles/payments-1.tar.gz") as unit:
        unit.start()
        unit.wait_for_policy()
        load = kills.start_load(unit, veth, seconds=int(60 * minutes) + 600)
        soak = Soak(unit)
        soak.run(60 * minutes)
        load.child.send_signal(signal.SIGINT)
        unit.finish_load(load)
        answers = records.read_answers(load.answers)
        recorded = records.compare(unit, answers)
        unit.riskctl("journal", "verify")
        kills.check_files(unit)
    print(f"{soak.counts}: {len(answers)} answers, {recorded} records, each answer recorded and stored exactly once")


def main():
    if os.geteuid() != 0 or len(sys.argv) != 3:
        sys.exit(__doc__)
    seed = int(os.environ.get("RISKGATE_SEED", random.randrange(1 << 30)))
    print(f"RISKGATE_SEED={seed}", flush=True)
    random.seed(seed)
    run(sys.argv[1], float(sys.argv[2]))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"failed: {failure}")
