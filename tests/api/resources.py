#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OPA's policy, config and status API: a real OPA and riskgate-control with the same bundle, and what changes with the policy.

The ids and texts of policies are those of the revision in use, also after a push of another one, a rollback and a
restart. What OPA hides of a configuration is hidden here.
"""

import functools
import http.server
import json
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from appliance import ROOT
from server import Client, Opa, Server, expect, run

BUNDLES = ROOT / "examples/policies/payments/bundles"
SECRETS = ("s3cret-token", "s3cret-key", "s3cret-password")
OF_OPA_ALONE = {"default_authorization_decision"}


def files_of(bundle):
    """Rego file -> text of an archive."""
    with tarfile.open(bundle) as archive:
        return {member.name.lstrip("/"): archive.extractfile(member).read().decode()
                for member in archive if member.name.endswith(".rego")}


def policies(client):
    status, _, answer = client.ask("GET", "/v1/policies")
    expect(status == 200, f"GET /v1/policies: {status} {answer}")
    return {policy["id"]: policy["raw"] for policy in answer["result"]}


def expect_revision(client, name, bundle):
    wanted = {f"{name}/{path}": text for path, text in files_of(bundle).items()}
    got = policies(client)
    expect(got == wanted, f"policies are {sorted(got)}, not {sorted(wanted)}, or their text differs")
    for identity, text in wanted.items():
        for path in (identity, urllib.parse.quote(identity, safe="")):
            status, _, answer = client.ask("GET", f"/v1/policies/{path}")
            expect(status == 200 and answer == {"result": {"id": identity, "raw": text}}, f"/v1/policies/{path}: {status}")


def check_against_opa(build, folder):
    bundle = BUNDLES / "payments-2.tar.gz"
    with Opa(bundle, folder) as opa, Server(build, bundle=bundle) as server:
        server.wait_for_policy()
        theirs, ours = Client(opa.port), server.client()
        with_ast = theirs.ask("GET", "/v1/policies")[2]["result"]
        expect(len(with_ast) == 1 and len(policies(ours)) == 1, "one Rego file")
        expect(with_ast[0]["raw"] in policies(ours).values(), "the raw text is OPA's")
        id_of_theirs, id_of_ours = with_ast[0]["id"], next(iter(policies(ours)))
        expect(id_of_theirs.rsplit("/", 1)[1] == id_of_ours.rsplit("/", 1)[1], f"{id_of_ours}, OPA {id_of_theirs}")
        escaped = urllib.parse.quote(id_of_theirs, safe="")
        for method, left, right in (("GET", "nowhere", "nowhere"), ("GET", "a/b%2Fc", "a/b%2Fc"), ("DELETE", "nowhere", "nowhere"),
                                    ("PUT", escaped, id_of_ours), ("DELETE", escaped, id_of_ours)):
            body = "package payments\n" if method == "PUT" else None
            expected, got = theirs.ask(method, f"/v1/policies/{left}", body), ours.ask(method, f"/v1/policies/{right}", body)
            expect(got[0] == expected[0] and got[2]["code"] == expected[2]["code"],
                   f"{method} /v1/policies/{right}: {got[0]} {got[2]}, OPA {expected[0]} {expected[2]}")
            if expected[0] == 404:
                expect(got[2] == expected[2], f"{method} {right}: {got[2]}, OPA {expected[2]}")
        for method in ("POST", "PATCH"):
            for path in ("/v1/policies", "/v1/config", "/v1/status"):
                expect(ours.ask(method, path)[0] == theirs.ask(method, path)[0] == 405, f"{method} {path}")
        expect(ours.ask("GET", "/v1/policies/")[0] == 200, "a slash at the end")


def check_changes(build):
    with Server(build, bundle=BUNDLES / "payments-1.tar.gz") as server:
        server.wait_for_policy()
        client, riskctl = server.client(), server.appliance.riskctl
        expect_revision(client, "payments-1", BUNDLES / "payments-1.tar.gz")
        riskctl("policy", "push", BUNDLES / "payments-2.tar.gz", "--wait", "0")
        server.wait_for_revision("payments-2")
        expect_revision(client, "payments-2", BUNDLES / "payments-2.tar.gz")
        riskctl("policy", "rollback", "1", "--wait", "0")
        server.wait_for_revision("payments-1")
        expect_revision(client, "payments-1", BUNDLES / "payments-1.tar.gz")
        client.close()
        server.appliance.control.stop()
        server.appliance.start_control()
        server.wait_for_policy()
        expect_revision(server.client(), "payments-1", BUNDLES / "payments-1.tar.gz")
    with Server(build) as server:
        expect(policies(server.client()) == {}, "without a policy there is no text")
        expect(server.client().ask("GET", "/v1/status")[2]["result"]["plugins"]["bundle"]["state"] == "NOT_READY", "state")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def settings_of(port, folder):
    return {
        "services": {"acme": {"url": f"http://127.0.0.1:{port}", "headers": {"X-Desk": "7"},
                              "credentials": {"bearer": {"token": "s3cret-token"}}},
                     "other": {"url": f"http://127.0.0.1:{port}/other",
                               "credentials": {"basic": {"username": "u", "password": "s3cret-password"}}}},
        "keys": {"global": {"key": "s3cret-key", "algorithm": "HS256", "scope": "write"}},
        "labels": {"region": "eu"},
        "bundles": {"payments": {"service": "acme", "resource": "payments-2.tar.gz",
                                 "polling": {"min_delay_seconds": 1, "max_delay_seconds": 2}},
                    "gone": {"service": "other", "resource": "nowhere.tar.gz",
                             "polling": {"min_delay_seconds": 1, "max_delay_seconds": 2}}},
    }


def is_covered(theirs, ours, where=""):
    """Everything that OPA's answer has, ours has with the same value."""
    if isinstance(theirs, dict):
        expect(isinstance(ours, dict), f"{where} is no object")
        for key, value in theirs.items():
            expect(key in ours, f"{where}/{key} is missing")
            is_covered(value, ours[key], f"{where}/{key}")
    else:
        expect(ours == theirs, f"{where}: {ours!r}, OPA {theirs!r}")


