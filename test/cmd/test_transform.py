"""`transform`: lines in, lines out; envelopes; errors; the clock; any size with flat memory."""
import json
import resource

from cli import ROOT, CliTest


class Transform(CliTest):
    def transform(self, transformations, stdin, *args, **kwargs):
        self.write("t.json", json.dumps(transformations))
        return self.dataflow("transform", "-f", "t.json", *args, stdin=stdin, **kwargs)

    def test_each_line_is_a_payload(self):
        done = self.transform([{"type": "remove", "config": {"fields": ["a"]}}], '{"a":1,"b": 2}\n{"b" : 3}\nplain text\n\n[1]')
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out, '{"b":2}\n{"b" : 3}\nplain text\n\n[1]\n')

    def test_a_manifest_or_a_list_in_yaml(self):
        self.write("t.yaml", "- type: hoistField\n  config: {field: x}\n")
        self.assertEqual(self.dataflow("transform", "-f", "t.yaml", stdin="1\n").out, '{"x":1}\n')
        done = self.dataflow("transform", "-f", ROOT / "examples/earthquakes/flow.yaml", stdin='{"features":[]}\n')
        self.assertEqual(done.returncode, 0, done.err)

    def test_one_line_becomes_many_and_none(self):
        done = self.transform([{"type": "flatten", "config": {"field": "$"}}, {"type": "filter", "config": {"condition": "n > 1"}}],
                              '[{"n":1},{"n":2},{"n":3}]\n{"n":0}\n')
        self.assertEqual(done.out, '{"n":2}\n{"n":3}\n')

    def test_envelope(self):
        done = self.transform([{"type": "insertField", "config": {"fields": {"t": "${metadata.table}"}}}],
                              '{"data":{"a":1.0},"metadata":{"table":"x"}}\n{"raw":""}\n{"raw":"not json"}\n', "--envelope")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual([json.loads(line) for line in done.out.splitlines()],
                         [{"data": {"a": 1.0, "t": "x"}, "metadata": {"table": "x"}}, {"raw": "", "metadata": {}},
                          {"raw": "not json", "metadata": {}}])
        done = self.transform([], '{"raw":"{ \\"a\\":1 }"}\n{"data":[1]}\n', "--envelope=raw")
        self.assertEqual([json.loads(line)["raw"] for line in done.out.splitlines()], ['{ "a":1 }', "[1]"])

    def test_errors_become_lines_and_the_run_goes_on(self):
        done = self.transform([{"type": "snakeCase"}, {"type": "cast", "config": {"spec": {"a": "int64"}}}],
                              '{"a":"1"}\n{"a":"x"}\n{"a":"3"}\n', "--errors", "e.jsonl")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out, '{"a":1}\n{"a":3}\n')
        (error,) = self.read_jsonl("e.jsonl")
        self.assertEqual((error["index"], error["transformer"], error["transformer_index"]), (1, "cast", 1))
        self.assertTrue(error["error"])

    def test_without_errors_the_first_failure_ends_the_run(self):
        done = self.transform([{"type": "cast", "config": {"spec": {"a": "int64"}}}], '{"a":"1"}\n{"a":"x"}\n{"a":"3"}\n')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.out, '{"a":1}\n')
        self.assertIn("line 2", done.err)

    def test_the_clock(self):
        done = self.transform([{"type": "timestamp"}], "{}\n", "--now", "2024-01-15T10:30:00Z")
        self.assertEqual(done.out, '{"created_at":"2024-01-15T10:30:00Z"}\n')
        self.assertEqual(self.transform([], "", "--now", "yesterday").returncode, 2)

    def test_bad_configuration_names_every_place(self):
        done = self.transform([{"type": "flatten"}, {"type": "filter", "config": {"condition": "a =="}}, {"type": "nope"}], "")
        self.assertEqual(done.returncode, 2)
        for place in ("spec.transformations[0].config:", "spec.transformations[2].type:"):
            self.assertIn(place, done.err)
        done = self.transform([{"type": "filter", "config": {"condition": "a =="}}], "")
        self.assertEqual(done.returncode, 2)
        self.assertIn("spec.transformations[0].config.condition:", done.err)
        self.assertEqual(self.dataflow("transform", stdin="").returncode, 2)

    def test_memory_stays_flat(self):
        lines = b'{"firstName":"%s","n":1}\n' % (b"x" * 200) * 300_000
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20))
        done = self.transform([{"type": "snakeCase"}], lines, preexec_fn=limit)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out.count("\n"), 300_000)
