#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many from one image: time to first output, memory of each; beside other runtimes. See scripts/bench.

usage: scripts/bench clone [-n 200] [--peer-n 20] [--reps 15] [--rootfs DIR] [--json FILE] [runtime ...]     (default peer: gVisor where installed)

The application is python3 with some data, made to work by a signal. Memory is what /proc/PID/smaps_rollup says of all processes of a
sandbox: private (what would be free without it) and proportional. A peer restores one by one, four at a time, since it has no command for many.
"""
import argparse, collections, json, os, re, shutil, statistics, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/apps"))
import lib  # noqa: E402

PROGRAM = r"""
import hashlib, json, os, signal, time
data = [{"key": i, "value": str(i) * 4} for i in range(2000)]
def work(*_):
    text = json.dumps(data)
    strings = [str(x) for x in json.loads(text) for _ in range(20)]
    os.write(1, b"worked %d\n" % len(hashlib.sha256(text.encode()).hexdigest()))
signal.signal(signal.SIGUSR1, work)
os.write(1, b"ready\n")
while True:
    LOOP
"""


class Bench:
    def __init__(self, name, path, rootfs, work):
        self.name, self.path, self.work = name, path, os.path.join(work, name)
        self.ours = name == "ours"
        self.flags = [] if self.ours else ["--platform=ptrace", "--network=none", "--ignore-cgroups"]
        self.rootfs = rootfs
        os.makedirs(self.work)

    def cmd(self, *args):
        return [self.path, "--root", os.path.join(self.work, "state"), *self.flags, *args]

    def call(self, *args, out=None, check=True):
        """Not pipes: a container keeps them open, and nobody would see their end."""
        with open(out or os.path.join(self.work, "log"), "a") as f:
            return subprocess.run(self.cmd(*args), stdin=subprocess.DEVNULL, stdout=f, stderr=f, check=check, timeout=300)

    def image(self, name, loop):
        """A bundle, and an image of it at its loop."""
        bundle, image, out = (os.path.join(self.work, name + end) for end in (".bundle", ".image", ".out"))
        os.makedirs(bundle)
        spec = {"ociVersion": "1.0.2", "hostname": "bench", "root": {"path": self.rootfs, "readonly": True},
                "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/usr/bin/python3", "-c", PROGRAM.replace("LOOP", loop)],
                            "env": ["PATH=/usr/bin:/bin"], "cwd": "/"},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
                "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]}}
        json.dump(spec, open(os.path.join(bundle, "config.json"), "w"))
        cid = "bench-%d-%s" % (os.getpid(), name)
        self.call("run", "--detach", "--bundle", bundle, cid, out=out)
        wait(lambda: "ready" in open(out).read(), 60)
        self.call("checkpoint", "--image-path", image, cid)
        self.call("delete", "--force", cid)
        return bundle, image


def wait(what, limit):
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            raise RuntimeError("waited in vain")
        time.sleep(0.0005)


def processes(mark):
    """All whose command line has @mark, and what descends from them."""
    parent, found = {}, set()
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent[p] = open("/proc/%s/stat" % p).read().rsplit(")", 1)[1].split()[1]
            if mark in open("/proc/%s/cmdline" % p).read():
                found.add(p)
        except OSError:
            pass
    while True:
        more = {p for p, up in parent.items() if up in found} - found
        if not more:
            return found
        found |= more


def memory(mark):
    total = collections.Counter()
    for p in processes(mark):
        try:
            for key, kib in re.findall(r"^(Pss|Private_Clean|Private_Dirty):\s+(\d+)", open("/proc/%s/smaps_rollup" % p).read(), re.M):
                total["pss" if key == "Pss" else "private"] += int(kib)
        except OSError:
            pass
    return total


def latency(b, rows, reps):
    bundle, image = b.image("tick", "os.write(1, b'.'); time.sleep(0.001)")
    ways = {"restore": ["--image-path", image]}
    if b.ours:
        b.call("restore", "--template", "--image-path", image, "bench-template")
        ways["restore from a template"] = ["--from-template", "bench-template"]
    for i in range(reps):
        for way, args in ways.items():
            cid = "bench-%d-r%d" % (os.getpid(), i)
            out = os.path.join(b.work, "first")
            open(out, "w").close()
            t = time.monotonic()
            b.call("restore", "--detach", "--bundle", bundle, *args, cid, out=out)
            done = time.monotonic()
            wait(lambda: os.path.getsize(out), 30)
            rows[way + ": command", "ms"][b.name].append((done - t) * 1e3)
            rows[way + ": to first output", "ms"][b.name].append((time.monotonic() - t) * 1e3)
            b.call("delete", "--force", cid)
    if b.ours:
        b.call("delete", "bench-template")


def many(b, rows, n, template):
    bundle, image = b.image("template" if template else "many", "signal.pause()")
    mark = "bench%d%s" % (os.getpid(), "t" if template else "m")
    ids = [("%s-%d" if b.ours else "%s-%04d") % (mark, i + 1) for i in range(n)]  # gVisor takes beginnings of ids, too
    out = os.path.join(b.work, mark)
    label = "%d at once%s: " % (n, " from a template" if template else "")
    try:
        if template:
            b.call("restore", "--template", "--image-path", image, "bench-template")
        t = time.monotonic()
        if b.ours:
            source = ["--from-template", "bench-template"] if template else ["--image-path", image]
            b.call("restore", "--bundle", bundle, *source, "--clone", str(n), mark, out=out)
        else:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda i: b.call("restore", "--detach", "--bundle", bundle, "--image-path", image, i, out=out), ids))
        rows[label + "all restored", "s"][b.name].append(time.monotonic() - t)
        time.sleep(1)
        before = memory(mark + "-")
        rows[label + "private memory each", "MiB"][b.name].append(before["private"] / n / 1024)
        rows[label + "proportional memory each", "MiB"][b.name].append(before["pss"] / n / 1024)
        t = time.monotonic()
        for i in ids:
            b.call("kill", i, "USR1")
        wait(lambda: open(out).read().count("worked") == n, 300)
        rows[label + "all have answered", "s"][b.name].append(time.monotonic() - t)
        rows[label + "private memory each after work", "MiB"][b.name].append(memory(mark + "-")["private"] / n / 1024)
    finally:
        for i in ids + (["bench-template"] if template else []):
            b.call("delete", "--force", i, check=False)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-n", type=int, default=200)
    p.add_argument("--peer-n", type=int, default=20)
    p.add_argument("--reps", type=int, default=15)
    p.add_argument("--rootfs", default=lib.rootfs_default())
    p.add_argument("--json", help="also write all values to this file")
    p.add_argument("--runsc", default=os.path.join(TOP, "build/runsc"))
    p.add_argument("peer", nargs="*")
    a = p.parse_args()
    if not a.rootfs or not os.path.exists(os.path.join(a.rootfs, "usr/bin/python3")):
        sys.exit("bench: no root file system with python3: run scripts/apps-rootfs, or use --rootfs")
    if not os.path.exists(a.runsc):
        sys.exit("bench: %s is not built: run scripts/build release" % a.runsc)
    rows, notes = collections.defaultdict(lambda: collections.defaultdict(list)), []
    work = tempfile.mkdtemp(prefix="bench-clone.")
    peers = a.peer or [x for x in ("/usr/bin/runsc",) if os.path.exists(x)]
    names = ["ours"] + ["gvisor" if os.path.basename(x) == "runsc" else os.path.basename(x) for x in peers]
    try:
        for name, path in zip(names, [os.path.abspath(a.runsc)] + peers):
            b = Bench(name, shutil.which(path) or path, os.path.realpath(a.rootfs), work)
            steps = [lambda: latency(b, rows, a.reps if b.ours else 5), lambda: many(b, rows, a.peer_n, False)]
            if b.ours:
                steps += [lambda: many(b, rows, a.n, True)] + ([lambda: many(b, rows, a.n, False)] if a.n != a.peer_n else [])
            for i, step in enumerate(steps):
                try:
                    shutil.rmtree(b.work)
                    os.makedirs(b.work)
                    step()
                except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                    log = os.path.join(b.work, "log")
                    tail = open(log).read().strip()[-160:] if os.path.exists(log) else ""
                    notes.append("%s: step %d: %s %s" % (name, i, e, tail))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("%-56s %-4s " % ("figure", "unit") + " ".join("%9s" % n for n in names))
    for (figure, unit), values in sorted(rows.items()):
        med = {n: statistics.median(values[n]) for n in values}
        print("%-56s %-4s " % (figure, unit) + " ".join("%9.2f" % med[n] if n in med else "%9s" % "-" for n in names))
    for n in notes:
        print("note:", n)
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"rows": {" | ".join(k): v for k, v in rows.items()}, "notes": notes}, f, indent=1)


if __name__ == "__main__":
    main()
