#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboards against Grafana's own description of them; damaged ones are refused by the same check.

Exit status 77 where the program that checks is not (scripts/find-dashboard-schema).
"""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from appliance import ROOT
from shipped import dashboards, expect, run

# what is done to a panel, and what is to be said of it
DAMAGES = {
    "a misspelt option": (lambda panel: panel["options"].update(lgend={}), "unexpected field 'lgend'"),
    "a misspelt key of a query": (lambda panel: panel["targets"][0].update(exprs=panel["targets"][0].pop("expr")), "unexpected field 'exprs'"),
    "a text for a number": (lambda panel: panel["gridPos"].update(w="12"), "gridPos.w"),
    "a missing option": (lambda panel: panel["options"].pop("tooltip"), "tooltip: required field is missing"),
    "a type that there is not": (lambda panel: panel.update(type="timeserie"), "unknown type 'timeserie'"),
    "nothing in a row": (lambda panel: panel["gridPos"].update(w=0), "must be > 0"),
}


def check(program, *files):
    done = subprocess.run([program, *files], capture_output=True, text=True)
    expect(done.returncode == (1 if done.stdout else 0), f"{program} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def body():
    found = subprocess.run([ROOT / "scripts/find-dashboard-schema"], capture_output=True, text=True)
    if found.returncode:
        print(f"left out: {found.stderr.strip()}")
        sys.exit(77)
    program = found.stdout.strip()
    wrong = check(program, *sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")))
    expect(not wrong, wrong)
    good = dashboards()["latency.json"]
    number = next(i for i, panel in enumerate(good["panels"]) if panel["type"] == "timeseries")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "damaged.json"
        for name, (damage, words) in DAMAGES.items():
            made = copy.deepcopy(good)
            damage(made["panels"][number])
            file.write_text(json.dumps(made))
            expect(words in check(program, file), f"{name} is not found: {check(program, file)}")
    return f"{len(dashboards())} dashboards are as Grafana describes them; {len(DAMAGES)} damages were found"


run(body)
