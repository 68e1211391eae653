#!/usr/bin/env python3
"""The table of rules in docs/conformance.md, from the program's own list. Prints the page; --write writes it. DATAFLOW names the program."""
import re
import subprocess
import sys

from suite_kit import DATAFLOW, ROOT

PAGE = ROOT / "docs/conformance.md"


def current():
    rules = subprocess.run([DATAFLOW, "connector", "test", "--list-rules"], capture_output=True, text=True, check=True).stdout
    return re.sub(r"(?s)(\n## Rules\n\n).*?(\n## )", lambda found: found[1] + rules + found[2], PAGE.read_text(), count=1)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(current())
    else:
        print(current(), end="")
