#!/usr/bin/env python3
"""The include rule of docs/design.md, section 1: a file includes its own floor and public headers of floors below, nothing else."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# From the ground up. Floors of one row are neighbours and do not see each other.
FLOORS = [
    ["src/base"],
    ["src/value"],
    ["src/message"],
    ["src/spec"],
    ["src/net", "src/avro"],
    ["src/table", "src/kube"],
    ["api/v1"],
    ["src/transformers"],
    ["src/connectors"],
    ["src/dataflow", "src/processor"],
    ["src/operator", "src/web", "src/conformance"],
    ["src/cmd"],
]
LEVEL = {folder: level for level, row in enumerate(FLOORS) for folder in row}
TEMPLATES = "src/cmd/skeleton/"  # what `connector new` writes: sources of other floors, with placeholders
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def floor_of(path):
    return next((folder for folder in LEVEL if path.startswith(folder + "/")), None)


def target_of(include):
    return include if include.startswith("api/") else "src/" + include


def connector_of(path):
    parts = path.split("/")
    return parts[2] if path.startswith("src/connectors/") and len(parts) > 3 else None


def problem(path, include):
    if include.startswith("test/") and pathlib.PurePath(path).name.startswith("test_"):
        return None  # a unit test beside its connector
    target = target_of(include)
    own, other = floor_of(path), floor_of(target)
    if other is None:
        return "includes by floor: \"base/str.h\", not a bare or relative name"
    if LEVEL[other] > LEVEL[own] or (LEVEL[other] == LEVEL[own] and other != own):
        return f"{own} must not see {other}"
    if other != own and target.endswith(("internal.h", "_internal.h")):
        return "a private header of another floor"
    if connector_of(target) and connector_of(target) != connector_of(path) and own == "src/connectors":
        return "connectors never include each other"
    return None


def problems(root=ROOT):
    found = []
    for folder in LEVEL:
        for file in sorted((root / folder).rglob("*.[ch]")):
            path = file.relative_to(root).as_posix()
            if path.startswith(TEMPLATES):
                continue
            for include in INCLUDE.findall(file.read_text()):
                why = problem(path, include)
                if why:
                    found.append(f"{path}: #include \"{include}\": {why}")
    return found


if __name__ == "__main__":
    found = problems()
    print("\n".join(found))
    sys.exit(1 if found else 0)
