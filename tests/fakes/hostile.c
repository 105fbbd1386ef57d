/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "fake_platform.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/time.h"
#include "sentry/mm/memfile.h"
#include "state/record.h"

#define DEPTH	 4
#define MAX_LIST 5

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static const uint32_t type_ids[] = {
#define STATE_TYPE(id, name) id,
#include "state/types.def"
#undef STATE_TYPE
};

const struct state_type *hostile_type(size_t i)
{
	return i < ARRAY_SIZE(type_ids) ? state_type_by_id(type_ids[i]) : NULL;
}

/* --- choices --- */

static uint64_t choose(struct hostile *h)
{
	uint64_t v = 0;

	if (h->n) {
		size_t take = MIN(h->n, (size_t)2);

		memcpy(&v, h->p, take);
		h->p += take;
		h->n -= take;
		return v;
	}
	/* xorshift64* */
	h->seed ^= h->seed >> 12;
	h->seed ^= h->seed << 25;
	h->seed ^= h->seed >> 27;
	return (h->seed * 0x2545f4914f6cdd1dull) >> 16;
}

uint64_t hostile_below(struct hostile *h, uint64_t n)
{
	return choose(h) % n;
}

static uint64_t number(struct hostile *h)
{
	switch (hostile_below(h, 10)) {
	case 0:
	case 1:
		return hostile_below(h, 4);
	case 2:
		return hostile_below(h, 70);
	case 3:
	case 4:
		return h->nr_ids ? 1 + hostile_below(h, h->nr_ids + 1) : 1;
	case 5:
		return 1ull << hostile_below(h, 64);
	case 6:
		return (1ull << hostile_below(h, 64)) - 1;
	case 7:
		return -hostile_below(h, 5000);
	case 8:
		return hostile_below(h, 5000) * 4096;
	default:
		return choose(h) << hostile_below(h, 50);
	}
}

/* --- wire format --- */

static void put_varint(struct strbuf *b, uint64_t v)
{
	while (v >= 0x80) {
		strbuf_addc(b, (char)(v | 0x80));
		v >>= 7;
	}
	strbuf_addc(b, (char)v);
}

static bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; *p < end && shift < 70; shift += 7) {
		uint8_t c = *(*p)++;

		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static void put_bytes(struct strbuf *b, uint32_t field, const void *p, size_t n)
{
	put_varint(b, (uint64_t)field << 3 | WIRE_BYTES);
	put_varint(b, n);
	strbuf_add(b, p, n);
}

/* --- messages from nothing --- */

static void message(struct hostile *h, const ProtobufCMessageDescriptor *d, struct strbuf *out, int depth);

static void text(struct hostile *h, const ProtobufCFieldDescriptor *f, struct strbuf *out)
{
	static const char *const names[] = { "", "/", "/proc", ".", "..", "a/b", "eth0", "tmpfs", "a", "%s%n", "\xff\xfe" };
	struct strbuf b = STRBUF_INIT;
	size_t n = hostile_below(h, 8) ? hostile_below(h, 40) : hostile_below(h, 70000);

	if (hostile_below(h, 2)) {
		const char *s = names[hostile_below(h, ARRAY_SIZE(names))];

		put_bytes(out, f->id, s, strlen(s));
		return;
	}
	for (size_t i = 0; i < n; i++)
		strbuf_addc(&b, n < 64 ? (char)choose(h) : (char)(i * n));
	put_bytes(out, f->id, b.data ? b.data : "", b.len);
	strbuf_done(&b);
}

static void field(struct hostile *h, const ProtobufCFieldDescriptor *f, struct strbuf *out, int depth)
{
	struct strbuf b = STRBUF_INIT;
	uint64_t v;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		if (depth < DEPTH)
			message(h, f->descriptor, &b, depth + 1);
		put_bytes(out, f->id, b.data ? b.data : "", b.len);
		strbuf_done(&b);
		return;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		text(h, f, out);
		return;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		v = htole64(number(h));
		put_varint(out, (uint64_t)f->id << 3 | WIRE_32);
		strbuf_add(out, &v, 4);
		return;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		v = htole64(number(h));
		put_varint(out, (uint64_t)f->id << 3 | WIRE_64);
		strbuf_add(out, &v, 8);
		return;
	default:
		put_varint(out, (uint64_t)f->id << 3 | WIRE_VARINT);
		put_varint(out, number(h));
		return;
	}
}

