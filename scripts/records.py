# SPDX-License-Identifier: Apache-2.0
"""What clients were answered against what was recorded: tests that kill processes end with this comparison."""

import json
import sqlite3
import subprocess

from appliance import Failure


def read_answers(path):
    """{request_id: (verdict, status, policy sequence)} of every answered request."""
    with open(path, encoding="ascii") as file:
        columns = file.readline().strip().split(",")
        rows = [dict(zip(columns, line.strip().split(","))) for line in file]
    return {int(row["request_id"]): (row["verdict"], row["status"], int(row["policy_sequence"])) for row in rows}


def read_journal(unit):
    """As read_answers(), from the journal itself, and the number of records; the same key twice is a Failure, and so
    is a record that names a policy which no frame before it explains."""
    command = [unit.program("riskctl"), "--config", unit.config_file, "--json", "journal", "cat"]
    keys, explained, decisions, twice = set(), {0}, {}, 0
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            frame = json.loads(line)
            if frame["kind"] == "policy":
                explained.add(frame["policy"]["sequence"])
            if frame["kind"] != "record":
                continue
            key = (frame["node"], frame["epoch"], frame["worker"], frame["sequence"])
            twice += key in keys
            keys.add(key)
            decisions[frame["request_id"]] = (frame["verdict"], frame["status"], frame["policy_sequence"])
            if frame["policy_sequence"] not in explained:
                raise Failure(f"record {key} names policy {frame['policy_sequence']}, which no frame before it explains")
    if child.returncode:
        raise Failure(f"riskctl journal cat: status {child.returncode}")
    if twice:
        raise Failure(f"{twice} records are in the journal twice")
    return decisions, len(keys)


def compare(unit, answers):
    """Every answer is in the journal exactly once, as it was given, and every record of the journal is in SQLite exactly
    once. Returns the number of records."""
    unit.wait_until(lambda status: status["records"]["lag"] == 0, 120, "every journaled record stored")
    journal, records = read_journal(unit)
    missing = [key for key in answers if key not in journal]
    if missing:
        raise Failure(f"{len(missing)} of {len(answers)} answered requests are not in the journal, "
                      f"such as request_id {missing[0]}")
    different = [key for key, answer in answers.items() if journal[key] != answer]
    if different:
        key = different[0]
        raise Failure(f"{len(different)} records differ from the answers, such as request_id {key}: "
                      f"answered {answers[key]}, journaled {journal[key]}")
    database = sqlite3.connect(f"file:{unit.folder / 'state/decisions.sqlite'}?mode=ro", uri=True)
    rows = database.execute("select count(*), count(distinct request_id) from decisions").fetchone()
    database.close()
    if rows[0] != records:
        raise Failure(f"{records} records in the journal, {rows[0]} rows in SQLite")
    return records
