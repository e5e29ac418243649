#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at each failpoint of control and of the data plane, and each call with a failpoint failing once, under load.

usage: kills.py BUILD [POINT...]      only these points: to look into one

A kernel client sends over a veth pair from the first point to the last. At each point the process must die there (a point
that no scenario reaches is a failure), and after its restart the policy in force is the old one if the push had not been
announced, else the new one. At the end every answered request is in the journal exactly once and in SQLite exactly once,
the journal is whole, no record names a policy that the journal does not explain, and no temporary file is left.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time

import records
from appliance import Appliance, Failure, HugePages, Process, ROOT, Veth

RATE = 1500
HIT_SECONDS = 20  # for a point to be reached: far more than a loaded machine needs

# Where a push is when control dies at these points. Not yet announced: the policy that ran goes on.
UNANNOUNCED = ("build.compiled", "image.room", "image.written", "image.rename", "image.renamed", "build.image_written",
               "store.bundle_folder", "store.write", "store.bundle_written", "store.file_written", "store.rename",
               "store.file_renamed", "store.reasons_written", "store.meta_written", "store.add", "store.added",
               "push.stored", "push.framed", "push.journaled")
ANNOUNCED = ("push.announced", "push.acknowledged", "store.activated", "push.activated", "store.removing")
# Control's points on the way of records: (point, the hits among which one is chosen to die at).
RECORDS = (("journal.recovered", 1, 1), ("drain.attached", 1, 1), ("drain.taken", 1, 100), ("drain.journaled", 1, 100),
           ("drain.released", 1, 100), ("journal.before_write", 1, 100), ("journal.write", 1, 100),
           ("journal.written", 1, 100), ("journal.sync", 1, 20), ("journal.synced", 1, 20), ("journal.rotate", 1, 2),
           ("journal.segment_created", 1, 2), ("journal.segment_write", 1, 2), ("journal.segment_written", 1, 2),
           ("sqlite.rows_written", 1, 10), ("sqlite.checkpoint_written", 1, 10), ("sqlite.commit", 1, 10),
           ("sqlite.committed", 1, 10), ("sqlite.rolled_back", 1, 1))
# Control's points when a configured bundle has become active.
BUNDLES = ("bundles.settled", "bundles.active_renamed", "bundles.file_written", "bundles.rename")
# What has to go wrong first for a point to be reached.
BEFORE = {"sqlite.rolled_back": "sqlite.commit=error"}
# Points of the data plane's publisher. All lie behind the announcement: after the restart the new policy comes in force.
DATAPLANE = ("publisher.polled", "active.copied", "active.verified", "active.rename", "active.renamed",
             "publisher.before_swap", "publisher.swapped", "publisher.grace_ended", "publisher.acknowledged")
# Calls that fail once. Of a push: it is refused, and the refusal holds these words.
FAILING_PUSH = (("image.room=error:28", "image-"), ("image.rename=error", "cannot rename"),
                ("store.write=error:28@1", "writing sequence"), ("store.write=error:28@2", "writing plan.json"),
                ("store.write=error:28@6", "writing reasons.json"), ("store.rename=error@2", "writing reasons.json"),
                ("store.add=error", "policies/"))
FAILING_RECORDS = ("journal.write=error:28@20", "journal.sync=error@3", "journal.segment_write=error:28@2",
                   "sqlite.commit=error@2")
FAILING_DATAPLANE = (("active.rename=error", "cannot rename"), ("image.room=error:28", "active-"))


class FailpointAppliance(Appliance):
    """Its processes have failpoints."""

    def program(self, name):
        if name in ("riskgate-control", "riskgate-dataplane"):
            return self.build / "tests/faults" / f"{name}-failpoints"
        return super().program(name)


def points(build):
    """All failpoints there are."""
    names = set()
    for program in ("control-points", "dataplane-points"):
        names |= set(subprocess.run([f"{build}/tests/faults/{program}"], capture_output=True, text=True,
                                    check=True).stdout.split())
    return names


def check_scenarios(build):
    """Each point has its scenario, and no scenario is about a point that is gone."""
    have = {*UNANNOUNCED, *ANNOUNCED, *BUNDLES, *(point for point, _, _ in RECORDS), *DATAPLANE}
    # tests/records/sinks.py and decision_logs.py kill at the others
    exist = {point for point in points(build) if not point.startswith(("postgres.", "logs.", "retention."))}
    if have != exist:
        raise Failure(f"failpoints without a scenario here: {sorted(exist - have)}; scenarios without a failpoint: "
                      f"{sorted(have - exist)}")


