/* Merging: each line of a text goes to its family, which stands once in the end, whoever has samples of it. */
#include <stdlib.h>

#include "base/exposition_internal.h"

#define FAMILIES_MAX 2000 /* of a text that makes up names; a processor has some forty */
#define SLOTS 4096	  /* a power of two, and never more than half full */

struct family {
	struct df_str name; /* owned */
	struct df_buf help; /* the whole line; len 0: none yet */
	struct df_str type; /* static; len 0: not said, "untyped" */
	struct df_buf samples;
};

struct df_families {
	struct family *items; /* in the order in which they came */
	size_t count, cap;
	uint16_t slots[SLOTS]; /* 1 + index of the family with that hash, or of one before it */
	size_t bytes, left_out;
	bool failed;
};

#define NONE SIZE_MAX

/* A text that is being added. */
struct adding {
	struct df_families *all;
	const struct df_families_from *from;
	struct df_str label; /* `pod="x",` */
	size_t current;	     /* index of the family of the latest HELP or TYPE; NONE: of another prefix */
	struct df_str name;  /* its name */
	struct df_str type;  /* as this text says */
};

/* ---- finding a family ------------------------------------------------------------------------------------ */

static size_t slot_of(struct df_str name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619U;
	return hash % SLOTS;
}

static bool grow(struct df_families *all)
{
	size_t cap = all->cap ? 2 * all->cap : 64;
	struct family *items = reallocarray(all->items, cap, sizeof(*items));

	if (items) {
		all->items = items;
		all->cap = cap;
	}
	return items;
}

static size_t add_family(struct df_families *all, struct df_str name, size_t slot)
{
	char *copy = all->count < all->cap || grow(all) ? df_str_dup(name) : NULL;

	if (!copy) {
		all->failed = true;
		return NONE;
	}
	all->items[all->count] = (struct family){ .name = df_str(copy, name.len) };
	all->slots[slot] = (uint16_t)(all->count + 1);
	return all->count++;
}

/* The index of a family, found or made. NONE: too many, or no memory, which is remembered. */
static size_t family_of(struct df_families *all, struct df_str name)
{
	size_t slot = slot_of(name);

	for (; all->slots[slot]; slot = (slot + 1) % SLOTS)
		if (df_str_equal(all->items[all->slots[slot] - 1].name, name))
			return all->slots[slot] - 1U;
	return all->count == FAMILIES_MAX ? NONE : add_family(all, name, slot);
}

/* ---- HELP and TYPE --------------------------------------------------------------------------------------- */

static struct df_str known_type(struct df_str text)
{
	static const struct df_str types[] = {
		{ "counter", 7 }, { "gauge", 5 }, { "histogram", 9 }, { "summary", 7 }, { "untyped", 7 },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(types); i++)
		if (df_str_equal(text, types[i]))
			return types[i];
	return df_str(NULL, 0);
}

/* The first word, which is cut off with the blank behind it. */
static struct df_str word(struct df_str *text)
{
	const char *blank = text->len ? memchr(text->ptr, ' ', text->len) : NULL;
	struct df_str first = df_str(text->ptr, blank ? (size_t)(blank - text->ptr) : text->len);
	size_t used = first.len + (blank != NULL);

	*text = df_str(text->ptr + used, text->len - used);
	return first;
}

/* The family of a HELP or TYPE line becomes the current one. False: not wanted. */
static bool enter(struct adding *a, struct df_str name)
{
	if (a->current != NONE && df_str_equal(a->name, name))
		return true;
	a->type = df_str(NULL, 0);
	a->current = NONE;
	if (df_exposition_is_name(name) && df_str_starts(name, a->from->prefix))
		a->current = family_of(a->all, name);
	if (a->current != NONE)
		a->name = a->all->items[a->current].name;
	return a->current != NONE;
}

/* In a HELP text only these two are escaped. */
static bool is_help(struct df_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\\' && (++i == text.len || (text.ptr[i] != '\\' && text.ptr[i] != 'n')))
			return false;
	return df_utf8_valid(text, NULL);
}

/* "# HELP name text", "# TYPE name type"; every other comment means nothing. */
static void add_head(struct adding *a, struct df_str line)
{
	bool help = df_str_starts(line, DF_STR("# HELP "));
	struct df_str rest = df_str(line.ptr + 7, line.len - 7), name;
	struct family *f;

	if (!help && !df_str_starts(line, DF_STR("# TYPE ")))
		return;
	name = word(&rest);
	if (!enter(a, name))
		return;
	f = &a->all->items[a->current];
	if (!help) {
		a->type = known_type(rest);
		f->type = f->type.len ? f->type : a->type;
	} else if (f->help.len == 0 && is_help(line)) {
		df_buf_add(&f->help, line.ptr, line.len + 1); /* and its newline */
	}
}

/* ---- samples --------------------------------------------------------------------------------------------- */

