"""`transform`: lines in, lines out; envelopes; errors; the clock; any size with flat memory."""
import contextlib
import json
import os
import re
import resource
import subprocess

from cli import DATAFLOW, ROOT, CliTest


class TransformTest(CliTest):
    def transform(self, transformations, stdin, *args, **kwargs):
        self.write("t.json", json.dumps(transformations))
        return self.dataflow("transform", "-f", "t.json", *args, stdin=stdin, **kwargs)


class Transform(TransformTest):
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


class Explain(TransformTest):
    """--explain prints every step instead of the results."""

    def explain(self, transformations, stdin, *args, **kwargs):
        return self.transform(transformations, stdin, "--explain", "--now", "2024-01-15T10:30:00Z", *args, **kwargs)

    def test_the_example_of_the_help(self):
        done = self.explain([{"type": "flatten", "config": {"field": "items"}},
                             {"type": "filter", "config": {"condition": "qty > 1"}}, {"type": "snakeCase"}],
                            '{"orderId":7,"items":[{"qty":1},{"qty":2}]}\n')
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out, """\
line 1  {"orderId":7,"items":[{"qty":1},{"qty":2}]}
  [0] flatten           becomes 2 messages
        #1        {"orderId":7,"qty":1}
        #2        {"orderId":7,"qty":2}
  [1] filter            #1  dropped
  [1] filter            #2  unchanged
  [2] snakeCase         #2  changed
        renamed   orderId -> order_id
        payload   {"order_id":7,"qty":2}
  result                #2  {"order_id":7,"qty":2}

""")
        shown = "".join(f"  {line}\n" for line in done.out.splitlines() if line)
        self.assertIn(shown, self.dataflow("transform", "--help").out)

    def test_members_that_differ(self):
        done = self.explain([{"type": "remove", "config": {"fields": ["a"]}},
                             {"type": "cast", "config": {"spec": {"b": "int64", "c": "string"}}}, {"type": "timestamp"},
                             {"type": "select", "config": {"fields": ["c", "b"]}}, {"type": "hoistField", "config": {"field": "x"}},
                             {"type": "extractField", "config": {"field": "x.c"}}], '{"a": 1, "b": 5.0, "c": 2}\n')
        self.assertEqual(done.out, """\
line 1  {"a": 1, "b": 5.0, "c": 2}
  [0] remove            changed
        removed   a: 1
        payload   {"b":5.0,"c":2}
  [1] cast              changed
        changed   b: 5.0 -> 5
        changed   c: 2 -> "2"
        payload   {"b":5,"c":"2"}
  [2] timestamp         changed
        added     created_at: "2024-01-15T10:30:00Z"
        payload   {"b":5,"c":"2","created_at":"2024-01-15T10:30:00Z"}
  [3] select            changed
        removed   created_at: "2024-01-15T10:30:00Z"
        payload   {"c":"2","b":5}
  [4] hoistField        changed
        removed   c: "2"
        removed   b: 5
        added     x: {"c":"2","b":5}
        payload   {"x":{"c":"2","b":5}}
  [5] extractField      changed
        payload   "2"
  result                "2"

""")
        done = self.explain([{"type": "select", "config": {"fields": ["b", "a"]}}], '{"a":1,"b":2}\n')
        self.assertIn("\n        same      members, in another order or written compact\n", done.out)

    def test_metadata_and_routes(self):
        done = self.explain([{"type": "debeziumUnwrap"},
                             {"type": "router", "config": {"routes": [{"condition": "a == 1", "sink": {"type": "stdout"}}]}}],
                            '{"data":{"payload":{"op":"c","after":{"a":1}}},"metadata":{"topic":"t"}}\n{"data":[],"x":1}\n',
                            "--envelope")
        self.assertEqual(done.out.split("\n\n")[0], """\
line 1  {"payload":{"op":"c","after":{"a":1}}}
  metadata  {"topic":"t"}
  [0] debeziumUnwrap    changed
        removed   payload: {"op":"c","after":{"a":1}}
        added     a: 1
        added     metadata operation: "insert"
        payload   {"a":1}
  [1] router            changed
        added     metadata routed_condition: "a == 1"
        route     a == 1 (to stdout)
  result                {"a":1}
        route     a == 1 (to stdout)""")

    def test_siblings_have_numbers_and_fates_of_their_own(self):
        done = self.explain([{"type": "flatten", "config": {"field": "$"}}, {"type": "cast", "config": {"spec": {"n": "int64"}}},
                             {"type": "flatten", "config": {"field": "m"}}, {"type": "filter", "config": {"condition": "n != 3"}}],
                            '[{"n":"1"},{"n":"x"},{"n":3},{"n":4,"m":[5,6]}]\n7\n', "--errors", "e.jsonl")
        self.assertEqual(done.returncode, 0, done.err)
        steps = [line for line in done.out.splitlines() if line.startswith(("  [", "  result"))]
        self.assertEqual(steps, [
            "  [0] flatten           becomes 4 messages", "  [1] cast              #1  changed",
            "  [1] cast              #2  failed: " + self.read_jsonl("e.jsonl")[0]["error"],
            "  [1] cast              #3  unchanged", "  [1] cast              #4  unchanged",
            "  [2] flatten           #1  unchanged", "  [2] flatten           #3  unchanged",
            "  [2] flatten           #4  becomes 2 messages", "  [3] filter            #1  unchanged",
            "  [3] filter            #3  dropped", "  [3] filter            #4.1  unchanged",
            "  [3] filter            #4.2  unchanged", '  result                #1  {"n":1}',
            '  result                #4.1  {"n":4,"m":5}', '  result                #4.2  {"n":4,"m":6}',
            "  [0] flatten           unchanged", "  [1] cast              unchanged", "  [2] flatten           unchanged",
            "  [3] filter            dropped", "  result                none"])

    def test_a_failure_ends_the_run_behind_its_line(self):
        cast = [{"type": "cast", "config": {"spec": {"a": "int64"}}}]
        done = self.explain(cast, '{"a":"x"}\n{"a":1}\n')
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 1: cast (transformation 0): ", done.err)
        self.assertIn("  [0] cast              failed: ", done.out)
        self.assertNotIn("line 2", done.out)
        done = self.explain(cast, '{"data":1,"raw":""}\n', "--envelope", "--errors", "e.jsonl")
        self.assertEqual(done.out, 'line 1  (empty)\n  failed: an envelope is an object with either data or raw\n'
                                   '  result                none\n\n')

    def test_long_and_wild_text(self):
        done = self.explain([{"type": "remove", "config": {"fields": ["a"]}}],
                            b'{"a":"' + "é".encode() * 500 + b'","b":"\x7f\xc2\x9b2J"}\n\x1b[2J\xff\n\n')
        self.assertIn('removed   a: "' + "é" * 59 + "... (1002 bytes)\n", done.out)
        self.assertIn('payload   {"b":"\\x7F\\u009B2J"}\n', done.out)
        self.assertIn("line 2  (not JSON) \\x1B[2J\\xFF\n", done.out)
        self.assertIn("line 3  (empty)\n", done.out)
        many = json.dumps({f"k{i}": i for i in range(1000)})
        done = self.explain([{"type": "hoistField", "config": {"field": "x"}}], many)
        self.assertIn("        removed   k39: 39\n        ...       and 961 more\n        payload", done.out)

    def test_colours_on_a_terminal_only(self):
        def shown(**env):
            try:
                ours, theirs = os.openpty()
            except OSError as error:
                self.skipTest(f"no pseudo terminal can be had: {error}")
            self.write("t.json", json.dumps([{"type": "snakeCase"}]))
            process = subprocess.Popen([DATAFLOW, "transform", "-f", "t.json", "--explain"], cwd=self.dir, stdin=subprocess.PIPE,
                                       stdout=theirs, env=self.env(TERM="xterm", **env))
            process.communicate(b'{"aB":1}\n', timeout=60)
            os.close(theirs)
            text = b""
            with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # a terminal nobody writes to has no end but EIO
                while piece := terminal.read(65536):
                    text += piece
            return text.decode().replace("\r\n", "\n")

        coloured = shown()
        self.assertIn("\x1b[33mrenamed\x1b[0m   aB -> a_b\n", coloured)
        self.assertEqual(re.sub("\x1b\\[[0-9]*m", "", coloured), shown(NO_COLOR="1"))
        self.assertNotIn("\x1b", self.explain([{"type": "snakeCase"}], '{"aB":1}\n').out)

    def test_memory_stays_flat(self):
        lines = b'[{"firstName":"%s","n":1},{"n":2}]\n' % (b"x" * 200) * 30_000
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20))
        done = self.explain([{"type": "flatten", "config": {"field": "$"}}, {"type": "snakeCase"}], lines, preexec_fn=limit)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out.count("becomes 2 messages"), 30_000)
