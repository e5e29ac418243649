#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decision logs beside a real OPA: the same bundle, the same configuration, the same requests over HTTP, the events compared
field by field, masked and dropped by the bundle's own system.log. Then the same decisions in every other place they are kept:
riskctl decisions, the journal, its CSV.

Left out of the comparison: ids and times (their form is checked), the version, the label "node", which is ours.
"""

import csv
import gzip
import http.client
import http.server
import json
import re
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from appliance import Appliance, ROOT, Failure
from server import Client, Opa, Server, expect, run

POLICY = """package t
import rego.v1
default allow := false
allow if input.x == 1
echo := input
secrets := {"secret": "s3cret", "open": [1, {"a": 2.50}]}
quot := 1 / input.z
"""
LOG = """package system.log
import rego.v1
mask contains "/input/card"
mask contains {"op": "remove", "path": "/result/secret"}
mask contains {"op": "upsert", "path": "/input/name", "value": "**"} if input.input.name
mask contains "/input/list/1"
mask contains "/input/list/0/deep" if input.path == "t/echo"
mask contains {"op": "upsert", "path": "/input/made/on/the/way", "value": {"n": [1, null]}} if input.input.make
mask contains {"op": "upsert", "path": "/input", "value": {"all": count(input.input)}} if input.input.all
mask contains "/result" if input.input.no_result
mask contains "not/a/path" if input.input.bad
mask contains {"op": "upsert", "path": "/result/open/0", "value": input.labels.region} if input.path == "t/secrets"
drop := input.input.drop
"""
REQUESTS = [
    ("t/allow", {"x": 1}),
    ("t/allow", {"x": 1.50, "card": {"number": "4111"}, "name": "ann"}),
    ("t/allow", None),
    ("t/echo", {"list": [{"deep": 1, "y": 2}, 2, 3], "card": None}),
    ("t/echo", {"list": [1], "name": ""}),
    ("t/echo", {"list": "text", "make": True}),
    ("t/echo", {"made": {"on": {}}, "make": True}),
    ("t/echo", {"made": "text", "make": True}),
    ("t/echo", {"all": True, "card": 1, "other": [1, 2]}),
    ("t/echo", {"no_result": True, "ünï": "\u00e9\n\"", "big": 12345678901234567890}),
    ("t/echo", [1, 2, 3]),
    ("t/echo", "text"),
    ("t/secrets", {}),
    ("t", {"x": 1}),
    ("t/nowhere", {"x": 1}),
    ("nowhere", {}),
    ("t/quot", {"z": 0}),
    ("t/allow", {"drop": True, "x": 1}),
    ("t/allow", {"drop": "yes", "x": 1}),
]
HEADERS = {"X-Request-Id": "abc-1", "X-Other": "not told"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class LogService(http.server.ThreadingHTTPServer):
    """Takes what is posted to /<who>/logs/desk."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), LogRequest)
        self.lock = threading.Lock()
        self.events = {}    # who: [event]
        self.headers = {}   # who: of the last upload
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # control is killed in the middle of a request

    def wait_for(self, who, ids, seconds=30, repeated=False):
        """Events by decision_id, when all of `ids` are there; repeated: some may have come twice, with one content."""
        deadline = time.monotonic() + seconds
        while True:
            with self.lock:
                events = self.events.get(who, [])
                found = {event["decision_id"]: event for event in events}
                if ids <= found.keys():
                    expect(repeated or len(events) == len(found), f"{who}: an event came twice")
                    expect(all(found[event["decision_id"]] == event for event in events), f"{who}: one id, two events")
                    return found
            if time.monotonic() > deadline:
                raise Failure(f"{who}: {len(ids - found.keys())} of {len(ids)} events are missing after {seconds} s: "
                              f"{ids - found.keys()}")
            time.sleep(0.05)


class LogRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
        who, *path = self.path.strip("/").split("/")
        with self.server.lock:
            if path == ["logs", "desk"]:
                self.server.events.setdefault(who, []).extend(json.loads(gzip.decompress(body)))
                self.server.headers[who] = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding")}
        self.send_response(200 if path == ["logs", "desk"] else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


def make_bundle(folder):
    source = folder / "source"
    source.mkdir()
    (source / "t.rego").write_text(POLICY)
    (source / "log.rego").write_text(LOG)
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    bundle = folder / "policy.tar.gz"
    subprocess.run([opa, "build", "-t", "plan", "-b", ".", "-e", "t", "-e", "system/log", "-o", bundle, "--revision", "r7"],
                   cwd=source, check=True)
    return bundle, source


def settings(service, who):
    return {"services": {"logs": {"url": f"http://127.0.0.1:{service.server_port}/{who}"}},
            "labels": {"region": "eu-1"},
            "decision_logs": {"service": "logs", "partition_name": "desk",
                              "request_context": {"http": {"headers": ["X-Request-Id", "X-Absent"]}},
                              "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 1, "buffer_type": "size",
                                            "buffer_size_limit_bytes": 1000000}}}


