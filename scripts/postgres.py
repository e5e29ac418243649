#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL clusters for tests and benchmarks: a primary, standbys of it, promotion, kill -9.

As a module: with Cluster(folder) as primary: ... See the class.
As a program: postgres.py PROGRAM [ARGUMENT]... runs the program beside a cluster of its own, whose
connection string is in RISKGATE_TEST_POSTGRES.

Everything is on the loopback address and below one folder. PostgreSQL refuses to run as root: then
its programs run as the user postgres, to whom the folder is given."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN_FOLDERS = ["/usr/lib/postgresql/15/bin", "/usr/local/pgsql/bin"]
START_S = 60
PASSWORD = "p a's\\word"  # what has to be quoted, so that quoting is tested


def program(name):
    for folder in BIN_FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    found = shutil.which(name)
    if not found:
        sys.exit(f"{name} is not here: scripts/install-dependencies --test")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_postgres():
    """The words before a command that make it run as a user PostgreSQL accepts."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class Cluster:
    """One server. settings: lines of postgresql.conf. It is made at once and started by start()."""

    def __init__(self, folder, settings=(), source=None):
        self.folder, self.port, self.process = folder, free_port(), None
        self.data = os.path.join(folder, "data")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        if not os.geteuid():
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        if source:
            self.run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-h", "127.0.0.1",
                     "-p", str(source.port), "-U", "postgres", password=True)
        else:
            self.create(settings)

    def create(self, settings):
        secret = os.path.join(self.folder, "password")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(PASSWORD + "\n")
        os.chmod(secret, 0o644)
        self.run("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync",
                 "--auth=scram-sha-256", f"--pwfile={secret}")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            # Nothing of it outside its folder, also when it is killed; huge pages are for the data planes beside it.
            file.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"
                       "max_connections = 30\nshared_buffers = 64MB\nhuge_pages = off\ndynamic_shared_memory_type = mmap\n"
                       + "".join(line + "\n" for line in settings))
        with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
            file.write("host replication all 127.0.0.1/32 scram-sha-256\n")

    def run(self, name, *arguments, password=False):
        environment = dict(os.environ, PGPASSWORD=PASSWORD) if password else None
        done = subprocess.run(as_postgres() + [program(name), *arguments], cwd=self.folder, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stdout}")
        return done.stdout

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(as_postgres() + [program("postgres"), "-D", self.data, "-p", str(self.port)],
                                            cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        limit = time.monotonic() + START_S
        while subprocess.run([program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"PostgreSQL did not start: see {self.folder}/log")
            time.sleep(0.05)
        return self

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast shutdown; SIGTERM waits for clients."""
        if self.process:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def signal_all(self, number):
        """To the server first, so that it starts no more of them, then to its children: each has its own session."""
        children = []
        if self.process.poll() is None:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                children = [int(pid) for pid in file.read().split()]
        for pid in [self.process.pid, *children]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return children

    def kill(self):
        """kill -9 of the server and all its children; they are gone when this returns."""
        children = self.signal_all(signal.SIGKILL)
        self.process.wait()
        self.process = None
        limit = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in children) and time.monotonic() < limit:
            time.sleep(0.01)

    def pause(self, stopped):
        self.signal_all(signal.SIGSTOP if stopped else signal.SIGCONT)

    def promote(self):
        self.run("pg_ctl", "promote", "-D", self.data, "-t", "60")

    def conninfo(self, user="postgres", database="postgres"):
        """Without the password: that goes into a file or PGPASSWORD."""
        return f"host=127.0.0.1 port={self.port} user={user} dbname={database}"

    def sql(self, text, database="postgres"):
        """Rows as lists of texts."""
        done = subprocess.run([program("psql"), "-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-c", text,
                               self.conninfo(database=database)], env=dict(os.environ, PGPASSWORD=PASSWORD),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def main():
    folder = tempfile.mkdtemp(prefix="riskgate-postgres-")
    os.chmod(folder, 0o755)
    try:
        with Cluster(os.path.join(folder, "cluster")) as cluster:
            environment = dict(os.environ, RISKGATE_TEST_POSTGRES=cluster.conninfo(), PGPASSWORD=PASSWORD)
            return subprocess.run(sys.argv[1:], env=environment).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
