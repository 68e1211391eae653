/* Shared by the files of this folder, not by its rules: the manifest under test, what a rule's process tells the suite.
 */
#ifndef DF_CONFORMANCE_INTERNAL_H
#define DF_CONFORMANCE_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "conformance/stage.h"
#include "spec/secrets.h"

#define DF_RULES_MAX 512

/* ---- the manifest under test (manifest.c) ---------------------------------------------------------------- */

#define DF_SIDES 2 /* DF_SOURCE and DF_SINK */

/* As written, with the placeholders in it. Read-only once loaded. */
struct df_subject {
	const struct df_conformance_options *options;
	struct df_arena arena;
	struct df_value *config[DF_SIDES];    /* the settings; NULL: that side is not tested */
	const struct df_type *type[DF_SIDES]; /* NULL likewise */
	bool has_name, has_address;	      /* placeholders that stand in it */
	struct df_secrets secrets;	      /* of the file, then options.secrets */
	struct df_secret_store *store;
};

/* DF_ERR_CONFIG: diags has the places. done accepts a zeroed subject. */
int df_subject_load(struct df_subject *s, const struct df_conformance_options *options, struct df_diags *diags,
		    struct df_error *err) df_must_check;
void df_subject_done(struct df_subject *s);

/* The settings of one side with the placeholders filled in; {} when it has none. NULL: out of memory. */
struct df_value *df_subject_config(const struct df_subject *s, enum df_component_kind kind, const char *name,
				   const char *address, struct df_arena *arena);
/* Parses settings as those of one side: diags has paths as in a manifest. ret needs df_component_done. */
void df_subject_parse(const struct df_subject *s, enum df_component_kind kind, const struct df_value *config,
		      struct df_arena *arena, struct df_component *ret, struct df_diags *diags);
/* Why a rule that needs this cannot run; NULL: it can. */
const char *df_subject_lacks(const struct df_subject *s, unsigned needs);

/* ---- what a rule's process tells ------------------------------------------------------------------------- */

#define DF_SEEN_MAX 4096
#define DF_DOING_MAX 256
#define DF_NAMES_MAX ((size_t)256 * 1024)

/* In memory that the rule's process, its children and the suite share, so that it is still there after a crash. */
struct df_testimony {
	atomic_int given; /* 0, or 1 + enum df_verdict; set after `seen` */
	atomic_int taken; /* somebody is giving the verdict */
	char seen[DF_SEEN_MAX];
	char note[DF_SEEN_MAX];
	char doing[DF_DOING_MAX];
	atomic_size_t names_len;
	char names[DF_NAMES_MAX]; /* every `{name}` so far, NUL-terminated each, for the cleanup command */
};

/* How a process ends whose verdict is given. */
#define DF_EXIT_VERDICT 97

struct df_written; /* stage.c: settings that were parsed already */

struct df_stage_private {
	const struct df_subject *subject;
	struct df_testimony *testimony;
	struct df_arena arena;
	int log; /* descriptor: what this process and its children wrote to stderr */
	char flow[32];
	struct df_logger loggers[DF_SIDES];
	struct df_clock clock;
	uint64_t run;
	uint64_t writes;
	struct df_written *written;
};

/* The stage of a rule, in its process. Never freed. */
struct df_stage *df_stage_open(const struct df_subject *subject, const struct df_conformance_rule *rule,
			       struct df_testimony *testimony, int log);

/* ---- writes (write.c) ------------------------------------------------------------------------------------ */

/* {"id": ..., "name": ...} of rows first .. first + n - 1; in the stage's arena. */
const char *const *df_stage_row_texts(struct df_stage *st, int64_t first, size_t n);
/* Written and confirmed, and synced; fails the rule otherwise. */
void df_stage_write_payloads(struct df_stage *st, struct df_sink *s, const char *const *payloads, size_t n);

/* ---- processes (process.c) ------------------------------------------------------------------------------- */

/* Waits until a child has ended, at most until a monotonic time. False: it still runs. */
bool df_child_wait(pid_t pid, int64_t until_ns, int *ret_status);

/* "was killed by SIGSEGV", "ended with exit code 3". */
void df_child_describe(int status, char *out, size_t size);

struct df_shell {
	const char *command, *name, *server; /* name and server: in the environment, or NULL */
	int in, out;			     /* descriptors; -1: /dev/null */
	bool detached;			     /* what it starts shall outlive the rule */
};
/* Runs sh -c, at most until a monotonic time. DF_ERR_UNKNOWN: it failed; the text has the end of what it said on
 * stderr. */
int df_shell_run(const struct df_shell *shell, int64_t until_ns, struct df_error *err) df_must_check;

/* A file in memory with this content, to be read from its beginning; -1 when there is none to be had. */
int df_memory_file(struct df_str content);
/* All of it; the caller frees the buffer. */
void df_memory_file_read(int fd, struct df_buf *ret);

/* ---- the report (report.c) ------------------------------------------------------------------------------- */

int df_report_write(const struct df_subject *s, const struct df_conformance_report *report,
		    struct df_error *err) df_must_check;

#endif
