/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: the standard pair (a fid that is read or written) and our one-message forms.
 *
 * Visible: user.*, POSIX ACLs, and security.capability for reading (execve in the Sentry needs it). Everything else of the host
 * (labels, trusted.*) does not exist for the sandbox, and only user.* and ACLs can be changed.
 */
#include "gofer/server/internal.h"

#include <string.h>
#include <sys/xattr.h>

static bool starts(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static bool is_acl(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default");
}

static bool is_visible(const char *name)
{
	return starts(name, "user.") || is_acl(name) || !strcmp(name, "security.capability");
}

static int copy_xattr_name(const struct p9_str *s, char *dst)
{
	if (s->len > P9_NAME_MAX)
		return -ERANGE;
	if (!s->len || memchr(s->s, '\0', s->len))
		return -EINVAL;
	memcpy(dst, s->s, s->len);
	dst[s->len] = '\0';
	return 0;
}

static int check_writable_name(const char *name)
{
	if (starts(name, "user.") || is_acl(name))
		return 0;
	return starts(name, "security.") || starts(name, "trusted.") ? -EPERM : -EOPNOTSUPP;
}

/* Value of @name into @buf; returns its length or a negative errno. */
static ssize_t get_value(const struct node *n, const char *name, uint8_t *buf, size_t size)
{
	ssize_t len;

	if (!is_visible(name))
		return starts(name, "trusted.") || starts(name, "security.") ? -ENODATA : -EOPNOTSUPP;
	len = getxattr(node_name(n).s, name, buf, size);
	return len < 0 ? -errno : len;
}

/* Visible names into @buf; returns their length or a negative errno. */
static ssize_t list_names(const struct node *n, uint8_t *buf, size_t size)
{
	_cleanup_free_ char *all = malloc(GOFER_XATTR_MAX);
	ssize_t len;
	size_t out = 0;

	if (!all)
		return -ENOMEM;
	len = listxattr(node_name(n).s, all, GOFER_XATTR_MAX);
	if (len < 0)
		return -errno;
	for (ssize_t i = 0; i < len;) {
		size_t l = strnlen(all + i, (size_t)(len - i)) + 1;

		if (is_visible(all + i)) {
			if (size && l > size - out)
				return -ERANGE;
			if (size)
				memcpy(buf + out, all + i, l);
			out += l;
		}
		i += (ssize_t)l;
	}
	return (ssize_t)out;
}

int gofer_txattrwalk(struct req *q)
{
	const struct p9_txattrwalk *t = &q->t.txattrwalk;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid), *made = NULL;
	_cleanup_free_ struct xattr_io *x = calloc(1, sizeof(*x) + GOFER_XATTR_MAX);
	struct xattr_io *fit;
	ssize_t n;
	int r;

	if (!f)
		return -EBADF;
	if (!x)
		return -ENOMEM;
	if (t->name.len) {
		r = copy_xattr_name(&t->name, x->name);
		n = r < 0 ? r : get_value(f->node, x->name, x->data, GOFER_XATTR_MAX);
	} else {
		n = list_names(f->node, x->data, GOFER_XATTR_MAX);
	}
	if (n < 0)
		return (int)n;
	x->size = (uint32_t)n;
	fit = realloc(x, sizeof(*x) + (size_t)n);
	x = fit ?: x;
	r = fid_new(f->node, &made);
	if (r < 0)
		return r;
	made->xattr = TAKE_PTR(x);
	q->r.rxattrwalk.size = (uint64_t)n;
	return fid_insert(q->g, t->newfid, made);
}

