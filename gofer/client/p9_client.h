/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P client of the Sentry: every file outside the sandbox is reached through it.
 *
 * Transport: one connected AF_UNIX socket pair, SOCK_SEQPACKET (preferred: one system call per message) or SOCK_STREAM; it must
 * carry SCM_RIGHTS. Uses only getsockopt, setsockopt, sendto, recvmsg, shutdown, close and futexes on the host.
 *
 * Threads: every function may be called by many threads at once and blocks the calling pthread until the reply (calls are
 * short host operations; nothing waits for another application). There is no receiver thread: one of the waiting callers
 * reads for all. No lock of the caller's is needed; do not hold spinning locks. Requests on one fid may overlap.
 *
 * Errors: all functions return 0 (or a count or fd) or a negative errno. When the gofer dies, answers nonsense or does not
 * answer for P9_REPLY_TIMEOUT_S, the client is dead: this and every later call returns -EIO; p9_client_error() says why.
 *
 * Fids are plain numbers owned by the caller. A fid names a file (an O_PATH handle in the gofer): it survives rename and unlink
 * of the file, and it is not "open": p9_openfd() may be called on it many times with different flags. p9_clunk() when done.
 * On -EMFILE/-ENFILE the gofer is out of host fds: drop cached fids and retry.
 *
 * Checkpoint: nothing here is saved. After restore the Sentry makes a new client on a new socket, attaches and walks again.
 */
#ifndef GOFER_CLIENT_P9_CLIENT_H
#define GOFER_CLIENT_P9_CLIENT_H

#include <sys/types.h>
#include <time.h>

#include "gofer/proto/p9.h"

struct p9_client;

#define P9_REPLY_TIMEOUT_S 120

/* Negotiates P9_VERSION_EXT over @sock, which passes to the client on success only. -EPROTONOSUPPORT when the peer does not
 * speak our extensions, -EIO when it speaks nonsense or is gone. */
int p9_client_new(int sock, struct p9_client **ret);
/* Counted: the container and every super block that still has fids to clunk hold one. */
struct p9_client *p9_client_get(struct p9_client *c);
/* The last one closes the socket (the gofer exits): no call may then be in progress. NULL is fine. */
void p9_client_put(struct p9_client *c);
/* Makes every present and future call fail with -EIO. */
void p9_client_shutdown(struct p9_client *c);
/* One static line saying why the client is dead, NULL while it is alive. */
const char *p9_client_error(const struct p9_client *c);
/* Largest p9_read/p9_write that is not split. */
uint32_t p9_client_iounit(const struct p9_client *c);

/* Root of the export @aname. @attr may be NULL. */
int p9_attach(struct p9_client *c, const char *aname, uint32_t *fid, struct p9_attr *attr);

struct p9_walked {
	uint32_t fid; /* set by the walk: a new fid, or P9_NOFID when @want_fids was false */
	struct p9_attr attr;
};

/*
 * Walks @n <= P9_MAX_WALK components ("", ".", ".." and '/' are refused with -EINVAL; symlinks are not followed) below directory
 * @fid in one round trip. Returns how many were reached, filling @res for those; when fewer than @n, *@err says why the next one
 * was not (-ENOENT, -ENOTDIR below a symlink or file, ...), else 0. Returns a negative errno only when the call itself failed.
 */
ssize_t p9_walk(struct p9_client *c, uint32_t fid, const char *const *names, size_t n, bool want_fids,
		struct p9_walked *res, int *err);
/* One component: 0 with *@ret and *@attr set, or a negative errno. @ret NULL: attributes only, no fid. */
int p9_lookup(struct p9_client *c, uint32_t fid, const char *name, uint32_t *ret, struct p9_attr *attr);
/* A second fid for the same file. */
int p9_clone(struct p9_client *c, uint32_t fid, uint32_t *ret);

int p9_getattr(struct p9_client *c, uint32_t fid, struct p9_attr *attr);
struct p9_setattr {
	uint32_t valid; /* enum p9_setattr_valid */
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec atime, mtime; /* used with ATIME|ATIME_SET, MTIME|MTIME_SET; else now */
};
int p9_setattr(struct p9_client *c, uint32_t fid, const struct p9_setattr *sa);
struct p9_statfs {
	uint32_t type, bsize, namelen;
	uint64_t blocks, bfree, bavail, files, ffree, fsid;
};
int p9_statfs(struct p9_client *c, uint32_t fid, struct p9_statfs *st);

/* Host fd (close-on-exec, the caller's to close) of the regular file @fid opened with @flags (O_ACCMODE, O_TRUNC, O_APPEND, O_DIRECT,
 * O_SYNC, O_DSYNC, O_NOATIME; others are ignored). Devices, FIFOs, sockets: -ENXIO (the Sentry implements them); symlink: -ELOOP;
 * directory: -EISDIR. */
int p9_openfd(struct p9_client *c, uint32_t fid, int flags);
/* Creates regular file @name in directory @fid, owned by @uid:@gid (P9_NOUID: as the host decides), or, without O_EXCL in @flags,
 * opens the regular file that is there (then owner and mode stay). Returns the host fd opened with @flags, sets *@ret to a fid. */
