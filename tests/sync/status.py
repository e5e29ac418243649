#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Status reports beside a real OPA: both have the same bundle server, log service and status service, and each change must
make a report of the same form: the bundle is active, nothing is new, the server has lost it, the log service fails, all is well
again. Then the status service itself is away, and reports arrive again when it is back.
"""

import http.server
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from appliance import ROOT, Failure
from server import Client, Opa, Server, expect, run

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class Services(http.server.ThreadingHTTPServer):
    """/bundles/t.tar.gz, /<who>/logs and /<who>/status/desk. `lost`: no bundle; `log_code`, `status_code`: the answers."""
    daemon_threads = True

    def __init__(self, bundle):
        super().__init__(("127.0.0.1", 0), Request)
        self.bundle, self.lost, self.log_code, self.status_code = bundle, False, 200, 200
        self.lock, self.reports = threading.Lock(), {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_for(self, who, condition, what, seconds=40):
        """The newest report that meets the condition, of those that come from now on."""
        deadline = time.monotonic() + seconds
        with self.lock:
            seen = len(self.reports.setdefault(who, []))
        while time.monotonic() < deadline:
            with self.lock:
                for report in reversed(self.reports[who][max(seen - 1, 0):]):
                    if condition(report):
                        return report
            time.sleep(0.05)
        with self.lock:
            last = self.reports[who][-1:]
        for report in last:
            report.pop("metrics", None)
        raise Failure(f"{who}: no report within {seconds} s in which {what}; the last one: {json.dumps(last)}")


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.server.lost or not self.path.endswith("/bundles/t.tar.gz"):
            self.answer(404)
        elif self.headers["If-None-Match"] == '"1"':
            self.answer(304, ETag='"1"')
        else:
            self.answer(200, self.server.bundle.read_bytes(), ETag='"1"', Content_Type="application/gzip")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _, who, *path = self.path.split("/")
        if path == ["logs"]:
            self.answer(self.server.log_code)
            return
        if path != ["status", "desk"]:
            self.answer(404)
            return
        code = self.server.status_code
        if code == 200:
            with self.server.lock:
                self.server.reports.setdefault(who, []).append(json.loads(body))
        self.answer(code)

    def log_message(self, *_):
        pass


def settings(services, who):
    return {"services": {"acme": {"url": f"http://127.0.0.1:{services.server_port}/{who}"}},
            "labels": {"region": "eu-1"},
            "bundles": {"main": {"service": "acme", "resource": "bundles/t.tar.gz",
                                 "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}},
            "decision_logs": {"service": "acme", "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 1}},
            "status": {"service": "acme", "partition_name": "desk"}}


def make_bundle(folder):
    source = folder / "source"
    source.mkdir()
    (source / "t.rego").write_text("package t\nimport rego.v1\ndefault allow := false\nallow if input.x == 1\n")
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    bundle = folder / "t.tar.gz"
    subprocess.run([opa, "build", "-t", "plan", "-b", ".", "-e", "t/allow", "-o", bundle, "--revision", "r1"], cwd=source,
                   check=True)
    return bundle


def form(value):
    """What a value is, without what it says; texts that a reader compares stay."""
    if isinstance(value, dict):
        return {key: form(inner) for key, inner in value.items() if key not in {"metrics", "discovery", "node"}}
    if isinstance(value, str):
        return "TIME" if TIME.fullmatch(value) else value
    return type(value).__name__


def plain(report):
    """With the wording of messages, ids and versions replaced."""
    report = form(report)
    report["labels"].update(id="ID", version="VERSION")
    for status in (report["bundles"]["main"], report["decision_logs"]):
        if "message" in status:
            status["message"] = "WHY"
    report["decision_logs"].pop("http_code", None)  # OPA's alone
    return report


def ask(*servers):
    for port in servers:
        Client(port).ask("POST", "/v1/data/t/allow", {"input": {"x": 1}})


def main_bundle(report):
    return report.get("bundles", {}).get("main", {})


def body(build):
    with tempfile.TemporaryDirectory(prefix="riskgate-status-") as folder:
        services = Services(make_bundle(Path(folder)))
        config = Path(folder) / "opa.json"
        config.write_text(json.dumps(settings(services, "opa")))
        ours = {**settings(services, "riskgate"), "templates": [{"template": "NewOrder", "package": "t"}]}
        ours["status"]["period_seconds"] = 5
        with Server(build, settings=ours) as server, Opa(None, folder, "--config-file", config) as opa:
            server.appliance.start_dataplane()  # a bundle is active when a data plane decides with it

            def compare(condition, what):
                both = [services.wait_for(who, condition, what) for who in ("riskgate", "opa")]
                mine, theirs = map(plain, both)
                expect(mine == theirs, f"{what}:\n  we report  {json.dumps(mine, sort_keys=True)}\n"
                       f"  OPA reports {json.dumps(theirs, sort_keys=True)}")

            compare(lambda report: main_bundle(report).get("active_revision") == "r1" and "code" not in main_bundle(report)
                    and report["plugins"]["bundle"]["state"] == "OK", "the bundle is active")
            services.lost = True
            compare(lambda report: main_bundle(report).get("http_code") == 404, "the server has lost the bundle")
            services.lost = False
            compare(lambda report: "code" not in main_bundle(report), "the bundle is there again")
            services.log_code = 500
            ask(server.port, opa.port)
            compare(lambda report: report["decision_logs"].get("code") == "decision_log_error", "the log service fails")
            services.log_code = 200
            compare(lambda report: report["decision_logs"] == {}, "the log service works again")
            away(server, services)
    print("5 reports have the form of OPA's", flush=True)


def away(server, services):
    services.status_code = 503
    unit = server.appliance
    unit.wait_until(lambda status: "answered 503" in status["status_reports"].get("last_error", ""), 20, "a report was refused")
    services.status_code = 200
    services.wait_for("riskgate", lambda report: main_bundle(report).get("active_revision") == "r1", "the service is back")
    unit.wait_until(lambda status: "last_error" not in status["status_reports"], 20, "the error is over")
    text = server.client().ask("GET", "/metrics")[2]
    for result in ("sent", "failed"):
        found = re.search(rf'riskgate_status_reports_total{{result="{result}"}} (\d+)', text)
        expect(found and int(found[1]) > 0, f"no reports counted as {result}")


run("status", body)
