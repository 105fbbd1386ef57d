/* SPDX-License-Identifier: Apache-2.0 */
/* Two messages of one type, field by field. */
#include <string.h>

#include "runsc/image/diff.h"
#include "state/json.h"
#include "state/refs.h"

struct compare {
	const struct pairing *p;
	field_diff_fn fn;
	void *arg;
	struct strbuf path;
	bool failed;
};

static void value_json(struct strbuf *b, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	size_t n;
	const char *v;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		state_value_json(b, f, base + f->offset);
		return;
	}
	n = *(const size_t *)(base + f->quantifier_offset);
	v = *(char *const *)(base + f->offset);
	strbuf_addc(b, '[');
	for (size_t i = 0; i < n; i++) {
		strbuf_adds(b, i ? ", " : "");
		state_value_json(b, f, v + i * state_value_size(f));
	}
	strbuf_addc(b, ']');
}

/* Tells of the path as it stands. */
static void tell(struct compare *c, struct strbuf *a, struct strbuf *b)
{
	if (strbuf_error(&c->path) < 0 || (a && strbuf_error(a) < 0) || (b && strbuf_error(b) < 0))
		c->failed = true;
	else
		c->fn(c->arg, c->path.data, a ? a->data : NULL, b ? b->data : NULL);
}

static void path_cut(struct compare *c, size_t len)
{
	if (!c->path.data)
		return;
	c->path.len = len;
	c->path.data[len] = '\0';
}

static bool same_ref(const struct compare *c, uint64_t a, uint64_t b)
{
	return a && a <= catalog_count(c->p->a->cat) ? c->p->to_b[a] == b && b : a == b;
}

static bool same_value(const struct compare *c, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
		       const char *a, const char *b)
{
	const ProtobufCBinaryData *x, *y;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !strcmp(*(char *const *)a, *(char *const *)b);
	case PROTOBUF_C_TYPE_BYTES:
		x = (const void *)a;
		y = (const void *)b;
		return x->len == y->len && (!x->len || !memcmp(x->data, y->data, x->len));
	case PROTOBUF_C_TYPE_UINT64:
		if (refs_target(d, f))
			return same_ref(c, *(const uint64_t *)a, *(const uint64_t *)b);
		return *(const uint64_t *)a == *(const uint64_t *)b;
	default:
		return !memcmp(a, b, state_value_size(f));
	}
}

static void compare_messages(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b);

/* A sub-message that one or both have. */
static void compare_subs(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	if (a && b) {
		compare_messages(c, a, b);
	} else if (a || b) {
		state_msg_json(&text, a ? a : b, 0);
		tell(c, a ? &text : NULL, b ? &text : NULL);
	}
}

bool element_key(const ProtobufCMessage *m, int64_t *ret)
{
	static const char *const keys[] = {"fd", "start", "id", "wd"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, keys[i]);
		const char *v = f ? (const char *)m + f->offset : NULL;

		if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (f->type == PROTOBUF_C_TYPE_UINT64)
			*ret = (int64_t) * (const uint64_t *)v;
		else if (f->type == PROTOBUF_C_TYPE_INT32 || f->type == PROTOBUF_C_TYPE_UINT32)
			*ret = *(const int32_t *)v;
		else
			continue;
		return true;
	}
	return false;
}

struct element {
	int64_t key;
	size_t index;
	const ProtobufCMessage *m;
};

