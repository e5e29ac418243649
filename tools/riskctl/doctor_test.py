#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""riskctl doctor on trees of files that stand for hosts: usage: doctor_test.py RISKCTL SOURCE_ROOT [unittest arguments]

A tree has the files of /proc, /sys and /dev that doctor reads. The good server passes everything; each test breaks one thing of it and
must find that, and nothing else. --fix and --undo are judged by the files: the tree after --undo is the tree before --fix.
"""
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RISKCTL, ROOT = (Path(word).resolve() for word in sys.argv[1:3])
CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"
NIC = "0000:3b:02.0"
GROUPS = "sys/kernel/iommu_groups"
ALL_CAPABILITIES = "000001ffffffffff"
STATE = "run/riskgate-doctor/changes.json"
MEMORY = Path("/dev/shm") # thousands of small files


def cpu_files(cpu, sibling, node):
    base = f"{CPU}/cpu{cpu}"
    return {f"{base}/topology/thread_siblings_list": f"{cpu},{sibling}" if sibling is not None else f"{cpu}",
            f"{base}/cpufreq/scaling_governor": "performance",
            f"{base}/cpuidle/state0/name": "POLL", f"{base}/cpuidle/state0/latency": "0", f"{base}/cpuidle/state0/disable": "0",
            f"{base}/cpuidle/state1/name": "C1", f"{base}/cpuidle/state1/latency": "2", f"{base}/cpuidle/state1/disable": "0",
            f"{base}/cpuidle/state2/name": "C6", f"{base}/cpuidle/state2/latency": "133", f"{base}/cpuidle/state2/disable": "1"}


def irq_files(number, cpus, action="eth0-0", effective=None):
    files = {f"proc/irq/{number}/smp_affinity_list": cpus, f"proc/irq/{number}/affinity_hint": "0", f"proc/irq/{number}/node": "0",
             f"proc/irq/{number}/spurious": "count 0"}
    if action:
        files[f"proc/irq/{number}/{action}/.there"] = ""
    if effective:
        files[f"proc/irq/{number}/effective_affinity_list"] = effective
    return files


def limits(locked="unlimited", files="65536", core="unlimited"):
    return ("Limit                     Soft Limit           Hard Limit           Units     \n"
            f"Max core file size        {core:<20} unlimited            bytes     \n"
            f"Max open files            {files:<20} 524288               files     \n"
            f"Max locked memory         {locked:<20} unlimited            bytes     ")


def page_files(node, pages_1g, free_1g, pages_2m, free_2m):
    base = f"{NODE}/node{node}/hugepages"
    return {f"{base}/hugepages-1048576kB/nr_hugepages": str(pages_1g), f"{base}/hugepages-1048576kB/free_hugepages": str(free_1g),
            f"{base}/hugepages-2048kB/nr_hugepages": str(pages_2m), f"{base}/hugepages-2048kB/free_hugepages": str(free_2m)}


def good_server():
    """Two nodes of 8 cores; workers on 2-5, which the kernel was told at boot; a virtual function of the NIC on node 0."""
    files = {
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz quiet isolcpus=managed_irq,domain,2-5 nohz_full=2-5 rcu_nocbs=2-5 irqaffinity=0-1",
        "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc pdpe1gb\n",
        "proc/meminfo": "MemTotal:       131072000 kB\nHugepagesize:    1048576 kB",
        "proc/mounts": "proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,pagesize=1024M 0 0\nbpf /sys/fs/bpf bpf rw 0 0",
        "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority",
        "proc/self/status": f"Name:\triskctl\nCapEff:\t{ALL_CAPABILITIES}\nCpus_allowed_list:\t0-15",
        "proc/self/limits": limits(),
        "proc/self/task/1/stat": "1 (riskctl) R " + " ".join(["0"] * 37) + " 0 0 0",
        "proc/sys/kernel/numa_balancing": "0", "proc/sys/kernel/timer_migration": "1", "proc/sys/kernel/watchdog": "1",
        "proc/sys/kernel/watchdog_cpumask": "0-1,6-15", "proc/sys/kernel/sched_rt_runtime_us": "950000",
        "proc/sys/kernel/sched_rt_period_us": "1000000", "proc/sys/kernel/random/boot_id": "6f1c7a52-0000-4000-8000-000000000001",
        f"{CPU}/online": "0-15", f"{CPU}/isolated": "2-5", f"{CPU}/nohz_full": "2-5",
        "sys/devices/virtual/workqueue/cpumask": "ffc3",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
        "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        "sys/kernel/btf/vmlinux": "", f"sys/bus/pci/devices/{NIC}/numa_node": "0",
        f"{NODE}/node0/cpulist": "0-7", f"{NODE}/node1/cpulist": "8-15",
        f"{GROUPS}/42/type": "DMA", f"{GROUPS}/42/devices/{NIC}": "", "dev/vfio/vfio": "", "dev/vfio/42": "", "dev/net/tun": "",
        **page_files(0, 8, 8, 0, 0), **page_files(1, 0, 0, 0, 0),
        **irq_files(24, "0-1"), **irq_files(25, "0-15", effective="1"), **irq_files(26, "0-15", action=None)}
    for cpu in range(16):
        files.update(cpu_files(cpu, None, cpu // 8))
    links = {f"sys/bus/pci/devices/{NIC}/driver": "../../../../bus/pci/drivers/vfio-pci",
             f"sys/bus/pci/devices/{NIC}/iommu_group": "../../../../kernel/iommu_groups/42"}
    return files, links


GOOD_CONFIG = {"instance": "tree", "dataplane": {"workers": 4, "cores": "1,2-5", "memory_mib": 2048, "idle_sleep_us": 0,
                                                 "ports": [{"device": NIC, "addresses": ["10.0.0.1/24"]}]}}


class Host(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="doctor-test-", dir=MEMORY if MEMORY.is_dir() else None)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tree = self.folder / "root"
        self.files, self.links = good_server()
        self.config = json.loads(json.dumps(GOOD_CONFIG))
        self.user = {}

    def build(self):
        for name, text in self.files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(text, bytes):
                path.write_bytes(text)
            else:
                path.write_text(text + "\n")
        for name, target in self.links.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        (self.folder / "riskgate.yaml").write_text(json.dumps(self.config))

    def give_away(self, but):
        """From now on doctor is run by somebody whom the tree belongs to, but for one file."""
        if os.geteuid():
            return # as it is
        for path in [self.folder, *self.folder.rglob("*")]:
            if str(path) != str(self.tree / but):
                os.chown(path, 65534, 65534, follow_symlinks=False)
        self.user = {"user": 65534, "group": 65534, "extra_groups": []}

    def run_doctor(self, *words):
        done = subprocess.run([RISKCTL, "--config", self.folder / "riskgate.yaml", "doctor", "--root", self.tree, *words],
                              capture_output=True, text=True, timeout=60, **self.user)
        return done.returncode, done.stdout, done.stderr

    def doctor(self, *words, status=0):
        got, out, err = self.run_doctor("--json", *words)
        self.assertEqual(got, status, out + err)
        return json.loads(out)

    def findings(self, answer):
        return {(found["check"], found["severity"]) for found in answer["findings"] if found["severity"] != "ok"}

    def text_of(self, answer, check):
        return "\n".join(found["finding"] + "\n" + found.get("remedy", "") for found in answer["findings"] if found["check"] == check)

    def finds(self, check, severity, pattern):
        """The tree has this one fault; returns the answer."""
        self.build()
        answer = self.doctor(status=0 if severity == "advice" else 1)
        self.assertEqual(self.findings(answer), {(check, severity)})
        self.assertRegex(self.text_of(answer, check), pattern)
        return answer

    def snapshot(self):
        """Every file of the tree but the folder in which doctor keeps its file."""
        return {str(path.relative_to(self.tree)): path.read_bytes() for path in sorted(self.tree.rglob("*"))
                if path.is_file() and not path.is_relative_to(self.tree / "run")}

    def fixes(self, check, severity, pattern, paths):
        """Found; after --fix it passes, and only these files have changed; after --undo all are as before."""
        self.finds(check, severity, pattern)
        before = self.snapshot()
        answer = self.doctor("--fix")
        self.assertEqual(self.findings(answer), set())
        self.assertEqual(sorted(change["path"] for change in answer["changes"]), sorted("/" + path for path in paths))
        after = self.snapshot()
        self.assertEqual(sorted(name for name in after if after[name] != before[name]), sorted(paths))
        self.assertTrue((self.tree / STATE).exists())
        self.assertEqual(self.findings(self.doctor()), set())
        undone = self.doctor("--undo")["undone"]
        self.assertEqual(sorted(change["path"] for change in undone), sorted("/" + path for path in paths))
        self.assertEqual(self.snapshot(), before)
        self.assertFalse((self.tree / STATE).exists())
        self.assertEqual(self.doctor("--undo")["undone"], [])
        return {path: after[path].decode().strip() for path in paths}


class Good(Host):
    def test_everything_passes(self):
        self.build()
        before = self.snapshot()
        answer = self.doctor()
        self.assertEqual((self.findings(answer), answer["ok"], answer["errors"], answer["warnings"], answer["advice"]), (set(), True, 0, 0, 0))
        checks = [check["check"] for check in json.loads(self.run_doctor("--json", "--list")[1])["checks"]]
        self.assertEqual(list(dict.fromkeys(found["check"] for found in answer["findings"])), checks)
        self.assertIn("workers on 2-5, the main thread on 1", self.text_of(answer, "cores"))
        self.assertIn("8 of 8 pages of 1024 MiB free; 2176 MiB are needed", self.text_of(answer, "huge-pages"))
        fixed = self.doctor("--fix")
        self.assertEqual((fixed["changes"], fixed["failures"]), ([], []))
        self.assertEqual(self.snapshot(), before)

    def test_in_words(self):
        self.build()
        status, out, err = self.run_doctor()
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"(?m)^ok       isolation: cores 2-5 are isolated$")
        self.assertTrue(out.endswith("0 errors, 0 warnings, 0 pieces of advice, 25 ok\n"), out)


class Cores(Host):
    def test_too_few_cores(self):
        self.config["dataplane"]["workers"] = 6
        self.build()
        answer = self.doctor(status=1)
        self.assertIn(("cores", "error"), self.findings(answer))
        self.assertRegex(self.text_of(answer, "cores"), "6 workers need as many cores")

    def test_a_core_that_is_not_there(self):
        self.config["dataplane"]["cores"] = "1,2-4,16"
        self.build()
        self.assertRegex(self.text_of(self.doctor(status=1), "cores"), "core 16")

    def test_the_main_thread_has_no_core(self):
        self.files[f"{CPU}/online"] = "2-5"
        self.files["proc/self/status"] = f"CapEff:\t{ALL_CAPABILITIES}\nCpus_allowed_list:\t2-5"
        self.config["dataplane"]["cores"] = "2-5"
        self.finds("cores", "warning", "main thread shares core 2")

    def test_isolated_cores_are_in_nobodys_affinity(self):
        self.files["proc/self/status"] = f"CapEff:\t{ALL_CAPABILITIES}\nCpus_allowed_list:\t0-1,6-15"
        self.finds("cores", "advice", r"may not use 2-5\n.*CPUAffinity=1 2-5; by hand: taskset -c 1,2-5")

    def test_not_isolated(self):
        self.files[f"{CPU}/isolated"] = "2-3"
        self.finds("isolation", "warning", r"cores 4-5 are not isolated\nkernel command line: isolcpus=managed_irq,domain,2-5 nohz_full=2-5 "
                   r"rcu_nocbs=2-5 irqaffinity=0-1,6-15$")

    def test_ticks(self):
        del self.files[f"{CPU}/nohz_full"]
        self.finds("nohz-full", "warning", "cores 2-5 are not free of the timer tick")

    def test_rcu_callbacks(self):
        self.files["proc/cmdline"] = "quiet rcu_nocbs=2-4"
        self.files[f"{CPU}/nohz_full"] = "2-3"
        self.build()
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {("nohz-full", "warning"), ("rcu-nocbs", "warning")})
        self.assertIn("core 5 is not free of the kernel's RCU callbacks", self.text_of(answer, "rcu-nocbs"))
        for line in ("quiet rcu_nocbs=all", "rcu_nocbs=0,2-5 quiet"):
            (self.tree / "proc/cmdline").write_text(line + "\n")
            self.assertEqual(self.findings(self.doctor(status=1)), {("nohz-full", "warning")})

    def test_siblings(self):
        self.files.update(cpu_files(2, 10, 0))
        self.finds("smt-siblings", "advice", "workers and 10: ")
        self.files.update(cpu_files(4, 5, 0))
        self.files.update(cpu_files(5, 4, 0))
        self.build_again()
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {("smt-siblings", "advice"), ("smt-siblings", "warning")})
        self.assertIn("workers on 4 and 5 share one physical core", self.text_of(answer, "smt-siblings"))

    def build_again(self):
        for name in self.links:
            (self.tree / name).unlink()
        self.build()

    def test_sibling_that_is_offline(self):
        self.files.update(cpu_files(2, 18, 0))
        self.build()
        self.doctor()

    def test_governor(self):
        paths = [f"{CPU}/cpu{cpu}/cpufreq/scaling_governor" for cpu in (3, 4)]
        for path in [*paths, f"{CPU}/cpu9/cpufreq/scaling_governor"]: # 9 is no worker's: left alone
            self.files[path] = "schedutil"
        self.fixes("governor", "warning", "schedutil, on workers' cores: 3-4", paths)

    def test_c_states(self):
        path = f"{CPU}/cpu5/cpuidle/state2/disable"
        self.files[path] = "0"
        self.fixes("c-states", "advice", "cores 5 may sleep in C6, 133 us to wake from, when no worker spins", [path])

    def test_c_states_of_workers_that_sleep(self):
        self.files[f"{CPU}/cpu5/cpuidle/state2/disable"] = "0"
        self.config["dataplane"]["idle_sleep_us"] = 100
        self.finds("c-states", "warning", "idle_sleep_us lets them")
        (self.tree / "dev/cpu_dma_latency").write_bytes(struct.pack("<i", 0))
        self.assertIn("a process holds /dev/cpu_dma_latency at 0 us", self.text_of(self.doctor(), "c-states"))
        (self.tree / "dev/cpu_dma_latency").write_bytes(struct.pack("<i", 2000000000))
        self.assertEqual(self.findings(self.doctor(status=1)), {("c-states", "warning")})

    def test_interrupts(self):
        self.files.update(irq_files(30, "0-15", "nvme0q1"))
        self.files.update(irq_files(31, "4", "nvme0q5"))
        del self.files["proc/irq/25/effective_affinity_list"]
        paths = [f"proc/irq/{number}/smp_affinity_list" for number in (25, 30, 31)]
        after = self.fixes("interrupts", "warning", "3 on workers' cores: 25 eth0-0 on 2-5, 30 nvme0q1 on 2-5, 31 nvme0q5 on 4", paths)
        self.assertEqual(list(after.values()), ["0-1,6-15"] * 3)

    def test_an_interrupt_that_moves_with_the_next_one(self):
        self.files.update(irq_files(30, "0-1", "nvme0q1", effective="3"))
        self.build()
        self.doctor()

    def test_an_interrupt_that_does_not_move(self):
        """Managed by its driver, its list cannot be written. Here: not by this user."""
        self.files.update(irq_files(30, "2-5", "nvme0q1", effective="3"))
        self.files.update(irq_files(31, "4", "nvme0q5"))
        self.finds("interrupts", "warning", "2 on workers' cores: 30 nvme0q1 on 3, 31 nvme0q5 on 4")
        before = self.snapshot()
        (self.tree / "proc/irq/30/smp_affinity_list").chmod(0o444)
        self.give_away(but="proc/irq/30/smp_affinity_list")
        answer = self.doctor("--fix", status=1)
        self.assertEqual(self.findings(answer), {("interrupts", "warning")})
        self.assertIn("1 on workers' cores: 30 nvme0q1 on 3", self.text_of(answer, "interrupts"))
        self.assertRegex(answer["failures"][0]["error"], "1 of 2 interrupts cannot be moved: .*irq/30.*Permission denied; it needs CAP_DAC_OVERRIDE")
        self.assertEqual([change["path"] for change in answer["changes"]], ["/proc/irq/31/smp_affinity_list"])
        self.doctor("--undo")
        self.assertEqual(self.snapshot(), before)

    def test_work_queues(self):
        path = "sys/devices/virtual/workqueue/cpumask"
        self.files[path] = "ffff"
        self.assertEqual(self.fixes("work-queues", "warning", "cores: 2-5\necho ffc3 >", [path]), {path: "ffc3"})

    def test_a_wide_mask(self):
        self.files[f"{CPU}/online"] = "0-39"
        path = "sys/devices/virtual/workqueue/cpumask"
        self.files[path] = "ff,ffffffff"
        self.files["proc/sys/kernel/watchdog_cpumask"] = "0-1,6-39"
        self.assertEqual(self.fixes("work-queues", "warning", "echo ff,ffffffc3 >", [path]), {path: "ff,ffffffc3"})

    def test_watchdog(self):
        path = "proc/sys/kernel/watchdog_cpumask"
        self.files[path] = "0-15"
        self.assertEqual(self.fixes("watchdog", "advice", "cores: 2-5", [path]), {path: "0-1,6-15"})

    def test_timer_migration(self):
        path = "proc/sys/kernel/timer_migration"
        self.files[path] = "0"
        self.fixes("timer-migration", "warning", "off", [path])

    def test_real_time_throttling(self):
        self.files["proc/self/task/1/stat"] = "1 (a b) R " + " ".join(["0"] * 37) + " 1 0 0"
        path = "proc/sys/kernel/sched_rt_runtime_us"
        self.fixes("rt-throttling", "warning", "stopped 50000 us of every 1000000", [path])


class Memory(Host):
    def test_too_few_huge_pages(self):
        self.files.update(page_files(0, 8, 1, 0, 0))
        path = f"{NODE}/node0/hugepages/hugepages-1048576kB/nr_hugepages"
        self.finds("huge-pages", "warning", r"node 0: 1 of 8 pages of 1024 MiB free, and 2176 MiB are needed.*\necho 10 > /" + path)

    def test_small_pages_for_much_memory(self):
        self.files["proc/meminfo"] = "Hugepagesize:       2048 kB"
        self.files.update(page_files(0, 0, 0, 2000, 1500))
        self.finds("huge-pages", "advice", "1500 of 2000 pages of 2 MiB free; 2176 MiB are needed, enough for pages of 1 GiB\n.* hugepages=3$")
        self.config["dataplane"]["memory_mib"] = 512
        (self.folder / "riskgate.yaml").write_text(json.dumps(self.config))
        self.assertEqual(self.findings(self.doctor()), set())

    def test_a_node_without(self):
        self.config["dataplane"]["cores"] = "1,4-5,8-9"
        self.files["proc/sys/kernel/watchdog_cpumask"] = "0-1"
        self.files["sys/devices/virtual/workqueue/cpumask"] = "3"
        self.files.update({f"{CPU}/isolated": "2-9", f"{CPU}/nohz_full": "2-9"})
        self.build()
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {("huge-pages", "warning"), ("numa", "warning")})
        self.assertIn("node 1: no huge pages, and 1088 MiB are needed", self.text_of(answer, "huge-pages"))
        self.assertIn("workers on 4 and 8 are on the nodes 0 and 1", self.text_of(answer, "numa"))

    def test_fix_and_undo(self):
        """A tree cannot find free memory, as the kernel does: the page that is set is not a free one, and that is said."""
        self.files.update(page_files(0, 1, 1, 0, 0))
        self.build()
        before = self.snapshot()
        answer = self.doctor("--fix", status=1)
        path = f"{NODE}/node0/hugepages/hugepages-1048576kB/nr_hugepages"
        self.assertEqual(answer["changes"], [{"path": "/" + path, "before": "1", "after": "3"}])
        self.assertEqual((self.findings(answer), answer["ok"]), ({("huge-pages", "warning")}, False))
        (self.tree / path.replace("nr_", "free_")).write_text("3\n")
        self.doctor()
        (self.tree / path.replace("nr_", "free_")).write_text("1\n")
        self.doctor("--undo")
        self.assertEqual(self.snapshot(), before)

    def test_not_used(self):
        self.config["dataplane"]["huge_pages"] = False
        self.finds("huge-pages", "advice", "dataplane.huge_pages is false")

    def test_kernel_without(self):
        self.files["proc/meminfo"] = "MemTotal: 1 kB"
        self.finds("huge-pages", "warning", "this kernel has no huge pages")

    def test_not_mounted(self):
        self.files["proc/mounts"] = "proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0"
        answer = self.finds("hugetlbfs", "advice", "mount -t hugetlbfs")
        self.assertIn("2048 MiB are needed", self.text_of(answer, "huge-pages"))
        self.config["region"] = {"directory": "/dev/shm/x"}
        (self.folder / "riskgate.yaml").write_text(json.dumps(self.config))
        self.assertEqual(self.findings(self.doctor()), set())

    def test_transparent(self):
        path = "sys/kernel/mm/transparent_hugepage/enabled"
        self.files[path] = "[always] madvise never"
        # A file keeps what is written; the kernel would mark it. "always", written back, is what it was.
        self.finds("transparent-huge-pages", "warning", "always")
        self.doctor("--fix")
        self.assertEqual((self.tree / path).read_text(), "madvise\n")
        self.assertEqual(self.doctor("--undo")["undone"], [{"path": "/" + path, "value": "always"}])
        self.assertEqual((self.tree / path).read_text(), "always\n")

    def test_swap(self):
        self.files["proc/swaps"] += "\n/dev/sda2                               partition\t8388604\t0\t-2"
        self.finds("swap", "advice", "in use: /dev/sda2")

    def test_numa_balancing(self):
        path = "proc/sys/kernel/numa_balancing"
        self.files[path] = "1"
        self.fixes("numa-balancing", "warning", r"on \(1\)", [path])


class Ports(Host):
    def port(self, device, **more):
        self.config["dataplane"]["ports"] = [{"device": device, "addresses": ["10.0.0.1/24"], **more}]

    def interface(self, name="eth1", queues=4, state="up", node="0"):
        base = f"sys/class/net/{name}"
        self.files.update({f"{base}/operstate": state, f"{base}/device/numa_node": node, f"{base}/queues/tx-0/.there": ""})
        self.files.update({f"{base}/queues/rx-{queue}/.there": "" for queue in range(queues)})
        self.links[f"{base}/device/driver"] = "../../../bus/pci/drivers/ixgbe"

    def test_no_such_device(self):
        self.port("0000:af:00.0")
        self.finds("ports", "error", "0000:af:00.0: there is no such PCI device")

    def test_short_address(self):
        self.port(NIC[5:])
        self.build()
        self.doctor()

    def test_drivers(self):
        driver = f"sys/bus/pci/devices/{NIC}/driver"
        for name, severity, pattern in (("iavf", "error", "the kernel's driver iavf has it.*\n.*--bind=vfio-pci"), ("mlx5_core", None, "works beside"),
                                        ("uio_pci_generic", "advice", "writing to any memory"), (None, "error", "no driver has it")):
            with self.subTest(driver=name):
                self.setUp()
                self.links.pop(driver)
                if name:
                    self.links[driver] = f"../../bus/pci/drivers/{name}"
                if severity:
                    self.finds("ports", severity, pattern)
                else:
                    self.build()
                    self.assertRegex(self.text_of(self.doctor(), "ports"), pattern)

    def test_no_iommu(self):
        del self.links[f"sys/bus/pci/devices/{NIC}/iommu_group"]
        self.finds("ports", "warning", "no IOMMU group")

    def neighbour(self, device, driver):
        """Another device of the NIC's IOMMU group."""
        self.files[f"{GROUPS}/42/devices/{device}"] = ""
        if driver:
            self.links[f"sys/bus/pci/devices/{device}/driver"] = f"../../../../bus/pci/drivers/{driver}"

    def test_iommu_group_with_others(self):
        for number, driver in enumerate((None, "vfio-pci", "pci-stub", "pcieport")):
            self.neighbour(f"0000:3b:03.{number}", driver)
        self.build()
        self.assertIn(f"{NIC}: vfio-pci, IOMMU group 42", self.text_of(self.doctor(), "ports"))

    def test_iommu_group_that_the_kernel_uses(self):
        self.neighbour("0000:3b:02.1", "iavf")
        self.neighbour("0000:3b:02.2", "vfio-pci")
        self.neighbour("0000:3b:02.3", "ice")
        self.finds("ports", "error", r"the kernel uses 0000:3b:02.1 \(iavf\), 0000:3b:02.3 \(ice\) of the same IOMMU group 42: .*\n.*for those too")

    def test_vfio_is_not_passed_on(self):
        del self.files["dev/vfio/42"]
        self.finds("ports", "error", "/dev/vfio/42 is not there\n.*in a container: --device /dev/vfio/vfio --device /dev/vfio/42")

    def test_other_node(self):
        self.files[f"sys/bus/pci/devices/{NIC}/numa_node"] = "1"
        self.finds("numa", "warning", f"{NIC} is on node 1, the first worker on node 0")

    def test_af_xdp(self):
        self.port("net_af_xdp0,iface=eth1")
        self.interface()
        self.build()
        self.assertIn("on eth1 (ixgbe), 4 queues for 4 workers", self.text_of(self.doctor(), "ports"))

    def test_af_xdp_queues(self):
        for queues, pattern in ((2, "has 2 queues for 4 workers: some have none\nethtool -L eth1 combined 4"), (8, "has 8 queues for 4 workers: packets")):
            with self.subTest(queues=queues):
                self.setUp()
                self.port("net_af_xdp0,iface=eth1")
                self.interface(queues=queues)
                self.finds("ports", "warning", pattern)

    def test_interface_is_away_or_down(self):
        self.port("net_af_xdp0,iface=eth1")
        self.finds("ports", "error", 'there is no interface "eth1"')
        self.setUp()
        self.port("net_af_xdp0,iface=eth1")
        self.interface(state="down")
        self.finds("ports", "warning", "eth1 is down")

    def test_others(self):
        for device, severity, pattern in (("net_tap0,iface=r0", "advice", "for trying things out"), ("net_memif0,role=server,socket=/x", None, "shared memory"),
                                          ("net_null0", None, "no host setting"), ("eth1", "error", "neither a PCI address")):
            with self.subTest(device=device):
                self.setUp()
                self.port(device)
                if severity:
                    self.finds("ports", severity, pattern)
                else:
                    self.build()
                    self.assertRegex(self.text_of(self.doctor(), "ports"), pattern)
        self.setUp()
        self.port("net_tap0,iface=r0")
        del self.files["dev/net/tun"]
        self.finds("ports", "error", "/dev/net/tun is not there")

    def test_configured_queues(self):
        self.port(NIC, queues=2)
        self.finds("ports", "warning", r"ports\[0\].queues is 2 for 4 workers")

    def test_capabilities(self):
        self.port("net_af_xdp0,iface=eth1")
        self.interface()
        has_all = self.files["proc/self/status"]
        self.files["proc/self/status"] = has_all.replace(ALL_CAPABILITIES, f"{0x1ffffffffff & ~(1 << 12):016x}") # CAP_NET_ADMIN
        self.finds("capabilities", "error", "lacks CAP_NET_ADMIN, to attach the XDP program\n.*AmbientCapabilities=CAP_NET_ADMIN")

    def test_limits(self):
        self.files["proc/self/limits"] = limits(core="0")
        self.finds("limits", "advice", "no core file")
        self.setUp()
        self.files["proc/self/limits"] = limits(files="256")
        self.finds("limits", "warning", "may open 256 files")
        self.setUp()
        self.files["proc/self/limits"] = limits(locked="8388608")
        self.files["proc/self/status"] = self.files["proc/self/status"].replace(ALL_CAPABILITIES, f"{0x1ffffffffff & ~(1 << 14):016x}") # CAP_IPC_LOCK
        self.finds("limits", "error", "may lock 8192 KiB; the ports' memory is 2048 MiB")

    def test_bpf(self):
        del self.files["sys/kernel/btf/vmlinux"]
        self.finds("bpf", "advice", "no type information")
        self.setUp()
        self.files["proc/mounts"] = "hugetlbfs /dev/hugepages hugetlbfs rw 0 0"
        self.finds("bpf", "advice", "mount -t bpf")


