/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See catalog.h. Packed messages are kept one behind the other; the file's limit on the sum of records (state_opts.max_total)
 * bounds that, and the budget of unpacked messages what is made of them.
 */
#include "state/catalog.h"

#include <stdio.h>
#include <string.h>

#include "state/json.h"
#include "state/message.h"
#include "state/record.h"

#define MAX_OBJECTS ((uint64_t)16 << 20)
#define MAX_MEMORY ((uint64_t)8 << 30)
#define MAX_ROOTS 65536

struct item {
	struct catalog_record rec;
	size_t off;
	ProtobufCMessage *msg;
	uint64_t next; /* id of the next of its type */
};

struct type_list {
	uint32_t type_id;
	uint64_t first, last;
};

struct catalog {
	struct message_budget budget;
	ProtobufCAllocator alloc;
	struct item *items; /* [id - 1] */
	size_t nr, cap;
	unsigned char *bytes;
	size_t len, bytes_cap;
	struct type_list *types;
	size_t nr_types;
	uint64_t *roots;
	size_t nr_roots;
	char why[160];
};

struct loading {
	struct catalog *c;
	const char *name;
	state_lookup_fn lookup;
	uint64_t max_objects;
	catalog_note_fn note;
	void *arg;
};

static struct type_list *type_list(const struct catalog *c, uint32_t type_id)
{
	for (size_t i = 0; i < c->nr_types; i++)
		if (c->types[i].type_id == type_id)
			return &c->types[i];
	return NULL;
}

/* Room for @n more elements of @size bytes; false when out of memory. */
static bool grow(void **p, size_t *cap, size_t used, size_t n, size_t size, size_t min)
{
	size_t want = *cap ? *cap : min, total;
	void *q;

	if (n <= *cap - used)
		return true;
	while (want - used < n)
		if (mul_overflow(want, (size_t)2, &want))
			return false;
	if (mul_overflow(want, size, &total))
		return false;
	q = realloc(*p, total);
	if (!q)
		return false;
	*p = q;
	*cap = want;
	return true;
}

/* Adds the item to the list of its type. A hostile file may name many types: unknown ones share one list, which nobody asks for. */
static bool link_type(struct catalog *c, struct item *it)
{
	uint32_t type_id = it->rec.type ? it->rec.type_id : UINT32_MAX;
	struct type_list *l = type_list(c, type_id);

	if (!l) {
		struct type_list *q = reallocarray(c->types, c->nr_types + 1, sizeof(*q));

		if (!q)
			return false;
		c->types = q;
		l = &q[c->nr_types++];
		*l = (struct type_list){ .type_id = type_id };
	}
	if (l->last)
		c->items[l->last - 1].next = it->rec.id;
	else
		l->first = it->rec.id;
	l->last = it->rec.id;
	return true;
}

static int add_roots(struct loading *l, const struct record *rec, struct error **err)
{
	struct catalog *c = l->c;
	size_t n = rec->len / 8;

	if (c->roots || rec->id || rec->len % 8 || n > MAX_ROOTS)
		return error_msg(err, -EINVAL, "%s: bad list of roots", l->name);
	c->roots = calloc(n + 1, sizeof(*c->roots));
	if (!c->roots)
		return error_set(err, -ENOMEM, "cannot read %s", l->name);
	for (size_t i = 0; i < n; i++)
		c->roots[i] = get_le64(rec->data + i * 8);
	c->nr_roots = n;
	return 0;
}

static int add(struct loading *l, const struct record *rec, struct error **err)
{
	struct catalog *c = l->c;
	struct item *it;

	if (c->roots)
		return error_msg(err, -EINVAL, "%s: record after the list of roots", l->name);
	if (rec->id != c->nr + 1)
		return error_msg(err, -EINVAL, "%s: record %zu has id %llu: ids are not 1, 2, 3 ...", l->name, c->nr + 1,
				 (unsigned long long)rec->id);
	if (c->nr >= l->max_objects)
		return error_msg(err, -EFBIG, "%s holds more than %zu objects", l->name, c->nr);
	if (!grow((void **)&c->items, &c->cap, c->nr, 1, sizeof(*c->items), 256) ||
	    !grow((void **)&c->bytes, &c->bytes_cap, c->len, rec->len, 1, 65536))
		return error_set(err, -ENOMEM, "cannot read %s", l->name);
	it = &c->items[c->nr++];
	*it = (struct item){ .rec = { rec->id, rec->type, l->lookup(rec->type), rec->len }, .off = c->len };
	if (rec->len)
		memcpy(c->bytes + c->len, rec->data, rec->len);
	c->len += rec->len;
	if (!link_type(c, it))
		return error_set(err, -ENOMEM, "cannot read %s", l->name);
	return 0;
}

