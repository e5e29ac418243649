#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies from bundle servers, under load: what is good becomes active, what is not is refused by name.

Two bundles: `rules`, signed, from nginx over TLS with a client certificate; `lists` from a server that misbehaves.
Decisions go on all the time. Then the servers go away and control restarts with what it has on disk.
"""

import io
import json
import shutil
import sys
import tarfile
import time

from appliance import Appliance, Failure
from servers import Nginx, Shaky, find_opa, make_certificates, run

RULES = """package payments

deny contains "TOO_MUCH" if input.amount > data.payments.limit

deny contains "BLOCKED" if input.card_token in data.lists.blocked

allow if count(deny) == 0
"""
TOKEN = "s3cret-token"


def archive(files):
    """The bytes of a tar.gz of {name: text}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def members(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def lists(version, blocked=(1, 2), roots=("lists",)):
    return archive({"lists/data.json": json.dumps({"blocked": list(blocked)}),
                    ".manifest": json.dumps({"revision": f"lists-{version}", "roots": list(roots)})})


class Builder:
    """Bundles built and signed by the real opa."""

    def __init__(self, opa, folder):
        self.opa, self.folder = opa, folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("key", "other"):
            run("openssl", "genrsa", "-out", folder / f"{name}.pem", "2048")
            run("openssl", "rsa", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")

    def build(self, version, rules=RULES, scope="write", key="key", signed=True):
        source = self.folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        (source / "payments.rego").write_text(rules)
        (source / "data.json").write_text(json.dumps({"payments": {"limit": 100 + version}}))
        (source / ".manifest").write_text(json.dumps(
            {"roots": ["payments"], "metadata": {"riskgate_version": version}}))
        (self.folder / "claims.json").write_text(json.dumps({"scope": scope}))
        signing = ["--signing-key", self.folder / f"{key}.pem", "--signing-alg", "RS256",
                   "--claims-file", self.folder / "claims.json"] if signed else []
        run(self.opa, "build", "--bundle", ".", "--target", "plan", "--entrypoint", "payments/deny",
            "--entrypoint", "payments/allow", "--revision", f"rules-{version}", "--output",
            self.folder / "bundle.tar.gz", *signing, cwd=source)
        return (self.folder / "bundle.tar.gz").read_bytes()


class Checks:
    def __init__(self, unit, www, shaky):
        self.unit, self.www, self.shaky = unit, www, shaky

    def put_rules(self, content):
        fresh = self.www / "rules.new"
        fresh.write_bytes(content)
        fresh.rename(self.www / "rules.tar.gz")

    def status(self):
        return self.unit.riskctl("status")

    def refused(self, bundle, words, what):
        """The bundle's last error says the words, and the policy in use is the one it was."""
        before = self.status()["policy"]["sequence"]
        status = self.unit.wait_until(
            lambda status: all(word in status["bundles"][bundle].get("last_error", "") for word in words), 30,
            f"{what} refused with {words}")
        if status["policy"]["sequence"] != before:
            raise Failure(f"{what}: the policy changed: {status['policy']}")
        print(f"refused {what}: {status['bundles'][bundle]['last_error'][:150]}", flush=True)

    def active(self, bundle, revision, what):
        self.unit.wait_until(lambda status: status["bundles"][bundle].get("active_revision") == revision and
                             "last_error" not in status["bundles"][bundle], 30, f"{what}: {bundle} {revision}")


def configuration(folder, nginx, shaky, certificates):
    polling = {"min_delay_seconds": 0.1, "max_delay_seconds": 0.3}
    return {
        "services": {
            "acme": {"url": nginx.url, "tls": {"ca_cert": f"{certificates}/ca.pem"},
                     "credentials": {"client_tls": {"cert": f"{certificates}/client.pem",
                                                    "private_key": f"{certificates}/client.key"}}},
            "shaky": {"url": shaky.url, "response_header_timeout_seconds": 1,
                      "credentials": {"bearer": {"token": "${RISKGATE_TEST_TOKEN}"}}}},
        "keys": {"global": {"key": f"{folder}/signing/key.pub", "algorithm": "RS256", "scope": "write"}},
        "bundles": {
            "rules": {"service": "acme", "resource": "rules.tar.gz", "polling": polling,
                      "signing": {"keyid": "global"}, "size_limit_bytes": 100000},
            "lists": {"service": "shaky", "size_limit_bytes": 100000,
                      "polling": {**polling, "long_polling_timeout_seconds": 2}}}}


def bad_rules(checks, builder):
    """Each is served by nginx in place of the good one."""
    good = builder.build(2)
    files = members(good)

    def case(what, content, *words):
        checks.put_rules(content)
        checks.refused("rules", words, what)

    case("an unsigned bundle", builder.build(3, signed=False), "no .signatures.json")
    case("a bundle signed with another key", builder.build(3, key="other"), "signature", "not made with the key")
    case("a signature of another scope", builder.build(3, scope="read"), "scope mismatch")
    changed = {**files, "/data.json": b'{"payments":{"limit":1000000}}'}
    case("a file changed after signing", archive(changed), "data.json", "digest mismatch")
    case("a file added after signing", archive({**files, "/more.rego": b"package payments.more"}), "more.rego",
         "not included")
    case("a bundle with a path out of it", archive({**files, "../../etc/evil/data.json": b"{}"}), "leaves the bundle")
    case("a truncated archive", good[:len(good) // 2], "truncated")
    case("an archive that inflates too far", archive({"data.json": bytes(1 << 20)}), "100000 bytes")
    case("a missing built-in", builder.build(4, RULES + 'deny contains "X" if http.send({"url": "http://x"}).body\n'),
         "http.send")
    case("an older version", builder.build(0), "riskgate_version 0", "older")
    checks.put_rules(good)
    checks.active("rules", "rules-2", "the good one again")


def bad_lists(checks):
    shaky = checks.shaky
    for mode, words in (("500", ["500 Internal Server Error"]), ("slow", ["response_header_timeout_seconds"]),
                        ("truncated", ["remaining to read"]), ("empty", ["empty"]), ("bomb", ["larger than 100000 bytes"])):
        shaky.set(mode)
        checks.refused("lists", words, f"an answer that is {mode}")
    shaky.set("good", lists(2, roots=("lists", "payments/limit")))
    checks.refused("lists", ["rules (\"payments\")", "lists (\"payments/limit\")", "overlap"], "overlapping roots")
    shaky.set("good", archive({"other/data.json": "{}", "data.json": '{"payments":{"limit":9}}',
                               ".manifest": '{"roots":["lists"]}'}))
    checks.refused("lists", ["outside the manifest's roots"], "data outside the roots")
    shaky.set("good", lists(3))
    checks.active("lists", "lists-3", "the good one again")


def long_polling(checks):
    """A server that can hold requests is asked seldom and heard at once."""
    shaky = checks.shaky
    shaky.set("long")
    asked = len(shaky.seen)
    checks.unit.wait_until(lambda _: len(shaky.seen) > asked + 1, 30, "two requests of long polling")
    asked = len(shaky.seen)
    time.sleep(2)
    if len(shaky.seen) > asked + 2:  # short polling makes at least six
        raise Failure(f"{len(shaky.seen) - asked} requests in 2 s in spite of long polling")
    shaky.set("long", lists("3b"))
    checks.active("lists", "lists-3b", "long polling")
    shaky.set("good", lists(3))
    checks.refused("lists", ["\"lists-3\" was active before \"lists-3b\""], "a revision of before")


def delta(checks):
    """A delta changes what was there; one that fails changes nothing; a revision of before is refused."""
    shaky = checks.shaky
    manifest = json.dumps({"revision": "lists-4", "roots": ["lists"]})
    shaky.set("good", archive({"patch.json": json.dumps({"data": [
        {"op": "upsert", "path": "/lists/blocked/-", "value": 77},
        {"op": "upsert", "path": "/lists/countries/XX", "value": True}]}), ".manifest": manifest}))
    checks.active("lists", "lists-4", "a delta")
    if checks.status()["bundles"]["lists"]["type"] != "delta":
        raise Failure("the delta is not told as one")
    stored = checks.unit.riskctl("policy", "show")["stored_in"]
    data = json.loads((checks.unit.folder / "state/policies" / stored.split("/")[-1] / "data.json").read_text())
    if data["lists"] != {"blocked": [1, 2, 77], "countries": {"XX": True}}:
        raise Failure(f"the delta gave {data}")
    shaky.set("good", archive({"patch.json": json.dumps({"data": [
        {"op": "upsert", "path": "/lists/blocked/-", "value": 78},
        {"op": "remove", "path": "/lists/nothing"}]})}))
    checks.refused("lists", ["change 2", "/lists/nothing"], "a delta that does not apply")
    shaky.set("good", lists(3))
    checks.refused("lists", ["\"lists-3\" was active before \"lists-4\"", "older"], "a revision of before a delta")


def servers_away(checks, nginx, shaky):
    """Control restarts without servers and keeps the policy; then asks with the ETag it kept."""
    unit = checks.unit
    shaky.set("500")
    nginx.stop()
    before = checks.status()
    unit.control.stop()
    unit.start_control(env={"RISKGATE_TEST_TOKEN": TOKEN})
    status = unit.wait_until(lambda status: "onnect" in status["bundles"]["rules"].get("last_error", ""), 30,
                             "the server is away")
    for key in ("sequence", "revision"):
        if status["policy"][key] != before["policy"][key]:
            raise Failure(f"the restart changed the policy: {before['policy']} {status['policy']}")
    for bundle in ("rules", "lists"):
        if status["bundles"][bundle]["active_revision"] != before["bundles"][bundle]["active_revision"]:
            raise Failure(f"the restart forgot {bundle}: {status['bundles']}")
    nginx.start()
    checks.active("rules", "rules-2", "the server is back")
    if " 304 " not in nginx.requests()[-1]:
        raise Failure(f"after the restart the ETag was not sent: {nginx.requests()[-1]}")
    if unit.riskctl("status")["policy"]["sequence"] != before["policy"]["sequence"]:
        raise Failure("what did not change was activated again")


def counted(unit):
    """The region tells of requests and refusals, and its error log has their texts."""
    region = json.dumps(unit.riskctl("region", "--all"))
    for word in ("bundle_requests", "bundles_refused", "bundle_stale", "service shaky"):
        if word not in region:
            raise Failure(f"riskctl region does not show {word}")


def lost_policies(checks, nginx):
    """Region and stored policies are gone, the servers away: the bundles on disk become the policy."""
    unit = checks.unit
    nginx.stop()
    unit.control.stop()
    unit.dataplane.stop()
    shutil.rmtree(unit.region)
    shutil.rmtree(unit.folder / "state/policies")
    unit.start_dataplane()
    unit.start_control(env={"RISKGATE_TEST_TOKEN": TOKEN})
    status = unit.wait_until(lambda status: status["policy"]["sequence"], 30, "the bundles on disk")
    if status["policy"]["revision"] != "rules=rules-2,lists=lists-4":
        raise Failure(f"the bundles on disk gave {status['policy']}")


def main(build):
    opa = find_opa()
    if not opa:
        print("no opa: skipped")
        return 77
    unit = Appliance(build, policy="payments", huge_pages=False)
    folder = unit.folder
    certificates = make_certificates(folder / "tls")
    builder = Builder(opa, folder / "signing")
    www = folder / "www"
    www.mkdir()
    nginx = Nginx(folder / "nginx", f"root {www};", tls=certificates)
    shaky = Shaky(TOKEN, lists(1))
    unit.config.update(configuration(folder, nginx, shaky, certificates))
    unit.config_file.write_text(json.dumps(unit.config, indent=2))
    checks = Checks(unit, www, shaky)
    try:
        with unit:
            unit.start_dataplane()
            unit.start_control(env={"RISKGATE_TEST_TOKEN": TOKEN})
            unit.wait_until(lambda status: status["bundles"]["lists"]["state"] == "ready", 30, "lists are there")
            if unit.riskctl("status")["policy"]["sequence"]:
                raise Failure("a policy was activated although one of its bundles is missing")
            checks.put_rules(builder.build(1))
            nginx.start()
            checks.active("rules", "rules-1", "the first set")
            checks.active("lists", "lists-1", "the first set")
            load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 3, "--rate", 2000,
                             "--seconds", 120, "--yield")
            time.sleep(0.5)
            bad_rules(checks, builder)
            bad_lists(checks)
            long_polling(checks)
            delta(checks)
            servers_away(checks, nginx, shaky)
            load.child.send_signal(2)
            figures = unit.finish_load(load)
            if figures["lost"] or len(figures["sequences"]) < 3:
                raise Failure(f"lost {figures['lost']}, decisions under {figures['sequences']}")
            counted(unit)
            lost_policies(checks, nginx)
            print(f"{figures['answered']} decisions, none lost", flush=True)
    finally:
        nginx.stop()
        shaky.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except Failure as failure:
        print(f"sync: {failure}", file=sys.stderr)
        sys.exit(1)
