"""The chart, rendered and applied on a real API server: what the tests of the chart share."""
import json
import os
import shutil
import subprocess
import unittest

import yaml

import cluster
import services

CHART = cluster.ROOT / "charts/dataflow"
OTHERS_KINDS = ("PrometheusRule", "ServiceMonitor", "Certificate", "Issuer")  # their CRDs are not there


def helm():
    """The program; built when it is missing. Without Go that is a failure in CI, and elsewhere a skip that says so."""
    program = services.environment("helm")["HELM"]
    if not os.access(program, os.X_OK):
        if not shutil.which("go") and not os.environ.get("CI"):
            raise unittest.SkipTest("helm is not here, and no go to build it with")
        services.script("helm", "install")
    return program


class Case(cluster.Case):
    """The release is in the test's namespace, flows are in others that begin with its name."""

    def more(self, suffix):
        """A second namespace of the test's."""
        name = f"{self.namespace}-{suffix}"
        cluster.request("POST", cluster.path_of("namespace"), {"metadata": {"name": name}})
        self.addCleanup(cluster.kubectl, "delete", "namespace", name, "--wait=false")
        return name

    def render(self, values):
        path = self.dir / "values.yaml"
        path.write_text(json.dumps({"fullnameOverride": self.namespace, **values}))
        done = subprocess.run([helm(), "template", "release", CHART, "--namespace", self.namespace, "--kube-version", "1.36", "-f", path],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(0, done.returncode, done.stderr)
        return [d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] not in OTHERS_KINDS]

    def install(self, **values):
        """Applies what the chart renders; returns its objects."""
        documents = self.render(values)
        for document in documents:
            if document["kind"] in ("ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration"):
                self.addCleanup(cluster.kubectl, "delete", document["kind"], document["metadata"]["name"], "--ignore-not-found")
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=yaml.safe_dump_all(documents))
        self.user = f"system:serviceaccount:{self.namespace}:{self.namespace}"
        return documents

    def apply_in(self, namespace, *manifests):
        for manifest in manifests:
            path = cluster.path_of(manifest["kind"].lower(), namespace, manifest["metadata"]["name"])
            cluster.request("PATCH", path + "?fieldManager=test&force=true", manifest, "application/apply-patch+yaml")
