"""/metrics of the operator and the counts of a status, from real processors: the test plays the kubelet, which starts them, gives
their pods an address, and reads their last words.
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import cluster
from cluster import DATAFLOW, dataflow, wait_until

PORT = 9090  # what the operator's pods listen on; each has an address of its own in 127.0.0.0/8
ENV = {"COUNTS_INTERVAL_SECONDS": "1"}


def setUpModule():
    cluster.use()


class Processor:
    """The process of a pod, and what the kubelet says of it."""

    def __init__(self, case, flow):
        self.case, self.flow, self.restarts, self.last = case, flow, 0, {}
        self.pod = case.await_pod(flow)
        self.ip = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(2, 254)}"
        self.words = case.dir / f"{self.pod}.words"
        case.addCleanup(self.kill)
        self.start()

    def start(self):
        spec = self.case.dir / f"{self.pod}.json"
        spec.write_text(self.case.get("configmap", f"df-{self.flow}-spec")["data"]["spec.json"])
        self.words.write_text("")
        with open(self.case.dir / f"{self.pod}.log", "a") as log:
            self.process = subprocess.Popen(
                [DATAFLOW, "processor", "--spec-path", spec, "--namespace", self.case.namespace, "--name", self.flow,
                 "--metrics", f"{self.ip}:{PORT}", "--termination-log", self.words], stdin=subprocess.DEVNULL, stderr=log)
        wait_until(lambda: self.answers("/readyz"), 15, f"{self.pod} is ready")
        self.tell({"running": {"startedAt": "2026-01-01T00:00:00Z"}}, True)

    def tell(self, state, ready):
        self.case.container(self.pod, state, ready=ready, restarts=self.restarts, last_state=self.last)
        self.case.merge("pod", self.pod, {"status": {"phase": "Running", "podIP": self.ip, "podIPs": [{"ip": self.ip}]}}, "status")

    def answers(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.ip}:{PORT}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self, number=signal.SIGTERM):
        """Ends the process; its last words. The pod says so, too."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        text = self.words.read_text()
        ended = {"terminated": {"exitCode": code if code >= 0 else 128 - code, "reason": "Error" if code else "Completed", "message": text}}
        self.tell(ended, False)
        self.last = ended
        return json.loads(text) if text else None

    def restart(self):
        self.restarts += 1
        self.start()


