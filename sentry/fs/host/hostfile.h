/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host descriptors given to a container: its standard input, output and error when there is no terminal, and preserved fds.
 *
 * The application sees what the host descriptor is (pipe, socket, regular file, tty, /dev/null). Nothing blocks in the host: readiness comes
 * from one host poller thread, started by the first descriptor that would block.
 * Checkpoint: which standard descriptor it was (0-2, or the nth extra), flags, and what an fstat showed; a restore connects the
 * descriptors given to it. A regular file is written from its current position.
 */
#ifndef SENTRY_FS_HOSTFILE_H
#define SENTRY_FS_HOSTFILE_H

#include "sentry/fs/file.h"

struct container;

/* Takes over @fd on success. @index: 0-2 standard, 3.. extra: which descriptor of the container's start it is. The access mode is the
 * host's. Descriptors that are the same open file on the host (2>&1) should be given once and shared by the caller. */
_must_check_ int hostfile_new(struct container *c, int fd, int index, struct file **ret);
/* Before an image is loaded: the host descriptor that index @index will get. Ownership passes. */
void hostfile_set_restore_fd(int index, int fd);

#endif
