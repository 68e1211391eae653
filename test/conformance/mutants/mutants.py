"""The broken variants: what each breaks, and the rule that must catch it.

Each is the skeleton's connector (`dataflow connector new kv --plugin`) with one thing wrong. A change is a text that stands
exactly once in the file, and what takes its place. `doc` is the row of docs/conformance.md.
"""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mutant:
    name: str
    rule: str  # that must fail
    doc: str  # what is wrong, for people
    file: str
    changes: tuple  # (old, new) ...
    base: str = "mutex"
    upsert: bool = True  # the sink's upsertMode
    quick: bool = True
    waits: bool = False  # takes long, and no processor


def mutant(name, rule, doc, file, *changes, **more):
    return Mutant(name, rule, doc, file, tuple(changes), **more)


CALL = "	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };\n"
NO_CLEANUP = "	struct df_base_call call = { 0 };\n"
CONNECT = CALL + "	int code = df_base_connect(&s->base, ctx, &call, err);\n"

# Rewrites the text of a record before it is put: `text` is what make_record found, `out` a df_buf with what takes its place.
TEXT_IS_SET = """	if (df_message_payload(m, arena, &ret->text) != 0)
		return df_error_no_memory(err);
"""


def members(body):
    """A change of make_record: `body` is run for every member of the row, and the text is the row as it is then."""
    return (TEXT_IS_SET, """	df_for_each (member, row) {
		if (member->kind == DF_STRING && df_value_unescape(member, arena) != 0)
			return df_error_no_memory(err);
		""" + body + """
	}
	ret->text = df_value_to_arena(row, arena);
""")


