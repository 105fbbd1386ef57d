/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the gofer server: connection, nodes, fids, requests.
 *
 * node: one O_PATH fd of a host file, shared by the fids that were cloned from each other. Its inode never changes, so its type
 *       is checked once and stays true.
 * fid:  a number of the client, a node, and what Tlopen/Txattr* added. It leaves the table on Tclunk; requests that still use it
 *       hold a reference (a zombie), so it is destroyed when the last one ends.
 *
 * Locks: gofer.mu (reader role, requests in flight), gofer.fids_mu (table, counts, devices), fid.mu (open state of one fid; held
 * over host calls), gofer.send_mu (one reply at a time). fid.mu may be held when fids_mu is taken, never the other way round; the
 * other two nest with nothing.
 */
#ifndef GOFER_SERVER_INTERNAL_H
#define GOFER_SERVER_INTERNAL_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/htab.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "gofer/proto/p9.h"
#include "gofer/server/gofer.h"

#define GOFER_MAX_FIDS    (1U << 20)
#define GOFER_MAX_THREADS 4
#define GOFER_MAX_FLUSHES 8
#define GOFER_MAX_DEVS    1024
#define GOFER_XATTR_MAX   65536 /* XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux */

struct node {
	struct ref ref;
	int fd; /* O_PATH | O_NOFOLLOW */
	uint32_t type; /* S_IFMT of the inode */
	const struct gofer_export *exp;
};

/* A fid made by Txattrwalk (read) or Txattrcreate (write; takes effect at Tclunk). */
struct xattr_io {
	bool write;
	int flags;
	uint32_t size, done; /* bytes announced, bytes written */
	char name[P9_NAME_MAX + 1];
	uint8_t data[];
};

struct fid {
	struct ref ref;
	struct node *node;
	uint32_t uid; /* of Tattach, inherited: who owns what standard requests create; NOUID: us */
	/* Standard dialect only, for Trename and Tremove, which name a file by its fid: where it was found. */
	struct node *parent;
	char *name;

	struct mutex mu; /* protects what follows */
	int open_fd; /* -EBADF unless opened */
	bool auto_open; /* a directory opened by Treaddirattr, not by the client */
	int64_t dir_pos; /* directory position of open_fd, -1 unknown */
	struct xattr_io *xattr;
};

/* A slow request being worked on while another thread reads; tags of Tflush wait for its reply. */
struct inflight {
	bool used;
	uint16_t tag;
	uint16_t flushes[GOFER_MAX_FLUSHES];
	size_t nr_flushes;
};

struct gofer {
	int sock, proc_fd;
	bool stream; /* SOCK_STREAM: messages need reassembly */
	const struct gofer_export *exports;
	size_t nr_exports;
	bool rootless; /* no right to chown: creation keeps our own uid */

	struct mutex mu; /* protects what follows */
	struct cond idle, drained;
	bool have_reader, stop;
	int err;
	size_t nr_idle, nr_threads, nr_inflight;
	pthread_t threads[GOFER_MAX_THREADS];
	struct inflight inflight[GOFER_MAX_THREADS];

	struct mutex send_mu;

	struct mutex fids_mu; /* protects what follows */
	struct htab fids;
	uint64_t *devs;
	size_t nr_devs;

	/* Written by Tversion with no other request in flight. */
	uint32_t msize; /* 0 before Tversion */
	bool ext;
};

/* One request on its way through a handler. */
struct req {
	struct gofer *g;
	uint8_t *in, *out; /* message buffers of @cap bytes */
	size_t cap;
	struct p9_msg t, r; /* strings of @t point into @in */
	int send_fd; /* donated with the reply, closed after; -EBADF: none */
};

/* A handler fills q->r (its type is already set) and returns 0, or a negative errno that becomes Rlerror. */
typedef int (*handler_fn)(struct req *q);

