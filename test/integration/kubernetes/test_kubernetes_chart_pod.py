"""The chart's own Deployment, run: the operator as a pod, with what a pod has: its token, a read-only root, its probes. And the flows that it
runs beside it, as pods of the same node (test/services/kubernetes.d/node-agent.py)."""
import os
import unittest
import urllib.request

import cluster
import release
import services
from cluster import dataflow, wait_until

IMAGE = "example.org/dataflow:1"


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("a node needs root")
    release.helm()
    cluster.use()
    services.script("kubernetes", "start", {"KUBERNETES_NODE": "1", "KUBERNETES_IMAGES": f"{IMAGE}={os.path.abspath(cluster.DATAFLOW)}"})


def tearDownModule():
    services.script("kubernetes", "start", {"KUBERNETES_NODE": "0"})  # other modules play the node themselves


class Pod(release.Case):
    def ready(self, namespace, labels, but=()):
        """The one ready pod that is not being deleted, or None."""
        found = [p for p in cluster.items("pod", namespace, labels) if "deletionTimestamp" not in p["metadata"] and p["metadata"]["name"] not in but and any(
            c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
        return found[0] if len(found) == 1 else None

    def await_ready(self, namespace, labels, but=()):
        return wait_until(lambda: self.ready(namespace, labels, but), 40,
                          lambda: f"a ready pod, but {[(p['metadata']['name'], p['status']) for p in cluster.items('pod', namespace, labels)]}")

    def metrics(self, pod):
        return urllib.request.urlopen(f"http://{pod['status']['podIP']}:9090/metrics", timeout=10).read().decode()

    def test_operator_is_a_pod(self):
        flows = self.more("flows")
        for namespace in (self.namespace, flows):
            cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        values = {"image": {"repository": "example.org/dataflow", "tag": "1"}, "crds": {"install": False}, "watchNamespaces": [flows],
                  "extraEnv": [{"name": "COUNTS_INTERVAL_SECONDS", "value": "1"}]}
        self.install(**values)
        operator = self.await_ready(self.namespace, "app.kubernetes.io/name=dataflow-operator")
        self.apply_in(flows, dataflow("f"))
        cluster.kubectl("--namespace", flows, "wait", "df/f", "--for=condition=Ready", "--timeout=90s")
        processor = self.await_ready(flows, "dataflow.dataflow.io/name=f")
        self.assertEqual(IMAGE, processor["spec"]["containers"][0]["image"])

        def processed():
            return cluster.get("dataflow", flows, "f")["status"].get("processedCount", 0)
        wait_until(lambda: processed() > 0, 20, "messages are counted")
        text = self.metrics(operator)
        self.assertIn(f'dataflow_status{{namespace="{flows}",name="f",phase="Running"}} 1', text)
        self.assertRegex(text, rf'dataflow_messages_total{{[^}}]*pod="{processor["metadata"]["name"]}"[^}}]*outcome="written"}} [1-9]')
        self.assertRegex(text, r"(?m)^dataflow_operator_leader(\{.*\})? 1$")

        # An upgrade: another pod takes over, at once, for the Lease was given back; the processor does not notice.
        self.install(**values, podAnnotations={"example.com/upgrade": "1"})
        successor = self.await_ready(self.namespace, "app.kubernetes.io/name=dataflow-operator", but=(operator["metadata"]["name"],))
        wait_until(lambda: "dataflow_operator_leader 1" in self.metrics(successor), 10, "it leads")
        before = processed()
        wait_until(lambda: processed() > before, 20, "messages are counted by the new one")
        self.assertEqual(processor["metadata"]["uid"], self.await_ready(flows, "dataflow.dataflow.io/name=f")["metadata"]["uid"])
        self.assertEqual(0, processor["status"]["containerStatuses"][0]["restartCount"])


if __name__ == "__main__":
    unittest.main()
