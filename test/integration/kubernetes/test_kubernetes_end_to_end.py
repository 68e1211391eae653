"""The operator and a node that runs what it makes: flows as pods, from `kubectl apply` to the last collected object.

The node is test/services/kubernetes.d/node-agent.py. What pods write goes to SQLite in a folder that stands for a database elsewhere.
Pods must pass Pod Security "restricted", and the operator has the rights of config/install.yaml and no others. A value of a Secret that is used must be found nowhere but in the Secret and the process.
"""
import os
import pathlib
import random
import signal
import sqlite3
import time
import unittest
import urllib.request
import uuid

import yaml

import cluster
import services

CANARY = "kanarienvogel" + uuid.uuid4().hex[:12]
IMAGE = "example.org/dataflow:1"


def setUpModule():
    global STATE, SHARED
    if os.geteuid() != 0:
        raise unittest.SkipTest("a node needs root")
    cluster.use()
    remove_what_waits()
    services.script("kubernetes", "start", {"KUBERNETES_NODE": "1", "KUBERNETES_IMAGES": f"{IMAGE}={os.path.abspath(cluster.DATAFLOW)}"})
    STATE, SHARED = (pathlib.Path(cluster.ENV[name]) for name in ("KUBERNETES_NODE_STATE", "KUBERNETES_NODE_SHARED"))


def remove_what_waits():
    """Pods of other tests have waited for a node all the time, and would come to ours."""
    def waiting():
        return {pod["metadata"]["namespace"] for pod in cluster.items("pod") if not pod["spec"].get("nodeName")}

    for namespace in waiting():
        what = ("pods", "--all", "-n", namespace) if namespace == "default" else ("namespace", namespace, "--ignore-not-found")
        cluster.kubectl("delete", *what, "--wait=false")
    cluster.wait_until(lambda: not waiting(), 60, lambda: f"no pod waits any more, but in {waiting()}")


def tearDownModule():
    services.script("kubernetes", "start", {"KUBERNETES_NODE": "0"})  # other modules play the node themselves


def processes():
    """(pid, command line, environment) of everything that runs."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (line := (entry / "cmdline").read_bytes()):
                yield int(entry.name), line, (entry / "environ").read_bytes()
        except OSError:
            pass  # it has ended


class Case(cluster.Case):
    def setUp(self):
        super().setUp()
        self.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        self.database = f"{self.namespace}.db"
        self.addCleanup((SHARED / self.database).unlink, missing_ok=True)
        self.operator = self.operator(kubeconfig=self.account(), env={"PROCESSOR_IMAGE": IMAGE, "COUNTS_INTERVAL_SECONDS": "1"})

    def account(self):
        """The operator's ServiceAccount, which may do in this namespace what it may in a cluster."""
        rbac, name = "rbac.authorization.k8s.io", "dataflow-operator"
        rules = [rule for o in yaml.safe_load_all((cluster.ROOT / "config/install.yaml").read_text()) if o["kind"] in ("ClusterRole", "Role")
                 for rule in o["rules"]]
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
                   {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules},
                   {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": name}, "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": name}]})
        return cluster.service_account(self.namespace, name, self.dir)

    def flow(self, table="rows", rate=200, **spec):
        """Numbers from 1 to a table with a key: what is read again changes nothing, what is lost is missing."""
        config = {"path": f"/shared/{self.database}", "conflictKey": "n", "upsertMode": True, "autoCreateTable": True}
        config |= {"tableSecretRef": table} if isinstance(table, dict) else {"table": table}
        return cluster.dataflow("f", source={"type": "generate", "config": {"rate": rate, "template": '{"n": ${counter}}'}},
                                sink={"type": "sqlite", "config": config}, checkpointSaveInterval="1s", **spec)

    def rows(self, table="rows"):
        path = SHARED / self.database
        if not path.exists():
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return [n for n, in db.execute(f'SELECT n FROM "{table}" ORDER BY n')]
        except sqlite3.OperationalError:
            return []
        finally:
            db.close()

    def await_rows(self, more_than, table="rows", seconds=30):
        cluster.wait_until(lambda: len(self.rows(table)) > more_than, seconds,
                           lambda: f"more than {more_than} rows in {table}, but {len(self.rows(table))}\n{self.log()}\n{self.operator.log()[-3000:]}")

    def pid(self, pod):
        return int((STATE / "pods" / pod["metadata"]["uid"] / "processor.pid").read_text())

    def log(self, container="processor"):
        """Of all pods of the namespace, one after the other."""
        return "".join(path.read_text(errors="replace") for path in sorted((STATE / "logs").glob(f"{self.namespace}_*_{container}.log")))

    def is_ready(self, pod):
        pod = self.get("pod", pod["metadata"]["name"]) or {}
        return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))

    def ready_pod(self, but=(), seconds=30):
        def found():
            return next((p for p in self.pods("f") if p["metadata"]["name"] not in but and self.is_ready(p)), None)

        return cluster.wait_until(found, seconds, lambda: f"a ready pod\n{self.log()}\n{self.operator.log()[-3000:]}")

    def assert_complete(self, *tables):
        numbers = {n for table in tables for n in self.rows(table)}
        self.assertEqual(numbers, set(range(1, max(numbers) + 1)), "nothing is missing")

    def assert_canary_nowhere(self):
        found = [text for text in (self.log(), self.operator.log(), self.operator.metrics()) if CANARY in text]
        for kind in cluster.KINDS:
            if kind not in ("secret", *cluster.CLUSTER_WIDE):
                found += [o["metadata"]["name"] for o in self.items(kind) if CANARY in str(o)]
        for pod in self.pods("f"):
            with urllib.request.urlopen(f"http://{pod['status']['podIP']}:9090/metrics", timeout=10) as answer:
                found += [pod["metadata"]["name"]] if CANARY in answer.read().decode() else []
        running = list(processes())
        self.assertTrue([pid for pid, line, environment in running if b"--name=f" in line and self.namespace.encode() in environment], "pods are seen")
        found += [pid for pid, line, environment in running if CANARY.encode() in line + environment]
        self.assertEqual(found, [])


