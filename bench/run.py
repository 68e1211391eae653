#!/usr/bin/env python3
"""Measures speed and memory beside what a user would pick instead, in one run, as ratios and as instruction counts.

    bench/run.py              everything
    bench/run.py chain file   some of it (chain, avro, transformers, processor, metrics, operator, operator-metrics, stop, outage, file, idle, start, size, sqlite,
                              guard, plugin, program, kafka, clickhouse, trino)

Numbers of different runs or machines do not compare; the ratios inside one run do. Instructions are callgrind's, so they repeat.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-bench"
WORK = BUILD / "work"
DATAFLOW = BUILD / "src/cmd/dataflow"
LINES = int(os.environ.get("DATAFLOW_BENCH_LINES", "1000000"))


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, "--buildtype=release", "-Dtests=disabled", "-Dbench=enabled"], check=True,
                       stdout=subprocess.DEVNULL, cwd=ROOT)
    subprocess.run(["ninja", "-C", BUILD], check=True, stdout=subprocess.DEVNULL)
    WORK.mkdir(exist_ok=True)


def measure(command, stdin=None, stdout=subprocess.DEVNULL, cwd=None):
    """CPU seconds and wall seconds of one process."""
    started = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd or WORK)
    error = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: exit {process.returncode}: {error.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started


def peak(manifest):
    """Peak resident MiB of a run, as the kernel counted it for that program (ru_maxrss would begin with our own size)."""
    done = subprocess.run([DATAFLOW, "run", "--once", "--progress", "json", manifest], capture_output=True, text=True, cwd=WORK)
    return json.loads(done.stderr.splitlines()[-1])["peak_bytes"] / 1024 / 1024


def instructions(command, function=None):
    """Of the whole program, or of what one function does."""
    with tempfile.NamedTemporaryFile() as out:
        only = [f"--toggle-collect={function}"] if function else []
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", *only, *map(str, command)],
                              capture_output=True, text=True, cwd=WORK)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def document(i):
    """About 300 bytes, 20 members, one of them an object."""
    return json.dumps({
        "orderId": 1000000 + i, "customerName": f"Customer {i % 977}", "customerEmail": f"c{i % 977}@example.com",
        "totalAmount": round(11 + (i % 1000) * 0.37, 2), "currency": "EUR", "status": "active" if i % 10 else "closed",
        "itemCount": i % 7, "internal": {"traceId": f"{i:08x}", "retry": False}, "priority": i % 3, "channel": "web",
        "shippingInfo": {"streetName": f"Main St {i % 99}", "postalCode": f"{10000 + i % 89999}", "isExpress": i % 2 == 0},
    }, separators=(",", ":"))


def lines_file(n):
    path = WORK / f"lines-{n}.jsonl"
    if not path.exists():
        with open(path, "w") as f:
            for i in range(n):
                f.write(document(i) + "\n")
    return path


def row(name, value, note=""):
    print(f"  {name:58} {value:>16}  {note}", flush=True)


def bench_chain():
    """chain of five on 300-byte documents, one core: ours beside jansson"""
    lines, n = lines_file(1000), 1000
    chain = ROOT / "bench/chain.yaml"
    ours = [BUILD / "bench/bench-chain", chain, lines]
    theirs = [BUILD / "bench/bench-chain-jansson", lines]
    same = [subprocess.run([*map(str, c), "1", "--check"], capture_output=True, text=True).stdout.splitlines()
            for c in (ours, theirs)]
    if [json.loads(a) for a in same[0]] != [json.loads(b) for b in same[1]]:
        raise RuntimeError("the two chains do not give the same documents")
    size = lines.stat().st_size / n
    us = {}
    for name, command, rounds in (("dataflow", ours, 400), ("jansson", theirs, 40)):
        best = min(measure([*command, rounds])[0] for _ in range(3))
        us[name] = best / rounds / n * 1e6
        row(f"{name}: us a document of {size:.0f} bytes", f"{us[name]:.3f}")
    row("times as fast as jansson", f"{us['jansson'] / us['dataflow']:.1f}", "at least 12, aim 20")
    for name, command in (("dataflow", ours), ("jansson", theirs)):
        per = (instructions([*command, 3]) - instructions([*command, 1])) / (2 * n)
        row(f"{name}: instructions a document", f"{per:.0f}", "at most 6000, aim 4500" if name == "dataflow" else "")


def bench_avro():
    """Avro records of 10 fields to documents, one core: ours beside avro-c's generic value to JSON"""
    n, path = 1000, WORK / "orders.avro"
    orders = [json.dumps({"orderId": 1000000 + i, "customerName": f"Customer {i % 977}", "customerEmail": f"c{i % 977}@example.com",
                          "totalAmount": round(11 + i * 0.37, 2), "currency": "EUR", "status": "active" if i % 10 else "closed",
                          "itemCount": i % 7, "isExpress": i % 2 == 0, "createdAt": f"2024-01-15T10:30:{i % 60:02}.{i:03}Z",
                          "note": None if i % 3 else f"note {i}"}) for i in range(n)]
    ours, theirs = [BUILD / "bench/bench-avro", path], [BUILD / "bench/bench-avro-c", path]
    subprocess.run([*map(str, ours), "1", "--make"], input="\n".join(orders) + "\n", text=True, check=True)
    same = [[json.loads(line) for line in subprocess.run([*map(str, c), "1", "--check"], capture_output=True, text=True).stdout.splitlines()]
            for c in (ours, theirs)]
    if [a["customerName"] for a in same[0]] != [b["customerName"] for b in same[1]] or len(same[0]) != n:
        raise RuntimeError("the two do not give the same documents")
    ns, count = {}, {}
    for name, command, rounds, more in (("document", ours, 400, []), ("document and its JSON", ours, 400, ["--json"]), ("avro-c", theirs, 40, [])):
        ns[name] = min(measure([*command, rounds, *more])[0] for _ in range(3)) / rounds / n * 1e9
        count[name] = (instructions([*command, 3, *more]) - instructions([*command, 1, *more])) / (2 * n)
        row(f"{name}: ns, instructions a message", f"{ns[name]:.0f}, {count[name]:.0f}")
    row("times as fast as avro-c", f"{ns['avro-c'] / ns['document']:.1f}", "at least 3")
    row("avro-c's instructions to ours", f"{count['avro-c'] / count['document']:.1f}")
    allocations = int(subprocess.run([BUILD / "bench/bench-avro-allocations", path, "11"], check=True, capture_output=True, text=True).stdout)
    row("allocations a message", f"{allocations / (10 * n):.4f}", "at most 0")


