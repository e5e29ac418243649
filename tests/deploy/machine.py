# SPDX-License-Identifier: Apache-2.0
"""A machine of its own to install into: systemd as process 1 in new namespaces, over a copy-on-write view of this one's files.

Its mounts, processes, network, host name and control groups are its own; what is written goes to memory. Nothing of this machine's boot
runs in it: the only units are those that a test starts, and the journal. Needs root.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from appliance import Failure, Process

HIERARCHY = Path("/sys/fs/cgroup/systemd")  # where this machine has version 1 or both; else the one of version 2
TARGET = "test.target"

# $1: a folder on this machine. Becomes process 1.
BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t bpf -o mode=700 bpf sys/fs/bpf  # as systemd does where it is in no container
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty net/tun; do
	mkdir -p "dev/$(dirname $device)"
	[ ! -e "/dev/$device" ] || cp -a "/dev/$device" "dev/$device"
done
chmod 666 dev/net/tun
mkdir dev/shm dev/pts dev/hugepages
mount -t hugetlbfs hugetlbfs dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
if [ -n "$2" ]; then
	mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
	mkdir sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
else
	mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
# Nothing of this machine's own boot.
rm -rf usr/lib/systemd/system/*.wants usr/lib/systemd/system/*.requires usr/lib/systemd/system-generators etc/systemd/system/* etc/fstab
printf '[Unit]\nWants=systemd-journald.service\nAfter=systemd-journald.service\n' >"etc/systemd/system/""" + TARGET + r""""
mkdir -p before
pivot_root . before
umount -l before
ip link set lo up
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=other \
	/lib/systemd/systemd --system --unit=""" + TARGET + r""" --log-target=journal --log-level=notice --show-status=no </dev/null
"""


class Machine:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="riskgate-machine-"))
        self.hybrid = HIERARCHY.is_dir()
        self.group = (HIERARCHY if self.hybrid else Path("/sys/fs/cgroup")) / f"riskgate-machine-{os.getpid()}"
        self.init = None
        self.process = None

    def __enter__(self):
        try:
            self.boot()
        except Failure:
            self.__exit__()
            raise
        return self

    def boot(self):
        root = self.folder / "root"
        root.mkdir()
        self.group.mkdir()
        enter = f'echo $$ >"{self.group}/cgroup.procs"; exec "$@"'
        self.process = Process("machine", ["sh", "-c", enter, "sh", "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup",
                                           "--kill-child", "bash", "-c", BOOT, "boot", root, "yes" if self.hybrid else ""],
                               self.folder / "console.log")
        deadline = time.monotonic() + 60
        while not self.is_up():
            if not self.process.running() or time.monotonic() > deadline:
                raise Failure(f"systemd does not come up:\n{self.process.tail(30)}")
            time.sleep(0.2)

    def is_up(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return False
        self.init = int(children[0])
        # Until it has changed its root, what is entered is still this machine's.
        if Path(f"/proc/{self.init}/comm").read_text().strip() != "systemd":
            return False
        return self.run("systemctl", "is-active", TARGET, check=False).stdout.strip() == "active"

    def __exit__(self, *_):
        if self.process:
            if self.init and self.process.running():
                os.kill(self.init, 9)  # and with it all of the namespace
            self.process.stop()
        for _ in range(50):
            for group in sorted(self.group.rglob("*"), key=lambda path: -len(path.parts)) + [self.group]:
                if group.is_dir():
                    try:
                        group.rmdir()
                    except OSError:
                        pass  # a process is still on its way out
            if not self.group.exists():
                break
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def inside(self, *words):
        return ["nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd=/", *map(str, words)]

    def run(self, *words, check=True, text=None, seconds=120):
        """Run a program in the machine, as root."""
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, input=text, timeout=seconds)
        if check and done.returncode:
            raise Failure(f"{' '.join(map(str, words))}: status {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}")
        return done

    def copy_in(self, source, target):
        """A file of this machine, or what is in a folder of it, with the modes."""
        source = Path(source)
        folder, names = (source, sorted(entry.name for entry in source.iterdir())) if source.is_dir() else (source.parent, [source.name])
        pack = subprocess.Popen(["tar", "-C", str(folder), "-c", *names], stdout=subprocess.PIPE)
        self.run("mkdir", "-p", target)
        done = subprocess.run(self.inside("tar", "-C", target, "--no-same-owner", "--no-overwrite-dir", "-x"), stdin=pack.stdout,
                              capture_output=True, text=True)
        if pack.wait() or done.returncode:
            raise Failure(f"copying {source} to {target}: {done.stderr}")

    def write(self, path, text):
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("tee", path, text=text)

    def log(self, unit, lines=30):
        return self.run("journalctl", "-u", unit, "-n", lines, "--no-pager", "-o", "cat", check=False).stdout
