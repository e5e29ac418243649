#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""riskctl from the outside: usage: riskctl_test.py RISKCTL FIXTURE SOURCE_ROOT [unittest arguments]

RISKCTL and FIXTURE are the programs, SOURCE_ROOT the checkout. Control and data plane are played here: a unix socket that answers
JSON lines and a UDP socket that answers decisions.
"""
import contextlib
import csv
import json
import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

RISKCTL, FIXTURE, ROOT = (Path(word).resolve() for word in sys.argv[1:4])
POLICIES = ROOT / "examples" / "policies"
SCHEMA = ROOT / "examples" / "schema" / "riskgate.xml"
COLUMNS = 80


def run(*words, stdin=None, env=None):
    """Run riskctl; returns (exit status, standard output, standard error)."""
    done = subprocess.run([RISKCTL, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "RISKGATE_CONFIG": "", **(env or {})})
    return done.returncode, done.stdout, done.stderr


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="riskctl-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.socket = self.folder / "control.sock"
        self.config = self.folder / "riskgate.yaml"
        self.config.write_text(json.dumps({
            "schema": str(SCHEMA),
            "region": {"directory": str(self.folder / "region")},
            "control": {"socket": str(self.socket), "state_directory": str(self.folder)},
        }))

    def done(self, *words, stdin=None):
        """riskctl must succeed; returns its output."""
        status, out, err = run("--config", self.config, *words, stdin=stdin)
        self.assertEqual(status, 0, f"riskctl {words}: {err}")
        return out

    def json(self, *words, stdin=None):
        return json.loads(self.done("--json", *words, stdin=stdin))

    def fails(self, exit_status, pattern, *words, stdin=None):
        """riskctl must end with this status and say something like pattern, in words and as JSON."""
        status, out, err = run("--config", self.config, "--json", *words, stdin=stdin)
        self.assertEqual(status, exit_status, f"riskctl {words}: {out}{err}")
        self.assertRegex(err, pattern)
        answer = json.loads(out)
        self.assertIs(answer["ok"], False)
        self.assertRegex(answer["error"], pattern)

    def assert_readable(self, text):
        for line in text.splitlines():
            self.assertLessEqual(len(line), COLUMNS, line)
            self.assertEqual(line, line.rstrip(), "blanks at the end")


class Usage(Case):
    def test_help_of_all_and_of_each(self):
        overview = self.done("help")
        self.assertEqual(overview, self.done("--help"))
        self.assert_readable(overview)
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +[A-Z]", overview, re.M)
        table = (ROOT / "tools/riskctl/main.c").read_text()
        self.assertEqual(len(commands), table.count("&rg_command_"))
        for command in commands:
            text = self.done(*command.split(), "--help")
            self.assertEqual(text, self.done("help", *command.split()))
            self.assertIn("examples:\n  ", text)
            self.assert_readable(text)

    def test_manual_is_the_help_text(self):
        manual = ROOT / "docs" / "riskctl.md"
        self.assertEqual(self.done("help", "--markdown"), manual.read_text(),
                         "docs/riskctl.md is old: riskctl help --markdown > docs/riskctl.md")

    def test_version(self):
        self.assertRegex(run("--version")[1], r"^riskctl \d+\.\d+\.\d+\n$")

    def test_wrong_use(self):
        for pattern, words in {
            r"no command given": [],
            r"policy what": ["policy"],
            r'unknown command "statsu": did you mean "status"': ["statsu"],
            r'unknown command "policy psuh": did you mean "policy push"': ["policy", "psuh"],
            r'unknown command "frobnicate"': ["frobnicate"],
            r"unknown option --verdct: did you mean --verdict": ["decisions", "--verdct", "DENY"],
            r"unknown option --jsn: did you mean --json": ["--jsn", "status"],
            r"decisions has no option --frobnicate": ["decisions", "--frobnicate"],
            r"unknown option -x": ["status", "-x"],
            r"--limit x: must be a whole number from 1 to 10000": ["decisions", "--limit", "x"],
            r"--limit 0: must": ["decisions", "--limit=0"],
            r"--limit -1: must": ["decisions", "--limit", "-1"],
            r"--limit needs a value": ["decisions", "--limit"],
            r"--verdict MAYBE: must be one of ALLOW\|DENY\|REVIEW": ["decisions", "--verdict", "MAYBE"],
            r"--json takes no value": ["--json=yes", "status"],
            r"policy push: an argument is missing: PATH": ["policy", "push"],
            r'status: unexpected argument "now"': ["status", "now"],
            r"no policy sequence number": ["policy", "show", "latest"],
            r'no command "nothing"': ["help", "nothing"],
        }.items():
            with self.subTest(words=words):
                status, _, err = run("--config", self.config, *words)
                self.assertEqual(status, 2, err)
                self.assertRegex(err, pattern)
                self.assertIn("--help", err)

    def test_a_broken_configuration_is_named(self):
        self.config.write_text("instance: x\nscheme: y\n")
        self.fails(1, r"riskgate\.yaml:.*scheme", "status")


class Completion(Case):
    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = """
            source <("$0" help --completion)
            compopt() { :; } # outside a real completion it complains
            COMP_WORDS=(riskctl "$@")
            COMP_CWORD=$#
            _riskctl
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        done = subprocess.run(["bash", "-c", script, RISKCTL, *words], capture_output=True, text=True, timeout=30,
                              cwd=self.folder, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self):
        self.assertIn("policy", self.complete(""))
        self.assertEqual(self.complete("dec"), ["decisions"])
        self.assertEqual(self.complete("policy", "pu"), ["push"])
        self.assertEqual(self.complete("--config", "x", "--json", "journal", "ver"), ["verify"])

    def test_every_command_and_option(self):
        for command in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +[A-Z]", self.done("help"), re.M):
            words = command.split()
            with self.subTest(command=command):
                self.assertIn(words[-1], self.complete(*words))
                options = set(re.findall(r"--[a-z0-9-]+", re.sub(r"(?s)examples:.*", "", self.done("help", *words))))
                offered = set(self.complete(*words, "--"))
                self.assertLessEqual({"--json", "--config", "--help"}, offered)
                self.assertLessEqual(offered, options)
                for line in self.done("help", *words).splitlines():
                    option = re.match(r"  (?:-\w, |    )(--[a-z0-9-]+)", line)
                    if option:
                        self.assertIn(option[1], offered)

    def test_values(self):
        (self.folder / "request.json").write_text("{}")
        self.assertEqual(self.complete("decisions", "--verdict", "D"), ["DENY"])
        self.assertEqual(self.complete("decisions", "--verdict", "=", "R"), ["REVIEW"])
        self.assertEqual(self.complete("eval", "-i", "req"), ["request.json"])
        self.assertEqual(self.complete("--config", "req"), ["request.json"])
        self.assertEqual(self.complete("policy", "push", "req"), ["request.json"])
        self.assertEqual(self.complete("decisions", "--limit", "req"), [])
        self.assertEqual(self.complete("status", "req"), [])