TRANSFORMERS = {
    "timestamp": None,
    "flatten": {"field": "items"},
    "filter": {"condition": "status == 'active' && totalAmount > 10"},
    "mask": {"fields": ["customerEmail", "internal.traceId"], "keepLength": True},
    "router": {"routes": [{"condition": "status == 'closed'", "sink": {"type": "none", "config": {}}}]},
    "select": {"fields": ["orderId", "customerName", "totalAmount", "status", "shippingInfo.postalCode"]},
    "remove": {"fields": ["internal", "customerEmail"]},
    "snakeCase": {"deep": True},
    "camelCase": {"deep": True},
    "debeziumUnwrap": {"addOperationFields": True, "addSourceFields": ["lsn"]},
    "replaceField": {"exclude": ["internal"], "renames": ["orderId:id", "shippingInfo.postalCode:postalCode"]},
    "headersToPayload": {"mappings": ["traceId:trace.id", "tenant:tenant"]},
    "structFlatten": {"delimiter": "_"},
    "extractField": {"field": "shippingInfo"},
    "hoistField": {"field": "order"},
    "cast": {"spec": {"orderId": "string", "totalAmount": "string", "itemCount": "float64"}},
    "timezone": {"timezone": "Europe/Berlin", "fields": ["orderId"]},
    "insertField": {"fields": {"origin": "${metadata.topic}", "seen": "${now}", "version": "json:2"}},
}


def large_document(i):
    """About 5,000 bytes: the same with an array of objects."""
    whole = json.loads(document(i))
    whole["items"] = [{"lineNumber": n, "productCode": f"SKU-{(i + n) % 9973:05d}", "productName": f"Product {n}", "unitPrice": 1.5 + n,
                       "inStock": n % 3 > 0} for n in range(44)]
    return json.dumps(whole, separators=(",", ":"))


def enveloped(line):
    return ('{"payload":{"op":"c","before":null,"after":%s,"source":{"table":"orders","lsn":24023128,"ts_ms":1705312200123}}}' % line)


def steady(chain, lines, n):
    """Nanoseconds, instructions and heap allocations a message, behind the first two rounds."""
    args = [chain, lines]
    seen = json.loads(subprocess.run([BUILD / "bench/bench-chain-allocations", *args, "20", "--measure"], check=True,
                                     capture_output=True, text=True).stdout)
    timed = json.loads(subprocess.run([BUILD / "bench/bench-chain", *args, "60", "--measure"], check=True, capture_output=True,
                                      text=True).stdout)
    return timed["ns"], instructions([BUILD / "bench/bench-chain", *args, "1", "--measure"], "run_steady_round") / n, seen["allocations"]


def bench_transformers():
    """each transformer alone and the chain of five on 300-byte and 5,000-byte documents, a message: ns, instructions, allocations"""
    chains = {"chain of five": ROOT / "bench/chain.yaml"}
    for name, config in TRANSFORMERS.items():
        chains[name] = WORK / f"transformer-{name}.yaml"
        chains[name].write_text(json.dumps([{"type": name, **({"config": config} if config else {})}]))
    goals = {"chain of five": "at most 6000 instructions, aim 4500", "filter": "at most 2500 instructions"}
    for make, n in ((document, 300), (large_document, 60)):
        plain = [make(i) for i in range(n)]
        files = {"": plain, "debeziumUnwrap": [enveloped(line) for line in plain]}
        for kind, lines in files.items():
            (WORK / f"steady{kind}.jsonl").write_text("".join(line + "\n" for line in lines))
        print(f"  documents of {sum(map(len, plain)) // n} bytes{'':25}{'ns':>10} {'instructions':>14} {'allocations':>13}")
        for name, chain in chains.items():
            ns, count, allocations = steady(chain, WORK / f"steady{name if name in files else ''}.jsonl", n)
            print(f"    {name:46}{ns:12.0f} {count:14.0f} {allocations:13.2f}  {goals.get(name, '') if make is document else ''}"
                  f"{'  allocations: at most 0' if allocations else ''}", flush=True)


PROCESSOR_FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: bench}}
spec:
  checkpointPersistence: false
  channelBufferSize: {buffer}
  source: {{type: generate, config: {{count: {count}, template: '{{"id": ${{counter}}, "text": "{text}"}}'}}}}
  transformations: {transformations}
  sink: {{type: discard}}
