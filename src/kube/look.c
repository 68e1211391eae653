#include "base/time.h"
#include "kube/client.h"

static struct df_value *at(const struct df_value *object, va_list keys)
{
	const struct df_value *v = object;

	for (const char *key = va_arg(keys, const char *); key && v; key = va_arg(keys, const char *))
		v = df_object_get_c(v, key);
	return (struct df_value *)v;
}

struct df_value *df_kube_at(const struct df_value *object, ...)
{
	struct df_value *v;
	va_list keys;

	va_start(keys, object);
	v = at(object, keys);
	va_end(keys);
	return v;
}

struct df_str df_kube_text(const struct df_value *object, struct df_arena *arena, ...)
{
	struct df_value *v;
	va_list keys;

	va_start(keys, arena);
	v = at(object, keys);
	va_end(keys);
	return v && v->kind == DF_STRING ? df_value_text(v, arena) : df_str(NULL, 0);
}

int64_t df_kube_time(const struct df_value *object, struct df_arena *arena, ...)
{
	struct df_instant time;
	struct df_value *v;
	va_list keys;

	va_start(keys, arena);
	v = at(object, keys);
	va_end(keys);
	return v && v->kind == DF_STRING && df_rfc3339_parse(df_value_text(v, arena), &time) ? time.seconds : 0;
}

bool df_kube_same_but(const struct df_value *a, const struct df_value *b, const char *key)
{
	size_t left = 0;

	if (!a || !b || a->kind != DF_OBJECT || b->kind != DF_OBJECT)
		return false;
	df_for_each (member, a) {
		const struct df_value *other = df_object_get(b, df_value_key(member));

		if (df_str_equal_c(df_value_key(member), key))
			continue;
		if (!other || !df_value_equal(member, other))
			return false;
		left++;
	}
	return left + (df_object_get_c(b, key) != NULL) == b->len;
}
