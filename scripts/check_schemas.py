#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the schemas of the tree with those that the last golden images were recorded with (tests/golden/schemas.txt).

The rules, which docs/checkpoint.md ("Changing a schema") explains; each violation is one line that names its rule:

    same      what has a number keeps it: a field's name, type and being repeated; an enum value's name; an object type's name
    removed   what goes leaves `reserved N;` (STATE_TYPE_RESERVED(N) in types.def), and only when no golden image has it
    reuse     a reserved number is never given away
    default   the comment of an added field says what 0, empty or none means, because older images do not have it
    message   a message or an enum stays, under its name

    scripts/check_schemas.py               compares; additions are fine and are listed with -v
    scripts/check_schemas.py --record      after the same check, writes tests/golden/schemas.txt (scripts/golden schemas)
    scripts/check_schemas.py --self-test   proves that each rule finds what it is for
"""
import argparse
import os
import re
import shutil
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "scripts"))
import proto_schema

RECORD = "tests/golden/schemas.txt"
HEAD = """# What golden images may rely on: made by `scripts/golden schemas`, compared by scripts/lint (scripts/check_schemas.py).
# message.number name type | message.number reserved | enum.number = name | type number name
"""
DEFAULT = re.compile(r"\b(0|no|none|not|empty|false|zero|unless|default|absent|if|only|when|older|without|optional|may)\b", re.I)


def describe(root):
    """The tree as {key: text}; keys are what must not be given away: "sentry.Pipe.3", "enum sentry.Vma.Source.1", "type 300"."""
    schema = proto_schema.Schema(os.path.join(root, "schemas"))
    out, comments = {}, {}
    for m in schema.messages.values():
        if m.path == "state_toy.proto":
            continue  # of unit tests
        out["message " + m.name] = "message"
        for f in m.fields.values():
            key = "%s.%d" % (m.name, f.number)
            out[key] = "%s %s%s" % (f.name, "repeated " if f.repeated else "", f.type)
            comments[key] = f.comment
        for n in m.reserved:
            out["%s.%d" % (m.name, n)] = "reserved"
    for e in schema.enums.values():
        if e.path == "state_toy.proto":
            continue
        out["message " + e.name] = "enum"
        for name, n in e.values.items():
            out["enum %s.%d" % (e.name, n)] = name
    with open(os.path.join(root, "state/types.def"), encoding="utf-8") as f:
        text = f.read()
    for n, name in proto_schema.TYPE_LINE.findall(text):
        out["type " + n] = name
    for n in proto_schema.TYPE_RESERVED.findall(text):
        out["type " + n] = "reserved"
    return out, comments


def load(path):
    out = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    key, _, text = line.rstrip("\n").partition(": ")
                    out[key] = text
    return out


def order(key):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", key)]


def compare(old, new, comments):
    """(violations, additions), each a list of lines."""
    bad, added = [], []
    for key in sorted(old, key=order):
        was, now = old[key], new.get(key)
        holder = "message " + key.rpartition(".")[0].replace("enum ", "")
        if now == was or (now is None and key != holder and holder in old and holder not in new):
            continue  # the loss of the whole message is said once
        if key.startswith("message "):
            bad.append("message: %s is gone: older images have it" % key[8:])
        elif was == "reserved":
            bad.append("reuse: %s was reserved and is %s" % (key, "no longer" if now is None else "now " + now))
        elif now is None:
            bad.append("removed: %s (%s) is gone without `reserved`" % (key, was))
        elif now == "reserved":
            added.append("%s (%s) is reserved now" % (key, was))
        else:
            bad.append("same: %s was \"%s\" and is now \"%s\": take a new number" % (key, was, now))
    for key in sorted(set(new) - set(old), key=order):
        holder = "message " + key.rpartition(".")[0]
        added.append("%s: %s" % (key, new[key]))
        if holder in old and key in comments and not DEFAULT.search(comments[key]):
            bad.append("default: %s (%s): its comment does not say what 0 or empty means" % (key, new[key]))
    return bad, added


def write(path, new):
    with open(path, "w", encoding="utf-8") as f:
        f.write(HEAD)
        for key in sorted(new, key=order):
            f.write("%s: %s\n" % (key, new[key]))


# --- self-test ---

BASE = {
    "schemas/a.proto": """syntax = "proto3";