"""


def processor_flow(count, transformations=(), buffer=100):
    """Messages of 300 bytes."""
    path = WORK / f"processor-{count}-{len(transformations)}-{buffer}.yaml"
    path.write_text(PROCESSOR_FLOW.format(count=count, text="x" * 275, buffer=buffer, transformations=json.dumps(list(transformations))))
    return path


def best_rate(command, n, rounds=5):
    """Messages a second of wall time, both cores."""
    return max(n / measure(command)[1] for _ in range(rounds))


def bench_processor():
    """the processor alone, generate -> discard of 300 bytes on two cores, beside handing over single pointers"""
    n = LINES * 10
    run = lambda count, program=DATAFLOW, *more: [program, "run", "--progress", "none", *more, processor_flow(count)]
    ours = best_rate(run(n), n)
    row("messages/s", f"{ours:,.0f}", "at least 3,000,000")
    wide = best_rate([DATAFLOW, "run", "--progress", "none", processor_flow(n, buffer=1000)], n)
    row("messages/s with channelBufferSize 1000", f"{wide:,.0f}")
    single = {"a mutex and conditions": [BUILD / "bench/bench-handover"]}
    go = shutil.which("go") or ("/usr/local/go/bin/go" if os.access("/usr/local/go/bin/go", os.X_OK) else None)
    if go:
        subprocess.run([go, "build", "-o", WORK / "handover-go", ROOT / "bench/handover.go"], check=True)
        single["Go's channels"] = [WORK / "handover-go"]
    for name, command in single.items():
        rate = best_rate([*command, LINES * 2], LINES * 2)
        row(f"two hand-overs of single pointers, {name}: messages/s", f"{rate:,.0f}", "nothing but that")
    part = LINES // 5
    per = (instructions(run(2 * part)) - instructions(run(part))) / part
    row("instructions a message (all threads)", f"{per:.0f}")

    def allocations(count):
        path = WORK / "allocations"
        subprocess.run(run(count, BUILD / "bench/bench-allocations"), check=True, capture_output=True, cwd=WORK,
                       env=dict(os.environ, DATAFLOW_COUNT_FILE=str(path)))
        return int(path.read_text())
    row("heap allocations a message", f"{(allocations(2 * LINES) - allocations(LINES)) / LINES:.5f}", "0")


GUARDS = {"mutex": "pthread_mutex, locked and unlocked", "closed": "df_base_closed", "guard_use": "df_base_guard_use and unlock",
          "use": "df_base_use and its end", "rwlock": "pthread_rwlock, read-locked and unlocked", "rw_rlock": "df_base_rw_rlock and runlock",
          "rw_use": "df_base_rw_use and its end"}


def bench_guard():
    """what an operation pays for its base (one call): alone, beside another thread, instructions; the bare locks for comparison"""
    program, n = BUILD / "bench/bench-guard", LINES

    def ns(name, threads):
        return min(float(subprocess.run([program, name, str(threads), str(n)], check=True, capture_output=True, text=True).stdout)
                   for _ in range(5))
    print(f"  {'':58} {'ns':>8} {'ns of 2':>9} {'instructions':>13}")
    for name, what in GUARDS.items():
        count = (instructions([program, name, 1, 20_000]) - instructions([program, name, 1, 10_000])) / 10_000
        print(f"  {what:58} {ns(name, 1):8.1f} {ns(name, 2):9.1f} {count:13.0f}", flush=True)


def bench_plugin():
    """generate -> discard of 300 bytes in batches of 100: the program's own connectors, and the same sources loaded as a plugin"""
    n, part = LINES * 5, LINES // 5
    own = ("generate", "discard")

    def run(count, types):
        path = WORK / f"plugin-{count}-{types[0]}.yaml"
        path.write_text(PROCESSOR_FLOW.format(count=count, text="x" * 275, buffer=100, transformations="[]").replace(
            "{type: generate,", f"{{type: {types[0]},").replace("{type: discard}", f"{{type: {types[1]}}}"))
        return [DATAFLOW, "run", "--progress", "none", "--connector-dir", BUILD / "bench/plugin", path]
    loaded = tuple(f"{name}-loaded" for name in own)
    cpu = {types: [] for types in (own, loaded)}
    for _ in range(7):  # in turns, so that what else the machine does falls on both
        for types in cpu:
            cpu[types].append(measure(run(n, types))[0] / n * 1e11)
    count = {types: (instructions(run(2 * part, types)) - instructions(run(part, types))) / part * 100 for types in cpu}
    for name, types in (("the program's own", own), ("loaded", loaded)):
        row(f"{name}: CPU ns, instructions (all threads) a batch", f"{min(cpu[types]):,.0f}, {count[types]:,.0f}")
    row("loaded beside the program's own: CPU, instructions", f"{min(cpu[loaded]) / min(cpu[own]):.2f}, {count[loaded] / count[own]:.3f}", "1")


