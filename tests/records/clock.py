#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps by an hour, forward and back, under load: clock.py BUILD

Control, and later the data plane, run with a library preloaded (clock_jump.c) that moves the wall clock and leaves
the monotonic one. While requests come,
the clock jumps; both programs are killed and started again with a clock an hour behind what it was. In the end each answer is
recorded once, each in every sink once, in the order of its worker, and epochs of later runs are others than those before.
"""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import records
from appliance import Appliance, Failure, ROOT
from server import Client, expect, free_port

BUNDLE = ROOT / "examples/policies/payments/bundles/payments-1.tar.gz"
RATE = 2000
HOUR = 3600


class Clock:
    """What the programs that have env() take for the time; clock_jump.c reads the file."""

    def __init__(self, build, folder):
        self.library, self.file = build / "tests/records/libclock_jump.so", Path(folder) / "clock"
        self.jump_to(0)

    def jump_to(self, seconds):
        """Seconds from the real time."""
        with open(self.file, "r+b" if self.file.exists() else "xb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    def env(self):
        return {"LD_PRELOAD": str(self.library), "RISKGATE_CLOCK_FILE": str(self.file)}


def ask(port, times):
    client = Client(port)
    for _ in range(times):
        status, _, answer = client.ask("POST", "/v1/data/payments/deny", {"input": {"amount": 1}})
        expect(status == 200 and "decision_id" in answer, f"{status} {answer}")
        yield answer["decision_id"]
    client.close()



def frames(unit):
    command = [str(unit.program("riskctl")), "--config", str(unit.config_file), "--json", "journal", "cat"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            frame = json.loads(line)
            if frame["kind"] == "record":
                yield frame
    expect(child.returncode == 0, f"riskctl journal cat: status {child.returncode}")


def check_order(unit, asked):
    """Sequences of each (epoch, worker) are 1, 2, 3, ... in the journal's order; the HTTP decisions are in the order asked."""
    last, ids, jumps, before = {}, [], 0, 0
    for frame in frames(unit):
        key = (frame["epoch"], frame["worker"])
        expect(frame["sequence"] == last.get(key, 0) + 1, f"{key}: {frame['sequence']} after {last.get(key, 0)}")
        last[key] = frame["sequence"]
        if "query" in frame:
            ids.append(frame["query"]["decision_id"])
            jumps += abs(frame["receive_time_ns"] - before) > HOUR // 2 * 10**9 if before else 0
            before = frame["receive_time_ns"]
    expect(ids == asked, f"{len(asked)} decisions were asked over HTTP, {len(ids)} are in the journal, or in another order")
    expect(jumps >= 3, f"the clock of control jumped {jumps} times only")
    epochs = {worker: [epoch for epoch, other in last if other == worker] for _, worker in last}
    expect(all(len(set(of)) == len(of) and len(of) >= 2 for of in epochs.values()), f"epochs {epochs}")
    return len(last)


def check_sqlite(unit, asked):
    database = sqlite3.connect(f"file:{unit.folder / 'state/decisions.sqlite'}?mode=ro", uri=True)
    rows = database.execute("SELECT count(*), count(DISTINCT json_extract(request, '$.decision_id')) FROM decisions "
                            "WHERE worker = 65535").fetchone()
    database.close()
    expect(rows == (len(asked), len(asked)), f"SQLite has {rows} decisions asked over HTTP of {len(asked)}")


def body(build):
    port = free_port()
    settings = {"api": {"listen": f"127.0.0.1:{port}", "anonymous": "admin"},
                "journal": {"segment_bytes": "1MiB", "sync_interval_ms": 20}}
    with Appliance(build, bundle=BUNDLE, huge_pages=False, settings=settings) as unit:
        clock = Clock(Path(build).resolve(), unit.folder)
        unit.start_dataplane(env=clock.env())
        unit.start_control(env=clock.env())
        unit.wait_for_policy()
        load = unit.load("load", "--target", "10.71.0.1:9471", "--template", "PaymentAuthorization", "--generate", 7,
                         "--rate", RATE, "--seconds", 25, "--yield", "--log-answers", unit.folder / "answers.csv")
        asked = []
        for seconds in (0, HOUR, 0, -HOUR):
            clock.jump_to(seconds)
            asked += ask(port, 20)
            time.sleep(1.5)
            status = unit.riskctl("status")
            expect(status["uptime_s"] < 600, f"uptime {status['uptime_s']} s at {seconds:+d} s")
            expect(all(sink["lag_s"] <= 2 * HOUR for sink in status["sinks"]), f"{status['sinks']}")
        # an hour behind what it was at the first start
        unit.control.kill()
        unit.start_control(env=clock.env())
        asked += ask(port, 20)
        unit.dataplane.kill()
        unit.start_dataplane(env=clock.env())
        asked += ask(port, 20)
        load.child.wait(120)
        clock.jump_to(0)
        asked += ask(port, 20)
        unit.wait_until(lambda status: status["records"]["lag"] == 0 and
                        all(sink["state"] == "ok" for sink in status["sinks"]), 60, "all is stored")
        answers = records.read_answers(unit.folder / "answers.csv")
        expect(len(answers) > RATE, f"only {len(answers)} requests were answered")
        journal, total = records.read_journal(unit)
        missing = [key for key in answers if key not in journal]
        expect(not missing, f"{len(missing)} of {len(answers)} answers are not in the journal")
        runs = check_order(unit, asked)
        check_sqlite(unit, asked)
        print(f"{total} records of {runs} epochs and workers, {len(asked)} asked over HTTP, each once and in order", flush=True)


if __name__ == "__main__":
    try:
        body(Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"clock: {failure}")
    print("clock: ok")
