"""Trino beside its own command line and the Python client (pip install trino): bench/run.py trino."""
import json
import os
import subprocess
import sys
import time
import urllib.request

LINEITEM = 6_001_215  # rows of tpch.sf1.lineitem
ROWS = min(int(os.environ.get("DATAFLOW_BENCH_TRINO_ROWS", LINEITEM)), LINEITEM)
QUERY = "SELECT * FROM tpch.sf1.lineitem" + (f" LIMIT {ROWS}" if ROWS < LINEITEM else "")
PYTHON = """
import sys, time, trino
cursor = trino.dbapi.connect(host="127.0.0.1", port=int(sys.argv[1]), user="bench", catalog="memory", schema="default").cursor()
if sys.argv[2] == "read":
    cursor.execute(sys.argv[3])
    while cursor.fetchmany(10000):
        pass
else:
    cursor.executemany("INSERT INTO bench_rows VALUES (?, ?, ?)", [(i, f"name {i}", i / 7) for i in range(int(sys.argv[3]))])
"""


def sql(url, text):
    headers = {"X-Trino-User": "bench"}
    answer = json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/statement", text.encode(), headers)))
    while "nextUri" in answer:
        answer = json.load(urllib.request.urlopen(urllib.request.Request(answer["nextUri"], headers=headers)))
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])


def flow(bench, name, source, sink):
    path = bench.WORK / f"{name}.yaml"
    path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name}, "spec": {
        "checkpointPersistence": False, "channelBufferSize": 500, "source": source, "sink": sink}}))
    return path


def python_client(bench, port, *args):
    return bench.measure([sys.executable, "-c", PYTHON, port, *args])


def has_python_client():
    return subprocess.run([sys.executable, "-c", "import trino"], capture_output=True).returncode == 0


def read(bench, url):
    source = {"type": "trino", "config": {"serverURL": url, "catalog": "tpch", "schema": "sf1", "query": QUERY}}
    manifest = flow(bench, "lineitem", source, {"type": "discard", "config": {}})
    script = [str(bench.ROOT / "test/services/trino")]
    jar, java = (subprocess.run(script + [verb], capture_output=True, text=True, check=True).stdout.strip() for verb in ("cli", "java"))
    runs = {"trino-cli --output-format=NULL": lambda: bench.measure([java, "-jar", jar, "--server", url, "--output-format=NULL", "--execute", QUERY]),
            "dataflow, to discard": lambda: bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", manifest])}
    best = {}
    for _ in range(int(os.environ.get("DATAFLOW_BENCH_ROUNDS", "3"))):
        for name, run in runs.items():
            cpu, wall = run()
            best[name] = min((wall, cpu), best.get(name, (wall, cpu)))
    if has_python_client():
        cpu, wall = python_client(bench, url.rsplit(":", 1)[1], "read", f"SELECT * FROM tpch.sf1.lineitem LIMIT {ROWS // 4}")
        best["Python client"] = (wall * 4, cpu * 4)
    for name, (wall, cpu) in best.items():
        bench.row(f"{name}: rows a second; CPU seconds", f"{ROWS / wall:,.0f}", f"{cpu:.1f}")
    ours = best["dataflow, to discard"][0]
    bench.row("beside the command line", f"{best['trino-cli --output-format=NULL'][0] / ours:.2f}", "at least 1")
    if "Python client" in best:
        bench.row("beside the Python client", f"{best['Python client'][0] / ours:.2f}", "at least 3")
    bench.row("peak resident MiB", f"{bench.peak(manifest):.1f}", "at most 32")


def values(url, size, statements):
    """Rows a second of the same rows as a list of literals."""
    rows = ", ".join(f"(BIGINT '{i}', 'name {i}', DOUBLE '0.125')" for i in range(size))
    started = time.perf_counter()
    for _ in range(statements):
        sql(url, f"INSERT INTO memory.default.bench_rows VALUES {rows}")
    return size * statements / (time.perf_counter() - started)


def write(bench, url):
    rate = {}
    for size, count in ((1, 60), (10, 600), (100, 6000), (1000, 30000), (5000, 100000)):
        sql(url, "DROP TABLE IF EXISTS memory.default.bench_rows")
        sql(url, "CREATE TABLE memory.default.bench_rows (id bigint, name varchar, share double)")
        manifest = flow(bench, "rows", {"type": "generate", "config": {
            "count": count, "template": '{"id": ${counter}, "name": "name ${counter}", "share": 0.125}'}},
            {"type": "trino", "config": {"serverURL": url, "catalog": "memory", "schema": "default", "table": "bench_rows",
                                         "batchSize": size}})
        _, wall = bench.measure([bench.DATAFLOW, "run", "--once", "--progress", "none", manifest])
        rate[size] = count / wall
        literals = values(url, size, 20 if size < 1000 else 2) if size <= 1000 else None
        bench.row(f"{size} rows a statement: rows a second", f"{rate[size]:,.0f}", f"as VALUES: {literals:,.0f}" if literals else "")
    bench.row("the best beside one row a statement", f"{max(rate.values()) / rate[1]:.0f}", "at least 50 times")
    if has_python_client():
        _, wall = python_client(bench, url.rsplit(":", 1)[1], "write", "60")
        bench.row("Python client's executemany: rows a second", f"{60 / wall:,.0f}")


def run(bench):
    url = bench.service("trino", "env")["TRINO_URL"]
    time.sleep(5)  # until it has found itself
    for _ in range(3):  # it warms up
        sql(url, "SELECT count(*), max(comment) FROM tpch.sf1.lineitem")
    read(bench, url)
    write(bench, url)
