#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""riskctl top beside an appliance under load, whose processes are killed and restarted meanwhile: top.py BUILD

The JSON lines are compared with what was done: rates, latencies, shares of time and verdicts, refusals, who was away
when. On a terminal (a pty): what is drawn fits, follows the terminal's size, and the terminal is given back.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

from appliance import Appliance, Failure, Process, ROOT, Veth

BUNDLES = ROOT / "examples/policies/payments/bundles"
RATE = 2000
INTERVAL_MS = 250
SMALL = {"dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 100}, "region": {"ring_bytes": "1MiB"},
         "journal": {"sync_interval_ms": 10}}


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Watcher:
    """riskctl --json top, read by a thread of its own."""

    def __init__(self, unit):
        self.child = subprocess.Popen([unit.program("riskctl"), "--config", unit.config_file, "--json", "top",
                                       "--interval", str(INTERVAL_MS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.seen = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.child.stdout:
            self.seen.append(json.loads(line))

    def wait_for(self, what, condition, seconds=40):
        """The first interval from now on that is so."""
        at, deadline = len(self.seen), time.monotonic() + seconds
        while True:
            for interval in self.seen[at:]:
                if condition(interval):
                    return interval
            expect(self.child.poll() is None, f"riskctl top ended: {self.child.returncode}: {self.child.stderr}")
            expect(time.monotonic() < deadline, f"not seen within {seconds} s: {what}; last seen: {self.seen[-1:]}")
            time.sleep(0.05)

    def stop(self):
        self.child.terminate()
        self.child.wait(20)
        self.thread.join(20)


def check_sums(interval):
    shares = interval["verdict_shares"]
    expect(abs(sum(shares.values()) - 1) < 1e-6 and shares["allow"] > 0 and shares["deny"] > 0, f"verdicts: {shares}")
    for latency in (interval["latency_ns"], interval["evaluate_ns"]):
        expect(0 < latency["p50"] <= latency["p99"] <= latency["p999"] <= latency["max"], f"{latency}")
    [worker] = interval["workers"]
    expect(list(worker["time_shares"]) == ["idle", "rx", "decode", "feature", "evaluate", "record", "tx"], f"{worker}")
    expect(abs(sum(worker["time_shares"].values()) - 1) < 1e-6 and worker["time_shares"]["evaluate"] > 0, f"{worker}")
    expect(worker["latency_ns"] == interval["latency_ns"] and worker["requests"] == interval["requests"], f"{worker}")
    expect(worker["ring"]["adopted"] and 0 <= worker["ring"]["fill"] <= 1, f"{worker['ring']}")


def under_load(unit, watcher):
    """The rate that is sent is the rate that is shown, and as many decisions as latencies."""
    interval = watcher.wait_for("the load", lambda seen: seen["requests_per_s"] > RATE / 2)
    interval = watcher.wait_for("a whole interval of load", lambda seen: seen["requests_per_s"] > RATE / 2
                                and abs(seen["latency_ns"]["count"] - seen["requests"]) <= 0.2 * seen["requests"])
    check_sums(interval)
    expect(interval["policy"]["revision"] == "payments-1" and interval["policy"]["age_ns"] > 0, f"{interval['policy']}")
    expect(interval["control"]["answers"] and interval["sinks"][0]["name"] == "sqlite", f"{interval}")
    begun = len(watcher.seen)
    time.sleep(3)
    seen = watcher.seen[begun:]
    requests, took_s = sum(i["requests"] for i in seen), sum(i["interval_ns"] for i in seen) / 1e9
    expect(0.5 * RATE < requests / took_s < 1.5 * RATE, f"{requests} requests in {took_s:.2f} s, {RATE}/s were sent")


def dataplane_killed(unit, watcher):
    before = watcher.seen[-1]["dataplane"]
    unit.dataplane.kill()
    gone = watcher.wait_for("no data plane", lambda seen: not seen["dataplane"]["running"])
    expect(gone["dataplane"]["joined"] and gone["dataplane"]["pid"] == before["pid"], f"what a dead one left: {gone['dataplane']}")
    words = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "top", "--once", "--interval", "100"],
                           capture_output=True, text=True, check=True).stdout
    expect(re.search(r"^data plane  NOT RUNNING, last seen .* ago: nobody answers requests$", words, re.M), words)
    expect(re.search(r"^ 0 +\d+ gone, last seen ", words, re.M), words)
    silent = watcher.wait_for("an interval without requests", lambda seen: not seen["dataplane"]["running"] and not seen["requests"])
    expect(silent["latency_ns"]["count"] == 0 and silent["requests_per_s"] == 0, f"{silent}")
    at = len(watcher.seen)
    unit.start_dataplane()
    back = watcher.wait_for("requests again", lambda seen: seen["requests_per_s"] > RATE / 2)
    expect(back["dataplane"]["running"] and back["dataplane"]["pid"] == unit.dataplane.pid, f"{back['dataplane']}")
    expect(sum(seen["dataplane"]["restarted"] for seen in watcher.seen[at:]) == 1, "one interval has the restart")
    check_sums(back)
    check_rates(watcher.seen[at:])


def check_rates(seen):
    """Nothing is counted twice after a restart: no interval shows more than could have been sent in it (with what waited)."""
    for interval in seen:
        expect(interval["requests"] < 4 * RATE * max(1, interval["interval_ns"] / 1e9), f"too many at once: {interval}")


def control_killed(unit, watcher):
    unit.control.kill()
    gone = watcher.wait_for("no control", lambda seen: not seen["control"]["running"])
    expect(not gone["control"]["answers"] and "does not listen" in gone["control"]["silence"], f"{gone['control']}")
    filling = watcher.wait_for("a ring that fills", lambda seen: seen["workers"][0]["ring"]["fill"] > 0.02)
    expect(filling["requests_per_s"] > RATE / 2, f"decisions go on without control: {filling['requests_per_s']}/s")
    words = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "top", "--once", "--interval", "100"],
                           capture_output=True, text=True, check=True).stdout
    expect(re.search(r"^control     NOT RUNNING, last seen .*: records wait in the rings$", words, re.M), words)
    unit.start_control()
    watcher.wait_for("control again", lambda seen: seen["control"]["answers"] and seen["control"]["pid"] == unit.control.pid)


