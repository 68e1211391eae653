#!/usr/bin/env python3
"""Writes a C file with the templates in it. Usage: embed.py OUTPUT NAME=FILE...; a file that can be executed stays one."""
import os
import pathlib
import sys

ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\t"): "\\t"}


def literal(line):
    return '"' + "".join(ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in line) + '"'


def main(output, *files):
    text = ['#include "cmd/skeleton.h"\n\nconst struct df_skeleton_file df_skeleton_files[] = {\n']
    for name, path in (file.split("=", 1) for file in files):
        lines = pathlib.Path(path).read_bytes().splitlines(keepends=True)
        text.append("\t{ %s, %s,\n" % (literal(name.encode()), "true" if os.access(path, os.X_OK) else "false"))
        text.extend(f"\t  {literal(line)}\n" for line in lines or [b""])
        text.append("\t},\n")
    text.append("\t{ NULL, false, NULL },\n};\n")
    pathlib.Path(output).write_text("".join(text))


main(*sys.argv[1:])