LIFECYCLE = [
    mutant("lock-kept-on-error", "settings.credentials",
           "The lock is not released when connecting fails.", "sink.c",
           (CONNECT, CONNECT.replace(CALL, NO_CLEANUP)),
           ("""	if (code != 0)
		return code;
	s->base.state.connected = true;
""", """	if (code != 0)
		return code;
	s->base.state.connected = true;
	df_base_call_end(&call);
	if (code == 0)
		return 0;
""")),
    mutant("close-without-lock", "lifecycle.close-among-rows",
           "close frees the connection while read uses it.", "source.c",
           ("	if (df_base_guard_close(&s->base))\n", """	df_context_cancel(s->base.state.context);
	if (atomic_exchange(&s->base.state.closed, true))
"""),
           ("	df_base_unlock(&s->base);\n	return 0;\n", "	return 0;\n")),
    mutant("borrowed-not-awaited", "lifecycle.close-among-rows",
           "close of the rw base does not wait for the borrower.", "source.c",
           ("	df_base_wait_returned(&s->base.state);\n", ""), base="rw"),
    mutant("closed-not-set", "lifecycle.connect-after-close",
           "close does not set the closed flag.", "sink.c",
           ("	if (df_base_guard_close(&s->base))\n		return 0; /* it was closed already */\n",
            "	df_context_cancel(s->base.state.context);\n	df_base_lock(&s->base);\n	s->base.state.connected = false;\n")),
    mutant("closed-not-checked", "lifecycle.connect-after-close",
           "connect does not look whether the connector is closed.", "sink.c",
           (CONNECT, CALL + "	int code = 0;\n\n	df_base_lock(&s->base);\n	call.locked = &s->base;\n	call.ctx = ctx;\n"),
           ("	df_context_deadline(call.ctx, df_clock_monotonic() + connection->connect_timeout * DF_NS_PER_S);\n", "")),
    mutant("write-before-connect", "lifecycle.use-before-connect",
           "write does not look whether the connector is connected.", "sink.c",
           ("	int code = df_base_use(&s->base, ctx, &call, err);\n", "	int code = df_base_connect(&s->base, ctx, &call, err);\n")),
    mutant("read-before-connect", "lifecycle.use-before-connect",
           "read does not look whether the connector is connected.", "source.c",
           ("	int code = df_base_use(&s->base, ctx, &call, err);\n", "	int code = df_base_connect(&s->base, ctx, &call, err);\n")),
    mutant("connect-twice-opens-twice", "lifecycle.connect-twice",
           "A second connect opens a second connection and forgets the first.", "sink.c",
           ("	if (code != 0 || s->base.state.connected)\n", "	if (code != 0)\n")),
    mutant("own-context-unused", "lifecycle.close-during-read",
           "read waits on the caller's context alone, so close waits for the whole pause.", "source.c",
           ("df_context_sleep(call.ctx, s->settings->poll_interval * DF_NS_PER_S)",
            "df_context_sleep(ctx, 30 * s->settings->poll_interval * DF_NS_PER_S)")),
    mutant("emit-without-own-context", "source.close-blocked",
           "read emits with the caller's context, so close hangs while downstream is full.", "source.c",
           ("		code = read_batch(s, call.ctx, out, partition, &count, err);\n",
            "		code = read_batch(s, ctx, out, partition, &count, err);\n")),
    mutant("double-free", "lifecycle.close-twice",
           "A second close frees the connection again.", "sink.c",
           ("	if (df_base_guard_close(&s->base))\n		return 0; /* it was closed already */\n",
            "	if (df_base_guard_close(&s->base))\n		df_base_lock(&s->base);\n"),
           ("	df_kv_close(DF_TAKE(s->db));\n	df_base_unlock", "	df_kv_close(s->db);\n	df_base_unlock")),
    mutant("close-before-connect", "lifecycle.close-before-connect",
           "close of a connector that never connected uses what is not there.", "store.c",
           ("void df_kv_close(struct df_kv *db)\n{\n	if (!db)\n		return;\n", "void df_kv_close(struct df_kv *db)\n{\n")),
    mutant("close-fails-when-closed", "lifecycle.close-twice",
           "A second close is an error.", "sink.c",
           ("		return 0; /* it was closed already */\n", "		return df_error_set(err, DF_ERR_CLOSED, \"connector is closed\");\n")),
    mutant("descriptor-leaked", "lifecycle.nothing-left",
           "close leaves a descriptor open.", "store.c",
           ("	if (db->fd >= 0)\n		close(db->fd);\n", ""), waits=True),
    mutant("memory-leaked-per-cycle", "lifecycle.nothing-left",
           "close does not free all that connect allocated.", "store.c",
           ("	free(db->path);\n	free(db->slots);\n", "	free(db->slots);\n")),
    mutant("memory-leaked-per-message", "lifecycle.nothing-left",
           "write keeps a copy of each message.", "sink.c",
           (TEXT_IS_SET, TEXT_IS_SET + "	if (!df_str_dup(ret->text))\n		return df_error_no_memory(err);\n")),
    mutant("thread-leaked", "lifecycle.nothing-left",
           "A thread that connect started outlives close.", "sink.c",
           ("/* FILL IN: open what write needs; give it back when a later step fails. */\n",
            "static void *wait_for_ever(void *arg)\n{\n	(void)arg;\n	pause();\n	return NULL;\n}\n\n"),
           ("	s->base.state.connected = true;\n",
            "	pthread_t thread;\n	if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)\n		pthread_detach(thread);\n"
            "	s->base.state.connected = true;\n"), waits=True),
    mutant("connection-shared", "lifecycle.two-instances",
           "All instances use one connection, which the first close frees.", "sink.c",
           ("	code = df_kv_open(connection, call.ctx, &s->db, err);\n",
            "	static struct df_kv *shared;\n\n	code = shared ? 0 : df_kv_open(connection, call.ctx, &shared, err);\n	s->db = shared;\n")),
    mutant("write-after-close", "lifecycle.use-after-close",
           "write after close succeeds, and writes nothing.", "sink.c",
           ("	int code = df_base_use(&s->base, ctx, &call, err);\n",
            "	int code = df_base_closed(&s->base) ? 0 : df_base_use(&s->base, ctx, &call, err);\n\n	if (df_base_closed(&s->base))\n		return 0;\n")),
    mutant("free-does-not-close", "lifecycle.free-without-close",
           "free does not close first.", "source.c",
           ("	(void)source_close(source, NULL);\n", ""), waits=True),
    mutant("free-of-null", "lifecycle.free-without-close",
           "free does not accept NULL.", "sink.c",
           ("	if (!sink)\n		return;\n", "")),
    mutant("half-made-leaked", "lifecycle.free-half-made",
           "What connect opened before it failed stays open.", "store.c",
           ("	df_cleanup(closep) struct df_kv *db = calloc", "	struct df_kv *db = calloc"), waits=True),
    mutant("connect-uninterruptible", "lifecycle.close-during-connect",
           "connect waits for something that close does not end.", "sink.c",
           ("	code = df_kv_open(connection, call.ctx, &s->db, err);\n", "	sleep(2);\n	code = df_kv_open(connection, call.ctx, &s->db, err);\n"), waits=True),
    mutant("write-uninterruptible", "lifecycle.close-during-write",
           "write waits for something that close does not end.", "sink.c",
           ("	code = make_records(s, w, records, &count, err);\n", "	code = make_records(s, w, records, &count, err);\n	sleep(2);\n")),
    mutant("close-is-an-error-of-read", "lifecycle.close-during-read",
           "read that close interrupts says that the connection is lost, and so is tried again.", "source.c",
           ("			code = df_context_check(call.ctx, err);\n", "			code = df_error_set(err, DF_ERR_CONNECTION, \"the connection is lost\");\n")),
    mutant("close-races", "lifecycle.close-together",
           "Closes at the same time all free the connection.", "sink.c",
           ("	if (df_base_guard_close(&s->base))\n		return 0; /* it was closed already */\n",
            "	if (df_base_closed(&s->base))\n		return 0;\n	usleep(1000);\n	if (df_base_guard_close(&s->base))\n		df_base_lock(&s->base);\n"),
           ("	df_kv_close(DF_TAKE(s->db));\n	df_base_unlock", "	df_kv_close(s->db);\n	df_base_unlock")),
    mutant("instances-counted", "lifecycle.reopen",
           "A count of connections goes up and never down, until there are too many.", "sink.c",
           ("	code = df_kv_open(connection, call.ctx, &s->db, err);\n",
            "	static int connections;\n\n	if (++connections > 10)\n		return df_error_set(err, DF_ERR_TRANSIENT, \"there are too many connections\");\n"
            "	code = df_kv_open(connection, call.ctx, &s->db, err);\n")),
    mutant("emit-tried-for-ever", "lifecycle.close-during-emit",
           "read tries to emit again and again, and looks at no context meanwhile.", "source.c",
           ("		code = df_emitter_emit(out, ctx, &batch, err); /* waits while the pipeline is full */\n",
            "		while ((code = df_emitter_try_emit(out, &batch, err)) == DF_ERR_TRANSIENT)\n			usleep(1000);\n")),
]

