"""Variants that break a sink."""
from mutant import TEXT_IS_SET, mutant

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
