# SPDX-License-Identifier: Apache-2.0
"""riskgate-probe on an instance of scripts/appliance.py, with a BPF file system of its own; and a thread that takes a core.

Needs root, for the mount alone. Figures are read as an operator reads them: riskctl trace, bpftool.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appliance import Failure, Process


class BpfFileSystem:
    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="riskgate-bpf-"))
        done = subprocess.run(["mount", "-t", "bpf", "bpf", str(self.folder)], capture_output=True, text=True)
        if done.returncode:
            self.folder.rmdir()
            raise Failure(f"no BPF file system: {done.stderr.strip()}")
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.folder)], capture_output=True)
        self.folder.rmdir()


class Probes:
    """A riskgate-probe in the foreground, attached when the constructor is done."""

    def __init__(self, unit, root, *words, name="probe", around=(), seconds=30):
        self.unit, self.root, self.killed = unit, Path(root), False
        self.process = Process("riskgate-probe", [*around, unit.program("riskgate-probe"), "--config", unit.config_file,
                                                  "--bpffs", root, *words], unit.folder / f"{name}.log")
        try:
            self.process.wait_for("riskgate-probe: ready", seconds)
        except Failure:
            self.process.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        status = self.process.stop()
        if status and not self.killed:
            raise Failure(f"riskgate-probe ended with status {status}:\n{self.process.tail()}")


def trace(unit, root, probe, *words):
    """What `riskctl --json trace PROBE` prints."""
    return unit.riskctl("trace", probe, "--bpffs", root, *words)


def settled(look, seconds=20):
    """look() until two answers in a row, 0.3 s apart, are the same: what was handed over has arrived."""
    deadline, before = time.monotonic() + seconds, look()
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = look()
        if now == before:
            return now
        before = now
    raise Failure(f"figures go on changing for {seconds} s: {before}")


def bpftool(*words):
    """bpftool --json, as an object."""
    done = subprocess.run(["bpftool", "--json", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"bpftool {' '.join(map(str, words))}: {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout)


# Takes a core for so many seconds of its own CPU time, under a name; prints the CPU time that it had under that name.
THIEF = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
open("/proc/self/comm", "w").write(sys.argv[2])
began = time.thread_time_ns()
while time.thread_time_ns() - began < float(sys.argv[3]) * 1e9:
    pass
had = time.thread_time_ns() - began
open("/proc/self/comm", "w").write("python3")
print(had)
"""


class Thief:
    def __init__(self, core, name, seconds):
        self.child = subprocess.Popen([sys.executable, "-S", "-c", THIEF, str(core), name, str(seconds)],
                                      stdout=subprocess.PIPE, text=True)

    def had_ns(self, seconds=120):
        """Wait for its end; the CPU time it had."""
        out, _ = self.child.communicate(timeout=seconds)
        if self.child.returncode:
            raise Failure(f"the thief ended with status {self.child.returncode}")
        return int(out)
