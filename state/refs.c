/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References by reflection. Images are hostile, schemas are not: depth and field kinds are bounded by the descriptors, and nothing
 * is believed about an id but that it is a number.
 */
#include "state/refs.h"

#include <string.h>

struct ref_field {
	const char *message, *field, *target;
};

/* Sorted by message and field: refs.def is, and a unit test checks it. */
static const struct ref_field fields[] = {
#define STATE_REF(message, field, target) { #message, #field, target },
#include "state/refs.def"
#undef STATE_REF
};

static int compare(const char *message, const char *field, const struct ref_field *f)
{
	int r = strcmp(message, f->message);

	return r ? r : strcmp(field, f->field);
}

const char *refs_target(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field)
{
	size_t lo = 0, hi = ARRAY_SIZE(fields);

	if (field->type != PROTOBUF_C_TYPE_UINT64)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = compare(desc->short_name, field->name, &fields[mid]);

		if (!r)
			return fields[mid].target;
		if (r > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool refs_type_is(const struct state_type *t, const char *kind)
{
	if (!strcmp(t->desc->short_name, kind))
		return true;
	for (unsigned int i = 0; i < t->desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &t->desc->fields[i];

		if (f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED &&
		    !strcmp(((const ProtobufCMessageDescriptor *)f->descriptor)->short_name, kind))
			return true;
	}
	return false;
}

bool refs_allows(const char *target, const struct state_type *t)
{
	char kind[64];

	while (*target) {
		size_t n = strcspn(target, "|");

		if (n < sizeof(kind)) {
			memcpy(kind, target, n);
			kind[n] = '\0';
			if (refs_type_is(t, kind))
				return true;
		}
		target += n + (target[n] == '|');
	}
	return false;
}

void refs_path_print(struct strbuf *b, const struct ref_path *p)
{
	if (!p)
		return;
	if (p->up) {
		refs_path_print(b, p->up);
		strbuf_addc(b, '.');
	}
	strbuf_adds(b, p->name);
	if (p->index != SIZE_MAX)
		strbuf_addf(b, "[%zu]", p->index);
}

typedef int (*ref_fn)(void *arg, const struct ref_use *u);

static int walk(const ProtobufCMessage *m, const struct ref_path *up, ref_fn fn, void *arg)
{
	const char *base = (const char *)m;

	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		struct ref_path p = { up, f->name, SIZE_MAX };
		bool many = f->label == PROTOBUF_C_LABEL_REPEATED, sub = f->type == PROTOBUF_C_TYPE_MESSAGE;
		const char *target = sub ? NULL : refs_target(m->descriptor, f);
		size_t n = many ? *(const size_t *)(base + f->quantifier_offset) : 1;
		const char *v = many ? *(char *const *)(base + f->offset) : base + f->offset;
		int r = 0;

		if ((!target && !sub) || (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)(base + f->quantifier_offset) != f->id))
			continue;
		for (size_t k = 0; k < n && !r; k++) {
			p.index = many ? k : SIZE_MAX;
			if (sub) {
				const ProtobufCMessage *inner = ((ProtobufCMessage *const *)v)[k];

				r = inner ? walk(inner, &p, fn, arg) : 0;
			} else if (((const uint64_t *)v)[k]) {
				r = fn(arg, &(struct ref_use){ ((const uint64_t *)v)[k], target, &p, m });
			}
		}
		if (r)
			return r;
	}
	return 0;
}

int refs_walk(const ProtobufCMessage *msg, ref_fn fn, void *arg)
{
	return walk(msg, NULL, fn, arg);
}
