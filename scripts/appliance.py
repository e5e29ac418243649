# SPDX-License-Identifier: Apache-2.0
"""A riskgate instance in a folder of its own: configuration, data plane, control, load generator.

quickstart, the system tests and bench/ start riskgate through this module, so that there is one way to
bring an instance up and to take it down. Processes are stopped by pid; what was changed on the machine
(the number of huge pages) is put back. Standard library only.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NR_HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")


class Failure(Exception):
    """Something did not happen; the text says what, where to look and what to do."""


def cores():
    """The cores this process may use: (for everything else, for the worker)."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


class HugePages:
    """Raise the number of 2 MiB pages while in use, if that is possible; put it back afterwards."""

    def __init__(self, mib):
        self.wanted = mib // 2
        self.before = None
        self.note = ""

    def __enter__(self):
        info = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(info["HugePages_Free"].split()[0]) - int(info["HugePages_Rsvd"].split()[0])
        if int(info["Hugepagesize"].split()[0]) != 2048:
            self.note = "the default huge page is not 2 MiB"
        elif free < self.wanted:
            try:
                self.before = int(NR_HUGEPAGES.read_text())
                NR_HUGEPAGES.write_text(str(self.before + self.wanted - free))
                if int(NR_HUGEPAGES.read_text()) < self.before + self.wanted - free:
                    self.note = "the kernel found too little contiguous memory"
            except OSError as error:
                self.note = f"cannot set {NR_HUGEPAGES}: {error.strerror}"
        return self

    @property
    def available(self):
        return not self.note

    def __exit__(self, *_):
        if self.before is not None:
            try:
                NR_HUGEPAGES.write_text(str(self.before))
            except OSError:
                pass
            self.before = None


class Veth:
    """A network namespace with one end of a veth pair: a kernel client's machine. `device` is our end."""

    def __init__(self, tag="rgt"):
        self.namespace = f"{tag}-{os.getpid()}"
        self.device = f"{tag}{os.getpid()}a"
        self.peer = f"{tag}{os.getpid()}b"

    def run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")

    def ip(self, *words):
        self.run("ip", *words)

    def __enter__(self):
        self.ip("netns", "add", self.namespace)
        try:
            self.ip("link", "add", self.device, "type", "veth", "peer", "name", self.peer, "netns", self.namespace)
            self.ip("link", "set", self.device, "up")
            inside = ("-n", self.namespace)
            self.ip(*inside, "addr", "add", "10.71.0.2/24", "dev", self.peer)
            self.ip(*inside, "addr", "add", "fd71::2/64", "dev", self.peer, "nodad")
            # A veth leaves checksums to a device that is not there; packet sockets would see them unfinished.
            self.run(*self.inside("ethtool", "-K", self.peer, "tx", "off"))
            self.ip(*inside, "link", "set", "lo", "up")
            self.ip(*inside, "link", "set", self.peer, "up")
        except Failure:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for words in (("link", "del", self.device), ("netns", "del", self.namespace)):
            subprocess.run(["ip", *words], capture_output=True)

    def inside(self, *command):
        """The command line that runs `command` in the client's namespace."""
        return ["ip", "netns", "exec", self.namespace, *[str(word) for word in command]]


