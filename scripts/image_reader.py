#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads checkpoint images without runsc: written from docs/checkpoint.md ("The files, byte by byte"), schemas/*.proto and
state/types.def alone. It needs Python and libzstd.so.1 (which dpkg needs, too), nothing to be built or installed.

    scripts/image_reader.py DIR              checks everything, prints a summary as JSON
    scripts/image_reader.py --manifest DIR   the manifest
    scripts/image_reader.py --records DIR    manifest and records, a JSON object on each line: what `runsc image show --json` prints
    scripts/image_reader.py --pages DIR      one line for each entry of the index
    scripts/image_reader.py --page N DIR     the 4096 bytes of a page of the memory file, to standard output

DIR may also be a file that a stream was written to (`runsc checkpoint --image-path - ID >FILE`). Every mode verifies each checksum it passes; the first thing that is wrong ends it with one line and status 1.
"""
import argparse
import collections
import ctypes
import hashlib
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import proto_schema

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = 4096
RECORD_ROOTS, RECORD_END = 0xfffffffe, 0xffffffff


class ImageError(Exception):
    pass


# --- digests, crc32c and zstd ---

def blake2b(data):
    return hashlib.blake2b(data, digest_size=32).digest()


CRC = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    CRC.append(n)


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for b in data:
        crc = crc >> 8 ^ CRC[(crc ^ b) & 0xff]
    return crc ^ 0xffffffff


def load_zstd():
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_decompress.restype = lib.ZSTD_compress.restype = lib.ZSTD_compressBound.restype = ctypes.c_size_t
    lib.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    lib.ZSTD_compress.argtypes = lib.ZSTD_decompress.argtypes + [ctypes.c_int]
    lib.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return lib


def unzstd(data, size):
    """One frame that holds exactly @size bytes."""
    out = ctypes.create_string_buffer(size + 1)
    n = load_zstd().ZSTD_decompress(out, size, data, len(data))
    if n != size:
        raise ImageError("a zstd frame does not hold the %d bytes that it should" % size)
    return out.raw[:size]


def zstd(data, level=3):
    lib = load_zstd()
    size = lib.ZSTD_compressBound(len(data))
    out = ctypes.create_string_buffer(size)
    n = lib.ZSTD_compress(out, size, data, len(data), level)
    if lib.ZSTD_isError(n):
        raise ImageError("zstd cannot compress")
    return out.raw[:n]


# --- the four files ---

def read_file(directory, name):
    try:
        with open(os.path.join(directory, name), "rb") as f:
            return f.read()
    except OSError as e:
        raise ImageError("%s: %s" % (name, e.strerror))


def part_hash(manifest_bytes):
    """The 32 hex digits in the names of an image's parts."""
    a, b, mask = 0xcbf29ce484222325, 0x84222325cbf29ce4, (1 << 64) - 1
    for i, c in enumerate(manifest_bytes):
        a = (a ^ c) * 0x100000001b3 & mask
        b = (b ^ manifest_bytes[-1 - i]) * 0x100000001b3 & mask
    return "%016x%016x" % (a, b)


def unpack_manifest(schema, data):
    if len(data) < 20 or data[:8] != b"RUNSCINV":
        raise ImageError("inventory.img: not a manifest of runsc")
    version, size = struct.unpack_from("<II", data, 8)
    if version != 1:
        raise ImageError("inventory.img: format %d, this reader knows 1" % version)
    if len(data) != 16 + size + 4:
        raise ImageError("inventory.img: %d bytes, its header says %d" % (len(data), 16 + size + 4))
    if struct.unpack_from("<I", data, 16 + size)[0] != crc32c(data[:16 + size]):
        raise ImageError("inventory.img: checksum does not match")
    return schema.decode("image.Manifest", data[16:16 + size])