def wait_for_status(client, ready, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        status, _, answer = client.ask("GET", "/v1/status")
        if status == 200 and ready(answer["result"]):
            return answer["result"]
        expect(time.monotonic() < deadline, f"/v1/status: {status} {json.dumps(answer)[:2000]}")
        time.sleep(0.2)


def check_config_and_status(build, folder):
    handler = functools.partial(Quiet, directory=BUNDLES)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as source:
        threading.Thread(target=source.serve_forever, daemon=True).start()
        settings = settings_of(source.server_port, folder)
        config = Path(folder) / "opa.json"
        config.write_text(json.dumps({**settings, "status": {"console": False}}))
        with Opa(None, folder, "--config-file", config, ready=False) as opa, Server(build, settings=settings) as server:
            theirs, ours = Client(opa.port), server.client()
            expected, got = theirs.ask("GET", "/v1/config"), ours.ask("GET", "/v1/config")
            expect(expected[0] == got[0] == 200, f"/v1/config: {got}")
            for secret in SECRETS:
                expect(secret not in json.dumps(got[2]), f"/v1/config shows {secret}")
                expect(secret not in json.dumps(expected[2]), f"OPA's /v1/config shows {secret}")
            wanted = {key: value for key, value in expected[2]["result"].items()
                      if key not in OF_OPA_ALONE | {"labels", "status"}}
            is_covered(wanted, got[2]["result"])
            expect(set(got[2]["result"]["labels"]) >= set(expected[2]["result"]["labels"]), "labels")
            for service in got[2]["result"]["services"].values():
                expect("credentials" not in service, "credentials")
            for key in got[2]["result"]["keys"].values():
                expect(set(key) == {"algorithm", "scope"}, f"key {key}")

            def both_asked(result):
                bundles = result["bundles"]
                return bundles["gone"].get("code") == "bundle_error" and not bundles["payments"]["last_successful_download"].startswith("0001-")

            left, right = wait_for_status(theirs, both_asked), wait_for_status(ours, both_asked)
            expect(right["labels"]["region"] == "eu", "labels")
            for name in ("payments", "gone"):
                unset = {key for key, value in left["bundles"][name].items() if value == "0001-01-01T00:00:00Z"}
                # a set is activated as a whole: without `gone` nothing is
                missing = set(left["bundles"][name]) - set(right["bundles"][name]) - unset - {
                    "metrics", "active_revision", "last_successful_activation", "type", "size"}
                expect(not missing, f"/v1/status: {name} lacks {missing}: {right['bundles'][name]}")
            expect(right["bundles"]["gone"]["http_code"] == left["bundles"]["gone"]["http_code"] == 404, "http_code")
            source.shutdown()
    with Server(build, bundle=BUNDLES / "payments-2.tar.gz") as server:
        server.wait_for_policy()
        result = server.client().ask("GET", "/v1/status")[2]["result"]
        expect(result["bundles"]["payments-2"]["active_revision"] == "payments-2", "a pushed policy is a bundle")
        expect(result["plugins"]["bundle"] == {"state": "OK"}, "plugins")


def body(build):
    with tempfile.TemporaryDirectory(prefix="riskgate-") as folder:
        check_against_opa(build, folder)
        check_changes(build)
        check_config_and_status(build, folder)


run("resources", body)
