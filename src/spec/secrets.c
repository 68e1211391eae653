/* The store of Secret values: documents of the manifest's file, then a directory. Values are wiped before they are
 * freed. */
#include "spec/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "spec/spec_internal.h"

#define VALUE_MAX ((size_t)1 << 20)

struct bytes {
	char *data; /* NUL behind it */
	size_t len;
};

struct entry {
	char *name, *key;
	char *namespace; /* NULL: the document names none */
	struct bytes value;
};

struct df_secret_store {
	struct df_secrets secrets; /* first */
	char *directory, *namespace;
	struct entry *entries;
	size_t count, cap;
	bool partial;
};

static void done_bytes(struct bytes *bytes)
{
	if (bytes->data)
		explicit_bzero(bytes->data, bytes->len);
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

static void done_entry(struct entry *entry)
{
	free(entry->name);
	free(entry->key);
	free(entry->namespace);
	done_bytes(&entry->value);
}

/* ---- documents ------------------------------------------------------------------------------------------- */

struct document {
	struct df_secret_store *store;
	struct df_place place;
	struct df_diags *diags;
	struct df_arena *arena;
	struct df_str name, namespace;
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Puts an entry in, in place of one with the same name. Takes over what it holds. */
static bool put(struct df_secret_store *store, struct entry *entry)
{
	for (size_t i = 0; i < store->count; i++) {
		struct entry *old = &store->entries[i];
		if (same(old->name, entry->name) && same(old->key, entry->key) &&
		    same(old->namespace, entry->namespace)) {
			done_entry(old);
			*old = *entry;
			return true;
		}
	}
	if (store->count == store->cap) {
		size_t cap = store->cap ? store->cap * 2 : 8;
		struct entry *entries = reallocarray(store->entries, cap, sizeof(*entries));
		if (!entries)
			return false;
		store->entries = entries;
		store->cap = cap;
	}
	store->entries[store->count++] = *entry;
	return true;
}

/* Base64 as Go reads it: line breaks between are nothing. False when it is none. */
static bool decode(struct df_str text, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf joined = { 0 };

	df_buf_reserve(&joined, text.len);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '\n' && text.ptr[i] != '\r')
			df_buf_add_char(&joined, text.ptr[i]);
	}
	/* Room for all, so that no copy is left behind by growing. */
	df_buf_reserve(buf, joined.len + 1);
	bool good = !joined.failed && !buf->failed && df_buf_add_base64_decoded(buf, df_buf_str(&joined));
	if (joined.data)
		explicit_bzero(joined.data, joined.len);
	buf->failed |= joined.failed;
	return good;
}

static void add_value(struct document *d, const char *sub, struct df_str key, struct df_str value)
{
	struct entry entry = { .name = df_str_dup(d->name),
			       .key = df_str_dup(key),
			       .namespace = d->namespace.len ? df_str_dup(d->namespace) : NULL };

	if (value.len > VALUE_MAX) {
		df_diag_error(d->diags, &d->place, sub, "the value is larger than 1 MiB");
		done_entry(&entry);
		return;
	}
	entry.value = (struct bytes){ df_str_dup(value), value.len };
	bool whole = entry.name && entry.key && entry.value.data && (entry.namespace || !d->namespace.len);
	if (whole && put(d->store, &entry))
		return;
	df_diags_no_memory(d->diags);
	done_entry(&entry);
}

static void add_member(struct document *d, const char *block, bool encoded, const struct df_value *member)
{
	df_cleanup(df_freep) char *sub = NULL;
	struct df_str key = df_value_key(member);

	if (member->kind == DF_NULL)
		return;
	if (asprintf(&sub, "%s." DF_STR_FMT, block, DF_STR_ARG(key)) < 0) {
		sub = NULL;
		df_diags_no_memory(d->diags);
		return;
	}
	if (member->kind != DF_STRING) {
		df_diag_error(d->diags, &d->place, sub, "expected a text; put the value in quotes");
		return;
	}
	struct df_str text = df_value_text(member, d->arena);
	if (!encoded) {
		add_value(d, sub, key, text);
		return;
	}
	struct df_buf buf = { 0 };
	if (decode(text, &buf))
		add_value(d, sub, key, df_buf_str(&buf));
	else if (buf.failed)
		df_diags_no_memory(d->diags);
	else
		df_diag_error(d->diags, &d->place, sub, "not base64; write the value as it is under `stringData`");
	if (buf.data)
		explicit_bzero(buf.data, buf.len);
	df_buf_done(&buf);
}

