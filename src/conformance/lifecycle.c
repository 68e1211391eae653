/* create, connect, close, free: what must hold of both sides. */
#include "conformance/stage.h"

static void close_twice(struct df_stage *st)
{
	struct df_error err = DF_ERROR_INIT;

	if (st->p) {
		struct df_sink *s = df_stage_connected_sink(st);

		df_rule_ok(st, s->ops->close(s, &err), &err, "the first close");
		df_rule_ok(st, s->ops->close(s, &err), &err, "the second close");
		df_sink_free(s);
	}
}

const struct df_conformance_rule df_rules_lifecycle[] = {
	{ "lifecycle.close-twice", "A second close does nothing and succeeds.", DF_NEEDS_SINK, 0, close_twice },
	{ 0 },
};
