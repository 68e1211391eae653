"""The conformance suite is tested: the skeleton's connector passes it, and every broken variant of it fails the rule that is named for it."""
import concurrent.futures
import pathlib
import shutil
import tempfile
import unittest

import table
from mutants import MUTANTS
from variants import DATAFLOW, ROOT, WARNINGS, Workshop, compile_file, link, run, skeleton

PARALLEL = 2
PATIENCE = 10  # of what must pass, beside all the others
KINDS = ("source", "sink", "both")
WHOLE = (("mutex", True), ("rw", True), ("mutex", False))  # base, upsertMode

outcomes = {}  # by name of a variant, by a pair of WHOLE, by kind


def setUpModule():
    """Runs all of them, side by side; those that wait, a minute at most, cost no processor."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="df-variants-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, ignore_errors=True)
    shop = Workshop(folder)
    for base in ("mutex", "rw"):
        shop.base(base)
    with concurrent.futures.ThreadPoolExecutor(16) as waiting, concurrent.futures.ThreadPoolExecutor(PARALLEL) as working:
        pending = {mutant.name: (waiting if mutant.waits else working).submit(judge, shop, mutant) for mutant in MUTANTS}
        pending |= {pair: waiting.submit(examine, shop, *pair) for pair in WHOLE}
        pending |= {kind: waiting.submit(as_written, folder / kind, kind) for kind in KINDS}
    outcomes.update({name: future.result() for name, future in pending.items()})


def judge(shop, mutant):
    """None, or what is wrong with the suite."""
    try:
        plugin = shop.build(mutant.name, mutant.base, mutant.file, mutant.changes)
        results, output = shop.test(plugin, mutant.upsert, mutant.quick, [mutant.rule])
    except Exception as error:  # the other variants go on
        return repr(error)
    if [(verdict, rule) for verdict, rule, _ in results] == [("fail", mutant.rule)]:
        return None
    return f"{mutant.doc} The rule {mutant.rule} did not see it:\n{output}"


def examine(shop, base, upsert):
    """The verdicts on the connector as it is, by rule, and the suite's output."""
    results, output = shop.test(shop.build(f"whole-{base}-{upsert}", base), upsert, patience=PATIENCE)
    return {rule: verdict for verdict, rule, _ in results}, output


def as_written(folder, kind):
    """The suite on the connector's own flow.yaml; only the place is another."""
    folder.mkdir()
    sources = skeleton(folder, "--kind", kind)
    objects = [file.with_suffix(".o") for file in sources.glob("*.c")]
    for out in objects:
        compile_file(out.with_suffix(".c"), out, *WARNINGS)
    link(objects, folder / "kv.so")
    flow = folder / "flow.yaml"
    flow.write_text((sources / "flow.yaml").read_text().replace("path: /tmp", f"path: {folder}"))
    return run(DATAFLOW, "connector", "test", "--patience", PATIENCE, "--quick", "--against", folder / "kv.so", "--cleanup", f"rm -rf {folder}/*.kv", flow)


class Variants(unittest.TestCase):
    """One test a variant."""

    def check(self, mutant):
        if outcomes[mutant.name]:
            self.fail(outcomes[mutant.name])


for each in MUTANTS:
    setattr(Variants, "test_" + each.name.replace("-", "_"), lambda self, mutant=each: self.check(mutant))


class Skeleton(unittest.TestCase):
    """As it is, the connector keeps the contract, and compiles without a warning wherever it may be put."""

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="df-skeleton-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def test_passes(self):
        for base, upsert in WHOLE:
            verdicts, output = outcomes[base, upsert]
            with self.subTest(base=base, upsert=upsert):
                self.assertEqual({rule for rule, verdict in verdicts.items() if verdict == "fail"}, set(), output)
                for mutant in MUTANTS:
                    if mutant.upsert == upsert and mutant.quick:
                        self.assertEqual(verdicts[mutant.rule], "pass", f"{mutant.rule} catches variants, and must apply to what they are variants of")

    def test_passes_as_written(self):
        for kind in KINDS:
            done = outcomes[kind]
            with self.subTest(kind=kind):
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertRegex(done.stdout, r"\n[1-9]\d* passed, 0 failed")

    def test_no_warning(self):
        for kind in KINDS:
            for base in ("mutex", "rw"):
                sources = skeleton(self.folder(), "--kind", kind, "--base", base)
                for compiler in ("gcc", "clang"):
                    with self.subTest(kind=kind, base=base, compiler=compiler):
                        for file in sources.glob("*.c"):
                            compile_file(file, file.with_suffix(".o"), "-O2", *WARNINGS, compiler_name=compiler)

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not there")
    def test_layout(self):
        for base in ("mutex", "rw"):
            folder = self.folder()
            shutil.copy(ROOT / ".clang-format", folder)
            # The layout depends on how long the name is.
            sources = skeleton(folder, "--base", base, name="mydb")
            done = run("clang-format", "--dry-run", "--Werror", *sources.glob("*.[ch]"))
            self.assertEqual(done.returncode, 0, done.stdout)


# Rules that no variant of a connector can break, or none was found that breaks nothing else. (Rules on values have one cause: types.)
WITHOUT_VARIANT = {
    "settings.required": "what the field tables say is checked by src/spec, not by the connector",
    "settings.unknown": "likewise",
    "settings.kinds": "likewise",
    "settings.ranges": "likewise",
}


class Rules(unittest.TestCase):
    def test_each_catches_something(self):
        """A rule that applies to the connector as it is and catches no variant of it may be blind. (The others need a server:
        test/integration/mydb.)"""
        applied = {rule for pair in WHOLE for rule, verdict in outcomes[pair][0].items() if verdict == "pass"}
        unproved = {rule for rule in applied if not rule.startswith("types.")} - {m.rule for m in MUTANTS}
        self.assertEqual(unproved, set(WITHOUT_VARIANT))


class Page(unittest.TestCase):
    def test_enough_variants(self):
        self.assertGreaterEqual(len(MUTANTS), 45)
        self.assertEqual(len({m.name for m in MUTANTS}), len(MUTANTS), "names are unique")

    def test_table_is_current(self):
        self.assertEqual(table.current(), table.table(), "run test/conformance/mutants/table.py --write")


if __name__ == "__main__":
    unittest.main()
