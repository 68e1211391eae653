/* inet and cidr: family, bits of the network, is it a cidr, bytes of the address, the address (network_send). */
#include "connectors/postgresql/decode_internal.h"

#define FAMILY_4 2 /* PGSQL_AF_INET and PGSQL_AF_INET6, the same on every system */
#define FAMILY_6 3
#define HEADER 4
#define GROUPS 8

static char *put_v4(char *out, const char *address)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*out++ = '.';
		out = df_pg_put_digits(out, (unsigned char)address[i], 1);
	}
	return out;
}

static char *put_hex(char *out, unsigned group)
{
	static const char digits[] = "0123456789abcdef";
	bool started = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = group >> shift & 15;

		started = started || digit || shift == 0;
		if (started)
			*out++ = digits[digit];
	}
	return out;
}

/* The longest run of zero groups, two at least, is `::`; addresses that carry one of version 4 show it (RFC 5952, and
 * inet_cidr_ntop_ipv6 of src/backend/utils/adt/inet_net_ntop.c for what it calls such an address). */
static char *put_v6(char *out, const char *address)
{
	int start = -1, length = 0;

	for (int i = 0; i < GROUPS; i++) {
		int run = 0;

		while (i + run < GROUPS && df_pg_get16(address + 2 * (size_t)(i + run)) == 0)
			run++;
		if (run > length && run >= 2) {
			start = i;
			length = run;
		}
		i += run;
	}
	bool has_v4 = start == 0 && (length == 6 || (length == 5 && df_pg_get16(address + 10) == 0xffff));

	for (int i = 0; i < GROUPS; i++) {
		if (start >= 0 && i >= start && i < start + length) {
			if (i == start)
				*out++ = ':';
			continue;
		}
		if (i)
			*out++ = ':';
		if (has_v4 && i == 6)
			return put_v4(out, address + 12);
		out = put_hex(out, df_pg_get16(address + 2 * (size_t)i));
	}
	if (start >= 0 && start + length == GROUPS)
		*out++ = ':';
	return out;
}

int df_pg_decode_inet(DF_PG_DECODE_ARGS)
{
	char text[64];
	char *at;

	if (data.len < HEADER)
		return DF_ERR_INVALID_DATA;
	unsigned family = (unsigned char)data.ptr[0], bits = (unsigned char)data.ptr[1];
	bool is_cidr = data.ptr[2], v6 = family == FAMILY_6;
	size_t size = v6 ? 16 : 4;

	if ((!v6 && family != FAMILY_4) || (unsigned char)data.ptr[3] != size || data.len != HEADER + size ||
	    bits > size * 8)
		return DF_ERR_INVALID_DATA;
	at = v6 ? put_v6(text, data.ptr + HEADER) : put_v4(text, data.ptr + HEADER);
	if (is_cidr || bits < size * 8) {
		*at++ = '/';
		at = df_pg_put_digits(at, bits, 1);
	}
	return df_pg_set_plain(v, DF_LOGICAL_TEXT, arena, text, (size_t)(at - text));
}
