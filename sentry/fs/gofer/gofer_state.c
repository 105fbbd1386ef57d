/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and finding again files outside.
 *
 * A file is saved by its path from the mount's root; after a restore it is walked to and must be of the same kind. A file that was
 * unlinked while open has no path: its content travels in the image and comes back as a private host memory file. A mount finds its
 * export by its destination in the restoring container's configuration.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "schemas/goferfs.pb-c.h"
#include "sentry/fs/gofer/gofer_internal.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"
#include "state/state.h"

#define MAX_DELETED  (1ull << 30)
#define MAX_DIGESTED (1ull << 30) /* of one file: the container stands still meanwhile. Others have size and times to go by */

/* --- super block --- */

static void *sb_alloc(void)
{
	struct gofer_sb *s = calloc(1, sizeof(*s));

	if (s) {
		ref_init(&s->sb.ref);
		mutex_init(&s->table_mu, "gofer.table_mu");
		list_init(&s->listings);
	}
	return s;
}

static int sb_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct gofer_sb *s = obj;
	Sentry__GoferSb *m = msg;

	m->sb_base = state_new_msg(w, &sentry__super_block_base__descriptor);
	m->destination = state_strdup(w, s->destination);
	m->exclusive = s->exclusive;
	return sb_save_base(w, &s->sb, m->sb_base);
}

static const struct sentry_mount *find_mount(const struct kernel *k, const char *destination)
{
	const struct sentry_container *sc = k->restore ? k->restore->sc : NULL;

	for (size_t i = 0; sc && i < sc->nr_mounts; i++)
		if (sc->mounts[i].kind == SENTRY_MOUNT_GOFER && !strcmp(sc->mounts[i].destination, destination))
			return &sc->mounts[i];
	return NULL;
}

static int sb_load(struct state_reader *r, void *obj, const void *msg)
{
	struct gofer_sb *s = obj;
	const Sentry__GoferSb *m = msg;
	struct kernel *k = state_reader_ctx(r);
	const struct sentry_mount *mnt = find_mount(k, m->destination);
	char why[512];
	int e;

	(void)snprintf(why, sizeof(why), "the bundle has no bind mount or root for \"%.200s\"", m->destination);
	e = state_check(r, m->sb_base != NULL, "no super block base");
	if (e >= 0 && k->restore && !(mnt && k->restore->gofer) && !k->restore->why)
		k->restore->why = strdup(why);
	if (e >= 0)
		e = state_check(r, mnt && k->restore->gofer, why);
	if (e < 0)
		return e;
	s->destination = strdup(m->destination);
	s->exclusive = m->exclusive;
	s->client = p9_client_get(k->restore->gofer);
	if (!s->destination)
		return -ENOMEM;
	return sb_load_base(r, &s->sb, s->exclusive ? &gofer_exclusive_sb_ops : &gofer_shared_sb_ops, m->sb_base);
}

const struct state_type gofer_sb_state_type = {
	.id = STATE_ID_gofer_sb,
	.name = "gofer_sb",
	.desc = &sentry__gofer_sb__descriptor,
	.prio = STATE_PRIO_MEMORY,
	.alloc = sb_alloc,
	.save = sb_save,
	.load = sb_load,
	.load_late = true, /* the gofer, the bundle's mounts */
	.get = sb_state_get,
	.put = sb_state_put,
};

/* --- inode --- */

static void *inode_alloc(void)
{
	struct gofer_inode *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	ref_init(&g->i.ref);
	g->fid = P9_NOFID;
	g->fd_ro = g->fd_rw = -EBADF;
	mutex_init(&g->fd_mu, "gofer.fd_mu");
	mappable_init(&g->map, &gofer_map_ops);
	return g;
}

/* Unlinked, but open: nothing outside will find it again. */
static int save_content(struct state_writer *w, struct gofer_inode *g, Sentry__GoferInode *m)
{
	int fd = gofer_host_fd(g, false);
	struct stat st;
	size_t got = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -EIO;
	if ((uint64_t)st.st_size > MAX_DELETED)
		return -EFBIG;
	m->content.len = (size_t)st.st_size;
	m->content.data = state_zalloc(w, 1, m->content.len);
	while (got < m->content.len) {
		ssize_t n = pread(fd, m->content.data + got, m->content.len - got, (off_t)got);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		got += (size_t)n;
	}
	return 0;
}

