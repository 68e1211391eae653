/*
 * Secrets are nowhere to be seen. Each secret of the settings is replaced by a text that cannot be anything else, and
 * then that text is looked for: in every diagnostic, error and log line (at debug level), in the command line of every
 * process; when the server is there, when it is not, and when the settings are wrong.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/internal.h"
#include "conformance/settings.h"

#define PATTERNS 4 /* the text itself, and its base64 at three alignments */
#define CONNECT_NS (5 * DF_NS_PER_S)

struct secret {
	enum df_component_kind kind;
	struct df_spot spot;
	const char *text; /* of the setting, with the canary in the secret's place */
	struct df_str patterns[PATTERNS];
	bool in_use; /* not a canary: others may know it, too */
};

/* ---- the canary ------------------------------------------------------------------------------------------ */

static struct df_str keep(struct df_stage *st, struct df_str text)
{
	struct df_str kept = df_arena_dup(st->arena, text);

	df_rule_check(st, kept.ptr, "the suite is out of memory");
	return kept;
}

/* Letters and digits, so that no encoding but base64 changes it. */
static struct df_str new_canary(struct df_stage *st)
{
	char text[64];

	snprintf(text, sizeof(text), "Zq%010llx%06llxZ7", (unsigned long long)(st->p->run & 0xffffffffff),
		 (unsigned long long)(++st->p->writes & 0xffffff));
	return keep(st, df_str_c(text));
}

/* As a header (user:password in base64) has it; only the part that does not depend on its neighbours. */
static struct df_str base64_pattern(struct df_stage *st, struct df_str canary, size_t before)
{
	struct df_buf raw = { 0 }, text = { 0 };
	size_t skipped = before ? 4 : 0;
	struct df_str kept;

	for (size_t i = 0; i < before; i++)
		df_buf_add_char(&raw, 'x');
	df_buf_add_str(&raw, canary);
	df_buf_add_base64(&text, df_buf_str(&raw));
	kept = keep(st, df_str(text.data + skipped, text.len - skipped - 4));
	df_buf_done(&raw);
	df_buf_done(&text);
	return kept;
}

static void add_before(struct df_buf *buf, const char *text, const char *at)
{
	df_buf_add(buf, text, (size_t)(at - text));
}

/* scheme://user:CANARY@host; false: it is no URL. */
static bool put_into_url(const char *text, struct df_str canary, struct df_buf *buf)
{
	const char *authority = strstr(text, "://"), *end, *at = NULL, *colon;

	if (!authority)
		return false;
	authority += 3;
	end = authority + strcspn(authority, "/?#");
	for (const char *c = authority; c < end; c++)
		if (*c == '@')
			at = c;
	colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
	add_before(buf, text, colon ? colon : at ? at : authority);
	if (!at)
		df_buf_add_c(buf, "user");
	df_buf_add_char(buf, ':');
	df_buf_add_str(buf, canary);
	if (!at)
		df_buf_add_char(buf, '@');
	df_buf_add_c(buf, at ? at : authority);
	return true;
}

/* ... password=CANARY ...; false: there are no such pairs. */
static bool put_into_pairs(const char *text, struct df_str canary, struct df_buf *buf)
{
	const char *at = strcasestr(text, "password=");

	if (at) {
		at += strlen("password=");
		add_before(buf, text, at);
		df_buf_add_str(buf, canary);
		df_buf_add_c(buf, at + strcspn(at, " ;&"));
		return true;
	}
	if (!strstr(text, "host=") && !strstr(text, "user=") && !strstr(text, "dbname="))
		return false;
	df_buf_printf(buf, "%s password=" DF_STR_FMT, text, DF_STR_ARG(canary));
	return true;
}

/* NULL: this setting holds no secret. */
static const char *with_canary(struct df_stage *st, const struct df_field *field, const char *text,
			       struct df_str canary)
{
	struct df_buf buf = { 0 };
	struct df_str kept;

	if (!(text && put_into_url(text, canary, &buf)) && !(text && put_into_pairs(text, canary, &buf))) {
		if (!(field->flags & DF_SENSITIVE))
			return NULL;
		df_buf_add_str(&buf, canary);
	}
	kept = keep(st, df_buf_str(&buf));
	df_buf_done(&buf);
	return kept.ptr;
}

/* ---- looking for it -------------------------------------------------------------------------------------- */

static bool is_in(const struct secret *s, struct df_str text)
{
	for (size_t i = 0; i < PATTERNS; i++)
		if (text.len && memmem(text.ptr, text.len, s->patterns[i].ptr, s->patterns[i].len))
			return true;
	return false;
}

