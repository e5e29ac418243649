#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The journal under fire, with real processes and load.

disk full: the journal's tmpfs fills; the rings fill, clients are told RECORDER_FULL; space is freed and it goes on.
Every other answer is in the journal exactly once, and the chain is whole.

log service: it answers 500 or 413, resets connections, is slow and loses answers, at random, and control is killed
with SIGKILL twice. Every record of the journal reaches it, under one decision_id.
"""

import gzip
import http.server
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

import records
from appliance import Appliance, Failure, ROOT

BUNDLE = ROOT / "examples/policies/payments/bundles/payments-1.tar.gz"
DISK_MIB = 96
FREE_MIB = 6  # that is left when the load begins
RATE = 8000


def start_load(unit, seconds):
    load = unit.load("load", "--target", "10.71.0.1:9471", "--template", "PaymentAuthorization", "--generate", 7,
                     "--rate", RATE, "--seconds", seconds, "--yield", "--log-answers", unit.folder / "answers.csv")
    load.answers = unit.folder / "answers.csv"
    return load


class Tmpfs:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="riskgate-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", self.path], check=True)
        return self

    def fill(self, free_mib):
        with open(f"{self.path}/ballast", "wb") as file:
            file.write(bytes((DISK_MIB - free_mib) << 20))

    def free(self):
        os.unlink(f"{self.path}/ballast")

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False)
        os.rmdir(self.path)


def disk_full(build):
    settings = {"journal": {"segment_bytes": "1MiB", "chain": True}, "region": {"ring_bytes": "1MiB"}}
    with Tmpfs() as disk:
        settings["journal"]["directory"] = f"{disk.path}/journal"
        with Appliance(build, bundle=BUNDLE, huge_pages=False, settings=settings) as unit:
            unit.start()
            unit.wait_for_policy()
            disk.fill(FREE_MIB)
            load = start_load(unit, 10)
            unit.wait_until(lambda status: status["journal"]["write_failures"] > 0, 60, "the disk is full")
            time.sleep(2)
            disk.free()
            unit.finish_load(load)
            answers = records.read_answers(load.answers)
            kept = {key: answer for key, answer in answers.items() if answer[1] != "RECORDER_FULL"}
            if len(kept) == len(answers):
                raise Failure("no request was answered RECORDER_FULL")
            if not kept:
                raise Failure("every request was answered RECORDER_FULL")
            recorded = records.compare(unit, kept)
            chain = unit.riskctl("journal", "verify")["chain"]
            if chain["unchained_frames"] or not chain["sealed_frames"]:
                raise Failure(f"the chain has holes: {chain}")
            print(f"disk full: {len(answers) - len(kept)} of {len(answers)} answers RECORDER_FULL, {recorded} records, "
                  "each other answer recorded exactly once", flush=True)


class LogService(http.server.ThreadingHTTPServer):
    """Takes decision logs, and fails at random until it is told to behave."""
    daemon_threads = True

    def __init__(self, seed):
        super().__init__(("127.0.0.1", 0), LogRequest)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.behaves = False
        self.times = {}  # decision_id: how often it was taken
        self.keys = {}   # decision_id: what it is about
        self.failures = 0

    def conduct(self):
        with self.lock:
            conduct = "take" if self.behaves else self.random.choice(
                ["take", "take", "take", "500", "413", "reset", "slow", "lose the answer"])
            self.failures += conduct != "take"
            return conduct

    def take(self, events):
        with self.lock:
            for event in events:
                name = event["decision_id"]
                self.times[name] = self.times.get(name, 0) + 1
                about = (event["req_id"], event["timestamp"], event["result"]["verdict"])
                if self.keys.setdefault(name, about) != about:
                    raise Failure(f"decision_id {name} is used for two decisions")


class LogRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        conduct = self.server.conduct()
        if conduct == "slow":
            time.sleep(0.3)
        if conduct in ("take", "slow", "lose the answer"):
            self.server.take(json.loads(gzip.decompress(body)))
        if conduct in ("reset", "lose the answer"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response({"500": 500, "413": 413 if len(body) > 3000 else 500}.get(conduct, 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def log_service(build, seed):
    server = LogService(seed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"services": {"logs": {"url": f"http://127.0.0.1:{server.server_port}"}},
                "labels": {"region": "test"},
                "decision_logs": {"service": "logs", "reporting": {"min_delay_seconds": 0, "max_delay_seconds": 0.1}}}
    with Appliance(build, bundle=BUNDLE, huge_pages=False, settings=settings) as unit:
        unit.start()
        unit.wait_for_policy()
        load = start_load(unit, 6)
        for _ in range(2):
            time.sleep(1.5)
            unit.control.kill()
            unit.start_control()
        unit.finish_load(load)
        server.behaves = True
        unit.wait_until(lambda status: status["records"]["lag"] == 0, 120, "every record in every sink")
        recorded = records.compare(unit, records.read_answers(load.answers))
        if len(server.times) != recorded:
            raise Failure(f"{recorded} records, {len(server.times)} events arrived")
        if not server.failures:
            raise Failure("the service never failed")
        again = sum(times > 1 for times in server.times.values())
        print(f"log service: {server.failures} failed uploads, {recorded} records, each arrived under one decision_id "
              f"({again} more than once, after lost answers and kills)", flush=True)
    server.shutdown()


def main():
    if os.geteuid() != 0:
        print("skipped: needs root for a tmpfs")
        return 77
    build = sys.argv[1]
    seed = int(os.environ.get("RISKGATE_SEED", random.randrange(1 << 30)))
    print(f"RISKGATE_SEED={seed}")
    disk_full(build)
    log_service(build, seed)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
