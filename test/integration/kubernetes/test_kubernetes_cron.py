"""DataFlowCrons on a real API server and its controllers. There is no node: the test ends the pods of a Job, Kubernetes ends the Job.

CronJobs fire at full minutes, so runs are begun with `kubectl create job --from=cronjob/...`, which are runs as all others. The one test
that waits for a tick needs DATAFLOW_LONG=1.
"""
import datetime
import hashlib
import os
import unittest

import cluster
from cluster import GROUP, wait_until

RUN = f"{GROUP}/run-id"
CHAIN = f"{GROUP}/chain"
TRIGGERS = [{"name": "report", "image": "example.org/hook:1", "command": ["/hook"]},
            {"image": "example.org/hook:1", "env": [{"name": "A", "value": "b"}]},
            {"name": "last", "image": "example.org/hook:1"}]
load_tests = cluster.beside_each_other


def setUpModule():
    cluster.use()


def run_id(job):
    return hashlib.sha1(job.encode()).hexdigest()[:8]


class Cron(cluster.Case):
    def setUp(self):
        super().setUp()
        self.runs = 0

    def cron(self, **spec):
        """Applies cron `c` and waits for its CronJob."""
        self.apply(cluster.dataflowcron("c", **spec))
        return wait_until(lambda: self.get("cronjob", "dfc-c"), 10, lambda: f"a CronJob, but {self.status()}")

    def status(self, name="c", kind="dataflowcron"):
        return super().status(name, kind)

    def await_phase(self, phase, message="", seconds=20):
        return super().await_phase("c", phase, seconds, "dataflowcron", message)

    def run_now(self):
        """The name of the processor Job of a new run."""
        self.runs += 1
        job = f"dfc-c-manual-{1700000000 + self.runs}"
        self.kubectl("create", "job", "--from=cronjob/dfc-c", job)
        return job

    def job(self, name):
        return self.get("job", name)

    def jobs(self):
        return sorted(j["metadata"]["name"] for j in self.items("job"))

    def trigger(self, job, index):
        return f"dfc-c-{run_id(job)}-trigger-{index}"

    def suspended(self, name):
        return bool(self.job(name)["spec"].get("suspend"))

    def await_job(self, name, seconds=10):
        return wait_until(lambda: self.job(name), seconds, lambda: f"Job {name}, but {self.jobs()} {self.status()}")

    def mark(self, name):
        return self.job(name)["metadata"].get("annotations", {}).get(CHAIN)

    def end(self, name, failed=False, exit_code=0, message=""):
        """Ends the Job's pod as a kubelet would, and waits until the Job has."""
        self.await_job(name)
        if failed:  # at once, instead of after seven pods
            self.merge("job", name, {"spec": {"backoffLimit": 0}})
        pods = wait_until(lambda: self.items("pod", f"batch.kubernetes.io/job-name={name}"), 15, f"a pod of {name}")
        pod = pods[0]
        end = {"exitCode": exit_code or int(failed), "reason": "Error" if failed else "Completed", "message": message,
               "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
        container = {"name": pod["spec"]["containers"][0]["name"], "image": "x", "imageID": "", "ready": False, "restartCount": 0,
                     "started": False, "state": {"terminated": end}}
        self.merge("pod", pod["metadata"]["name"], {"status": {"phase": "Failed" if failed else "Succeeded", "containerStatuses": [container]}},
                   "status")
        kind = "Failed" if failed else "Complete"
        wait_until(lambda: any(c["type"] == kind and c["status"] == "True" for c in self.job(name).get("status", {}).get("conditions", [])),
                   15, lambda: f"Job {name} {kind}: {self.job(name)['status']}")

    def test_recreated(self):
        """What is left of the runs of a cron that was deleted is no run of the next one of its name."""
        self.operator()
        self.cron(triggers=TRIGGERS)
        job = self.run_now()
        self.await_phase("Running")
        self.merge("job", job, {"metadata": {"finalizers": ["test/hold"]}})
        uid = self.get("dataflowcron", "c")["metadata"]["uid"]
        self.delete("dataflowcron", "c")
        wait_until(lambda: "deletionTimestamp" in self.job(job)["metadata"], 15, lambda: self.job(job))
        self.cron(triggers=TRIGGERS)
        self.assertNotEqual(self.get("dataflowcron", "c")["metadata"]["uid"], uid)
        self.await_phase("Pending", "No run yet")
        cluster.stays(lambda: self.status().get("message") == "No run yet" and self.jobs() == [job], 1, lambda: (self.status(), self.jobs()))
        self.merge("job", job, {"metadata": {"finalizers": None}})
        wait_until(lambda: self.jobs() == [], 10, self.jobs)
        self.assertEqual(self.await_phase("Pending")["message"], "No run yet")

    # ---- a chain -------------------------------------------------------------------------------------------------

    def test_a_chain_over_a_killed_operator(self):
        """Three triggers, the second one fails; the operator is killed in mid-chain. Nothing runs twice, the third never."""
        operator = self.operator()
        self.cron(triggers=TRIGGERS)
        self.assertEqual(self.await_phase("Pending")["message"], "No run yet")
        self.assertEqual(self.condition("c", "Ready", "dataflowcron")["status"], "True")
        job = self.run_now()
        status = self.await_phase("Running")
        self.assertEqual((status["currentRunID"], status["activeJobName"]), (run_id(job), job))
        self.assertNotIn("currentTriggerIndex", status)
        self.assertEqual(self.job(job)["metadata"]["labels"][RUN], run_id(job))

        self.end(job)
        first = self.await_job(self.trigger(job, 0))
        labels = first["metadata"]["labels"]
        self.assertEqual((labels[RUN], labels[f"{GROUP}/trigger-index"], labels[f"{GROUP}/dataflow-cron"]), (run_id(job), "0", "c"))
        owner = first["metadata"]["ownerReferences"][0]
        self.assertEqual((owner["kind"], owner["controller"], owner["blockOwnerDeletion"]), ("DataFlowCron", True, False))
        self.assertEqual(first["metadata"]["annotations"][f"{GROUP}/processor-job"], job)
        status = self.await_phase("RunningTriggers")
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (0, self.trigger(job, 0)))

        for reason in ("RunStarted", "TriggerStarted"):  # what waits to be told dies with it
            self.await_event(reason)
        operator.kill()
        self.end_lease()
        self.end(self.trigger(job, 0))
        self.assertEqual(self.jobs(), [self.trigger(job, 0), job])
        operator.start()
        second = self.await_job(self.trigger(job, 1), 20)
        self.await_phase("RunningTriggers", "Trigger 1 pod cannot be scheduled")
        wait_until(lambda: self.mark(job) == "trigger-1", 5, "the mark")
        self.end(self.trigger(job, 1), failed=True, exit_code=3)

        status = self.await_phase("Failed", f"Trigger 1 failed (Error): exit status 3; Job {self.trigger(job, 1)} failed: BackoffLimitExceeded")
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (1, self.trigger(job, 1)))
        self.assertIn("lastFailedTime", status)
        self.assertNotIn("lastSuccessfulTime", status)
        self.assertEqual(self.condition("c", "Ready", "dataflowcron")["status"], "False")
        self.assertEqual(self.mark(job), "failed")
        self.assertEqual(self.jobs(), [self.trigger(job, 0), self.trigger(job, 1), job])
        self.assertEqual(self.job(self.trigger(job, 0))["metadata"]["uid"], first["metadata"]["uid"])
        self.assertEqual(self.job(self.trigger(job, 1))["metadata"]["uid"], second["metadata"]["uid"])
        self.await_event("TriggerFailed")

        # A later run is a new one; what failed is history.
        job = self.run_now()
        self.await_phase("Running")
        for name in (job, *(self.trigger(job, i) for i in range(3))):
            self.end(name)
        status = self.await_phase("Completed")
        self.assertNotIn("activeJobName", status)
        self.assertNotIn("currentTriggerIndex", status)
        self.assertEqual(status["lastSuccessfulTime"], self.job(self.trigger(job, 2))["status"]["completionTime"])
        self.await_event("RunCompleted")
        self.assertEqual(len(self.events("TriggerStarted")), 5)
        self.assertEqual(len(self.events("RunStarted")), 2)

        # The operator looks, and does nothing.
        self.await_quiet()
        mark, before = cluster.audit_mark(), operator.metric("dataflow_controller_reconcile_duration_seconds_count")
        self.merge("job", job, {"metadata": {"annotations": {"touched": "yes"}}})
        cluster.stays(lambda: self.status() == status, 1.5, "the status")
        self.assertIn(operator.metric("dataflow_controller_reconcile_duration_seconds_count") - before, (1, 2))
        self.assertEqual([(verb, what, name) for verb, what, name, _, _ in self.writes(mark)], [("patch", "jobs", job)])

    def test_a_processor_that_fails(self):
        self.operator()
        self.cron(triggers=TRIGGERS[:1])
        job = self.run_now()
        self.await_phase("Running")
        self.end(job, failed=True, message='{"exit":1,"error_type":"auth_error","message":"password refused"}')
        status = self.await_phase("Failed", "Processor failed (auth_error): password refused")
        self.assertEqual(status["activeJobName"], job)
        self.assertNotIn("currentTriggerIndex", status)
        self.await_event("RunFailed")
        self.assertEqual(self.jobs(), [job])

    def test_a_trigger_that_does_not_start(self):
        """Its pod says why. It is no processor's: a reset does not wait for it."""
        self.operator()
        self.cron(triggers=TRIGGERS[:1])
        job = self.run_now()
        self.end(job)
        name = self.trigger(job, 0)
        self.await_phase("RunningTriggers", "Trigger 0 (report) pod cannot be scheduled: no nodes available")  # says the scheduler
        pod = self.items("pod", f"batch.kubernetes.io/job-name={name}")[0]["metadata"]["name"]
        self.container(pod, {"waiting": {"reason": "ErrImagePull", "message": "no such image"}})
        status = self.await_phase("RunningTriggers", "Cannot start trigger 0 (report): ErrImagePull: no such image")
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (0, name))
        self.merge("dataflowcron", "c", {"spec": {"checkpointReset": True}})
        wait_until(lambda: not self.get("dataflowcron", "c")["spec"].get("checkpointReset"), 10, "the reset does not wait for the trigger")
        self.container(pod, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        self.await_phase("RunningTriggers", "Trigger 0 (report) is running")
        self.end(name, failed=True, exit_code=3, message="no such report\n")
        status = self.await_phase("Failed", f"Trigger 0 (report) failed (Error): no such report; Job {name} failed: BackoffLimitExceeded")
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (0, name))

    def test_a_pod_that_may_not_be_made(self):
        """Only an Event of the Job says so. What is refused here: more than 50m of CPU, which the trigger wants."""
        self.operator(env={"RECONCILE_PENDING_REQUEUE_SECONDS": "1"})
        self.cron(resources={"requests": {"cpu": "10m"}, "limits": {"cpu": "10m"}},
                  triggers=[{**TRIGGERS[0], "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}])
        self.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
                    "spec": {"limits": [{"type": "Container", "max": {"cpu": "50m"}}]}})
        job = self.run_now()
        self.end(job)
        name = self.trigger(job, 0)
        status = self.await_phase("RunningTriggers", f"Job {name} cannot create its pod: Error creating: pods", 30)
        self.assertIn("maximum cpu usage per Container is 50m", status["message"])
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (0, name))

    def test_deleted_in_mid_run(self):
        self.operator()
        self.cron(triggers=TRIGGERS)
        job, other = self.run_now(), self.run_now()
        self.end(job)
        self.await_job(self.trigger(job, 0))
        self.await_job(other)
        self.delete("dataflowcron", "c")
        kinds = ("job", "cronjob", "pod", "role", "rolebinding", "lease")

        def left():
            found = [f"{kind}/{o['metadata']['name']}" for kind in kinds for o in self.items(kind)]
            found += [f"configmap/{o['metadata']['name']}" for o in self.items("configmap", f"{GROUP}/owned=true")]
            return [name for name in found if not name.endswith("dataflow-operator.dataflow.io")]

        wait_until(lambda: not left(), 30, lambda: f"nothing is left, but {left()}")

    # ---- gates ---------------------------------------------------------------------------------------------------

    def test_forbid_waits_for_the_chain(self):
        self.operator()
        cronjob = self.cron(concurrencyPolicy="Forbid", triggers=TRIGGERS[:1])
        self.assertTrue(cronjob["spec"]["jobTemplate"]["spec"]["suspend"])
        first = self.run_now()
        wait_until(lambda: not self.suspended(first), 10, "the gate is open")
        self.end(first)
        self.await_job(self.trigger(first, 0))
        second = self.run_now()
        cluster.stays(lambda: self.suspended(second), 1.5, "the second run waits")
        self.assertEqual(self.status()["currentRunID"], run_id(first))
        self.end(self.trigger(first, 0))
        wait_until(lambda: not self.suspended(second), 10, "the second run begins")
        self.assertEqual(self.await_phase("Running")["currentRunID"], run_id(second))
        self.assertEqual(self.mark(first), "done")

        third = self.run_now()
        self.merge("dataflowcron", "c", {"spec": {"startingDeadlineSeconds": 60}})
        cluster.stays(lambda: self.suspended(third), 0.5, "it waits")
        self.merge("job", third, {"metadata": {"annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:00:00Z"}}})
        self.await_event("RunSkipped")
        wait_until(lambda: not self.job(third), 5, "which is deleted")

    def test_replace_ends_the_chain(self):
        self.operator()
        self.cron(concurrencyPolicy="Replace", triggers=TRIGGERS[:2])
        first = self.run_now()
        self.end(first)
        self.await_job(self.trigger(first, 0))
        pod = wait_until(lambda: self.items("pod", f"batch.kubernetes.io/job-name={self.trigger(first, 0)}"), 10, "its pod")
        pod = pod[0]["metadata"]["name"]
        self.schedule(pod)  # so that it takes its time to end
        second = self.run_now()
        wait_until(lambda: "deletionTimestamp" in self.get("pod", pod)["metadata"], 10, "the trigger's pod is told to end")
        cluster.stays(lambda: self.suspended(second), 1, "the new run waits for that")
        self.assertEqual(self.status()["phase"], "Running")
        self.end_pod(pod)
        wait_until(lambda: not self.suspended(second), 15, lambda: f"the new run begins, but {self.jobs()} {self.status()}")
        self.assertIsNone(self.job(self.trigger(first, 0)))
        self.assertEqual(self.mark(first), "replaced")
        self.assertEqual(self.await_phase("Running")["currentRunID"], run_id(second))
        self.await_event("RunReplaced")
        for name in (second, self.trigger(second, 0), self.trigger(second, 1)):
            self.end(name)
        self.await_phase("Completed")
        self.assertIsNone(self.job(self.trigger(first, 1)))

    # ---- pauses, history, resets ---------------------------------------------------------------------------------

    def test_suspend_and_a_window(self):
        self.operator()
        self.cron(triggers=TRIGGERS[:2])
        job = self.run_now()
        self.await_phase("Running")
        self.merge("dataflowcron", "c", {"spec": {"suspend": True}})
        wait_until(lambda: self.get("cronjob", "dfc-c")["spec"]["suspend"], 10, "the CronJob is suspended")
        self.assertFalse(self.suspended(job))
        begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
        window = {"startTime": begin.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "1h"}
        self.merge("dataflowcron", "c", {"spec": {"suspend": None, "maintenance": window}})
        wait_until(lambda: self.suspended(job), 10, "the run is suspended")
        self.await_event("MaintenanceStarted")
        self.assertTrue(self.status()["maintenanceStatus"]["inMaintenance"])
        self.assertTrue(self.get("cronjob", "dfc-c")["spec"]["suspend"])
        self.assertEqual(self.condition("c", "Ready", "dataflowcron")["reason"], "Stopped")
        self.merge("dataflowcron", "c", {"spec": {"maintenance": None}})
        wait_until(lambda: not self.suspended(job), 10, "the run goes on")
        self.assertFalse(self.get("cronjob", "dfc-c")["spec"]["suspend"])
        self.end(job)
        self.await_job(self.trigger(job, 0))
        self.merge("dataflowcron", "c", {"spec": {"maintenance": {"suspended": True}}})
        wait_until(lambda: self.get("cronjob", "dfc-c")["spec"]["suspend"], 10, "suspended by hand")
        self.end(self.trigger(job, 0))
        self.await_phase("RunningTriggers", "Trigger 1 waits for the end of the pause")
        self.assertIsNone(self.job(self.trigger(job, 1)))
        self.merge("dataflowcron", "c", {"spec": {"maintenance": None}})
        self.end(self.trigger(job, 1))
        self.await_phase("Completed")

    def test_no_history(self):
        self.operator()
        cronjob = self.cron(successfulJobsHistoryLimit=0, triggers=TRIGGERS[:1])
        self.assertEqual(cronjob["spec"]["successfulJobsHistoryLimit"], 1)
        job = self.run_now()
        self.end(job)
        end = self.job(job)["status"]["completionTime"]
        self.await_job(self.trigger(job, 0))
        self.end_and_gone(self.trigger(job, 0))
        wait_until(lambda: self.jobs() == [], 15, lambda: f"no Job is left, but {self.jobs()}")
        status = self.await_phase("Completed")
        self.assertEqual(status["currentRunID"], run_id(job))
        self.assertGreaterEqual(status["lastSuccessfulTime"], end)

    def end_and_gone(self, name):
        """As end, of a Job that may be deleted as soon as it has ended."""
        pods = wait_until(lambda: self.items("pod", f"batch.kubernetes.io/job-name={name}"), 15, f"a pod of {name}")
        self.merge("pod", pods[0]["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "status")

    def test_a_trigger_job_that_is_deleted(self):
        self.operator()
        self.cron(triggers=TRIGGERS[:2])
        job = self.run_now()
        self.end(job)
        name = self.trigger(job, 0)
        wait_until(lambda: self.job(name) and self.mark(job) == "trigger-0", 10, "trigger 0")
        self.delete("job", name)
        status = self.await_phase("Failed", f"trigger Job {name} was deleted")
        self.assertEqual((status["currentTriggerIndex"], status["activeJobName"]), (0, name))
        self.assertIn("lastFailedTime", status)
        wait_until(lambda: self.mark(job) == "failed", 10, "the mark")
        cluster.stays(lambda: self.status() == status, 1, lambda: f"the status, but {self.status()}")
        self.assertEqual(self.jobs(), [job])

    def test_reset_waits_for_the_processor(self):
        self.operator()
        self.cron()
        job = self.run_now()
        self.await_phase("Running")
        self.merge("dataflowcron", "c", {"spec": {"checkpointReset": True}})
        wait_until(lambda: self.get("cronjob", "dfc-c")["spec"]["suspend"], 10, "no further run begins")
        self.assertTrue(self.get("dataflowcron", "c")["spec"]["checkpointReset"])
        self.end(job)
        wait_until(lambda: not self.get("dataflowcron", "c")["spec"].get("checkpointReset"), 10, "the wish is fulfilled")
        wait_until(lambda: not self.get("cronjob", "dfc-c")["spec"]["suspend"], 10, "and the schedule goes on")
        self.await_phase("Completed")
        self.await_event("CheckpointReset")

    def test_invalid(self):
        self.operator()
        self.cron(triggers=TRIGGERS[:1])
        job = self.run_now()
        self.await_phase("Running")
        self.merge("dataflowcron", "c", {"spec": {"schedule": "61 * * * *"}})
        self.await_phase("Running", "Invalid spec: spec.schedule")
        self.assertEqual(self.condition("c", "SpecValid", "dataflowcron")["status"], "False")
        self.end(job)
        cluster.stays(lambda: self.jobs() == [job], 1, "no trigger begins")
        self.merge("dataflowcron", "c", {"spec": {"schedule": "1 * * * *"}})
        self.end(self.trigger(job, 0))
        self.await_phase("Completed")
        self.assertEqual(self.get("cronjob", "dfc-c")["spec"]["schedule"], "1 * * * *")

    def test_a_refused_reference(self):
        """Nobody reads a Secret that may not be used: no run begins, and what runs is suspended."""
        self.operator()
        self.cron(triggers=TRIGGERS[:1])
        job = self.run_now()
        self.await_phase("Running")
        ref = {"name": "db", "key": "url", "namespace": "elsewhere"}
        sink = {"type": "postgresql", "config": {"connectionStringSecretRef": ref, "table": "t"}}
        self.merge("dataflowcron", "c", {"spec": {"sink": sink}})
        self.await_phase("Running", "spec.sink.config.connectionStringSecretRef")
        self.assertEqual(self.condition("c", "SpecValid", "dataflowcron")["reason"], "SecretReferenceDenied")
        wait_until(lambda: self.suspended(job), 5, "the run is suspended")
        self.assertTrue(self.get("cronjob", "dfc-c")["spec"]["suspend"])
        self.await_event("SecretReferenceDenied")
        self.merge("dataflowcron", "c", {"spec": {"sink": {"type": "discard", "config": {"connectionStringSecretRef": None, "table": None}}}})
        wait_until(lambda: not self.suspended(job), 10, lambda: f"it goes on, but {self.status()}")

    @unittest.skipUnless(os.environ.get("DATAFLOW_LONG"), "waits until a missing pod is noticed: DATAFLOW_LONG=1")
    def test_a_service_account_that_is_missing(self):
        self.operator(env={"RECONCILE_PENDING_REQUEUE_SECONDS": "6"})
        self.cron()
        self.delete("serviceaccount", "df-c-processor")
        job = self.run_now()
        wait_until(lambda: self.get("serviceaccount", "df-c-processor"), 20, "it is made anew")
        wait_until(lambda: self.items("pod", f"batch.kubernetes.io/job-name={job}"), 60, "and the run has its pod")

    @unittest.skipUnless(os.environ.get("DATAFLOW_LONG"), "waits for a full minute: DATAFLOW_LONG=1")
    def test_a_tick(self):
        self.operator()
        self.cron(schedule="0 * * * * *", concurrencyPolicy="Forbid", triggers=TRIGGERS[:1])
        self.assertEqual(self.get("cronjob", "dfc-c")["spec"]["schedule"], "* * * * *")
        status = self.await_phase("Running", seconds=75)
        wait_until(lambda: "lastScheduleTime" in self.status(), 5, "lastScheduleTime")
        self.end(status["activeJobName"])
        job = status["activeJobName"]
        self.await_job(self.trigger(job, 0))
        late = wait_until(lambda: [j for j in self.jobs() if j not in (job, self.trigger(job, 0))], 75, "the next tick")[0]
        cluster.stays(lambda: self.suspended(late), 2, "which waits")
        self.end(self.trigger(job, 0))
        wait_until(lambda: not self.suspended(late), 10, "and then begins")


if __name__ == "__main__":
    unittest.main()
