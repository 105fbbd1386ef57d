/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket-level ancillary data: descriptors and credentials in flight.
 *
 * A struct scm owns references on its files and pid. Files that are put because a message died are put from a flat list, so that sockets in
 * flight inside sockets in flight cannot make the release recurse.
 */
#ifndef SENTRY_NET_SCM_H
#define SENTRY_NET_SCM_H

#include "sentry/abi/socket.h"
#include "sentry/fs/file.h"

struct pid;

struct scm_fds {
	uint32_t nr; /* 1..LINUX_SCM_MAX_FD */
	struct file *file[]; /* referenced */
};

struct scm {
	struct scm_fds *fds; /* NULL: none */
	struct pid *pid; /* referenced; NULL: unknown, shown as 0 */
	uint32_t uid, gid;
	bool has_creds; /* uid, gid, pid say who sent it; else they are overflow ids */
};

void scm_done(struct scm *s);
void scm_fds_put(struct scm_fds *f); /* NULL is fine */
struct scm_fds *scm_fds_dup(const struct scm_fds *f); /* more references; or NULL */
/* The calling task's identity. */
void scm_set_creds(struct scm *s, struct task *t);
/* Parses the control buffer of sendmsg(2) for SOL_SOCKET: -EINVAL, -EBADF, -EPERM, -ESRCH, -ETOOMANYREFS. */
_must_check_ int scm_parse(struct task *t, const uint8_t *buf, size_t len, struct scm *ret);
/* Writes what was received to the application's control buffer of *@len bytes at @at: the family's own messages (@ctl, sock_msg.ctl), then
 * credentials and descriptors, which are installed; consumes @s. *@len becomes the bytes used; MSG_CTRUNC is added to *@ret_flags when
 * something did not fit. */
void scm_deliver(struct task *t, struct scm *s, const uint8_t *ctl, size_t ctllen, bool passcred, bool cloexec, gaddr_t at, uint64_t *len,
		 uint32_t *ret_flags);

#endif
