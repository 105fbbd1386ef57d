#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that what is tagged as saved is in the schemas, and that every savable type is registered.

A struct that has one `/* saved: ... */` tag is savable: every field needs a tag, on its line or on the line before:

    uint64_t count;        /* saved: 2 */                field 2 of the message, which has the same name
    int32_t euid;          /* saved: 4 effective_uid */  field 4 has this name
    bool a, b;             /* saved: 5, 6 */             one number for each
    uint64_t pos;          /* saved: offset shown */     no number: a field `pos` (or `offset`) must exist
    struct waitq wq;       /* nosave: why */
    uint64_t bytes;        /* derived: how */

The message of `struct event_fd` is `EventFd` (case and underscores do not count), or the one its `event_fd_state_type` names in
.desc, or the one in a comment on the struct's first line or just above: /* message: Name */ (several: /* message: A, B */).
A nested struct without a tag of its own needs tags on its fields. Also checked: numbers used twice, recursive messages, names
that protobuf-c cannot use, fields without a comment, and types.def against the definitions.

    scripts/check_state.py [--root DIR] [--no-comments] [DIR or FILE ...]      default: sentry
"""
import argparse
import os
import re
import sys

errors = []


def error(path, line, text):
    errors.append((path, line, text))


def norm(name):
    return name.replace('_', '').lower()


def line_of(text, pos):
    return text.count('\n', 0, pos) + 1


# --- schemas ---

class Message:
    def __init__(self, name, path, line):
        self.name, self.path, self.line = name, path, line
        self.by_nr, self.by_name, self.types, self.ids = {}, {}, [], []


FIELD = re.compile(r'^\s*(repeated\s+|optional\s+)?(map\s*<[^>]*>|[\w.]+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[[^\]]*\])?\s*;')


def parse_proto(path, text, messages, want_comments):
    stack = []  # (kind, Message)
    commented, above = False, ''
    for nr, line in enumerate(text.split('\n'), 1):
        code, _, comment = line.partition('//')
        statements = re.findall(r'[^;{}]*[;{}]?', code)
        for s in (s.strip() for s in statements):
            if not s:
                continue
            m = re.match(r'(message|enum|oneof)\s+(\w+)\s*\{', s)
            if m:
                if m[1] == 'message':
                    msg = Message(m[2], path, nr)
                    if norm(m[2]) in messages and path != messages[norm(m[2])].path:
                        error(path, nr, 'message %s is already defined in %s' % (m[2], messages[norm(m[2])].path))
                    messages[norm(m[2])] = msg
                    stack.append(('message', msg))
                else:
                    stack.append((m[1], stack[-1][1] if stack else None))
                continue
            if s.endswith('{'):
                stack.append(('other', None))
                continue
            if s == '}':
                if stack:
                    stack.pop()
                continue
            m = FIELD.match(s)
            if not m or not stack or stack[-1][0] not in ('message', 'oneof'):
                continue
            msg, name, num = stack[-1][1], m[3], int(m[4])
            if num in msg.by_nr:
                error(path, nr, '%s: number %d is used by %s and %s' % (msg.name, num, msg.by_nr[num], name))
            if name == 'base':
                error(path, nr, "%s: protobuf-c cannot have a field named 'base'" % msg.name)
            if m[1] and m[1].strip() == 'optional':
                error(path, nr, "%s.%s: protoc-c 1.4 has no proto3 'optional'" % (msg.name, name))
            if want_comments and not commented and not comment.strip():
                error(path, nr, '%s.%s has no comment' % (msg.name, name))
            msg.by_nr[num] = name
            msg.by_name[name] = num
            msg.types.append((nr, m[2].split('.')[-1]))
            if m[2] == 'uint64':
                msg.ids.append((nr, name, comment.strip() or above))
        commented = bool(comment.strip()) and not code.strip()
        above = comment.strip() if commented else ''


def check_recursion(messages):
    def walk(msg, path):
        for nr, t in msg.types:
            sub = messages.get(norm(t))
            if sub is None or sub.name != t:
                continue
            if sub in path:
                if sub is path[0]:
                    error(msg.path, nr, 'message %s contains itself' % sub.name)
                continue
            walk(sub, path + [sub])
    for msg in list(messages.values()):
        walk(msg, [msg])


# --- references ---

REF = re.compile(r'^STATE_REF\((\w+), (\w+), "([\w|]+)"\)', re.M)


def check_refs(path, text, messages):
    """state/refs.def names every field that the schemas say is an object id, and nothing else."""
    have = {}
    names = {m.name: m for m in messages.values()}
    for m in REF.finditer(text):
        line = line_of(text, m.start())
        have[(m[1], m[2])] = line
        if m[1] not in names or m[2] not in [n for _, n, _ in names[m[1]].ids]:
            error(path, line, '%s has no uint64 field %s' % (m[1], m[2]))
        for kind in m[3].split('|'):
            if kind not in names:
                error(path, line, 'there is no message %s' % kind)
    for msg in names.values():
        if 'toy' in msg.path or msg.path.endswith('image.proto'):
            continue
        for line, field, comment in msg.ids:
            word = re.match(r'[A-Z]\w+', comment)
            says = re.search(r'\breferences?\b|\b[Oo]bject ids?\b', comment) or (word and word[0] in names)
            if says and (msg.name, field) not in have:
                error(msg.path, line, '%s.%s is an object id by its comment, but not in %s' % (msg.name, field, path))


# --- C ---

TAG = re.compile(r'/\*\s*(saved|derived|nosave)\b\s*:?\s*(.*?)\s*\*/', re.S)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)


def blank(text):
    """Comments, strings and preprocessor lines become spaces; positions stay."""
    def hide(m):
        return re.sub(r'[^\n]', ' ', m[0])
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', hide, text, flags=re.S)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', hide, text, flags=re.M)


def closing(code, pos):
    """Position after the brace that closes the one at pos."""
    depth = 0
    for i in range(pos, len(code)):
        if code[i] == '{':
            depth += 1
        elif code[i] == '}':
            depth -= 1
            if not depth:
                return i + 1
    return len(code)


def declarators(decl):
    """Names declared by `type a, *b[3], c : 1`."""
    decl = re.sub(r'__attribute__\s*\(\(.*?\)\)|_Alignas\s*\([^)]*\)|\w+_\w*\([^()]*\)\s*$', ' ', decl, flags=re.S)
    names, depth, part = [], 0, ''
    for c in decl + ',':
        depth += c in '([{'
        depth -= c in ')]}'
        if c == ',' and not depth:
            m = re.search(r'\(\s*\*+\s*(?:const\s+)?(\w+)', part)
            if not m:
                part = re.sub(r'\[[^\]]*\]', ' ', part)
                part = re.sub(r':\s*\w+\s*$', ' ', part)
                m = re.search(r'(\w+)\s*$', part)
            if m:
                names.append(m[1])
            part = ''
        else:
            part += c
    return names


class Field:
    def __init__(self, pos, names, tag, inner=None):
        self.pos, self.names, self.tag, self.inner = pos, names, tag, inner


def fields(text, code, start, end):
    """Declarations between two positions, with their tags."""
    out, pos, begin, pending_from = [], start, start, start
    while pos < end:
        c = code[pos]
        inner = None
        if c == '{':
            stop = closing(code, pos)
            inner = (pos + 1, stop - 1)
            semi = code.find(';', stop, end)
            semi = end if semi < 0 else semi
            decl = code[begin:pos] + ' ' + code[stop:semi]
            names = declarators(code[stop:semi])
            pos = semi
        elif c == ';':
            decl = code[begin:pos]
            names = declarators(decl)
        else:
            pos += 1
            continue
        # The tag: after the declaration on its line (which may continue), else before it.
        eol = text.find('\n', pos)
        tag = None
        m = re.compile(r'[ \t]*').match(text, pos + 1)
        after = TAG.match(text, m.end())
        if not after and eol >= 0:
            for t in TAG.finditer(text, pos + 1, max(eol, pos + 1) + 400):
                if t.start() < eol and not code[pos + 1:t.start()].strip():
                    after = t
                    break
        if after:
            tag = (after[1], after[2])
            next_from = after.end()
        else:
            next_from = pos + 1
            before = [t for t in TAG.finditer(text, pending_from, pos)]
            # A tag before the declaration, or inside it (a macro between name and ';').
            if before and not inner:
                tag = (before[-1][1], before[-1][2])
        first = begin + len(code[begin:end]) - len(code[begin:end].lstrip())
        if decl.strip():
            out.append(Field(first, names, tag, inner))
        pos += 1
        begin = pos
        pending_from = next_from
    return out


STRUCT = re.compile(r'^(?:static\s+)?struct\s+(\w+)\s*\{', re.M)


def check_tag(path, line, field, names, messages):
    rest = field.tag[1]
    m = re.match(r'(\d+(?:\s*,\s*\d+)*)\b[\s,;:.(-]*(\w*)', rest)
    if m:
        numbers = [int(x) for x in m[1].split(',')]
        if len(numbers) not in (1, len(names)):
            error(path, line, '%s: %d fields but %d numbers' % (', '.join(names), len(names), len(numbers)))
            return
        if len(numbers) == 1:
            numbers *= len(names)
        for name, num in zip(names, numbers):
            got = [msg.by_nr[num] for msg in messages if num in msg.by_nr]
            if not got:
                error(path, line, '%s: %s has no field number %d' % (name, ' or '.join(x.name for x in messages), num))
            elif name not in got and m[2] not in got:
                error(path, line, "%s: field %d of %s is named '%s' (write: saved: %d %s)" %
                      (name, num, ' or '.join(x.name for x in messages), got[0], num, got[0]))
        return
    m = re.match(r'\w+', rest)
    for name in names:
        if not any(name in msg.by_name or (m and m[0] in msg.by_name) for msg in messages):
            error(path, line, "%s is saved, but %s has no field '%s' (write: saved: N, or saved: N name)" %
                  (name, ' or '.join(x.name for x in messages), name))


def check_fields(path, text, code, start, end, struct, messages):
    for f in fields(text, code, start, end):
        line = line_of(text, f.pos)
        if f.tag is None and f.inner:
            check_fields(path, text, code, f.inner[0], f.inner[1], struct, messages)
        elif f.tag is None:
            error(path, line, 'struct %s: %s has no tag (saved, derived or nosave)' % (struct, ', '.join(f.names) or 'field'))
        elif f.tag[0] == 'saved':
            check_tag(path, line, f, f.names or ['(unnamed)'], messages)
        elif not f.tag[1]:
            error(path, line, 'struct %s: %s: say why it is %s' % (struct, ', '.join(f.names), f.tag[0]))


def find_messages(path, text, m, end, messages, type_desc):
    struct, line = m[1], line_of(text, m.start())
    eol = text.find('\n', m.end())
    above = text[:m.start()].rstrip()
    note = re.search(r'/\*\s*message:\s*([\w ,]+?)\s*\*/', text[m.end():eol])
    if not note and above.endswith('*/'):
        note = re.search(r'^[\s/*]*message:\s*(\w+(?:\s*,\s*\w+)*)', above[above.rfind('/*'):], re.M)
    if note:
        found = []
        for name in re.split(r'\s*,\s*', note[1]):
            if norm(name) in messages:
                found.append(messages[norm(name)])
            else:
                error(path, line, 'struct %s: no message %s in schemas/' % (struct, name))
        return found
    for name in (norm(struct), type_desc.get(struct)):
        if name and name in messages:
            return [messages[name]]
    error(path, line, 'struct %s has saved fields, but there is no message of that name: add /* message: Name */ to the line'
          % struct)
    return []


def check_c(path, text, messages, type_desc):
    code = blank(text)
    count = 0
    for m in STRUCT.finditer(code):
        start = m.end()
        end = closing(code, start - 1) - 1
        if not any(t[1] == 'saved' for t in TAG.finditer(text, start, end)):
            continue
        count += 1
        found = find_messages(path, text, m, end, messages, type_desc)
        if found:
            check_fields(path, text, code, start, end, m[1], found)
    return count


# --- registration ---

DEF = re.compile(r'^const\s+struct\s+state_type\s+(\w+)_state_type\s*=\s*\{(.*?)^\}\s*;', re.M | re.S)


def check_types(path, text, defs):
    ids, names = {}, {}
    for m in re.finditer(r'^\s*STATE_TYPE\(\s*(\d+)\s*,\s*(\w+)\s*\)', blank_comments(text), re.M):
        line, num, name = line_of(text, m.start()), int(m[1]), m[2]
        if num in ids:
            error(path, line, 'id %d is used by %s and %s' % (num, ids[num], name))
        if name in names:
            error(path, line, 'type %s is listed twice' % name)
        ids[num], names[name] = name, num
        if name not in defs:
            error(path, line, 'type %s: there is no `const struct state_type %s_state_type`' % (name, name))
    for name, (dpath, dline, body) in defs.items():
        if name not in names:
            error(dpath, dline, '%s_state_type is not in state/types.def' % name)
        for key, want in (('id', r'STATE_ID_' + name + r'\b'), ('name', '"' + name + '"')):
            if not re.search(r'\.' + key + r'\s*=\s*' + want, body):
                error(dpath, dline, '%s_state_type: .%s is not %s' % (name, key, want.replace(r'\b', '')))
        for key in ('desc', 'prio', 'alloc', 'save', 'load'):
            if not re.search(r'\.' + key + r'\s*=', body):
                error(dpath, dline, '%s_state_type has no .%s' % (name, key))
        if bool(re.search(r'\.get\s*=', body)) != bool(re.search(r'\.put\s*=', body)):
            error(dpath, dline, '%s_state_type has .get without .put or the reverse' % name)
    return len(names)


def blank_comments(text):
    return COMMENT.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), text)


def c_files(roots):
    for root in roots:
        if os.path.isfile(root):
            yield root
        for d, dirs, names in os.walk(root):
            dirs.sort()
            for n in sorted(names):
                if n.endswith(('.c', '.h')):
                    yield os.path.join(d, n)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--root', default=os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    ap.add_argument('--no-comments', action='store_true', help='do not ask for a comment on every schema field')
    ap.add_argument('paths', nargs='*')
    a = ap.parse_args()
    paths = [os.path.abspath(p) for p in a.paths]
    os.chdir(a.root)
    messages, defs, type_desc, texts = {}, {}, {}, {}
    for n in sorted(os.listdir('schemas')):
        if n.endswith('.proto'):
            with open(os.path.join('schemas', n), encoding='utf-8') as f:
                parse_proto('schemas/' + n, f.read(), messages, not a.no_comments)
    check_recursion(messages)
    for p in c_files(['sentry', 'platform', 'gofer', 'runsc', 'base']):
        with open(p, encoding='utf-8', errors='replace') as f:
            texts[p] = f.read()
        for m in DEF.finditer(blank_comments(texts[p])):
            if m[1] in defs:
                error(p, line_of(texts[p], m.start()), '%s_state_type is also defined in %s' % (m[1], defs[m[1]][0]))
            defs[m[1]] = (p, line_of(texts[p], m.start()), m[2])
            d = re.search(r'\.desc\s*=\s*&\s*(?:\w+?)__(\w+?)__descriptor', m[2])
            if d:
                type_desc[m[1]] = norm(d[1])
    want = {os.path.relpath(p) for p in c_files(paths)} if paths else texts
    structs = sum(check_c(p, texts[p], messages, type_desc) for p in texts if p in want)
    with open('state/types.def', encoding='utf-8') as f:
        types = check_types('state/types.def', f.read(), defs)
    with open('state/refs.def', encoding='utf-8') as f:
        check_refs('state/refs.def', f.read(), messages)
    for path, line, text in sorted(set(errors)):
        print('%s:%d: %s' % (path, line, text))
    print('%d savable structs, %d types, %d messages, %d problems' % (structs, types, len(messages), len(set(errors))),
          file=sys.stderr)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
