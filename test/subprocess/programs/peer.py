"""What the little programs of these tests share: lines in, lines out. Not an SDK: plain protocol, so that faults are easy."""
import json
import os
import sys
import time


def say(**answer):
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def commands():
    for line in sys.stdin:
        yield json.loads(line)


def trace(folder, *words):
    """One line of what happened, for the test to look at."""
    with open(os.path.join(folder, "trace"), "a") as f:
        f.write(" ".join(str(w) for w in words) + "\n")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