/* fid.c */
struct node *node_get(struct node *n);
void node_put(struct node *n);
/* Takes @fd always, also on failure. */
int node_new(const struct gofer_export *exp, int fd, struct node **ret);
/* One component below @dir; never follows a symlink. */
int node_walk(struct node *dir, const char *name, struct node **ret);
/* Opens a regular file or directory for I/O; -ENXIO for other types, -ELOOP for symlinks. @flags as for open(2). */
int node_open(struct gofer *g, const struct node *n, int flags);
/* Name of the node's fd relative to the working directory, which is proc_fd. */
struct fd_name {
	char s[16];
};
struct fd_name node_name(const struct node *n);
/* 0, or -EROFS. */
int node_writable(const struct node *n);

/* Takes a reference on @n. */
int fid_new(struct node *n, struct fid **ret);
struct fid *fid_put(struct fid *f);
/* With a reference; NULL when unknown. */
struct fid *fid_get(struct gofer *g, uint32_t num);
/* Puts @f into the table under @num (the table's reference is a new one). -EBADF when @num is in use or NOFID, -EMFILE when full. */
int fid_insert(struct gofer *g, uint32_t num, struct fid *f);
/* Makes a fid of @n and inserts it; NOFID: does nothing. */
int fid_add(struct gofer *g, uint32_t num, struct node *n);
/* Removes from the table; returns the table's reference. */
struct fid *fid_remove(struct gofer *g, uint32_t num);
void fid_remove_all(struct gofer *g);
int fid_set_path(struct fid *f, struct node *parent, const char *name);

static inline void node_putp(struct node **n)
{
	if (*n)
		node_put(*n);
}
static inline void fid_putp(struct fid **f)
{
	*f = fid_put(*f);
}
#define _cleanup_node_ _cleanup_(node_putp)
#define _cleanup_fid_  _cleanup_(fid_putp)

/* attr.c */
int node_attr(struct gofer *g, const struct node *n, struct p9_attr *a);
int attr_at(struct gofer *g, int dirfd, const char *name, struct p9_attr *a);
struct p9_qid dirent_qid(struct gofer *g, uint64_t dev, uint64_t ino, uint8_t dtype);

/* xattr.c */
int xattr_commit(struct fid *f);

/* Handlers, one per request of messages.def. */
#define GOFER_HANDLER(name) int gofer_##name(struct req *q);
GOFER_HANDLER(tversion) GOFER_HANDLER(tauth) GOFER_HANDLER(tattach) GOFER_HANDLER(twalk) GOFER_HANDLER(twalkgetattr)
GOFER_HANDLER(tclunk) GOFER_HANDLER(tclunkn) GOFER_HANDLER(tremove)
GOFER_HANDLER(tlopen) GOFER_HANDLER(topenfd) GOFER_HANDLER(tlcreate) GOFER_HANDLER(tucreate)
GOFER_HANDLER(tread) GOFER_HANDLER(twrite) GOFER_HANDLER(treaddir) GOFER_HANDLER(treaddirattr)
GOFER_HANDLER(tfsync) GOFER_HANDLER(tsyncfs) GOFER_HANDLER(tallocate) GOFER_HANDLER(tlock) GOFER_HANDLER(tgetlock)
GOFER_HANDLER(tgetattr) GOFER_HANDLER(tsetattr) GOFER_HANDLER(tstatfs) GOFER_HANDLER(treadlink)
GOFER_HANDLER(tmkdir) GOFER_HANDLER(tumkdir) GOFER_HANDLER(tmknod) GOFER_HANDLER(tumknod)
GOFER_HANDLER(tsymlink) GOFER_HANDLER(tusymlink) GOFER_HANDLER(tlink) GOFER_HANDLER(trename)
GOFER_HANDLER(trenameat) GOFER_HANDLER(trenameat2) GOFER_HANDLER(tunlinkat)
GOFER_HANDLER(tconnect) GOFER_HANDLER(tbind)
GOFER_HANDLER(txattrwalk) GOFER_HANDLER(txattrcreate) GOFER_HANDLER(tgetxattr) GOFER_HANDLER(tsetxattr)
GOFER_HANDLER(tlistxattr) GOFER_HANDLER(tremovexattr)
#undef GOFER_HANDLER

#endif
