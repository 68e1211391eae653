"""The conformance suite is tested: the skeleton's connector passes it, and every broken variant of it fails the rule that is named for it."""
import concurrent.futures
import pathlib
import shutil
import tempfile
import unittest

import table
from mutants import MUTANTS
from variants import ROOT, WARNINGS, Workshop, compile_file, run, skeleton

PARALLEL = 2


def judge(shop, mutant):
    """None, or what is wrong with the suite."""
    try:
        objects = shop.build(mutant.name, mutant.base, mutant.file, mutant.changes)
        results, output = shop.test(objects, mutant.upsert, mutant.quick, [mutant.rule])
    except Exception as error:  # the other variants go on
        return repr(error)
    if [(verdict, rule) for verdict, rule, _ in results] == [("fail", mutant.rule)]:
        return None
    return f"{mutant.doc} The rule {mutant.rule} did not see it:\n{output}"


class Variants(unittest.TestCase):
    """One test a variant; all run before the first, side by side."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="df-variants-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        shop = Workshop(cls.folder)
        for base in {m.base for m in MUTANTS}:
            shop.base(base)
        # Those that wait for a minute cost no processor.
        with concurrent.futures.ThreadPoolExecutor() as waiting, concurrent.futures.ThreadPoolExecutor(PARALLEL) as working:
            pending = {m.name: (working if m.quick else waiting).submit(judge, shop, m) for m in MUTANTS}
        cls.verdicts = {name: future.result() for name, future in pending.items()}

    def check(self, mutant):
        if self.verdicts[mutant.name]:
            self.fail(self.verdicts[mutant.name])


for each in MUTANTS:
    setattr(Variants, "test_" + each.name.replace("-", "_"), lambda self, mutant=each: self.check(mutant))


class Skeleton(unittest.TestCase):
    """As it is, the connector keeps the contract, and compiles without a warning wherever it may be put."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="df-skeleton-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def passes(self, base, upsert=True):
        shop = Workshop(self.folder)
        results, output = shop.test(shop.build("whole", base), upsert)
        self.assertEqual([r for r in results if r[0] == "fail"], [], output)
        passed = {rule for verdict, rule, _ in results if verdict == "pass"}
        missing = {m.rule for m in MUTANTS if m.base == base and m.upsert == upsert and m.quick} - passed
        self.assertEqual(missing, set(), "rules that catch variants must apply to the connector as it is")

    def test_mutex_base_passes(self):
        self.passes("mutex")

    def test_rw_base_passes(self):
        self.passes("rw")

    def test_without_upsert_passes(self):
        self.passes("mutex", upsert=False)

    def test_no_warning(self):
        for kind in ("source", "sink", "both"):
            for base in ("mutex", "rw"):
                parent = self.folder / f"{kind}-{base}"
                parent.mkdir()
                sources = skeleton(parent, "--kind", kind, "--base", base)
                for compiler in ("gcc", "clang"):
                    with self.subTest(kind=kind, base=base, compiler=compiler):
                        for file in sources.glob("*.c"):
                            compile_file(file, file.with_suffix(".o"), "-O2", *WARNINGS, compiler_name=compiler)

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not there")
    def test_layout(self):
        for base in ("mutex", "rw"):
            folder = self.folder / base
            folder.mkdir()
            shutil.copy(ROOT / ".clang-format", folder)
            sources = skeleton(folder, "--base", base, name="mydb")
            done = run("clang-format", "--dry-run", "--Werror", *sources.glob("*.[ch]"))
            self.assertEqual(done.returncode, 0, done.stdout)


class Page(unittest.TestCase):
    def test_enough_variants(self):
        self.assertGreaterEqual(len(MUTANTS), 45)
        self.assertEqual(len({m.name for m in MUTANTS}), len(MUTANTS), "names are unique")

    def test_table_is_current(self):
        self.assertEqual(table.current(), table.table(), "run test/conformance/mutants/table.py --write")


if __name__ == "__main__":
    unittest.main()
