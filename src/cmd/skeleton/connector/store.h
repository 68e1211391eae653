/*
 * FILL IN: this file and store.c stand where the client library of your store goes (libpq, hiredis, libcurl ...).
 * Remove both when source and sink use that.
 *
 * A small but real store, so that the connector works before it is changed. A store is a directory, and a collection is
 * a file in it that any number of processes share. A collection holds records, text by key, in the order in which they
 * were put; each has a number, which grows and is never used again. What was put is on the disk, and a process that is
 * killed leaves all of a put or nothing.
 *
 * A handle belongs to one thread at a time. What waits ends with its context.
 */
#ifndef DF_CONNECTORS_@NAME@_STORE_H
#define DF_CONNECTORS_@NAME@_STORE_H

#include "@dir@settings.h"

struct df_@name@;

struct df_@name@_record {
	uint64_t number;   /* from 1; put gives it */
	struct df_str key; /* ptr NULL: has none, and is never replaced */
	struct df_str text;
};

#define DF_@NAME@_TEXT_MAX ((size_t)16 * 1024 * 1024) /* bytes of one record */

/*
 * Makes the collection when it is not there. DF_ERR_CONNECTION: the directory is not there. DF_ERR_AUTH: the token is
 * not the store's, or the user may not write there. DF_ERR_CONFIG: the file is no collection. DF_ERR_CANCELED and
 * DF_ERR_TIMEOUT: ctx ended.
 */
int df_@name@_open(const struct df_@name@_connection *connection, struct df_context *ctx, struct df_@name@ **ret,
		 struct df_error *err) df_must_check;
void df_@name@_close(struct df_@name@ *db); /* accepts NULL */

/* Tells this collection from all others, also from one that had its name before: 16 hexadecimal digits. */
const char *df_@name@_id(const struct df_@name@ *db);

/*
 * Puts the records behind all others, in order: all of them, or none. One with a key takes the place of the one that
 * had it. Returns when they are on the disk. DF_ERR_TRANSIENT: no room.
 */
int df_@name@_put(struct df_@name@ *db, struct df_context *ctx, const struct df_@name@_record *records, size_t count,
		struct df_error *err) df_must_check;

/* The next record that is read is the first behind this number. false: the collection never had that number. */
int df_@name@_seek(struct df_@name@ *db, struct df_context *ctx, uint64_t number, bool *ret_there,
		 struct df_error *err) df_must_check;
/* The next record, in the arena. *ret_record false: there is none yet. */
int df_@name@_next(struct df_@name@ *db, struct df_context *ctx, struct df_arena *arena, struct df_@name@_record *ret,
		 bool *ret_record, struct df_error *err) df_must_check;

#endif
