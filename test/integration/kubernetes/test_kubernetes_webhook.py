"""Admission and references to Secrets, on a real API server: what it refuses and shows, certificates that change or are made, copies of
Secrets of other namespaces. The API server reaches the webhook by `url`: it has no node, and so no Services."""
import base64
import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import unittest
import uuid

import cluster

PATHS = {"dataflows": "/validate-dataflow-dataflow-io-v1-dataflow", "dataflowcrons": "/validate-dataflow-dataflow-io-v1-dataflowcron"}
LIVE_SECONDS = 10  # within that a new certificate is served
CANARY = "canary-7f3b1d"


def setUpModule():
    cluster.use()


def encode(text):
    return base64.b64encode(text.encode()).decode()


def decode(text):
    return base64.b64decode(text).decode()


def openssl(*args, text=None):
    done = subprocess.run(["openssl", *args], input=text, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


class Authority:
    """A CA, and certificates of it for 127.0.0.1."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.key, self.pem = self.folder / f"{name}-ca.key", self.folder / f"{name}-ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(self.key),
                "-subj", f"/CN={name}", "-days", "30", "-out", str(self.pem))

    def issue(self, days="30", names="IP:127.0.0.1"):
        """(certificate, key), PEM."""
        key, request, extensions = (self.folder / f"{self.name}.{end}" for end in ("key", "csr", "ext"))
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-subj", "/CN=webhook", "-out", str(request))
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        cert = openssl("x509", "-req", "-in", str(request), "-CA", str(self.pem), "-CAkey", str(self.key), "-CAcreateserial",
                       "-days", days, "-extfile", str(extensions))
        return cert, key.read_text()


def served(port, ca=None):
    """The certificate that a TLS client is given there (PEM); None when it does not get through."""
    context = ssl.create_default_context(cadata=ca) if ca else ssl._create_unverified_context()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
    except OSError:
        return None


def account(case, rules, cluster_rules=()):
    """The kubeconfig of a ServiceAccount of the case's namespace with these rules there, and in the cluster."""
    name, api = f"operator-{case.namespace}", "rbac.authorization.k8s.io"
    cluster.request("POST", cluster.path_of("serviceaccount", case.namespace), {"metadata": {"name": name}})
    for role, rules_of_it in (("Role", rules), ("ClusterRole", cluster_rules)):
        kind, namespace = role.lower(), None if role == "ClusterRole" else case.namespace
        cluster.request("POST", cluster.path_of(kind, namespace), {"metadata": {"name": name}, "rules": list(rules_of_it)})
        cluster.request("POST", cluster.path_of(kind + "binding", namespace), {
            "metadata": {"name": name}, "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": case.namespace}],
            "roleRef": {"kind": role, "name": name, "apiGroup": api}})
        for path in (cluster.path_of(kind, namespace, name), cluster.path_of(kind + "binding", namespace, name)):
            case.addCleanup(cluster.request, "DELETE", path)
    return cluster.service_account(case.namespace, name, case.dir)


class Webhook(cluster.Case):
    """An operator with a webhook, which the API server asks about the test's namespace only."""

    def setUp(self):
        super().setUp()
        self.port = cluster.free_port()
        self.configuration = f"webhook-{self.namespace}"

    def configure(self, ca=None):
        webhooks = [{
            "name": f"v{plural[:-1]}.dataflow.dataflow.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "timeoutSeconds": 5, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": [cluster.GROUP], "apiVersions": ["v1"], "resources": [plural],
                       "scope": "Namespaced"}],
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}{path}", **({"caBundle": encode(ca)} if ca else {})},
        } for plural, path in PATHS.items()]
        cluster.request("POST", cluster.path_of("webhook"), {"metadata": {"name": self.configuration}, "webhooks": webhooks})
        self.addCleanup(cluster.request, "DELETE", cluster.path_of("webhook", None, self.configuration))

    def webhook_operator(self, env, **options):
        return self.operator(env=env, args=("--webhook-bind-address", f"127.0.0.1:{self.port}"), **options)

    def try_apply(self, manifest):
        """What kubectl says of it: (exit status, standard output, standard error)."""
        done = self.kubectl("apply", "-f", "-", text=json.dumps(manifest), check=False)
        return done.returncode, done.stdout, done.stderr

    def await_refusal(self, seconds):
        """Until the API server asks the webhook, and is answered."""
        bad = cluster.dataflow("probe", replicas=2)

        def refused():
            try:
                cluster.request("POST", cluster.path_of("dataflow", self.namespace) + "?dryRun=All", bad)
            except cluster.Refused as refusal:
                self.last = str(refusal)
                return "spec.replicas" in self.last
            self.last = "accepted"
            return False

        cluster.wait_until(refused, seconds, lambda: self.last)