def pack_manifest(schema, manifest):
    """The reverse: for tools that change images (and for tests that do so on purpose)."""
    body = schema.encode("image.Manifest", manifest)
    data = b"RUNSCINV" + struct.pack("<II", 1, len(body)) + body
    return data + struct.pack("<I", crc32c(data))


class Pages:
    """pages.idx and pages.img of one image; @parent is the Pages that inherited runs are read from, or None."""

    def __init__(self, index, data, part_index, part_pages, parent=None):
        self.data, self.parent = data, parent
        if len(index) < 48 or index[:8] != b"RUNSCPIX":
            raise ImageError("pages.idx: not a page index of runsc")
        self.version, self.flags, frames, self.stored, size, crc_body, crc_head = struct.unpack_from("<IIQQQII", index, 8)
        if crc_head != crc32c(index[:44]) or crc_body != crc32c(index[48:]):
            raise ImageError("pages.idx: checksum does not match")
        if self.version not in (1, 2) or self.version != part_index["version"] or self.flags & ~3:
            raise ImageError("pages.idx: version %d, flags %#x" % (self.version, self.flags))
        each = 64 if self.flags & 2 else 32
        if len(index) != 48 + each * frames or size != len(data):
            raise ImageError("pages.idx: sizes do not fit the files")
        if len(data) < PAGE or data[:8] != b"RUNSCPAG" or any(data[20:PAGE]):
            raise ImageError("pages.img: bad header")
        version, flags, crc = struct.unpack_from("<III", data, 8)
        if crc != crc32c(data[:16]) or version != part_pages["version"] or flags != self.flags & 1:
            raise ImageError("pages.img: bad header")
        self.raw = bool(self.flags & 1)
        self.entries = [struct.unpack_from("<QQIIII", index, 48 + 32 * i) for i in range(frames)]
        self.digests = [index[48 + 32 * (frames + i):80 + 32 * (frames + i)] for i in range(frames)] if self.flags & 2 else None
        self._check()

    def _check(self):
        next_page, next_offset, stored = 0, PAGE, 0
        for i, (page, offset, count, size, crc, kind) in enumerate(self.entries):
            if page < next_page or not count or kind > (1 if self.version == 2 else 0):
                raise ImageError("pages.idx: entry %d is not possible" % i)
            next_page = page + count
            if kind:
                if offset or size or crc or self.parent is None:
                    raise ImageError("pages.idx: entry %d is inherited, but cannot be" % i)
                continue
            if offset != next_offset or count > 64 or not 0 < size <= count * PAGE or (self.raw and size != count * PAGE):
                raise ImageError("pages.idx: entry %d is not possible" % i)
            next_offset += size
            stored += count
        if next_offset != len(self.data) or stored != self.stored:
            raise ImageError("pages.idx: entries do not add up")

    def frame(self, entry):
        """The bytes of an entry's pages; inherited ones come from the parent, page by page."""
        page, offset, count, size, crc, kind = entry
        if kind:
            return b"".join(self.parent.page(page + i) for i in range(count))
        stored = self.data[offset:offset + size]
        if crc32c(stored) != crc or (self.digests and blake2b(stored) != self.digests[self.entries.index(entry)]):
            raise ImageError("pages.img: the frame at offset %d is damaged" % offset)
        return stored if size == count * PAGE else unzstd(stored, count * PAGE)

    def page(self, number):
        """One page of the memory file; what no entry names is zero."""
        for e in self.entries:
            if e[0] <= number < e[0] + e[2]:
                if e[5]:
                    return self.parent.page(number)
                return self.frame(e)[(number - e[0]) * PAGE:][:PAGE]
        return bytes(PAGE)

    def has(self, number):
        """Whether an entry of this image or, where it inherits, of its parents has the page."""
        for e in self.entries:
            if e[0] <= number < e[0] + e[2]:
                return not e[5] or self.parent.has(number)
        return False

    def runs(self):
        """Pages that are stored, here or in a parent, as [first, number] of each run that has no gap."""
        out = []
        for page, _offset, count, _size, _crc, kind in self.entries:
            for n in [page + i for i in range(count) if self.parent.has(page + i)] if kind else range(page, page + count):
                if out and sum(out[-1]) == n:
                    out[-1][1] += 1
                else:
                    out.append([n, 1])
        return out


