#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies that must not get in: refused with their reason, while the running one goes on deciding.

Broken, truncated and hostile bundles are pushed under load; then the active image is damaged while the data
plane is down: the damage is refused at start, said, and control's copy of the image takes its place.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import time

from appliance import Appliance, Failure, HugePages, ROOT

BUNDLES = ROOT / "examples/policies/payments/bundles"


def members(bundle):
    with tarfile.open(bundle) as tar:
        return {member.name.lstrip("/"): tar.extractfile(member).read() for member in tar if member.isfile()}


def write_bundle(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def bad_bundles(folder):
    """(path, words that the refusal must hold) of each."""
    good = members(BUNDLES / "payments-2.tar.gz")
    plan = json.loads(good["plan.json"])
    cases = []

    def case(name, files, *words):
        cases.append((write_bundle(folder / name, files), words))

    case("not-json.tar.gz", {**good, "plan.json": b"{\"static\":"}, "plan.json", "line 1")
    case("no-plan.tar.gz", {"data.json": good["data.json"]}, "plan")
    missing = json.loads(good["plan.json"])
    missing["static"]["builtin_funcs"].append({"name": "bank.oracle", "decl": {
        "type": "function", "args": [], "result": {"type": "boolean"}}})
    function = missing["funcs"]["funcs"][0]
    function["blocks"].insert(0, {"stmts": [{"type": "CallStmt", "stmt": {
        "func": "bank.oracle", "args": [], "result": function["return"] + 1, "file": 0, "row": 7, "col": 3}}]})
    case("missing-builtin.tar.gz", {**good, "plan.json": json.dumps(missing).encode()}, "bank.oracle")
    function = plan["funcs"]["funcs"][0]
    function["blocks"].append({"stmts": [{"type": "TeleportStmt", "stmt": {}}]})
    case("unknown-statement.tar.gz", {**good, "plan.json": json.dumps(plan).encode()}, "TeleportStmt")
    case("traversal.tar.gz", {**good, "../../etc/evil/data.json": b"{}"}, "..")
    case("bad-data.tar.gz", {**good, "data.json": b"[1,2]"}, "data.json")
    whole = (BUNDLES / "payments-2.tar.gz").read_bytes()
    truncated = folder / "truncated.tar.gz"
    truncated.write_bytes(whole[:len(whole) // 2])
    cases.append((truncated, ("truncated.tar.gz",)))
    bomb = folder / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo("data.json")
        info.size = 1 << 30
        with open("/dev/zero", "rb") as zeros:
            tar.addfile(info, zeros)
    cases.append((bomb, ("bomb.tar.gz",)))
    cases.append((folder / "absent.tar.gz", ("absent.tar.gz",)))
    return cases


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
    load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 3, "--rate", 5000,
                     "--seconds", 60, "--yield")
    time.sleep(1)
    for path, words in bad_bundles(unit.folder):
        push_refused(unit, path, words)
    status = unit.riskctl("status")
    if status["policy"]["sequence"] != 1 or not status["policy"]["last_error"]:
        raise Failure(f"after refusals the policy must still be sequence 1 with last_error set: {status['policy']}")
    unit.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    time.sleep(1)
    load.child.send_signal(2)
    figures = unit.finish_load(load)
    if figures["lost"] or len(figures["sequences"]) != 2:
        raise Failure(f"lost {figures['lost']}, decisions under {figures['sequences']}")
    unit.riskctl("policy", "rollback", 1)
    revision = unit.riskctl("status")["policy"]["revision"]
    if revision != "payments-1":
        raise Failure(f"after the rollback the revision is {revision}")


def damaged_image(unit):
    """Flip one byte of the active image while the data plane is down."""
    active = max(unit.region.glob("active-*"), key=lambda path: int(path.name.split("-")[1]))
    sequence = int(active.name.split("-")[1])
    unit.control.stop()
    unit.control = None
    unit.dataplane.kill()
    damaged = bytearray(active.read_bytes())
    damaged[len(damaged) // 3] ^= 0x10
    os.chmod(active, 0o640)
    active.write_bytes(damaged)
    unit.start_dataplane()
    said = unit.dataplane.text()
    if f"active image refused sequence={sequence}" not in said:
        raise Failure(f"the data plane does not say that it refused {active.name}:\n{unit.dataplane.tail()}")
    unit.start_control()
    status = unit.wait_until(lambda status: status["policy"]["sequence"] > 0
                             and status["policy"]["revision"] == "payments-1", 30, "a sound image active again")
    print(f"damaged {active.name} (sequence {sequence}) refused; active again: sequence "
          f"{status['policy']['sequence']}", flush=True)


def main():
    with HugePages(512) as huge, Appliance(sys.argv[1], bundle=BUNDLES / "payments-1.tar.gz",
                                           huge_pages=huge.available) as unit:
        unit.start()
        unit.wait_for_policy()
        refusals(unit)
        damaged_image(unit)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
