#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include "base/time.h"

/* The tables hold what Python's zoneinfo says, but for rules by day number, where it is a day early. */

static char folder[] = "/tmp/df-test-zone-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "%s/Test", folder);
	unlink(path);
	return rmdir(folder);
}

static void add_be(struct df_buf *buf, int64_t value, int bytes)
{
	while (bytes-- > 0)
		df_buf_add_char(buf, (char)((uint64_t)value >> (8 * bytes)));
}

struct file {
	char version;
	int n;
	int64_t times[4];
	unsigned char types[4];
	int32_t offsets[2]; /* of the types */
	int leaps;
	bool no_names; /* zeros, which would do as one more type */
	const char *footer;
};

static void add_block(struct df_buf *buf, const struct file *f, int size)
{
	df_buf_add_c(buf, "TZif");
	df_buf_add_char(buf, f->version);
	df_buf_add(buf, (const char[15]){ 0 }, 15);
	const int counts[] = { 0, 0, f->leaps, f->n, 2, 4 };
	for (int i = 0; i < 6; i++)
		add_be(buf, counts[i], 4);
	for (int i = 0; i < f->n; i++)
		add_be(buf, f->times[i], size);
	df_buf_add(buf, f->types, (size_t)f->n);
	for (int i = 0; i < 2; i++) {
		add_be(buf, f->offsets[i], 4);
		add_be(buf, 0, 2);
	}
	df_buf_add(buf, f->no_names ? "\0\0\0" : "XXX", 4);
	for (int i = 0; i < f->leaps; i++)
		df_buf_add(buf, (const char[12]){ 0 }, (size_t)size + 4);
}

static struct df_buf build(const struct file *f)
{
	struct df_buf buf = { 0 };
	add_block(&buf, f, 4);
	if (f->version) {
		add_block(&buf, f, 8);
		df_buf_add_char(&buf, '\n');
		df_buf_add_c(&buf, f->footer ? f->footer : "");
		df_buf_add_char(&buf, '\n');
	}
	return buf;
}

/* Loads the bytes as the zone "Test". */
static int load(struct df_str bytes, struct df_zone **ret, struct df_error *err)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/Test", folder);
	df_cleanup(df_fclosep) FILE *out = fopen(path, "w");
	assert_non_null(out);
	fwrite(bytes.ptr, 1, bytes.len, out);
	fflush(out);
	setenv("TZDIR", folder, 1);
	int code = df_zone_load(DF_STR("Test"), ret, err);
	unsetenv("TZDIR");
	return code;
}

static int load_file(const struct file *f, struct df_zone **ret)
{
	df_cleanup(df_buf_done) struct df_buf bytes = build(f);
	return load(df_buf_str(&bytes), ret, NULL);
}

static int64_t at(const char *text)
{
	struct df_instant t;
	if (!df_rfc3339_parse(df_str_c(text), &t))
		fail_msg("bad test: %s", text);
	return t.seconds;
}

static int64_t to_unix(const struct df_zone *zone, const char *wall)
{
	struct df_civil c;
	bool has;
	int32_t offset;
	assert_true(df_time_parse(df_str_c(wall), &c, &has, &offset));
	return df_zone_to_unix(zone, &c).seconds;
}

