#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "operator/ensure.h"

struct object {
	struct object *next;
	const char *plural;
	int64_t seen_ns;
	char hash[33]; /* half of it tells as much */
	char name[];
};

#define KEY_MAX 400 /* a kind, and two names of at most 253 bytes, one of which is a label */

/* Those of one resource, found by "<kind>/<namespace>/<name>". */
struct resource {
	const char *key;
	struct object *objects;
};

struct df_verified {
	pthread_mutex_t lock;
	void *resources; /* tsearch */
};

/* ---- resources ------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct resource *)a)->key, ((const struct resource *)b)->key);
}

static void resource_free(void *arg)
{
	struct resource *r = arg;

	for (struct object *o = r->objects, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	free((char *)r->key);
	free(r);
}

static struct resource *find(struct df_verified *v, const struct df_verified_key *key)
{
	char text[KEY_MAX];
	struct resource **found, wanted = { .key = text };

	snprintf(text, sizeof(text), "%d/%s/%s", (int)key->kind, key->namespace, key->name);
	found = tfind(&wanted, &v->resources, compare);
	return found ? *found : NULL;
}

/* NULL: out of memory. */
static struct resource *add(struct df_verified *v, const struct df_verified_key *key)
{
	struct resource *r = calloc(1, sizeof(*r));
	char *text;

	if (!r)
		return NULL;
	if (asprintf(&text, "%d/%s/%s", (int)key->kind, key->namespace, key->name) >= 0)
		r->key = text;
	if (!r->key || !tsearch(r, &v->resources, compare)) {
		resource_free(r);
		return NULL;
	}
	return r;
}

static struct object **object_of(struct resource *r, const struct df_verified_key *key)
{
	struct object **o = &r->objects;

	while (*o && (strcmp((*o)->plural, key->plural) != 0 || strcmp((*o)->name, key->object) != 0))
		o = &(*o)->next;
	return o;
}

/* ---- public ---------------------------------------------------------------------------------------------- */

struct df_verified *df_verified_new(void)
{
	struct df_verified *v = calloc(1, sizeof(*v));

	if (v)
		pthread_mutex_init(&v->lock, NULL);
	return v;
}

void df_verified_free(struct df_verified *v)
{
	if (!v)
		return;
	tdestroy(v->resources, resource_free);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void df_verified_forget(struct df_verified *v, enum df_manifest_kind kind, const char *namespace, const char *name)
{
	struct df_verified_key key = { .kind = kind, .namespace = namespace, .name = name };

	if (!v)
		return;
	DF_LOCK_SCOPE(&v->lock);
	struct resource *r = find(v, &key);

	if (!r)
		return;
	tdelete(r, &v->resources, compare);
	resource_free(r);
}

bool df_verified_is(struct df_verified *v, const struct df_verified_key *key, const char *hash, int64_t now_ns,
		    int64_t max_age_ns)
{
	if (!v)
		return false;
	DF_LOCK_SCOPE(&v->lock);
	struct resource *r = find(v, key);
	const struct object *o = r ? *object_of(r, key) : NULL;

	return o && now_ns - o->seen_ns <= max_age_ns && strncmp(o->hash, hash, sizeof(o->hash) - 1) == 0;
}

void df_verified_note(struct df_verified *v, const struct df_verified_key *key, const char *hash, int64_t now_ns)
{
	if (!v)
		return;
	DF_LOCK_SCOPE(&v->lock);
	struct resource *r = find(v, key);

	if (!r)
		r = add(v, key);
	if (!r)
		return;
	struct object **o = object_of(r, key);

	if (!*o) {
		size_t len = strlen(key->object) + 1;

		*o = calloc(1, sizeof(**o) + len);
		if (!*o)
			return;
		memcpy((*o)->name, key->object, len);
		(*o)->plural = key->plural;
	}
	snprintf((*o)->hash, sizeof((*o)->hash), "%s", hash);
	(*o)->seen_ns = now_ns;
}
