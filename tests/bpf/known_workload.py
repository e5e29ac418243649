#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each probe under a workload that is known beforehand: known_workload.py BUILD NAME

A prime number of requests gives exactly that count; a thread of known name and CPU time shows up in jitter; a planted slow
request shows up in outliers by its id; pushes and what the journal writes are counted step by step; processes that are
killed are found again; and all of it with two capabilities.
"""

import json
import os
import subprocess
import sys
import time

from appliance import Appliance, Failure, ROOT, Process
from probes import BpfFileSystem, Probes, Thief, bpftool, settled, trace
from slow_policy import EXPENSIVE, slow_bundle

BUNDLES = ROOT / "examples/policies/payments/bundles"
REQUESTS = ["--template", "PaymentAuthorization", "--generate", 3]
STAGES = ["rx", "decode", "feature", "evaluate", "record", "tx", "total"]


def expect(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: {found} instead of {wanted}")


def send(unit, name, count, *words, rate=20000):
    report = unit.finish_load(unit.load(name, *REQUESTS, "--count", count, "--rate", rate, "--yield", *words))
    expect(f"{name}: answered", report["answered"], count)
    return report


def in_words(unit, root, probe, *words):
    """What the terminal shows: no line too long, no blanks at the end."""
    done = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "trace", probe, "--bpffs", root, *words],
                          capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if len(line) > 80 or line != line.rstrip():
            raise Failure(f"trace {probe} prints a line of {len(line)} columns: \"{line}\"")
    return done.stdout


def counter(unit, group, name):
    return sum(row["value"] for row in unit.riskctl("region", "--all")["counters"]
               if row["group"] == group and row["name"] == name)


def counts(unit, root, probe):
    """The figures of a probe, when they do not change any more."""
    return settled(lambda: trace(unit, root, probe))


# ---- stages ----

def stages(unit, root):
    with Probes(unit, root, "stages"):
        before = settled(lambda: counter(unit, "worker", "rx_bursts"))
        seen = counts(unit, root, "stages")["bursts"]
        send(unit, "first", 10007)
        figures = counts(unit, root, "stages")
        bursts = settled(lambda: counter(unit, "worker", "rx_bursts")) - before
        expect("requests", figures["requests"], 10007)
        expect("bursts", figures["bursts"] - seen, bursts)
        expect("lost", figures["lost"], 0)
        rows = {row["stage"]: row for row in figures["stages"] if row["policy_sequence"] == 1}
        expect("stages of policy 1", sorted(rows), sorted(STAGES))
        for name, row in rows.items():
            expect(f"bursts of stage {name}", row["count"], rows["total"]["count"])
        parts = sum(row["sum_ns"] for name, row in rows.items() if name != "total")
        if abs(parts - rows["total"]["sum_ns"]) > 7 * rows["total"]["count"]:  # each is rounded down by less than 1 ns
            raise Failure(f"the stages' sum is {parts} ns, the total {rows['total']['sum_ns']} ns")
        dump = bpftool("map", "dump", "pinned", root / "riskgate" / unit.instance / "stages" / "stages")
        names = {element["formatted"]["key"]["stage"] for element in dump}
        expect("stages as bpftool names them", names, {f"RG_STAGE_{name.upper()}" for name in STAGES})
        for kind, pins in (("prog", ["prog_bursts"]), ("link", ["link_bursts_dataplane"])):
            for pin in pins:
                bpftool(kind, "show", "pinned", root / "riskgate" / unit.instance / "stages" / pin)
        watch = Process("riskctl", [unit.program("riskctl"), "--config", unit.config_file, "--json", "trace", "stages", "--bpffs",
                                    root, "--every", 1, "--count", 4], unit.folder / "watch.log")
        time.sleep(0.5)
        send(unit, "watched", 499)
        expect("status of riskctl", watch.child.wait(30), 0)
        shown = [json.loads("{" + text) for text in watch.text().replace("\n{", "\0").lstrip("{").split("\0")]
        expect("requests of all intervals", sum(turn["requests"] for turn in shown), 499)
        expect("intervals", len(shown), 4)
    send(unit, "nobody", 997)  # nobody is attached: nothing is counted
    expect("requests while detached", counts(unit, root, "stages")["requests"], 10007 + 499)
    unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    with Probes(unit, root, "stages", name="again"):  # the figures go on, and the new policy has its own
        send(unit, "second", 1009)
        figures = counts(unit, root, "stages")
        expect("requests of both runs", figures["requests"], 10007 + 499 + 1009)
        expect("policies", sorted({row["policy_sequence"] for row in figures["stages"]} - {0}), [1, 2])
    print(f"stages: {figures['requests']} requests in {figures['bursts']} bursts, all counted")


# ---- jitter ----

def jitter(unit, root):
    with Probes(unit, root, "--slow-takeover", 1000, "jitter"):
        thief = Thief(unit.worker_core, "core-thief-101", 1.5)
        had_ns = thief.had_ns()
        figures = counts_of_jitter(unit, root, "core-thief-101")
        error = figures["time_ns"] / had_ns - 1
        if abs(error) > 0.05:
            raise Failure(f"the thief had the core for {had_ns} ns, jitter says {figures['time_ns']} ns")
        # the worker never sleeps: all of it was its time
        if figures["worker_lost_ns"] < 0.95 * had_ns or figures["worker_lost_ns"] > figures["time_ns"]:
            raise Failure(f"the worker lost {figures['worker_lost_ns']} ns to a thief that had {had_ns} ns")
        elsewhere = Thief(unit.other_core, "elsewhere-103", 0.3)
        elsewhere.had_ns()
        if find_culprit(trace(unit, root, "jitter"), "elsewhere-103"):
            raise Failure("a thread on a core without a worker is among the culprits")
        kinds = {row["kind"] for row in trace(unit, root, "jitter")["culprits"]}
        if not {"thread", "interrupt", "softirq"} <= kinds:
            raise Failure(f"on a core that was busy for seconds only {kinds} were seen")
        recent = trace(unit, root, "jitter", "--last", 1024)["recent"]
        if not any(row["name"] == "core-thief-101" and row["kind"] == "thread" for row in recent):
            raise Failure(f"the thief is not among the {len(recent)} long losses")
        dump = bpftool("map", "dump", "pinned", root / "riskgate" / unit.instance / "jitter" / "culprits")
        if not any(element["formatted"]["key"]["name"] == "core-thief-101" for element in dump):
            raise Failure("bpftool does not show the thief by name")
    print(f"jitter: the thief had {had_ns / 1e6:.1f} ms, the probe says {figures['time_ns'] / 1e6:.1f} ms ({error:+.1%}), "
          f"of which the worker lost {figures['worker_lost_ns'] / 1e6:.1f} ms")


def find_culprit(figures, name):
    return next((row for row in figures["culprits"] if row["kind"] == "thread" and row["name"] == name), None)


def counts_of_jitter(unit, root, name):
    figures = settled(lambda: find_culprit(trace(unit, root, "jitter"), name))
    if not figures:
        raise Failure(f"{name} is not among the culprits")
    return figures


# ---- outliers ----

def send_rows(unit, amounts, first_id):
    """Each amount a request, in turn, four in a datagram, all of them at once."""
    table, mapping = unit.folder / "rows.csv", unit.folder / "rows.map.json"
    table.write_text("".join(f"{amount}\n" for amount in ["amount", *amounts]))
    mapping.write_text(json.dumps({"template": "PaymentAuthorization", "fields": {"amount": {"column": "amount"}}}))
    report = unit.finish_load(unit.load("rows", "--csv", table, "--map", mapping, "--once", "--per-datagram", 4,
                                        "--window", len(amounts), "--first-id", first_id))
    expect("rows answered", report["answered"], len(amounts))


def outliers(unit, root):
    unit.riskctl("policy", "push", slow_bundle(unit.folder))
    with Probes(unit, root, "--slow-burst", 400, "--outliers", 100000, "outliers"):
        send(unit, "usual", 499, "--set", "amount=10", rate=500)
        send(unit, "slow", 1, "--set", f"amount={EXPENSIVE}", "--first-id", 777001, rate=500)
        send(unit, "after", 251, "--set", "amount=10", "--first-id", 778001, rate=500)
        figures = settled(lambda: trace(unit, root, "outliers", "--last", 256))
        planted = [row for row in figures["recent"] if row["request_id"] == 777001]
        expect("outliers with the planted request's id", len(planted), 1)
        slow = planted[0]
        expect("requests of its burst", (slow["requests"], slow["packets"]), (1, 1))
        unaccounted = slow["total_ns"] - slow["stages_ns"]["evaluate"] - slow["worker_lost_ns"]
        expect("its takeovers are all remembered", slow["takeovers_forgotten"], False)
        if slow["stages_ns"]["evaluate"] < 400000 or unaccounted > 0.2 * slow["stages_ns"]["evaluate"]:
            raise Failure(f"the planted request was slow elsewhere: {slow}")
        record = next(frame for frame in journal(unit) if frame.get("request_id") == 777001)
        expect("its receive time in the journal", record["receive_time_ns"], slow["receive_ns"])
        if figures["slow"] < 1 or figures["suppressed"] or figures["lost"]:
            raise Failure(f"counts: {figures['slow']} slow, {figures['suppressed']} suppressed, {figures['lost']} lost")
        send_rows(unit, [EXPENSIVE if number == 37 else 10 for number in range(64)], 790000)  # 37: the second in its datagram
        figures = settled(lambda: trace(unit, root, "outliers", "--last", 256))
        named = [row for row in figures["recent"] if row["slowest"]["request_id"] == 790037]
        expect("outliers that name the slow request of a burst", len(named), 1)
        if not named[0]["request_id"] < 790037 < named[0]["request_id"] + named[0]["requests"]:
            raise Failure(f"request 790037 is not in the middle of its burst: {named[0]}")
        expect("requests that share its time", named[0]["slowest"]["together"], 1)
        if not 400000 <= named[0]["slowest"]["evaluate_ns"] <= named[0]["stages_ns"]["evaluate"]:
            raise Failure(f"the slow request of a burst was not slow: {named[0]}")
        if "slowest to evaluate: request 790037, " not in " ".join(in_words(unit, root, "outliers", "--last", "256").split()):
            raise Failure("riskctl does not say which request of the burst was the slow one")
        thief = Thief(unit.worker_core, "core-thief-107", 1.0)
        send(unit, "stolen", 2003, "--set", "amount=10", "--first-id", 779001, rate=1000)
        thief.had_ns()
        figures = trace(unit, root, "outliers", "--last", 256)
        stolen = [row for row in figures["recent"] for taker in row["takeovers"] if taker["name"] == "core-thief-107"]
        if not stolen:
            raise Failure("no outlier names the thread that took the worker's core")
        for row in stolen:  # the clocks of the worker and of the kernel agree
            if row["worker_lost_ns"] > row["total_ns"] + 20000000:
                raise Failure(f"more was lost than the burst took: {row}")
    with Probes(unit, root, "--reset", "--slow-burst", 0, "--outliers", 3, "outliers", name="limit"):
        send(unit, "limited", 211, "--first-id", 780001, rate=2000)
        figures = settled(lambda: trace(unit, root, "outliers"))
        expect("every burst is slow", figures["slow"], figures["bursts"])
        kept = trace(unit, root, "outliers", "--last", 256)["recent"]
        expect("kept and suppressed", len(kept) + figures["suppressed"], figures["slow"])
        if not figures["suppressed"]:
            raise Failure("nothing was over the limit of 3 a second")
    print(f"outliers: request 777001 took {slow['total_ns'] / 1e6:.2f} ms, {slow['stages_ns']['evaluate'] / 1e6:.2f} ms of it "
          f"in evaluate; {len(stolen)} bursts name the thief; {figures['suppressed']} suppressed over the limit")


def journal(unit):
    done = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "--json", "journal", "cat"],
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- publish ----

CONTROL_BEFORE = ["taken", "loaded", "compiled", "checked", "written", "announced"]
DATAPLANE = ["copying", "verifying", "swapping", "grace", "active"]


def publish(unit, root):
    with Probes(unit, root, "publish"):
        for number in range(5):
            unit.riskctl("policy", "push", BUNDLES / f"payments-{2 - number % 2}.tar.gz")
        broken = unit.folder / "broken.tar.gz"
        broken.write_bytes(b"no archive")
        unit.riskctl("policy", "push", broken, check=False)
        figures = settled(lambda: trace(unit, root, "publish"))
        wanted = CONTROL_BEFORE + DATAPLANE + ["settled"]
        expect("steps of all", figures["steps"], 5 * len(wanted) + 2)
        expect("lost", figures["lost"], 0)
        rows = figures["recent"]
        expect("publications", len(rows), 6)
        for row in rows[:5]:
            names = [step["step"] for step in row["steps"]]
            expect(f"steps of policy {row['policy_sequence']}", names, wanted)
            times = {step["step"]: step for step in row["steps"]}
            if not 0 < times["compiled"]["duration_ns"] < times["loaded"]["at_ns"] - times["taken"]["at_ns"]:
                raise Failure(f"compiling cannot have taken {times['compiled']['duration_ns']} ns: {row}")
        expect("steps of the broken bundle", [step["step"] for step in rows[5]["steps"]], ["taken", "refused"])
        mailbox = unit.riskctl("region")["mailbox"]["entered_ns"]
        last = {step["step"]: step["at_ns"] for step in rows[4]["steps"]}
        for step in DATAPLANE:  # two clocks, two readers: the same moments
            if abs(last[step] - mailbox[step]) > 50000000:
                raise Failure(f"{step}: at {last[step]}, the mailbox says {mailbox[step]}")
    print(f"publish: 5 pushes gave {5 * len(wanted)} steps in two processes, a broken bundle 2")


# ---- journal ----

def journal_io(unit, root):
    def figures():
        rows = trace(unit, root, "journal")["operations"]
        return {(row["name"], row["operation"]): row for row in rows}

    def control(name):
        return settled(lambda: counter(unit, "control", name))

    unit.wait_until_stored(0)
    control("journal_bytes")
    with Probes(unit, root, "--slow-io", 0, "journal"):
        settled(figures)
        before = figures()
        bytes_before, syncs_before = control("journal_bytes"), control("journal_syncs")
        send(unit, "load", 10007)
        unit.wait_until_stored(10007)
        after = settled(figures)
        written = after[("journal", "write")]["bytes"] - before.get(("journal", "write"), {"bytes": 0})["bytes"]
        expect("bytes written", written, control("journal_bytes") - bytes_before)
        syncs = after[("journal", "sync")]["count"] - before.get(("journal", "sync"), {"count": 0})["count"]
        expect("syncs", syncs, control("journal_syncs") - syncs_before)
        for operation in ("batch", "commit"):
            expect(f"records of sink {operation}es", after[("sqlite", operation)]["records"], 10007)
        expect("commits and batches", after[("sqlite", "commit")]["count"], after[("sqlite", "batch")]["count"])
        expect("failed", sum(row["failed"] for row in after.values()), 0)
        if after[("journal", "sync")]["max"] < after[("journal", "sync")]["p50"]:
            raise Failure(f"the longest sync is below the median: {after[('journal', 'sync')]}")
        expect("kept one by one", len(trace(unit, root, "journal", "--last", 7)["recent"]), 7)
    print(f"journal: {written} bytes in {after[('journal', 'write')]['count']} writes, {syncs} syncs, 10007 records committed")


# ---- processes come and go ----

def restart(unit, root):
    with Probes(unit, root, "--reset") as probes:
        send(unit, "first", 1009)
        expect("requests", counts(unit, root, "stages")["requests"], 1009)
        for side in ("dataplane", "control"):
            getattr(unit, side).kill()
            getattr(unit, f"start_{side}")()
            wait_for_attached(probes, getattr(unit, side).pid, side)
        unit.wait_for_policy()
        send(unit, "second", 1013, "--first-id", 100001)
        expect("requests of both data planes", counts(unit, root, "stages")["requests"], 1009 + 1013)
        unit.wait_until_stored(1009 + 1013)
        committed = settled(lambda: [row["records"] for row in trace(unit, root, "journal")["operations"]
                                     if (row["name"], row["operation"]) == ("sqlite", "commit")])
        expect("records committed by both controls", sum(committed), 1009 + 1013)
        thief = Thief(unit.worker_core, "core-thief-109", 0.5)
        had_ns, figures = thief.had_ns(), counts_of_jitter(unit, root, "core-thief-109")
        if figures["worker_lost_ns"] < 0.9 * had_ns:
            raise Failure(f"the new worker is not watched: {figures}, the thief had {had_ns} ns")
        probes.process.kill()  # the pins keep it going
        probes.killed = True
        send(unit, "third", 1019, "--first-id", 200001)
        expect("requests while riskgate-probe is dead", counts(unit, root, "stages")["requests"], 1009 + 1013 + 1019)
    with Probes(unit, root, name="third"):  # takes over what the dead one left: nothing is counted twice
        send(unit, "fourth", 1021, "--first-id", 300001)
        expect("requests of all", counts(unit, root, "stages")["requests"], 1009 + 1013 + 1019 + 1021)
    remove = subprocess.run([unit.program("riskgate-probe"), "--config", unit.config_file, "--bpffs", root, "--remove"])
    expect("status of --remove", remove.returncode, 0)
    expect("left after --remove", [path.name for path in (root / "riskgate" / unit.instance).iterdir()], [])
    print("restart: the probes found both killed processes again, outlived their own, and went without a trace")


def wait_for_attached(probes, pid, side):
    deadline = time.monotonic() + 30
    while probes.process.text().count(f"{side}={pid}") < (4 if side == "dataplane" else 2):  # its probes
        if time.monotonic() > deadline:
            raise Failure(f"the probes are not attached to the new {side} {pid}:\n{probes.process.tail()}")
        time.sleep(0.1)


# ---- capabilities ----

NOBODY = 65534
CAP_PERFMON, CAP_BPF = 38, 39


def capabilities(unit, root):
    """Another user, with CAP_BPF and CAP_PERFMON and nothing else. The folder in the BPF file system is its own."""
    folder = root / "riskgate"
    folder.mkdir()
    os.chown(folder, NOBODY, 0)
    root.chmod(0o755)
    unit.folder.chmod(0o755)
    only = ["setpriv", f"--reuid={NOBODY}", "--regid=0", "--clear-groups", "--bounding-set=-all,+bpf,+perfmon",
            "--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon", "--no-new-privs"]
    programs = ["--dataplane", unit.program("riskgate-dataplane"), "--control", unit.program("riskgate-control")]
    with Probes(unit, root, *programs, around=only) as probes:
        status = dict(line.split(":\t", 1) for line in
                      open(f"/proc/{probes.process.pid}/status", encoding="ascii").read().splitlines())
        expect("effective capabilities", int(status["CapEff"], 16), 1 << CAP_PERFMON | 1 << CAP_BPF)
        expect("user", status["Uid"].split()[0], str(NOBODY))
        send(unit, "load", 2003)
        unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
        unit.wait_until_stored(2003)
        expect("requests", counts(unit, root, "stages")["requests"], 2003)
        expect("publications", len(counts(unit, root, "publish")["recent"]), 1)
        if not counts(unit, root, "journal")["operations"] or not trace(unit, root, "jitter")["culprits"]:
            raise Failure("journal or jitter saw nothing")
    without = [word.replace(",+perfmon", "") for word in only]
    refused = Process("riskgate-probe", [*without, unit.program("riskgate-probe"), "--config", unit.config_file, "--bpffs", root,
                                         *programs, "--once"], unit.folder / "refused.log")
    if refused.child.wait(30) != 1 or "CAP_PERFMON" not in refused.text():
        raise Failure(f"without CAP_PERFMON it does not say so:\n{refused.tail()}")
    print("capabilities: all five probes as user nobody with CAP_BPF and CAP_PERFMON alone")


TESTS = {"stages": stages, "jitter": jitter, "outliers": outliers, "publish": publish, "journal": journal_io,
         "restart": restart, "capabilities": capabilities}


def main():
    if os.geteuid() != 0:
        print("left out: probes, namespaces and mounts need root")
        return 77
    with BpfFileSystem() as root, Appliance(sys.argv[1], bundle=BUNDLES / "payments-1.tar.gz", huge_pages=False,
                                            settings={"decision": {"instruction_budget": 10000000},
                                                      "dataplane": {"idle_sleep_us": 0}}) as unit:
        unit.start()
        unit.wait_for_policy()
        TESTS[sys.argv[2]](unit, root)
        for probe in ("stages", "jitter", "outliers", "publish", "journal"):
            if (root / "riskgate" / unit.instance / probe / "counts").exists() and not in_words(unit, root, probe):
                raise Failure(f"trace {probe} prints nothing")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
