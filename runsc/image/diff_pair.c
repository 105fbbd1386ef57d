/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object of one image is which of the other. Ids say nothing: they count references in the order of saving. So, first,
 * objects that have a name of their own in the guest's eyes (pid, inode number, path, mount id...) are paired by it; then pairs
 * are followed: what two paired objects refer to by the same field are a pair, if they are of one type and have no other name.
 */
#include <string.h>

#include "runsc/image/diff.h"
#include "schemas/cgroup.pb-c.h"
#include "schemas/file.pb-c.h"
#include "schemas/ipc.pb-c.h"
#include "schemas/job.pb-c.h"
#include "schemas/keys.pb-c.h"
#include "schemas/mqueue.pb-c.h"
#include "schemas/task.pb-c.h"
#include "schemas/tty.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "state/refs.h"

/* --- names --- */

static uint64_t dev_of(struct image *im, uint64_t sb)
{
	const Sentry__SuperBlockBase *s = IMAGE_PART(im, sb, super_block_base, SuperBlockBase);

	return s ? s->dev : 0;
}

/* Namespaces are named by their inode number. */
static const uint64_t *field_ino(const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "ino");

	return f && f->type == PROTOBUF_C_TYPE_UINT64 && f->label != PROTOBUF_C_LABEL_REPEATED ?
		       (const uint64_t *)((const char *)m + f->offset) :
		       NULL;
}

static void name_by_part(struct image *im, uint64_t id, const ProtobufCMessage *m, struct strbuf *b)
{
	const Sentry__InodeBase *i = IMAGE_PART(im, id, inode_base, InodeBase);
	const Sentry__SuperBlockBase *sb = IMAGE_PART(im, id, super_block_base, SuperBlockBase);
	const Sentry__IpcObj *o = IMAGE_PART(im, id, ipc_obj, IpcObj);
	const uint64_t *ino = field_ino(m);

	if (i)
		strbuf_addf(b, "ino %llu %llu", (unsigned long long)dev_of(im, i->sb), (unsigned long long)i->ino);
	else if (sb)
		strbuf_addf(b, "dev %llu", (unsigned long long)sb->dev);
	else if (o)
		strbuf_addf(b, "ipc %d", o->id);
	else if (ino && *ino)
		strbuf_addf(b, "ns %llu", (unsigned long long)*ino);
}

/* What the object is called in the guest, after its type; nothing when it has no name. */
static void own_name(struct image *im, uint64_t id, struct strbuf *b)
{
	const struct catalog_record *rec = catalog_at(im->cat, id);
	const ProtobufCMessage *m = catalog_msg(im->cat, id, NULL);
	uint64_t pid = 0;

	if (!m)
		return;
	switch (rec->type_id) {
	case STATE_ID_pid:
		pid = id;
		break;
	case STATE_ID_task:
		pid = ((const Sentry__Task *)m)->pid;
		break;
	case STATE_ID_thread_group:
		pid = ((const Sentry__ThreadGroup *)m)->pid;
		break;
	case STATE_ID_session:
		pid = ((const Sentry__Session *)m)->id;
		break;
	case STATE_ID_pgrp:
		pid = ((const Sentry__Pgrp *)m)->id;
		break;
	case STATE_ID_container:
		strbuf_addf(b, "id %s", ((const Sentry__Container *)m)->id);
		return;
	case STATE_ID_mount:
		strbuf_addf(b, "mount %u", ((const Sentry__Mount *)m)->id);
		return;
	case STATE_ID_key:
		strbuf_addf(b, "serial %d", ((const Sentry__Key *)m)->serial);
		return;
	case STATE_ID_cgroup:
		strbuf_addf(b, "cgroup %llu", (unsigned long long)((const Sentry__Cgroup *)m)->id);
		return;
	case STATE_ID_mqueue:
		strbuf_addf(b, "queue %s", ((const Sentry__Mqueue *)m)->name);
		return;
	case STATE_ID_tty:
		strbuf_addf(b, "tty %u %llu", ((const Sentry__Tty *)m)->index,
			    (unsigned long long)dev_of(im, ((const Sentry__Tty *)m)->sb));
		return;
	case STATE_ID_dentry: {
		const Sentry__Dentry *d = (const void *)m;
		const Sentry__InodeBase *i = IMAGE_PART(im, d->inode, inode_base, InodeBase);

		if (!i || (d->parent && !d->hashed))
			return;
		strbuf_addf(b, "path %llu ", (unsigned long long)dev_of(im, i->sb));
		name_dentry(im, id, b);
		return;
	}
	default:
		name_by_part(im, id, m, b);
		return;
	}
	if (name_pid(im, pid))
		strbuf_addf(b, "pid %d", name_pid(im, pid));
}

struct name {
	char *text; /* type and name */
	uint64_t id;
};

struct names {
	struct name *v;
	size_t nr;
};

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->v[i].text);
	free(n->v);
}

static int by_text(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int r = strcmp(x->text, y->text);

	return r ? r : x->id < y->id ? -1 : x->id > y->id;
}

static int names_load(struct image *im, struct names *n)
{
	n->v = calloc(catalog_count(im->cat) + 1, sizeof(*n->v));
	if (!n->v)
		return -ENOMEM;
	for (uint64_t id = 1; id <= catalog_count(im->cat); id++) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
		size_t head;

		strbuf_addf(&b, "%s ", image_type_name(im, id));
		head = b.len;
		own_name(im, id, &b);
		if (strbuf_error(&b) < 0)
			return -ENOMEM;
		if (b.len > head)
			n->v[n->nr++] = (struct name){strbuf_take(&b), id};
	}
	qsort(n->v, n->nr, sizeof(*n->v), by_text);
	return 0;
}

