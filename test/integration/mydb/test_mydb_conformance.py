"""The conformance suite on the worked example, built outside of the tree by its own build file, against the installed package."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from mydb_kit import DATAFLOW, REDIS, ROOT, redis, services, start

EXAMPLE = ROOT / "examples/connector-mydb"
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


class Conformance(unittest.TestCase):
    def check(self, manifest, *options):
        """Runs the rules; returns {rule: verdict}. Each that fails is a failure of its own."""
        redis("flushall")
        service = services.SCRIPTS / "redis"
        with tempfile.NamedTemporaryFile() as report:
            done = subprocess.run([DATAFLOW, "connector", "test", "--connector-dir", PLUGINS, "--quick", "--report", report.name,
                                   "--server", f"127.0.0.1:{REDIS['REDIS_PORT']}", "--restart", f"{service} stop && {service} start",
                                   *options, EXAMPLE / manifest], capture_output=True, text=True, timeout=300, start_new_session=True)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            passport = json.loads(pathlib.Path(report.name).read_text())
        self.assertNotIn("dataflow-secret", json.dumps(passport))
        for rule in passport["rules"]:
            with self.subTest(rule=rule["rule"]):
                self.assertNotEqual(rule["verdict"], "fail", rule["seen"])
        return {rule["rule"]: rule["verdict"] for rule in passport["rules"]}

    def test_streams(self):
        wrong = f"redis://dataflow:wrong@127.0.0.1:{REDIS['REDIS_PORT']}"
        verdicts = self.check("conformance.yaml", "--cleanup", f"{services.SCRIPTS / 'redis'} cli del \"$DATAFLOW_TEST_NAME\"", "--wrong-credentials", f"source.config.connectionString={wrong}",
                              "--wrong-credentials", f"sink.config.connectionString={wrong}")
        self.assertGreater(list(verdicts.values()).count("pass"), 160)
        # A stream takes every message, and twice. Of the settings none is called a password.
        self.assertEqual({rule for rule, verdict in verdicts.items() if verdict != "pass"},
                         {"settings.secrets-marked", "sink.order-in-batch", "sink.order-across", "sink.in-flight", "sink.poison-first", "sink.poison-middle",
                          "sink.poison-last", "sink.poison-several", "sink.retry", "sink.after-failure", "sink.held"})

    def test_hashes(self):
        verdicts = self.check("conformance-hash.yaml", "--dump", f"{services.SCRIPTS / 'redis'} cli hvals \"$DATAFLOW_TEST_NAME\"",
                              "--rule", "sink", "--rule", "types", "--rule", "identifiers.key-odd")
        for rule in ("sink.poison-middle", "sink.order-in-batch", "sink.retry", "sink.cut-answer", "sink.restart"):
            self.assertEqual(verdicts[rule], "pass", rule)