def ours(service, who):
    return {**settings(service, who), "templates": [{"template": "NewOrder", "package": "t"}]}


def ask_all(client, requests):
    """[decision_id] in the order of the requests."""
    ids = []
    for path, given in requests:
        body = {} if given is None else {"input": given}
        status, _, answer = client.ask("POST", f"/v1/data/{path}", body, HEADERS)
        expect(status == 200 or "errors" in answer, f"{path}: {status} {answer}")
        expect("decision_id" in answer, f"{path}: no decision_id in {answer}")
        ids.append(answer["decision_id"])
    return ids


def is_dropped(given):
    return isinstance(given, dict) and given.get("drop") is True


def plain(event):
    """An event without what may differ; what is left out must be well-formed."""
    expect(UUID.fullmatch(event["decision_id"]), f"decision_id {event['decision_id']}")
    expect(TIME.fullmatch(event["timestamp"]), f"timestamp {event['timestamp']}")
    expect(re.fullmatch(r"127\.0\.0\.1:\d+", event["requested_by"]), f"requested_by {event['requested_by']}")
    expect(isinstance(event["req_id"], int) and event["req_id"] > 0, f"req_id {event['req_id']}")
    expect(event["metrics"]["timer_server_handler_ns"] > 0, f"metrics {event['metrics']}")
    expect(UUID.fullmatch(event["labels"]["id"]) and event["labels"]["version"], f"labels {event['labels']}")
    kept = {key: value for key, value in event.items() if key not in {"decision_id", "timestamp", "requested_by", "req_id",
                                                                      "metrics"}}
    kept["labels"] = {key: value for key, value in event["labels"].items() if key not in {"id", "version", "node"}}
    kept["bundles"] = sorted(bundle["revision"] for bundle in event["bundles"].values())
    return kept


def compare(mine, theirs, our_ids, their_ids):
    compared = masked = 0
    for (path, given), our_id, their_id in zip(REQUESTS, our_ids, their_ids):
        ours_here, theirs_here = our_id in mine, their_id in theirs
        expect(ours_here == theirs_here, f"{path} {given}: sent by us {ours_here}, by OPA {theirs_here}")
        if not ours_here:
            continue
        own, other = plain(mine[our_id]), plain(theirs[their_id])
        expect(own == other, f"{path} {json.dumps(given)}:\n  we sent  {json.dumps(own, sort_keys=True)}\n"
               f"  OPA sent {json.dumps(other, sort_keys=True)}")
        compared += 1
        masked += "erased" in own or "masked" in own
    expect(masked >= 8, f"only {masked} of {compared} events were masked")
    return compared, masked


def everywhere(server, ids):
    """Each decision is in riskctl decisions, in the journal and in its CSV, under the id that the client was told."""
    unit = server.appliance
    unit.wait_until(lambda status: status["records"]["lag"] == 0, 30, "every record stored")
    decisions = {row["decision_id"]: row for row in unit.riskctl("decisions", "--limit", 1000)["decisions"]}
    command = [unit.program("riskctl"), "--config", unit.config_file]
    cat = subprocess.run([*command, "--json", "journal", "cat"], capture_output=True, text=True, check=True).stdout
    journal = {frame["query"]["decision_id"]: frame for frame in map(json.loads, cat.splitlines()) if "query" in frame}
    export = subprocess.run([*command, "journal", "export", "--format", "csv"], capture_output=True, text=True, check=True).stdout
    rows = {row["decision_id"]: row for row in csv.DictReader(export.splitlines())}
    for (path, given), name in zip(REQUESTS, ids):
        expect(name in decisions and name in journal and name in rows, f"{path} {given}: {name} is missing somewhere")
        for where, got in (("decisions", decisions[name]["path"]), ("journal", journal[name]["query"]["path"]),
                           ("CSV", rows[name]["path"])):
            expect(got == path, f"{where}: {name} is of {got}, not {path}")
        expect(decisions[name].get("request") == given and journal[name]["query"].get("input") == given,
               f"{path}: the input {given} is not what was recorded")
        expect(decisions[name]["revision"] == "r7", f"{name}: revision {decisions[name]['revision']}")
        expect(decisions[name]["headers"] == {"X-Request-Id": ["abc-1"]}, f"{name}: headers {decisions[name].get('headers')}")


def sink(unit):
    return next(sink for sink in unit.riskctl("status")["sinks"] if sink["name"] == "decision_logs")


def refused_masks(server, service):
    """Where the mask is no set of rules, input and result do not leave; the event does."""
    status, _, answer = server.client().ask("POST", "/v1/data/t/echo", {"input": {"bad": True, "card": "4111"}})
    expect(status == 200, f"{status} {answer}")
    event = service.wait_for("riskgate", {answer["decision_id"]})[answer["decision_id"]]
    expect("input" not in event and "result" not in event and event["erased"] == ["/input", "/result"], f"{event}")
    deadline = time.monotonic() + 10  # metrics follow within a moment
    while "riskgate_decision_masks_failed_total 1\n" not in server.client().ask("GET", "/metrics")[2]:
        expect(time.monotonic() < deadline, "the failure is not counted")
        time.sleep(0.1)


