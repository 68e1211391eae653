/* @title@: the connector. FILL IN: everything in this file. It is a small but real store, so that it works before it is changed: JSON
 * objects, one a line, in a file that any number of processes share. */
#include "connector.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* FILL IN: the settings; section 6 of the protocol's page says what a field may have. One line. */
#define FIELDS \
	"[{\"name\":\"path\",\"type\":\"string\",\"required\":true,\"example\":\"/var/lib/@name@\"," \
	"\"doc\":\"The directory that holds the store. It must exist.\"}," \
	"{\"name\":\"collection\",\"type\":\"string\",\"required\":true,\"example\":\"orders\"," \
	"\"doc\":\"The collection of records. One that does not exist is empty, and is made.\"}]"

const char connector_description[] = "{\"type\":\"description\",\"protocol\":2,\"title\":\"@title@\",\"doc\":\"FILL IN: what a reader should know.\""
//@if source
				     ",\"source\":{\"fields\":" FIELDS "}"
//@end
//@if sink
				     ",\"sink\":{\"fields\":" FIELDS "}"
//@end
				     "}";

static int store = -1; /* the file, open. Its first line is an object with its id, each other one a record */

static char id[17]; /* tells this collection from all others, also from one that had its name before */

bool connector_fail(struct failure *failure, const char *code, const char *fmt, ...)
{
	va_list args;

	failure->code = code;
	va_start(args, fmt);
	vsnprintf(failure->text, sizeof(failure->text), fmt, args);
	va_end(args);
	return false;
}

/* ---- connect --------------------------------------------------------------------------------------------- */

#define ID_BEGIN "{\"store\":\""
#define ID_LINE_LENGTH (sizeof(ID_BEGIN "0123456789abcdef\"}\n") - 1)

/* Reads the id; a new file gets one. */
static bool read_id(void)
{
	char line[ID_LINE_LENGTH + 1];
	unsigned long long random;
	bool ok = flock(store, LOCK_EX) == 0;

	if (ok && lseek(store, 0, SEEK_END) < (off_t)ID_LINE_LENGTH) {
		ok = getrandom(&random, sizeof(random), 0) == sizeof(random) && ftruncate(store, 0) == 0;
		snprintf(line, sizeof(line), ID_BEGIN "%016llx\"}\n", random);
		ok = ok && write(store, line, ID_LINE_LENGTH) == (ssize_t)ID_LINE_LENGTH && fdatasync(store) == 0;
	}
	ok = ok && pread(store, line, ID_LINE_LENGTH, 0) == (ssize_t)ID_LINE_LENGTH;
	if (ok)
		memcpy(id, line + strlen(ID_BEGIN), sizeof(id) - 1);
	flock(store, LOCK_UN);
	return ok;
}

static const char *open_code(int error)
{
	return error == EACCES || error == EPERM ? "auth_error" : error == ENAMETOOLONG ? "config" : "connection_error";
}