static void test_rules(void **state)
{
	(void)state;
	static const struct {
		const char *footer, *time;
		int32_t offset;
	} rows[] = {
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", "2500-03-28T00:59:59Z", 0 }, /* negative daylight time */
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", "2500-03-28T01:00:00Z", 3600 },
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", "2500-10-31T00:59:59Z", 3600 },
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", "2500-10-31T01:00:00Z", 0 },
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", "2500-12-25T00:00:00Z", 0 },
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3", "2500-01-01T00:00:00Z", 39600 }, /* south */
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3", "2500-04-03T15:59:59Z", 39600 },
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3", "2500-04-03T16:00:00Z", 36000 },
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3", "2500-10-02T15:59:59Z", 36000 },
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3", "2500-10-02T16:00:00Z", 39600 },
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59Z", -7200 }, /* quoted, negative hour */
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z", -3600 },
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-10-27T00:59:59Z", -3600 },
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-10-27T01:00:00Z", -7200 },
		{ "<+0330>-3:30", "1000-01-01T00:00:00Z", 12600 },
		{ "<+0330>-3:30", "2500-07-01T00:00:00Z", 12600 },
		{ "CET-1CEST,J60/2,J300/3", "2024-03-01T00:59:59Z", 3600 }, /* 1 March in every year */
		{ "CET-1CEST,J60/2,J300/3", "2024-03-01T01:00:00Z", 7200 },
		{ "CET-1CEST,J60/2,J300/3", "2023-03-01T00:59:59Z", 3600 },
		{ "CET-1CEST,J60/2,J300/3", "2023-03-01T01:00:00Z", 7200 },
		{ "CET-1CEST,J59/2,J300/3", "2024-02-28T00:59:59Z", 3600 },
		{ "CET-1CEST,J59/2,J300/3", "2024-02-28T01:00:00Z", 7200 },
		{ "CET-1CEST,J60/2,J300/3", "2024-10-27T00:59:59Z", 7200 },
		{ "CET-1CEST,J60/2,J300/3", "2024-10-27T01:00:00Z", 3600 },
		{ "CET-1CEST,59/2,299/3", "2024-02-29T00:59:59Z", 3600 },
		{ "CET-1CEST,59/2,299/3", "2024-02-29T01:00:00Z", 7200 },
		{ "CET-1CEST,59/2,299/3", "2023-03-01T00:59:59Z", 3600 },
		{ "CET-1CEST,59/2,299/3", "2023-03-01T01:00:00Z", 7200 },
		{ "XXX3EDT4,0/0,J365/23", "2024-01-01T00:00:00Z", -14400 }, /* the whole year round */
		{ "XXX3EDT4,0/0,J365/23", "2024-12-31T23:59:59Z", -14400 },
		{ "XXX3EDT4,0/0,J365/23", "2023-01-01T03:00:00Z", -14400 },
		{ "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-29T23:59:59Z", 7200 },
		{ "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-30T00:00:00Z", 10800 },
		{ "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-10-25T22:59:59Z", 10800 },
		{ "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-10-25T23:00:00Z", 7200 },
		{ "AAA0BBB,M1.1.0/-167,M6.1.0/167", "2023-12-31T00:59:59Z", 0 }, /* in the year before */
		{ "AAA0BBB,M1.1.0/-167,M6.1.0/167", "2023-12-31T01:00:00Z", 3600 },
		{ "AAA0BBB,M1.1.0/-167,M6.1.0/167", "2024-06-08T21:59:59Z", 3600 },
		{ "AAA0BBB,M1.1.0/-167,M6.1.0/167", "2024-06-08T22:00:00Z", 0 },
		{ "AAA0BBB,M6.1.0,M12.5.0/167", "2024-01-06T21:59:59Z", 3600 }, /* in the year after */
		{ "AAA0BBB,M6.1.0,M12.5.0/167", "2024-01-06T22:00:00Z", 0 },
		{ "AAA-1:02:03", "2024-01-06T22:00:00Z", 3723 },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		const struct file f = { .version = '3', .footer = rows[i].footer };
		df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
		assert_int_equal(load_file(&f, &zone), 0);
		int32_t offset = df_zone_offset(zone, at(rows[i].time));
		if (offset != rows[i].offset)
			fail_msg("%s at %s gives %d", rows[i].footer, rows[i].time, (int)offset);
	}
}

static void test_bad_footers(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"X",
		"XX1",
		"CET",
		"CET-25",
		"<+03-3",
		"<+0>1",
		"CET-1CEST",
		"CET-1CEST,M3.5.0",
		"CET-1CEST,M3.5.0,M10.5.0x",
		"CET-1CEST,M13.1.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,M0.5.0,M10.5.0",
		"CET-1CEST,J0,J300",
		"CET-1CEST,J366,J300",
		"CET-1CEST,366,300",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1:60",
		"CET-1:",
		"CET-1CEST,M3.5,M10.5.0",
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		const struct file f = { .version = '2', .footer = bad[i] };
		struct df_zone *zone = NULL;
		if (load_file(&f, &zone) != DF_ERR_CONFIG)
			fail_msg("accepted %s", bad[i]);
		assert_null(zone);
	}
}

