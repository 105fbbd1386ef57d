/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading AF_UNIX endpoints: everything in flight is in the queues, everything else follows from them and from the pointers.
 * Name tables, send-buffer charges, in-flight counts and sender lists are rebuilt after loading.
 */
#include <string.h>

#include "schemas/unix_socket.pb-c.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/unix.h"
#include "state/state.h"

extern const struct state_type cred_state_type;
extern const struct state_type pid_state_type; /* also when this build has no tasks */

static void save_msg(struct state_writer *w, const struct unix_msg *m, Sentry__UnixMsg *mm)
{
	sentry__unix_msg__init(mm);
	mm->sender = state_ref(w, &unix_sock_state_type, m->sender);
	mm->data.data = (uint8_t *)(uintptr_t)m->data + m->off;
	mm->data.len = m->len - m->off;
	mm->truesize = m->truesize;
	mm->oob = m->oob;
	if (m->scm.fds) {
		mm->n_files = m->scm.fds->nr;
		mm->files = state_zalloc(w, mm->n_files, sizeof(*mm->files));
		for (size_t i = 0; i < mm->n_files; i++)
			mm->files[i] = file_state_ref(w, m->scm.fds->file[i]);
	}
	mm->has_creds = m->scm.has_creds;
	mm->pid = state_ref(w, &pid_state_type, m->scm.pid);
	mm->uid = m->scm.uid;
	mm->gid = m->scm.gid;
}

static int unix_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct unix_sock *u = obj, *e;
	Sentry__UnixSock *m = msg;
	const struct unix_msg *q;
	Sentry__UnixMsg *qm;

	m->sock_base = state_zalloc(w, 1, sizeof(*m->sock_base));
	sentry__sock_base__init(m->sock_base);
	m->state = u->state;
	m->dead = u->dead;
	m->shutdown = u->shutdown;
	m->err = u->err;
	m->peer = state_ref(w, &unix_sock_state_type, u->peer);
	if (u->addr) {
		m->name.data = (uint8_t *)u->addr->name;
		m->name.len = u->addr->len;
	}
	if (u->path.dentry)
		m->path = path_save(w, &u->path);
	qm = state_zalloc(w, u->rq_len, sizeof(*qm));
	m->queue = state_zalloc(w, u->rq_len, sizeof(*m->queue));
	list_for_each(q, &u->rq, node) {
		save_msg(w, q, qm);
		m->queue[m->n_queue++] = qm++;
	}
	m->backlog = state_zalloc(w, u->nr_backlog, sizeof(*m->backlog));
	list_for_each(e, &u->backlog, backlog_node)
		m->backlog[m->n_backlog++] = state_ref(w, &unix_sock_state_type, e);
	m->backlog_max = u->backlog_max;
	m->peer_pid = state_ref(w, &pid_state_type, u->peer_pid);
	m->peer_cred = state_ref(w, &cred_state_type, u->peer_cred);
	m->peer_uid = u->peer_uid;
	m->peer_gid = u->peer_gid;
	m->child = u->child;
	return sock_save_base(w, &u->sk, m->sock_base);
}

static int load_msg(struct state_reader *r, struct unix_sock *u, const Sentry__UnixMsg *mm)
{
	struct unix_msg *m = malloc(sizeof(*m) + mm->data.len);
	int err;

	if (!m)
		return -ENOMEM;
	memset(m, 0, sizeof(*m));
	if (mm->data.len)
		memcpy(m->data, mm->data.data, mm->data.len);
	m->len = mm->data.len;
	m->truesize = mm->truesize;
	m->oob = mm->oob;
	if (m->oob)
		u->oob = m;
	m->scm.has_creds = mm->has_creds;
	m->scm.uid = mm->uid;
	m->scm.gid = mm->gid;
	list_add_tail(&u->rq, &m->node);
	u->rq_len++;
	u->rq_bytes += m->len;
	err = state_deref(r, mm->sender, &unix_sock_state_type, (void **)&m->sender);
	if (!err)
		err = state_check(r, m->sender && (!m->oob || m->len == 1) && mm->truesize <= INT32_MAX && mm->n_files <= LINUX_SCM_MAX_FD, "queued message");
	if (!err)
		err = state_deref(r, mm->pid, &pid_state_type, (void **)&m->scm.pid);
	if (err || !mm->n_files)
		return err;
	m->scm.fds = calloc(1, sizeof(*m->scm.fds) + mm->n_files * sizeof(struct file *));
	if (!m->scm.fds)
		return -ENOMEM;
	for (size_t i = 0; i < mm->n_files; i++) {
		err = file_state_deref(r, mm->files[i], &m->scm.fds->file[i]);
		if (!err)
			err = state_check(r, m->scm.fds->file[i] != NULL, "descriptor in flight without file");
		if (err)
			return err;
		m->scm.fds->nr++;
	}
	return 0;
}

