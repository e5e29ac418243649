#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad bundles end to end: each is refused by name, saying what is wrong and where, while decisions go on under the policy
that runs. At the end a good one gets in, so that the refusals were the bundles' and not the appliance's.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time

from appliance import Appliance, Failure, HugePages, ROOT

BUNDLES = ROOT / "examples/policies/payments/bundles"
MIB = 1 << 20
RATE = 3000


def members(bundle):
    with tarfile.open(bundle) as tar:
        return {member.name.lstrip("/"): tar.extractfile(member).read() for member in tar if member.isfile()}


class Zeros(io.RawIOBase):
    """So many zero bytes."""

    def __init__(self, count):
        self.left = count

    def read(self, count=-1):
        count = self.left if count < 0 else min(count, self.left)
        self.left -= count
        return bytes(count)


class Cases:
    """(path, words that the refusal must hold) of each bad bundle."""

    def __init__(self, folder):
        self.folder = folder
        self.good = members(BUNDLES / "payments-2.tar.gz")
        self.cases = []

    def entry(self, name, entries, *words):
        """An archive of (TarInfo, content) pairs."""
        path = self.folder / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            for info, content in entries:
                tar.addfile(info, content)
        self.cases.append((path, words))

    @staticmethod
    def file(name, content):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        return info, io.BytesIO(content)

    def files(self, name, files, *words):
        self.entry(name, [self.file(*pair) for pair in files.items()], *words)

    def bytes(self, name, content, *words):
        path = self.folder / name
        path.write_bytes(content)
        self.cases.append((path, words))

    def link(self, kind, target):
        info = tarfile.TarInfo("data.json")
        info.type = kind
        info.linkname = target
        return [(info, None), *(self.file(name, content) for name, content in self.good.items() if name != "data.json")]

    def plans(self):
        """Archives that are sound, with a plan or data that are not."""
        good = self.good
        self.files("not-json", {**good, "plan.json": b"{\"static\":"}, "plan.json", "line 1")
        self.files("no-plan", {"data.json": good["data.json"]}, "plan")
        self.files("bad-data", {**good, "data.json": b"[1,2]"}, "data.json")
        self.files("broken-data", {**good, "data.json": b"{\"a\":1"}, "data.json")
        self.files("broken-manifest", {**good, ".manifest": b"{\"revision\":"}, ".manifest")
        self.files("two-documents", {**good, "reference/payments/data.json": b"{\"limits\": 1}"}, "data.json",
                   "reference")
        missing = json.loads(good["plan.json"])
        missing["static"]["builtin_funcs"].append({"name": "bank.oracle", "decl": {
            "type": "function", "args": [], "result": {"type": "boolean"}}})
        function = missing["funcs"]["funcs"][0]
        function["blocks"].insert(0, {"stmts": [{"type": "CallStmt", "stmt": {
            "func": "bank.oracle", "args": [], "result": function["return"] + 1, "file": 0, "row": 7, "col": 3}}]})
        self.files("missing-builtin", {**good, "plan.json": json.dumps(missing).encode()}, "bank.oracle")
        unknown = json.loads(good["plan.json"])
        unknown["funcs"]["funcs"][0]["blocks"].append({"stmts": [{"type": "TeleportStmt", "stmt": {}}]})
        self.files("unknown-statement", {**good, "plan.json": json.dumps(unknown).encode()}, "TeleportStmt")

    def archives(self):
        """Archives that are hostile or broken."""
        good, whole = self.good, (BUNDLES / "payments-2.tar.gz").read_bytes()
        self.files("traversal", {**good, "../../etc/evil/data.json": b"{}"}, "../../etc/evil/data.json")
        self.files("long-name", {**good, "a" * 600 + "/data.json": b"{}"}, "bytes")
        self.entry("symbolic-link", self.link(tarfile.SYMTYPE, "/etc/passwd"), "data.json")
        self.entry("hard-link", self.link(tarfile.LNKTYPE, "plan.json"), "data.json")
        self.entry("device", self.link(tarfile.CHRTYPE, ""), "data.json")
        self.entry("fifo", self.link(tarfile.FIFOTYPE, ""), "data.json")
        self.entry("repeated", [self.file(name, content) for name, content in [*good.items(), ("data.json", b"{}")]],
                   "data.json", "twice")
        self.entry("too-many", [self.file(f"f{number}/data.json", b"{}") for number in range(5000)], "4096")
        bomb = tarfile.TarInfo("data.json")
        bomb.size = 300 * MIB
        self.entry("bomb", [(bomb, Zeros(bomb.size))], "data.json", "limit")
        parts = []
        for number in range(3):
            info = tarfile.TarInfo(f"f{number}/data.json")
            info.size = 180 * MIB
            parts.append((info, Zeros(info.size)))
        self.entry("oversized", parts, "with it the bundle has more than")
        self.bytes("truncated.tar.gz", whole[:len(whole) // 2], "truncated.tar.gz")
        self.bytes("flipped.tar.gz", whole[:2000] + bytes([whole[2000] ^ 0xff]) + whole[2001:], "flipped.tar.gz")
        self.bytes("empty.tar.gz", b"", "empty.tar.gz")
        self.bytes("noise.tar.gz", os.urandom(5000), "noise.tar.gz")


def push_refused(unit, path, words):
    done = subprocess.run([str(unit.program("riskctl")), "--config", str(unit.config_file), "policy", "push",
                           str(path)], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    if done.returncode != 1:
        raise Failure(f"{path.name} was not refused: status {done.returncode}: {said}")
    for word in words:
        if word not in said:
            raise Failure(f"{path.name}: the refusal does not say \"{word}\": {said.strip()}")
    print(f"refused {path.name}: {said.strip()[:160]}", flush=True)


def refusals(unit):
    load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 3, "--rate", RATE,
                     "--seconds", 120, "--yield", "--quiet")
    time.sleep(0.5)
    cases = Cases(unit.folder)
    cases.plans()
    cases.archives()
    for path, words in cases.cases:
        push_refused(unit, path, words)
        status = unit.riskctl("status")["policy"]
        if status["sequence"] != 1 or path.name.split(".")[0] not in status["last_error"]:
            raise Failure(f"after {path.name} the policy must still be sequence 1 and last_error name it: {status}")
    unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    if unit.riskctl("status")["policy"].get("last_error"):
        raise Failure("last_error is still set after a push that succeeded")
    time.sleep(0.5)
    load.child.send_signal(signal.SIGINT)
    figures = unit.finish_load(load)
    if figures["lost"] or len(figures["sequences"]) != 2:
        raise Failure(f"lost {figures['lost']}, decisions under {figures['sequences']}")
    if list(unit.folder.glob("state/policies/*.new")):
        raise Failure("a refused bundle left something in the store")
    print(f"{len(cases.cases)} bad bundles refused, {figures['answered']} decisions meanwhile, none lost")


def main():
    with HugePages(512) as huge, Appliance(sys.argv[1], bundle=BUNDLES / "payments-1.tar.gz",
                                           huge_pages=huge.available) as unit:
        unit.start()
        unit.wait_for_policy()
        refusals(unit)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
