"""The conformance suite on Kafka's source and sink, over SASL. A broker tells clients its own address, so the suite's proxy is behind
nothing but the first request: test_kafka_faults cuts, stops and stalls the broker itself."""
import unittest

import conformance
import services

# Ten seconds for each connect that nobody answers.
SLOW = ("lifecycle.free-refused", "settings.closed-port", "settings.silent-server", "settings.secrets-invalid", "settings.secrets", "settings.left-out")


class Conformance(unittest.TestCase):
    def test_every_rule(self):
        kafka = services.use("kafka")
        connection = {"brokers": ["{address}"], "topic": "{name}",
                      "sasl": {"mechanism": "plain", "username": "plain-user", "password": "plain-secret"}}
        source = {"type": "kafka", "config": {**connection, "consumerGroup": "{name}", "sessionTimeoutSeconds": 6, "heartbeatIntervalSeconds": 1}}
        sink = {"type": "kafka", "config": {**connection, "keyField": "id", "autoCreateTopic": True}}
        conformance.check(self, conformance.flow(source, sink), kafka["KAFKA_SASL_PLAINTEXT_BROKERS"], (
            "the source keeps its position itself", "with these settings the sink does not write a row twice to one place",
            "does not come from {address}", "does not go to {address}"),
            *(o for side in ("source", "sink") for o in ("--wrong-credentials", f"{side}.config.sasl.password=wrong-password")),
            restart="kafka", slow=SLOW)


if __name__ == "__main__":
    unittest.main()
