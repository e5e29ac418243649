#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies change under load: a push and a rollback; then the active image is damaged while the data plane is down: the damage
is refused at start, said, and control's copy of the image takes its place. (Bad bundles: tests/faults/bundles.py.)
"""

import os
import sys
import time

from appliance import Appliance, Failure, HugePages, ROOT

BUNDLES = ROOT / "examples/policies/payments/bundles"


def changes(unit):
    """A push and a rollback under load: nothing is lost, and each decision names the policy it was made under."""
    load = unit.load("load", "--template", "PaymentAuthorization", "--generate", 3, "--rate", 5000,
                     "--seconds", 60, "--yield")
    time.sleep(1)
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
        changes(unit)
        if "left bytes" in unit.control.text():
            raise Failure(f"a compile left memory in its arena:\n{unit.control.tail()}")
        damaged_image(unit)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
