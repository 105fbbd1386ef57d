#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Throughput of servers and times of tools: native, peers, ours, in one run; see scripts/bench.

usage: scripts/bench apps [--quick] [--only GLOBS] [--rootfs DIR] [--json FILE] [runtime ...]     (default peers: runc and gVisor where installed)

The figures come from the cases tests/apps/cases/bench-*, the same scripts for all. Speeds are relative to native and to gVisor: 1 is as
fast, 0.5 half as fast, whether the figure is a rate or a time.
"""
import argparse
import fnmatch
import json
import os
import re
import shutil
import statistics
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/apps"))
import lib  # noqa: E402

RATE = re.compile(r"/s$|^tps$")


def peer(path):
    """A runtime on the command line: runc-like, or gVisor."""
    name = os.path.basename(path)
    return lib.Runtime("gvisor" if name == "runsc" else name, path)


def speed(unit, value, base):
    """How fast value is, base being 1."""
    return value / base if RATE.search(unit) else base / value


def measure(rt, rootfs, case, work):
    """figure -> (value, unit), and a note when something went wrong."""
    os.makedirs(work)
    r = lib.Run(rt, rootfs, case.name, lib.INIT + [case.inside], work, case.timeout * (1 if rt.native else 10))
    note = None
    try:
        r.start()
        status = r.wait()
        if status or not r.output().strip().endswith(lib.OK):
            tail = [l for l in r.output().strip().splitlines() if not l.startswith("~ ")][-1:]
            note = "%s: %s: ended with %d: %s" % (rt.name, case.name, status, "".join(tail)[-160:])
    except lib.Failed as e:
        note = "%s: %s: %s" % (rt.name, case.name, e)
    finally:
        r.destroy()
    found = {m[1]: (float(m[2]), m[3]) for m in re.finditer(r"^~ bench (\S+) ([\d.]+) (\S+)$", r.output(), re.M)}
    shutil.rmtree(work, ignore_errors=True)
    return found, note


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one repetition instead of three")
    p.add_argument("--only", default="*", help="comma-separated globs of case names")
    p.add_argument("--rootfs", default=lib.rootfs_default())
    p.add_argument("--json", help="also write all values to this file")
    p.add_argument("--runsc", default=os.path.join(TOP, "build/runsc"))
    p.add_argument("peer", nargs="*")
    a = p.parse_args()
    if not a.rootfs:
        sys.exit("bench: no root file system: run scripts/apps-rootfs, or use --rootfs")
    if not os.path.exists(a.runsc):
        sys.exit("bench: %s is not built: run scripts/build release" % a.runsc)
    peers = a.peer or [x for x in ("runc", "/usr/bin/runsc") if shutil.which(x)]
    lib.private_mounts()
    rootfs = os.path.realpath(a.rootfs)
    runtimes = [lib.Runtime("native")] + [peer(shutil.which(x) or sys.exit("bench: no runtime %s" % x)) for x in peers]
    runtimes.append(lib.Runtime("ours", os.path.abspath(a.runsc)))
    names = [r.name for r in runtimes]
    cases = [c for c in lib.all_cases() if "bench" in c.tags and any(fnmatch.fnmatch(c.name, "*" + g + "*") for g in a.only.split(","))]
    rows, notes = {}, []
    work = tempfile.mkdtemp(prefix="bench-apps.")
    os.chmod(work, 0o755)
    try:
        for case in cases:
            need = case.missing(rootfs)
            if need:
                notes.append("%s: the root file system has no %s" % (case.name, need))
                continue
            for rep in range(1 if a.quick else 3):
                for rt in runtimes:
                    found, note = measure(rt, rootfs, case, os.path.join(work, "%s.%s.%d" % (case.name, rt.name, rep)))
                    if note and note not in notes:
                        notes.append(note)
                    for figure, (value, unit) in found.items():
                        rows.setdefault(figure, (unit, {}))[1].setdefault(rt.name, []).append(value)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    against = [n for n in names if n != "ours"]
    print("%-24s %-6s " % ("figure", "unit") + " ".join("%11s" % n for n in names) + "   our speed, relative to")
    for figure, (unit, values) in rows.items():
        med = {n: statistics.median(values[n]) for n in values}
        ratios = ["%s %.2f" % (n, speed(unit, med["ours"], med[n])) for n in against if n in med and "ours" in med]
        print("%-24s %-6s " % (figure, unit) + " ".join("%11.1f" % med[n] if n in med else "%11s" % "-" for n in names) +
              "   " + ", ".join(ratios))
    for n in notes:
        print("note:", n)
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"rows": rows, "notes": notes}, f, indent=1)


if __name__ == "__main__":
    main()
