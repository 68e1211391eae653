#include "transformers/texts.h"

#include "value/value.h"

int df_pair_cut(struct df_str text, struct df_str *ret_left, struct df_str *ret_right, struct df_error *err)
{
	size_t cut = 0;
	size_t colons = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\\') {
			i++;
		} else if (text.ptr[i] == ':') {
			cut = i;
			colons++;
		}
	}
	if (colons == 0)
		return df_error_set(err, DF_ERR_CONFIG, "there is no colon between two sides; write left:right");
	if (colons > 1)
		return df_error_set(err, DF_ERR_CONFIG,
				    "more than one colon; write \\: for one that is part of a name");
	*ret_left = df_str(text.ptr, cut);
	*ret_right = df_str(text.ptr + cut + 1, text.len - cut - 1);
	if (df_str_trim(*ret_left).len == 0)
		return df_error_set(err, DF_ERR_CONFIG, "nothing stands before the colon");
	if (df_str_trim(*ret_right).len == 0)
		return df_error_set(err, DF_ERR_CONFIG, "nothing stands behind the colon");
	return 0;
}

/* ---- numeric strings ------------------------------------------------------------------------------------- */

struct numeric {
	bool negative;
	struct df_str whole, fraction; /* digits; not both empty */
	struct df_str exponent;	       /* from the `e` on; empty: none */
};

static struct df_str take_digits(struct df_str *rest)
{
	size_t n = 0;

	while (n < rest->len && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
		n++;
	struct df_str digits = df_str(rest->ptr, n);
	*rest = df_str(rest->ptr + n, rest->len - n);
	return digits;
}

static bool take_sign(struct df_str *rest, bool *ret_negative)
{
	if (rest->len == 0 || (rest->ptr[0] != '+' && rest->ptr[0] != '-'))
		return false;
	*ret_negative = rest->ptr[0] == '-';
	*rest = df_str(rest->ptr + 1, rest->len - 1);
	return true;
}

static bool read_numeric(struct df_str rest, struct numeric *ret)
{
	bool unused;

	*ret = (struct numeric){ 0 };
	if (rest.len == 0)
		return false;
	take_sign(&rest, &ret->negative);
	ret->whole = take_digits(&rest);
	if (rest.len > 0 && rest.ptr[0] == '.') {
		rest = df_str(rest.ptr + 1, rest.len - 1);
		ret->fraction = take_digits(&rest);
	}
	if (ret->whole.len == 0 && ret->fraction.len == 0)
		return false;
	if (rest.len == 0)
		return true;
	if (rest.ptr[0] != 'e' && rest.ptr[0] != 'E')
		return false;
	ret->exponent = rest;
	rest = df_str(rest.ptr + 1, rest.len - 1);
	take_sign(&rest, &unused);
	return take_digits(&rest).len > 0 && rest.len == 0;
}

static char *put(char *p, struct df_str s)
{
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return p + s.len;
}

int df_numeric_text(struct df_str text, struct df_arena *arena, struct df_str *ret)
{
	struct numeric n;

	*ret = df_str(NULL, 0);
	if (df_number_valid(text)) {
		*ret = text;
		return 0;
	}
	if (!read_numeric(text, &n))
		return 0;
	while (n.whole.len > 0 && n.whole.ptr[0] == '0')
		n.whole = df_str(n.whole.ptr + 1, n.whole.len - 1);
	if (n.whole.len == 0)
		n.whole = DF_STR("0");
	char *start = df_arena_alloc(arena, text.len + 1); /* `.5` becomes longer by the 0 */
	if (!start)
		return DF_ERR_NO_MEMORY;
	char *p = start;
	if (n.negative)
		*p++ = '-';
	p = put(p, n.whole);
	if (n.fraction.len > 0) {
		*p++ = '.';
		p = put(p, n.fraction);
	}
	p = put(p, n.exponent);
	*ret = df_str(start, (size_t)(p - start));
	return 0;
}
