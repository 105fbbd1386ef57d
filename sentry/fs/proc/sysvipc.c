/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sysvipc: System V objects of the caller's ipc namespace. The headers are here; the lines come from sentry/ipc.
 */
#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/nsproxy.h"

static int with_ns(struct pctx *c, struct strbuf *b, void (*show)(struct ipc_ns *, struct task *, struct strbuf *))
{
	struct nsproxy *n = c->t ? task_ns_get(c->t) : NULL;

	if (n && n->ipc)
		show(n->ipc, c->t, b);
	if (n)
		nsproxy_put(n);
	return 0;
}

int proc_show_sysvipc_shm(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime"
		       "                   rss                  swap\n");
	return with_ns(c, b, ipc_show_shm);
}

int proc_show_sysvipc_sem(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	return with_ns(c, b, ipc_show_sem);
}

int proc_show_sysvipc_msg(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
	return with_ns(c, b, ipc_show_msg);
}
