/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in words. Dentries and mounts of an image may form cycles: every climb counts its steps, and a path that gets too
 * long ends in "...".
 */
#include <string.h>

#include "runsc/image/image.h"
#include "schemas/file.pb-c.h"
#include "schemas/mount.pb-c.h"
#include "schemas/pid.pb-c.h"
#include "schemas/task.pb-c.h"
#include "schemas/vfs.pb-c.h"

bool climb_add(struct climb *c, const char *name)
{
	if (c->n == CLIMB_MAX) {
		c->cut = true;
		return false;
	}
	c->names[c->n++] = name;
	return true;
}

void climb_print(const struct climb *c, struct strbuf *b)
{
	strbuf_adds(b, c->cut ? "..." : "");
	for (size_t i = c->n; i-- > 0;) {
		strbuf_addc(b, '/');
		strbuf_adds(b, c->names[i]);
	}
}

/* Adds the names from @dentry up to, and not including, @stop or the root of the file system. */
static void climb_dentries(struct image *im, struct climb *c, uint64_t dentry, uint64_t stop)
{
	const Sentry__Dentry *d;

	while (dentry != stop && (d = IMAGE_GET(im, dentry, dentry, Dentry)) && d->parent) {
		if (!climb_add(c, d->name))
			return;
		dentry = d->parent;
	}
}

static void print(const struct climb *c, struct strbuf *b)
{
	climb_print(c, b);
	if (!c->n && !c->cut)
		strbuf_addc(b, '/');
}

void name_dentry(struct image *im, uint64_t dentry, struct strbuf *b)
{
	struct climb c = {.n = 0};

	climb_dentries(im, &c, dentry, 0);
	print(&c, b);
}

void name_path(struct image *im, uint64_t mount, uint64_t dentry, struct strbuf *b)
{
	struct climb c = {.n = 0};

	for (int depth = 0; depth < CLIMB_MAX && !c.cut; depth++) {
		const Sentry__Mount *m = IMAGE_GET(im, mount, mount, Mount);

		climb_dentries(im, &c, dentry, m ? m->root : 0);
		if (!m || !m->parent)
			break;
		dentry = m->mountpoint;
		mount = m->parent;
	}
	print(&c, b);
}

void name_file(struct image *im, uint64_t file, struct strbuf *b)
{
	const Sentry__FileBase *f = IMAGE_PART(im, file, file_base, FileBase);
	const Sentry__Dentry *d = f && f->path ? IMAGE_GET(im, f->path->dentry, dentry, Dentry) : NULL;

	if (!f || !d) {
		strbuf_adds(b, image_type_name(im, file));
	} else if (d->disconnected) {
		strbuf_addf(b, "/%s", d->name);
		strbuf_adds(b, " (deleted)");
	} else {
		name_path(im, f->path->mount, f->path->dentry, b);
		if (!d->hashed && d->parent)
			strbuf_adds(b, " (deleted)");
	}
}

int32_t name_pid(struct image *im, uint64_t pid)
{
	const Sentry__Pid *p = IMAGE_GET(im, pid, pid, Pid);

	return p && p->n_nr ? p->nr[0] : 0;
}

int32_t name_group_pid(struct image *im, uint64_t tg)
{
	const Sentry__ThreadGroup *g = IMAGE_GET(im, tg, thread_group, ThreadGroup);

	return g ? name_pid(im, g->pid) : 0;
}

static void quoted(struct strbuf *b, const char *sep, const void *s, size_t len)
{
	strbuf_adds(b, sep);
	text_quote(b, s, len);
}

void name_object(struct image *im, uint64_t id, struct strbuf *b)
{
	const struct catalog_record *rec = catalog_at(im->cat, id);
	const ProtobufCMessage *m = catalog_msg(im->cat, id, NULL);
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;

	if (!rec)
		strbuf_adds(b, "missing");
	else
		strbuf_adds(b, image_type_name(im, id));
	if (!m)
		return;
	switch (rec->type_id) {
	case STATE_ID_task: {
		const Sentry__Task *t = (const void *)m;

		strbuf_addf(b, " %d", name_pid(im, t->pid));
		quoted(b, " ", t->comm.data, t->comm.len);
		return;
	}
	case STATE_ID_thread_group:
		strbuf_addf(b, " %d", name_group_pid(im, id));
		return;
	case STATE_ID_pid:
		strbuf_addf(b, " %d", name_pid(im, id));
		return;
	case STATE_ID_container:
		quoted(b, " ", ((const Sentry__Container *)m)->id, strlen(((const Sentry__Container *)m)->id));
		return;
	case STATE_ID_dentry:
		name_dentry(im, id, &path);
		break;
	case STATE_ID_mount:
		name_path(im, id, ((const Sentry__Mount *)m)->root, &path);
		break;
	default: {
		const Sentry__SuperBlockBase *sb = IMAGE_PART(im, id, super_block_base, SuperBlockBase);
		const Sentry__InodeBase *i = IMAGE_PART(im, id, inode_base, InodeBase);
		const Sentry__FileBase *f = IMAGE_PART(im, id, file_base, FileBase);

		if (sb)
			strbuf_adds(&path, sb->type);
		else if (i)
			strbuf_addf(&path, "ino %llu", (unsigned long long)i->ino);
		else if (f && f->path && f->path->dentry)
			name_file(im, id, &path);
	}
	}
	if (path.len)
		quoted(b, " ", path.data, path.len);
}
