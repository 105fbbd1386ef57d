/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as JSON by reflection, for `runsc image show`. */
#ifndef STATE_JSON_H
#define STATE_JSON_H

#include "base/strbuf.h"
#include "state/image.h"

/* One object per call, on one line when @indent is 0, else indented by @indent spaces per level. Fields have their names of the
 * schema, every field is shown (defaults too; of a oneof only the one that is set); enums by name; 64-bit integers as numbers;
 * bytes as {"hex": "..."}; strings escaped, bytes that are not UTF-8 as \u00XX. */
void state_msg_json(struct strbuf *b, const struct ProtobufCMessage *msg, unsigned int indent);
/* {"type": ..., "id": ..., "fields": {...}}, or "error" when the message cannot be shown; {"roots": [...]} for the last. */
void state_record_json(struct strbuf *b, const struct state_dump_record *rec, unsigned int indent);

/* One value of field @f as in state_msg_json(), and the bytes a value takes in the C struct (an element of a repeated field). */
struct ProtobufCFieldDescriptor;
void state_value_json(struct strbuf *b, const struct ProtobufCFieldDescriptor *f, const void *v);
size_t state_value_size(const struct ProtobufCFieldDescriptor *f);

#endif