int p9_create(struct p9_client *c, uint32_t fid, const char *name, int flags, uint32_t mode, uint32_t uid, uint32_t gid,
	      uint32_t *ret, struct p9_attr *attr);
/* The rest return attributes and a fid of what they made in the same round trip; @ret and @attr may be NULL. @mode has the umask
 * applied already. */
int p9_mkdir(struct p9_client *c, uint32_t fid, const char *name, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t *ret,
	     struct p9_attr *attr);
int p9_mknod(struct p9_client *c, uint32_t fid, const char *name, uint32_t mode, uint32_t major, uint32_t minor, uint32_t uid,
	     uint32_t gid, uint32_t *ret, struct p9_attr *attr);
int p9_symlink(struct p9_client *c, uint32_t fid, const char *name, const char *target, uint32_t uid, uint32_t gid,
	       uint32_t *ret, struct p9_attr *attr);
/* Hard link: @name in directory @dfid becomes another name of @fid (any type but directory). */
int p9_link(struct p9_client *c, uint32_t dfid, const char *name, uint32_t fid);
/* @flags: RENAME_NOREPLACE, RENAME_EXCHANGE. */
int p9_rename(struct p9_client *c, uint32_t olddfid, const char *oldname, uint32_t newdfid, const char *newname,
	      uint32_t flags);
/* @flags: 0 or AT_REMOVEDIR. */
int p9_unlink(struct p9_client *c, uint32_t dfid, const char *name, int flags);
/* Length of the target, which is cut at @size and not NUL-terminated. */
ssize_t p9_readlink(struct p9_client *c, uint32_t fid, char *buf, size_t size);

struct p9_dirent {
	struct p9_attr attr; /* attr.valid == 0: the file went away meanwhile, only qid, type and name are known */
	struct p9_qid qid;
	uint64_t offset; /* pass it to p9_readdir() to go on after this entry */
	uint8_t type; /* DT_* */
	char name[P9_NAME_MAX + 1];
};
/*
 * Entries of directory @fid after position @offset (0: from the start) with attributes, without "." and "..". Calls @fn for each
 * until it returns nonzero or a buffer's worth is done. Returns the number of entries received, 0 at the end of the directory, or
 * a negative errno. The fid needs no opening. Call again with the last entry's offset.
 */
ssize_t p9_readdir(struct p9_client *c, uint32_t fid, uint64_t offset,
		   int (*fn)(void *arg, const struct p9_dirent *d), void *arg);

/* Through the gofer by name of fid; most callers use their donated fd instead. -EBADF unless opened by p9_open(). */
int p9_open(struct p9_client *c, uint32_t fid, int flags);
ssize_t p9_read(struct p9_client *c, uint32_t fid, void *buf, size_t n, uint64_t off);
ssize_t p9_write(struct p9_client *c, uint32_t fid, const void *buf, size_t n, uint64_t off);
int p9_allocate(struct p9_client *c, uint32_t fid, int mode, uint64_t off, uint64_t len);
/* Record locks on a p9_open()ed fid (OFD locks in the gofer). @type: F_RDLCK, F_WRLCK, F_UNLCK. -EAGAIN when held elsewhere; never
 * blocks. @len 0: to the end. */
int p9_lock(struct p9_client *c, uint32_t fid, int type, uint64_t start, uint64_t len);
/* F_GETLK: *@type becomes F_UNLCK or the type of a conflicting lock, whose range is stored. */
int p9_getlock(struct p9_client *c, uint32_t fid, int *type, uint64_t *start, uint64_t *len, uint32_t *pid);

/* Works on any fid, opened or not (the gofer opens files read-only for it). */
int p9_fsync(struct p9_client *c, uint32_t fid, bool datasync);
int p9_syncfs(struct p9_client *c, uint32_t fid);

/* Like getxattr(2) and friends: @size 0 asks for the length, too small is -ERANGE. Writing security.* and trusted.* is refused. */
ssize_t p9_getxattr(struct p9_client *c, uint32_t fid, const char *name, void *buf, size_t size);
ssize_t p9_listxattr(struct p9_client *c, uint32_t fid, char *buf, size_t size);
int p9_setxattr(struct p9_client *c, uint32_t fid, const char *name, const void *val, size_t size, int flags);
int p9_removexattr(struct p9_client *c, uint32_t fid, const char *name);

/* Host fd of a new socket of @type (SOCK_STREAM, ...) connected to the unix socket @fid. -ECONNREFUSED unless the export allows it. */
int p9_connect(struct p9_client *c, uint32_t fid, int type);
/* Host fd of a new socket of @type bound to new node @name in directory @fid. -EPERM unless the export allows it. */
int p9_bind(struct p9_client *c, uint32_t fid, const char *name, int type, uint32_t mode, uint32_t uid, uint32_t gid,
	    uint32_t *ret, struct p9_attr *attr);

/* Forgets @fid. Never fails for the caller; P9_NOFID is fine. */
void p9_clunk(struct p9_client *c, uint32_t fid);
/* Same, but sent together with others (up to P9_MAX_CLUNK) in one message; use it for cached fids. p9_clunk_flush() sends the rest. */
void p9_clunk_later(struct p9_client *c, uint32_t fid);
void p9_clunk_flush(struct p9_client *c);

#endif
