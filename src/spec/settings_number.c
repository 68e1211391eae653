/* Rows that hold a number, a bool or a duration. */
#include <stdio.h>

#include "base/time.h"
#include "spec/spec_internal.h"

struct bounds {
	int64_t min, max;
};

/* The row's bounds within those of the member's type. */
static struct bounds bounds_of(const struct df_field *field, int64_t type_min, int64_t type_max)
{
	struct bounds b = { type_min, type_max };

	if (field->min == 0 && field->max == 0)
		return b;
	if (field->min > b.min)
		b.min = field->min;
	if (field->max >= field->min && field->max < b.max)
		b.max = field->max;
	return b;
}

static void write_bound(const struct df_field *field, int64_t bound, char out[32])
{
	if (field->type == DF_TYPE_DURATION)
		out[df_duration_format(bound, out)] = '\0';
	else
		snprintf(out, 32, "%lld", (long long)bound);
}

/* below: the value is less than the minimum, else more than the maximum. */
static void report_range(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, struct bounds b,
			 bool below)
{
	char min[32], max[32];
	const char *found = df_parser_describe(p, slot->field, slot->value);
	bool both = slot->field->min < slot->field->max && slot->field->min > INT64_MIN &&
		    slot->field->max < INT32_MAX && slot->field->type != DF_TYPE_DURATION;

	write_bound(slot->field, b.min, min);
	write_bound(slot->field, b.max, max);
	if (both)
		df_diag_error(p->diags, place, slot->name, "must be between %s and %s, found %s", min, max, found);
	else if (below && slot->field->type == DF_TYPE_DURATION && b.min == 1)
		df_diag_error(p->diags, place, slot->name, "must be longer than 0s, found %s", found);
	else if (below)
		df_diag_error(p->diags, place, slot->name, "must be at least %s, found %s", min, found);
	else
		df_diag_error(p->diags, place, slot->name, "must be at most %s, found %s", max, found);
}

static bool is_integer_text(struct df_str text)
{
	size_t at = text.len && text.ptr[0] == '-';

	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		;
	return text.len && at == text.len;
}

static bool parse_int(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, int64_t type_min,
		      int64_t type_max, int64_t *ret)
{
	const struct df_value *value = slot->value;
	struct bounds b = bounds_of(slot->field, type_min, type_max);

	if (value->kind != DF_NUMBER) {
		int64_t number;
		bool quoted = value->kind == DF_STRING && df_str_to_int64(df_value_text(value, &p->arena), &number);
		df_report_kind(p, place, slot->name, slot->field, "a whole number", value,
			       quoted ? "; remove the quotes" : "");
		return false;
	}
	if (!df_value_to_int64(value, ret)) {
		struct df_str text = df_value_text(value, &p->arena);
		if (is_integer_text(text))
			report_range(p, place, slot, b, text.ptr[0] == '-');
		else
			df_report_kind(p, place, slot->name, slot->field, "a whole number", value, "");
		return false;
	}
	if (*ret >= b.min && *ret <= b.max)
		return true;
	report_range(p, place, slot, b, *ret < b.min);
	return false;
}

static bool parse_bool(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, bool *ret)
{
	const struct df_value *value = slot->value;

	if (value->kind == DF_TRUE || value->kind == DF_FALSE) {
		*ret = value->kind == DF_TRUE;
		return true;
	}
	bool quoted = df_value_string_equal(value, DF_STR("true")) || df_value_string_equal(value, DF_STR("false"));
	df_report_kind(p, place, slot->name, slot->field, "true or false", value, quoted ? "; remove the quotes" : "");
	return false;
}

static bool parse_duration(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			   struct df_duration *ret)
{
	const struct df_value *value = slot->value;
	struct bounds b = bounds_of(slot->field, INT64_MIN, INT64_MAX);
	int64_t ns;

	if (value->kind != DF_STRING) {
		const char *fix = value->kind == DF_NUMBER
					  ? df_parser_text(p, "; write it with its unit: \"" DF_STR_FMT "s\"",
							   DF_STR_ARG(df_value_text(value, &p->arena)))
					  : "";
		df_report_kind(p, place, slot->name, slot->field, "a duration such as \"1m30s\"", value, fix);
		return false;
	}
	if (!df_duration_parse(df_value_text(value, &p->arena), &ns)) {
		df_report_kind(p, place, slot->name, slot->field, "a duration such as \"1m30s\" or \"500ms\"", value,
			       "");
		return false;
	}
	if (ns < b.min || ns > b.max) {
		report_range(p, place, slot, b, ns < b.min);
		return false;
	}
	*ret = (struct df_duration){ .ns = ns, .set = true };
	return true;
}

static void parse_integer(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member)
{
	bool small = slot->field->type == DF_TYPE_INT || slot->field->type == DF_TYPE_OPT_INT;
	int64_t number;

	if (!parse_int(p, place, slot, small ? INT32_MIN : INT64_MIN, small ? INT32_MAX : INT64_MAX, &number))
		return;
	switch (slot->field->type) {
	case DF_TYPE_INT:
		*(int32_t *)member = (int32_t)number;
		break;
	case DF_TYPE_OPT_INT:
		*(struct df_opt_int *)member = (struct df_opt_int){ (int32_t)number, true };
		break;
	case DF_TYPE_OPT_INT64:
		*(struct df_opt_int64 *)member = (struct df_opt_int64){ number, true };
		break;
	default:
		*(int64_t *)member = number;
	}
}

void df_parse_number(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member)
{
	struct df_opt_bool *opt = member;
	bool value;

	switch (slot->field->type) {
	case DF_TYPE_BOOL:
		parse_bool(p, place, slot, member);
		break;
	case DF_TYPE_OPT_BOOL:
		if (parse_bool(p, place, slot, &value))
			*opt = (struct df_opt_bool){ value, true };
		break;
	case DF_TYPE_DURATION:
		parse_duration(p, place, slot, member);
		break;
	default:
		parse_integer(p, place, slot, member);
	}
}
