/*
 * What a program of its own can say: answers with their messages, errors, descriptions, lines of its standard error. A
 * message that is taken points into its line or its arena, and its metadata is JSON; a description that is taken makes
 * a table that parses.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "connectors/subprocess/describe.h"
#include "connectors/subprocess/errors.h"
#include "connectors/subprocess/log_lines.h"
#include "connectors/subprocess/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_message(const struct df_members *members, struct df_arena *arena, struct df_message_memo *memo)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_message m = { 0 };
	volatile char last = 0;

	if (df_message_from_members(members, arena, memo, &m, NULL) < 0)
		return;
	if (m.payload.len)
		last = m.payload.ptr[m.payload.len - 1];
	if (m.key.len)
		last = m.key.ptr[m.key.len - 1];
	for (uint32_t i = 0; i < m.header_count; i++)
		if (m.headers[i].value.len)
			last = m.headers[i].value.ptr[m.headers[i].value.len - 1];
	(void)last;
	if (!m.metadata)
		return;
	df_value_write(m.metadata, &text);
	if (!text.failed && (m.metadata->kind != DF_OBJECT || df_value_check(df_buf_str(&text)) != DF_PARSE_OK))
		abort();
}

static void fuzz_list(struct df_str list, struct df_arena *arena)
{
	static const struct df_hidden nothing = { 0 };
	struct df_message_memo memo = { 0 };
	struct df_members members;
	struct df_error err = DF_ERROR_INIT;
	struct df_scan scan;
	struct df_str element;

	if (!df_scan_array(&scan, list))
		return;
	while (df_scan_element(&scan, &element)) {
		if (df_value_check(element) != DF_PARSE_OK)
			abort(); /* an element of what was valid */
		if (!df_members_parse(element, &members))
			continue;
		fuzz_message(&members, arena, &memo);
		if (df_program_error(&members, &nothing, &err) >= 0)
			abort();
	}
}

static void fuzz_answer(struct df_str line, struct df_arena *arena)
{
	struct df_message_memo memo = { 0 };
	struct df_answer answer;

	if (df_answer_parse(line, &answer, NULL) < 0)
		return;
	if (df_value_check(line) != DF_PARSE_OK)
		abort();
	fuzz_message(&answer.members, arena, &memo);
	fuzz_list(answer.members.messages, arena);
	fuzz_list(answer.members.failed, arena);
}

static void fuzz_description(struct df_str line)
{
	struct df_program program = { .type = "x", .path = (char *)"/x" };
	struct df_roles roles;

	if (df_program_take_description(&program, line, &roles, NULL) == 0)
		df_arena_done(&program.description);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* exactly as long: what is read beyond it is found */
	struct df_arena arena;
	struct df_str text;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	df_arena_init(&arena, NULL);
	fuzz_answer(df_str(copy, size), &arena);
	fuzz_description(df_str(copy, size));
	(void)df_log_line_take_apart(df_str(copy, size), &arena, &text);
	df_arena_done(&arena);
	free(copy);
	return 0;
}
