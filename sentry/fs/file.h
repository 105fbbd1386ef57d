/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open file descriptions.
 *
 * Every kind of descriptor (regular file, pipe end, eventfd, socket, epoll, ...) embeds struct file as its first member and
 * provides one const file_ops, whose address is the type tag. Operations never block on application events: they return
 * -EAGAIN, and the generic layer (file_rw.c) waits on the file's queue and retries, which is also what makes them survive a
 * freeze.
 *
 * Locks: file.pos_mu orders read/write/lseek on seekable files (held over the operation); f_lock guards flags and owner. Both
 * are outside any object lock and inside none.
 * Checkpoint: flags, position, owner and path are saved by file_save_base(); the rest by the kind's own type.
 */
#ifndef SENTRY_FS_FILE_H
#define SENTRY_FS_FILE_H

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/abi/types.h"
#include "sentry/kernel/waitq.h"
#include "sentry/mm/uio.h"

struct cred;
struct dentry;
struct dnotify;
struct file;
struct inode;
struct lease;
struct mount;
struct state_reader;
struct state_type;
struct state_writer;
struct strbuf;
struct task;
struct vma_request;

/* A place in the tree of names. Both NULL for files that were never in it. */
struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

/* readdir callback: returns false when the buffer is full (the entry is given again next time). */
struct dir_sink {
	bool (*emit)(struct dir_sink *s, const char *name, size_t len, int64_t next_pos, uint64_t ino, uint8_t type);
};

/* Slots may be NULL; the stated default applies. `t` is the calling task. */
struct file_ops {
	const char *name; /* "pipe", "eventfd": shown in debug output */
	const struct state_type *state; /* the savable type of the embedding struct */
	/* Last reference gone. Frees the embedding struct (after file_done()). No locks held. Never NULL. */
	void (*release)(struct file *f);
	/* Transfer at *@pos (advance it) when seekable; @pos is NULL for streams. Bytes, 0 at end, -EAGAIN when it would block.
	 * NULL: -EINVAL. @rwf: RWF_* flags of preadv2 the caller gave (HIPRI, DSYNC, SYNC, NOWAIT, APPEND). */
	int64_t (*read)(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf);
	int64_t (*write)(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf);
	/* Ready events now (LINUX_POLL*). NULL: always readable and writable. */
	uint32_t (*poll)(struct file *f);
	/* The queue woken when poll()'s answer may have changed; same lifetime as the file. NULL: never changes (epoll: -EPERM). */
	struct waitq *(*pollq)(struct file *f);
	/* -ENOTTY by default. */
	int64_t (*ioctl)(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);
	/* NULL: -ESPIPE. Called with pos_mu held; must set f->pos. */
	int64_t (*llseek)(struct file *f, struct task *t, int64_t off, int whence);
	/* Emits entries from f->pos on, advancing f->pos. NULL: -ENOTDIR. pos_mu held. */
	int (*readdir)(struct file *f, struct task *t, struct dir_sink *s);
	/* Fills the request with a mappable (referenced) or refuses. NULL: -ENODEV. See sentry/mm/mm.h. */
	int (*mmap)(struct file *f, struct task *t, struct vma_request *req);
	int (*fsync)(struct file *f, struct task *t, bool datasync); /* NULL: -EINVAL */
	int (*fallocate)(struct file *f, struct task *t, int mode, int64_t off, int64_t len); /* NULL: -ENODEV (ESPIPE for streams) */
	/* A descriptor of this description was closed (POSIX locks are handled by the caller). NULL: nothing. */
	void (*flush)(struct file *f, struct task *t);
	/* F_SETFL is about to change flags (O_NONBLOCK, O_APPEND, O_DIRECT, O_ASYNC, O_NOATIME). NULL: accept. */
	int (*setfl)(struct file *f, struct task *t, uint32_t new_flags);
	/* Extra lines of /proc/pid/fdinfo. */
	void (*show_fdinfo)(struct file *f, struct strbuf *b);
	/* Text of the /proc/pid/fd link when path is empty, e.g. "pipe:[12]". NULL: "anon_inode:[<name>]". */
	void (*show_name)(struct file *f, struct strbuf *b);
};

