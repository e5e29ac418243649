#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""More comes than a worker can decide: a policy that takes a millisecond a request, and a flood.

With dataplane.overload_after_us each request is answered, decided or OVERLOAD with the failure verdict, and recorded as it was
answered; before and after the flood all are decided. Without it nothing is ever shed.
"""

import sys

import records
from appliance import Appliance, Failure
from slow_policy import EXPENSIVE, slow_bundle

RATE, SECONDS = 5000, 3  # the worker decides less than 1,000 of them
VERDICTS = {"OK": "ALLOW", "OVERLOAD": "DENY"}  # the policy allows what it decides; decision.failure_verdict is DENY


def send(unit, name, first_id, rate, count, amount):
    """The load generator's report, {status: answers}, and the answers one by one."""
    log = unit.folder / f"{name}.csv"
    report = unit.finish_load(unit.load(name, "--template", "PaymentAuthorization", "--generate", 3, "--set", f"amount={amount}",
                                        "--rate", rate, "--count", count, "--first-id", first_id, "--timeout", 20, "--yield",
                                        "--log-answers", log))
    return report, {status: number for status, number in report["statuses"].items() if number}, records.read_answers(log)


def overload_counter(unit):
    return sum(row["value"] for row in unit.riskctl("region", "--all")["counters"]
               if row["name"] == "answers" and row["label"] == 'status="overload"')


def appliance(build, overload_after_us):
    return Appliance(build, huge_pages=False, settings={
        "decision": {"instruction_budget": 10000000},
        "dataplane": {"memory_mib": 96, "mbufs": 4096, "burst": 8, "idle_sleep_us": 0, "overload_after_us": overload_after_us}})


def start(unit):
    unit.start()
    unit.riskctl("policy", "push", slow_bundle(unit.folder))
    unit.wait_for_policy()


def expect(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: {found} instead of {wanted}")


def shedding(build):
    with appliance(build, 20000) as unit:
        start(unit)
        _, statuses, calm = send(unit, "calm", 1, 200, 101, 10)
        expect("statuses before the flood", statuses, {"ok": 101})
        report, statuses, flood = send(unit, "flood", 100001, RATE, RATE * SECONDS, EXPENSIVE)
        expect("requests of the flood that were sent and answered", (report["answered"], report["lost"], report["unsent"]),
               (RATE * SECONDS, 0, 0))
        expect("kinds of answers in the flood", sorted(statuses), ["ok", "overload"])
        expect("what the worker counted as shed", overload_counter(unit), statuses["overload"])
        _, after, calm_again = send(unit, "after", 200001, 200, 103, 10)
        expect("statuses after the flood", after, {"ok": 103})
        answers = calm | flood | calm_again
        for request_id, (verdict, status, _) in answers.items():
            expect(f"verdict of request {request_id}, {status}", verdict, VERDICTS[status])
        recorded = records.compare(unit, answers)
        print(f"shedding: of {RATE * SECONDS} requests {statuses['ok']} decided, {statuses['overload']} shed, none lost; "
              f"{recorded} records, each as it was answered")


def never(build):
    with appliance(build, 0) as unit:
        start(unit)
        _, statuses, _ = send(unit, "flood", 1, RATE, RATE, EXPENSIVE)
        expect("kinds of answers", sorted(statuses), ["ok"])
        expect("what the worker counted as shed", overload_counter(unit), 0)
        print(f"without the key: {statuses['ok']} decided, none shed")


def main():
    try:
        shedding(sys.argv[1])
        never(sys.argv[1])
    except Failure as failure:
        print(f"failed: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
