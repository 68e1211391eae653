"""The conformance suite on PostgreSQL's source and sink."""
import unittest

import conformance
import services


def setUpModule():
    global PG
    PG = services.use("postgresql")


def statement(text):
    return f"PGOPTIONS='-c client_min_messages=warning' psql -XAtq {PG['POSTGRESQL_URL']} -c \"{text}\""


def manifest(**sink):
    url = "postgresql://dataflow:dataflow-secret@{address}/dataflow"
    return conformance.flow({"type": "postgresql", "config": {"connectionString": url, "table": "{name}", "orderByColumn": "id"}},
                            {"type": "postgresql", "config": {"connectionString": url, "table": "{name}", "autoCreateTable": True,
                                                              "upsertMode": True, "conflictKey": "id", **sink}})


class Conformance(unittest.TestCase):
    def check(self, flow, *reasons, **how):
        wrong = "postgresql://dataflow:wrong-secret@{}/dataflow".format(f"127.0.0.1:{PG['POSTGRESQL_PORT']}")
        conformance.check(self, flow, f"127.0.0.1:{PG['POSTGRESQL_PORT']}", (
            "the store does not keep the order of arrival", "no setting is called a secret", *reasons),
            "--cleanup", statement(r'DROP TABLE IF EXISTS \"$DATAFLOW_TEST_NAME\"'),
            *(o for side in ("source", "sink") for o in ("--wrong-credentials", f"{side}.config.connectionString={wrong}")), **how)

    def test_every_rule(self):
        self.check(manifest(), restart="postgresql")

    def test_exactly_once(self):
        self.check(manifest(exactlyOnce=True), restart="postgresql", groups=("sink", "lifecycle.nothing-left"))


if __name__ == "__main__":
    unittest.main()
