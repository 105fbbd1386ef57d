/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and places of a process: fd/, fdinfo/, cwd, root, exe, mounts. Linux: fs/proc/fd.c, fs/proc_namespace.c.
 * Checkpoint: stateless; entries are known by descriptor number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/nsfs.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/nsproxy.h"

/* --- descriptors --- */

static struct file *fd_file(const struct pctx *c, uint64_t fd)
{
	struct fd_table *ft = c->target ? task_files_get(c->target) : NULL;
	struct file *f;

	if (!ft)
		return NULL;
	f = fd_table_lookup(ft, (int)fd);
	fd_table_put(ft, NULL);
	return f;
}

static int fd_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct file *f;

	if (!pseudo_name_number(name, INT32_MAX, ret_id))
		return -ENOENT;
	if (pctx_look(dir))
		return -EACCES;
	f = fd_file(dir, *ret_id);
	if (!f)
		return -ENOENT;
	file_put(f);
	return 0;
}

static bool fd_next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	struct fd_table *ft = dir->target && *id <= INT32_MAX && !pctx_look(dir) ? task_files_get(dir->target) : NULL;
	int fd;

	if (!ft)
		return false;
	fd = fd_table_next(ft, (int)*id);
	fd_table_put(ft, NULL);
	if (fd < 0)
		return false;
	*id = (uint64_t)fd;
	(void)snprintf(ret_name, 32, "%d", fd);
	return true;
}

static bool fd_valid(const struct pctx *c)
{
	struct file *f = fd_file(c, c->id);

	file_put(f);
	return f != NULL;
}

static uint32_t fd_mode(struct pctx *c)
{
	struct file *f = fd_file(c, c->id);
	uint32_t mode = 0;

	if (f) {
		mode = (f->readable ? 0500 : 0) | (f->writable ? 0300 : 0);
		file_put(f);
	}
	return mode;
}

static int text_of(const struct path *p, const struct path *root, char **ret)
{
	struct strbuf b = STRBUF_INIT;
	int err = path_text(p, root, true, &b);

	if (err >= 0)
		err = strbuf_error(&b);
	if (err < 0) {
		strbuf_done(&b);
		return err;
	}
	*ret = strbuf_take(&b);
	return *ret ? 0 : -ENOMEM;
}

/* As the one who asks would name it. */
static int text_for(struct pctx *c, const struct path *p, char **ret)
{
	struct path root _cleanup_path_ = { 0 };

	if (c->t && c->t->fs)
		fs_ctx_root(c->t->fs, &root);
	return text_of(p, root.dentry ? &root : NULL, ret);
}

int proc_file_text(struct pctx *c, struct file *f, char **ret)
{
	struct strbuf b = STRBUF_INIT;

	if (f->path.dentry)
		return text_for(c, &f->path, ret);
	if (f->ops->show_name)
		f->ops->show_name(f, &b);
	else
		strbuf_addf(&b, "anon_inode:[%s]", f->ops->name);
	*ret = strbuf_take(&b);
	return *ret ? 0 : -ENOMEM;
}

static int fd_readlink(struct pctx *c, char **ret)
{
	struct file *f = fd_file(c, c->id);
	int err;

	if (!f)
		return -ENOENT;
	err = proc_file_text(c, f, ret);
	file_put(f);
	return err;
}

static int fd_get_link(struct pctx *c, struct path *ret)
{
	struct file *f = fd_file(c, c->id);
	int err = 0;

	if (!f)
		return -ENOENT;
	if (f->path.dentry) {
		*ret = f->path;
		path_get(ret);
	} else {
		err = nsfs_path(f->inode, ret);
		if (err == -EINVAL)
			err = anon_inode_path(f->inode, f->ops->name, ret);
	}
	file_put(f);
	return err;
}