SETTINGS = [
    mutant("wrong-token-is-connection", "settings.credentials",
           "Wrong credentials are reported as a lost connection, which is tried for ever.", "store.c",
           ('	return df_error_set(err, DF_ERR_AUTH, "the store %s refuses', '	return df_error_set(err, DF_ERR_CONNECTION, "the store %s refuses')),
    mutant("token-not-checked", "settings.credentials",
           "Wrong credentials are accepted.", "store.c",
           ("	code = check_token(connection, err);\n	if (code != 0)\n		return code;\n", "	(void)check_token;\n")),
    mutant("secret-in-error", "settings.secrets",
           "The error of a refused token shows the token.", "store.c",
           ('set `token` to what its " TOKEN " says",\n			    connection->path);',
            'not %s",\n			    connection->path, connection->token.value);')),
    mutant("secret-in-log", "settings.secrets-in-use",
           "A log line of connect shows the token.", "sink.c",
           ('"writing to the collection %s of %s", connection->collection,\n		connection->path);',
            '"writing to the collection %s of %s with %s", connection->collection,\n		connection->path, connection->token.value);')),
    mutant("secret-in-debug-log", "settings.secrets-in-use",
           "A debug line of write shows the token.", "sink.c",
           ("	records = df_arena_alloc(", '	df_debug(s->base.state.env.logger, "token=%s", s->settings->connection.token.value);\n	records = df_arena_alloc(')),
    mutant("secret-in-command-line", "settings.secrets-in-use",
           "The token stands in the process's command line.", "sink.c",
           ("	s->base.state.connected = true;\n",
            "	if (connection->token.value)\n		memcpy(program_invocation_name, connection->token.value, strlen(connection->token.value));\n	s->base.state.connected = true;\n"),
           ('#include "store.h"\n', '#include "store.h"\n\n#include <errno.h>\n')),
    mutant("secret-not-sensitive", "settings.secrets-marked",
           "The settings' table does not say that the token is secret.", "settings.c",
           ('"token", DF_SENSITIVE, ', '"token", 0, ')),
    mutant("required-not-required", "settings.left-out",
           "A setting that is needed may be left out.", "settings.c",
           ('"collection", DF_REQUIRED | DF_NO_BLANK,', '"collection", 0,')),
    mutant("secret-in-warning", "settings.secrets-invalid",
           "The warning about a token that is malformed shows it.", "sink.c",
           ("	s->settings = settings;\n", """	s->settings = settings;
	if (s->settings->connection.token.value && s->settings->connection.token.value[0] == ' ')
		df_warn(env->logger, "the token \\"%s\\" begins with a blank", s->settings->connection.token.value);
""")),
]