/* What file_ops.mmap decides. */
struct mappable;
struct vma_request {
	uint64_t off, len; /* in */
	uint32_t prot, flags; /* in: LINUX_PROT_*, LINUX_MAP_* */
	struct mappable *obj; /* out: referenced */
	uint64_t obj_off; /* in: = off; may be changed */
	bool anon; /* out instead of obj: behave as private anonymous memory (/dev/zero MAP_PRIVATE) */
	bool deny_write; /* out: mprotect to writable is refused (sealed memfd) */
};

struct file { /* message: FileBase */
	struct ref ref; /* nosave: counted again by state_deref() */
	const struct file_ops *ops; /* derived: from the type */
	_Atomic uint32_t flags; /* saved: LINUX_O_* as F_GETFL shows (plus O_PATH) */
	bool seekable; /* derived: set by the opener: has a position; pread/pwrite allowed */
	bool readable, writable; /* derived from flags: FMODE_READ, FMODE_WRITE */
	struct mutex pos_mu; /* nosave: free when frozen */
	int64_t pos; /* saved; guarded by pos_mu */
	struct path path; /* saved, referenced; immutable */
	struct inode *inode; /* saved, referenced; what fstat sees; never NULL after open */
	struct cred *cred; /* saved: opener's */
	struct mutex f_lock; /* nosave: free when frozen */
	struct {
		struct pid *pid; /* saved: 6 owner_pid; referenced; NULL none */
		int type; /* saved: 7 owner_type; F_OWNER_TID 0, PID 1, PGRP 2 */
		int sig; /* saved: 8 owner_sig; F_SETSIG */
		uint32_t uid; /* saved: 9 owner_uid; of the setter */
		uint32_t euid; /* saved: 10 owner_euid */
		int fd; /* saved: 13 async_fd; the descriptor O_ASYNC was set through, for si_fd */
	} owner; /* guarded by f_lock */
	struct waiter *async; /* nosave: O_ASYNC registration, rebuilt after load */
	struct list epitems; /* derived: epoll items watching this description; guarded by the global epoll lock */
	struct list locks_owner; /* nosave: OFD and flock locks refer to the file by address; see fs/locks */
	struct lease *lease; /* saved: 17 lease, 18 lease_target, 19 lease_deadline, 20 lease_fd; guarded by lease.c */
	struct dnotify *dnotify; /* saved: 15 dnotify_mask, 16 dnotify_fd; owned by dnotify.c */
	bool read_counted; /* derived: counted in inode->read_count */
	bool counted; /* derived: counted in inode->write_count as a writer */
	bool nonotify; /* saved: made by fanotify for its reader: what is done with it is no event */
	bool exec_denied; /* saved: counted there as a running program */
};

/* Initialises the base: one reference, @flags (access mode decides readable/writable), opener's cred of @t (may be NULL: kernel). Takes
 * its own references on *@path (may be NULL) and @inode (may be NULL for anonymous: a shared anonymous inode is used). */
void file_init(struct file *f, const struct file_ops *ops, uint32_t flags, struct task *t, const struct path *path, struct inode *inode);
void file_done(struct file *f); /* releases what file_init took; called by ops->release */
struct file *file_get(struct file *f);
void file_put(struct file *f); /* NULL is fine */
static inline void file_putp(struct file **f)
{
	if (*f)
		file_put(*f);
}
#define _cleanup_file_ _cleanup_(file_putp)

static inline bool file_nonblock(const struct file *f)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&f->flags, memory_order_relaxed) & 04000; /* O_NONBLOCK */
}

/* Whether RWF_NOWAIT is allowed (FMODE_NOWAIT); elsewhere -EOPNOTSUPP. */
bool file_may_nowait(const struct file *f);
uint32_t file_poll(struct file *f);
/* Registers on the file's queue; false when it has none. */
bool file_poll_add(struct file *f, struct waiter *w);

