/* What a rule of the conformance suite is, and what it has to work with. */
#ifndef DF_CONFORMANCE_RULE_H
#define DF_CONFORMANCE_RULE_H

#include "conformance/conformance.h"
#include "connectors/factory.h"

struct df_stage;

enum df_rule_needs {
	DF_NEEDS_SOURCE = 1 << 0,  /* the manifest has a source with a driver */
	DF_NEEDS_SINK = 1 << 1,	   /* it has a sink with a driver */
	DF_NEEDS_FEED = 1 << 2,	   /* rows can be put into the source's store */
	DF_NEEDS_DUMP = 1 << 3,	   /* rows of the sink's store can be looked at */
	DF_NEEDS_NAME = 1 << 4,	   /* `{name}` stands in the manifest */
	DF_NEEDS_ADDRESS = 1 << 5, /* `{address}` does, and `server` is given */
	DF_NEEDS_RESTART = 1 << 6,
	DF_NEEDS_CREDENTIALS = 1 << 7, /* wrong_credentials is given */
	DF_NEEDS_UPSERT = 1 << 8,      /* the sink's type says `repeatable` of these settings */
	DF_NEEDS_ONCE = 1 << 9,	       /* the source ends with env.once: not one that scales out without an end */
};

struct df_conformance_rule {
	const char *name; /* "<group>.<what>", never changed once published: passports are compared */
	const char *doc;  /* one sentence: what must hold */
	unsigned needs;	  /* enum df_rule_needs */
	int seconds;	  /* its own time; 0: options.rule_ns */
	void (*run)(struct df_stage *st);
};

/* One array a file, df_rules_<row of list.h>; it ends with an empty row. */
#define DF_RULES(name) extern const struct df_conformance_rule df_rules_##name[];
#include "conformance/list.h"
#undef DF_RULES

/*
 * Verdicts. A rule that returns without one has passed. df_rule_fail and df_rule_not_applicable do not return, and may
 * be called from any thread and any child of the rule: they end the rule's process with what was seen; what it holds
 * goes with it.
 */
_Noreturn void df_rule_fail(struct df_stage *st, const char *fmt, ...) df_printf(2, 3);
_Noreturn void df_rule_not_applicable(struct df_stage *st, const char *fmt, ...) df_printf(2, 3);
void df_rule_note(struct df_stage *st, const char *fmt, ...) df_printf(2, 3); /* figures for a pass */

/* Fails with "what: " and the error's class and text when code is not 0. */
void df_rule_ok(struct df_stage *st, int code, const struct df_error *err, const char *what);
/* Fails unless the condition holds. */
#define df_rule_check(st, condition, ...)                \
	do {                                             \
		if (!(condition))                        \
			df_rule_fail((st), __VA_ARGS__); \
	} while (0)

#endif
