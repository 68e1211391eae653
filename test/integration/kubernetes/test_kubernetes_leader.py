"""The operator as a process among others: who leads, what the network and the API server do to it, many flows at once.

Two operators here are two ServiceAccounts, so that the API server's audit log says which of them wrote.
"""
import concurrent.futures
import datetime
import json
import os
import pathlib
import signal
import socket
import threading
import time
import urllib.parse

import cluster
import proxy
import services
from cluster import OPERATOR_LEASE, dataflow, wait_until

FLOWS = 500 if os.environ.get("DATAFLOW_LONG") == "1" else 60
# A leader that cannot renew its Lease for 10 s ends; this one has more time than anything here takes.
PATIENT = {"LEADER_ELECTION_LEASE_DURATION_SECONDS": "90", "LEADER_ELECTION_RENEW_DEADLINE_SECONDS": "80"}
load_tests = cluster.beside_each_other


def setUpModule():
    cluster.use()


def seconds(time_text):
    return datetime.datetime.fromisoformat(time_text.replace("Z", "+00:00")).timestamp()


class Leader(cluster.Case):
    def account(self, name):
        """A kubeconfig of a ServiceAccount that may do everything, which the audit log calls by its name."""
        cluster.request("POST", cluster.path_of("serviceaccount", self.namespace), {"metadata": {"name": name}})
        binding = f"{self.namespace}-{name}"
        cluster.request("POST", cluster.path_of("clusterrolebinding"), {
            "metadata": {"name": binding}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}]})
        self.addCleanup(cluster.request, "DELETE", cluster.path_of("clusterrolebinding", name=binding))
        return cluster.service_account(self.namespace, name, self.dir)

    def holder(self):
        return (self.get("lease", OPERATOR_LEASE) or {}).get("spec", {}).get("holderIdentity", "")

    def two(self, **env):
        """Two operators, of which the first leads."""
        first = self.operator(kubeconfig=self.account("first"), env=env)
        holder = wait_until(self.holder, 10, "a leader")
        second = self.operator(kubeconfig=self.account("second"), env=env)
        return first, second, holder

    def written(self, mark, user, what=lambda ref: True, verbs=cluster.WRITES):
        """When this ServiceAccount wrote what (Lease and all), as the API server saw it."""
        times = []
        with open(cluster.ENV["KUBERNETES_AUDIT_LOG"], encoding="utf-8") as log:
            log.seek(mark)
            for line in log:
                entry = json.loads(line) if line.endswith("\n") else {"verb": "", "user": {}}
                if entry["verb"] in verbs and entry["user"].get("username", "").endswith(f":{self.namespace}:{user}") and what(entry["objectRef"]):
                    times.append((seconds(entry["stageTimestamp"]), entry["objectRef"].get("resource"), entry.get("responseStatus", {}).get("code")))
        return times

    def works(self, name):
        self.apply(dataflow(name))
        wait_until(lambda: self.get("deployment", f"df-{name}"), 20, f"the Deployment of {name}")

    def test_killed(self):
        mark = cluster.audit_mark()
        first, second, holder = self.two()
        self.works("a")
        self.assertEqual((first.metric("dataflow_operator_leader"), second.metric("dataflow_operator_leader")), (1, 0))
        self.assertEqual(self.written(mark, "second"), [], "who does not lead writes nothing")
        first.kill()
        self.apply(dataflow("b"))
        wait_until(lambda: self.get("deployment", "df-b"), 25, "the second one takes over")
        self.assertNotEqual(self.holder(), holder)
        wait_until(lambda: second.metric("dataflow_operator_leader") == 1, 5, "it says that it leads")
        time.sleep(1)  # the audit log is written behind the answer
        self.assertLess(max(self.written(mark, "first"))[0], min(self.written(mark, "second"))[0], "one after the other")
        self.check_takeover(mark)

    def check_takeover(self, mark):
        """Not before the Lease of 15 s is over, and then at the first look. There is one every 2 s, on a busy machine later, so how
        many it takes is no matter of the machine: one that crosses the last renewal, one that sees it, and what 15 s need."""
        def of_lease(ref):
            return (ref["resource"], ref.get("name", OPERATOR_LEASE)) == ("leases", OPERATOR_LEASE)

        renewed = max(self.written(mark, "first", of_lease))[0]
        taken = min(self.written(mark, "second", of_lease))[0]
        looks = [when for when, _, _ in self.written(mark, "second", of_lease, ("get",)) if renewed < when < taken]
        self.assertGreater(taken - looks[0], 12, "times of the server")
        self.assertLessEqual(len(looks), 10)

    def test_released(self):
        first, second, holder = self.two(**PATIENT)
        began = time.monotonic()
        self.assertEqual(first.stop(), 0, first.log())
        wait_until(lambda: self.holder() not in ("", holder), 20, "the Lease was given up, so nobody waits for its end")
        self.assertLess(time.monotonic() - began, 80)
        self.works("a")
        self.assertEqual(second.stop(), 0, second.log())
        self.assertEqual(self.holder(), "")

    def test_frozen(self):
        """A leader that stood still, and wakes up when another leads, must not write any more."""
        quick = {"LEADER_ELECTION_LEASE_DURATION_SECONDS": "9", "LEADER_ELECTION_RENEW_DEADLINE_SECONDS": "8"}
        mark = cluster.audit_mark()
        first = self.operator(kubeconfig=self.account("first"), env=quick)
        wait_until(self.holder, 10, "a leader")
        second = self.operator(kubeconfig=self.account("second"), env=quick)
        self.works("a")
        self.await_quiet(ignore=("leases",))  # what is on its way to the server arrives, whatever becomes of its sender
        os.kill(first.process.pid, signal.SIGSTOP)
        self.merge("dataflow", "a", {"spec": {"replicas": 0}})  # work that waits for it
        wait_until(lambda: second.metric("dataflow_operator_leader") == 1, 20, "the second one takes over")
        wait_until(lambda: self.get("deployment", "df-a")["spec"]["replicas"] == 0, 10, "and does the work")
        self.merge("dataflow", "a", {"spec": {"replicas": 1}})
        os.kill(first.process.pid, signal.SIGCONT)
        self.assertEqual(first.process.wait(60), 1, first.log())
        self.assertIn("the Lease is lost", first.log())
        time.sleep(1)
        began = min(self.written(mark, "second", lambda ref: ref["resource"] == "leases"))[0]
        late = [w for w in self.written(mark, "first") if w[0] > began and w[2] < 300]
        self.assertEqual(late, [], "nothing that took effect")
        wait_until(lambda: self.get("deployment", "df-a")["spec"]["replicas"] == 1, 10, "the second one goes on")


