#include "value/value.h"

/* Two sorted lists into one. */
static struct df_value *merge(struct df_value *a, struct df_value *b)
{
	struct df_value *first = NULL, **end = &first;

	while (a && b) {
		struct df_value **less = df_str_compare(df_value_key(b), df_value_key(a)) < 0 ? &b : &a;

		*end = *less;
		end = &(*less)->next;
		*less = *end;
	}
	*end = a ? a : b;
	return first;
}

static struct df_value *sort(struct df_value *list, size_t n)
{
	struct df_value *half = list, *rest;

	if (n < 2)
		return list;
	for (size_t i = 1; i < n / 2; i++)
		half = half->next;
	rest = half->next;
	half->next = NULL;
	return merge(sort(list, n / 2), sort(rest, n - n / 2));
}

void df_value_sort_keys(struct df_value *v)
{
	if (!df_value_is_container(v))
		return;
	df_for_each (child, v)
		df_value_sort_keys(child);
	if (v->kind != DF_OBJECT || !v->first)
		return;
	v->first = sort(v->first, v->len);
	for (v->last = v->first; v->last->next; v->last = v->last->next)
		;
}
