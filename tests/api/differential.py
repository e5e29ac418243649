#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same requests to a real OPA and to riskgate-control, the answers compared field by field.

Left out: ids, times, the wording of messages that no client reads by machine (of malformed JSON, of evaluation errors,
and the line of those), and text behind the document, which OPA ignores and riskgate refuses. What is compared besides:
status codes, content types, error codes, the presence of every field.
"""

import gzip
import json
import random
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from appliance import ROOT
from server import Client, Opa, Server, expect, run

REGO = """package t.a
import rego.v1
default allow := false
allow if input.x == 1
s contains x if some x in input.xs
bad := 1 if input.b
bad := 2 if input.b
f(x) := x + 1
quot := 1 / input.z
nested.a.b := input.x
nested.c := f(input.x)
partial[k] := v if some k, v in input.o
text := sprintf("%v %s", [input.x, input.name])
big := input.n * 1000000007
list := [y | some x in input.xs; y := x * 2]
from_data := data.limits[input.name].max
echo := input
clash if data.t.base.k[_] == input.x
"""
OTHER = """package t
import rego.v1
top := count(data.t.base.k)
"""
DATA = {"t": {"base": {"k": [1, 2, {"z": "y"}]}}, "limits": {"ann": {"max": 5}, "bob": {"max": 1.50}, "ünï": {"max": 7}},
        "other": {"0": "zero", "a/b": 1, "sp ace": [[1], [2, {"deep": [None, False]}]]}}
RULES = ["allow", "s", "bad", "quot", "nested", "partial", "text", "big", "list", "from_data", "echo", "clash"]
PATHS = ["", "/t", "/t/a", "/t/base", "/limits", "/other", "/nowhere", "/t/nowhere", "/t/a/nowhere/x", "/t/top", "/t/base/k",
         "/t/base/k/0", "/t/base/k/2/z", "/t/base/k/7", "/t/base/k/-1", "/t/base/k/x", "/other/0", "/other/a%2Fb",
         "/other/sp%20ace/1/1/deep/1", "/limits/%C3%BCn%C3%AF/max", "/t/a/nested/a", "/t/a/nested/a/b", "/t/a/nested/c",
         "/t/a/list/0", "/t/a/list/9", "/t/a/s/3", "/t/a/partial/k", "/t/a/echo/xs/1", "/t/a/allow"] + [
             f"/t/a/{rule}" for rule in RULES]
PACKAGES = {f"/{version}/data{path}" for version in ("v0", "v1") for path in ("", "/t", "/t/a")}
ANY_WORDING = {"message", "stack_trace", "row", "col"}
IGNORED = {"decision_id", "metrics", "version", "build_commit", "build_timestamp", "build_hostname"}


def make_bundle(folder):
    source = folder / "source"
    (source / "t").mkdir(parents=True)
    (source / "a.rego").write_text(REGO)
    (source / "t/b.rego").write_text(OTHER)
    (source / "data.json").write_text(json.dumps(DATA))
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    bundle = folder / "policy.tar.gz"
    subprocess.run([opa, "build", "-t", "plan", "-b", ".", "-e", "t", "-o", bundle, "--revision", "r7"], cwd=source, check=True)
    return bundle


def plain(answer, wording):
    """An answer without what may differ."""
    if isinstance(answer, dict):
        return {("policy" if key.endswith("policy.tar.gz") else key): plain(value, wording) for key, value in answer.items()
                if key not in IGNORED and not (wording and key in ANY_WORDING)}
    if isinstance(answer, list):
        return [plain(value, wording) for value in answer]
    if isinstance(answer, str):
        return answer.lstrip("/") if wording else answer
    return answer


def random_value(random_, depth=0):
    kinds = [None, True, False, 0, 1, 2, 3, -1, 1.5, 1e3, 12345678901234567890, "ann", "bob", "", "é\u2028<&>", "x y"]
    if depth < 3 and random_.random() < 0.3:
        return [random_value(random_, depth + 1) for _ in range(random_.randrange(4))]
    if depth < 3 and random_.random() < 0.3:
        return {random_.choice("kxyz"): random_value(random_, depth + 1) for _ in range(random_.randrange(4))}
    return random_.choice(kinds)


def random_input(random_):
    value = {}
    for key, choices in {"x": [1, 2, "a"], "xs": [[3, 1, 3], [], "no"], "b": [True, False], "z": [0, 2, 4], "n": [3, 2 ** 70],
                         "o": [{"k": 1, "l": [2]}, {}], "name": ["ann", "bob", "ünï", "nobody"]}.items():
        if random_.random() < 0.7:
            value[key] = random_.choice(choices) if random_.random() < 0.8 else random_value(random_)
    return value


def requests(seed):
    random_ = random.Random(seed)
    for path in PATHS:
        yield "GET", f"/v1/data{path}", None, {}
        yield "POST", f"/v1/data{path}", {"input": {"x": 1, "xs": [3, 1], "o": {"k": "v"}, "name": "ann"}}, {}
        yield "POST", f"/v0/data{path}", {"x": 1, "xs": [3, 1], "o": {"k": "v"}}, {}
    for _ in range(300):
        path, flags = random_.choice(PATHS), random_.choice(["", "?pretty", "?pretty=true", "?provenance", "?explain=off",
                                                            "?strict-builtin-errors", "?metrics", "?strict-builtin-errors=false"])
        value = random_input(random_)
        if random_.random() < 0.2:
            query = urllib.parse.urlencode({"input": json.dumps(value)})
            yield "GET", f"/v1/data{path}{flags}{'&' if flags else '?'}{query}", None, {}
        else:
            yield "POST", f"/v1/data{path}{flags}", {"input": value}, {}
    compressed = gzip.compress(json.dumps({"input": {"x": 1}}).encode())
    yield "POST", "/v1/data/t/a/allow", compressed, {"Content-Encoding": "gzip"}
    yield "POST", "/v1/data/t/a/allow", "input:\n  x: 1\n", {"Content-Type": "application/x-yaml"}
    traced = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Anything": "yes"}
    yield "POST", "/v1/data/t/a/allow", {"input": {"x": 1}}, traced
    for body in ("", " \n", "{}", "null", '{"input":null}', '{"input": null }', '{"input":1,"input":{"x":1}}', '{"other":1}'):
        for rule in ("allow", "echo"):
            yield "POST", f"/v1/data/t/a/{rule}", body, {}
    for body in ('{"input":', "[1]", "7", '{"input":{"a" 1}}', "\x00"):
        yield "POST", "/v1/data/t/a/allow", body, {}
    yield "GET", "/v1/data/t/a/allow?input=%7B", None, {}
    yield "POST", "/", {"x": 1}, {}
    for method in ("PUT", "DELETE"):
        yield method, "/v1/data/t/x", {"y": 1}, {}
    for method, path in (("POST", "/health"), ("DELETE", "/health"), ("GET", "/nowhere"), ("GET", "/health"),
                         ("GET", "/health?bundles&plugins"), ("GET", "/health?plugins&exclude-plugin=bundle")):
        yield method, path, None, {}


def body(build):
    with tempfile.TemporaryDirectory(prefix="riskgate-") as name:
        folder = Path(name)
        bundle = make_bundle(folder)
        with Opa(bundle, folder) as opa, Server(build, bundle=bundle, settings={"templates": []}) as server:
            server.wait_for_policy()
            theirs, ours = Client(opa.port), server.client()
            count = 0
            for method, path, payload, headers in requests(2026):
                expected, got = theirs.ask(method, path, payload, headers), ours.ask(method, path, payload, headers)
                where = f"{method} {path} {payload!r}"
                expect(expected[0] == got[0], f"{where}: status {got[0]}, OPA {expected[0]}\n{got[2]}\n{expected[2]}")
                kinds = [answer[1].get("Content-Type") for answer in (expected, got)]
                expect(kinds[0] == kinds[1], f"{where}: type {kinds[1]}, OPA {kinds[0]}")
                wording = expected[0] >= 400 and isinstance(expected[2], dict)
                left, right = plain(expected[2], wording), plain(got[2], wording)
                if expected[0] == 500 and path.split("?")[0].rstrip("/") in PACKAGES:
                    left, right = left["code"], right["code"]  # which of several errors comes first is chance
                expect(left == right, f"{where}:\n  riskgate {json.dumps(right)}\n  OPA      {json.dumps(left)}")
                if isinstance(expected[2], dict):
                    missing = set(expected[2]) - set(got[2])
                    expect(not missing, f"{where}: lacks {missing}")
                if "metrics" in path:
                    expect(set(expected[2].get("metrics", {})) <= set(got[2].get("metrics", {})) | {"timer_rego_external_resolve_ns"},
                           f"{where}: metrics {got[2].get('metrics')}, OPA {expected[2].get('metrics')}")
                count += 1
            print(f"{count} requests")


run("differential", body)