class Clocks(Host):
    def test_tsc(self):
        self.files["proc/cpuinfo"] = "flags\t\t: fpu tsc constant_tsc xnonstop_tsc"
        self.finds("invariant-tsc", "warning", "lacks nonstop_tsc")

    def test_other_processors(self):
        self.files["proc/cpuinfo"] = "Features\t: fp asimd"
        self.files["sys/devices/system/clocksource/clocksource0/current_clocksource"] = "arch_sys_counter"
        self.build()
        self.doctor()

    def test_clock_source(self):
        base = "sys/devices/system/clocksource/clocksource0"
        self.files[f"{base}/current_clocksource"] = "hpet"
        self.finds("clock-source", "warning", f"hpet, and tsc is available\necho tsc > /{base}")
        (self.tree / base / "available_clocksource").write_text("hpet acpi_pm\n")
        self.assertIn("does not trust", self.text_of(self.doctor(status=1), "clock-source"))


class Machines(Host):
    def test_a_bad_server(self):
        """Everything at once: what a distribution's installation is like."""
        for cpu in range(16):
            self.files.update(cpu_files(cpu, (cpu + 8) % 16, cpu // 8))
            self.files[f"{CPU}/cpu{cpu}/cpufreq/scaling_governor"] = "powersave"
            self.files[f"{CPU}/cpu{cpu}/cpuidle/state2/disable"] = "0"
        self.files.update({
            "proc/cmdline": "quiet splash", f"{CPU}/isolated": "", f"{CPU}/nohz_full": "(null)", "proc/swaps": "Filename\tType\n/swapfile file 1 0 -2",
            "proc/sys/kernel/numa_balancing": "1", "proc/sys/kernel/timer_migration": "0", "proc/sys/kernel/watchdog_cpumask": "0-15",
            "sys/devices/virtual/workqueue/cpumask": "ffff", "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet", "proc/self/limits": limits(locked="65536", files="1024", core="0"),
            "proc/mounts": "", "proc/self/status": "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-15", "proc/meminfo": "Hugepagesize:       2048 kB",
            **page_files(0, 0, 0, 0, 0), **irq_files(24, "0-15"), **irq_files(25, "3")})
        self.links[f"sys/bus/pci/devices/{NIC}/driver"] = "../drivers/ice"
        self.build()
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {
            ("isolation", "warning"), ("nohz-full", "warning"), ("rcu-nocbs", "warning"), ("smt-siblings", "advice"), ("governor", "warning"),
            ("c-states", "advice"), ("interrupts", "warning"), ("work-queues", "warning"), ("watchdog", "advice"), ("timer-migration", "warning"),
            ("huge-pages", "warning"), ("hugetlbfs", "advice"), ("transparent-huge-pages", "warning"), ("numa-balancing", "warning"), ("swap", "advice"),
            ("ports", "error"), ("limits", "error"), ("limits", "advice"), ("clock-source", "warning"), ("bpf", "advice")})
        self.assertTrue(all(found.get("remedy") for found in answer["findings"] if found["severity"] != "ok"), "each has a remedy")
        before = self.snapshot()
        fixed = self.doctor("--fix", status=1)
        left = {check for check, _ in self.findings(fixed)}
        self.assertEqual(left, {"isolation", "nohz-full", "rcu-nocbs", "smt-siblings", "huge-pages", "hugetlbfs", "swap", "ports", "limits", "clock-source", "bpf"})
        status, out, _ = self.run_doctor()
        self.assertEqual(status, 1)
        self.assertRegex(out, r"(?m)^error    ports: .*ice has it")
        self.doctor("--undo")
        after = self.snapshot()
        before["sys/kernel/mm/transparent_hugepage/enabled"] = b"always\n" # see test_transparent
        self.assertEqual(after, before)

    def test_a_large_server(self):
        """Four nodes with 16 cores of two threads each (n and n + 64), one with memory alone; the NIC and its workers on node 2."""
        for cpu in range(128):
            self.files.update(cpu_files(cpu, (cpu + 64) % 128, cpu % 64 // 16))
        nodes = {f"{NODE}/node{node}/cpulist": f"{16 * node}-{16 * node + 15},{16 * node + 64}-{16 * node + 79}" for node in range(4)}
        mask = ",".join(["ffffffff"] * 4)
        self.files.update({
            **nodes, f"{NODE}/node4/cpulist": "", **page_files(2, 8, 8, 0, 0), **page_files(0, 0, 0, 0, 0),
            "proc/cmdline": "isolcpus=managed_irq,domain,34-37,98-101 nohz_full=34-37,98-101 rcu_nocbs=34-37,98-101 irqaffinity=0-31",
            f"{CPU}/online": "0-127", f"{CPU}/isolated": "34-37,98-101", f"{CPU}/nohz_full": "34-37,98-101",
            "proc/self/status": f"CapEff:\t{ALL_CAPABILITIES}\nCpus_allowed_list:\t0-127",
            "proc/sys/kernel/watchdog_cpumask": "0-33,38-127", "sys/devices/virtual/workqueue/cpumask": "ffffffff,ffffffff,ffffffc3,ffffffff",
            f"sys/bus/pci/devices/{NIC}/numa_node": "2", **irq_files(24, "0-31"), **irq_files(25, "0-127", effective="1"), **irq_files(26, "0-127", action=None)})
        for cpu in range(98, 102):  # the other threads of the workers' cores sleep
            self.files[f"{CPU}/cpu{cpu}/online"] = "0"
        self.files[f"{CPU}/online"] = "0-97,102-127"
        self.config["dataplane"]["cores"] = "33,34-37"
        self.build()
        answer = self.doctor()
        self.assertEqual(self.findings(answer), set())
        self.assertIn("node 2: 8 of 8 pages of 1024 MiB free; 2176 MiB are needed", self.text_of(answer, "huge-pages"))
        self.assertIn("workers and ports are on node 2", self.text_of(answer, "numa"))
        (self.tree / f"{CPU}/online").write_text("0-127\n")  # the siblings wake, and the work queues and interrupts are everybody's
        (self.tree / "sys/devices/virtual/workqueue/cpumask").write_text(mask + "\n")
        (self.tree / "proc/irq/25/effective_affinity_list").write_text("36\n")
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {("smt-siblings", "advice"), ("work-queues", "warning"), ("interrupts", "warning")})
        self.assertRegex(self.text_of(answer, "work-queues"), "echo ffffffff,ffffffff,ffffffc3,ffffffff >")
        self.assertRegex(self.text_of(answer, "smt-siblings"), "98")
        self.config["dataplane"]["cores"] = "33,34-35,50-51"
        (self.folder / "riskgate.yaml").write_text(json.dumps(self.config))
        answer = self.doctor(status=1)
        self.assertIn(("numa", "warning"), self.findings(answer))
        self.assertIn("workers on 34 and 50 are on the nodes 2 and 3", self.text_of(answer, "numa"))
        self.assertRegex(self.text_of(answer, "huge-pages"), "node 3: no huge pages, and 1088 MiB are needed")

    def test_a_virtual_machine(self):
        """Two cores, no cpufreq, no cpuidle, no NUMA nodes, 2 MiB pages, a tap device."""
        self.files = {name: text for name, text in self.files.items() if not name.startswith((CPU, NODE)) and "irq" not in name}
        self.links = {}
        self.files.update({
            "proc/cmdline": "console=ttyS0", "proc/cpuinfo": "flags\t\t: fpu tsc constant_tsc nonstop_tsc hypervisor", f"{CPU}/online": "0-1",
            f"{CPU}/isolated": "", "proc/meminfo": "Hugepagesize:       2048 kB", "proc/sys/kernel/watchdog_cpumask": "0-1",
            "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "300", "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "300",
            "sys/devices/virtual/workqueue/cpumask": "3", "proc/self/status": f"CapEff:\t{ALL_CAPABILITIES}\nCpus_allowed_list:\t0-1",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock", **irq_files(26, "0-1", "virtio0-input.0")})
        self.config = {"instance": "tree", "dataplane": {"ports": [{"device": "net_tap0,iface=riskgate0", "addresses": ["10.71.0.1/24"]}]}}
        self.build()
        answer = self.doctor(status=1)
        self.assertEqual(self.findings(answer), {("isolation", "warning"), ("nohz-full", "warning"), ("rcu-nocbs", "warning"), ("interrupts", "warning"),
                                                 ("work-queues", "warning"), ("watchdog", "advice"), ("ports", "advice"), ("clock-source", "warning")})
        self.assertIn("core 1 is not isolated", self.text_of(answer, "isolation"))
        self.assertIn("300 of 300 pages of 2 MiB free", self.text_of(answer, "huge-pages"))
        before = self.snapshot()
        fixed = self.doctor("--fix", status=1)
        self.assertEqual({change["path"]: change["after"] for change in fixed["changes"]}, {
            "/proc/irq/26/smp_affinity_list": "0", "/sys/devices/virtual/workqueue/cpumask": "1", "/proc/sys/kernel/watchdog_cpumask": "0"})
        self.doctor("--undo")
        self.assertEqual(self.snapshot(), before)


class FixAndUndo(Host):
    TIMER, NUMA = "proc/sys/kernel/timer_migration", "proc/sys/kernel/numa_balancing"

    def setUp(self):
        super().setUp()
        self.files[self.TIMER] = "0"
        self.files[self.NUMA] = "1"

    def test_two_fixes_one_undo(self):
        """The first value of a file is the one that is put back, however often it was set."""
        self.build()
        before = self.snapshot()
        self.doctor("--fix")
        (self.tree / self.TIMER).write_text("0\n") # somebody sets it back, and it is fixed again
        again = self.doctor("--fix")
        self.assertEqual(again["changes"], [])
        self.assertEqual((self.tree / self.TIMER).read_text(), "1\n")
        self.assertEqual(len(json.loads((self.tree / STATE).read_text())["changes"]), 2)
        self.doctor("--undo")
        self.assertEqual(self.snapshot(), before)

    def test_somebody_else_has_set_it(self):
        self.build()
        self.doctor("--fix")
        (self.tree / self.NUMA).write_text("2\n")
        undone = {change["path"]: change for change in self.doctor("--undo")["undone"]}
        self.assertIn("was 2 meanwhile, set by somebody else", undone["/" + self.NUMA]["note"])
        self.assertNotIn("note", undone["/" + self.TIMER])
        self.assertEqual((self.tree / self.NUMA).read_text(), "1\n")

    def test_what_is_gone_is_forgotten(self):
        self.build()
        self.doctor("--fix")
        (self.tree / self.NUMA).unlink()
        self.assertIn("no longer there", json.dumps(self.doctor("--undo")))
        self.assertFalse((self.tree / STATE).exists())

    def test_after_a_boot(self):
        """The settings went with the boot: nothing is put back over those of the new one."""
        self.build()
        self.doctor("--fix")
        (self.tree / "proc/sys/kernel/random/boot_id").write_text("6f1c7a52-0000-4000-8000-000000000002\n")
        self.assertEqual(self.doctor("--undo")["undone"], [])
        self.assertEqual((self.tree / self.TIMER).read_text(), "1\n")

    def test_a_setting_that_does_not_take(self):
        """It is said, the others are set, and the exit status is 1; what did not change is not written down."""
        path = f"{CPU}/cpu3/cpufreq/scaling_governor"
        del self.files[path]
        self.links[path] = "/dev/full"
        self.build()
        answer = self.doctor("--fix", status=1)
        self.assertEqual(self.findings(answer), {("governor", "warning")})
        [failure] = answer["failures"]
        self.assertEqual(failure["check"], "governor")
        self.assertRegex(failure["error"], "cpu3/cpufreq/scaling_governor: does not take \"performance\": No space")
        self.assertEqual(sorted(change["path"] for change in answer["changes"]), ["/" + self.NUMA, "/" + self.TIMER])
        self.assertEqual(len(json.loads((self.tree / STATE).read_text())["changes"]), 2)
        status, out, err = self.run_doctor("--fix")
        self.assertEqual(status, 1)
        self.assertRegex(out, r"(?m)^not set  governor: ")
        self.assertIn("and some settings did not take", err)
        self.assertEqual(len(self.doctor("--undo")["undone"]), 2)
        self.assertEqual(((self.tree / self.TIMER).read_text(), (self.tree / self.NUMA).read_text()), ("0\n", "1\n"))

    def test_a_value_that_cannot_be_put_back(self):
        """It stays written down, for the next --undo."""
        self.build()
        before = self.snapshot()
        self.doctor("--fix")
        timer = self.tree / self.TIMER
        timer.unlink()
        timer.symlink_to("/dev/full")
        answer = self.doctor("--undo", status=1)
        self.assertEqual(([change["path"] for change in answer["undone"]], answer["ok"]), (["/" + self.NUMA], False))
        self.assertIn("timer_migration", answer["error"])
        timer.unlink()
        timer.write_text("1\n")
        self.assertEqual([change["path"] for change in self.doctor("--undo")["undone"]], ["/" + self.TIMER])
        self.assertEqual(self.snapshot(), before)

    def test_a_broken_file_of_changes(self):
        self.build()
        for text, pattern in (("{", "changes.json"), ('{"version": 2}', "not of this version")):
            (self.tree / "run/riskgate-doctor").mkdir(parents=True, exist_ok=True)
            (self.tree / STATE).write_text(text)
            for word in ("--fix", "--undo"):
                self.assertRegex(self.doctor(word, status=1)["error"], pattern)
            self.assertEqual((self.tree / self.TIMER).read_text(), "0\n", "nothing is set without knowing how to undo it")

    def test_what_it_never_wrote_is_not_put_back(self):
        self.build()
        victim = self.tree / "etc/victim"
        victim.parent.mkdir()
        victim.write_text("precious\n")
        folder = self.tree / "run/riskgate-doctor"
        folder.mkdir(parents=True)
        boot_id = self.files["proc/sys/kernel/random/boot_id"]
        for path in ("/etc/victim", "/proc/../etc/victim", "etc/victim"):
            (self.tree / STATE).write_text(json.dumps({"version": 1, "boot_id": boot_id,
                                                       "changes": [{"path": path, "before": "mine", "after": "precious"}]}))
            self.assertRegex(self.doctor("--undo", status=1)["error"], "is no setting of /proc or /sys")
        folder.chmod(0o777)
        self.assertRegex(self.doctor("--undo", status=1)["error"], "others may write there")
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            self.assertRegex(self.doctor("--undo", status=1)["error"], "belongs to user 65534")
        self.assertEqual(victim.read_text(), "precious\n")

    def test_another_one_is_at_work(self):
        self.build()
        (self.tree / "run/riskgate-doctor").mkdir(parents=True)
        lock = os.open(self.tree / "run/riskgate-doctor", os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("another riskctl doctor is at work", self.doctor("--fix", status=1)["error"])
        finally:
            os.close(lock)
        self.doctor("--fix")

    @unittest.skipIf(os.geteuid(), "runs as somebody else")
    def test_without_permission(self):
        self.build()
        os.chmod(self.folder, 0o755)
        done = subprocess.run([RISKCTL, "--config", self.folder / "riskgate.yaml", "--json", "doctor", "--fix", "--root", self.tree],
                              capture_output=True, text=True, timeout=60, user=65534, group=65534, extra_groups=[])
        self.assertEqual(done.returncode, 1)
        self.assertIn("need root", json.loads(done.stdout)["error"])
        self.assertEqual((self.tree / self.TIMER).read_text(), "0\n")


class Use(Host):
    def test_wrong_use(self):
        self.build()
        for words in (("--fix", "--undo"), ("--list", "--fix")):
            status, _, err = self.run_doctor(*words)
            self.assertEqual(status, 2, err)

    def test_no_tree(self):
        self.tree.mkdir()
        (self.folder / "riskgate.yaml").write_text(json.dumps(self.config))
        self.assertIn("no folder with proc and sys", self.doctor(status=1)["error"])

    def test_this_machine(self):
        """Whatever it is like, as root and as nobody, each finding that is not ok has a remedy, and nothing is written."""
        self.build()
        for user in {os.geteuid(), 65534} if os.geteuid() == 0 else {os.geteuid()}:
            os.chmod(self.folder, 0o755)
            done = subprocess.run([RISKCTL, "--config", self.folder / "riskgate.yaml", "--json", "doctor"], capture_output=True, text=True, timeout=60,
                                  **({"user": user, "group": user, "extra_groups": []} if user != os.geteuid() else {}))
            self.assertIn(done.returncode, (0, 1), done.stderr)
            answer = json.loads(done.stdout)
            self.assertEqual(done.returncode, 0 if answer["ok"] else 1)
            self.assertEqual(answer["ok"], not answer["errors"] and not answer["warnings"])
            for found in answer["findings"]:
                self.assertTrue(found["severity"] == "ok" or found.get("remedy"), found)

    def test_the_page_lists_the_checks(self):
        """docs/host.md has each check, with what it looks at, why, and what --fix sets: scripts/host-page writes it."""
        done = subprocess.run([ROOT / "scripts/host-page", RISKCTL, "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
