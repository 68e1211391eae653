/* Logical types to the texts of the connectors reference, section 1. */
#include "avro/decimal.h"
#include "avro/decode_internal.h"
#include "base/time.h"

#define DAY INT64_C(86400)

static int out_copy(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, enum df_kind kind,
		    const char *text, size_t len)
{
	struct df_str copy = df_arena_dup(in->arena, df_str(text, len));

	if (!copy.ptr)
		return df_error_no_memory(in->err);
	out->kind = (uint8_t)kind;
	out->logical = op->logical;
	out->repr = kind == DF_NUMBER ? DF_REPR_TEXT : DF_REPR_PLAIN;
	out->text = copy.ptr;
	out->len = (uint32_t)len;
	return 0;
}

static int out_decimal(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str bytes)
{
	char text[DF_AVRO_DECIMAL_TEXT];
	size_t len = df_avro_decimal_to_text(bytes, op->scale, text);

	if (len == 0)
		return df_avro_invalid(in, "a decimal has too many digits");
	return out_copy(in, op, out, DF_NUMBER, text, len);
}

static int out_uuid(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char text[36], *to = text;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[(uint8_t)bytes.ptr[i] >> 4];
		*to++ = digits[(uint8_t)bytes.ptr[i] & 15];
	}
	return out_copy(in, op, out, DF_STRING, text, sizeof(text));
}

/* A uuid that came as text: in lower case. One that is none stays the text it is. */
static int out_uuid_text(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str text)
{
	char lower[36];

	if (text.len != sizeof(lower))
		return df_avro_out_text(in, out, text, DF_LOGICAL_TEXT);
	for (size_t i = 0; i < sizeof(lower); i++) {
		char c = text.ptr[i] >= 'A' && text.ptr[i] <= 'F' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return df_avro_out_text(in, out, text, DF_LOGICAL_TEXT);
		lower[i] = c;
	}
	return out_copy(in, op, out, DF_STRING, lower, sizeof(lower));
}

/* Years outside 0..9999 in the expanded form of ISO 8601, which has a sign. */
static size_t put_instant(struct df_instant t, char *out)
{
	bool far = t.seconds >= INT64_C(253402300800); /* 10000-01-01 */

	*out = '+';
	return df_rfc3339_format(t, 0, DF_FRACTION_SHORT, out + far) + far;
}

static int out_timestamp(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, int64_t number)
{
	char text[DF_RFC3339_MAX + 1];
	int64_t rest = number % op->unit;
	struct df_instant t = { .seconds = number / op->unit - (rest < 0) };

	t.nanoseconds = (int32_t)((rest < 0 ? rest + op->unit : rest) * (1000000000 / op->unit));
	return out_copy(in, op, out, DF_STRING, text, put_instant(t, text));
}

static int out_date(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, int64_t days)
{
	char text[DF_RFC3339_MAX + 1];
	size_t len = put_instant((struct df_instant){ .seconds = days * DAY }, text);

	return out_copy(in, op, out, DF_STRING, text, len - strlen("T00:00:00Z"));
}

static int out_time(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, int64_t number)
{
	char text[DF_RFC3339_MAX + 1];
	struct df_instant t;
	size_t len;

	if (number < 0 || number >= DAY * op->unit)
		return df_avro_invalid(in, "a time of day is outside the day");
	t.seconds = number / op->unit;
	t.nanoseconds = (int32_t)(number % op->unit * (1000000000 / op->unit));
	len = put_instant(t, text) - strlen("Z");
	return out_copy(in, op, out, DF_STRING, text + strlen("1970-01-01T"), len - strlen("1970-01-01T"));
}

static uint32_t word_at(struct df_str bytes, size_t at)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr + at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Months, days and milliseconds, each unsigned and little-endian: P1Y2M3DT4H5M6.789S. */
static int out_duration(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str bytes)
{
	uint32_t months = word_at(bytes, 0), days = word_at(bytes, 4), millis = word_at(bytes, 8);
	char text[96];
	size_t len = 1;
	const struct {
		uint32_t value;
		const char *unit;
	} parts[] = {
		{ months / 12, "Y" },	   { months % 12, "M" },	 { days, "D" },
		{ millis / 3600000, "H" }, { millis / 60000 % 60, "M" },
	};

	text[0] = 'P';
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++) {
		if (i == 3 && millis)
			text[len++] = 'T';
		if (parts[i].value)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%u%s", parts[i].value, parts[i].unit);
	}
	if (millis % 60000 || len == 1) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", len == 1 ? "T" : "",
					millis / 1000 % 60);
		if (millis % 1000) {
			len += (size_t)snprintf(text + len, sizeof(text) - len, ".%03u", millis % 1000);
			while (text[len - 1] == '0')
				len--;
		}
		text[len++] = 'S';
	}
	return out_copy(in, op, out, DF_STRING, text, len);
}

int df_avro_out_logical(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str bytes,
			int64_t number)
{
	switch (op->code) {
	case OP_DECIMAL:
	case OP_DECIMAL_FIXED:
		return out_decimal(in, op, out, bytes);
	case OP_UUID:
		return out_uuid_text(in, op, out, bytes);
	case OP_UUID_FIXED:
		return out_uuid(in, op, out, bytes);
	case OP_DATE:
		return out_date(in, op, out, number);
	case OP_TIME:
		return out_time(in, op, out, number);
	case OP_TIMESTAMP:
		return out_timestamp(in, op, out, number);
	default:
		return out_duration(in, op, out, bytes);
	}
}
