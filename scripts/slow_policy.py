# SPDX-License-Identifier: Apache-2.0
"""A policy that is expensive for one amount, about a millisecond, and costs next to nothing for the others."""

import subprocess

from appliance import ROOT

EXPENSIVE = 4242
# A loop of 6400 turns that asks the request for something no program can be typed for.
SOURCE = f"""package payments

default allow := false

allow if not expensive

expensive if {{
	input.amount == {EXPENSIVE}
	numbers_of_a_loop := numbers.range(1, 80)
	count([1 | some x in numbers_of_a_loop; some y in numbers_of_a_loop; sprintf("%v", [x * input.amount + y]) == "0"]) > 1000
}}
"""


def slow_bundle(folder):
    """Its bundle, made in the folder. It needs a decision.instruction_budget of 10000000."""
    source = folder / "slow"
    source.mkdir()
    (source / "payments.rego").write_text(SOURCE)
    opa = subprocess.run([ROOT / "scripts/find-opa"], capture_output=True, text=True, check=True).stdout.strip()
    bundle = folder / "slow.tar.gz"
    subprocess.run([opa, "build", "-b", source, "-t", "plan", "-e", "payments/allow", "-o", bundle], check=True)
    return bundle
