"""What the tests on a real API server share: a namespace for each test, objects, and the operator as a process.

    import cluster

    def setUpModule():
        cluster.use()                                  # starts it, applies config/crd

    class Flow(cluster.Case):                          # self.namespace: the test's own, deleted afterwards
        def test_something(self):
            operator = self.operator()                 # watches that namespace only; ended with the test
            self.apply(cluster.dataflow("f"))
            cluster.wait_until(lambda: self.get("deployment", "df-f"), 10, "a Deployment")

Tests wait most of the time. A module whose tests do not mind says so, and they run beside each other:

    load_tests = cluster.beside_each_other

kubectl is for what a person would type. It takes a tenth of a second of processor time, so everything that is polled goes
straight to the API: `get`, `items`, `request`.
"""
import concurrent.futures
import functools
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request
import uuid

import services

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import waiting  # noqa: E402
from ports import free_port  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
GROUP = "dataflow.dataflow.io"
PAUSE = 0.05
PATIENCE = 3  # the seconds that tests name are a quiet machine's

# Kind as kubectl spells it: the path of its API, and its plural.
KINDS = {
    "dataflow": (f"/apis/{GROUP}/v1", "dataflows"),
    "dataflowcron": (f"/apis/{GROUP}/v1", "dataflowcrons"),
    "configmap": ("/api/v1", "configmaps"),
    "secret": ("/api/v1", "secrets"),
    "pod": ("/api/v1", "pods"),
    "serviceaccount": ("/api/v1", "serviceaccounts"),
    "limitrange": ("/api/v1", "limitranges"),
    "deployment": ("/apis/apps/v1", "deployments"),
    "replicaset": ("/apis/apps/v1", "replicasets"),
    "job": ("/apis/batch/v1", "jobs"),
    "cronjob": ("/apis/batch/v1", "cronjobs"),
    "role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "rolebinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "event": ("/apis/events.k8s.io/v1", "events"),
    "namespace": ("/api/v1", "namespaces"),
    "clusterrole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "clusterrolebinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "webhook": ("/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
}
OPERATOR_LEASE = "dataflow-operator.dataflow.io"
CLUSTER_WIDE = ("namespace", "clusterrole", "clusterrolebinding", "webhook")

ENV = {}  # KUBECONFIG, KUBECTL ...: of the service
_own = threading.local()  # .connection


class Refused(Exception):
    """An answer of the API that is no success."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


def use():
    """Starts the control plane and applies our CRDs. For setUpModule."""
    ENV.update(services.use("kubernetes"))
    _disconnect()
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "config/crd"))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/dataflows.{GROUP}", f"crd/dataflowcrons.{GROUP}")
    return ENV


def wait_until(condition, seconds, what):
    """As everywhere, in the time that this machine needs."""
    return waiting.wait_until(condition, seconds * PATIENCE, what, PAUSE)


def stays(condition, seconds, what):
    """The condition must hold all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"did not stay so for {seconds} s: {what() if callable(what) else what}")
        time.sleep(PAUSE)


# ---- requests --------------------------------------------------------------------------------------------------


def kubectl(*args, text=None, check=True, kubeconfig=None):
    """Runs kubectl; returns what it prints, raises with its last words. check=False: the finished process."""
    done = subprocess.run([ENV["KUBECTL"], "--kubeconfig", kubeconfig or ENV["KUBECONFIG"], *args], input=text,
                          capture_output=True, text=True, timeout=120)
    if not check:
        return done
    if done.returncode:
        raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def _connect():
    config = pathlib.Path(ENV["KUBECONFIG"]).read_text()

    def setting(name):
        return re.search(name + r': "?([^",}\s]+)', config).group(1)

    tls = ssl.create_default_context(cafile=setting("certificate-authority"))
    tls.load_cert_chain(setting("client-certificate"), setting("client-key"))
    server = urllib.parse.urlsplit(setting("server"))
    return http.client.HTTPSConnection(server.hostname, server.port, context=tls, timeout=30)


def _disconnect():
    if getattr(_own, "connection", None):
        _own.connection.close()
    _own.connection = None


