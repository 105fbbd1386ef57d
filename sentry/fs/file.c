/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open file descriptions: life, base state, O_PATH files. Transfers are in file_rw.c, O_ASYNC in file_async.c.
 *
 * The last reference goes in this order: epoll forgets the file, locks it owns are dropped, SIGIO is disarmed, inotify hears of the close,
 * writer counts, ops->release (which calls file_done: path, inode, cred).
 * Linux: fs/file_table.c, __fput().
 */
#include "sentry/fs/file.h"

#include <stdlib.h>

#include "base/strbuf.h"
#include "schemas/file.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/dnotify.h"
#include "sentry/fs/epoll.h"
#include "sentry/fs/lease.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/task.h"

extern const struct state_type cred_state_type, pid_state_type; /* also when this build has no tasks */

static void set_mode(struct file *f, uint32_t flags)
{
	uint32_t acc = flags & LINUX_O_ACCMODE;

	f->readable = !(flags & LINUX_O_PATH) && (acc == LINUX_O_RDONLY || acc == LINUX_O_RDWR);
	f->writable = !(flags & LINUX_O_PATH) && (acc == LINUX_O_WRONLY || acc == LINUX_O_RDWR);
}

static void init_base(struct file *f, const struct file_ops *ops, uint32_t flags)
{
	f->ops = ops;
	f->flags = flags;
	set_mode(f, flags);
	mutex_init(&f->pos_mu, "file.pos_mu");
	mutex_init(&f->f_lock, "file.f_lock");
	list_init(&f->epitems);
	list_init(&f->locks_owner);
}

void file_init(struct file *f, const struct file_ops *ops, uint32_t flags, struct task *t, const struct path *path, struct inode *inode)
{
	ref_init(&f->ref);
	init_base(f, ops, flags & ~(LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_NOCTTY | LINUX_O_TRUNC | LINUX_O_CLOEXEC));
	/* A pipe opened again through /proc/self/fd has no place, as one that was never opened by name: magic links make one for each look. */
	if (path && path->dentry && (!path->mnt || path->mnt->sb->ops->state || ops == &path_file_ops)) {
		f->path = *path;
		path_get(path);
	}
	f->inode = inode_get(inode ? inode : anon_inode());
	f->cred = t && t->cred ? cred_get(t->cred) : NULL;
}

void file_done(struct file *f)
{
	path_put(&f->path);
	inode_put(TAKE_PTR(f->inode));
	if (f->cred)
		cred_put(TAKE_PTR(f->cred));
	if (f->owner.pid)
		pid_put(TAKE_PTR(f->owner.pid));
	mutex_destroy(&f->pos_mu);
	mutex_destroy(&f->f_lock);
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	if (!f || !f->ops) /* no ops: a half-loaded object of a failed restore */
		return;
	if (!ref_put(&f->ref))
		return;
	if (!list_empty(&f->epitems))
		epoll_release_file(f);
	if (f->inode)
		locks_release_file(f);
	(void)file_set_async(f, false);
	if (f->lease)
		lease_drop(f);
	dnotify_drop(f);
	if (f->path.dentry && !(f->flags & LINUX_O_PATH))
		fsnotify_file(f, f->writable ? LINUX_IN_CLOSE_WRITE : LINUX_IN_CLOSE_NOWRITE);
	if (f->counted) {
		inode_put_write(f->inode);
		mount_put_writer(f->path.mnt);
	}
	if (f->read_counted)
		atomic_fetch_sub(&f->inode->read_count, 1);
	if (f->exec_denied)
		inode_allow_write(f->inode);
	f->ops->release(f);
}

uint32_t file_poll(struct file *f)
{
	return f->ops->poll ? f->ops->poll(f) : POLL_READ | POLL_WRITE;
}

bool file_poll_add(struct file *f, struct waiter *w)
{
	struct waitq *q = f->ops->pollq ? f->ops->pollq(f) : NULL;

	if (!q)
		return false;
	waitq_add(q, w);
	return true;
}

/* --- O_PATH files --- */

static void path_file_release(struct file *f)
{
	file_done(f);
	free(f);
}

const struct file_ops path_file_ops = {
	.name = "path",
	.state = &path_file_state_type,
	.release = path_file_release,
};

/* --- state --- */

