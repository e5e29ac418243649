# SPDX-License-Identifier: Apache-2.0
"""What bench/run makes of figures: a page with plots, and a comparison with an earlier run."""

import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path

import svg
from figures import ROOT, lower_is_better, matches, show, split_goal

# title, unit of its plot, and the beginnings of its figures' names
SECTIONS = (
    ("End to end, one worker over memif", ("end_to_end/",)),
    ("Latency", ("latency/",)),
    ("Policy changes and start", ("publish/", "swaps/", "start/", "policy_sync/")),
    ("A decision alone", ("decide/",)),
    ("Rule tables", ("rule_table/", "rule_table_random/", "rule_table_acl/")),
    ("Loading a bundle", ("load/",)),
    ("Journal and sinks", ("journal/", "sinks/")),
    ("HTTP API", ("api/",)),
    ("Whole commands", ("command/",)),
    ("Parts of a worker's turn", ("micro/",)),
    ("Probes", ("probes/",)),
    ("The machine", ("machine/",)),
)
CURVES = ("latency/half_load/p50", "latency/memif_10000/p50", "latency/veth_af_packet/p50", "latency/veth_af_xdp/p50")
CHANGE_MIN = 0.05  # of a figure that counts as a change, if the rounds of both runs do not overlap


def text_of(path, default="unknown"):
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return default


def output_of(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def compilers(build):
    """What meson built with."""
    log = text_of(build / "meson-logs/meson-log.txt", "")
    return ", ".join(re.findall(r'^C(?:\+\+)? compiler for the host machine: .*"(.*)"\)$', log, re.M)) or "unknown"


def build_options(build):
    wanted = ("buildtype", "b_ndebug", "optimization", "b_sanitize")
    options = json.loads(text_of(build / "meson-info/intro-buildoptions.json", "[]"))
    return ", ".join(f"{option['name']}={option['value']}" for option in options if option["name"] in wanted) or "unknown"


def machine(build):
    """What the figures were taken on: [(what, text)]."""
    cpuinfo = text_of("/proc/cpuinfo", "")
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", text_of("/proc/meminfo", ""), re.M)
    return [
        ("processor", f"{model.group(1) if model else platform.machine()}, {len(os.sched_getaffinity(0))} usable cores"
                      + (", virtual" if re.search(r"\bhypervisor\b", cpuinfo) else "")
                      + (", AVX2" if re.search(r"\bavx2\b", cpuinfo) else ", no AVX2")),
        ("memory", f"{int(memory.group(1)) / 1048576:.0f} GiB" if memory else "unknown"),
        ("kernel", platform.release()),
        ("compilers", compilers(build)),
        ("build", build_options(build)),
        ("riskgate", output_of("git", "describe", "--always", "--dirty")),
        ("load average at the beginning", text_of("/proc/loadavg")),
        ("begun", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())),
    ]


# ---- the page ----

def cell(value):
    return "" if value is None else show(value)


def table(rows):
    lines = ["| figure | value | smallest - largest | peer | ratio | goal | |", "|---|--:|--:|--:|--:|---|---|"]
    for row in rows:
        if row.get("error"):
            text = " ".join(row["error"].split()).replace("|", "\\|")
            lines.append(f"| `{row['name']}` | not measured | | | | {row['goal'] or ''} | {text[:200]} |")
            continue
        spread = f"{show(row['min'])} - {show(row['max'])}" if row.get("rounds", 1) > 1 else ""
        verdict = "" if row["met"] is None else "met" if row["met"] else "**missed**"
        lines.append(f"| `{row['name']}` | {show(row['value'])} {row['unit']} | {spread} | {cell(row['peer'])} | {cell(row['ratio'])} | "
                     f"{row['goal'] or ''} | {verdict} |")
    return lines


def goal_value(row):
    """The goal in the figure's own unit, or None. A goal for a ratio is of the peer's value."""
    if not row["goal"]:
        return None
    what, _, limit = split_goal(row["goal"])
    if what == "value":
        return limit or None
    if not row["peer"] or not row["ratio"]:
        return None
    return row["peer"] / limit if row["speedup"] else row["peer"] * limit


