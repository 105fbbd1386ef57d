/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses and messages in application memory. Linux: net/socket.c. */
#include "sentry/net/sock_user.h"

#include <string.h>

#include "sentry/kernel/task.h"

#define CONTROL_MAX (1u << 16) /* net.core.optmem_max is of this order */

int sock_addr_in(struct task *t, gaddr_t addr, int32_t len, uint8_t buf[LINUX_SOCKADDR_MAX])
{
	if (len < 0 || len > LINUX_SOCKADDR_MAX)
		return -EINVAL;
	memset(buf, 0, LINUX_SOCKADDR_MAX);
	return len ? copy_in(t, buf, addr, (size_t)len) : 0;
}

int sock_addr_out(struct task *t, const uint8_t *buf, uint32_t len, gaddr_t addr, gaddr_t lenp)
{
	int32_t ulen;

	if (copy_in(t, &ulen, lenp, sizeof(ulen)))
		return -EFAULT;
	if (ulen < 0)
		return -EINVAL;
	if (ulen && len && copy_out(t, addr, buf, MIN(len, (uint32_t)ulen)))
		return -EFAULT;
	return copy_out(t, lenp, &len, sizeof(len));
}

static int parse_control(struct task *t, const struct sock *sk, gaddr_t control, uint64_t len, struct sock_msg *m)
{
	_cleanup_free_ uint8_t *buf = NULL;
	int r;

	if (len > INT32_MAX)
		return -ENOBUFS;
	if (!len || !control.v)
		return 0;
	if (len > CONTROL_MAX)
		return -ENOBUFS;
	buf = malloc(len);
	if (!buf)
		return -ENOMEM;
	r = copy_in(t, buf, control, len);
	if (!r && !sk->ops->own_control)
		r = scm_parse(t, buf, len, &m->scm);
	if (r)
		return r;
	m->ctl = TAKE_PTR(buf);
	m->ctllen = len;
	return 0;
}

int64_t sock_send_user(struct task *t, struct file *f, struct uio *u, const void *name, uint32_t namelen, gaddr_t control,
		       uint64_t controllen, uint32_t flags)
{
	struct sock_msg m = { .flags = flags, .u = u, .namelen = MIN(namelen, (uint32_t)LINUX_SOCKADDR_MAX) };
	int64_t r;

	if (m.namelen)
		memcpy(m.name, name, m.namelen);
	r = parse_control(t, file_sock(f), control, controllen, &m);
	if (!r)
		r = do_sendmsg(f, t, &m);
	sock_msg_done(&m);
	return r;
}

int64_t sock_recv_user(struct task *t, struct file *f, struct uio *u, struct linux_msghdr *h, gaddr_t at, uint32_t flags)
{
	struct sock_msg m = { .flags = flags & ~LINUX_MSG_CMSG_CLOEXEC, .u = u };
	int64_t r = do_recvmsg(f, t, &m);

	if (r < 0) {
		sock_msg_done(&m);
		return r;
	}
	if (h->name) {
		if (m.namelen && copy_out(t, GADDR(h->name), m.name, MIN(m.namelen, (uint32_t)h->namelen)))
			r = -EFAULT;
		h->namelen = (int32_t)m.namelen;
	}
	scm_deliver(t, &m.scm, m.ctl, m.ctllen, sock_passcred(file_sock(f)), flags & LINUX_MSG_CMSG_CLOEXEC, GADDR(h->control),
		    &h->controllen, &m.ret_flags);
	sock_msg_done(&m);
	h->flags = m.ret_flags | (flags & LINUX_MSG_CMSG_CLOEXEC);
	if (!at.v)
		return r;
	/* Only what recvmsg changes is written back. */
	if ((h->name && copy_out(t, gaddr_add(at, offsetof(struct linux_msghdr, namelen)), &h->namelen, sizeof(h->namelen))) ||
	    copy_out(t, gaddr_add(at, offsetof(struct linux_msghdr, controllen)), &h->controllen, sizeof(h->controllen)) ||
	    copy_out(t, gaddr_add(at, offsetof(struct linux_msghdr, flags)), &h->flags, sizeof(h->flags)))
		r = -EFAULT;
	return r;
}
