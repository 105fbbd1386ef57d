/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: getattr, setattr, statfs, readlink.
 *
 * A qid path is the host inode number; the first device seen keeps it plain, others have their index mixed into the top bits,
 * so that files of several mounts in one container do not look like hard links of each other.
 */
#include "gofer/server/internal.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static uint64_t dev_index(struct gofer *g, uint64_t dev)
{
	mutex_guard(&g->fids_mu);
	uint64_t *grown;

	for (size_t i = 0; i < g->nr_devs; i++)
		if (g->devs[i] == dev)
			return i;
	if (g->nr_devs >= GOFER_MAX_DEVS)
		return GOFER_MAX_DEVS;
	grown = realloc(g->devs, (g->nr_devs + 1) * sizeof(*grown));
	if (!grown)
		return GOFER_MAX_DEVS;
	g->devs = grown;
	grown[g->nr_devs] = dev;
	return g->nr_devs++;
}

static uint64_t qid_path(struct gofer *g, uint64_t dev, uint64_t ino)
{
	return ino ^ (dev_index(g, dev) << 48);
}

struct p9_qid dirent_qid(struct gofer *g, uint64_t dev, uint64_t ino, uint8_t dtype)
{
	return (struct p9_qid){
		.type = dtype == DT_DIR ? P9_QTDIR : dtype == DT_LNK ? P9_QTSYMLINK : P9_QTFILE,
		.path = qid_path(g, dev, ino),
	};
}

static void attr_from_statx(struct gofer *g, const struct statx *sx, struct p9_attr *a)
{
	uint64_t ctime = (uint64_t)sx->stx_ctime.tv_sec * 1000000000 + sx->stx_ctime.tv_nsec;

	*a = (struct p9_attr){
		.valid = P9_GETATTR_BASIC | ((sx->stx_mask & STATX_BTIME) ? P9_GETATTR_BTIME : 0),
		.mode = sx->stx_mode,
		.uid = sx->stx_uid,
		.gid = sx->stx_gid,
		.nlink = sx->stx_nlink,
		.rdev = makedev(sx->stx_rdev_major, sx->stx_rdev_minor),
		.size = sx->stx_size,
		.blksize = sx->stx_blksize,
		.blocks = sx->stx_blocks,
		.atime_sec = (uint64_t)sx->stx_atime.tv_sec,
		.atime_nsec = sx->stx_atime.tv_nsec,
		.mtime_sec = (uint64_t)sx->stx_mtime.tv_sec,
		.mtime_nsec = sx->stx_mtime.tv_nsec,
		.ctime_sec = (uint64_t)sx->stx_ctime.tv_sec,
		.ctime_nsec = sx->stx_ctime.tv_nsec,
		.btime_sec = (uint64_t)sx->stx_btime.tv_sec,
		.btime_nsec = sx->stx_btime.tv_nsec,
	};
	a->qid.type = S_ISDIR(sx->stx_mode) ? P9_QTDIR : S_ISLNK(sx->stx_mode) ? P9_QTSYMLINK : P9_QTFILE;
	a->qid.version = (uint32_t)(ctime ^ ctime >> 32);
	a->qid.path = qid_path(g, makedev(sx->stx_dev_major, sx->stx_dev_minor), sx->stx_ino);
}

int attr_at(struct gofer *g, int dirfd, const char *name, struct p9_attr *a)
{
	struct statx sx;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH),
		  STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return -errno;
	attr_from_statx(g, &sx, a);
	return 0;
}

int node_attr(struct gofer *g, const struct node *n, struct p9_attr *a)
{
	return attr_at(g, n->fd, "", a);
}

int gofer_tgetattr(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.tgetattr.fid);

	return f ? node_attr(q->g, f->node, &q->r.rgetattr.attr) : -EBADF;
}

static int set_size(struct gofer *g, struct fid *f, uint64_t size)
{
	if (f->node->type == S_IFDIR)
		return -EISDIR;
	if (f->node->type != S_IFREG || size > INT64_MAX)
		return -EINVAL;
	/* Through the open file if there is one: it may be writable although the mode no longer is. */
	mutex_guard(&f->mu);
	if (f->open_fd >= 0 && (fcntl(f->open_fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		return ftruncate(f->open_fd, (off_t)size) < 0 ? -errno : 0;
	return truncate(node_name(f->node).s, (off_t)size) < 0 ? -errno : 0;
}

static int get_time(uint32_t valid, uint32_t bit, uint32_t set, uint64_t sec, uint64_t nsec, struct timespec *ts)
{
	*ts = (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (!(valid & bit))
		return 0;
	ts->tv_nsec = UTIME_NOW;
	if (!(valid & set))
		return 0;
	if (nsec >= 1000000000)
		return -EINVAL;
	*ts = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = (long)nsec };
	return 0;
}

int gofer_tsetattr(struct req *q)
{
	const struct p9_tsetattr *t = &q->t.tsetattr;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	struct timespec ts[2];
	int fd, r;

	if (!f)
		return -EBADF;
	if (t->valid & ~(uint32_t)P9_SETATTR_ALL)
		return -EINVAL;
	r = node_writable(f->node);
	if (r == 0)
		r = get_time(t->valid, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, t->atime_sec, t->atime_nsec, &ts[0]);
	if (r == 0)
		r = get_time(t->valid, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, t->mtime_sec, t->mtime_nsec, &ts[1]);
	if (r < 0)
		return r;
	fd = f->node->fd;
	/* chown takes set-id bits away and truncate changes times, so the order matters: each later step has the last word. */
	if (t->valid & (P9_SETATTR_UID | P9_SETATTR_GID)) {
		uid_t uid = (t->valid & P9_SETATTR_UID) ? t->uid : (uid_t)-1;
		gid_t gid = (t->valid & P9_SETATTR_GID) ? t->gid : (gid_t)-1;

		if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	}
	if (t->valid & P9_SETATTR_MODE) {
		if (f->node->type == S_IFLNK)
			return -EOPNOTSUPP;
		if (fchmodat(q->g->proc_fd, node_name(f->node).s, t->mode & 07777, 0) < 0)
			return -errno;
	}
	if (t->valid & P9_SETATTR_SIZE) {
		r = set_size(q->g, f, t->size);
		if (r < 0)
			return r;
	}
	if (t->valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME))
		if (utimensat(fd, "", ts, AT_EMPTY_PATH) < 0)
			return -errno;
	return 0;
}

int gofer_tstatfs(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.tstatfs.fid);
	struct p9_rstatfs *m = &q->r.rstatfs;
	struct statfs st;

	if (!f)
		return -EBADF;
	if (fstatfs(f->node->fd, &st) < 0)
		return -errno;
	*m = (struct p9_rstatfs){
		.type = (uint32_t)st.f_type,
		.bsize = (uint32_t)st.f_bsize,
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.namelen = (uint32_t)st.f_namelen,
	};
	memcpy(&m->fsid, &st.f_fsid, sizeof(m->fsid));
	return 0;
}

int gofer_treadlink(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.treadlink.fid);
	size_t cap = MIN(q->cap - P9_HDR_SIZE - 2, (size_t)PATH_MAX);
	char *at = (char *)q->out + P9_HDR_SIZE + 2;
	ssize_t n;

	if (!f)
		return -EBADF;
	if (f->node->type != S_IFLNK)
		return -EINVAL;
	n = readlinkat(f->node->fd, "", at, cap);
	if (n < 0)
		return -errno;
	q->r.rreadlink.target = (struct p9_str){ at, (uint16_t)n };
	return 0;
}