static int fdinfo_show(struct pctx *c, struct strbuf *b)
{
	struct fd_table *ft = task_files_get(c->target);
	struct file *f = ft ? fd_table_lookup(ft, (int)c->id) : NULL;
	struct mount *m;

	if (f) {
		m = f->path.mnt;
		strbuf_addf(b, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n", (long)f->pos,
			    f->flags | (fd_table_cloexec(ft, (int)c->id) ? LINUX_O_CLOEXEC : 0), m ? m->id : 0, f->inode->ino);
		if (f->ops->show_fdinfo)
			f->ops->show_fdinfo(f, b);
	}
	if (ft)
		fd_table_put(ft, NULL);
	file_put(f);
	return f ? 0 : -ENOENT;
}

static const struct pnode fd_node = { .name = "fd*", .mode = LINUX_S_IFLNK, .flags = PN_PROC | PN_PTRACE, .readlink = fd_readlink,
				      .get_link = fd_get_link, .get_mode = fd_mode };
const struct pdyn proc_fd_dyn = { .node = &fd_node, .lookup = fd_lookup, .next = fd_next, .valid = fd_valid };

static const struct pnode fdinfo_node = PN_FILE("fdinfo*", 0444, fdinfo_show, .flags = PN_PROC | PN_PTRACE);
const struct pdyn proc_fdinfo_dyn = { .node = &fdinfo_node, .lookup = fd_lookup, .next = fd_next, .valid = fd_valid };

/* --- places --- */

int proc_link_cwd(struct pctx *c, struct path *ret)
{
	struct fs_ctx *fs = task_fs_get(c->target);

	if (!fs)
		return -ENOENT;
	fs_ctx_cwd(fs, ret);
	fs_ctx_put(fs);
	return 0;
}

int proc_link_root(struct pctx *c, struct path *ret)
{
	struct fs_ctx *fs = task_fs_get(c->target);

	if (!fs)
		return -ENOENT;
	fs_ctx_root(fs, ret);
	fs_ctx_put(fs);
	return 0;
}

int proc_link_exe(struct pctx *c, struct path *ret)
{
	struct mm *mm = task_mm_get(c->target);
	struct file *f = mm ? mm_exe_file(mm) : NULL;
	int err = -ENOENT;

	mm_put(mm);
	if (f && f->path.dentry) {
		*ret = f->path;
		path_get(ret);
		err = 0;
	} else if (f) {
		err = anon_inode_path(f->inode, f->ops->name, ret);
	}
	file_put(f);
	return err;
}

static int readlink_by(struct pctx *c, int (*link)(struct pctx *, struct path *), char **ret)
{
	struct path p _cleanup_path_ = { 0 };
	int err = link(c, &p);

	return err ? err : text_for(c, &p, ret);
}

int proc_readlink_cwd(struct pctx *c, char **ret)
{
	return readlink_by(c, proc_link_cwd, ret);
}

int proc_readlink_root(struct pctx *c, char **ret)
{
	return readlink_by(c, proc_link_root, ret);
}

int proc_readlink_exe(struct pctx *c, char **ret)
{
	return readlink_by(c, proc_link_exe, ret);
}

/* --- mounts --- */

static int mounts(struct pctx *c, enum mounts_format fmt, struct strbuf *b)
{
	struct nsproxy *n = task_ns_get(c->target);
	struct fs_ctx *fs = task_fs_get(c->target);
	struct path root _cleanup_path_ = { 0 };
	int err = -EINVAL; /* as Linux for a process that has exited */

	if (n && n->mnt && fs) {
		fs_ctx_root(fs, &root);
		err = mnt_ns_show(n->mnt, &root, fmt, b);
	}
	fs_ctx_put(fs);
	if (n)
		nsproxy_put(n);
	return err;
}

int proc_show_mounts(struct pctx *c, struct strbuf *b)
{
	return mounts(c, MOUNTS_MOUNTS, b);
}

int proc_show_mountinfo(struct pctx *c, struct strbuf *b)
{
	return mounts(c, MOUNTS_MOUNTINFO, b);
}

int proc_show_mountstats(struct pctx *c, struct strbuf *b)
{
	return mounts(c, MOUNTS_MOUNTSTATS, b);
}
