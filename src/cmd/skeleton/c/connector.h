/* What the program (main.c) asks of the connector (connector.c). All of it is called from one thread. */
#ifndef CONNECTOR_H
#define CONNECTOR_H

#include "buffer.h"
#include "json.h"

extern const char connector_description[]; /* the answer to `describe`: title, doc, settings */

/* What became of it. `code` is one of section 7 of the protocol's page, "connection_error" or "invalid_data"; NULL: done. The text names the
 * thing and the fix, and never a secret. */
struct failure {
	const char *code;
	char text[512];
};

/* For `return connector_fail(failure, "config", ...)`. */
bool connector_fail(struct failure *failure, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The settings of the manifest, with defaults filled in; valid until the program ends. */
bool connector_connect(struct json config, struct failure *failure);
void connector_close(void);

//@if source
/* Where reading goes on: the position behind the last message that was stored at the other end; at NULL: the beginning. Called before the
 * first read. */
bool connector_seek(struct json position, struct failure *failure);

/*
 * Appends messages, separated by commas, and how many they are: at most `limit`. 0: there is nothing new at the moment; do not wait.
 * {"json":VALUE,"position":ANY}, or "data" for text and "base64" for bytes in place of "json".
 */
bool connector_read(long long limit, struct buffer *messages, long long *ret_count, struct failure *failure);

//@end
//@if sink
/*
 * Stores the messages, in order, and returns when they are stored. Messages that cannot be get a failure of their own in failures[index],
 * which come zeroed. false: none was stored, or nobody knows.
 */
bool connector_write(const struct json *messages, size_t count, struct failure *failures, struct failure *failure);

//@end
#endif
