#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/v1/riskgate with a data plane: the same answers as riskctl, the same verdicts as on the wire, pushes, four eyes.

What the data plane decided for generated requests is read back over HTTP, and each request is decided again over
HTTP: verdict, status, score and reasons must be the same.
"""

import json
import os
import time

from appliance import Appliance, ROOT
from server import Client, expect, free_port, run

BUNDLES = ROOT / "examples/policies/payments/bundles"
TOKENS = {"ann": "ann-s-token-0123456789", "bob": "bob-s-token-0123456789", "desk": "the-desk-s-token-01234"}
SMALL = {"dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 200}, "region": {"ring_bytes": "1MiB"}}
MOVING = {"uptime_s", "age_s", "heartbeat_ns", "syncs", "sync_ns_max", "allocated_bytes", "resident_bytes", "lag",
          "durable_frames", "latency_ns", "staged_bytes", "state", "records_per_s"}


def start(build, bundle, **settings):
    port = free_port()
    unit = Appliance(build, bundle=bundle, huge_pages=False,
                     settings={**SMALL, "api": {"listen": f"127.0.0.1:{port}", "anonymous": "admin"}, **settings})
    unit.port = port
    return unit


def get(client, path):
    status, _, answer = client.ask("GET", path)
    expect(status == 200 and answer.pop("ok"), f"GET {path}: {status} {answer}")
    return answer


def post(client, path, body=None, wanted=200):
    status, _, answer = client.ask("POST", path, body)
    expect(status == wanted, f"POST {path}: {status}, not {wanted}: {answer}")
    return answer


def still(value):
    """Without what moves between two looks."""
    if isinstance(value, dict):
        return {key: still(inner) for key, inner in value.items() if key not in MOVING and key != "ok"}
    if isinstance(value, list):
        return [still(inner) for inner in value]
    return value


def wait_until_stored(client):
    deadline = time.monotonic() + 60
    while True:
        records = get(client, "/v1/riskgate/status")["records"]
        if records["stored"] == records["journaled"]:
            return
        expect(time.monotonic() < deadline, f"not all that is journaled is stored within 60 s: {records}")
        time.sleep(0.05)


def check_same_as_riskctl(unit, client):
    wait_until_stored(client)
    for path, *words in (("status", "status"), ("reasons", "reasons"), ("versions", "policy", "list"),
                         ("versions/1", "policy", "show", "1"), ("history?limit=100", "policy", "history", "--limit", 100),
                         ("versions/2/diff?from=1", "policy", "diff", 1, 2), ("decisions?limit=3", "decisions", "--limit", 3),
                         ("decisions?limit=2&verdict=DENY", "decisions", "--limit", 2, "--verdict", "DENY")):
        over_http, of_riskctl = still(get(client, f"/v1/riskgate/{path}")), still(unit.riskctl(*words))
        expect(over_http == of_riskctl, f"{path}:\n  HTTP    {over_http}\n  riskctl {of_riskctl}")
    newest = get(client, "/v1/riskgate/decisions?limit=1")["decisions"][0]
    found = get(client, f"/v1/riskgate/decisions?request_id={newest['request_id']}")["decisions"]
    expect(newest in found, "a search by request_id")
    before = get(client, f"/v1/riskgate/decisions?before={newest['receive_time_ns']}&limit=5")["decisions"]
    expect(before and all(row["receive_time_ns"] < newest["receive_time_ns"] for row in before), "a search by time")


def check_verdicts(unit, client):
    load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 7, "--rate", 300, "--seconds", 3, "--yield",
                     "--quiet")
    sent = unit.finish_load(load)["answered"]
    unit.wait_until_stored(sent)
    rows = get(client, "/v1/riskgate/decisions?limit=600")["decisions"]
    rows = [row for row in rows if row["template"] == "PaymentAuthorization"]
    verdicts = set()
    expect(len(rows) > 300, f"{len(rows)} decisions to compare")
    for row in rows:
        answer = post(client, "/v1/riskgate/decide/PaymentAuthorization", row["request"])
        for key in ("verdict", "status", "score", "reasons", "reasons_fired", "request_id", "policy_sequence", "revision"):
            expect(answer[key] == row[key], f"{key} of {row['request']}: {answer[key]} over HTTP, {row[key]} on the wire")
        verdicts.add(row["verdict"])
    expect(len(verdicts) > 1, f"only {verdicts}: nothing is compared")
    answer = post(client, "/v1/riskgate/decide/NewOrder",
                  json.loads((ROOT / "examples/policies/pretrade/requests/allow-limit-order.json").read_text()))
    expect((answer["status"], answer["verdict"]) == ("NO_POLICY", "DENY"), f"a template that no policy is bound to: {answer}")
    for template, body, wanted in (("Nope", {}, 404), ("Decision", {}, 404), ("PaymentAuthorization", {"amount": "much"}, 400),
                                   ("PaymentAuthorization", {"no_such_field": 1}, 400), ("PaymentAuthorization", "{", 400),
                                   ("PaymentAuthorization", "", 400)):
        post(client, f"/v1/riskgate/decide/{template}", body, wanted)
    return len(rows)


def check_recorded(unit, client):
    answer = post(client, "/v1/riskgate/decide/PaymentAuthorization",
                  json.loads((ROOT / "examples/policies/payments/requests/deny-blocked-card.json").read_text()))
    expect(answer["verdict"] == "DENY" and "blocked_card" in answer["reasons"], f"a blocked card: {answer}")
    journal = unit.folder / "state/journal"
    written = b"".join(path.read_bytes() for path in sorted(journal.glob("*")) if path.is_file())
    expect(answer["decision_id"].encode() in written, "the decision is in the journal when it is answered")


def check_templates(unit, client):
    answer = get(client, "/v1/riskgate/templates")
    named = {template["name"]: template for template in answer["templates"]}
    expect("Decision" not in named and named["PaymentAuthorization"]["package"] == "payments", "templates")
    expect(named["NewOrder"]["package"] is None, "a template without a package")
    fields = {field["path"]: field for field in named["PaymentAuthorization"]["fields"]}
    expect(fields["request_id"] == {"path": "request_id", "id": 1, "type": "integer", "offset": 0, "bytes": 8, "signed": False,
                                    "optional": False, "constant": False, "since_version": 0}, f"{fields['request_id']}")
    expect(fields["amount"]["type"] == "decimal" and fields["amount"]["exponent"] == -2, "amount is a decimal")
    expect(any(field["type"] == "enum" and field["names"] for field in fields.values()), "enums have names")


def check_pushes(unit, client):
    bundle = (BUNDLES / "payments-2.tar.gz").read_bytes()
    answer = post(client, "/v1/riskgate/policy?dry_run&name=payments-2", bundle)
    expect(answer["state"] == "dry_run" and answer["difference"]["rules"]["changed"], f"a dry run: {answer}")
    expect(get(client, "/v1/riskgate/versions")["current"] == 1, "a dry run changes nothing")
    answer = post(client, "/v1/riskgate/policy?name=payments-2&reason=limits%20for%20May", bundle)
    expect((answer["state"], answer["sequence"], answer["bundle"]) == ("active", 2, "payments-2"), f"a push: {answer}")
    stored = get(client, "/v1/riskgate/versions/2")["policy"]
    expect((stored["user"], stored["reason"]) == ("anonymous", "limits for May"), f"who and why: {stored}")
    for query, body, wanted in (("", b"junk", 400), ("", b"", 400), ("?name=../x", bundle, 400), ("?nme=x", bundle, 400),
                                ("?name=.x", bundle, 400), ("?wait_ms=soon", bundle, 400)):
        post(client, f"/v1/riskgate/policy{query}", body, wanted)
    rego = b"package payments\nimport rego.v1\ndeny contains \"always\" if true\n"
    answer = post(client, "/v1/riskgate/policy?name=always.rego", rego)
    expect(answer["state"] == "active", f"Rego is built: {answer}")
    denied = post(client, "/v1/riskgate/decide/PaymentAuthorization",
                  json.loads((ROOT / "examples/policies/payments/requests/allow-groceries.json").read_text()))
    expect((denied["verdict"], denied["reasons"]) == ("DENY", ["always"]), f"the pushed rule decides: {denied}")
    answer = post(client, "/v1/riskgate/versions/2/rollback?reason=too%20strict")
    expect(answer["state"] == "active" and answer["rollback_of"] == 2, f"a rollback: {answer}")
    post(client, "/v1/riskgate/versions/77/rollback", None, 404)
    post(client, "/v1/riskgate/versions/2/approve", None, 404)
    expect(not os.listdir(unit.folder / "state/uploads"), "nothing is left of uploads")
    answer = get(client, "/v1/riskgate/journal?verify")
    expect(answer["verify"]["ok"] and answer["journal"]["segments"] >= 1, f"journal: {answer}")


def check_four_eyes(build):
    unit = start(build, BUNDLES / "payments-1.tar.gz", four_eyes={"enabled": True})
    access = unit.folder / "access"
    access.write_text("".join(f"token {name} {'admin' if name != 'desk' else 'read'} {secret}\n" for name, secret in TOKENS.items()))
    access.chmod(0o600)
    unit.config["api"]["access_file"] = str(access)
    unit.config["journal"] = {"chain": True}
    unit.config_file.write_text(json.dumps(unit.config))
    bundle = (BUNDLES / "payments-2.tar.gz").read_bytes()
    with unit:
        unit.start()
        unit.wait_for_policy()
        nobody, ann, bob, desk = (Client(unit.port, token=token) for token in (None, TOKENS["ann"], TOKENS["bob"], TOKENS["desk"]))
        answer = post(nobody, "/v1/riskgate/policy", bundle, 400)
        expect("identity" in answer["message"], f"a push without identity: {answer}")
        post(desk, "/v1/riskgate/policy", bundle, 403)
        answer = post(ann, "/v1/riskgate/policy?name=payments-2", bundle)
        expect(answer["state"] == "waiting", f"a push waits: {answer}")
        sequence = answer["sequence"]
        expect(get(ann, f"/v1/riskgate/versions/{sequence}")["policy"]["user"] == "ann", "who pushed")
        expect("identity" in post(nobody, f"/v1/riskgate/versions/{sequence}/approve", None, 400)["message"], "nobody approves")
        expect("second identity" in post(ann, f"/v1/riskgate/versions/{sequence}/approve", None, 409)["message"], "not twice")
        post(desk, f"/v1/riskgate/versions/{sequence}/approve", None, 403)
        answer = post(bob, f"/v1/riskgate/versions/{sequence}/approve?reason=seen")
        expect(answer["state"] == "active", f"approved: {answer}")
        events = [(event["event"], event["user"]) for event in get(ann, "/v1/riskgate/history")["events"]]
        expect(("approved", "bob") in events and ("waiting", "ann") in events, f"history: {events}")
        waiting = post(bob, "/v1/riskgate/policy?name=payments-1", (BUNDLES / "payments-1.tar.gz").read_bytes())["sequence"]
        answer = post(ann, f"/v1/riskgate/versions/{waiting}/reject?reason=no")
        expect(answer["state"] == "rejected", f"rejected: {answer}")
        post(ann, f"/v1/riskgate/versions/{waiting}/approve", None, 404)
        # a push of the unix socket is approved over HTTP, and the other way
        waiting = unit.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz")["sequence"]
        expect(post(ann, f"/v1/riskgate/versions/{waiting}/approve")["state"] == "active", "over HTTP")
        waiting = post(ann, "/v1/riskgate/policy?name=payments-2", bundle)["sequence"]
        expect(unit.riskctl("policy", "approve", waiting)["state"] == "active", "over the unix socket")
        verify = get(ann, "/v1/riskgate/journal?verify")["verify"]
        head = unit.riskctl("journal", "head")
        expect(verify["chained"] and len(verify["head"]["link"]) == 64 and verify["head"]["index"] <= head["index"],
               f"the head of the chain: {verify}, {head}")


def body(build):
    unit = start(build, BUNDLES / "payments-1.tar.gz")
    with unit:
        unit.start()
        unit.wait_for_policy()
        client = Client(unit.port)
        check_templates(unit, client)
        check_recorded(unit, client)
        compared = check_verdicts(unit, client)
        check_pushes(unit, client)
        check_same_as_riskctl(unit, client)
    check_four_eyes(build)
    print(f"{compared} decisions of the data plane, the same over HTTP")


run("commands", body)
