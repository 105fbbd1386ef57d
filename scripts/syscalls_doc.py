#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/syscalls.md from sentry/syscalls/syscalls.def: what is implemented, refused and missing.

    scripts/syscalls_doc.py            writes the file
    scripts/syscalls_doc.py --check    says whether it is up to date (scripts/lint runs this)
    scripts/syscalls_doc.py --missing  prints the names of the missing
"""
import os
import re
import subprocess
import sys

OUT = "docs/syscalls.md"
ROW = re.compile(r'^SYSCALL\((\d+), (\w+), "', re.M)
DEFINED = re.compile(r"^int64_t sys_(\w+)\(struct task \*\w+, const struct sys_args \*\w+\)\s*\{(.*?)^\}", re.M | re.S)
MADE = re.compile(r"^([A-Z_0-9]+)\(([a-z_]\w*)(?:, (E[A-Z0-9]+))?[^\n]*\)\s*;?$", re.M)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open("sentry/syscalls/syscalls.def") as f:
        rows = [(int(n), name) for n, name in ROW.findall(f.read())]
    files = subprocess.run(["git", "ls-files", "sentry/*.c"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    where, refused = {}, {}
    for path in files:
        if not os.path.exists(path):
            continue
        with open(path) as f:
            text = f.read()
        for m in DEFINED.finditer(text):
            where[m[1]] = path
        # Handlers made by a macro of the file: DENIED(name, errno), and families.
        makers = {m[1]: re.findall(r"int64_t sys_(\w*)##", m[0])
                  for m in re.finditer(r"^#define ([A-Z_0-9]+)\((?:[^\n]*\\\n)*[^\n]*", text, re.M)}
        for m in MADE.finditer(text):
            for prefix in makers.get(m[1], []):
                where[prefix + m[2]] = path
                if m[3] in ("EPERM", "ENOSYS"):
                    refused[prefix + m[2]] = m[3]
    done = [(n, name) for n, name in rows if name in where and name not in refused]
    missing = [(n, name) for n, name in rows if name not in where]
    if "--missing" in sys.argv:
        print("\n".join("%d %s" % row for row in missing))
        return 0
    text = ["# System calls", "", "Made by `scripts/syscalls_doc.py` from `sentry/syscalls/syscalls.def`; do not edit. x86-64: %d rows, %d implemented, "
            "%d refused, %d missing." % (len(rows), len(done), len(refused), len(missing)), "", "## Missing", "",
            "`ENOSYS`; the first use is logged, and `runsc debug ID` lists what a container asked for.", ""]
    text += ["%s" % (", ".join("`%s` (%d)" % (name, n) for n, name in missing) or "None.")]
    text += ["", "## Refused", "", "What Linux answers to a container that lacks the privilege (EPERM) or a kernel built without the facility (ENOSYS).", ""]
    for err in sorted(set(refused.values())):
        text.append("- `%s`: %s" % (err, ", ".join("`%s`" % name for n, name in rows if refused.get(name) == err)))
    text += ["", "## Implemented", "", "| number | name | in |", "|---|---|---|"]
    text += ["| %d | %s | `%s` |" % (n, name, where[name]) for n, name in done]
    text = "\n".join(text) + "\n"
    old = open(OUT).read() if os.path.exists(OUT) else ""
    if "--check" in sys.argv:
        if old != text:
            print("%s is out of date: run scripts/syscalls_doc.py" % OUT)
            return 1
        return 0
    with open(OUT, "w") as f:
        f.write(text)
    print("%d rows, %d implemented, %d refused, %d missing" % (len(rows), len(done), len(refused), len(missing)))
    return 0


sys.exit(main())
