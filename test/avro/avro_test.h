/* What the tests of the Avro codec share: schemas and values as texts, bytes in hexadecimal with blanks where one
 * likes. */
#ifndef DF_TEST_AVRO_AVRO_TEST_H
#define DF_TEST_AVRO_AVRO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "avro/decode.h"
#include "avro/encode.h"

struct df_avro_schema *schema_of(const char *json); /* ' stands for "; the caller frees */

/* Decodes and compares the document's text (' stands for "). reader NULL: none. */
void assert_decodes_with(const char *writer, const char *reader, const char *hex, const char *document);
/* And that decoding fails, with a piece of the error's text. */
void assert_no_decode_with(const char *writer, const char *reader, const char *hex, const char *piece);
#define assert_decodes(schema, hex, document) assert_decodes_with(schema, NULL, hex, document)
#define assert_no_decode(schema, hex, piece) assert_no_decode_with(schema, NULL, hex, piece)

/* Encodes and compares the bytes. */
void assert_encodes(const char *schema, const char *document, const char *hex);
void assert_no_encode(const char *schema, const char *document, const char *piece);

/* Both ways. */
void assert_codec(const char *schema, const char *document, const char *hex);

/* The logical type of the value that decoding gives; of the member `a` when it is an object. */
enum df_logical logical_of(const char *schema, const char *hex);

#endif
