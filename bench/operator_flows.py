#!/usr/bin/env python3
"""The operator on a control plane of its own: memory, requests, times; beside another operator of the same resources.

    bench/operator_flows.py [COUNT...]     with so many DataFlows at once (0 500; 5000 takes some minutes)

DATAFLOW: the program (build-bench/src/cmd/dataflow). DATAFLOW_BENCH_OTHER="NAME=PROGRAM=CRD.yaml": the other one, which is run with
KUBECONFIG and the flags of the original operator. The API server's audit log says how many requests each made.
"""
import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMESPACE = "bench"
SERVICE = ROOT / "test/services/kubernetes"


def row(name, value, note=""):
    print(f"  {name:64} {value:>14}  {note}", flush=True)


class Cluster:
    def __init__(self):
        subprocess.run([SERVICE, "clean"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([SERVICE, "start"], check=True)
        env = dict(line.split("=", 1) for line in subprocess.run([SERVICE, "env"], capture_output=True, text=True, check=True).stdout.splitlines())
        self.kubeconfig, self.audit = env["KUBECONFIG"], env["KUBERNETES_AUDIT_LOG"]
        config = yaml.safe_load(pathlib.Path(self.kubeconfig).read_text())
        user = config["users"][0]["user"]
        self.tls = ssl.create_default_context(cafile=config["clusters"][0]["cluster"]["certificate-authority"])
        self.tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self.host = urllib.parse.urlsplit(config["clusters"][0]["cluster"]["server"]).netloc
        self.local = threading.local()

    def stop(self):
        subprocess.run([SERVICE, "clean"], check=False)

    def ask(self, method, path, body=None, kind="application/json"):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPSConnection(self.host, context=self.tls)
        try:
            self.local.connection.request(method, path, body and json.dumps(body), {"Content-Type": kind})
            answer = self.local.connection.getresponse()
            text = answer.read()
        except http.client.HTTPException:  # the server ended an idle connection
            del self.local.connection
            return self.ask(method, path, body, kind)
        if answer.status >= 400 and answer.status not in (404, 409):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return answer.status, json.loads(text)

    def count(self, path):
        """Objects of a list, without reading them."""
        _, page = self.ask("GET", f"{path}?limit=1")
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def requests(self, agent, since):
        """Requests of a user agent from that byte of the audit log on: (reads, writes), without watches and the Lease of the leader."""
        reads = writes = 0
        with open(self.audit) as log:
            log.seek(since)
            for line in log:
                entry = json.loads(line)
                reference = entry.get("objectRef", {})
                if not entry.get("userAgent", "").startswith(agent) or entry["verb"] == "watch" or reference.get("name") == "dataflow-operator.dataflow.io":
                    continue
                if entry["verb"] in ("get", "list"):
                    reads += 1
                else:
                    writes += 1
        return reads, writes

    def audit_size(self):
        return os.path.getsize(self.audit)


def flow(i):
    return {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": f"flow-{i}", "namespace": NAMESPACE}, "spec": {
        "source": {"type": "kafka", "kafka": {"brokers": ["kafka:9092"], "topic": f"orders-{i}", "consumerGroup": f"group-{i}"}},
        "sink": {"type": "postgresql", "postgresql": {"connectionString": f"postgres://bench@db:5432/d{i}", "table": "orders"}},
        "transformations": [{"type": "timestamp", "timestamp": {"fieldName": "created_at"}},
                            {"type": "filter", "filter": {"condition": "$.level != 'debug'"}}]}}


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Operator:
    """A running operator; `agent` is how its requests begin to name it."""

    def __init__(self, cluster, name, command, agent, crds):
        self.cluster, self.name, self.agent = cluster, name, agent
        for crd in crds:
            for document in yaml.safe_load_all(pathlib.Path(crd).read_text()):
                path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                cluster.ask("DELETE", f"{path}/{document['metadata']['name']}")
                wait(lambda: cluster.ask("GET", f"{path}/{document['metadata']['name']}")[0] == 404, 60, "the old CRD")
                cluster.ask("POST", path, document)
        cluster.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        cluster.ask("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/dataflow-operator.dataflow.io")
        time.sleep(1)
        self.since = cluster.audit_size()
        self.log = tempfile.NamedTemporaryFile("w+")
        started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={
            **os.environ, "KUBECONFIG": cluster.kubeconfig, "OPERATOR_NAMESPACE": NAMESPACE, "PROCESSOR_IMAGE": "dataflow:bench"})
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/dataflow-operator.dataflow.io"
        wait(lambda: cluster.ask("GET", lease)[1].get("spec", {}).get("holderIdentity"), 60, "a leader")
        row(f"{name}: start to leader, s", f"{time.monotonic() - started:.2f}")

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["VmRSS"].split()[0]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def single(operator, times=20):
    """From the answer to the creation of a DataFlow to its Deployment."""
    cluster, took = operator.cluster, []
    for i in range(times):
        body = flow(f"single{i}")
        started = time.monotonic()
        cluster.ask("POST", f"/apis/dataflow.dataflow.io/v1/namespaces/{NAMESPACE}/dataflows", body)
        path = deployment_path(operator, f"single{i}")
        wait(lambda path=path: cluster.ask("GET", path)[0] == 200, 60, f"the Deployment of {body['metadata']['name']}")
        took.append((time.monotonic() - started) * 1000)
    row(f"{operator.name}: created to Deployment, ms, median of {times}", f"{statistics.median(took):.0f}",
        f"the slowest {max(took):.0f}" + ("; aim 100" if operator.name == "dataflow" else ""))


