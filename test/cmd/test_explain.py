"""`explain`: the guarantee of a manifest, from the facts of its parts, and the reasons."""
import json
import unittest

from cli import CliTest

SQLITE = {"path": "out.db", "table": "t"}
UPSERT = {**SQLITE, "upsertMode": True, "conflictKey": "id"}


class Explain(CliTest):
    def explain(self, source="file", source_config=None, sink="sqlite", sink_config=None, transformations=(), extra=""):
        self.flow(source, {"path": "in.jsonl"} if source_config is None else source_config, sink,
                  UPSERT if sink_config is None else sink_config, transformations, extra=extra)
        done = self.dataflow("explain", "--output", "json", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        told = json.loads(done.out)
        self.reasons = {}
        for reason in told["reasons"]:
            self.reasons.setdefault(reason["place"], []).append(reason)
        return told["guarantee"]

    def test_upsert(self):
        self.assertEqual(self.explain(), "effectively-once")
        self.assertEqual([r["weakens"] for rs in self.reasons.values() for r in rs], [False] * 5)
        self.assertIn("saved every 30 s", self.reasons["source"][0]["text"])
        self.assertIn("stops the flow", self.reasons["errors"][0]["text"])

    def test_insert(self):
        self.assertEqual(self.explain(sink_config=SQLITE), "at-least-once")
        self.assertEqual(self.reasons["sink"][0]["fix"], "set upsertMode (and conflictKey) on it")

    def test_a_sink_that_has_no_upsert(self):
        self.assertEqual(self.explain(sink="file", sink_config={"path": "out.jsonl"}), "at-least-once")
        self.assertNotIn("fix", self.reasons["sink"][0])

    def test_a_source_that_cannot_be_read_twice(self):
        self.assertEqual(self.explain(source="stdin", source_config={}), "best-effort")
        self.assertTrue(self.reasons["source"][0]["weakens"])

    def test_a_sink_that_keeps_nothing(self):
        self.assertEqual(self.explain(sink="discard", sink_config={}), "best-effort")

    def test_the_weakest_route_counts(self):
        route = lambda config: [{"type": "router", "config": {"routes": [
            {"condition": "a == 1", "sink": {"type": "sqlite", "config": config}}]}}]
        self.assertEqual(self.explain(transformations=route({**UPSERT, "table": "u"})), "effectively-once")
        self.assertEqual(self.explain(transformations=route({**SQLITE, "table": "u"})), "at-least-once")
        self.assertTrue(self.reasons["route"][0]["weakens"])
        self.assertFalse(self.reasons["sink"][0]["weakens"])

    def test_no_position_is_kept(self):
        self.assertEqual(self.explain(extra="  checkpointPersistence: false\n"), "effectively-once")
        self.assertIn("every start reads everything", self.reasons["source"][0]["text"])
        self.assertIn("begins from the beginning", self.reasons["crash"][0]["text"])
        self.assertEqual(self.explain(sink_config=SQLITE, extra="  checkpointPersistence: false\n"), "at-least-once")

    def test_a_query_without_a_position(self):
        query = {"path": "in.db", "query": "SELECT 1 AS id"}
        self.assertEqual(self.explain(source="sqlite", source_config=query), "effectively-once")
        self.assertTrue(self.reasons["source"][0]["weakens"])
        self.explain(source="sqlite", source_config={"path": "in.db", "table": "t"})
        self.assertFalse(self.reasons["source"][0]["weakens"])

    def test_a_consumer_group(self):
        self.explain(source="kafka", source_config={"brokers": ["b:9092"], "topic": "t", "consumerGroup": "g"})
        self.assertIn("its server holds the position", self.reasons["source"][0]["text"])

    def test_a_broker_that_is_not_asked(self):
        kafka = {"brokers": ["b:9092"], "topic": "t"}
        self.assertEqual(self.explain(sink="kafka", sink_config=kafka), "at-least-once")
        for acks in ("none", "local"):
            self.assertEqual(self.explain(sink="kafka", sink_config={**kafka, "requiredAcks": acks, "idempotent": False}), "best-effort")
            self.assertIn(f"requiredAcks: {acks}", self.reasons["sink"][0]["text"])

    def test_the_error_sink(self):
        errors = "  errors: {type: file, ackPolicy: %s, config: {path: e.jsonl}}\n"
        self.explain(extra=errors % "afterWrite")
        self.assertEqual([r["weakens"] for r in self.reasons["errors"]], [False, False])
        self.explain(extra=errors % "never")
        self.assertIn("ackPolicy: never", self.reasons["errors"][1]["text"])

    def test_what_the_manifest_says_to_drop(self):
        self.assertEqual(self.explain(extra="  onError: drop\n"), "best-effort")
        self.assertIn("onError: drop", self.reasons["errors"][0]["text"])

    def test_exactly_once(self):
        sink = {**SQLITE, "exactlyOnce": True}
        self.assertEqual(self.explain(sink_config=sink), "exactly-once")
        self.assertEqual([r["weakens"] for rs in self.reasons.values() for r in rs], [False] * 5)
        self.assertIn("the sink holds its position", self.reasons["source"][0]["text"])
        self.assertIn("exactly behind the last transaction", self.reasons["crash"][0]["text"])

    def test_as_text(self):
        self.explain(sink_config=SQLITE)
        done = self.dataflow("explain", "flow.yaml")
        self.assertEqual(done.out.splitlines()[0], "flow: at-least-once")
        self.assertRegex(done.out, r"(?m)^- sink sqlite +it cannot tell")
        self.assertRegex(done.out, r"(?m)^ +to change that: set upsertMode")
        self.assertLessEqual(max(map(len, done.out.splitlines())), 120)

    def test_set(self):
        self.explain(sink_config=SQLITE)
        done = self.dataflow("explain", "--set", "spec.sink.config.upsertMode=true", "--set", "spec.sink.config.conflictKey=id",
                             "flow.yaml")
        self.assertTrue(done.out.startswith("flow: effectively-once\n"), done.out)

    def test_several_flows(self):
        self.explain()
        text = (self.dir / "flow.yaml").read_text()
        self.write("two.yaml", text + "---\n" + text.replace("name: flow", "name: other"))
        done = self.dataflow("explain", "two.yaml")
        self.assertRegex(done.out, r"(?s)^flow: .*\nother: ")
        done = self.dataflow("explain", "--name", "other", "two.yaml")
        self.assertTrue(done.out.startswith("other: "))
        self.assertEqual(self.dataflow("explain", "--name", "third", "two.yaml").returncode, 2)

    def test_a_manifest_with_an_error(self):
        self.write("bad.yaml", "kind: DataFlow\n")
        self.assertEqual(self.dataflow("explain", "bad.yaml").returncode, 2)


if __name__ == "__main__":
    unittest.main()
