#include "connectors/trino/session.h"

#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"

enum effect {
	SET,	/* the header has one value */
	ADD,	/* `name=value` beside others */
	REMOVE, /* the name of such a pair */
	CLEAR,	/* the header goes */
};

static const struct {
	const char *answer;
	const char *request;
	enum effect effect;
} effects[] = {
	{ "X-Trino-Set-Catalog", "X-Trino-Catalog", SET },
	{ "X-Trino-Set-Schema", "X-Trino-Schema", SET },
	{ "X-Trino-Set-Path", "X-Trino-Path", SET },
	{ "X-Trino-Set-Session", "X-Trino-Session", ADD },
	{ "X-Trino-Clear-Session", "X-Trino-Session", REMOVE },
	{ "X-Trino-Set-Role", "X-Trino-Role", ADD },
	{ "X-Trino-Added-Prepare", "X-Trino-Prepared-Statement", ADD },
	{ "X-Trino-Deallocated-Prepare", "X-Trino-Prepared-Statement", REMOVE },
	{ "X-Trino-Started-Transaction-Id", "X-Trino-Transaction-Id", SET },
	{ "X-Trino-Clear-Transaction-Id", "X-Trino-Transaction-Id", CLEAR },
	{ "X-Trino-Set-Authorization-User", "X-Trino-User", SET },
	{ "X-Trino-Reset-Authorization-User", "X-Trino-User", CLEAR },
};

static void entry_free(struct df_trino_session_entry *entry)
{
	if (!entry)
		return;
	free(entry->name);
	free(entry->line);
	free(entry);
}

static void remove_entry(struct df_trino_session *session, const char *header, struct df_str name)
{
	for (struct df_trino_session_entry **at = &session->first; *at; at = &(*at)->next) {
		struct df_trino_session_entry *entry = *at;

		if (entry->header == header && df_str_equal_c(name, entry->name)) {
			*at = entry->next;
			entry_free(entry);
			return;
		}
	}
}

static void set_entry(struct df_trino_session *session, const char *header, struct df_str name, struct df_str line)
{
	struct df_trino_session_entry *entry = calloc(1, sizeof(*entry));

	remove_entry(session, header, name);
	if (entry) {
		*entry = (struct df_trino_session_entry){
			.next = session->first, .header = header, .name = df_str_dup(name), .line = df_str_dup(line)
		};
	}
	if (!entry || !entry->name || !entry->line) {
		entry_free(entry);
		session->failed = true;
		return;
	}
	session->first = entry;
}

void df_trino_session_header(struct df_trino_session *session, struct df_str name, struct df_str value)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(effects); i++) {
		const char *equals = memchr(value.ptr, '=', value.len);
		struct df_str key = { 0 };

		if (strlen(effects[i].answer) != name.len || strncasecmp(effects[i].answer, name.ptr, name.len) != 0)
			continue;
		if (effects[i].effect == ADD || effects[i].effect == REMOVE)
			key = df_str(value.ptr, equals ? (size_t)(equals - value.ptr) : value.len);
		if (effects[i].effect == SET || effects[i].effect == ADD)
			set_entry(session, effects[i].request, key, value);
		else
			remove_entry(session, effects[i].request, key);
		return;
	}
}

/* The place of a header that has one value, or the end. */
static size_t find_header(const struct df_http_header *headers, size_t count,
			  const struct df_trino_session_entry *entry)
{
	for (size_t i = 0; i < count; i++)
		if (!*entry->name && strcasecmp(headers[i].name, entry->header) == 0)
			return i;
	return count;
}

void df_trino_session_headers(const struct df_trino_session *session, struct df_http_header *headers, size_t *count,
			      size_t cap)
{
	for (const struct df_trino_session_entry *entry = session->first; entry; entry = entry->next) {
		size_t at = find_header(headers, *count, entry);

		if (at == cap)
			return;
		headers[at] = (struct df_http_header){ entry->header, entry->line };
		if (at == *count)
			(*count)++;
	}
}

void df_trino_session_done(struct df_trino_session *session)
{
	while (session->first) {
		struct df_trino_session_entry *entry = session->first;

		session->first = entry->next;
		entry_free(entry);
	}
}
