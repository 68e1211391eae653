"""The chart on a real API server: everything that it renders is accepted, and the operator, run as the ServiceAccount of the chart with
exactly the chart's roles, does its work and may do nothing else. And what kubectl shows.

There is no node: where a pod has to run its status is
written by the test."""
import base64
import json
import os
import re
import socket
import ssl
import subprocess
import unittest

import yaml

import cluster
import release
from cluster import ROOT, dataflow, dataflowcron, wait_until

READS = ("get", "list", "watch")


def setUpModule():
    global HELM
    HELM = release.helm()
    cluster.use()


def may(user, verb, resource, namespace=None, name=None, group="", subresource=None):
    """Whether RBAC lets a user do it."""
    attributes = {"verb": verb, "resource": resource, "group": group, "namespace": namespace, "name": name, "subresource": subresource}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": user, "groups": ["system:serviceaccounts", "system:authenticated"],
        "resourceAttributes": {key: value for key, value in attributes.items() if value}}}
    return cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


class Chart(release.Case):
    def run_operator(self, documents, args=(), **env):
        """The operator as the Deployment says: its environment, its account."""
        deployment = next(d for d in documents if d["kind"] == "Deployment")
        pod = deployment["spec"]["template"]["spec"]
        given = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
        self.kubeconfig = cluster.service_account(self.namespace, pod["serviceAccountName"], self.dir)
        return self.operator(env={"WATCH_NAMESPACES": None, **given, **env}, args=args, kubeconfig=self.kubeconfig)

    def refusals(self, mark, *namespaces):
        """Requests of the operator's that were refused there, and beside it. (In a namespace of an earlier test, which ends, all are.)"""
        return [entry for namespace in (self.namespace, *namespaces) for entry in
                cluster.audited(mark, namespace, verbs=(*READS, *cluster.WRITES), ignore=()) if entry[3] in (401, 403) and "kubectl" not in entry[4]]

    def await_objects(self, namespace, flow="f", cron="c"):
        wanted = [("deployment", f"df-{flow}"), ("lease", f"df-{flow}-processor"), ("rolebinding", f"df-{flow}-processor"), ("cronjob", f"dfc-{cron}")]
        wait_until(lambda: all(cluster.get(kind, namespace, name) for kind, name in wanted), 30,
                   lambda: f"objects in {namespace}, but {[(k, n) for k, n in wanted if not cluster.get(k, namespace, n)]}")

    def test_all_namespaces(self):
        """A flow and a cron in a namespace of their own: made, run, a trigger started, edited, deleted; nothing was refused."""
        flows = self.more("flows")
        documents = self.install()
        for plural in ("dataflows", "dataflowcrons"):
            crd = json.loads(cluster.kubectl("get", f"crd/{plural}.{cluster.GROUP}", "-o", "json"))
            conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
            self.assertEqual(("True", "True"), (conditions["Established"], conditions["NamesAccepted"]))
            self.assertNotEqual("True", conditions.get("NonStructuralSchema"))
            self.assertEqual("release", crd["metadata"]["labels"]["app.kubernetes.io/instance"])

        mark = cluster.audit_mark()
        operator = self.run_operator(documents)
        self.apply_in(flows, dataflow("f"), dataflowcron("c", triggers=[{"image": "example.org/report:1"}]))
        self.await_objects(flows)

        namespace, self.namespace = self.namespace, flows  # cluster.Case looks there
        self.make_ready(self.await_pod("f"))
        self.await_phase("f", "Running")
        self.kubectl("create", "job", "run", "--from=cronjob/dfc-c")
        wait_until(lambda: self.status("c", "dataflowcron").get("phase") == "Running", 20, lambda: str(self.status("c", "dataflowcron")))
        self.finish_job("run")
        wait_until(lambda: self.status("c", "dataflowcron").get("phase") == "RunningTriggers", 20, lambda: str(self.status("c", "dataflowcron")))
        self.merge("dataflow", "f", {"spec": {"checkpointPersistence": False}})
        wait_until(lambda: not self.get("role", "df-f-processor"), 20, "the processor's Role is deleted")
        self.merge("dataflow", "f", {"spec": {"checkpointPersistence": True, "checkpointReset": True}})
        wait_until(lambda: self.get("role", "df-f-processor"), 20, "the processor's Role")
        wait_until(lambda: self.events(), 20, "Events")
        self.namespace = namespace

        self.assertEqual([], self.refusals(mark, flows))
        self.assertEqual(0, operator.stop())

    def finish_job(self, name):
        """What the Job controller says when the pods of a Job succeeded."""
        now = "2026-01-01T00:00:00Z"
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now} for kind in ("SuccessCriteriaMet", "Complete")]
        for pod in self.items("pod", f"job-name={name}"):
            self.merge("pod", pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "status")
        wait_until(lambda: any(c["type"] == "Complete" for c in self.get("job", name)["status"].get("conditions", [])), 20,
                   lambda: f"{name} complete, but {self.get('job', name)['status']} not {conditions}")

    def test_single_namespaces(self):
        """Roles only: works in one namespace, and neither sees nor touches another."""
        watched, other = self.more("watched"), self.more("other")
        documents = self.install(watchNamespaces=[watched], crds={"install": False})
        self.assertEqual([], [d["metadata"]["name"] for d in documents if d["kind"].startswith("ClusterRole")])
        mark = cluster.audit_mark()
        operator = self.run_operator(documents)
        self.apply_in(other, dataflow("f"))
        self.apply_in(watched, dataflow("f"), dataflowcron("c"))
        self.await_objects(watched)
        self.assertIsNone(cluster.get("deployment", other, "df-f"))
        self.assertEqual([], self.refusals(mark, watched, other))
        self.assertNotIn("forbidden", operator.log())
        for verb, resource, group in (("get", "dataflows", cluster.GROUP), ("list", "pods", ""), ("create", "deployments", "apps"), ("get", "configmaps", "")):
            self.assertTrue(may(self.user, verb, resource, watched, group=group), (verb, resource))
            self.assertFalse(may(self.user, verb, resource, other, group=group), (verb, resource))
            self.assertFalse(may(self.user, verb, resource, group=group), (verb, resource))

    def test_secrets_of_another_namespace(self):
        """The Secret that is named, copied to the namespace that is named; with the chart's roles and no others."""
        flows, databases = self.more("flows"), self.more("databases")
        documents = self.install(crds={"install": False}, crossNamespaceSecrets=[{"from": {"namespace": databases, "names": ["db"]}, "to": [flows]}])
        for name in ("db", "another"):
            cluster.kubectl("--namespace", databases, "create", "secret", "generic", name, "--from-literal=url=postgres://u:p@h/d")
        mark = cluster.audit_mark()
        operator = self.run_operator(documents)

        def flow(name, secret):
            return dataflow(name, sink={"type": "postgresql", "config": {
                "connectionStringSecretRef": {"namespace": databases, "name": secret, "key": "url"}, "table": "t"}})
        self.apply_in(flows, flow("f", "db"), flow("g", "another"))
        wait_until(lambda: cluster.get("deployment", flows, "df-f"), 20, lambda: f"a Deployment\n{operator.log()}")
        self.assertIsNotNone(cluster.get("secret", flows, f"dataflow-mirror.{databases}.db"))
        wait_until(lambda: "crossNamespaceSecrets" in str((cluster.get("dataflow", flows, "g") or {}).get("status")), 20, "the refusal says what would allow it")
        self.assertIsNone(cluster.get("deployment", flows, "df-g"))
        cluster.request("DELETE", cluster.path_of("dataflow", flows, "f"))
        # It looks for a copy of what is not allowed (any more), which the chart's roles do not let it see either.
        self.assertEqual(set(), {entry[:3] for entry in self.refusals(mark, flows, databases)} - {("get", "secrets", f"dataflow-mirror.{databases}.another")})
        self.assertTrue(may(self.user, "get", "secrets", databases, "db"))
        for verb, namespace, name in (("get", databases, "another"), ("get", databases, None), ("list", databases, None), ("watch", flows, None),
                                      ("get", flows, "another"), ("create", flows, None), ("delete", databases, "db"), ("patch", databases, "db"),
                                      ("update", flows, f"dataflow-mirror.{databases}.db"), ("list", None, None), ("get", "kube-system", "x")):
            self.assertFalse(may(self.user, verb, "secrets", namespace, name), (verb, namespace, name))

    def test_self_signed_certificate(self):
        """The operator makes it, keeps it in its Secret, and says whom to trust: by name, with what the chart grants for it."""
        documents = self.install(crds={"install": False}, webhook={"enabled": True, "selfSigned": True, "failurePolicy": "Ignore"})
        mark = cluster.audit_mark()
        port = cluster.free_port()
        self.run_operator(documents, ("--webhook-bind-address", f"127.0.0.1:{port}"))
        secret = wait_until(lambda: self.get("secret", f"{self.namespace}-webhook-cert"), 20, "the certificate's Secret")
        self.assertLessEqual({"ca.crt", "tls.crt", "tls.key"}, set(secret["data"]))
        wait_until(lambda: [secret["data"]["ca.crt"]] * 2 == [w["clientConfig"].get("caBundle") for w in
                                                             cluster.get("webhook", None, self.namespace)["webhooks"]], 20, "caBundle in both")
        self.assertEqual([], self.refusals(mark))
        # The name that the API server calls is in it, and the trust that it was given is enough.
        host, ca = f"{self.namespace}.{self.namespace}.svc", base64.b64decode(secret["data"]["ca.crt"]).decode()
        with socket.create_connection(("127.0.0.1", port), 10) as plain, \
                ssl.create_default_context(cadata=ca).wrap_socket(plain, server_hostname=host) as tls:
            self.assertIn(tls.version(), ("TLSv1.2", "TLSv1.3"))

    def test_what_is_refused(self):
        """The table of what the operator must never be able to do, and what a processor must not."""
        flows = self.more("flows")
        documents = self.install(crds={"install": False}, webhook={"enabled": True, "selfSigned": True})
        rbac, apps, batch, leases, admission = ("rbac.authorization.k8s.io", "apps", "batch", "coordination.k8s.io", "admissionregistration.k8s.io")
        secret = f"{self.namespace}-webhook-cert"
        for verb, resource, group, namespace, name in (
                *((verb, "secrets", "", namespace, None) for verb in (*READS, "create", "update", "patch", "delete") for namespace in (None, flows)),
                ("list", "secrets", "", self.namespace, None), ("delete", "secrets", "", self.namespace, secret), ("get", "secrets", "", self.namespace, "x"),
                *((verb, "pods", "", flows, None) for verb in ("create", "update", "patch", "delete")),
                ("create", "dataflows", cluster.GROUP, flows, None), ("delete", "dataflows", cluster.GROUP, flows, None),
                ("update", "dataflows", cluster.GROUP, flows, None), ("deletecollection", "configmaps", "", flows, None),
                *((verb, resource, rbac, flows, None) for verb in ("escalate", "bind", "list", "watch", "update") for resource in ("roles", "rolebindings")),
                ("create", "clusterroles", rbac, None, None), ("create", "clusterrolebindings", rbac, None, None), ("bind", "clusterroles", rbac, None, None),
                ("list", "leases", leases, flows, None), ("watch", "leases", leases, flows, None), ("create", "daemonsets", apps, flows, None),
                ("update", "deployments", apps, flows, None), ("impersonate", "users", "", None, None), ("impersonate", "serviceaccounts", "", flows, None),
                ("get", "nodes", "", None, None), ("list", "namespaces", "", None, None), ("*", "*", "*", None, None),
                ("get", "validatingwebhookconfigurations", admission, None, None), ("patch", "validatingwebhookconfigurations", admission, None, "another"),
                ("create", "validatingwebhookconfigurations", admission, None, self.namespace),
                ("delete", "validatingwebhookconfigurations", admission, None, self.namespace),
                ("patch", "customresourcedefinitions", "apiextensions.k8s.io", None, None)):
            self.assertFalse(may(self.user, verb, resource, namespace, name, group), (verb, resource, namespace, name))
        for resource, sub in (("pods", "exec"), ("pods", "log"), ("pods", "ephemeralcontainers"), ("serviceaccounts", "token")):
            for verb in ("get", "create"):
                self.assertFalse(may(self.user, verb, resource, flows, subresource=sub), (verb, resource, sub))
        for verb, resource, group, namespace, name in (
                ("get", "secrets", "", self.namespace, secret), ("create", "secrets", "", self.namespace, secret), ("patch", "secrets", "", self.namespace, secret),
                ("get", "validatingwebhookconfigurations", admission, None, self.namespace),
                ("patch", "validatingwebhookconfigurations", admission, None, self.namespace),
                ("delete", "jobs", batch, flows, None), ("update", "leases", leases, self.namespace, "dataflow-operator.dataflow.io")):
            self.assertTrue(may(self.user, verb, resource, namespace, name, group), (verb, resource, namespace, name))

        # With a token of its account, what RBAC itself holds it to: it can hand on what it has, and not more.
        account = cluster.service_account(self.namespace, self.namespace, self.dir)

        def create(kind, body):
            document = {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": {"name": "x", "namespace": flows}, **body}
            return cluster.kubectl("create", "-f", "-", text=json.dumps(document), kubeconfig=str(account), check=False)
        for rule in ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                     {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}):
            self.assertIn("attempting to grant RBAC permissions not currently held", create("Role", {"rules": [rule]}).stderr)
        binding = {"roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                   "subjects": [{"kind": "ServiceAccount", "name": self.namespace, "namespace": self.namespace}]}
        self.assertIn("not currently held", create("RoleBinding", binding).stderr)
        self.assertEqual(0, create("Role", {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["x"]}]}).returncode)

        # What the operator grants a processor: its own ConfigMap and Lease. (Nobody can reach the webhook's Service here.)
        cluster.kubectl("delete", "validatingwebhookconfiguration", self.namespace)
        self.run_operator(documents, WEBHOOK_SELF_SIGNED_SECRET=None)
        self.apply_in(flows, dataflow("f"))
        wait_until(lambda: cluster.get("rolebinding", flows, "df-f-processor"), 20, "the processor's RoleBinding")
        processor = f"system:serviceaccount:{flows}:df-f-processor"
        for verb in ("get", "patch", "update"):
            self.assertTrue(may(processor, verb, "configmaps", flows, "df-f-checkpoint"))
            self.assertTrue(may(processor, verb, "leases", flows, "df-f-processor", leases))
            for resource, name, group in (("configmaps", "df-f-spec", ""), ("configmaps", "df-g-checkpoint", ""), ("leases", "df-g-processor", leases),
                                          ("secrets", None, ""), ("dataflows", "f", cluster.GROUP), ("pods", None, "")):
                self.assertFalse(may(processor, verb, resource, flows, name, group), (verb, resource, name))
        for verb in ("list", "watch", "create", "delete"):
            self.assertFalse(may(processor, verb, "configmaps", flows), verb)

    def test_pods_pass_restricted(self):
        """Pod Security "restricted" lets the operator's pod in, made by its ReplicaSet."""
        self.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        self.install(crds={"install": False}, webhook={"enabled": True, "selfSigned": True}, networkPolicy={"enabled": True},
                     podDisruptionBudget={"enabled": True}, monitoring={"dashboard": {"enabled": True}})
        wait_until(lambda: self.items("pod", "app.kubernetes.io/name=dataflow-operator"), 20, "a pod of the operator")


