/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object reader: the phases of state.h.
 *
 * The writer's ids are dense and its records are in id order, so the reader demands it: record n has id n. Duplicates, gaps and
 * reordering are refused while reading, and an id is an index. Nothing here trusts a byte: the record layer has checked
 * checksums, message.c limits memory and refuses unknown fields, references are checked by state_deref().
 *
 * On failure objects are abandoned, not released: half-loaded objects cannot be taken apart, and the process ends.
 */
#include "state/message.h"

#include <assert.h>
#include <stdio.h>

#include "state/image.h"
#include "state/record.h"

#define MAX_OBJECTS ((uint64_t)16 << 20)
#define MAX_MEMORY ((uint64_t)8 << 30)
#define MAX_ROOTS 65536

struct entry {
	const struct state_type *type;
	ProtobufCMessage *msg; /* until loaded */
	void *obj;
};

/* The part that reader and dump share: records to messages. */
struct source {
	struct state_opts o;
	struct state_in in;
	struct record_reader *rec;
	struct message_budget budget;
	ProtobufCAllocator alloc;
};

struct state_reader {
	struct source src;
	struct entry *entries; /* [id - 1] */
	size_t nr, cap;
	uint64_t *roots;
	size_t nr_roots;
	enum state_phase phase;
	size_t current; /* index of the object in load() or after_load() */
	uint64_t raw_bytes;
	struct error *err;
};

struct state_dump {
	struct source src;
	ProtobufCMessage *msg;
	uint64_t *roots;
	char why[160];
};

static int source_init(struct source *s, int fd, const void *mem, size_t len, const struct state_opts *o, struct error **err)
{
	struct record_limits lim = record_default_limits;

	if (o)
		s->o = *o;
	s->o.name = s->o.name ? s->o.name : "kernel.img";
	s->o.lookup = s->o.lookup ? s->o.lookup : state_type_by_id;
	s->o.max_objects = s->o.max_objects ? s->o.max_objects : MAX_OBJECTS;
	s->budget.left = s->o.max_memory ? s->o.max_memory : MAX_MEMORY;
	message_allocator(&s->budget, &s->alloc);
	if (s->o.max_record)
		lim.max_record = s->o.max_record;
	if (s->o.max_total)
		lim.max_total = s->o.max_total;
	s->in = (struct state_in){ .fd = fd >= 0 ? fd : -1, .name = s->o.name, .mem = mem, .len = len };
	return record_reader_new(&s->in, &lim, &s->rec, err);
}

/* Checks a roots record; ids in host order in malloc'd *@ret. */
static int parse_roots(const struct source *s, const struct record *rec, uint64_t **ret, size_t *ret_n, struct error **err)
{
	size_t n = rec->len / 8;
	uint64_t *v;

	if (rec->id || rec->len % 8 || n > MAX_ROOTS)
		return error_msg(err, -EINVAL, "%s: bad list of roots", s->o.name);
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return error_set(err, -ENOMEM, "cannot load %s", s->o.name);
	for (size_t i = 0; i < n; i++)
		v[i] = get_le64(rec->data + i * 8);
	*ret = v;
	*ret_n = n;
	return 0;
}

int state_reader_new(int fd, const void *mem, size_t len, const struct state_opts *o, struct state_reader **ret,
		     struct error **err)
{
	struct state_reader *r = calloc(1, sizeof(*r));
	int x;

	if (!r)
		return error_set(err, -ENOMEM, "cannot load");
	x = source_init(&r->src, fd, mem, len, o, err);
	if (x < 0) {
		state_reader_free(r);
		return x;
	}
	*ret = r;
	return 0;
}

/* Keeps the first failure: "<type> <id>: <why>". */
static int fail(struct state_reader *r, size_t index, int code, const char *why)
{
	if (!r->err && index < r->nr)
		error_msg(&r->err, code, "%s %zu: %s", r->entries[index].type->name, index + 1, why);
	else if (!r->err)
		error_msg(&r->err, code, "%s", why);
	return r->err->code;
}

static int entry_add(struct state_reader *r, const struct record *rec, struct error **err)
{
	const struct state_type *t = r->src.o.lookup(rec->type);
	char why[160];
	struct entry *e;

	if (!t)
		return error_msg(err, -EINVAL, "object %llu is of unknown type %u: written by a newer build",
				 (unsigned long long)rec->id, rec->type);
	if (rec->id != r->nr + 1)
		return error_msg(err, -EINVAL, "%s %llu: %s", t->name, (unsigned long long)rec->id,
				 rec->id && rec->id <= r->nr ? "duplicate id" : "id out of order");
	if (r->nr >= r->src.o.max_objects)
		return error_msg(err, -EFBIG, "%s holds more than %zu objects", r->src.o.name, r->nr);
	if (r->nr == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 256;

		e = reallocarray(r->entries, cap, sizeof(*e));
		if (!e)
			return error_set(err, -ENOMEM, "cannot load %s", r->src.o.name);
		r->entries = e;
		r->cap = cap;
	}
	e = &r->entries[r->nr];
	*e = (struct entry){ .type = t };
	e->msg = message_unpack(t->desc, &r->src.alloc, &r->src.budget, rec->data, rec->len, why, sizeof(why));
	if (!e->msg)
		return error_msg(err, -EINVAL, "%s %llu: %s", t->name, (unsigned long long)rec->id, why);
	r->nr++;
	return 0;
}

