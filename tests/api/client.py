#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program written for OPA (ask_as_client.py, with a client library from a registry), run against a real OPA and against
riskgate-control with the same bundle: it must not see a difference."""

import json
import subprocess
import tempfile
from pathlib import Path

from appliance import Appliance, ROOT
from server import Opa, expect, free_port, run

POLICY = ROOT / "examples/policies/payments"


def ask(python, port, inputs):
    done = subprocess.run([python, ROOT / "tests/api/ask_as_client.py", str(port), inputs], capture_output=True, text=True, timeout=120)
    expect(done.returncode == 0, f"the client ended with status {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def body(build):
    found = subprocess.run([ROOT / "scripts/find-opa-client"], capture_output=True, text=True)
    expect(found.returncode == 0, found.stderr.strip())
    python = found.stdout.strip()
    bundles = {"payments": {"resource": f"file://{POLICY}/bundles/payments-2.tar.gz"}}
    with tempfile.TemporaryDirectory(prefix="riskgate-") as name:
        folder = Path(name)
        inputs, config = folder / "inputs.json", folder / "opa.json"
        inputs.write_text(json.dumps([json.loads(path.read_text()) for path in sorted((POLICY / "requests").glob("*.json"))]))
        config.write_text(json.dumps({"bundles": bundles, "services": {}, "status": {"prometheus": True}}))
        port = free_port()
        unit = Appliance(build, huge_pages=False, settings={
            "dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 200}, "region": {"ring_bytes": "1MiB"},
            "bundles": bundles, "api": {"listen": f"127.0.0.1:{port}", "anonymous": "admin"}})
        with Opa(None, folder, "--config-file", config) as opa, unit:
            unit.start()
            unit.wait_for_policy()
            theirs, ours = ask(python, opa.port, inputs), ask(python, port, inputs)
        for key, value in theirs.items():
            expect(ours[key] == value, f"{key}:\n  riskgate {json.dumps(ours[key])[:1000]}\n  OPA      {json.dumps(value)[:1000]}")
        expect(set(ours) == set(theirs), "the same questions")
        expect(any(decision[0] for decision in ours["decisions"]) and not all(decision[0] for decision in ours["decisions"]),
               "some are denied and some are not")
        print(f"{len(ours['decisions'])} inputs, {len(theirs)} answers")


run("client", body)
