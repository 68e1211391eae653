"""Kafka to PostgreSQL and back, beside shell pipes of kcat, jq and psql: bench/run.py kafka-postgresql."""
import os

COLUMNS = "id bigint, name text, amount numeric(12, 2), at timestamptz, note text, updated_at timestamptz NOT NULL"
# About 300 bytes, and a row of the table.
TEMPLATE = ('{"id": ${counter}, "name": "c4ca4238a0b923820dcc509a6f75849b", "amount": 1234.56, "at": "2024-01-01T00:00:01Z", "note": "'
            + "c4ca4238a0b923820dcc509a6f75849b" * 3 + 'abcdefghijklmnopqrstuvwxyz", "updated_at": "2024-01-01T00:00:01Z"}')
TSV = "[.id, .name, .amount, .at, .note, .updated_at] | @tsv"


def run(bench):
    env = {name: value for service in ("kafka", "postgresql") for name, value in bench.service(service, "env").items()}
    brokers, url, rows = env["KAFKA_BROKERS"], env["POSTGRESQL_URL"], bench.LINES
    made = {"type": "generate", "config": {"count": rows, "template": TEMPLATE}}
    names = iter(f"bench-pg-{os.getpid()}-{i}" for i in range(1000))

    def ours(source, sink):
        return bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", bench.kafka_flow("kafka-postgresql", source, sink)])

    def topic():
        name = next(names)
        one = {"type": "generate", "config": {"count": 1, "template": TEMPLATE}}
        ours(one, {"type": "kafka", "config": {"brokers": [brokers], "topic": name, "autoCreateTopic": True, "topicPartitions": 4}})
        return name

    def into(name):
        return {"type": "kafka", "config": {"brokers": [brokers], "topic": name}}

    def table(name, **config):
        return {"type": "postgresql", "config": {"connectionString": url, "table": name, **config}}

    def shell(command):
        return bench.measure(["sh", "-c", command])

    full = next(names)
    ours(made, {"type": "kafka", "config": {"brokers": [brokers], "topic": full, "autoCreateTopic": True, "topicPartitions": 4}})

    def from_full():
        return {"type": "kafka", "config": {"brokers": [brokers], "topic": full, "consumerGroup": next(names)}}

    bench.pg_shell(url, "DROP TABLE IF EXISTS heap, source", f"CREATE TABLE heap ({COLUMNS})", f"CREATE TABLE source ({COLUMNS}, PRIMARY KEY (id))")
    best = {}

    def take(name, act, count=None, rounds=2):
        for _ in range(rounds):
            if count:
                bench.pg_shell(url, "TRUNCATE heap")
            cpu, wall = act()
            if count and int(bench.pg_shell(url, "SELECT count(*) FROM heap")) != count:
                raise RuntimeError(f"{name}: rows are missing")
            best[name] = min((wall, cpu), best.get(name, (wall, cpu)))
        bench.row(f"{name}: messages a second; CPU seconds", f"{rows / best[name][0]:,.0f}", f"{best[name][1]:.2f}")

    take("generate -> PostgreSQL: the sink alone", lambda: ours(made, table("heap", batchSize=10_000)), rows)
    take("kafka -> PostgreSQL", lambda: ours(from_full(), table("heap", batchSize=10_000)), rows)
    alone, whole = best["generate -> PostgreSQL: the sink alone"], best["kafka -> PostgreSQL"]
    bench.row("beside the sink alone", f"{alone[0] / whole[0]:.2f}", "at least 0.7")
    bench.row("CPU seconds of ours a million messages", f"{whole[1] / rows * 1e6:.2f}", "at most 2.5")
    take("kcat | jq | psql COPY", lambda: shell(
        f"kcat -C -b {brokers} -t {full} -o beginning -e -q | jq -r '{TSV}' | psql -Xq {url} -c 'COPY heap FROM STDIN'"), rows, 1)
    bench.pg_shell(url, "INSERT INTO source SELECT row_number() OVER (), name, amount, at, note, at + row_number() OVER () * interval '1 ms' FROM heap",
                   "CREATE INDEX ON source (updated_at, id)", "VACUUM ANALYZE source")
    take("PostgreSQL -> kafka", lambda: ours(table("source"), into(topic())))
    bench.row("CPU seconds of ours a million messages", f"{best['PostgreSQL -> kafka'][1] / rows * 1e6:.2f}", "at most 2")
    take("psql COPY of row_to_json | kcat", lambda: shell(
        f"psql -Xq {url} -c 'COPY (SELECT row_to_json(source) FROM source ORDER BY updated_at, id) TO STDOUT' | kcat -P -b {brokers} -t {topic()} -z snappy"), rounds=1)
