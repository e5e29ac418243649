# SPDX-License-Identifier: Apache-2.0
"""riskgate-control alone, with its HTTP API on a free port; a small HTTP client; a real OPA beside it."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from appliance import Appliance, Failure, Process, ROOT


def expect(condition, text):
    if not condition:
        raise Failure(text)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    """One kept-alive connection. Answers are (status, headers, parsed JSON or text)."""

    def __init__(self, port, context=None, token=None):
        self.port = port
        self.token = token
        self.connection = (http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60) if context
                           else http.client.HTTPConnection("127.0.0.1", port, timeout=60))

    def ask(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        kind = answer.getheader("Content-Type") or ""
        return answer.status, answer.headers, json.loads(text) if text and "json" in kind else text.decode()

    def close(self):
        self.connection.close()


class Server:
    """riskgate-control without a data plane: what is announced is what it evaluates."""

    def __init__(self, build, bundle=None, api=None, access=None, settings=None, policy="payments",
                 appliance=Appliance):
        self.port = free_port()
        settings = dict(settings or {})
        settings["api"] = {"listen": f"127.0.0.1:{self.port}", "anonymous": "admin", **(api or {})}
        self.appliance = appliance(build, bundle=bundle, policy=policy, huge_pages=False, settings=settings)
        if access is not None:
            path = self.appliance.folder / "access"
            path.write_text(access)
            path.chmod(0o600)
            self.appliance.config["api"]["access_file"] = str(path)
            self.appliance.config_file.write_text(json.dumps(self.appliance.config))

    def client(self, **options):
        return Client(self.port, **options)

    def wait_for_policy(self, seconds=60):
        client = self.client()  # /health is open to everybody
        deadline = time.monotonic() + seconds
        while client.ask("GET", "/health?bundles")[0] != 200:
            if time.monotonic() > deadline:
                raise Failure(f"no policy within {seconds} s:\n{self.appliance.control.tail()}")
            time.sleep(0.05)
        client.close()

    def wait_for_revision(self, revision, seconds=60):
        """Until decisions are made by it."""
        client = self.client()
        deadline = time.monotonic() + seconds
        while True:
            answer = client.ask("GET", "/v1/data?provenance")[2]
            if [bundle["revision"] for bundle in answer.get("provenance", {}).get("bundles", {}).values()] == [revision]:
                break
            if time.monotonic() > deadline:
                raise Failure(f"revision {revision} is not in use within {seconds} s:\n{self.appliance.control.tail()}")
            time.sleep(0.05)
        client.close()

    def __enter__(self):
        self.appliance.__enter__()
        self.appliance.start_control()
        return self

    def __exit__(self, *what):
        return self.appliance.__exit__(*what)


class Opa:
    """`opa run --server` with a bundle, or None and a configuration among the words."""

    def __init__(self, bundle, folder, *words, ready=True):
        self.port = free_port()
        self.health = "/health?bundles" if ready else "/health"
        source = ["--bundle", bundle] if bundle else []
        program = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
        self.process = Process("opa", [program, "run", "--server", *source, "--addr",
                                       f"127.0.0.1:{self.port}", "--log-level", "error", *words], Path(folder) / "opa.log")

    def __enter__(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                client = Client(self.port)
                if client.ask("GET", self.health)[0] == 200:
                    return self
            except OSError:
                pass
            if time.monotonic() > deadline or not self.process.running():
                raise Failure(f"opa did not start:\n{self.process.tail()}")
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.stop()


def run(name, body):
    """Main of a test: `body(build)`."""
    try:
        body(Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    print(f"{name}: ok")