static void test_table(void **state)
{
	(void)state;
	struct file f = { .version = '2',
			  .n = 3,
			  .times = { -5000000000, 1000, 2000 },
			  .types = { 1, 0, 1 },
			  .offsets = { 100, 7200 },
			  .footer = "AAA-3" };
	static const struct {
		int64_t time;
		int32_t offset;
	} rows[] = { { INT64_MIN, 100 }, { -5000000001, 100 }, { -5000000000, 7200 }, { 999, 7200 },
		     { 1000, 100 },	 { 1999, 100 },	       { 2000, 10800 },	      { INT64_MAX, 10800 } };
	df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
	assert_int_equal(load_file(&f, &zone), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		assert_int_equal(df_zone_offset(zone, rows[i].time), rows[i].offset);

	f.footer = ""; /* the last type stays */
	df_cleanup(df_zone_freep) struct df_zone *without = NULL;
	assert_int_equal(load_file(&f, &without), 0);
	assert_int_equal(df_zone_offset(without, INT64_MAX), 7200);

	f.version = '\0'; /* 32 bits, no footer */
	f.times[0] = -2000000000;
	df_cleanup(df_zone_freep) struct df_zone *old = NULL;
	assert_int_equal(load_file(&f, &old), 0);
	assert_int_equal(df_zone_offset(old, -2000000001), 100);
	assert_int_equal(df_zone_offset(old, -2000000000), 7200);
	assert_int_equal(df_zone_offset(old, 5000), 7200);
}

static void test_corrupt_files(void **state)
{
	(void)state;
	const struct file good = { .version = '2',
				   .n = 2,
				   .times = { 1000, 2000 },
				   .types = { 1, 0 },
				   .footer = "CET-1CEST,M3.5.0,M10.5.0/3" };
	struct df_error err = DF_ERROR_INIT;
	struct df_zone *zone = NULL;
	struct file f = good;
	f.no_names = true;
	f.types[1] = 2;
	assert_int_equal(load_file(&f, &zone), DF_ERR_CONFIG);
	f = good;
	f.times[1] = 1000;
	assert_int_equal(load_file(&f, &zone), DF_ERR_CONFIG);
	f = good;
	f.offsets[1] = 93600;
	assert_int_equal(load_file(&f, &zone), DF_ERR_CONFIG);
	f.offsets[1] = -90000;
	assert_int_equal(load_file(&f, &zone), DF_ERR_CONFIG);
	f = good;
	f.leaps = 1;
	assert_int_equal(load_file(&f, &zone), DF_ERR_CONFIG);
	/* Every cut is refused, and no count makes us read too far (AddressSanitizer watches). */
	df_cleanup(df_buf_done) struct df_buf bytes = build(&good);
	for (size_t n = 0; n < bytes.len; n++)
		assert_int_equal(load(df_str(bytes.data, n), &zone, NULL), DF_ERR_CONFIG);
	for (size_t i = 0; i < bytes.len; i++) {
		char saved = bytes.data[i];
		bytes.data[i] = (char)0xff;
		int code = load(df_buf_str(&bytes), &zone, NULL);
		assert_true(code == 0 || code == DF_ERR_CONFIG);
		if (code == 0)
			df_zone_offset(zone, INT64_MAX);
		df_zone_free(zone);
		zone = NULL;
		bytes.data[i] = saved;
	}
	assert_int_equal(load(df_buf_str(&bytes), &zone, &err), 0);
	df_zone_free(zone);
	zone = NULL;
	df_buf_reserve(&bytes, 2 << 20);
	memset(bytes.data + bytes.len, 'x', 2 << 20);
	bytes.len += 2 << 20;
	assert_int_equal(load(df_buf_str(&bytes), &zone, &err), DF_ERR_CONFIG);
	assert_string_equal(err.remote, "EFBIG");
	assert_null(zone);
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int32_t offset;
	} good[] = { { "UTC", 0 }, { "+00:00", 0 }, { "-00:00", 0 }, { "+03:00", 10800 }, { "-23:59", -86340 } };
	setenv("TZDIR", "/nonexistent", 1); /* none of these needs a file */
	for (size_t i = 0; i < DF_ARRAY_SIZE(good); i++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
		assert_int_equal(df_zone_load(df_str_c(good[i].name), &zone, NULL), 0);
		assert_int_equal(df_zone_offset(zone, 0), good[i].offset);
		assert_int_equal(to_unix(zone, "2024-01-05 15:04:09"), 1704467049 - good[i].offset);
	}
	struct df_error err = DF_ERROR_INIT;
	struct df_zone *zone = NULL;
	assert_int_equal(df_zone_load(DF_STR("Europe/Berlin"), &zone, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "no time zone database at /nonexistent"));
	setenv("TZDIR", folder, 1);
	char outside[64];
	snprintf(outside, sizeof(outside), "%s/sub", folder);
	mkdir(outside, 0700);
	static const char *const bad[] = { "",	      "utc",	      "+24:00",	     "+03:60",	    "+3:00",
					   "+0300",   "03:00",	      "sub",	     "../Test",	    "/Test",
					   "//Test",  "sub//../Test", "sub/../Test", "/etc/passwd", "Test/",
					   "a//b",    "./Test",	      "Te st",	     "sub/.",	    "Nowhere",
					   "+03:00x", "Test/Test",    "\xc3\xa9" };
	const struct file f = { .version = '2', .footer = "AAA-3" };
	df_cleanup(df_zone_freep) struct df_zone *made = NULL;
	assert_int_equal(load_file(&f, &made), 0); /* "Test" exists */
	setenv("TZDIR", folder, 1);
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		if (df_zone_load(df_str_c(bad[i]), &zone, &err) != DF_ERR_CONFIG)
			fail_msg("accepted %s", bad[i]);
		if (strncmp(err.text, "unknown time zone \"", 19) != 0)
			fail_msg("%s: %s", bad[i], err.text);
	}
	assert_int_equal(df_zone_load(DF_STR("Test\0x"), &zone, &err), DF_ERR_CONFIG);
	assert_int_equal(df_zone_load(DF_STR("TEST"), &zone, &err), DF_ERR_CONFIG);
	unsetenv("TZDIR");
	rmdir(outside);
	df_zone_free(NULL);
}

