"""What the original operator left in a cluster, as its own program wrote it (Update, field manager `manager`), and what becomes of it."""
import json

import cluster
from cluster import dataflow, wait_until

D = cluster.GROUP + "/"
load_tests = cluster.beside_each_other


def setUpModule():
    cluster.use()


class Upgrade(cluster.Case):
    def create(self, kind, manifest, owner, manager="manager"):
        """As a controller in Go does it: POST, owned by the resource, with everything that the API server fills in as its own."""
        if owner:
            manifest["metadata"]["ownerReferences"] = [{
                "apiVersion": cluster.GROUP + "/v1", "kind": owner["kind"], "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}]
        return cluster.request("POST", cluster.path_of(kind, self.namespace) + f"?fieldManager={manager}", manifest)

    @staticmethod
    def deployment(name, flow):
        labels = {"app": "dataflow-processor", D + "name": flow, D + "owned": "true"}
        return {"metadata": {"name": name, "labels": dict(labels)}, "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": {D + "spec-hash": "0"}}, "spec": {
                "serviceAccountName": f"df-{flow}-processor",
                "containers": [{
                    "name": "processor", "image": "example.org/go:1", "command": ["/processor"],
                    "args": ["--spec-path=/etc/dataflow/spec.json"],
                    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "canary"}],
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9090}},
                    "volumeMounts": [{"name": "spec", "mountPath": "/etc/dataflow", "readOnly": True}]}],
                "volumes": [{"name": "spec", "configMap": {"name": f"df-{flow}-spec"}}]}}}}

    def pods_of(self, name):
        """The names of the Deployment's pods, those that are going included."""
        sets = [s["metadata"]["name"] for s in self.items("replicaset") if s["metadata"]["ownerReferences"][0]["name"] == name]
        return [p["metadata"]["name"] for p in self.items("pod") if p["metadata"]["ownerReferences"][0]["name"] in sets]

    def test_objects_are_kept_and_become_ours(self):
        flow = dataflow("old")
        flow["metadata"]["finalizers"] = [D + "finalizer"]
        flow = self.apply(flow)
        self.create("configmap", {"metadata": {"name": "df-old-spec"}, "data": {"spec.json": '{"password":"canary"}'}}, flow)
        self.create("configmap", {"metadata": {"name": "df-old-checkpoint"}, "data": {"checkpoint.json": '{"postgresql":{"x":1}}'}}, flow)
        self.create("serviceaccount", {"metadata": {"name": "df-old-processor"}}, flow)
        self.create("role", {"metadata": {"name": "df-old-processor"}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}, flow)
        self.create("rolebinding", {"metadata": {"name": "df-old-processor"},
                                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "df-old-processor"},
                                    "subjects": [{"kind": "ServiceAccount", "name": "df-old-processor", "namespace": self.namespace}]}, flow)
        before = self.create("deployment", self.deployment("df-old", "old"), flow)
        pod = self.await_pod("old")
        self.operator()

        new = self.await_pod("old", but=[pod])
        after = self.get("deployment", "df-old")
        self.assertEqual(after["metadata"]["uid"], before["metadata"]["uid"])
        spec = after["spec"]["template"]["spec"]
        volume = next(v for v in spec["volumes"] if v["name"] == "spec")
        self.assertIn("projected", volume)
        self.assertNotIn("configMap", volume)
        self.assertNotIn("readinessProbe", spec["containers"][0])
        self.assertEqual(after["spec"]["strategy"], {"type": "Recreate"})
        self.assertEqual([m["manager"] for m in after["metadata"]["managedFields"] if m["manager"] in ("manager", "main")], [])
        self.assertNotIn("canary", json.dumps([after, self.get("configmap", "df-old-spec"), self.get("pod", new)]))
        self.assertEqual(self.get("configmap", "df-old-checkpoint")["data"], {"checkpoint.json": '{"postgresql":{"x":1}}'})
        self.assertNotIn("secrets", [r for rule in self.get("role", "df-old-processor")["rules"] for r in rule["resources"]])
        self.assertNotIn("finalizers", self.get("dataflow", "old")["metadata"])
        # One restart, and once that is told it is quiet.
        self.await_quiet("dataflow")
        self.assertEqual(self.pods_of("df-old"), [new])

    def test_oldest_names_go_first(self):
        flow = self.apply(dataflow("aged"))
        self.create("serviceaccount", {"metadata": {"name": "df-aged-processor"}}, flow)
        self.create("deployment", self.deployment("dataflow-aged", "aged"), flow)
        self.create("configmap", {"metadata": {"name": "dataflow-aged-spec"}, "data": {"spec.json": "{}"}}, flow)
        pod = self.await_pod("aged")
        self.schedule(pod)  # so that it ends when its kubelet says so
        self.operator()
        wait_until(lambda: "deletionTimestamp" in self.get("pod", pod)["metadata"], 10, "the old pod is told to stop")
        cluster.stays(lambda: not self.get("deployment", "df-aged"), 2, "no processor beside the old one")
        self.assertEqual(self.status("aged")["phase"], "Pending")
        self.end_pod(pod)
        wait_until(lambda: self.get("deployment", "df-aged"), 20, "the new Deployment")
        self.assertEqual(self.pods_of("dataflow-aged"), [])
        self.assertIsNone(self.get("deployment", "dataflow-aged"))
        wait_until(lambda: not self.get("configmap", "dataflow-aged-spec"), 10, "the old ConfigMap goes")

    def test_deleted_after_the_upgrade(self):
        """The original's finalizers hold nobody up: not one that is deleted before the operator is there, of either kind."""
        for manifest, finalizer in ((dataflow("gone"), "finalizer"), (cluster.dataflowcron("gone-too"), "cron-finalizer")):
            manifest["metadata"]["finalizers"] = [D + finalizer]
            self.apply(manifest)
            self.delete(manifest["kind"].lower(), manifest["metadata"]["name"])
        self.assertIn("deletionTimestamp", self.get("dataflow", "gone")["metadata"])
        self.operator()
        wait_until(lambda: not self.get("dataflow", "gone") and not self.get("dataflowcron", "gone-too"), 15, "both are gone")

    def test_adopted_by_hand(self):
        """An object of nobody, with fields that ours cannot have beside it: refused, then taken as a whole; its labels stay."""
        self.apply(dataflow("mine"))
        foreign = self.deployment("df-mine", "mine")
        foreign["metadata"]["labels"] = {"team": "a"}
        self.create("deployment", foreign, None, manager="kubectl-create")
        self.operator()
        text = self.await_event("OwnershipConflict")
        self.assertEqual(self.get("deployment", "df-mine")["spec"]["template"]["spec"]["containers"][0]["image"], "example.org/go:1")
        self.await_phase("mine", "Error", message="annotate deployments df-mine")
        self.kubectl(*text[text.index("annotate"):].split())
        self.merge("dataflow", "mine", {"metadata": {"labels": {"look": "again"}}})  # rather than in a minute
        self.await_event("Adopted")
        taken = self.get("deployment", "df-mine")
        self.assertEqual(taken["metadata"]["ownerReferences"][0]["name"], "mine")
        self.assertEqual(taken["metadata"]["labels"]["team"], "a")
        self.assertEqual(taken["spec"]["strategy"], {"type": "Recreate"})
        self.assertNotIn("configMap", next(v for v in taken["spec"]["template"]["spec"]["volumes"] if v["name"] == "spec"))
