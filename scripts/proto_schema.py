# SPDX-License-Identifier: Apache-2.0
"""The schemas as Python sees them: reads the .proto files, unpacks and packs messages. Needs nothing but Python.

The language is the part of proto3 that schemas/ uses: messages, nested enums, oneof, reserved, repeated; no maps, groups, services,
options, packages of others. Anything else is a SchemaError, so that a tool never misreads what it does not know.
"""
import os
import re
import struct


class SchemaError(Exception):
    pass


class WireError(Exception):
    """A message that does not fit its schema."""


VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIRE = {"int32": VARINT, "int64": VARINT, "uint32": VARINT, "uint64": VARINT, "sint32": VARINT, "sint64": VARINT, "bool": VARINT,
        "fixed64": FIXED64, "sfixed64": FIXED64, "double": FIXED64, "fixed32": FIXED32, "sfixed32": FIXED32, "float": FIXED32,
        "string": BYTES, "bytes": BYTES}
FIXED = {"fixed64": "<Q", "sfixed64": "<q", "double": "<d", "fixed32": "<I", "sfixed32": "<i", "float": "<f"}


class Field:
    def __init__(self, number, name, type_, repeated, oneof, comment):
        self.number, self.name, self.type, self.repeated, self.oneof, self.comment = number, name, type_, repeated, oneof, comment


class Message:
    def __init__(self, name, path):
        self.name, self.path = name, path
        self.fields = {}  # by number
        self.reserved = set()


class Enum:
    def __init__(self, name, path):
        self.name, self.path = name, path
        self.values = {}  # name -> number