class Flow(Case):
    def test_from_apply_to_the_last_object(self):
        began = time.time()
        self.apply(self.flow())
        self.kubectl("wait", "dataflow/f", "--for=condition=Ready", "--timeout=90s")
        first = self.ready_pod()
        self.await_progress(began)
        self.killed(first)
        second = self.edited(first)
        self.deleted(second)

    def await_progress(self, began):
        def counted():
            status = self.status("f")
            return status.get("processedCount", 0) > 200 and status

        status = cluster.wait_until(counted, 15, lambda: f"progress, but {self.status('f')}")
        self.assertEqual((status["phase"], status.get("errorCount", 0)), ("Running", 0))
        self.assertGreaterEqual(status["lastProcessedTime"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)))
        again = cluster.wait_until(lambda: self.status("f")["processedCount"] > status["processedCount"], 10, "more of it")
        self.assertTrue(again)

    def killed(self, pod):
        """kill -9: the kubelet starts the container anew, and it goes on from the ConfigMap."""
        cluster.wait_until(lambda: "checkpoint.json" in self.get("configmap", "df-f-checkpoint").get("data", {}), 10, "a checkpoint")
        seen = len(self.rows())
        os.kill(self.pid(pod), signal.SIGKILL)
        self.await_rows(seen + 300)

        def told():
            container = self.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]
            return container["restartCount"], container["lastState"].get("terminated", {}).get("exitCode")

        cluster.wait_until(lambda: told() == (1, 137), 10, lambda: f"one restart, but {told()}")
        self.assert_complete("rows")
        self.assertEqual(self.log().count("metrics and health are at"), 2)
        before = self.status("f")["processedCount"]
        cluster.wait_until(lambda: self.status("f").get("processedCount", 0) > before + 100, 15, lambda: f"counting on, but {self.status('f')}")

    def edited(self, pod):
        """Another table: the old pod flushes and ends before the new one begins."""
        name = pod["metadata"]["name"]
        self.apply(self.flow("more"))
        new = self.ready_pod(but=(name,))
        self.await_rows(100, "more")
        cluster.wait_until(lambda: not self.get("pod", name), 10, f"pod {name} is gone")
        self.assert_complete("rows", "more")
        self.assertGreater(min(self.rows("more")), max(self.rows()) - 1)
        status = self.await_phase("f", "Running")
        self.assertGreaterEqual(status["processedCount"], len(self.rows()))
        return new

    def deleted(self, pod):
        pid = self.pid(pod)
        self.delete("dataflow", "f")
        cluster.wait_until(lambda: not self.get("dataflow", "f"), 10, "it is gone")
        owned = ("deployment", "configmap", "serviceaccount", "role", "rolebinding", "lease", "pod", "replicaset")

        def left():
            return [f"{kind}/{o['metadata']['name']}" for kind in owned for o in self.items(kind) if o["metadata"]["name"].startswith("df-f")]

        cluster.wait_until(lambda: not left(), 30, lambda: f"all is collected, but {left()}")
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        count = len(self.rows("more"))
        time.sleep(1)
        self.assertEqual(len(self.rows("more")), count)


