# SPDX-License-Identifier: Apache-2.0
"""Servers of policies on loopback: nginx (TLS, client certificates, a proxy), opa, and one that misbehaves.

Each runs in a folder of its own on a free port and is stopped by pid.
"""

import gzip
import http.server
import os
import socket
import subprocess
import threading
import time

from appliance import Failure, Process, ROOT


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def find_opa():
    """The path of opa, or None."""
    done = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def run(*words, cwd=None):
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def make_certificates(folder):
    """A CA of our own, a certificate for 127.0.0.1 and one for a client: <folder>/{ca,server,client}.{pem,key}."""
    folder.mkdir(parents=True, exist_ok=True)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=test CA", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        run("openssl", "x509", "-req", "-days", "2", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem",
            "-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", folder / f"{name}.ext",
            "-out", folder / f"{name}.pem")
    return folder


class Nginx:
    """nginx with one server; `location` is the inside of `location / { }`, `tls` the folder of certificates."""

    def __init__(self, folder, location, tls=None):
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        listen = f"listen 127.0.0.1:{self.port}{' ssl' if tls else ''};"
        if tls:
            listen += (f"ssl_certificate {tls}/server.pem; ssl_certificate_key {tls}/server.key;"
                       f"ssl_client_certificate {tls}/ca.pem; ssl_verify_client on;")
        (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; error_log {folder}/error.log; pid {folder}/nginx.pid;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  default_type application/gzip;
  server {{ {listen} location / {{ {location} }} }}
}}
""")
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = Process("nginx", ["nginx", "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"],
                               self.folder / "nginx.log")
        wait_for_port(self.port, self.process)
        return self

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None

    def requests(self):
        log = self.folder / "access.log"
        return log.read_text().splitlines() if log.exists() else []


class Opa:
    """`opa run --server`, empty."""

    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = Process("opa", [self.program, "run", "--server", "--addr", f"127.0.0.1:{self.port}",
                                       "--disable-telemetry"], self.folder / "opa.log")
        wait_for_port(self.port, self.process)
        return self

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None


def wait_for_port(port, process, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if not process.running() or time.monotonic() > deadline:
            raise Failure(f"{process.name} does not listen on port {port}:\n{process.tail()}")
        time.sleep(0.05)


class Shaky:
    """A bundle server that does what `mode` says: good, long (polling), 500, slow, truncated, bomb, empty. Wants a
    bearer token."""

    def __init__(self, token, content):
        self.token, self.content, self.mode, self.etag = token, content, "good", "\"1\""
        self.bomb = gzip.compress(bytes(64 << 20), 1)
        self.seen = []  # headers of each request
        self.version = 1
        shaky = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                shaky.seen.append(dict(self.headers))
                shaky.answer(self)

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a connection that riskgate broke off

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def set(self, mode, content=None):
        self.mode = mode
        if content is not None:
            self.content = content
            self.version += 1
            self.etag = f"\"{self.version}\""

    def answer(self, handler):
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self.send(handler, 401, b"who are you?")
        if self.mode == "500":
            return self.send(handler, 500, b"oh")
        if self.mode == "slow":
            time.sleep(5)
        if self.mode == "truncated":
            return self.send(handler, 200, self.content[:len(self.content) // 2], claimed=len(self.content))
        if self.mode == "bomb":
            return self.send(handler, 200, self.bomb, encoding="gzip")
        if self.mode == "empty":
            return self.send(handler, 200, b"")
        if self.mode == "long":
            self.hold(handler)
        if handler.headers.get("If-None-Match") == self.etag:
            return self.send(handler, 304, b"")
        return self.send(handler, 200, self.content)

    def hold(self, handler):
        """Long polling: as long as nothing is new, up to the time that the request allows."""
        wait = handler.headers.get("Prefer", "").partition("wait=")[2]
        deadline = time.monotonic() + float(wait or 0)
        while handler.headers.get("If-None-Match") == self.etag and time.monotonic() < deadline:
            time.sleep(0.02)

    def send(self, handler, code, body, claimed=None, encoding=None):
        handler.send_response(code)
        handler.send_header("Content-Type", "application/vnd.openpolicyagent.bundles" if self.mode == "long"
                            else "application/gzip")
        if code == 200:
            handler.send_header("ETag", self.etag)
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        if code != 304:
            handler.send_header("Content-Length", str(claimed or len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        if claimed:
            handler.close_connection = True

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
