/* ClickHouse: connection strings, checksums, compressed frames, and packets as two real servers sent them. */
#include "harness.h"

#include "connectors/clickhouse/city.h"
#include "connectors/clickhouse/compress.h"
#include "connectors/clickhouse/errors.h"
#include "connectors/clickhouse/packets.h"

/* ---- connection strings ---------------------------------------------------------------------------------- */

static struct df_ch_dsn parsed(const char *text)
{
	struct df_ch_dsn dsn;
	struct df_error err = DF_ERROR_INIT;

	if (df_ch_dsn_parse(df_str_c(text), &dsn, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return dsn;
}

static void test_dsn(void **state)
{
	(void)state;
	struct df_ch_dsn d = parsed("clickhouse://al%40ice:p%3Aw@d@h1:9001,[::1],h3/shop?dial_timeout=5s&compress=zstd&"
				    "secure=true&max_execution_time=60&connection_open_strategy=random&debug=true");
	assert_false(d.http);
	assert_true(d.tls);
	assert_false(d.skip_verify);
	assert_string_equal(d.user, "al@ice");
	assert_string_equal(d.password, "p:w@d");
	assert_string_equal(d.database, "shop");
	assert_int_equal(d.host_count, 3);
	assert_string_equal(d.hosts[1].name, "::1");
	assert_int_equal(d.hosts[0].port, 9001);
	assert_int_equal(d.hosts[1].port, 9440);
	assert_int_equal(d.dial_timeout_ns, 5000000000);
	assert_int_equal(d.codec, DF_CH_CODEC_ZSTD);
	assert_int_equal(d.strategy, DF_CH_RANDOM);
	assert_int_equal(d.setting_count, 1);
	assert_string_equal(d.settings[0].name, "max_execution_time");
	df_ch_dsn_done(&d);

	d = parsed("https://h?username=u&password=p&database=b&http_path=proxy&secure=false");
	assert_true(d.http);
	assert_false(d.tls);
	assert_int_equal(d.hosts[0].port, 8123);
	assert_string_equal(d.http_path, "/proxy");
	assert_string_equal(d.user, "u");
	df_ch_dsn_done(&d);

	d = parsed("tcp://h");
	assert_int_equal(d.hosts[0].port, 9000);
	assert_string_equal(d.user, "default");
	assert_string_equal(d.database, "default");
	df_ch_dsn_done(&d);
	d = parsed("http://h?compress=gzip");
	assert_int_equal(d.codec, DF_CH_CODEC_CONTENT);
	df_ch_dsn_done(&d);
}

static void test_dsn_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "h:9000", "clickhouse://" },
		{ "clickhouse://", "clickhouse://" },
		{ "clickhouse://u:secret@", "a host is empty" },
		{ "clickhouse://u:secret@h:99999", "port" },
		{ "clickhouse://u:secret@[::1", "no ]" },
		{ "clickhouse://h?dial_timeout=soon", "dial_timeout" },
		{ "clickhouse://h?secure=perhaps", "secure" },
		{ "clickhouse://h?compress=gzip", "compress" },
		{ "clickhouse://h?compress=snappy", "compress" },
		{ "clickhouse://h?a=%00", "NUL" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct df_ch_dsn dsn;
		struct df_error err = DF_ERROR_INIT;
		assert_int_equal(df_ch_dsn_parse(df_str_c(cases[i].text), &dsn, &err), DF_ERR_CONFIG);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_null(strstr(err.text, "secret"));
	}
}

/* ---- checksums and frames -------------------------------------------------------------------------------- */