class Metrics(cluster.Case):
    def processed(self, flow):
        return self.status(flow).get("processedCount", 0)

    def records(self, flow):
        return {r["restartCount"]: r["processed"] for r in self.status(flow).get("processors", [])}

    def settled(self, flow):
        """The records once they have been the same for three intervals."""
        def still():
            records, end = self.records(flow), time.monotonic() + 3
            while self.records(flow) == records:
                if time.monotonic() > end:
                    return records
                time.sleep(cluster.PAUSE)
            return None

        return wait_until(still, 15, lambda: f"no more counts, but {self.records(flow)}")

    def flow(self, name):
        return dataflow(name, source={"type": "generate", "config": {"rate": 200, "template": '{"n": ${counter}}'}},
                        checkpointPersistence=False)

    def up(self, operator):
        """{flow: scrape_up}"""
        return {m[1]: int(m[2]) for m in re.finditer(r'dataflow_processor_scrape_up\{.*name="(\w+)",pod=.*\} (\d)', operator.metrics())}

    def test_what_processors_say_is_merged_and_counted(self):
        operator = self.operator(env=ENV)
        self.apply(self.flow("a"), self.flow("b"))
        a, b = Processor(self, "a"), Processor(self, "b")
        wait_until(lambda: self.up(operator) == {"a": 1, "b": 1}, 15, lambda: f"both answer: {operator.metrics()}")
        text = operator.metrics()
        for p in (a, b):
            self.assertRegex(text, rf'dataflow_messages_total\{{pod="{p.pod}",namespace="{self.namespace}",name="{p.flow}",outcome="written"\}} [1-9]')
        self.assertEqual(text.count("# TYPE dataflow_messages_total counter"), 1)
        self.assertEqual(text.count("# HELP dataflow_status "), 1)
        self.assertRegex(text, r"(?m)^dataflow_operator_leader 1$")
        self.assertRegex(text, r'(?m)^dataflow_controller_reconcile_duration_seconds_count\{result="success"\} [1-9]')
        wait_until(lambda: f'dataflow_status{{namespace="{self.namespace}",name="a",phase="Running"}} 1' in operator.metrics(), 10, "phase")
        one = operator.metrics(f"?namespace={self.namespace}&name=b")
        self.assertIn(f'pod="{b.pod}"', one)
        self.assertNotIn('name="a"', one)

        # The counts go up while it runs.
        first = wait_until(lambda: self.processed("a"), 15, "a is counted")
        wait_until(lambda: self.processed("a") > first, 15, "a goes on")
        self.assertTrue(self.status("a")["lastProcessedTime"].startswith("20"))

        # kill -9: nobody answers there, everybody else does.
        a.process.kill()
        a.process.wait()
        wait_until(lambda: self.up(operator) == {"a": 0, "b": 1}, 10, "a is left out")
        self.assertNotIn(f'pod="{a.pod}",namespace', operator.metrics())
        killed = self.settled("a")[0]
        a.end(signal.SIGKILL)
        self.assertEqual(self.records("a"), {0: killed})

        # The next process of the pod is another one.
        a.restart()
        wait_until(lambda: self.records("a").get(1, 0) > 0, 15, "the second process is counted")

        # The operator goes, in the middle of it: once as it should, once as it should not.
        self.assertEqual(operator.stop(), 0)
        operator.start()
        before = self.processed("a")
        wait_until(lambda: self.processed("a") > before, 20, "it goes on behind a restart of the operator")
        operator.kill()
        self.end_lease()
        last = b.end()  # while nobody looks
        operator.start()
        # b was one process, which said at its end how much it was: all of that, and nothing twice.
        wait_until(lambda: self.processed("b") == last["processed"], 20, lambda: f"{last}, but {self.status('b')}")
        self.assertGreater(last["processed"], 0)
        second = a.end()
        wait_until(lambda: self.processed("a") == killed + second["processed"], 20, lambda: f"{killed} + {second}, but {self.status('a')}")
        self.assertEqual(self.status("a")["errorCount"], 0)

    def test_promtool_accepts_the_text(self):
        promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (Debian: prometheus); test/operator/test_metrics.c has read such a text line by line")
        operator = self.operator(env=ENV)
        self.apply(self.flow("a"), self.flow("b"))
        Processor(self, "a"), Processor(self, "b")
        wait_until(lambda: self.up(operator) == {"a": 1, "b": 1}, 15, lambda: f"both answer: {operator.metrics()}")
        done = subprocess.run([promtool, "check", "metrics"], input=operator.metrics(), capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 3), done.stderr)  # 3: it would call things otherwise
        self.assertNotIn("error while linting", done.stderr)

    def test_who_does_not_lead_says_so(self):
        leader = self.operator(env=ENV)
        wait_until(lambda: leader.metric("dataflow_operator_leader") == 1, 15, "it leads")
        other = self.operator(env=ENV)
        self.apply(self.flow("f"))
        processor = Processor(self, "f")
        wait_until(lambda: f'pod="{processor.pod}",' in leader.metrics(), 10, "the leader has the processor's")
        text = other.metrics()
        self.assertRegex(text, r"(?m)^dataflow_operator_leader 0$")
        self.assertNotIn("pod=", text)
        self.assertNotIn('name="f"', text)
        leader.kill()
        self.end_lease()
        wait_until(lambda: other.metric("dataflow_operator_leader") == 1, 30, "the other takes over")
        wait_until(lambda: f'pod="{processor.pod}",' in other.metrics(), 10, "and has the processor's")
