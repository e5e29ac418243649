# SPDX-License-Identifier: Apache-2.0
"""A redis-server of one's own on loopback: data in a temporary folder, stopped by pid. Standard library only."""

import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path


class Redis:
    """`password`: what clients must give. `tls`: a folder of certificates ({ca,server,client}.{pem,key}); then TLS alone
    is spoken, and clients must have a certificate. The folder goes with the last stop()."""

    def __init__(self, password=None, tls=None):
        self.folder = Path(tempfile.mkdtemp(prefix="riskgate-redis-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.password, self.tls = password, tls
        self.child = None

    def start(self):
        ports = ["--port", str(self.port)]
        if self.tls:
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "yes",
                     "--tls-cert-file", f"{self.tls}/server.pem", "--tls-key-file", f"{self.tls}/server.key",
                     "--tls-ca-cert-file", f"{self.tls}/ca.pem"]
        words = ["redis-server", "--bind", "127.0.0.1", *ports, "--dir", str(self.folder),
                 "--save", "", "--appendonly", "no", "--logfile", str(self.folder / "redis.log")]
        if self.password:
            words += ["--requirepass", self.password]
        self.child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.command("PING") == "+PONG":
                    return self
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError((self.folder / "redis.log").read_text())
            time.sleep(0.02)

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), 5)
        if not self.tls:
            return peer
        context = ssl.create_default_context(cafile=f"{self.tls}/ca.pem")
        context.load_cert_chain(f"{self.tls}/client.pem", f"{self.tls}/client.key")
        return context.wrap_socket(peer, server_hostname="127.0.0.1")

    def command(self, *words):
        """One command; the first line of its reply, or the text of a bulk reply."""
        with self.connect() as peer:
            stream = peer.makefile("rwb")
            for command in ([("AUTH", self.password)] if self.password else []) + [words]:
                stream.write(b"*%d\r\n" % len(command) + b"".join(
                    b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in command))
                stream.flush()
                line = stream.readline().decode().rstrip()
                if line.startswith("$") and line != "$-1":
                    line = stream.read(int(line[1:]) + 2)[:-2].decode()
            return line

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.child:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