static void must_not_be_in(struct df_stage *st, const struct secret *s, struct df_str text, const char *where)
{
	if (is_in(s, text))
		df_rule_fail(st, "%s: the secret of `%s%s%s` stands in %s", df_component_kind_name(s->kind),
			     s->spot.parent, s->spot.parent[0] ? "." : "", s->spot.field->name, where);
}

static size_t read_command_line(const char *pid, char *out, size_t size)
{
	char path[300];
	df_cleanup(df_closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, out, size);
	return n > 0 ? (size_t)n : 0;
}

/*
 * Every process, as what a connector starts need not be its child. But the suite's own line, which its children share,
 * is the user's: it may have the secret of a command. The parent has it as it was; the connector may have changed that
 * of this process.
 */
static void look_at_command_lines(struct df_stage *st, const struct secret *s)
{
	static char own[32768], line[32768];
	DIR *proc = opendir("/proc");
	char parent[16];
	size_t own_len;

	snprintf(parent, sizeof(parent), "%d", (int)getppid());
	own_len = read_command_line(parent, own, sizeof(own));

	for (struct dirent *e = proc ? readdir(proc) : NULL; e; e = readdir(proc)) {
		struct df_str text;

		if (!isdigit((unsigned char)e->d_name[0]) || (s->in_use && getpgid(atoi(e->d_name)) != getpgrp()))
			continue;
		text = df_str(line, read_command_line(e->d_name, line, sizeof(line)));
		if (!df_str_equal(text, df_str(own, own_len)))
			must_not_be_in(st, s, text, "the command line of a process");
	}
	if (proc)
		closedir(proc);
}

static void look_at_log(struct df_stage *st, const struct secret *s)
{
	struct df_buf log = { 0 };

	df_memory_file_read(st->p->log, &log);
	must_not_be_in(st, s, df_buf_str(&log), "a log line");
	df_buf_done(&log);
}

static void look_at_diags(struct df_stage *st, const struct secret *s, const struct df_diags *diags, const char *where)
{
	for (size_t i = 0; i < diags->count; i++)
		must_not_be_in(st, s, df_str_c(diags->items[i].text), where);
}

/* ---- what is done with it -------------------------------------------------------------------------------- */

static struct df_value *config_with(struct df_stage *st, const struct secret *s, struct df_value *value,
				    struct df_value **ret_object)
{
	struct df_value *config = df_stage_config(st, s->kind);
	struct df_value *object = df_spot_object(&s->spot, config);
	char twin[128];

	df_object_take(object, df_spot_twin(s->spot.field, twin, sizeof(twin)));
	df_object_set(object, df_str_c(s->spot.field->name), value);
	*ret_object = object;
	return config;
}

static struct df_value *text_value(struct df_stage *st, const char *text)
{
	struct df_value *v = df_value_string(st->arena, df_str_c(text));

	df_rule_check(st, v, "the suite is out of memory");
	return v;
}

/* Connects (to what may not be there), uses, closes: everything that is said meanwhile. */
static void live_with(struct df_stage *st, const struct secret *s, const struct df_component *component)
{
	struct df_instance i = df_instance_of(st, component, true);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	int r;

	df_rule_check(st, ctx, "the suite is out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + CONNECT_NS);
	r = df_instance_connect(st, &i, ctx, &err);
	look_at_command_lines(st, s);
	if (r < 0)
		must_not_be_in(st, s, df_str_c(err.text), "the error of connect");
	else if (df_instance_use(st, &i, &err) < 0)
		must_not_be_in(st, s, df_str_c(err.text), "the error of read or write");
	df_instance_end(st, &i);
	df_context_free(ctx);
	look_at_log(st, s);
}

/* Parses them, and lives with them when they are accepted. */
static void try_config(struct df_stage *st, const struct secret *s, const struct df_value *config, const char *where)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_buf shown = { 0 };

	if (df_stage_parse(st, s->kind, config, &component, &diags)) {
		if (s->spot.field->flags & DF_SENSITIVE)
			df_settings_write(component->type->settings, component->settings, &shown);
		must_not_be_in(st, s, df_buf_str(&shown), "the settings as they are shown");
		df_buf_done(&shown);
		live_with(st, s, component);
	}
	look_at_diags(st, s, &diags, where);
	df_diags_done(&diags);
}

