#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages against what they are made from: usage: manual_test.py CONFIGURATION PAGE=PROGRAM... PAGE

Every option, command and key is on its page, and groff has nothing to say about any. The last PAGE, without a program, is riskgate.yaml(5).
"""
import re
import subprocess
import sys
import unittest
from pathlib import Path

CONFIGURATION, *PAGES = sys.argv[1:]


def text_of(page):
    """A page without roff's escapes."""
    text = Path(page).read_text(encoding="utf-8")
    for escaped, plain in (("\\-", "-"), ("\\&", ""), ("\\(ha", "^"), ("\\(ti", "~"), ("\\(ga", "`"), ("\\e", "\\")):
        text = text.replace(escaped, plain)
    return text


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Manual(unittest.TestCase):
    def test_every_option_of_every_program(self):
        for pair in PAGES[:-1]:
            page, _, program = pair.partition("=")
            text, name = text_of(page), Path(program).name
            with self.subTest(page=page):
                self.assertRegex(text, rf"(?m)^\.SH NAME\n{name} \\?- \w")
                for option in set(re.findall(r"(?m)^ +(?:-\w, +)?(--[a-z0-9-]+)", output_of(program, "--help"))):
                    self.assertRegex(text, rf"(?m)^\.B (-\w, )?{option}\b")

    def test_every_command_of_riskctl(self):
        [(page, program)] = [pair.split("=") for pair in PAGES[:-1] if pair.endswith("/riskctl")]
        text = text_of(page)
        commands = re.findall(r"(?m)^  ([a-z]+(?: [a-z]+)?)  +[A-Z]", output_of(program, "help"))
        self.assertGreater(len(commands), 10)
        for command in commands:
            _, _, of_command = text.partition(f'.SS "{command}"\n')
            of_command = of_command.partition(".SS")[0]
            self.assertTrue(of_command, command)
            help_text = output_of(program, "help", *command.split())
            for option in re.findall(r"(?m)^ +(?:-\w, +)?(--[a-z0-9-]+)", help_text.partition("options of every command")[0]):
                self.assertRegex(of_command, rf"(?m)^\.B (-\w, )?{option}\b", command)

    def test_every_key_of_the_configuration(self):
        text = text_of(PAGES[-1])
        keys = re.findall(r"(?m)^[ -]*([a-z_]+):", Path(CONFIGURATION).read_text(encoding="utf-8"))
        self.assertGreater(len(keys), 40)
        for key in keys:
            self.assertRegex(text, rf"(?m)^\.B (\S+\.)?{key}:")
        for comment in re.findall(r"(?m)^ *# (\w.*)$", Path(CONFIGURATION).read_text(encoding="utf-8")):
            if not re.match(r"[a-z_]+:$", comment):
                self.assertIn(comment.strip(), text)

    def test_groff_has_nothing_to_say(self):
        for pair in PAGES:
            page = pair.partition("=")[0]
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=True)
            said = [line for line in done.stderr.splitlines() if "can't break line" not in line] # a long path may stick out
            self.assertEqual(said, [], page)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
