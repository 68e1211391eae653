"""The conformance suite on the connectors that need no server: every rule passes, or says why it does not apply."""
import concurrent.futures
import pathlib
import tempfile
import unittest

import suite_kit

# Why rules may not apply, as they say it: first to all of these, then to each. Anything else is a failure, so that a rule does not stop
# to be tried without anybody noticing.
NO_SERVER = ("`{address}` does not stand in the manifest", "no --wrong-credentials", "no setting holds a secret", "no setting is called a secret",
             "too much for --quick")
ONE_WRITE = ("the sink has one write on its way at a time",)
NO_TRANSACTION = ("with these settings the sink does not store the position with the rows",)
APPENDS = ("with these settings the sink does not write a row twice to one place",)
ENDS = ("the source ends by itself", "the source ends, it does not wait for more rows")
NO_STORE = ("`{name}` does not stand in the manifest", "rows cannot be put into the source's store", "rows of the sink's store cannot be looked at",
            "no setting is required", "with these settings the sink does not write a row twice", *ONE_WRITE, *NO_TRANSACTION)

MANIFESTS = {  # name: (options, reasons)
    "sqlite": ((), (*ONE_WRITE, *NO_TRANSACTION, "no --cleanup, which empties the store", "the store does not keep the order of arrival")),
    "sqlite-exactly-once": (("--rule", "sink"), (*ONE_WRITE, "the store does not keep the order of arrival")),
    "file": (("--cleanup", suite_kit.REMOVE), (*ONE_WRITE, *NO_TRANSACTION, *APPENDS, *ENDS)),
    "file-follow": (("--cleanup", suite_kit.REMOVE, "--rule", "lifecycle", "--rule", "source"), (*ONE_WRITE, *NO_TRANSACTION, *APPENDS)),
    "file-csv": (("--cleanup", suite_kit.REMOVE), (*ONE_WRITE, *NO_TRANSACTION, *APPENDS, *ENDS)),
    "generate": ((), NO_STORE),
    "stdio": ((), (*NO_STORE, *ENDS)),
}

runs = {}


def run(name):
    with tempfile.TemporaryDirectory(prefix="df-conformance-") as holder:
        return suite_kit.connector_test(pathlib.Path(holder), "--quick", "--report", "passport.json", *MANIFESTS[name][0],
                                        suite_kit.HERE / f"{name}.yaml")


def setUpModule():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs.update(zip(MANIFESTS, pool.map(run, MANIFESTS)))


class Embedded(unittest.TestCase):
    def check(self, name):
        done, reasons = runs[name], NO_SERVER + MANIFESTS[name][1]
        rules = done.passport["rules"] if done.passport else []
        self.assertEqual([f"{r['rule']}: {r['seen']}" for r in rules if r["verdict"] == "fail"], [], done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(done.passport["passed"], 15)
        odd = [f"{r['rule']}: {r['seen']}" for r in rules
               if r["verdict"] == "not applicable" and not any(reason in r["seen"] for reason in reasons)]
        self.assertEqual(odd, [], "rules that do not apply for another reason than those that are known")


for each in MANIFESTS:
    setattr(Embedded, "test_" + each.replace("-", "_"), lambda self, name=each: self.check(name))


if __name__ == "__main__":
    unittest.main()