static void message(struct hostile *h, const ProtobufCMessageDescriptor *d, struct strbuf *out, int depth)
{
	uint64_t density = 1 + hostile_below(h, 4);

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		uint64_t n = hostile_below(h, 4) < density;

		if (n && f->label == PROTOBUF_C_LABEL_REPEATED)
			n = hostile_below(h, MAX_LIST);
		while (n--)
			field(h, f, out, depth);
	}
}

void hostile_message(struct hostile *h, const ProtobufCMessageDescriptor *d, struct strbuf *out)
{
	message(h, d, out, 0);
}

/* --- messages from messages --- */

struct part {
	const uint8_t *start, *body, *end; /* tag, what follows tag and length, end */
	const ProtobufCFieldDescriptor *f;
	unsigned wire;
};

/* The next field of a message this program's own writer made. */
static bool next_part(const ProtobufCMessageDescriptor *d, const uint8_t **p, const uint8_t *end, struct part *ret)
{
	uint64_t tag, n;

	ret->start = *p;
	if (*p == end || !get_varint(p, end, &tag))
		return false;
	ret->f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
	ret->body = *p;
	ret->wire = tag & 7;
	switch (ret->wire) {
	case WIRE_VARINT:
		if (!get_varint(p, end, &n))
			return false;
		break;
	case WIRE_BYTES:
		if (!get_varint(p, end, &n) || n > (size_t)(end - *p))
			return false;
		ret->body = *p;
		*p += n;
		break;
	default:
		n = ret->wire == WIRE_64 ? 8 : 4;
		if ((size_t)(end - *p) < n)
			return false;
		*p += n;
	}
	ret->end = *p;
	return ret->f != NULL;
}

/* A packed list of varints. */
static bool is_packed(const struct part *q)
{
	switch (q->f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return false;
	default:
		return q->wire == WIRE_BYTES;
	}
}

/* The numbers of a packed list, one of them changed. */
static void mutate_packed(struct hostile *h, const struct part *q, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	const uint8_t *p = q->body;
	uint64_t v, n = 0, at;

	while (get_varint(&p, q->end, &v))
		n++;
	at = n ? hostile_below(h, n) : 0;
	p = q->body;
	for (uint64_t i = 0; get_varint(&p, q->end, &v); i++)
		put_varint(&b, i == at ? number(h) : v);
	put_bytes(out, q->f->id, b.data ? b.data : "", b.len);
}

static void mutate_value(struct hostile *h, const struct part *q, struct strbuf *out)
{
	const uint8_t *p = q->body;
	uint64_t v;

	if (q->f->type == PROTOBUF_C_TYPE_MESSAGE) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

		hostile_mutate(h, q->f->descriptor, q->body, (size_t)(q->end - q->body), &b);
		put_bytes(out, q->f->id, b.data ? b.data : "", b.len);
	} else if (is_packed(q)) {
		mutate_packed(h, q, out);
	} else if (q->f->type == PROTOBUF_C_TYPE_BYTES && q->end > q->body && hostile_below(h, 2)) {
		size_t n = (size_t)(q->end - q->body), at = hostile_below(h, n);
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

		strbuf_add(&b, q->body, n);
		b.data[at] = (char)number(h);
		put_bytes(out, q->f->id, b.data, n - (hostile_below(h, 4) ? 0 : hostile_below(h, n)));
	} else if (q->wire == WIRE_VARINT && hostile_below(h, 3) == 0 && get_varint(&p, q->end, &v)) {
		/* near what it was */
		strbuf_add(out, q->start, (size_t)(q->body - q->start));
		put_varint(out, v + hostile_below(h, 5) - 2);
	} else {
		field(h, q->f, out, 0);
	}
}