static bool open_collection(const char *path, const char *collection, struct failure *failure)
{
	struct buffer file = { 0 };

	buffer_printf(&file, "%s/", path);
	for (const char *c = collection; *c; c++) /* every name is a file of its own in this directory */
		buffer_printf(&file, isalnum((unsigned char)*c) ? "%c" : "%%%02x", (unsigned char)*c);
	buffer_add(&file, ".@name@", sizeof(".@name@"));
	store = open(file.data, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (store < 0 || !read_id()) {
		connector_fail(failure, open_code(errno), "cannot open the collection %s of %s: %s", collection, path, strerror(errno));
		connector_close();
	}
	free(file.data);
	return store >= 0;
}

bool connector_connect(struct json config, struct failure *failure)
{
	char *path = json_text(json_member(config, "path"), NULL);
	char *collection = json_text(json_member(config, "collection"), NULL);
	bool ok = path && collection ? open_collection(path, collection, failure)
				     : connector_fail(failure, "config", "path and collection are needed");

	free(path);
	free(collection);
	return ok;
}

void connector_close(void)
{
	if (store >= 0)
		close(store);
	store = -1;
}

//@if source
/* ---- source ---------------------------------------------------------------------------------------------- */

static off_t place; /* what is before it was read */

/* FILL IN: a position that is not this store's, or is gone, is a "config" failure that names checkpointReset. */
bool connector_seek(struct json position, struct failure *failure)
{
	struct stat st;

	place = position.at ? json_number(json_member(position, "end"), -1) : (off_t)ID_LINE_LENGTH;
	if (fstat(store, &st) < 0)
		return connector_fail(failure, "transient", "cannot look at the collection: %s", strerror(errno));
	if (position.at && (!json_equals(json_member(position, "store"), id) || place < 0 || place > st.st_size))
		return connector_fail(failure, "config",
				      "the saved position is not one of this collection; checkpointReset reads it from its beginning");
	return true;
}

/* FILL IN: read what is new, in an order that will not change. */
bool connector_read(long long limit, struct buffer *messages, long long *ret_count, struct failure *failure)
{
	static struct buffer chunk;
	size_t size = 1 << 20;

	for (*ret_count = 0; *ret_count == 0; size *= 2) { /* until a whole line is in it */
		char *data, *line, *end;
		ssize_t n;

		chunk.len = 0;
		data = buffer_reserve(&chunk, size);
		n = pread(store, data, size, place);
		if (n < 0)
			return connector_fail(failure, "transient", "cannot read the collection: %s", strerror(errno));
		for (line = data; *ret_count < limit && (end = memchr(line, '\n', (size_t)(data + n - line))); line = end + 1) {
			place += end + 1 - line;
			buffer_add_text(messages, *ret_count ? ",{\"json\":" : "{\"json\":");
			buffer_add(messages, line, (size_t)(end - line));
			buffer_printf(messages, ",\"position\":{\"store\":\"%s\",\"end\":%lld}}", id, (long long)place);
			++*ret_count;
		}
		if ((size_t)n < size)
			break;
	}
	return true;
}

//@end
//@if sink
/* ---- sink ------------------------------------------------------------------------------------------------ */

/* The end of the last whole line. A process that was killed may have left a part of one behind it. */
static off_t whole_lines(void)
{
	off_t end = lseek(store, 0, SEEK_END);
	char c = '\n';

	while (end > 0 && pread(store, &c, 1, end - 1) == 1 && c != '\n')
		end--;
	return end;
}

/* All of it, or nothing. */
static bool append(const struct buffer *lines, struct failure *failure)
{
	off_t end = flock(store, LOCK_EX) == 0 ? whole_lines() : -1;
	bool ok = end >= 0 && ftruncate(store, end) == 0;

	for (size_t done = 0; ok && done < lines->len;) {
		ssize_t n = write(store, lines->data + done, lines->len - done);

		ok = n > 0;
		done += ok ? (size_t)n : 0;
	}
	ok = ok && fdatasync(store) == 0;
	if (!ok)
		connector_fail(failure, "transient", "cannot write to the collection: %s", strerror(errno));
	if (!ok && end >= 0 && ftruncate(store, end) < 0)
		connector_fail(failure, "transient", "cannot take back a write that failed: %s", strerror(errno));
	flock(store, LOCK_UN);
	return ok;
}

/* FILL IN: what a message becomes, and what is refused. */
static bool add_line(struct json message, struct buffer *lines, struct failure *failure)
{
	struct json payload = json_member(message, "json"); /* or "data": text, or "base64": bytes */

	if (!json_is_object(payload))
		return connector_fail(failure, "invalid_data", "not a JSON object");
	buffer_add(lines, payload.at, payload.len);
	buffer_add_text(lines, "\n");
	return true;
}

bool connector_write(const struct json *messages, size_t count, struct failure *failures, struct failure *failure)
{
	static struct buffer lines;

	lines.len = 0;
	for (size_t i = 0; i < count; i++)
		add_line(messages[i], &lines, &failures[i]);
	return lines.len == 0 || append(&lines, failure);
}
//@end
