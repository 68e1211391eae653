/* The answers of a program: docs/connector-protocol.md, sections 2 and 3. Nothing of a line is copied: the members of
 * an answer are slices of it. */
#ifndef DF_CONNECTORS_SUBPROCESS_ANSWER_H
#define DF_CONNECTORS_SUBPROCESS_ANSWER_H

#include "base/arena.h"
#include "base/error.h"
#include "message/message.h"

enum df_answer_type {
	DF_ANSWER_READY,
	DF_ANSWER_MESSAGE,
	DF_ANSWER_MESSAGES,
	DF_ANSWER_DONE,
	DF_ANSWER_ERROR,
	DF_ANSWER_CHECKPOINT,
	DF_ANSWER_PONG,
	DF_ANSWER_IDLE,
	DF_ANSWER_LAG,
	DF_ANSWER_DESCRIPTION,
	DF_ANSWER_TYPES,
};

/* Every member that an answer or a message can have, as the JSON text of its value; ptr NULL: absent. */
struct df_members {
	struct df_str type, batch, message, messages, code, retryable, failed, index, end;
	struct df_str protocol, in_flight, features;
	struct df_str data, json, base64, metadata, timestamp, key, key_base64, headers, position, partition, joined;
};

struct df_answer {
	enum df_answer_type type;
	struct df_members members;
};

/* DF_ERR_CONNECTION: the line is no JSON object, or has no type that is known. */
int df_answer_parse(struct df_str line, struct df_answer *ret, struct df_error *err) df_must_check;

/* "ready", "message" ... Static. */
const char *df_answer_name(enum df_answer_type type);

/* The members of one element of `messages` or `failed`. False: it is no object. */
bool df_members_parse(struct df_str object, struct df_members *ret);

/* What neighbours mostly share, so that it is made once. Zeroed: nothing yet. */
struct df_message_memo {
	struct df_str metadata_text;
	struct df_value *metadata;
};

/*
 * Payload, metadata, key, headers and timestamp of a message out of its members, which lie in the message's arena. Not
 * its partition and position. memo belongs to that arena. DF_ERR_CONNECTION: a member is not what it must be;
 * DF_ERR_NO_MEMORY.
 */
int df_message_from_members(const struct df_members *members, struct df_arena *arena, struct df_message_memo *memo,
			    struct df_message *m, struct df_error *err) df_must_check;

#endif
