/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, small files, and file descriptors over unix sockets. Negative errno on failure. */
#ifndef BASE_FD_UTIL_H
#define BASE_FD_UTIL_H

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/util.h"

#define FD_SEND_MAX 253 /* SCM_MAX_FD */

_must_check_ int write_all(int fd, const void *buf, size_t n);
/* Returns 0 when all @n bytes came, -ECONNRESET at an early end of file. */
_must_check_ int read_exact(int fd, void *buf, size_t n);
/* Reads @path (relative to @dirfd) to the end, NUL-terminated, malloc'd; -EFBIG when longer than @max. */
_must_check_ int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);
_must_check_ int read_fd_all(int fd, size_t max, char **ret, size_t *ret_len);
/* Writes @path through a temporary name and rename(2): readers see the old or the new content, never a part. */
_must_check_ int write_file_atomic_at(int dirfd, const char *path, mode_t mode, const void *buf, size_t n);
/* One open+write, for /proc and cgroup files. */
_must_check_ int write_string_at(int dirfd, const char *path, const char *s);

/* Sends all of @buf; @fds ride on its first byte. */
_must_check_ int send_with_fds(int sock, const void *buf, size_t n, const int *fds, size_t nr_fds);
/* Receives 1..@n bytes; descriptors (CLOEXEC) are stored in fds[*nr_fds...] up to @max_fds, surplus is closed.
 * Returns the number of bytes, 0 at end of file. */
_must_check_ ssize_t recv_with_fds(int sock, void *buf, size_t n, int *fds, size_t max_fds, size_t *nr_fds);

/* mkdir -p. */
_must_check_ int mkdir_parents(const char *path, mode_t mode);
/* Removes everything below @dirfd/@name and the directory itself; never crosses into another file system by a symlink.
 */
_must_check_ int remove_tree_at(int dirfd, const char *name);

#endif
