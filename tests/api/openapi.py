#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml against a running server, both ways.

Each method of each path in the file is called, with the examples in the file: the status must be one that is
described, and the answer must fit its schema. The same without credentials, and with a token that may do nothing. Each
route that the server knows (GET /v1/riskgate) is in the file, with its parameters and permission, and no other is.
"""

import json
import urllib.parse
import warnings

import yaml

from appliance import ROOT
from server import Server, expect, run

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import jsonschema

BUNDLES = ROOT / "examples/policies/payments/bundles"
TOKENS = {"ann": ("admin", "ann-s-token-0123456789"), "bob": ("admin", "bob-s-token-0123456789"),
          "reader": ("read", "reader-s-token-0123456"), "gateway": ("decide", "gateway-s-token-012345"),
          "nothing": ("none", "nothing-s-token-012345")}
METHODS = ("get", "post", "put", "patch", "delete")
HOLDS = {"none": set(), "read": {"read"}, "decide": {"decide"}, "admin": {"read", "decide", "admin"}}
# What cannot be had by the examples alone: request bodies that are no JSON.
BODIES = {("POST", "/v1/riskgate/policy"): (BUNDLES / "payments-1.tar.gz").read_bytes(),
          ("POST", "/v1/riskgate/decide/{template}"): json.loads(
              (ROOT / "examples/policies/payments/requests/allow-groceries.json").read_text()),
          ("PUT", "/v1/policies/{id}"): b"package payments\n", ("PUT", "/v1/data/{path}"): {"x": 1},
          ("PATCH", "/v1/data/{path}"): [{"op": "add", "path": "x", "value": 1}]}
# Where the example leads to no success.
REFUSED = {("PUT", "/v1/data/{path}"): 400, ("PATCH", "/v1/data/{path}"): 400, ("DELETE", "/v1/data/{path}"): 400,
           ("PUT", "/v1/policies/{id}"): 400, ("DELETE", "/v1/policies/{id}"): 400, ("POST", "/"): 404}


class Description:
    """The file; references are followed."""

    def __init__(self, path):
        self.document = yaml.safe_load(path.read_text())

    def follow(self, part):
        while isinstance(part, dict) and "$ref" in part:
            found = self.document
            for key in part["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            part = found
        return part

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    parameters = [self.follow(parameter) for parameter in item.get("parameters", []) + operation.get("parameters", [])]
                    yield method.upper(), path, operation, parameters

    def check(self, operation, where, status, headers, answer):
        """The answer is one that is described. HTTP's own (405) are not."""
        responses = operation["responses"]
        response = self.follow(responses.get(str(status)) or responses.get("default") or {})
        expect(response, f"{where}: status {status} is not described: {answer}")
        kind = headers["Content-Type"].split(";")[0]
        expect(kind in response["content"], f"{where}: type {kind} is not described for {status}")
        schema = {**response["content"][kind]["schema"], "components": self.document["components"]}
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(answer))
        expect(not errors, f"{where}: {status}: " + "; ".join(
            f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors[:3]))


def check_index(description, client):
    index = client.ask("GET", "/v1/riskgate")[2]["routes"]
    known = {(route["method"], route["path"]): (route["permission"], sorted(route["parameters"])) for route in index}
    expect(len(known) == len(index), "a route is listed twice")
    described = {(method, path): (operation["x-permission"],
                                  sorted(parameter["name"] for parameter in parameters if parameter["in"] == "query"))
                 for method, path, operation, parameters in description.operations()}
    for route in sorted(known.keys() | described.keys()):
        expect(known.get(route) == described.get(route),
               f"{' '.join(route)}: the server says {known.get(route)}, docs/openapi.yaml {described.get(route)}")
    for _, path, _, parameters in description.operations():
        in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        expect(in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}, f"{path}: parameters of the path")


def url_of(path, parameters, values=None):
    for parameter in parameters:
        if parameter["in"] == "path":
            value = (values or {}).get(parameter["name"], parameter["example"])
            path = path.replace(f"{{{parameter['name']}}}", urllib.parse.quote(str(value), safe="/"))
    query = {parameter["name"]: parameter["example"] for parameter in parameters
             if parameter["in"] == "query" and "example" in parameter}
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def body_of(method, path, description, operation):
    if (method, path) in BODIES:
        return BODIES[method, path]
    content = description.follow(operation.get("requestBody", {})).get("content", {})
    return content["application/json"]["example"] if content else None


def prepare(client, method, path):
    """A policy that waits, for what wants one."""
    if path.split("/")[-1] not in ("approve", "reject"):
        return None
    status, _, answer = client.ask("POST", "/v1/riskgate/policy?name=payments-1", BODIES["POST", "/v1/riskgate/policy"])
    expect(status == 200 and answer["state"] == "waiting", f"a push that waits: {status} {answer}")
    return {"sequence": answer["sequence"]}


