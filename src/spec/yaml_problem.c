/* What libyaml reports, as a sentence for people: what was found, and the fix. */
#include <yaml.h>

#include "spec/spec_internal.h"

struct sentence {
	const char *problem;
	const char *text; /* NULL: the place decides, see cannot_start */
};

#define TABS "tabs cannot indent YAML; use blanks"
#define ESCAPES "in \"double quotes\" a backslash begins an escape: write it twice, or use 'single quotes'"

static const struct sentence sentences[] = {
	{ "found character that cannot start any token", NULL },
	{ "found a tab character that violates indentation", TABS },
	{ "found a tab character where an indentation space is expected", TABS },
	{ "mapping values are not allowed in this context", "a second \":\" in one value, or a key that is indented "
							    "too far; put a value that contains \": \" in quotes, and "
							    "line keys up" },
	{ "mapping keys are not allowed in this context", "a key cannot begin here; put it on a line of its own" },
	{ "block sequence entries are not allowed in this context",
	  "a list item \"- \" cannot begin here; put it on a line of its own below the key" },
	{ "could not find expected ':'", "a key without \":\" and a blank behind it; write `key: value`, and check the "
					 "indentation of this line and the one before" },
	{ "did not find expected key",
	  "this line fits to no key and no list item above it; check its indentation, and quotes before it" },
	{ "did not find expected '-' indicator",
	  "a list item was expected; begin the line with \"- \", or check its indentation" },
	{ "did not find expected ',' or ']'", "the list that [ opened is not closed; a \",\" or \"]\" is missing" },
	{ "did not find expected ',' or '}'", "the map that { opened is not closed; a \",\" or \"}\" is missing" },
	{ "did not find expected node content", "a value was expected; a bracket or a comma stands here too early" },
	{ "did not find expected <document start>",
	  "the document ended before this line; check its indentation, or separate documents with a line `---`" },
	{ "found unexpected end of stream", "the quote that opened here is not closed" },
	{ "found unexpected document indicator", "the quote that opened here is not closed" },
	{ "found unknown escape character", "unknown escape; " ESCAPES },
	{ "did not find expected hexdecimal number", "unfinished escape; " ESCAPES },
	{ "found invalid Unicode character escape code", "the escape names no character; write the character itself" },
	{ "did not find expected alphabetic or numeric character",
	  "a name must follow & or *; put a value that begins with one in quotes" },
	{ "did not find expected whitespace or line break",
	  "a blank is missing behind the tag; put a value that begins with ! in quotes" },
	{ "did not find expected comment or line break",
	  "nothing may follow | or > in its line; begin the text in the next" },
	{ "found undefined tag handle", "unknown tag; put a value that begins with ! in quotes" },
	{ "found incompatible YAML document", "the %YAML line asks for a version that is not supported; remove it" },
	{ "control characters are not allowed", "a control character; save the file as plain text in UTF-8" },
	{ "invalid leading UTF-8 octet", "not UTF-8; save the file in UTF-8" },
	{ "invalid trailing UTF-8 octet", "not UTF-8; save the file in UTF-8" },
	{ "incomplete UTF-8 octet sequence", "not UTF-8; save the file in UTF-8" },
	{ "invalid length of a UTF-8 sequence", "not UTF-8; save the file in UTF-8" },
	{ "invalid Unicode character", "not UTF-8; save the file in UTF-8" },
};

/* The byte at a line and a column, both from 0; the column counts characters. 0 when there is none. */
static char byte_at(struct df_str text, size_t line, size_t column)
{
	size_t i = 0;

	for (; line > 0 && i < text.len; i++)
		line -= text.ptr[i] == '\n';
	for (; i < text.len; i++) {
		if ((text.ptr[i] & 0xc0) == 0x80)
			continue;
		if (column-- == 0)
			return text.ptr[i];
	}
	return 0;
}

static uint32_t line_of_offset(struct df_str text, size_t offset)
{
	uint32_t line = 1;

	for (size_t i = 0; i < offset && i < text.len; i++)
		line += text.ptr[i] == '\n';
	return line;
}

/* Problems that are told where something began, not where the reader noticed. */
static bool began_earlier(const yaml_parser_t *parser)
{
	return parser->context && (strcmp(parser->problem, "found unexpected end of stream") == 0 ||
				   strcmp(parser->problem, "found unexpected document indicator") == 0 ||
				   strcmp(parser->problem, "could not find expected ':'") == 0);
}

static void cannot_start(struct df_diags *diags, const struct df_place *place, char c)
{
	if (c == '\t')
		df_diag_error(diags, place, NULL, TABS);
	else if (c > ' ' && c < 0x7f)
		df_diag_error(diags, place, NULL, "a value cannot begin with %c; put it in quotes", c);
	else
		df_diag_error(diags, place, NULL, "a value cannot begin with this character; put it in quotes");
}

void df_yaml_problem(const struct yaml_parser_s *parser, struct df_str text, const char *file, struct df_diags *diags)
{
	struct df_place place = { .file = file };

	if (parser->error == YAML_MEMORY_ERROR || !parser->problem) {
		df_diags_no_memory(diags);
		return;
	}
	const yaml_mark_t *mark = began_earlier(parser) ? &parser->context_mark : &parser->problem_mark;
	place.line = parser->error == YAML_READER_ERROR ? line_of_offset(text, parser->problem_offset)
							: (uint32_t)mark->line + 1;
	for (size_t i = 0; i < DF_ARRAY_SIZE(sentences); i++) {
		if (strcmp(parser->problem, sentences[i].problem) != 0)
			continue;
		if (sentences[i].text)
			df_diag_error(diags, &place, NULL, "%s", sentences[i].text);
		else
			cannot_start(diags, &place, byte_at(text, mark->line, mark->column));
		return;
	}
	df_diag_error(diags, &place, NULL, "not valid YAML: %s%s%s", parser->problem, parser->context ? " " : "",
		      parser->context ? parser->context : "");
}
