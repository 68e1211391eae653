/* A program's standard error as log lines of ours: docs/connector-protocol.md, section 8. */
#ifndef DF_CONNECTORS_SUBPROCESS_LOG_LINES_H
#define DF_CONNECTORS_SUBPROCESS_LOG_LINES_H

#include "base/log.h"
#include "connectors/subprocess/secrets.h"

#define DF_LOG_LINE_MAX 4096
#define DF_LOG_LINES_A_SECOND 100

struct df_log_lines {
	const struct df_logger *logger;
	const struct df_hidden *hidden;
	char line[DF_LOG_LINE_MAX];
	size_t len;
	bool cut;	    /* the rest of the line is not kept */
	int64_t second_ns;  /* when this second of the limit began */
	unsigned in_second; /* lines logged in it */
	uint64_t dropped;   /* not logged and not yet told */
};

/* logger NULL: nothing is logged. */
void df_log_lines_init(struct df_log_lines *lines, const struct df_logger *logger, const struct df_hidden *hidden);

/* Logs what can be read. False: the other side has closed. */
bool df_log_lines_read(struct df_log_lines *lines, int fd);

/* When df_log_lines_read shall be called at the latest, to tell what was dropped; -1: never. */
int df_log_lines_timeout_ms(const struct df_log_lines *lines);

/* Logs the last line, when it has no end, and what was dropped. */
void df_log_lines_done(struct df_log_lines *lines);

/* For tests: what level and text a line has. The text points into line or into the arena. */
enum df_log_level df_log_line_take_apart(struct df_str line, struct df_arena *arena, struct df_str *ret_text);

#endif
