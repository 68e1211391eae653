/* What the tests of the SQLite source and sink share: a scratch database, writes, reads, checkpoints. */
#ifndef TEST_SQLITE_KIT_H
#define TEST_SQLITE_KIT_H

#include "connectors/factory.h"
#include "connectors/sqlite/settings.h"

extern const struct df_connector df_connector_sqlite;

struct kit {
	char dir[64];
	char path[96]; /* of the database, in dir */
	struct df_batch_pool *pool;
	struct df_arena arena; /* for everything that a test keeps */
};

/* cmocka fixtures: *state is a struct kit. */
int kit_setup(void **state);
int kit_teardown(void **state);

/* Runs SQL on the database with a connection of its own; fails the test when SQLite does. */
void kit_sql(const struct kit *kit, const char *sql);
/* The rows of a SELECT: columns joined by `|`, a line feed behind each row. Good until kit_teardown. */
const char *kit_query(struct kit *kit, const char *sql);

/* ---- sink ------------------------------------------------------------------------------------------------ */

struct kit_sink {
	struct df_sqlite_sink_settings settings;
	struct df_sink *sink;
	struct df_error err; /* of the last call */
};

/* A connected sink; settings is JSON without `path`. Returns connect's code, 0 when it must not fail. */
int kit_sink_open(struct kit *kit, struct kit_sink *s, const char *settings);
void kit_sink_close(struct kit_sink *s);

struct kit_message {
	const char *payload;
	const char *metadata; /* JSON, or NULL */
};

struct kit_result {
	int code; /* of the whole write */
	size_t unchanged, unknown_fields;
	size_t failed;	     /* messages that failed alone */
	struct df_error err; /* why the first of them failed, else why the write did */
	size_t index;	     /* of the first of them */
};

struct kit_result kit_write_messages(struct kit *kit, struct kit_sink *s, const struct kit_message *messages,
				     size_t count);
/* One payload per line. */
struct kit_result kit_write(struct kit *kit, struct kit_sink *s, const char *lines);

/* A sink that must open. */
#define OPEN(kit, s, settings)                               \
	do {                                                 \
		int code_ = kit_sink_open(kit, s, settings); \
		if (code_ != 0)                              \
			fail_msg("%s", (s)->err.text);       \
	} while (0)

/* A write that must take every message. */
#define WRITTEN(result)                              \
	do {                                         \
		struct kit_result r_ = (result);     \
		if (r_.code != 0 || r_.failed)       \
			fail_msg("%s", r_.err.text); \
	} while (0)

/* ---- source ---------------------------------------------------------------------------------------------- */

struct kit_source {
	struct df_emitter emitter; /* first */
	struct kit *kit;
	struct df_sqlite_source_settings settings;
	struct df_source *source;
	struct df_ledger *ledger;
	struct df_value *checkpoint; /* in kit->arena; what was committed so far */
	struct df_buf rows;	     /* documents, one JSON text a line */
	struct df_buf metadata;	     /* likewise */
	size_t count;		     /* of rows */
	size_t idle;		     /* empty polls */
	size_t stop_after;	     /* cancels the read once so many rows came; 0: never */
	size_t done_at_most;	     /* rows beyond are never done: a crash; SIZE_MAX: none */
	struct df_context *ctx;
	struct df_error err;
};

/* A source with env.once, restored from `checkpoint` unless it is NULL, and connected. Returns the first code. */
int kit_source_open(struct kit *kit, struct kit_source *s, const char *settings, struct df_value *checkpoint);
/* Reads to the end; every row is done at once, and committed. */
int kit_source_read(struct kit_source *s);
void kit_source_close(struct kit_source *s);
/* The checkpoint as JSON. Good until kit_teardown. */
const char *kit_checkpoint(struct kit_source *s);
/* A JSON text as a document in kit->arena. */
struct df_value *kit_json(struct kit *kit, const char *text);

#endif
