#!/usr/bin/env python3
"""Writes a C file with the templates in it, deflated as one. Usage: embed.py OUTPUT NAME=FILE...; a file that can be executed stays one."""
import os
import pathlib
import sys
import zlib


def main(output, *files):
    rows, whole = [], b""
    for name, path in (file.split("=", 1) for file in files):
        rows.append('\t{ "%s", %s, %d },\n' % (name, "true" if os.access(path, os.X_OK) else "false", len(whole)))
        whole += pathlib.Path(path).read_bytes() + b"\0"
    packed = zlib.compress(whole, 9)
    lines = [",".join(map(str, packed[i:i + 32])) for i in range(0, len(packed), 32)]
    pathlib.Path(output).write_text(
        '#include "cmd/skeleton.h"\n\nconst struct df_skeleton_file df_skeleton_files[] = {\n' + "".join(rows) + "\t{ NULL, false, 0 },\n};\n\n"
        + "const unsigned char df_skeleton_packed[] = {\n" + ",\n".join(lines) + "\n};\n\n"
        + "const size_t df_skeleton_packed_len = sizeof(df_skeleton_packed), df_skeleton_len = %d;\n" % len(whole))


main(*sys.argv[1:])
