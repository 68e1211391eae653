#!/usr/bin/env python3
"""bench/program.c in Python, as a user would write it: rows are made as JSON text, what comes is parsed. Protocol 2."""
import json
import sys

out, config, at = sys.stdout, {}, 0
documents = [json.dumps({
    "orderId": 1000000 + i, "customerName": f"Customer {i % 977}", "customerEmail": f"c{i % 977}@example.com", "totalAmount": 11.37 + i,
    "currency": "EUR", "status": "active", "itemCount": i % 7, "internal": {"traceId": f"{i:08x}", "retry": False}, "priority": 1,
    "channel": "web", "shippingInfo": {"streetName": f"Main St {i % 99}", "postalCode": str(10000 + i), "isExpress": True}},
    separators=(",", ":")) for i in range(1000)]
for line in sys.stdin:
    command = json.loads(line)
    cmd = command["cmd"]
    if cmd == "read":
        end = min(at + command["limit"], config["rows"])
        if end > at:
            out.write('{"type":"messages","batch":%d,"messages":[%s]}\n' % (command["batch"], ",".join(
                ['{"json":%s,"position":%d}' % (documents[i % 1000], i) for i in range(at, end)])))
        at = end
        out.write('{"type":"done","batch":%d,"end":%s}\n' % (command["batch"], "true" if at == config["rows"] else "false"))
    elif cmd == "write":
        out.write('{"type":"done","batch":%d}\n' % command["batch"])
    elif cmd == "init":
        config = command["config"]
        out.write('{"type":"ready","protocol":2,"in_flight":8}\n')
    elif cmd == "connect":
        out.write('{"type":"ready"}\n')
    else:
        out.write('{"type":"%s"}\n' % ("pong" if cmd == "ping" else "error" if cmd == "describe" else "done"))
    out.flush()
    if cmd == "close":
        break
