# SPDX-License-Identifier: Apache-2.0
"""Sockets inside a network namespace, and frames written byte by byte: what a kernel client does not send by itself."""

import contextlib
import ctypes
import os
import socket
import struct
from xml.etree import ElementTree

from appliance import ROOT

CLONE_NEWNET = 0x40000000
SOL_PACKET = 263
PACKET_AUXDATA = 8
ETH_P_ALL = 0x0003

SCHEMA = ROOT / "examples/schema/riskgate.xml"
DECISION = 100
STATUS_OK, STATUS_BAD_MESSAGE = 0, 2


def _payment():
    """(schema id, version, template id, block length) of PaymentAuthorization."""
    root = ElementTree.parse(SCHEMA).getroot()
    message = next(message for message in root.iter("{http://fixprotocol.io/2016/sbe}message")
                   if message.get("name") == "PaymentAuthorization")
    return int(root.get("id")), int(root.get("version")), int(message.get("id")), int(message.get("blockLength"))


SCHEMA_ID, SCHEMA_VERSION, PAYMENT, PAYMENT_BLOCK = _payment()

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace; sockets opened meanwhile stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(there)
        os.close(home)


def udp_socket(namespace, target, timeout=1.0):
    with inside(namespace):
        sock = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(timeout)
    sock.connect(target)
    return sock


def raw_socket(namespace, device, timeout=1.0):
    """Whole frames in and out of a device."""
    with inside(namespace):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.bind((device, 0))
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.settimeout(timeout)
    return sock


def icmp_socket(namespace, version, timeout=1.0):
    with inside(namespace):
        if version == 4:
            sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        else:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sock.settimeout(timeout)
    return sock


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    """The Internet checksum. RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def request(request_id, template=PAYMENT, block=PAYMENT_BLOCK, schema=SCHEMA_ID):
    """A message whose fields are all zero but for its id."""
    return struct.pack("<HHHHQ", block, template, schema, SCHEMA_VERSION, request_id) + bytes(max(block - 8, 0))


def decisions(datagram):
    """[(request id, verdict, status)] of the decisions in a datagram; None if there is anything else in it."""
    found = []
    while datagram:
        if len(datagram) < 72:
            return None
        length, template, _, _ = struct.unpack_from("<HHHH", datagram)
        if template != DECISION or length < 64:
            return None
        request_id, = struct.unpack_from("<Q", datagram, 8)
        found.append((request_id, datagram[8 + 60], datagram[8 + 61]))
        datagram = datagram[8 + length:]
    return found


def ethernet(destination, source, ethertype, payload, vlan=None):
    tag = struct.pack("!HH", 0x8100, vlan) if vlan is not None else b""
    return mac(destination) + mac(source) + tag + struct.pack("!H", ethertype) + payload


def udp4(source, destination, source_port, port, payload, bad_ip=False, bad_udp=False, fragment=0):
    """An IPv4 packet with UDP in it."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source_port, port, length, 0) + payload
    total = checksum(addresses + struct.pack("!HH", 17, length) + udp) or 0xffff
    udp = udp[:6] + struct.pack("!H", total ^ (0x0101 if bad_udp else 0)) + udp[8:]
    return ip4(17, addresses, udp, bad_ip, fragment)


def ip4(protocol, addresses, payload, bad_checksum=False, fragment=0):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0) + addresses
    total = checksum(head) ^ (0x0101 if bad_checksum else 0)
    return head[:10] + struct.pack("!H", total) + head[12:] + payload


def arp_request(sender_mac, sender, target):
    return (struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac(sender_mac) + socket.inet_aton(sender) + bytes(6)
            + socket.inet_aton(target))


def receive_frame(sock):
    """(frame, VLAN tag or None): the kernel takes tags off and tells them beside the frame."""
    data, extra, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(20))
    for level, kind, content in extra:
        if level == SOL_PACKET and kind == PACKET_AUXDATA and len(content) >= 20:
            status, _, _, _, _, tag, _ = struct.unpack("IIIHHHH", content[:20])
            if status & 0x10:  # TP_STATUS_VLAN_VALID
                return data, tag & 0xfff
    return data, None