def bench_program():
    """connectors that are programs: messages of 300 bytes a second, beside the program's own and one command a message"""
    n, few = LINES * 2, LINES // 10
    programs = WORK / "programs"
    programs.mkdir(exist_ok=True)
    shutil.copy(BUILD / "bench/bench-program", programs / "dataflow-connector-in-c")
    text = (ROOT / "bench/program.py").read_text().split("\n", 1)[1]
    (programs / "dataflow-connector-in-python").write_text(f"#!{sys.executable}\n{text}")
    (programs / "dataflow-connector-in-python").chmod(0o755)
    env = dict(os.environ, DATAFLOW_USE_SUBPROCESS_CONNECTORS="1", DATAFLOW_CONNECTOR_PATH=str(programs))
    file_of = lambda count: {"type": "file", "config": {"path": str(lines_file(count))}}
    nothing = {"type": "discard", "config": {}}
    source = lambda kind, count, **more: {"type": f"in-{kind}", "config": {"protocol": 2, "rows": count, **more}}
    sink = lambda kind, **more: {"type": f"in-{kind}", "config": {"protocol": 2, **more}}

    def seconds(source, sink):
        path = WORK / "program.yaml"
        path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "bench"},
                                    "spec": {"source": source, "sink": sink, "checkpointPersistence": False}}))
        started = time.perf_counter()
        done = subprocess.run([DATAFLOW, "run", "--once", "--progress", "none", path], env=env, cwd=WORK, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return time.perf_counter() - started

    def measured(count, make_source, make_sink):
        """What a run of one message takes, the programs' start, does not count."""
        best = min(seconds(make_source(count), make_sink) for _ in range(3)) - min(seconds(make_source(1), make_sink) for _ in range(3))
        return count / max(best, 1e-3)

    rates = {}
    for name, count, make_source, make_sink in (
            ("in the program: file -> discard", n, file_of, nothing),
            ("source in C", n, lambda c: source("c", c), nothing),
            ("sink in C", n, file_of, sink("c")),
            ("source and sink in C", n, lambda c: source("c", c), sink("c")),
            ("source in Python", n, lambda c: source("python", c), nothing),
            ("sink in Python", n, file_of, sink("python")),
            ("source and sink in Python", n, lambda c: source("python", c), sink("python")),
            ("source in C, protocol 1", n, lambda c: source("c", c, protocol=1), nothing),
            ("sink in C, protocol 1", n, file_of, sink("c", protocol=1)),
            ("source in C, one command one message", few, lambda c: source("c", c, protocol=1, step=1), nothing),
            ("sink in C, one command one message", few, file_of, sink("c", protocol=1, batchSize=1))):
        rates[name] = measured(count, make_source, make_sink)
        row(f"{name}: messages a second", f"{rates[name]:,.0f}", "at least 300,000" if name.endswith("in C") else "")
    for role in ("source", "sink"):
        row(f"{role}: batches in flight beside one command one message",
            f"{rates[f'{role} in C'] / rates[f'{role} in C, one command one message']:.1f}", "at least 20")
    row("source and sink in C beside in the program", f"{rates['source and sink in C'] / rates['in the program: file -> discard']:.2f}")


def bench_metrics():
    """metrics on beside off: instructions (they repeat) and CPU seconds (they do not)"""
    chain = [{"type": "snakeCase", "config": {"deep": True}}, {"type": "filter", "config": {"condition": "id > 0"}}]
    for name, transformations in (("generate -> discard", []), ("with two transformations", chain)):
        part = LINES // 10
        run = lambda count, *more: [DATAFLOW, "run", "--progress", "none", *more, processor_flow(count, transformations)]
        off, on = [instructions(run(2 * part, *m)) - instructions(run(part, *m)) for m in ([], ["--metrics", "127.0.0.1:0"])]
        row(f"{name}: instructions, on against off", f"{(on / off - 1) * 100:+.2f} %", "at most 3 %")
        off, on = [min(measure(run(LINES * 2, *m))[0] for _ in range(5)) for m in ([], ["--metrics", "127.0.0.1:0"])]
        row(f"{name}: CPU seconds, on against off", f"{(on / off - 1) * 100:+.2f} %")


def processor_text():
    """What /metrics of a processor says, two transformations in it."""
    chain = [{"type": "snakeCase", "config": {"deep": True}}, {"type": "filter", "config": {"condition": "id > 0"}}]
    process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", "--metrics", "127.0.0.1:0", processor_flow(10**9, chain)],
                               stderr=subprocess.PIPE, text=True, cwd=WORK)
    try:
        url = next(match[0] for line in process.stderr if (match := re.search(r"http://\S+/metrics", line)))
        time.sleep(1)
        with urllib.request.urlopen(url) as answer:
            return answer.read()
    finally:
        process.kill()
        process.wait()


def bench_operator_metrics():
    """the operator's /metrics: the texts of 500 pods merged into one"""
    path, merge = WORK / "processor.prom", BUILD / "bench/bench-exposition"
    path.write_bytes(processor_text())
    samples, size = (float(n) for n in subprocess.run([merge, path, "500"], capture_output=True, text=True, check=True).stdout.split())
    row("samples of a pod; MiB of 500", f"{samples / 500:.0f}", f"{size / 2**20:.1f}")
    row("CPU ms to merge 500 pods", f"{min(measure([merge, path, 500])[0] for _ in range(5)) * 1000:.0f}")
    row("instructions a sample", f"{(instructions([merge, path, 60]) - instructions([merge, path, 20])) / (samples / 500 * 40):.0f}")


def bench_stop():
    """from SIGTERM to the exit, with 10,000 messages in flight"""
    lines = WORK / "stop.jsonl"
    lines.write_text("".join(json.dumps({"id": i, "text": "x" * 280}) + "\n" for i in range(10_000)))
    path = WORK / "stop.yaml"
    path.write_text(FILE_FLOW.format(source=lines, sink="sqlite", transformations="[]", config=json.dumps({
        "path": str(WORK / "stop.db"), "table": "t", "autoCreateTable": True, "batchSize": 20000,
        "batchFlushIntervalSeconds": 3600})).replace("checkpointPersistence: false", "checkpointSaveInterval: 60s").replace(
            "stop.jsonl}", "stop.jsonl, follow: true}"))
    times = []
    for _ in range(5):
        for old in (*WORK.glob("stop.db*"), *WORK.glob("stop-state/**/checkpoint.json")):
            old.unlink()
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", "--metrics", "127.0.0.1:0", "--state-dir",
                                    WORK / "stop-state", path], cwd=WORK, stderr=subprocess.PIPE, text=True)
        address = re.search(r"http://[0-9.:]+", process.stderr.readline())[0]
        while not re.search(r"dataflow_task_active_messages{.*} 10000\n",
                            urllib.request.urlopen(address + "/metrics").read().decode()):
            time.sleep(0.02)
        started = time.perf_counter()
        process.terminate()
        process.wait()
        times.append(time.perf_counter() - started)
        process.stderr.close()
        count = subprocess.run(["sqlite3", WORK / "stop.db", "SELECT count(*) FROM t"], capture_output=True, text=True).stdout
        if process.returncode or int(count) != 10_000:
            raise RuntimeError(f"exit {process.returncode}, {count} rows")
    row("ms to write 10,000 rows, save the position and exit (median of 5)", f"{sorted(times)[2] * 1000:.0f}")