class Process:
    """A child with its output in a log file, waited for by a line and stopped by pid."""

    def __init__(self, name, command, log, core=None, nice=0, env=None):
        self.name = name
        self.log = Path(log)
        self.offset = self.log.stat().st_size if self.log.exists() else 0

        def prepare():
            if core is not None:
                os.sched_setaffinity(0, {core})
            os.nice(nice)

        with open(self.log, "ab") as out:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=out, preexec_fn=prepare,
                                          env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        with open(self.log, "rb") as file:
            file.seek(self.offset)
            return file.read().decode(errors="replace")

    def running(self):
        return self.child.poll() is None

    def wait_for(self, words, seconds=60):
        """Wait until a line of the output holds `words`; return that line."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.text().splitlines():
                if words in line:
                    return line
            if not self.running():
                raise Failure(f"{self.name} ended with status {self.child.returncode} before it said "
                              f"\"{words}\"; its last words:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} did not say \"{words}\" within {seconds} s; its last "
                              f"words:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines=15):
        return "\n".join("    " + line for line in self.text().splitlines()[-lines:])

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self, seconds=20):
        """SIGTERM, then SIGKILL. Returns the exit status."""
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()


class Appliance:
    """One instance. `settings` are merged over the configuration this class writes."""

    def __init__(self, build, folder=None, policy="payments", bundle=None, huge_pages=True, ports=None,
                 settings=None, instance=None):
        self.build = Path(build)
        self.own_folder = folder is None
        self.folder = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="riskgate-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.instance = instance or f"rg{os.getpid()}"
        self.memif = self.folder / "memif.sock"
        self.huge_pages = huge_pages
        self.other_core, self.worker_core = cores()
        self.dataplane = None
        self.control = None
        template = "NewOrder" if policy == "pretrade" else "PaymentAuthorization"
        self.config = {
            "instance": self.instance,
            "region": {"directory": f"/dev/shm/riskgate-{self.instance}"},
            "schema": str(ROOT / "examples/schema/riskgate.xml"),
            "templates": [{"template": template, "package": policy}],
            "dataplane": {
                "cores": f"{self.other_core},{self.worker_core}",
                "huge_pages": huge_pages,
                "memory_mib": 192,
                "ports": ports or [{
                    "device": f"net_memif0,role=server,socket={self.memif},socket-abstract=no",
                    "addresses": ["10.71.0.1/24", "fd71::1/64"],
                }],
            },
            "control": {
                "socket": str(self.folder / "control.sock"),
                "state_directory": str(self.folder / "state"),
                "bundle": str(bundle) if bundle else "",
            },
            "api": {"listen": ""},
        }
        for section, values in (settings or {}).items():
            if isinstance(values, dict):
                self.config.setdefault(section, {}).update(values)
            else:
                self.config[section] = values
        # JSON is YAML: nothing to install to write it.
        self.config_file = self.folder / "riskgate.yaml"
        self.config_file.write_text(json.dumps(self.config, indent=2) + "\n")

    @property
    def region(self):
        return Path(self.config["region"]["directory"])

    def program(self, name):
        rooms = {"riskgate-dataplane": "dataplane", "riskgate-control": "control",
                 "riskgate-loadgen": "tools/loadgen", "riskctl": "tools/riskctl", "riskgate-probe": "bpf"}
        return self.build / rooms[name] / name

    def start_dataplane(self, seconds=90, env=None):
        self.dataplane = Process("riskgate-dataplane",
                                 [self.program("riskgate-dataplane"), "--config", self.config_file],
                                 self.folder / "dataplane.log", env={"LIBXDP_SKIP_DISPATCHER": "1", **(env or {})})
        self.dataplane.wait_for("riskgate-dataplane: ready", seconds)

    def start_control(self, seconds=60, env=None):
        """Nicer than the load generator: on two cores both share one, and what a client measures must be the worker."""
        self.control = Process("riskgate-control",
                               [self.program("riskgate-control"), "--config", self.config_file],
                               self.folder / "control.log", core=self.other_core, nice=10, env=env)
        self.control.wait_for("riskgate-control: ready", seconds)

    def start(self):
        self.start_dataplane()
        self.start_control()
        return self

    def riskctl(self, *words, check=True):
        """Run riskctl --json; return what it printed."""
        done = subprocess.run([str(self.program("riskctl")), "--config", str(self.config_file), "--json",
                               *[str(word) for word in words]], capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise Failure(f"riskctl {' '.join(map(str, words))}: status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def load(self, name, *words, core=None, prefix=()):
        """Start riskgate-loadgen on the memif port, by what `prefix` says (chrt ...). finish_load() gives its figures."""
        report = self.folder / f"{name}.json"
        device = f"net_memif0,role=client,socket={self.memif},socket-abstract=no"
        process = Process("riskgate-loadgen",
                          [*prefix, self.program("riskgate-loadgen"), "--device", device,
                           "--core", self.other_core if core is None else core,
                           *([] if self.huge_pages else ["--no-huge"]),
                           "--schema", self.config["schema"], "--json", report, *words],
                          self.folder / f"{name}.log")
        process.report = report
        return process

    def finish_load(self, process, seconds=600):
        try:
            status = process.child.wait(seconds)
        except subprocess.TimeoutExpired:
            process.stop()
            raise Failure(f"the load generator did not end within {seconds} s:\n{process.tail()}") from None
        if status:
            raise Failure(f"the load generator ended with status {status}:\n{process.tail()}")
        return json.loads(process.report.read_text())

    def wait_for_policy(self, sequence=1, seconds=60):
        """Wait until the data plane decides with policy `sequence` or a later one."""
        return self.wait_until(lambda status: status["policy"]["sequence"] >= sequence, seconds,
                               f"policy {sequence} active")

    def wait_until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while True:
            status = self.riskctl("status")
            if condition(status):
                return status
            if time.monotonic() > deadline:
                raise Failure(f"not reached within {seconds} s: {what}; riskctl status: {json.dumps(status)}")
            time.sleep(0.1)

    def wait_until_stored(self, decisions, seconds=300):
        return self.wait_until(lambda status: status["records"]["stored"] >= decisions, seconds,
                               f"{decisions} records stored")

    def stop(self):
        """Stop both processes; the first bad exit status is a Failure."""
        bad = None
        for process in (self.control, self.dataplane):
            if process and process.stop() not in (0, -signal.SIGKILL) and not bad:
                bad = Failure(f"{process.name} ended with status {process.child.returncode}:\n{process.tail()}")
        self.control = self.dataplane = None
        if bad:
            raise bad

    def clean(self):
        for process in (self.control, self.dataplane):
            if process and process.running():
                process.kill()
        if self.region.parent == Path("/dev/shm"):
            shutil.rmtree(self.region, ignore_errors=True)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, _):
        if kind is not None:
            for process in (self.dataplane, self.control):
                if process:
                    print(f"---- last lines of {process.name}:\n{process.tail(20)}", file=sys.stderr)
        try:
            if kind is None:
                self.stop()
        finally:
            self.clean()
