/* Poison messages: a record for the error sink (errors reference, section 1), or the pipeline stops. */
#include <string.h>

#include "base/time.h"
#include "processor/internal.h"

static void set_text(struct df_arena *arena, struct df_value *object, const char *key, struct df_str text, bool *ok)
{
	struct df_value *v = df_value_string_copy(arena, text);

	if (v)
		df_object_append(object, df_str_c(key), v);
	else
		*ok = false;
}

static void set_value(struct df_value *object, const char *key, struct df_value *v, bool *ok)
{
	if (v)
		df_object_append(object, df_str_c(key), v);
	else
		*ok = false;
}

static void set_now(struct df_processor *p, struct df_arena *arena, struct df_value *object, const char *key, bool *ok)
{
	int64_t now = df_clock_now(p->options.clock);
	char text[DF_RFC3339_MAX];
	size_t len = df_rfc3339_format((struct df_instant){ now / DF_NS_PER_S, (int32_t)(now % DF_NS_PER_S) }, 0,
				       DF_FRACTION_3, text);

	set_text(arena, object, key, df_str(text, len), ok);
}

/* `original_message`: the object itself, digits and key order kept, else its text or bytes under a name of ours. */
static struct df_value *original(struct df_message *m, struct df_arena *arena)
{
	struct df_value *root = NULL, *holder, *data;
	struct df_error ignored;
	struct df_str payload;

	if (df_message_document(m, arena, &root, &ignored) == 0 && root && root->kind == DF_OBJECT)
		return df_value_clone_deep(root, arena);
	holder = df_value_new(arena, DF_OBJECT);
	if (!holder || df_message_payload(m, arena, &payload) < 0)
		return NULL;
	payload = df_arena_dup(arena, payload);
	if (!payload.ptr)
		return NULL;
	if (df_utf8_valid(payload, NULL)) {
		data = df_value_string(arena, payload);
		if (data)
			df_object_append(holder, DF_STR("original_data"), data);
	} else {
		data = df_value_bytes(arena, payload);
		if (data)
			df_object_append(holder, DF_STR("original_data_base64"), data);
	}
	return data ? holder : NULL;
}

static struct df_value *record(struct df_processor *p, struct df_message *m, struct df_arena *arena,
			       const struct df_poison *poison, const struct df_error *why)
{
	struct df_value *root = df_value_new(arena, DF_OBJECT), *error = df_value_new(arena, DF_OBJECT);
	bool ok = root && error;

	if (!ok)
		return NULL;
	set_value(root, "error", error, &ok);
	set_text(arena, error, "message", df_str_c(why->text), &ok);
	set_now(p, arena, error, "timestamp", &ok);
	set_text(arena, error, "original_sink", df_str_c(poison->original_sink), &ok);
	if (m->metadata && m->metadata->len > 0)
		set_value(error, "metadata", df_value_clone_deep(m->metadata, arena), &ok);
	set_text(arena, error, "type", df_str_c(df_code_name(why->code)), &ok);
	set_text(arena, error, "stage", df_str_c(poison->stage), &ok);
	if (why->remote[0])
		set_text(arena, error, "code", df_str_c(why->remote), &ok);
	set_value(error, "attempts", df_value_int64(arena, poison->attempts), &ok);
	set_value(root, "original_message", original(m, arena), &ok);
	return ok ? root : NULL;
}

/* The record's own metadata: the original's plus what happened. */
static struct df_value *record_metadata(struct df_processor *p, const struct df_message *m, struct df_arena *arena,
					const struct df_poison *poison, const struct df_error *why)
{
	struct df_value *meta = m->metadata ? df_value_clone_deep(m->metadata, arena) : df_value_new(arena, DF_OBJECT);
	bool ok = meta != NULL;

	if (!ok)
		return NULL;
	set_text(arena, meta, "error", df_str_c(why->text), &ok);
	set_now(p, arena, meta, "error_timestamp", &ok);
	set_text(arena, meta, "original_sink", df_str_c(poison->original_sink), &ok);
	set_value(meta, "is_error_message", df_value_new(arena, DF_TRUE), &ok);
	return ok ? meta : NULL;
}

