/*
 * The conformance suite: runs a connector, as a manifest describes it and on its real server, against the rules of the
 * contract (src/connectors/interface.h), and says of each rule: pass, fail with what was seen, or not applicable with
 * the reason. `dataflow connector test` is this; unit tests call it too.
 *
 * Each rule runs in a process of its own, forked before this process has threads, and is killed when its time is over:
 * a connector that hangs, crashes or leaks fails that rule and spoils no other.
 *
 * The manifest's texts may hold two placeholders. `{name}` becomes a name of one rule's own (a table, a topic, a file),
 * so that rules do not see each other's rows; `{address}` becomes the server's HOST:PORT, or that of the suite's proxy,
 * which delays, cuts, resets and corrupts. Rules that need a placeholder that is not there are not applicable.
 *
 * A rule puts rows into the store with the `feed` command or the manifest's sink, and looks at them with the `dump`
 * command or the manifest's source. Rows are objects with at least an integer `id`, unique and ascending; `name` is
 * text.
 */
#ifndef DF_CONFORMANCE_CONFORMANCE_H
#define DF_CONFORMANCE_CONFORMANCE_H

#include <stdio.h>

#include "connectors/interface.h"

/* All borrowed; NULL: not given. Commands run with sh -c and DATAFLOW_TEST_NAME, the rule's `{name}`, in the
 * environment. */
struct df_conformance_options {
	const char *manifest; /* path of a DataFlow; its source, its sink or both are tested */
	const char *server;   /* HOST:PORT for `{address}` */
	const char *setup;    /* before each rule: makes what `{name}` names, when the sink does not make it itself */
	const char *cleanup;  /* after each rule: drops it */
	const char *feed;     /* rows as JSON lines on its standard input go into the store, in order */
	const char *dump;     /* prints the rows of the store as JSON lines */
	const char *restart;  /* restarts the server and returns when it is up */
	const char *const *wrong_credentials; /* "source.config.path=value" or "sink.config.path=value": makes the
						 settings fail to authenticate; NULL-terminated */
	const char *const *rules;	      /* names or groups ("source", "types.nan"); NULL: all; NULL-terminated */
	const char *report;		      /* the JSON passport is written here */
	FILE *out;			      /* one line a rule; NULL: none */
	const struct df_secrets *secrets;     /* for SecretRefs of the manifest */
	int64_t rule_ns;		      /* a rule may take so long; 0: 60 s (rules may ask for more) */
	int64_t soon_ns;		      /* what must return soon may take so long; 0: 1 s */
	bool quick;			      /* smaller counts: for `make test` */
};

enum df_verdict { DF_VERDICT_PASS, DF_VERDICT_FAIL, DF_VERDICT_NOT_APPLICABLE };

struct df_conformance_result {
	const char *rule; /* static, "sink.poison-middle" */
	enum df_verdict verdict;
	char *seen; /* FAIL: what was seen and what should have been; NOT_APPLICABLE: why; PASS: figures, or NULL */
	int64_t ns;
};

struct df_conformance_report {
	struct df_conformance_result *results;
	size_t count;
	size_t passed, failed, not_applicable;
};

/* Every rule, in the order they run. Static. */
struct df_conformance_rule;
const struct df_conformance_rule *const *df_conformance_rules(size_t *ret_count);

/* Runs the rules. 0 when the suite ran, whatever the verdicts; DF_ERR_CONFIG: the manifest, an option or a rule's name
 * is wrong (diags has the places), DF_ERR_NO_MEMORY. The process must have no threads. done frees the contents. */
int df_conformance_run(const struct df_conformance_options *options, struct df_conformance_report *ret,
		       struct df_diags *diags, struct df_error *err) df_must_check;
void df_conformance_report_done(struct df_conformance_report *report);

#endif
