# SPDX-License-Identifier: Apache-2.0
"""OPA's side of the differential test: one OPA server on a socket of its own, and `opa build`.

The server is the same evaluator as `opa eval`, without the start of a process for each question, and gives the error of
each question by its code.
"""

import http.client
import json
import os
import socket
import subprocess
import tarfile
import time
from decimal import Decimal

from requests import json_text


class Refused(Exception):
    """OPA does not accept the policy."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("opa", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Opa:
    """`with Opa(program, folder) as opa`: a running server, stopped at the end."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.socket = str(folder / "opa.sock")
        self.loaded = []

    def __enter__(self):
        command = [self.program, "run", "--server", "--addr", f"unix://{self.socket}", "--log-level", "error",
                   "--skip-version-check",
                   "--skip-known-schema-check", "--shutdown-grace-period", "1"]
        with open(self.folder / "opa.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, "GOMAXPROCS": "1"})
        self.connection = UnixConnection(self.socket)
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.call("GET", "/health")[0] == 200:
                    return self
            except OSError:
                self.connection.close()
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"the OPA server does not start: see {self.folder}/opa.log")
            time.sleep(0.02)

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, method, path, body=None):
        self.connection.request(method, path, body=None if body is None else body.encode())
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text, parse_float=Decimal) if text.strip() else None

    def load(self, files, data):
        """Make these modules and this data the server's only ones. Raises Refused."""
        for name in reversed(self.loaded):
            self.call("DELETE", f"/v1/policies/{name}")
        self.loaded = []
        status, answer = self.call("PUT", "/v1/data", json_text(data))
        if status != 204:
            raise RuntimeError(f"OPA does not take the data: {answer}")
        for name, text in files.items():
            status, answer = self.call("PUT", f"/v1/policies/{name}", text)
            if status != 200:
                errors = answer.get("errors") or [{}]
                raise Refused(errors[0].get("message", answer.get("message")))
            self.loaded.append(name)

    def ask(self, path, document, is_defined=True):
        """("result", value), ("undefined", None) or ("error", code) of data.<path> with the document as input."""
        body = f'{{"input":{json_text(document)}}}' if is_defined else "{}"
        status, answer = self.call("POST", f"/v1/data/{path}", body)
        if status == 200:
            return ("result", answer["result"]) if "result" in answer else ("undefined", None)
        errors = answer.get("errors") or [{}]
        return "error", errors[0].get("code", answer.get("code"))

    def build(self, folder, files, data, entrypoints):
        """Plan and data, as files in the folder. Raises Refused."""
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "data.json").write_text(json_text(data))
        command = [self.program, "build", "-t", "plan", "-o", str(folder / "bundle.tar.gz")]
        command += [word for entrypoint in entrypoints for word in ("-e", entrypoint)]
        done = subprocess.run(command + [str(folder / name) for name in files], capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr.strip() or done.stdout.strip())
        with tarfile.open(folder / "bundle.tar.gz") as bundle:
            (folder / "plan.json").write_bytes(bundle.extractfile("/plan.json").read())
