#include "spec/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <yaml.h>

#include "spec/spec_internal.h"
#include "value/path.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

static struct df_str yaml_str(const yaml_char_t *text)
{
	return df_str_c((const char *)text);
}

static uint32_t line_of(const yaml_event_t *event)
{
	return (uint32_t)event->start_mark.line + 1;
}

/* ---- tags ------------------------------------------------------------------------------------------------ */

/* The kinds that a core tag allows, as bits of enum df_kind; 0: no core tag. */
static unsigned tag_kinds(const yaml_char_t *tag, bool *ret_text)
{
	static const struct {
		const char *name;
		unsigned kinds;
	} core[] = {
		{ "null", 1 << DF_NULL },  { "bool", 1 << DF_TRUE | 1 << DF_FALSE },
		{ "int", 1 << DF_NUMBER }, { "float", 1 << DF_NUMBER },
		{ "str", 1 << DF_STRING }, { "seq", 1 << DF_ARRAY },
		{ "map", 1 << DF_OBJECT },
	};
	struct df_str text = yaml_str(tag);

	*ret_text = df_str_equal(text, DF_STR("!")) || df_str_equal(text, DF_STR(TAG_PREFIX "str"));
	if (df_str_equal(text, DF_STR("!")))
		return 1 << DF_STRING | 1 << DF_ARRAY | 1 << DF_OBJECT;
	if (!df_str_starts(text, DF_STR(TAG_PREFIX)))
		return 0;
	for (size_t i = 0; i < DF_ARRAY_SIZE(core); i++) {
		if (df_str_equal_c(df_str(text.ptr + strlen(TAG_PREFIX), text.len - strlen(TAG_PREFIX)), core[i].name))
			return core[i].kinds;
	}
	return 0;
}

static bool check_tag(struct df_yaml_builder *b, const yaml_char_t *tag, unsigned kinds, enum df_kind kind,
		      uint32_t line)
{
	struct df_str name = yaml_str(tag);
	bool core = df_str_starts(name, DF_STR(TAG_PREFIX));

	if (core)
		name = df_str(name.ptr + strlen(TAG_PREFIX), name.len - strlen(TAG_PREFIX));
	if (kinds == 0)
		return df_build_error(b, line, "the tag %s%.*s is not supported; remove it", core ? "!!" : "",
				      DF_STR_ARG(name));
	if (!(kinds & 1u << kind))
		return df_build_error(b, line, "the value does not fit its tag !!%.*s; remove the tag",
				      DF_STR_ARG(name));
	return true;
}

/* ---- events ---------------------------------------------------------------------------------------------- */

static bool on_scalar(struct df_yaml_builder *b, const yaml_event_t *event)
{
	const yaml_char_t *tag = event->data.scalar.tag;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool tag_text = false;
	unsigned kinds = tag ? tag_kinds(tag, &tag_text) : 0;
	const char *note = NULL;
	uint32_t line = line_of(event);
	struct df_str text =
		df_arena_dup(b->arena, df_str((const char *)event->data.scalar.value, event->data.scalar.length));

	if (!text.ptr)
		return df_build_no_memory(b);
	if (df_build_wants_key(b)) {
		if (plain && text.len == 0)
			return df_build_error(b, line, "a key is missing before the \":\"");
		return df_build_key(b, text, line, plain && !tag && df_str_equal(text, DF_STR("<<")));
	}
	struct df_value *node = (plain || (tag && kinds)) && !tag_text ? df_yaml_plain(text, b->arena, &note)
								       : df_value_string(b->arena, text);
	if (!node)
		return df_build_no_memory(b);
	if (tag && !check_tag(b, tag, kinds, node->kind, line))
		return false;
	if (note)
		df_build_warning(b, line, "%s", note);
	return df_build_add(b, node, line) && df_build_anchor(b, yaml_str(event->data.scalar.anchor), node, line);
}

static bool on_open(struct df_yaml_builder *b, const yaml_event_t *event, enum df_kind kind, const yaml_char_t *tag,
		    const yaml_char_t *anchor)
{
	bool text;

	if (tag && !check_tag(b, tag, tag_kinds(tag, &text), kind, line_of(event)))
		return false;
	return df_build_open(b, kind, yaml_str(anchor), line_of(event));
}

static bool on_event(struct df_yaml_builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return df_build_alias(b, yaml_str(event->data.alias.anchor), line_of(event));
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, event, DF_ARRAY, event->data.sequence_start.tag, event->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, event, DF_OBJECT, event->data.mapping_start.tag, event->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return df_build_close(b);
	case YAML_DOCUMENT_END_EVENT:
		return df_build_document(b);
	default:
		return true;
	}
}