def by_sources(build, source, service):
    """A folder of Rego: riskgate plans system.log by itself."""
    given = ours(service, "sources")
    given["decision_logs"]["console"] = True
    with Server(build, bundle=source, settings=given, policy="pretrade") as server:
        server.wait_for_policy()
        ids = ask_all(server.client(), REQUESTS[:4])
        events = service.wait_for("sources", set(ids))
        expect(events[ids[1]]["input"] == {"x": 1.5, "name": "**"} and events[ids[1]]["erased"] == ["/input/card"],
               f"{events[ids[1]]}")
        lines = [json.loads(line) for line in server.appliance.control.text().splitlines() if line.startswith("{")]
        expect({line["decision_id"]: line for line in lines} == events, "standard output has the same events")


class Mortal(Appliance):
    """Its control has failpoints."""

    def program(self, name):
        return self.build / "tests/faults/riskgate-control-failpoints" if name == "riskgate-control" else super().program(name)


def deaths(build, bundle, service):
    """Control is killed at each failpoint of the log and of retention, and each call there that can fail does: no event is
    missing, and those that come again have the same content."""
    given = ours(service, "mortal")
    given["decision_logs"]["reporting"] = {"min_delay_seconds": 0, "max_delay_seconds": 0, "upload_size_limit_bytes": 2000}
    given["journal"] = {"segment_bytes": "64KiB", "retention_bytes": "128KiB", "sync_interval_ms": 5}
    ids = []
    with Server(build, bundle=bundle, settings=given, appliance=Mortal) as server:
        server.wait_for_policy()
        unit = server.appliance
        for armed in ("logs.answered=kill@2", "logs.accepted=kill@3", "logs.committed=kill@3", "retention.removed=kill@2",
                      "logs.checkpoint=error:28@2,retention.remove=error@2"):
            unit.control.kill()
            unit.start_control(env={"RISKGATE_FAILPOINTS": armed})
            client, deadline = server.client(), time.monotonic() + 30
            try:
                server.wait_for_policy()
                while not ("error" in armed and failed(unit)):
                    ids += ask_all(client, [("t/echo", {"number": len(ids), "filler": "x" * 2000})])
                    expect(time.monotonic() < deadline, f"{armed} was not reached")
            except (OSError, http.client.HTTPException):
                # It died, perhaps over records of before; whoever was not answered may or may not be recorded.
                expect("kill" in armed, f"{armed} ended it:\n{unit.control.tail()}")
            if "kill" in armed:
                unit.control.child.wait(30)
        unit.stop()
        unit.start_control()
        events = service.wait_for("mortal", set(ids), repeated=True)
        expect(all(events[name]["input"]["number"] == number for number, name in enumerate(ids)), "an event is of another")
        with sqlite3.connect(f"file:{unit.folder / 'state/decisions.sqlite'}?mode=ro", uri=True) as database:
            stored = {row[0] for row in database.execute("SELECT json_extract(request, '$.decision_id') FROM decisions")}
        expect(set(ids) <= stored, f"{len(set(ids) - stored)} of {len(ids)} decisions are not in SQLite")
        removed = unit.riskctl("status")["journal"]["segments"]
        expect(removed < 20, f"{removed} segments are kept")
    print(f"{len(ids)} decisions, 4 deaths and 2 failures: each event arrived", flush=True)


def failed(unit):
    log = unit.control.text()
    return sink(unit)["failures"] and "removing journal segment" in log


def body(build):
    service = LogService()
    with tempfile.TemporaryDirectory(prefix="riskgate-logs-") as folder:
        bundle, source = make_bundle(Path(folder))
        config = Path(folder) / "opa.json"
        config.write_text(json.dumps(settings(service, "opa")))
        with Server(build, bundle=bundle, settings=ours(service, "riskgate")) as server, \
                Opa(bundle, folder, "--config-file", config, "--log-level", "info") as opa:
            server.wait_for_policy()
            our_ids, their_ids = ask_all(server.client(), REQUESTS), ask_all(Client(opa.port), REQUESTS)
            mine, theirs = (service.wait_for(who, {ids[i] for i, (_, given) in enumerate(REQUESTS) if not is_dropped(given)})
                            for who, ids in (("riskgate", our_ids), ("opa", their_ids)))
            compared, masked = compare(mine, theirs, our_ids, their_ids)
            expect(service.headers["riskgate"] == service.headers["opa"], f"headers {service.headers}")
            everywhere(server, our_ids)
            figures = sink(server.appliance)
            expect(figures["dropped"] == 1 and figures["stored"] == len(mine), f"{figures}")
            refused_masks(server, service)
        by_sources(build, source, service)
        deaths(build, bundle, service)
    print(f"{compared} events compared with OPA's, {masked} of them masked, 1 dropped", flush=True)


run("decision_logs", body)