def request(method, path, body=None, content_type="application/json"):
    """One request as the administrator; the answer's JSON (or text when it is none), Refused when it is no success."""
    data = None if body is None else json.dumps(body)
    for again in (True, False):
        _own.connection = getattr(_own, "connection", None) or _connect()
        try:
            _own.connection.request(method, path, data, {"Content-Type": content_type} if data else {})
            answer = _own.connection.getresponse()
            text = answer.read().decode()
            break
        except (http.client.HTTPException, OSError):  # closed meanwhile: the API server was restarted
            _disconnect()
            if not again:
                raise
    if answer.status >= 300:
        raise Refused(answer.status, text)
    return json.loads(text) if text.startswith(("{", "[")) else text


def path_of(kind, namespace=None, name=None, subresource=None):
    group, plural = KINDS[kind]
    scope = "" if kind in CLUSTER_WIDE or namespace is None else f"/namespaces/{namespace}"
    return f"{group}{scope}/{plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")


def get(kind, namespace, name):
    """The object, or None."""
    try:
        return request("GET", path_of(kind, namespace, name))
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def items(kind, namespace=None, labels=None):
    """The objects of a kind. labels: a selector."""
    query = "?labelSelector=" + urllib.parse.quote(labels) if labels else ""
    return request("GET", path_of(kind, namespace) + query)["items"]


def merge(kind, namespace, name, patch, subresource=None):
    """A JSON merge patch."""
    return request("PATCH", path_of(kind, namespace, name, subresource), patch, "application/merge-patch+json")


WRITES = ("create", "update", "patch", "delete", "deletecollection")


def audit_mark():
    """Now, in the API server's audit log; for `audited`."""
    return pathlib.Path(ENV["KUBERNETES_AUDIT_LOG"]).stat().st_size


def audited(mark, namespace, verbs=WRITES, ignore=("leases", "events")):
    """The requests about that namespace (None: any) since then: [(verb, "resource" or "resource/subresource", name, status, user agent)].

    Leases are renewed and Events are told all the time, so they are left out unless they are asked for.
    """
    found = []
    with open(ENV["KUBERNETES_AUDIT_LOG"], encoding="utf-8") as log:
        log.seek(mark)
        for line in log:
            if not line.endswith("\n"):
                break  # it is being written
            entry = json.loads(line)
            ref = entry.get("objectRef", {})
            if entry["verb"] in verbs and namespace in (None, ref.get("namespace")) and ref.get("resource") not in ignore:
                what = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
                found.append((entry["verb"], what, ref.get("name", ""), entry.get("responseStatus", {}).get("code"), entry.get("userAgent", "")))
    return found


# ---- manifests -------------------------------------------------------------------------------------------------


