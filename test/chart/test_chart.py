"""The Helm chart: what it renders, what it grants, what its alerts and its dashboard ask for; and what is made from it.

The files in golden/ are what values/*.yaml render to, without the CRDs, which are a copy of config/crd, and the dashboard. After a change of the chart
DATAFLOW_GOLDEN=write python3 test/run.py chart writes them anew; read their diff."""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test"))
from ports import free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CHART = ROOT / "charts/dataflow"
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
NAMESPACE = "dataflow-system"
SETS = sorted(path.stem for path in (HERE / "values").glob("*.yaml"))


def run(*command, **options):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **options)


def helm():
    """The program; built when it is missing. Without Go that is a failure in CI, and elsewhere a skip that says so."""
    done = run(ROOT / "test/services/helm", "env")
    program = done.stdout.strip().partition("=")[2]
    if not os.access(program, os.X_OK):
        done = subprocess.run([ROOT / "test/services/helm", "install"], stderr=subprocess.PIPE, text=True, timeout=1200)
        if done.returncode and not os.environ.get("CI") and not shutil.which("go"):
            raise unittest.SkipTest(done.stderr.strip())
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
    return program


def setUpModule():
    global HELM
    HELM = helm()


def template(*arguments, chart=CHART, release="dataflow-operator"):
    return run(HELM, "template", release, chart, "--namespace", NAMESPACE, "--kube-version", "1.24", *arguments)


@functools.cache
def render(*arguments, **options):
    done = template(*arguments, **options)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def objects(*arguments, **options):
    return [document for document in yaml.safe_load_all(render(*arguments, **options)) if document]


def values(name):
    return ["-f", HERE / "values" / f"{name}.yaml"]