def plot_bars(title, prefixes, rows, folder):
    """A plot for each unit; [file name]."""
    name, files = prefixes[0].strip("/"), []
    cut = len(prefixes[0]) if len(prefixes) == 1 else 0
    for unit in dict.fromkeys(row["unit"] for row in rows):
        bars = [(row["name"][cut:], row["value"], goal_value(row), row["peer"], row["met"]) for row in rows
                if row["unit"] == unit and row["value"] and row["value"] > 0]
        if bars:
            files.append(f"{name}-{re.sub('[^a-z0-9]+', '_', unit.lower())}.svg")
            (folder / files[-1]).write_text(svg.bars(title, unit, bars), encoding="utf-8")
    return files


def plot_curves(rows, folder):
    curves = []
    for row in rows:
        if row["name"] in CURVES and row.get("curve"):
            name = row["name"].split("/")[1]
            curves.append((name, row["curve"], False))
            if row.get("peer_curve"):
                curves.append((f"{name}, reflector", row["peer_curve"], True))
    if not curves:
        return []
    (folder / "latency-percentiles.svg").write_text(svg.percentile_curves("Latency by percentile (us)", curves), encoding="utf-8")
    return ["latency-percentiles.svg"]


def write_page(folder, rows, facts):
    """report.md, its plots and figures.json in the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    goals = [row for row in rows if row["goal"]]
    page = ["# Performance report", "", "Made by `bench/run`; `bench/README.md` says how to read it.", "", "| | |", "|---|---|",
            *(f"| {what} | {text} |" for what, text in facts), "", "## Goals", "",
            f"{sum(row['met'] is True for row in goals)} met, {sum(row['met'] is False for row in goals)} missed, "
            f"{sum(row['met'] is None for row in goals)} not measured.", "", *table(goals), ""]
    for title, prefixes in SECTIONS:
        chosen = [row for row in rows if row["name"].startswith(prefixes)]
        if not chosen:
            continue
        page += [f"## {title}", "", *table(chosen), ""]
        files = plot_bars(title, prefixes, chosen, folder)
        files += plot_curves(chosen, folder)
        page += [f"![{title}]({file})\n" for file in files]
    (folder / "report.md").write_text("\n".join(page), encoding="utf-8")
    (folder / "figures.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


# ---- comparing ----

def change(before, now):
    """(what was compared, now to before, verdict) of one figure in two runs. Ratios to a peer are compared where both runs have one:
    the machine of another day is another machine."""
    if now["value"] is None or before["value"] is None:
        return "", None, "not measured " + ("now" if now["value"] is None else "before")
    what = "ratio" if before["ratio"] and now["ratio"] else "value"
    if not before[what]:
        return what, None, "same" if not now[what] else "changed"
    ratio = now[what] / before[what]
    overlap = what == "value" and "min" in before and "min" in now and before["min"] <= now["max"] and now["min"] <= before["max"]
    if abs(ratio - 1) < CHANGE_MIN or overlap:
        return what, ratio, "same"
    return what, ratio, "better" if (ratio < 1) == lower_is_better(now, what) else "WORSE"


def compare(before, now, asked):
    """Print a table of both runs. asked: patterns of the names that count. Returns how many figures are worse."""
    earlier = {row["name"]: row for row in before if matches(row["name"], asked)}
    worse = 0
    print(f"\n{'figure':<48} {'before':>12} {'now':>12} {'unit':<14} {'compared':<9} {'now/before':>10}  verdict")
    for row in now:
        if row["name"] not in earlier:
            print(f"{row['name']:<48} {'-':>12} {show(row['value']):>12} {row['unit']:<14} {'':<9} {'':>10}  new")
            continue
        old = earlier.pop(row["name"])
        what, ratio, verdict = change(old, row)
        worse += verdict == "WORSE"
        print(f"{row['name']:<48} {show(old['value']):>12} {show(row['value']):>12} {row['unit'] or old['unit']:<14} {what:<9} "
              f"{show(ratio):>10}  {verdict}")
    print(f"{worse} of {len(now)} figures are worse by more than {CHANGE_MIN:.0%}" +
          (f"; {len(earlier)} of the earlier run were not measured now" if earlier else ""))
    return worse
