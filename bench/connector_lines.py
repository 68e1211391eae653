#!/usr/bin/env python3
"""Counts the lines that the author of a connector for Redis streams writes: ours, and those of two public SDKs' connectors.

    bench/connector_lines.py [--conduit GIT-FOLDER] [--connect GIT-FOLDER]

The folders are clones of conduitio-labs/conduit-connector-redis and redpanda-data/connect (bare or not); HEAD is counted. Of each: source and
sink for streams (a sink for hashes, too, where there is one), and what both need, settings and client. Not counted: tests, generated files,
build files, blank lines, comments, and (of all three) the library that speaks Redis's protocol.
"""
import argparse
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Strings are kept, and comments within them: URLs have slashes.
TOKENS = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|\'(?:\\.|[^\'\\\n])+\'|(?P<comment>//[^\n]*|/\*.*?\*/)', re.S)

OURS = {"source": ["source.c"], "sink": ["sink.c"], "both": ["client.c", "client.h", "plugin.c", "settings.c", "settings.h"]}
CONDUIT = {"source": ["source/source.go", "source/iterator/stream_iterator.go"], "sink": ["destination/destination.go"],
           "both": ["config/config.go", "connector.go", "spec.go", "cmd/connector/main.go"]}
CONNECT = {"source": ["input_streams.go"], "sink": ["output_streams.go", "output_hash.go"], "both": ["client.go"]}


def count(text):
    text = TOKENS.sub(lambda m: re.sub(r"[^\n]", "", m[0]) if m["comment"] else m[0], text)
    return sum(bool(line.strip()) for line in text.splitlines())


def git(folder, *args):
    return subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, text=True).stdout


def row(name, files, read):
    counts = [sum(count(read(file)) for file in files[part]) for part in ("source", "sink", "both")]
    print(f"| {name} | {' | '.join(map(str, counts))} | {sum(counts)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conduit", metavar="GIT-FOLDER")
    parser.add_argument("--connect", metavar="GIT-FOLDER")
    options = parser.parse_args()
    print("| connector | source | sink | both need | all |\n|-|-|-|-|-|")
    row("mydb, here", OURS, lambda file: (ROOT / "examples/connector-mydb" / file).read_text())
    for name, folder, files, below in (("Conduit", options.conduit, CONDUIT, ""),
                                       ("Redpanda Connect", options.connect, CONNECT, "internal/impl/redis/")):
        if folder:
            commit = git(folder, "rev-parse", "--short=12", "HEAD").strip()
            row(f"{name}, {commit}", files, lambda file, folder=folder, below=below: git(folder, "show", f"HEAD:{below}{file}"))


if __name__ == "__main__":
    main()
