"""The life of a DataFlow on a real API server: what the operator makes, corrects, reports, and leaves alone.

There is no node, so pods stay pending; where a test needs one that runs, it writes the pod's status itself.
"""
import datetime
import json
import os
import time

import cluster
from cluster import dataflow, wait_until

LONG = os.environ.get("DATAFLOW_LONG") == "1"
D = cluster.GROUP + "/"
OBJECTS = [("configmap", "df-f-spec"), ("configmap", "df-f-checkpoint"), ("serviceaccount", "df-f-processor"),
           ("role", "df-f-processor"), ("rolebinding", "df-f-processor"), ("lease", "df-f-processor"), ("deployment", "df-f")]


load_tests = cluster.beside_each_other


def setUpModule():
    cluster.use()


class Flow(cluster.Case):
    def objects(self):
        return [self.get(kind, name) for kind, name in OBJECTS]

    def await_objects(self, but=()):
        wanted = [(kind, name) for kind, name in OBJECTS if kind not in but]
        missing = lambda: [(kind, name) for kind, name in wanted if not self.get(kind, name)]  # noqa: E731
        wait_until(lambda: not missing(), 15, missing)

    def deployment(self):
        return self.get("deployment", "df-f")

    def replicas(self):
        return self.deployment()["spec"]["replicas"]

    def hash(self):
        return self.deployment()["spec"]["template"]["metadata"]["annotations"][D + "spec-hash"]

    def await_running(self):
        self.make_ready(self.await_pod("f"))
        return self.await_phase("f", "Running")

    def versions(self):
        """What changes with a write of ours. A Deployment's status is another's."""
        return {(o["kind"], o["metadata"]["name"]): o["metadata"]["generation" if o["kind"] == "deployment" else "resourceVersion"]
                for kind in ("dataflow", "configmap", "serviceaccount", "role", "rolebinding", "deployment") for o in
                [dict(item, kind=kind) for item in self.items(kind)]}

    # ---- objects ---------------------------------------------------------------------------------------------------

    def test_created_running_quiet_restarted(self):
        operator = self.operator()
        flow = self.apply(dataflow("f"))
        self.await_objects()
        for obj in self.objects():
            owner = obj["metadata"]["ownerReferences"]
            self.assertEqual([(o["uid"], o["controller"], o["blockOwnerDeletion"]) for o in owner], [(flow["metadata"]["uid"], True, False)])
            self.assertEqual(obj["metadata"]["labels"][D + "owned"], "true")
        self.await_phase("f", "Pending")
        self.assertEqual(self.condition("f", "Ready")["status"], "False")
        for reason, text in [("ConfigMapCreated", "Created ConfigMap df-f-spec"), ("DeploymentCreated", "Created Deployment df-f"),
                             ("CheckpointConfigMapCreated", "Created checkpoint ConfigMap df-f-checkpoint")]:
            self.assertEqual(self.await_event(reason), text)

        status = self.await_running()
        self.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "dataflow/f")
        self.assertEqual(status["message"], "Processor pod is running")
        self.assertEqual(status["observedGeneration"], 1)
        self.assertEqual(status["deliveryGuarantee"], "best-effort: sink discard: it keeps nothing, on purpose")
        self.assertEqual({c["type"]: c["status"] for c in status["conditions"]},
                         {"Ready": "True", "SpecValid": "True", "Degraded": "False", "SpecResolved": "True", "ProcessorDeploymentReady": "True"})
        self.assertIn("Running", self.kubectl("get", "df", "f"))

        # Nothing happens, so nothing is written; and a new operator finds all as it shall be.
        self.await_quiet()
        mark, events = cluster.audit_mark(), self.events()
        time.sleep(10 if LONG else 4)
        self.assertEqual(self.writes(mark), [])
        versions = self.versions()
        operator.kill()
        self.end_lease()
        operator.start()
        wait_until(lambda: operator.metric("dataflow_operator_leader") == 1, 15, operator.log)
        wait_until(lambda: operator.metric("dataflow_status", name="f") is not None, 10, operator.log)
        time.sleep(1)
        self.assertEqual(self.writes(mark), [])
        self.assertEqual(self.versions(), versions)
        self.assertEqual(self.events(), events)
        self.assertEqual(operator.stop(), 0, operator.log())

    def test_edited(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        first = self.hash()
        self.merge("dataflow", "f", {"spec": {"sink": {"config": {}}, "transformWorkers": 2}})
        wait_until(lambda: self.hash() != first, 10, "another spec-hash")
        self.assertEqual(json.loads(self.get("configmap", "df-f-spec")["data"]["spec.json"])["transformWorkers"], 2)
        self.assertEqual(self.await_event("ConfigMapUpdated"), "Updated ConfigMap df-f-spec")
        self.assertEqual(self.await_event("DeploymentUpdated"), "Updated Deployment df-f")
        wait_until(lambda: self.status("f")["observedGeneration"] == 2, 10, lambda: self.status("f"))
        # What only the operator uses restarts no pod.
        second = self.hash()
        self.merge("dataflow", "f", {"spec": {"terminationGracePeriodSeconds": 60, "replicas": 0}})
        self.await_phase("f", "Stopped", message="Processor scaled to zero replicas")
        self.assertEqual((self.replicas(), self.hash()), (0, second))

    def test_drift_is_corrected(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        self.kubectl("annotate", "deployment", "df-f", "theirs=kept")
        self.kubectl("label", "deployment", "df-f", "app.kubernetes.io/managed-by=me", "--overwrite")
        self.kubectl("scale", "deployment", "df-f", "--replicas=3")
        self.kubectl("delete", "configmap", "df-f-spec", "df-f-checkpoint")
        self.kubectl("patch", "configmap", "df-f-spec", "-p", '{"data":{"spec.json":"{}"}}', check=False)
        self.await_objects()
        wait_until(lambda: self.replicas() == 1, 10, lambda: self.deployment())
        wait_until(lambda: "generate" in self.get("configmap", "df-f-spec")["data"]["spec.json"], 10, lambda: self.get("configmap", "df-f-spec"))
        labels, annotations = self.deployment()["metadata"]["labels"], self.deployment()["metadata"]["annotations"]
        self.assertEqual(labels["app.kubernetes.io/managed-by"], "dataflow-operator")
        self.assertEqual(annotations["theirs"], "kept")

    def test_lost_service_account(self):
        """ServiceAccounts are not watched. That one is missing is seen by what cannot be made without it."""
        self.operator()
        self.apply(dataflow("f"))
        pod = self.await_pod("f")
        self.delete("serviceaccount", "df-f-processor")
        self.delete("pod", pod)
        wait_until(lambda: self.get("serviceaccount", "df-f-processor"), 15, lambda: self.deployment()["status"])
        self.await_pod("f", but=[pod], seconds=30)

    def test_deleted(self):
        operator = self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        operator.stop()  # garbage collection needs no operator
        self.delete("dataflow", "f")
        wait_until(lambda: not any(self.objects()), 40, lambda: [o["kind"] for o in self.objects() if o])

    def test_deleted_with_a_finalizer(self):
        """Another's finalizer keeps it, ours of old are taken off."""
        self.operator()
        manifest = dataflow("f")
        manifest["metadata"]["finalizers"] = ["example.org/theirs", D + "finalizer"]
        self.apply(manifest)
        self.await_objects()
        wait_until(lambda: self.get("dataflow", "f")["metadata"]["finalizers"] == ["example.org/theirs"], 10, "the old finalizer goes")
        self.delete("dataflow", "f")
        self.await_phase("f", "Stopped", message="DataFlow resources are cleaned up")
        self.assertEqual(self.await_event("ResourcesDeleted"), "Deleted Deployment and ConfigMap")
        wait_until(lambda: self.get("deployment", "df-f") is None, 10, "no Deployment")
        self.assertIsNone(self.get("configmap", "df-f-spec"))
        self.merge("dataflow", "f", {"metadata": {"finalizers": None}})
        wait_until(lambda: self.get("dataflow", "f") is None, 10, "gone")

    def test_checkpoint_persistence_off(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        self.merge("configmap", "df-f-checkpoint", {"data": {"checkpoint.json": "{}"}})
        self.merge("dataflow", "f", {"spec": {"checkpointPersistence": False}})
        gone = [(k, n) for k, n in OBJECTS if n == "df-f-processor"]
        wait_until(lambda: not any(self.get(k, n) for k, n in gone), 10, "Lease and RBAC are deleted")
        self.assertEqual(self.get("configmap", "df-f-checkpoint")["data"], {"checkpoint.json": "{}"})
        self.merge("dataflow", "f", {"spec": {"checkpointPersistence": True}})
        self.await_objects()

    def test_operator_upgrade_rolls(self):
        operator = self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        operator.stop()
        operator.env["PROCESSOR_IMAGE"] = "example.org/dataflow:2"
        operator.start()
        image = lambda: self.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]  # noqa: E731
        wait_until(lambda: image() == "example.org/dataflow:2", 10, image)

    # ---- what is wrong ---------------------------------------------------------------------------------------------

    def test_invalid(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        self.await_running()
        first, versions = self.hash(), self.versions()
        self.merge("dataflow", "f", {"spec": {"source": {"config": {"rate": -1}}, "sink": {"type": "nope"}}})
        status = self.await_phase("f", "Error", message="; the previous version keeps running")
        self.assertIn("Invalid spec: spec.source.config.rate: ", status["message"])
        self.assertIn(" (and 1 more)", status["message"])
        self.assertEqual(self.condition("f", "SpecValid")["reason"], "InvalidSpec")
        self.assertEqual(status["observedGeneration"], 2)
        self.assertIn("spec.source.config.rate", self.await_event("InvalidSpec"))
        del versions[("dataflow", "f")]
        self.assertEqual({k: v for k, v in self.versions().items() if k in versions}, versions, "the last good objects stay")
        self.merge("dataflow", "f", {"spec": {"source": {"config": {"rate": 5}}, "sink": {"type": "discard"}}})
        wait_until(lambda: self.hash() != first, 10, "the repaired spec rolls")
        wait_until(lambda: self.condition("f", "SpecValid")["status"] == "True", 10, lambda: self.status("f"))

    def test_refused_reference(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        source = {"type": "postgresql", "config": {"table": "t", "connectionStringSecretRef": {"namespace": "elsewhere", "name": "db", "key": "url"}}}
        self.apply(dataflow("f", source=source))
        status = self.await_phase("f", "Error")
        self.assertIn("crossNamespaceSecrets", status["message"])
        self.assertEqual(self.condition("f", "SpecValid")["reason"], "SecretReferenceDenied")
        wait_until(lambda: self.replicas() == 0, 10, "nobody reads that Secret on")

    SECRET = {"type": "postgresql", "config": {"table": "t", "connectionStringSecretRef": {"name": "db", "key": "url"}}}

    def create_secret(self):
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"url": "postgresql://canary-7@h/d"}})

    def test_missing_secret(self):
        """Where the operator may look it says so before anything is made."""
        self.operator()
        self.apply(dataflow("f", source=self.SECRET))
        status = self.await_phase("f", "Error", message="Failed to resolve secrets: there is no Secret db")
        self.assertEqual(self.condition("f", "SpecResolved")["status"], "False")
        self.assertIn("there is no Secret db", self.await_event("SecretResolutionFailed"))
        self.assertIsNone(self.deployment())
        self.create_secret()
        self.merge("dataflow", "f", {"metadata": {"labels": {"wake": "up"}}})
        self.await_phase("f", "Pending")
        self.assertEqual(self.condition("f", "SpecResolved")["status"], "True")
        self.assertNotIn("canary-7", json.dumps([self.get("dataflow", "f"), self.items("event"), *self.objects()]))
        self.assertEqual(status["observedGeneration"], 1)

    def test_missing_secret_found_by_the_kubelet(self):
        """Where it may not, the kubelet finds out, and tells it in an Event of the pod."""
        everything = ["get", "list", "watch", "create", "patch", "update", "delete"]
        groups = {"": ["configmaps", "pods", "serviceaccounts", "events"], "apps": ["deployments"], "batch": ["cronjobs", "jobs"],
                  "rbac.authorization.k8s.io": ["roles", "rolebindings"], "coordination.k8s.io": ["leases"], "events.k8s.io": ["events"],
                  cluster.GROUP: ["dataflows", "dataflowcrons", "dataflows/status"]}
        rbac = "rbac.authorization.k8s.io"
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "op"}},
                   {"apiVersion": rbac + "/v1", "kind": "Role", "metadata": {"name": "op"},
                    "rules": [{"apiGroups": [group], "resources": names, "verbs": everything} for group, names in groups.items()]},
                   {"apiVersion": rbac + "/v1", "kind": "RoleBinding", "metadata": {"name": "op"},
                    "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "op"}, "subjects": [{"kind": "ServiceAccount", "name": "op"}]})
        self.operator(kubeconfig=cluster.service_account(self.namespace, "op", self.dir))
        self.apply(dataflow("f", source=self.SECRET))
        pod = self.await_pod("f")
        involved = {"kind": "Pod", "name": pod, "namespace": self.namespace, "uid": self.get("pod", pod)["metadata"]["uid"]}

        def tell(reason, message, second):
            time = f"2026-01-01T00:00:{second:02}Z"
            cluster.request("POST", f"/api/v1/namespaces/{self.namespace}/events",
                            {"metadata": {"name": f"e{second}"}, "involvedObject": involved, "reason": reason, "type": "Warning", "message": message,
                             "firstTimestamp": time, "lastTimestamp": time})
            # The operator sees no Events, but it looks at them whenever the pod changes.
            self.container(pod, {"waiting": {"reason": "ContainerCreating", "message": str(second)}})

        tell("FailedMount", 'MountVolume.SetUp failed for volume "kube-api-access-x7bq2" : configmap "kube-root-ca.crt" not found', 1)
        cluster.stays(lambda: self.status("f").get("phase") == "Pending", 1, lambda: self.status("f"))
        tell("FailedMount", 'MountVolume.SetUp failed for volume "spec" : secret "db" not found', 2)
        self.await_phase("f", "Error", message='Failed to resolve secrets: MountVolume.SetUp failed for volume "spec" : secret "db" not found')
        self.assertEqual(self.condition("f", "SpecResolved")["reason"], "ResolutionFailed")
        self.await_event("SecretResolutionFailed")
        tell("Pulling", 'Pulling image "x"', 3)
        self.await_phase("f", "Pending", message="Processor pod is starting")
        self.assertEqual(self.condition("f", "SpecResolved")["status"], "True")
        self.make_ready(pod)
        self.await_phase("f", "Running")

    def test_foreign_object(self):
        self.operator()
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "df-f-spec"}, "data": {"theirs": "1"}}, dataflow("f"))
        status = self.await_phase("f", "Error")
        self.assertTrue(status["message"].startswith("Failed to create ConfigMap: ConfigMap df-f-spec exists"), status["message"])
        self.await_event("OwnershipConflict")
        self.assertEqual(self.get("configmap", "df-f-spec")["data"], {"theirs": "1"})
        self.assertIsNone(self.deployment(), "later steps are not run")

    # ---- pods ------------------------------------------------------------------------------------------------------

    def test_phases(self):
        self.operator()
        self.apply(dataflow("f"))
        pod = self.await_pod("f")
        self.await_phase("f", "Pending", message="Processor pod")
        self.container(pod, {"waiting": {"reason": "ErrImagePull", "message": "no such image"}})
        self.await_phase("f", "Error", message="Cannot start processor: ErrImagePull: no such image")
        words = json.dumps({"exit": 1, "error_type": "auth_error", "message": "the password is wrong", "processed": 7})
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": words}}
        self.container(pod, {"waiting": {"reason": "CrashLoopBackOff"}}, restarts=2, last_state=ended)
        status = self.await_phase("f", "Error", message="Processor failed (auth_error): the password is wrong, restart 2")
        self.assertEqual(self.await_event("ProcessorFailed"), "Processor failed (auth_error): the password is wrong")
        changed = self.condition("f", "Ready")["lastTransitionTime"]
        time.sleep(1.1)
        self.container(pod, {"running": {}}, restarts=3, last_state=ended)
        self.await_phase("f", "Error", message="restart 3")
        self.assertEqual(self.condition("f", "Ready")["lastTransitionTime"], changed, "it was False before")
        self.container(pod, {"running": {}}, restarts=3, last_state=ended, ready=True)
        self.await_phase("f", "Running", message="Processor pod is running")
        self.assertNotEqual(self.condition("f", "Ready")["lastTransitionTime"], changed)
        self.assertEqual(status["observedGeneration"], 1)

    def count(self, pod, restarts, processed):
        """A process of the pod has ended, and the next one runs."""
        words = json.dumps({"exit": 1, "error_type": "x", "message": "m", "processed": processed, "errors": 1, "lastProcessedTime": "2026-01-01T00:00:00Z"})
        self.container(pod, {"running": {}}, ready=True, restarts=restarts, last_state={"terminated": {"exitCode": 1, "message": words}})

    def test_recreated(self):
        """The pods of one that was deleted may take minutes to end; what they count is not that of the next one of its name."""
        self.operator()
        self.apply(dataflow("f"))
        old = self.await_pod("f")
        self.count(old, 1, 7)
        wait_until(lambda: self.status("f").get("processedCount") == 7, 10, lambda: self.status("f"))
        self.delete("dataflow", "f")
        self.apply(dataflow("f"))
        new = self.await_pod("f", but=[old])
        self.count(old, 2, 8)
        self.assertIn("deletionTimestamp", self.get("pod", old)["metadata"])
        cluster.stays(lambda: self.status("f").get("processedCount", 0) == 0 and "lastProcessedTime" not in self.status("f"), 1, lambda: self.status("f"))
        self.count(new, 1, 2)
        wait_until(lambda: self.status("f").get("processedCount", 0) > 0, 10, lambda: self.status("f"))
        self.end_pod(old)
        cluster.stays(lambda: (self.status("f")["processedCount"], self.status("f")["errorCount"]) == (2, 1), 1, lambda: self.status("f"))
        self.assertEqual({p["podUID"] for p in self.status("f")["processors"]}, {self.get("pod", new)["metadata"]["uid"]})

    def test_a_new_one_asks_for_nothing(self):
        """Its objects are created without a look whether they are there; of a checkpoint, and of what an original operator may have left, there is one."""
        self.operator()
        mark = cluster.audit_mark()
        self.apply(dataflow("f"))
        self.await_objects()
        missing = [name for _, _, name, status, agent in cluster.audited(mark, self.namespace, verbs=("get",), ignore=("events",))
                   if status == 404 and agent.startswith("dataflow/") and not name.startswith("dataflow-operator")]
        self.assertEqual(sorted(missing), ["dataflow-f", "dataflow-f-spec", "df-f-checkpoint"])

    # ---- pauses ----------------------------------------------------------------------------------------------------

    def test_suspended(self):
        self.operator()
        self.apply(dataflow("f", maintenance={"suspended": True}))
        status = self.await_phase("f", "Stopped", message="Processor suspended manually")
        self.assertEqual(status["maintenanceStatus"], {"inMaintenance": False, "suspended": True})
        self.assertEqual(self.replicas(), 0)
        first = self.hash()
        self.merge("dataflow", "f", {"spec": {"maintenance": None}})
        self.await_phase("f", "Pending")
        self.assertEqual((self.replicas(), self.hash()), (1, first))
        self.assertNotIn("maintenanceStatus", self.status("f"))

    def test_window(self):
        """Begins and ends by itself."""
        self.operator()
        self.apply(dataflow("f"))
        self.await_phase("f", "Pending")
        start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
        window = {"startTime": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "8s"}
        self.merge("dataflow", "f", {"spec": {"maintenance": window}})
        status = self.await_phase("f", "Stopped", 10, message="Processor paused for scheduled maintenance window")
        self.assertEqual(status["maintenanceStatus"], {"inMaintenance": True, "suspended": False,
                                                       "lastMaintenanceTime": window["startTime"]})
        self.assertEqual(self.replicas(), 0)
        self.await_phase("f", "Pending", 12)
        self.assertEqual(self.replicas(), 1)
        self.await_event("MaintenanceStarted")
        self.await_event("MaintenanceEnded")

    # ---- reset -----------------------------------------------------------------------------------------------------

    def data(self):
        return self.get("configmap", "df-f-checkpoint").get("data", {})

    def annotations(self):
        return self.get("configmap", "df-f-checkpoint")["metadata"].get("annotations", {})

    def write_checkpoint(self):
        self.merge("configmap", "df-f-checkpoint", {"data": {"checkpoint.json": '{"generate":{"n":7},"postgresql":{"a":1}}'}})

    def test_reset_waits_for_pods(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        pod = self.await_pod("f")
        self.make_ready(pod)
        self.await_phase("f", "Running")
        self.write_checkpoint()
        first = self.hash()
        self.merge("dataflow", "f", {"spec": {"checkpointReset": True}})
        self.await_phase("f", "Pending", message="Resetting checkpoint")
        cluster.stays(lambda: "checkpoint.previous.json" not in self.data() and self.replicas() == 0, 1, "the old pod is still there")
        self.assertTrue(self.get("dataflow", "f")["spec"]["checkpointReset"])
        self.end_pod(pod)
        self.assertNotEqual(self.await_pod("f", but=[pod]), pod)
        self.assertEqual(json.loads(self.data()["checkpoint.json"]), {"postgresql": {"a": 1}})
        self.assertEqual(json.loads(self.data()["checkpoint.previous.json"]), {"generate": {"n": 7}})
        self.assertFalse(self.get("dataflow", "f")["spec"]["checkpointReset"])
        self.assertIn(D + "checkpoint-reset-applied-at", self.annotations())
        self.assertEqual(self.annotations()[D + "fence"], "1")
        self.assertEqual((self.replicas(), self.hash()), (1, first))
        self.await_event("CheckpointReset")
        wait_until(lambda: self.status("f")["observedGeneration"] == self.get("dataflow", "f")["metadata"]["generation"], 5, lambda: self.status("f"))

    def test_reset_by_annotation(self):
        self.operator()
        self.apply(dataflow("f"))
        self.await_objects()
        self.write_checkpoint()
        self.kubectl("annotate", "dataflow", "f", D + "reset-checkpoint=true")
        wait_until(lambda: json.loads(self.data()["checkpoint.json"]) == {"postgresql": {"a": 1}}, 10, self.data)
        wait_until(lambda: D + "reset-checkpoint" not in self.get("dataflow", "f")["metadata"].get("annotations", {}), 10, "it is cleared")
        # A token: once, and it stays.
        self.write_checkpoint()
        self.kubectl("annotate", "dataflow", "f", D + "reset-checkpoint=2026-01-01")
        wait_until(lambda: self.annotations().get(D + "checkpoint-reset-token") == "2026-01-01", 10, self.annotations)
        self.assertEqual(json.loads(self.data()["checkpoint.json"]), {"postgresql": {"a": 1}})
        self.write_checkpoint()
        self.merge("dataflow", "f", {"spec": {"transformWorkers": 2}})
        wait_until(lambda: self.status("f").get("observedGeneration") == 2, 10, lambda: self.status("f"))
        time.sleep(1)
        self.assertIn("generate", json.loads(self.data()["checkpoint.json"]), "a token resets once")
        self.assertEqual(self.get("dataflow", "f")["metadata"]["annotations"][D + "reset-checkpoint"], "2026-01-01")
        self.kubectl("annotate", "--overwrite", "dataflow", "f", D + "reset-checkpoint=2026-01-02")
        wait_until(lambda: "generate" not in json.loads(self.data()["checkpoint.json"]), 10, self.data)

    def test_reset_from_the_start(self):
        """A manifest that has a token when it is new: it is noted before a pod is made."""
        self.operator()
        manifest = dataflow("f")
        manifest["metadata"]["annotations"] = {D + "reset-checkpoint": "2026-01-01"}
        self.apply(manifest)
        self.await_objects()
        self.assertEqual(self.annotations()[D + "checkpoint-reset-token"], "2026-01-01")
        cluster.stays(lambda: self.deployment()["metadata"]["generation"] == 1, 1, self.deployment)

    def test_reset_ignored(self):
        """The consumer group has the position; there is nothing to stop the pod for."""
        self.operator()
        self.apply(dataflow("f", source={"type": "kafka", "config": {"brokers": ["localhost:1"], "topic": "t"}}))
        self.await_objects(but=["lease"])
        self.write_checkpoint()
        self.merge("dataflow", "f", {"spec": {"checkpointReset": True}, "metadata": {"annotations": {D + "reset-checkpoint": "true"}}})
        wait_until(lambda: not self.get("dataflow", "f")["spec"]["checkpointReset"], 10, "it is cleared")
        self.assertNotIn(D + "reset-checkpoint", self.get("dataflow", "f")["metadata"].get("annotations", {}))
        self.assertIn("kafka", self.await_event("CheckpointResetIgnored"))
        self.assertEqual(self.deployment()["metadata"]["generation"], 1)
        self.assertNotIn("checkpoint.previous.json", self.data())

    def forbid_clearing(self):
        """A policy of this namespace by which nobody may take `checkpointReset` away; returns what ends it."""
        path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpol"
        name = self.namespace
        flag = "has({0}.spec.checkpointReset) && {0}.spec.checkpointReset"
        rule = {"apiGroups": [cluster.GROUP], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["dataflows"]}
        cluster.request("POST", path + "icies", {"metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": f"!({flag.format('oldObject')}) || ({flag.format('object')})", "message": "it stays"}]}})
        self.addCleanup(cluster.request, "DELETE", f"{path}icies/{name}")
        cluster.request("POST", path + "icybindings", {"metadata": {"name": name}, "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}})
        end = lambda: cluster.request("DELETE", f"{path}icybindings/{name}")  # noqa: E731

        def refused():
            self.apply(dataflow("probe", checkpointReset=True))
            try:
                self.merge("dataflow", "probe", {"spec": {"checkpointReset": None}})
            except cluster.Refused:
                return True
            return False

        try:
            wait_until(refused, 30, "the policy is in force")
        except BaseException:
            end()
            raise
        self.delete("dataflow", "probe")
        return end

    def test_reset_that_is_refused(self):
        """422 is no sign of another wish: the flow says what is wrong, and is not reset ten times a second; an edit is taken up at once."""
        end = self.forbid_clearing()
        try:
            self.operator()
            self.apply(dataflow("f"))
            self.await_objects()
            self.write_checkpoint()
            self.merge("dataflow", "f", {"spec": {"checkpointReset": True}})
            status = self.await_phase("f", "Error", message="Failed to reset checkpoint: ")
            self.assertIn("it stays", status["message"])
            time.sleep(4)
            self.assertLess(int(self.annotations()[D + "fence"]), 6)
            self.assertEqual(self.replicas(), 0)
        finally:
            end()

        def woken():
            self.merge("dataflow", "f", {"metadata": {"labels": {"wake": str(time.monotonic())}}})
            time.sleep(0.5)
            return self.replicas() == 1

        wait_until(woken, 10, lambda: self.status("f"))
        self.assertFalse(self.get("dataflow", "f")["spec"].get("checkpointReset"))

    def test_reset_without_a_checkpoint(self):
        self.operator()
        self.apply(dataflow("f", checkpointPersistence=False))
        self.await_pod("f")
        self.merge("dataflow", "f", {"spec": {"checkpointReset": True}})
        self.assertIn("No checkpoint is kept", self.await_event("CheckpointReset"))
        self.assertFalse(self.get("dataflow", "f")["spec"].get("checkpointReset"))


if __name__ == "__main__":
    import unittest
    unittest.main()