def deployment_path(operator, i):
    prefix = "df-" if operator.name == "dataflow" else os.environ.get("DATAFLOW_BENCH_OTHER_PREFIX", "df-")
    return f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{prefix}flow-{i}"


def many(operator, count, begin):
    cluster = operator.cluster
    since, started = cluster.audit_size(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: cluster.ask("POST", f"/apis/dataflow.dataflow.io/v1/namespaces/{NAMESPACE}/dataflows", flow(i)), range(begin, count)))
    wanted = count + 20
    wait(lambda: cluster.count(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments") >= wanted or time.sleep(0.2), 1800, f"{count} Deployments")
    row(f"{operator.name}: {count} flows reconciled, s", f"{time.monotonic() - started:.1f}", f"{count - begin} of them new")
    settle(cluster, operator)
    reads, writes = cluster.requests(operator.agent, since)
    row(f"{operator.name}: requests a new flow", f"{(reads + writes) / (count - begin):.1f}", f"{writes / (count - begin):.1f} of them write")
    row(f"{operator.name}: resident with {count} flows, MiB", f"{operator.resident():.1f}", {500: "aim 20", 5000: "aim 60"}.get(count, ""))


def settle(cluster, operator):
    """Until it makes no request for five seconds."""
    while True:
        since = cluster.audit_size()
        time.sleep(5)
        if cluster.requests(operator.agent, since) == (0, 0):
            return


def steady(operator, seconds):
    since = operator.cluster.audit_size()
    time.sleep(seconds)
    reads, writes = operator.cluster.requests(operator.agent, since)
    row(f"{operator.name}: requests in {seconds} s of steady state", f"{reads + writes}", f"{writes} of them write" + ("; aim 0" if operator.name == "dataflow" else ""))


def measure(operator, counts):
    time.sleep(3)
    row(f"{operator.name}: resident with 0 flows, MiB", f"{operator.resident():.1f}", "aim 12" if operator.name == "dataflow" else "")
    single(operator)
    settle(operator.cluster, operator)
    begin = 0
    for count in (c for c in counts if c > 0):
        many(operator, count, begin)
        begin = count
        steady(operator, 60)
    operator.stop()


def main(argv):
    counts = [int(a) for a in argv] or [500]
    program = os.environ.get("DATAFLOW", ROOT / "build-bench/src/cmd/dataflow")
    others = [("dataflow", [program, "operator", "--metrics-bind-address", f"127.0.0.1:{free_port()}", "--health-probe-bind-address", "0"], "dataflow",
               sorted((ROOT / "config/crd").glob("*.yaml")))]
    if os.environ.get("DATAFLOW_BENCH_ONLY_OTHER"):
        others.clear()
    if other := os.environ.get("DATAFLOW_BENCH_OTHER"):
        name, path, crd = other.split("=")
        others.append((name, [path, "--metrics-bind-address", f"127.0.0.1:{free_port()}", "--health-probe-bind-address", f"127.0.0.1:{free_port()}"],
                       pathlib.Path(path).name, [crd]))
    for name, command, agent, crds in others:
        cluster = Cluster()
        try:
            measure(Operator(cluster, name, command, agent, crds), counts)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
