/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object writer.
 *
 * Objects get ids 1, 2, 3 ... in the order in which they are first referred to, and are saved in that order from a queue, so
 * save() never recurses, records are in id order, and the bytes depend on the object graph only (not on addresses). The first
 * failure is kept and ends everything. Memory for messages is an arena that is reset after each record.
 *
 * save() functions do not check state_zalloc(): when memory is out they get a big reserved zero block and the save fails after
 * they return.
 */
#include <protobuf-c/protobuf-c.h>
#include <assert.h>
#include <sys/mman.h>

#include "base/htab.h"
#include "base/log.h"
#include "state/digest.h"
#include "state/image.h"
#include "state/record.h"

#define ARENA_CHUNK ((size_t)64 << 10)
#define RESERVE ((size_t)1 << 30)
#define MAX_OBJECTS ((uint64_t)16 << 20)

#ifdef RUNSC_DEBUG_CHECKS
static const bool debug_checks = true;
#else
static const bool debug_checks = false;
#endif

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used;
	_Alignas(16) unsigned char data[];
};

struct queued {
	const struct state_type *type;
	const void *obj;
};

struct state_writer {
	struct state_opts o;
	struct state_out out;
	struct digest digest; /* of what went out */
	struct record_writer *rec;
	struct htab ids; /* object address -> id */
	struct queued *queue; /* [id - 1] */
	size_t nr, cap, done;
	uint64_t *roots;
	size_t nr_roots;
	struct arena_chunk *arena; /* the first chunk is kept */
	void *reserve; /* address space only, until memory runs out */
	size_t reserve_len;
	unsigned char *packed;
	size_t packed_cap;
	const struct queued *current; /* being saved */
	bool finished;
	struct error *err;
};

#define writer_fail(w, errnum, ...)                                                                                              \
	({                                                                                                                     \
		if (!(w)->err)                                                                                                 \
			error_msg(&(w)->err, errnum, __VA_ARGS__);                                                             \
		(w)->err->code;                                                                                                \
	})

static int report(const struct state_writer *w, struct error **err)
{
	return w->err ? error_msg(err, w->err->code, "%s", error_text(w->err)) : 0;
}