/* As it is now on the host: others may have written, and writes through descriptors and mappings of ours do not tell us. */
static int save_seen(struct state_writer *w, struct gofer_inode *g, Sentry__GoferInode *m)
{
	int fd = g->fd_rw >= 0 ? g->fd_rw : g->fd_ro;
	struct p9_attr a;
	struct stat st;
	int e;

	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return -errno;
		m->seen_size = (uint64_t)st.st_size;
		m->seen_mtime = gofer_ns((uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec);
	} else {
		/* Not opened again since a restore. Gone, perhaps: that is for the next restore to find. */
		if (p9_getattr(gofer_c(&g->i), gofer_fid(&g->i), &a) < 0)
			return 0;
		m->seen_size = a.size;
		m->seen_mtime = gofer_ns(a.mtime_sec, a.mtime_nsec);
	}
	m->seen_btime = g->birth;
	m->seen = true;
	if (!the_kernel->file_digest)
		return 0;
	if (m->seen_size > MAX_DIGESTED) {
		log_warn("file %s of mount %s is too large for a digest", m->path, gofer_s(g->i.sb)->destination);
		return 0;
	}
	m->digest.data = state_zalloc(w, 1, FILE_DIGEST_SIZE);
	e = gofer_digest(&g->i, m->seen_size, m->digest.data);
	if (e == 0)
		m->digest.len = FILE_DIGEST_SIZE;
	else
		log_warn("file %s of mount %s gets no digest: %s", m->path, gofer_s(g->i.sb)->destination, strerror(-e));
	return 0;
}

static int inode_save(struct state_writer *w, const void *obj, void *msg)
{
	/* Reading content and descriptors that are opened lazily changes nothing an application sees. */
	struct gofer_inode *g = (struct gofer_inode *)(uintptr_t)obj;
	Sentry__GoferInode *m = msg;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	int e;

	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	e = inode_save_base(w, &g->i, m->inode_base);
	if (e < 0)
		return e;
	m->version = (uint64_t)g->i.mtime.tv_sec * 1000000000u + (uint64_t)g->i.mtime.tv_nsec;
	m->cached_target = g->target != NULL;
	if (g->target)
		m->target = state_strdup(w, g->target);
	if (g->alias && (g->alias->hashed || dentry_is_root(g->alias))) {
		if (dentry_text(g->alias, &b) < 0 || strbuf_error(&b) < 0)
			return -ENOMEM;
		m->path = state_strdup(w, b.data ? b.data : "/");
		m->alias = state_ref(w, &dentry_state_type, g->alias);
		return g->opened ? save_seen(w, g, m) : 0;
	}
	m->deleted = true;
	return LINUX_S_ISREG(g->i.mode) ? save_content(w, g, m) : 0;
}

static int load_content(struct gofer_inode *g, const ProtobufCBinaryData *c)
{
	size_t put = 0;

	g->fd_rw = memfd_create("deleted", MFD_CLOEXEC);
	if (g->fd_rw < 0)
		return -errno;
	while (put < c->len) {
		ssize_t n = pwrite(g->fd_rw, c->data + put, c->len - put, (off_t)put);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		put += (size_t)n;
	}
	return 0;
}

static const struct inode_ops *ops_of(uint32_t mode)
{
	return LINUX_S_ISREG(mode)   ? &gofer_file_iops
	       : LINUX_S_ISDIR(mode) ? &gofer_dir_iops
	       : LINUX_S_ISLNK(mode) ? &gofer_link_iops
				     : &gofer_node_iops;
}

static int load_seen(struct state_reader *r, struct gofer_inode *g, const Sentry__GoferInode *m)
{
	int e = state_check(r, LINUX_S_ISREG(g->i.mode) && !m->deleted && (!m->digest.len || m->digest.len == FILE_DIGEST_SIZE),
			    "bad record of a file's state");

	if (e < 0)
		return e;
	g->load_seen = calloc(1, sizeof(*g->load_seen));
	if (!g->load_seen)
		return -ENOMEM;
	*g->load_seen = (struct gofer_seen){ .size = m->seen_size, .mtime = m->seen_mtime, .btime = m->seen_btime };
	if (m->digest.len) {
		g->load_seen->has_digest = true;
		memcpy(g->load_seen->digest, m->digest.data, FILE_DIGEST_SIZE);
	}
	g->opened = true;
	return 0;
}

static int inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct gofer_inode *g = obj;
	const Sentry__GoferInode *m = msg;
	void *alias = NULL;
	int e = state_check(r, m->inode_base && (m->deleted || m->path[0] == '/'), "bad path");

	if (e >= 0)
		e = inode_load_base(r, &g->i, ops_of(m->inode_base->mode), m->inode_base);
	if (e < 0)
		return e;
	e = state_deref(r, m->alias, &dentry_state_type, &alias);
	if (e < 0)
		return e;
	g->alias = alias; /* with a reference until inode_after_load() */
	g->load_deleted = m->deleted;
	g->load_path = strdup(m->path);
	g->saved_mtime = m->version;
	if (m->cached_target)
		g->target = strdup(m->target);
	if (!g->load_path || (m->cached_target && !g->target))
		return -ENOMEM;
	if (m->seen) {
		e = load_seen(r, g, m);
		if (e < 0)
			return e;
	}
	if (LINUX_S_ISREG(g->i.mode)) {
		g->i.mapping = &g->map;
		if (m->deleted)
			return load_content(g, &m->content);
	}
	return 0;
}