class Kills(Case):
    @unittest.skipUnless(os.environ.get("DATAFLOW_LONG") == "1", "a minute of kill -9: only with DATAFLOW_LONG=1")
    def test_processor_and_operator_at_any_time(self):
        """Nothing is missing, and each start was the only holder."""
        self.apply(self.flow())
        for i in range(8):
            pod = self.ready_pod(seconds=60)
            self.await_rows(len(self.rows()) + random.randrange(100, 600), seconds=60)
            if i % 3 == 2:
                self.operator.kill()
                self.operator.start()
            os.kill(self.pid(pod), signal.SIGKILL)
            cluster.wait_until(lambda: not self.is_ready(pod), 20, "the kubelet sees it")
        self.ready_pod(seconds=60)
        self.await_rows(len(self.rows()) + 300)
        self.assert_complete("rows")
        self.assertEqual(len(self.pods("f")), 1)
        self.assertEqual(self.get("configmap", "df-f-checkpoint")["metadata"]["annotations"]["dataflow.dataflow.io/fence"], "9", "one holder a start")


class Secrets(Case):
    def secret(self, value):
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=(
            '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"table": "%s"}}' % value))

    def test_missing_there_and_another(self):
        self.apply(self.flow({"name": "db", "key": "table"}))
        status = self.await_phase("f", "Error", 30)
        self.assertIn("Failed to resolve secrets", status["message"])
        self.assertIn("db", status["message"])
        self.assertIn("db", self.await_event("SecretResolutionFailed"))
        self.secret(CANARY)
        self.kubectl("wait", "dataflow/f", "--for=condition=Ready", "--timeout=90s")
        pod = self.ready_pod()
        self.await_rows(100, CANARY)
        self.assert_canary_nowhere()
        pid = self.pid(pod)
        self.secret(CANARY + "2")
        self.await_rows(100, CANARY + "2")
        self.assertEqual(self.pid(self.ready_pod()), pid, "the same process")
        self.assert_complete(CANARY, CANARY + "2")
        self.count_exactly(CANARY, CANARY + "2")
        self.assertIn('Secret \\"db\\", key \\"table\\" has changed', self.log())
        self.assert_canary_nowhere()

    def count_exactly(self, *tables):
        """Nothing crashed, so each row was counted once; the last words of the process say the end of it."""
        self.merge("dataflow", "f", {"spec": {"suspended": True}})
        self.await_phase("f", "Stopped", 20)
        cluster.wait_until(lambda: not self.pods("f") and not self.items("pod"), 20, "the pod ends")
        rows = sum(len(self.rows(table)) for table in tables)
        cluster.wait_until(lambda: self.status("f")["processedCount"] >= rows, 10, lambda: f"{rows} rows, but {self.status('f')}")
        self.assertEqual(self.status("f")["processedCount"], rows)
        self.merge("dataflow", "f", {"spec": {"suspended": False}})
        self.ready_pod()


class Failure(Case):
    def test_a_processor_that_fails_says_why(self):
        """Last words become the status."""
        bad = self.flow(transformations=[{"type": "cast", "config": {"spec": {"n": "bool"}}}])
        self.apply(bad)
        status = self.await_phase("f", "Error", 30, message="Processor failed (invalid_data)")
        self.assertIn("transformer_0", status["message"])
        self.assertEqual(self.rows(), [1], "what a bool can be")
        cluster.wait_until(lambda: self.status("f").get("errorCount"), 15, lambda: f"an error is counted, but {self.status('f')}")
        self.apply(self.flow("good", transformations=[]))
        self.await_phase("f", "Running", 30)
        self.await_rows(100, "good")
        self.assert_complete("rows", "good")


class Cron(Case):
    def test_a_run_and_its_trigger(self):
        trigger = {"name": "after", "image": "busybox:1", "command": ["/bin/sh", "-c", f"echo {self.namespace} >/shared/{self.namespace}.txt"]}
        manifest = cluster.dataflowcron("c", triggers=[trigger], source={"type": "generate", "config": {"count": 500, "template": '{"n": ${counter}}'}},
                                        sink=self.flow()["spec"]["sink"])
        self.apply(manifest)
        cluster.wait_until(lambda: self.get("cronjob", "dfc-c"), 10, self.operator.log)
        self.kubectl("create", "job", f"dfc-c-manual-{int(time.time())}", "--from=cronjob/dfc-c")
        self.addCleanup((SHARED / f"{self.namespace}.txt").unlink, missing_ok=True)
        status = self.await_phase("c", "Completed", 40, kind="dataflowcron")
        self.assertEqual(len(self.rows()), 500)
        self.assertEqual((SHARED / f"{self.namespace}.txt").read_text().strip(), self.namespace)
        self.assertTrue(status["lastSuccessfulTime"])


if __name__ == "__main__":
    unittest.main()