def read_records(data, part):
    """kernel.img as a list of (type, id, payload), the roots last; everything about it is checked."""
    if len(data) < 20 or data[:8] != b"RUNSCKRN":
        raise ImageError("kernel.img: not a kernel image of runsc")
    version, flags, crc = struct.unpack_from("<III", data, 8)
    if crc != crc32c(data[:16]) or version != part["version"] or version != 1 or flags:
        raise ImageError("kernel.img: bad header")
    raw, pos = bytearray(), 20
    while True:
        if pos + 12 > len(data):
            raise ImageError("kernel.img: no last block")
        stored, size, crc = struct.unpack_from("<III", data, pos)
        block = data[pos + 12:pos + 12 + stored]
        if crc != crc32c(block, crc32c(data[pos:pos + 8])) or len(block) != stored or size > 256 << 10 or bool(stored) != bool(size):
            raise ImageError("kernel.img: the block at offset %d is damaged" % pos)
        pos += 12 + stored
        if not stored:
            break
        raw += unzstd(block, size)
    if pos != len(data):
        raise ImageError("kernel.img: bytes after the last block")
    return list(split_records(bytes(raw)))


def part_of(data, version, like):
    """The Part of a manifest for a file of these bytes; with a digest if @like has one."""
    part = dict(like, version=version, size=len(data), crc=crc32c(data))
    if like.get("digest"):
        part["digest"] = blake2b(data)
    return part


def pack_records(records):
    """The reverse of read_records()."""
    raw = bytearray()
    for kind, number, payload in records:
        head = struct.pack("<IIQ", kind, len(payload), number)
        raw += head + struct.pack("<I", crc32c(payload, crc32c(head))) + payload
    end = struct.pack("<QI", len(records), crc32c(raw))
    head = struct.pack("<IIQ", RECORD_END, len(end), 0)
    raw += head + struct.pack("<I", crc32c(end, crc32c(head))) + end
    out = bytearray(b"RUNSCKRN" + struct.pack("<II", 1, 0))
    out += struct.pack("<I", crc32c(out))
    for i in range(0, len(raw), 256 << 10):
        block = bytes(raw[i:i + (256 << 10)])
        stored = zstd(block)
        head = struct.pack("<II", len(stored), len(block))
        out += head + struct.pack("<I", crc32c(stored, crc32c(head))) + stored
    head = struct.pack("<II", 0, 0)
    return bytes(out + head + struct.pack("<I", crc32c(head)))


def split_records(raw):
    pos = count = 0
    while pos + 20 <= len(raw):
        kind, size, number, crc = struct.unpack_from("<IIQI", raw, pos)
        payload = raw[pos + 20:pos + 20 + size]
        if len(payload) != size or crc != crc32c(payload, crc32c(raw[pos:pos + 16])):
            raise ImageError("kernel.img: record %d is damaged" % count)
        if kind == RECORD_END:
            if number or size != 12 or struct.unpack("<QI", payload) != (count, crc32c(raw[:pos])) or pos + 32 != len(raw):
                raise ImageError("kernel.img: the end mark does not fit the records")
            return
        yield kind, number, payload
        pos += 20 + size
        count += 1
    raise ImageError("kernel.img: no end mark")


class Directory:
    """Where the bytes of an image are: files of a directory, its ancestors' behind links."""

    def __init__(self, path):
        self.path = path
        self.manifest = read_file(path, "inventory.img")
        self.hash = part_hash(self.manifest)

    def part(self, stem):
        return read_file(self.path, "%s-%s.img" % (stem, self.hash))

    def parent(self, layer):
        link = os.path.join(self.path, "parent-" + self.hash)
        if not os.path.islink(link):
            raise ImageError("%s: no such link to the parent image" % link)
        up = Directory(os.path.join(self.path, os.readlink(link)))
        if up.hash != layer["hash"]:
            raise ImageError("%s: is another image than the one that the manifest names" % up.path)
        return up