def render_with(given):
    """What these values render to, out of a file: there a number is a float, and null is null."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(given, file)
        file.flush()
        return render.__wrapped__("-f", file.name)  # not kept: a name can come again


def objects_with(given):
    return [document for document in yaml.safe_load_all(render_with(given)) if document]


def of_kind(documents, *kinds):
    return [d for d in documents if d["kind"] in kinds]


def one(documents, kind):
    found = of_kind(documents, kind)
    assert len(found) == 1, [d["metadata"]["name"] for d in found]
    return found[0]


def container(documents):
    return one(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def environment(documents):
    return {e["name"]: e.get("value") for e in container(documents)["env"]}


class Rendered(unittest.TestCase):
    def test_lint(self):
        for name in SETS:
            with self.subTest(name):
                done = run(HELM, "lint", "--strict", CHART, "--kube-version", "1.24", *values(name))
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_golden(self):
        for name in SETS:
            with self.subTest(name):
                rendered = re.sub(r"(?ms)^---\n# Source: \S+/crds\.yaml\n.*?(?=^---$|\Z)", "", render(*values(name)))
                rendered = re.sub(r"(?s)(grafana-dashboard\.json: \|\n).*?\n    }\n", r"\1    ...\n", rendered)
                golden = HERE / "golden" / f"{name}.yaml"
                if os.environ.get("DATAFLOW_GOLDEN") == "write":
                    golden.write_text(rendered)
                self.assertEqual(golden.read_text(), rendered, "DATAFLOW_GOLDEN=write writes golden/ anew")

    def test_every_value_is_said_and_has_a_schema(self):
        """Each key of values.yaml is known to the schema (but what is below gui), and none of the schema's is missing there."""
        def keys(node, path=""):
            for key, child in node.items():
                yield f"{path}{key}"
                if isinstance(child, dict) and child and (path + key) not in ("podSecurityContext", "securityContext", "resources", "gui"):
                    yield from keys(child, f"{path}{key}.")

        def known(schema, path=""):
            for key, child in schema.get("properties", {}).items():
                yield f"{path}{key}"
                if path + key not in ("processor", "gui"):
                    yield from known(child, f"{path}{key}.")
        schema = json.loads((CHART / "values.schema.json").read_text())
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        self.assertEqual(set(known(schema)), set(keys(defaults)))

    def test_names_of_the_other_chart(self):
        """What `helm upgrade` of a release of it needs: nothing immutable differs."""
        for release, fullname in (("dataflow-operator", "dataflow-operator"), ("flows", "flows-dataflow-operator")):
            documents = objects(release=release)
            deployment = one(documents, "Deployment")
            self.assertEqual(fullname, deployment["metadata"]["name"])
            self.assertEqual({"app.kubernetes.io/name": "dataflow-operator", "app.kubernetes.io/instance": release},
                             deployment["spec"]["selector"]["matchLabels"])
            binding = one(documents, "ClusterRoleBinding")
            self.assertEqual((f"{fullname}-binding", f"{fullname}-role"), (binding["metadata"]["name"], binding["roleRef"]["name"]))

    def test_values_kept_from_a_release_of_the_other_chart(self):
        """`helm upgrade --reuse-values` brings none of our defaults."""
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        ours = ("priorityClassName", "extraEnv", "processor", "watchNamespaces", "secretChecks", "crossNamespaceSecrets", "networkPolicy",
                "podDisruptionBudget")
        kept = {key: value for key, value in defaults.items() if key not in ours}
        kept["webhook"] = {"enabled": True, "caBundle": "Cg==", "certDir": "/certs", "secretName": "cert"}
        with tempfile.TemporaryDirectory() as holder:
            chart = pathlib.Path(holder) / "chart"
            shutil.copytree(CHART, chart)
            (chart / "values.yaml").write_text(yaml.safe_dump(kept))
            documents = objects(chart=chart)
        self.assertEqual([], of_kind(documents, "NetworkPolicy", "PodDisruptionBudget", "Role")[1:])
        self.assertEqual("Fail", one(documents, "ValidatingWebhookConfiguration")["webhooks"][0]["failurePolicy"])

    def test_pods_are_restricted(self):
        """As Pod Security's profile "restricted" wants them."""
        for name in ("default", "self-signed", "three"):
            spec = one(objects(*values(name)), "Deployment")["spec"]["template"]["spec"]
            self.assertEqual({"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                              "seccompProfile": {"type": "RuntimeDefault"}}, spec["securityContext"])
            self.assertEqual({"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                             spec["containers"][0]["securityContext"])

    def test_fs_group_moves_to_the_pod(self):
        spec = one(objects(*values("original")), "Deployment")["spec"]["template"]["spec"]
        self.assertEqual(3000, spec["securityContext"]["fsGroup"])
        self.assertNotIn("fsGroup", spec["containers"][0]["securityContext"])

    def test_ids_can_be_left_to_the_cluster(self):
        spec = one(objects(*values("everything")), "Deployment")["spec"]["template"]["spec"]
        self.assertEqual({"runAsNonRoot", "seccompProfile"}, set(spec["securityContext"]))
        self.assertEqual({"podSecurityContext": {"runAsUser": None}, "labels": {"team": "data"}, "priorityClassName": "flows"},
                         json.loads(environment(objects(*values("everything")))["PROCESSOR_POD_DEFAULTS"]))

    def test_metrics_off(self):
        documents = objects(*values("quiet"))
        self.assertIn("--metrics-bind-address=0", container(documents)["args"])
        self.assertEqual([], of_kind(documents, "Service", "ServiceAccount", "ClusterRole", "Role"))
        self.assertEqual(["health"], [port["name"] for port in container(documents)["ports"]])

    def test_whole_numbers_of_a_file(self):
        """Helm reads them as floats, which print as 1e+06."""
        documents = objects_with({
            "replicaCount": 2000000, "processorProgressTimeoutSeconds": 1036800, "podSecurityContext": {"runAsUser": 1000650000},
            "processor": {"podSecurityContext": {"runAsUser": 1000650000}}, "metrics": {"port": 60000}, "health": {"probePort": 60001},
            "service": {"port": 60002}, "webhook": {"enabled": True, "selfSigned": True, "timeoutSeconds": 30},
            "networkPolicy": {"enabled": True, "apiServerPorts": [60003]}})
        spec = one(documents, "Deployment")["spec"]
        self.assertEqual(2000000, spec["replicas"])
        self.assertEqual(1000650000, spec["template"]["spec"]["securityContext"]["runAsUser"])
        self.assertEqual("1036800", environment(documents)["PROCESSOR_PROGRESS_TIMEOUT_SECONDS"])
        self.assertEqual('{"podSecurityContext":{"runAsUser":1000650000}}', environment(documents)["PROCESSOR_POD_DEFAULTS"])
        self.assertEqual(["--metrics-bind-address=:60000", "--health-probe-bind-address=:60001"], container(documents)["args"])
        self.assertEqual([60000, 60001, 9443], [port["containerPort"] for port in container(documents)["ports"]])
        self.assertEqual([60002, 9443], [port["port"] for port in one(documents, "Service")["spec"]["ports"]])
        self.assertIn({"port": 60003, "protocol": "TCP"}, [p for rule in one(documents, "NetworkPolicy")["spec"]["egress"] for p in rule["ports"]])
        for given, said in ((0, "0"), ("0", "0"), (600, "600"), ("0600", "0600"), ("", "3600"), (None, "3600")):
            documents = objects_with({"processorProgressTimeoutSeconds": given})
            self.assertEqual(said, environment(documents)["PROCESSOR_PROGRESS_TIMEOUT_SECONDS"])
        self.assertEqual(0, one(objects_with({"replicaCount": 0}), "Deployment")["spec"]["replicas"])

    def test_any_log_level(self):
        """One that is unknown is info and a warning of the program: no reason to refuse an upgrade."""
        said = environment(objects_with({"logLevel": "trace", "processorLogLevel": "notice"}))
        self.assertEqual(("trace", "notice"), (said["LOG_LEVEL"], said["PROCESSOR_LOG_LEVEL"]))

    def test_metrics_off_has_nothing_to_monitor(self):
        """Neither the Service nor the port is there."""
        documents = objects_with({"metrics": {"enabled": False}, "serviceMonitor": {"enabled": True}})
        self.assertEqual([], of_kind(documents, "Service", "ServiceMonitor"))

    def test_environment_is_the_operators(self):
        """Every variable that the chart sets is one that the sources read."""
        sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
        for name in SETS:
            for variable in environment(objects(*values(name))):
                if variable != "OPERATOR_DEPLOYMENT_NAME":  # of the original; ours needs it for nothing
                    self.assertIn(f'"{variable}"', sources)

    def test_crds_are_those_of_config(self):
        for crd in of_kind(objects(), "CustomResourceDefinition"):
            plural = crd["spec"]["names"]["plural"]
            written = yaml.safe_load((ROOT / f"config/crd/dataflow.dataflow.io_{plural}.yaml").read_text())
            self.assertEqual(written["spec"], crd["spec"])
            self.assertEqual("keep", crd["metadata"]["annotations"]["helm.sh/resource-policy"])
        self.assertNotIn("annotations", of_kind(objects("--set", "crds.keep=false"), "CustomResourceDefinition")[0]["metadata"])
        self.assertEqual([], of_kind(objects("--set", "crds.install=false"), "CustomResourceDefinition"))

    def test_version_is_the_programs(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = re.search(r"^  version: '([^']+)'", (ROOT / "meson.build").read_text(), re.M)[1]
        self.assertEqual((version, version), (str(chart["appVersion"]), str(chart["version"])))

    def test_notes(self):
        with tempfile.TemporaryDirectory() as holder:  # helm shows them after an install only: made a value of an object here
            chart = pathlib.Path(holder) / "chart"
            shutil.copytree(CHART, chart)
            text = (chart / "templates/NOTES.txt").read_text()
            (chart / "templates/_notes.tpl").write_text('{{- define "notes" -}}\n' + text + "{{- end -}}\n")
            (chart / "templates/notes.yaml").write_text('kind: Notes\ntext: {{ include "notes" . | quote }}\n')

            def notes(*arguments):
                return one(objects(*arguments, chart=chart), "Notes")["text"]
            self.assertIn("kubectl wait dataflow/first", notes())
            self.assertIn("for the namespaces sales, finance", notes(*values("namespaces")))
            self.assertIn("nothing is installed for it", notes(*values("original")))
            self.assertIn("webhook.enabled alone serves nothing", notes("--set", "webhook.enabled=true"))
            served = notes("--set", "webhook.enabled=true,webhook.secretName=ours")
            self.assertRegex(served, "certificate of Secret ours.*no ValidatingWebhookConfiguration was made")
            self.assertNotIn("serves nothing", served)
            for given, said in (("selfSigned=true,webhook.certManager.enabled=true,webhook.caBundle=Cg==", "selfSigned; not used: certManager, caBundle"),
                                ("certManager.enabled=true,webhook.caBundle=Cg==", "certManager; not used: caBundle")):
                self.assertIn(f"comes from webhook.{said}.", notes("--set", f"webhook.enabled=true,webhook.{given}"))
            self.assertNotIn("NOTE", notes(*values("ca-bundle")))
            self.assertIn("no ServiceMonitor", notes("--set", "metrics.enabled=false,serviceMonitor.enabled=true"))
            self.assertIn("every DataFlow", notes("--set", "crds.keep=false"))
            self.assertNotIn("NOTE", notes(*values("self-signed")))


# What null takes away: who sets these to null leaves them to the cluster.
OWN_NULL = ("podSecurityContext", "securityContext", "resources")


def nulls(node, but={}):
    """Each value null but these, each section kept."""
    return {key: nulls(child, but.get(key, {})) if isinstance(child, dict) and child else but.get(key) for key, child in node.items()}


class Null(unittest.TestCase):
    """A value, or a section, that is null has its default: Helm takes it out of the values."""
    def setUp(self):
        self.defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        self.nullable = {key: value for key, value in self.defaults.items() if key not in OWN_NULL}

    def test_each_section(self):
        for key in self.nullable:
            with self.subTest(key):
                self.assertEqual(render(), render_with({key: None}))

    def test_all_at_once(self):
        self.assertEqual(render(), render_with(dict.fromkeys(self.nullable)))
        self.assertEqual(render(), render_with(nulls(self.nullable)))

    def test_beside_a_feature(self):
        """Each feature on, everything else in its section null."""
        switches = {"webhook": {"enabled": True, "selfSigned": True}, "serviceMonitor": {"enabled": True}, "networkPolicy": {"enabled": True},
                    "sentry": {"enabled": True, "dsn": "https://key@sentry.example/1"},
                    "monitoring": {"dashboard": {"enabled": True}, "prometheusRule": {"enabled": True}}}
        self.assertEqual(render_with(switches), render_with({key: nulls(self.defaults[key], on) for key, on in switches.items()}))

    def test_contexts_are_left_to_the_cluster(self):
        spec = one(objects_with(dict.fromkeys(OWN_NULL)), "Deployment")["spec"]["template"]["spec"]
        self.assertEqual(({}, {}), (spec["securityContext"], spec["containers"][0]["securityContext"]))
        self.assertFalse(spec["containers"][0]["resources"])

    def test_defaults_that_are_not_there(self):
        """`helm upgrade --reuse-values` of a release that knew none of them."""
        with tempfile.TemporaryDirectory() as holder:
            chart = pathlib.Path(holder) / "chart"
            shutil.copytree(CHART, chart)
            (chart / "values.yaml").write_text(yaml.safe_dump({key: self.defaults[key] for key in OWN_NULL}))
            self.assertEqual(render(), render(chart=chart))


def webhooks(documents):
    return [webhook for d in of_kind(documents, "ValidatingWebhookConfiguration") for webhook in d["webhooks"]]


class Webhook(unittest.TestCase):
    def test_a_bundle_over_several_lines(self):
        """As `base64` writes it."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("LS0tLS1C\nRUdJTg==\n")
            file.flush()
            documents = objects("--set", "webhook.enabled=true", "--set-file", f"webhook.caBundle={file.name}")
        self.assertEqual(["LS0tLS1CRUdJTg=="] * 2, [webhook["clientConfig"]["caBundle"] for webhook in webhooks(documents)])

    def test_a_bundle_of_digits_is_text(self):
        self.assertEqual("12345678", webhooks(objects_with({"webhook": {"enabled": True, "caBundle": "12345678"}}))[0]["clientConfig"]["caBundle"])

    def test_several_sources_of_one_certificate(self):
        """The first of selfSigned, certManager and caBundle."""
        bundle, manager, own = {"caBundle": "Cg=="}, {"certManager": {"enabled": True}}, {"selfSigned": True}
        for given in ((manager, bundle), (own, bundle), (own, manager), (own, manager, bundle)):
            with self.subTest(given):
                both, alone = {"enabled": True}, {"enabled": True, **given[0]}
                for source in given:
                    both.update(source)
                self.assertEqual(render_with({"webhook": alone}), render_with({"webhook": both}))

    def test_only_a_secret(self):
        """Served, for a configuration that somebody else makes."""
        for given in ({"secretName": "ours"}, {"secretName": "ours", "certDir": "/certs"}, {"certDir": "/certs"}):
            with self.subTest(given):
                documents = objects_with({"webhook": {"enabled": True, **given}})
                folder = given.get("certDir", "/etc/dataflow/webhook")
                self.assertEqual([], webhooks(documents))
                self.assertEqual(folder, environment(documents)["WEBHOOK_CERT_DIR"])
                self.assertEqual(folder, container(documents)["volumeMounts"][0]["mountPath"])
                self.assertEqual(given.get("secretName", "dataflow-operator-webhook-cert"),
                                 one(documents, "Deployment")["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"])
                self.assertIn("webhook", [port["name"] for port in container(documents)["ports"]])
                self.assertIn(9443, [port["port"] for port in one(documents, "Service")["spec"]["ports"]])

    def test_nothing_is_served_without_a_certificate(self):
        self.assertEqual(render(), render_with({"webhook": {"enabled": True}}))
        self.assertEqual(render(), render_with({"webhook": {"secretName": "ours", "caBundle": "Cg==", "selfSigned": True}}))


class Refused(unittest.TestCase):
    def refused(self, text, *arguments):
        done = template(*arguments)
        self.assertNotEqual(0, done.returncode, f"{arguments} was accepted")
        self.assertIn(text, done.stderr)

    def test_values(self):
        for argument, text in (("replicaCount=two", "replicaCount"), ("replicaCount=-1", "replicaCount"),
                               ("image.pullPolicy=Sometimes", "pullPolicy"), ("image.repository=", "repository"),
                               ("webhook.caBundle=-----BEGIN", "caBundle"),
                               ("metrics.port=0", "port"), ("service.type=ExternalName", "type"), ("watchNamespaces[0]=Not_A_Name", "watchNamespaces"),
                               ("crossNamespaceSecrets[0].to[0]=x", "from"), ("webhook.failurePolicy=Never", "failurePolicy"),
                               ("webhook.timeoutSeconds=31", "timeoutSeconds"), ("serviceMonitor.interval=often", "interval"),
                               ("processorProgressTimeoutSeconds=1h", "processorProgressTimeoutSeconds"), ("sentry.tracesSampleRate=2", "tracesSampleRate")):
            with self.subTest(argument):
                self.refused(text, "--set", argument)

    def test_a_name_with_a_wildcard(self):
        self.refused("names", "--set", "crossNamespaceSecrets[0].from.namespace=a,crossNamespaceSecrets[0].from.names[0]=*,crossNamespaceSecrets[0].to[0]=b")


def grants(documents):
    """Each single grant: (kind, namespace, name of the role, group, resource, verb, resource name or None)."""
    for role in of_kind(documents, "Role", "ClusterRole"):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        for name in rule.get("resourceNames") or [None]:
                            yield role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"], group, resource, verb, name


class Rbac(unittest.TestCase):
    def each(self):
        for name in SETS:
            documents = objects(*values(name))
            yield name, documents, list(grants(documents))

    def test_never(self):
        """No wildcard, no escalation, no Secret by list, no write on pods, no delete of flows, no address that no resource has."""
        for _, documents, all_grants in self.each():
            for grant in all_grants:
                _, _, _, group, resource, verb, name = grant
                self.assertNotIn("*", f"{group} {resource} {verb} {name}")
                self.assertNotIn(verb, ("escalate", "bind", "impersonate", "deletecollection"), grant)
                self.assertNotIn(resource.partition("/")[2], ("finalizers", "exec", "log", "token"), grant)
                if resource == "secrets":
                    self.assertNotIn(verb, ("list", "watch", "update"), grant)
                    self.assertTrue(name or verb == "get", grant)
                if resource == "pods":
                    self.assertIn(verb, ("get", "list", "watch"), grant)
                if resource.startswith("dataflow"):
                    self.assertIn(verb, ("get", "list", "watch", "patch"), grant)
                if resource in ("roles", "rolebindings", "leases", "serviceaccounts"):
                    self.assertNotIn(verb, ("list", "watch"), grant)
            for role in of_kind(documents, "Role", "ClusterRole"):
                self.assertTrue(all("nonResourceURLs" not in rule for rule in role["rules"]))

    def test_secrets_only_with_an_option(self):
        touched = {name: [g for g in all_grants if g[4] == "secrets"] for name, _, all_grants in self.each()}
        self.assertEqual({"secrets", "self-signed", "everything"}, {name for name, found in touched.items() if found})
        self.assertEqual({("dataflow-system", verb, "dataflow-operator-webhook-cert") for verb in ("get", "create", "patch")},
                         {(g[1], g[5], g[6]) for g in touched["self-signed"]})

    def test_what_processors_get_is_held(self):
        """RBAC lets the operator grant only what it has itself."""
        for name, _, all_grants in self.each():
            if name != "quiet":
                for resource in ("configmaps", "leases"):
                    held = {g[5] for g in all_grants if g[4] == resource and g[6] is None and g[2].endswith("-role")}
                    self.assertLessEqual({"get", "patch", "update"}, held)

    def test_namespaces(self):
        for name in ("namespaces", "everything"):
            documents = objects(*values(name))
            self.assertEqual([], of_kind(documents, "ClusterRole", "ClusterRoleBinding"))
            wanted = {"sales", "finance"} if name == "namespaces" else {"sales"}
            self.assertEqual(wanted, {g[1] for g in grants(documents) if g[4] == "dataflows"})
            self.assertEqual(wanted, set(environment(documents)["WATCH_NAMESPACES"].split(",")))
        cluster = {g[3:] for g in grants(objects()) if g[2].endswith("-role")}
        single = {g[3:] for g in grants(objects(*values("namespaces"))) if g[2].endswith("-role")}
        self.assertEqual(cluster, single)

    def test_secrets_of_other_namespaces(self):
        """What the environment allows, each Secret by name: read where it is, copied to where it is used."""
        documents = objects(*values("secrets"))
        allowed = environment(documents)["ALLOWED_SECRET_REFERENCES"].split(",")
        self.assertEqual({"sales=databases/warehouse-db", "sales=databases/shop-db", "finance=databases/warehouse-db",
                          "finance=databases/shop-db", "reports=databases/warehouse-db"}, set(allowed))
        self.assertEqual(len(allowed), len(set(allowed)))
        wanted = {("sales", "get", None)}
        for reference in allowed:
            to, _, source = reference.partition("=")
            namespace, _, secret = source.partition("/")
            wanted.add((namespace, "get", secret))
            wanted.update((to, verb, f"dataflow-mirror.{namespace}.{secret}") for verb in ("get", "create", "patch", "delete"))
        self.assertEqual(wanted, {(g[1], g[5], g[6]) for g in grants(documents) if g[4] == "secrets"})

    def test_every_role_is_bound_once_to_the_operator(self):
        for name, documents, _ in self.each():
            roles = {(r["metadata"].get("namespace"), r["metadata"]["name"]) for r in of_kind(documents, "Role", "ClusterRole")}
            bindings = of_kind(documents, "RoleBinding", "ClusterRoleBinding")
            self.assertEqual(roles, {(b["metadata"].get("namespace"), b["roleRef"]["name"]) for b in bindings})
            self.assertEqual(len(roles), len(bindings))
            account = one(documents, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
            for binding in bindings:
                self.assertEqual([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}], binding["subjects"])


METRIC = re.compile(r"\bdataflow_[a-z_0-9]+")
OPERATORS = {"dataflow_processor_scrape_up", "dataflow_operator_leader", "dataflow_controller_reconcile_duration_seconds",
             "dataflow_controller_reconcile_errors_total", "dataflow_controller_reconcile_inflight"}


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The families of a running pipeline: {name: (kind, labels, largest finite bucket)}."""
        port = free_port()
        flow = {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "m"}, "spec": {
            "source": {"type": "generate", "config": {"rate": 100}},
            "transformations": [{"type": "timestamp"}, {"type": "cast", "config": {"spec": {"id": "string"}}}], "sink": {"type": "discard"}}}
        state = cls.enterClassContext(tempfile.TemporaryDirectory())
        program = subprocess.Popen([DATAFLOW, "run", "--metrics", f"127.0.0.1:{port}", "--state-dir", state, "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        try:
            program.stdin.write(json.dumps(flow))
            program.stdin.close()
            deadline = time.monotonic() + 20
            while True:
                try:
                    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
                    if 'outcome="written"} 0' not in text:
                        break
                except OSError:
                    pass
                if time.monotonic() > deadline:
                    raise AssertionError("no metrics within 20 s")
                time.sleep(0.05)
        finally:
            program.kill()
            program.wait()
        cls.families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        cls.largest = {}
        for name, le in re.findall(r'^(\S+)_bucket\{.*le="([0-9.e+-]+)"\}', text, re.M):
            cls.largest[name] = max(cls.largest.get(name, 0), float(le))

    def names(self, expression):
        """Metrics that an expression asks for, a histogram by its family; each must exist and be used as what it is."""
        for name in METRIC.findall(re.sub(r'"[^"]*"', "", expression)):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            if family in OPERATORS:
                continue
            kind = self.families.get(name) or self.families.get(family)
            self.assertIsNotNone(kind, f"{name} does not exist: {expression}")
            if name != family:
                self.assertEqual("histogram", kind, name)
            if kind != "gauge":
                self.assertRegex(expression, rf"rate\({name}", f"{name} only grows: {expression}")
            else:
                self.assertNotRegex(expression, rf"rate\({name}", f"{name} is a gauge: {expression}")

    def rules(self):
        rendered = one(objects(*values("everything")), "PrometheusRule")
        self.assertEqual(yaml.safe_load((CHART / "files/alerts.yaml").read_text()), rendered["spec"])
        return {rule["alert"]: rule for rule in rendered["spec"]["groups"][0]["rules"]}

    def test_alerts(self):
        rules = self.rules()
        self.assertEqual({f"DataFlow{name}" for name in (
            "InError", "ConnectorDisconnected", "HighErrorRate", "SlowProcessing", "LowTaskSuccessRate", "HighQueueSize", "HighE2ELatency",
            "PipelineStalled", "KafkaFetchTimeouts")}, set(rules))
        for name, rule in rules.items():
            with self.subTest(name):
                self.names(rule["expr"])
                self.assertTrue(METRIC.search(rule["expr"]))
                self.assertIn("{{ $labels.name }}", rule["annotations"]["summary"])

    def test_thresholds_are_in_sight(self):
        """A quantile is never reported above the largest finite bucket: a threshold there would never be passed."""
        for name, rule in self.rules().items():
            quantile = re.search(r"histogram_quantile\(.*?rate\((\w+)_bucket.*>\s*([0-9.]+)", rule["expr"], re.S)
            if quantile:
                with self.subTest(name):
                    self.assertLess(float(quantile[2]), self.largest[quantile[1]])

    def test_promtool(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        done = run("promtool", "check", "rules", CHART / "files/alerts.yaml")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        done = run("promtool", "test", "rules", HERE / "alerts_test.yaml")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_dashboard(self):
        config_map = one(objects(*values("everything")), "ConfigMap")
        self.assertEqual("1", config_map["metadata"]["labels"]["grafana_dashboard"])
        dashboard = json.loads(config_map["data"]["grafana-dashboard.json"])
        self.assertEqual(json.loads((CHART / "files/dashboard.json").read_text()), dashboard)
        panels = [p for p in dashboard["panels"] if p["type"] != "row"]
        self.assertGreater(len(panels), 20)
        asked = set()
        for panel in panels:
            for target in panel["targets"]:
                with self.subTest(panel["title"]):
                    self.names(target["expr"])
                    asked.update(METRIC.findall(target["expr"]))
        self.assertLessEqual(OPERATORS - {"dataflow_controller_reconcile_duration_seconds"}, asked)
        self.assertEqual(len(dashboard["panels"]), len({p["id"] for p in dashboard["panels"]}))
        cells = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
        self.assertEqual(len(cells), len(set(cells)), "two panels in one place")


class Made(unittest.TestCase):
    def test_manifests_are_up_to_date(self):
        """config/install.yaml, the copy of the CRDs and the dashboard are what `make manifests` writes."""
        with tempfile.TemporaryDirectory() as holder:
            done = run(ROOT / "scripts/manifests", holder, env=dict(os.environ, HELM=HELM))
            self.assertEqual(0, done.returncode, done.stderr)
            files = [path.relative_to(holder) for path in pathlib.Path(holder).rglob("*") if path.is_file()]
            self.assertEqual(4, len(files))
            for file in files:
                self.assertEqual((ROOT / file).read_text(), (pathlib.Path(holder) / file).read_text(), f"{file}: run make manifests")

    def test_install_has_nothing_of_helm(self):
        text = (ROOT / "config/install.yaml").read_text()
        self.assertNotRegex(text, r"(?i)\bhelm\b")
        kinds = [document["kind"] for document in yaml.safe_load_all(text)]
        self.assertEqual("Namespace", kinds[0])
        self.assertEqual(2, kinds.count("CustomResourceDefinition"))


if __name__ == "__main__":
    unittest.main()
