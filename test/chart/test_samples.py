"""config/samples: every pair of servers is there, each is valid without a warning, refers only to Secrets that are there, and those that need no
server run. The suite `kubernetes` applies them."""
import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLES = sorted((ROOT / "config/samples").glob("*.yaml"))
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
LOCAL = {"sqlite", "file", "stdin", "generate", "stdout", "discard"}  # not a server


def setUpModule():
    """The servers that the program reads and writes."""
    global SOURCES, SINKS
    said = subprocess.run([DATAFLOW, "connectors"], stdout=subprocess.PIPE, text=True, check=True).stdout
    known = re.findall(r"^(\S+) +(yes|no driver|later|-) +(yes|no driver|later|-) ", said, re.M)
    assert LOCAL < {name for name, _, _ in known}, said
    SOURCES = {name for name, source, _ in known if source == "yes"} - LOCAL
    SINKS = {name for name, _, sink in known if sink == "yes"} - LOCAL


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def flows():
    return [(path, documents(path)[0]) for path in SAMPLES if path.name != "secrets.yaml"]


def references(node):
    """Each Secret reference below node: (namespace or None, name, key)."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key.endswith("SecretRef") or key == "secretKeyRef":
                yield child.get("namespace"), child["name"], child["key"]
            else:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


class Samples(unittest.TestCase):
    def test_every_pair(self):
        there = {(flow["spec"]["source"]["type"], flow["spec"]["sink"]["type"]) for path, flow in flows()
                 if path.stem == "{}-to-{}".format(flow["spec"]["source"]["type"], flow["spec"]["sink"]["type"])}
        wanted = set(itertools.product(SOURCES | {"generate"}, SINKS | {"stdout"})) - {("generate", "stdout")}
        self.assertEqual(set(), wanted - there)

    def test_every_connector(self):
        """In a pod; there a processor has no standard input."""
        used = {flow["spec"][end]["type"] for _, flow in flows() for end in ("source", "sink")}
        self.assertEqual((SOURCES | SINKS | LOCAL) - {"stdin"}, used)

    def test_the_page_names_them(self):
        for page in ("docs/kubernetes.md", "README.md"):
            named = re.search(r"a manifest for every pair of ((?:`[\w-]+`(?:, | and )?)+)", (ROOT / page).read_text())
            self.assertIsNotNone(named, page)
            self.assertEqual(SOURCES | SINKS, set(re.findall(r"`([\w-]+)`", named[1])), page)

    def test_valid_without_a_warning(self):
        for path, flow in flows():
            with self.subTest(path.name):
                done = subprocess.run([DATAFLOW, "validate", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(0, done.returncode, done.stdout)
                self.assertEqual(1, done.stdout.count("\n"), done.stdout)
                self.assertIn(" is valid: ", done.stdout)
                self.assertTrue(path.read_text().startswith("# "), "says in its first line what it is")

    def test_names(self):
        names = [(flow["kind"], flow["metadata"]["name"]) for _, flow in flows()]
        self.assertEqual(len(names), len(set(names)))
        for path, flow in flows():
            self.assertIn(path.stem, (flow["metadata"]["name"], "cron", "cron-hourly"))
            if flow["spec"]["source"]["type"] == "kafka":  # a group of its own
                self.assertEqual(flow["metadata"]["name"], flow["spec"]["source"]["config"]["consumerGroup"])

    def test_secrets_are_there(self):
        there = {(d["metadata"]["name"], key) for d in documents(ROOT / "config/samples/secrets.yaml") for key in d["stringData"]}
        used = set()
        for path, flow in flows():
            for namespace, name, key in references(flow):
                if path.stem == "other-namespace" and namespace:
                    self.assertEqual("databases", namespace)
                    continue
                self.assertIsNone(namespace, path.name)
                used.add((name, key))
        self.assertEqual(there, used)

    def test_no_credential_is_written_directly(self):
        for path, flow in flows():
            text = json.dumps(flow["spec"])
            self.assertNotRegex(text, r'"(connectionString|password|token|username|bearerToken)":', path.name)

    def test_those_that_need_no_server_run(self):
        for name, limit in (("first", 20), ("generate-to-sqlite", 20), ("transformations", 6)):
            with self.subTest(name):
                flow = documents(ROOT / f"config/samples/{name}.yaml")[0]
                flow["spec"]["source"]["config"].update(count=limit, rate=0)
                holder = self.enterContext(tempfile.TemporaryDirectory())
                if flow["spec"]["sink"]["type"] == "sqlite":
                    flow["spec"]["sink"]["config"]["path"] = f"{holder}/orders.db"
                done = subprocess.run([DATAFLOW, "run", "-"], input=json.dumps(flow), stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, timeout=60, env=dict(os.environ, XDG_STATE_HOME=holder))
                self.assertEqual(0, done.returncode, done.stderr)
                if name == "transformations":
                    lines = [json.loads(line) for line in done.stdout.splitlines()]
                    self.assertGreater(len(lines), 0)
                    for line in lines:
                        self.assertIsInstance(line["order_id"], str)
                        self.assertRegex(line["buyer_card"], r"^\*+$")
                        self.assertIn("sku", line)
                        self.assertRegex(line["at"], r"\+0[12]:00$")
                        self.assertEqual("north", line["shop"])
                        self.assertNotIn("status", line)


if __name__ == "__main__":
    unittest.main()