class Stream:
    """The same in one file, as `runsc checkpoint --image-path -` writes it; a round is the parent of the next one."""

    NUMBERS = {"manifest": 1, "kernel": 2, "index": 3, "pages": 4}

    def __init__(self, path, parts=None, round_=None):
        self.path = path
        if parts is None:
            with open(path, "rb") as f:
                parts, round_ = self._split(f.read())
        self.parts, self.round = parts, round_
        self.manifest = self.part("manifest") if (1, round_) in parts else b""

    @staticmethod
    def _split(data):
        if len(data) < 32 or data[:8] != b"RUNSCSTR" or struct.unpack_from("<I", data, 28)[0] != crc32c(data[:28]):
            raise ImageError("not a stream of runsc")
        version, flags = struct.unpack_from("<II", data, 8)
        if version != 1 or flags & ~1 or any(data[16:28]):
            raise ImageError("a stream of version %d, flags %#x" % (version, flags))
        pos, count, total, parts = 32, 0, 0, {}
        while True:
            head = data[pos:pos + 32]
            if len(head) != 32 or struct.unpack_from("<I", head, 28)[0] != crc32c(head[:28]):
                raise ImageError("the chunk at offset %d is damaged, or the stream has no end" % pos)
            part, round_, offset, size, crc, zero = struct.unpack_from("<IIQIII", head)
            body = data[pos + 32:pos + 32 + size]
            if len(body) != size or crc32c(body) != crc or zero or not size:
                raise ImageError("the chunk at offset %d is damaged" % pos)
            pos += 32 + size
            if part == 0:
                break
            have = parts.setdefault((part, round_), bytearray())
            if part > 4 or offset != len(have):
                raise ImageError("the chunk before offset %d is not the next of its part" % pos)
            have += body
            count, total = count + 1, total + size
        if pos != len(data) or offset != total or size != 8 or struct.unpack("<Q", body)[0] != count:
            raise ImageError("the end of the stream does not fit its chunks")
        return parts, round_

    def part(self, stem):
        got = self.parts.get((self.NUMBERS[stem], self.round))
        if got is None:
            raise ImageError("round %d of the stream has no part %s" % (self.round, stem))
        return bytes(got)

    def parent(self, layer):
        return Stream(self.path, self.parts, self.round - 1)


