#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every query of every panel and variable, and every rule, asked of a real Prometheus that scrapes a real appliance under load:
each must parse and give at least one finite value.

queries.py BUILD
"""

import json
import math
import os
import re
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from appliance import Appliance, Failure, Process, ROOT
from server import Client, free_port
from shipped import RULES, alerts, dashboards, expect, recorded, run, selectors

BUNDLES = ROOT / "examples/policies/payments/bundles"
TOKEN = "5c8c1f0b8a6e4f0a9d2e6b1c"
# Queries that may find nothing, by "FILE, PANEL REFID", with the reason. None does: what counts rare things counts from 0.
MAY_BE_EMPTY = {}
WINDOWS = {"$__rate_interval": "10s", "$__range": "1m", "$job": ".*", "$node": ".*", "$instance": ".*", "$worker": ".*"}
SCRAPES = 12  # a window and a little more


class Prometheus:
    """Debian's, on a free port, with the shipped rules, data in a folder of its own."""

    def __init__(self, folder, target):
        self.port = free_port()
        token = folder / "token"
        token.write_text(TOKEN)
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                  "scrape_configs": [{"job_name": "riskgate", "authorization": {"credentials_file": str(token)},
                                      "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]}
        file = folder / "prometheus.yml"
        file.write_text(json.dumps(config))
        self.process = Process("prometheus", ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
                                              f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], folder / "prometheus.log",
                               nice=5)

    def __enter__(self):
        deadline = time.monotonic() + 60
        while not self.ready():
            if not self.process.running() or time.monotonic() > deadline:
                self.process.stop()
                raise Failure(f"prometheus is not ready:\n{self.process.tail()}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.process.stop()

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{path} {parameters}: {json.load(error).get('error')}") from None

    def query(self, expression):
        """The values of an instant query."""
        return [float(sample["value"][1]) for sample in self.ask("query", query=expression)["result"]]

    def wait_for(self, expression, seconds=90):
        deadline = time.monotonic() + seconds
        while not self.query(expression):
            expect(time.monotonic() < deadline, f"not within {seconds} s: {expression}; targets: {self.ask('targets')}")
            time.sleep(0.5)


def filled(expression):
    """As Grafana does it: `$name` and `${name}` are replaced."""
    for name in sorted(WINDOWS, key=len, reverse=True):
        expression = expression.replace(name, WINDOWS[name])
    return expression


def check_query(prometheus, where, expression):
    values = prometheus.query(filled(expression))
    if where in MAY_BE_EMPTY:
        return
    expect(values, f"{where} finds nothing: {filled(expression)}")
    expect(any(math.isfinite(value) for value in values), f"{where} finds no finite value, but {values[:5]}: {filled(expression)}")


def check_variable(prometheus, where, definition):
    """label_values(SELECTOR, LABEL), as Grafana asks it."""
    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", definition).groups()
    expect(prometheus.ask(f"label/{label}/values", **{"match[]": filled(selector)}), f"{where} has no values: {definition}")


def check_dashboards(prometheus):
    count = 0
    for file, made in dashboards().items():
        for variable in made["templating"]["list"][1:]:
            check_variable(prometheus, f"{file}, ${variable['name']}", variable["definition"])
        for annotation in made["annotations"]["list"]:
            check_query(prometheus, f"{file}, annotation {annotation['name']}", annotation["expr"])
        for panel in made["panels"]:
            for target in panel.get("targets", []):
                check_query(prometheus, f"{file}, {panel['title']} {target['refId']}", target["expr"])
                count += 1
    return count


def check_rules(prometheus):
    """Each was evaluated without an error; what is recorded is there; what alerts look at is there, although they are silent."""
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            expect(rule["health"] == "ok", f"{rule['name']}: {rule['health']}: {rule.get('lastError')}")
    for name in recorded():
        check_query(prometheus, name, name)
    for name, rule in alerts().items():
        prometheus.query(rule["expr"])  # parses
        for selector in selectors(rule["expr"]):
            check_query(prometheus, f"{name}, {selector}", selector)
    return len(alerts()) + len(recorded())


def firing(prometheus):
    return {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"}


def check_alerts_end_to_end(prometheus, unit):
    """The real thing once: the data plane is held, the alert fires; it goes on, the alert ends."""
    expect("RiskgateWorkerStalled" not in firing(prometheus), "RiskgateWorkerStalled fires while the worker works")
    deadline = time.monotonic() + 120
    os.kill(unit.dataplane.pid, signal.SIGSTOP)
    try:
        while "RiskgateWorkerStalled" not in firing(prometheus):
            expect(time.monotonic() < deadline, "RiskgateWorkerStalled does not fire although the data plane is stopped")
            time.sleep(0.5)
    finally:
        os.kill(unit.dataplane.pid, signal.SIGCONT)
    while "RiskgateWorkerStalled" in firing(prometheus):
        expect(time.monotonic() < deadline, "RiskgateWorkerStalled does not end although the worker works again")
        time.sleep(0.5)


def ask_api(port):
    client = Client(port, token=TOKEN)
    for path in ("/health", "/v1/data/payments/score", "/v1/riskgate/status"):
        client.ask("GET", path)
    client.close()


def body():
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="riskgate-prometheus-") as folder, \
            Appliance(sys.argv[1], bundle=BUNDLES / "payments-1.tar.gz", huge_pages=False,
                      settings={"api": {"listen": f"127.0.0.1:{port}", "anonymous": "none"}}) as unit:
        access = unit.folder / "access"
        access.write_text(f"token prometheus read,decide {TOKEN}\n")
        access.chmod(0o600)
        unit.config["api"]["access_file"] = str(access)
        unit.config_file.write_text(json.dumps(unit.config))
        unit.start()
        unit.wait_for_policy()
        with Prometheus(Path(folder), port) as prometheus:
            prometheus.wait_for("riskgate_dataplane_up == 1")
            load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 5, "--rate", 2000, "--seconds", 600, "--yield",
                             "--quiet")
            try:
                prometheus.wait_for("rate(riskgate_decisions_total[10s]) > 0")
                unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
                ask_api(port)
                prometheus.wait_for(f"count_over_time(riskgate_decisions_total[{SCRAPES}s]) >= {SCRAPES - 1}")
                ask_api(port)
                queries = check_dashboards(prometheus)
                checked = check_rules(prometheus)
            finally:
                load.stop()
            check_alerts_end_to_end(prometheus, unit)
    return f"{queries} queries of panels and {checked} rules find what they ask for; an alert fired and ended"


run(body)