/* Walks from the mount's root: a fid for the saved path. */
static int walk(struct gofer_sb *s, const char *path, uint32_t *ret, struct p9_attr *attr)
{
	const struct sentry_mount *mnt = find_mount(the_kernel, s->destination);
	_cleanup_free_ char *copy = strdup(path);
	uint32_t fid;
	int r;

	if (!copy || !mnt)
		return -ENOMEM;
	r = p9_attach(s->client, mnt->aname, &fid, attr);
	for (char *save = NULL, *name = strtok_r(copy, "/", &save); name && r == 0; name = strtok_r(NULL, "/", &save)) {
		uint32_t next = P9_NOFID;

		r = p9_lookup(s->client, fid, name, &next, attr);
		p9_clunk_later(s->client, fid);
		fid = next;
	}
	if (r == 0)
		*ret = fid;
	return r;
}

/* To be compared when it is known how it is used. Images of older builds say nothing certain. */
static int add_check(struct state_reader *r, struct gofer_inode *g, const struct p9_attr *a)
{
	const struct file_stamp now = { .size = a->size, .mtime = gofer_ns(a->mtime_sec, a->mtime_nsec), .btime = g->birth };
	const struct gofer_seen *seen = g->load_seen;
	struct kernel *k = state_reader_ctx(r);
	struct file_stamp then;
	int e = 0;

	if (!seen || !k->restore || !k->restore->file_checks)
		return 0;
	then = (struct file_stamp){ seen->size, seen->mtime, seen->btime, seen->has_digest ? seen->digest : NULL };
	e = file_check_add(k->restore->file_checks, &g->i, gofer_s(g->i.sb)->destination, g->load_path, &then, &now, gofer_digest);
	free(TAKE_PTR(g->load_seen));
	return e;
}

/* The restore fails with a line for people, who know files and not objects. */
static int refuse(struct state_reader *r, const struct gofer_inode *g, int error, const char *what)
{
	struct kernel *k = state_reader_ctx(r);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	file_check_name(&b, gofer_s(g->i.sb)->destination, g->load_path);
	strbuf_addf(&b, " %s%s%s", what, error ? ": " : "", error ? strerror(-error) : "");
	if (k->restore && !k->restore->why)
		k->restore->why = strbuf_take(&b);
	return state_check(r, false, what);
}

static int inode_after_load(struct state_reader *r, void *obj)
{
	struct gofer_inode *g = obj;
	struct gofer_sb *s;
	struct p9_attr a;
	uint32_t fid = P9_NOFID;
	int e;

	e = state_check(r, g->i.sb && (g->i.sb->ops == &gofer_exclusive_sb_ops || g->i.sb->ops == &gofer_shared_sb_ops),
			"not in a gofer mount");
	if (e < 0)
		return e;
	if (g->alias) {
		e = state_check(r, g->alias->inode == &g->i, "has another file's name");
		if (e < 0)
			return e;
		dentry_put(g->alias); /* the loader still has one; d_release() tells when the name goes */
	}
	s = gofer_s(g->i.sb);
	if (g->load_deleted) {
		g->qid = g->i.ino;
		return 0;
	}
	e = walk(s, g->load_path, &fid, &a);
	g->fid = fid;
	if (e < 0)
		return refuse(r, g, e, "cannot be found again");
	if ((a.mode ^ g->i.mode) & LINUX_S_IFMT)
		return refuse(r, g, 0, "is of another kind than it was at the checkpoint");
	g->birth = gofer_ns(a.btime_sec, a.btime_nsec);
	if (LINUX_S_ISREG(a.mode) && !g->load_seen && (a.size != g->i.size || gofer_ns(a.mtime_sec, a.mtime_nsec) != g->saved_mtime))
		log_info("file %s of mount %s has changed since it was saved", g->load_path, s->destination);
	e = add_check(r, g, &a);
	if (e < 0)
		return e;
	g->qid = a.qid.path;
	if (!s->exclusive)
		gofer_take_attr(g, &a);
	g->stale = true;
	mutex_lock(&s->table_mu);
	e = htab_get(&s->inodes, g->qid) ? 0 : htab_put(&s->inodes, g->qid, g);
	mutex_unlock(&s->table_mu);
	free(g->load_path);
	g->load_path = NULL;
	return e;
}

const struct state_type gofer_inode_state_type = {
	.id = STATE_ID_gofer_inode,
	.name = "gofer_inode",
	.desc = &sentry__gofer_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = inode_alloc,
	.save = inode_save,
	.load = inode_load,
	.load_late = true, /* a deleted file gets its own copy on the host */
	.after_load = inode_after_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
