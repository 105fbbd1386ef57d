/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that make and drop fids: auth, attach, walk, walkgetattr, clunk. */
#include "gofer/server/internal.h"

#include <string.h>

int gofer_tauth(struct req *q)
{
	return -EOPNOTSUPP; /* the socket is the authentication */
}

static const struct gofer_export *find_export(const struct gofer *g, const struct p9_str *aname)
{
	for (size_t i = 0; i < g->nr_exports; i++)
		if (strlen(g->exports[i].aname) == aname->len && !memcmp(g->exports[i].aname, aname->s, aname->len))
			return &g->exports[i];
	return NULL;
}

int gofer_tattach(struct req *q)
{
	const struct p9_tattach *t = &q->t.tattach;
	const struct gofer_export *exp = find_export(q->g, &t->aname);
	_cleanup_node_ struct node *n = NULL;
	_cleanup_fid_ struct fid *f = NULL;
	struct p9_attr a;
	int fd, r;

	if (t->afid != P9_NOFID)
		return -EOPNOTSUPP;
	if (!exp)
		return -ENOENT;
	/* O_PATH again, so that an export given as an ordinary fd is not a way to do I/O. */
	fd = openat(q->g->proc_fd, node_name(&(struct node){ .fd = exp->fd }).s, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = node_new(exp, fd, &n);
	if (r == 0)
		r = node_attr(q->g, n, &a);
	if (r < 0)
		return r;
	q->r.rattach.qid = a.qid;
	r = fid_new(n, &f);
	if (r < 0)
		return r;
	f->uid = t->n_uname;
	return fid_insert(q->g, t->fid, f);
}

int gofer_twalk(struct req *q)
{
	const struct p9_twalk *t = &q->t.twalk;
	_cleanup_fid_ struct fid *from = fid_get(q->g, t->fid);
	_cleanup_fid_ struct fid *made = NULL;
	_cleanup_node_ struct node *parent = NULL, *n = NULL;
	struct p9_rwalk *m = &q->r.rwalk;
	char name[P9_NAME_MAX + 1] = "";
	int r = 0;

	if (!from)
		return -EBADF;
	m->qids.n = 0;
	n = node_get(from->node);
	for (size_t i = 0; i < t->names.n; i++) {
		struct node *next = NULL;
		struct p9_attr a;

		r = p9_copy_name(&t->names.v[i], name);
		if (r == 0)
			r = node_walk(n, name, &next);
		if (r < 0)
			break;
		node_putp(&parent);
		parent = n;
		n = next;
		r = node_attr(q->g, n, &a);
		if (r < 0)
			break;
		m->qids.v[m->qids.n++] = a.qid;
	}
	/* The first component's failure is the error; a later one's is a short answer without a new fid. */
	if (r < 0)
		return m->qids.n ? 0 : r;
	r = fid_new(n, &made);
	if (r == 0 && !q->g->ext && (parent || from->parent))
		r = parent ? fid_set_path(made, parent, name) : fid_set_path(made, from->parent, from->name);
	if (r < 0)
		return r;
	made->uid = from->uid;
	if (t->newfid == t->fid) {
		struct fid *old = fid_remove(q->g, t->fid);

		(void)fid_put(old);
	}
	return fid_insert(q->g, t->newfid, made);
}

int gofer_twalkgetattr(struct req *q)
{
	const struct p9_twalkgetattr *t = &q->t.twalkgetattr;
	_cleanup_fid_ struct fid *from = fid_get(q->g, t->fid);
	_cleanup_node_ struct node *n = NULL;
	struct p9_rwalkgetattr *m = &q->r.rwalkgetattr;
	int r = 0;

	if (!from)
		return -EBADF;
	m->attrs.n = 0;
	n = node_get(from->node);
	for (size_t i = 0; i < t->walks.n; i++) {
		_cleanup_node_ struct node *dir = TAKE_PTR(n);
		struct p9_attr *a = &m->attrs.v[i];
		char name[P9_NAME_MAX + 1];

		r = p9_copy_name(&t->walks.v[i].name, name);
		if (r < 0)
			break;
		if (t->walks.v[i].newfid == P9_NOFID && i + 1 == t->walks.n) {
			/* Only the attributes are wanted: no need to hold the file. */
			r = dir->type == S_IFDIR ? attr_at(q->g, dir->fd, name, a) : -ENOTDIR;
		} else {
			r = node_walk(dir, name, &n);
			if (r == 0)
				r = node_attr(q->g, n, a);
			if (r == 0)
				r = fid_add(q->g, t->walks.v[i].newfid, n);
		}
		if (r < 0)
			break;
		m->attrs.n++;
	}
	m->err = (uint32_t)-r;
	return 0;
}

int gofer_tclunk(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_remove(q->g, q->t.tclunk.fid);

	if (!f)
		return -EBADF;
	return xattr_commit(f);
}

int gofer_tclunkn(struct req *q)
{
	const struct p9_fids *v = &q->t.tclunkn.fids;
	int r = 0;

	for (size_t i = 0; i < v->n; i++) {
		struct fid *f = fid_remove(q->g, v->v[i]);

		if (!f)
			r = -EBADF;
		(void)fid_put(f);
	}
	return r;
}
