/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_SOCK_DIAG: which family answers. See diag.h. Linux: net/core/sock_diag.c. */
#include "sentry/net/netlink/diag.h"

#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"

#define TCPDIAG_GETSOCK     18 /* the older request, for TCP only */
#define SOCK_DIAG_BY_FAMILY 20

uint64_t diag_ino(const struct sock *sk)
{
	return sk->file ? sk->file->inode->ino : 0;
}

static int diag_request(struct nl_request *q)
{
	if (q->h.type != SOCK_DIAG_BY_FAMILY && q->h.type != TCPDIAG_GETSOCK)
		return q->h.type == 21 /* SOCK_DESTROY */ ? -EOPNOTSUPP : -EINVAL;
	if (q->n < 2)
		return -EINVAL;
	if (q->h.type == TCPDIAG_GETSOCK)
		return diag_inet(q);
	switch (q->body[0]) {
	case LINUX_AF_INET:
	case LINUX_AF_INET6:
		return diag_inet(q);
	case LINUX_AF_UNIX:
		return diag_unix(q);
	case LINUX_AF_NETLINK:
		return diag_netlink(q);
	default:
		return q->body[0] >= LINUX_AF_MAX ? -EINVAL : -ENOENT;
	}
}

const struct nl_proto nl_diag = {
	.number = LINUX_NETLINK_SOCK_DIAG, .groups = 32, .any_recv = true, .request = diag_request,
};