class Schema:
    """All messages and enums of a directory, by their full names ("sentry.Vma", "sentry.Vma.Source")."""

    def __init__(self, directory):
        self.messages, self.enums = {}, {}
        for name in sorted(os.listdir(directory)):
            if name.endswith(".proto"):
                with open(os.path.join(directory, name), encoding="utf-8") as f:
                    _Parser(self, name, f.read()).run()
        for m in self.messages.values():
            for f in m.fields.values():
                if f.type not in WIRE:
                    f.type = self._resolve(m.name, f.type, m.path)

    def _resolve(self, scope, name, path):
        while True:
            full = scope + "." + name if scope else name
            if full in self.messages or full in self.enums:
                return full
            if not scope:
                raise SchemaError("%s: no message or enum %s" % (path, name))
            scope = scope.rpartition(".")[0]

    def decode(self, name, data):
        """A message as a dictionary: every field is there, with its default when the bytes do not have it (None: no message).
        Raises WireError for unknown fields and for anything malformed."""
        m = self.messages[name]
        out = {f.name: [] if f.repeated else self._default(f) for f in m.fields.values() if not f.oneof}
        pos = 0
        while pos < len(data):
            key, pos = _varint(data, pos)
            f = m.fields.get(key >> 3)
            if f is None:
                raise WireError("unknown field %d of %s" % (key >> 3, name))
            pos = self._field(f, key & 7, data, pos, out)
        return {f.name: out[f.name] for f in sorted(m.fields.values(), key=lambda f: f.number) if f.name in out}

    def _field(self, f, wire, data, pos, out):
        want = WIRE.get(f.type, BYTES if f.type in self.messages else VARINT)
        if f.repeated and wire == BYTES and want != BYTES:  # packed
            n, pos = _varint(data, pos)
            end = pos + n
            if end > len(data):
                raise WireError("%s is cut short" % f.name)
            while pos < end:
                v, pos = self._value(f, want, data[:end], pos)
                out[f.name].append(v)
            return pos
        if wire != want:
            raise WireError("%s has wire type %d" % (f.name, wire))
        v, pos = self._value(f, want, data, pos)
        if f.repeated:
            out[f.name].append(v)
        else:
            out[f.name] = v
        return pos

    def _value(self, f, wire, data, pos):
        if wire == BYTES:
            n, pos = _varint(data, pos)
            raw = bytes(data[pos:pos + n])
            if len(raw) != n:
                raise WireError("%s is cut short" % f.name)
            if f.type == "bytes":
                return raw, pos + n
            if f.type == "string":
                return raw.decode("utf-8", "surrogateescape"), pos + n
            return self.decode(f.type, raw), pos + n
        if f.type in FIXED:
            size = struct.calcsize(FIXED[f.type])
            if pos + size > len(data):
                raise WireError("%s is cut short" % f.name)
            return struct.unpack_from(FIXED[f.type], data, pos)[0], pos + size
        v, pos = _varint(data, pos)
        if f.type == "bool":
            return bool(v), pos
        if f.type in ("sint32", "sint64"):
            return (v >> 1) ^ -(v & 1), pos
        if f.type in ("int32", "int64") or f.type in self.enums:
            bits = 64 if f.type == "int64" else 32
            v &= (1 << bits) - 1
            v -= (v >> (bits - 1)) << bits
            for name, number in self.enums[f.type].values.items() if f.type in self.enums else ():
                if number == v:
                    return name, pos
        elif f.type == "uint32":
            v &= 0xffffffff
        return v, pos

    def _default(self, f):
        if f.type in self.messages:
            return None
        if f.type in self.enums:
            return next((n for n, v in self.enums[f.type].values.items() if v == 0), 0)
        return {"string": "", "bytes": b"", "bool": False}.get(f.type, 0)

    def encode(self, name, values):
        """The reverse of decode(): fields with their default are left out, repeated numbers are packed, in order of number."""
        m, out = self.messages[name], bytearray()
        for f in sorted(m.fields.values(), key=lambda f: f.number):
            v = values.get(f.name)
            if v is None or (not f.repeated and not f.oneof and v == self._default(f)) or (f.repeated and not v):
                continue
            wire = WIRE.get(f.type, BYTES if f.type in self.messages else VARINT)
            if f.repeated and wire != BYTES:
                body = b"".join(self._encode_value(f, x) for x in v)
                out += _put_varint(f.number << 3 | BYTES) + _put_varint(len(body)) + body
                continue
            for x in v if f.repeated else [v]:
                out += _put_varint(f.number << 3 | wire) + self._encode_value(f, x)
        return bytes(out)

    def _encode_value(self, f, v):
        if f.type in self.messages:
            v = self.encode(f.type, v)
        elif f.type == "string":
            v = v.encode("utf-8", "surrogateescape")
        if isinstance(v, bytes):
            return _put_varint(len(v)) + v
        if f.type in FIXED:
            return struct.pack(FIXED[f.type], v)
        if f.type in ("sint32", "sint64"):
            return _put_varint(v << 1 if v >= 0 else (-v << 1) - 1)
        if f.type in self.enums and isinstance(v, str):
            v = self.enums[f.type].values[v]
        return _put_varint(int(v) & 0xffffffffffffffff)


def _varint(data, pos):
    v = shift = 0
    while True:
        if pos >= len(data) or shift > 63:
            raise WireError("bad number")
        b = data[pos]
        pos += 1
        v |= (b & 0x7f) << shift
        if not b & 0x80:
            return v & 0xffffffffffffffff, pos
        shift += 7