static void read_yaml(struct df_yaml_builder *b, struct df_str text)
{
	yaml_parser_t parser;
	bool more = true;

	if (!yaml_parser_initialize(&parser)) {
		df_diags_no_memory(b->diags);
		return;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
	while (more) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			df_yaml_problem(&parser, text, b->file, b->diags);
			break;
		}
		more = event.type != YAML_STREAM_END_EVENT && on_event(b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

/* JSON has a reader of its own; what only looks like it (comments, unquoted keys) is left to YAML. */
static bool read_json(struct df_yaml_builder *b, struct df_str text)
{
	struct df_str trimmed = df_str_trim(text);

	if (trimmed.len == 0 || (trimmed.ptr[0] != '{' && trimmed.ptr[0] != '['))
		return false;
	enum df_parse_result result = df_value_check(text);
	if (result == DF_PARSE_NO_MEMORY)
		df_diags_no_memory(b->diags);
	if (result != DF_PARSE_OK)
		return result == DF_PARSE_NO_MEMORY;
	struct df_str copy = df_arena_dup(b->arena, text);
	if (!copy.ptr)
		df_diags_no_memory(b->diags);
	else if (!df_build_json(b, copy))
		return true; /* told */
	return true;
}

void df_yaml_parse(struct df_str text, const char *file, struct df_arena *arena, struct df_yaml_documents *ret,
		   struct df_diags *diags)
{
	struct df_yaml_builder b = { .arena = arena, .file = file, .diags = diags, .ret = ret };
	struct df_place place = { .file = file };

	*ret = (struct df_yaml_documents){ 0 };
	if (text.len > DF_YAML_SIZE_MAX) {
		df_diag_error(diags, &place, NULL, "the file is larger than %zu MiB", DF_YAML_SIZE_MAX >> 20);
		return;
	}
	if (!read_json(&b, text))
		read_yaml(&b, text);
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static int read_all(int fd, struct df_buf *buf)
{
	for (;;) {
		char *room = df_buf_reserve(buf, 65536);
		if (!room)
			return ENOMEM;
		ssize_t n = read(fd, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		buf->len += (size_t)n;
		if (buf->len > DF_YAML_SIZE_MAX)
			return 0; /* told by df_yaml_parse */
	}
}

void df_yaml_load(const char *file, struct df_arena *arena, struct df_yaml_documents *ret, struct df_diags *diags)
{
	bool standard_input = strcmp(file, "-") == 0;
	const char *name = standard_input ? "<stdin>" : file;
	df_cleanup(df_closep) int owned = -1;
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_place place = { .file = name };

	*ret = (struct df_yaml_documents){ 0 };
	if (!standard_input) {
		owned = open(file, O_RDONLY | O_CLOEXEC);
		if (owned < 0) {
			df_diag_error(diags, &place, NULL, "cannot be opened: %s", strerror(errno));
			return;
		}
	}
	int error = read_all(standard_input ? STDIN_FILENO : owned, &buf);
	if (error == ENOMEM)
		df_diags_no_memory(diags);
	else if (error)
		df_diag_error(diags, &place, NULL, "cannot be read: %s", strerror(error));
	else
		df_yaml_parse(df_buf_str(&buf), name, arena, ret, diags);
}

/* ---- --set ----------------------------------------------------------------------------------------------- */

static struct df_value *read_value(struct df_str text, struct df_arena *arena, struct df_error *err)
{
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	const char *note = NULL;

	/* Everything but quotes and brackets is one plain scalar, whatever it contains: `a: b`, `# c`, `*`. */
	if (text.len == 0 || !strchr("\"'[{", text.ptr[0])) {
		struct df_str copy = df_arena_dup(arena, text);
		struct df_value *v = copy.ptr ? df_yaml_plain(copy, arena, &note) : NULL;
		if (!v)
			df_error_no_memory(err);
		return v;
	}
	df_yaml_parse(text, NULL, arena, &documents, &diags);
	int r = df_diags_error(&diags, err);
	df_diags_done(&diags);
	if (r < 0)
		return NULL;
	if (documents.count == 1)
		return documents.items[0];
	df_error_set(err, DF_ERR_CONFIG, "the value is not one scalar, list or map");
	return NULL;
}

/* The first `=` that no backslash escapes. */
static size_t find_equals(struct df_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == '=')
			return i;
	}
	return text.len;
}

static void clear_lines(struct df_value *v)
{
	v->line = 0;
	if (df_value_is_container(v)) {
		df_for_each (child, v)
			clear_lines(child);
	}
}

int df_yaml_set(struct df_value *root, struct df_str assignment, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_path_freep) struct df_path *path = NULL;
	size_t equals = find_equals(assignment);
	struct df_str name = df_str(assignment.ptr, equals);

	if (equals == assignment.len || equals == 0)
		return df_error_set(err, DF_ERR_CONFIG, "\"%.*s\" is no assignment; write PATH=VALUE",
				    DF_STR_ARG(assignment));
	int r = df_path_compile(name, DF_PATH_PLAIN, &path, err);
	if (r < 0) {
		df_error_prefix(err, "%.*s", DF_STR_ARG(name));
		return r;
	}
	struct df_error reason = DF_ERROR_INIT;
	struct df_str text = df_str(assignment.ptr + equals + 1, assignment.len - equals - 1);
	struct df_value *value = read_value(text, arena, &reason);
	if (!value) {
		df_error_set(err, reason.code, "%.*s: %s", DF_STR_ARG(name), reason.text);
		return reason.code;
	}
	clear_lines(value);
	r = df_path_set(path, root, arena, value, &reason);
	if (r == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (r < 0)
		return df_error_set(err, DF_ERR_CONFIG, "%.*s: %s", DF_STR_ARG(name), reason.text);
	return 0;
}