static void add_block(struct document *d, const struct df_value *document, const char *block, bool encoded)
{
	const struct df_value *values = df_object_get_c(document, block);

	if (!values || values->kind == DF_NULL)
		return;
	if (values->kind != DF_OBJECT) {
		df_diag_error(d->diags, &d->place, block, "expected a map of keys and values");
		return;
	}
	df_for_each (member, values)
		add_member(d, block, encoded, member);
}

static struct df_str metadata(struct document *d, const struct df_value *document, const char *key)
{
	const struct df_value *v = df_object_get_c(df_object_get_c(document, "metadata"), key);

	return v && v->kind == DF_STRING ? df_value_text(v, d->arena) : df_str(NULL, 0);
}

void df_secret_store_add(struct df_secret_store *store, const struct df_value *document, const char *file,
			 struct df_diags *diags)
{
	struct df_arena arena;
	struct document d = { .store = store, .diags = diags, .arena = &arena };

	df_arena_init(&arena, NULL);
	d.place = (struct df_place){ .file = file, .line = document->line, .value = document };
	d.name = metadata(&d, document, "name");
	d.namespace = metadata(&d, document, "namespace");
	if (d.name.len == 0) {
		df_diag_error(diags, &d.place, "metadata.name", "required; references find the Secret by it");
	} else {
		add_block(&d, document, "data", true);
		add_block(&d, document, "stringData", false); /* wins, as in the API server */
	}
	df_arena_done(&arena);
}

/* ---- looking up ------------------------------------------------------------------------------------------ */

/* "Secret "db", key "password"" for a reason. */
static int fail(struct df_error *err, const struct df_secret_ref *ref, const char *reason)
{
	return df_error_set(err, DF_ERR_CONFIG, "Secret \"%s%s%s\", key \"%s\": %s",
			    ref->namespace ? ref->namespace : "", ref->namespace ? "/" : "", ref->name, ref->key,
			    reason);
}

/* Does a document of namespace `has` (NULL: none given) answer a reference? One without a namespace means the own. */
static bool namespace_fits(const struct df_secret_store *store, const char *has, const char *wanted)
{
	if (!wanted)
		wanted = store->namespace;
	if (!has)
		has = store->namespace;
	return !wanted || !has || strcmp(wanted, has) == 0;
}

static const struct entry *find(const struct df_secret_store *store, const struct df_secret_ref *ref)
{
	for (size_t i = 0; i < store->count; i++) {
		const struct entry *e = &store->entries[i];
		if (same(e->name, ref->name) && same(e->key, ref->key) &&
		    namespace_fits(store, e->namespace, ref->namespace))
			return e;
	}
	return NULL;
}

/* A file name that stays where it is put. */
static bool is_safe(const char *part)
{
	return *part && !strchr(part, '/') && strcmp(part, ".") != 0 && strncmp(part, "..", 2) != 0;
}

/* As mounted in a pod, DIR/<secret>/<key>; or, flat, as systemd names the credentials of a directory (LoadCredential in
 * systemd.exec(5)), DIR/<secret>_<key>: a Secret's name has no `_`. */
static char *file_name(const struct df_secret_store *store, const struct df_secret_ref *ref, bool flat)
{
	bool foreign = ref->namespace && !same(ref->namespace, store->namespace);
	char *path = NULL;

	if (asprintf(&path, "%s/%s%s%s%c%s", store->directory, ref->name, foreign ? "@" : "",
		     foreign ? ref->namespace : "", flat ? '_' : '/', ref->key) < 0)
		return NULL;
	return path;
}

/* The descriptor, -1 with errno, or -2 when out of memory. Not blocking: a FIFO must not hang the program. */
static int open_file(const struct df_secret_store *store, const struct df_secret_ref *ref)
{
	int fd = -1;

	for (int flat = 0; flat < 2; flat++) {
		df_cleanup(df_freep) char *path = file_name(store, ref, flat);

		if (!path)
			return -2;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR))
			return fd;
	}
	return fd;
}

static int read_fd(int fd, const struct df_secret_ref *ref, struct bytes *ret, struct df_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(err, ref, "not a regular file");
	if ((uint64_t)st.st_size > VALUE_MAX)
		return fail(err, ref, "the value is larger than 1 MiB");
	size_t size = (size_t)st.st_size;
	ret->data = calloc(1, size + 1);
	if (!ret->data)
		return df_error_no_memory(err);
	while (ret->len < size) {
		ssize_t n = read(fd, ret->data + ret->len, size - ret->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, ref, "the file cannot be read");
		if (n == 0)
			break;
		ret->len += (size_t)n;
	}
	return 0;
}