static int by_key(const void *a, const void *b)
{
	const struct element *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct element *elements(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t *ret_n, bool *ret_keyed)
{
	const char *base = (const char *)m;
	size_t n = *(const size_t *)(base + f->quantifier_offset);
	ProtobufCMessage *const *v = *(ProtobufCMessage *const *const *)(base + f->offset);
	struct element *e = calloc(n + 1, sizeof(*e));

	*ret_keyed = false;
	for (size_t i = 0; e && i < n; i++) {
		e[i] = (struct element){(int64_t)i, i, v[i]};
		*ret_keyed = element_key(v[i], &e[i].key);
	}
	if (e)
		qsort(e, n, sizeof(*e), by_key);
	*ret_n = n;
	return e;
}

static void compare_elements(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b,
			     const ProtobufCFieldDescriptor *f)
{
	size_t na, nb, i = 0, k = 0, len = c->path.len;
	bool keyed, keyed_b;
	_cleanup_free_ struct element *ea = elements(a, f, &na, &keyed), *eb = elements(b, f, &nb, &keyed_b);

	if (!ea || !eb) {
		c->failed = true;
		return;
	}
	while (i < na || k < nb) {
		bool has_a = i < na && (k == nb || ea[i].key <= eb[k].key);
		bool has_b = k < nb && (i == na || eb[k].key <= ea[i].key);
		long long key = has_a ? ea[i].key : eb[k].key;

		strbuf_addf(&c->path, keyed || keyed_b ? "{%lld}" : "[%lld]", key);
		compare_subs(c, has_a ? ea[i].m : NULL, has_b ? eb[k].m : NULL);
		path_cut(c, len);
		i += has_a;
		k += has_b;
	}
}

static void compare_repeated(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b,
			     const ProtobufCFieldDescriptor *f)
{
	_cleanup_strbuf_ struct strbuf ta = STRBUF_INIT, tb = STRBUF_INIT;
	size_t na = *(const size_t *)((const char *)a + f->quantifier_offset);
	size_t nb = *(const size_t *)((const char *)b + f->quantifier_offset);
	const char *va = *(char *const *)((const char *)a + f->offset), *vb = *(char *const *)((const char *)b + f->offset);
	bool same = na == nb;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		compare_elements(c, a, b, f);
		return;
	}
	for (size_t i = 0; i < na && same; i++)
		same = same_value(c, a->descriptor, f, va + i * state_value_size(f), vb + i * state_value_size(f));
	if (same)
		return;
	value_json(&ta, a, f);
	value_json(&tb, b, f);
	tell(c, &ta, &tb);
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
	       *(const uint32_t *)((const char *)m + f->quantifier_offset) == f->id;
}

static void compare_field(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b,
			  const ProtobufCFieldDescriptor *f)
{
	_cleanup_strbuf_ struct strbuf ta = STRBUF_INIT, tb = STRBUF_INIT;
	const char *va = (const char *)a + f->offset, *vb = (const char *)b + f->offset;
	bool has_a = is_set(a, f), has_b = is_set(b, f);

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		compare_repeated(c, a, b, f);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		compare_subs(c, has_a ? *(ProtobufCMessage *const *)va : NULL, has_b ? *(ProtobufCMessage *const *)vb : NULL);
	} else if (has_a != has_b || (has_a && !same_value(c, a->descriptor, f, va, vb))) {
		if (has_a)
			value_json(&ta, a, f);
		if (has_b)
			value_json(&tb, b, f);
		tell(c, has_a ? &ta : NULL, has_b ? &tb : NULL);
	}
}

static void compare_messages(struct compare *c, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	for (unsigned int i = 0; i < a->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &a->descriptor->fields[i];
		size_t len = c->path.len;

		strbuf_addf(&c->path, "%s%s", len ? "." : "", f->name);
		compare_field(c, a, b, f);
		path_cut(c, len);
	}
}

int diff_fields(const struct pairing *p, uint64_t id_a, uint64_t id_b, field_diff_fn fn, void *arg)
{
	const ProtobufCMessage *a = catalog_msg(p->a->cat, id_a, NULL), *b = catalog_msg(p->b->cat, id_b, NULL);
	struct compare c = {.p = p, .fn = fn, .arg = arg};

	if (!a || !b || a->descriptor != b->descriptor)
		return 0;
	compare_messages(&c, a, b);
	strbuf_done(&c.path);
	return c.failed ? -ENOMEM : 0;
}
