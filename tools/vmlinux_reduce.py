#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Cuts `bpftool btf dump ... format c` down to what a list of root types needs.

Usage: vmlinux_reduce.py ROOTS < full.h > vmlinux.h

ROOTS is a file of names, one a line, '#' starts a comment: "struct x", "union x", "enum x", a
typedef's name, or a constant, which brings in the enum that holds it. A type held by value brings
its whole definition along; one behind a pointer becomes a forward declaration. A name after the word
"fixed" is the same on all kernels (contexts, packet headers): no CO-RE relocation is made for it,
which also keeps accesses to a context at the constant offsets the verifier insists on.
"""
import re
import sys

WORD = re.compile(r"\b(struct|union|enum)\s+(\w+)|\b([A-Za-z_]\w*)\b")
HEAD = re.compile(r"^(struct|union|enum)(?:\s+(\w+))?\s*\{")


def split(text):
    """Top-level statements of the dump: definitions, typedefs, forward declarations."""
    out, depth, current = [], 0, []
    for line in text.splitlines():
        if not current and (not line.strip() or line.startswith("#")):
            continue
        current.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0 and line.rstrip().endswith(";"):
            out.append("\n".join(current))
            current = []
    return out


def name_of(stmt):
    m = HEAD.match(stmt)
    if m:
        return f"{m[1]} {m[2]}" if m[2] else None
    if stmt.startswith("typedef"):
        m = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", stmt) or \
            re.search(r"(\w+)\s*(?:\[[^\]]*\])*\s*(?:__attribute__.*)?;$", stmt)
        return m[1] if m else None
    return None


def needs(stmt):
    """(by value, behind a pointer): the names a statement uses."""
    value, behind = set(), set()
    for m in WORD.finditer(stmt):
        if m[2]:
            name = f"{m[1]} {m[2]}"
            pointer = re.match(r"\s*(?:const\s*)?[*)]|\s*\(\*", stmt[m.end():])
            in_args = stmt.count("(", 0, m.start()) > stmt.count(")", 0, m.start())
            (behind if pointer or in_args else value).add(name)
        elif m[3]:
            value.add(m[3])
    return value, behind


def closure(names, stmts, by_name, by_constant):
    """Indexes of the statements that define `names` and all they need; forward declarations."""
    keep, forward, todo = set(), set(), []
    for name in names:
        i = by_name.get(name, by_constant.get(name))
        if i is None:
            sys.exit(f"vmlinux_reduce: no {name} in this kernel")
        todo.append(i)
    while todo:
        i = todo.pop()
        if i not in keep:
            keep.add(i)
            value, behind = needs(stmts[i])
            todo += [by_name[n] for n in value if n in by_name]
            forward |= {n for n in behind if not n.startswith("enum ")}
    return keep, forward


def main():
    roots, fixed = [], []
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words and words[0] == "fixed":
                fixed.append(" ".join(words[1:]))
            elif words:
                roots.append(" ".join(words))
    stmts = split(sys.stdin.read())
    by_name, by_constant = {}, {}
    for i, stmt in enumerate(stmts):
        name = name_of(stmt)
        if name:
            by_name.setdefault(name, i)
        if stmt.startswith("enum"):
            for m in re.finditer(r"^\t(\w+)\s*=", stmt, re.M):
                by_constant[m[1]] = i

    first, declare = closure(fixed, stmts, by_name, by_constant)
    rest, more = closure(roots, stmts, by_name, by_constant)
    print("\n#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n")
    for name in sorted(declare | more):
        print(f"{name};")
    for i in sorted(first):
        print(f"\n{stmts[i]}")
    relocated = [stmts[i] for i in sorted(rest - first)]
    records = any(s.startswith(("struct", "union", "typedef struct")) for s in relocated)
    if records:
        print("\n#pragma clang attribute push (__attribute__((preserve_access_index)), "
              "apply_to = record)")
    for stmt in relocated:
        print(f"\n{stmt}")
    if records:
        print("\n#pragma clang attribute pop")
    print("\n#endif")


if __name__ == "__main__":
    main()
