/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a place to its text. Linux: fs/d_path.c.
 *
 * Walks up with references, one lock at a time; a rename meanwhile may mix an old and a new name, as Linux retries to avoid and we
 * do not (DEVIATION). Checkpoint: stateless.
 */
#include <string.h>

#include "base/strbuf.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"

/* Text built from the end. */
struct rev {
	char *buf;
	size_t cap, start;
	int err;
};

static void rev_prepend(struct rev *b, const char *s, size_t len)
{
	if (b->err)
		return;
	if (len > b->start) {
		size_t used = b->cap - b->start, cap = (b->cap + len) * 2 + 256;
		char *n = malloc(cap);

		if (!n) {
			b->err = -ENOMEM;
			return;
		}
		if (used)
			memcpy(n + cap - used, b->buf + b->start, used);
		free(b->buf);
		b->buf = n;
		b->cap = cap;
		b->start = cap - used;
	}
	b->start -= len;
	memcpy(b->buf + b->start, s, len);
}

int path_text(const struct path *p, const struct path *root, bool deleted, struct strbuf *b)
{
	struct path cur = *p;
	struct rev rev = { 0 };
	bool gone, reached = false;

	path_get(&cur);
	mutex_lock(&cur.dentry->sb->d_mu);
	gone = !cur.dentry->hashed && !dentry_is_root(cur.dentry);
	mutex_unlock(&cur.dentry->sb->d_mu);
	for (;;) {
		struct dentry *d = cur.dentry, *parent;

		if (root && path_equal(&cur, root)) {
			reached = true;
			break;
		}
		if (d == cur.mnt->root) {
			if (mount_follow_up(&cur))
				continue;
			reached = !root;
			break;
		}
		if (dentry_is_root(d))
			break; /* outside the mount's root: not reachable */
		mutex_lock(&d->sb->d_mu);
		rev_prepend(&rev, d->name, d->name_len);
		rev_prepend(&rev, "/", 1);
		parent = dentry_get(d->parent);
		mutex_unlock(&d->sb->d_mu);
		cur.dentry = parent;
		dentry_put(d);
	}
	path_put(&cur);
	if (rev.start == rev.cap)
		rev_prepend(&rev, "/", 1);
	if (!rev.err)
		strbuf_add(b, rev.buf + rev.start, rev.cap - rev.start);
	free(rev.buf);
	if (rev.err)
		return rev.err;
	if (gone && deleted)
		strbuf_adds(b, " (deleted)");
	return strbuf_error(b) ?: (reached ? 0 : 1);
}

int dentry_text(struct dentry *d, struct strbuf *b)
{
	struct rev rev = { 0 };

	mutex_lock(&d->sb->d_mu);
	for (struct dentry *c = d; c->parent != c; c = c->parent) {
		rev_prepend(&rev, c->name, c->name_len);
		rev_prepend(&rev, "/", 1);
	}
	mutex_unlock(&d->sb->d_mu);
	if (rev.start == rev.cap)
		rev_prepend(&rev, "/", 1);
	if (!rev.err)
		strbuf_add(b, rev.buf + rev.start, rev.cap - rev.start);
	free(rev.buf);
	return rev.err ?: strbuf_error(b);
}