def _put_varint(v):
    out = bytearray()
    while v > 0x7f:
        out.append(v & 0x7f | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


class _Parser:
    """One file, by statements: what ends in ';', '{' or '}'. A comment belongs to the statement on its line or after it."""

    def __init__(self, schema, path, text):
        self.schema, self.path = schema, path
        self.statements = list(self._split(text))
        self.package, self.scopes = "", []

    def _split(self, text):
        pending, above = "", ""
        for nr, line in enumerate(text.split("\n"), 1):
            code, _, comment = line.partition("//")
            comment = comment.strip()
            if not code.strip():
                above = (above + " " + comment).strip() if comment else ""
                continue
            for piece in re.findall(r"[^;{}]*[;{}]|[^;{}]+$", code):
                pending = (pending + " " + piece.strip()).strip()
                if pending and pending[-1] in ";{}":
                    yield nr, pending, comment or above
                    pending = ""
            above = ""
        if pending:
            raise SchemaError("%s: unfinished statement %r" % (self.path, pending))

    def _full(self, name):
        return ".".join(([self.package] if self.package else []) + [n for kind, n, _ in self.scopes if kind == "message"] + [name])

    def run(self):
        for nr, s, comment in self.statements:
            if not self._statement(s, comment):
                raise SchemaError("%s:%d: not understood: %s" % (self.path, nr, s))
        if self.scopes:
            raise SchemaError("%s: a brace is not closed" % self.path)

    def _statement(self, s, comment):
        kind, name, obj = self.scopes[-1] if self.scopes else (None, None, None)
        m = re.fullmatch(r"(message|enum|oneof) (\w+) ?\{", s)
        if m:
            return self._open(m[1], m[2])
        if s == "}":
            return bool(self.scopes and self.scopes.pop())
        if s == ";":
            return True
        if kind is None:
            m = re.fullmatch(r"package ([\w.]+) ?;", s)
            if m:
                self.package = m[1]
            return bool(m or re.fullmatch(r'syntax = "proto3" ?;|import "[\w.]+" ?;', s))
        if kind == "enum":
            m = re.fullmatch(r"(\w+) = (-?\d+) ?;", s)
            if m:
                obj.values[m[1]] = int(m[2])
            return bool(m)
        if s.startswith("reserved "):
            return self._reserved(obj, s[9:-1])
        m = re.fullmatch(r"(repeated )?([\w.]+) (\w+) = (\d+) ?;", s)
        if not m or m[2] in ("optional", "required", "map", "group"):
            return False
        number = int(m[4])
        if number in obj.fields or number in obj.reserved:
            raise SchemaError("%s: number %d of %s is used twice" % (self.path, number, obj.name))
        obj.fields[number] = Field(number, m[3], m[2], bool(m[1]), name if kind == "oneof" else None, comment)
        return True

    def _open(self, kind, name):
        if kind == "message":
            obj = Message(self._full(name), self.path)
            if obj.name in self.schema.messages:
                raise SchemaError("%s: message %s is already in %s" % (self.path, obj.name, self.schema.messages[obj.name].path))
            self.schema.messages[obj.name] = obj
        elif kind == "enum":
            obj = Enum(self._full(name), self.path)
            self.schema.enums[obj.name] = obj
        else:
            if not self.scopes or self.scopes[-1][0] != "message":
                return False
            obj = self.scopes[-1][2]
        self.scopes.append((kind, name, obj))
        return True

    def _reserved(self, obj, text):
        for part in text.split(","):
            m = re.fullmatch(r"\s*(\d+)(?: to (\d+))?\s*", part)
            if not m:
                return False
            for n in range(int(m[1]), int(m[2] or m[1]) + 1):
                if n in obj.fields:
                    raise SchemaError("%s: number %d of %s is reserved and used" % (self.path, n, obj.name))
                obj.reserved.add(n)
        return True


TYPE_LINE = re.compile(r"^STATE_TYPE\((\d+), (\w+)\)", re.M)
TYPE_RESERVED = re.compile(r"^STATE_TYPE_RESERVED\((\d+)\)", re.M)


def load_types(path):
    """state/types.def: {id: name}."""
    with open(path, encoding="utf-8") as f:
        return {int(i): n for i, n in TYPE_LINE.findall(f.read())}


def message_of_type(schema, name):
    """The message of an object type: its name without underscores, in any case; directories of a gofer are GoferFiles."""
    want = "sentry." + {"gofer_dir": "gofer_file"}.get(name, name).replace("_", "")
    return next((m for m in schema.messages if m.lower() == want), None)
