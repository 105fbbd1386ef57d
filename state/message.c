/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking messages from hostile bytes.
 *
 * protobuf-c bounds its own recursion only by the schema, so schemas must not be recursive
 * (scripts/check_state.py refuses them). Its allocations are charged to a budget; each carries its size in a 16-byte header so that freeing
 * credits it back.
 */
#include "state/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

union alloc_head {
	size_t size;
	max_align_t align;
};

static void *budget_alloc(void *data, size_t size)
{
	struct message_budget *b = data;
	union alloc_head *h;
	size_t total;

	if (add_overflow(size, sizeof(*h), &total) || total > b->left) {
		b->exhausted = true;
		return NULL;
	}
	h = malloc(total);
	if (!h) {
		b->exhausted = true;
		return NULL;
	}
	b->left -= total;
	h->size = total;
	return h + 1;
}

static void budget_free(void *data, void *p)
{
	struct message_budget *b = data;
	union alloc_head *h;

	if (!p)
		return;
	h = (union alloc_head *)p - 1;
	b->left += h->size;
	free(h);
}

void message_allocator(struct message_budget *b, ProtobufCAllocator *ret)
{
	ret->alloc = budget_alloc;
	ret->free = budget_free;
	ret->allocator_data = b;
}

static bool field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	uint32_t which;

	if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return true;
	memcpy(&which, base + f->quantifier_offset, sizeof(which));
	return which == f->id;
}

/* The first unknown field at any depth, or NULL; *@ret_in is the message that has it. */
static const ProtobufCMessageUnknownField *find_unknown(const ProtobufCMessage *m, int depth,
							const ProtobufCMessageDescriptor **ret_in)
{
	const char *base = (const char *)m;

	*ret_in = m->descriptor;
	if (m->n_unknown_fields)
		return &m->unknown_fields[0];
	if (depth == DEPTH_MAX)
		return NULL;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const ProtobufCMessageUnknownField *u = NULL;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE || !field_is_set(m, f))
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t n = *(const size_t *)(base + f->quantifier_offset);
			ProtobufCMessage **v = *(ProtobufCMessage **const *)(base + f->offset);

			for (size_t k = 0; k < n && !u; k++)
				u = find_unknown(v[k], depth + 1, ret_in);
		} else {
			const ProtobufCMessage *sub = *(ProtobufCMessage *const *)(base + f->offset);

			if (sub)
				u = find_unknown(sub, depth + 1, ret_in);
		}
		if (u)
			return u;
	}
	return NULL;
}

ProtobufCMessage *message_unpack_any(const ProtobufCMessageDescriptor *desc, ProtobufCAllocator *a, struct message_budget *b,
				     const unsigned char *data, size_t len, char *why, size_t why_len)
{
	ProtobufCMessage *m;

	b->exhausted = false;
	m = protobuf_c_message_unpack(desc, a, len, data);
	if (!m)
		snprintf(why, why_len, "%s", b->exhausted ? "needs more memory than the limit" : "is not a valid message");
	return m;
}

bool message_has_unknown(const ProtobufCMessage *m, char *why, size_t why_len)
{
	const ProtobufCMessageDescriptor *in;
	const ProtobufCMessageUnknownField *u = find_unknown(m, 0, &in);

	if (u)
		snprintf(why, why_len, "unknown field %u of %s: written by a newer build", u->tag, in->short_name);
	return u != NULL;
}

ProtobufCMessage *message_unpack(const ProtobufCMessageDescriptor *desc, ProtobufCAllocator *a, struct message_budget *b,
				 const unsigned char *data, size_t len, char *why, size_t why_len)
{
	ProtobufCMessage *m = message_unpack_any(desc, a, b, data, len, why, why_len);

	if (m && message_has_unknown(m, why, why_len)) {
		protobuf_c_message_free_unpacked(m, a);
		return NULL;
	}
	return m;
}
