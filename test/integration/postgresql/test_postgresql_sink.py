"""The PostgreSQL sink on a real server: inserts, upserts, deletes, tables as they come, poison. Small flushes (prepared
statements) and large ones (COPY) must do the same, so most tests run as both."""
import unittest

from postgresql_kit import PG, PostgresTest, rows, sql, start, superuser

setUpModule = start

SMALL, LARGE = 3, 5000  # rows a flush: prepared statements, COPY (which upserts take from 151 rows on)


def deleted(**row):
    """For the transformation `debeziumUnwrap`: a delete of this row."""
    return {"payload": {"op": "d", "before": row, "after": None}}


def upserted(**row):
    return {"payload": {"op": "u", "before": None, "after": row}}


class Writes(PostgresTest):
    def both(self, act):
        """Runs act(batchSize) for both ways to the server, each in a fresh database."""
        for size in (SMALL, LARGE):
            with self.subTest(batchSize=size):
                self.empty_database()
                act(size)

    def write_changes(self, changes, size, **config):
        """Changes as Debezium envelopes, padded so that the large flush goes by COPY."""
        self.jsonl(changes)
        flow = self.flow(self.sink(batchSize=size, **config), transformations=[{"type": "debeziumUnwrap", "config": {}}])
        done = self.run_flow(flow)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    # ---- inserts ----

    def test_inserts(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'none', n numeric)")
            self.write_rows([{"id": i, "name": f"n{i}", "n": i / 4} for i in range(100)], batchSize=size)
            self.assertEqual(rows("SELECT * FROM t WHERE id = 99"), [{"id": 99, "name": "n99", "n": 24.75}])
            self.assertEqual(sql("SELECT count(*) FROM t"), "100")
        self.both(act)

    def test_existing_rows_are_skipped_and_counted(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (5, 'old')")
            done = self.write_rows([{"id": i, "name": "new"} for i in range(100)] + [{"id": 1, "name": "again"}], batchSize=size)
            self.assertEqual(self.unchanged(done), 2)
            self.assertEqual(sql("SELECT name FROM t WHERE id IN (1, 5) ORDER BY id"), "new\nold")
            self.assertEqual(sql("SELECT count(*) FROM t"), "100")
        self.both(act)

    def test_column_sets_and_defaults(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'da', b text)")
            items = []
            for i in range(90):
                items.append([{"id": i, "a": "x"}, {"b": "y", "id": i}, {"id": i, "a": None, "b": "z"}][i % 3])
            self.write_rows(items, batchSize=size)
            self.assertEqual(sql("SELECT a, b, count(*) FROM t GROUP BY 1, 2 ORDER BY b NULLS FIRST"), "x||30\nda|y|30\n|z|30")
        self.both(act)

    def test_row_of_defaults_only(self):
        def act(size):
            sql("CREATE TABLE t (id serial PRIMARY KEY, a text DEFAULT 'da')")
            self.write_rows([{}] * 40, batchSize=size)
            self.assertEqual(sql("SELECT count(*), min(a) FROM t"), "40|da")
        self.both(act)

    # ---- upserts ----

    def test_upsert_last_write_wins(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'old', 'kept')")
            items = [{"id": i % 50, "a": f"{i}"} for i in range(200)] + [{"id": 1, "b": "partial"}, {"id": 2, "a": "last"}]
            self.write_rows(items, batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT * FROM t WHERE id IN (1, 2, 49) ORDER BY id"), "1|151|partial\n2|last|\n49|199|")
            self.assertEqual(sql("SELECT count(*) FROM t"), "50")
        self.both(act)

    def test_upsert_by_conflict_key_of_two_columns(self):
        def act(size):
            sql("CREATE TABLE t (id serial PRIMARY KEY, a int, b numeric, v text, UNIQUE (a, b))")
            self.write_rows([{"a": i % 3, "b": f"1.0{'0' * (i % 4)}", "v": str(i)} for i in range(300)], batchSize=size, upsertMode=True,
                            conflictKey="a, b")
            self.assertEqual(sql("SELECT a, v FROM t ORDER BY a"), "0|297\n1|298\n2|299")
        self.both(act)

    def test_upsert_key_that_only_the_server_can_compare(self):
        def act(size):
            superuser("CREATE EXTENSION citext SCHEMA public")
            sql("CREATE TABLE t (id citext PRIMARY KEY, v int)")
            self.write_rows([{"id": "aAbBcC"[i % 6], "v": i} for i in range(300)], batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT lower(id::text), v FROM t ORDER BY 1"), "a|295\nb|297\nc|299")
        self.both(act)

    def test_if_newer(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, v int, a text)")
            sql("INSERT INTO t VALUES (1, 5, 'stored'), (2, NULL, 'stored'), (3, 9, 'stored')")
            items = [{"id": 1, "v": 5, "a": "equal"}, {"id": 2, "v": 1, "a": "first"}, {"id": 3, "v": 8, "a": "older"},
                     {"id": 4, "v": 7, "a": "first of equals"}, {"id": 4, "v": 7, "a": "second"}, {"id": 4, "v": 3, "a": "older"},
                     {"id": 5, "v": 1, "a": "x"}, {"id": 5, "v": 2, "a": "newest"}]
            items += [{"id": 100 + i, "v": 1, "a": "fill"} for i in range(200)]
            done = self.write_rows(items, batchSize=size, upsertMode=True, upsertStrategy="ifNewer", upsertVersionColumn="v")
            self.assertEqual(sql("SELECT id, a FROM t WHERE id < 100 ORDER BY id"),
                             "1|stored\n2|first\n3|stored\n4|first of equals\n5|newest")
            self.assertGreaterEqual(self.unchanged(done), 4)
            self.assertIn("upsert", self.refuse([{"id": 1, "a": "no version"}], batchSize=size, upsertMode=True,
                                                upsertStrategy="ifNewer", upsertVersionColumn="v"))
        self.both(act)

    def test_upsert_of_key_columns_only(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'kept')")
            done = self.write_rows([{"id": i} for i in range(200)], batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT count(*), min(a) FROM t"), "200|kept")
        self.both(act)

    def test_upsert_without_unique_index_says_what_helps(self):
        sql("CREATE TABLE t (id int, a text)")
        said = self.refuse([{"id": 1}], upsertMode=True, conflictKey="id")
        self.assertIn('CREATE UNIQUE INDEX CONCURRENTLY ON \\"public\\".\\"t\\" (\\"id\\")', said)
        self.assertIn("set conflictKey", self.refuse([{"id": 1}], upsertMode=True))

    # ---- deletes ----

    def test_order_of_one_key_with_deletes(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text DEFAULT 'fresh')")
            changes = [upserted(id=i, a="1", b="1") for i in range(200)]
            changes += [deleted(id=i) for i in range(0, 200, 2)]
            changes += [upserted(id=i, a="again") for i in range(0, 200, 6)]
            changes += [deleted(id=0), upserted(id=0, a="2"), deleted(id=1), upserted(id=2, b="3"), deleted(id=1404)]
            self.write_changes(changes, size, upsertMode=True)
            expected = {i: ("1", "1") for i in range(200)}
            for i in range(0, 200, 2):
                del expected[i]
            for i in range(0, 200, 6):
                expected[i] = ("again", "fresh")
            expected[0] = ("2", "fresh")
            del expected[1]
            expected[2] = (None, "3")
            self.assertEqual({r["id"]: (r["a"], r["b"]) for r in rows("SELECT * FROM t")}, expected)
        self.both(act)

    def test_many_switches_of_one_key(self):
        """More lanes than a flush by COPY keeps."""
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a int)")
            changes = [c for i in range(100) for c in (upserted(id=1, a=i), deleted(id=1))] + [upserted(id=1, a=777)]
            self.write_changes(changes, size, upsertMode=True)
            self.assertEqual(sql("SELECT * FROM t"), "1|777")
        self.both(act)

    def test_soft_delete(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, a text, deleted_at timestamptz)")
            changes = [upserted(id=i, a="x") for i in range(40)] + [deleted(id=7), deleted(id=8), deleted(id=1000)]
            self.write_changes(changes, size, softDeleteColumn="deleted_at")
            self.assertEqual(sql("SELECT id FROM t WHERE deleted_at IS NOT NULL ORDER BY 1"), "7\n8")
            before = sql("SELECT deleted_at FROM t WHERE id = 7")
            self.write_changes([deleted(id=7)] * 25, size, softDeleteColumn="deleted_at")
            self.assertEqual(sql("SELECT deleted_at FROM t WHERE id = 7"), before)
        self.both(act)

    def test_delete_without_a_key_is_refused(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
        self.jsonl([deleted(a="x")])
        flow = self.flow(self.sink(upsertMode=True), errors="errors.jsonl", transformations=[{"type": "debeziumUnwrap", "config": {}}])
        self.assertEqual(self.run_flow(flow).returncode, 0)
        self.assertIn('key column "id"', self.lines("errors.jsonl")[0]["error"]["message"])

    # ---- tables as they come ----

    def test_generated_and_identity_columns(self):
        def act(size):
            sql("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)")
            self.write_rows([{"a": i} for i in range(30)] + [{"id": 1000, "a": 7}], batchSize=size)
            self.assertEqual(sql("SELECT id, a, twice FROM t WHERE id IN (30, 1000) ORDER BY 1"), "30|29|58\n1000|7|14")
            self.write_rows([{"id": i + 1, "a": 5} for i in range(200)], batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT count(*), sum(twice) FROM t"), "201|2014")
            self.assertIn("computed by the database", self.refuse([{"a": 1, "twice": 2}], batchSize=size))
        self.both(act)

    def test_partitions(self):
        def act(size):
            sql("CREATE TABLE t (id int, at date, a text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
            sql("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');"
                "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
            items = [{"id": i, "at": f"202{4 + i % 2}-05-01", "a": "x"} for i in range(300)]
            self.write_rows(items, batchSize=size, upsertMode=True)
            self.write_rows([dict(i, a="y") for i in items], batchSize=size, upsertMode=True)
            done = self.write_rows([dict(i, a="z") for i in items], batchSize=size)
            self.assertEqual(self.unchanged(done), 300)
            self.assertEqual(sql("SELECT count(*), min(a) FROM t1"), "150|y")
            done = self.write_rows([{"id": 1, "at": "2030-01-01"}, {"id": 2, "at": "2024-02-02"}], batchSize=size, errors="e.jsonl",
                                   sink=self.sink(batchSize=size))
            self.assertEqual(self.lines("e.jsonl")[-1]["error"]["code"], "23514")
            self.assertEqual(sql("SELECT count(*) FROM t WHERE id = 2 AND at = '2024-02-02'"), "1")
        self.both(act)

    def test_triggers(self):
        def act(size):
            sql("""CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, stamp text NOT NULL);
                   CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
                   BEGIN NEW.stamp := coalesce(NEW.stamp, 'filled'); IF NEW.id = 13 THEN RETURN NULL; END IF; RETURN NEW; END $$;
                   CREATE TRIGGER fill BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fill()""")
            self.write_rows([{"id": i, "a": "x"} for i in range(200)], batchSize=size)
            self.assertEqual(sql("SELECT count(*), min(stamp) FROM t"), "199|filled")
            self.write_rows([{"id": i, "a": "y", "stamp": None} for i in range(200)], batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT count(*), min(a) FROM t"), "199|y")
        self.both(act)

    def test_row_security(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY, owner text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
                "CREATE POLICY own ON t USING (owner = current_user) WITH CHECK (owner = current_user); GRANT ALL ON t TO reader")
            url = PG["POSTGRESQL_URL"].replace("dataflow:dataflow-secret", "reader:reader-secret")
            self.write_rows([{"id": i, "owner": "reader"} for i in range(200)], sink=self.sink(url=url, batchSize=size))
            self.write_rows([{"id": i, "owner": "reader"} for i in range(200)], sink=self.sink(url=url, batchSize=size, upsertMode=True))
            self.assertEqual(sql("SELECT count(*) FROM t"), "200")
            self.jsonl([{"id": 99, "owner": "somebody"}])
            done = self.run_flow(self.flow(self.sink(url=url, batchSize=size)))
            self.assertIn("row-level security", done.stderr)
        self.both(act)

    def test_views_and_rules(self):
        def act(size):
            sql("CREATE TABLE base (id int PRIMARY KEY, a text); CREATE VIEW v AS SELECT id, a FROM base;"
                "CREATE TABLE r (id int, a text); CREATE TABLE log (id int);"
                "CREATE RULE also AS ON INSERT TO r DO ALSO INSERT INTO log VALUES (NEW.id)")
            self.write_rows([{"id": i, "a": "x"} for i in range(200)], table="v", batchSize=size)
            self.write_rows([{"id": i, "a": "x"} for i in range(200)], table="r", batchSize=size)
            self.assertEqual(sql("SELECT (SELECT count(*) FROM base), (SELECT count(*) FROM r), (SELECT count(*) FROM log)"), "200|200|200")
        self.both(act)

    def test_domains_enums_and_types_that_travel_as_text(self):
        def act(size):
            sql("""CREATE TYPE color AS ENUM ('red', 'green'); CREATE TYPE pair AS (a int, b text);
                   CREATE DOMAIN positive AS numeric(6, 2) CHECK (VALUE > 0); CREATE DOMAIN small AS positive;
                   CREATE TABLE t (id int PRIMARY KEY, c color, cs color[], d small, ds small[], ip inet, ips inet[], r int4range,
                     p pair, b bit(3), vb varbit(5), m money, pt point, x xml, ts tsvector, mac macaddr, lsn pg_lsn, ch "char",
                     n name, j json, i interval)""")
            row = {"c": "red", "cs": ["green", None], "d": 12.5, "ds": [1, "2.50"], "ip": "10.0.0.1/8", "ips": ["::1", None],
                   "r": "[1,10)", "p": '(1,"a,b")', "b": "101", "vb": "11", "m": "$1,234.50", "pt": "(1,2)", "x": "<a/>",
                   "ts": "'a':1", "mac": "08:00:2b:01:02:03", "lsn": "16/B374D848", "ch": "x", "n": "name", "j": {"a": [1.0]},
                   "i": "P1Y2M3DT4H5M6.789S"}
            self.write_rows([dict(row, id=i) for i in range(200)], batchSize=size)
            self.write_rows([dict(row, id=i) for i in range(200)], batchSize=size, upsertMode=True)
            self.assertEqual(sql("SELECT count(*) FROM t"), "200")
            self.assertEqual(sql("SELECT c, cs, d, ds, ip, ips, r, p, b, vb, m, pt, x, ts, mac, lsn, ch, n, j, i FROM t WHERE id = 199"),
                             'red|{green,NULL}|12.50|{1.00,2.50}|10.0.0.1/8|{::1,NULL}|[1,10)|(1,"a,b")|101|11|$1,234.50|(1,2)|<a/>|'
                             "'a':1|08:00:2b:01:02:03|16/B374D848|x|name|{\"a\":[1.0]}|1 year 2 mons 3 days 04:05:06.789")
            for bad in ({"c": "blue"}, {"d": -1}, {"b": "1"}, {"ip": "nowhere"}, {"vb": "111111"}, {"d": 1.234}, {"d": 12345}):
                self.assertIn('"error_type":"', self.refuse([dict(row, id=1000), dict(row, id=1001, **bad)], batchSize=size))
        self.both(act)

    # ---- keys and columns ----

    def test_unknown_fields(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY)")
            items = [{"id": i, "extra": i} for i in range(30)]
            self.assertIn('no column for the key \\"extra\\"', self.refuse(items, batchSize=size))
            self.write_rows(items, batchSize=size, unknownFields="ignore")
            self.assertEqual(sql("SELECT count(*) FROM t"), "30")
        self.both(act)

    def test_add_column(self):
        def act(size):
            sql("CREATE TABLE t (id int PRIMARY KEY)")
            items = [{"id": i} for i in range(10)] + [{"id": 10 + i, "a": i, "b": "x", "c": [1], "d": True} for i in range(30)]
            items += [{"id": 100, "a": 1.5, "e": None}]
            self.write_rows(items, batchSize=size, unknownFields="addColumn")
            self.assertEqual(sql("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't' ORDER BY 1"),
                             "a|numeric\nb|text\nc|jsonb\nd|boolean\ne|text\nid|integer")
            self.assertEqual(sql("SELECT * FROM t WHERE id IN (10, 100) ORDER BY id"), "10|0|x|[1]|t|\n100|1.5||||")
        self.both(act)

    def test_wrapped_bodies(self):
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        self.write_rows([{"value": {"id": 1}, "_metadata": {"a": 1}}])
        self.assertEqual(sql("SELECT id FROM t"), "1")

    def test_old_tables(self):
        def act(size):
            sql("CREATE TABLE t (id serial PRIMARY KEY, data jsonb NOT NULL, created_at timestamp DEFAULT now())")
            self.write_rows([{"a": i} for i in range(29)] + [{"data": {"as": "is"}}], batchSize=size)
            self.assertEqual(sql("SELECT data FROM t WHERE id IN (1, 30) ORDER BY id"), '{"a": 0}\n{"as": "is"}')
        self.both(act)

    # ---- names ----

    def test_hostile_names(self):
        """100 table and column names, quoted everywhere: in COPY, staging, statements, texts of errors."""
        pieces = ["a", '"', "'", ";", "--", "/*", "$1", "%s", "\\", "\n", "é", "日", " ", ".", ",", "select", "NULL", "\t", "$$", "COPY, line 1"]
        names = []
        for i, a in enumerate(pieces):
            for j in range(5):
                name = f"{a}{pieces[(i * 7 + j * 3 + 1) % len(pieces)]}{i}{j}"
                names.append(name)
        self.assertEqual(len(set(names)), 100)

        def quoted(name):
            return '"' + name.replace('"', '""') + '"'
        columns = ", ".join(f"{quoted(n)} text" for n in names)
        for table in ('x"; DROP TABLE y; --', "drop 'it'", "Ünï.cödé", "a, line 7, b"):
            sql(f"DROP TABLE IF EXISTS public.{quoted(table)}; CREATE TABLE public.{quoted(table)} (id int PRIMARY KEY, {columns})")
            for size in (SMALL, LARGE):
                items = [{"id": i, **{n: f"{n}{i}" for n in names}} for i in range(160)]
                self.write_rows(items, table=f"public.{quoted(table)}", batchSize=size, upsertMode=True)
            got = rows(f"SELECT * FROM public.{quoted(table)} ORDER BY id")
            self.assertEqual(got, items)
        for i in range(0, 100, 10):
            name = names[i]
            sql(f"CREATE TABLE {quoted(name)} ({quoted(name)} int UNIQUE CHECK ({quoted(name)} < 1000))")
            self.write_rows([{name: k} for k in range(30)], table=f"public.{quoted(name)}", batchSize=LARGE)
            self.assertEqual(sql(f"SELECT count(*) FROM {quoted(name)}"), "30")
            self.jsonl([{name: k} for k in range(100, 150)] + [{name: 5000}] + [{name: k} for k in range(200, 250)])
            done = self.run_flow(self.flow(self.sink(table=f"public.{quoted(name)}", batchSize=LARGE), errors=f"e{i}.jsonl"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([e["error"]["code"] for e in self.lines(f"e{i}.jsonl")], ["23514"])
            self.assertEqual(sql(f"SELECT count(*) FROM {quoted(name)}"), "130")


class Poison(PostgresTest):
    def test_one_row_in_ten_thousand(self):
        """A row that only the server can refuse: by COPY (it names the row) and by upsert (the processor bisects)."""
        for upsert in (False, True):
            with self.subTest(upsert=upsert):
                sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, a int CHECK (a <> 4711))")
                self.jsonl({"id": i, "a": 4711 if i == 6543 else 0} for i in range(10_000))
                errors = f"e{upsert}.jsonl"
                done = self.run_flow(self.flow(self.sink(batchSize=10_000, upsertMode=upsert), errors=errors))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sql("SELECT count(*) FROM t"), "9999")
                [record] = self.lines(errors)
                self.assertEqual((record["error"]["code"], record["error"]["type"]), ("23514", "constraint_violation"))
                self.assertIn("t_a_check", record["error"]["message"])
                self.assertEqual(record["original_message"], {"id": 6543, "a": 4711})

    def test_values_that_do_not_fit_are_found_before_they_are_sent(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, n smallint, d numeric(5, 2), at timestamptz, s varchar(3), u uuid, r int NOT NULL DEFAULT 0)")
        bad = [({"n": 40000}, "22003"), ({"n": 1.5}, "22P02"), ({"n": "x"}, "22P02"), ({"d": 1.234}, "22003"), ({"d": 1234}, "22003"),
               ({"at": "yesterday"}, "22007"), ({"at": 1700000000}, "22P02"), ({"s": "long"}, "22001"), ({"s": "\0"}, "22021"),
               ({"u": "no"}, "22P02"), ({"n": [1]}, "22P02"), ({"r": None}, "23502"), ({"s": "\ud800"}, "22P02")]
        for size in (5, 5000):
            sql("TRUNCATE t")
            items = []
            for i in range(300):
                items.append(dict({"id": i, "n": 1}, **(bad[i // 20][0] if i % 20 == 0 and i // 20 < len(bad) else {})))
            self.jsonl(items)
            done = self.run_flow(self.flow(self.sink(batchSize=size), errors=f"e{size}.jsonl"))
            self.assertEqual(done.returncode, 0, done.stderr)
            records = self.lines(f"e{size}.jsonl")
            self.assertEqual([r["error"]["code"] for r in records], [code for _, code in bad])
            for record, (row, _) in zip(records, bad):
                self.assertIn(f'column "{next(iter(row))}"', record["error"]["message"])
                self.assertEqual(record["error"]["type"], "invalid_data")
            self.assertEqual(sql("SELECT count(*) FROM t"), str(300 - len(bad)))

    def test_what_only_the_server_knows(self):
        """Foreign keys, unique columns beside the key, deferred constraints: bisected."""
        sql("CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT generate_series(0, 99);"
            "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED, u int UNIQUE)")
        items = [{"id": i, "p": i % 100, "u": i} for i in range(400)]
        items[50]["p"] = 1000
        items[350]["u"] = 7
        for size in (5, 5000):
            sql("TRUNCATE t")
            self.jsonl(items)
            done = self.run_flow(self.flow(self.sink(batchSize=size, upsertMode=True), errors=f"e{size}.jsonl"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([(r["original_message"]["id"], r["error"]["code"]) for r in self.lines(f"e{size}.jsonl")],
                             [(50, "23503"), (350, "23505")])
            self.assertEqual(sql("SELECT count(*) FROM t"), "398")

    def test_without_an_error_sink_the_pipeline_stops(self):
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        self.assertIn("22P02", self.refuse([{"id": "x"}]))
        self.assertEqual(sql("SELECT count(*) FROM t"), "0")


class Create(PostgresTest):
    def columns(self, table="t"):
        return dict(line.split("|") for line in sql(
            f"SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE attrelid = '{table}'::regclass AND attnum > 0 "
            "ORDER BY attnum").splitlines())

    def test_columns_from_the_whole_first_batch(self):
        items = [{"b": 1, "id": 1}, {"b": 1.5, "id": 2, "text": "x"}, {"id": 3, "ok": True, "doc": {"a": 1}, "list": [1], "nothing": None}]
        self.write_rows(items, autoCreateTable=True)
        self.assertEqual(self.columns(), {"b": "numeric", "doc": "jsonb", "id": "numeric", "list": "jsonb", "nothing": "text", "ok": "boolean",
                                          "text": "text", "created_at": "timestamp without time zone",
                                          "updated_at": "timestamp without time zone"})
        self.assertEqual(list(self.columns())[:7], sorted(list(self.columns())[:7]))
        self.assertEqual(sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass"), "PRIMARY KEY (id)")
        self.assertEqual(sql("SELECT id, b, text, ok, doc, list FROM t ORDER BY id"), "1|1|||| \n2|1.5|x|||\n3|||t|{\"a\": 1}|[1]".replace(" \n", "\n"))

    def test_conflict_key_is_the_primary_key(self):
        self.write_rows([{"id": 1, "k": "a"}, {"id": 2, "k": "a"}], autoCreateTable=True, upsertMode=True, conflictKey="k",
                        softDeleteColumn="gone_at")
        self.assertEqual(sql("SELECT id, k FROM t"), "2|a")
        self.assertIn("gone_at", self.columns())
        self.assertIn("no row of the first batch has the conflictKey", self.refuse(
            [{"id": 1}], table="u", autoCreateTable=True, upsertMode=True, conflictKey="k"))

    def test_raw(self):
        self.write_rows(['{"a": 1.0}', "plain text", '{"value": [1], "_metadata": {"k": "v"}}', "[2]"], autoCreateTable=True, rawMode=True)
        self.assertEqual(list(self.columns()), ["id", "data", "_metadata", "created_at", "updated_at", "deleted_at"])
        got = rows("SELECT data, _metadata FROM t ORDER BY id")
        self.assertEqual([r["data"] for r in got], [{"a": 1.0}, "plain text", [1], [2]])
        self.assertEqual(got[2]["_metadata"], {"k": "v"})
        self.assertEqual(sql("SELECT indexname FROM pg_indexes WHERE indexname = 'idx_t_data'"), "idx_t_data")

    def test_raw_into_text_columns(self):
        sql("CREATE TABLE t (data text, _metadata text)")
        self.write_rows(["plain text", '{"a":1}'] * 20, rawMode=True)
        self.assertEqual(sql("SELECT DISTINCT data FROM t ORDER BY 1"), 'plain text\n{"a":1}')

    def test_raw_flattened(self):
        wrapped = [{"value": {"n": i}, "_metadata": {"partition": 3, "offset": i, "topic": "x", "timestamp": "2024-01-01T00:00:00Z",
                                                     "flag": True, "headers": {"a": "b"}}} for i in range(30)]
        late = [{"value": 1, "_metadata": {"late": 1, "offset": 99}}]
        self.write_rows(wrapped, autoCreateTable=True, rawMode=True, flattenMetadataColumns=True, flattenMetadataColumnsPrefix="m_")
        self.assertEqual(self.columns(), {"id": "bigint", "data": "jsonb", "m_partition": "integer", "m_offset": "bigint", "m_topic": "text",
                                          "m_timestamp": "timestamp with time zone", "m_flag": "boolean", "m_headers": "text",
                                          "created_at": "timestamp without time zone", "updated_at": "timestamp without time zone",
                                          "deleted_at": "timestamp without time zone"})
        self.write_rows(late, rawMode=True, flattenMetadataColumns=True, flattenMetadataColumnsPrefix="m_")
        self.assertEqual(sql("SELECT data, m_offset, m_headers FROM t WHERE m_offset IN (29, 99) ORDER BY 2"),
                         '{"n": 29}|29|{"a":"b"}\n1|99|')
        sql("ALTER TABLE t ADD _metadata jsonb")
        self.assertIn("flattenMetadataColumns does not fill", self.refuse(late, rawMode=True, flattenMetadataColumns=True))

    def test_names_that_are_too_long(self):
        self.assertIn("longer than PostgreSQL's 63 bytes", self.refuse([{"x" * 64: 1}], autoCreateTable=True))

    def test_names_of_columns_that_every_table_has(self):
        self.assertIn("is that of a column of PostgreSQL's own", self.refuse([{"ctid": 1}], autoCreateTable=True))

    def test_missing_table_and_columns(self):
        self.assertIn("set autoCreateTable: true", self.refuse([{"id": 1}]))
        sql("CREATE TABLE t (id int PRIMARY KEY, need text NOT NULL)")
        self.assertIn('which is NOT NULL and has no default', self.refuse([{"id": 1}]))
        self.assertIn("softDeleteColumn needs", self.refuse([{"id": 1}], softDeleteColumn="gone"))
        self.assertIn("upsertVersionColumn needs", self.refuse([{"id": 1}], upsertMode=True, upsertStrategy="ifNewer", upsertVersionColumn="v"))
        self.assertIn("conflictKey needs", self.refuse([{"id": 1}], upsertMode=True, conflictKey="k"))
        self.assertIn("rawMode needs", self.refuse([{"id": 1}], rawMode=True))
        self.assertIn("3F000", self.refuse([{"id": 1}], table="nowhere.t", autoCreateTable=True))

    def test_schema_in_the_name(self):
        sql('DROP SCHEMA IF EXISTS "My.Schema" CASCADE; CREATE SCHEMA "My.Schema"; CREATE TABLE "My.Schema"."T" (id int)')
        self.write_rows([{"id": 1}], table='"My.Schema".T')
        self.assertEqual(sql('SELECT id FROM "My.Schema"."T"'), "1")
        sql('DROP SCHEMA "My.Schema" CASCADE')


if __name__ == "__main__":
    unittest.main()
