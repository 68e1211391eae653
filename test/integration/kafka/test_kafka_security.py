"""All four security protocols and all four mechanisms, both directions; what is refused and what the error says."""
import base64
import http.server
import json
import pathlib
import threading
import time
import urllib.parse
import uuid

from kafkacase import KafkaCase, wait_until

USERS = {"plain": ("plain-user", "plain-secret"), "scram-sha-256": ("scram256-user", "scram256-secret"),
         "scram-sha-512": ("scram512-user", "scram512-secret")}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Gives unsigned tokens for client credentials, good for a few seconds."""
    asked, lifetime = [], 6

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user = base64.b64decode(self.headers.get("Authorization", "Basic ").split()[1]).decode()
        Endpoint.asked.append((user, form))
        ok = user == "client:the secret" and form.get("grant_type") == ["client_credentials"]

        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
        now = time.time()
        token = f"{part({'alg': 'none'})}.{part({'sub': 'client', 'iat': now, 'exp': now + self.lifetime, 'scope': 'kafka'})}."
        body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime} if ok else
                          {"error": "invalid_client"}).encode()
        self.send_response(200 if ok else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Security(KafkaCase):
    def setUp(self):
        super().setUp()
        self.pki = pathlib.Path(self.kafka["KAFKA_PKI"])

    def round_trip(self, listener, **config):
        """Writes through the listener and reads again."""
        topic = self.topic(uuid.uuid4().hex[:6])
        config["brokers"] = [self.kafka[f"KAFKA_{listener}BROKERS"]]
        self.run_once(self.flow(self.from_file({"i": 1}), self.sink(topic, **config)), "--reset-checkpoint")
        self.run_once(self.flow(self.source(topic, **config), self.file(f"{topic}.jsonl")))
        self.assertEqual(self.lines(f"{topic}.jsonl"), [{"i": 1}])

    def refused(self, listener, code=1, seconds=60, **config):
        config["brokers"] = [self.kafka[f"KAFKA_{listener}BROKERS"]]
        return self.run_once(self.flow(self.source(self.topic(), **config), self.file()), code=code, seconds=seconds)

    def sasl(self, mechanism, **more):
        user, password = USERS[mechanism]
        return {"mechanism": mechanism, "username": user, "password": password, **more}

    def test_plaintext(self):
        self.round_trip("")

    def test_ssl_with_files(self):
        self.round_trip("SSL_", tls={"caFile": str(self.pki / "ca.pem"), "certFile": str(self.pki / "client.pem"),
                                     "keyFile": str(self.pki / "client.key")})

    def test_ssl_with_pem_text(self):
        self.round_trip("SSL_", tls={"caFile": (self.pki / "ca.pem").read_text(), "certFile": (self.pki / "client.pem").read_text(),
                                     "keyFile": (self.pki / "client.key").read_text()})

    def test_sasl_plaintext(self):
        for mechanism in USERS:
            with self.subTest(mechanism):
                self.round_trip("SASL_PLAINTEXT_", sasl=self.sasl(mechanism))

    def test_sasl_ssl(self):
        for mechanism in USERS:
            with self.subTest(mechanism):
                self.round_trip("SASL_SSL_", sasl=self.sasl(mechanism), tls={"caFile": str(self.pki / "ca.pem")})

    def test_insecure_skip_verify(self):
        self.round_trip("SASL_SSL_", sasl=self.sasl("plain"), tls={"insecureSkipVerify": True})

    def test_unknown_ca(self):
        log = self.refused("SASL_SSL_", sasl=self.sasl("plain"), tls={"caFile": str(self.pki / "other-ca.pem")})
        self.assertIn("auth_error", log)
        self.assertIn("certificate", log)

    def test_wrong_password(self):
        log = self.refused("SASL_PLAINTEXT_", sasl=self.sasl("scram-sha-256", password="no such secret"))
        self.assertIn("auth_error", log)
        self.assertNotIn("no such secret", log)

    def test_token_of_client_credentials(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        Endpoint.asked.clear()
        sasl = {"mechanism": "oauthbearer", "username": "client", "password": "the secret", "scope": "kafka read",
                "tokenEndpoint": f"http://127.0.0.1:{server.server_port}/token"}
        self.round_trip("SASL_PLAINTEXT_", sasl=sasl)
        self.assertEqual(Endpoint.asked[0], ("client:the secret", {"grant_type": ["client_credentials"], "scope": ["kafka read"]}))
        # A running consumer gets a new one before the old one ends.
        topic, asked = self.topic("long"), len(Endpoint.asked)
        process = self.start(self.flow(self.source(topic, brokers=[self.kafka["KAFKA_SASL_PLAINTEXT_BROKERS"]], sasl=sasl), self.file("long.jsonl")))
        wait_until(lambda: len(Endpoint.asked) >= asked + 3, 30, "a third token")
        self.produce(topic, [b'{"i": 2}'])
        self.await_lines(1, "long.jsonl")
        self.stop(process)
        sasl["password"] = "wrong"
        log = self.refused("SASL_PLAINTEXT_", sasl=sasl)
        self.assertIn("status 401", log)

    def test_not_allowed(self):
        """A right that is missing is no message's fault: source and sink wait for it."""
        from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType, AclBindingFilter
        topic = self.topic()
        deny = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:plain-user", "*", AclOperation.READ, AclPermissionType.DENY)
        write = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:plain-user", "*", AclOperation.WRITE, AclPermissionType.DENY)
        for future in self.admin.create_acls([deny, write]).values():
            future.result(30)
        self.produce(topic, [b'{"i": 1}'])
        config = {"brokers": [self.kafka["KAFKA_SASL_PLAINTEXT_BROKERS"]], "sasl": self.sasl("plain")}
        writer = self.start(self.flow(self.from_file({"i": 2}), self.sink(topic, **config), name="writer"), "--once", POD_NAME="writer")
        wait_until(lambda: "TOPIC_AUTHORIZATION_FAILED" in writer.log(), what="the reason of the sink")
        process = self.start(self.flow(self.source(topic, **config), self.file()))
        wait_until(lambda: "AUTHORIZATION_FAILED" in process.log(), what="the reason")
        self.assertEqual((process.poll(), writer.poll()), (None, None))
        self.produce(topic, [b'{"i": 3}'])
        filters = [AclBindingFilter(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, None, None, AclOperation.ANY, AclPermissionType.ANY)]
        for future in self.admin.delete_acls(filters).values():
            future.result(30)
        self.await_lines(3)
        self.assertEqual(writer.wait(30), 0, writer.log()[-2000:])
        self.stop(process)
