/* Rules across the fields of one table. */
#include <stdio.h>

#include "base/time.h"
#include "spec/spec_internal.h"

struct rules {
	struct df_parser *p;
	const struct df_table *table;
	const struct df_slot *slots;
	const void *settings;
	const struct df_place *place;
};

/* ---- what is set ----------------------------------------------------------------------------------------- */

/* Written at all, or with another value than the default: a text that repeats its default changes nothing. */
static bool text_is_set(const struct df_field *field, const char *text)
{
	return text && !(field->def && strcmp(text, field->def) == 0);
}

static int64_t default_int(const struct df_field *field)
{
	int64_t number = 0;

	if (!field->def)
		return 0;
	if (field->type == DF_TYPE_DURATION)
		return df_duration_parse(df_str_c(field->def), &number) ? number : 0;
	return df_str_to_int64(df_str_c(field->def), &number) ? number : 0;
}

static bool member_is_set(const struct df_field *field, const void *member)
{
	const struct df_secret *secret = member;
	const struct df_duration *duration = member;

	switch (field->type) {
	case DF_TYPE_STRING:
		return text_is_set(field, *(char *const *)member);
	case DF_TYPE_SECRET:
		return secret->ref || text_is_set(field, secret->value);
	case DF_TYPE_BOOL:
		return *(const bool *)member;
	case DF_TYPE_INT:
		return *(const int32_t *)member != default_int(field);
	case DF_TYPE_INT64:
		return *(const int64_t *)member != default_int(field);
	case DF_TYPE_OPT_BOOL:
		return ((const struct df_opt_bool *)member)->set && ((const struct df_opt_bool *)member)->value;
	case DF_TYPE_DURATION:
		return duration->set && (!field->def || duration->ns != default_int(field));
	default:
		return df_member_is_present(field, member);
	}
}

bool df_settings_is_set(const struct df_table *table, const void *settings, const char *name)
{
	const struct df_field *field = df_table_find(table, df_str_c(name));

	return field && settings && df_field_stored(field) &&
	       member_is_set(field, (const char *)settings + field->offset);
}

static bool is_set(const struct rules *r, const char *name)
{
	return df_settings_is_set(r->table, r->settings, name);
}

/* Does the field hold exactly this value, by default or written? */
static bool is_equal(const struct rules *r, const char *name, const char *value)
{
	const struct df_field *field = df_table_find(r->table, df_str_c(name));
	char number[24];

	if (!field)
		return false;
	const void *member = (const char *)r->settings + field->offset;
	const char *text = NULL;
	switch (field->type) {
	case DF_TYPE_STRING:
		text = *(char *const *)member;
		break;
	case DF_TYPE_SECRET:
		text = ((const struct df_secret *)member)->value;
		break;
	case DF_TYPE_BOOL:
		text = *(const bool *)member ? "true" : "false";
		break;
	case DF_TYPE_OPT_BOOL:
		if (((const struct df_opt_bool *)member)->set)
			text = ((const struct df_opt_bool *)member)->value ? "true" : "false";
		break;
	case DF_TYPE_INT:
		snprintf(number, sizeof(number), "%d", *(const int32_t *)member);
		text = number;
		break;
	case DF_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld", (long long)*(const int64_t *)member);
		text = number;
		break;
	default:
		break;
	}
	return text && strcmp(text, value) == 0;
}

/* ---- reports --------------------------------------------------------------------------------------------- */

static const struct df_slot *slot_of(const struct rules *r, const char *name)
{
	const struct df_field *field = df_table_find(r->table, df_str_c(name));

	return field ? &r->slots[field - r->table->fields] : NULL;
}

/* The key as it was written: the row's, an alias, or the twin. */
static const char *key_of(const struct rules *r, const char *name)
{
	const struct df_slot *slot = slot_of(r, name);

	if (slot && slot->ref)
		return slot->ref_name;
	return slot && slot->value ? slot->name : name;
}

static const char *twin_hint(const struct rules *r, const char *name)
{
	const struct df_slot *slot = slot_of(r, name);
	const char *twin = slot ? df_field_twin(r->p, slot->field, slot->field->name) : NULL;

	return twin ? df_parser_text(r->p, "; set `%s` or `%s`", name, twin) : "";
}

static void report(const struct rules *r, const struct df_rule *rule, const char *sub, const char *text)
{
	if (rule->text)
		text = rule->text;
	if (rule->warning || rule->kind == DF_RULE_POINTLESS)
		df_diag_warning(r->p->diags, r->place, sub, "%s", text);
	else
		df_diag_error(r->p->diags, r->place, sub, "%s", text);
}

static size_t field_count(const struct df_rule *rule)
{
	size_t n = 0;

	while (n < DF_RULE_FIELDS && rule->fields[n])
		n++;
	return n;
}

/* "`a`, `b` or `c`" of the rule's fields, or of those that are set. */
static const char *list(const struct rules *r, const struct df_rule *rule, bool only_set, const char *last)
{
	const char *text = "";
	const char *before = NULL;

	for (size_t i = 0; i < field_count(rule); i++) {
		if (only_set && !is_set(r, rule->fields[i]))
			continue;
		if (before)
			text = df_parser_text(r->p, "%s%s`%s`", text, *text ? ", " : "", before);
		before = rule->fields[i];
	}
	return df_parser_text(r->p, "%s%s%s%s`%s`", text, *text ? " " : "", *text ? last : "", *text ? " " : "",
			      before ? before : "");
}

