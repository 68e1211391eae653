#include "connectors/subprocess/positions.h"

#include <stdlib.h>

#include "base/cleanup.h"

#define KEY_POSITIONS "positions"
#define KEY_CHECKPOINT "checkpoint"

struct df_position_mark {
	int64_t number;
	char *text;
};

struct df_position_ack {
	char *partition, *position;
};

void df_positions_init(struct df_positions *p)
{
	*p = (struct df_positions){ 0 };
	pthread_mutex_init(&p->lock, NULL);
}

static void forget_acks(struct df_positions *p)
{
	for (size_t i = 0; i < p->ack_count; i++) {
		free(p->acks[i].partition);
		free(p->acks[i].position);
	}
	p->ack_count = 0;
}

void df_positions_done(struct df_positions *p)
{
	for (size_t i = 0; i < p->mark_count; i++)
		free(p->marks[i].text);
	free(p->marks);
	forget_acks(p);
	free(p->acks);
	pthread_mutex_destroy(&p->lock);
}

/* ---- going on -------------------------------------------------------------------------------------------- */

static int damaged(const char *key, struct df_error *err)
{
	return df_error_set(
		err, DF_ERR_CONFIG,
		"the checkpoint's `%s` is not what a program's source writes: remove it with checkpointReset", key);
}

int df_positions_resume(const struct df_value *checkpoint, struct df_buf *options, struct df_error *err)
{
	const struct df_value *positions = df_object_get_c(checkpoint, KEY_POSITIONS);
	const struct df_value *text = df_object_get_c(checkpoint, KEY_CHECKPOINT);

	if (positions && positions->kind != DF_OBJECT)
		return damaged(KEY_POSITIONS, err);
	if (text && text->kind != DF_STRING)
		return damaged(KEY_CHECKPOINT, err);
	if (positions) {
		const char *comma = "";

		df_buf_add_c(options, ",\"positions\":[");
		df_for_each (position, positions) {
			df_buf_printf(options, "%s{\"partition\":", comma);
			df_json_write_string(df_value_key(position), options);
			df_buf_add_c(options, ",\"position\":");
			df_value_write(position, options);
			df_buf_add_char(options, '}');
			comma = ",";
		}
		df_buf_add_char(options, ']');
	}
	if (text) {
		df_buf_add_c(options, ",\"checkpoint\":");
		df_value_write(text, options);
	}
	return 0;
}

/* ---- marks ----------------------------------------------------------------------------------------------- */

/* Room for one more element of size bytes. */
static bool grow(void *array, size_t count, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *moved;

	if (count < *cap)
		return true;
	moved = reallocarray(*(void **)array, more, size);
	if (!moved)
		return false;
	*(void **)array = moved;
	*cap = more;
	return true;
}

int df_positions_mark(struct df_positions *p, int64_t number, struct df_str text, struct df_error *err)
{
	char *copy = df_str_dup(text);
	DF_LOCK_SCOPE(&p->lock);

	if (copy && p->mark_count > 0 && p->marks[p->mark_count - 1].number == number) {
		free(p->marks[p->mark_count - 1].text);
		p->marks[p->mark_count - 1].text = copy;
		return 0;
	}
	if (!copy || !grow(&p->marks, p->mark_count, &p->mark_cap, sizeof(*p->marks))) {
		free(copy);
		return df_error_no_memory(err);
	}
	p->marks[p->mark_count++] = (struct df_position_mark){ number, copy };
	return 0;
}

/* The text of the last mark up to number, the caller's; NULL: there is none. Those before it are used up. */
static char *take_mark(struct df_positions *p, int64_t number)
{
	char *text = NULL;
	size_t n = 0;

	for (; n < p->mark_count && p->marks[n].number <= number; n++) {
		free(text);
		text = p->marks[n].text;
	}
	if (n > 0) {
		p->mark_count -= n;
		memmove(p->marks, p->marks + n, p->mark_count * sizeof(*p->marks));
	}
	return text;
}