def bench_outage():
    """a sink that goes away (test/faults): how soon it is noticed, and how soon rows flow when it is back, default settings"""
    faults = "test/faults/dataflow-faults"
    subprocess.run(["ninja", "-C", BUILD, faults], check=True, stdout=subprocess.DEVNULL)
    down, path, rules = WORK / "down", WORK / "outage.yaml", WORK / "outage.json"
    down.unlink(missing_ok=True)
    rules.write_text(json.dumps([{"at": at, "while": str(down), "do": "fail", "error": "connection_error", "text": "refused"}
                                 for at in ("write", "sink_connect")]))
    path.write_text(FILE_FLOW.format(source="", sink="discard", config="{}", transformations="[]").replace(
        "{type: file, config: {path: }}", json.dumps({"type": "generate", "config": {"rate": 10000}})))
    process = subprocess.Popen([BUILD / faults, "run", "--progress", "none", "--metrics", "127.0.0.1:0", path], cwd=WORK,
                               stderr=subprocess.PIPE, text=True, env=dict(os.environ, DATAFLOW_FAULTS=str(rules)))
    address = re.search(r"http://[0-9.:]+", process.stderr.readline())[0]

    def value(name):
        text = urllib.request.urlopen(address + "/metrics").read().decode()
        return float(re.search(rf"(?m)^{name}}} (\S+)$", text)[1])

    def until(condition):
        started = time.perf_counter()
        while not condition():
            time.sleep(0.002)
        return (time.perf_counter() - started) * 1000
    connected = lambda: value('dataflow_connector_connection_status{.*connector_name="sink"')
    written = lambda: value('dataflow_messages_total{.*outcome="written"')
    until(lambda: written() > 0)
    for seconds in (1, 5, 20):
        down.touch()
        noticed = until(lambda: connected() == 0)
        time.sleep(seconds)
        before = written()
        down.unlink()
        resumed = until(lambda: written() > before)
        row(f"outage of {seconds} s: ms until it was noticed, and from the return to the first row",
            f"{noticed:.0f}, {resumed:.0f}", "resumed within 1000")
    process.terminate()
    process.communicate()


FILE_FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: bench}}
spec:
  checkpointPersistence: false
  source: {{type: file, config: {{path: {source}}}}}
  transformations: {transformations}
  sink: {{type: {sink}, config: {config}}}
"""

FILE_CHAIN = [{"type": "filter", "config": {"condition": "status == 'active'"}},
              {"type": "select", "config": {"fields": ["orderId", "customerName", "totalAmount", "shippingInfo"]}},
              {"type": "snakeCase", "config": {"deep": True}}, {"type": "timestamp"}]

# The keys are renamed by hand: a general snake_case in jq (walk and gsub) takes about twenty times as long.
JQ = r"""
select(.status == "active")
| {order_id: .orderId, customer_name: .customerName, total_amount: .totalAmount,
   shipping_info: (.shippingInfo | {street_name: .streetName, postal_code: .postalCode, is_express: .isExpress}),
   created_at: (now | todate)}