SOURCE = [
    mutant("position-low", "source.resume-steps",
           "The position is one too low: a row is read again.", "source.c",
           ("(int64_t)record->number;", "(int64_t)record->number - 1;")),
    mutant("position-high", "source.resume-steps",
           "The position is one too high: a row is lost.", "source.c",
           ("(int64_t)record->number;", "(int64_t)record->number + 1;")),
    mutant("position-constant", "source.messages",
           "All messages of a batch have the position of its first.", "source.c",
           ("	m->position.number = (int64_t)record->number;\n",
            "	m->position.number = batch->count > 1 ? batch->messages[0].position.number : (int64_t)record->number;\n")),
    mutant("first-row-lost", "source.all-rows",
           "Reading begins behind the first row.", "source.c",
           ("df_kv_seek(s->db, call.ctx, s->position, &there, err)", "df_kv_seek(s->db, call.ctx, s->position ? s->position : 1, &there, err)")),
    mutant("last-row-lost", "source.all-rows",
           "The last row is not emitted when there is nothing behind it.", "source.c",
           ("	if (code == 0 && batch->count > 0) {\n", "	if (code == 0 && batch->count > 0 && batch->count < out->batch_messages)\n		batch->count--;\n	if (code == 0 && batch->count > 0) {\n")),
    mutant("row-doubled-at-border", "source.all-rows",
           "The last row of a full batch comes again as the first of the next.", "source.c",
           ("		if (code != 0 || count > 0)\n			continue;\n",
            "		if (code == 0 && count == out->batch_messages)\n			code = df_kv_seek(s->db, call.ctx, s->position - 1, &there, err);\n		if (code != 0 || count > 0)\n			continue;\n")),
    mutant("row-lost-at-border", "source.limits",
           "The row that does not fit the batch is lost.", "source.c",
           ("	while (code == 0 && batch->count < out->batch_messages && batch->bytes < out->batch_bytes) {\n		code = df_kv_next(s->db, ctx, &batch->arena, &record, &more, err);\n		if (code != 0 || !more)\n			break;\n",
            "	while (code == 0 && batch->bytes < out->batch_bytes) {\n		code = df_kv_next(s->db, ctx, &batch->arena, &record, &more, err);\n		if (code != 0 || !more || batch->count == out->batch_messages)\n			break;\n")),
    mutant("order-swapped", "source.order",
           "Rows of a batch come in the wrong order.", "source.c",
           ("		last = (uint64_t)", """		struct df_message first = batch->messages[0];

		batch->messages[0] = batch->messages[batch->count - 1];
		batch->messages[batch->count - 1] = first;
		last = (uint64_t)""")),
    mutant("restore-ignored", "source.resume-all",
           "restore does nothing.", "source.c",
           ("	s->position = (uint64_t)position;\n	return 0;\n", "	return 0;\n")),
    mutant("commit-ahead", "source.resume-half",
           "commit says what was emitted, not what is done.", "source.c",
           ("df_value_int64(arena, commits[count - 1].position.number)", "df_value_int64(arena, (int64_t)s->position)")),
    mutant("commit-drops-keys", "source.commit-keeps-keys",
           "commit drops the keys of the checkpoint that it does not know.", "source.c",
           ("	/* There is one partition; ", "	df_container_take(checkpoint);\n	/* There is one partition; ")),
    mutant("commit-waits", "source.commit-beside-read",
           "commit takes the lock that read holds.", "source.c",
           ("	/* There is one partition; ", "	df_base_lock(&s->base);\n	DF_UNLOCK_ON_RETURN(&s->base);\n	/* There is one partition; ")),
    mutant("checkpoint-garbage", "source.checkpoint-garbage",
           "A checkpoint that cannot be read is taken for none.", "source.c",
           ("""		return df_error_set(err, DF_ERR_CONFIG,
				    "the checkpoint of the kv source is damaged: restore it, or " RESET);
""", "		return 0;\n")),
    mutant("checkpoint-damaged", "source.checkpoint-damaged",
           "A number that is none is read as far as it goes.", "source.c",
           ("	    store->len != sizeof(s->store) - 1 || !number || !df_value_to_int64(number, &position) || position < 0)\n",
            "	    store->len != sizeof(s->store) - 1)\n"),
           ("	memcpy(s->store, store->text, store->len);\n",
            "	position = number && number->kind == DF_NUMBER && df_value_to_int64(number, &position) ? position : INT32_MAX;\n	memcpy(s->store, store->text, store->len);\n"),
           ("	if (code == 0 && !there)\n		return df_error_set(err, DF_ERR_CONFIG, \"the collection %s ends before the position %llu: \" RESET,\n				    s->settings->connection.collection, (unsigned long long)s->position);\n", "")),
    mutant("checkpoint-foreign", "source.checkpoint-foreign",
           "The checkpoint of another collection is taken for one of this.", "source.c",
           ("	if (!df_value_string_equal(collection, df_str_c(s->settings->connection.collection)))\n", "	if (false)\n"),
           ("	if (s->store[0] && strcmp(s->store, store) != 0)\n", "	if (false)\n")),
    mutant("position-gone", "source.position-gone",
           "A position of a store that was made anew is applied to the new one.", "source.c",
           ("	if (s->store[0] && strcmp(s->store, store) != 0)\n", "	if (false)\n")),
    mutant("read-error-swallowed", "source.emit-fails",
           "read returns 0 when emit fails.", "source.c",
           ("		if (code != 0 || count > 0)\n			continue;\n", "		if (code != 0)\n			return 0;\n		if (count > 0)\n			continue;\n")),
    mutant("read-goes-on-after-error", "source.emit-fails",
           "read goes on with the next batch when emit fails.", "source.c",
           ("		if (code == 0)\n			s->position = last;\n", "		s->position = last;\n		code = code == DF_ERR_UNKNOWN ? 0 : code;\n")),
    mutant("no-batch", "source.no-batch",
           "read does not look whether it got a batch.", "source.c",
           ("	if (!batch)\n		return df_error_no_memory(err);\n", "")),
    mutant("no-partition", "source.no-partition",
           "The error of the emitter's partition is ignored.", "source.c",
           ("		code = df_emitter_partition(out, df_str_c(s->settings->connection.collection), &partition, err);\n",
            "		(void)!df_emitter_partition(out, df_str_c(s->settings->connection.collection), &partition, err);\n")),
    mutant("cancel-ignored", "source.cancel-idle",
           "The pause between two polls is not cancelled.", "source.c",
           ("df_context_sleep(call.ctx, s->settings->poll_interval * DF_NS_PER_S)",
            "df_context_sleep(NULL, 5 * s->settings->poll_interval * DF_NS_PER_S)")),
    mutant("cancel-ignored-in-emit", "source.cancel-blocked",
           "read does not give emit a context that ends.", "source.c",
           ("df_emitter_emit(out, ctx, &batch, err)", "df_emitter_emit(out, NULL, &batch, err)")),
    mutant("cancel-is-success", "source.cancel-mid-row",
           "read that is cancelled returns 0, as if it had reached the end.", "source.c",
           ("		if (code != 0 || count > 0)\n			continue;\n", "		if (code == DF_ERR_CANCELED)\n			return 0;\n		if (code != 0 || count > 0)\n			continue;\n")),
    mutant("growth-missed", "source.grows",
           "What is put while the source reads is not seen.", "store.c",
           ("		if (db->next == db->header.end)\n			code = refresh(db, ctx, err);\n", ""), waits=True),
    mutant("ends-while-following", "source.grows",
           "A source that is to wait for more ends at the first pause and says that it failed.", "source.c",
           ("		if (s->base.state.env.once)\n			return 0;\n",
            "		if (s->base.state.env.once)\n			return 0;\n		return df_error_set(err, DF_ERR_CONNECTION, \"there is nothing more\");\n")),
    mutant("never-idle", "source.idle",
           "A source that has nothing to read does not say that it is alive.", "source.c",
           ("		df_emitter_idle(out);\n", ""), quick=False, waits=True),
    mutant("limits-ignored", "source.limits",
           "A batch has more messages than the emitter allows.", "source.c",
           ("batch->count < out->batch_messages && ", "")),
    mutant("byte-limit-ignored", "source.limits",
           "A batch has more bytes than the emitter allows.", "source.c",
           (" && batch->bytes < out->batch_bytes) {", ") {")),
    mutant("no-bytes", "source.messages",
           "The batch does not say how many bytes it has.", "source.c",
           ("	batch->bytes += record->text.len;\n", "")),
    mutant("uneven-metadata", "source.messages",
           "Only the first message of a batch has metadata.", "source.c",
           ("	m->metadata = metadata; /*", "	m->metadata = batch->count == 1 ? metadata : NULL; /*")),
    mutant("no-position", "source.resume-half",
           "Messages have no partition, so nothing is ever committed.", "source.c",
           ("	m->partition = partition;\n", "	(void)partition;\n")),
    mutant("window-lost", "source.many-rows",
           "What does not fit the buffer of one read is lost.", "store.c",
           ("		db->next = entry_end(at, &entry);\n	} while",
            "		db->next = entry_end(at, &entry);\n		if (at - db->reading.at > WINDOW - 256)\n			db->next = db->header.end;\n	} while")),
    mutant("empty-is-error", "source.empty",
           "An empty store is an error.", "source.c",
           ("		if (s->base.state.env.once)\n			return 0;\n",
            "		if (s->position == 0)\n			return df_error_set(err, DF_ERR_UNKNOWN, \"the collection is empty\");\n		if (s->base.state.env.once)\n			return 0;\n")),
    mutant("read-blocks-killed", "source.resume-gap",
           "commit takes any partition's newest position for done.", "source.c",
           ("df_value_int64(arena, commits[count - 1].position.number)",
            "df_value_int64(arena, commits[count - 1].position.number + (int64_t)commits[count - 1].messages)")),
    mutant("busy-waiting", "source.idle-quiet",
           "A source that has nothing to read asks again and again without a pause.", "source.c",
           ("		if (df_context_sleep(call.ctx, s->settings->poll_interval * DF_NS_PER_S) != 0)\n			code = ", "		code = ")),
    mutant("begins-at-the-end", "source.resume-none",
           "A first run begins behind what is there.", "store.c",
           ("	*ret_there = number <= db->header.last;\n", "	*ret_there = number <= db->header.last;\n	number = number ? number : db->header.last;\n")),
    mutant("describe-nothing", "source.describe",
           "describe does not say where reading would go on.", "source.c",
           ("	.describe = source_commit, /* a commit records nothing here */\n", "	.describe = source_describe,\n"),
           ("const struct df_source_ops df_kv_source_ops = {\n", """static int source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	return source_commit(source, commits, count && commits[0].position.number < 2 ? count : 0, checkpoint, arena, err);
}

const struct df_source_ops df_kv_source_ops = {
""")),
    mutant("position-kept-when-emitted", "source.kill-before-commit",
           "The source itself remembers what it emitted, and goes on there after a kill.", "source.c",
           ("	code = df_kv_seek(s->db, ctx, s->position, &there, err);\n", """	uint64_t kept;
	int fd = open(keep_path(s), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0 && pread(fd, &kept, sizeof(kept), 0) == sizeof(kept) && kept > s->position)
		s->position = kept;
	close(fd);
	code = df_kv_seek(s->db, ctx, s->position, &there, err);
"""),
           ("		*ret_count = batch->count;\n", """		*ret_count = batch->count;
		int fd = open(keep_path(s), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd >= 0 && pwrite(fd, &last, sizeof(last), 0) >= 0)
			close(fd);
"""),
           ("#define RESET ", """static const char *keep_path(struct source *s)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s.kept.kv", s->settings->connection.path, s->settings->connection.collection);
	return path;
}

#define RESET """),
           ('#include "store.h"\n', '#include "store.h"\n\n#include <fcntl.h>\n')),
    mutant("position-kept-when-read", "source.kill-reading",
           "The source itself remembers what it read, before that was emitted, and goes on there after a kill.", "source.c",
           ("	code = df_kv_seek(s->db, ctx, s->position, &there, err);\n", """	uint64_t kept;
	int fd = open(keep_path(s), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0 && pread(fd, &kept, sizeof(kept), 0) == sizeof(kept) && kept > s->position)
		s->position = kept;
	close(fd);
	code = df_kv_seek(s->db, ctx, s->position, &there, err);
"""),
           ("		*ret_count = batch->count;\n", """		*ret_count = batch->count;

		int fd = open(keep_path(s), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd >= 0 && pwrite(fd, &last, sizeof(last), 0) >= 0)
			close(fd);
"""),
           ("#define RESET ", """static const char *keep_path(struct source *s)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s.kept.kv", s->settings->connection.path, s->settings->connection.collection);
	return path;
}

#define RESET """),
           ('#include "store.h"\n', '#include "store.h"\n\n#include <fcntl.h>\n')),
]