class Start(cluster.Case):
    def test_stopped_before_it_has_seen_everything(self):
        """No rights on what it watches: it says so, waits, and ends when it is told to."""
        cluster.request("POST", cluster.path_of("serviceaccount", self.namespace), {"metadata": {"name": "poor"}})
        rules = {"rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"]}]}
        cluster.request("POST", cluster.path_of("role", self.namespace), {"metadata": {"name": "poor"}, **rules})
        cluster.request("POST", cluster.path_of("rolebinding", self.namespace), {
            "metadata": {"name": "poor"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "poor"},
            "subjects": [{"kind": "ServiceAccount", "name": "poor", "namespace": self.namespace}]})
        operator = self.operator(kubeconfig=cluster.service_account(self.namespace, "poor", self.dir))
        wait_until(lambda: "watching dataflows" in operator.log() and "forbidden" in operator.log(), 10, operator.log)
        self.assertEqual(operator.stop(), 0, operator.log())
        self.assertEqual(self.get("lease", OPERATOR_LEASE)["spec"].get("holderIdentity", ""), "", "the Lease is given back")


class OwnImage(cluster.Case):
    def test_without_a_processor_image(self):
        """Processors run the image of the operator's own pod, which has the name of its host."""
        wait_until(lambda: self.get("serviceaccount", "default"), 20, "the namespace's ServiceAccount")
        cluster.request("POST", cluster.path_of("pod", self.namespace), {
            "metadata": {"name": socket.gethostname().lower()}, "spec": {"containers": [{"name": "manager", "image": "example.org/own:7"}]}})
        self.operator(env={"PROCESSOR_IMAGE": None})
        self.apply(dataflow("f"))
        deployment = wait_until(lambda: self.get("deployment", "df-f"), 15, "the Deployment")
        self.assertEqual(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "example.org/own:7")


class Many(cluster.Case):
    def many(self, names):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            list(pool.map(lambda name: self.apply(dataflow(name)), names))

    def missing(self, names):
        there = {d["metadata"]["name"] for d in self.items("deployment")}
        return [name for name in names if f"df-{name}" not in there]

    def await_all(self, names, within):
        wait_until(lambda: not self.missing(names) or time.sleep(0.3), within, lambda: f"Deployments of {self.missing(names)[:5]}")