def control_stopped(unit, watcher):
    """It holds its file and does not answer: silent, which is not away."""
    os.kill(unit.control.pid, signal.SIGSTOP)
    try:
        silent = watcher.wait_for("a silent control", lambda seen: seen["control"]["running"] and not seen["control"]["answers"])
        expect("no answer from riskgate-control within" in silent["control"]["silence"], f"{silent['control']}")
        expect(silent["dataplane"]["running"] and silent["requests_per_s"] > RATE / 4, f"figures without control: {silent}")
    finally:
        os.kill(unit.control.pid, signal.SIGCONT)
    watcher.wait_for("its answers again", lambda seen: seen["control"]["answers"])


def check_json(unit, veth):
    load = Process("riskgate-loadgen",
                   veth.inside(unit.program("riskgate-loadgen"), "--target", "10.71.0.1:9471", "--schema", unit.config["schema"],
                               "--template", "PaymentAuthorization", "--generate", 7, "--rate", RATE, "--seconds", 300, "--yield"),
                   unit.folder / "load.log", core=unit.other_core)
    watcher = Watcher(unit)
    try:
        under_load(unit, watcher)
        dataplane_killed(unit, watcher)
        control_killed(unit, watcher)
        control_stopped(unit, watcher)
        check_terminal(unit)
    finally:
        watcher.stop()
        load.kill()
    return len(watcher.seen)


