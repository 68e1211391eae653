/*
 * The function is defined by Google's CityHash 1.0.2 (Geoff Pike and Jyrki Alakuijala, 2011, MIT license); this is an
 * implementation of our own, checked against that one (test/connectors/test_clickhouse.c has its results).
 */
#include "connectors/clickhouse/city.h"

#include <string.h>

#define K0 UINT64_C(0xc3a5c85c97cb3127)
#define K1 UINT64_C(0xb492b66fbe98f273)
#define K2 UINT64_C(0x9ae16a3b2f90404f)
#define K3 UINT64_C(0xc949d7c7509e6557)
#define MUL UINT64_C(0x9ddfea08eb382d69)

static uint64_t load64(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

static uint64_t load32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

/* 0 < shift < 64 */
static uint64_t rotate(uint64_t n, unsigned shift)
{
	return n >> shift | n << (64 - shift);
}

static uint64_t mix(uint64_t n)
{
	return n ^ n >> 47;
}

static uint64_t join(uint64_t low, uint64_t high)
{
	return mix((high ^ mix((low ^ high) * MUL)) * MUL) * MUL;
}

/* len <= 16 */
static uint64_t hash_short(const uint8_t *s, size_t len)
{
	if (len > 8) {
		uint64_t b = load64(s + len - 8);
		return join(load64(s), rotate(b + len, (unsigned)len)) ^ b;
	}
	if (len >= 4)
		return join(len + (load32(s) << 3), load32(s + len - 4));
	if (len > 0) {
		uint64_t y = (uint64_t)s[0] + ((uint64_t)s[len >> 1] << 8);
		uint64_t z = len + ((uint64_t)s[len - 1] << 2);
		return mix((y * K2) ^ (z * K3)) * K2;
	}
	return K2;
}

struct pair {
	uint64_t first, second;
};

/* A weak hash of 32 bytes and two seeds. */
static struct pair weak(const uint8_t *s, uint64_t a, uint64_t b)
{
	uint64_t z = load64(s + 24);

	a += load64(s);
	b = rotate(b + a + z, 21);
	uint64_t c = a;
	a += load64(s + 8);
	a += load64(s + 16);
	b += rotate(a, 44);
	return (struct pair){ a + z, b + c };
}

/* len < 128 */
static struct df_ch_hash hash_medium(const uint8_t *s, size_t len, uint64_t a, uint64_t b)
{
	uint64_t c, d;

	if (len <= 16) {
		a = mix(a * K1) * K1;
		c = b * K1 + hash_short(s, len);
		d = mix(a + (len >= 8 ? load64(s) : c));
	} else {
		c = join(load64(s + len - 8) + K1, a);
		d = join(b + len, c + load64(s + len - 16));
		a += d;
		for (size_t left = len - 16;; left -= 16, s += 16) {
			a = (a ^ mix(load64(s) * K1) * K1) * K1;
			b ^= a;
			c = (c ^ mix(load64(s + 8) * K1) * K1) * K1;
			d ^= c;
			if (left <= 16)
				break;
		}
	}
	a = join(a, c);
	b = join(d, b);
	return (struct df_ch_hash){ a ^ b, join(b, a) };
}

struct state {
	struct pair v, w;
	uint64_t x, y, z;
};

/* 64 bytes. */
static inline void step(struct state *t, const uint8_t *s)
{
	t->x = rotate(t->x + t->y + t->v.first + load64(s + 16), 37) * K1;
	t->y = rotate(t->y + t->v.second + load64(s + 48), 42) * K1;
	t->x ^= t->w.second;
	t->y ^= t->v.first;
	uint64_t z = rotate(t->z ^ t->w.first, 33);
	t->v = weak(s, t->v.second * K1, t->x + t->w.first);
	t->w = weak(s + 32, z + t->w.second, t->y);
	t->z = t->x;
	t->x = z;
}

static struct df_ch_hash hash_seeded(const uint8_t *s, size_t len, uint64_t low, uint64_t high)
{
	struct state t;

	if (len < 128)
		return hash_medium(s, len, low, high);
	t.x = low;
	t.y = high;
	t.z = len * K1;
	t.v.first = rotate(t.y ^ K1, 49) * K1 + load64(s);
	t.v.second = rotate(t.v.first, 42) * K1 + load64(s + 8);
	t.w.first = rotate(t.y + t.z, 35) * K1 + t.x;
	t.w.second = rotate(t.x + load64(s + 88), 53) * K1;
	for (; len >= 128; len -= 128, s += 128) {
		step(&t, s);
		step(&t, s + 64);
	}
	t.y += rotate(t.w.first, 37) * K0 + t.z;
	t.x += rotate(t.v.first + t.z, 49) * K0;
	/* The tail in pieces of 32 from the end; the first of them may reach back into what was hashed. */
	for (size_t done = 32; done < len + 32; done += 32) {
		const uint8_t *p = s + len - done;
		t.y = rotate(t.y - t.x, 42) * K0 + t.v.second;
		t.w.first += load64(p + 16);
		t.x = rotate(t.x, 49) * K0 + t.w.first;
		t.w.first += t.v.first;
		t.v = weak(p, t.v.first, t.v.second);
	}
	t.x = join(t.x, t.v.first);
	t.y = join(t.y, t.w.first);
	return (struct df_ch_hash){ join(t.x + t.v.second, t.w.second) + t.y,
				    join(t.x + t.w.second, t.y + t.v.second) };
}

struct df_ch_hash df_ch_city128(const void *data, size_t len)
{
	const uint8_t *s = data;

	if (len >= 16)
		return hash_seeded(s + 16, len - 16, load64(s) ^ K3, load64(s + 8));
	if (len >= 8)
		return hash_seeded(NULL, 0, load64(s) ^ len * K0, load64(s + len - 8) ^ K1);
	return hash_seeded(s, len, K0, K1);
}