void hostile_mutate(struct hostile *h, const ProtobufCMessageDescriptor *d, const void *p_, size_t len, struct strbuf *out)
{
	const uint8_t *p = p_, *end = p + len;
	uint64_t n = 0, at;
	struct part q;

	while (next_part(d, &p, end, &q))
		n++;
	at = n ? hostile_below(h, n) : 0;
	p = p_;
	for (uint64_t i = 0; next_part(d, &p, end, &q); i++) {
		size_t size = (size_t)(q.end - q.start);

		if (i != at) {
			strbuf_add(out, q.start, size);
			continue;
		}
		switch (hostile_below(h, 8)) {
		case 0:
			break;
		case 1:
			strbuf_add(out, q.start, size);
			strbuf_add(out, q.start, size);
			break;
		default:
			mutate_value(h, &q, out);
		}
	}
	if (d->n_fields && (!n || hostile_below(h, 4) == 0))
		field(h, &d->fields[hostile_below(h, d->n_fields)], out, 0);
}

/* --- images --- */

static void image_end(struct record_writer *w, struct state_out *o, uint64_t root, struct strbuf *out)
{
	unsigned char ids[8];

	put_le64(ids, root);
	if (record_write(w, RECORD_TYPE_ROOTS, 0, ids, sizeof(ids), NULL) < 0 || record_writer_finish(w, NULL) < 0)
		abort();
	record_writer_free(w);
	strbuf_add(out, o->mem, o->size);
	free(o->mem);
}

void hostile_image_of(struct hostile *h, const struct state_type *t, struct strbuf *out)
{
	struct state_out o = { .fd = -1, .name = "hostile" };
	struct strbuf b = STRBUF_INIT;
	struct record_writer *w;

	h->nr_ids = 1 + ARRAY_SIZE(type_ids);
	if (record_writer_new(&o, 1, &w, NULL) < 0)
		abort();
	hostile_message(h, t->desc, &b);
	if (record_write(w, t->id, 1, b.data ? b.data : "", b.len, NULL) < 0)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(type_ids); i++) {
		/* the kernel is one object */
		const struct state_type *u = type_ids[i] == STATE_ID_kernel ? hostile_type(0) : hostile_type(i);

		if (record_write(w, u->id, i + 2, "", 0, NULL) < 0)
			abort();
	}
	strbuf_done(&b);
	image_end(w, &o, 1, out);
}

static size_t type_index(uint32_t id)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(type_ids) && type_ids[i] != id)
		i++;
	return i;
}

/* A type, and how many objects of it come before the one: an image has a hundred times more dentries than control groups. */
struct choice {
	uint32_t type;
	uint64_t before;
};

static struct choice choose_record(struct hostile *h, const uint64_t *count)
{
	uint64_t i = hostile_below(h, ARRAY_SIZE(type_ids));

	while (!count[i])
		i = (i + 1) % ARRAY_SIZE(type_ids);
	return (struct choice){ type_ids[i], hostile_below(h, count[i]) };
}

