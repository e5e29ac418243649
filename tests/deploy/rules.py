#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The alert rules: promtool accepts them; each has a test that fires, one that does not and one that resolves; each has a
runbook whose commands exist; each metric is declared.

rules.py            all of that
rules.py FILE       promtool test rules FILE, nothing else
"""

import re
import subprocess
import sys

import yaml

from appliance import ROOT
from shipped import PROMETHEUS, RULES, alerts, check_names, expect, recorded, rules, run

SEVERITIES = {"critical", "warning"}
TESTS = ("riskgate.rules_test.yaml", "riskgate.budget_test.yaml")
RUNBOOK_PARTS = ("**Means**", "**Look", "**Do**", "**Wake**")


def promtool(*words):
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True)
    expect(done.returncode == 0 and "FAILED" not in done.stdout, f"promtool {' '.join(words)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def check_alert(name, rule):
    annotations = rule["annotations"]
    expect(re.fullmatch(r"Riskgate[A-Z]\w+", name), f"{name}: not a name as the others")
    expect(rule["labels"].get("severity") in SEVERITIES, f"{name}: severity is none of {sorted(SEVERITIES)}")
    expect(annotations.get("summary"), f"{name}: no summary")
    expect("$value" in annotations.get("description", ""), f"{name}: its description does not tell the value")
    check_names(rule["expr"], name)
    check_runbook(name, annotations.get("runbook_url", ""))


def check_runbook(name, url):
    file, _, anchor = url.partition("#")
    expect(file.startswith("docs/runbooks/") and (ROOT / file).is_file(), f"{name}: no runbook {url}")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", (ROOT / file).read_text(), re.MULTILINE | re.DOTALL))
    expect(anchor == name.lower() and name in sections, f"{name}: {file} has no section of it")
    text = sections[name]
    if "**Look, do**" in text or "**Look, do, wake**" in text:  # as another one, which it links or follows
        return
    for part in RUNBOOK_PARTS:
        expect(part in text, f"{file}, {name}: does not say {part}")


def check_commands():
    """The riskctl commands and options that runbooks name are those of docs/riskctl.md."""
    manual = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/riskctl.md").read_text(), re.MULTILINE | re.DOTALL))
    seen = 0
    for page in sorted((ROOT / "docs/runbooks").glob("*.md")):
        for line in re.findall(r"riskctl ((?:--json )?[a-z].*?)(?=[`|;#>]|$)", page.read_text(), re.MULTILINE):
            words = line.removeprefix("--json ").split()
            if len(words) == 1 and any(title.startswith(words[0] + " ") for title in manual):
                continue  # all of `riskctl trace ...`
            command = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in manual), None)
            expect(command, f"{page.name}: there is no `riskctl {line.strip()}`")
            for option in re.findall(r"(?<!\S)--([a-z-]+)", line.removeprefix("--json ")):
                expect(f"--{option} " in manual[command] or f"--{option}\n" in manual[command] or option == "config",
                       f"{page.name}: riskctl {command} has no --{option}")
            seen += 1
    expect(seen > 30, f"only {seen} commands were found in the runbooks")
    return seen


def check_tests():
    """Of each alert: evaluated before it fires, while it fires and after, with a second instance that stays below."""
    cases = {}
    for file in TESTS:
        for case in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]:
            for test in case["alert_rule_test"]:
                cases.setdefault(test["alertname"], []).append((case, test))
    for name in alerts():
        tests = cases.get(name, [])
        fires = [bool(test["exp_alerts"]) for _, test in tests]
        expect(len(fires) >= 3 and len(fires) % 3 == 0 and fires == [False, True, False] * (len(fires) // 3),
               f"{name}: its tests are to ask before, while and after it fires, and ask {fires}")
        for case, test in tests:
            series = " ".join(entry["series"] for entry in case["input_series"])
            expect('instance="a:9472"' in series and 'instance="b:9' in series, f"{name}: no instance stays below the threshold")
            for alert in test["exp_alerts"]:
                expect(alert["exp_labels"].get("instance", "a:9472") == "a:9472", f"{name}: b fires in its own test")
    unknown = set(cases) - set(alerts())
    expect(not unknown, f"tests of alerts that there are not: {sorted(unknown)}")


def body():
    if sys.argv[1:]:
        promtool("test", "rules", sys.argv[1])
        return f"{sys.argv[1]}: ok"
    promtool("check", "rules", RULES.name)
    promtool("check", "config", "prometheus.yml")
    for rule in rules():
        if "record" in rule:
            check_names(rule["expr"], rule["record"])
    for name, rule in alerts().items():
        check_alert(name, rule)
    check_tests()
    return f"{len(alerts())} alerts and {len(recorded())} recordings, each alert with test and runbook; {check_commands()} commands in runbooks"


run(body)
