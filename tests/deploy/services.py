#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` puts in place, on a machine whose process 1 is systemd: users, folders, units, the default configuration.

services.py BUILD

The units are those that are installed, with all of their hardening; so is riskgate.yaml. Requests come from the kernel, through the tap
interface that the default configuration has.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appliance import Failure, HugePages, ROOT
from machine import Machine
from shipped import expect, run

UNITS = {"riskgate-dataplane": {"cap_ipc_lock", "cap_net_admin", "cap_net_raw"}, "riskgate-control": set(),
         "riskgate-probe": {"cap_bpf", "cap_perfmon"}}
HOST = "riskgate-host"
# systemd-analyze security: 0 is best, 10 worst; what a unit had when it was written.
EXPOSURE_PERCENT = {"riskgate-dataplane": 25, "riskgate-control": 16, "riskgate-probe": 12}
BUNDLES = ROOT / "examples/policies/payments/bundles"
REQUEST = ROOT / "examples/policies/payments/requests/deny-night-shopping.json"
SECCOMP_FILTER = 2
MEMIF = "net_memif0,role={},socket=/run/riskgate/memif.sock,socket-abstract=no"
DRIVERS = (("net_af_packet0,iface=port0", None), ("net_af_xdp0,iface=port0", "dataplane-af_xdp.conf"), (MEMIF.format("server"), "dataplane-vfio.conf"))
HUGE_PAGES_MIB = 448  # the default configuration's packet buffers and region


def has_probe():
    """Without libbpf it is not built."""
    return (Path(sys.argv[1]) / "bpf/riskgate-probe").exists()


def wait_for(what, look, seconds=60):
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def install(machine, build):
    with tempfile.TemporaryDirectory(prefix="riskgate-install-") as folder:
        done = subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--destdir", folder], capture_output=True, text=True)
        expect(done.returncode == 0, f"meson install: {done.stdout[-2000:]}{done.stderr}")
        machine.copy_in(folder, "/")
        config = Path(folder) / "etc/riskgate/riskgate.yaml"
        config.write_text("# mine\n")
        subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--destdir", folder], capture_output=True, check=True)
        expect(config.read_text() == "# mine\n", "meson install overwrites a riskgate.yaml that is there")
        return {unit: Path("/") / file.relative_to(folder) for unit in [*UNITS, HOST] for file in Path(folder).rglob(f"{unit}.service")}


def check_units(machine, units):
    """As systemd-analyze sees them; with each drop-in too."""
    built = {unit for unit in UNITS if unit != "riskgate-probe" or has_probe()}
    built.add(HOST)
    expect(set(units) == built, f"units installed: {sorted(units)}, not {sorted(built)}")
    done = machine.run("systemd-analyze", "verify", "--man=no", *units.values(), check=False)
    expect(done.returncode == 0 and "riskgate" not in done.stderr, f"systemd-analyze verify: {done.stdout}{done.stderr}")
    for drop_in in sorted((ROOT / "deploy/systemd/drop-ins").glob("*.conf")):
        unit = "riskgate-" + drop_in.name.split("-")[0]
        folder = f"/etc/systemd/system/{unit}.service.d"
        machine.write(f"{folder}/{drop_in.name}", drop_in.read_text())
        done = machine.run("systemd-analyze", "verify", "--man=no", units[unit], check=False)
        machine.run("rm", "-r", folder)
        expect(done.returncode == 0 and drop_in.name not in done.stderr, f"{drop_in.name}: {done.stdout}{done.stderr}")
    for unit, threshold in EXPOSURE_PERCENT.items():
        if unit not in units:
            continue
        done = machine.run("systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", "--no-pager", units[unit], check=False)
        overall = re.search(r"Overall exposure level for .*: ([\d.]+) ", done.stdout)
        expect(overall, f"systemd-analyze security {unit}: {done.stdout[-500:]}{done.stderr}")
        expect(done.returncode == 0, f"{unit}: exposure {overall[1]} is above {threshold / 10}:\n{done.stdout}")
        yield f"{unit} {overall[1]}"


def set_up(machine):
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create", "riskgate.conf")
    machine.run("systemctl", "daemon-reload")
    for path, wanted in (("/dev/hugepages/riskgate-default", "3770 root riskgate"), ("/dev/shm/riskgate-default", "3770 root riskgate"), ("/run/riskgate", "2770 root riskgate"),
                         ("/etc/riskgate/riskgate.yaml", "640 root riskgate"), ("/sys/fs/bpf/riskgate", "750 riskgate-probe riskgate")):
        found = machine.run("stat", "-c", "%a %U %G", path).stdout.strip()
        expect(found == wanted, f"{path} is {found}, not {wanted}")


def start(machine, unit):
    done = machine.run("systemctl", "start", unit, check=False)
    if done.returncode:
        raise Failure(f"systemctl start {unit}: {done.stderr.strip()}\n{machine.log(unit)}")


def properties(machine, unit):
    return dict(line.split("=", 1) for line in machine.run("systemctl", "show", unit).stdout.splitlines() if "=" in line)


