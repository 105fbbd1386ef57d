/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to directories: mkdir, mknod, symlink, link, rename, unlink, and unix sockets' nodes.
 *
 * A made node that is not a regular file can only be found again by name, so its owner is set after checking that what has
 * the name is of the type we made and belongs to us.
 */
#include "gofer/server/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* As owner: the user of the directory's fid, for the standard requests, which name none. No valid uid. */
#define FID_UID (P9_NOUID - 1)

/* What the creating requests share. */
struct make {
	struct fid *dir;
	char name[P9_NAME_MAX + 1];
};

static void make_done(struct make *m)
{
	(void)fid_put(m->dir);
}
#define _cleanup_make_ _cleanup_(make_done)

static int make_begin(struct req *q, uint32_t dfid, const struct p9_str *name, struct make *m)
{
	int r;

	m->dir = fid_get(q->g, dfid);
	if (!m->dir)
		return -EBADF;
	r = p9_copy_name(name, m->name);
	if (r < 0)
		return r;
	if (m->dir->node->type != S_IFDIR)
		return -ENOTDIR;
	return node_writable(m->dir->node);
}

static int own_new_node(struct req *q, const struct node *n, uint32_t type, uint32_t mode, uint32_t uid, uint32_t gid,
			struct p9_attr *a)
{
	int r = node_attr(q->g, n, a);

	if (r < 0)
		return r;
	if (n->type != type || (type != S_IFDIR && a->nlink != 1))
		return -ESTALE; /* replaced between making and finding it */
	if ((uid == P9_NOUID || uid == a->uid) && (gid == P9_NOUID || gid == a->gid))
		return 0;
	if (fchownat(n->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == EINVAL || (errno == EPERM && q->g->rootless))
			return 0;
		return -errno;
	}
	if ((mode & 06000) && type != S_IFLNK &&
	    fchmodat(q->g->proc_fd, node_name(n).s, a->mode & 07777, 0) < 0)
		return -errno;
	return node_attr(q->g, n, a);
}

/* Finds the new node, gives it its owner, answers its attributes and, unless NOFID, a fid. Undoes the creation on failure. */
static int make_end(struct req *q, const struct make *m, uint32_t newfid, uint32_t type, uint32_t mode, uint32_t uid,
		    uint32_t gid, struct p9_attr *a)
{
	_cleanup_node_ struct node *n = NULL;
	int r = node_walk(m->dir->node, m->name, &n);

	if (r < 0)
		return r;
	if (uid == FID_UID)
		uid = m->dir->uid;
	r = own_new_node(q, n, type, mode, uid, gid, a);
	if (r == 0)
		r = fid_add(q->g, newfid, n);
	if (r < 0 && r != -ESTALE)
		(void)unlinkat(m->dir->node->fd, m->name, type == S_IFDIR ? AT_REMOVEDIR : 0);
	return r;
}

static int do_mkdir(struct req *q, uint32_t dfid, uint32_t newfid, const struct p9_str *name, uint32_t mode, uint32_t uid,
		    uint32_t gid, struct p9_attr *a)
{
	_cleanup_make_ struct make m = { 0 };
	int r = make_begin(q, dfid, name, &m);

	if (r < 0)
		return r;
	if (mkdirat(m.dir->node->fd, m.name, mode & 07777) < 0)
		return -errno;
	return make_end(q, &m, newfid, S_IFDIR, mode, uid, gid, a);
}

int gofer_tmkdir(struct req *q)
{
	const struct p9_tmkdir *t = &q->t.tmkdir;
	struct p9_attr a;
	int r = do_mkdir(q, t->dfid, P9_NOFID, &t->name, t->mode, FID_UID, t->gid, &a);

	if (r == 0)
		q->r.rmkdir.qid = a.qid;
	return r;
}

int gofer_tumkdir(struct req *q)
{
	const struct p9_tumkdir *t = &q->t.tumkdir;

	return do_mkdir(q, t->dfid, t->newfid, &t->name, t->mode, t->uid, t->gid, &q->r.rumkdir.attr);
}