"""


def flow(name, source, sink, config, transformations=()):
    path = WORK / f"{name}.yaml"
    path.write_text(FILE_FLOW.format(source=source, sink=sink, config=json.dumps(config),
                                     transformations=json.dumps(list(transformations))))
    return path


def bench_file():
    """file -> filter, select, snakeCase, timestamp -> file: CPU and memory, beside jq -c"""
    lines = lines_file(LINES)
    output = WORK / "out.jsonl"
    manifest = flow("file", lines, "file", {"path": str(output)}, FILE_CHAIN)
    cpu = []
    for _ in range(3):
        output.unlink(missing_ok=True)
        used, wall = measure([DATAFLOW, "run", "--progress", "none", manifest])
        cpu.append(used)
    row(f"dataflow: CPU seconds for {LINES:,} lines", f"{min(cpu):.2f}", "a million: at most 2, aim 1.2")
    row("dataflow: wall seconds", f"{wall:.2f}")
    row("dataflow: peak resident MiB", f"{peak(manifest):.1f}", "at most 16")
    part = lines_file(LINES // 10)
    used, wall = measure(["jq", "-c", JQ, part])
    row(f"jq -c: CPU seconds for {LINES:,} lines (measured on a tenth)", f"{used * 10:.1f}")
    row("times less CPU than jq", f"{used * 10 / min(cpu):.1f}", "at least 8")


def switches(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", (task / "status").read_text()))
    return total


def bench_idle():
    """a source that waits: memory and wake-ups"""
    database = WORK / "idle.db"
    database.unlink(missing_ok=True)
    subprocess.run(["sqlite3", database, "CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT)"], check=True)
    path = WORK / "idle.yaml"
    path.write_text(FILE_FLOW.format(source="", sink="discard", config="{}", transformations="[]").replace(
        "{type: file, config: {path: }}", json.dumps(
            {"type": "sqlite", "config": {"path": str(database), "table": "t", "pollInterval": 60}})))
    process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", path], cwd=WORK, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    before = switches(process.pid)
    time.sleep(5)
    woken = switches(process.pid) - before
    rss = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024
    process.terminate()
    process.wait()
    row("resident MiB while a source waits", f"{rss:.1f}", "at most 8")
    row("wake-ups in 5 s", woken, "0")


def bench_start():
    """from start to the first message"""
    path = WORK / "start.yaml"
    path.write_text(FILE_FLOW.format(source="", sink="stdout", config="{}", transformations="[]").replace(
        "{type: file, config: {path: }}", json.dumps({"type": "generate", "config": {"rate": 1}})))
    times = []
    for _ in range(15):
        started = time.perf_counter()
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", path], cwd=WORK, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        process.stdout.readline()
        times.append(time.perf_counter() - started)
        process.kill()
        process.wait()
        process.stdout.close()
    row("ms from start to the first message (median of 15)", f"{sorted(times)[7] * 1000:.1f}", "at most 30")


def stripped_size(program):
    stripped = WORK / "stripped"
    subprocess.run(["strip", "-o", stripped, program], check=True)
    return f"{stripped.stat().st_size / 1024 / 1024:.2f}"


def bench_size():
    """the stripped binary, with the embedded connectors and with all"""
    embedded = ROOT / "build-embedded"
    if not (embedded / "build.ninja").exists():
        off = [f"-D{name}=disabled" for name in ("kafka", "postgresql", "clickhouse", "trino", "tests")]
        subprocess.run(["meson", "setup", embedded, "--buildtype=release", *off], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", embedded, "src/cmd/dataflow"], check=True, stdout=subprocess.DEVNULL)
    row("MiB stripped, embedded connectors", stripped_size(embedded / "src/cmd/dataflow"), "at most 1.5")
    row("MiB stripped, all connectors, librdkafka in it", stripped_size(DATAFLOW))


def bench_sqlite():
    """SQLite sink beside the sqlite3 shell's .import of the same rows"""
    rows = WORK / f"rows-{LINES}.csv"
    if not rows.exists():
        with open(rows, "w") as f:
            f.write("id,name,amount,city,created,note\n")
            for i in range(LINES):
                f.write(f"{i},Customer {i % 977},{11 + (i % 1000) * 0.37:.2f},City {i % 99},2024-01-15T10:30:00Z,note number {i}\n")
    shape = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL, city TEXT, created TEXT, note TEXT)"
    best = {}
    for name in ("dataflow", "sqlite3"):
        for _ in range(3):
            for old in WORK.glob("s.db*"):
                old.unlink()
            subprocess.run(["sqlite3", WORK / "s.db", shape], check=True)
            if name == "dataflow":
                _, wall = measure([DATAFLOW, "run", "--progress", "none",
                                      flow("sqlite", rows, "sqlite", {"path": str(WORK / "s.db"), "table": "t"})])
            else:
                _, wall = measure(["sqlite3", WORK / "s.db", "-cmd", ".mode csv", f".import --skip 1 {rows} t"])
            best[name] = min(wall, best.get(name, wall))
        row(f"{name}: wall seconds for {LINES:,} rows", f"{best[name]:.2f}")
    count = subprocess.run(["sqlite3", WORK / "s.db", "SELECT count(*) FROM t"], capture_output=True, text=True).stdout
    if int(count) != LINES:
        raise RuntimeError("rows are missing")
    row("speed beside .import", f"{best['sqlite3'] / best['dataflow']:.2f}", "at least 0.8")


def pg_shell(url, *commands):
    """psql commands one after the other in one session; returns what the last prints."""
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url, *(a for c in commands for a in ("-c", c))],
                          capture_output=True, text=True, env=dict(os.environ, PGOPTIONS="-c client_min_messages=warning"))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def pg_flow(url, name, source, table, **config):
    body = {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name}, "spec": {
        "checkpointPersistence": False, "source": source,
        "sink": {"type": "postgresql", "config": {"connectionString": url, "table": table, "batchSize": 2500, **config}}}}
    path = WORK / f"pg-{name}.yaml"
    path.write_text(json.dumps(body))
    return path


