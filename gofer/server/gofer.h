/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer: serves host directories and files to one Sentry over 9P2000.L and our extensions (gofer/proto/p9.h).
 *
 * Runs in its own process with an empty root: after gofer_serve() starts it opens nothing except one path component relative to
 * a held fd, or a held fd again through @proc_fd. The client is hostile. Never links the Sentry.
 */
#ifndef GOFER_SERVER_GOFER_H
#define GOFER_SERVER_GOFER_H

#include "base/util.h"

enum gofer_export_flags {
	GOFER_READONLY = 1 << 0, /* every change fails with EROFS */
	GOFER_CONNECT = 1 << 1, /* Tconnect to unix sockets found here is allowed */
	GOFER_BIND = 1 << 2, /* Tbind may make unix sockets here */
	GOFER_DEVICES = 1 << 3, /* mknod of character and block devices is allowed (given CAP_MKNOD) */
};

/* One attach point. @fd (O_PATH or any fd of a directory, regular file, device or socket) stays the caller's. */
struct gofer_export {
	const char *aname; /* unique; compared byte by byte with Tattach's */
	int fd;
	uint32_t flags;
};

/* Opens /proc/self/fd of the calling process. Call it in the gofer process itself, after its last fork and before its root goes
 * away; also raises RLIMIT_NOFILE to its hard limit, since every fid holds an fd. Returns the fd or a negative errno. */
int gofer_open_proc(void);

/*
 * Serves until the peer closes: 0, or a negative errno when the peer broke the protocol (-EPROTO) or the socket failed. @sock is a
 * connected AF_UNIX SOCK_SEQPACKET or SOCK_STREAM; all fds stay the caller's. Changes the process's working directory (to
 * @proc_fd) and umask (to 0). May start up to 3 more threads. Install the filter of server/seccomp.h just before calling.
 */
int gofer_serve(int sock, int proc_fd, const struct gofer_export *exports, size_t n);

#endif
