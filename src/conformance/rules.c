/* All rules, in the order they run. */
#include "conformance/internal.h"

static const struct df_conformance_rule *const groups[] = {
#define DF_RULES(name) df_rules_##name,
#include "conformance/list.h"
#undef DF_RULES
};

const struct df_conformance_rule *const *df_conformance_rules(size_t *ret_count)
{
	static const struct df_conformance_rule *rules[DF_RULES_MAX];
	static size_t count;

	for (size_t i = count ? DF_ARRAY_SIZE(groups) : 0; i < DF_ARRAY_SIZE(groups); i++)
		for (const struct df_conformance_rule *r = groups[i]; r->name && count < DF_RULES_MAX; r++)
			rules[count++] = r;
	*ret_count = count;
	return rules;
}