/* read(2)-like transfer with blocking, position, restarts and partial progress; what the system calls and sendfile use. @off -1: the
 * file's position. -ESPIPE for positioned transfers on streams. */
int64_t file_read(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf);
int64_t file_write(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf);
/* fanotify listeners may refuse a read: -EPERM, or as fanotify_perm(). */
_must_check_ int file_perm_read(struct file *f, struct task *t);
/* For the write op of regular files, called with inode->mu held: O_APPEND, RLIMIT_FSIZE (SIGXFSZ), largest size, suid removal, mtime. May cut
 * u->left: restore it with += *@ret_cut after the transfer. Bytes to write (> 0), 0, or an error (-EFBIG). */
int64_t file_write_checks(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf, size_t *ret_cut);
/* SIGPIPE for a write without readers; file_write() does it. */
void file_sigpipe(struct task *t);
/* One attempt, without blocking: position, access mode and type checks included. */
int64_t file_read_once(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf);
int64_t file_write_once(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf);
/* lseek for files whose content has a size: all whences but DATA/HOLE, which treat the file as all data. @size: SEEK_END's base. pos_mu held. */
int64_t file_llseek_size(struct file *f, int64_t off, int whence, int64_t size, int64_t max);
/* For files that accept lseek and ignore it (eventfd, epoll and their like). */
int64_t file_noop_llseek(struct file *f, struct task *t, int64_t off, int whence);
/* F_SETFL's O_ASYNC: registers or removes the sender of SIGIO. -ENOMEM. */
int file_set_async(struct file *f, bool on);
/* SIGURG to the owner (F_SETOWN): urgent data has come. No lock held. */
void file_send_sigurg(struct file *f);
int file_seek(struct file *f, struct task *t, int64_t off, int whence, int64_t *ret);

/* The loop itself, for other calls that may block on a file (accept, recvmsg, ...): runs @op until it returns other than -EAGAIN,
 * waiting for @events between; honours O_NONBLOCK (or @nonblock), @deadline, signals, freeze. */
int64_t file_block_on(struct file *f, struct task *t, uint32_t events, bool nonblock, int64_t deadline, int64_t (*op)(void *arg), void *arg);

/* Base part of every file's message (schemas/file.proto FileBase). */
struct Sentry__FileBase;
int file_save_base(struct state_writer *w, const struct file *f, struct Sentry__FileBase *m);
int file_load_base(struct state_reader *r, struct file *f, const struct file_ops *ops, const struct Sentry__FileBase *m);
/* Signals of leases and dnotify: SIGIO or F_SETSIG's, with POLL_MSG and @fd, to the owner. No lock held. */
void file_signal_owner(struct file *f, int fd);
void file_default_owner(struct file *f, struct task *t); /* @t's process becomes the owner when there is none */
/* @f (a regular file) was opened for reading only: counted for leases. */
void file_count_reader(struct file *f);
/* @f was opened for writing and inode_get_write() was done for it: undone with the file. */
void file_count_writer(struct file *f);
/* Every file type's after_load calls this: writer counts, O_ASYNC. */
void file_after_load_base(struct file *f);
/* Types with a path also check first that it leads to the file's inode. */
_must_check_ int file_check_path(struct state_reader *r, const struct file *f);
/* What O_PATH opens. */
extern const struct file_ops path_file_ops;
/* State types of files use these as get and put, which is how a reference is checked to be a file. */
void file_state_get(void *file);
void file_state_put(void *file);
int file_state_after_load(struct state_reader *r, void *file); /* after_load of kinds that have nothing else to do there */
/* For fields that refer to a file of any kind. */
uint64_t file_state_ref(struct state_writer *w, const struct file *f); /* NULL: 0 */
_must_check_ int file_state_deref(struct state_reader *r, uint64_t id, struct file **ret);

#endif
