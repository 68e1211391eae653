"""The conformance suite on the worked example, built outside of the tree by its own build file, against the installed package."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from mydb_kit import DATAFLOW, REDIS, ROOT, redis, services, start

EXAMPLE = ROOT / "examples/connector-mydb"
REASONS = ("the sink has one write on its way at a time", "does not store the position with the rows", "too much for --quick")
PLUGINS = None


def run(*command, **env):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=dict(os.environ, **env), timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")


def build_outside(folder):
    """In a copy of the example, so that nothing of the tree can be reached; the installed package is below the folder, too."""
    run("meson", "install", "-C", pathlib.Path(DATAFLOW).resolve().parents[2], "--no-rebuild", "--destdir", folder / "root")
    package = next((folder / "root").rglob("dataflow.pc"))
    lines = package.read_text().splitlines()
    prefix = lines[0].removeprefix("prefix=")
    package.write_text("\n".join([f"prefix={folder}/root{prefix}", *lines[1:], ""]))
    shutil.copytree(EXAMPLE, folder / "source")
    run("meson", "setup", folder / "build", folder / "source", "-Dwerror=true", PKG_CONFIG_PATH=str(package.parent))
    run("ninja", "-C", folder / "build")
    return folder / "build"


def setUpModule():
    global PLUGINS
    start()
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    PLUGINS = build_outside(pathlib.Path(holder.name))


def rules():
    """The names of all rules."""
    done = subprocess.run([DATAFLOW, "connector", "test", "--list-rules"], capture_output=True, text=True, check=True)
    return [line.split("`")[1] for line in done.stdout.splitlines() if line.startswith("| `")]


def suite(folder, manifest, wanted, options):
    """Runs these rules in a process group of its own; what the passport says of them."""
    report = folder / f"{manifest}-{wanted[0]}.json"
    only = [part for rule in wanted for part in ("--rule", rule)]
    done = subprocess.run([DATAFLOW, "connector", "test", "--connector-dir", PLUGINS, "--quick", "--patience", "10", "--report", report,
                           "--server", f"127.0.0.1:{REDIS['REDIS_PORT']}", *options, *only, EXAMPLE / manifest],
                          capture_output=True, text=True, timeout=300, start_new_session=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(report.read_text())["rules"]


class Conformance(unittest.TestCase):
    def check(self, manifest, groups, reasons, *options):
        """Runs the groups beside each other, and then the rules that restart the server. reasons: for which a rule may not apply."""
        redis("flushall")
        service = services.SCRIPTS / "redis"
        wanted = [rule for rule in rules() if rule.split(".")[0] in groups]
        alone = [rule for rule in wanted if rule.endswith(".restart")]
        parts = [[rule for rule in wanted if rule.split(".")[0] == group and rule not in alone] for group in groups]
        with tempfile.TemporaryDirectory() as holder, concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
            folder = pathlib.Path(holder)
            seen = sum(pool.map(lambda part: suite(folder, manifest, part, options), parts), [])
            seen += suite(folder, manifest, alone, [*options, "--restart", f"{service} stop && {service} start"])
            for report in folder.iterdir():
                self.assertNotIn("dataflow-secret", report.read_text())
        self.assertEqual(sorted(rule["rule"] for rule in seen), sorted(wanted))
        self.assertEqual([f"{rule['rule']}: {rule['seen']}" for rule in seen if rule["verdict"] == "fail"], [])
        self.assertEqual([f"{rule['rule']}: {rule['seen']}" for rule in seen if rule["verdict"] == "not applicable" and
                          not any(reason in rule["seen"] for reason in (*REASONS, *reasons))], [])

    def test_streams(self):
        wrong = f"redis://dataflow:wrong@127.0.0.1:{REDIS['REDIS_PORT']}"
        self.check("conformance.yaml", ("lifecycle", "settings", "source", "sink", "types", "identifiers"),
                   ("the sink takes any message", "does not write a row twice to one place", "no setting is called a secret"),
                   "--cleanup", f"{services.SCRIPTS / 'redis'} cli del \"$DATAFLOW_TEST_NAME\"",
                   "--wrong-credentials", f"source.config.connectionString={wrong}",
                   "--wrong-credentials", f"sink.config.connectionString={wrong}")

    def test_hashes(self):
        self.check("conformance-hash.yaml", ("sink", "types"), (),
                   "--dump", f"{services.SCRIPTS / 'redis'} cli hvals \"$DATAFLOW_TEST_NAME\"")