def check_operation(description, clients, method, path, operation, parameters):
    where, body = f"{method} {path}", body_of(method, path, description, operation)
    ann, bob = clients["ann"], clients["bob"]
    status, headers, answer = bob.ask(method, url_of(path, parameters, prepare(ann, method, path)), body)
    wanted = REFUSED.get((method, path), 200)
    expect(status == wanted, f"{where}: {status}, not {wanted}: {answer}")
    description.check(operation, where, status, headers, answer)
    for name, (permission, _) in [*TOKENS.items(), (None, ("none", None))]:
        needed = operation["x-permission"]
        if name in ("ann", "bob") or needed == "none":
            continue
        status, headers, answer = clients[name].ask(method, url_of(path, parameters), body)
        allowed = needed in HOLDS[permission]
        expect((status in (401, 403)) != allowed, f"{where} by {name or 'nobody'}, who may {permission}: {status}")
        if not allowed:
            # a token that may do nothing is as good as an unknown one
            expect(status == (401 if permission == "none" else 403), f"{where} by {name or 'nobody'}: {status}")
            expect(permission != "none" or headers["WWW-Authenticate"] == "Bearer", f"{where}: WWW-Authenticate")
            description.check(operation, f"{where} by {name or 'nobody'}", status, headers, answer)
    if path.startswith("/v1/riskgate"):
        status, headers, answer = bob.ask(method, url_of(path, parameters).split("?")[0] + "?no-such-parameter=1", body)
        expect(status == 400, f"{where} with an unknown parameter: {status} {answer}")
        description.check(operation, where, status, headers, answer)


def check_errors(description, client):
    """Answers that the examples do not lead to."""
    operations = {(method, path): operation for method, path, operation, _ in description.operations()}
    for method, path, url, body, wanted in (
            ("GET", "/health", "/health?bundles", None, 200),
            ("POST", "/v1/data/{path}", "/v1/data/payments/allow", "{", 400),
            ("POST", "/v1/data/{path}", "/v1/data/nowhere", {"input": {}}, 200),
            ("POST", "/v1/data/{path}", "/v1/data/payments", "{}", 200),
            ("POST", "/v1/data/{path}", "/v1/data/payments/allow", b" " * (2 << 20), 413),
            ("POST", "/v0/data/{path}", "/v0/data/nowhere", {}, 404),
            ("POST", "/v1/batch/data/{path}", "/v1/batch/data/payments/allow", {}, 200),
            ("POST", "/v1/batch/data/{path}", "/v1/batch/data/payments/allow", {"inputs": 1}, 400),
            ("GET", "/v1/policies/{id}", "/v1/policies/nowhere", None, 404),
            ("GET", "/v1/riskgate/decisions", "/v1/riskgate/decisions?verdict=MAYBE", None, 400),
            ("GET", "/v1/riskgate/versions/{sequence}", "/v1/riskgate/versions/99", None, 404),
            ("GET", "/v1/riskgate/versions/{sequence}/diff", "/v1/riskgate/versions/99/diff?from=1", None, 404),
            ("POST", "/v1/riskgate/decide/{template}", "/v1/riskgate/decide/Nope", {}, 404),
            ("POST", "/v1/riskgate/policy", "/v1/riskgate/policy", b"junk", 400),
            ("POST", "/v1/riskgate/sync", "/v1/riskgate/sync?bundle=nope", None, 404),
            ("POST", "/v1/riskgate/versions/{sequence}/approve", "/v1/riskgate/versions/1/approve", None, 404)):
        status, headers, answer = client.ask(method, url, body)
        expect(status == wanted, f"{method} {url}: {status}, not {wanted}: {answer}")
        description.check(operations[method, path], f"{method} {url}", status, headers, answer)


def body(build):
    description = Description(ROOT / "docs/openapi.yaml")
    jsonschema.Draft202012Validator.check_schema({"$defs": description.document["components"]["schemas"]})
    access = "".join(f"token {name} {permission} {secret}\n" for name, (permission, secret) in TOKENS.items())
    with Server(build, bundle=BUNDLES / "payments-1.tar.gz", access=access, api={"anonymous": "none", "body_bytes_max": "1MiB"},
                settings={"four_eyes": {"enabled": True},
                          "bundles": {"payments": {"resource": f"file://{BUNDLES}/payments-1.tar.gz"}}}) as server:
        clients = {name: server.client(token=secret) for name, (_, secret) in TOKENS.items()}
        clients[None] = server.client()
        server.wait_for_policy()
        check_index(description, clients["ann"])
        count = 0
        for method, path, operation, parameters in description.operations():
            check_operation(description, clients, method, path, operation, parameters)
            count += 1
        check_errors(description, clients["ann"])
        print(f"{count} operations")


run("openapi", body)