class Release(cluster.Case):
    """Helm itself: install beside CRDs that are there already, upgrade, uninstall."""

    def helm(self, *arguments):
        done = subprocess.run([HELM, "--kubeconfig", cluster.ENV["KUBECONFIG"], "--namespace", self.namespace, *map(str, arguments)],
                              capture_output=True, text=True, timeout=120, env=dict(os.environ, HELM_CACHE_HOME=str(self.dir), HELM_CONFIG_HOME=str(self.dir)))
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def webhook(self):
        return cluster.get("webhook", None, self.namespace)["webhooks"]

    def test_install_upgrade_uninstall(self):
        crds = [f"crd/{plural}.{cluster.GROUP}" for plural in ("dataflows", "dataflowcrons")]
        owner = [f"meta.helm.sh/release-name={self.namespace}", f"meta.helm.sh/release-namespace={self.namespace}"]
        self.addCleanup(cluster.use)  # as they were
        self.addCleanup(cluster.kubectl, "label", *crds, "app.kubernetes.io/managed-by-")
        self.addCleanup(cluster.kubectl, "annotate", *crds, *(entry.partition("=")[0] + "-" for entry in owner))
        cluster.kubectl("label", "--overwrite", *crds, "app.kubernetes.io/managed-by=Helm")
        cluster.kubectl("annotate", "--overwrite", *crds, *owner)
        self.addCleanup(cluster.kubectl, "delete", "validatingwebhookconfiguration", self.namespace, "--ignore-not-found")
        # Ignore: nobody serves the webhook here.
        values = ("--set", f"fullnameOverride={self.namespace},webhook.enabled=true,webhook.selfSigned=true,webhook.failurePolicy=Ignore")
        self.helm("install", self.namespace, release.CHART, *values)
        self.assertEqual(["vdataflow.dataflow.dataflow.io", "vdataflowcron.dataflow.dataflow.io"], [w["name"] for w in self.webhook()])
        self.assertNotIn("caBundle", self.webhook()[0]["clientConfig"])

        # The operator fills it; an upgrade leaves it.
        cluster.request("PATCH", cluster.path_of("webhook", None, self.namespace), [
            {"op": "add", "path": f"/webhooks/{i}/clientConfig/caBundle", "value": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="} for i in (0, 1)],
            "application/json-patch+json")
        uid = self.get("deployment", self.namespace)["metadata"]["uid"]
        self.helm("upgrade", self.namespace, release.CHART, *values, "--set", "replicaCount=2,webhook.timeoutSeconds=9")
        self.assertEqual([9, 9], [w["timeoutSeconds"] for w in self.webhook()])
        self.assertTrue(all("caBundle" in w["clientConfig"] for w in self.webhook()))
        self.assertEqual((uid, 2), (self.get("deployment", self.namespace)["metadata"]["uid"], self.get("deployment", self.namespace)["spec"]["replicas"]))

        self.apply(dataflow("f"))
        self.assertIn("kept due to the resource policy", self.helm("uninstall", self.namespace))
        self.assertIsNone(self.get("deployment", self.namespace))
        self.assertIsNotNone(self.get("dataflow", "f"))


class Manifests(cluster.Case):
    def dry_run(self, *files, text=None):
        return self.kubectl("apply", "--server-side", "--dry-run=server", *(part for file in files for part in ("-f", str(file))), text=text)

    def test_samples(self):
        said = self.dry_run(ROOT / "config/samples")
        self.assertEqual(len(list((ROOT / "config/samples").glob("*.yaml"))) - 1, said.count("dataflow.dataflow.io/"))

    def test_install(self):
        text = (ROOT / "config/install.yaml").read_text().replace("dataflow-system", self.namespace)
        documents = [d for d in yaml.safe_load_all(text) if d["kind"] not in ("Namespace", "CustomResourceDefinition")]
        said = self.dry_run("-", text=yaml.safe_dump_all(documents))
        self.assertEqual(len(documents), len(said.splitlines()))


class Kubectl(cluster.Case):
    """What a person sees and types."""

    def test_columns_and_short_names(self):
        self.apply(dataflow("f"), dataflowcron("c", "5 4 * * *"))
        self.merge("dataflow", "f", {"status": {"phase": "Running", "processedCount": 12345, "errorCount": 6}}, "status")
        header, row = (line.split() for line in self.kubectl("get", "df").splitlines())
        self.assertEqual(["NAME", "PHASE", "SOURCE", "SINK", "PROCESSED", "ERRORS", "AGE"], header)
        self.assertEqual(["f", "Running", "generate", "discard", "12345", "6"], row[:6])
        header, row = (re.split(r"\s{2,}", line) for line in self.kubectl("get", "dfc").splitlines())
        self.assertEqual(["NAME", "SCHEDULE", "SUSPEND", "PHASE", "LAST", "AGE"], [cell.strip() for cell in header])
        self.assertEqual(["c", "5 4 * * *"], row[:2])
        self.assertEqual("", self.kubectl("get", "df", "-l", "app=x", "-o", "name"))

    def test_explain(self):
        for path, texts in (("dataflow.spec.source", ("kafka", "FIELDS", "config")), ("dataflow.spec", ("checkpointReset", "maintenance")),
                            ("dataflow.spec.maintenance.repeat", ("daily", "weekly")), ("dataflow.status", ("processedCount", "deliveryGuarantee")),
                            ("dataflowcron.spec.triggers", ("imagePullPolicy",)), ("dfc.spec.concurrencyPolicy", ("Forbid",))):
            said = cluster.kubectl("explain", path)
            for text in texts:
                self.assertIn(text, said, path)
            self.assertNotIn("<empty>", said, path)

    def test_wait(self):
        self.apply(dataflow("f"))
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Running", "message": ""}
        self.merge("dataflow", "f", {"status": {"conditions": [condition]}}, "status")
        self.assertIn("condition met", self.kubectl("wait", "df/f", "--for=condition=Ready", "--timeout=90s"))


if __name__ == "__main__":
    unittest.main()
