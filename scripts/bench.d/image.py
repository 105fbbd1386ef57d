#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images of memory: how fast they are taken and restored, whatever the size, and how long an application stands still. See scripts/bench.

usage: scripts/bench image [--sizes 10,100,1024,4096] [--peer-max 100] [--reps 3] [--work DIR] [--json FILE] [peer ...]   (default peer: gVisor where installed)

Beside each: what the host does with the same bytes (cp and sync, zstd on all processors, reading from the page cache). The work directory
(default: /var/tmp) decides how fast raw images are written. A peer has sizes up to --peer-max MiB.
"""
import argparse, collections, json, os, re, shutil, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def wait(what, limit=120):
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            raise RuntimeError("waited in vain")
        time.sleep(0.002)


class Bench:
    def __init__(self, name, path, work):
        self.name, self.path, self.work, self.n = name, path, os.path.join(work, name), 0
        self.ours = name == "ours"
        self.flags = [] if self.ours else ["--platform=ptrace", "--network=none", "--ignore-cgroups"]
        os.makedirs(self.work)

    def cmd(self, *args):
        return [self.path, "--root", os.path.join(self.work, "state"), *self.flags, *args]

    def call(self, *args, out=None):
        path = out or os.path.join(self.work, "log")
        with open(path, "a") as f:
            if subprocess.run(self.cmd(*args), stdin=subprocess.DEVNULL, stdout=f, stderr=f, timeout=600).returncode:
                raise RuntimeError("%s %s: %s" % (self.name, args[0], open(path).read()[-500:]))

    def start(self, *args):
        """A container of the program: its bundle, id and output."""
        self.n += 1
        cid = "bench-%d-%d" % (os.getpid(), self.n)
        bundle, out = os.path.join(self.work, cid), os.path.join(self.work, cid + ".out")
        os.makedirs(bundle + "/rootfs")
        shutil.copy(os.path.join(os.path.dirname(self.work), "memory"), bundle + "/rootfs/memory")
        spec = {"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "linux": {"namespaces": [{"type": t} for t in ("pid", "network", "mount")]},
                "process": {"user": {"uid": 0, "gid": 0}, "args": ["/memory", *map(str, args)], "cwd": "/"}}
        json.dump(spec, open(bundle + "/config.json", "w"))
        self.call("run", "--detach", "--bundle", bundle, cid, out=out)
        wait(lambda: "ready" in open(out).read())
        return bundle, cid, out


def image_size(d):
    return sum(os.path.getsize(os.path.join(d, f)) for f in os.listdir(d) if not os.path.islink(os.path.join(d, f)))


def one_size(b, rows, mib, reps, how):
    """A checkpoint of @mib, and restores of it."""
    label = "%d MiB%s: " % (mib, "" if how == "none" else " " + how)
    image = os.path.join(b.work, "image")
    for i in range(reps):
        shutil.rmtree(image, ignore_errors=True)
        bundle, cid, out = b.start(mib)
        os.sync()
        t = time.monotonic()
        b.call("checkpoint", "--image-path", image, *(["--compression", how] if b.ours else []), cid)
        t = time.monotonic() - t
        rows[label + "checkpoint", "GB/s"][b.name].append(mib * (1 << 20) / t / 1e9)
        rows[label + "image", "MiB"][b.name].append(image_size(image) / (1 << 20))
        b.call("delete", "--force", cid)
    time.sleep(0.3)
    for i in range(reps):
        out = os.path.join(b.work, "%s.restored.%d" % (cid, i))
        begin = time.time()
        b.call("restore", "--detach", "--bundle", bundle, "--image-path", image, cid, out=out)
        wait(lambda: "wrote" in open(out).read())
        got = dict(line.split() for line in open(out) if len(line.split()) == 2)
        rows[label + "restore to first instruction", "ms"][b.name].append((float(got["woke"]) - begin) * 1e3)
        rows[label + "then all pages read", "ms"][b.name].append(float(got["read"]) * 1e3)
        rows[label + "then all pages written", "ms"][b.name].append(float(got["wrote"]) * 1e3)
        b.call("delete", "--force", cid)
        time.sleep(0.2)
    if b.ours:
        native(rows, label, mib, how, image, b.work)
    shutil.rmtree(image)
    shutil.rmtree(bundle)


def native(rows, label, mib, how, image, work):
    """The same bytes by the host's own tools."""
    raw, copy = os.path.join(work, "raw"), os.path.join(work, "copy")
    if how == "none":
        raw = [os.path.join(image, f) for f in os.listdir(image) if f.startswith("pages-")][0]
        os.sync()
        t = time.monotonic()
        subprocess.run(["cp", "--reflink=never", raw, copy], check=True)
        subprocess.run(["sync", copy], check=True)
        rows[label + "checkpoint", "GB/s"]["host"].append(mib * (1 << 20) / (time.monotonic() - t) / 1e9)
        t = time.monotonic()
        with open(raw, "rb", buffering=0) as f:
            buf = bytearray(1 << 20)
            while f.readinto(buf):
                pass
        rows[label + "then all pages read", "ms"]["host"].append((time.monotonic() - t) * 1e3)
        os.rename(copy, os.path.join(work, "raw"))
    elif os.path.exists(raw):
        os.sync()
        t = time.monotonic()
        subprocess.run("zstd -1 -T0 -q -c %s >%s && sync %s" % (raw, copy, copy), shell=True, check=True)
        rows[label + "checkpoint", "GB/s"]["host"].append(mib * (1 << 20) / (time.monotonic() - t) / 1e9)
        rows[label + "image", "MiB"]["host"].append(os.path.getsize(copy) / (1 << 20))
        os.unlink(copy)


