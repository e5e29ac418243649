#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records in PostgreSQL exactly once, while everything on the way is killed: sinks.py BUILD

A primary and a streaming standby of it, a password in a file, the connection string naming both, two connections. Under
load the server is killed with -9 and comes back, control is killed with -9 at each failpoint of a transaction, the server is
away for a while, and at last the primary dies while the standby has not got the last transactions, and the standby is
promoted. Decisions must not notice, and in the end every record of the journal is in the database once.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from appliance import Appliance, Failure, HugePages, ROOT
from postgres import Cluster

RATE = 1500
SECONDS = 30
SECRET = "quite 'secret\\ words"
# Where control dies (base/failpoint.h), at the time given.
POINTS = ["postgres.rows_sent=kill@3", "postgres.checkpoint_moved=kill@4", "postgres.committed=kill@2",
          "postgres.rolled_back=kill@1"]


class Unit(Appliance):
    """Its control has failpoints."""

    def program(self, name):
        if name == "riskgate-control":
            return self.build / "tests/faults/riskgate-control-failpoints"
        return super().program(name)


def prepare(primary):
    """A user of its own, who may make the schema and nothing else."""
    quoted = SECRET.replace("'", "''")
    primary.sql(f"CREATE ROLE riskgate LOGIN PASSWORD '{quoted}'")
    primary.sql("CREATE DATABASE risk")
    primary.sql("GRANT CREATE ON DATABASE risk TO riskgate")


def sink(status):
    return next(sink for sink in status["sinks"] if sink["name"] == "postgresql")


def wait_until_stored(unit, what, seconds=90):
    return unit.wait_until(lambda status: sink(status)["state"] == "ok" and sink(status)["lag"] == 0, seconds, what)


def wait_until_moving(unit, cluster, seconds=60):
    """Wait until records reach this server."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            now = cluster.sql("SELECT stored FROM riskgate.progress", database="risk")
        except RuntimeError:
            now = None
        if now and last and now != last:
            return
        last = now or last
        time.sleep(0.2)
    raise Failure(f"nothing is stored within {seconds} s: {json.dumps(unit.riskctl('status')['sinks'])}")


def kill_server(unit, primary):
    primary.kill()
    time.sleep(0.5)
    primary.start()
    wait_until_moving(unit, primary)


def kill_control(unit, primary):
    """At each point in turn: the next one is only reached when control goes on from where the last one left it. It rolls
    back when the server breaks the connection."""
    for point in POINTS:
        if unit.control.running():
            unit.control.kill()
        try:
            unit.start_control(env={"RISKGATE_FAILPOINTS": point})
        except Failure:
            if unit.control.running():
                raise  # it may die before it is ready, and only then
        deadline = time.monotonic() + 30
        while unit.control.running():
            if time.monotonic() > deadline:
                raise Failure(f"{point} was not reached")
            if "rolled_back" in point:
                primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'riskgate'")
            time.sleep(0.1)
    unit.start_control()
    wait_until_moving(unit, primary)


def take_server_away(unit, primary):
    """For as long as it takes to be told: the lag grows, and why is said."""
    primary.stop()
    unit.wait_until(lambda status: sink(status)["state"] == "away" and sink(status)["lag_s"] > 1 and
                    sink(status)["lag"] > 0 and "cannot connect" in sink(status)["last_error"], 60,
                    "the sink is seen to be away")
    primary.start()
    wait_until_moving(unit, primary)


def lose_primary(unit, primary, standby):
    """The standby is stopped for a second, so that it misses what is committed meanwhile."""
    standby.pause(True)
    wait_until_moving(unit, primary)
    time.sleep(1)
    primary.kill()
    standby.pause(False)
    standby.promote()
    wait_until_moving(unit, standby)


def read_journal(unit):
    """{(node, epoch, worker, sequence): (request_id, verdict)}"""
    command = [str(unit.program("riskctl")), "--config", str(unit.config_file), "--json", "journal", "cat"]
    records = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            frame = json.loads(line)
            if frame["kind"] == "record":
                key = (frame["node"], frame["epoch"], frame["worker"], frame["sequence"])
                records[key] = (frame["request_id"], frame["verdict"])
    if child.returncode:
        raise Failure(f"riskctl journal cat: status {child.returncode}")
    return records


def compare(unit, cluster):
    journal = read_journal(unit)
    rows = cluster.sql("SELECT node, epoch, worker, sequence, request_id, verdict FROM riskgate.decisions", database="risk")
    stored = {tuple(map(int, row[:4])): (int(row[4]), row[5]) for row in rows}
    if len(stored) != len(rows):
        raise Failure(f"{len(rows) - len(stored)} records are in PostgreSQL twice")
    missing = [key for key in journal if key not in stored]
    if missing:
        raise Failure(f"{len(missing)} of {len(journal)} records are not in PostgreSQL, such as {missing[0]}")
    if journal != stored:
        raise Failure("rows differ from the journal, or are not in it")
    if len(journal) < RATE * SECONDS // 4:
        raise Failure(f"only {len(journal)} records: the load did not run")
    return len(journal)


def run(build, huge, folder):
    primary = Cluster(os.path.join(folder, "primary"), ["wal_keep_size = 512MB", "max_wal_senders = 5"]).start()
    standby = None
    try:
        prepare(primary)
        standby = Cluster(os.path.join(folder, "standby"), source=primary).start()
        secret = os.path.join(folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(SECRET + "\n")
        connection = f"host=127.0.0.1,127.0.0.1 port={standby.port},{primary.port} user=riskgate dbname=risk"
        settings = {"sinks": {"sqlite": {"enabled": False},
                              "postgresql": {"enabled": True, "connection": connection, "password_file": secret,
                                             "batch": 2000, "connections": 2}}}
        with Unit(build, huge_pages=huge, settings=settings,
                       bundle=ROOT / "examples/policies/payments/bundles/payments-1.tar.gz") as unit:
            unit.start()
            unit.wait_for_policy()
            load = unit.load("load", "--target", "10.71.0.1:9471", "--template", "PaymentAuthorization", "--generate", 7,
                             "--rate", RATE, "--seconds", SECONDS, "--yield")
            wait_until_moving(unit, primary)
            for step in (kill_server, kill_control, take_server_away):
                step(unit, primary)
                print(f"{step.__name__}: ok", flush=True)
            lose_primary(unit, primary, standby)
            report = unit.finish_load(load)
            if report["answered"] < report["sent"] * 0.9:
                raise Failure(f"decisions noticed: {report['answered']} of {report['sent']} requests were answered")
            wait_until_stored(unit, "all stored in the promoted standby")
            log = unit.folder.joinpath("control.log").read_text(errors="replace")
            if "the store went back" not in log:
                raise Failure("the promoted standby was not behind: nothing was shown")
            if SECRET in log or SECRET in json.dumps(unit.riskctl("status")):
                raise Failure("the password is in the log or in riskctl status")
            print(f"lose_primary: ok\n{compare(unit, standby)} records, each in PostgreSQL once")
    finally:
        for cluster in (primary, standby):
            if cluster and cluster.process:
                cluster.kill()


def main():
    build = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="riskgate-records-")
    os.chmod(folder, 0o755)
    try:
        with HugePages(256) as pages:
            run(build, pages.available, folder)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