int gofer_txattrcreate(struct req *q)
{
	const struct p9_txattrcreate *t = &q->t.txattrcreate;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid), *made = NULL;
	_cleanup_free_ struct xattr_io *x = NULL;
	int r;

	if (!f)
		return -EBADF;
	if (t->size > GOFER_XATTR_MAX)
		return -E2BIG;
	if (t->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	r = node_writable(f->node);
	if (r < 0)
		return r;
	x = calloc(1, sizeof(*x) + t->size);
	if (!x)
		return -ENOMEM;
	r = copy_xattr_name(&t->name, x->name);
	if (r == 0)
		r = check_writable_name(x->name);
	if (r == 0)
		r = fid_new(f->node, &made);
	if (r < 0)
		return r;
	x->write = true;
	x->flags = (int)t->flags;
	x->size = (uint32_t)t->size;
	made->xattr = TAKE_PTR(x);
	/* The fid stops being the file and becomes the attribute. */
	(void)fid_put(fid_remove(q->g, t->fid));
	return fid_insert(q->g, t->fid, made);
}

int xattr_commit(struct fid *f)
{
	const struct xattr_io *x = f->xattr;

	if (!x || !x->write)
		return 0;
	mutex_guard(&f->mu);
	if (x->done != x->size)
		return -EINVAL; /* not all that was announced came */
	/* How Linux's client removes an attribute. */
	if (!x->size && x->flags == XATTR_REPLACE)
		return removexattr(node_name(f->node).s, x->name) < 0 ? -errno : 0;
	return setxattr(node_name(f->node).s, x->name, x->data, x->size, x->flags) < 0 ? -errno : 0;
}

/* Room for a one-message answer of at most @size bytes, read straight into the reply. */
static size_t answer_room(const struct req *q, uint32_t size, uint8_t **at)
{
	*at = q->out + P9_HDR_SIZE + 4 + 4;
	return MIN((size_t)size, q->cap - (P9_HDR_SIZE + 4 + 4));
}

int gofer_tgetxattr(struct req *q)
{
	const struct p9_tgetxattr *t = &q->t.tgetxattr;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	char name[P9_NAME_MAX + 1];
	uint8_t *at;
	size_t room = answer_room(q, t->size, &at);
	ssize_t n;
	int r;

	if (!f)
		return -EBADF;
	r = copy_xattr_name(&t->name, name);
	if (r < 0)
		return r;
	n = get_value(f->node, name, at, room);
	if (n < 0)
		return (int)n;
	q->r.rgetxattr.size = (uint32_t)n;
	q->r.rgetxattr.data = (struct p9_data){ at, room ? (uint32_t)n : 0 };
	return 0;
}

int gofer_tlistxattr(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.tlistxattr.fid);
	uint8_t *at;
	size_t room = answer_room(q, q->t.tlistxattr.size, &at);
	ssize_t n;

	if (!f)
		return -EBADF;
	n = list_names(f->node, at, room);
	if (n < 0)
		return (int)n;
	q->r.rlistxattr.size = (uint32_t)n;
	q->r.rlistxattr.data = (struct p9_data){ at, room ? (uint32_t)n : 0 };
	return 0;
}

static int change_begin(struct req *q, uint32_t num, const struct p9_str *s, char *name, struct fid **ret)
{
	int r;

	*ret = fid_get(q->g, num);
	if (!*ret)
		return -EBADF;
	r = copy_xattr_name(s, name);
	if (r == 0)
		r = check_writable_name(name);
	return r < 0 ? r : node_writable((*ret)->node);
}

int gofer_tsetxattr(struct req *q)
{
	const struct p9_tsetxattr *t = &q->t.tsetxattr;
	_cleanup_fid_ struct fid *f = NULL;
	char name[P9_NAME_MAX + 1];
	int r = change_begin(q, t->fid, &t->name, name, &f);

	if (r < 0)
		return r;
	if (t->data.len > GOFER_XATTR_MAX)
		return -E2BIG;
	return setxattr(node_name(f->node).s, name, t->data.p, t->data.len, (int)t->flags) < 0 ? -errno : 0;
}

int gofer_tremovexattr(struct req *q)
{
	const struct p9_tremovexattr *t = &q->t.tremovexattr;
	_cleanup_fid_ struct fid *f = NULL;
	char name[P9_NAME_MAX + 1];
	int r = change_begin(q, t->fid, &t->name, name, &f);

	if (r < 0)
		return r;
	return removexattr(node_name(f->node).s, name) < 0 ? -errno : 0;
}
