"""Variants that break a source."""
from mutant import mutant

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
           "commit says that one row more is done.", "source.c",
           ("df_value_int64(arena, commits[count - 1].position.number)", "df_value_int64(arena, commits[count - 1].position.number + 1)")),
    mutant("commit-of-what-is-read", "source.kill-after-commit",
           "commit says what was emitted, so that a kill behind it loses what was on its way.", "source.c",
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
    mutant("commit-too-far", "source.resume-gap",
           "commit says a position that is as many rows too far as were committed.", "source.c",
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
