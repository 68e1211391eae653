/* The vectors of FIPS 180-4, and every length around the edges of a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"

static const struct {
	const char *text, *sha1, *sha256;
} vectors[] = {
	{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void test_vectors(void **state)
{
	char sha1[DF_SHA1_HEX], sha256[DF_SHA256_HEX];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		df_sha1_hex(df_str_c(vectors[i].text), sha1);
		df_sha256_hex(df_str_c(vectors[i].text), sha256);
		assert_string_equal(sha1, vectors[i].sha1);
		assert_string_equal(sha256, vectors[i].sha256);
	}
}

/* The digest of the digests of 0 to 299 times "a", one a line: the padding at each length. */
static void test_lengths(void **state)
{
	char text[300], sha1[DF_SHA1_HEX], sha256[DF_SHA256_HEX];
	struct df_buf one = { 0 }, two = { 0 };

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++) {
		df_sha1_hex(df_str(text, len), sha1);
		df_sha256_hex(df_str(text, len), sha256);
		df_buf_printf(&one, "%s\n", sha1);
		df_buf_printf(&two, "%s\n", sha256);
	}
	df_sha1_hex(df_buf_str(&one), sha1);
	df_sha256_hex(df_buf_str(&two), sha256);
	assert_string_equal(sha1, "6ec773034c2beab0e75f7d6e1ef6e46d1f390b25");
	assert_string_equal(sha256, "d5d391fb30a36ffee007097620d273abb023b3d32ff3569e03cc2cbb6bcf32b6");
	df_buf_done(&one);
	df_buf_done(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