class Restart(Many):
    """With nothing beside it."""

    def test_api_server_restarts(self):
        operator = self.operator(env=PATIENT)
        names = [f"f{i}" for i in range(10)]
        self.many(names[:5])
        services.script("kubernetes", "stop")
        time.sleep(2)
        services.script("kubernetes", "start")
        self.many(names[5:])
        self.await_all(names, 40)
        self.assertIsNone(operator.process.poll(), operator.log())
        self.assertIn("connection_error", operator.log(), "it was not there meanwhile")


class Trouble(Many):
    def test_watches_are_cut(self):
        """Between operator and API server the network breaks again and again."""
        server = urllib.parse.urlsplit(json.loads(cluster.kubectl("config", "view", "-o", "json"))["clusters"][0]["cluster"]["server"])
        with proxy.Proxy((server.hostname, server.port)) as network:
            config = pathlib.Path(cluster.ENV["KUBECONFIG"]).read_text().replace(server.netloc, f"127.0.0.1:{network.port}")
            path = self.dir / "through.kubeconfig"
            path.write_text(config)
            operator = self.operator(env=PATIENT, kubeconfig=path)
            self.many(["before"])
            self.await_all(["before"], 15)
            names = [f"f{i}" for i in range(12)]
            for i, name in enumerate(names):
                self.many([name])
                network.reset() if i % 2 else network.cut()
                time.sleep(0.1)
            network.refuse = True  # nothing is seen now
            network.cut()
            self.many(["unseen"])
            self.delete("dataflow", "before")
            time.sleep(1)
            network.refuse = False
            self.await_all([*names, "unseen"], 30)
            wait_until(lambda: not self.get("deployment", "df-before"), 20, "what was deleted meanwhile is gone")
            self.assertIsNone(operator.process.poll(), operator.log())

    def test_conflicts(self):
        """Somebody writes into our objects all the time; in the end they are what the flow says, and theirs stays."""
        operator = self.operator()
        self.apply(dataflow("f"))
        self.await_all(["f"], 15)
        stop, rounds = threading.Event(), []

        def storm():
            while not stop.is_set():
                i = len(rounds)
                self.kubectl("patch", "deployment", "df-f", "--type=merge", "-p", json.dumps(
                    {"metadata": {"labels": {"theirs": str(i)}}, "spec": {"replicas": i % 4 + 2, "revisionHistoryLimit": i % 3 + 5}}))
                self.kubectl("patch", "dataflow", "f", "--type=merge", "-p", json.dumps({"metadata": {"annotations": {"theirs": str(i)}}}))
                rounds.append(i)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            storms = [pool.submit(storm) for _ in range(2)]
            try:
                while len(rounds) < 12 and not any(s.done() for s in storms):
                    self.merge("dataflow", "f", {"spec": {"channelBufferSize": 200 + len(rounds)}})
                    time.sleep(0.2)
            finally:
                stop.set()
            for s in storms:
                s.result()
        self.merge("dataflow", "f", {"spec": {"channelBufferSize": 205}})

        def settled():
            d = self.get("deployment", "df-f")
            spec = json.loads(self.get("configmap", "df-f-spec")["data"]["spec.json"])
            return (d["spec"]["replicas"], d["spec"]["revisionHistoryLimit"], spec["channelBufferSize"]) == (1, 2, 205) and d["metadata"]["labels"]["theirs"]

        wait_until(settled, 20, lambda: self.get("deployment", "df-f")["spec"])
        self.assertIsNone(operator.process.poll(), operator.log())

    def test_many(self):
        """FLOWS of them: every Deployment, a status each, then no request any more, and memory that does not grow with them."""
        operator = self.operator()
        empty = operator.resident()
        names = [f"f{i}" for i in range(FLOWS)]
        self.many(names)
        self.await_all(names, 30 + FLOWS / 2)
        wait_until(lambda: all(f.get("status", {}).get("observedGeneration") == 1 for f in self.items("dataflow")) or time.sleep(0.5), 60, "a status each")
        time.sleep(5)
        mark = cluster.audit_mark()
        time.sleep(6)
        self.assertEqual([w for w in self.writes(mark) if w[4].startswith("dataflow")], [])
        self.assertLess(operator.resident() - empty, (4 << 20) + FLOWS * (20 << 10))