class Eval(Case):
    def bundle(self, policy, revision, name=None):
        return POLICIES / policy / "bundles" / f"{name or policy}-{revision}.tar.gz"

    def decide(self, bundle, template, package, request):
        return self.json("eval", "--bundle", bundle, "--template", template, "--package", package, "--input", request)

    def test_sample_requests_get_the_verdict_they_are_named_after(self):
        seen = 0
        for policy, template in (("payments", "PaymentAuthorization"), ("pretrade", "NewOrder"),
                                 ("risk_control", "PaymentAuthorization")):
            for request in sorted((POLICIES / policy / "requests").glob("*.json")):
                with self.subTest(request=request.name):
                    answer = self.decide(self.bundle(policy, 1), template, policy, request)
                    self.assertEqual(answer["verdict"], request.name.split("-")[0].upper(), answer)
                    self.assertEqual(answer["result"], "ok")
                    seen += 1
        self.assertGreaterEqual(seen, 15)

    def test_both_languages_decide_alike(self):
        for request in sorted((POLICIES / "risk_control" / "requests").glob("*.json")):
            for revision in (1, 2):
                verdicts = {self.decide(self.bundle("risk_control", revision, name), "PaymentAuthorization", "risk_control",
                                        request)["verdict"] for name in ("risk_control", "risk_control_v1")}
                self.assertEqual(len(verdicts), 1, request)

    def test_revisions_differ(self):
        request = self.folder / "request.json"
        request.write_text('{"amount": 7500, "account_id": 1, "user": {"risk_level": "low"}}')
        verdicts = [self.decide(self.bundle("risk_control", revision), "PaymentAuthorization", "risk_control", request)["verdict"]
                    for revision in (1, 2)]
        self.assertEqual(verdicts, ["ALLOW", "REVIEW"])

    def test_reasons_and_score(self):
        answer = self.decide(self.bundle("payments", 1), "PaymentAuthorization", "payments",
                             POLICIES / "payments" / "requests" / "deny-night-shopping.json")
        self.assertEqual(answer["score"], 85)
        self.assertEqual(set(answer["reasons"]),
                         {"night_amount_above_category_ceiling", "amount_above_category_ceiling", "night_large"})
        self.assertEqual(answer["reasons_fired"], 3)
        self.assertEqual(answer["reasons"][0], "night_amount_above_category_ceiling", "the denying one first")

    def test_the_package_comes_from_the_configuration(self):
        out = self.done("eval", "--bundle", self.bundle("payments", 1), "--template", "PaymentAuthorization",
                        "--input", POLICIES / "payments" / "requests" / "deny-blocked-card.json")
        self.assertRegex(out, r"^DENY  score 0  in .*\n  blocked_card\n$")

    def test_entrypoints(self):
        request = POLICIES / "payments" / "requests" / "deny-many-signals.json"
        words = ["eval", "-b", self.bundle("payments", 1), "-i", request, "-e"]
        self.assertIn("cvv_mismatch", json.loads(self.done(*words, "payments/deny")))
        answer = self.json(*words, "payments/score")
        self.assertEqual((answer["defined"], answer["result"]), (True, 260))

    def test_undefined_without_input_and_data_from_a_file(self):
        bundle = self.bundle("risk_control", 1)
        self.assertEqual(self.done("eval", "-b", bundle, "-e", "risk_control/deny"), "undefined\n")
        answer = self.json("eval", "-b", bundle, "-e", "risk_control/deny")
        self.assertEqual((answer["defined"], answer["result"]), (False, None))
        self.assertEqual(self.done("eval", "-b", bundle, "-e", "risk_control/allow"), "false\n")
        data = self.folder / "data.json"
        data.write_text('{"reference": {"payments": {"accepted_currencies": {"XAU": true}}}}')
        self.assertEqual(json.loads(self.done("eval", "-b", self.bundle("payments", 1), "-d", data, "-i", "-",
                                              "-e", "payments/deny", stdin='{"currency": "XAU"}')), [])

    def test_plan_alone(self):
        plan = self.folder / "plan.json"
        plan.write_bytes(subprocess.run(["tar", "-xOzf", self.bundle("risk_control", 1), "/plan.json"], check=True,
                                        capture_output=True).stdout)
        self.assertEqual(self.done("eval", "--plan", plan, "-e", "risk_control/deny", "-i", "-",
                                   stdin='{"amount": 100001, "user": {"risk_level": "high"}}'), "true\n")

    def test_what_is_wrong_is_named(self):
        bundle = self.bundle("payments", 1)
        broken = self.folder / "broken.json"
        broken.write_text('{"amount": }')
        unfit = self.folder / "unfit.json"
        unfit.write_text('{"amount": 1, "account_id": 1, "amuont": 2}')
        template = ["--template", "PaymentAuthorization"]
        for exit_status, pattern, words in (
                (2, r"either --bundle or --plan", ["-e", "a/b"]),
                (2, r"either --bundle or --plan", ["-b", bundle, "-p", broken, "-e", "a/b"]),
                (2, r"either --entrypoint or --template", ["-b", bundle]),
                (2, r"needs a request: --input", ["-b", bundle, *template]),
                (2, r"binds no package", ["-b", bundle, "-t", "Heartbeat", "-i", broken]),
                (1, r"nowhere\.tar\.gz", ["-b", self.folder / "nowhere.tar.gz", "-e", "a/b"]),
                (1, r'no entrypoint "payments/dney"; it has: .*payments/deny', ["-b", bundle, "-e", "payments/dney"]),
                (1, r"broken\.json.*line 1", ["-b", bundle, "-e", "payments/deny", "-i", broken]),
                (1, r"broken\.json.*line 1", ["-b", bundle, *template, "-i", broken]),
                (1, r"unfit\.json.*amuont", ["-b", bundle, *template, "-i", unfit]),
                (1, r"nowhere\.xml", ["-b", bundle, *template, "-i", unfit, "--schema", self.folder / "nowhere.xml"])):
            with self.subTest(words=words):
                self.fails(exit_status, pattern, "eval", *words)