def bench_postgresql():
    """PostgreSQL beside psql's COPY BINARY on the same server and tables (DATAFLOW_BENCH_LINES rows of 6 columns, 200 bytes)"""
    sys.path.insert(0, str(ROOT / "test/integration"))
    import services
    url = services.use("postgresql")["POSTGRESQL_URL"]
    columns = "id bigint, name text, amount numeric(12, 2), at timestamptz, note text, updated_at timestamptz NOT NULL"
    pg_shell(url, "DROP TABLE IF EXISTS source, heap, keyed", f"CREATE TABLE source ({columns}, PRIMARY KEY (id))",
             "INSERT INTO source SELECT i, md5(i::text), i / 7.0, timestamptz '2024-01-01' + i * interval '1 s', "
             "repeat(md5(i::text), 3) || 'abcdefgh', timestamptz '2024-01-01' + i * interval '1 s' "
             f"FROM generate_series(1, {LINES}) i", "CREATE INDEX ON source (updated_at, id)",
             f"CREATE TABLE heap ({columns})", f"CREATE TABLE keyed ({columns}, PRIMARY KEY (id))", "VACUUM ANALYZE source")
    source = {"type": "postgresql", "config": {"connectionString": url, "table": "source"}}
    template = ('{"id": ${counter}, "name": "c4ca4238a0b923820dcc509a6f75849b", "amount": 1234.56, "at": "2024-01-01T00:00:01Z", '
                '"note": "' + "c4ca4238a0b923820dcc509a6f75849b" * 3 + 'abcdefgh", "updated_at": "2024-01-01T00:00:01Z"}')
    made = {"type": "generate", "config": {"count": LINES, "template": template}}

    def ours(name, flow_source, table, **config):
        return lambda: measure([DATAFLOW, "run", "--once", "--progress", "none", pg_flow(url, name, flow_source, table, **config)])

    def shell(*words):
        return lambda: measure(["sh", "-c", " ".join(words)])
    out = f"psql -Xq {url} -c 'COPY source TO STDOUT BINARY'"
    assign = ", ".join(f"{c} = EXCLUDED.{c}" for c in ("name", "amount", "at", "note", "updated_at"))
    select = "COPY (SELECT * FROM source WHERE updated_at IS NOT NULL ORDER BY updated_at, id) TO STDOUT BINARY"
    discard = WORK / "pg-discard.yaml"
    discard.write_text(json.dumps({**json.loads(pg_flow(url, "discard", source, "t").read_text()), "spec": {
        "checkpointPersistence": False, "source": source, "sink": {"type": "discard", "config": {}}}}))
    cases = {
        "COPY (SELECT) OUT": (None, shell(f"psql -Xq {url} -c '{select}' > /dev/null")),
        "dataflow: table to nowhere": (None, lambda: measure([DATAFLOW, "run", "--once", "--progress", "none", discard])),
        "COPY OUT | COPY IN": ("heap", shell(out, "|", f"psql -Xq {url} -c 'COPY heap FROM STDIN BINARY'")),
        "dataflow: table to table": ("heap", ours("copy", source, "heap")),
        "COPY IN": ("heap", shell(f"psql -Xq {url} -c 'COPY heap FROM STDIN BINARY' <", str(WORK / "pg.bin"))),
        "dataflow: generated rows": ("heap", ours("sink", made, "heap", batchSize=10_000)),
        "COPY into temp, ON CONFLICT": ("keyed", shell(
            f"psql -Xq {url} -c 'CREATE TEMP TABLE stage (LIKE keyed)' -c 'COPY stage FROM STDIN BINARY' -c "
            f"'INSERT INTO keyed SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET {assign}' <", str(WORK / "pg.bin"))),
        "dataflow: generated upserts": ("keyed", ours("upsert", made, "keyed", upsertMode=True, batchSize=10_000)),
    }
    subprocess.run(["sh", "-c", f"{out} > {WORK / 'pg.bin'}"], check=True)
    best = {}
    for _ in range(3):
        for name, (table, act) in cases.items():
            pg_shell(url, "TRUNCATE heap, keyed")
            cpu, wall = act()
            if table and int(pg_shell(url, f"SELECT count(*) FROM {table}")) != LINES:
                raise RuntimeError(f"{name}: rows are missing")
            best[name] = min((wall, cpu), best.get(name, (wall, cpu)))
    for (theirs, them), (name, us), least in zip(list(best.items())[::2], list(best.items())[1::2], (0.7, 0.75, 0.8, 0.6)):
        row(f"{theirs}: wall seconds for {LINES:,} rows", f"{them[0]:.2f}")
        row(f"{name}: wall seconds", f"{us[0]:.2f}")
        row("speed beside it", f"{them[0] / us[0]:.2f}", f"at least {least}")
        row("CPU seconds of ours a million rows", f"{us[1] / LINES * 1e6:.2f}", "at most 2")
    pg_shell(url, "TRUNCATE heap")
    row("peak resident MiB, table to table", f"{peak(pg_flow(url, 'copy', source, 'heap')):.1f}", "at most 24")
    script = WORK / "insert.sql"
    script.write_text("\\set id random(1, 1000000000)\nINSERT INTO heap VALUES (:id, 'c4ca4238a0b923820dcc509a6f75849b', 1234.56, "
                      "'2024-01-01T00:00:01Z', 'c4ca4238a0b923820dcc509a6f75849bc4ca4238a0b923820dcc509a6f75849b', now());\n")
    done = subprocess.run(["/usr/lib/postgresql/15/bin/pgbench", "-n", "-M", "prepared", "-t", "20000", "-f", script, url],
                          capture_output=True, text=True, check=True)
    per_row = float(re.search(r"tps = ([\d.]+) \(without", done.stdout)[1])
    row("prepared inserts one by one (pgbench): rows a second", f"{per_row:,.0f}")
    row("dataflow, table to table, beside them", f"{LINES / best['dataflow: table to table'][0] / per_row:.0f}", "at least 10 times")


def service(name, verb, **environment):
    done = subprocess.run([ROOT / "test/services" / name, verb], capture_output=True, text=True, env=dict(os.environ, **environment))
    if done.returncode:
        raise RuntimeError(f"{name} {verb}: {done.stderr}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def kafka_flow(name, source, sink, transformations=()):
    path = WORK / f"{name}.yaml"
    path.write_text(json.dumps({
        "apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name}, "spec": {
            "checkpointPersistence": False, "source": source, "transformations": list(transformations), "sink": sink}}))
    return path


def bench_kafka():
    """kafka -> discard, generate -> kafka, kafka -> kafka beside librdkafka's bare loops; CPU beside two kcat in a pipe"""
    service("kafka", "start", KAFKA_JVM_OPTS="", KAFKA_HEAP="1g")
    try:
        run_bench_kafka(service("kafka", "env")["KAFKA_BROKERS"])
    finally:
        service("kafka", "stop")


