"""`validate` against the manifest reference: what a user can write wrong, and what must be fine."""
import unittest

from cli import CliTest

HEAD = "apiVersion: dataflow.dataflow.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"


class ManifestTest(CliTest):
    def validate(self, *args, kind="DataFlow", name="flow", extra="", **spec):
        fields = {"source": "{type: generate}", "sink": "{type: discard}", **spec}
        text = HEAD.format(kind=kind, name=name) + "".join(f"  {k}: {v}\n" for k, v in fields.items())
        self.write("m.yaml", text + extra)
        return self.dataflow("validate", *args, "m.yaml")

    def assertValid(self, done):
        self.assertEqual(done.returncode, 0, done.err)

    def assertError(self, done, place, *texts):
        self.assertEqual(done.returncode, 2, done.err)
        line = next((line for line in done.err.splitlines() if f": {place}: " in line and ": warning: " not in line), None)
        self.assertIsNotNone(line, f"nothing at {place} in {done.err}")
        for text in texts:
            self.assertIn(text, line)


class Names(ManifestTest):
    def test_a_long_name_is_told_its_length(self):
        self.assertValid(self.validate(name="a" * 63))
        self.assertError(self.validate(name="a" * 64), "metadata.name", "64 characters", "63")
        self.assertError(self.validate(kind="DataFlowCron", name="a" * 49, schedule="'* * * * *'"), "metadata.name", "48")


class Set(ManifestTest):
    def test_kind_can_be_set_and_then_counts(self):
        self.assertError(self.validate("--set", "kind=DataFlowCron"), "spec.schedule", "required")
        done = self.validate("--set", "kind=DataFlowCron", "--set", "spec.schedule='0 * * * *'")
        self.assertValid(done)
        self.assertIn("DataFlowCron flow is valid", done.out)


class Secrets(ManifestTest):
    SINK = "{type: sqlite, config: {path: a.db, tableSecretRef: {name: places, key: table}}}"

    def with_secret(self, body, name="places", *args):
        return self.validate(*args, sink=self.SINK, extra=f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{body}\n")

    def test_a_secret_elsewhere_is_only_checked_for_form(self):
        self.assertValid(self.validate(sink=self.SINK))
        self.assertValid(self.with_secret("stringData: {x: y}", name="others"))

    def test_a_secret_in_the_file_must_have_the_key(self):
        self.assertValid(self.with_secret("stringData: {table: t}"))
        self.assertError(self.with_secret("stringData: {tabel: t}"), "spec.sink.config.tableSecretRef", "no such key", "tabel")
        self.assertError(self.with_secret("stringData: {table: ''}"), "spec.sink.config.tableSecretRef", "empty")

    def test_a_mistake_in_a_secret_document_is_told(self):
        self.assertError(self.with_secret("data: {table: 'not base64!'}"), "data.table", "base64")
        self.assertError(self.with_secret("stringData: [table]"), "stringData", "expected a map")
        self.assertError(self.with_secret("stringData: {table: 5}"), "stringData.table", "quotes")


class Triggers(ManifestTest):
    def test_environment_values_are_texts(self):
        cron = {"kind": "DataFlowCron", "schedule": "'0 * * * *'"}
        good = "[{image: a, env: [{name: A, value: 'x'}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]"
        self.assertValid(self.validate(triggers=good, **cron))
        self.assertError(self.validate(triggers="[{image: a, env: [{name: A, value: 5}]}]", **cron),
                         "spec.triggers[0].env[0].value", "quotes")


if __name__ == "__main__":
    unittest.main()
