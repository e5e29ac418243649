#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboards' JSON: what Grafana asks of it, and what a reader does. That their queries find something: queries.py."""

import re
import subprocess
import sys

import yaml

from appliance import ROOT
from shipped import check_names, dashboards, expect, run

GRAFANA = ROOT / "deploy/grafana"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANEL_TYPES = {"row", "timeseries", "stat", "table", "heatmap", "bargauge", "state-timeline"}


def check_layout(file, panels):
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        expect(at["x"] >= 0 and at["w"] > 0 and at["x"] + at["w"] <= 24 and at["h"] > 0, f"{file}, {panel['title']}: outside of the grid: {at}")
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                expect((x, y) not in taken, f"{file}: {panel['title']} lies on {taken.get((x, y))}")
                taken[x, y] = panel["title"]


def check_panel(where, panel):
    expect(panel["type"] in PANEL_TYPES, f"{where}: type {panel['type']}")
    expect(panel["title"], f"{where}: no title")
    if panel["type"] == "row":
        return
    expect(panel["description"].endswith("."), f"{where}: no description")
    expect(panel["datasource"] == DATASOURCE, f"{where}: its data source is not the chosen one")
    defaults = panel["fieldConfig"]["defaults"]
    expect(defaults["unit"], f"{where}: no unit")
    values = [step["value"] for step in defaults["thresholds"]["steps"]]
    expect(values[0] is None and values[1:] == sorted(values[1:]), f"{where}: thresholds {values}")
    expect(panel["targets"], f"{where}: no query")
    expect(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), f"{where}: refIds are not unique")
    for target in panel["targets"]:
        check_target(f"{where} {target['refId']}", target)


def check_target(where, target):
    expression = target["expr"]
    expect(target["datasource"] == DATASOURCE, f"{where}: its data source is not the chosen one")
    expect(target["range"] != target["instant"], f"{where}: neither a range nor an instant")
    check_names(expression, where)
    for selector in re.findall(r"riskgate_\w+(?::\w+)*(\{[^}]*\})?", expression):
        expect('job=~"$job"' in selector and 'instance=~"$instance"' in selector, f"{where}: ignores job or instance: {expression}")
    for window in re.findall(r"\[(.*?)\]", expression):
        expect(window in ("$__rate_interval", "$__range", "1h", "30d"), f"{where}: the window {window} does not follow the panel's width")


def check_variables(file, variables):
    names = [variable["name"] for variable in variables]
    expect(names[:4] == ["datasource", "job", "node", "instance"] and names[4:] in ([], ["worker"]), f"{file}: variables {names}")
    expect(variables[0]["type"] == "datasource" and variables[0]["query"] == "prometheus", f"{file}: the data source's variable")
    for variable in variables[1:]:
        expect(variable["datasource"] == DATASOURCE and variable["refresh"] == 2 and variable["allValue"] == ".*", f"{file}: {variable['name']}")
        check_names(variable["definition"], f"{file}, {variable['name']}")


def check_dashboard(file, made):
    expect(made["uid"] == "riskgate-" + file.removesuffix(".json") and made["id"] is None, f"{file}: uid {made['uid']}, id {made['id']}")
    expect(made["title"] and made["description"] and made["schemaVersion"] >= 39 and not made["editable"], f"{file}: its head")
    panels = made["panels"]
    expect(len({panel["id"] for panel in panels}) == len(panels), f"{file}: ids of panels are not unique")
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    expect(len(set(titles)) == len(titles), f"{file}: two panels have one title")
    check_layout(file, panels)
    check_variables(file, made["templating"]["list"])
    for panel in panels:
        check_panel(f"{file}, {panel['title']}", panel)
    used = {name for panel in panels for target in panel.get("targets", []) for name in re.findall(r'"\$(\w+)"', target["expr"])}
    expect(used <= {variable["name"] for variable in made["templating"]["list"]}, f"{file}: uses variables that it has not: {used}")


def check_provisioning():
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/riskgate.yaml").read_text())
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/riskgate.yaml").read_text())
    scrape = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    expect(sources["apiVersion"] == providers["apiVersion"] == 1, "apiVersion of the provisioning files")
    expect(sources["datasources"][0]["type"] == "prometheus" and sources["datasources"][0]["jsonData"]["timeInterval"] == scrape,
           "the data source's timeInterval is not prometheus.yml's scrape_interval")
    expect(providers["providers"][0]["options"]["path"].endswith("/riskgate/grafana/dashboards"), "the provider's path is not where they are installed")


def body():
    done = subprocess.run([sys.executable, GRAFANA / "make-dashboards", "--check"], capture_output=True, text=True)
    expect(done.returncode == 0, done.stderr.strip())
    made = dashboards()
    expect(len({dashboard["uid"] for dashboard in made.values()}) == len(made), "uids are not unique")
    for file, dashboard in made.items():
        check_dashboard(file, dashboard)
    check_provisioning()
    return f"{len(made)} dashboards, {sum(len(dashboard['panels']) for dashboard in made.values())} panels"


run(body)
