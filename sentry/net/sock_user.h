/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses and messages in application memory: what the socket system calls and io_uring share. */
#ifndef SENTRY_NET_SOCK_USER_H
#define SENTRY_NET_SOCK_USER_H

#include "sentry/net/socket.h"

/* Reads an address of @len bytes; the rest of @buf is zero. -EINVAL for a bad length, -EFAULT. */
_must_check_ int sock_addr_in(struct task *t, gaddr_t addr, int32_t len, uint8_t buf[LINUX_SOCKADDR_MAX]);
/* The application gets as much as its buffer, whose size is at @lenp, holds, and the full length. */
_must_check_ int sock_addr_out(struct task *t, const uint8_t *buf, uint32_t len, gaddr_t addr, gaddr_t lenp);
/* One message to @name (@namelen 0: none) with the control data at @control. Bytes or an error, as sendmsg(2). */
int64_t sock_send_user(struct task *t, struct file *f, struct uio *u, const void *name, uint32_t namelen, gaddr_t control,
		       uint64_t controllen, uint32_t flags);
/* One message, as recvmsg(2): name and control data go where @h says, lengths and flags into @h and, when @at is not NULL, into the
 * application's struct msghdr there. */
int64_t sock_recv_user(struct task *t, struct file *f, struct uio *u, struct linux_msghdr *h, gaddr_t at, uint32_t flags);

#endif