/* 1: found, 0: there is none. */
static int read_file(const struct df_secret_store *store, const struct df_secret_ref *ref, struct bytes *ret,
		     struct df_error *err)
{
	if (!store->directory || !is_safe(ref->name) || !is_safe(ref->key) ||
	    (ref->namespace && !is_safe(ref->namespace)))
		return 0;
	df_cleanup(df_closep) int fd = open_file(store, ref);
	if (fd == -2)
		return df_error_no_memory(err);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "Secret \"%s\", key \"%s\"", ref->name, ref->key);
	int r = read_fd(fd, ref, ret, err);
	return r < 0 ? r : 1;
}

/* The error, or 0 when the reference stays unresolved. */
static int not_found(const struct df_secret_store *store, const struct df_secret_ref *ref, struct df_error *err)
{
	const char *keys[64];
	size_t n = 0;
	char reason[512];

	for (size_t i = 0; i < store->count && n < DF_ARRAY_SIZE(keys); i++) {
		if (same(store->entries[i].name, ref->name) &&
		    namespace_fits(store, store->entries[i].namespace, ref->namespace))
			keys[n++] = store->entries[i].key;
	}
	if (n == 0 && store->partial)
		return 0;
	const char *near = df_nearest(df_str_c(ref->key), keys, n);
	if (near)
		snprintf(reason, sizeof(reason), "the Secret has no such key; did you mean \"%.200s\"?", near);
	else if (n)
		snprintf(reason, sizeof(reason), "the Secret has no such key");
	else if (store->directory)
		snprintf(reason, sizeof(reason),
			 "not found in %.200s; add a file NAME/KEY there or a document `kind: Secret`",
			 store->directory);
	else
		snprintf(reason, sizeof(reason),
			 "not found; add a document `kind: Secret`, or give a directory with --secrets");
	return fail(err, ref, reason);
}

/* A value that can be a text field's: not empty, no NUL, UTF-8. */
static int check_value(const struct bytes *value, const struct df_secret_ref *ref, struct df_error *err)
{
	if (value->len == 0)
		return fail(err, ref, "the value is empty");
	if (memchr(value->data, '\0', value->len))
		return fail(err, ref, "the value contains a NUL byte, which no text can");
	if (!df_utf8_valid(df_str(value->data, value->len), NULL))
		return fail(err, ref, "the value is not UTF-8 text");
	return 0;
}

static int copy_value(const struct bytes *value, const struct df_secret_ref *ref, char **ret, struct df_error *err)
{
	int r = check_value(value, ref, err);

	if (r < 0)
		return r;
	*ret = df_str_dup(df_str(value->data, value->len));
	return *ret ? 0 : df_error_no_memory(err);
}

static int store_get(const struct df_secrets *self, const struct df_secret_ref *ref, char **ret, struct df_error *err)
{
	const struct df_secret_store *store = (const struct df_secret_store *)self;
	struct bytes file = { 0 };

	*ret = NULL;
	if (!ref->name || !ref->key)
		return df_error_set(err, DF_ERR_CONFIG, "a reference without name or key");
	const struct entry *entry = find(store, ref);
	if (entry)
		return copy_value(&entry->value, ref, ret, err);
	int r = read_file(store, ref, &file, err);
	if (r > 0)
		r = copy_value(&file, ref, ret, err);
	else if (r == 0)
		r = not_found(store, ref, err);
	done_bytes(&file);
	return r;
}

/* ---- the store ------------------------------------------------------------------------------------------- */

struct df_secret_store *df_secret_store_new(const char *directory, const char *own_namespace)
{
	struct df_secret_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->secrets.get = store_get;
	store->directory = directory ? strdup(directory) : NULL;
	store->namespace = own_namespace ? strdup(own_namespace) : NULL;
	if ((!directory || store->directory) && (!own_namespace || store->namespace))
		return store;
	df_secret_store_free(store);
	return NULL;
}

void df_secret_store_free(struct df_secret_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->count; i++)
		done_entry(&store->entries[i]);
	free(store->entries);
	free(store->directory);
	free(store->namespace);
	free(store);
}

void df_secret_store_partial(struct df_secret_store *store)
{
	store->partial = true;
}

const struct df_secrets *df_secret_store_get(struct df_secret_store *store)
{
	return &store->secrets;
}