static void try_valid(struct df_stage *st, const struct secret *s)
{
	struct df_value *object;

	try_config(st, s, config_with(st, s, text_value(st, s->text), &object), "the error of valid settings");
	if (df_subject_lacks(st->p->subject, DF_NEEDS_ADDRESS))
		return;
	df_stage_address(st, df_closed_address(st));
	try_config(st, s, config_with(st, s, text_value(st, s->text), &object), "the error of valid settings");
	df_stage_address(st, NULL);
}

static void try_invalid(struct df_stage *st, const struct secret *s)
{
	static const struct {
		const char *before, *behind;
	} broken[] = { { "x", "" }, { " ", "" }, { "", "[%" }, { "", "\x01" } };
	struct df_value *object, *list = df_value_new(st->arena, DF_ARRAY), *map = df_value_new(st->arena, DF_OBJECT);
	struct df_value *config;

	df_rule_check(st, list && map, "the suite is out of memory");
	config = config_with(st, s, text_value(st, s->text), &object);
	df_object_set(object, DF_STR("noSuchSetting"), text_value(st, "x"));
	try_config(st, s, config, "the error of settings with an unknown one");
	df_array_append(list, text_value(st, s->text));
	try_config(st, s, config_with(st, s, list, &object), "the error of a setting of the wrong kind");
	df_object_set(map, DF_STR("value"), text_value(st, s->text));
	try_config(st, s, config_with(st, s, map, &object), "the error of a setting of the wrong kind");
	for (size_t i = 0; i < DF_ARRAY_SIZE(broken); i++) {
		struct df_buf text = { 0 };

		df_buf_printf(&text, "%s%s%s", broken[i].before, s->text, broken[i].behind);
		config = config_with(st, s, text_value(st, keep(st, df_buf_str(&text)).ptr), &object);
		df_buf_done(&text);
		try_config(st, s, config, "the error of a setting that is malformed");
	}
}

/* ---- every secret ---------------------------------------------------------------------------------------- */

typedef void secret_fn(struct df_stage *st, const struct secret *s);

/* The setting as parsed, references resolved; NULL: absent, or no text. */
static const char *text_of(const struct df_field *field, const void *settings)
{
	const void *member = (const char *)settings + field->offset;

	if (field->type == DF_TYPE_SECRET)
		return ((const struct df_secret *)member)->value;
	return field->type == DF_TYPE_STRING ? *(char *const *)member : NULL;
}

static void visit(struct df_stage *st, enum df_component_kind kind, const struct df_table *table, const void *settings,
		  const char *parent, secret_fn *fn)
{
	for (size_t i = 0; table && i < table->field_count; i++) {
		const struct df_field *field = &table->fields[i];
		struct secret s = { .kind = kind, .spot = { table, field, parent } };

		if (field->type == DF_TYPE_OBJECT) {
			const struct df_object *nested = (const void *)((const char *)settings + field->offset);
			struct df_buf path = { 0 };

			df_buf_printf(&path, "%s%s%s", parent, parent[0] ? "." : "", field->name);
			if (nested->settings)
				visit(st, kind, field->table, nested->settings, keep(st, df_buf_str(&path)).ptr, fn);
			df_buf_done(&path);
		}
		if (field->alias_of || (field->type != DF_TYPE_SECRET && field->type != DF_TYPE_STRING))
			continue;
		s.patterns[0] = new_canary(st);
		s.text = with_canary(st, field, text_of(field, settings), s.patterns[0]);
		for (size_t n = 0; n + 1 < PATTERNS; n++)
			s.patterns[n + 1] = base64_pattern(st, s.patterns[0], n);
		if (!s.text)
			continue;
		st->tried++;
		fn(st, &s);
	}
}

static const char *each_secret(struct df_stage *st, enum df_component_kind kind, secret_fn *fn)
{
	const struct df_component *component = df_stage_as_written(st, kind);
	size_t before = st->tried;

	visit(st, kind, component->type->settings, component->settings, "", fn);
	return st->tried > before ? NULL : "no setting holds a secret";
}

static const char *valid_side(struct df_stage *st, enum df_component_kind kind)
{
	return each_secret(st, kind, try_valid);
}

static void secrets_valid(struct df_stage *st)
{
	df_each_side(st, valid_side);
	df_rule_note(st, "%zu secrets", st->tried);
}

static const char *invalid_side(struct df_stage *st, enum df_component_kind kind)
{
	return each_secret(st, kind, try_invalid);
}

static void secrets_invalid(struct df_stage *st)
{
	df_each_side(st, invalid_side);
	df_rule_note(st, "%zu secrets", st->tried);
}

