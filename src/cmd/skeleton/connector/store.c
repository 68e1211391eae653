/*
 * A collection is a file: a header, then entries, one behind the other and never changed. The header says where the
 * last entry of a finished put ends, and is written when that put is on the disk: what a killed process left behind
 * it was never there, and the next put writes over it. A lock on the file makes puts take turns.
 */
#include "@dir@store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/stat.h>

#define MAGIC "df-records-1"
#define TOKEN "@name@.token"
#define SUFFIX ".@name@"
#define NO_KEY UINT32_MAX
#define NAME_PART 200		 /* bytes; a file system allows 255 */
#define WINDOW ((size_t)1 << 16) /* bytes that are read at once */
#define LOCK_WAIT_NS (2 * DF_NS_PER_MS)

struct header {
	char magic[16];
	uint64_t id;
	uint64_t end;  /* of the last entry */
	uint64_t last; /* number that was given */
};

/* Key and text follow. */
struct entry {
	uint64_t number;
	uint32_t key_len; /* NO_KEY: has none */
	uint32_t text_len;
};

/* The newest entry of a key. offset 0: free. */
struct slot {
	uint64_t hash;
	uint64_t offset;
};

/* A part of the file in memory. */
struct window {
	char *data;
	size_t len, cap;
	uint64_t at;
};

struct df_@name@ {
	int fd;
	char *path; /* for errors */
	char id[17];
	struct header header; /* as last seen */
	uint64_t next;	      /* offset of the entry that is read next */
	uint64_t indexed;     /* entries before it are in the index */
	struct slot *slots;   /* by hash; a power of two */
	size_t slot_count, slots_used;
	struct window reading, looking_up;
};

/* ---- errors ---------------------------------------------------------------------------------------------- */

/*
 * FILL IN: what your store's errors mean, by its own codes, never by their texts. Retryable codes (connection, timeout,
 * transient) are tried again; poison (constraint, invalid data) goes to the error sink; all others stop the pipeline.
 */
static const struct {
	int errnum, code;
	const char *fix;
} meanings[] = {
	{ ENOENT, DF_ERR_CONNECTION, ": its directory must exist" },
	{ ENOTDIR, DF_ERR_CONNECTION, ": its directory must be one" },
	{ EIO, DF_ERR_CONNECTION, "" },
	{ ESTALE, DF_ERR_CONNECTION, "" },
	{ EACCES, DF_ERR_AUTH, ": the user must be allowed to read and write it" },
	{ EPERM, DF_ERR_AUTH, ": the user must be allowed to read and write it" },
	{ EROFS, DF_ERR_AUTH, ": the file system must be writable" },
	{ ENOSPC, DF_ERR_TRANSIENT, ": make room on its file system" },
	{ EDQUOT, DF_ERR_TRANSIENT, ": make room in the user's quota" },
	{ ENAMETOOLONG, DF_ERR_CONFIG, ": choose a shorter name" },
};

static int failed(const char *what, const char *path, int errnum, struct df_error *err)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(meanings); i++)
		if (meanings[i].errnum == errnum)
			return df_error_errno(err, meanings[i].code, errnum, "cannot %s %s%s", what, path,
					      meanings[i].fix);
	return df_error_errno(err, DF_ERR_UNKNOWN, errnum, "cannot %s %s", what, path);
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static int read_at(struct df_@name@ *db, uint64_t offset, void *data, size_t len, struct df_error *err)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(db->fd, (char *)data + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno != EINTR)
			return failed("read", db->path, errno, err);
		if (n == 0)
			return df_error_set(err, DF_ERR_CONFIG, "%s is shorter than it was: restore it", db->path);
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_at(struct df_@name@ *db, uint64_t offset, const void *data, size_t len, struct df_error *err)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = pwrite(db->fd, (const char *)data + put, len - put, (off_t)(offset + put));

		if (n < 0 && errno != EINTR)
			return failed("write", db->path, errno, err);
		put += n > 0 ? (size_t)n : 0;
	}
	return fdatasync(db->fd) < 0 ? failed("write", db->path, errno, err) : 0;
}

/* FILL IN: nothing here, but whatever waits for the other side waits as this does: until ctx ends at the latest. */
static int lock(struct df_@name@ *db, struct df_context *ctx, short type, struct df_error *err)
{
	struct flock whole = { .l_type = type, .l_whence = SEEK_SET };
	int code = df_context_check(ctx, err);

	if (code != 0)
		return code;
	while (fcntl(db->fd, F_OFD_SETLK, &whole) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return failed("lock", db->path, errno, err);
		if (df_context_sleep(ctx, LOCK_WAIT_NS) != 0)
			return df_context_check(ctx, err);
	}
	return 0;
}

