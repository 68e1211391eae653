/* Does a live object still hold what was applied? The API server fills in defaults and writes some values in another
 * way; others add labels, annotations, containers. None of that is a difference. */
#include "base/cleanup.h"
#include "operator/ensure.h"

/* ---- quantities ------------------------------------------------------------------------------------------ */

__extension__ typedef __int128 nano_t; /* a quantity, in parts of 10^-9: what Kubernetes keeps, too */

/* Powers of ten, or of two (shift), that a suffix stands for. */
static const struct {
	const char *suffix;
	int power, shift;
} suffixes[] = {
	{ "", 0, 0 },	 { "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },  { "k", 3, 0 },   { "M", 6, 0 },
	{ "G", 9, 0 },	 { "T", 12, 0 },  { "P", 15, 0 },  { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
	{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
};

/* What follows the digits: a suffix, or an exponent. */
static bool scale_of(struct df_str rest, int *ret_power, int *ret_shift)
{
	int64_t exponent;

	for (size_t i = 0; i < DF_ARRAY_SIZE(suffixes); i++)
		if (df_str_equal_c(rest, suffixes[i].suffix)) {
			*ret_power = suffixes[i].power;
			*ret_shift = suffixes[i].shift;
			return true;
		}
	if (rest.len < 2 || (rest.ptr[0] != 'e' && rest.ptr[0] != 'E'))
		return false;
	rest = df_str(rest.ptr + 1, rest.len - 1);
	if (rest.ptr[0] == '+')
		rest = df_str(rest.ptr + 1, rest.len - 1);
	if (!df_str_to_int64(rest, &exponent) || exponent < -27 || exponent > 27)
		return false;
	*ret_power = (int)exponent;
	*ret_shift = 0;
	return true;
}

/* "500m", "0.5", "1Gi", "1e3". False: it is none, or not exact in parts of 10^-9, or too large. */
static bool quantity(struct df_str text, nano_t *ret)
{
	size_t i = 0, digits = 0;
	nano_t value = 0;
	bool negative = text.len && text.ptr[0] == '-', point = false;
	int power, shift, fraction = 0;

	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		i++;
	for (; i < text.len; i++) {
		if (text.ptr[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			break;
		if (++digits > 30)
			return false;
		value = value * 10 + (text.ptr[i] - '0');
		fraction += point;
	}
	if (!digits || !scale_of(df_str(text.ptr + i, text.len - i), &power, &shift))
		return false;
	if (__builtin_mul_overflow(value, (nano_t)1 << shift, &value))
		return false;
	for (power += 9 - fraction; power > 0; power--)
		if (__builtin_mul_overflow(value, 10, &value))
			return false;
	for (; power < 0; power++) {
		if (value % 10)
			return false;
		value /= 10;
	}
	*ret = negative ? -value : value;
	return true;
}

static bool same_quantity(struct df_str a, struct df_str b)
{
	nano_t x, y;

	return quantity(a, &x) && quantity(b, &y) && x == y;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

/* Lists that several may fill (listType=map): more may stand beside ours. Every other list is whole: of the same
 * length, element by element. */
static const char *const merged[] = {
	"containers",	"initContainers", "volumes",	      "env",
	"volumeMounts", "ports",	  "imagePullSecrets", "ownerReferences",
};

static bool is_merged(struct df_str list)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(merged); i++)
		if (df_str_equal_c(list, merged[i]))
			return true;
	return false;
}

/* What the members of an object, or a value, are. */
static bool holds_quantities(struct df_str key)
{
	return df_str_equal_c(key, "limits") || df_str_equal_c(key, "requests");
}

static bool is_quantity(struct df_str key)
{
	return df_str_equal_c(key, "sizeLimit") || df_str_equal_c(key, "divisor");
}

static bool contains(const struct df_value *live, const struct df_value *wanted, bool quantities);

/* The key, a name for most, is among what an element must hold. */
static bool contains_merged(const struct df_value *live, const struct df_value *wanted)
{
	df_for_each (w, wanted) {
		const struct df_value *l = live->first;

		while (l && !contains(l, w, false))
			l = l->next;
		if (!l)
			return false;
	}
	return true;
}

static bool contains_list(const struct df_value *live, const struct df_value *wanted)
{
	const struct df_value *l = live->first;

	if (live->len != wanted->len)
		return false;
	for (const struct df_value *w = wanted->first; w; w = w->next, l = l->next)
		if (!contains(l, w, false))
			return false;
	return true;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* What the server leaves out when it is given. */
static bool is_empty(const struct df_value *v)
{
	return v->kind == DF_NULL || (df_value_is_container(v) && !v->first) || df_value_string_equal(v, DF_STR(""));
}

static bool contains_object(const struct df_value *live, const struct df_value *wanted, bool quantities)
{
	df_for_each (w, wanted) {
		const struct df_value *l = df_object_get(live, df_value_key(w));

		if (l ? !contains(l, w, quantities) : !is_empty(w))
			return false;
	}
	return true;
}

/* A number may be given as text, and the other way round: int-or-string, quantities. */
static bool same_scalar(const struct df_value *live, const struct df_value *wanted, bool quantity)
{
	struct df_arena arena;
	struct df_str a, b;
	bool same;

	if (df_value_equal(live, wanted))
		return true;
	if ((live->kind != DF_NUMBER && live->kind != DF_STRING) ||
	    (wanted->kind != DF_NUMBER && wanted->kind != DF_STRING))
		return false;
	df_arena_init(&arena, NULL);
	a = df_value_text(live, &arena);
	b = df_value_text(wanted, &arena);
	same = a.ptr && b.ptr && (df_str_equal(a, b) || (quantity && same_quantity(a, b)));
	df_arena_done(&arena);
	return same;
}

/* quantities: the members are such. The key says what the value itself is. */
static bool contains(const struct df_value *live, const struct df_value *wanted, bool quantities)
{
	struct df_str key = df_value_key(wanted);

	if (wanted->kind == DF_OBJECT)
		return live->kind == DF_OBJECT && contains_object(live, wanted, holds_quantities(key));
	if (wanted->kind == DF_ARRAY)
		return live->kind == DF_ARRAY &&
		       (is_merged(key) ? contains_merged(live, wanted) : contains_list(live, wanted));
	return same_scalar(live, wanted, quantities || is_quantity(key));
}

bool df_contains(const struct df_value *live, const struct df_value *wanted)
{
	return contains(live, wanted, false);
}