static int unix_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__UnixSock *m = msg;
	struct unix_sock *u = obj;
	int err = state_check(r, m->sock_base && m->state <= UNIX_ESTABLISHED && m->shutdown <= UNIX_SHUT_BOTH &&
					 m->name.len <= LINUX_UNIX_PATH_MAX + 1 && m->backlog_max <= SOCK_SOMAXCONN &&
					 m->err >= 0 && m->err < 4096, "unix socket");

	if (!err)
		err = sock_load_base(r, &u->sk, &unix_sock_ops, m->sock_base);
	if (!err)
		err = state_check(r, u->sk.family == LINUX_AF_UNIX &&
					     (u->sk.type == LINUX_SOCK_STREAM || u->sk.type == LINUX_SOCK_DGRAM ||
					      u->sk.type == LINUX_SOCK_SEQPACKET), "unix socket type");
	if (err)
		return err;
	u->state = (enum unix_state)m->state;
	u->dead = m->dead;
	u->shutdown = m->shutdown;
	u->err = m->err;
	u->backlog_max = m->backlog_max;
	u->peer_uid = m->peer_uid;
	u->peer_gid = m->peer_gid;
	u->child = m->child;
	if (m->name.len) {
		u->addr = unix_addr_new((const char *)m->name.data, (uint32_t)m->name.len);
		if (!u->addr)
			return -ENOMEM;
		err = state_check(r, !m->name.data[0] || !m->name.data[m->name.len - 1], "unix socket name");
	}
	if (!err && m->path)
		err = path_load(r, m->path, &u->path);
	if (!err)
		err = state_deref(r, m->peer, &unix_sock_state_type, (void **)&u->peer);
	if (!err)
		err = state_check(r, u->peer || u->state != UNIX_ESTABLISHED, "connected unix socket without peer");
	if (!err)
		err = state_deref(r, m->peer_pid, &pid_state_type, (void **)&u->peer_pid);
	if (!err)
		err = state_deref(r, m->peer_cred, &cred_state_type, (void **)&u->peer_cred);
	for (size_t i = 0; !err && i < m->n_queue; i++)
		err = load_msg(r, u, m->queue[i]);
	for (size_t i = 0; !err && i < m->n_backlog; i++) {
		struct unix_sock *e;

		err = state_deref(r, m->backlog[i], &unix_sock_state_type, (void **)&e);
		if (!err)
			err = state_check(r, e && e != u && !list_linked(&e->backlog_node), "waiting connection");
		if (err)
			break;
		list_add_tail(&u->backlog, &e->backlog_node); /* the node belongs to the listener */
		u->nr_backlog++;
	}
	return err;
}

static int unix_sock_after_load(struct state_reader *r, void *obj)
{
	struct unix_sock *u = obj, *e;
	struct unix_msg *m;
	int err = 0;

	if (u->path.dentry) {
		struct inode *i = u->path.dentry->inode;

		err = state_check(r, i && !i->sock, "two sockets of one name");
		if (err)
			return err;
		i->sock = u;
	} else if (u->addr && !u->addr->name[0] && !u->child && !u->dead) {
		err = state_check(r, u->sk.net && unix_hash_abstract(u, u->addr) == 0, "abstract name taken twice");
		if (err)
			return err;
	}
	list_for_each(e, &u->backlog, backlog_node) {
		err = state_check(r, e->state == UNIX_ESTABLISHED && e->sk.type == u->sk.type && !unix_is_dgram(e), "waiting connection");
		if (err)
			return err;
	}
	if (u->peer && unix_is_dgram(u))
		list_add_tail(&u->peer->senders, &u->conn_node);
	list_for_each(m, &u->rq, node) {
		atomic_fetch_add(&m->sender->wmem, m->truesize);
		if (m->scm.fds)
			unix_flight(m->scm.fds);
	}
	return 0;
}

const struct state_type unix_sock_state_type = {
	.id = STATE_ID_unix_sock,
	.name = "unix_sock",
	.desc = &sentry__unix_sock__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = unix_alloc,
	.save = unix_sock_save,
	.load = unix_sock_load,
	.after_load = unix_sock_after_load,
	.get = sock_state_get,
	.put = sock_state_put,
};