def run_bench_kafka(brokers):
    loops, runs = BUILD / "bench/bench-kafka-loops", iter(range(1000))
    lines = lines_file(1000)

    def topic():
        """A new one with four partitions: dataflow makes it."""
        name = f"bench-{os.getpid()}-{next(runs)}"
        measure([DATAFLOW, "run", "--progress", "none", kafka_flow("make", {"type": "generate", "config": {"count": 1}}, {
            "type": "kafka", "config": {"brokers": [brokers], "topic": name, "autoCreateTopic": True, "topicPartitions": 4}})])
        return name

    def source(name):
        return {"type": "kafka", "config": {"brokers": [brokers], "topic": name, "consumerGroup": f"{name}-{next(runs)}"}}

    def sink(name):
        return {"type": "kafka", "config": {"brokers": [brokers], "topic": name}}

    def ours(manifest):
        return measure([DATAFLOW, "run", "--once", "--progress", "none", manifest])

    full = topic()
    measure([loops, "fill", brokers, full, LINES, lines])
    best, cpu = {}, {}

    def take(name, run, rounds=3):
        for _ in range(rounds):
            used, wall = run()
            best[name] = min(wall, best.get(name, wall))
            cpu[name] = min(used, cpu.get(name, used))
        row(f"{name}: messages a second; CPU seconds", f"{LINES / best[name]:,.0f}", f"{cpu[name]:.2f}")

    template = document(0).replace("$", "")
    chain = json.loads(subprocess.run(["python3", "-c", "import sys,yaml,json; print(json.dumps(yaml.safe_load(sys.stdin)))"],
                                      input=(ROOT / "bench/chain.yaml").read_text(), capture_output=True, text=True, check=True).stdout)
    take("librdkafka: batch consume", lambda: measure([loops, "consume", brokers, full, LINES]))
    take("kafka -> discard", lambda: ours(kafka_flow("discard", source(full), {"type": "discard", "config": {}})))
    row("beside the bare loop", f"{best['librdkafka: batch consume'] / best['kafka -> discard']:.2f}", "at least 0.8")
    take("librdkafka: produce", lambda: measure([loops, "produce", brokers, topic(), LINES, lines]))
    take("generate -> kafka", lambda: ours(kafka_flow("produce", {"type": "generate", "config": {
        "count": LINES, "template": template}}, sink(topic()))))
    row("beside the bare loop", f"{best['librdkafka: produce'] / best['generate -> kafka']:.2f}", "at least 0.8")
    slower = max(best["librdkafka: batch consume"], best["librdkafka: produce"])
    take("kafka -> chain of five -> kafka", lambda: ours(kafka_flow("five", source(full), sink(topic()), chain)), 2)
    row("beside the slower bare loop", f"{slower / best['kafka -> chain of five -> kafka']:.2f}", "at least 0.5")
    manifest = kafka_flow("four", source(full), sink(topic()), FILE_CHAIN)
    done = subprocess.run([DATAFLOW, "run", "--once", "--progress", "json", manifest], capture_output=True, text=True, cwd=WORK)
    row("peak resident MiB", f"{json.loads(done.stderr.splitlines()[-1])['peak_bytes'] / 1024 / 1024:.1f}", "at most 48")
    take("kafka -> filter, select, snakeCase, timestamp -> kafka",
         lambda: ours(kafka_flow("four", source(full), sink(topic()), FILE_CHAIN)), 2)
    if not shutil.which("kcat"):
        return row("two kcat in a pipe", "not here", "apt-get install kcat")
    take("two kcat in a pipe, transport only", lambda: measure(["sh", "-c", (
        f"kcat -C -b {brokers} -t {full} -o beginning -e -q | kcat -P -b {brokers} -t {topic()} -z snappy")]), 2)


def bench_operator():
    """the operator with 500 DataFlows on a control plane: memory, requests, times; DATAFLOW_BENCH_OTHER: beside another one"""
    subprocess.run([sys.executable, ROOT / "bench/operator_flows.py", os.environ.get("DATAFLOW_BENCH_FLOWS", "500")], check=True)


def bench_kafka_postgresql():
    """kafka -> PostgreSQL and back, beside kcat, jq and psql in pipes"""
    sys.path.insert(0, str(ROOT / "bench"))
    import kafka_postgresql
    service("kafka", "start", KAFKA_JVM_OPTS="", KAFKA_HEAP="1g")
    service("postgresql", "start")
    try:
        kafka_postgresql.run(sys.modules[__name__])
    finally:
        service("postgresql", "stop")
        service("kafka", "stop")


def bench_clickhouse():
    """ClickHouse 18.16: files into tables and tables into nothing, beside clickhouse-client with the same blocks"""
    sys.path.insert(0, str(ROOT / "bench"))
    import clickhouse
    clickhouse.run(sys.modules[__name__])


def bench_trino():
    """Trino: tpch.sf1.lineitem into nothing beside Trino's own command line and the Python client; rows by rows a statement"""
    sys.path.insert(0, str(ROOT / "bench"))
    import trino_server
    service("trino", "start", TRINO_JVM_OPTS="", TRINO_HEAP="3g")
    try:
        trino_server.run(sys.modules[__name__])
    finally:
        service("trino", "stop")


BENCHES = {name.removeprefix("bench_").replace("_", "-"): f for name, f in list(globals().items()) if name.startswith("bench_")}


def main(argv):
    if "--help" in argv or "-h" in argv:
        print(__doc__)
        return 0
    unknown = [a for a in argv if a not in BENCHES]
    if unknown:
        print(f"bench/run.py: unknown benchmark {unknown[0]}; known: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    build()
    for name in argv or BENCHES:
        print(f"{name}: {BENCHES[name].__doc__}", flush=True)
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