static int copy_headers(struct df_message *to, const struct df_message *from, struct df_arena *arena)
{
	if (from->key.ptr) {
		to->key = df_arena_dup(arena, from->key);
		if (!to->key.ptr)
			return -1;
	}
	if (from->header_count == 0)
		return 0;
	to->headers = df_arena_alloc(arena, from->header_count * sizeof(*to->headers));
	if (!to->headers)
		return -1;
	to->header_count = from->header_count;
	for (uint32_t i = 0; i < from->header_count; i++) {
		to->headers[i].name = df_arena_dup(arena, from->headers[i].name);
		to->headers[i].value = from->headers[i].value;
		if (from->headers[i].value.ptr)
			to->headers[i].value = df_arena_dup(arena, from->headers[i].value);
		if (!to->headers[i].name.ptr || (from->headers[i].value.ptr && !to->headers[i].value.ptr))
			return -1;
	}
	return 0;
}

/* Everything is copied: the failed message's batch goes its own way. */
static struct df_batch *record_batch(struct df_processor *p, struct df_message *m, const struct df_poison *poison,
				     const struct df_error *why)
{
	struct df_batch *batch = df_batch_new(p->batches_pool);
	struct df_message *copy = batch ? df_batch_add(batch) : NULL;
	struct df_value *root = copy ? record(p, m, &batch->arena, poison, why) : NULL;

	if (!root)
		goto fail;
	batch->parent = NULL;
	atomic_store(&batch->open, 1);
	df_message_set_document(copy, root);
	copy->metadata = record_metadata(p, m, &batch->arena, poison, why);
	copy->partition = m->partition;
	copy->sequence = m->sequence;
	copy->read_ns = m->read_ns;
	copy->timestamp_ns = m->timestamp_ns;
	if (!copy->metadata || copy_headers(copy, m, &batch->arena) < 0)
		goto fail;
	batch->bytes = m->payload.len;
	batch->queued_ns = df_clock_monotonic();
	return batch;
fail:
	df_batch_free(batch);
	return NULL;
}

/* The message is what ends the run: it, the stage, and for a write the sink are named. */
static int stop_pipeline(struct df_processor *p, const char *id, const struct df_poison *poison,
			 const struct df_error *why)
{
	struct df_error err = *why;
	bool written = strcmp(poison->stage, "sink_write") == 0;

	atomic_fetch_add(&p->counters.failed, 1);
	df_error_prefix(&err, "message %s, %s%s%s", id, poison->stage, written ? " of " : "",
			written ? poison->original_sink : "");
	df_processor_fail(p, &err);
	return err.code;
}

/* onError: drop. What the other side refuses for a reason that may pass is not the message's fault, and stops. */
static bool may_drop(const struct df_processor *p, const struct df_poison *poison, const struct df_error *why)
{
	bool written = strcmp(poison->stage, "sink_write") == 0;

	return p->spec->on_error && strcmp(p->spec->on_error, "drop") == 0 && (!written || df_code_poison(why->code));
}

static int drop(struct df_processor *p, struct df_message *m, const char *id, const struct df_poison *poison,
		const struct df_error *why)
{
	uint64_t n = atomic_fetch_add(&p->counters.dropped, 1) + 1;
	int64_t now = df_clock_monotonic(), told = atomic_load(&p->dropped_told_ns);

	if ((told == 0 || now - told >= DF_SAY_AGAIN) &&
	    atomic_compare_exchange_strong(&p->dropped_told_ns, &told, now))
		df_log_error(&p->logger, DF_LOG_WARN, why,
			     "message %s is dropped at %s, the %llu. so far (onError: drop)", id, poison->stage,
			     (unsigned long long)n);
	df_ledger_done_one(m);
	return 0;
}

int df_processor_poison(struct df_processor *p, struct df_message *m, const struct df_poison *poison,
			const struct df_error *why)
{
	struct df_error err = *why;
	struct df_batch *batch;
	char id[128];
	int r;

	df_message_drop_meta(m, DF_ROUTE_MARK);
	df_message_id(m, id, sizeof(id));
	if (!p->error_output && why->code != DF_ERR_NO_MEMORY && may_drop(p, poison, why))
		return drop(p, m, id, poison, why);
	if (!p->error_output || why->code == DF_ERR_NO_MEMORY)
		return stop_pipeline(p, id, poison, why);
	df_debug(&p->logger, "message %s failed at %s and goes to the error sink: %s", id, poison->stage, why->text);
	batch = record_batch(p, m, poison, why);
	if (!batch) {
		df_error_no_memory(&err);
		df_processor_fail(p, &err);
		return err.code;
	}
	atomic_fetch_add(&p->errors_open, 1);
	r = df_channel_send(p->error_output->channel, p->work_ctx, &batch, &err);
	if (r < 0)
		df_batch_free(batch);
	return r;
}
