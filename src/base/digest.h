/* Digests as fingerprints: what an object was made from, a name that must be short. Not for passwords. */
#ifndef DF_BASE_DIGEST_H
#define DF_BASE_DIGEST_H

#include "base/str.h"

#define DF_SHA1_HEX 41 /* with the NUL */
#define DF_SHA256_HEX 65

/* Lower-case hex digits (FIPS 180-4). */
void df_sha1_hex(struct df_str data, char ret[static DF_SHA1_HEX]);
void df_sha256_hex(struct df_str data, char ret[static DF_SHA256_HEX]);

/* FNV-1a, 64 bits (Fowler, Noll, Vo): goes on from `hash`, which begins with DF_FNV1A. */
#define DF_FNV1A UINT64_C(0xcbf29ce484222325)
uint64_t df_fnv1a(uint64_t hash, struct df_str text);

#endif
