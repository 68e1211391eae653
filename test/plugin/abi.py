#!/usr/bin/env python3
"""What compiled plugins rely on in the installed headers: struct layouts, functions, variables, enumerators. Beside abi.txt.

    test/plugin/abi.py            compare with abi.txt: what changed, and whether DF_PLUGIN_ABI must count up
    test/plugin/abi.py --write    the same, and write abi.txt; refuses when the number must count up first

clang reads the headers, so nothing here parses C. Layouts are those of x86_64.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMITTED = pathlib.Path(__file__).with_name("abi.txt")
TREE = (f"-I{ROOT}/src",)
PLUGIN_H = ROOT / "src/connectors/plugin.h"


def clang(flags, *more):
    done = subprocess.run(["clang", "-std=gnu17", "-fsyntax-only", *flags, *more, "-x", "c", "-"], input="#include <dataflow/connector.h>\n",
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def layouts(flags):
    """struct name: [(offset, type and member)], of our structs; members of nameless parts stand among them."""
    found = {}
    for block in clang(flags, "-Xclang", "-fdump-record-layouts-complete").split("*** Dumping AST Record Layout\n")[1:]:
        lines = block.splitlines()
        name = re.match(r" +0 \| (struct|union) (df_\w+)$", lines[0])
        if not name:
            continue
        members, deepest = [], 1  # depth 1: a member; what a member's own type consists of is deeper, and left out
        for line in lines[1:]:
            size = re.match(r" +\| \[sizeof=(\d+), align=(\d+)", line)
            if size:
                found[name[2]] = members + [(int(size[1]), f"size, align {size[2]}")]
                break
            offset, indent, text = re.match(r" *(\d+)[\d:-]* \|( +)(.*?) *$", line).groups()
            depth = len(indent) // 2
            if depth > deepest:
                continue
            plain = re.sub(r"\S*\((unnamed|anonymous)[^)]*\)", "nameless", text)
            deepest = depth + 1 if plain.endswith("nameless") else depth
            members.append((int(offset), plain))
    return found


def declared(flags):
    """(functions, variables, enumerators) of ours by name: a type each, a number each."""
    functions, variables, enumerators = {}, {}, {}
    for node in json.loads(clang(flags, "-Xclang", "-ast-dump=json"))["inner"]:
        name, kind = node.get("name", ""), node["kind"]
        if kind == "FunctionDecl" and name.startswith("df_") and node.get("storageClass") != "static":
            functions[name] = node["type"]["qualType"]
        elif kind == "VarDecl" and name.startswith("df_") and node.get("storageClass") == "extern":
            variables[name] = node["type"]["qualType"]
        elif kind == "EnumDecl":
            value = -1
            for row in (r for r in node.get("inner", []) if r["kind"] == "EnumConstantDecl"):
                written = next((i["value"] for i in row.get("inner", []) if "value" in i), None)
                value = int(written) if written is not None else value + 1
                if row["name"].startswith("DF_"):
                    enumerators[row["name"]] = value
    return functions, variables, enumerators


def number():
    return int(re.search(r"^#define DF_PLUGIN_ABI (\d+)$", PLUGIN_H.read_text(), re.M)[1])


def growing():
    """Structs that may get longer within one number."""
    return set(re.findall(r"S\((\w+)\)", re.search(r"#define DF_PLUGIN_GROWING\(S\)(.*?)\n\n", PLUGIN_H.read_text(), re.S)[1]))


def describe(flags=TREE):
    """One line a fact, so that a change is one line of a diff."""
    lines = [f"abi {number()}"]
    for name, members in sorted(layouts(flags).items()):
        lines += [f"{name} {offset} {text}" for offset, text in members]
    functions, variables, enumerators = declared(flags)
    lines += [f"{name}() {text}" for name, text in sorted(functions.items())]
    lines += [f"{name} is {text}" for name, text in sorted(variables.items())]
    lines += [f"{name} = {value}" for name, value in sorted(enumerators.items())]
    return lines


def broken(old, new, grows):
    """The facts of old that plugins rely on and that are no more. A growing struct's size may grow, and that alone."""
    sizes = {line.split()[0]: int(line.split()[1]) for line in new if re.match(r"df_\w+ \d+ size,", line)}

    def grown(line):
        name, rest, *kind = line.split()[:3]
        return name in grows and kind == ["size,"] and sizes.get(name, 0) > int(rest)
    gone = [line for line in old if line not in set(new) and not line.startswith("abi ") and not grown(line)]
    inserted = [line for line in new if line not in set(old) and (m := re.match(r"(df_\w+) (\d+) (?!size,)", line))
                and not (m[1] in grows and int(m[2]) >= max(int(o.split()[1]) for o in old if o.startswith(m[1] + " ")))
                and any(o.startswith(m[1] + " ") for o in old)]
    return gone + inserted


def problems():
    """Why abi.txt and the headers do not fit; [] when they do."""
    old, new = COMMITTED.read_text().splitlines(), describe()
    bad = broken(old, new, growing())
    if bad and old[0] == new[0]:
        some = "; ".join(bad[:6]) + (f"; and {len(bad) - 6} more" if len(bad) > 6 else "")
        return [f"compiled plugins cannot follow these changes: {some}: count DF_PLUGIN_ABI in src/connectors/plugin.h up, then run "
                "test/plugin/abi.py --write"]
    if old != new:
        return [f"the installed headers changed ({len(set(old) ^ set(new))} lines): run test/plugin/abi.py --write and commit abi.txt"]
    return []


if __name__ == "__main__":
    found = problems() if COMMITTED.exists() else []
    if "--write" in sys.argv and not any("count DF_PLUGIN_ABI" in text for text in found):
        COMMITTED.write_text("\n".join(describe()) + "\n")
        found = []
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