int state_writer_new(int fd, const struct state_opts *o, struct state_writer **ret, struct error **err)
{
	struct state_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, -ENOMEM, "cannot save");
	if (o)
		w->o = *o;
	w->o.name = w->o.name ? w->o.name : "kernel.img";
	w->o.lookup = w->o.lookup ? w->o.lookup : state_type_by_id;
	w->o.level = w->o.level ? w->o.level : 1;
	w->o.max_objects = w->o.max_objects ? w->o.max_objects : MAX_OBJECTS;
	w->out.fd = fd >= 0 ? fd : -1;
	w->out.name = w->o.name;
	digest_begin(&w->digest);
	w->out.digest = &w->digest;
	/* Hosts that never overcommit charge it in full, hence the second try. */
	for (w->reserve_len = RESERVE; w->reserve_len >= RESERVE / 16; w->reserve_len /= 16) {
		w->reserve = mmap(NULL, w->reserve_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (w->reserve != MAP_FAILED)
			break;
		w->reserve = NULL;
	}
	if (!w->reserve) {
		state_writer_free(w);
		return error_set(err, -ENOMEM, "cannot save");
	}
	r = record_writer_new(&w->out, w->o.level, &w->rec, err);
	if (r < 0) {
		state_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

static void arena_reset(struct state_writer *w)
{
	struct arena_chunk *first = NULL;

	while (w->arena) {
		struct arena_chunk *c = w->arena;

		w->arena = c->next;
		if (!w->arena && c->size == ARENA_CHUNK)
			first = c;
		else
			free(c);
	}
	if (first) {
		first->next = NULL;
		first->used = 0;
	}
	w->arena = first;
}

/* More than any image can hold and than the reserve could stand in for: save() would run past its end. */
static _Noreturn void too_much(size_t n, size_t size)
{
	log_error("state: a message asks for %zu * %zu bytes", n, size);
	abort();
}

void *state_zalloc(struct state_writer *w, size_t n, size_t size)
{
	struct arena_chunk *c = w->arena;
	size_t len;
	void *p;

	if (mul_overflow(n, size, &len) || len > SIZE_MAX / 2)
		too_much(n, size);
	len = ALIGN_UP(MAX(len, (size_t)1), 16);
	if (!c || len > c->size - c->used) {
		size_t cap = MAX(len, ARENA_CHUNK);

		c = malloc(sizeof(*c) + cap);
		if (!c && len > w->reserve_len)
			too_much(n, size);
		if (!c) {
			(void)writer_fail(w, -ENOMEM, "cannot save: out of memory");
			return w->reserve;
		}
		c->size = cap;
		c->used = 0;
		/* A chunk for one big block goes behind the current one, which still has room. */
		if (w->arena && cap > ARENA_CHUNK) {
			c->next = w->arena->next;
			w->arena->next = c;
		} else {
			c->next = w->arena;
			w->arena = c;
		}
	}
	p = c->data + c->used;
	c->used += len;
	return memset(p, 0, len);
}

char *state_strdup(struct state_writer *w, const char *s)
{
	size_t n = s ? strlen(s) : 0;
	char *p = state_zalloc(w, n + 1, 1);

	if (n)
		memcpy(p, s, n);
	return p;
}

void *state_new_msg(struct state_writer *w, const ProtobufCMessageDescriptor *desc)
{
	void *m = state_zalloc(w, 1, desc->sizeof_message);

	protobuf_c_message_init(desc, m);
	return m;
}

void *state_writer_ctx(struct state_writer *w)
{
	return w->o.ctx;
}

int state_save_check(struct state_writer *w, bool ok, const char *what)
{
	if (ok)
		return 0;
	if (!w->current)
		return writer_fail(w, -EINVAL, "%s", what);
	return writer_fail(w, -EINVAL, "%s %zu: %s", w->current->type->name, (size_t)(w->done + 1), what);
}

static bool queue_grow(struct state_writer *w)
{
	size_t cap = w->cap ? w->cap * 2 : 256;
	struct queued *q;

	if (w->nr < w->cap)
		return true;
	q = realloc(w->queue, cap * sizeof(*q));
	if (!q)
		return false;
	/* current points into the queue */
	if (w->current)
		w->current = q + w->done;
	w->queue = q;
	w->cap = cap;
	return true;
}

uint64_t state_ref(struct state_writer *w, const struct state_type *t, const void *obj)
{
	uint64_t id;

	if (!obj || w->err)
		return 0;
	id = (uintptr_t)htab_get(&w->ids, (uintptr_t)obj);
	if (id) {
		if (w->queue[id - 1].type != t)
			(void)writer_fail(w, -EINVAL, "object %llu is referred to both as %s and as %s", (unsigned long long)id,
					  w->queue[id - 1].type->name, t->name);
		return id;
	}
	if (w->o.lookup(t->id) != t) {
		(void)writer_fail(w, -EINVAL, "type %s (%u) is not in state/types.def", t->name, t->id);
		return 0;
	}
	if (w->nr >= w->o.max_objects) {
		(void)writer_fail(w, -EFBIG, "cannot save more than %zu objects", w->nr);
		return 0;
	}
	id = w->nr + 1;
	if (!queue_grow(w) || htab_put(&w->ids, (uintptr_t)obj, (void *)(uintptr_t)id) < 0) {
		(void)writer_fail(w, -ENOMEM, "cannot save: out of memory");
		return 0;
	}
	w->queue[w->nr++] = (struct queued){ t, obj };
	return id;
}

static int pack_and_write(struct state_writer *w, uint64_t id, const struct state_type *t, const ProtobufCMessage *m,
			  size_t *ret_len)
{
	size_t len;

	if (!protobuf_c_message_check(m))
		return writer_fail(w, -EINVAL, "%s %llu: save() left an invalid message (uninitialised sub-message?)", t->name,
				   (unsigned long long)id);
	len = protobuf_c_message_get_packed_size(m);
	if (len > record_default_limits.max_record)
		return writer_fail(w, -EFBIG, "%s %llu: message of %zu bytes is over the limit", t->name,
				   (unsigned long long)id, len);
	if (len > w->packed_cap || !w->packed) {
		free(w->packed);
		w->packed_cap = ALIGN_UP(len + 1, 65536);
		w->packed = malloc(w->packed_cap);
		if (!w->packed) {
			w->packed_cap = 0;
			return writer_fail(w, -ENOMEM, "cannot save: out of memory");
		}
	}
	*ret_len = len = protobuf_c_message_pack(m, w->packed);
	return record_write(w->rec, t->id, id, w->packed, len, &w->err);
}

/* Debug builds: saves the object again: save() is read-only and repeatable, so the bytes must be the same. */
static void check_repeatable(struct state_writer *w, uint64_t id, const struct state_type *t, const void *obj, size_t len)
{
	_cleanup_free_ unsigned char *again = NULL;
	size_t nr = w->nr;
	ProtobufCMessage *m;

	arena_reset(w);
	m = state_new_msg(w, t->desc);
	if (t->save(w, obj, m) < 0 || w->err)
		return;
	if (protobuf_c_message_get_packed_size(m) == len)
		again = malloc(len + 1);
	if (again)
		protobuf_c_message_pack(m, again);
	if (!again || memcmp(again, w->packed, len) || w->nr != nr)
		log_warn("state: %s %llu: save() gives other bytes when called again", t->name, (unsigned long long)id);
}

static int save_one(struct state_writer *w)
{
	const struct state_type *t = w->queue[w->done].type;
	const void *obj = w->queue[w->done].obj;
	ProtobufCMessage *m;
	size_t len = 0;
	int r;

	w->current = &w->queue[w->done];
	arena_reset(w);
	m = state_new_msg(w, t->desc);
	r = w->err ? w->err->code : t->save(w, obj, m);
	if (!w->err && r < 0)
		r = writer_fail(w, r, "%s %zu: cannot be saved: %s", t->name, w->done + 1, strerror(-r));
	if (!w->err)
		r = pack_and_write(w, w->done + 1, t, m, &len);
	if (debug_checks && !w->err)
		check_repeatable(w, w->done + 1, t, obj, len);
	w->current = NULL;
	w->done++;
	return w->err ? w->err->code : r;
}

int state_writer_save_roots(struct state_writer *w, const struct state_root *roots, size_t n, struct error **err)
{
	uint64_t *ids;
	size_t total;

	assert(!w->current && !w->finished);
	if (w->err)
		return report(w, err);
	if (add_overflow(w->nr_roots, n, &total))
		return error_set(err, -EOVERFLOW, "cannot save");
	ids = reallocarray(w->roots, total + 1, sizeof(*ids));
	if (!ids) {
		(void)writer_fail(w, -ENOMEM, "cannot save: out of memory");
		return report(w, err);
	}
	w->roots = ids;
	for (size_t i = 0; i < n; i++)
		ids[w->nr_roots++] = htole64(state_ref(w, roots[i].type, roots[i].obj));
	while (!w->err && w->done < w->nr)
		(void)save_one(w);
	return report(w, err);
}

int state_writer_finish(struct state_writer *w, struct state_stats *ret, struct error **err)
{
	int r;

	assert(!w->finished);
	if (w->err)
		return report(w, err);
	w->finished = true;
	r = record_write(w->rec, RECORD_TYPE_ROOTS, 0, w->roots, w->nr_roots * sizeof(*w->roots), &w->err);
	if (r >= 0)
		r = record_writer_finish(w->rec, &w->err);
	if (r < 0)
		return report(w, err);
	if (ret)
		*ret = (struct state_stats){
			.objects = w->nr,
			.raw_bytes = record_writer_raw_bytes(w->rec),
			.file_bytes = w->out.size,
			.file_crc = w->out.crc,
		};
	if (ret) {
		ret->has_digest = true;
		digest_end(&w->digest, ret->file_digest);
	}
	return 0;
}

char **state_writer_types(const struct state_writer *w)
{
	const struct state_type *last = NULL;
	size_t n = 0, cap = 16;
	char **v = calloc(cap, sizeof(*v));

	for (size_t i = 0; v && i < w->nr; i++) {
		const struct state_type *t = w->queue[i].type;
		size_t k = 0;

		while (t != last && k < n && v[k] != t->name)
			k++;
		if (t == last || k < n)
			continue;
		last = t;
		if (n + 1 == cap) {
			char **more = reallocarray(v, cap *= 2, sizeof(*v));

			if (!more) {
				free(v);
				return NULL;
			}
			v = more;
		}
		v[n++] = (char *)(uintptr_t)t->name;
		v[n] = NULL;
	}
	return v;
}

const void *state_writer_memory(const struct state_writer *w, size_t *ret_len)
{
	*ret_len = w->out.fd < 0 ? (size_t)w->out.size : 0;
	return w->out.mem;
}

struct state_writer *state_writer_free(struct state_writer *w)
{
	if (!w)
		return NULL;
	arena_reset(w);
	free(w->arena);
	if (w->reserve)
		munmap(w->reserve, w->reserve_len);
	record_writer_free(w->rec);
	htab_done(&w->ids);
	free(w->queue);
	free(w->roots);
	free(w->packed);
	free(w->out.mem);
	error_free(w->err);
	free(w);
	return NULL;
}