SINK = [
    mutant("ack-before-write", "sink.one",
           "A write is confirmed at once and made by the next one, or by close.", "store.c",
           ("	/* From here on the records are there. */\n	header.end += entries.len;\n	return code == 0 ? write_at(db, 0, &header, sizeof(header), err) : code;\n",
            """	static struct header late;

	header.end += entries.len;
	if (code == 0 && late.end > db->header.end)
		header = late;
	late = header;
	return code;
""")),
    mutant("last-message-lost", "sink.one",
           "The last message of a write is not written.", "sink.c",
           ("df_kv_put(s->db, call.ctx, records, count, err)", "df_kv_put(s->db, call.ctx, records, count - (count > 0), err)")),
    mutant("first-message-lost", "sink.many",
           "The first message of a write is not written.", "sink.c",
           ("df_kv_put(s->db, call.ctx, records, count, err)", "df_kv_put(s->db, call.ctx, records + (count > 1), count - (count > 1), err)")),
    mutant("message-doubled", "sink.many-writes",
           "The last message of a write of several is written twice.", "sink.c",
           ("	return code == 0 ? df_kv_put(s->db, call.ctx, records, count, err) : code;\n",
            "	if (code == 0 && count > 1)\n		code = df_kv_put(s->db, call.ctx, records + count - 1, 1, err);\n	return code == 0 ? df_kv_put(s->db, call.ctx, records, count, err) : code;\n"),
           upsert=False),
    mutant("order-reversed", "sink.order-of-arrival",
           "The messages of a write are written in another order.", "store.c",
           ("		add_entry(&entries, &records[i], ++header.last);\n", "		add_entry(&entries, &records[count - 1 - i], ++header.last);\n")),
    mutant("first-version-wins", "sink.order-in-batch",
           "Of two versions of a row in one write the first one stays.", "store.c",
           ("		add_entry(&entries, &records[i], ++header.last);\n", "		add_entry(&entries, &records[count - 1 - i], ++header.last);\n")),
    mutant("old-version-wins", "sink.order-across",
           "A row that is there already is not replaced.", "store.c",
           ("	slot->offset = offset;\n	return 0;\n", "	slot->offset = slot->offset ? slot->offset : offset;\n	return 0;\n")),
    mutant("upsert-adds", "sink.retry",
           "With upsertMode a row that is there already is added again.", "sink.c",
           ("	if (!s->settings->upsert_mode)\n		return 0;\n", "	if (s->settings->upsert_mode)\n		return 0;\n")),
    mutant("write-error-swallowed", "sink.cancelled-before",
           "write returns 0 when the store failed.", "sink.c",
           ("	return code == 0 ? df_kv_put(s->db, call.ctx, records, count, err) : code;\n",
            "	if (code == 0)\n		(void)!df_kv_put(s->db, call.ctx, records, count, err);\n	return code;\n")),
    mutant("poison-fails-all", "sink.poison-middle",
           "One message that is refused fails the whole write, with a code that says nothing about it.", "sink.c",
           ("		else if (df_code_poison(code))\n			df_write_fail(w, i, &why);\n", ""),
           ('			return df_error_set(err, code, "%s", why.text);\n', '			return df_error_set(err, DF_ERR_UNKNOWN, "%s", why.text);\n')),
    mutant("poison-skipped", "sink.poison-first",
           "A message that is refused is left out and confirmed.", "sink.c",
           ("			df_write_fail(w, i, &why);\n", "			continue;\n")),
    mutant("poison-is-retryable", "sink.poison-last",
           "A message that is refused fails with a code that brings it again for ever.", "sink.c",
           ("			df_write_fail(w, i, &why);\n", "			df_write_fail(w, i, (why.code = DF_ERR_TRANSIENT, &why));\n")),
    mutant("result-shifted", "sink.poison-middle",
           "The result of a message is given to the one behind it.", "sink.c",
           ("			df_write_fail(w, i, &why);\n", "			df_write_fail(w, i + 1, &why);\n")),
    mutant("first-result-missing", "sink.poison-first",
           "The first message is never refused.", "sink.c",
           ("			df_write_fail(w, i, &why);\n", "			i > 0 ? df_write_fail(w, i, &why) : (void)0;\n")),
    mutant("last-result-missing", "sink.poison-last",
           "The last message is never refused.", "sink.c",
           ("			df_write_fail(w, i, &why);\n", "			i + 1 < w->count ? df_write_fail(w, i, &why) : (void)0;\n")),
    mutant("only-first-poison", "sink.poison-several",
           "Only one message of a write can be refused.", "sink.c",
           ("	*ret_count = 0;\n	for (", "	bool refused = false;\n\n	*ret_count = 0;\n	for ("),
           ("			df_write_fail(w, i, &why);\n", "			refused ? (void)0 : df_write_fail(w, i, &why), refused = true;\n")),
    mutant("confirmed-before-refused", "sink.poison-first",
           "Every message is confirmed before it is looked at; what comes afterwards counts no more.", "sink.c",
           ("	*ret_count = 0;\n	for (", "	*ret_count = 0;\n	for (size_t i = 0; i < w->count; i++)\n		df_write_done(w, i);\n	for (")),
    mutant("never-settled", "sink.one",
           "write says that results come later, and they never do.", "sink.c",
           ("	return code == 0 ? df_kv_put(s->db, call.ctx, records, count, err) : code;\n",
            "	code = code == 0 ? df_kv_put(s->db, call.ctx, records, count, err) : code;\n	return code == 0 ? DF_WRITE_PENDING : code;\n"), waits=True),
    mutant("empty-write-crashes", "sink.empty",
           "A write without messages is not expected.", "sink.c",
           ("	records = df_arena_alloc(", "	if (w->messages[0]->failure)\n		return df_error_set(err, DF_ERR_UNKNOWN, \"the message was not decoded\");\n	records = df_arena_alloc(")),
    mutant("write-truncated", "sink.many",
           "Of a write only the first 1,000 messages are written.", "sink.c",
           ("df_kv_put(s->db, call.ctx, records, count, err)", "df_kv_put(s->db, call.ctx, records, count < 1000 ? count : 1000, err)")),
    mutant("stale-payload", "sink.document",
           "The payload is written as it was received, not as transformations left it.", "sink.c",
           (TEXT_IS_SET, "	ret->text = m->payload;\n")),
    mutant("refusal-disconnects", "sink.after-failure",
           "A message that is refused leaves the connector unusable.", "sink.c",
           ("	code = make_records(s, w, records, &count, err);\n", "	code = make_records(s, w, records, &count, err);\n	s->base.state.connected = count == w->count;\n")),
    mutant("not-durable", "sink.kill-after-sync",
           "What was confirmed is in the memory of the process until close.", "store.c",
           ("	return code == 0 ? write_at(db, 0, &header, sizeof(header), err) : code;\n",
            "	if (code == 0)\n		db->header = header;\n	return code;\n"),
           ("	code = read_header(db, err);\n	header = db->header;\n", "	header = db->header;\n"),
           ("	if (db->fd >= 0)\n		close(db->fd);\n",
            "	if (db->fd >= 0 && pwrite(db->fd, &db->header, sizeof(db->header), 0) >= 0)\n		close(db->fd);\n")),
    mutant("key-sets", "sink.key-sets",
           "The first row of a write decides which keys the others may have.", "sink.c",
           ("	if (!s->settings->upsert_mode)\n		return 0;\n",
            """	static struct df_value *first;

	if (!first || !df_str_equal_c(df_value_key(row->first), "name"))
		first = row;
	for (struct df_value *f = first->first, *v = row->first; f && v; f = f->next, v = v->next)
		df_object_rename(v, df_value_key(f));
	ret->text = df_value_to_arena(row, arena);
	if (!s->settings->upsert_mode)
		return 0;
""")),
    mutant("odd-payload", "sink.odd-payloads",
           "A message that is no object stops the pipeline.", "sink.c",
           ('		return df_error_set(err, DF_ERR_INVALID_DATA, "a record is a JSON object', '		return df_error_set(err, DF_ERR_UNKNOWN, "a record is a JSON object')),
]