def dataflow(name, **spec):
    """A DataFlow that generates rows and throws them away, with these spec fields."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "DataFlow", "metadata": {"name": name},
            "spec": {"source": {"type": "generate", "config": {"rate": 10, "template": '{"n": ${counter}}'}},
                     "sink": {"type": "discard", "config": {}}, **spec}}


def dataflowcron(name, schedule="0 0 1 1 *", **spec):
    """A DataFlowCron that generates a hundred rows a run and throws them away."""
    manifest = dataflow(name, schedule=schedule, **spec)
    manifest["kind"] = "DataFlowCron"
    if "source" not in spec:
        manifest["spec"]["source"]["config"] = {"count": 100, "template": '{"n": ${counter}}'}
    return manifest


# ---- tests beside each other -----------------------------------------------------------------------------------

AT_ONCE = 4


class _Locked:
    """A test result for several threads."""

    def __init__(self, result):
        self._result, self._lock = result, threading.RLock()

    def __getattr__(self, name):
        value = getattr(self._result, name)
        if not callable(value):
            return value

        @functools.wraps(value)
        def locked(*args, **kwargs):
            with self._lock:
                return value(*args, **kwargs)

        return locked


def _group(case, tests):
    """The tests of one class as one, which unittest takes for a test: it makes the fixtures of module and class before."""

    class Group:
        setUpClass, tearDownClass = case.setUpClass, case.tearDownClass

        def countTestCases(self):
            return len(tests)

        def __call__(self, result):
            shared = _Locked(result)
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                for done in [pool.submit(test, shared) for test in tests]:
                    done.result()

    Group.__module__, Group.__qualname__ = case.__module__, case.__qualname__
    return Group()


def beside_each_other(loader, tests, pattern):
    """For `load_tests`: some tests of each class at once, each class after the other."""
    del loader, pattern
    cases = {}

    def add(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                add(test)
            else:
                cases.setdefault(type(test), []).append(test)

    add(tests)
    return unittest.TestSuite(_group(case, found) for case, found in cases.items())


# ---- tests -----------------------------------------------------------------------------------------------------


class Case(unittest.TestCase):
    """A namespace of the test's own; what is started in it ends with the test."""

    def setUp(self):
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        request("POST", path_of("namespace"), {"metadata": {"name": self.namespace}})
        self.addCleanup(self.end_namespace)

    def end_namespace(self):
        """Deletes it; pods on a node that is not there have no kubelet that would end them."""
        request("DELETE", path_of("namespace", name=self.namespace))
        request("DELETE", path_of("pod", self.namespace), {"gracePeriodSeconds": 0})

    def operator(self, **options):
        """A started operator; see Operator."""
        operator = Operator(self.namespace, self.dir, **options)
        self.addCleanup(operator.kill)
        return operator.start()

    def kubectl(self, *args, **options):
        return kubectl("--namespace", self.namespace, *args, **options)

    def apply(self, *manifests):
        """As `kubectl apply --server-side` does, one object after another; the last one as it is then."""
        answer = None
        for manifest in manifests:
            kind, name = manifest["kind"].lower(), manifest["metadata"]["name"]
            answer = request("PATCH", path_of(kind, self.namespace, name) + "?fieldManager=test&force=true", manifest,
                             "application/apply-patch+yaml")
        return answer

    def get(self, kind, name):
        return get(kind, self.namespace, name)

    def items(self, kind, labels=None):
        return items(kind, self.namespace, labels)

    def merge(self, kind, name, patch, subresource=None):
        return merge(kind, self.namespace, name, patch, subresource)

    def writes(self, mark, **options):
        """Who wrote what in this namespace since cluster.audit_mark()."""
        return audited(mark, self.namespace, **options)

    def await_quiet(self, who="", within=30, **options):
        """Until nobody (whose user agent has `who`) has written in this namespace for two seconds. Controllers tell their status late."""

        def quiet():
            mark = audit_mark()
            time.sleep(2)
            return not [w for w in self.writes(mark, **options) if who in w[4]]

        wait_until(quiet, within, "no more writes")

    def end_lease(self):
        """As if the Lease of a killed operator had run out: the next one need not wait for that."""
        self.merge("lease", OPERATOR_LEASE, {"spec": {"holderIdentity": ""}})

    def delete(self, kind, name, propagation="Background"):
        request("DELETE", path_of(kind, self.namespace, name), {"propagationPolicy": propagation})

    def status(self, name, kind="dataflow"):
        return (self.get(kind, name) or {}).get("status", {})

    def condition(self, name, which, kind="dataflow"):
        """The condition of that type, or {}."""
        return next((c for c in self.status(name, kind).get("conditions", []) if c["type"] == which), {})

    def await_phase(self, name, phase, seconds=20, kind="dataflow", message=""):
        """Waits for the phase, and a message that contains that text."""

        def there():
            status = self.status(name, kind)
            return status.get("phase") == phase and message in status.get("message", "") and status

        return wait_until(there, seconds, lambda: f"phase {phase} {message!r}, but {self.status(name, kind)}")

    def events(self, reason=None):
        """(reason, text) of the namespace's Events about our resources, oldest first."""
        found = [e for e in self.items("event") if e.get("regarding", {}).get("kind", "").startswith("DataFlow")]
        found.sort(key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(e["reason"], e.get("note", "")) for e in found if reason in (None, e["reason"])]

    def await_event(self, reason, seconds=10):
        wait_until(lambda: self.events(reason), seconds, lambda: f"Event {reason}, but {self.events()}")
        return self.events(reason)[-1][1]

    # Without a node no pod is ever started; the test plays the kubelet.

    def pods(self, name):
        """The pods of a DataFlow that are not being deleted."""
        return [p for p in self.items("pod", f"{GROUP}/name={name}") if "deletionTimestamp" not in p["metadata"]]

    def await_pod(self, name, seconds=20, but=()):
        """The name of a pod of the DataFlow that is none of `but`."""
        found = wait_until(lambda: [p for p in self.pods(name) if p["metadata"]["name"] not in but], seconds, f"a pod of {name}")
        return found[0]["metadata"]["name"]

    def container(self, pod, state, ready=False, restarts=0, last_state=None, started=None):
        """Gives the pod's one container this state: {"waiting": {"reason": ...}}, {"running": {}}, {"terminated": {...}}."""
        if not self.get("pod", pod)["spec"].get("nodeName"):
            self.schedule(pod)  # else the scheduler says again and again that there is no node
        running = "running" in state
        status = {"name": "processor", "image": "x", "imageID": "", "ready": ready, "restartCount": restarts, "state": state,
                  "started": running if started is None else started, "lastState": last_state or {}}
        yes = "True" if ready else "False"
        self.merge("pod", pod, {"status": {
            "phase": "Running" if running or restarts else "Pending", "containerStatuses": [status],
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": yes}, {"type": "ContainersReady", "status": yes}],
        }}, "status")

    def schedule(self, pod):
        """Puts the pod on a node that is not there: from now on its deletion waits for end_pod."""
        request("POST", path_of("pod", self.namespace, pod, "binding"), {"metadata": {"name": pod}, "target": {"kind": "Node", "name": "none"}})

    def make_ready(self, pod):
        self.container(pod, {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, ready=True)

    def end_pod(self, pod):
        """The kubelet's last step of a deletion."""
        request("DELETE", path_of("pod", self.namespace, pod), {"gracePeriodSeconds": 0})


# ---- the operator ----------------------------------------------------------------------------------------------


class Operator:
    """`dataflow operator` as a process. It watches the namespace it is given, and has its Lease there.

    env: more variables, None takes one away. args: more flags. kubeconfig: as whom; the administrator when none is given.
    """

    def __init__(self, namespace, folder, env=None, args=(), kubeconfig=None):
        self.namespace = namespace
        self.metrics_port, self.health_port = free_port(), free_port()
        self.env = {"OPERATOR_NAMESPACE": namespace, "WATCH_NAMESPACES": namespace, "PROCESSOR_IMAGE": "example.org/dataflow:1", **(env or {})}
        self.command = [DATAFLOW, "operator", "--metrics-bind-address", f"127.0.0.1:{self.metrics_port}",
                        "--health-probe-bind-address", f"127.0.0.1:{self.health_port}",
                        "--kubeconfig", str(kubeconfig or ENV["KUBECONFIG"]), *args]
        self.log_path = pathlib.Path(folder) / f"operator-{self.metrics_port}.log"
        self.process = None

    def start(self, seconds=30):
        """Starts (again) and waits until it is ready."""
        env = {k: v for k, v in {**os.environ, **self.env}.items() if v is not None}
        env.pop("KUBECONFIG", None)
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        wait_until(lambda: self.ready() or self.process.poll() is not None, seconds, lambda: f"the operator is ready\n{self.log()}")
        if self.process.poll() is not None:
            raise AssertionError(f"the operator ended with {self.process.returncode}\n{self.log()}")
        return self

    def stop(self, seconds=60):
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        """kill -9, for tests and at their end."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def fetch(self, path, port=None, timeout=10):
        """(status, text) of a GET; (0, why) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.health_port}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def ready(self):
        return self.fetch("/readyz")[0] == 200

    def metrics(self, query=""):
        status, text = self.fetch("/metrics" + query, self.metrics_port)
        if status != 200:
            raise AssertionError(f"/metrics: {status} {text}")
        return text

    def metric(self, sample, /, **labels):
        """The sum of the samples of that metric that carry these labels; None when there is none."""
        total = None
        for line in self.metrics().splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == sample and labels.items() <= dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")).items():
                total = (total or 0) + float(match[3])
        return total

    def log(self):
        return self.log_path.read_text(errors="replace")

    def resident(self, figure="VmRSS"):
        """Resident memory in bytes; VmHWM: the most it ever was."""
        return int(re.search(figure + r":\s+(\d+) kB", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) * 1024


def service_account(namespace, name, folder):
    """The path of a kubeconfig that is that ServiceAccount, with a token of an hour."""
    config = pathlib.Path(ENV["KUBECONFIG"]).read_text()
    token = kubectl("--namespace", namespace, "create", "token", name, "--duration=1h").strip()
    cluster = {"server": re.search(r'server: "([^"]+)"', config)[1],
               "certificate-authority": re.search(r"certificate-authority: ([^}\s]+)", config)[1]}
    path = pathlib.Path(folder) / f"{name}.kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "test",
                                "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
                                "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": name, "user": {"token": token}}]}))
    path.chmod(0o600)
    return path