class Watching(Case):
    """eval --trace and --coverage, on a policy that has what is hard: loops, not, every, bodies, with, a conflict."""
    BUNDLE = ROOT / "tools" / "riskctl" / "testdata" / "watch"
    ITEMS = [{"name": "foo", "price": 20, "tags": []}, {"name": "bar", "price": 5},
             {"name": "baz", "price": 12, "tags": ["a", "bad"]}, {"name": "ok", "price": 12, "tags": ["a"]}]

    def trace(self, rule, given):
        """Entries of a trace as (kind, row, held) and the answer."""
        answer = self.json("eval", "-b", self.BUNDLE, "-e", f"watch/{rule}", "-i", "-", "--trace", stdin=json.dumps(given))
        return [(entry["kind"], entry["row"], entry["held"]) for entry in answer["trace"]], answer

    def test_lines_of_a_loop(self):
        entries, answer = self.trace("allow", {"items": self.ITEMS[:2]})
        self.assertIs(answer["result"], False)
        self.assertEqual(entries, [
            ("rule", 5, True), ("line", 8, True),
            ("item", 8, True), ("line", 9, True), ("line", 10, False),   # foo is blocked
            ("rule", 16, True), ("line", 16, True),
            ("item", 8, True), ("line", 9, False),                       # bar is cheap
            ("line", 5, True),                                           # the default
        ])
        values = [entry.get("values", "") for entry in answer["trace"]]
        self.assertIn("20 > 10", values[3])
        self.assertIn("5 > 10 is false", values[8])

    def test_not_and_every(self):
        entries, answer = self.trace("allow", {"items": self.ITEMS[2:]})
        self.assertIs(answer["result"], True)
        self.assertEqual([held for kind, row, held in entries if (kind, row) == ("line", 10)], [True, True])
        self.assertEqual([held for kind, row, held in entries if (kind, row) == ("line", 11)], [False, True])
        self.assertEqual([held for kind, row, held in entries if (kind, row) == ("item", 11)], [True, False, True])
        functions = [entry for entry in answer["trace"] if entry.get("rule") == "data.watch.blocked"]
        self.assertEqual([entry["returned"] for entry in functions], ["undefined", "undefined"])
        self.assertEqual(answer["trace"][0]["returned"], "true")

    def test_the_tree_and_the_source(self):
        _, answer = self.trace("late", {"items": self.ITEMS})
        self.assertEqual([entry["depth"] for entry in answer["trace"]], [0, 1, 2, 3])
        line = answer["trace"][1]
        self.assertEqual(line["source"], 'count(names) > 5 with input as {"items": []}')
        self.assertIn("count(set()) = 0", line["values"])
        self.assertEqual(answer["trace"][2]["returned"], "set()")

    def test_a_conflict_is_where_the_trace_ends(self):
        words = ["eval", "-b", self.BUNDLE, "-e", "watch/clash", "-i", "-", "--trace"]
        status, out, err = run(*words, stdin='{"a": true, "b": true}')
        self.assertEqual(status, 1)
        self.assertIn("eval_conflict_error", err)
        self.assertRegex(out.splitlines()[-1], r"^  -   30  clash := 2 if input.b")

    def test_strict_errors_are_opas(self):
        words = ["eval", "-b", self.BUNDLE, "-e", "watch/ratio", "-i", "-"]
        given = '{"a": 1, "b": 0}'
        self.assertEqual(self.done(*words, stdin=given), "undefined\n")
        self.fails(1, "eval_builtin_error.*divide by zero", *words, "--strict", stdin=given)

    def test_in_words_and_colours(self):
        words = ["eval", "-b", self.BUNDLE, "-e", "watch/total", "-i", "-", "--trace"]
        out = self.done(*words, stdin=json.dumps({"items": self.ITEMS[:1]}))
        self.assertNotIn("\033", out, "no terminal, no colours")
        self.assertRegex(out, r"^data\.watch\.total  \(watch\.rego:23\)  20\n  \+   23  total := sum")
        self.assertTrue(out.endswith("\n20\n"), out)

    def test_the_same_verdict_with_and_without(self):
        for request in sorted((POLICIES / "payments" / "requests").glob("*.json")):
            words = ["eval", "-b", POLICIES / "payments" / "bundles" / "payments-1.tar.gz", "-t", "PaymentAuthorization",
                     "--package", "payments", "-i", request]
            plain, traced = self.json(*words), self.json(*words, "--trace")
            self.assertGreater(len(traced.pop("trace")), 20)
            for answer in (plain, traced):
                del answer["took_ns"]
            self.assertEqual(plain, traced)

    def coverage(self, rule, path, stdin=None):
        return self.json("eval", "-b", self.BUNDLE, "-e", f"watch/{rule}", "-i", path, "--coverage", stdin=stdin)

    def test_coverage_of_one_input_and_of_many(self):
        lines = self.folder / "inputs.jsonl"
        lines.write_text("\n".join(json.dumps({"items": [item]}) for item in self.ITEMS[:2]) + "\n\n")
        answer = self.coverage("allow", lines)
        self.assertEqual((answer["inputs"], answer["failed"]), (2, 0))
        [file] = answer["files"]
        rows = {row["row"]: row["source"] for row in file["not_reached"]}
        self.assertEqual(rows[18], 'startswith(name, "x")')
        self.assertIn(12, rows)
        self.assertNotIn(9, rows)
        self.assertEqual([row["row"] for row in file["never_true"]], [10])
        self.assertEqual(file["lines"], file["lines_reached"] + len(rows))
        self.assertAlmostEqual(file["percent"], 100 * file["lines_reached"] / file["lines"], delta=0.06)
        rules = {rule["rule"]: (rule["evaluated"], rule["defined"]) for rule in answer["rules"]}
        self.assertEqual(rules["data.watch.allow"], (2, 2))
        self.assertEqual(rules["data.watch.blocked"], (1, 1))
        self.assertEqual(rules["data.watch.total"], (0, 0))
        more = self.folder / "more"
        more.mkdir()
        (more / "1.json").write_text(json.dumps({"items": self.ITEMS}))
        lines.rename(more / "2.jsonl")
        (more / "ignored.txt").write_text("no JSON")
        answer = self.coverage("allow", more)
        self.assertEqual(answer["inputs"], 3)
        self.assertEqual([row["row"] for row in answer["files"][0]["never_true"]], [18])

    def test_coverage_goes_on_after_an_error(self):
        lines = self.folder / "inputs.jsonl"
        lines.write_text('{"a": true, "b": true}\n{"a": true}\n')
        answer = self.coverage("clash", lines)
        self.assertEqual((answer["inputs"], answer["failed"]), (2, 1))
        words = ["eval", "-b", self.BUNDLE, "-e", "watch/clash", "--coverage", "-i"]
        self.assertRegex(self.done(*words, lines), r"^2 inputs, 1 of them ended with an error\nwatch.rego: ")

    def test_what_is_wrong_is_named(self):
        empty = self.folder / "empty"
        empty.mkdir()
        broken = self.folder / "broken.jsonl"
        broken.write_text('{}\n{"a":\n')
        words = ["eval", "-b", self.BUNDLE, "-e", "watch/allow"]
        for exit_status, pattern, more in (
                (2, "either --trace or --coverage", ["--trace", "--coverage", "-i", "-"]),
                (2, "--coverage needs inputs", ["--coverage"]),
                (1, r"no \*.json", ["--coverage", "-i", empty]),
                (1, r"broken.jsonl:2", ["--coverage", "-i", broken])):
            with self.subTest(more=more):
                self.fails(exit_status, pattern, *words, *more)