class Terminal:
    """A program on a pty, and what it drew."""

    def __init__(self, columns, rows, *command):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"] = "xterm"
            time.sleep(0.2) # the size below is set by then
            os.execv(command[0], [str(word) for word in command])
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.fd)
        self.text = ""

    def size(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([self.fd], [], [], 0.05)[0]:
                continue
            try:
                self.text += os.read(self.fd, 65536).decode()
            except OSError:
                break
        return self.text

    def pages(self):
        return [page.split("\x1b[J")[0].replace("\x1b[K", "").split("\r\n") for page in self.text.split("\x1b[H")[1:] if "\x1b[J" in page]

    def wait_for(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            self.read(0.2)
            pages = self.pages()
            if pages and condition(pages[-1]):
                return pages[-1]
            expect(time.monotonic() < deadline, f"not drawn within {seconds} s: {what}: {self.text[-3000:]!r}")

    def end(self):
        """Its exit status, after it gave the terminal back."""
        given_back = False
        deadline = time.monotonic() + 20
        while True:
            self.read(0.1)
            given_back = given_back or self.text.endswith("\x1b[?25h\x1b[?1049l")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            expect(time.monotonic() < deadline, "riskctl top does not end")
        self.read(0.2)
        expect(self.text.rstrip().endswith("\x1b[?25h\x1b[?1049l"), f"the terminal is not given back: {self.text[-200:]!r}")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def check_terminal(unit):
    command = (unit.program("riskctl"), "--config", unit.config_file, "top", "--interval", "200")
    for leave in ("q", "\x03"):
        terminal = Terminal(80, 24, *command)
        page = terminal.wait_for("workers", lambda page: any(re.match(r" 0 +\d+ +\d+ +[\d.]+ [mun]?s ", line) for line in page))
        expect(len(page) <= 24 and max(map(len, page)) <= 80, f"larger than 80 x 24: {page}")
        for words in ("data plane  running", "control     running", "revision payments-1", "requests", "verdicts    ALLOW", "latency     p50",
                      "refused", "records", "sink        sqlite", " w cpu    req/s"):
            expect(any(words in line for line in page), f"not on the page: {words}: {page}")
        expect(not termios.tcgetattr(terminal.fd)[3] & (termios.ICANON | termios.ECHO), "keys come one by one")
        terminal.size(140, 40)
        terminal.wait_for("a wide page", lambda page: any("loops/s  queues" in line and len(line) > 100 for line in page))
        terminal.size(60, 8)
        page = terminal.wait_for("a small page", lambda page: len(page) <= 8 and max(map(len, page)) <= 60)
        mode = termios.tcgetattr(terminal.fd)
        expect(mode != terminal.before, "the mode is another one while it draws")
        os.write(terminal.fd, leave.encode())
        deadline = time.monotonic() + 10
        while termios.tcgetattr(terminal.fd) != terminal.before:
            expect(time.monotonic() < deadline, "the terminal's mode is not restored")
            time.sleep(0.05)
        expect(terminal.end() == 0, "exit status 0")


def check_nobody(unit):
    """Before anything has run there is no region; that is said, and looked for again."""
    words = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "top", "--once", "--interval", "100"],
                           capture_output=True, text=True, check=True).stdout
    expect(re.search(r"^data plane  AWAY: .*no such directory", words, re.M) and re.search(r"^control     AWAY: ", words, re.M), words)


def check_refusals(unit, veth):
    """Without a policy requests are answered with NO_POLICY, and that is shown."""
    load = Process("riskgate-loadgen",
                   veth.inside(unit.program("riskgate-loadgen"), "--target", "10.71.0.1:9471", "--schema", unit.config["schema"],
                               "--template", "PaymentAuthorization", "--generate", 7, "--rate", 200, "--seconds", 100, "--yield"),
                   unit.folder / "refused.log", core=unit.other_core)
    try:
        deadline = time.monotonic() + 30
        while True:
            seen = unit.riskctl("top", "--once", "--interval", 500)
            if seen["refused"]["answers"].get("no_policy"):
                break
            expect(time.monotonic() < deadline, f"no refusals: {seen}")
        words = subprocess.run([unit.program("riskctl"), "--config", unit.config_file, "top", "--count", "2", "--interval", "500"],
                               capture_output=True, text=True, check=True).stdout
        expect(re.search(r"^refused     answered with no_policy \d+/s", words, re.M), words)
        expect(words.count("policy      none: requests are answered with NO_POLICY") == 2 and "\x1b" not in words, words)
    finally:
        load.kill()


def main(build):
    with Veth("rgp") as veth, Appliance(build, huge_pages=False, settings=SMALL, ports=[
            {"device": f"net_af_packet0,iface={veth.device}", "addresses": ["10.71.0.1/24", "fd71::1/64"]}]) as unit:
        check_nobody(unit)
        unit.start()
        check_refusals(unit, veth)
        unit.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz")
        intervals = check_json(unit, veth)
    print(f"{intervals} intervals, each data plane and control followed", flush=True)


if __name__ == "__main__":
    if os.geteuid():
        print("skipped: needs root for network namespaces")
        sys.exit(77)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        main(sys.argv[1])
    except Failure as failure:
        sys.exit(f"top: {failure}")
    print("top: ok")