class Bundles:
    """Bundles that differ from each other: a revision and a reason name of its own each."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        with tarfile.open(ROOT / "examples/policies/payments/bundles/payments-1.tar.gz") as tar:
            self.files = {member.name.lstrip("/"): tar.extractfile(member).read() for member in tar if member.isfile()}

    def make(self):
        """(path, revision) of a new one."""
        self.count += 1
        revision = f"kill-{self.count}"
        manifest = {**json.loads(self.files[".manifest"]), "revision": revision}
        files = {**self.files, ".manifest": json.dumps(manifest).encode(),
                 "plan.json": self.files["plan.json"].replace(b'"round_amount"', f'"round_amount_{self.count}"'.encode())}
        path = self.folder / f"{revision}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path, revision


def wait_killed(process, point):
    """The process dies at the point, by the point's SIGKILL."""
    deadline = time.monotonic() + HIT_SECONDS
    while process.running():
        if time.monotonic() > deadline:
            raise Failure(f"{point} was not reached within {HIT_SECONDS} s:\n{process.tail()}")
        time.sleep(0.005)
    if process.child.returncode != -signal.SIGKILL:
        raise Failure(f"{point}: {process.name} ended with status {process.child.returncode}:\n{process.tail()}")


def start_push(unit, path):
    return subprocess.Popen([str(unit.program("riskctl")), "--config", str(unit.config_file), "policy", "push", str(path)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def push(unit, bundles):
    """A push that must succeed."""
    path, revision = bundles.make()
    unit.riskctl("policy", "push", path)
    expect_policy(unit, revision, "a push without a fault")
    return revision


def expect_policy(unit, revision, when):
    unit.wait_until(lambda status: status["policy"].get("revision") == revision, 30, f"policy {revision} in force ({when})")


def spawn_control(unit, armed):
    """Control with failpoints armed; it may die before it is ready."""
    unit.control = Process("riskgate-control", [unit.program("riskgate-control"), "--config", unit.config_file],
                           unit.folder / "control.log", core=unit.other_core, nice=10,
                           env={"RISKGATE_FAILPOINTS": armed})


class Kills:
    def __init__(self, unit, wanted):
        self.unit = unit
        self.wanted = wanted
        self.bundles = Bundles(unit.folder)
        self.revision = None  # in force
        self.done = 0

    def wants(self, point):
        return not self.wanted or point in self.wanted

    def records(self):
        """Control dies on the way of records."""
        for point, first, last in RECORDS:
            if not self.wants(point):
                continue
            before = BEFORE.get(point)
            self.unit.control.kill()
            spawn_control(self.unit, (f"{before}," if before else "") + f"{point}=kill@{random.randint(first, last)}")
            wait_killed(self.unit.control, point)
            self.unit.start_control()
            self.done += 1

    def pushes(self):
        """Control dies during a push."""
        for point in (*UNANNOUNCED, *ANNOUNCED):
            if not self.wants(point):
                continue
            self.unit.control.kill()
            self.unit.start_control(env={"RISKGATE_FAILPOINTS": f"{point}=kill"})
            path, revision = self.bundles.make()
            client = start_push(self.unit, path)
            wait_killed(self.unit.control, point)
            client.communicate()
            self.unit.start_control()
            if point in ANNOUNCED:
                self.revision = revision
            expect_policy(self.unit, self.revision, f"control killed at {point}")
            self.done += 1

    def dataplane(self):
        """The data plane dies while it publishes."""
        for point in DATAPLANE:
            if not self.wants(point):
                continue
            self.unit.dataplane.kill()
            self.unit.start_dataplane(env={"RISKGATE_FAILPOINTS": f"{point}=kill"})
            path, self.revision = self.bundles.make()
            client = start_push(self.unit, path)
            wait_killed(self.unit.dataplane, point)
            self.unit.start_dataplane()
            client.communicate()
            expect_policy(self.unit, self.revision, f"data plane killed at {point}")
            self.done += 1

    def refused(self, arm, words):
        path, _ = self.bundles.make()
        client = start_push(self.unit, path)
        said = client.communicate()[0]
        if client.returncode != 1 or words not in said:
            raise Failure(f"{arm}: the push ended with status {client.returncode} and does not say \"{words}\": "
                          f"{said.strip()}")
        expect_policy(self.unit, self.revision, arm)
        self.revision = push(self.unit, self.bundles)
        self.done += 1

    def failing_pushes(self):
        """A call that fails refuses the push, which may be repeated."""
        for arm, words in FAILING_PUSH:
            if self.wants(arm.split("=")[0]):
                self.unit.control.kill()
                self.unit.start_control(env={"RISKGATE_FAILPOINTS": arm})
                self.refused(arm, words)
        for arm, words in FAILING_DATAPLANE:
            if self.wants(arm.split("=")[0]):
                self.unit.dataplane.kill()
                self.unit.start_dataplane(env={"RISKGATE_FAILPOINTS": arm})
                self.refused(arm, words)

    def failing_records(self):
        """Writing, syncing and committing fail: control goes on, and says what failed."""
        armed = [arm for arm in FAILING_RECORDS if self.wants(arm.split("=")[0])]
        if not armed:
            return
        self.unit.control.kill()
        self.unit.start_control(env={"RISKGATE_FAILPOINTS": ",".join(armed)})
        unit = self.unit
        failures = unit.wait_until(
            lambda status: all(self.failures(status)[arm.split(".")[0]] for arm in armed), 30, f"failures of {armed} counted")
        unit.wait_until(lambda status: status["journal"]["records"] > failures["journal"]["records"] + RATE
                        and status["records"]["lag"] < 10 * RATE, 60, f"records written and stored after {armed}")
        self.done += len(armed)

    @staticmethod
    def failures(status):
        journal = status["journal"]
        return {"journal": journal["write_failures"] and journal["sync_failures"],
                "sqlite": sum(sink["failures"] for sink in status["sinks"])}

    def run(self):
        self.revision = push(self.unit, self.bundles)
        for part in (self.records, self.pushes, self.failing_records, self.failing_pushes, self.dataplane):
            began, before = time.monotonic(), self.done
            part()
            print(f"{part.__doc__} {self.done - before} points, {time.monotonic() - began:.1f} s", flush=True)
        self.revision = push(self.unit, self.bundles)


def check_files(unit):
    """Nothing under a temporary name, nothing half-made."""
    stale = [*unit.folder.glob("state/**/*.new"), *unit.region.glob("*.tmp")]
    if stale:
        raise Failure(f"temporary files are left: {[str(path) for path in stale]}")
    for kind in ("image-*", "active-*"):
        if len(list(unit.region.glob(kind))) != 1:
            raise Failure(f"more than one {kind} is left: {sorted(path.name for path in unit.region.glob(kind))}")


def start_load(unit, veth, seconds=600):
    answers = unit.folder / "answers.csv"
    load = Process("riskgate-loadgen",
                   veth.inside(unit.program("riskgate-loadgen"), "--target", "10.71.0.1:9471", "--schema",
                               unit.config["schema"], "--template", "PaymentAuthorization", "--generate", 7, "--rate", RATE,
                               "--seconds", seconds, "--yield", "--quiet", "--json", unit.folder / "load.json",
                               "--log-answers", answers),
                   unit.folder / "load.log", core=unit.other_core)
    load.report = unit.folder / "load.json"
    load.answers = answers
    return load


def run_bundles(build, wanted):
    """Control dies when a watched bundle has become active: after the restart the newest revision is in force, and the next
    one still gets in."""
    points = [point for point in BUNDLES if not wanted or point in wanted]
    settings = {"dataplane": {"idle_sleep_us": 50}, "bundles": {"watched": {"resource": ""}}}
    with HugePages(512) as huge, FailpointAppliance(build, huge_pages=huge.available, settings=settings) as unit:
        watched = unit.folder / "watched.tar.gz"
        unit.config["bundles"]["watched"]["resource"] = f"file://{watched}"
        unit.config_file.write_text(json.dumps(unit.config))
        bundles = Bundles(unit.folder)

        def release():
            path, revision = bundles.make()
            path.rename(watched)
            return revision

        revision = release()
        unit.start()
        expect_policy(unit, revision, "the first watched bundle")
        for point in points:
            unit.control.kill()
            unit.start_control(env={"RISKGATE_FAILPOINTS": f"{point}=kill"})
            revision = release()
            wait_killed(unit.control, point)
            unit.start_control()
            expect_policy(unit, revision, f"control killed at {point}")
        unit.control.kill()
        unit.start_control(env={"RISKGATE_FAILPOINTS": "bundles.rename=error:28"})
        for _ in range(2):  # with the failure, and after it
            expect_policy(unit, release(), "a bundle's state could not be written")
        stale = [path for path in unit.folder.glob("state/**/*.new")]
        if stale:
            raise Failure(f"temporary files are left: {stale}")
    print(f"{len(points) + 1} faults of a watched bundle", flush=True)


def run(build, wanted):
    settings = {"dataplane": {"idle_sleep_us": 50}, "journal": {"segment_bytes": "1MiB", "sync_interval_ms": 5},
                "control": {"keep_images": 2}}  # each push takes an old one out
    with HugePages(512) as huge, Veth() as veth, FailpointAppliance(
            build, huge_pages=huge.available, settings=settings,
            ports=[{"device": f"net_af_packet0,iface={veth.device}", "addresses": ["10.71.0.1/24", "fd71::1/64"]}],
            bundle=ROOT / "examples/policies/payments/bundles/payments-1.tar.gz") as unit:
        unit.start()
        unit.wait_for_policy()
        load = start_load(unit, veth)
        kills = Kills(unit, wanted)
        kills.run()
        load.child.send_signal(signal.SIGINT)
        unit.finish_load(load)
        answers = records.read_answers(load.answers)
        if len(answers) < RATE:
            raise Failure(f"only {len(answers)} requests were answered")
        recorded = records.compare(unit, answers)
        unit.riskctl("journal", "verify")
        check_files(unit)
    print(f"{kills.done} faults, {len(answers)} answers, {recorded} records: each answer recorded and stored exactly once")


def main():
    if os.geteuid() != 0:
        print("skipped: needs root for network namespaces")
        return 77
    seed = int(os.environ.get("RISKGATE_SEED", random.randrange(1 << 30)))
    print(f"RISKGATE_SEED={seed}", flush=True)
    random.seed(seed)
    check_scenarios(sys.argv[1])
    wanted = set(sys.argv[2:])
    if not wanted or wanted & set(BUNDLES):
        run_bundles(sys.argv[1], wanted)
    if not wanted or wanted - set(BUNDLES):
        run(sys.argv[1], wanted)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