/* ---- those that are in use ------------------------------------------------------------------------------- */

#define LONG_ENOUGH 8 /* shorter ones may stand in a log for other reasons */

/* The password of a URL or of pairs, else the whole. */
static struct df_str secret_part(struct df_stage *st, const char *text)
{
	struct df_str canary = DF_STR("\x01");
	struct df_buf buf = { 0 };
	const char *at;
	size_t before;

	if (!put_into_url(text, canary, &buf) && !put_into_pairs(text, canary, &buf))
		return df_str_c(text);
	at = memchr(buf.data, '\x01', buf.len);
	before = (size_t)(at - buf.data);
	/* What stands between the parts that were kept; nothing when it was put where none was. */
	struct df_str rest = keep(st, df_str(at + 1, buf.len - before - 1));
	size_t len = strlen(text);

	df_buf_done(&buf);
	return len > before + rest.len && strncmp(text + len - rest.len, rest.ptr, rest.len) == 0
		       ? df_str(text + before, len - before - rest.len)
		       : (struct df_str){ 0 };
}

static void live_in_use(struct df_stage *st, enum df_component_kind kind, const struct df_table *table,
			const void *settings, const char *parent)
{
	for (size_t i = 0; table && i < table->field_count; i++) {
		const struct df_field *field = &table->fields[i];
		const char *text;
		struct secret s = { .kind = kind, .spot = { table, field, parent }, .in_use = true };

		if (field->type == DF_TYPE_OBJECT) {
			const struct df_object *nested = (const void *)((const char *)settings + field->offset);

			if (nested->settings)
				live_in_use(st, kind, field->table, nested->settings, field->name);
			continue;
		}
		text = field->flags & DF_SENSITIVE ? text_of(field, settings) : NULL;
		s.patterns[0] = text ? secret_part(st, text) : (struct df_str){ 0 };
		if (s.patterns[0].len < LONG_ENOUGH)
			continue;
		for (size_t n = 0; n + 1 < PATTERNS; n++)
			s.patterns[n + 1] = base64_pattern(st, s.patterns[0], n);
		st->tried++;
		live_with(st, &s, df_stage_as_written(st, kind));
	}
}

static const char *in_use_side(struct df_stage *st, enum df_component_kind kind)
{
	const struct df_component *component = df_stage_as_written(st, kind);
	size_t before = st->tried;

	live_in_use(st, kind, component->type->settings, component->settings, "");
	return st->tried > before ? NULL : "no setting holds a secret of eight characters or more";
}

static void secrets_in_use(struct df_stage *st)
{
	df_each_side(st, in_use_side);
	df_rule_note(st, "%zu secrets", st->tried);
}

/* ---- those that nobody marked ---------------------------------------------------------------------------- */

static bool is_called_secret(const char *name)
{
	static const char *const ends[] = { "password", "passphrase", "secret", "token", "apiKey", "privateKey" };
	size_t len = strlen(name);

	for (size_t i = 0; i < DF_ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && strcasecmp(name + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

static void must_be_marked(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot)
{
	const struct df_field *field = spot->field;

	if (!is_called_secret(field->name) || (field->type != DF_TYPE_SECRET && field->type != DF_TYPE_STRING))
		return;
	st->tried++;
	df_rule_check(st, field->flags & DF_SENSITIVE,
		      "%s: `%s%s%s` is a secret by its name, and its row has no DF_SENSITIVE: it would be shown",
		      df_component_kind_name(kind), spot->parent, spot->parent[0] ? "." : "", field->name);
}

static const char *marked_side(struct df_stage *st, enum df_component_kind kind)
{
	return df_try_each_spot(st, kind, must_be_marked, "no setting is called a secret");
}

static void secrets_marked(struct df_stage *st)
{
	df_each_side(st, marked_side);
	df_rule_note(st, "%zu secrets", st->tried);
}

const struct df_conformance_rule df_rules_settings_secrets[] = {
	{ "settings.secrets-marked", "A setting that is called password, secret or token is never shown.", 0, 0,
	  secrets_marked },
	{ "settings.secrets",
	  "A wrong secret stands in no error, log line or command line, the server being there or not.", 0, 300,
	  secrets_valid },
	{ "settings.secrets-in-use", "The secret that connects stands in no error, log line or command line.", 0, 120,
	  secrets_in_use },
	{ "settings.secrets-invalid",
	  "When the settings are wrong, no secret stands in an error, log line or command line.", 0, 300,
	  secrets_invalid },
	{ 0 },
};