/* What Google's implementation of version 1.0.2 gives for the bytes (i * 7 + 3) & 255. */
static const struct {
	size_t len;
	uint64_t low, high;
} city[] = {
	{ 0, UINT64_C(0x3df09dfc64c09a2b), UINT64_C(0x3cb540c392e51e29) },
	{ 1, UINT64_C(0x39379490ccb55d55), UINT64_C(0x2af2b13064cd571f) },
	{ 3, UINT64_C(0x3108fa6b1da16986), UINT64_C(0x32301bf0c250612d) },
	{ 7, UINT64_C(0x9ef90f69597e95c7), UINT64_C(0x4987956c9782ee8f) },
	{ 8, UINT64_C(0xb6ad7c9a5953432f), UINT64_C(0x9f0e02109921888c) },
	{ 15, UINT64_C(0x5a8299d8ab8f2f47), UINT64_C(0x8ea0a478a90d3277) },
	{ 16, UINT64_C(0x21e79cab7f9c2b79), UINT64_C(0xa35615c235313f7a) },
	{ 17, UINT64_C(0x0cd5bb13faea6e4c), UINT64_C(0x32bf719178f6bbfe) },
	{ 31, UINT64_C(0x6e4f70325ec27ffc), UINT64_C(0x9a23a7e9f0b515e0) },
	{ 32, UINT64_C(0x67cfab8404eec7e9), UINT64_C(0x80cd3c27f5bd61ee) },
	{ 33, UINT64_C(0x094bbf1d5b6ddb61), UINT64_C(0x10572bd58efa7aaf) },
	{ 64, UINT64_C(0xd412d58ec1432aef), UINT64_C(0x5754630cbbd83214) },
	{ 127, UINT64_C(0x1f1c2a3c62829942), UINT64_C(0x5d5820604b01deea) },
	{ 128, UINT64_C(0x11d00b10d6694d31), UINT64_C(0x108fb9e5b83fdff4) },
	{ 143, UINT64_C(0x201689145f2ebee2), UINT64_C(0xdf56bd91c3fb4dd0) },
	{ 144, UINT64_C(0xd639167b9b85767d), UINT64_C(0x07a10bf4573107c6) },
	{ 145, UINT64_C(0xde654d669366fc2a), UINT64_C(0xd2f68f547b37d6f5) },
	{ 255, UINT64_C(0x217ad8cf08bbe4ca), UINT64_C(0x1a5bb4038d2f32ff) },
	{ 256, UINT64_C(0x86696dd596ccf44b), UINT64_C(0x9fd9b2b0b79abdae) },
	{ 1000, UINT64_C(0x984b538c7b372373), UINT64_C(0xf6e6cbc56b688720) },
	{ 5000, UINT64_C(0xb32be7a48e2024d9), UINT64_C(0x6ebc90304dfa964a) },
};

static void test_city(void **state)
{
	uint8_t bytes[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
	for (size_t i = 0; i < DF_ARRAY_SIZE(city); i++) {
		struct df_ch_hash h = df_ch_city128(bytes, city[i].len);
		assert_int_equal(h.low, city[i].low);
		assert_int_equal(h.high, city[i].high);
	}
}

static void test_frames(void **state)
{
	static const enum df_ch_codec codecs[] = { DF_CH_CODEC_LZ4, DF_CH_CODEC_ZSTD };
	size_t len = 3 * DF_CH_FRAME_CHUNK + 17;
	char *bytes = malloc(len);
	char *back = malloc(len);

	(void)state;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i % 251 ^ i >> 12);
	for (size_t c = 0; c < DF_ARRAY_SIZE(codecs); c++) {
		struct df_ch_packer packer = { .codec = codecs[c] };
		struct df_buf out = { 0 };
		struct df_ch_input from;
		struct df_ch_frames frames = { 0 };
		struct df_error err = DF_ERROR_INIT;

		df_ch_pack(&packer, df_str(bytes, 100), false, &out);
		assert_int_equal(out.len, 0);
		df_ch_pack(&packer, df_str(bytes + 100, len - 100), true, &out);
		df_ch_input_init(&from, df_buf_str(&out));
		df_ch_frames_init(&frames, &from);
		assert_int_equal(df_ch_read(&frames.in, back, len, &err), 0);
		assert_memory_equal(back, bytes, len);

		/* One bit. */
		out.data[40] ^= 1;
		df_ch_input_init(&from, df_buf_str(&out));
		df_ch_frames_init(&frames, &from);
		assert_int_equal(df_ch_read(&frames.in, back, len, &err), DF_ERR_CONNECTION);
		assert_non_null(strstr(err.text, "checksum"));
		df_ch_frames_done(&frames);
		df_ch_packer_done(&packer);
		df_buf_done(&out);
	}
	free(bytes);
	free(back);
}