package sentry;
message A {
  // One.
  uint64 one = 1;
  // Two.
  repeated uint32 two = 2;
  reserved 3;
  enum Kind {
    NONE = 0;
    SOME = 1;
  }
  Kind kind = 4;  // kind
}
message B {
  string s = 1;  // a name
}
""",
    "state/types.def": "STATE_TYPE(1, a)\nSTATE_TYPE(2, b)\n",
}
CASES = [  # file, old text, new text, the rule that must speak (None: it must be accepted)
    ("schemas/a.proto", "uint64 one = 1;", "uint32 one = 1;", "same"),
    ("schemas/a.proto", "uint64 one = 1;", "repeated uint64 one = 1;", "same"),
    ("schemas/a.proto", "repeated uint32 two", "uint32 two", "same"),
    ("schemas/a.proto", "uint64 one = 1;", "uint64 other = 1;", "same"),
    ("schemas/a.proto", "One.\n  uint64 one = 1;", "One; 0: none.\n  uint64 one = 9;", "removed"),
    ("schemas/a.proto", "  uint64 one = 1;\n", "", "removed"),
    ("schemas/a.proto", "  uint64 one = 1;\n", "  reserved 1;\n", None),
    ("schemas/a.proto", "reserved 3;", "bool three = 3;  // false: no", "reuse"),
    ("schemas/a.proto", "  reserved 3;\n", "", "reuse"),
    ("schemas/a.proto", "SOME = 1;", "OTHER = 1;", "same"),
    ("schemas/a.proto", "    SOME = 1;\n", "", "removed"),
    ("schemas/a.proto", "SOME = 1;", "SOME = 1;\n    MORE = 2;", None),
    ("schemas/a.proto", "message B", "message C", "message"),
    ("schemas/a.proto", "  Kind kind = 4;", "  bool more = 5;  // more\n  Kind kind = 4;", "default"),
    ("schemas/a.proto", "  Kind kind = 4;", "  bool more = 5;  // more; false in older images\n  Kind kind = 4;", None),
    ("schemas/a.proto", "message B", "message N {\n  string s = 1;  // a name\n}\nmessage B", None),
    ("state/types.def", "(2, b)", "(3, b)", "removed"),
    ("state/types.def", "(2, b)", "(2, c)", "same"),
    ("state/types.def", "STATE_TYPE(2, b)", "STATE_TYPE_RESERVED(2)", None),
    ("state/types.def", "(2, b)", "(2, b)\nSTATE_TYPE(3, c)", None),
]


def self_test():
    failed = 0
    for n, (path, text, replacement, rule) in enumerate([(None, "", "", None)] + CASES):
        root = tempfile.mkdtemp(prefix="check-schemas.")
        try:
            for d in ("schemas", "state"):
                os.mkdir(os.path.join(root, d))
            trees = [dict(BASE), dict(BASE)]
            if path:
                if text not in BASE[path]:
                    raise AssertionError("case %d does not apply" % n)
                trees[1][path] = BASE[path].replace(text, replacement)
            seen = []
            for tree in trees:
                for p, content in tree.items():
                    with open(os.path.join(root, p), "w") as f:
                        f.write(content)
                seen.append(describe(root))
            bad, _ = compare(seen[0][0], seen[1][0], seen[1][1])
            rules = sorted({b.partition(":")[0] for b in bad})
            if rules != ([rule] if rule else []):
                failed += 1
                print("FAILED case %d (%r -> %r): wanted %s, got %s" % (n, text, replacement, rule, bad))
        finally:
            shutil.rmtree(root)
    print("%d passed, %d failed, 0 skipped" % (len(CASES) + 1 - failed, failed))
    return 1 if failed else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--record", action="store_true")
    ap.add_argument("--self-test", action="store_true")
    ap.add_argument("--root", default=TOP, help="the tree")
    ap.add_argument("-v", action="store_true", help="list what was added")
    a = ap.parse_args()
    if a.self_test:
        return self_test()
    path = os.path.join(TOP, RECORD)
    new, comments = describe(a.root)
    bad, added = compare(load(path), new, comments)
    for line in bad + (added if a.v else []):
        print(line)
    if a.record and not bad:
        write(path, new)
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except proto_schema.SchemaError as e:
        sys.exit("check_schemas: %s" % e)