static int phase_read(struct state_reader *r, struct error **err)
{
	struct record rec;
	int x;

	r->phase = STATE_READ;
	while ((x = record_read(r->src.rec, &rec, err)) > 0) {
		r->raw_bytes += rec.len;
		if (r->roots)
			return error_msg(err, -EINVAL, "%s: record after the list of roots", r->src.o.name);
		x = rec.type == RECORD_TYPE_ROOTS ? parse_roots(&r->src, &rec, &r->roots, &r->nr_roots, err) :
						    entry_add(r, &rec, err);
		if (x < 0)
			return x;
	}
	if (x < 0)
		return x;
	if (!r->roots)
		return error_msg(err, -EINVAL, "%s: no list of roots", r->src.o.name);
	for (size_t i = 0; i < r->nr_roots; i++)
		if (r->roots[i] > r->nr)
			return error_msg(err, -EINVAL, "%s: root %zu does not exist", r->src.o.name, i);
	r->src.rec = record_reader_free(r->src.rec);
	return 0;
}

static int phase_alloc(struct state_reader *r)
{
	r->phase = STATE_ALLOC;
	for (size_t i = 0; i < r->nr; i++) {
		r->entries[i].obj = r->entries[i].type->alloc();
		if (!r->entries[i].obj)
			return fail(r, i, -ENOMEM, "out of memory");
	}
	return 0;
}

static int called(struct state_reader *r, size_t i, int x, const char *what)
{
	char why[128];

	/* A failed state_check() or state_deref() fails the object even if its caller lost the result. */
	if (r->err)
		return r->err->code;
	if (x >= 0)
		return 0;
	snprintf(why, sizeof(why), "%s: %s", what, strerror(-x));
	return fail(r, i, x, why);
}

static int phase_load(struct state_reader *r, bool late)
{
	r->phase = STATE_LOAD;
	for (size_t i = 0; i < r->nr; i++) {
		struct entry *e = &r->entries[i];
		int x;

		if (e->type->load_late != late)
			continue;
		r->current = i;
		x = called(r, i, e->type->load(r, e->obj, e->msg), "cannot be loaded");
		if (x < 0)
			return x;
		protobuf_c_message_free_unpacked(e->msg, &r->src.alloc);
		e->msg = NULL;
	}
	return 0;
}

static int phase_after(struct state_reader *r)
{
	r->phase = STATE_AFTER;
	for (int prio = 0; prio < STATE_PRIO_MAX; prio++) {
		for (size_t i = 0; i < r->nr; i++) {
			struct entry *e = &r->entries[i];
			int x;

			if ((int)e->type->prio != prio || !e->type->after_load)
				continue;
			r->current = i;
			x = called(r, i, e->type->after_load(r, e->obj), "cannot be completed");
			if (x < 0)
				return x;
		}
	}
	return 0;
}

static int failed(struct state_reader *r, int x, struct error **err)
{
	r->phase = STATE_FAILED;
	return error_msg(err, x, "%s", error_text(r->err));
}

int state_reader_begin(struct state_reader *r, struct error **err)
{
	int x;

	assert(r->phase == STATE_INIT);
	x = phase_read(r, &r->err);
	if (x >= 0)
		x = phase_alloc(r);
	if (x >= 0)
		x = phase_load(r, /* late= */ false);
	return x < 0 ? failed(r, x, err) : 0;
}

int state_reader_load(struct state_reader *r, struct error **err)
{
	int x = r->phase == STATE_INIT ? state_reader_begin(r, err) : 0;

	if (x < 0)
		return x;
	assert(r->phase == STATE_LOAD);
	x = phase_load(r, /* late= */ true);
	if (x >= 0)
		x = phase_after(r);
	if (x < 0)
		return failed(r, x, err);
	r->phase = STATE_DONE;
	return 0;
}

int state_deref_any(struct state_reader *r, uint64_t id, const struct state_type **ret_type, void **ret)
{
	struct entry *e;
	char why[64];

	assert(r->phase == STATE_LOAD || r->phase == STATE_AFTER);
	if (!id) {
		*ret_type = NULL;
		*ret = NULL;
		return 0;
	}
	if (id > r->nr) {
		snprintf(why, sizeof(why), "refers to object %llu, which does not exist", (unsigned long long)id);
		return fail(r, r->current, -EINVAL, why);
	}
	e = &r->entries[id - 1];
	if (e->type->get)
		e->type->get(e->obj);
	*ret_type = e->type;
	*ret = e->obj;
	return 0;
}

