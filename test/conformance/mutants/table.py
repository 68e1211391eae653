#!/usr/bin/env python3
"""The table of docs/conformance.md that says which rule catches which broken variant. Prints it; --write puts it into the page."""
import pathlib
import sys

from mutants import GROUPS, MUTANTS

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/conformance.md"
BEGIN = "<!-- variants: written by test/conformance/mutants/table.py -->\n"
END = "<!-- end of variants -->\n"


def table():
    lines = [f"{len(MUTANTS)} broken variants of the connector that `dataflow connector new` writes, and the rule that catches each.\n"]
    for title, mutants in GROUPS:
        lines += ["", f"**{title}**", "", "| variant | what is wrong | caught by |", "|-|-|-|"]
        lines += [f"| {m.name} | {m.doc} | `{m.rule}` |" for m in mutants]
    return "\n".join(lines) + "\n"


def current():
    """What the page has now, or None."""
    text = PAGE.read_text() if PAGE.exists() else ""
    if BEGIN not in text or END not in text:
        return None
    return text.split(BEGIN)[1].split(END)[0]


def write():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1])


if __name__ == "__main__":
    write() if "--write" in sys.argv else print(table(), end="")
