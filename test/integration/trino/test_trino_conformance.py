"""The conformance suite on Trino's source and sink: tables in the memory catalog, which cannot replace rows."""
import unittest
import urllib.parse

import conformance
from trino_kit import TrinoTest


# Each waits for what never comes, or makes dozens of tables and plans hundreds of statements on them.
SLOW = ("source.idle", "source.idle-quiet", "source.resume-steps", "settings.silent-server", "sink.slow",
        *(f"identifiers.name-{group}" for group in ("quotes", "separators", "comments", "paths", "injections", "formats", "keywords", "unicode",
                                                       "starts", "long")),
        *(f"identifiers.key-{group}" for group in ("separators", "comments", "formats", "keywords", "hidden", "unicode", "starts", "long")))


class Conformance(TrinoTest):
    def test_every_rule(self):
        server = self.server["TRINO_URL"]
        table = {"serverURL": "http://{address}", "catalog": "memory", "schema": "default", "table": "{name}"}
        conformance.check(
            self, conformance.flow({"type": "trino", "config": {**table, "orderByColumn": "id"}},
                                   {"type": "trino", "config": {**table, "autoCreateTable": True}}),
            urllib.parse.urlsplit(server).netloc, (
                "the store does not keep the order of arrival", "with these settings the sink does not write a row twice to one place",
                "no setting holds a secret", "no setting is called a secret", "no --wrong-credentials", "no --cleanup, which empties the store"),
            slow=SLOW)


if __name__ == "__main__":
    unittest.main()