/* --- pairs --- */

struct pairer {
	struct pairing *p;
	unsigned char *named_a, *named_b; /* has a name of its own: only that pairs it */
	uint64_t *queue; /* ids of @a to be followed */
	size_t head, tail;
};

static void add_pair(struct pairer *q, uint64_t a, uint64_t b)
{
	struct pairing *p = q->p;

	if (p->to_b[a] || p->to_a[b])
		return;
	p->to_b[a] = b;
	p->to_a[b] = a;
	q->queue[q->tail++] = a;
}

static void pair_named(struct pairer *q, const struct names *a, const struct names *b)
{
	size_t i = 0, k = 0;

	for (size_t n = 0; n < a->nr; n++)
		q->named_a[a->v[n].id] = 1;
	for (size_t n = 0; n < b->nr; n++)
		q->named_b[b->v[n].id] = 1;
	while (i < a->nr && k < b->nr) {
		int r = strcmp(a->v[i].text, b->v[k].text);

		if (r == 0)
			add_pair(q, a->v[i].id, b->v[k].id);
		i += r <= 0;
		k += r >= 0;
	}
}

static int collect(void *arg, const struct ref_use *u)
{
	struct names *n = arg;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct name *v = reallocarray(n->v, n->nr + 1, sizeof(*v));
	int64_t key;

	if (!v)
		return -ENOMEM;
	n->v = v;
	if (u->path->up && u->path->up->index != SIZE_MAX && element_key(u->in, &key))
		strbuf_addf(&b, "%s{%lld}.%s", u->path->up->name, (long long)key, u->path->name);
	else
		refs_path_print(&b, u->path);
	if (strbuf_error(&b) < 0)
		return -ENOMEM;
	n->v[n->nr++] = (struct name){strbuf_take(&b), u->id};
	return 0;
}

/* Pairs what two paired objects refer to by the same fields. */
static int follow(struct pairer *q, uint64_t a)
{
	_cleanup_(names_done) struct names ra = {0}, rb = {0};
	struct pairing *p = q->p;
	const ProtobufCMessage *ma = catalog_msg(p->a->cat, a, NULL), *mb = catalog_msg(p->b->cat, p->to_b[a], NULL);
	size_t i = 0, k = 0;

	if (!ma || !mb)
		return 0;
	if (refs_walk(ma, collect, &ra) < 0 || refs_walk(mb, collect, &rb) < 0)
		return -ENOMEM;
	if (!ra.nr || !rb.nr)
		return 0;
	qsort(ra.v, ra.nr, sizeof(*ra.v), by_text);
	qsort(rb.v, rb.nr, sizeof(*rb.v), by_text);
	while (i < ra.nr && k < rb.nr) {
		int r = strcmp(ra.v[i].text, rb.v[k].text);
		const struct catalog_record *x = catalog_at(p->a->cat, ra.v[i].id), *y = catalog_at(p->b->cat, rb.v[k].id);

		if (r == 0 && x && y && x->type && x->type == y->type && !q->named_a[x->id] && !q->named_b[y->id])
			add_pair(q, x->id, y->id);
		i += r <= 0;
		k += r >= 0;
	}
	return 0;
}

static void pair_roots(struct pairer *q)
{
	size_t na, nb;
	const uint64_t *a = catalog_roots(q->p->a->cat, &na), *b = catalog_roots(q->p->b->cat, &nb);

	for (size_t i = 0; i < MIN(na, nb); i++) {
		const struct catalog_record *x = catalog_at(q->p->a->cat, a[i]), *y = catalog_at(q->p->b->cat, b[i]);

		if (x && y && x->type == y->type)
			add_pair(q, x->id, y->id);
	}
}

static void pairer_done(struct pairer *q)
{
	free(q->named_a);
	free(q->named_b);
	free(q->queue);
}

int pair_objects(struct image *a, struct image *b, struct pairing *ret, struct error **err)
{
	uint64_t na = catalog_count(a->cat) + 1, nb = catalog_count(b->cat) + 1;
	_cleanup_(names_done) struct names names_a = {0}, names_b = {0};
	_cleanup_(pairer_done) struct pairer q = {
		.p = ret,
		.named_a = calloc(na, 1),
		.named_b = calloc(nb, 1),
		.queue = calloc(na, sizeof(*q.queue)),
	};
	int r = -ENOMEM;

	*ret = (struct pairing){.a = a, .b = b, .to_b = calloc(na, sizeof(uint64_t)), .to_a = calloc(nb, sizeof(uint64_t))};
	if (ret->to_b && ret->to_a && q.named_a && q.named_b && q.queue)
		r = names_load(a, &names_a);
	if (r == 0)
		r = names_load(b, &names_b);
	if (r == 0) {
		pair_roots(&q);
		pair_named(&q, &names_a, &names_b);
		while (r == 0 && q.head < q.tail)
			r = follow(&q, q.queue[q.head++]);
	}
	return r < 0 ? error_set(err, r, "cannot compare objects") : 0;
}

void pairing_done(struct pairing *p)
{
	free(p->to_a);
	free(p->to_b);
	p->to_a = p->to_b = NULL;
}