/* Is it a sample of the current family? */
static bool belongs(const struct adding *a, struct df_str name)
{
	static const struct df_str suffixes[] = { { "_sum", 4 }, { "_count", 6 }, { "_bucket", 7 } };
	size_t n = df_str_equal_c(a->type, "histogram") ? 3 : df_str_equal_c(a->type, "summary") ? 2 : 0;
	struct df_str rest;

	if (a->current == NONE || !df_str_starts(name, a->name))
		return false;
	rest = df_str(name.ptr + a->name.len, name.len - a->name.len);
	for (size_t i = 0; rest.len && i < n; i++)
		if (df_str_equal(rest, suffixes[i]))
			return true;
	return rest.len == 0;
}

static const struct df_label *find_label(const struct df_labels *labels, const char *name)
{
	struct df_str wanted = df_str_c(name);

	for (size_t i = 0; i < labels->count; i++)
		if (df_str_equal(labels->items[i].name, wanted))
			return &labels->items[i];
	return NULL;
}

static bool speaks_for_itself(const struct df_families_from *from, const struct df_labels *labels)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(from->must) && from->must[i].name; i++) {
		const struct df_label *label = find_label(labels, from->must[i].name);

		if (!label || !df_str_equal(label->value, from->must[i].value))
			return false;
	}
	return !from->label || !find_label(labels, from->label);
}

static char *put(char *to, struct df_str text)
{
	return text.len ? mempcpy(to, text.ptr, text.len) : to;
}

/* `name{label,labels} value`. */
static void write_sample(const struct adding *a, const struct df_sample *s, struct df_buf *buf)
{
	struct df_str label = a->label;
	bool labels = label.len || s->labels.len;
	char *begin = df_buf_reserve(buf, s->name.len + label.len + s->labels.len + s->value.len + 4), *p = begin;

	if (!p) {
		a->all->failed = true;
		return;
	}
	if (s->labels.len == 0 && label.len)
		label.len--; /* the comma */
	p = put(p, s->name);
	if (labels) {
		*p++ = '{';
		p = put(put(p, label), s->labels);
		*p++ = '}';
	}
	*p++ = ' ';
	p = put(p, s->value);
	*p++ = '\n';
	buf->len += (size_t)(p - begin);
	a->all->bytes += (size_t)(p - begin);
}

static void add_sample(struct adding *a, struct df_str line)
{
	struct df_labels labels;
	struct df_sample s;
	size_t family;

	if (!df_str_starts(line, a->from->prefix))
		return;
	if (!df_sample_parse_labels(line, &s, &labels) || !speaks_for_itself(a->from, &labels)) {
		a->all->left_out++;
		return;
	}
	/* One that stands under no head of its own has the head that another text gave it, or none. */
	family = belongs(a, s.name) ? a->current : family_of(a->all, s.name);
	if (family == NONE)
		a->all->left_out++;
	else
		write_sample(a, &s, &a->all->items[family].samples);
}

/* The most bytes that it can become here. */
static size_t most(struct df_str text, size_t label)
{
	size_t len = text.len;
	struct df_str line;

	while (df_exposition_line(&text, &line))
		len += label + 4;
	return len;
}

int df_families_add(struct df_families *all, struct df_str text, const struct df_families_from *from,
		    struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf label = { 0 };
	struct adding a = { .all = all, .from = from, .current = NONE };
	struct df_str line;

	if (from->label) {
		df_buf_printf(&label, "%s=\"", from->label);
		df_exposition_escape(&label, from->label_value);
		df_buf_add_c(&label, "\",");
	}
	if (from->max_bytes && all->bytes + most(text, label.len) > from->max_bytes)
		return df_error_set(err, DF_ERR_NO_MEMORY, "the texts are more than %zu MiB together",
				    from->max_bytes >> 20);
	a.label = df_buf_str(&label);
	while (df_exposition_line(&text, &line))
		if (line.len && line.ptr[0] == '#')
			add_head(&a, line);
		else if (line.len)
			add_sample(&a, line);
	all->left_out += text.len > 0;
	return all->failed || label.failed ? df_error_no_memory(err) : 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

struct df_families *df_families_new(void)
{
	return calloc(1, sizeof(struct df_families));
}

static void clear(struct family *f)
{
	free((char *)f->name.ptr);
	df_buf_done(&f->help);
	df_buf_done(&f->samples);
}

size_t df_families_left_out(const struct df_families *all)
{
	return all->left_out;
}

void df_families_write(struct df_families *all, struct df_buf *buf)
{
	size_t len = 0;

	for (size_t i = 0; i < all->count; i++)
		len += all->items[i].help.len + all->items[i].name.len + all->items[i].samples.len + 32;
	df_buf_reserve(buf, len); /* once, for it is large; and each family goes as it is written */
	for (size_t i = 0; i < all->count; i++) {
		struct family *f = &all->items[i];

		df_buf_add_str(buf, df_buf_str(&f->help));
		if (f->type.len)
			df_buf_printf(buf, "# TYPE " DF_STR_FMT " " DF_STR_FMT "\n", DF_STR_ARG(f->name),
				      DF_STR_ARG(f->type));
		df_buf_add_str(buf, df_buf_str(&f->samples));
		buf->failed |= f->help.failed;
		clear(f);
	}
	buf->failed |= all->failed;
	all->count = all->bytes = 0;
	memset(all->slots, 0, sizeof(all->slots));
}

void df_families_free(struct df_families *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++)
		clear(&all->items[i]);
	free(all->items);
	free(all);
}
