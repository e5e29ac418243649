#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""riskgate on a kernel interface, with a real client in a network namespace on the other end.

    network.py BUILD DRIVER       af_packet or af_xdp on a veth pair, or tap

The client resolves riskgate's address (ARP, neighbour discovery), pings it and asks for decisions over IPv4 and IPv6, tagged
and untagged. What is not for riskgate, or broken, is dropped and counted under its cause. While random bytes
flood the port, a well-formed client gets every answer. Everything happens inside the namespace.

Exit status: 0 passed, 1 failed, 77 when this machine lacks what the test needs.
"""

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import packets
from appliance import Appliance, Failure, HugePages, ROOT, Veth

SERVER4, SERVER6 = "10.71.0.1", "fd71::1"
CLIENT4 = "10.71.0.2"
PORT = 9471
BUNDLE = ROOT / "examples/policies/payments/bundles/payments-1.tar.gz"
AF_XDP = 44
FLOOD_FRAMES = 30000
FLOOD_SECONDS = 20


class Tap:
    """A namespace as Veth makes one, for a device that riskgate-dataplane itself creates: adopt() moves it in."""

    def __init__(self):
        self.namespace = f"rgt-{os.getpid()}"
        self.device = self.peer = f"rgt{os.getpid()}"

    def ip(self, *words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def __enter__(self):
        self.ip("netns", "add", self.namespace)
        return self

    def adopt(self):
        inside = ("-n", self.namespace)
        self.ip("link", "set", self.device, "netns", self.namespace)
        self.ip(*inside, "addr", "add", f"{CLIENT4}/24", "dev", self.device)
        self.ip(*inside, "addr", "add", "fd71::2/64", "dev", self.device, "nodad")
        self.ip(*inside, "link", "set", "lo", "up")
        self.ip(*inside, "link", "set", self.device, "up")

    def inside(self, *command):
        return ["ip", "netns", "exec", self.namespace, *[str(word) for word in command]]

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


class Bench:
    """The running instance, the client's end, and counters as differences."""

    def __init__(self, unit, net, driver):
        self.unit = unit
        self.net = net
        self.driver = driver
        # DPDK's af_packet joins its sockets in a fanout group with PACKET_FANOUT_FLAG_DEFRAG: the kernel puts fragments
        # together, or waits for the rest of them, before riskgate sees anything.
        self.sees_fragments = driver != "af_packet"
        self.client_mac = self.link_address(net.peer)
        self.server_mac = None
        self.ids = 1000  # request ids given out

    def ip(self, *words):
        done = subprocess.run(["ip", "-n", self.net.namespace, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def link_address(self, device):
        words = self.ip("link", "show", "dev", device).split()
        return words[words.index("link/ether") + 1]

    def counters(self):
        rows = self.unit.riskctl("region", "--all")["counters"]
        return {(row["name"], row["label"]): row["value"] for row in rows if row["group"] == "worker"}

    def wait_for_counters(self, before, expected, seconds=10):
        """Wait until each counter in `expected` has grown by at least its number since `before`."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.counters()
            short = {key: (now[key] - before[key], wanted) for key, wanted in expected.items()
                     if now[key] - before[key] < wanted}
            if not short:
                return now
            if time.monotonic() > deadline:
                raise Failure(f"counters that did not grow as they must, (is, should be at least): {short}")
            time.sleep(0.05)

    def ask(self, sock, messages, tries=10):
        """Send a datagram until it is answered, as a UDP client does; the decisions of its answer."""
        wanted = [struct.unpack_from("<Q", message, 8)[0] for message in messages]
        for _ in range(tries):
            sock.send(b"".join(messages))
            try:
                while True:
                    found = packets.decisions(sock.recv(65536))
                    if found is None:
                        raise Failure("an answer is not made of decisions")
                    if [entry[0] for entry in found] == wanted:
                        return found
            except (TimeoutError, ConnectionRefusedError):
                continue
        raise Failure(f"request {wanted} was not answered in {tries} tries")


def need(condition, what):
    if not condition:
        raise Failure(what)


# ---- the checks ----

def check_neighbours(bench):
    """The kernel finds riskgate's link address by itself."""
    before = bench.counters()
    for address in (SERVER4, SERVER6):
        with packets.udp_socket(bench.net.namespace, (address, PORT)) as sock:
            bench.ask(sock, [packets.request(1)])
        entry = bench.ip("neigh", "show", "to", address)
        need("lladdr" in entry, f"no link address was learnt for {address}: {entry!r}")
        bench.server_mac = entry.split()[entry.split().index("lladdr") + 1]
    bench.wait_for_counters(before, {("neighbours_answered", 'protocol="arp"'): 1,
                                     ("neighbours_answered", 'protocol="nd"'): 1})


def ping(bench, version, size):
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    kind, answer = (8, 0) if version == 4 else (128, 129)
    head = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xffff, size)
    if version == 4:
        head = head[:2] + struct.pack("!H", packets.checksum(head + data)) + head[4:]
    with packets.icmp_socket(bench.net.namespace, version) as sock:
        for _ in range(10):
            sock.sendto(head + data, (SERVER4 if version == 4 else SERVER6, 0))
            try:
                while True:
                    got = sock.recv(65536)
                    got = got[20:] if version == 4 else got
                    if got[0] == answer and got[4:8] == head[4:8]:
                        need(got[8:] == data, f"the echo of {size} bytes over IPv{version} is not what was sent")
                        if version == 4:
                            need(packets.checksum(got) == 0, "the echo's checksum is wrong")
                        return
            except TimeoutError:
                continue
    raise Failure(f"no answer to a ping of {size} bytes over IPv{version}")


def check_ping(bench):
    before = bench.counters()
    for version in (4, 6):
        for size in (0, 1, 56, 1400):
            ping(bench, version, size)
    bench.wait_for_counters(before, {("echoes_answered", ""): 8})


def load(bench, target, *words):
    """The load generator in the namespace: every request must be answered with status OK."""
    report = bench.unit.folder / "load.json"
    done = subprocess.run(bench.net.inside(
        bench.unit.program("riskgate-loadgen"), "--target", target, "--core", bench.unit.other_core, "--schema",
        bench.unit.config["schema"], "--template", "PaymentAuthorization", "--generate", 5, "--quiet", "--json", report,
        "--timeout", 5, *words), capture_output=True, text=True, timeout=120)
    need(done.returncode == 0, f"the load generator to {target} ended with {done.returncode}: {done.stderr.strip()}")
    figures = json.loads(report.read_text())
    bench.ids += figures["sent"]
    need(figures["answered"] == figures["sent"] == figures["statuses"]["ok"] and figures["unreadable"] == 0,
         f"load to {target}: {figures}")
    return figures


def check_decisions(bench):
    before = bench.counters()
    sent = 0
    for target in (f"{SERVER4}:{PORT}", f"[{SERVER6}]:{PORT}"):
        for batch in (1, 4):
            figures = load(bench, target, "--first-id", bench.ids + 1, "--window", 8, "--count", 2000,
                           "--per-datagram", batch)
            sent += figures["sent"]
    now = bench.wait_for_counters(before, {("requests", ""): sent, ("answers", 'status="ok"'): sent})
    decided = sum(now[("decisions", f'verdict="{verdict}"')] - before[("decisions", f'verdict="{verdict}"')]
                  for verdict in ("allow", "deny", "review"))
    need(decided >= sent, f"{decided} decisions counted for {sent} requests")


def check_bad_messages(bench):
    """What has a request id is answered with BAD_MESSAGE; the good message beside it is decided; the rest is dropped."""
    good, other_template = packets.request(11), packets.request(12, template=999)
    with packets.udp_socket(bench.net.namespace, (SERVER4, PORT)) as sock:
        found = bench.ask(sock, [good, other_template])
        need([entry[2] for entry in found] == [packets.STATUS_OK, packets.STATUS_BAD_MESSAGE],
             f"good message and unknown template: {found}")
        found = bench.ask(sock, [packets.request(13)[:40]])
        need(found[0][2] == packets.STATUS_BAD_MESSAGE, f"a message cut off after its request id: {found}")
        found = bench.ask(sock, [packets.request(14, schema=77)])
        need(found[0][2] == packets.STATUS_BAD_MESSAGE, f"a message of another schema: {found}")
        before = bench.counters()
        for junk in (b"", b"\0", b"1234567", good[:8], good[:15]):
            for _ in range(10):
                sock.send(junk)
        deadline = time.monotonic() + 10
        while sum(value - before[key] for key, value in bench.counters().items() if key[0] == "messages_dropped") < 30:
            need(time.monotonic() < deadline, "unreadable messages are not counted")
            time.sleep(0.05)


def ask_tagged(bench, sock, vlan):
    """A request in a tagged frame; the tag of the answer."""
    payload = packets.request(21)
    frame = packets.ethernet(bench.server_mac, bench.client_mac, 0x0800,
                             packets.udp4(CLIENT4, SERVER4, 45021, PORT, payload), vlan)
    for _ in range(10):
        sock.send(frame)
        try:
            while True:
                got, tag = packets.receive_frame(sock)
                if got[:6] != packets.mac(bench.client_mac) or got[12:14] != b"\x08\x00" or len(got) < 42 + 72:
                    continue
                if struct.unpack_from("!H", got, 36)[0] == 45021:
                    found = packets.decisions(got[42:42 + 72])
                    need(found and found[0][0] == 21, "the answer in a tagged frame is no decision")
                    return tag
        except TimeoutError:
            continue
    raise Failure(f"no answer to a request in VLAN {vlan}")


def check_vlan(bench):
    with packets.raw_socket(bench.net.namespace, bench.net.peer) as sock:
        for vlan in (7, 4094):
            tag = ask_tagged(bench, sock, vlan)
            need(tag == vlan, f"a request in VLAN {vlan} was answered in {tag}")


def check_foreign(bench):
    """Each kind of traffic that is not for riskgate or broken is dropped, counted under its cause, and not answered."""
    count = 25
    to_us = (bench.server_mac, bench.client_mac)
    addresses = socket.inet_aton(CLIENT4) + socket.inet_aton(SERVER4)
    payload = packets.request(31)

    def udp(port=PORT, destination=SERVER4, **more):
        return packets.ethernet(*to_us, 0x0800, packets.udp4(CLIENT4, destination, 45031, port, payload, **more))

    cases = [
        ("foreign", packets.ethernet(*to_us, 0x88cc, bytes(60))),
        ("foreign", packets.ethernet(*to_us, 0x0800, packets.ip4(6, addresses, bytes(20)))),
        ("fragment", udp(fragment=0x2000)),
        ("fragment", udp(fragment=185)),
        ("udp_port", udp(port=9999)),
        ("not_ours", udp(destination="10.71.0.77")),
        ("ipv4_checksum", udp(bad_ip=True)),
        ("udp_checksum", udp(bad_udp=True)),
        ("source", packets.ethernet(*to_us, 0x0800, packets.udp4("255.255.255.255", SERVER4, 45031, PORT, payload))),
        ("udp_length", udp()[:-60]),
    ]
    before = bench.counters()
    expected = {}
    with packets.raw_socket(bench.net.namespace, bench.net.peer, timeout=0.2) as sock:
        for cause, frame in cases:
            for _ in range(count):
                sock.send(frame)
            if cause == "fragment" and not bench.sees_fragments:
                continue
            key = ("dropped", f'cause="{cause}"')
            expected[key] = expected.get(key, 0) + count
        bench.wait_for_counters(before, expected)
        try:
            while True:
                got, _ = packets.receive_frame(sock)
                need(not (got[:6] == packets.mac(bench.client_mac) and got[12:14] == b"\x08\x00" and len(got) >= 38
                          and got[23] == 17 and struct.unpack_from("!H", got, 36)[0] == 45031),
                     "a frame that must be dropped was answered")
        except TimeoutError:
            pass


def check_fragments(bench):
    """A kernel that has to fragment: its datagrams are dropped and counted, over IPv4 and IPv6, and never answered."""
    before = bench.counters()
    for address in (SERVER4, SERVER6):
        with packets.udp_socket(bench.net.namespace, (address, PORT), timeout=0.3) as sock:
            for _ in range(10):
                sock.send(packets.request(41) * 13)
            try:
                raise Failure(f"a fragmented datagram was answered with {len(sock.recv(65536))} bytes")
            except TimeoutError:
                pass
    if bench.sees_fragments:
        bench.wait_for_counters(before, {("dropped", 'cause="fragment"'): 60})


def random_frame(bench, dice):
    """Noise of five kinds, from bytes without any sense to requests with a few bytes changed."""
    kind = dice.randrange(5)
    noise = dice.randbytes(dice.randrange(1, 1400))
    if kind == 0:
        return dice.randbytes(14) + noise
    if kind == 1:
        return packets.ethernet(bench.server_mac, bench.client_mac, dice.choice((0x0800, 0x86dd, 0x0806, 0x8100)), noise)
    if kind == 2:
        addresses = socket.inet_aton(CLIENT4) + socket.inet_aton(SERVER4)
        return packets.ethernet(bench.server_mac, bench.client_mac, 0x0800,
                                packets.ip4(dice.choice((1, 6, 17, 58)), addresses, noise))
    if kind == 3:
        payload = noise
    else:
        payload = bytearray(packets.request(dice.getrandbits(64)))
        for _ in range(dice.randrange(1, 12)):
            payload[dice.randrange(len(payload))] = dice.randrange(256)
    return packets.ethernet(bench.server_mac, bench.client_mac, 0x0800,
                            packets.udp4(CLIENT4, SERVER4, dice.randrange(1, 65536), PORT, bytes(payload)))


class Flood(threading.Thread):
    """Sends random frames, bounded in number and time, until told to stop."""

    def __init__(self, bench, seed):
        super().__init__()
        self.bench = bench
        self.dice = random.Random(seed)
        self.stop = threading.Event()
        self.sent = 0

    def run(self):
        deadline = time.monotonic() + FLOOD_SECONDS
        frames = [random_frame(self.bench, self.dice) for _ in range(3000)]
        with packets.raw_socket(self.bench.net.namespace, self.bench.net.peer) as sock:
            while self.sent < FLOOD_FRAMES and time.monotonic() < deadline and not self.stop.is_set():
                try:
                    sock.send(frames[self.sent % len(frames)])
                except OSError:  # the device's queue is full: that frame is none
                    continue
                self.sent += 1


def check_flood(bench):
    seed = int(os.environ.get("RISKGATE_SEED", random.SystemRandom().getrandbits(32)))
    print(f"flood: seed {seed} (RISKGATE_SEED repeats it)", flush=True)
    before = bench.counters()
    pid = bench.unit.dataplane.pid
    flood = Flood(bench, seed)
    flood.start()
    asked = 0
    try:
        with packets.udp_socket(bench.net.namespace, (SERVER4, PORT)) as sock:
            while flood.is_alive() or asked < 200:
                bench.ids += 1
                asked += 1
                found = bench.ask(sock, [packets.request(bench.ids)])
                need(found[0][2] == packets.STATUS_OK, f"during the flood: {found}")
    finally:
        flood.stop.set()
        flood.join()
    now = bench.counters()
    dropped = sum(value - before[key] for key, value in now.items() if key[0] in ("dropped", "messages_dropped"))
    causes = [key for key, value in now.items() if key[0] == "dropped" and value > before[key]]
    need(flood.sent > 0 and dropped > 0 and len(causes) >= 4, f"{flood.sent} random frames, {dropped} drops, {causes}")
    need(bench.unit.dataplane.running() and bench.unit.dataplane.pid == pid, "the data plane did not survive the flood")
    print(f"flood: {flood.sent} random frames, {dropped} dropped under {len(causes)} causes, "
          f"{asked} requests answered meanwhile", flush=True)


def cpu_seconds(bench):
    """What the worker's thread has used so far."""
    thread = bench.unit.riskctl("region")["workers"][0]["thread_id"]
    with open(f"/proc/{bench.unit.dataplane.pid}/task/{thread}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_idle(bench):
    """An idle worker leaves its core to others, and still answers who asks now and then: after a nap, or woken by a
    receive interrupt where the driver has them."""
    interrupts = bench.driver == "tap"
    need(f"receive_interrupts={'yes' if interrupts else 'no'}" in bench.unit.dataplane.text(), "what the worker says of interrupts")
    before, used = bench.counters(), -cpu_seconds(bench)
    time.sleep(3)
    used += cpu_seconds(bench)
    slept = bench.counters()[("sleeps", "")] - before[("sleeps", "")]
    need(used < (0.3 if interrupts else 1.5), f"an idle worker used {used} s of 3 s, having slept {slept} times")
    need(slept > 3 if interrupts else slept > 500, f"an idle worker slept {slept} times in 3 s")
    report = load(bench, f"{SERVER4}:{PORT}", "--rate", 8, "--seconds", 3)  # each request finds a worker that sleeps
    print(f"idle: {used:.2f} s of 3 s, {slept} sleeps; answers of a sleeping worker after "
          f"{report['latency_ns']['p50'] / 1000:.0f} us, at most {report['latency_ns']['max'] / 1000:.0f} us", flush=True)


CHECKS = (check_neighbours, check_ping, check_decisions, check_idle, check_bad_messages, check_vlan, check_foreign,
          check_fragments, check_flood)


# ---- start and end ----

def why_not(driver):
    """What this machine lacks, or None."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    probe = f"rgt-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    if driver == "tap" and not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    family = {"af_packet": socket.AF_PACKET, "af_xdp": AF_XDP}.get(driver)
    if family is not None:
        try:
            socket.socket(family, socket.SOCK_RAW).close()
        except OSError as error:
            return f"no {driver} sockets: {error.strerror}"
    return None


def run(build, driver):
    net = Tap() if driver == "tap" else Veth("rgt")
    with HugePages(512) as huge, net:
        ports = [{"device": f"net_{driver}0,iface={net.device}", "addresses": [f"{SERVER4}/24", f"{SERVER6}/64"]}]
        with Appliance(build, bundle=BUNDLE, huge_pages=huge.available, ports=ports) as unit:
            unit.start()
            unit.wait_for_policy()
            if driver == "tap":
                net.adopt()
            bench = Bench(unit, net, driver)
            for check in CHECKS:
                began = time.monotonic()
                check(bench)
                print(f"passed {check.__name__} over {driver} in {time.monotonic() - began:.1f} s", flush=True)


def main():
    build, driver = sys.argv[1:]
    lack = why_not(driver)
    if lack:
        print(f"skipped: {lack}")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # meson's timeout: leave nothing behind
    run(build, driver)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
