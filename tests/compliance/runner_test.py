#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The compliance runner on cases of its own: it passes the good ones, fails each bad one, skips only what is listed.

Usage: runner_test.py RUNNER SKIP_LIST SAMPLE_DIRECTORY
"""
import subprocess
import sys
import tempfile

runner, skip_list, sample = sys.argv[1:]


def expect(arguments, code, last_line):
    done = subprocess.run([runner] + arguments, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode != code or not lines or lines[-1] != last_line:
        sys.exit("%s: exit code %d, %s%s" % (arguments, done.returncode, done.stdout, done.stderr))
    return lines[:-1]


assert expect([sample + "/good"], 0, "9 passed, 0 failed, 0 skipped") == []
bad = expect([sample + "/bad"], 1, "0 passed, 5 failed, 0 skipped")
assert len(bad) == 5 and all(line.startswith("FAIL cases.json: sample/") for line in bad)
assert "opa.runtime" in bad[-1], bad[-1]
assert expect([sample + "/bad", "--quiet"], 1, "0 passed, 5 failed, 0 skipped") == []
expect([sample + "/bad", "--skip-list", skip_list], 1, "0 passed, 4 failed, 1 skipped")
expect([sample, "--only", "good/.*error"], 0, "3 passed, 0 failed, 0 skipped")
with tempfile.TemporaryDirectory() as empty:
    expect([empty], 1, "0 passed, 0 failed, 0 skipped")
    with open(empty + "/broken.json", "w", encoding="utf-8") as file:
        file.write('{"cases":[{"note":"x"}')
    expect([empty], 1, "0 passed, 1 failed, 0 skipped")
assert subprocess.run([runner], capture_output=True, check=False).returncode == 2
