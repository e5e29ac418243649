# SPDX-License-Identifier: Apache-2.0
"""The rules and dashboards of deploy/, as the tests read them. Needs python3-yaml."""

import json
import re
import sys

import yaml

from appliance import Failure, ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARDS = ROOT / "deploy/grafana/dashboards"
RULES = PROMETHEUS / "riskgate.rules.yaml"


def expect(condition, text):
    if not condition:
        raise Failure(text)


def run(body):
    """Main of a test. body() returns what to say of it."""
    try:
        print(body())
    except Failure as failure:
        sys.exit(f"failed: {failure}")


def rules():
    """All rules, in order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded():
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboards():
    """File name to dashboard."""
    made = {file.name: json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))}
    expect(len(made) == 5, f"{DASHBOARDS}: {len(made)} dashboards")
    return made


def exported():
    """The names that docs/metrics.md declares, histograms by their three."""
    names = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) ", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE):
        names |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names


def selectors(expression):
    """The vector selectors of an expression: the metrics of riskgate, what is recorded of them, and `up`."""
    return re.findall(r'(?<![\w:"])((?:[\w:]*riskgate_[\w:]+|up)(?:\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?)', expression)


def check_names(expression, where):
    known = exported() | recorded() | {"up"}
    used = {selector.partition("{")[0] for selector in selectors(expression)}
    expect(used, f"{where} names no metric: {expression}")
    expect(used <= known, f"{where}: neither in docs/metrics.md nor recorded: {sorted(used - known)}")