static int read_all(struct loading *l, struct record_reader *r, struct error **err)
{
	struct record rec;
	int x;

	while ((x = record_read(r, &rec, err)) > 0) {
		x = rec.type == RECORD_TYPE_ROOTS ? add_roots(l, &rec, err) : add(l, &rec, err);
		if (x < 0)
			return x;
	}
	if (x < 0)
		return x;
	if (!l->c->roots)
		return error_msg(err, -EINVAL, "%s: no list of roots", l->name);
	return 0;
}

/* Says now what looking at the records one by one would say later. */
static void check_all(struct loading *l)
{
	const char *why;

	for (uint64_t id = 1; id <= l->c->nr; id++) {
		if (!catalog_msg(l->c, id, &why))
			l->note(l->arg, id, why);
		catalog_drop(l->c, id);
	}
}

int catalog_read(int fd, const void *mem, size_t len, const struct state_opts *o, catalog_note_fn note, void *arg,
		 struct catalog **ret, struct error **err)
{
	static const struct state_opts none;
	struct catalog *c = calloc(1, sizeof(*c));
	struct record_limits lim = record_default_limits;
	struct record_reader *r = NULL;
	struct loading l = { .c = c, .note = note, .arg = arg };
	struct state_in in;
	int x;

	o = o ? o : &none;
	l.name = o->name ? o->name : "kernel.img";
	if (!c)
		return error_set(err, -ENOMEM, "cannot read %s", l.name);
	l.lookup = o->lookup ? o->lookup : state_type_by_id;
	l.max_objects = o->max_objects ? o->max_objects : MAX_OBJECTS;
	c->budget.left = o->max_memory ? o->max_memory : MAX_MEMORY;
	message_allocator(&c->budget, &c->alloc);
	lim.max_record = o->max_record ? o->max_record : lim.max_record;
	lim.max_total = o->max_total ? o->max_total : lim.max_total;
	in = (struct state_in){ .fd = fd >= 0 ? fd : -1, .name = l.name, .mem = mem, .len = len };
	x = record_reader_new(&in, &lim, &r, err);
	if (x >= 0)
		x = read_all(&l, r, err);
	record_reader_free(r);
	if (x < 0) {
		catalog_free(c);
		return x;
	}
	if (note)
		check_all(&l);
	*ret = c;
	return 0;
}

struct catalog *catalog_free(struct catalog *c)
{
	if (!c)
		return NULL;
	for (uint64_t id = 1; id <= c->nr; id++)
		catalog_drop(c, id);
	free(c->items);
	free(c->bytes);
	free(c->types);
	free(c->roots);
	free(c);
	return NULL;
}

uint64_t catalog_count(const struct catalog *c)
{
	return c->nr;
}

const struct catalog_record *catalog_at(const struct catalog *c, uint64_t id)
{
	return id && id <= c->nr ? &c->items[id - 1].rec : NULL;
}

const ProtobufCMessage *catalog_msg(struct catalog *c, uint64_t id, const char **ret_why)
{
	const char *why = NULL;
	struct item *it = id && id <= c->nr ? &c->items[id - 1] : NULL;

	if (!it)
		why = "there is no such object";
	else if (!it->rec.type)
		why = "unknown type: written by a newer build";
	if (!why && !it->msg) {
		it->msg = message_unpack(it->rec.type->desc, &c->alloc, &c->budget, c->bytes + it->off, it->rec.len, c->why,
					 sizeof(c->why));
		why = it->msg ? NULL : c->why;
	}
	if (why && ret_why)
		*ret_why = why;
	return why ? NULL : it->msg;
}

void catalog_drop(struct catalog *c, uint64_t id)
{
	struct item *it = id && id <= c->nr ? &c->items[id - 1] : NULL;

	if (!it || !it->msg)
		return;
	protobuf_c_message_free_unpacked(it->msg, &c->alloc);
	it->msg = NULL;
}

uint64_t catalog_next(const struct catalog *c, uint32_t type_id, uint64_t id)
{
	const struct type_list *l = id ? NULL : type_list(c, type_id);

	if (!id)
		return l ? l->first : 0;
	return id <= c->nr ? c->items[id - 1].next : 0;
}

const uint64_t *catalog_roots(const struct catalog *c, size_t *ret_n)
{
	*ret_n = c->nr_roots;
	return c->roots;
}

void catalog_json(struct catalog *c, uint64_t id, struct strbuf *b, unsigned int indent)
{
	const struct catalog_record *rec = catalog_at(c, id);
	struct state_dump_record d = { .id = id };

	if (rec) {
		d.type_id = rec->type_id;
		d.type = rec->type;
		d.len = rec->len;
	}
	d.msg = catalog_msg(c, id, &d.why);
	state_record_json(b, &d, indent);
}

bool catalog_same(const struct catalog *a, uint64_t id_a, const struct catalog *b, uint64_t id_b)
{
	const struct item *x = &a->items[id_a - 1], *y = &b->items[id_b - 1];

	return x->rec.type_id == y->rec.type_id && x->rec.len == y->rec.len &&
	       (!x->rec.len || !memcmp(a->bytes + x->off, b->bytes + y->off, x->rec.len));
}
