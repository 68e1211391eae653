/* All rules, in the order they run. */
#include "conformance/rule.h"

/* One row a file of rules. */
static const struct df_conformance_rule *const groups[] = {
	df_rules_lifecycle,	    df_rules_settings,	    df_rules_source,	  df_rules_source_resume,
	df_rules_source_checkpoint, df_rules_source_faults, df_rules_sink,	  df_rules_sink_trouble,
	df_rules_sink_faults,	    df_rules_types,	    df_rules_identifiers,
};

#define RULES_MAX 256

const struct df_conformance_rule *const *df_conformance_rules(size_t *ret_count)
{
	static const struct df_conformance_rule *rules[RULES_MAX];
	static size_t count;

	for (size_t i = count ? DF_ARRAY_SIZE(groups) : 0; i < DF_ARRAY_SIZE(groups); i++)
		for (const struct df_conformance_rule *r = groups[i]; r->name && count < RULES_MAX; r++)
			rules[count++] = r;
	*ret_count = count;
	return rules;
}