static int write_mark(struct df_positions *p, int64_t number, struct df_value *checkpoint, struct df_arena *arena,
		      struct df_error *err)
{
	df_cleanup(df_freep) char *text = take_mark(p, number);
	struct df_value *value = text ? df_value_string_copy(arena, df_str_c(text)) : NULL;

	if (text && !value)
		return df_error_no_memory(err);
	if (text)
		df_object_set(checkpoint, DF_STR(KEY_CHECKPOINT), value);
	return 0;
}

/* ---- positions ------------------------------------------------------------------------------------------- */

static int write_position(const struct df_commit *commit, struct df_value *checkpoint, struct df_arena *arena,
			  struct df_error *err)
{
	struct df_value *all = df_object_get_c(checkpoint, KEY_POSITIONS), *value = NULL;
	struct df_str text = df_arena_dup(arena, commit->position.data), key = df_arena_dup(arena, commit->key);

	if (!text.ptr || !key.ptr || df_value_parse(text, arena, &value, NULL) != DF_PARSE_OK)
		return df_error_no_memory(err); /* it was valid when it was read */
	if (!all || all->kind != DF_OBJECT) {
		all = df_value_new(arena, DF_OBJECT);
		if (!all)
			return df_error_no_memory(err);
		df_object_set(checkpoint, DF_STR(KEY_POSITIONS), all);
	}
	df_object_set(all, key, value);
	return 0;
}

/* A later position of a partition takes the place of the one before. */
static int add_ack(struct df_positions *p, const struct df_commit *commit, struct df_error *err)
{
	char *position = df_str_dup(commit->position.data), *partition;

	if (!position)
		return df_error_no_memory(err);
	for (size_t i = 0; i < p->ack_count; i++) {
		if (!df_str_equal_c(commit->key, p->acks[i].partition))
			continue;
		free(p->acks[i].position);
		p->acks[i].position = position;
		return 0;
	}
	partition = df_str_dup(commit->key);
	if (!partition || !grow(&p->acks, p->ack_count, &p->ack_cap, sizeof(*p->acks))) {
		free(partition);
		free(position);
		return df_error_no_memory(err);
	}
	p->acks[p->ack_count++] = (struct df_position_ack){ partition, position };
	return 0;
}

int df_positions_commit(struct df_positions *p, const struct df_commit *commits, size_t count, bool acks,
			struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	int r = 0;
	DF_LOCK_SCOPE(&p->lock);

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (commits[i].position.data.len > 0) {
			r = write_position(&commits[i], checkpoint, arena, err);
			if (r == 0 && acks)
				r = add_ack(p, &commits[i], err);
		}
		if (r == 0 && commits[i].key.len == 0)
			r = write_mark(p, commits[i].position.number, checkpoint, arena, err);
	}
	return r;
}

int df_positions_describe(const struct df_commit *commits, size_t count, struct df_value *checkpoint,
			  struct df_arena *arena, struct df_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (commits[i].position.data.len == 0)
			return df_error_set(
				err, DF_ERR_CONFIG,
				"the program gave a message without `position`, and exactlyOnce needs one of "
				"every message: remove exactlyOnce");
		r = write_position(&commits[i], checkpoint, arena, err);
	}
	return r;
}

void df_positions_tell(struct df_positions *p, struct df_buf *out)
{
	DF_LOCK_SCOPE(&p->lock);

	for (size_t i = 0; i < p->ack_count; i++) {
		df_buf_add_c(out, i == 0 ? "{\"cmd\":\"ack\",\"positions\":[{\"partition\":" : ",{\"partition\":");
		df_json_write_string(df_str_c(p->acks[i].partition), out);
		df_buf_printf(out, ",\"position\":%s}", p->acks[i].position);
	}
	if (p->ack_count > 0)
		df_buf_add_c(out, "]}\n");
	forget_acks(p);
}
