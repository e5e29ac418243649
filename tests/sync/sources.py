#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies from a running OPA behind a proxy, from folders, and pushed by hand.

What changes there is the policy soon after; pushes are held against signatures and versions.
"""

import json
import os
import sys
import time
import urllib.request

from appliance import Appliance, Failure
from servers import Nginx, Opa, find_opa, make_certificates
from sync import RULES, Builder

POLICY = """package payments

deny contains "TOO_MUCH" if input.amount > data.payments.limits.amount

deny contains "OTHER" if input.amount == {number}

allow if count(deny) == 0
"""


def put(url, body, kind):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind}, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        if answer.status not in (200, 204):
            raise Failure(f"{url}: {answer.status}")


def stored(unit):
    """Data of the policy in use."""
    path = unit.riskctl("policy", "show")["stored_in"]
    with open(os.path.join(path, "data.json"), encoding="utf-8") as file:
        return json.load(file)


def sequence_after(unit, sequence, what):
    return unit.wait_until(lambda status: status["policy"]["sequence"] > sequence, 60, what)["policy"]["sequence"]


def from_opa(build, program):
    unit = Appliance(build, policy="payments", huge_pages=False)
    opa = Opa(program, unit.folder / "opa")
    proxy = Nginx(unit.folder / "nginx", f"proxy_pass {opa.url};")
    unit.config.update({
        "services": {"opa": {"url": proxy.url}},
        "bundles": {"live": {"service": "opa", "source": "opa",
                             "polling": {"min_delay_seconds": 0.1, "max_delay_seconds": 0.2}}}})
    unit.config["control"]["opa"] = program
    unit.config_file.write_text(json.dumps(unit.config, indent=2))
    try:
        with unit:
            opa.start()
            proxy.start()
            put(f"{opa.url}/v1/policies/payments", POLICY.format(number=1), "text/plain")
            put(f"{opa.url}/v1/data/payments/limits", '{"amount": 500}', "application/json")
            unit.start()
            unit.wait_for_policy()
            if stored(unit) != {"payments": {"limits": {"amount": 500}}}:
                raise Failure(f"of OPA's data came {stored(unit)}")
            time.sleep(1)  # several polls
            sequence = unit.riskctl("status")["policy"]["sequence"]
            if sequence != 1:
                raise Failure(f"without a change the policy became {sequence}")
            put(f"{opa.url}/v1/data/payments/limits/amount", "700", "application/json")
            sequence = sequence_after(unit, sequence, "OPA's data changed")
            if stored(unit)["payments"]["limits"]["amount"] != 700:
                raise Failure(f"of OPA's data came {stored(unit)}")
            put(f"{opa.url}/v1/policies/payments", POLICY.format(number=2), "text/plain")
            sequence = sequence_after(unit, sequence, "OPA's policy changed")
            put(f"{opa.url}/v1/policies/payments", POLICY.format(number=2) +
                'deny contains "X" if http.send({"url": "http://x"}).body\n', "text/plain")
            status = unit.wait_until(lambda status: "http.send" in status["bundles"]["live"].get("last_error", ""), 60,
                                     "a built-in that is missing is refused")
            if status["policy"]["sequence"] != sequence:
                raise Failure("a refused policy took the place of the one in use")
            print("from a running OPA: its data, its policy, a refusal", flush=True)
    finally:
        proxy.stop()
        opa.stop()


def swap(mount, files, number):
    """As the kubelet: a new hidden folder, and `..data` swapped over to it."""
    fresh = mount / f"..{number}"
    fresh.mkdir()
    for name, text in files.items():
        (fresh / name).write_text(text)
        link = mount / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    (mount / "..data_tmp").symlink_to(fresh.name)
    (mount / "..data_tmp").rename(mount / "..data")


def from_folders(build, program):
    unit = Appliance(build, policy="payments", huge_pages=False)
    rules, lists = unit.folder / "rules", unit.folder / "lists"
    rules.mkdir()
    lists.mkdir()
    unit.config.update({"bundles": {"rules": {"resource": f"file://{rules}"},
                                    "lists": {"resource": f"file://{lists}"}}})
    unit.config["control"]["opa"] = program
    unit.config_file.write_text(json.dumps(unit.config, indent=2))

    def write_rules(number):
        swap(rules, {"payments.rego": POLICY.format(number=number).replace("data.payments.limits", "data.reference"),
                     ".manifest": '{"roots": ["payments"]}'}, number)

    def write_lists(amount):
        (lists / "new").write_text(json.dumps({"reference": {"amount": amount}}))
        (lists / "new").rename(lists / "data.json")

    (lists / ".manifest").write_text('{"roots": ["reference"]}')
    write_lists(1)
    with unit:
        unit.start()
        time.sleep(0.5)
        if unit.riskctl("status")["policy"]["sequence"]:
            raise Failure("a policy was activated although a bundle is missing")
        write_rules(1)
        sequence = sequence_after(unit, 0, "both folders are there")
        write_rules(2)
        sequence = sequence_after(unit, sequence, "a ConfigMap was swapped")
        began = time.monotonic()
        write_lists(2)
        sequence = sequence_after(unit, sequence, "a file was renamed over")
        print(f"a changed file is the policy after {time.monotonic() - began:.2f} s", flush=True)
        if stored(unit)["reference"] != {"amount": 2}:
            raise Failure(f"of the folder came {stored(unit)}")
        write_lists(1)
        sequence = sequence_after(unit, sequence, "it is again what it was")
        (lists / "data.json").touch()  # no change of content
        (lists / ".manifest").write_text('{"roots": ["payments"]}')
        unit.wait_until(lambda status: "outside the manifest's roots" in
                        status["bundles"]["lists"].get("last_error", ""), 60, "a wrong manifest is refused")
        (lists / ".manifest").write_text('{"roots": ["reference"]}')
        unit.wait_until(lambda status: "last_error" not in status["bundles"]["lists"], 60, "it is right again")
        after = unit.riskctl("status")["policy"]["sequence"]
        if unit.riskctl("policy", "show")["policy"]["sequence"] != sequence or after != sequence:
            raise Failure(f"the same content became policy {after}, was {sequence}")
    print("from folders: a ConfigMap's swap, a rename, a refusal", flush=True)


def pushes(build, program):
    """What is pushed by hand is held against `signing`, and against the version of the policy in use."""
    unit = Appliance(build, policy="payments", huge_pages=False)
    builder = Builder(program, unit.folder / "signing")
    unit.config.update({"keys": {"global": {"key": f"{unit.folder}/signing/key.pub", "scope": "write"}},
                        "signing": {"keyid": "global"}})
    unit.config_file.write_text(json.dumps(unit.config, indent=2))
    bundle = unit.folder / "rules.tar.gz"

    def push(content, *options, refused=None):
        bundle.write_bytes(content)
        answer = unit.riskctl("policy", "push", *options, bundle, check=not refused)
        if refused and refused not in answer["error"]:
            raise Failure(f"the refusal should say {refused}: {answer}")

    rules = RULES.replace("data.lists.blocked", "{1, 2}")
    with unit:
        unit.start()
        push(builder.build(2, rules, signed=False), refused="no .signatures.json")
        push(builder.build(2, rules, key="other"), refused="not made with the key")
        push(builder.build(2, rules))
        older = builder.build(1, rules)
        push(older, refused="riskgate_version 1 is older than that of the policy in use, 2")
        if unit.riskctl("status")["policy"]["revision"] != "rules-2":
            raise Failure("a refused push took the place of the policy in use")
        push(older, "--allow-older")
        if unit.riskctl("status")["policy"]["revision"] != "rules-1":
            raise Failure("--allow-older did not permit it")
        unit.riskctl("policy", "rollback")  # what was in use may always come back
    print("pushes: unsigned, another key, older; allowed to be older", flush=True)


def transport_security(build):
    """A server whose certificate nobody vouches for, one that misses the client's, one that is trusted blindly."""
    unit = Appliance(build, policy="payments", huge_pages=False)
    tls = make_certificates(unit.folder / "tls")
    nginx = Nginx(unit.folder / "nginx", f"root {unit.folder}/empty;", tls=tls)
    client = {"client_tls": {"cert": f"{tls}/client.pem", "private_key": f"{tls}/client.key"}}
    wanted = {"unknown-authority": ({"credentials": client}, "certificate"),
              "no-client-certificate": ({"tls": {"ca_cert": f"{tls}/ca.pem"}}, "400 Bad Request"),
              "insecure": ({"credentials": client, "allow_insecure_tls": True}, "404 Not Found"),
              "good": ({"credentials": client, "tls": {"ca_cert": f"{tls}/ca.pem"}}, "404 Not Found")}
    unit.config.update({
        "services": {name: {"url": nginx.url, **service} for name, (service, _) in wanted.items()},
        "bundles": {name: {"service": name} for name in wanted}})
    unit.config_file.write_text(json.dumps(unit.config, indent=2))
    try:
        with unit:
            nginx.start()
            unit.start_control()
            for name, (_, words) in wanted.items():
                unit.wait_until(lambda status: words in status["bundles"][name].get("last_error", ""), 30,
                                f"{name}: {words}")
    finally:
        nginx.stop()
    print("TLS: an unknown authority and a missing client certificate are refused", flush=True)


def main(build):
    program = find_opa()
    if not program:
        print("no opa: skipped")
        return 77
    transport_security(build)
    from_opa(build, program)
    from_folders(build, program)
    pushes(build, program)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except Failure as failure:
        print(f"sources: {failure}", file=sys.stderr)
        sys.exit(1)