/* By rule and by table: the same clock changes of 2024, at 2024-03-31T01:00Z and 2024-10-27T01:00Z. */
static void test_wall_clock(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "2024-03-31T01:59:59", "2024-03-31T00:59:59Z" }, { "2024-03-31T02:00:00", "2024-03-31T01:00:00Z" },
		{ "2024-03-31T02:30:00", "2024-03-31T01:30:00Z" }, { "2024-03-31T03:00:00", "2024-03-31T01:00:00Z" },
		{ "2024-10-27T01:59:59", "2024-10-26T23:59:59Z" }, { "2024-10-27T02:00:00", "2024-10-27T00:00:00Z" },
		{ "2024-10-27T02:59:59", "2024-10-27T00:59:59Z" }, { "2024-10-27T03:00:00", "2024-10-27T02:00:00Z" },
		{ "2024-07-01T12:00:00", "2024-07-01T10:00:00Z" }, { "2024-01-01T00:00:00", "2023-12-31T23:00:00Z" },
	};
	const struct file files[] = {
		{ .version = '2', .offsets = { 3600, 7200 }, .footer = "CET-1CEST,M3.5.0,M10.5.0/3" },
		{ .version = '2',
		  .n = 2,
		  .times = { 1711846800, 1729990800 },
		  .types = { 1, 0 },
		  .offsets = { 3600, 7200 },
		  .footer = "" },
		{ .version = '2',
		  .n = 1,
		  .times = { 1711846800 },
		  .types = { 1 },
		  .offsets = { 3600, 7200 },
		  .footer = "CET-1CEST,M3.5.0,M10.5.0/3" },
	};
	for (size_t k = 0; k < DF_ARRAY_SIZE(files); k++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
		assert_int_equal(load_file(&files[k], &zone), 0);
		for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
			if (to_unix(zone, rows[i][0]) != at(rows[i][1]))
				fail_msg("file %zu, %s", k, rows[i][0]);
		}
		struct df_civil far = { .year = INT64_MAX, .month = 1, .day = 1 };
		assert_true(df_zone_to_unix(zone, &far).seconds > 0);
		far.year = INT64_MIN;
		far.nanosecond = 5;
		assert_true(df_zone_to_unix(zone, &far).seconds < 0);
		assert_int_equal(df_zone_to_unix(zone, &far).nanoseconds, 5);
	}
}

