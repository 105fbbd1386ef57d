/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as JSON by reflection over the descriptors. Messages come from hostile images: strings are escaped completely, enum
 * values without a name are shown as numbers, depth is bounded by the schema (schemas are not recursive).
 */
#include "state/json.h"

#include <math.h>
#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "base/utf8.h"

struct printer {
	struct strbuf *b;
	unsigned int indent, depth;
};

static void newline(struct printer *p)
{
	if (!p->indent)
		return;
	strbuf_addc(p->b, '\n');
	for (unsigned int i = 0; i < p->indent * p->depth; i++)
		strbuf_addc(p->b, ' ');
}

static void open_bracket(struct printer *p, char c)
{
	strbuf_addc(p->b, c);
	p->depth++;
}

static void close_bracket(struct printer *p, char c, bool any)
{
	p->depth--;
	if (any)
		newline(p);
	strbuf_addc(p->b, c);
}

static void member(struct printer *p, bool *any, const char *name)
{
	strbuf_adds(p->b, *any ? (p->indent ? "," : ", ") : "");
	newline(p);
	strbuf_addf(p->b, "\"%s\": ", name);
	*any = true;
}

static void string(struct printer *p, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "");
	size_t left = strlen((const char *)s), n;

	strbuf_addc(p->b, '"');
	for (; left; s += n, left -= n) {
		n = utf8_len(s, left);
		if (n > 1 || (n == 1 && *s >= 0x20 && *s != '"' && *s != '\\' && *s != 0x7f)) {
			strbuf_add(p->b, s, n);
		} else {
			n = 1;
			if (*s == '"' || *s == '\\')
				strbuf_addf(p->b, "\\%c", *s);
			else if (*s == '\n')
				strbuf_adds(p->b, "\\n");
			else
				strbuf_addf(p->b, "\\u%04x", *s);
		}
	}
	strbuf_addc(p->b, '"');
}

static void bytes(struct printer *p, const ProtobufCBinaryData *d)
{
	strbuf_adds(p->b, "{\"hex\": \"");
	for (size_t i = 0; i < d->len; i++)
		strbuf_addf(p->b, "%02x", d->data[i]);
	strbuf_adds(p->b, "\"}");
}

static void number(struct printer *p, double v)
{
	if (isfinite(v))
		strbuf_addf(p->b, "%.17g", v);
	else
		strbuf_adds(p->b, "null");
}

static void message(struct printer *p, const ProtobufCMessage *m);

static void value(struct printer *p, const ProtobufCFieldDescriptor *f, const void *v)
{
	const ProtobufCEnumValue *e;
	double d;
	float fl;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		strbuf_addf(p->b, "%d", *(const int32_t *)v);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		strbuf_addf(p->b, "%lld", (long long)*(const int64_t *)v);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		strbuf_addf(p->b, "%u", *(const uint32_t *)v);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		strbuf_addf(p->b, "%llu", (unsigned long long)*(const uint64_t *)v);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		memcpy(&fl, v, sizeof(fl));
		number(p, (double)fl);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		memcpy(&d, v, sizeof(d));
		number(p, d);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		strbuf_adds(p->b, *(const protobuf_c_boolean *)v ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		e = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)v);
		if (e)
			strbuf_addf(p->b, "\"%s\"", e->name);
		else
			strbuf_addf(p->b, "%d", *(const int *)v);
		break;
	case PROTOBUF_C_TYPE_STRING:
		string(p, *(char *const *)v);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes(p, v);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message(p, *(ProtobufCMessage *const *)v);
		break;
	}
}

size_t state_value_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

static void repeated(struct printer *p, const ProtobufCFieldDescriptor *f, const char *base)
{
	size_t n = *(const size_t *)(base + f->quantifier_offset), size = state_value_size(f);
	const char *v = *(char *const *)(base + f->offset);
	bool tall = f->type == PROTOBUF_C_TYPE_MESSAGE;

	open_bracket(p, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_adds(p->b, tall && p->indent ? "," : ", ");
		if (tall)
			newline(p);
		value(p, f, v + i * size);
	}
	close_bracket(p, ']', tall && n);
}

static void message(struct printer *p, const ProtobufCMessage *m)
{
	const char *base = (const char *)m;
	bool any = false;

	if (!m) {
		strbuf_adds(p->b, "null");
		return;
	}
	open_bracket(p, '{');
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)(base + f->quantifier_offset) != f->id)
			continue;
		member(p, &any, f->name);
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			repeated(p, f, base);
		else
			value(p, f, base + f->offset);
	}
	close_bracket(p, '}', any);
}

void state_msg_json(struct strbuf *b, const ProtobufCMessage *msg, unsigned int indent)
{
	struct printer p = { .b = b, .indent = indent };

	message(&p, msg);
}

void state_value_json(struct strbuf *b, const ProtobufCFieldDescriptor *f, const void *v)
{
	struct printer p = { .b = b };

	value(&p, f, v);
}

void state_record_json(struct strbuf *b, const struct state_dump_record *rec, unsigned int indent)
{
	struct printer p = { .b = b, .indent = indent };
	bool any = false;

	open_bracket(&p, '{');
	if (rec->roots) {
		member(&p, &any, "roots");
		strbuf_addc(b, '[');
		for (size_t i = 0; i < rec->nr_roots; i++)
			strbuf_addf(b, "%s%llu", i ? ", " : "", (unsigned long long)rec->roots[i]);
		strbuf_addc(b, ']');
	} else {
		member(&p, &any, "type");
		if (rec->type)
			strbuf_addf(b, "\"%s\"", rec->type->name);
		else
			strbuf_addf(b, "%u", rec->type_id);
		member(&p, &any, "id");
		strbuf_addf(b, "%llu", (unsigned long long)rec->id);
		member(&p, &any, rec->msg ? "fields" : "error");
		if (rec->msg)
			message(&p, rec->msg);
		else
			string(&p, rec->why ? rec->why : "unknown type");
	}
	close_bracket(&p, '}', any);
}
