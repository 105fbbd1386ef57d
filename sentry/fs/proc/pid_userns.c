/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid/{uid_map,gid_map,projid_map,setgroups,timens_offsets}. Linux: kernel/user_namespace.c, kernel/time/namespace.c.
 *
 * DEVIATION: Linux asks for the opener's credentials as well as the writer's; here they are the writer's. Checkpoint: stateless.
 */
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/time_ns.h"

const enum id_kind proc_id_kinds[] = { [ID_UID] = ID_UID, [ID_GID] = ID_GID, [ID_PROJID] = ID_PROJID };

static const struct cred nobody_asks; /* the kernel: of the initial namespace */

static const struct cred *asker(const struct pctx *c)
{
	return c->t && c->t->cred ? c->t->cred : &nobody_asks;
}

int proc_show_id_map(struct pctx *c, struct strbuf *b)
{
	struct cred *cr = task_cred_get(c->target);

	if (!cr)
		return -ESRCH;
	user_ns_show_map(cr->user_ns, *(const enum id_kind *)c->node->data, asker(c), b);
	cred_put(cr);
	return 0;
}

int64_t proc_store_id_map(struct pctx *c, char *s, size_t n)
{
	struct cred *cr = task_cred_get(c->target);
	int64_t r;

	if (!cr)
		return -ESRCH;
	r = user_ns_write_map(cr->user_ns, *(const enum id_kind *)c->node->data, asker(c), s, n);
	cred_put(cr);
	return r;
}

int proc_show_setgroups(struct pctx *c, struct strbuf *b)
{
	struct cred *cr = task_cred_get(c->target);

	if (!cr)
		return -ESRCH;
	strbuf_adds(b, cr->user_ns && cr->user_ns->setgroups_denied ? "deny\n" : "allow\n");
	cred_put(cr);
	return 0;
}

int64_t proc_store_setgroups(struct pctx *c, char *s, size_t n)
{
	struct cred *cr = task_cred_get(c->target);
	int64_t r;

	if (!cr)
		return -ESRCH;
	r = cred_ns_capable(asker(c), cr->user_ns, LINUX_CAP_SYS_ADMIN) ? user_ns_write_setgroups(cr->user_ns, asker(c), s, n) : -EACCES;
	cred_put(cr);
	return r;
}

int proc_show_timens_offsets(struct pctx *c, struct strbuf *b)
{
	struct nsproxy *n = task_ns_get(c->target);

	if (!n)
		return -ESRCH;
	time_ns_show_offsets(n->time_for_children, b);
	nsproxy_put(n);
	return 0;
}

int64_t proc_store_timens_offsets(struct pctx *c, char *s, size_t n)
{
	struct nsproxy *ns = task_ns_get(c->target);
	int64_t r;

	if (!ns)
		return -ESRCH;
	r = time_ns_write_offsets(ns->time_for_children, asker(c), s, n);
	nsproxy_put(ns);
	return r;
}