TYPES = [
    mutant("int64-through-double", "types.int64-max",
           "Numbers go through a double.", "sink.c",
           members("""double d;

		if (member->kind == DF_NUMBER && df_value_to_double(member, &d))
			df_value_replace(member, df_value_float64(arena, d));""")),
    mutant("big-number-null", "types.one-e400",
           "A number that no double holds becomes null.", "sink.c",
           members("""double d;

		if (member->kind == DF_NUMBER && !df_value_to_double(member, &d))
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("digits-cut", "types.decimal-38",
           "Of a number only the first 20 digits stay.", "sink.c",
           members("""if (member->kind == DF_NUMBER && member->repr == DF_REPR_TEXT && member->len > 20)
			member->len = 20;""")),
    mutant("scale-cut", "types.decimal",
           "Zeros behind the point are cut, and the point with them.", "sink.c",
           members("""while (member->kind == DF_NUMBER && member->repr == DF_REPR_TEXT && member->len > 2 &&
		       memchr(member->text, '.', member->len))
			member->len--;""")),
    mutant("null-is-empty", "types.empty-null-missing",
           "null becomes an empty text.", "sink.c",
           members("""if (member->kind == DF_NULL)
			df_value_replace(member, df_value_string(arena, DF_STR("")));""")),
    mutant("empty-is-null", "types.empty-null-missing",
           "An empty text becomes null.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len == 0)
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("nul-ends-text", "types.text-nul",
           "A text ends at its first NUL byte.", "sink.c",
           members("""if (member->kind == DF_STRING && member->repr != DF_REPR_BYTES)
			member->len = (uint32_t)strnlen(member->text, member->len);""")),
    mutant("unicode-mangled", "types.utf8-4",
           "Characters of four bytes become question marks.", "sink.c",
           members("""char *text = member->kind == DF_STRING ? df_str_dup(df_str(member->text, member->len)) : NULL;

		for (size_t i = 0; text && i + 4 <= member->len; i++)
			if ((unsigned char)text[i] >= 0xf0)
				memcpy(text + i, "????", 4);
		if (text)
			df_value_replace(member, df_value_string_copy(arena, df_str(text, member->len)));
		free(text);""")),
    mutant("latin-1", "types.utf8-2",
           "Text is taken for Latin-1.", "sink.c",
           members("""struct df_buf text = { 0 };

		for (size_t i = 0; member->kind == DF_STRING && i < member->len; i++) {
			char utf8[4];

			df_buf_add(&text, utf8, df_utf8_encode((unsigned char)member->text[i], utf8));
		}
		if (member->kind == DF_STRING)
			df_value_replace(member, df_value_string_copy(arena, df_buf_str(&text)));
		df_buf_done(&text);""")),
    mutant("surrogate-dropped", "types.lone-surrogate",
           "Half of a surrogate pair is left out.", "sink.c",
           members("""const char *half = member->kind == DF_STRING ? memchr(member->text, 0xed, member->len) : NULL;

		if (half)
			member->len = (uint32_t)(half - member->text);""")),
    mutant("text-truncated", "types.text-1-mib",
           "A text is cut at 64 KiB.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len > 65535)
			member->len = 65535;""")),
    mutant("blanks-trimmed", "types.text-blanks",
           "Blanks around a text are cut off.", "sink.c",
           members("""if (member->kind == DF_STRING)
			df_value_replace(member, df_value_string(arena, df_str_trim(df_str(member->text, member->len))));""")),
    mutant("digits-are-numbers", "types.text-digits",
           "A text that looks like a number becomes one.", "sink.c",
           members("""int64_t n;

		if (member->kind == DF_STRING && df_str_to_int64(df_str(member->text, member->len), &n))
			df_value_replace(member, df_value_int64(arena, n));""")),
    mutant("fraction-cut", "types.text-timestamp-1969",
           "The fraction of a second is cut off texts that are times.", "sink.c",
           members("""const char *dot = member->kind == DF_STRING && member->len > 20 ? memchr(member->text, '.', member->len) : NULL;

		if (dot && member->text[10] == 'T')
			member->len = (uint32_t)(dot - member->text);""")),
    mutant("before-1970", "types.timestamptz-1969",
           "Times before 1970 become 1970.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len > 10 && member->text[4] == '-' && memcmp(member->text, "1970", 4) < 0)
			df_value_replace(member, df_value_string(arena, DF_STR("1970-01-01T00:00:00Z")));""")),
    mutant("nested-dropped", "types.object",
           "Members of nested objects are left out.", "sink.c",
           members("""if (member->kind == DF_OBJECT)
			df_container_take(member);""")),
    mutant("bytes-as-text", "types.bytes",
           "Bytes are written as if they were text.", "sink.c",
           (TEXT_IS_SET, """	df_for_each (member, row)
		if (member->kind == DF_STRING && member->repr == DF_REPR_BYTES)
			df_value_replace(member, df_value_string(arena, df_str(member->text, member->len)));
	ret->text = df_value_to_arena(row, arena);
""")),
    mutant("nan-is-null", "types.nan",
           "NaN becomes null.", "sink.c",
           members("""if (member->kind == DF_STRING && member->logical == DF_LOGICAL_FLOAT64)
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("true-is-one", "types.true",
           "true becomes the number 1.", "sink.c",
           members("""if (member->kind == DF_TRUE)
			df_value_replace(member, df_value_int64(arena, 1));""")),
]

ESCAPE = """		if (strchr("-_", *name) || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
		    (*name >= 'A' && *name <= 'Z'))
"""

IDENTIFIERS = [
    mutant("name-not-escaped", "identifiers.name-paths",
           "The collection's name is taken for a file's name as it is: `../x` leads elsewhere.", "store.c",
           (ESCAPE, "		if (true)\n")),
    mutant("name-dropped-characters", "identifiers.name-quotes",
           "Characters that are not letters or digits are dropped, so that two names become one.", "store.c",
           ('			df_buf_printf(path, "%%%02X", (unsigned char)*name);\n', "			continue;\n")),
    mutant("name-truncated", "identifiers.name-long",
           "Names are cut at 63 characters, so that two become one.", "store.c",
           ("	size_t begin = path->len;\n\n	for (; *name; name++) {\n", "	size_t begin = path->len;\n	const char *all = name;\n\n	for (; *name && name - all < 63; name++) {\n")),
    mutant("name-too-long", "identifiers.name-long",
           "Long names fail with an error that says nothing about the name.", "store.c",
           ("	db->path = df_buf_take(&path);\n", "	if (path.len - strlen(connection->path) > 128)\n		return df_error_set(err, DF_ERR_UNKNOWN, \"the store cannot be opened\");\n	db->path = df_buf_take(&path);\n")),
    mutant("key-truncated", "identifiers.key-long",
           "Keys of rows are cut at 63 characters.", "sink.c",
           members("""if (member->key_len > 63)
			df_object_rename(member, df_str(member->key, 63));""")),
    mutant("key-lower-case", "identifiers.key-case",
           "Keys of rows are made lower case.", "sink.c",
           members("""char *key = df_arena_alloc(arena, member->key_len);

		for (size_t i = 0; i < member->key_len; i++)
			key[i] = member->key[i] >= 'A' && member->key[i] <= 'Z' ? (char)(member->key[i] + 32) : member->key[i];
		df_object_rename(member, df_str(key, member->key_len));""")),
    mutant("key-cut-at-dot", "identifiers.key-separators",
           "A dot in a key is taken for a path.", "sink.c",
           members("""const char *dot = memchr(member->key, '.', member->key_len);

		if (dot)
			df_object_rename(member, df_str(member->key, (size_t)(dot - member->key)));""")),
    mutant("key-pasted", "identifiers.key-quotes",
           "Keys are pasted between quotes without escaping them.", "sink.c",
           (TEXT_IS_SET, """	struct df_buf pasted = { 0 };

	df_buf_add_char(&pasted, '{');
	df_for_each (member, row) {
		df_buf_printf(&pasted, "%s\\"%.*s\\":", pasted.len > 1 ? "," : "", (int)member->key_len, member->key);
		df_value_write(member, &pasted);
	}
	df_buf_add_char(&pasted, '}');
	ret->text = df_arena_dup(arena, df_buf_str(&pasted));
	df_buf_done(&pasted);
""")),
    mutant("format-string", "identifiers.name-formats",
           "The collection's name is used as a format.", "store.c",
           ('	db->path = df_buf_take(&path);\n', """	struct df_buf formatted = { 0 };

	df_buf_printf(&formatted, df_buf_c(&path), "", "", "", "");
	df_buf_done(&path);
	path = formatted;
	db->path = df_buf_take(&path);
"""), (ESCAPE, "		if (*name == '%' || strchr(\"-_\", *name) || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z'))\n")),
    mutant("name-trimmed", "identifiers.name-separators",
           "Blanks around a name are cut off, so that two names become one.", "store.c",
           ("	size_t begin = path->len;\n\n", "	size_t begin = path->len;\n\n	name += strspn(name, \" \");\n"),
           ("		if (strchr(\"-_\", *name) ||", "		if (*name == ' ')\n			continue;\n		if (strchr(\"-_\", *name) ||")),
    mutant("name-ascii", "identifiers.name-unicode",
           "What is not ASCII becomes an underscore, so that two names become one.", "store.c",
           ('			df_buf_printf(path, "%%%02X", (unsigned char)*name);\n',
            '			(unsigned char)*name > 127 ? df_buf_add_char(path, \'_\') : df_buf_printf(path, "%%%02X", (unsigned char)*name);\n')),
    mutant("name-begins-with-letter", "identifiers.name-starts",
           "What stands before the first letter of a name is left out.", "store.c",
           ("	size_t begin = path->len;\n\n", "	size_t begin = path->len;\n\n	name += strcspn(name, \"abcdefghijklmnopqrstuvwxyz\");\n")),
    mutant("name-is-keyword", "identifiers.name-keywords",
           "A name that is a word of SQL fails with an error that does not name it.", "store.c",
           ("	db->path = df_buf_take(&path);\n", "	if (strcmp(connection->collection, \"order\") == 0)\n		return df_error_set(err, DF_ERR_CONFIG, \"syntax error near (\");\n	db->path = df_buf_take(&path);\n")),
    mutant("name-ends-at-semicolon", "identifiers.name-injections",
           "A name ends at a semicolon, and what stands before it is another store's name.", "store.c",
           ("	for (; *name; name++) {\n", "	for (; *name && *name != ';'; name++) {\n")),
    mutant("key-comment", "identifiers.key-comments",
           "A key ends where a comment of SQL begins.", "sink.c",
           members("""const char *comment = memmem(member->key, member->key_len, "--", 2);

		if (comment && comment > member->key)
			df_object_rename(member, df_str(member->key, (size_t)(comment - member->key)));""")),
    mutant("key-ends-at-semicolon", "identifiers.key-injections",
           "A key ends at a semicolon.", "sink.c",
           members("""const char *end = memchr(member->key, ';', member->key_len);

		if (end)
			df_object_rename(member, df_str(member->key, (size_t)(end - member->key)));""")),
    mutant("key-format", "identifiers.key-formats",
           "A key is used as a format.", "sink.c",
           members("""struct df_buf name = { 0 }, key = { 0 };

		df_buf_add(&key, member->key, member->key_len);
		df_buf_printf(&name, df_buf_c(&key), 1, 2, 3, 4);
		df_object_rename(member, df_arena_dup(arena, df_buf_str(&name)));
		df_buf_done(&key);
		df_buf_done(&name);""")),
    mutant("key-keyword", "identifiers.key-keywords",
           "A key that is a word of SQL gets a quote that stays.", "sink.c",
           members("""if (df_str_equal_c(df_value_key(member), "order"))
			df_object_rename(member, DF_STR("\\"order\\""));""")),
    mutant("key-hidden", "identifiers.key-hidden",
           "Keys with an underscore before them are taken for columns of the store's own, and left out.", "sink.c",
           members("""if (member->key_len > 1 && member->key[0] == '_' && member->key[1] != '_')
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("key-ascii", "identifiers.key-unicode",
           "What is not ASCII in a key becomes a question mark.", "sink.c",
           members("""char *key = df_arena_alloc(arena, member->key_len + 1);

		for (size_t i = 0; i < member->key_len; i++)
			key[i] = (unsigned char)member->key[i] > 127 ? '?' : member->key[i];
		df_object_rename(member, df_str(key, member->key_len));""")),
    mutant("key-digit", "identifiers.key-starts",
           "A key that begins with a digit gets an underscore before it.", "sink.c",
           members("""if (member->key_len > 0 && member->key[0] >= '0' && member->key[0] <= '9') {
			struct df_buf key = { 0 };

			df_buf_printf(&key, "_%.*s", (int)member->key_len, member->key);
			df_object_rename(member, df_arena_dup(arena, df_buf_str(&key)));
			df_buf_done(&key);
		}""")),
    mutant("key-nul", "identifiers.key-odd",
           "A key ends at its first NUL byte.", "sink.c",
           members("""df_object_rename(member, df_str(member->key, strnlen(member->key, member->key_len)));""")),
]

GROUPS = (("Life", LIFECYCLE), ("Settings", SETTINGS), ("Source", SOURCE), ("Sink", SINK), ("Types", TYPES), ("Identifiers", IDENTIFIERS))
MUTANTS = [m for _, mutants in GROUPS for m in mutants]
