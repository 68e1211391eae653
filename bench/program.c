/*
 * A connector program that does nothing but talk: a source that has its documents ready, a sink that only confirms.
 * What it costs is the protocol. Settings: rows, protocol (1 or 2), step (messages a read brings at most).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOCUMENTS 1000

static char *documents[DOCUMENTS], *quoted[DOCUMENTS];
static long rows, protocol = 2, step = 1 << 20, at;

static long number(const char *line, const char *key, long absent)
{
	const char *found = strstr(line, key);

	return found ? atol(found + strlen(key)) : absent;
}

static void make_documents(void)
{
	for (long i = 0; i < DOCUMENTS; i++) {
		char text[512], *to;
		snprintf(text, sizeof(text),
			 "{\"orderId\":%ld,\"customerName\":\"Customer %ld\",\"customerEmail\":\"c%ld@example.com\","
			 "\"totalAmount\":%ld.37,\"currency\":\"EUR\",\"status\":\"active\",\"itemCount\":%ld,"
			 "\"internal\":{\"traceId\":\"%08lx\",\"retry\":false},\"priority\":1,\"channel\":\"web\","
			 "\"shippingInfo\":{\"streetName\":\"Main St %ld\",\"postalCode\":\"%ld\",\"isExpress\":true}}",
			 1000000 + i, i % 977, i % 977, 11 + i, i % 7, i, i % 99, 10000 + i);
		documents[i] = strdup(text);
		quoted[i] = to = malloc(2 * strlen(text) + 1);
		for (const char *c = text; *c; c++) {
			if (*c == '"')
				*to++ = '\\';
			*to++ = *c;
		}
		*to = '\0';
	}
}

static void read_rows(const char *line)
{
	long limit = number(line, "\"limit\":", 1), batch = number(line, "\"batch\":", 0);
	long end = at + (limit < step ? limit : step);

	end = end < rows ? end : rows;
	if (protocol == 1) {
		for (; at < end; at++)
			printf("{\"type\":\"message\",\"data\":\"%s\",\"metadata\":{},\"timestamp\":"
			       "\"2024-01-15T10:30:00Z\"}\n",
			       quoted[at % DOCUMENTS]);
		puts("{\"type\":\"done\"}");
		return;
	}
	if (at < end) {
		printf("{\"type\":\"messages\",\"batch\":%ld,\"messages\":[", batch);
		for (long i = at; at < end; at++) {
			fputs(at == i ? "{\"json\":" : ",{\"json\":", stdout);
			fputs(documents[at % DOCUMENTS], stdout);
			printf(",\"position\":%ld}", at);
		}
		puts("]}");
	}
	printf("{\"type\":\"done\",\"batch\":%ld%s}\n", batch, at == rows ? ",\"end\":true" : "");
}

static void init(const char *line)
{
	rows = number(line, "\"rows\":", 0);
	protocol = number(line, "\"config\":{\"protocol\":", 2);
	step = number(line, "\"step\":", step);
	make_documents();
	puts(protocol == 1 ? "{\"type\":\"ready\"}" : "{\"type\":\"ready\",\"protocol\":2,\"in_flight\":8}");
}

int main(void)
{
	static char out[1 << 20];
	char *line = NULL;
	size_t cap = 0;

	setvbuf(stdout, out, _IOFBF, sizeof(out));
	while (getline(&line, &cap, stdin) > 0) {
		if (strncmp(line, "{\"cmd\":\"read\"", 13) == 0)
			read_rows(line);
		else if (strncmp(line, "{\"cmd\":\"write\",\"batch\":", 23) == 0)
			printf("{\"type\":\"done\",\"batch\":%ld}\n", atol(line + 23));
		else if (strncmp(line, "{\"cmd\":\"init\"", 13) == 0)
			init(line);
		else if (strncmp(line, "{\"cmd\":\"connect\"", 16) == 0)
			puts("{\"type\":\"ready\"}");
		else
			puts(strstr(line, "ping") ? "{\"type\":\"pong\"}" : "{\"type\":\"done\"}");
		fflush(stdout);
	}
	free(line);
	return 0;
}