static void unlockp(struct df_@name@ **db)
{
	struct flock whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (*db)
		(void)fcntl((*db)->fd, F_OFD_SETLK, &whole);
}

static int read_header(struct df_@name@ *db, struct df_error *err)
{
	int code = read_at(db, 0, &db->header, sizeof(db->header), err);

	if (code == 0 && memcmp(db->header.magic, MAGIC, sizeof(MAGIC)) != 0)
		return df_error_set(err, DF_ERR_CONFIG, "%s is no collection", db->path);
	return code;
}

/* Looks what was put since. */
static int refresh(struct df_@name@ *db, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(unlockp) struct df_@name@ *locked = NULL;
	int code = lock(db, ctx, F_RDLCK, err);

	if (code != 0)
		return code;
	locked = db;
	return read_header(db, err);
}

/* ---- open and close -------------------------------------------------------------------------------------- */

/* Only letters, digits, - and _ stand in the file's name as they are, so that no name leads elsewhere. One that is too
 * long for a file goes through directories. */
static void add_name(struct df_buf *path, const char *name)
{
	size_t begin = path->len;

	for (; *name; name++) {
		if (path->len - begin >= NAME_PART) {
			df_buf_add_c(path, "+" SUFFIX);
			(void)mkdir(df_buf_c(path), 0777); /* what went wrong is seen when the file is opened */
			df_buf_add_char(path, '/');
			begin = path->len;
		}
		if (strchr("-_", *name) || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
		    (*name >= 'A' && *name <= 'Z'))
			df_buf_add_char(path, *name);
		else
			df_buf_printf(path, "%%%02X", (unsigned char)*name);
	}
	df_buf_add_c(path, SUFFIX);
}

