"""`dataflow processor` with its position in a ConfigMap: kept, taken up again, fenced against a second processor."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

import cluster
import services
from cluster import wait_until

DATAFLOW = os.environ["DATAFLOW"]
load_tests = cluster.beside_each_other


def setUpModule():
    global KUBE
    KUBE = services.use("kubernetes")


class Checkpoint(unittest.TestCase):
    """A flow `f` in a namespace of the test's own, with the objects that the operator makes."""

    def setUp(self):
        self.namespace = f"checkpoint-{uuid.uuid4().hex[:8]}"
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        self.processes = []
        self.addCleanup(self.end_all)
        self.kubectl("create", "namespace", self.namespace)
        self.addCleanup(self.kubectl, "delete", "namespace", self.namespace, "--wait=false")
        self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "df-f-checkpoint"}})
        self.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "df-f-processor"}})

    def kubectl(self, *args, text=None):
        done = subprocess.run([KUBE["KUBECTL"], "--kubeconfig", KUBE["KUBECONFIG"], *args], input=text, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def create(self, obj):
        self.kubectl("-n", self.namespace, "create", "-f", "-", text=json.dumps(obj))

    def get(self, kind, name):
        return json.loads(self.kubectl("-n", self.namespace, "get", kind, name, "-o", "json"))

    def checkpoint(self):
        return json.loads(self.get("configmap", "df-f-checkpoint").get("data", {}).get("checkpoint.json", "{}"))

    def fence(self):
        return self.get("configmap", "df-f-checkpoint")["metadata"].get("annotations", {}).get("dataflow.dataflow.io/fence")

    def spec(self, source=None, **more):
        path = self.dir / "spec.json"
        source = source or {"type": "generate", "config": {"rate": 200, "template": "{\"n\": ${counter}}"}}
        path.write_text(json.dumps({"source": source, "sink": {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}},
                                    "checkpointSaveInterval": "1s", **more}))
        return path

    def start(self, spec, **env):
        path = self.dir / f"log-{len(self.processes)}.txt"
        with open(path, "w") as log:
            process = subprocess.Popen([DATAFLOW, "processor", "--spec-path", spec, "--namespace", self.namespace, "--name", "f",
                                        "--checkpoint-configmap", "--kubeconfig", KUBE["KUBECONFIG"], "--metrics", "none"], stderr=log,
                                       env=dict(os.environ, **env))
        process.log = path.read_text
        self.processes.append(process)
        return process

    def end_all(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def end(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        return process.wait(20)

    def numbers(self):
        out = self.dir / "out.jsonl"
        return [json.loads(line)["n"] for line in out.read_text().splitlines()] if out.exists() else []

    def moved(self):
        return self.checkpoint().get("generate", {}) not in ({}, None)

    def test_kept_and_taken_up(self):
        self.kubectl("-n", self.namespace, "patch", "configmap", "df-f-checkpoint", "-p",
                     json.dumps({"data": {"checkpoint.json": '{"postgresql":{"a":1}}', "other": "x"}}))
        first = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.assertEqual(self.end(first), 0, first.log())
        self.assertEqual(self.checkpoint()["postgresql"], {"a": 1})
        self.assertEqual(self.get("configmap", "df-f-checkpoint")["data"]["other"], "x")
        self.assertEqual(self.fence(), "1")
        self.assertEqual(self.get("lease", "df-f-processor")["spec"].get("holderIdentity", ""), "")
        before = self.numbers()
        second = self.start(self.spec())
        wait_until(lambda: len(self.numbers()) > len(before) + 10, 7, "more rows, without waiting for the Lease")
        self.assertEqual(self.end(second), 0, second.log())
        self.assertEqual(self.fence(), "2")
        self.assertEqual(self.numbers(), list(range(self.numbers()[0], self.numbers()[0] + len(self.numbers()))))

    def test_killed(self):
        first = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.end(first, signal.SIGKILL)
        seen = len(self.numbers())
        second = self.start(self.spec())
        wait_until(lambda: len(self.numbers()) > seen, 45, "the Lease of the killed one runs out after 30 s")
        self.assertEqual(self.end(second), 0, second.log())
        numbers = set(self.numbers())
        self.assertEqual(numbers, set(range(min(numbers), max(numbers) + 1)), "nothing is missing")

    def test_killed_in_its_pod(self):
        """The kubelet starts a container when the one before it has ended: nobody is waited for. Another pod is."""
        pod = {"POD_NAME": "df-f-1", "POD_UID": "0a-1"}
        first = self.start(self.spec(), **pod)
        wait_until(self.moved, 30, "a saved position")
        self.end(first, signal.SIGKILL)
        seen = len(self.numbers())
        other = self.start(self.spec(), POD_NAME="df-f-1", POD_UID="0a-12")
        time.sleep(2)
        self.assertEqual(len(self.numbers()), seen)
        self.end(other, signal.SIGKILL)
        second = self.start(self.spec(), **pod)
        wait_until(lambda: len(self.numbers()) > seen, 5, "it goes on at once")
        self.assertEqual(self.fence(), "2")
        self.assertRegex(self.get("lease", "df-f-processor")["spec"]["holderIdentity"], r"^df-f-1_0a-1_\d+$")
        self.assertEqual(self.end(second), 0, second.log())
        numbers = set(self.numbers())
        self.assertEqual(numbers, set(range(min(numbers), max(numbers) + 1)), "nothing is missing")

    def test_second_one_waits(self):
        first = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        second = self.start(self.spec())
        third = self.start(self.spec())
        time.sleep(7)
        self.assertEqual(self.fence(), "1")
        self.assertEqual(self.end(third), 0, "who is told to stop while it waits has not failed\n" + third.log())
        self.assertEqual(self.end(first), 0, first.log())
        wait_until(lambda: self.fence() == "2", 7, "the second one takes over at once")
        self.assertEqual(self.end(second), 0, second.log())
        numbers = self.numbers()
        self.assertEqual(numbers, sorted(set(numbers)), "never two at once")

    def test_fenced(self):
        process = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.kubectl("-n", self.namespace, "annotate", "--overwrite", "configmap", "df-f-checkpoint", "dataflow.dataflow.io/fence=7")
        self.assertEqual(process.wait(60), 1, process.log())
        self.assertIn("another processor", process.log())
        self.assertEqual(self.fence(), "7")

    def test_lease_taken_away(self):
        process = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.kubectl("-n", self.namespace, "patch", "lease", "df-f-processor", "--type", "merge", "-p", '{"spec":{"holderIdentity":"z"}}')
        self.assertEqual(process.wait(60), 1, process.log())
        self.assertIn("has another holder", process.log())
        self.assertEqual(self.get("lease", "df-f-processor")["spec"]["holderIdentity"], "z")

    def test_damaged(self):
        self.kubectl("-n", self.namespace, "patch", "configmap", "df-f-checkpoint", "-p", json.dumps({"data": {"checkpoint.json": "{"}}))
        process = self.start(self.spec())
        self.assertEqual(process.wait(60), 1)
        self.assertIn("is damaged", process.log())
        self.assertIn("checkpointReset", process.log())

    def test_it_comes_later(self):
        """The processor's pod may be faster than the operator."""
        self.kubectl("-n", self.namespace, "delete", "configmap", "df-f-checkpoint")
        process = self.start(self.spec())
        time.sleep(3)
        self.assertIsNone(process.poll(), process.log())
        self.assertEqual(self.numbers(), [], "nothing is read before the position is known")
        self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "df-f-checkpoint"}})
        wait_until(self.moved, 20, "a saved position")
        self.assertEqual(self.end(process), 0, process.log())

    def test_gone_and_back(self):
        """What cannot be saved does not stop the pipeline."""
        process = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.kubectl("-n", self.namespace, "delete", "configmap", "df-f-checkpoint")
        seen = len(self.numbers())
        wait_until(lambda: "tried again at the next interval" in process.log(), 10, "a warning")
        wait_until(lambda: len(self.numbers()) > seen + 200, 10, "it goes on")
        self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "df-f-checkpoint"}})
        wait_until(self.moved, 20, "a saved position")
        self.assertEqual(self.fence(), "1", "the new one is guarded as the old one was")
        self.assertEqual(self.end(process), 0, process.log())

    def test_too_large(self):
        def fill(size):
            self.kubectl("-n", self.namespace, "patch", "configmap", "df-f-checkpoint", "--patch-file", "/dev/stdin",
                         text=json.dumps({"data": {"checkpoint.json": json.dumps({"other": "x" * size})}}))

        fill(257 << 10)
        process = self.start(self.spec())
        wait_until(self.moved, 30, "a saved position")
        self.assertIn("bytes already", process.log())
        fill(900 << 10)
        self.assertEqual(process.wait(60), 1, process.log())
        self.assertIn("key checkpoint.json of ConfigMap df-f-checkpoint", process.log())

    def test_a_source_that_keeps_none(self):
        """No Lease is asked for, so none need be there."""
        self.kubectl("-n", self.namespace, "delete", "lease", "df-f-processor")
        process = self.start(self.spec(checkpointPersistence=False))
        wait_until(lambda: len(self.numbers()) > 10, 20, "rows")
        self.assertEqual(self.end(process), 0, process.log())
        self.assertEqual(self.checkpoint(), {})


if __name__ == "__main__":
    unittest.main()
