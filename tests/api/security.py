#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP server against those who wish it ill: who is let in, what it refuses to start with, and its bounds.

After each attack a well-behaved client must be answered, by the same process.
"""

import contextlib
import gzip
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import time
import warnings

from appliance import Appliance, Failure, ROOT
from server import Client, Server, expect, free_port, run

BUNDLE = ROOT / "examples/policies/payments/bundles/payments-1.tar.gz"
TIMEOUT_S = 2
SEED = 2026
SECRET = "the-gateway-s-token-0123"


def openssl(folder, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)


def make_ca(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_certificate(folder, ca, name, subject):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copyall", "-out", f"{name}.pem")


def make_keys(folder):
    make_ca(folder, "ca")
    make_ca(folder, "stranger")
    make_certificate(folder, "ca", "server", "riskgate")
    make_certificate(folder, "ca", "desk", "risk-desk.example.com")
    make_certificate(folder, "ca", "guest", "guest.example.com")
    make_certificate(folder, "stranger", "forged", "risk-desk.example.com")


# ---- who is let in ----

def context(folder, certificate=None, highest=None):
    made = ssl.create_default_context(cafile=folder / "ca.pem")
    if certificate:
        made.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    if highest:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = ssl.TLSVersion.TLSv1
            made.maximum_version = highest
        made.set_ciphers("ALL:@SECLEVEL=0")
    return made


@contextlib.contextmanager
def tls_server(build, **api):
    server = Server(build, bundle=BUNDLE, access=f"token gateway decide {SECRET}\ncertificate desk admin risk-desk.example.com\n")
    folder = server.appliance.folder
    make_keys(folder)
    server.appliance.config["api"].update({"cert": str(folder / "server.pem"), "private_key": str(folder / "server.key"),
                                           "client_ca": str(folder / "ca.pem"), "anonymous": "none", **api})
    server.appliance.config_file.write_text(json.dumps(server.appliance.config))
    with server:
        yield server, folder


def status_of(client, path="/v1/riskgate/status"):
    status = client.ask("GET", path)[0]
    client.close()
    return status


def check_tls(build):
    with tls_server(build) as (server, folder):
        for certificate, wanted in ((None, 401), ("guest", 401), ("desk", 200)):
            got = status_of(server.client(context=context(folder, certificate)))
            expect(got == wanted, f"a client with certificate {certificate}: {got}, not {wanted}")
        # of a CA that is not ours: refused in the handshake, or as good as none
        try:
            got = status_of(server.client(context=context(folder, "forged")))
        except (ssl.SSLError, ConnectionError):
            got = 401
        expect(got == 401, f"a forged certificate: {got}")
        client = server.client(context=context(folder), token=SECRET)
        expect(client.ask("POST", "/v1/data/payments/allow", {"input": {}})[0] in (200, 500), "a token over TLS")
        expect(client.ask("GET", "/v1/riskgate/status")[0] == 403, "a token may not do more than it may")
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            try:
                status_of(server.client(context=context(folder, "desk", version)))
                raise Failure(f"{version.name} is spoken")
            except (ssl.SSLError, ConnectionError):
                pass
        expect(status_of(server.client(context=context(folder, "desk", ssl.TLSVersion.TLSv1_2))) == 200, "TLS 1.2")
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            plain.settimeout(10)
            try:
                answered = plain.recv(4096)
            except ConnectionError:
                answered = b""
            expect(not answered.startswith(b"HTTP/"), "plain HTTP on a TLS port is answered")
        expect(status_of(server.client(context=context(folder, "desk"))) == 200, "it goes on")


def check_tokens(build):
    with Server(build, bundle=BUNDLE, access=f"token gateway decide {SECRET}\n", api={"anonymous": "read"}) as server:
        server.wait_for_policy()
        for header, path, wanted in (
                (None, "/metrics", 200), (None, "/v1/data/payments/allow", 401), (None, "/v1/config", 401),
                (f"Bearer {SECRET}", "/v1/data/payments/allow", 200), (f"bearer   {SECRET}", "/v1/data/payments/allow", 200),
                (f"Bearer {SECRET}", "/metrics", 403), (f"Bearer {SECRET}x", "/metrics", 401), (f"Bearer {SECRET[:-1]}", "/metrics", 401),
                ("Bearer ", "/metrics", 401), ("Bearer", "/metrics", 401), (SECRET, "/v1/data/payments/allow", 401),
                ("Basic dXNlcjpwYXNz", "/metrics", 401), (f"Bearer {SECRET} {SECRET}", "/metrics", 401),
                ("Bearer " + "x" * 8000, "/metrics", 401), (f"Bearer {SECRET}x", "/health", 401)):
            client = server.client()
            status, headers, answer = client.ask("GET", path, None, {"Authorization": header} if header else {})
            expect(status == wanted, f"Authorization {str(header)[:40]!r} for {path}: {status}, not {wanted}")
            if wanted in (401, 403):
                expect(answer["code"] == "unauthorized" and SECRET not in json.dumps(answer), f"{answer}")
                expect((headers["WWW-Authenticate"] == "Bearer") == (wanted == 401), "WWW-Authenticate")
            client.close()
        client = server.client()
        status = client.ask("GET", f"/v1/data/payments/allow?token={SECRET}")[0]
        expect(status == 401, "a token in the query is none")


# ---- what it does not start with ----

def check_refusals(build):
    with Appliance(build, settings={"api": {}}) as unit:
        make_keys(unit.folder)
        access = unit.folder / "access"
        tls = {"cert": str(unit.folder / "server.pem"), "private_key": str(unit.folder / "server.key")}
        everywhere = {"listen": f"0.0.0.0:{free_port()}"}
        for api, text, mode, wanted in (
                (everywhere, "", 0o600, "there is no TLS"),
                ({"listen": f"[::]:{free_port()}"}, "", 0o600, "there is no TLS"),
                ({**everywhere, **tls}, "", 0o600, "everybody could read,decide"),
                ({"cert": tls["cert"]}, "", 0o600, "give both or neither"),
                ({"cert": tls["cert"], "private_key": str(unit.folder / "desk.key")}, "", 0o600, "cannot start"),
                ({"cert": str(unit.folder / "nowhere.pem"), "private_key": tls["private_key"]}, "", 0o600, "api.cert"),
                ({"client_ca": str(unit.folder / "ca.pem")}, "", 0o600, "client certificates need TLS"),
                ({}, "token a admin short\n", 0o600, "fewer than 16"),
                ({}, "token a everything 0123456789abcdef\n", 0o600, "everything"),
                ({}, "token a read 0123456789abcdef\n", 0o644, "chmod 0640"),
                (tls, "certificate a read b\n", 0o600, "set api.client_ca"),
                ({"anonymous": "everything"}, "", 0o600, "api.anonymous"),
                ({"listen": "localhost:80"}, "", 0o600, "numeric address"),
                ({"listen": "127.0.0.1"}, "", 0o600, "numeric address")):
            access.write_text(text)
            access.chmod(mode)
            unit.config["api"] = {"listen": f"127.0.0.1:{free_port()}", "access_file": str(access), **api}
            unit.config_file.write_text(json.dumps(unit.config))
            done = subprocess.run([unit.program("riskgate-control"), "--config", unit.config_file], capture_output=True, text=True,
                                  timeout=60)
            expect(done.returncode == 1 and wanted in done.stderr, f"api {api}: status {done.returncode}, no \"{wanted}\":\n{done.stderr}")
        access.write_text(f"token a read {SECRET}\n")
        for api in ({**everywhere, **tls, "anonymous": "none"}, {**everywhere, "allow_insecure": True}):
            unit.config["api"] = {"access_file": str(access), **api}
            unit.config_file.write_text(json.dumps(unit.config))
            unit.start_control()
            expect(unit.control.stop() == 0, f"it starts with {api}")
            unit.control = None


# ---- bounds ----

def raw(server, bytes_, seconds=20):
    """Send bytes, read until the other side closes or answers once. What came."""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as connection:
        connection.settimeout(seconds)
        got = b""
        try:
            connection.sendall(bytes_)
            while b"\r\n\r\n" not in got:
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
        except (ConnectionError, BrokenPipeError):
            pass
        return got


def status_line(got):
    return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/") else 0


def check_bodies(server):
    client = server.client()
    most = 64 << 10
    fits = json.dumps({"input": {"x": "a" * (most - 100)}})
    status, _, answer = client.ask("POST", "/v1/data/payments/allow", fits)
    expect(status == 200, f"a body that fits: {status} {answer}")
    for path in ("/v1/data/payments/allow", "/v1/batch/data/payments/allow", "/v1/riskgate/policy", "/v1/riskgate/decide/PaymentAuthorization"):
        for body, headers in ((b" " * (most + 1), {}), (gzip.compress(b" " * (64 << 20)), {"Content-Encoding": "gzip"}),
                              (iter([b" " * 4096] * 64), {"Transfer-Encoding": "chunked"})):
            client = server.client()
            if isinstance(body, bytes):
                status, _, answer = client.ask("POST", path, body, headers)
            else:
                client.connection.request("POST", path, body, headers, encode_chunked=True)
                response = client.connection.getresponse()
                status, answer = response.status, json.loads(response.read())
            expect(status == 413 and "api.body_bytes_max" in answer["message"], f"{path} {headers}: {status} {answer}")
            client.close()
    for body in (b"\x1f\x8b junk", gzip.compress(b"{}")[:-4], b""):
        status = server.client().ask("POST", "/v1/data/payments/allow", body, {"Content-Encoding": "gzip"})[0]
        expect(status == 400 or not body, f"a broken gzip body: {status}")


def check_headers(server):
    for text, wanted in (
            (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (256 << 10) + b"\r\n\r\n", {400, 413, 431, 0}),
            (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 20000 + b"\r\n", {400, 413, 431, 0}),
            (b"GET /" + b"a" * (20 << 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
            (b"GET /" + b"a" * (256 << 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 414, 431, 0}),
            (b"GET /v1/data?" + b"&".join(b"a%d=1" % i for i in range(100)) + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
            (b"GET /v1/data?" + b"&".join(b"a%d=1" % i for i in range(2000)) + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431, 0}),
            (b"GET " + b"/a" * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
            (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
            (b"GET /v1/data/a%0 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
            (b"GET /v1/data/a%00b HTTP/1.1\r\nHost: x\r\n\r\n", {200}),
            (b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n", {400, 505, 0}),
            (b"GET /health\r\n\r\n", {200, 400, 505, 0}),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", {400, 405, 505, 0}),
            (b"POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", {400, 413, 0}),
            (b"POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", {400, 413, 0}),
            (b"POST /v1/data HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", {400, 0})):
        got = status_line(raw(server, text))
        expect(got in wanted, f"{text[:60]!r}...: {got}, not one of {wanted}")


def check_smuggling(server):
    """A request in the body of another is not one."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.settimeout(3)
        connection.sendall(b"POST /v1/data/payments/allow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"0\r\n\r\n" % (5 + len(hidden)) + hidden)
        got = b""
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                got += piece
    expect(got.count(b"HTTP/1.1 ") == 1 and status_line(got) == 400, f"both lengths: {got[:400]!r}")


def check_paths(server):
    client = server.client()
    for path in ("/v1/policies/../../../etc/passwd", "/v1/policies/..%2f..%2f..%2fetc%2fpasswd", "/v1/policies/payments-1/../meta.json",
                 "/v1/policies/payments-1/meta.json", "/v1/policies/payments-1%2fplan.json", "/v1/policies//etc/passwd",
                 "/v1/policies/payments-1/payments.rego%00.txt"):
        status, _, answer = client.ask("GET", path)
        expect(status == 404 and answer["code"] == "resource_not_found", f"{path}: {status} {str(answer)[:100]}")
    for path in ("/v1/riskgate/versions/..", "/v1/riskgate/versions/..%2f..%2f1", "/v1/riskgate/versions/-1", "/v1/riskgate/versions/1%00",
                 "/v1/riskgate/versions/18446744073709551616", "/v1/riskgate/versions/1%22,%22command%22:%22status"):
        status, _, answer = client.ask("GET", path)
        expect(status in (400, 422) and answer["code"] == "invalid_parameter", f"{path}: {status} {answer}")
    bundle = BUNDLE.read_bytes()
    for name in ("..", "../x", "a/b", "%2fetc%2fx", "a%00b", "", "x" * 65, "a%0ab", "%ff"):
        status, _, answer = client.ask("POST", f"/v1/riskgate/policy?name={name}&wait_ms=0", bundle)
        expect(status == 400 and "name" in answer["message"], f"a bundle named {name}: {status} {answer}")
    for path in ("/../../etc/passwd", "/static/../../etc/passwd", "/.git/config", "//etc/passwd"):
        expect(client.ask("GET", path)[0] == 404, path)


def check_json(server):
    random_ = random.Random(SEED)
    good = [b'{"input": {"amount": 5, "merchant": {"id": 7}}}', b'{"inputs": {"a": {"amount": 5}, "b": {}}}', b'{"request_id": 1, "amount": 5.25}']
    awkward = [b"[" * 100000, b'{"input":' + b'{"a":' * 100000, b'{"input": 1e999999999}', b'{"input": "\xff\xfe"}', b'{"input": "\\ud800"}',
               b'{"input": ' + b"9" * 60000 + b"}", b"\x00", b'{"inputs": {"a": 1, "a": 2}}', b'{"input": {}} {}', b"null", b"true", b'"', b"- a: [b\n",
               b"{" + b'"a":1,' * 9000 + b'"a":1}']
    for path in ("/v1/data/payments", "/v0/data/payments", "/v1/batch/data/payments/deny", "/", "/v1/riskgate/decide/PaymentAuthorization"):
        client = server.client()
        for count in range(150):
            body = bytearray(awkward[count] if count < len(awkward) else random_.choice(good))
            for _ in range(0 if count < len(awkward) else random_.randrange(1, 6)):
                at = random_.randrange(len(body))
                if random_.random() < 0.5:
                    body[at] = random_.randrange(256)
                else:
                    del body[at:at + random_.randrange(1, 8)]
                body = body or bytearray(b"x")
            kind = {"Content-Type": random_.choice(["application/json", "application/x-yaml", "text/plain", ""])}
            status, _, answer = client.ask("POST", path, bytes(body), kind)
            expect(status in (200, 207, 400, 404, 413, 500), f"{path}: {status} for {bytes(body[:80])!r}")
            expect(status == 200 or isinstance(answer, dict), f"{path}: an error without a body: {answer!r}")
        client.close()


# ---- time and number ----

def wait_until_closed(connection, seconds):
    """How long until the other side closes; what it sends is read over."""
    begin = time.monotonic()
    connection.settimeout(0.2)
    while time.monotonic() - begin < seconds:
        try:
            if not connection.recv(65536):
                return time.monotonic() - begin
        except (TimeoutError, socket.timeout):
            continue
        except OSError:
            return time.monotonic() - begin
    raise Failure(f"a connection that does nothing is open after {seconds} s")


def check_slow(server):
    begin = time.monotonic()
    slow = []
    for first in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"):
        connection = socket.create_connection(("127.0.0.1", server.port), 10)
        connection.sendall(first)
        slow.append(connection)
    open_ = dict(enumerate(slow))
    while open_ and time.monotonic() - begin < 10 * TIMEOUT_S:
        for number, connection in list(open_.items()):
            try:  # a byte now and then keeps no connection alive
                connection.sendall(b"X" if number else b"")
                connection.settimeout(0.05)
                if not connection.recv(100):
                    del open_[number]
            except (TimeoutError, socket.timeout):
                pass
            except OSError:
                del open_[number]
        time.sleep(0.1)
    expect(not open_, f"{len(open_)} slow connections are open after {10 * TIMEOUT_S} s")
    for connection in slow:
        connection.close()
    # one that asks much and reads nothing
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", server.port))
    reader.settimeout(1)
    with contextlib.suppress(OSError):
        for _ in range(2000):
            reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(4 * TIMEOUT_S)
    wait_until_closed(reader, 30)
    reader.close()


def check_many(server, most):
    """More connections than there may be: those that do nothing go, and who asks is answered."""
    idle = []
    for _ in range(4 * most):
        connection = socket.socket()
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            connection.connect(("127.0.0.1", server.port))
            idle.append(connection)
    metrics = None
    deadline = time.monotonic() + 20 * TIMEOUT_S
    while metrics is None:
        expect(time.monotonic() < deadline, "nobody is answered any more")
        try:
            client = Client(server.port)
            client.connection.timeout = TIMEOUT_S
            metrics = client.ask("GET", "/metrics")[2]
        except OSError:
            time.sleep(0.2)
    open_ = [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("riskgate_http_connections ")]
    expect(open_ and open_[0] <= most, f"{open_} connections, at most {most}")
    for connection in idle:
        connection.close()
    resets = 0
    for _ in range(500):  # open and reset at once
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            resets += 1
        connection.close()
    expect(resets > 100, f"only {resets} connections were made")


def body(build):
    check_tls(build)
    check_tokens(build)
    check_refusals(build)
    most = 32
    with Server(build, bundle=BUNDLE, api={"body_bytes_max": "64KiB", "timeout_seconds": TIMEOUT_S, "connections_max": most}) as server:
        server.wait_for_policy()
        pid = server.appliance.control.pid
        for check in (check_bodies, check_headers, check_smuggling, check_paths, check_json, check_slow, lambda at: check_many(at, most)):
            check(server)
            status = status_of(Client(server.port), "/health?bundles")
            expect(status == 200 and server.appliance.control.running(), f"after an attack: {status}")
        resident = int(next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS")).split()[1])
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        expect(descriptors < 100 + most, f"{descriptors} descriptors are open")
        print(f"{resident} KiB resident, {descriptors} descriptors afterwards; seed {SEED}")


run("security", body)