/* The past of the system's database, which does not change. */
static void test_system(void **state)
{
	(void)state;
	static const struct {
		const char *name, *time;
		int32_t offset;
	} rows[] = {
		{ "Europe/Berlin", "1893-03-31T23:06:31Z", 3208 },
		{ "Europe/Berlin", "1893-03-31T23:06:32Z", 3600 },
		{ "Europe/Berlin", "2024-03-31T00:59:59Z", 3600 },
		{ "Europe/Berlin", "2024-03-31T01:00:00Z", 7200 },
		{ "Europe/Berlin", "2024-10-27T01:00:00Z", 3600 },
		{ "Europe/Dublin", "1900-01-01T00:00:00Z", -1521 },
		{ "Europe/Dublin", "2024-01-15T00:00:00Z", 0 },
		{ "Europe/Dublin", "2024-07-15T00:00:00Z", 3600 },
		{ "America/New_York", "2024-03-10T06:59:59Z", -18000 },
		{ "America/New_York", "2024-03-10T07:00:00Z", -14400 },
		{ "America/Sao_Paulo", "1900-01-01T00:00:00Z", -11188 },
		{ "America/Sao_Paulo", "2019-02-16T23:59:59Z", -7200 },
		{ "America/Sao_Paulo", "2019-02-17T02:00:00Z", -10800 },
		{ "Australia/Sydney", "2024-04-06T15:59:59Z", 39600 },
		{ "Australia/Sydney", "2024-04-06T16:00:00Z", 36000 },
		{ "Asia/Kathmandu", "1985-12-31T18:29:59Z", 19800 },
		{ "Asia/Kathmandu", "1985-12-31T18:30:00Z", 20700 },
		{ "Pacific/Apia", "2011-12-30T09:59:59Z", -36000 },
		{ "Pacific/Apia", "2011-12-30T10:00:00Z", 50400 },
	};
	static const struct {
		const char *name, *wall, *time;
	} walls[] = {
		{ "America/Sao_Paulo", "2018-11-04T00:30:00", "2018-11-04T03:30:00Z" },
		{ "America/Sao_Paulo", "2018-02-17T23:30:00", "2018-02-18T01:30:00Z" },
		{ "Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z" }, /* a day that was skipped */
		{ "Australia/Lord_Howe", "2024-10-06T02:15:00", "2024-10-05T15:45:00Z" },
		{ "Australia/Sydney", "2024-04-07T02:30:00", "2024-04-06T15:30:00Z" },
	};
	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		skip();
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
		assert_int_equal(df_zone_load(df_str_c(rows[i].name), &zone, NULL), 0);
		if (df_zone_offset(zone, at(rows[i].time)) != rows[i].offset)
			fail_msg("%s %s", rows[i].name, rows[i].time);
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(walls); i++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
		assert_int_equal(df_zone_load(df_str_c(walls[i].name), &zone, NULL), 0);
		if (to_unix(zone, walls[i].wall) != at(walls[i].time))
			fail_msg("%s %s", walls[i].name, walls[i].wall);
	}
	struct df_error err = DF_ERROR_INIT;
	struct df_zone *zone = NULL;
	assert_int_equal(df_zone_load(DF_STR("zone.tab"), &zone, &err), DF_ERR_CONFIG); /* no TZif */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),  cmocka_unit_test(test_bad_footers),
		cmocka_unit_test(test_table),  cmocka_unit_test(test_corrupt_files),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_wall_clock),
		cmocka_unit_test(test_system),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
