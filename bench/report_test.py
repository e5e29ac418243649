#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/run without its measurements: names, goals, comparisons, the page and its plots."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import figures  # noqa: E402
import report  # noqa: E402

RUN = HERE / "run"


def load_run():
    loader = importlib.machinery.SourceFileLoader("bench_run", str(RUN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module


def quiet(function, *words):
    """(result, what was printed)"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = function(*words)
    return result, out.getvalue()


def row(name, *words, **more):
    got = figures.Figures()
    quiet(lambda: got.add(name, *words, **more))
    return got.rows[0]


class Names(unittest.TestCase):
    names = [name for part in load_run().PARTS for name in part.figures]

    def test_each_name_is_measured_once(self):
        self.assertEqual(len(self.names), len(set(self.names)))

    def test_each_goal_is_some_figures(self):
        for pattern, goal in figures.GOALS:
            self.assertTrue([name for name in self.names if figures.goal_of(name) == goal and figures.matches(name, [pattern])], pattern)

    def test_each_figure_has_a_section(self):
        prefixes = tuple(prefix for _, own in report.SECTIONS for prefix in own)
        self.assertEqual([name for name in self.names if not name.startswith(prefixes)], [])

    def test_asked_by_glob_or_beginning(self):
        self.assertTrue(figures.matches("decide/payments/burst", ["decide/payments"]))
        self.assertTrue(figures.matches("decide/payments/burst", ["nothing", "*/burst"]))
        self.assertFalse(figures.matches("decide/payments_2/burst", ["decide/payments"]))

    def test_listed(self):
        done = subprocess.run([sys.executable, RUN, "--list", "--only", "swaps"], capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"(?m)^swaps/p99 +ratio <= 1.2 +publish swaps$")
        done = subprocess.run([sys.executable, RUN, "--list", "--only", "nothing"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no figure is called nothing", done.stderr)


class Goals(unittest.TestCase):
    def test_of_values_and_ratios(self):
        self.assertIs(row("decide/payments/burst", 100, "ns")["met"], True)
        self.assertIs(row("decide/payments/burst", 101, "ns")["met"], False)
        self.assertIs(row("end_to_end/risk_control/memif", 75, "decisions/s", peer=100)["met"], True)
        self.assertIs(row("end_to_end/risk_control/memif", 74, "decisions/s", peer=100)["met"], False)
        self.assertIs(row("end_to_end/risk_control/memif", 74, "decisions/s")["met"], None)
        self.assertIs(row("swaps/lost", 0, "requests")["met"], True)
        self.assertIs(row("machine/ping_pong", 1, "ns")["met"], None)

    def test_speedup_turns_the_ratio_round(self):
        got = row("decide/rules_10000/single/beside_opa", 100, "ns", peer=200000, speedup=True)
        self.assertEqual((got["ratio"], got["met"]), (2000, True))
        self.assertEqual(report.goal_value(got), 200)

    def test_rounds(self):
        got = figures.Figures()
        quiet(lambda: got.add_rounds("latency/half_load/p99", [10, 30, 20], "us", peers=[10, 10, 40]))
        self.assertEqual({key: got.rows[0][key] for key in ("value", "peer", "ratio", "min", "max", "rounds", "met")},
                         {"value": 20, "peer": 10, "ratio": 1, "min": 10, "max": 30, "rounds": 3, "met": True})
        self.assertEqual(report.goal_value(got.rows[0]), 15)


class Comparison(unittest.TestCase):
    def verdict(self, name, before, now, unit="ns", **more):
        peers = {key: more.pop(key) for key in ("peer_before", "peer_now") if key in more}
        return report.change(row(name, before, unit, peer=peers.get("peer_before"), **more),
                             row(name, now, unit, peer=peers.get("peer_now"), **more))[2]

    def test_direction(self):
        self.assertEqual(self.verdict("micro/frame/parse", 100, 120), "WORSE")
        self.assertEqual(self.verdict("micro/frame/parse", 120, 100), "better")
        self.assertEqual(self.verdict("micro/frame/parse", 100, 104), "same")
        self.assertEqual(self.verdict("api/data/requests", 100, 120, "requests/s"), "better")
        self.assertEqual(self.verdict("journal/disk/plain", 2e6, 1e6, "records/s"), "WORSE")

    def test_ratios_count_where_both_have_one(self):
        self.assertEqual(self.verdict("swaps/p99", 100, 300, "us", peer_before=100, peer_now=300), "same")
        self.assertEqual(self.verdict("swaps/p99", 100, 100, "us", peer_before=100, peer_now=50), "WORSE")
        self.assertEqual(self.verdict("rule_table/10/match", 100, 100, peer_before=100, peer_now=50, speedup=True), "WORSE")
        self.assertEqual(self.verdict("end_to_end/rules_1000/memif", 9, 6, "decisions/s", peer_before=10, peer_now=10), "WORSE")

    def test_rounds_that_overlap_are_no_change(self):
        before, now = row("micro/a", 100, "ns", min=90, max=115), row("micro/a", 120, "ns", min=110, max=130)
        self.assertEqual(report.change(before, now)[2], "same")
        now["min"] = 116
        self.assertEqual(report.change(before, now)[2], "WORSE")

    def test_table(self):
        before = [row("micro/a", 100, "ns"), row("micro/gone", 1, "ns"), row("load/payments", 1, "ms")]
        now = [row("micro/a", 200, "ns"), row("micro/b", 1, "ns")]
        worse, out = quiet(report.compare, before, now, ["micro"])
        self.assertEqual(worse, 1)
        self.assertRegex(out, r"micro/a .* WORSE\n")
        self.assertRegex(out, r"micro/b .* new\n")
        self.assertIn("1 of the earlier run were not measured now", out)

    def test_command(self):
        with tempfile.TemporaryDirectory() as folder:
            before, now = Path(folder) / "before.json", Path(folder) / "now.json"
            before.write_text(json.dumps([row("micro/a", 100, "ns")]))
            now.write_text(json.dumps([row("micro/a", 200, "ns")]))
            words = [sys.executable, RUN, "--from", now, "--compare", before]
            self.assertEqual(subprocess.run(words, capture_output=True).returncode, 0)
            self.assertEqual(subprocess.run([*words, "--fail-if-worse"], capture_output=True).returncode, 1)


class Page(unittest.TestCase):
    def test_page_and_plots(self):
        got = figures.Figures()
        quiet(lambda: got.add_rounds("latency/half_load/p50", [5, 6], "us", peers=[4, 5], curve=[[50, 5.5], [99, 20], [100, 90]],
                                     peer_curve=[[50, 4.5], [99, 18], [100, 80]]))
        quiet(lambda: got.add("latency/half_load/lost", 0, "requests"))
        quiet(lambda: got.add("decide/payments/burst", 129, "ns"))
        quiet(lambda: got.add_error("swaps/p99", "no | root\nat all"))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "report"
            report.write_page(folder, got.rows, [("processor", "a & b")])
            page = (folder / "report.md").read_text()
            self.assertIn("| `decide/payments/burst` | 129 ns |  |  |  | value <= 100 | **missed** |", page)
            self.assertIn("| `swaps/p99` | not measured | | | | ratio <= 1.2 | no \\| root at all |", page)
            self.assertIn("1 met, 1 missed, 1 not measured", page)
            self.assertEqual(json.loads((folder / "figures.json").read_text()), got.rows)
            plots = sorted(file.name for file in folder.glob("*.svg"))
            self.assertEqual(plots, ["decide-ns.svg", "latency-percentiles.svg", "latency-us.svg"])
            for plot in plots:
                self.assertIn(f"]({plot})", page)
                ElementTree.parse(folder / plot)  # well-formed


if __name__ == "__main__":
    unittest.main()