def check_process(machine, unit):
    """Its user, its capabilities and no other, a filter of system calls, no new privileges, no core files."""
    pid = properties(machine, unit)["MainPID"]
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").stdout.splitlines() if ":\t" in line)
    user = machine.run("stat", "-c", "%U %G", f"/proc/{pid}").stdout.strip()
    expect(user == f"{unit} riskgate", f"{unit} runs as {user}")
    for which in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        names = machine.run("capsh", f"--decode={status[which]}").stdout.strip().split("=", 1)[1]
        expect({name for name in names.split(",") if name} == UNITS[unit], f"{unit}: {which} is {names}")
    expect(status["NoNewPrivs"] == "1" and int(status["Seccomp"]) == SECCOMP_FILTER, f"{unit}: NoNewPrivs {status['NoNewPrivs']}, "
           f"Seccomp {status['Seccomp']}")
    limits = machine.run("cat", f"/proc/{pid}/limits").stdout
    expect(re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), f"{unit} may write core files")
    denied = machine.run("nsenter", f"--target={pid}", "--mount", "touch", "/usr/riskgate-was-here", check=False)
    expect("Read-only" in denied.stderr, f"{unit}: /usr can be written: {denied.stderr}")


def operator(machine, *words, check=True):
    """riskctl --json, as somebody of the group riskgate who is not root."""
    done = machine.run("setpriv", "--reuid=nobody", "--regid=riskgate", "--clear-groups", "riskctl", "--json", *words, check=check)
    return json.loads(done.stdout) if done.stdout.strip() else None


def address_tap(machine):
    """The other end of the default configuration's port is an interface of this machine; it goes with the data plane's process."""
    wait_for("riskgate0", lambda: machine.run("ip", "link", "show", "riskgate0", check=False).returncode == 0)
    machine.run("ip", "link", "set", "riskgate0", "up")
    machine.run("ip", "addr", "add", "10.71.0.2/24", "dev", "riskgate0")


def score(machine):
    """Ask until there is an answer: an interface that has just come up loses the first datagrams."""
    deadline = time.monotonic() + 60
    while True:
        done = machine.run("riskctl", "--json", "score", "--template", "PaymentAuthorization", "/tmp/request.json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        expect(time.monotonic() < deadline, f"no decision: {done.stderr.strip()}\n{machine.log('riskgate-dataplane')}")


def stored(machine):
    return operator(machine, "status")["records"]["stored"]


def check_recorded(machine):
    before = stored(machine)
    decision = score(machine)
    expect((decision["status"], decision["verdict"]) == ("OK", "DENY"), f"decision: {decision}")
    wait_for("the decision is stored", lambda: stored(machine) > before)
    report = machine.run("setpriv", "--reuid=riskgate-control", "--regid=riskgate", "--clear-groups", "riskctl", "journal", "verify")
    expect(report.returncode == 0, report.stdout)
    return decision


def check_separation(machine, region):
    """Neither user writes, replaces or removes the other's file of the region, or reads its secrets."""
    for user, file in (("riskgate-control", f"{region}/dataplane"), ("riskgate-dataplane", f"{region}/control")):
        as_user = ("setpriv", f"--reuid={user}", "--regid=riskgate", "--clear-groups")
        for words in (("test", "!", "-w", file), ("test", "-r", file)):
            expect(machine.run(*as_user, *words, check=False).returncode == 0, f"{user}: not so: {' '.join(words)}")
        for words in (("rm", "-f", file), ("mv", file, f"{region}/taken")):
            expect(machine.run(*as_user, *words, check=False).returncode != 0, f"{user} may {' '.join(words)}")
    others = machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "ls", region, "/etc/riskgate", "/run/riskgate",
                         "/var/lib/riskgate", check=False)
    expect(others.stdout.strip() == "" and others.stderr.count("Permission denied") == 4, f"others may look: {others.stdout}{others.stderr}")


def restarts(machine, unit):
    return int(properties(machine, unit)["NRestarts"])


def check_restart(machine, unit, signal, seconds=60):
    before = restarts(machine, unit)
    machine.run("systemctl", "kill", f"--signal={signal}", unit)
    wait_for(f"{unit} is restarted after {signal}", lambda: restarts(machine, unit) > before and
             properties(machine, unit)["ActiveState"] == "active", seconds)


def probe_sees(machine):
    figures = json.loads(machine.run("riskctl", "--json", "trace", "stages").stdout)
    return figures["requests"]


def check_probe(machine):
    start(machine, "riskgate-probe")
    check_process(machine, "riskgate-probe")
    wait_for("the probes are attached", lambda: "riskgate-probe: ready" in machine.log("riskgate-probe", 100))
    score(machine)
    wait_for("the probe sees a request", lambda: probe_sees(machine) >= 1, 20)