int state_deref(struct state_reader *r, uint64_t id, const struct state_type *t, void **ret)
{
	const struct state_type *got;
	char why[128];

	if (id && id <= r->nr && r->entries[id - 1].type != t) {
		snprintf(why, sizeof(why), "refers to object %llu as a %s, but it is a %s", (unsigned long long)id, t->name,
			 r->entries[id - 1].type->name);
		return fail(r, r->current, -EINVAL, why);
	}
	return state_deref_any(r, id, &got, ret);
}

int state_check(struct state_reader *r, bool ok, const char *what)
{
	return ok ? 0 : fail(r, r->current, -EINVAL, what);
}

void *state_reader_ctx(struct state_reader *r)
{
	return r->src.o.ctx;
}

int state_reader_root(struct state_reader *r, size_t n, const struct state_type *t, void **ret, struct error **err)
{
	struct entry *e;

	assert(r->phase == STATE_DONE);
	if (n >= r->nr_roots)
		return error_msg(err, -EINVAL, "%s has no root %zu", r->src.o.name, n);
	if (!r->roots[n]) {
		*ret = NULL;
		return 0;
	}
	e = &r->entries[r->roots[n] - 1];
	if (e->type != t)
		return error_msg(err, -EINVAL, "%s: root %zu is a %s, not a %s", r->src.o.name, n, e->type->name, t->name);
	if (t->get)
		t->get(e->obj);
	*ret = e->obj;
	return 0;
}

size_t state_reader_nr_roots(const struct state_reader *r)
{
	return r->nr_roots;
}

void *state_reader_next(const struct state_reader *r, const struct state_type *t, uint64_t *pos)
{
	while (*pos < r->nr) {
		const struct entry *e = &r->entries[(*pos)++];

		if (!t || e->type == t)
			return e->obj;
	}
	return NULL;
}

void state_reader_stats(const struct state_reader *r, struct state_stats *ret)
{
	*ret = (struct state_stats){
		.objects = r->nr,
		.raw_bytes = r->raw_bytes,
		.file_bytes = r->src.in.pos,
		.file_crc = r->src.in.crc,
	};
}

enum state_phase state_reader_phase(const struct state_reader *r)
{
	return r->phase;
}

struct state_reader *state_reader_free(struct state_reader *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->nr; i++) {
		struct entry *e = &r->entries[i];

		if (e->msg)
			protobuf_c_message_free_unpacked(e->msg, &r->src.alloc);
		if (r->phase == STATE_DONE && e->type->put)
			e->type->put(e->obj);
	}
	record_reader_free(r->src.rec);
	free(r->entries);
	free(r->roots);
	error_free(r->err);
	free(r);
	return NULL;
}

int state_dump_new(int fd, const void *mem, size_t len, const struct state_opts *o, struct state_dump **ret,
		   struct error **err)
{
	struct state_dump *d = calloc(1, sizeof(*d));
	int x;

	if (!d)
		return error_set(err, -ENOMEM, "cannot read");
	x = source_init(&d->src, fd, mem, len, o, err);
	if (x < 0) {
		state_dump_free(d);
		return x;
	}
	*ret = d;
	return 0;
}

static void dump_reset(struct state_dump *d)
{
	if (d->msg)
		protobuf_c_message_free_unpacked(d->msg, &d->src.alloc);
	d->msg = NULL;
	free(d->roots);
	d->roots = NULL;
}

int state_dump_next(struct state_dump *d, struct state_dump_record *ret, struct error **err)
{
	struct record rec;
	int x;

	dump_reset(d);
	x = record_read(d->src.rec, &rec, err);
	if (x <= 0)
		return x;
	*ret = (struct state_dump_record){ .type_id = rec.type, .id = rec.id, .len = rec.len };
	if (rec.type == RECORD_TYPE_ROOTS) {
		x = parse_roots(&d->src, &rec, &d->roots, &ret->nr_roots, err);
		ret->roots = d->roots;
		ret->type_id = 0;
		return x < 0 ? x : 1;
	}
	ret->type = d->src.o.lookup(rec.type);
	if (!ret->type)
		return 1;
	d->msg = message_unpack(ret->type->desc, &d->src.alloc, &d->src.budget, rec.data, rec.len, d->why, sizeof(d->why));
	ret->msg = d->msg;
	ret->why = d->msg ? NULL : d->why;
	return 1;
}

struct state_dump *state_dump_free(struct state_dump *d)
{
	if (!d)
		return NULL;
	dump_reset(d);
	record_reader_free(d->src.rec);
	free(d);
	return NULL;
}