/* "`a` is set", "`a` is `avro`", "`a` is true" */
static const char *condition(const struct rules *r, const struct df_rule *rule)
{
	const struct df_field *field = df_table_find(r->table, df_str_c(rule->fields[0]));
	bool is_bool = field && (field->type == DF_TYPE_BOOL || field->type == DF_TYPE_OPT_BOOL);

	if (rule->value)
		return df_parser_text(r->p, "`%s` is `%s`", rule->fields[0], rule->value);
	return df_parser_text(r->p, is_bool ? "`%s` is true" : "`%s` is set", rule->fields[0]);
}

/* ---- the kinds ------------------------------------------------------------------------------------------- */

static size_t count_set(const struct rules *r, const struct df_rule *rule, size_t *ret_last)
{
	size_t n = 0;

	for (size_t i = 0; i < field_count(rule); i++) {
		if (is_set(r, rule->fields[i])) {
			*ret_last = i;
			n++;
		}
	}
	return n;
}

static void run_together(const struct rules *r, const struct df_rule *rule, size_t set)
{
	if (set == 0)
		return;
	const char *with = list(r, rule, true, "and");
	for (size_t i = 0; i < field_count(rule); i++) {
		const char *name = rule->fields[i];
		if (!is_set(r, name))
			report(r, rule, name,
			       df_parser_text(r->p, "required together with %s%s", with, twin_hint(r, name)));
	}
}

static bool applies(const struct rules *r, const struct df_rule *rule)
{
	return rule->value ? is_equal(r, rule->fields[0], rule->value) : is_set(r, rule->fields[0]);
}

static void run_requires(const struct rules *r, const struct df_rule *rule)
{
	for (size_t i = 1; i < field_count(rule) && applies(r, rule); i++) {
		const char *name = rule->fields[i];
		if (!is_set(r, name))
			report(r, rule, name,
			       df_parser_text(r->p, "required when %s%s", condition(r, rule), twin_hint(r, name)));
	}
}

static void run_forbids(const struct rules *r, const struct df_rule *rule)
{
	for (size_t i = 1; i < field_count(rule) && applies(r, rule); i++) {
		const char *name = rule->fields[i];
		if (is_set(r, name))
			report(r, rule, key_of(r, name),
			       df_parser_text(r->p, "not possible when %s; remove one of them", condition(r, rule)));
	}
}

static void run_pointless(const struct rules *r, const struct df_rule *rule)
{
	size_t n = field_count(rule);

	if (n < 2 || !is_set(r, rule->fields[0]))
		return;
	for (size_t i = 1; i < n; i++) {
		if (rule->value ? is_equal(r, rule->fields[i], rule->value) : is_set(r, rule->fields[i]))
			return;
	}
	const char *text =
		rule->value ? df_parser_text(r->p, "has no effect unless `%s` is `%s`", rule->fields[1], rule->value)
			    : df_parser_text(r->p, "has no effect without `%s`", rule->fields[1]);
	report(r, rule, key_of(r, rule->fields[0]), text);
}

static void run_rule(const struct rules *r, const struct df_rule *rule)
{
	size_t last = 0;
	size_t set = count_set(r, rule, &last);

	switch (rule->kind) {
	case DF_RULE_ONE_OF:
		if (set == 0)
			report(r, rule, NULL, df_parser_text(r->p, "set %s", list(r, rule, false, "or")));
		break;
	case DF_RULE_EXCLUSIVE:
		if (set > 1)
			report(r, rule, key_of(r, rule->fields[last]),
			       df_parser_text(r->p, "only one of %s may be set; remove the others",
					      list(r, rule, true, "and")));
		break;
	case DF_RULE_TOGETHER:
		run_together(r, rule, set);
		break;
	case DF_RULE_REQUIRES:
		run_requires(r, rule);
		break;
	case DF_RULE_FORBIDS:
		run_forbids(r, rule);
		break;
	case DF_RULE_POINTLESS:
		run_pointless(r, rule);
		break;
	case DF_RULE_CHECK:
		break;
	}
}

/* A field with a problem of its own would only cause more reports that mislead. */
static bool is_bad(const struct rules *r, const struct df_rule *rule)
{
	for (size_t i = 0; i < field_count(rule); i++) {
		const struct df_slot *slot = slot_of(r, rule->fields[i]);
		if (slot && slot->bad)
			return true;
	}
	return false;
}

/* clean: the object has no error so far; but for partial ones, the functions of rules see only whole settings. */
void df_rules_run(struct df_parser *p, const struct df_table *table, const struct df_slot *slots, const void *settings,
		  const struct df_place *place, bool clean)
{
	struct rules r = { p, table, slots, settings, place };

	for (size_t i = 0; i < table->rule_count; i++) {
		const struct df_rule *rule = &table->rules[i];
		if (rule->kind == DF_RULE_CHECK) {
			if (clean || rule->partial)
				rule->fn(settings, place, p->diags);
		} else if (!is_bad(&r, rule)) {
			run_rule(&r, rule);
		}
	}
}