bool hostile_image_from(struct hostile *h, const void *p, size_t len, unsigned nr, struct strbuf *out)
{
	struct state_in in = { .fd = -1, .name = "real", .mem = p, .len = len };
	struct state_out o = { .fd = -1, .name = "hostile" };
	struct record_reader *rd = NULL;
	struct choice at[16];
	uint64_t total = 0, root = 0, count[ARRAY_SIZE(type_ids)] = { 0 };
	struct record_writer *w;
	struct record rec;
	int r = record_reader_new(&in, &record_default_limits, &rd, NULL);

	while (r >= 0 && (r = record_read(rd, &rec, NULL)) > 0) {
		if (rec.type == RECORD_TYPE_ROOTS && rec.len >= 8)
			root = get_le64(rec.data);
		else if (rec.type != RECORD_TYPE_ROOTS && type_index(rec.type) < ARRAY_SIZE(type_ids))
			total++, count[type_index(rec.type)]++;
	}
	record_reader_free(rd);
	if (r < 0 || !total)
		return false;
	h->nr_ids = total;
	nr = MIN(nr, (unsigned)ARRAY_SIZE(at));
	for (unsigned i = 0; i < nr; i++)
		at[i] = choose_record(h, count);
	in = (struct state_in){ .fd = -1, .name = "real", .mem = p, .len = len };
	if (record_reader_new(&in, &record_default_limits, &rd, NULL) < 0 || record_writer_new(&o, 1, &w, NULL) < 0)
		abort();
	while (record_read(rd, &rec, NULL) > 0) {
		const struct state_type *t = rec.type == RECORD_TYPE_ROOTS ? NULL : state_type_by_id(rec.type);
		struct strbuf b = STRBUF_INIT;

		if (rec.type == RECORD_TYPE_ROOTS)
			continue;
		strbuf_add(&b, rec.data, rec.len);
		for (unsigned i = 0; i < nr && t; i++)
			if (at[i].type == rec.type && at[i].before-- == 0) {
				struct strbuf c = STRBUF_INIT;

				hostile_mutate(h, t->desc, b.data, b.len, &c);
				strbuf_done(&b);
				b = c;
			}
		if (record_write(w, rec.type, rec.id, b.data ? b.data : "", b.len, NULL) < 0)
			abort();
		strbuf_done(&b);
	}
	record_reader_free(rd);
	image_end(w, &o, root, out);
	return true;
}

/* --- loading --- */

struct kernel *hostile_kernel(void)
{
	static struct kernel k;

	if (the_kernel)
		return the_kernel;
	mutex_init(&k.tasks_mu, "kernel.tasks_mu");
	mutex_init(&k.freeze_mu, "kernel.freeze_mu");
	cond_init(&k.exit_cv);
	cond_init(&k.freeze_cv);
	list_init(&k.groups);
	list_init(&k.containers);
	list_init(&k.kthreads);
	list_init(&k.deferred);
	list_init(&k.deferred_tasks);
	k.cfg.nr_cpus = 2;
	k.cfg.total_memory = 1ull << 30;
	k.pops = &fake_platform_ops;
	the_kernel = &k;
	ktimer_freeze();
	if (k.pops->new(&k.plat, NULL) < 0 || memfile_new(&k.mf) < 0)
		abort();
	k.pops->caps(k.plat, &k.pcaps);
	k.root_pid_ns = pid_ns_new(NULL);
	if (!k.root_pid_ns)
		abort();
	return &k;
}

/* What checkpoint_load() does next, as far as it starts no thread; and what was accepted can be saved again, unless an object objects. */
static int complete(struct state_reader *r, struct kernel *k, struct error **err)
{
	struct state_root root = { &kernel_state_type, k };
	struct state_writer *w = NULL;
	void *obj = NULL;
	int x;

	if (!state_reader_nr_roots(r) || state_reader_root(r, 0, &kernel_state_type, &obj, NULL) < 0 || !obj)
		return 0; /* a part of a kernel */
	x = seccomp_restore(k);
	if (x >= 0)
		x = keys_restore();
	if (x >= 0)
		x = cgroup_after_restore(k);
	if (x < 0)
		return error_set(err, x, "cannot be completed");
	if (state_writer_new(-1, NULL, &w, NULL) < 0)
		abort();
	if (state_writer_save_roots(w, &root, 1, NULL) >= 0 && state_writer_finish(w, NULL, NULL) < 0)
		abort();
	state_writer_free(w);
	return 0;
}

int hostile_load(const void *p, size_t len, struct error **err)
{
	const struct state_opts o = {
		.ctx = hostile_kernel(),
		.max_record = 8 << 20,
		.max_total = 64 << 20,
		.max_memory = 256 << 20,
		.max_objects = 100000,
	};
	struct state_reader *r = NULL;
	int x = state_reader_new(-1, p, len, &o, &r, err);

	if (x >= 0)
		x = state_reader_load(r, err);
	if (x >= 0)
		x = complete(r, o.ctx, err);
	/* Of a successful load too the objects are left alone: tearing half a kernel down is no restore's business. */
	if (x < 0)
		state_reader_free(r);
	return x;
}
