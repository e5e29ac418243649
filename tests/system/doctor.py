#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""riskctl doctor beside a data plane: what it judges is that process, not the shell: doctor.py BUILD

Before the data plane runs, the cores it would choose; then those its workers are on, its limits and its scheduling class, each changed
from outside while it runs. Nothing of the machine is set.
"""

import json
import os
import resource
import sys
from pathlib import Path

from appliance import Appliance, Failure


def expect(condition, text):
    if not condition:
        raise Failure(text)


def findings(unit, check):
    """What doctor says of one check: [(severity, text)]."""
    answer = unit.riskctl("doctor", check=False)
    expect(answer["ok"] == (answer["errors"] == 0 and answer["warnings"] == 0), f"ok: {answer}")
    return [(found["severity"], found["finding"]) for found in answer["findings"] if found["check"] == check]


def check_cores(unit, words):
    [(severity, text)] = findings(unit, "cores")
    expect((severity, text) == ("ok", words), f"cores: {severity}: {text}, not: {words}")


def check_limits(unit):
    soft, hard = resource.prlimit(unit.dataplane.pid, resource.RLIMIT_CORE)
    resource.prlimit(unit.dataplane.pid, resource.RLIMIT_CORE, (0, hard))
    expect(("advice", "no core file after a crash") in findings(unit, "limits"), "no core file is not seen")
    if hard:
        resource.prlimit(unit.dataplane.pid, resource.RLIMIT_CORE, (hard, hard))
        expect(findings(unit, "limits") == [("ok", "enough")], f"limits: {findings(unit, 'limits')}")
    resource.prlimit(unit.dataplane.pid, resource.RLIMIT_NOFILE, (512, resource.prlimit(unit.dataplane.pid, resource.RLIMIT_NOFILE)[1]))
    expect(("warning", "the data plane may open 512 files") in findings(unit, "limits"), "open files")


def check_scheduling(unit):
    """One thread of the process is enough."""
    runtime_us = int(Path("/proc/sys/kernel/sched_rt_runtime_us").read_text())
    [(severity, text)] = findings(unit, "rt-throttling")
    expect(severity == "ok" and (runtime_us < 0 or "the data plane is not scheduled as real-time" in text), f"{severity}: {text}")
    if runtime_us < 0 or os.geteuid():
        return
    thread = max(int(name) for name in os.listdir(f"/proc/{unit.dataplane.pid}/task"))
    os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))
    [(severity, text)] = findings(unit, "rt-throttling")
    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
    expect(severity == "warning" and "a worker that spins is stopped" in text, f"{severity}: {text}")


def check_idle_workers(build):
    """Two workers and one queue: the second has nothing to do, as the configuration says before and the data plane after its start."""
    with Appliance(build, huge_pages=False, settings={"dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 1000, "workers": 2}}) as unit:
        unit.config["dataplane"]["cores"] = f"{unit.other_core},{unit.worker_core}"
        unit.config["dataplane"]["ports"][0]["queues"] = 1
        unit.config_file.write_text(json.dumps(unit.config))
        expect(findings(unit, "cores")[0][0] == "warning", f"the main thread shares a core: {findings(unit, 'cores')}")
        of_ports = [("ok", unit.config["dataplane"]["ports"][0]["device"] + ": shared memory, for a peer on this machine"),
                    ("warning", unit.config["dataplane"]["ports"][0]["device"] + ": dataplane.ports[0].queues is 1 for 2 workers: some have nothing to do")]
        expect(findings(unit, "ports") == of_ports, f"{findings(unit, 'ports')}")
        unit.start_dataplane()
        expect(findings(unit, "ports") == [*of_ports, ("warning", "1 of the 2 workers that run have no queue")], f"{findings(unit, 'ports')}")


def main(build):
    if len(os.sched_getaffinity(0)) > 1:
        check_idle_workers(build)
    with Appliance(build, huge_pages=False, settings={"dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 1000}}) as unit:
        apart = unit.worker_core != unit.other_core
        if apart:
            check_cores(unit, f"workers on {unit.worker_core}, the main thread on {unit.other_core}")
        unit.start()
        check_cores(unit, f"workers run on {unit.worker_core}")
        expect(findings(unit, "huge-pages")[0] == ("advice", "not used: dataplane.huge_pages is false"), "huge pages")
        check_limits(unit)
        check_scheduling(unit)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Failure as failure:
        sys.exit(f"doctor: {failure}")
    print("doctor: ok")
