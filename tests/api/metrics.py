#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/metrics and /health: promtool finds nothing to say, every declared metric is there, values move."""

import re
import shutil
import subprocess

from appliance import Appliance, Failure, ROOT
from server import Client, Server, expect, free_port, run

BUNDLE = ROOT / "examples/policies/payments/bundles/payments-2.tar.gz"
OF_JEMALLOC = {"riskgate_memory_allocated_bytes", "riskgate_memory_resident_bytes"}
# Only there when a policy was published or a data plane runs.
OPTIONAL = {"riskgate_publish_step_seconds"}


def check_with_promtool(page):
    promtool = shutil.which("promtool")
    if not promtool:
        raise Failure("promtool is not installed: scripts/install-dependencies --test")
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True)
    expect(done.returncode == 0 and not done.stdout and not done.stderr,
           f"promtool check metrics: status {done.returncode}\n{done.stdout}{done.stderr}")


def values(page, name):
    return [float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
            if re.match(rf"{name}(\{{| )", line)]


def declared():
    text = (ROOT / "docs/metrics.md").read_text()
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) ", text, re.MULTILINE))


def has_jemalloc(build):
    """A sanitizer brings an allocator of its own."""
    libraries = subprocess.run(["ldd", build / "control/riskgate-control"], capture_output=True, text=True, check=True)
    return "jemalloc" in libraries.stdout


def body(build):
    port = free_port()
    appliance = Appliance(build, bundle=BUNDLE, huge_pages=False,
                          settings={"api": {"listen": f"127.0.0.1:{port}"}})
    with appliance:
        appliance.start()
        appliance.wait_for_policy()
        client = Client(port)
        status, _, _ = client.ask("GET", "/health?bundles&plugins")
        expect(status == 200, f"/health with a policy: {status}")
        status, headers, page = client.ask("GET", "/metrics")
        expect(status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), "/metrics")
        check_with_promtool(page)
        absent = OPTIONAL if has_jemalloc(build) else OPTIONAL | OF_JEMALLOC
        missing = set(declared()) - set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE)) - absent
        expect(not missing, f"declared in docs/metrics.md and not exported: {sorted(missing)}")
        for name, kind in declared().items():
            expect(name in absent or f"# TYPE {name} {kind}\n" in page, f"{name} is no {kind}")
        expect(values(page, "riskgate_dataplane_up") == [1], "riskgate_dataplane_up")
        expect(sum(values(page, "riskgate_worker_state")) == 1, "a worker is in exactly one state")
        expect('bundle="payments-2",revision="payments-2",sequence="1"} 1' in page, "riskgate_policy_info")
        expect(values(page, "riskgate_pushes_total")[0] >= 1, "riskgate_pushes_total")
        broken = appliance.folder / "broken.tar.gz"
        broken.write_bytes(b"no archive")
        appliance.riskctl("policy", "push", broken, check=False)
        _, _, later = client.ask("GET", "/metrics")
        refused = [line for line in later.splitlines()
                   if line.startswith('riskgate_pushes_refused_by_total{cause="invalid"}')]
        expect(refused and refused[0].endswith(" 1"), f"a refusal is counted by cause: {refused}")
        expect(sum(values(later, "riskgate_http_requests_total")) >
               sum(values(page, "riskgate_http_requests_total")), "requests are counted")
        for method, path, wanted in (("POST", "/metrics", 405), ("GET", "/nowhere", 404), ("HEAD", "/health", 200)):
            status = client.ask(method, path)[0]
            expect(status == wanted, f"{method} {path}: {status}, not {wanted}")
        client.close()
    with Server(build) as server:
        client = server.client()
        expect(client.ask("GET", "/health")[0] == 200, "/health without a policy")
        status, _, answer = client.ask("GET", "/health?bundles")
        expect((status, answer) == (500, {"error": "not all configured bundles have been activated"}), str(answer))
        check_with_promtool(client.ask("GET", "/metrics")[2])
        client.close()


run("metrics", body)
