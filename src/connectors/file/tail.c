/*
 * What a run that was killed left at the end of a file. Its messages were never confirmed, so they come again: an end
 * that is torn is cut off, and nothing else is ever changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "connectors/file/file.h"

#define BLOCK ((size_t)64 * 1024)
/* An unfinished record that is larger was hardly left by a killed run: then a person must look. */
#define TORN_MAX ((int64_t)16 * 1024 * 1024)

/* Where the last complete line ends: behind the last newline. -1: cannot read. */
static int64_t end_of_lines(int fd, int64_t size, char *buffer)
{
	for (int64_t at = size; at > 0;) {
		size_t n = at < (int64_t)BLOCK ? (size_t)at : BLOCK;
		const char *newline;

		at -= (int64_t)n;
		if (pread(fd, buffer, n, at) != (ssize_t)n)
			return -1;
		newline = memrchr(buffer, '\n', n);
		if (newline)
			return at + (newline - buffer) + 1;
	}
	return 0;
}

/* Where the last complete CSV row ends: behind the last newline outside quotes. Quotes inside a field are doubled, so
 * that counting them is enough. */
static int64_t end_of_rows(int fd, int64_t size, char *buffer)
{
	bool quoted = false;
	int64_t end = 0;

	for (int64_t at = 0; at < size;) {
		ssize_t n = pread(fd, buffer, BLOCK, at);

		if (n <= 0)
			return -1;
		for (ssize_t i = 0; i < n; i++) {
			quoted ^= buffer[i] == '"';
			if (buffer[i] == '\n' && !quoted)
				end = at + i + 1;
		}
		at += n;
	}
	return end;
}

/* Where the last complete member or frame ends; 0 when the first one is torn. */
static int end_of_members(int fd, const char *path, enum df_compression compression, char *buffer, int64_t *ret,
			  struct df_error *err)
{
	df_cleanup(df_bytes_freep) struct df_bytes *bytes = NULL;
	size_t n = 1;
	int r = lseek(fd, 0, SEEK_SET) < 0 ? df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path)
					   : df_bytes_new(fd, path, DF_COMPRESSION_AUTO, &bytes, err);

	if (r == 0)
		r = df_bytes_detect(bytes, NULL, err);
	if (r == 0 && df_bytes_compression(bytes) != compression)
		r = df_error_set(err, DF_ERR_CONFIG,
				 "cannot append compressed data to %s, which holds something else: move it away", path);
	while (r == 0 && n > 0)
		r = df_bytes_read(bytes, NULL, buffer, BLOCK, &n, err);
	if (r < 0 && r != DF_ERR_INVALID_DATA)
		return r;
	*ret = df_bytes_complete(bytes);
	return 0;
}

static int find_end(int fd, const char *path, enum df_format format, enum df_compression compression, int64_t size,
		    int64_t *ret, struct df_error *err)
{
	df_cleanup(df_freep) char *buffer = malloc(BLOCK);

	if (!buffer)
		return df_error_no_memory(err);
	if (compression != DF_COMPRESSION_NONE)
		return end_of_members(fd, path, compression, buffer, ret, err);
	*ret = format == DF_FORMAT_CSV ? end_of_rows(fd, size, buffer) : end_of_lines(fd, size, buffer);
	return *ret < 0 ? df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path) : 0;
}

/* Is what stands behind `end` one whole JSON container or string that only lacks its newline? A number could be cut
 * short. */
static bool only_lacks_newline(int fd, int64_t end, int64_t size)
{
	df_cleanup(df_freep) char *text = malloc((size_t)(size - end));
	char last;

	if (!text || pread(fd, text, (size_t)(size - end), end) != size - end)
		return false;
	last = text[size - end - 1];
	return (last == '}' || last == ']' || last == '"') &&
	       df_value_check(df_str(text, (size_t)(size - end))) == DF_PARSE_OK;
}

static int finish_line(int fd, const char *path, int64_t size, const struct df_logger *logger, struct df_error *err)
{
	if (pwrite(fd, "\n", 1, size) != 1)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write %s", path);
	df_info(logger, "%s did not end with a newline: added one", path);
	return 0;
}

static int cut_off(int fd, const char *path, int64_t end, int64_t size, const struct df_logger *logger,
		   struct df_error *err)
{
	if (ftruncate(fd, end) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot cut the unfinished end off %s", path);
	df_warn(logger, "%s ended in the middle of a record, as a killed run leaves it: cut off %" PRId64 " bytes",
		path, size - end);
	return 0;
}

int df_file_repair(int fd, const char *path, enum df_format format, enum df_compression compression,
		   const struct df_logger *logger, struct df_error *err)
{
	struct stat st;
	int64_t end = 0;
	int r;

	if (fstat(fd, &st) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path);
	if (st.st_size == 0)
		return 0;
	r = find_end(fd, path, format, compression, st.st_size, &end, err);
	if (r < 0 || end == st.st_size)
		return r;
	if (compression == DF_COMPRESSION_NONE && st.st_size - end > TORN_MAX)
		return df_error_set(err, DF_ERR_CONFIG,
				    "cannot append to %s: its last record, from byte %" PRId64
				    " on, has no end. Repair the file or move it away",
				    path, end);
	if (compression == DF_COMPRESSION_NONE && format == DF_FORMAT_JSONL && only_lacks_newline(fd, end, st.st_size))
		return finish_line(fd, path, st.st_size, logger, err);
	return cut_off(fd, path, end, st.st_size, logger, err);
}