def pauses(b, rows, reps):
    """1 GiB of which 100 MiB a second are written, all over the place."""
    bundle, cid, out = b.start(1024, 100)
    time.sleep(1)
    for i in range(reps):
        image = os.path.join(b.work, "image.%d" % i)
        before = len(open(out).read().splitlines())
        p = subprocess.run(b.cmd("checkpoint", "--leave-running", "--print-stats", "--image-path", image, cid), stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        ms = float(re.search(r"paused for ([\d.]+) ms", p.stderr).group(1))
        rows["1 GiB, 100 MiB/s written: pause reported", "ms"][b.name].append(ms)
        time.sleep(0.5)
        shutil.rmtree(image)
        last = open(out).read().splitlines()[before:][-1]
    rows["1 GiB, 100 MiB/s written: longest gap seen", "ms"][b.name].append(float(re.search(r"still ([\d.]+)", last).group(1)))
    rows["1 GiB, 100 MiB/s written: rate kept", "MiB/s"][b.name].append(float(re.search(r"wrote ([\d.]+)", last).group(1)))
    b.call("delete", "--force", cid)


def table(rows, names):
    print("%-48s %-6s %s" % ("", "", " ".join("%10s" % n for n in names)))
    for (what, unit), by in rows.items():
        print("%-48s %-6s %s" % (what, unit, " ".join("%10.2f" % statistics.median(by[n]) if by[n] else "%10s" % "-" for n in names)))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--sizes", default="10,100,1024,4096")
    ap.add_argument("--peer-max", type=int, default=100)
    ap.add_argument("--reps", type=int, default=3)
    ap.add_argument("--work", default="/var/tmp")
    ap.add_argument("--json")
    ap.add_argument("--runsc", default=os.path.join(TOP, "build/runsc"))
    ap.add_argument("peer", nargs="*", default=[p for p in ["/usr/bin/runsc"] if os.path.exists(p)])
    a = ap.parse_args()
    if os.geteuid():
        sys.exit("bench: must run as root: runtimes make namespaces")
    work = tempfile.mkdtemp(prefix="runsc-bench.", dir=a.work)
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    try:
        subprocess.run(["gcc", "-O2", "-static", "-o", os.path.join(work, "memory"), os.path.join(HERE, "memory.c")], check=True)
        benches = [Bench("ours", a.runsc, work)] + [Bench("gVisor" if "gvisor" in p or p == "/usr/bin/runsc" else os.path.basename(p), p, work) for p in a.peer]
        for mib in map(int, a.sizes.split(",")):
            for how in ("none", "zstd"):
                for b in benches:
                    if b.ours or (how == "none" and mib <= a.peer_max):
                        one_size(b, rows, mib, a.reps, how)
        pauses(benches[0], rows, a.reps)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    table(rows, ["ours"] + [b.name for b in benches[1:]] + ["host"])
    if a.json:
        json.dump([[*k, v] for k, v in rows.items()], open(a.json, "w"), indent=1)


main()