/* A store whose directory holds a file TOKEN is open to those who know what is in it. */
static int check_token(const struct df_@name@_connection *connection, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	char wanted[4096];
	ssize_t n;

	df_buf_printf(&path, "%s/" TOKEN, connection->path);
	df_cleanup(df_closep) int fd = open(df_buf_c(&path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, wanted, sizeof(wanted));
	if (n < 0)
		return failed("read", df_buf_c(&path), errno, err);
	if (df_str_equal(df_str_trim(df_str(wanted, (size_t)n)), df_str_c(connection->token.value)))
		return 0;
	return df_error_set(err, DF_ERR_AUTH, "the store %s refuses the token: set `token` to what its " TOKEN " says",
			    connection->path);
}

static int begin_file(struct df_@name@ *db, struct df_error *err)
{
	struct header header = { .magic = MAGIC, .end = sizeof(header) };

	if (getrandom(&header.id, sizeof(header.id), 0) != sizeof(header.id))
		return failed("find a number for", db->path, errno, err);
	db->header = header;
	return write_at(db, 0, &header, sizeof(header), err);
}

/* The first who opens the file begins it; the others wait meanwhile. */
static int begin(struct df_@name@ *db, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(unlockp) struct df_@name@ *locked = NULL;
	struct stat st;
	int code = lock(db, ctx, F_WRLCK, err);

	if (code != 0)
		return code;
	locked = db;
	if (fstat(db->fd, &st) < 0)
		return failed("read", db->path, errno, err);
	code = st.st_size == 0 ? begin_file(db, err) : read_header(db, err);
	snprintf(db->id, sizeof(db->id), "%016" PRIx64, db->header.id);
	db->next = db->indexed = sizeof(struct header);
	return code;
}

static void closep(struct df_@name@ **db)
{
	df_@name@_close(*db);
}

int df_@name@_open(const struct df_@name@_connection *connection, struct df_context *ctx, struct df_@name@ **ret,
		 struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	df_cleanup(closep) struct df_@name@ *db = calloc(1, sizeof(*db));
	int code;

	if (!db)
		return df_error_no_memory(err);
	db->fd = -1;
	df_buf_printf(&path, "%s/", connection->path);
	add_name(&path, connection->collection);
	db->path = df_buf_take(&path);
	if (!db->path)
		return df_error_no_memory(err);
	code = check_token(connection, err);
	if (code != 0)
		return code;
	db->fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (db->fd < 0)
		return failed("open", db->path, errno, err);
	code = begin(db, ctx, err);
	if (code == 0)
		*ret = DF_TAKE(db);
	return code;
}

void df_@name@_close(struct df_@name@ *db)
{
	if (!db)
		return;
	if (db->fd >= 0)
		close(db->fd);
	free(db->path);
	free(db->slots);
	free(db->reading.data);
	free(db->looking_up.data);
	free(db);
}

const char *df_@name@_id(const struct df_@name@ *db)
{
	return db->id;
}

/* ---- put ------------------------------------------------------------------------------------------------- */

static void add_entry(struct df_buf *buf, const struct df_@name@_record *record, uint64_t number)
{
	struct entry entry = { .number = number,
			       .key_len = record->key.ptr ? (uint32_t)record->key.len : NO_KEY,
			       .text_len = (uint32_t)record->text.len };

	df_buf_add(buf, &entry, sizeof(entry));
	if (record->key.ptr)
		df_buf_add_str(buf, record->key);
	df_buf_add_str(buf, record->text);
}

int df_@name@_put(struct df_@name@ *db, struct df_context *ctx, const struct df_@name@_record *records, size_t count,
		struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf entries = { 0 };
	df_cleanup(unlockp) struct df_@name@ *locked = NULL;
	struct header header;
	int code = count > 0 ? lock(db, ctx, F_WRLCK, err) : 0;

	if (code != 0 || count == 0)
		return code;
	locked = db;
	code = read_header(db, err);
	header = db->header;
	for (size_t i = 0; code == 0 && i < count; i++) {
		add_entry(&entries, &records[i], ++header.last);
		code = df_context_check(ctx, err);
	}
	if (code == 0 && entries.failed)
		code = df_error_no_memory(err);
	if (code == 0)
		code = write_at(db, header.end, entries.data, entries.len, err);
	/* From here on the records are there. */
	header.end += entries.len;
	return code == 0 ? write_at(db, 0, &header, sizeof(header), err) : code;
}

/* ---- the index: which entry is the newest of its key ----------------------------------------------------- */

/* len bytes of the file, which must be before its end; valid until the window is used again. NULL: err says why. */
static const char *view(struct df_@name@ *db, struct window *w, uint64_t offset, size_t len, size_t ahead,
			struct df_error *err)
{
	size_t want = ahead > len ? ahead : len;

	if (offset > db->header.end || len > db->header.end - offset) {
		df_error_set(err, DF_ERR_CONFIG, "%s is damaged at byte %" PRIu64 ": restore it", db->path, offset);
		return NULL;
	}
	if (offset >= w->at && offset + len <= w->at + w->len)
		return w->data + (offset - w->at);
	if (want > db->header.end - offset)
		want = (size_t)(db->header.end - offset);
	if (want > w->cap) {
		char *grown = realloc(w->data, want);

		if (!grown) {
			df_error_no_memory(err);
			return NULL;
		}
		w->data = grown;
		w->cap = want;
	}
	w->len = 0;
	if (read_at(db, offset, w->data, want, err) != 0)
		return NULL;
	w->at = offset;
	w->len = want;
	return w->data;
}

/* The entry there, with its key, and with its text when that is asked for. 0, or the code of err. */
static int read_entry(struct df_@name@ *db, struct window *w, uint64_t offset, size_t ahead, bool with_text,
		      struct entry *ret, struct df_@name@_record *ret_record, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	const char *data = view(db, w, offset, sizeof(*ret), ahead, &why);
	size_t key_len = 0;

	if (data) {
		memcpy(ret, data, sizeof(*ret));
		key_len = ret->key_len == NO_KEY ? 0 : ret->key_len;
		data = view(db, w, offset, sizeof(*ret) + key_len + (with_text ? ret->text_len : 0), ahead, &why);
	}
	if (!data) {
		if (err)
			*err = why;
		return why.code;
	}
	data += sizeof(*ret);
	ret_record->number = ret->number;
	ret_record->key = df_str(ret->key_len == NO_KEY ? NULL : data, key_len);
	ret_record->text = df_str(data + key_len, ret->text_len);
	return 0;
}

static uint64_t entry_end(uint64_t offset, const struct entry *entry)
{
	return offset + sizeof(*entry) + (entry->key_len == NO_KEY ? 0 : entry->key_len) + entry->text_len;
}

/* FNV-1a. */
static uint64_t hash_of(struct df_str key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * 0x100000001b3;
	return hash;
}

/* The slot of the key, or a free one. */
static int find_slot(struct df_@name@ *db, struct df_str key, struct slot **ret, struct df_error *err)
{
	uint64_t hash = hash_of(key);

	for (size_t i = hash;; i++) {
		struct slot *slot = &db->slots[i & (db->slot_count - 1)];
		struct df_@name@_record record;
		struct entry entry;
		int code = 0;

		*ret = slot;
		if (slot->offset == 0) {
			slot->hash = hash;
			return 0;
		}
		if (slot->hash != hash)
			continue;
		code = read_entry(db, &db->looking_up, slot->offset, 0, false, &entry, &record, err);
		if (code != 0 || df_str_equal(record.key, key))
			return code;
	}
}

static int grow_slots(struct df_@name@ *db, struct df_error *err)
{
	size_t count = db->slot_count ? db->slot_count * 2 : 64;
	struct slot *slots = calloc(count, sizeof(*slots));

	if (!slots)
		return df_error_no_memory(err);
	for (size_t i = 0; i < db->slot_count; i++) {
		size_t at = db->slots[i].hash & (count - 1);

		while (slots[at].offset != 0)
			at = (at + 1) & (count - 1);
		slots[at] = db->slots[i];
	}
	free(db->slots);
	db->slots = slots;
	db->slot_count = count;
	return 0;
}

static int index_key(struct df_@name@ *db, struct df_str key, uint64_t offset, struct df_error *err)
{
	struct slot *slot = NULL;
	int code = db->slots_used * 2 >= db->slot_count ? grow_slots(db, err) : 0;

	if (code == 0)
		code = find_slot(db, key, &slot, err);
	if (code != 0)
		return code;
	db->slots_used += slot->offset == 0;
	slot->offset = offset;
	return 0;
}

static int index_new(struct df_@name@ *db, struct df_context *ctx, struct df_error *err)
{
	int code = 0;

	while (code == 0 && db->indexed < db->header.end) {
		struct df_@name@_record record;
		struct entry entry;

		code = df_context_check(ctx, err);
		if (code == 0)
			code = read_entry(db, &db->reading, db->indexed, WINDOW, false, &entry, &record, err);
		if (code == 0 && record.key.ptr)
			code = index_key(db, record.key, db->indexed, err);
		if (code == 0)
			db->indexed = entry_end(db->indexed, &entry);
	}
	return code;
}

/* ---- get ------------------------------------------------------------------------------------------------- */

int df_@name@_seek(struct df_@name@ *db, struct df_context *ctx, uint64_t number, bool *ret_there, struct df_error *err)
{
	struct df_@name@_record record;
	struct entry entry;
	int code = refresh(db, ctx, err);

	*ret_there = number <= db->header.last;
	for (db->next = sizeof(struct header); code == 0 && db->next < db->header.end;) {
		code = read_entry(db, &db->reading, db->next, WINDOW, false, &entry, &record, err);
		if (code == 0 && entry.number > number)
			break;
		if (code == 0)
			db->next = entry_end(db->next, &entry);
	}
	return code;
}

static int copy_record(const struct df_@name@_record *record, struct df_arena *arena, struct df_@name@_record *ret,
		       struct df_error *err)
{
	*ret = *record;
	ret->text = df_arena_dup(arena, record->text);
	if (record->key.ptr)
		ret->key = df_arena_dup(arena, record->key);
	return ret->text.ptr && (ret->key.ptr || !record->key.ptr) ? 0 : df_error_no_memory(err);
}

int df_@name@_next(struct df_@name@ *db, struct df_context *ctx, struct df_arena *arena, struct df_@name@_record *ret,
		 bool *ret_record, struct df_error *err)
{
	struct df_@name@_record record;
	struct entry entry;
	struct slot *slot = NULL;
	uint64_t at;
	int code = 0;

	*ret_record = false;
	do {
		if (db->next == db->header.end)
			code = refresh(db, ctx, err);
		if (code == 0)
			code = index_new(db, ctx, err);
		if (code != 0 || db->next == db->header.end)
			return code;
		at = db->next;
		code = read_entry(db, &db->reading, at, WINDOW, true, &entry, &record, err);
		if (code == 0 && record.key.ptr)
			code = find_slot(db, record.key, &slot, err);
		if (code != 0)
			return code;
		db->next = entry_end(at, &entry);
	} while (record.key.ptr && slot->offset != at); /* replaced meanwhile: it comes again, further back */
	*ret_record = true;
	return copy_record(&record, arena, ret, err);
}