/* ---- golden packets -------------------------------------------------------------------------------------- */

static struct df_str unhex(const char *hex)
{
	static char bytes[4096];
	size_t n = 0;

	for (; hex[2 * n]; n++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * n, "%2x", &byte), 1);
		bytes[n] = (char)byte;
	}
	return df_str(bytes, n);
}

/* The hellos of 18.16.1 and of 26.7.2. */
#define OLD_HELLO "000a436c69636b486f75736512108ca903074574632f55544302766d01"

static void test_server_hello(void **state)
{
	struct df_ch_server_hello hello = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_ch_input in;

	(void)state;
	df_ch_input_init(&in, unhex(OLD_HELLO));
	assert_int_equal(df_ch_read_hello(&in, "h:1", &hello, &err), 0);
	assert_int_equal(hello.revision, 54412);
	assert_int_equal(hello.version, 18016);
	assert_ptr_equal(in.pos, in.end);

	/* It is of revision 54488, and talks ours. */
	df_ch_input_init(&in, unhex("000a436c69636b486f7573651a07d8a903074574632f55544302766d0200"
				    "0102030405060708"));
	assert_int_equal(df_ch_read_hello(&in, "h:1", &hello, &err), 0);
	assert_int_equal(hello.revision, DF_CH_REVISION);
	assert_int_equal(hello.version, 26007);
	assert_ptr_equal(in.pos, in.end);

	df_ch_input_init(&in, DF_STR("HTTP/1.0 400 Bad Request"));
	assert_int_equal(df_ch_read_hello(&in, "h:1", &hello, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "http://"));
	df_ch_input_init(&in, df_str(unhex(OLD_HELLO).ptr, 12));
	assert_int_equal(df_ch_read_hello(&in, "h:1", &hello, &err), DF_ERR_CONNECTION);
}

static void assert_bytes(const struct df_buf *buf, const char *hex)
{
	struct df_str expected = unhex(hex);

	assert_false(buf->failed);
	assert_int_equal(buf->len, expected.len);
	assert_memory_equal(buf->data, expected.ptr, expected.len);
}

static void test_client_packets(void **state)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_ch_dsn dsn = parsed("clickhouse://dataflow:dataflow-secret@h/default");
	const struct df_ch_setting setting = { "a", "1" };
	struct df_ch_query_packet query = {
		.id = "q",
		.product = "p",
		.sql = DF_STR("SELECT 1"),
		.revision = 54412,
		.settings = { &setting },
		.setting_count = { 1 },
	};

	(void)state;
	/* As 18.16 and 26.7 accepted it. */
	df_ch_add_hello(&buf, &dsn, "dataflow");
	assert_bytes(
		&buf,
		"000864617461666c6f771801c0a9030764656661756c740864617461666c6f770f64617461666c6f772d736563726574");
	df_ch_dsn_done(&dsn);

	/* What only newer servers understand is not sent to older ones. */
	buf.len = 0;
	df_ch_add_query(&buf, &query);
	assert_null(memmem(buf.data, buf.len,
			   "\x01"
			   "a",
			   2));
	assert_true(df_str_ends(df_buf_str(&buf), df_str("\0\2\0\10SELECT 1", 12)));
	size_t old = buf.len;
	buf.len = 0;
	query.revision = DF_CH_REVISION;
	df_ch_add_query(&buf, &query);
	assert_non_null(memmem(buf.data, buf.len,
			       "\x01"
			       "a\0\0011",
			       5));
	assert_true(df_str_ends(df_buf_str(&buf), df_str("\0\0\2\0\10SELECT 1\0", 14)));
	assert_true(buf.len > old);
}