static int do_mknod(struct req *q, uint32_t dfid, uint32_t newfid, const struct p9_str *name, uint32_t mode, uint32_t major,
		    uint32_t minor, uint32_t uid, uint32_t gid, struct p9_attr *a)
{
	_cleanup_make_ struct make m = { 0 };
	uint32_t type = (mode & S_IFMT) ?: S_IFREG;
	dev_t dev = 0;
	int r = make_begin(q, dfid, name, &m);

	if (r < 0)
		return r;
	switch (type) {
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (!(m.dir->node->exp->flags & GOFER_DEVICES))
			return -EPERM;
		dev = makedev(major, minor);
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	if (mknodat(m.dir->node->fd, m.name, type | (mode & 07777), dev) < 0)
		return -errno;
	return make_end(q, &m, newfid, type, mode, uid, gid, a);
}

int gofer_tmknod(struct req *q)
{
	const struct p9_tmknod *t = &q->t.tmknod;
	struct p9_attr a;
	int r = do_mknod(q, t->dfid, P9_NOFID, &t->name, t->mode, t->major, t->minor, FID_UID, t->gid, &a);

	if (r == 0)
		q->r.rmknod.qid = a.qid;
	return r;
}

int gofer_tumknod(struct req *q)
{
	const struct p9_tumknod *t = &q->t.tumknod;

	return do_mknod(q, t->dfid, t->newfid, &t->name, t->mode, t->major, t->minor, t->uid, t->gid, &q->r.rumknod.attr);
}

static int do_symlink(struct req *q, uint32_t dfid, uint32_t newfid, const struct p9_str *name, const struct p9_str *target,
		      uint32_t uid, uint32_t gid, struct p9_attr *a)
{
	_cleanup_make_ struct make m = { 0 };
	char path[4096];
	int r = make_begin(q, dfid, name, &m);

	if (r < 0)
		return r;
	/* The target is the client's business: it is never resolved here. */
	if (!target->len)
		return -ENOENT;
	if (target->len >= sizeof(path))
		return -ENAMETOOLONG;
	if (memchr(target->s, '\0', target->len))
		return -EINVAL;
	memcpy(path, target->s, target->len);
	path[target->len] = '\0';
	if (symlinkat(path, m.dir->node->fd, m.name) < 0)
		return -errno;
	return make_end(q, &m, newfid, S_IFLNK, 0, uid, gid, a);
}

int gofer_tsymlink(struct req *q)
{
	const struct p9_tsymlink *t = &q->t.tsymlink;
	struct p9_attr a;
	int r = do_symlink(q, t->dfid, P9_NOFID, &t->name, &t->target, FID_UID, t->gid, &a);

	if (r == 0)
		q->r.rsymlink.qid = a.qid;
	return r;
}

int gofer_tusymlink(struct req *q)
{
	const struct p9_tusymlink *t = &q->t.tusymlink;

	return do_symlink(q, t->dfid, t->newfid, &t->name, &t->target, t->uid, t->gid, &q->r.rusymlink.attr);
}

int gofer_tlink(struct req *q)
{
	const struct p9_tlink *t = &q->t.tlink;
	_cleanup_make_ struct make m = { 0 };
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	int r;

	if (!f)
		return -EBADF;
	r = make_begin(q, t->dfid, &t->name, &m);
	if (r < 0)
		return r;
	if (f->node->type == S_IFDIR)
		return -EPERM;
	/* Both in one export: a link must not make a read-only export's file writable. */
	if (f->node->exp != m.dir->node->exp)
		return -EXDEV;
	/* Follows the magic link to the held file, and no further if that is a symlink. */
	if (linkat(q->g->proc_fd, node_name(f->node).s, m.dir->node->fd, m.name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return 0;
}

static int do_rename(struct req *q, uint32_t olddirfid, const struct p9_str *oldname, uint32_t newdirfid,
		     const struct p9_str *newname, uint32_t flags)
{
	_cleanup_make_ struct make from = { 0 }, to = { 0 };
	int r = make_begin(q, olddirfid, oldname, &from);

	if (r == 0)
		r = make_begin(q, newdirfid, newname, &to);
	if (r < 0)
		return r;
	/* RENAME_WHITEOUT makes a device node; overlays here are the Sentry's. */
	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (from.dir->node->exp != to.dir->node->exp)
		return -EXDEV;
	if (syscall(SYS_renameat2, from.dir->node->fd, from.name, to.dir->node->fd, to.name, flags) < 0)
		return -errno;
	return 0;
}

int gofer_trenameat(struct req *q)
{
	const struct p9_trenameat *t = &q->t.trenameat;

	return do_rename(q, t->olddirfid, &t->oldname, t->newdirfid, &t->newname, 0);
}

int gofer_trenameat2(struct req *q)
{
	const struct p9_trenameat2 *t = &q->t.trenameat2;

	return do_rename(q, t->olddirfid, &t->oldname, t->newdirfid, &t->newname, t->flags);
}

/* Whether f->name in f->parent still is f's file. Standard dialect only. */
static int fid_at_path(const struct fid *f)
{
	struct stat a, b;

	if (!f->parent)
		return -EOPNOTSUPP;
	if (fstat(f->node->fd, &a) < 0 || fstatat(f->parent->fd, f->name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -ENOENT;
}

int gofer_trename(struct req *q)
{
	const struct p9_trename *t = &q->t.trename;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	_cleanup_make_ struct make to = { 0 };
	int r;

	if (!f)
		return -EBADF;
	r = make_begin(q, t->dfid, &t->name, &to);
	if (r == 0)
		r = fid_at_path(f);
	if (r < 0)
		return r;
	if (f->node->exp != to.dir->node->exp)
		return -EXDEV;
	if (renameat(f->parent->fd, f->name, to.dir->node->fd, to.name) < 0)
		return -errno;
	return fid_set_path(f, to.dir->node, to.name);
}

int gofer_tunlinkat(struct req *q)
{
	const struct p9_tunlinkat *t = &q->t.tunlinkat;
	_cleanup_make_ struct make m = { 0 };
	int r;

	if (t->flags & ~(uint32_t)AT_REMOVEDIR)
		return -EINVAL;
	r = make_begin(q, t->dirfid, &t->name, &m);
	if (r < 0)
		return r;
	return unlinkat(m.dir->node->fd, m.name, (int)t->flags) < 0 ? -errno : 0;
}

int gofer_tremove(struct req *q)
{
	/* The fid goes away even when the removal fails. */
	_cleanup_fid_ struct fid *f = fid_remove(q->g, q->t.tremove.fid);
	int r;

	if (!f)
		return -EBADF;
	r = node_writable(f->node);
	if (r == 0)
		r = fid_at_path(f);
	if (r < 0)
		return r;
	if (unlinkat(f->parent->fd, f->name, f->node->type == S_IFDIR ? AT_REMOVEDIR : 0) < 0)
		return -errno;
	return 0;
}

static int new_socket(uint32_t type)
{
	int fd;

	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -EINVAL;
	fd = socket(AF_UNIX, (int)type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

int gofer_tconnect(struct req *q)
{
	const struct p9_tconnect *t = &q->t.tconnect;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (!f)
		return -EBADF;
	if (f->node->type != S_IFSOCK || !(f->node->exp->flags & GOFER_CONNECT))
		return -ECONNREFUSED;
	fd = new_socket(t->type);
	if (fd < 0)
		return fd;
	/* Relative to the working directory /proc/self/fd: exactly the held socket. Nonblocking: a full backlog is EAGAIN. */
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%d", f->node->fd);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -errno;
	q->send_fd = TAKE_FD(fd);
	q->r.rconnect.has_fd = 1;
	return 0;
}

int gofer_tbind(struct req *q)
{
	const struct p9_tbind *t = &q->t.tbind;
	_cleanup_make_ struct make m = { 0 };
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int r = make_begin(q, t->dfid, &t->name, &m);

	if (r < 0)
		return r;
	if (!(m.dir->node->exp->flags & GOFER_BIND))
		return -EPERM;
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%d/%s", m.dir->node->fd, m.name) >= (int)sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	fd = new_socket(t->type);
	if (fd < 0)
		return fd;
	/* bind(2) takes the node's mode from the socket's inode. */
	if (fchmod(fd, t->mode & 0777) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -errno;
	r = make_end(q, &m, t->newfid, S_IFSOCK, 0, t->uid, t->gid, &q->r.rbind.attr);
	if (r < 0)
		return r;
	q->send_fd = TAKE_FD(fd);
	q->r.rbind.has_fd = 1;
	return 0;
}
