"""The conformance suite on ClickHouse's source and sink: the current server, both transports."""
import unittest
import urllib.parse

from clickhouse_kit import PASSWORD, USER, ClickHouseTest

import conformance

COMMON = ("the store does not keep the order of arrival", "no setting is called a secret")


class Conformance(ClickHouseTest):
    def check(self, transport, groups, **source):
        port = self.new.http if transport == "http" else self.new.native
        scheme = "http" if transport == "http" else "clickhouse"
        url = f"{scheme}://{USER}:{PASSWORD}@{{address}}/default"
        sink = {"connectionString": url, "table": "{name}", "autoCreateTable": True, "upsertMode": True, "conflictKey": "id"}
        drop = f"http://127.0.0.1:{self.new.http}/?" + urllib.parse.urlencode({"user": USER, "password": PASSWORD})
        wrong = f"{scheme}://{USER}:wrong-secret@127.0.0.1:{port}/default"
        conformance.check(
            self, conformance.flow({"type": "clickhouse", "config": {"connectionString": url, "orderByColumn": "id", **source}},
                                   {"type": "clickhouse", "config": sink}),
            f"127.0.0.1:{port}", COMMON, "--cleanup", f"printf 'DROP TABLE IF EXISTS `%s`' \"$DATAFLOW_TEST_NAME\" | curl -s '{drop}' --data-binary @-",
            *(o for side in ("source", "sink") for o in ("--wrong-credentials", f"{side}.config.connectionString={wrong}")),
            restart="clickhouse-modern", groups=groups, slow=("source.idle", "source.idle-quiet"))

    def test_source_types_and_identifiers(self):
        self.check("native", ("lifecycle", "settings", "source", "types", "identifiers"), table="{name}")

    def test_sink(self):
        """Rows that are written twice go when the server merges: FINAL looks at them as if it had."""
        self.check("native", ("sink",), query="SELECT * FROM `{name}` FINAL", changeTrackingColumn="created_at")

    def test_http(self):
        self.check("http", ("sink", "source.cut", "source.reset", "source.corrupted", "source.stalled", "source.resume-half", "lifecycle.close-when-silent"),
                   query="SELECT * FROM `{name}` FINAL", changeTrackingColumn="created_at")


if __name__ == "__main__":
    unittest.main()
