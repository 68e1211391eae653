"""ClickHouse beside clickhouse-client with the same blocks, on the old server: bench/run.py clickhouse."""
import base64
import json
import subprocess
import sys
import time
import urllib.request

USER, PASSWORD = "dataflow", "dataflow-secret"
COLUMNS = "id UInt64, name String, amount Decimal(12, 2), at DateTime, qty Int32, note String"
SMALL = 20000  # rows of what is too slow for all


def client(env, sql, stdin=None, stdout=subprocess.DEVNULL):
    return ["clickhouse-client", "--host", env["CLICKHOUSE_HOST"], "--port", env["CLICKHOUSE_PORT"], "--user", USER, "--password",
            PASSWORD, "--query", sql]


def sql(env, text):
    done = subprocess.run(client(env, text), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def flow(bench, name, source, sink):
    path = bench.WORK / f"{name}.yaml"
    path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name.replace("_", "-")}, "spec": {
        "checkpointPersistence": False, "channelBufferSize": 500, "source": source, "sink": sink}}))
    return path


def lines(bench):
    path = bench.WORK / f"clickhouse-{bench.LINES}.jsonl"
    if not path.exists():
        with open(path, "w") as f:
            for i in range(bench.LINES):
                digits = f"{i * 2654435761 % 2**64:032x}"
                f.write('{"id":%d,"name":"%s","amount":%d.%02d,"at":"2024-01-%02dT%02d:%02d:%02dZ","qty":%d,"note":"%s"}\n' % (
                    i, digits, i % 100000, i % 100, 1 + i // 86400 % 28, i // 3600 % 24, i // 60 % 60, i % 60, i % 1000, digits * 2 + digits[:20]))
    return path


def small_batches(env):
    """Rows a second of what one would write in an afternoon: 100 rows of JSON a request."""
    url = f"http://{env['CLICKHOUSE_HOST']}:{env['CLICKHOUSE_HTTP_PORT']}/?query=INSERT%20INTO%20bench_tree%20FORMAT%20JSONEachRow"
    headers = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    row = '{"id":1,"name":"%s","amount":12.34,"at":"2024-01-01 00:00:00","qty":5,"note":"%s"}\n' % ("x" * 32, "y" * 84)
    started = time.perf_counter()
    for _ in range(SMALL // 100):
        urllib.request.urlopen(urllib.request.Request(url, (row * 100).encode(), headers)).read()
    return SMALL / (time.perf_counter() - started)


def run(bench):
    sys.path.insert(0, str(bench.ROOT / "test/integration"))
    import services
    env = services.use("clickhouse")
    url = f"clickhouse://{USER}:{PASSWORD}@{env['CLICKHOUSE_HOST']}:{env['CLICKHOUSE_PORT']}/default"
    tables = {"bench_null": "Null", "bench_tree": "MergeTree() ORDER BY id"}
    for table, engine in tables.items():
        sql(env, f"DROP TABLE IF EXISTS {table}")
        sql(env, f"CREATE TABLE {table} ({COLUMNS}) ENGINE = {engine}")
    source = {"type": "file", "config": {"path": str(lines(bench))}}

    def into(table):
        return flow(bench, table, source, {"type": "clickhouse", "config": {"connectionString": url, "table": table, "batchSize": 100000}})

    native = bench.WORK / f"clickhouse-{bench.LINES}.native"
    bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", into("bench_tree")])
    with open(native, "w") as out:
        subprocess.run(client(env, "SELECT * FROM bench_tree FORMAT Native"), stdout=out, check=True)
    best = {}

    def take(name, wall):
        best[name] = min(wall, best.get(name, wall))

    for _ in range(3):
        for table in tables:
            sql(env, "TRUNCATE TABLE bench_tree")
            with open(native) as rows:
                take(f"client {table}", bench.measure(client(env, f"INSERT INTO {table} FORMAT Native"), stdin=rows)[1])
            sql(env, "TRUNCATE TABLE bench_tree")
            take(f"ours {table}", bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", into(table)])[1])
        if int(sql(env, "SELECT count() FROM bench_tree")) != bench.LINES:
            raise RuntimeError("rows are missing")
        reading = flow(bench, "read", {"type": "clickhouse", "config": {"connectionString": url, "query": "SELECT * FROM bench_tree"}},
                       {"type": "discard", "config": {}})
        take("client read", bench.measure(client(env, "SELECT * FROM bench_tree FORMAT Native"))[1])
        take("ours read", bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", reading])[1])
    for what, name, least in (("file -> Null table", "bench_null", 0.7), ("file -> MergeTree", "bench_tree", 0.7), ("table -> discard", "read", 0.6)):
        bench.row(f"{what}: wall seconds for {bench.LINES:,} rows", f"{best['ours ' + name]:.2f}")
        bench.row("clickhouse-client, FORMAT Native: wall seconds", f"{best['client ' + name]:.2f}")
        bench.row("speed beside it", f"{best['client ' + name] / best['ours ' + name]:.2f}", f"at least {least}")
    rate = small_batches(env)
    bench.row("100 rows of JSONEachRow a request: rows a second", f"{rate:,.0f}")
    bench.row("file -> MergeTree beside them", f"{bench.LINES / best['ours bench_tree'] / rate:.0f} times", "at least 20")
    bench.row("peak resident MiB, batches of 100,000 rows", f"{bench.peak(into('bench_null')):.1f}", "at most 64")
    few = bench.WORK / "clickhouse-few.jsonl"
    with open(lines(bench)) as whole, open(few, "w") as part:
        part.writelines(line for _, line in zip(range(SMALL), whole))
    source["config"]["path"] = str(few)
    run_few = [bench.DATAFLOW, "run", "--once", "--progress", "none", into("bench_null")]
    bench.row("document to column block: instructions a row", f"{bench.instructions(run_few, 'df_ch_encoder_add') / SMALL:.0f}")
    bench.row("parse, map and encode: instructions a row", f"{bench.instructions(run_few, 'sink_write') / SMALL:.0f}")
