/*
 * The same chain of five as bench/chain.yaml, written by hand against jansson: what a C programmer would do instead.
 * Usage: bench-chain-jansson LINES.jsonl ROUNDS [--check]
 */
#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const selected[] = { "orderId",  "customerName", "totalAmount", "currency",	   "status",
					"internal", "shippingInfo", "itemCount",   "customerEmail" };

static void snake(const char *key, char *out)
{
	char *o = out;

	for (const char *p = key; *p; p++) {
		bool upper = isupper((unsigned char)*p), before = p > key;

		if (upper && before &&
		    (islower((unsigned char)p[-1]) || isdigit((unsigned char)p[-1]) ||
		     (isupper((unsigned char)p[-1]) && islower((unsigned char)p[1]))))
			*o++ = '_';
		*o++ = (char)tolower((unsigned char)*p);
	}
	*o = '\0';
}

static json_t *snake_deep(json_t *v)
{
	const char *key;
	json_t *member, *out;
	char name[256];
	size_t i;

	if (json_is_array(v)) {
		out = json_array();
		json_array_foreach(v, i, member) json_array_append_new(out, snake_deep(member));
		return out;
	}
	if (!json_is_object(v))
		return json_incref(v);
	out = json_object();
	json_object_foreach(v, key, member)
	{
		snake(key, name);
		json_object_set_new(out, name, snake_deep(member));
	}
	return out;
}

static char *transform(const char *line, size_t len)
{
	json_t *root = json_loadb(line, len, 0, NULL), *picked, *named, *status, *total;
	struct tm tm;
	time_t now = 1705314600;
	char text[64], *out;

	status = json_object_get(root, "status");
	total = json_object_get(root, "totalAmount");
	if (!json_is_string(status) || strcmp(json_string_value(status), "active") != 0 ||
	    json_number_value(total) <= 10) {
		json_decref(root);
		return NULL;
	}
	picked = json_object();
	for (size_t i = 0; i < sizeof(selected) / sizeof(selected[0]); i++) {
		json_t *v = json_object_get(root, selected[i]);

		if (v)
			json_object_set(picked, selected[i], v);
	}
	json_object_del(picked, "internal");
	json_object_del(picked, "customerEmail");
	named = snake_deep(picked);
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_set_new(named, "created_at", json_string(text));
	out = json_dumps(named, JSON_COMPACT);
	json_decref(named);
	json_decref(picked);
	json_decref(root);
	return out;
}

int main(int argc, char **argv)
{
	FILE *f = argc > 2 ? fopen(argv[1], "r") : NULL;
	char *line = NULL, **lines = NULL;
	size_t cap = 0, n = 0;
	ssize_t len;

	if (!f)
		return 1;
	while ((len = getline(&line, &cap, f)) > 0) {
		line[len - 1] = '\0';
		lines = realloc(lines, (n + 1) * sizeof(*lines));
		lines[n++] = strdup(line);
	}
	for (long round = atol(argv[2]); round > 0; round--) {
		for (size_t i = 0; i < n; i++) {
			char *out = transform(lines[i], strlen(lines[i]));

			if (out && argc > 3)
				puts(out);
			free(out);
		}
	}
	return 0;
}
