/* What a rule says of the connector. */
#include <stdarg.h>
#include <stdio.h>

#include "conformance/internal.h"

/* The first one counts; who comes second waits to be ended with the process. */
static _Noreturn df_printf(3, 0) void give(struct df_stage *st, enum df_verdict verdict, const char *fmt, va_list args)
{
	struct df_testimony *t = st->p->testimony;

	if (atomic_exchange(&t->taken, 1) == 0) {
		vsnprintf(t->seen, sizeof(t->seen), fmt, args);
		atomic_store(&t->given, 1 + (int)verdict);
	}
	_exit(DF_EXIT_VERDICT);
}

void df_rule_fail(struct df_stage *st, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	give(st, DF_VERDICT_FAIL, fmt, args);
}

void df_rule_not_applicable(struct df_stage *st, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	give(st, DF_VERDICT_NOT_APPLICABLE, fmt, args);
}

void df_rule_note(struct df_stage *st, const char *fmt, ...)
{
	char *note = st->p->testimony->note;
	size_t len = strlen(note);
	va_list args;

	if (len)
		len += (size_t)snprintf(note + len, DF_SEEN_MAX - len, ", ");
	va_start(args, fmt);
	if (len < DF_SEEN_MAX)
		vsnprintf(note + len, DF_SEEN_MAX - len, fmt, args);
	va_end(args);
}

void df_rule_ok(struct df_stage *st, int code, const struct df_error *err, const char *what)
{
	if (code != 0)
		df_rule_fail(st, "%s: %s: %s", what, df_code_name(code), err && err->text[0] ? err->text : "no text");
}

void df_stage_doing(struct df_stage *st, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(st->p->testimony->doing, DF_DOING_MAX, fmt, args);
	va_end(args);
}
