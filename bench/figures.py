# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark: what they are called, what they should reach, how they are kept.

Every tool in bench/ writes with --json FILE a list of objects:

    name    stable, with slashes from the general to the particular: "latency/half_load/p99"
    value   a number in `unit`; null when it could not be measured: then `error` says why
    unit    "ns", "ms", "decisions/s", ...
    goal    "value <= 15" or "ratio >= 0.75"; null: none
    peer    the same of what runs beside it in the same run (an echo, OPA, `dd`), in `unit`; null: nothing
    ratio   value to peer, or with `speedup` peer to value: how many times as fast; null without peer
    speedup true or false
    met     whether the goal is; null: no goal, or no value

and, where there were rounds: `rounds`, `min`, `max` (of value), and whatever else the tool has to say.
"""

import argparse
import fnmatch
import json
import math
import operator
import signal
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# name or pattern, first match counts: what it should reach
GOALS = (
    ("end_to_end/risk_control/memif", "ratio >= 0.75"),
    ("end_to_end/rules_1000/memif", "ratio >= 0.65"),
    ("end_to_end/risk_control/eight_per_datagram", "value >= 10e6"),
    ("decide/risk_control/burst", "value <= 15"),
    ("decide/payments/burst", "value <= 100"),
    ("decide/pretrade/burst", "value <= 60"),
    ("decide/risk_control/single", "value <= 100"),
    ("decide/payments/single", "value <= 500"),
    ("decide/pretrade/single", "value <= 300"),
    ("decide/rules_10000/*/beside_opa", "ratio >= 1000"),
    ("decide/rules_10000/*/beside_regorus", "ratio >= 200"),
    ("decide/*/single/beside_opa", "ratio >= 50"),
    ("decide/*/single/beside_regorus", "ratio >= 20"),
    ("rule_table*/1000/match", "value <= 80"),
    ("rule_table*/10000/match", "value <= 260"),
    ("rule_table*/100000/match", "value <= 2000"),
    ("rule_table*/*/bytes_per_rule", "value <= 130"),
    ("rule_table/growth", "value <= 5"),
    ("load/payments", "value <= 8"),
    ("load/rules_10000", "value <= 1000"),
    ("load/data_rows_100000", "value <= 2000"),
    ("latency/half_load/p50", "ratio <= 1.5"),
    ("latency/half_load/p99", "ratio <= 1.5"),
    ("latency/half_load/p99.9", "ratio <= 1.5"),
    ("latency/veth_*/p99", "value <= 200"),
    ("swaps/p99", "ratio <= 1.2"),
    ("swaps/lost", "value <= 0"),
    ("publish/rules_10000/push_to_first_decision", "value <= 1000"),
    ("publish/rules_10000/swap", "value <= 1"),
    ("start/first_decision", "value <= 500"),
    ("journal/disk/plain", "value >= 1e6"),
    ("sinks/postgresql/*_bytes", "value >= 150e3"),
    ("probes/stages/throughput", "value >= 0.97"),
    ("probes/jitter/throughput", "value >= 0.97"),
)
HAS_NO_GOAL = tuple(f"{table}/{rules}/bytes_per_rule" for table in ("rule_table", "rule_table_random")
                    for rules in (10, 100))  # few rules share a table's fixed parts
COMPARISONS = {"<=": operator.le, ">=": operator.ge}


def goal_of(name):
    """The goal of a figure, or None."""
    if name in HAS_NO_GOAL:
        return None
    return next((goal for pattern, goal in GOALS if fnmatch.fnmatchcase(name, pattern)), None)


def split_goal(goal):
    """("value" or "ratio", "<=" or ">=", limit)"""
    what, comparison, limit = goal.split()
    return what, comparison, float(limit)


def lower_is_better(row, what):
    """Whether a smaller value, or ratio, is better: by the goal, else by the unit."""
    if row["goal"] and split_goal(row["goal"])[0] == what:
        return split_goal(row["goal"])[1] == "<="
    by_value = not row["unit"].endswith("/s")
    return by_value != row["speedup"] if what == "ratio" else by_value


def show(value):
    """A number as people read it."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


