/*
 * Committing: what the ledger says is done is made durable in the sinks, told to the source, and saved. In that order,
 * so that a position never says more than what the other side holds.
 */
#include <string.h>

#include "processor/internal.h"

/* A checkpoint that was edited for long is copied to a fresh arena, so that a running pipeline does not grow. */
#define COMPACT_BYTES ((size_t)64 << 10)

bool df_processor_saves(const struct df_processor *p)
{
	return p->source_ops->restore && !p->source_ops->keeps_own_position;
}

int df_processor_load_checkpoint(struct df_processor *p, struct df_error *err)
{
	struct df_checkpoint_store *store = p->options.store;
	struct df_value *mine;
	int r = 0;

	if (store)
		r = store->load(store, &p->checkpoint_arena, &p->checkpoint, err);
	if (r == DF_ERR_CONFIG && p->spec->checkpoint_reset) {
		df_log_error(&p->logger, DF_LOG_WARN, err, "the position is reset");
		*err = DF_ERROR_INIT;
		p->checkpoint = NULL;
		r = 0;
	}
	if (r < 0)
		return r;
	if (!p->checkpoint)
		p->checkpoint = df_value_new(&p->checkpoint_arena, DF_OBJECT);
	if (!p->checkpoint)
		return df_error_no_memory(err);
	mine = df_object_get_c(p->checkpoint, p->source_type);
	if (mine && mine->kind != DF_OBJECT && mine->kind != DF_NULL && !p->spec->checkpoint_reset)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the checkpoint is damaged (`%s` in it is not an object): restore it from a backup, or set "
			"spec.checkpointReset to read the source from its beginning",
			p->source_type);
	if (!mine || mine->kind != DF_OBJECT || p->spec->checkpoint_reset) {
		mine = df_value_new(&p->checkpoint_arena, DF_OBJECT);
		if (!mine)
			return df_error_no_memory(err);
		df_object_set(p->checkpoint, df_str_c(p->source_type), mine);
	}
	p->resumed = mine->len > 0;
	p->source_checkpoint = mine;
	return 0;
}

/* ---- commits --------------------------------------------------------------------------------------------- */

static bool has_partition(const struct df_commit *commits, size_t n, const struct df_partition *partition)
{
	for (size_t i = 0; i < n; i++)
		if (commits[i].partition == partition)
			return true;
	return false;
}

/* What was held back before plus what moved since, the newer one winning, in `arena`. */
static int collect(struct df_processor *p, struct df_arena *arena, struct df_commit **ret, size_t *ret_count,
		   struct df_error *err)
{
	struct df_commit *fresh, *all;
	size_t n, total;
	int r = df_ledger_collect(p->ledger, arena, &fresh, &n, err);

	if (r < 0)
		return r;
	all = df_arena_alloc(arena, (n + p->held_count) * sizeof(*all));
	if (!all)
		return df_error_no_memory(err);
	if (n)
		memcpy(all, fresh, n * sizeof(*all));
	total = n;
	for (size_t i = 0; i < p->held_count; i++) {
		if (has_partition(fresh, n, p->held[i].partition))
			continue;
		all[total] = p->held[i];
		if (p->held[i].position.data.len > 0) {
			all[total].position.data = df_arena_dup(arena, p->held[i].position.data);
			if (!all[total].position.data.ptr)
				return df_error_no_memory(err);
		}
		total++;
	}
	*ret = all;
	*ret_count = total;
	return 0;
}

/* 0 all sinks are durable, DF_SYNC_LATER one is not yet, or a code. */
static int sync_sinks(struct df_processor *p, bool final, struct df_error *err)
{
	int later = 0;

	for (size_t i = 0; i < p->output_count; i++) {
		struct df_output *o = &p->outputs[i];
		int r = 0;

		if (!df_output_begin_sync(o, final)) {
			later |= DF_SYNC_LATER;
			continue;
		}
		if (!o->sink) /* it is being connected again */
			r = DF_SYNC_LATER;
		else if (o->sink->ops->sync)
			r = o->sink->ops->sync(o->sink, p->work_ctx, final, err);
		df_output_end_call(o);
		if (r < 0) {
			df_errors_add(&o->metrics.connector.errors[DF_OP_COMMIT], r, 1);
			df_error_prefix(err, "%s %s", o->is_error ? "error sink" : "sink", o->component->type->name);
			return r;
		}
		later |= r;
	}
	return later;
}

static int tell_source(struct df_processor *p, const struct df_commit *commits, size_t n, struct df_error *err)
{
	int r = 0;

	pthread_mutex_lock(&p->source_lock);
	if (p->source && p->source_ops->commit)
		r = p->source_ops->commit(p->source, commits, n, p->source_checkpoint, &p->checkpoint_arena, err);
	/* For when the source is opened again: it goes on from there, whatever its server says. */
	if (r == 0 && p->source && p->transaction.on && p->source_ops->keeps_own_position)
		r = p->source_ops->describe(p->source, commits, n, p->source_checkpoint, &p->checkpoint_arena, err);
	pthread_mutex_unlock(&p->source_lock);
	if (r < 0)
		df_errors_add(&p->metrics.source.errors[DF_OP_COMMIT], r, 1);
	else
		atomic_store(&p->metrics.behind_ns, df_clock_monotonic());
	return r < 0 ? df_error_prefix(err, "source %s, commit", p->source_type) : 0;
}

/* ---- saving ---------------------------------------------------------------------------------------------- */

static int compact(struct df_processor *p, struct df_error *err)
{
	struct df_arena fresh;
	struct df_value *copy;

	if (p->checkpoint_arena.allocated < COMPACT_BYTES)
		return 0;
	df_arena_init(&fresh, NULL);
	copy = df_value_clone_deep(p->checkpoint, &fresh);
	if (!copy) {
		df_arena_done(&fresh);
		return df_error_no_memory(err);
	}
	df_arena_done(&p->checkpoint_arena);
	p->checkpoint_arena = fresh;
	p->checkpoint = copy;
	p->source_checkpoint = df_object_get_c(copy, p->source_type);
	return 0;
}

static int save(struct df_processor *p, struct df_error *err)
{
	struct df_checkpoint_store *store = p->options.store;
	int r;

	if (!store || !p->unsaved || !df_processor_saves(p))
		return 0;
	r = store->save(store, p->checkpoint, err);
	if (r < 0) {
		df_count_add(&p->metrics.checkpoint_save_errors, 1);
		return r;
	}
	p->unsaved = false;
	atomic_fetch_add(&p->counters.checkpoint_saves, 1);
	return compact(p, err);
}

static int commit_locked(struct df_processor *p, bool final, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_commit *commits = NULL;
	size_t n = 0;
	int r = collect(p, &arena, &commits, &n, err);

	if (r < 0)
		return r;
	if (n > 0 || final) {
		r = sync_sinks(p, final, err);
		if (r < 0)
			return r;
	}
	if (r == DF_SYNC_LATER) {
		df_arena_done(&p->held_arena);
		p->held_arena = arena;
		p->held = commits;
		p->held_count = n;
		arena = (struct df_arena){ 0 };
		return 0;
	}
	p->held_count = 0;
	if (n > 0) {
		r = tell_source(p, commits, n, err);
		if (r < 0)
			return r;
		p->unsaved = true;
	}
	return save(p, err);
}

int df_processor_commit(struct df_processor *p, bool final, struct df_error *err)
{
	DF_LOCK_SCOPE(&p->commit_lock);
	return commit_locked(p, final, err);
}
