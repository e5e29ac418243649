#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quickstart's run: real card data and a synthetic load through the NIC queue, a new policy in the middle.

Both processes run on a memif port with the payments policy. The 20,000-row sample is replayed as SBE
datagrams; then a synthetic load runs for some seconds while revision 2 of the policy is pushed. Every
answered request must be a record in the journal and a row in SQLite, or this fails.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import appliance
from appliance import Appliance, Failure, HugePages, ROOT

INSTANCE = "quickstart"
FOLDER = Path("/tmp/riskgate-quickstart")
KEPT = FOLDER / "kept.json"
BUNDLES = ROOT / "examples/policies/payments/bundles"
SAMPLE = ROOT / "examples/data/card_transactions_sample.csv.gz"
MAP = ROOT / "examples/data/card_transactions.map.json"
TAP = {"device": "net_tap0,iface=riskgate0", "addresses": ["10.71.1.1/24", "fd71:1::1/64"]}


def say(text):
    print(text, flush=True)


def stop_kept():
    """Stop what an earlier --keep left, by the pids it wrote down, and put huge pages back."""
    if not KEPT.exists():
        return False
    kept = json.loads(KEPT.read_text())
    for name, pid in kept["pids"].items():
        try:
            if name not in Path(f"/proc/{pid}/cmdline").read_text():
                continue  # the number belongs to another process by now
            os.kill(pid, signal.SIGTERM)
            for _ in range(200):
                if not Path(f"/proc/{pid}").exists():
                    break
                time.sleep(0.05)
            else:
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue
    if kept["huge_pages_before"] is not None:
        appliance.NR_HUGEPAGES.write_text(str(kept["huge_pages_before"]))
    shutil.rmtree(kept["region"], ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return True


def replay_sample(unit):
    say(f"replay: {SAMPLE.name} as SBE datagrams through the NIC queue")
    return unit.finish_load(unit.load("replay", "--csv", SAMPLE, "--map", MAP, "--once", "--window", 64))


def synthetic_load(unit, rate, seconds):
    say(f"load: the same payments again and again, {rate:,} a second for {seconds} s; revision 2 of the policy "
        "is pushed in the middle")
    load = unit.load("load", "--csv", SAMPLE, "--map", MAP, "--rate", rate, "--seconds", seconds, "--yield")
    time.sleep(seconds / 2)
    pushed = unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    return unit.finish_load(load, seconds + 120), pushed


def total(reports, *path):
    value = 0
    for report in reports:
        for key in path:
            report = report.get(key, {}) if isinstance(report, dict) else {}
        value += report or 0
    return value


def revisions(unit, reports):
    names = {policy["sequence"]: policy["revision"] for policy in unit.riskctl("policy", "list")["policies"]}
    counts = {}
    for report in reports:
        for entry in report["sequences"]:
            name = names.get(entry["sequence"], f"sequence {entry['sequence']}")
            counts[name] = counts.get(name, 0) + entry["decisions"]
    return [{"revision": name, "decisions": count} for name, count in sorted(counts.items())]


def run(options, huge):
    bundle = BUNDLES / "payments-1.tar.gz"
    ports = None
    unit = Appliance(options.build, FOLDER, bundle=bundle, huge_pages=huge.available, instance=INSTANCE)
    if options.keep and os.geteuid() == 0:
        ports = unit.config["dataplane"]["ports"] + [TAP]
        unit = Appliance(options.build, FOLDER, bundle=bundle, huge_pages=huge.available, instance=INSTANCE,
                         ports=ports)
    try:
        say("start: riskgate-dataplane and riskgate-control, policy payments-1")
        unit.start()
        unit.wait_for_policy()
        reports = [replay_sample(unit)]
        load, pushed = synthetic_load(unit, options.rate, options.seconds)
        reports.append(load)
        answered = total(reports, "answered")
        say("drain: waiting until every decision is in the journal and in SQLite")
        status = unit.wait_until_stored(answered)
        figures = {
            "decisions": sum(worker[verdict] for worker in status["workers"] for verdict in ("allow", "deny", "review")),
            "answered": answered,
            "lost": total(reports, "lost"),
            "journaled": status["records"]["journaled"],
            "stored": status["records"]["stored"],
            "verdicts": {name: total(reports, "verdicts", name) for name in ("allow", "deny", "review")},
            "throughput_per_s": load["throughput_per_s"],
            "latency_ns": {name: load["latency_ns"][name] for name in ("p50", "p99", "p999", "p9999", "max")},
            "revisions": revisions(unit, reports),
            "publish": pushed,
        }
        denied = unit.riskctl("decisions", "--verdict", "DENY", "--limit", 1)["decisions"]
        summary(figures, denied[0] if denied else None)
        if options.json:
            Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")
        check(figures)
        if options.keep:
            keep(unit, huge, ports)
        else:
            unit.stop()
    except BaseException:
        for process in (unit.dataplane, unit.control):
            if process:
                print(f"---- last lines of {process.name}:\n{process.tail()}", file=sys.stderr)
        unit.clean()
        raise
    if not options.keep:
        unit.clean()
        shutil.rmtree(FOLDER, ignore_errors=True)


def micro(ns):
    return f"{ns / 1000:,.1f} us"


def summary(figures, denied):
    latency = figures["latency_ns"]
    decided = max(figures["answered"], 1)
    say("\nriskgate: summary")
    say("  verdicts      " + ", ".join(f"{name.upper()} {count:,} ({100 * count / decided:.1f} %)"
                                      for name, count in figures["verdicts"].items()))
    say(f"  throughput    {figures['throughput_per_s']:,.0f} decisions a second, as asked of the load generator")
    say("  latency       " + ", ".join(f"{name} {micro(latency[key])}" for name, key in
                                      (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("p99.99", "p9999"),
                                       ("max", "max"))))
    say(f"  requests      {figures['answered']:,} answered, {figures['lost']:,} lost")
    for entry in figures["revisions"]:
        say(f"  revision      {entry['revision']}: {entry['decisions']:,} decisions")
    say(f"  records       {figures['journaled']:,} in the journal, {figures['stored']:,} in SQLite")
    if denied:
        say("  a denied one, as `riskctl decisions --verdict DENY --limit 1` shows it:")
        for key in ("request_id", "template", "verdict", "score", "reasons", "revision", "latency_ns"):
            value = denied.get(key)
            say(f"    {key:12}{', '.join(value) if isinstance(value, list) else value}")
    say("")


def check(figures):
    """The promise of the summary: nothing lost anywhere."""
    if figures["lost"]:
        raise Failure(f"{figures['lost']} requests were not answered")
    if not figures["decisions"] == figures["answered"] == figures["journaled"] == figures["stored"]:
        raise Failure("decisions, answers, journal records and rows in SQLite differ: "
                      f"{figures['decisions']}, {figures['answered']}, {figures['journaled']}, {figures['stored']}")
    if len(figures["revisions"]) != 2:
        raise Failure(f"decisions were made under {len(figures['revisions'])} revisions instead of 2")


def keep(unit, huge, ports):
    KEPT.write_text(json.dumps({
        "pids": {process.name: process.pid for process in (unit.dataplane, unit.control)},
        "huge_pages_before": huge.before, "region": str(unit.region)}) + "\n")
    huge.before = None
    riskctl = f"{unit.program('riskctl')} --config {unit.config_file}"
    say("kept running. To play with it:")
    if ports:
        os.system("ip addr add 10.71.1.2/24 dev riskgate0 2>/dev/null; ip link set riskgate0 up")
        say(f"  {riskctl} score --address 10.71.1.1:9471 "
            f"{ROOT / 'examples/policies/payments/requests/deny-night-shopping.json'}")
    for command in ("status", "policy list", "decisions --verdict DENY --limit 5", "region",
                    f"policy push {BUNDLES / 'payments-1.tar.gz'}"):
        say(f"  {riskctl} {command}")
    say("  ./quickstart --stop      (stops it and puts everything back)")


def main():
    parser = argparse.ArgumentParser(prog="quickstart", description="Set up, build and run riskgate's main job.")
    parser.add_argument("--seconds", type=int, default=10, help="length of the synthetic load (default 10)")
    parser.add_argument("--rate", type=int, default=20000, help="its requests a second (default 20000)")
    parser.add_argument("--json", metavar="FILE", help="write the summary's figures to FILE")
    parser.add_argument("--keep", action="store_true", help="leave it running afterwards, and say how to use it")
    parser.add_argument("--stop", action="store_true", help="stop what --keep left running")
    parser.add_argument("--build", default=ROOT / "build", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seconds < 2:
        parser.error("--seconds must be at least 2")
    if stop_kept():
        say("stopped the instance that was kept running")
    if options.stop:
        return 0
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        with HugePages(512) as huge:
            if not huge.available:
                say(f"huge pages: none ({huge.note}); running on ordinary memory")
            run(options, huge)
    except Failure as failure:
        print(f"quickstart: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