class Figures:
    """What was measured: printed at once, written at the end."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, peer=None, ratio=None, speedup=False, **more):
        """ratio: worked out from value and peer unless it is given."""
        if peer and ratio is None:
            ratio = peer / value if speedup else value / peer
        row = {"name": name, "value": value, "unit": unit, "goal": goal_of(name), "peer": peer, "ratio": ratio, "speedup": speedup,
               "met": None}
        if row["goal"]:
            what, comparison, limit = split_goal(row["goal"])
            if row[what] is not None:
                row["met"] = COMPARISONS[comparison](row[what], limit)
        self.rows.append({**row, **more})
        print(line(self.rows[-1]), flush=True)

    def add_rounds(self, name, values, unit, peers=None, speedup=False, **more):
        """Medians of rounds. peers: one a round; the ratio is then the median of the rounds' ratios."""
        ratios = [peer / value if speedup else value / peer for value, peer in zip(values, peers)] if peers else None
        self.add(name, statistics.median(values), unit, peer=statistics.median(peers) if peers else None,
                 ratio=statistics.median(ratios) if ratios else None, speedup=speedup, rounds=len(values), min=min(values),
                 max=max(values), **more)

    def add_error(self, name, error):
        self.rows.append({"name": name, "value": None, "unit": "", "goal": goal_of(name), "peer": None, "ratio": None,
                          "speedup": False, "met": None, "error": str(error)})
        print(line(self.rows[-1]), flush=True)

    def write(self, path):
        Path(path).write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")


def line(row):
    """One figure as a line of text."""
    if row.get("error"):
        return f"{row['name']:<48} not measured: {row['error'].splitlines()[0] if row['error'] else ''}"
    text = f"{row['name']:<48} {show(row['value']):>12} {row['unit']:<14}"
    if "min" in row:
        text += f" ({show(row['min'])} - {show(row['max'])})"
    if row["peer"] is not None:
        text += f"  peer {show(row['peer'])}"
    if row["ratio"] is not None:
        text += f"  ratio {show(row['ratio'])}"
    if row["goal"]:
        text += f"  goal {row['goal']}: {'met' if row['met'] else 'MISSED'}"
    return text


def matches(name, patterns):
    """Does one of the patterns mean this figure? A pattern is a glob, or the beginning of a name up to a slash."""
    return any(fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern.rstrip("/") + "/") for pattern in patterns)


def arguments(program, text, rounds, seconds, measurements=()):
    """The parser of the options that the tools share; seconds: of each load, or None. measurements: what --only may name.
    From now on SIGTERM ends the program as an error does: what it started is stopped, what it made is removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog=program, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder (default build/)")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"turns of each; the median counts (default {rounds})")
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help=f"of each measurement (default {seconds})")
    if measurements:
        parser.add_argument("--only", choices=measurements, action="append", help="only this; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write the figures there (bench/figures.py says what they hold)")
    return parser


def google_benchmark(program, pattern="", seconds=None, repetitions=1):
    """{name: [result of each repetition]} of a Google Benchmark program. RuntimeError: it failed."""
    words = [str(program), "--benchmark_format=json", f"--benchmark_repetitions={repetitions}"]
    if pattern:
        words.append(f"--benchmark_filter={pattern}")
    if seconds:
        words.append(f"--benchmark_min_time={seconds}")
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr.strip()}")
    results = {}
    for result in json.loads(done.stdout)["benchmarks"] if done.stdout.strip() else []:
        if result.get("error_occurred"):
            raise RuntimeError(f"{Path(program).name} {result['name']}: {result['error_message']}")
        if result.get("run_type") != "aggregate":
            results.setdefault(result["run_name"], []).append(result)
    return results