/* The answer of 18.16 to SELECT number AS n, toString(number) AS s FROM numbers(3): header, data, profile, progress,
 * end. */
#define OLD_ANSWER                                                                                                     \
	"0100010002ffffffff000200016e0655496e743634017306537472696e67"                                                 \
	"0100010002ffffffff000203016e0655496e743634000000000000000001000000000000000200000000000000017306537472696e67" \
	"013001310132"                                                                                                 \
	"06030136010301"                                                                                               \
	"030318000100010002ffffffff00000005"

static void test_answer(void **state)
{
	struct df_ch_block block = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_ch_input in;
	uint64_t type;
	size_t rows = 0;

	(void)state;
	df_ch_input_init(&in, unhex(OLD_ANSWER));
	do {
		assert_int_equal(df_ch_read_varint(&in, &type, &err), 0);
		switch (type) {
		case DF_CH_SERVER_DATA:
			assert_int_equal(df_ch_skip_string(&in, &err), 0);
			assert_int_equal(df_ch_block_read(&block, &in, 54412, &err), 0);
			rows += block.rows;
			if (block.rows) {
				assert_int_equal(block.count, 2);
				assert_string_equal(df_buf_c(&block.fields[0].name), "n");
				assert_true(df_str_equal_c(df_ch_string(&block.fields[1].column, 2), "2"));
			}
			break;
		case DF_CH_SERVER_PROFILE_INFO:
			assert_int_equal(df_ch_read_profile(&in, &err), 0);
			break;
		case DF_CH_SERVER_PROGRESS:
			assert_int_equal(df_ch_read_progress(&in, 54412, &err), 0);
			break;
		default:
			assert_int_equal(type, DF_CH_SERVER_END_OF_STREAM);
		}
	} while (type != DF_CH_SERVER_END_OF_STREAM);
	assert_int_equal(rows, 3);
	assert_ptr_equal(in.pos, in.end);
	df_ch_block_done(&block);
}

static void test_exception(void **state)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_ch_input in;
	int32_t codes[] = { 60, 1000 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		df_buf_add(&buf, &codes[i], 4);
		df_ch_add_c(&buf, "DB::Exception");
		df_ch_add_c(&buf,
			    i ? "inner" : "DB::Exception: Table d.t does not exist: In scope SELECT 'secret'\nStack");
		df_ch_add_c(&buf, "0. trace");
		df_buf_add_char(&buf, i == 0);
	}
	df_ch_input_init(&in, df_buf_str(&buf));
	assert_int_equal(df_ch_read_exception(&in, "h:1", &err), DF_ERR_CONFIG);
	assert_string_equal(err.text, "h:1: ClickHouse error 60: Table d.t does not exist");
	assert_string_equal(err.remote, "60");
	assert_ptr_equal(in.pos, in.end);
}

static void test_classes(void **state)
{
	static const struct {
		int code, class;
	} cases[] = { { 252, DF_ERR_TRANSIENT },  { 159, DF_ERR_TIMEOUT },     { 516, DF_ERR_AUTH },
		      { 469, DF_ERR_CONSTRAINT }, { 53, DF_ERR_INVALID_DATA }, { 60, DF_ERR_CONFIG },
		      { 12345, DF_ERR_UNKNOWN },  { 210, DF_ERR_CONNECTION } };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++)
		assert_int_equal(df_ch_code_class(cases[i].code), cases[i].class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsn),	     cmocka_unit_test(test_dsn_refused),
		cmocka_unit_test(test_city),	     cmocka_unit_test(test_frames),
		cmocka_unit_test(test_server_hello), cmocka_unit_test(test_client_packets),
		cmocka_unit_test(test_answer),	     cmocka_unit_test(test_exception),
		cmocka_unit_test(test_classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