class Image:
    """@path: a directory, or a file that a stream was written to."""

    def __init__(self, path, schema=None, types=None):
        self.path = path
        self.schema = schema or proto_schema.Schema(os.path.join(TOP, "schemas"))
        self.types = types or proto_schema.load_types(os.path.join(TOP, "state/types.def"))
        source = Directory(path) if os.path.isdir(path) else Stream(path)
        self.manifest = unpack_manifest(self.schema, source.manifest)
        self.parts = {stem: self._part(source, stem, self.manifest[stem]) for stem in ("kernel", "index", "pages")}
        self.pages = Pages(self.parts["index"], self.parts["pages"], self.manifest["index"], self.manifest["pages"], self._ancestors(source))
        self.records = read_records(self.parts["kernel"], self.manifest["kernel"])
        self._check()

    @staticmethod
    def _part(source, stem, part):
        data = source.part(stem)
        if not part or len(data) != part["size"]:
            raise ImageError("%s: %d bytes, the manifest says %d" % (stem, len(data), part["size"] if part else 0))
        if stem != "pages" and crc32c(data) != part["crc"]:
            raise ImageError("%s: checksum does not match the manifest" % stem)
        if part.get("digest") and part["digest"] != blake2b(data):
            raise ImageError("%s: digest does not match the manifest" % stem)
        return data

    def _ancestors(self, source):
        """The Pages of the image that this one is a change of, which have their own parent; None when it is complete."""
        found, parent = [], None
        for layer in self.manifest["layers"]:
            source = source.parent(layer)
            found.append((layer, self._part(source, "index", layer["index"]), self._part(source, "pages", layer["pages"])))
        for layer, index, pages in reversed(found):
            parent = Pages(index, pages, layer["index"], layer["pages"], parent)
        return parent

    def _check(self):
        m = self.manifest
        if not self.records or self.records[-1][0] != RECORD_ROOTS or len(self.records[-1][2]) % 8:
            raise ImageError("kernel.img: no list of roots")
        for i, (kind, number, _payload) in enumerate(self.records[:-1]):
            if kind not in self.types:
                raise ImageError("kernel.img: object %d has the unknown type %d" % (number, kind))
            if number != i + 1:
                raise ImageError("kernel.img: object %d is where %d should be" % (number, i + 1))
        if m["objects"] != len(self.records) - 1 or m["pages_stored"] != self.pages.stored:
            raise ImageError("inventory.img: its counts are not those of the parts")
        if any(r > m["objects"] for r in self.roots()):
            raise ImageError("kernel.img: a root does not exist")

    def roots(self):
        return list(struct.unpack("<%dQ" % (len(self.records[-1][2]) // 8), self.records[-1][2]))

    def objects(self):
        """(type name, id, fields) of every object."""
        for kind, number, payload in self.records[:-1]:
            name = self.types[kind]
            try:
                yield name, number, self.schema.decode(proto_schema.message_of_type(self.schema, name), payload)
            except proto_schema.WireError as e:
                raise ImageError("%s %d: %s" % (name, number, e))

    def verify_pages(self):
        pages = self.pages
        while pages:
            for e in pages.entries:
                if not e[5]:
                    pages.frame(e)
            pages = pages.parent

    def summary(self):
        counts = collections.Counter(name for name, _, _ in self.objects())
        self.verify_pages()
        return {"image": self.path, "product": self.manifest["product"], "platform": self.manifest["platform"],
                "objects": self.manifest["objects"], "pages": self.pages.stored, "raw": self.pages.raw,
                "bytes": sum(len(d) for d in self.parts.values()), "types": dict(sorted(counts.items()))}


def plain(v):
    """What JSON can hold: bytes as {"hex": ...}."""
    if isinstance(v, bytes):
        return {"hex": v.hex()}
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, str):  # bytes that are no UTF-8 are shown as the characters of the same number
        return "".join(chr(ord(c) - 0xdc00) if 0xdc80 <= ord(c) <= 0xdcff else c for c in v)
    return v


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    g = ap.add_mutually_exclusive_group()
    for mode in ("manifest", "records", "pages"):
        g.add_argument("--" + mode, action="store_true")
    g.add_argument("--page", type=int, metavar="N")
    ap.add_argument("dir")
    a = ap.parse_args()
    try:
        image = Image(a.dir)
        if a.manifest:
            print(json.dumps(plain(image.manifest), indent=2))
        elif a.records:
            print(json.dumps({"manifest": plain(image.manifest)}, ensure_ascii=False))
            for name, number, fields in image.objects():
                print(json.dumps({"type": name, "id": number, "fields": plain(fields)}, ensure_ascii=False))
            print(json.dumps({"roots": image.roots()}))
        elif a.pages:
            for page, offset, count, size, _crc, kind in image.pages.entries:
                print(json.dumps({"page": page, "pages": count, "from": "parent" if kind else "here", "offset": offset, "bytes": size}))
        elif a.page is not None:
            sys.stdout.buffer.write(image.pages.page(a.page))
        else:
            print(json.dumps(image.summary(), indent=2))
    except (ImageError, proto_schema.WireError) as e:
        sys.exit("image_reader: %s: %s" % (a.dir, e))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has seen enough


if __name__ == "__main__":
    main()