def check_host(machine):
    """riskgate-host.service may look at all it needs. It sets nothing here: what it sets is this machine's, not the namespaces'."""
    folder = f"/etc/systemd/system/{HOST}.service.d"
    look = "riskctl --config /etc/riskgate/riskgate.yaml --json doctor"
    machine.write(f"{folder}/look.conf", f"[Service]\nExecStart=\nExecStop=\nExecStart=/usr/bin/env {look}\n"
                  "StandardOutput=file:/run/found.json\nStandardError=journal\n")
    machine.run("systemctl", "daemon-reload")
    start(machine, HOST)
    found = json.loads(machine.run("cat", "/run/found.json").stdout)
    expect(found["findings"] and not found["failures"], f"riskctl doctor as a service: {found}")
    of = {finding["check"]: finding for finding in found["findings"]}
    expect(of["capabilities"]["severity"] == "ok", f"it does not see the running data plane: {of['capabilities']}")
    expect("refused" not in of["clock-sync"]["finding"], f"it may not ask for the clock: {of['clock-sync']}")


def check_drivers(machine):
    """Each with the capabilities that docs/deployment.md says it needs: it starts, and decides. (vfio-pci's are tried with memif.)"""
    for words in (("link", "add", "port0", "type", "veth", "peer", "name", "client0"), ("link", "set", "port0", "up"), ("link", "set", "client0", "up"),
                  ("addr", "add", "10.71.0.2/24", "dev", "client0")):
        machine.run("ip", *words)
    machine.run("ethtool", "-K", "client0", "tx", "off")  # a veth leaves checksums to a device that is not there
    for device, drop_in in DRIVERS:
        folder = "/etc/systemd/system/riskgate-dataplane.service.d"
        machine.run("sed", "-i", f"s|^    - device: .*|    - device: {device}|", "/etc/riskgate/riskgate.yaml")
        machine.run("rm", "-rf", folder)
        if drop_in:
            machine.run("install", "-D", "-m", "0644", next(iter(machine.run("find", "/usr", "-name", drop_in).stdout.split())), f"{folder}/{drop_in}")
        machine.run("systemctl", "daemon-reload")
        start(machine, "riskgate-dataplane")
        if "memif" in device:
            machine.run("riskgate-loadgen", "--device", MEMIF.format("client"), "--no-huge", "--template", "PaymentAuthorization", "--generate", 1,
                        "--count", 101, "--rate", 1000, "--yield", "--quiet", "--require-all")
        else:
            score(machine)
        machine.run("systemctl", "stop", "riskgate-dataplane")


def body():
    with HugePages(HUGE_PAGES_MIB) as huge_pages, Machine() as machine:
        region = "/dev/hugepages/riskgate-default" if huge_pages.available else "/dev/shm/riskgate-default"
        units = install(machine, sys.argv[1])
        set_up(machine)
        exposure = list(check_units(machine, units))
        for file in (BUNDLES / "payments-1.tar.gz", BUNDLES / "payments-2.tar.gz", REQUEST):
            machine.copy_in(file, "/tmp")
        machine.run("mv", f"/tmp/{REQUEST.name}", "/tmp/request.json")
        machine.run("sed", "-i", "/template: NewOrder/,+1d", "/etc/riskgate/riskgate.yaml")  # the bundle has payments alone
        start(machine, "riskgate-dataplane")
        start(machine, "riskgate-control")
        for unit in ("riskgate-dataplane", "riskgate-control"):
            check_process(machine, unit)
        address_tap(machine)
        expect(score(machine)["status"] == "NO_POLICY", "there is a policy before one was pushed")
        machine.run("cp", "/tmp/payments-1.tar.gz", "/tmp/payments-2.tar.gz", "/run/riskgate/")  # /tmp is control's own
        operator(machine, "policy", "push", "/run/riskgate/payments-1.tar.gz")
        check_recorded(machine)
        check_separation(machine, region)
        check_restart(machine, "riskgate-control", "SIGKILL")
        operator(machine, "policy", "push", "/run/riskgate/payments-2.tar.gz")
        sequence = operator(machine, "status")["policy"]["sequence"]
        check_restart(machine, "riskgate-dataplane", "SIGKILL")
        address_tap(machine)
        check_recorded(machine)
        expect(operator(machine, "status")["policy"]["sequence"] == sequence, "the policy did not survive the data plane's restart")
        check_restart(machine, "riskgate-dataplane", "SIGSTOP")  # nobody feeds the watchdog
        expect("Watchdog timeout" in machine.log("riskgate-dataplane", 100), "it was not the watchdog that restarted the data plane:\n" + machine.log("riskgate-dataplane"))
        address_tap(machine)
        check_recorded(machine)
        if has_probe():
            check_probe(machine)
        check_host(machine)
        for unit in sorted(set(units) - {HOST}):
            machine.run("systemctl", "stop", unit)
            expect(properties(machine, unit)["Result"] == "success", f"{unit} does not stop well:\n{machine.log(unit)}")
        check_drivers(machine)
        files = machine.run("ls", region).stdout.split()
        expect({"control", "dataplane"} <= set(files), f"after a stop {region} holds {files}")
    return (f"{len(units)} services installed, started, killed, restarted and stopped; {len(DRIVERS)} other drivers; region in {region} {huge_pages.note}; "
            f"exposure: {', '.join(exposure)}")


if os.geteuid() != 0:
    print("left out: namespaces and mounts need root")
    sys.exit(77)
run(body)
