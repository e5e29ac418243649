# SPDX-License-Identifier: Apache-2.0
"""riskgate under load, and what runs beside it: what bench/throughput, bench/latency and bench/publish share.

On a machine with two cores riskgate-control, the data plane's main thread and the load generator share the first; the worker, or
the echo in its place, has the last to itself.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from appliance import Appliance, Failure, HugePages, Process, Veth, cores  # noqa: E402,F401

SCHEMA = ROOT / "examples/schema/riskgate.xml"
RISK_CONTROL = ROOT / "examples/policies/risk_control/bundles"
SBE = "{http://fixprotocol.io/2016/sbe}"
UDP_PORT = 9471
LONG_BUFFER_BYTES = 4096  # of a memif that carries frames longer than 2 KiB
RECORD_BYTES = 480  # of a PaymentAuthorization in the ring
COMPACT_RECORD_BYTES = 256  # of one by compact_schema(): at most
GENERATED = ["--template", "PaymentAuthorization", "--generate", "1"]
REQUESTS = [*GENERATED, "--set", "amount=uniform(1,200000)", "--set", "user.risk_level=choice(low,medium,high)"]
CATEGORIES = ("entertainment,food_dining,gas_transport,grocery_net,grocery_pos,health_fitness,home,kids_pets,misc_net,misc_pos,"
              "personal_care,shopping_net,shopping_pos,travel")
# As bench/policy_corpus draws them for its policies of many rules.
RULES_REQUESTS = [*GENERATED, "--set", "amount=uniform(1,5200)", "--set", f"merchant.category=choice({CATEGORIES})",
                  "--set", "merchant.mcc=uniform(3000,8999)", "--set", "merchant.country=choice(US,GB,DE,FR,CA,MX,BR,IN,CN,NG,RU,IR)",
                  "--set", "user.risk_level=choice(low,medium,high)", "--set", "user.age_days=uniform(1,3650)",
                  "--set", "card.present=choice(true,false)"]


def ping_pong(build):
    """Median round trip of a cache line between the two cores, ns."""
    other, worker = cores()
    done = subprocess.run([str(build / "bench/pingpong"), str(other), str(worker), "200"], capture_output=True, text=True,
                          timeout=120)
    if done.returncode:
        raise Failure(f"pingpong: {done.stderr.strip()}")
    return json.loads(done.stdout)["p50"]


def need_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        raise Failure("needs two cores: one for the worker, one for all else")


# ---- loads ----

def max_load(seconds, window, requests, warmup=0.5):
    return ["--rate", "max", "--window", window, "--warmup", warmup, "--seconds", seconds, "--quiet", *requests]


def open_load(rate, seconds, requests, *words, warmup=0.5):
    """So many a second whatever is answered; latency counts from the time each was meant to be sent."""
    return ["--rate", int(rate), "--warmup", warmup, "--seconds", seconds, "--quiet", *words, *requests]


def check_all_answered(report, what):
    if report["lost"] or report["unsent"]:
        raise Failure(f"{what}: {report['lost']} lost, {report['unsent']} not sent: no figure from such a run")
    check_statuses(report, what)


def check_statuses(report, what):
    bad = {name: count for name, count in report["statuses"].items() if count and name != "ok"}
    if bad:
        raise Failure(f"{what}: answers with status {bad}: no figure from such a run")


def lost_share(report):
    return (report["lost"] + report["unsent"]) / (report["sent"] + report["unsent"])


def check_open(report, what, share_max):
    """An open load beyond a machine's means loses requests: a few are told with the figures, a larger share than this ends the
    measurement. Returns how many."""
    missing = report["lost"] + report["unsent"]
    if missing > share_max * (report["sent"] + report["unsent"]):
        raise Failure(f"{what}: {missing} of {report['sent'] + report['unsent']} requests lost or not sent: no figure from such a run")
    check_statuses(report, what)
    return missing


def frame_bytes(messages=1, schema=SCHEMA):
    """Ethernet, IPv4, UDP and SBE headers and blocks of so many PaymentAuthorizations."""
    return 14 + 20 + 8 + messages * (8 + block_bytes(schema))


def block_bytes(schema):
    for message in ElementTree.parse(schema).iter(SBE + "message"):
        if message.get("name") == "PaymentAuthorization":
            return int(message.get("blockLength"))
    raise Failure(f"{schema} has no PaymentAuthorization")


def compact_schema(folder):
    """The stock schema with a PaymentAuthorization of 32 bytes: id, amount and user, all that risk_control asks for. Several
    of them fit into a datagram."""
    ElementTree.register_namespace("sbe", SBE.strip("{}"))
    tree = ElementTree.parse(SCHEMA)
    for message in tree.iter(SBE + "message"):
        if message.get("name") == "PaymentAuthorization":
            for field in list(message):
                if field.get("name") not in ("request_id", "amount", "user"):
                    message.remove(field)
            message.set("blockLength", "32")
    path = Path(folder) / "compact.xml"
    tree.write(path, encoding="utf-8", xml_declaration=True)
    return path


# ---- what answers ----

class Echo:
    """dpdk-testpmd turning packets round (5tswap) on a memif port, on the worker's core: the plain reflector."""

    def __init__(self, build, huge_pages, schema=SCHEMA, mtu=None):
        if not shutil.which("dpdk-testpmd"):
            raise Failure("dpdk-testpmd is not installed: scripts/install-dependencies")
        self.build, self.schema = build, schema
        self.long = f",bsize={LONG_BUFFER_BYTES}" if mtu else ""
        self.folder = Path(tempfile.mkdtemp(prefix="riskgate-echo-"))
        self.socket = self.folder / "memif.sock"
        self.huge_pages = huge_pages
        other, worker = cores()
        self.process = Process("dpdk-testpmd", [
            "dpdk-testpmd", f"--lcores=0@{other},1@{worker}", f"--file-prefix=rgecho{os.getpid()}", "-m", "192",
            *(["--in-memory"] if huge_pages else ["--no-huge", "--no-shconf"]), "--no-pci", "--no-telemetry",
            f"--vdev=net_memif0,role=server,id=0,socket-abstract=no,socket={self.socket}{self.long}",
            "--", "--forward-mode=5tswap", *([f"--mbuf-size={LONG_BUFFER_BYTES + 256}"] if mtu else []), "--burst=32", "--nb-cores=1", "--total-num-mbufs=16384",
            "--no-lsc-interrupt", "--no-flush-rx", "--stats-period=3600"], self.folder / "testpmd.log")
        deadline = time.monotonic() + 30
        while not self.socket.exists():
            if time.monotonic() > deadline or not self.process.running():
                tail = self.process.tail()
                self.stop()
                raise Failure(f"dpdk-testpmd does not listen on its memif socket:\n{tail}")
            time.sleep(0.05)
        time.sleep(1)

    def load(self, *words, prefix=()):
        other, _ = cores()
        report = self.folder / "load.json"
        done = subprocess.run([str(word) for word in [
            *prefix, self.build / "tools/loadgen/riskgate-loadgen", "--device",
            f"net_memif0,role=client,socket={self.socket},socket-abstract=no{self.long}", "--core", other,
            *([] if self.huge_pages else ["--no-huge"]), "--schema", self.schema, "--json", report,
            "--target-mac", "02:72:67:00:00:01", *words]], capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Failure(f"the load generator against testpmd ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(report.read_text())

    def stop(self):
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def ring_for(requests, record_bytes=RECORD_BYTES):
    """A ring that holds so many records: a power of two, at least 16 MiB."""
    return max(16 << 20, 1 << (int(requests * record_bytes) - 1).bit_length())


def riskgate(build, huge, policy="risk_control", bundle=RISK_CONTROL / "risk_control-1.tar.gz", ring_bytes=None, ports=None,
             **settings):
    """An instance. ring_bytes: of a record ring that holds a whole load while control waits; SQLite is off then."""
    if ring_bytes:
        settings["region"] = {"directory": f"/dev/shm/riskgate-bench{os.getpid()}", "ring_bytes": ring_bytes}
        settings["sinks"] = {"sqlite": {"enabled": False}}
    settings["dataplane"] = {"idle_sleep_us": 0}  # as the echo, the worker never sleeps
    return Appliance(build, policy=policy, bundle=bundle, huge_pages=huge.available, ports=ports, settings=settings)


def long_memif(unit, mtu):
    """Let an instance that has not started carry frames of this MTU on its memif; its loads need long_load()."""
    port, = unit.config["dataplane"]["ports"]
    port |= {"device": f"{port['device']},bsize={LONG_BUFFER_BYTES}", "mtu": mtu}
    unit.config_file.write_text(json.dumps(unit.config, indent=2) + "\n")


def long_load(unit, mtu):
    """Words of a load on such a memif: the last --device counts."""
    return ["--device", f"net_memif0,role=client,socket={unit.memif},socket-abstract=no,bsize={LONG_BUFFER_BYTES}", "--mtu", mtu]


@contextmanager
def control_waits(unit):
    """riskgate-control is stopped meanwhile: it shares a core with the load generator, and what it takes of it would count as
    riskgate's answer time. Records wait in the ring."""
    os.kill(unit.control.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(unit.control.pid, signal.SIGCONT)


def load_in_ring(unit, name, what, *words):
    """A load with control waiting, and then the journal with every record of it: (report, seconds until it was complete)."""
    before = unit.riskctl("status")["records"]["journaled"]
    with control_waits(unit):
        report = unit.finish_load(unit.load(name, *words))
    check_all_answered(report, what)
    began = time.monotonic()
    unit.wait_until(lambda status: status["records"]["journaled"] >= before + report["answered"], 300,
                    f"{report['answered']} more records in the journal")
    return report, time.monotonic() - began


def half_rate(build, huge):
    """Half of the most that one worker does: of the best of three short closed loops."""
    seconds, warmup, loads, most = 0.2, 0.1, 3, 10e6
    with riskgate(build, huge, ring_bytes=ring_for(most * (seconds + warmup))) as unit:
        unit.start()
        unit.wait_for_policy()
        reports = [load_in_ring(unit, f"most{number}", "closed loop", "--first-id", number * 1000000000 + 1,
                                *max_load(seconds, 512, REQUESTS, warmup))[0] for number in range(loads)]
    return min(max(report["throughput_per_s"] for report in reports), most) / 2


# How the load generator of an open load is started: as on a machine of its own, nothing of the appliance's takes its core. Real-time
# priority where it sleeps between requests and is always answered, so that the others get what it leaves; else the best ordinary one.
REAL_TIME = ("chrt", "--fifo", "10")
NICE = ("nice", "-n", "-20")


def kernel_load_command(unit, veth, report, *words, prefix=()):
    """The load generator as a kernel UDP client in the namespace."""
    return [str(word) for word in veth.inside(*prefix, unit.program("riskgate-loadgen"), "--target", f"10.71.0.1:{UDP_PORT}", "--core",
                                              unit.other_core, "--schema", SCHEMA, "--json", report, *words)]


def kernel_load(unit, veth, name, *words, prefix=()):
    report = unit.folder / f"{name}.json"
    done = subprocess.run(kernel_load_command(unit, veth, report, *words, prefix=prefix), capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failure(f"the load generator in {veth.namespace} ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(report.read_text())


def veth_ports(veth, driver):
    return [{"device": f"net_{driver}0,iface={veth.device}", "addresses": ["10.71.0.1/24", "fd71::1/64"]}]


def rules_bundle(build, count):
    """The bundle of a policy of so many rules, package rules, made by bench/policy_corpus if it is not there."""
    corpus = build / "bench/policy_corpus.d"
    path = corpus / f"rules_{count}/bundle.tar.gz"
    if not path.exists():
        done = subprocess.run([str(ROOT / "bench/policy_corpus"), "--rules", str(count), str(corpus)], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"a policy of {count} rules cannot be made: bench/policy_corpus --rules {count} ended with "
                          f"{done.returncode}; it needs the opa that scripts/find-opa finds: {done.stderr.strip()}")
    return path


def measure(program, options, measurements, figures):
    """Run the measurements (name: function of options, huge pages and figures) that were asked for. One that fails does not keep
    the others from running. Returns the exit status."""
    status = 0
    options.build = options.build.resolve()
    try:
        need_two_cores()
        with HugePages(640) as huge:
            if not huge.available:
                print(f"huge pages: none ({huge.note}); everything runs on ordinary memory", flush=True)
            for name, function in measurements.items():
                if options.only and name not in options.only:
                    continue
                try:
                    function(options, huge, figures)
                except (Failure, OSError, subprocess.TimeoutExpired) as failure:
                    print(f"{program}: {name}: {failure}", file=sys.stderr)
                    status = 1
    except Failure as failure:
        print(f"{program}: {failure}", file=sys.stderr)
        status = 1
    finally:
        if options.json:
            figures.write(options.json)
    return status