class Files(Webhook):
    """The certificate comes from a directory."""

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir, "first")
        self.certs = self.dir / "certs"
        self.certs.mkdir()
        self.write(*self.authority.issue())

    def write(self, cert, key):
        (self.certs / "tls.crt").write_text(cert)
        (self.certs / "tls.key").write_text(key)

    def start(self, ca=None):
        process = self.webhook_operator({"WEBHOOK_CERT_DIR": str(self.certs)})
        self.configure(ca or self.authority.pem.read_text())
        self.await_refusal(20)
        return process

    def ask_on(self, answers, stop):
        """Creates what is refused, again and again, and notes what is said of it."""
        bad = self.dir / "bad.json"
        bad.write_text(json.dumps(cluster.dataflow("bad", replicas=2)))
        while not stop.is_set():
            done = self.kubectl("create", "--dry-run=server", *["--filename", str(bad)] * 8, check=False)
            answers += done.stderr.splitlines()

    def test_all_errors_warnings_and_what_stays(self):
        old = cluster.dataflow("old", replicas=2)  # stored before there was a webhook
        self.apply(old)
        self.start()
        bad = cluster.dataflow("bad", replicas=2, transformations=[{"type": "select", "config": {}}])
        bad["spec"]["source"]["config"]["rat"] = 5
        status, _, text = self.try_apply(bad)
        self.assertEqual(status, 1)
        for part in ('"bad" is invalid', "spec.source.config.rat: unknown field; did you mean \"rate\"?", "spec.transformations[0].config.fields: required"):
            self.assertIn(part, text)
        self.assertIsNone(self.get("dataflow", "bad"))

        warned = cluster.dataflow("warned", suspended=True)
        warned["spec"]["source"] = {"type": "postgresql", "config": {"connectionString": f"postgres://u:{CANARY}@h/d", "table": "t"}}
        status, _, text = self.try_apply(warned)
        self.assertEqual(status, 0, text)
        self.assertIn("Warning: spec.suspended: deprecated", text)
        self.assertIn("Warning: spec.source.config.connectionString: is a credential", text)
        self.assertNotIn(CANARY, text)

        cron = cluster.dataflowcron("cron", schedule="61 * * * *")
        status, _, text = self.try_apply(cron)
        self.assertEqual(status, 1)
        self.assertIn("spec.schedule", text)

        # An object that was never right may lose a finalizer, gain a label, be deleted; not be made wrong in another way.
        self.merge("dataflow", "old", {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.org/f"]}})
        with self.assertRaisesRegex(cluster.Refused, "spec.replicas"):
            self.merge("dataflow", "old", {"spec": {"replicas": 3}})
        self.delete("dataflow", "old")
        self.merge("dataflow", "old", {"metadata": {"finalizers": None}})
        cluster.wait_until(lambda: not self.get("dataflow", "old"), 10, "the old resource goes")

    def test_another_certificate_is_live_in_seconds(self):
        second = Authority(self.dir, "second")
        process = self.start(self.authority.pem.read_text() + second.pem.read_text())
        first_cert = served(self.port)
        new = second.issue()
        self.write(new[0], "-----BEGIN PRIVATE KEY-----\nno\n")  # half of it: the old pair stays
        cluster.wait_until(lambda: "the one before goes on being served" in process.log(), LIVE_SECONDS, process.log)
        self.assertEqual(served(self.port), first_cert)
        self.assertNotIn("BEGIN", process.log())
        # And no review is lost meanwhile.
        answers, stop = [], threading.Event()
        asking = threading.Thread(target=self.ask_on, args=(answers, stop))
        asking.start()
        try:
            for pair, authority in ((new, second), (self.authority.issue(), self.authority)):
                self.write(*pair)
                cluster.wait_until(lambda: served(self.port, authority.pem.read_text()), LIVE_SECONDS, process.log)
        finally:
            stop.set()
            asking.join()
        self.assertGreater(len(answers), 20)
        self.assertEqual({answer for answer in answers if "spec.replicas: " not in answer}, set())
        self.assertTrue(process.ready())

    def test_no_certificate_no_readiness(self):
        (self.certs / "tls.key").unlink()
        process = cluster.Operator(self.namespace, self.dir, {"WEBHOOK_CERT_DIR": str(self.certs)},
                                   args=("--webhook-bind-address", f"127.0.0.1:{self.port}"))
        self.addCleanup(process.kill)
        with self.assertRaises(AssertionError):
            process.start(3)
        self.assertIn("no certificate", process.fetch("/readyz")[1])
        self.write(*self.authority.issue())
        cluster.wait_until(process.ready, LIVE_SECONDS, process.log)

    def test_the_largest_ones_take_turns(self):
        """A review takes many times its size: those of 3 MiB need no more memory together than one."""
        process = self.start()
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                           "request": {"uid": "u", "operation": "CREATE", "object": cluster.dataflow("big", replicas=2, x=["ones"])}})
        body = body.replace('"ones"', ",".join(["1"] * ((3 << 20) // 2 - 2000)))
        statuses = []

        def ask():
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context(), timeout=60)
            connection.request("POST", PATHS["dataflows"], body, {"Content-Type": "application/json"})
            statuses.append(connection.getresponse().status)

        asking = [threading.Thread(target=ask) for _ in range(16)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        self.assertLessEqual({200}, set(statuses))
        self.assertLessEqual(set(statuses), {200, 503})  # who comes while all threads are busy is to come again
        self.assertLess(process.resident("VmHWM"), 125 << 20)

    def test_tls_1_1_is_refused(self):
        self.start()
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            with self.assertRaises(OSError):
                context.wrap_socket(raw)


class SelfSigned(Webhook):
    """The operator makes it."""

    SECRET = "webhook-cert"

    def env(self):
        return {"WEBHOOK_SELF_SIGNED_SECRET": self.SECRET, "WEBHOOK_SERVICE_NAME": "hook", "WEBHOOK_CONFIGURATION_NAME": self.configuration}

    def bundles(self):
        return [decode(w["clientConfig"].get("caBundle", "")) for w in cluster.get("webhook", None, self.configuration)["webhooks"]]

    def data(self):
        return {k: decode(v) for k, v in (self.get("secret", self.SECRET) or {}).get("data", {}).items()}

    def service_account(self):
        """Somebody who may do to Secrets and webhook configurations what the chart allows: these two, by name."""
        return account(self, [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [self.SECRET], "verbs": ["get", "create", "patch"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch", "update"]},
            {"apiGroups": [cluster.GROUP, "apps", "batch"], "resources": ["dataflows", "dataflowcrons", "deployments", "jobs", "cronjobs"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list", "watch"]},
        ], [{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"],
             "resourceNames": [self.configuration], "verbs": ["get", "patch"]}])

    def test_made_kept_trusted(self):
        self.configure()
        process = self.webhook_operator(self.env(), kubeconfig=self.service_account())
        self.await_refusal(20)
        first = self.data()
        self.assertEqual(self.bundles(), [first["ca.crt"]] * 2)
        self.assertEqual(served(self.port), first["tls.crt"])
        names = openssl("x509", "-noout", "-ext", "subjectAltName", text=first["tls.crt"])
        for name in (f"DNS:hook.{self.namespace}.svc,", f"DNS:hook.{self.namespace}.svc.cluster.local,"):
            self.assertIn(name, names)
        self.assertTrue(process.ready())

        # Another replica has the same one.
        port = self.port
        self.port = cluster.free_port()
        other = cluster.Operator(self.namespace, self.dir, self.env(), args=("--webhook-bind-address", f"127.0.0.1:{self.port}"))
        self.addCleanup(other.kill)
        other.start()
        self.assertEqual(served(self.port), first["tls.crt"])
        other.stop()
        self.port = port

        # A CA that somebody took out comes back.
        cluster.request("PATCH", cluster.path_of("webhook", None, self.configuration),
                        [{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}], "application/json-patch+json")
        cluster.wait_until(lambda: self.bundles() == [first["ca.crt"]] * 2, 30, "the CA is back")

    def test_one_that_is_over_is_made_anew(self):
        authority = Authority(self.dir, "old")
        cert, key = authority.issue(days="0", names=f"DNS:hook.{self.namespace}.svc")
        cluster.request("POST", cluster.path_of("secret", self.namespace),
                        {"metadata": {"name": self.SECRET}, "data": {"tls.crt": encode(cert), "tls.key": encode(key),
                                                                     "ca.crt": encode(authority.pem.read_text())}})
        self.configure()
        self.webhook_operator(self.env())
        self.await_refusal(20)
        data = self.data()
        self.assertNotEqual(data["tls.crt"], cert)
        # The CA before it stays trusted: other replicas may still serve what it signed.
        self.assertTrue(data["ca.crt"].endswith(authority.pem.read_text()))
        self.assertEqual(self.bundles(), [data["ca.crt"]] * 2)

    def test_replicas_that_start_together_agree(self):
        self.configure()
        ports = [cluster.free_port() for _ in range(3)]
        replicas = [cluster.Operator(self.namespace, self.dir, self.env(), args=("--webhook-bind-address", f"127.0.0.1:{port}")) for port in ports]
        for replica in replicas:
            self.addCleanup(replica.kill)
            with open(replica.log_path, "a") as log:
                env = {**cluster.os.environ, **replica.env}
                replica.process = subprocess.Popen(replica.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        cluster.wait_until(lambda: all(r.ready() for r in replicas), 30, lambda: replicas[0].log())
        data = self.data()
        self.assertEqual([served(port) for port in ports], [data["tls.crt"]] * 3)
        self.assertEqual(data["ca.crt"].count("BEGIN CERTIFICATE"), 1)
        self.assertEqual(self.bundles(), [data["ca.crt"]] * 2)
        self.assertEqual(sum("made a certificate" in r.log() for r in replicas), 1)


class Secrets(cluster.Case):
    """References, of one's own namespace and of another."""

    def setUp(self):
        super().setUp()
        self.vault = f"vault-{uuid.uuid4().hex[:8]}"
        cluster.request("POST", cluster.path_of("namespace"), {"metadata": {"name": self.vault}})
        self.addCleanup(self.kubectl, "delete", "namespace", self.vault, "--wait=false")
        self.secret(self.vault, "db", table="one", other="two", unused="three")
        self.allowed = {"ALLOWED_SECRET_REFERENCES": f"{self.namespace}={self.vault}/db"}
        self.mirror = f"dataflow-mirror.{self.vault}.db"

    def secret(self, namespace, name, **data):
        cluster.request("POST", cluster.path_of("secret", namespace), {"metadata": {"name": name}, "stringData": data})

    def flow(self, name, key="table", secret="db", namespace=None):
        ref = {"name": secret, "key": key, **({"namespace": namespace} if namespace else {})}
        return cluster.dataflow(name, sink={"type": "sqlite", "config": {"path": "/tmp/d", "tableSecretRef": ref}})

    def data(self):
        return {k: decode(v) for k, v in (self.get("secret", self.mirror) or {}).get("data", {}).items()}

    def poke(self, name):
        """Makes it be looked at now."""
        self.merge("dataflow", name, {"metadata": {"annotations": {"test": uuid.uuid4().hex}}})

    def test_a_copy_of_what_is_used(self):
        operator = self.operator(env=self.allowed)
        self.apply(self.flow("a", "table", namespace=self.vault))
        cluster.wait_until(lambda: self.data() == {"table": "one"}, 10, operator.log)
        self.apply(self.flow("b", "other", namespace=self.vault))
        cluster.wait_until(lambda: self.data() == {"table": "one", "other": "two"}, 10, operator.log)
        owners = self.get("secret", self.mirror)["metadata"]["ownerReferences"]
        self.assertEqual(sorted(o["name"] for o in owners), ["a", "b"])
        self.assertFalse(any(o.get("controller") for o in owners))
        self.assertFalse(any(o.get("blockOwnerDeletion") for o in owners))

        # A steady copy is not written again.
        version = self.get("secret", self.mirror)["metadata"]["resourceVersion"]
        self.poke("a")
        self.poke("b")
        time.sleep(1)
        self.assertEqual(self.get("secret", self.mirror)["metadata"]["resourceVersion"], version)

        # The original changes.
        cluster.merge("secret", self.vault, "db", {"stringData": {"table": "one-b", "other": "two-b"}})
        self.poke("a")
        self.poke("b")
        cluster.wait_until(lambda: self.data() == {"table": "one-b", "other": "two-b"}, 10, operator.log)

        # What is given up goes, key by key; not before what shall be used instead is there.
        self.secret(self.namespace, "own", table="x", other="y")
        self.apply(self.flow("a", "table", secret="own"))
        cluster.wait_until(lambda: self.data() == {"other": "two-b"}, 10, operator.log)
        self.assertEqual([o["name"] for o in self.get("secret", self.mirror)["metadata"]["ownerReferences"]], ["b"])
        self.apply(self.flow("b", "other", secret="own"))
        cluster.wait_until(lambda: not self.get("secret", self.mirror), 10, operator.log)

    def test_the_last_user_is_deleted(self):
        operator = self.operator(env=self.allowed)
        self.apply(self.flow("a", "table", namespace=self.vault), self.flow("b", "other", namespace=self.vault))
        cluster.wait_until(lambda: self.data() == {"table": "one", "other": "two"}, 10, operator.log)
        self.delete("dataflow", "a")
        cluster.wait_until(lambda: [o["name"] for o in self.get("secret", self.mirror)["metadata"]["ownerReferences"]] == ["b"], 20, operator.log)
        self.poke("b")
        cluster.wait_until(lambda: self.data() == {"other": "two"}, 10, operator.log)
        self.delete("dataflow", "b")
        cluster.wait_until(lambda: not self.get("secret", self.mirror), 20, "the copy goes with its last owner")

    def test_allowed_no_more(self):
        operator = self.operator(env=self.allowed)
        self.apply(self.flow("a", namespace=self.vault))
        cluster.wait_until(lambda: self.data() and self.get("deployment", "df-a"), 10, operator.log)
        operator.stop()
        operator.env["ALLOWED_SECRET_REFERENCES"] = ""
        operator.start()
        message = self.await_phase("a", "Error")["message"]
        for part in ("spec.sink.config.tableSecretRef", f"Secret db is in namespace {self.vault}", "crossNamespaceSecrets"):
            self.assertIn(part, message)
        self.assertIn("crossNamespaceSecrets", self.await_event("SecretReferenceDenied"))
        cluster.wait_until(lambda: not self.get("secret", self.mirror), 10, operator.log)
        cluster.wait_until(lambda: self.get("deployment", "df-a")["spec"]["replicas"] == 0, 10, operator.log)

    def test_missing_is_told_and_nothing_leaks(self):
        operator = self.operator(env=self.allowed)
        self.apply(self.flow("a", secret="own"), self.flow("b", "no-such", namespace=self.vault))
        self.assertIn("there is no Secret own", self.await_phase("a", "Error")["message"])
        message = self.await_phase("b", "Error")["message"]
        self.assertIn("Failed to resolve secrets", message)
        self.assertIn(f"the Secret db in namespace {self.vault} has no key `no-such`", message)
        cluster.wait_until(lambda: len(self.events("SecretResolutionFailed")) == 2, 10, lambda: self.events())
        self.assertIn("there is no Secret own", str(self.events("SecretResolutionFailed")))
        self.assertIsNone(self.get("deployment", "df-a"))

        self.secret(self.namespace, "own", table=CANARY)
        cluster.merge("secret", self.vault, "db", {"stringData": {"no-such": CANARY}})
        self.poke("a")
        self.poke("b")
        cluster.wait_until(lambda: self.get("deployment", "df-a") and self.get("deployment", "df-b"), 10, operator.log)
        self.assertEqual(self.data(), {"no-such": CANARY})
        for kind in ("dataflow", "configmap", "event", "deployment", "replicaset", "pod"):
            text = json.dumps(self.items(kind))
            self.assertNotIn(CANARY, text, kind)
            self.assertNotIn(encode(CANARY), text, kind)
        self.assertNotIn(CANARY, operator.log())
        self.assertNotIn(CANARY, operator.metrics())

    def test_where_it_may_not_look(self):
        """The pod finds out that its Secret is missing; the operator does not even try to."""
        groups = [cluster.GROUP, "apps", "batch", "coordination.k8s.io", "events.k8s.io", "rbac.authorization.k8s.io"]
        kubeconfig = account(self, [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]},
                                    {"apiGroups": [""], "resources": ["configmaps", "pods", "serviceaccounts", "events"], "verbs": ["*"]}])
        operator = self.operator(kubeconfig=kubeconfig)
        self.apply(self.flow("a", secret="own"))
        cluster.wait_until(lambda: self.get("deployment", "df-a"), 10, operator.log)
        self.await_phase("a", "Pending")
        user = f"system:serviceaccount:{self.namespace}:operator-{self.namespace}"
        lines = [json.loads(line) for line in pathlib.Path(cluster.ENV["KUBERNETES_AUDIT_LOG"]).read_text().splitlines() if user in line]
        asked = [(entry["verb"], entry["objectRef"]["resource"]) for entry in lines]
        self.assertEqual([request for request in asked if request[1] == "secrets"], [])
        self.assertEqual(asked.count(("create", "selfsubjectaccessreviews")), 1)  # and asks once


if __name__ == "__main__":
    unittest.main()
