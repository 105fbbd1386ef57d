/* SPDX-License-Identifier: Apache-2.0 */
/* The operations, for the table in ops.c. Each is as struct uring_op says. */
#ifndef SENTRY_FS_URING_OPS_H
#define SENTRY_FS_URING_OPS_H

#include "sentry/fs/uring/uring_internal.h"

#define UOP_PREP(name)	int uop_prep_##name(struct task *t, struct ureq *q)
#define UOP_IMPORT(name) int uop_import_##name(struct task *t, struct ureq *q)
#define UOP(name)	int64_t uop_##name(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)

/* op_rw.c */
UOP_PREP(rw);
UOP_IMPORT(rw);
UOP(rw);
/* Reads and checks @n vectors at @addr into q->iov. */
_must_check_ int ureq_import_iov(struct task *t, struct ureq *q, gaddr_t addr, uint64_t n);

/* op_net.c */
UOP_PREP(send);
UOP_IMPORT(send);
UOP(send);
UOP_PREP(recv);
UOP_IMPORT(recv);
UOP(recv);
UOP_PREP(send_zc);
UOP(send_zc);

/* op_conn.c */
UOP_PREP(accept);
UOP(accept);
UOP_PREP(connect);
UOP_IMPORT(connect);
UOP(connect);
UOP_PREP(shutdown);
UOP(shutdown);
UOP_PREP(socket);
UOP(socket);

/* op_poll.c */
UOP_PREP(poll_add);
UOP(poll_add);
UOP_PREP(poll_remove);
UOP(poll_remove);
#define UREQ_POLL_ALWAYS (LINUX_POLLERR | LINUX_POLLHUP | LINUX_POLLRDHUP)

/* op_timeout.c */
UOP_PREP(timeout);
UOP(timeout);
UOP(link_timeout);
UOP_PREP(timeout_remove);
UOP(timeout_remove);
UOP_PREP(async_cancel);
UOP(async_cancel);

/* op_fs.c */
UOP_PREP(openat);
UOP_PREP(openat2);
UOP_IMPORT(path);
UOP(openat);
UOP_PREP(close);
UOP(close);
UOP_PREP(path);
UOP(path);
UOP_PREP(file);
UOP(file);
UOP_PREP(splice);
UOP(splice);
UOP_PREP(xattr);
UOP(xattr);

/* op_misc.c */
UOP(nop);
UOP_PREP(epoll_ctl);
UOP(epoll_ctl);
UOP_PREP(madvise);
UOP(madvise);
UOP_PREP(files_update);
UOP(files_update);
UOP_PREP(provide);
UOP(provide);
UOP_PREP(msg_ring);
UOP(msg_ring);
UOP_PREP(cmd);
UOP(cmd);

#endif
