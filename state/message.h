/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking messages from hostile bytes. Internal to state/. */
#ifndef STATE_MESSAGE_H
#define STATE_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/util.h"

/* Memory that unpacked messages may take, so that a few bytes cannot ask for gigabytes. */
struct message_budget {
	uint64_t left;
	bool exhausted;
};

void message_allocator(struct message_budget *b, ProtobufCAllocator *ret);
/* Unpacks and refuses unknown fields at any depth. On failure returns NULL with the reason in @why. Messages are freed with
 * protobuf_c_message_free_unpacked() and the same allocator. */
ProtobufCMessage *message_unpack(const ProtobufCMessageDescriptor *desc, ProtobufCAllocator *a, struct message_budget *b,
				 const unsigned char *data, size_t len, char *why, size_t why_len);
/* The same in two steps, for the one message whose unknown fields are to be judged by the caller. @why is set when NULL, or true, is
 * returned. */
ProtobufCMessage *message_unpack_any(const ProtobufCMessageDescriptor *desc, ProtobufCAllocator *a, struct message_budget *b,
				     const unsigned char *data, size_t len, char *why, size_t why_len);
bool message_has_unknown(const ProtobufCMessage *m, char *why, size_t why_len);

#endif
