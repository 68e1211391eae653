"""Running `dataflow connector test` in a folder of its own."""
import json
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
# A cleanup command for files: every name that a rule used, hostile ones too.
# What must return within 1 s has longer in our tests: they run beside others, and a call that hangs never returns. On a machine that has
# nothing else to do, DATAFLOW_PATIENCE=1 is what users have.
PATIENCE = ("--patience", os.environ.get("DATAFLOW_PATIENCE", "10"))
REMOVE = 'rm -f -- "rows/$DATAFLOW_TEST_NAME".*'


def connector_test(folder, *args, timeout=300, env=None):
    """What the command printed and how it ended; .passport when it wrote passport.json."""
    (folder / "rows").mkdir(exist_ok=True)
    done = subprocess.run([DATAFLOW, "connector", "test", *PATIENCE, *map(str, args)], cwd=folder, capture_output=True, text=True, timeout=timeout,
                          errors="replace", env={**os.environ, **(env or {})})
    passport = folder / "passport.json"
    done.passport = json.loads(passport.read_text()) if passport.exists() else None
    return done


def lines(text):
    """{rule: (verdict, what follows)} of what was printed."""
    return {rule: (verdict, rest.strip()) for verdict, rule, rest in re.findall(r"(?m)^(pass|FAIL|n/a )  (\S+)(.*)$", text)}