class CheckAndExplain(Case):
    """policy check and policy explain: no appliance, the configuration's schema."""
    ODD = ROOT / "tools" / "riskctl" / "testdata" / "odd"
    PAYMENTS = ["--template", "PaymentAuthorization", "--package"]

    def check(self, bundle, *words):
        return self.json("policy", "check", bundle, *words)

    def test_what_is_hardly_meant_is_named(self):
        answer = self.check(self.ODD, *self.PAYMENTS, "odd")
        warnings = {(warning["file"], warning["row"]): warning["text"] for warning in answer["warnings"]}
        for place, pattern in {
            ("odd.rego", 7): r"input.user.risk_levl .* no such field: did you mean input.user.risk_level\?",
            ("odd.rego", 9): r'never "hihg".*did you mean "high"\?',
            ("odd.rego", 11): r'never "malwear".*did you mean "malware"\?',
            ("odd.rego", 13): r"input.currency.code is always undefined: input.currency .* no object",
            ("odd.rego", 16): r"can never be true for PaymentAuthorization",
            ("odd.rego", 29): r"sprintf makes at run time has no reason id",
            ("odd.rego", 31): r'segment of PaymentAuthorization is never "private"',
            ("stray.rego", 3): r"deny of package stray decides nothing",
        }.items():
            self.assertRegex(warnings.pop(place, "nothing"), pattern, place)
        self.assertEqual(warnings, {})
        out = self.done("policy", "check", self.ODD, *self.PAYMENTS, "odd")
        self.assertIn("  odd.rego:16: can never be true for PaymentAuthorization", out)
        self.assertIn("      data.switches.strict\n", out)

    def test_good_policies_have_no_warnings(self):
        for policy, template in (("payments", "PaymentAuthorization"), ("pretrade", "NewOrder"),
                                 ("risk_control", "PaymentAuthorization")):
            bundle = POLICIES / policy / "bundles" / f"{policy}-1.tar.gz"
            self.assertEqual(self.check(bundle, "-t", template, "--package", policy)["warnings"], [], policy)

    def test_costs(self):
        answer = self.check(self.ODD, *self.PAYMENTS, "odd")
        [template] = answer["templates"]
        self.assertEqual((template["template"], template["package"], sorted(template["rules"])),
                         ("PaymentAuthorization", "odd", ["allow", "deny"]))
        deny, allow = template["rules"]["deny"], template["rules"]["allow"]
        self.assertEqual(allow["steps_max"], 1, "only the default is left of it")
        self.assertGreater(deny["steps_max"], deny["instructions"], "three limits: a loop that turns three times")
        self.assertEqual(deny["loops_of_unknown_length"], 0)
        functions = {function["rule"]: function for function in answer["functions"]}
        self.assertEqual(functions["data.odd.deny"]["steps_max"], deny["steps_max"])
        self.assertEqual(answer["functions"], sorted(answer["functions"], key=lambda each: -each["steps_max"]))
        self.assertGreater(answer["image_bytes"], 1024)

    def test_a_rule_costs_what_it_asks_others(self):
        answer = self.check(POLICIES / "payments" / "bundles" / "payments-1.tar.gz", *self.PAYMENTS, "payments")
        rules = answer["templates"][0]["rules"]
        self.assertGreater(rules["allow"]["steps_max"], rules["deny"]["steps_max"] + rules["review"]["steps_max"])
        self.assertGreater(rules["reasons"]["loops_of_unknown_length"], 0)

    def test_refusals(self):
        plan = json.loads((self.ODD / "plan.json").read_text())
        place = {"file": 0, "row": 7, "col": 1}
        plan["static"]["builtin_funcs"].append({"name": "http.send", "decl": {"args": [], "result": {"type": "any"}, "type": "function"}})
        call = {"type": "CallStmt", "stmt": {"func": "http.send", "args": [{"type": "local", "value": 0}], "result": 4, **place}}
        plan["funcs"]["funcs"][0]["blocks"][0]["stmts"].insert(0, call)
        bundle = self.folder / "missing.json"
        bundle.write_text(json.dumps(plan))
        words = ["policy", "check", bundle, *self.PAYMENTS, "odd"]
        status, out, err = run("--config", self.config, "--json", *words)
        answer = json.loads(out)
        self.assertEqual((status, answer["ok"], answer["status"]), (1, False, "missing_builtin"))
        self.assertIn("http.send", err)
        self.assertEqual(answer["missing_builtins"],
                         [{"name": "http.send", "places": [{"file": plan["static"]["files"][0]["value"], "row": 7}]}])
        self.fails(1, "has none of the rules", "policy", "check", self.ODD, *self.PAYMENTS, "nothing")
        self.fails(1, "no template Nothing", "policy", "check", self.ODD, "-t", "Nothing", "--package", "odd")
        self.fails(1, "nowhere", "policy", "check", self.folder / "nowhere")
        self.fails(2, "binds no package", "policy", "check", self.ODD, "-t", "Nothing")
        self.fails(2, "--package goes with --template", "policy", "check", self.ODD, "--package", "odd")

    def test_explained(self):
        words = ["policy", "explain", POLICIES / "payments" / "bundles" / "payments-1.tar.gz", *self.PAYMENTS, "payments"]
        [template] = self.json(*words)["templates"]
        self.assertNotIn("not_typed", template["typed_program"])
        self.assertGreater(template["typed_program"]["instructions"], 100)
        rules = {rule["rule"]: rule for rule in template["rules"]}
        prohibited = rules["data.payments.prohibited"]
        self.assertIn("merchant.mcc", prohibited["fields"])
        lines = {line["row"]: line for line in prohibited["lines"]}
        self.assertEqual(lines[62]["compiled"], "specialised")
        self.assertEqual(lines[62]["steps"], ["input.merchant.mcc in {5933, 6051, 6211, 7801, 7995}"])
        self.assertTrue(lines[62]["source"].startswith('prohibited contains "restricted_mcc"'))
        out = self.done(*words)
        self.assertIn("  payments.rego:62  specialised  prohibited contains", out)
        self.assertIn("calls built-in sum", out)

    def test_what_is_not_typed_is_explained(self):
        words = ["policy", "explain", self.ODD, *self.PAYMENTS, "odd"]
        [template] = self.json(*words)["templates"]
        self.assertEqual(template["typed_program"]["asked_of_rules"], [{"file": "odd.rego", "row": 13}])
        self.assertNotIn("not_typed", template["typed_program"])
        self.assertIn("asked of the rules alone, by requests that come so far: odd.rego:13", self.done(*words))

    @unittest.skipUnless(shutil.which("opa"), "needs opa, to build the policy")
    def test_a_role_left_to_the_rules_is_explained(self):
        folder = self.folder / "left"
        folder.mkdir()
        shutil.copytree(self.ODD, folder, dirs_exist_ok=True)
        (folder / "plan.json").unlink()
        (folder / "odd.rego").write_text('package odd\n\nallow := true\n\ndeny contains "part" if {\n'
                                         '\tsome part in split(input.merchant.category, "_")\n\tpart == "x"\n}\n')
        words = ["policy", "explain", folder, *self.PAYMENTS, "odd"]
        [template] = self.json(*words)["templates"]
        self.assertIn("loop", template["typed_program"]["not_typed"])
        self.assertEqual((template["typed_program"]["file"], template["typed_program"]["row"]), ("odd.rego", 6))

    def many_rules(self, count):
        """A bundle of so many bodies of deny, three lines each: a folder with plan and source."""
        folder = self.folder / f"rules{count}"
        folder.mkdir()
        texts = ["result", "amount", "merchant", "mcc"]
        lines = ["package many", ""]

        def text(value):
            if value not in known:
                known[value] = len(texts)
                texts.append(value)
            return known[value]

        known = {value: index for index, value in enumerate(texts)}
        local = lambda number: {"type": "local", "value": number}  # noqa: E731
        string = lambda value: {"type": "string_index", "value": text(value)}  # noqa: E731
        blocks = [[("MakeSetStmt", {"target": 2}, 3)]]
        for number in range(count):
            row = len(lines) + 1
            limit, code = 1 + number * 7 % 5000, 3000 + number * 13 % 6000
            lines += [f'deny contains "rule_{number}" if {{', f"\tinput.amount > {limit}", f"\tinput.merchant.mcc == {code}", "}", ""]
            blocks.append([
                ("DotStmt", {"source": local(0), "key": string("amount"), "target": 3}, row + 1),
                ("MakeNumberRefStmt", {"Index": text(str(limit)), "target": 4}, row + 1),
                ("CallStmt", {"func": "gt", "args": [local(3), local(4)], "result": 5}, row + 1),
                ("NotEqualStmt", {"a": local(5), "b": {"type": "bool", "value": False}}, row + 1),
                ("DotStmt", {"source": local(0), "key": string("merchant"), "target": 6}, row + 2),
                ("DotStmt", {"source": local(6), "key": string("mcc"), "target": 7}, row + 2),
                ("MakeNumberRefStmt", {"Index": text(str(code)), "target": 8}, row + 2),
                ("EqualStmt", {"a": local(7), "b": local(8)}, row + 2),
                ("SetAddStmt", {"value": string(f"rule_{number}"), "set": 2}, row)])
        blocks.append([("ReturnLocalStmt", {"source": 2}, 3)])
        statements = [{"stmts": [{"type": kind, "stmt": {**stmt, "file": 0, "row": row, "col": 1}} for kind, stmt, row in block]}
                      for block in blocks]
        call = [{"type": "CallStmt", "stmt": {"func": "g0.data.many.deny", "args": [local(0), local(1)], "result": 2, "file": 0, "row": 3,
                                              "col": 1}},
                {"type": "ResultSetAddStmt", "stmt": {"value": 2, "file": 0, "row": 3, "col": 1}}]
        (folder / "many.rego").write_text("\n".join(lines) + "\n")
        (folder / "plan.json").write_text(json.dumps({
            "static": {"strings": [{"value": value} for value in texts], "files": [{"value": "many.rego"}],
                       "builtin_funcs": [{"name": "gt", "decl": {"args": [{"type": "any"}, {"type": "any"}],
                                                                 "result": {"type": "boolean"}, "type": "function"}}]},
            "plans": {"plans": [{"name": "many/deny", "blocks": [{"stmts": call}]}]},
            "funcs": {"funcs": [{"name": "g0.data.many.deny", "params": [0, 1], "return": 2, "path": ["g0", "many", "deny"],
                                 "blocks": statements}]}}))
        return folder

    def explain_rules(self, count):
        """CPU seconds that the explanation of so many rules takes; checks that it is whole."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = self.done("policy", "explain", self.many_rules(count), *self.PAYMENTS, "many")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = out.splitlines()
        self.assertIn(f"data.many.deny: specialised; of {2 * count} lines with tests {2 * count} specialised, 0 general", lines)
        self.assertRegex("\n".join(lines[-2:]), rf"^  many.rego:{5 * count}  specialised  (input.merchant.mcc == \d+)\n      \1$")
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def test_many_rules_are_explained_in_time(self):
        few, many = self.explain_rules(2000), self.explain_rules(16000)
        self.assertLess(many, 24 * few + 0.5, "eight times the rules take eight times as long, not the square of it")

    def limits(self, rows):
        """A policy over so many rows of data, every tenth of which has a text for a number."""
        folder = self.folder / f"limits-{rows}"
        shutil.copytree(ROOT / "tools" / "riskctl" / "testdata" / "limits", folder)
        limits = [{"account": row, "max": 100 if row % 10 else "100", "score": 1, "reason": f"limit_{row % 7}"} for row in range(rows)]
        (folder / "data.json").write_text(json.dumps({"reference": {"limits": limits}}))
        return folder

    def test_rule_tables_are_explained(self):
        words = ["policy", "explain", self.limits(400), *self.PAYMENTS, "limits"]
        [template] = self.json(*words)["templates"]
        tables = {table["row"]: table["table_rows"] for table in template["typed_program"]["tables"]}
        self.assertEqual(tables, {8: 360, 14: 400}) # no amount is above a text
        self.assertEqual(template["typed_program"]["table_rules"], 760)
        self.assertIn("  rule table from limits.rego:8 on: 360 rows", self.done(*words))
        [template] = self.json("policy", "explain", self.limits(20), *self.PAYMENTS, "limits")["templates"]
        self.assertEqual(template["typed_program"]["tables"], [])

    def test_columns_of_rule_tables_are_explained(self):
        folder = self.folder / "networks"
        shutil.copytree(ROOT / "tools" / "riskctl" / "testdata" / "networks", folder)
        rows = [{"cidr": f"10.{row}.0.0/16", "prefix": f"p{row % 7}", "from": row % 24, "part": row % 100, "reason": f"network_{row}"}
                for row in range(100)]
        (folder / "data.json").write_text(json.dumps({"reference": {"networks": rows}}))
        words = ["policy", "explain", folder, *self.PAYMENTS, "networks"]
        columns = ["network of merchant.name", "prefix or order of merchant.category", "hour of local transaction_time_ns",
                   "merchant.mcc % 100"]
        [template] = self.json(*words)["templates"]
        self.assertEqual([table["columns"] for table in template["typed_program"]["tables"]], [columns])
        self.assertIn(f"  rule table from networks.rego:8 on: 100 rows by {', '.join(columns)}", self.done(*words))

    def test_explained_wholly_specialised(self):
        bundle = POLICIES / "risk_control" / "bundles" / "risk_control-1.tar.gz"
        [template] = self.json("policy", "explain", bundle, *self.PAYMENTS, "risk_control")["templates"]
        self.assertNotIn("not_typed", template["typed_program"])
        self.assertEqual({rule["rule"]: rule["compiled"] for rule in template["rules"]},
                         {"data.risk_control.deny": "specialised", "data.risk_control.allow": "specialised"})
        deny = next(rule for rule in template["rules"] if rule["rule"] == "data.risk_control.deny")
        self.assertEqual(deny["fields"], ["amount", "user.risk_level"])
        self.assertEqual(deny["lines"][0]["steps"], ["input.amount > 100000", "input.user.risk_level is high"])


class Journal(Case):
    def setUp(self):
        super().setUp()
        self.journal = self.folder / "journal"
        subprocess.run([FIXTURE, "journal", self.journal, "300"], check=True)

    def segments(self):
        return sorted(self.journal.glob("*.rgj"))

    def test_verify(self):
        report = self.json("journal", "verify")
        self.assertEqual((report["ok"], report["records"], report["bad_places"]), (True, 301, 0))
        self.assertEqual(report["segments"], len(self.segments()))
        self.assertEqual(report["policies"], report["segments"])  # each segment repeats it
        self.assertGreater(report["segments"], 1)
        self.assertIn("every frame is whole", self.done("journal", "verify", self.journal))

    def test_chain(self):
        report = self.json("journal", "verify")
        self.assertEqual(report["chain"]["sealed_frames"], report["frames"])
        head = self.done("journal", "head").strip()
        self.assertRegex(head, r"^\d+:[0-9a-f]{64}$")
        self.assertEqual(self.json("journal", "head"), report["chain"]["end"])
        key, wrong = self.folder / "key", self.folder / "wrong"
        key.write_text("fixture")
        wrong.write_text("guessed")
        text = self.done("journal", "verify", "--key", key, "--head", head)
        self.assertIn("seals have the key's HMAC", text)
        self.assertIn("the head that was given is in it", text)
        self.fails(1, "HMAC is wrong", "journal", "verify", "--key", wrong)
        self.fails(1, "no such link", "journal", "verify", "--head", head[:-1] + ("0" if head[-1] != "0" else "1"))
        self.fails(2, "not what `journal head` prints", "journal", "verify", "--head", "7:zz")

    def test_export(self):
        lines = [json.loads(line) for line in self.done("journal", "export", "--verdict", "deny").splitlines()]
        self.assertEqual([line["request_id"] for line in lines], list(range(1003, 1301, 3)))
        self.assertEqual((lines[0]["revision"], lines[0]["reasons"]), ("pretrade-1", ["price_band", "9"]))
        rows = list(csv.DictReader(self.done("journal", "export", "--format", "csv").splitlines()))
        self.assertEqual(len(rows), 301)
        asked = rows.pop()
        self.assertEqual((asked["decision_id"], asked["path"], asked["template"], asked["verdict"], asked["revision"]),
                         ("0b7c-1", "pretrade/deny", "", "NONE", "pretrade-1"))
        self.assertEqual({(row["decision_id"], row["path"]) for row in rows}, {("", "")})
        self.assertEqual((rows[2]["client"], rows[2]["verdict"], rows[2]["reasons"]), ("10.71.0.2:40000", "DENY", "price_band;9"))
        times = [int(row["receive_time_ns"]) for row in rows]
        some = self.done("journal", "export", "--since", str(times[10]), "--until", str(times[20]), "--template", "NewOrder")
        self.assertEqual(len(some.splitlines()), 10)
        self.assertEqual(self.done("journal", "export", "--revision", "another"), "")
        self.assertEqual(self.done("journal", "export", "--since", "2030-01-01T00:00:00Z"), "")
        self.fails(2, "neither a time", "journal", "export", "--since", "yesterday")

    def test_verify_names_the_damage(self):
        segment = self.segments()[0]
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        self.fails(1, re.escape(segment.name), "journal", "verify")
        status, out, _ = run("journal", "verify", self.journal)
        self.assertEqual(status, 1)
        self.assertRegex(out, rf"DAMAGED in 1 places, first: {re.escape(segment.name)}, offset \d+")

    def test_cat_as_json(self):
        frames = [json.loads(line) for line in self.done("--json", "journal", "cat").splitlines()]
        records = [frame for frame in frames if frame["kind"] == "record"]
        asked = records.pop()
        self.assertEqual(asked["query"], {"decision_id": "0b7c-1", "path": "pretrade/deny", "input": {}, "result": ["x"]})
        self.assertEqual((asked["worker"], asked["verdict"]), (65535, "NONE"))
        self.assertEqual([record["request_id"] for record in records], list(range(1001, 1301)))
        self.assertEqual({frame["policy"]["revision"] for frame in frames if frame["kind"] == "policy"}, {"pretrade-1"})
        third = records[2]
        self.assertEqual((third["verdict"], third["status"], third["score"], third["reason_ids"], third["client"]),
                         ("DENY", "OK", 1.5, [5, 9], "10.71.0.2:40000"))
        self.assertEqual((third["template"], third["request"]["request_id"]), ("NewOrder", 1003))

    def test_cat_in_words_and_filters(self):
        text = self.done("journal", "cat")
        self.assert_readable(text)
        self.assertIn("  policy 1: pretrade, revision pretrade-1\n", text)
        self.assertIn("  asked over HTTP for pretrade/deny\n", text)
        self.assertEqual(len(self.done("--json", "journal", "cat", "--verdict", "deny").splitlines()), 100)
        first = json.loads(self.done("--json", "journal", "cat", "--from", "17", "--limit", "1"))
        self.assertEqual(first["index"], 17)

    def test_cat_without_a_schema(self):
        self.config.write_text(json.dumps({"schema": str(self.folder / "none.xml"), "control": {"state_directory": str(self.folder)}}))
        status, out, err = run("--config", self.config, "--json", "journal", "cat", "--limit", "3")
        self.assertEqual(status, 0, err)
        self.assertIn("hexadecimal", err)
        record = json.loads(out.splitlines()[-1])
        self.assertRegex(record["request_bytes"], r"^[0-9a-f]{32}$")

    def test_no_journal(self):
        self.fails(1, "nowhere", "journal", "verify", self.folder / "nowhere")
        self.fails(1, "nowhere", "journal", "cat", self.folder / "nowhere")


class Region(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "region").mkdir()

    def test_absent(self):
        self.fails(1, "region", "region", "--directory", self.folder / "no-region")

    def test_left_behind(self):
        subprocess.run([FIXTURE, "region", self.folder / "region"], check=True)
        region = self.json("region")
        self.assertEqual((region["dataplane"]["running"], region["control"]["running"]), (False, False))
        self.assertEqual((region["dataplane"]["instance"], region["dataplane"]["worker_count"]), ("fixture", 2))
        self.assertEqual((region["policy"]["revision"], region["policy"]["sequence"]), ("payments-1", 3))
        self.assertEqual(region["mailbox"]["announced_sequence"], 3)
        worker = region["workers"][0]
        self.assertEqual((worker["state"], worker["queues"], worker["ticks"]["idle"]), ("running", "net_memif0:0", 75))
        self.assertEqual((worker["ring"]["records"], worker["ring"]["capacity_bytes"]), (1, 65536))
        self.assertGreaterEqual(worker["ring"]["used_bytes"], 200)
        self.assertEqual(region["workers"][1]["state"], "stopped")
        counters = {(counter["name"], counter["label"]): counter["value"] for counter in region["counters"]}
        self.assertEqual(counters[("records_written", "")], 12345)
        latency = next(item for item in region["histograms"] if item["name"] == "latency")
        self.assertEqual((latency["count"], latency["max"]), (100, 100000))
        self.assertLessEqual(50000, latency["p50"])
        self.assertEqual([(error["where"], error["text"], error["count"]) for error in region["errors"]],
                         [("worker 0", "a planted error", 2)])

    def test_in_words(self):
        with subprocess.Popen([FIXTURE, "region", self.folder / "region", "hold"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as fixture:
            self.assertEqual(fixture.stdout.readline(), "ready\n")
            text = self.done("region", "--directory", self.folder / "region")
            fixture.stdin.close()
        self.assertEqual(fixture.returncode, 0)
        self.assertRegex(text, rf"data plane +running, pid {fixture.pid}")
        self.assertIn("payments, revision payments-1, sequence 3", text)
        self.assertIn("records_written", text)
        self.assertIn("a planted error", text)
        self.assertNotIn("recorder_full", text)
        self.assert_readable(text.split("\n", 1)[1])  # but for the folder's name
        self.assertIn("recorder_full", self.done("region", "--all"))

    def test_one_file_is_missing(self):
        subprocess.run([FIXTURE, "region", self.folder / "region"], check=True)
        (self.folder / "region" / "control").unlink()
        region = self.json("region")
        self.assertEqual((region["dataplane"]["joined"], region["control"]["joined"]), (True, False))
        self.assertTrue(region["control"]["absence"])
        self.done("region")
        (self.folder / "region" / "dataplane").unlink()
        self.assertEqual(self.json("region")["workers"], [])
        self.done("region")


@contextlib.contextmanager
def control(path, answers):
    """Play riskgate-control: answers[command] is what it says (a callable gets the request). Yields the requests seen."""
    seen = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, client.makefile("rb") as lines:
                    line = lines.readline()
                    if not line:
                        continue
                    request = json.loads(line)
                    seen.append(request)
                    answer = answers.get(request["command"], {"ok": False, "status": "invalid", "error": "unknown command"})
                    text = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
                    with contextlib.suppress(BrokenPipeError):
                        client.sendall(text)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


STATUS = {
    "ok": True,
    "pid": 4243,
    "uptime_s": 90,
    "policy": {"bundle": "payments", "revision": "payments-1", "sequence": 3, "age_s": 12, "last_error": None},
    "records": {"journaled": 1234567, "stored": 1234560, "lag": 7},
    "workers": [{"worker": 0, "state": "running", "decisions": 1234567, "heartbeat_ns": 1767225602123456789,
                 "ring_used_bytes": 2048, "longest_ns": 1500}],
    "dataplane": {"running": True, "pid": 4242, "epoch": 1767225602123456789},
    "sinks": [{"name": "sqlite", "state": "ok", "stored": 1234560}],
}
DECISION = {"receive_time_ns": 1767225602123456789, "request_id": 18446744073709551615, "template": "PaymentAuthorization", "verdict": "DENY",
            "status": "OK", "score": 85, "latency_ns": 4200, "reasons": ["blocked_card", "night_large", *(f"reason_{i}" for i in range(2, 10))], "revision": "payments-1"}


class Top(Case):
    """Of what stands still. Under load, and with processes that die: tests/system/top.py."""

    def setUp(self):
        super().setUp()
        (self.folder / "region").mkdir()

    def test_left_behind(self):
        subprocess.run([FIXTURE, "region", self.folder / "region"], check=True)
        with control(self.socket, {"status": STATUS}) as seen:
            shown = self.json("top", "--once", "--interval", "100")
        self.assertEqual([request["command"] for request in seen], ["status"])
        self.assertEqual((shown["dataplane"]["joined"], shown["dataplane"]["running"]), (True, False))
        self.assertEqual((shown["policy"]["revision"], shown["requests"], shown["latency_ns"]["count"]), ("payments-1", 0, 0))
        self.assertEqual([(worker["worker"], worker["state"]) for worker in shown["workers"]], [(0, "running"), (1, "stopped")])
        self.assertGreater(shown["workers"][0]["ring"]["fill"], 0)
        self.assertEqual((shown["control"]["answers"], shown["sinks"][0]["name"], shown["records"]["lag"]), (True, "sqlite", 7))

    def test_in_words(self):
        with subprocess.Popen([FIXTURE, "region", self.folder / "region", "hold"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as fixture:
            self.assertEqual(fixture.stdout.readline(), "ready\n")
            text = self.done("top", "--interval", "100", "--count", "2")
            fixture.stdin.close()
        self.assertEqual(len(re.findall(rf"^data plane  running, pid {fixture.pid}, ", text, re.M)), 2)
        self.assertEqual(len(re.findall(r"^control     SILENT, pid \d+: .*does not listen", text, re.M)), 2)
        self.assertIn("policy      payments, revision payments-1, sequence 3", text)
        self.assertNotIn("\x1b", text)

    def test_a_control_that_answers_nonsense(self):
        with control(self.socket, {"status": b"nonsense\n"}):
            shown = self.json("top", "--once", "--interval", "100")
        self.assertFalse(shown["control"]["answers"])
        self.assertTrue(shown["control"]["silence"])

    def test_wrong_use(self):
        self.fails(2, "--interval 99: must be a whole number from 100", "top", "--interval", "99")


class Trace(Case):
    """Without probes. What they show is tested where they run: tests/bpf."""

    def test_says_what_is_missing(self):
        for probe in ("stages", "jitter", "outliers", "publish", "journal"):
            # without CAP_BPF the kernel does not even say that it is not there
            self.fails(1, f"{self.folder}/riskgate/.*/{probe}/.*(start riskgate-probe|needs CAP_BPF)", "trace", probe,
                       "--bpffs", self.folder)

    def test_needs_a_probe(self):
        self.fails(2, "trace what", "trace")
        self.fails(2, "trace nothing", "trace", "nothing")


class Control(Case):
    def test_nobody_listens(self):
        self.fails(1, r"does not listen on .*control\.sock: start it", "status")

    def test_status(self):
        with control(self.socket, {"status": STATUS}):
            self.assertEqual(self.json("status"), STATUS)
            text = self.done("status")
        for words in ("running, pid 4243, up 90.0 s", "running, pid 4242", "2026-01-01 00:00:02.123456 UTC", "2.0 KiB", "1.5 us", "payments, revision payments-1, sequence 3, 12.0 s old",
                      "1,234,567 in the journal, 1,234,560 stored, 7 to go", "worker 0", "sink sqlite"):
            self.assertIn(words, text)
        self.assert_readable(text)

    def test_status_without_policy_and_data_plane(self):
        bare = {"ok": True, "policy": {"sequence": 0, "last_error": "payments: needs missing built-ins"}, "dataplane": {"running": False}}
        with control(self.socket, {"status": bare}):
            text = self.done("status")
        self.assertRegex(text, r"data plane +not running")
        self.assertIn("NO_POLICY", text)
        self.assertIn("needs missing built-ins", text)

    def test_policies(self):
        outcome = {"ok": True, "sequence": 4, "bundle": "payments", "revision": "payments-2", "state": "active"}
        policies = {"ok": True, "policies": [{**outcome, "time_ns": 1767225602123456789}]}
        with control(self.socket, {"policy.push": outcome, "policy.rollback": outcome, "policy.show": outcome,
                                   "policy.list": policies}) as seen:
            os.chdir(self.folder)
            (self.folder / "bundle.tar.gz").touch()
            self.assertEqual(self.done("policy", "push", "bundle.tar.gz", "--wait", "50"),
                             "policy 4: payments, revision payments-2, active\n")
            self.assertEqual(self.json("policy", "rollback", "3")["revision"], "payments-2")
            self.assert_readable(self.done("policy", "list"))
            self.assertIn("payments-2", self.done("policy", "show", "4"))
            self.done("policy", "show")
        self.assertEqual([request["command"] for request in seen],
                         ["policy.push", "policy.rollback", "policy.list", "policy.show", "policy.show"])
        self.assertEqual(seen[0], {"command": "policy.push", "path": str((self.folder / "bundle.tar.gz").resolve()), "wait_ms": 50})
        self.assertEqual(seen[1]["sequence"], 3)
        self.assertNotIn("sequence", seen[4])

    def test_versions_of_policies(self):
        difference = {
            "identical": False,
            "rules": {"added": ["data.p.new"], "removed": [], "changed": ["data.p.deny"],
                      "added_count": 1, "removed_count": 0, "changed_count": 3},
            "sources": [{"file": "p.rego", "change": "changed", "added_lines": 1, "removed_lines": 0, "diff": "@@ -1,0 +1,1 @@\n+x\n"},
                        {"file": "q.rego", "change": "added", "added_lines": 9000, "removed_lines": 0, "diff_bytes": 300000}],
            "data": {"added": 1, "removed": 1, "changed": 2, "left_out": 1, "values": [
                {"pointer": "/a", "change": "added", "new": "text"}, {"pointer": "/b", "change": "removed", "old": None},
                {"pointer": "/c", "change": "changed", "old": [1], "new_bytes": 2048}]}}
        ends = {"ok": True, "from": {"sequence": 1, "bundle": "p", "revision": "r1"}, "to": {"sequence": 2, "bundle": "p", "revision": "r2"}}
        dry = {"ok": True, "state": "dry_run", "bundle": "p", "revision": "r2", "image_bytes": 2048, "signed": False,
               "compared_with": 1, "difference": {**difference, "identical": True}}
        event = {"n": 1, "time_ns": 1767225602123456789, "event": "refused", "sequence": 4, "revision": "r2", "user": "ann",
                 "why": "push", "reason": "May limits", "text": "needs http.send"}
        with control(self.socket, {"policy.diff": {**ends, "difference": difference}, "policy.push": dry,
                                   "policy.history": {"ok": True, "count": 1, "events": [event]}}) as seen:
            text = self.done("policy", "diff", "1", "2")
            for words in ("rules: 1 added, 0 removed, 3 changed", "  + data.p.new", "  ~ data.p.deny", "  ~ and 2 more",
                          '  + /a: "text"', "  - /b: null", "  ~ /c: [1] -> (2.0 KiB)", "  and 1 more", "--- p.rego", "+x",
                          "9000 lines added"):
                self.assertIn(words, text)
            self.done("policy", "diff")
            text = self.done("policy", "push", "--dry-run", "--reason", "why not", "/")
            self.assertIn("an image of 2.0 KiB, not signed\nagainst policy 1, which is in use:\nno difference\nnothing was published", text)
            text = self.done("policy", "history", "--limit", "7")
            for words in ("2026-01-01 00:00:02  refused", "ann", "reason: May limits", "needs http.send"):
                self.assertIn(words, text)
        self.assertEqual(seen, [{"command": "policy.diff", "from": 1, "sequence": 2}, {"command": "policy.diff"},
                                {"command": "policy.push", "path": "/", "wait_ms": 30000, "reason": "why not", "dry_run": True},
                                {"command": "policy.history", "limit": 7}])
        self.fails(2, "no policy sequence number", "policy", "diff", "one")

    def test_four_eyes(self):
        key = self.folder / "bob.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
        waiting = {"ok": True, "policy": {"sequence": 7, "sha256": "ab" * 32}}
        outcome = {"ok": True, "sequence": 8, "bundle": "p", "revision": "r", "state": "active"}
        with control(self.socket, {"policy.show": waiting, "policy.approve": outcome,
                                   "policy.reject": {**outcome, "sequence": 7, "state": "rejected"}}) as seen:
            self.assertEqual(self.done("policy", "approve", "7", "--key", key, "--as", "bob"), "policy 8: p, revision r, active\n")
            self.done("policy", "approve", "7", "--reason", "seen")
            self.assertIn("rejected", self.done("policy", "reject", "7"))
            self.fails(1, "openssl genpkey", "policy", "approve", "7", "--key", "/dev/null", "--as", "bob")
        self.assertEqual((seen[0]["command"], seen[1]["approver"], len(seen[1]["signature"])), ("policy.show", "bob", 88))
        self.assertEqual(seen[2], {"command": "policy.approve", "sequence": 7, "wait_ms": 30000, "reason": "seen"})
        self.fails(2, "--key and --as go together", "policy", "approve", "7", "--key", key)

    def test_a_refusal_is_passed_on(self):
        refusal = {"ok": False, "status": "missing_builtin", "error": "payments: http.send at payments.rego:7"}
        with control(self.socket, {"policy.push": refusal}):
            self.fails(1, r"http\.send at payments\.rego:7", "policy", "push", "/")
            status = json.loads(run("--config", self.config, "--json", "policy", "push", "/")[1])["status"]
        self.assertEqual(status, "missing_builtin")
        self.fails(1, "nothing-here", "policy", "push", "nothing-here")

    def test_decisions_and_reasons(self):
        with control(self.socket, {"decisions": {"ok": True, "decisions": [DECISION]},
                                   "reasons": {"ok": True, "reasons": [{"id": 1, "name": "blocked_card"}]}}) as seen:
            text = self.done("decisions", "--verdict", "deny", "--limit", "1", "--request-id", "18446744073709551615",
                             "--template", "PaymentAuthorization")
            self.assert_readable(text)
            self.assertIn("    blocked_card, night_large, reason_2, reason_3,", text)
            self.assertEqual(self.json("decisions")["decisions"], [DECISION])
            self.assertEqual(self.done("reasons"), "     1  blocked_card\n")
        self.assertEqual(seen[0], {"command": "decisions", "limit": 1, "verdict": "DENY", "template": "PaymentAuthorization",
                                   "request_id": 18446744073709551615})

    def test_nonsense_from_the_other_side(self):
        for answer, pattern in ((b"\n", "malformed|no JSON object"), (b"[1]\n", "no JSON object"), (b'{"ok":true\n', "malformed"),
                                (b'{"o":1}\n', 'no "ok"'), (b'{"ok":false}\n', "without a reason"), (b"", "closed the connection"),
                                (b'{"ok":tru', "closed the connection")):
            with self.subTest(answer=answer), control(self.socket, {"status": answer}):
                self.fails(1, pattern, "status")
            self.socket.unlink()

    def test_a_silent_control(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen()
            self.fails(1, "no answer .* within 100 ms", "status", "--timeout", "100")


@contextlib.contextmanager
def dataplane(answer):
    """Play riskgate-dataplane: answer(datagram) gives the datagrams to send back. Yields its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)

        def serve():
            datagram, client = server.recvfrom(65536)
            for reply in answer(datagram):
                server.sendto(reply, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def decision(request_id, verdict=2, reasons=(7,), score_micro=85500000):
    block = struct.pack("<QQqQQ8HHHBBxx", request_id, 3, score_micro, 1000, 5200, *(list(reasons) + [0] * 8)[:8], len(reasons), 0,
                        verdict, 0)
    return struct.pack("<HHHH", len(block), 100, 1, 1) + block


def request_id_of(datagram):
    return struct.unpack_from("<Q", datagram, 8)[0]


class Score(Case):
    request = '{"amount": 250.25, "account_id": 7}'

    def test_a_decision(self):
        def answer(datagram):
            header = struct.unpack_from("<HHHH", datagram)
            self.assertEqual((header[0], header[1]), (len(datagram) - 8, 1))
            other = decision(request_id_of(datagram) + 1, verdict=1)
            return [b"noise", other, other + decision(request_id_of(datagram))]

        with dataplane(answer) as address:
            answer = self.json("score", "--address", address, self.request)
        self.assertEqual((answer["verdict"], answer["status"], answer["score"], answer["reasons"], answer["policy_sequence"]),
                         ("DENY", "OK", 85.5, [7], 3))
        self.assertGreater(answer["request_id"], 0)

    def test_names_of_reasons_from_control(self):
        reasons = {"ok": True, "reasons": [{"id": 7, "name": "blocked_card"}]}
        with control(self.socket, {"reasons": reasons}), dataplane(lambda datagram: [decision(request_id_of(datagram))]) as address:
            text = self.done("score", "--address", address, "-", stdin=self.request)
        self.assertRegex(text, r"^DENY  status OK  score 85.5  policy 3\n  blocked_card\nrequest \d+: decided in 4.2 us, answered in ")

    def test_the_request_id_is_kept(self):
        with dataplane(lambda datagram: [decision(request_id_of(datagram), reasons=())]) as address:
            request = self.folder / "request.json"
            request.write_text('{"request_id": 18446744073709551614, "amount": 1, "account_id": 7}')
            self.assertEqual(self.json("score", "-a", address, request)["request_id"], 18446744073709551614)

    def test_no_answer(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            self.fails(1, r"no decision from 127\.0\.0\.1:\d+ within 50 ms", "score", "--timeout", "50", "-a", address, self.request)
        self.fails(1, "nobody listens", "score", "-a", address, self.request)

    def test_what_is_wrong_is_named(self):
        self.fails(1, r"--address.*no port", "score", "-a", "127.0.0.1", self.request)
        self.fails(1, r"the request.*amuont", "score", "-a", "127.0.0.1:9", '{"amuont": 1}')
        self.fails(1, r"nowhere\.json", "score", "-a", "127.0.0.1:9", self.folder / "nowhere.json")
        self.fails(1, r"Nothing", "score", "-a", "127.0.0.1:9", "-t", "Nothing", self.request)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
