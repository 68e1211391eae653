/* snake_case and CamelCase: the transformations reference, section 6. */
#ifndef DF_TRANSFORMERS_WORDS_H
#define DF_TRANSFORMERS_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* No result is longer than this. */
#define DF_WORD_MAX(len) ((len)*2)

/* Writes the name and returns its length. word: UTF-8 or WTF-8; out has DF_WORD_MAX(word.len) bytes. */
size_t df_word_snake(struct df_str word, char *out);
size_t df_word_camel(struct df_str word, char *out);

#endif