int file_save_base(struct state_writer *w, const struct file *f, struct Sentry__FileBase *m)
{
	int fd;

	m->flags = f->flags;
	m->pos = f->pos;
	m->path = path_save(w, &f->path);
	m->inode = inode_state_ref(w, f->inode);
	m->cred = state_ref(w, &cred_state_type, f->cred);
	m->owner_pid = state_ref(w, &pid_state_type, f->owner.pid);
	m->owner_type = (uint32_t)f->owner.type;
	m->owner_sig = (uint32_t)f->owner.sig;
	m->owner_uid = f->owner.uid;
	m->owner_euid = f->owner.euid;
	m->async_fd = f->owner.fd;
	m->seekable = f->seekable;
	m->exec_denied = f->exec_denied;
	m->nonotify = f->nonotify;
	m->dnotify_mask = dnotify_mask(f, &fd);
	m->dnotify_fd = fd;
	lease_save(f, m);
	return 0;
}

int file_load_base(struct state_reader *r, struct file *f, const struct file_ops *ops, const struct Sentry__FileBase *m)
{
	void *cred = NULL, *pid = NULL;
	int err = state_check(r, m != NULL, "no file base");

	if (err)
		return err;
	if (!ref_count(&f->ref))
		ref_init(&f->ref);
	init_base(f, ops, m->flags);
	err = path_load(r, m->path, &f->path);
	if (!err)
		err = inode_state_deref(r, m->inode, &f->inode);
	if (!err)
		err = state_check(r, f->inode != NULL, "file without inode");
	if (!err)
		err = state_deref(r, m->cred, &cred_state_type, &cred);
	if (!err)
		err = state_deref(r, m->owner_pid, &pid_state_type, &pid);
	if (!err)
		err = state_check(r, m->owner_type <= LINUX_F_OWNER_PGRP && m->owner_sig <= NSIG_MAX, "bad owner");
	if (!err)
		err = state_check(r, m->pos >= 0 || !m->seekable, "bad position");
	f->cred = cred;
	f->owner.pid = pid;
	f->owner.type = (int)m->owner_type;
	f->owner.sig = (int)m->owner_sig;
	f->owner.uid = m->owner_uid;
	f->owner.euid = m->owner_euid;
	f->owner.fd = m->async_fd;
	f->pos = m->pos;
	f->seekable = m->seekable;
	f->exec_denied = m->exec_denied;
	f->nonotify = m->nonotify;
	if (!err && m->dnotify_mask)
		err = dnotify_restore(f, m->dnotify_mask, m->dnotify_fd);
	return err ? err : lease_load(r, f, m);
}

int file_check_path(struct state_reader *r, const struct file *f)
{
	return state_check(r, !f->path.dentry || f->path.dentry->inode == f->inode, "path and inode disagree");
}

void file_count_reader(struct file *f)
{
	f->read_counted = true;
	atomic_fetch_add(&f->inode->read_count, 1);
}

void file_count_writer(struct file *f)
{
	f->counted = true;
	mount_get_writer(f->path.mnt);
}

void file_after_load_base(struct file *f)
{
	struct inode *i = f->inode;

	if (f->exec_denied && inode_deny_write(i) < 0)
		f->exec_denied = false; /* contradictory image: harmless */
	if (f->writable && LINUX_S_ISREG(i->mode) && f->path.dentry && inode_get_write(i) == 0)
		file_count_writer(f);
	else if (f->readable && !f->writable && LINUX_S_ISREG(i->mode) && f->path.dentry)
		file_count_reader(f);
	lease_after_load(f);
	if (f->flags & LINUX_O_ASYNC)
		(void)file_set_async(f, true);
}

static void *path_file_alloc(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->ref);
	return f;
}

static int path_file_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__PathFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int path_file_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__PathFile *m = msg;
	struct file *f = obj;
	int err = file_load_base(r, f, &path_file_ops, m->file_base);

	if (!err)
		err = state_check(r, f->flags & LINUX_O_PATH && f->path.dentry, "not an O_PATH file");
	return err;
}

static int path_file_after_load(struct state_reader *r, void *obj)
{
	int err = file_check_path(r, obj);

	if (!err)
		file_after_load_base(obj);
	return err;
}

const struct state_type path_file_state_type = {
	.id = STATE_ID_path_file,
	.name = "path_file",
	.desc = &sentry__path_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = path_file_alloc,
	.save = path_file_save,
	.load = path_file_load,
	.after_load = path_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
