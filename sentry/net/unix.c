/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX: names, connections and the life of endpoints. Structures and locks: unix.h; data transfer: unix_io.c.
 *
 * A stream connection is two endpoints that point at each other with references; the one made by connect() waits in the listener's
 * backlog (an "embryo") until accept() gives it a file. Closing one end marks both sides shut down; the survivor keeps its
 * pointer at the dead one, whose name getpeername() still shows, until it closes itself.
 *
 * A name in the file system is the inode's `sock` pointer (no reference; cleared at close); an abstract one is in its net_ns.
 * Linux: net/unix/af_unix.c. DEVIATION: no MSG_OOB; sockets behind the gofer refuse connections (unix_connect_external is the hook).
 */
#include "sentry/net/unix.h"

#include <stdio.h>
#include <string.h>

#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

#define EV_ALL (POLL_READ | POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLHUP | LINUX_POLLRDHUP | LINUX_POLLERR | SOCK_WAIT_SPACE)
#define SUN_PATH_OFF 2u

/* A socket file that no endpoint of ours is bound to (it lives behind the gofer). Strong definitions connect it. */
__attribute__((weak)) int unix_connect_external(struct unix_sock *u, struct task *t, struct inode *i);
int unix_connect_external(struct unix_sock *u, struct task *t, struct inode *i)
{
	return -ECONNREFUSED;
}

static struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}

/* --- addresses --- */

struct unix_addr *unix_addr_new(const char *name, uint32_t len)
{
	struct unix_addr *a = malloc(sizeof(*a) + len);

	if (!a)
		return NULL;
	ref_init(&a->ref);
	a->len = len;
	memcpy(a->name, name, len);
	return a;
}

void unix_addr_put(struct unix_addr *a)
{
	if (a && ref_put(&a->ref))
		free(a);
}

int unix_fill_name(struct unix_sock *u, void *sockaddr)
{
	uint16_t family = LINUX_AF_UNIX;

	memcpy(sockaddr, &family, sizeof(family));
	if (!u || !u->addr)
		return SUN_PATH_OFF;
	memcpy((uint8_t *)sockaddr + SUN_PATH_OFF, u->addr->name, u->addr->len);
	return (int)(SUN_PATH_OFF + u->addr->len);
}

/* Checks a sockaddr_un: the bytes of its path in *@name (with NUL for a file name, added when missing), their count, or an error.
 * 0: no name (autobind). */
static int parse_addr(const void *addr, uint32_t len, char name[LINUX_UNIX_PATH_MAX + 1])
{
	uint16_t family;

	if (len < SUN_PATH_OFF || len > sizeof(struct linux_sockaddr_un))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family != LINUX_AF_UNIX)
		return -EINVAL;
	len -= SUN_PATH_OFF;
	if (!len)
		return 0;
	memcpy(name, (const uint8_t *)addr + SUN_PATH_OFF, len);
	if (!name[0])
		return (int)len;
	name[len] = 0;
	return (int)strlen(name) + 1;
}

static uint64_t name_key(const struct unix_sock *u, const char *name, uint32_t len)
{
	/* The types have separate name spaces. */
	return hash_bytes(name, len) ^ hash_u64(u->sk.type);
}

static struct unix_sock *abstract_find_locked(const struct unix_sock *u, const char *name, uint32_t len)
{
	struct unix_sock *o = htab_get(&u->sk.net->abstract, name_key(u, name, len));

	while (o && (o->sk.type != u->sk.type || o->addr->len != len || memcmp(o->addr->name, name, len)))
		o = o->hash_next;
	return o;
}

int unix_hash_abstract(struct unix_sock *u, struct unix_addr *a)
{
	struct net_ns *net = u->sk.net;
	uint64_t key = name_key(u, a->name, a->len);
	int r = -EADDRINUSE;

	mutex_lock(&net->abstract_mu);
	if (!abstract_find_locked(u, a->name, a->len)) {
		u->hash_next = htab_get(&net->abstract, key);
		r = htab_put(&net->abstract, key, u);
		if (!r)
			u->addr = a;
	}
	mutex_unlock(&net->abstract_mu);
	return r;
}

static void unhash_abstract(struct unix_sock *u)
{
	struct net_ns *net = u->sk.net;
	uint64_t key = name_key(u, u->addr->name, u->addr->len);
	struct unix_sock *o;

	mutex_lock(&net->abstract_mu);
	o = htab_get(&net->abstract, key);
	if (o == u && u->hash_next) {
		int r _unused_ = htab_put(&net->abstract, key, u->hash_next); /* replaces: cannot fail */
	} else if (o == u) {
		(void)htab_del(&net->abstract, key);
	} else {
		while (o && o->hash_next != u)
			o = o->hash_next;
		if (o)
			o->hash_next = u->hash_next;
	}
	mutex_unlock(&net->abstract_mu);
}

int unix_autobind(struct unix_sock *u)
{
	int r = 0;

	mutex_lock(&u->mu);
	for (int tries = 0; !u->addr && tries < 1 << 20; tries++) {
		uint32_t nr = atomic_fetch_add(&u->sk.net->autobind, 1) & 0xfffff;
		char name[8] = { 0 };
		struct unix_addr *a;

		(void)snprintf(name + 1, sizeof(name) - 1, "%05x", nr);
		a = unix_addr_new(name, 6);
		if (!a) {
			r = -ENOMEM;
			break;
		}
		r = unix_hash_abstract(u, a);
		if (r)
			unix_addr_put(a);
		if (r != -EADDRINUSE)
			break;
	}
	if (!u->addr && !r)
		r = -ENOSPC;
	mutex_unlock(&u->mu);
	return r;
}

/* --- life --- */

static struct mutex unix_all_mu = MUTEX_INIT("unix_all_mu");
static struct list unix_all = LIST_INIT(unix_all);

void *unix_alloc(void)
{
	struct unix_sock *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	(void)sock_init(&u->sk, &unix_sock_ops, LINUX_AF_UNIX, 0, 0, NULL);
	mutex_init(&u->mu, "unix_sock.mu");
	list_init(&u->rq);
	list_init(&u->backlog);
	list_init(&u->senders);
	u->peer_uid = u->peer_gid = UINT32_MAX;
	u->backlog_max = UNIX_DGRAM_QLEN;
	mutex_lock(&unix_all_mu);
	list_add_tail(&unix_all, &u->all);
	mutex_unlock(&unix_all_mu);
	return u;
}

/* The next one after @prev (NULL: the first), referenced; @prev is put. */
static struct unix_sock *next_of(struct net_ns *net, struct unix_sock *prev)
{
	struct unix_sock *u, *found = NULL;
	bool behind = !prev;

	mutex_lock(&unix_all_mu);
	list_for_each(u, &unix_all, all) {
		if (behind && u->sk.net == net && ref_tryget(&u->sk.ref)) {
			found = u;
			break;
		}
		behind = behind || u == prev;
	}
	mutex_unlock(&unix_all_mu);
	unix_put(prev);
	return found;
}

void unix_each(struct net_ns *net, void (*fn)(struct unix_sock *u, void *arg), void *arg)
{
	struct unix_sock *u = NULL;

	while ((u = next_of(net, u)))
		fn(u, arg);
}

struct unix_sock *unix_new(struct net_ns *net, int type)
{
	struct unix_sock *u = unix_alloc();

	if (!u)
		return NULL;
	u->sk.type = (uint16_t)type;
	u->sk.net = net ? net_ns_get(net) : NULL;
	return u;
}

int unix_sock_create(struct task *t, struct net_ns *net, int type, int protocol, struct sock **ret)
{
	struct unix_sock *u;

	if (protocol && protocol != LINUX_AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == LINUX_SOCK_RAW)
		type = LINUX_SOCK_DGRAM; /* as Linux does, for old programs */
	if (type != LINUX_SOCK_STREAM && type != LINUX_SOCK_DGRAM && type != LINUX_SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	u = unix_new(net, type);
	if (!u)
		return -ENOMEM;
	u->sk.protocol = (uint16_t)protocol;
	*ret = &u->sk;
	return 0;
}

void unix_lock2(struct unix_sock *a, struct unix_sock *b)
{
	if (a == b) {
		mutex_lock(&a->mu);
		return;
	}
	mutex_lock(a < b ? &a->mu : &b->mu);
	mutex_lock_nested(a < b ? &b->mu : &a->mu);
}

void unix_unlock2(struct unix_sock *a, struct unix_sock *b)
{
	mutex_unlock(&a->mu);
	if (a != b)
		mutex_unlock(&b->mu);
}

static void set_peer_cred(struct unix_sock *u, struct pid *pid, uint32_t uid, uint32_t gid, struct cred *cred)
{
	struct pid *old = u->peer_pid;
	struct cred *old_cred = u->peer_cred;

	u->peer_pid = pid ? pid_get(pid) : NULL;
	u->peer_uid = uid;
	u->peer_gid = gid;
	u->peer_cred = cred ? cred_get(cred) : NULL;
	if (old)
		pid_put(old);
	if (old_cred)
		cred_put(old_cred);
}

static void set_own_cred(struct unix_sock *u, struct task *t)
{
	if (t)
		set_peer_cred(u, t->tg->pid, t->cred->euid, t->cred->egid, t->cred);
}

int unix_pair(struct task *t, struct net_ns *net, int type, struct unix_sock *ret[2])
{
	struct unix_sock *a = unix_new(net, type), *b = unix_new(net, type);

	if (!a || !b) {
		unix_put(a);
		unix_put(b);
		return -ENOMEM;
	}
	a->peer = unix_get(b);
	b->peer = unix_get(a);
	a->state = b->state = UNIX_ESTABLISHED;
	set_own_cred(a, t);
	set_own_cred(b, t);
	if (type == LINUX_SOCK_DGRAM) {
		list_add_tail(&b->senders, &a->conn_node);
		list_add_tail(&a->senders, &b->conn_node);
	}
	ret[0] = a;
	ret[1] = b;
	return 0;
}

void unix_msg_free(struct unix_msg *m)
{
	struct unix_sock *s = m->sender;
	struct scm_fds *fds = m->scm.fds;
	uint32_t was = atomic_fetch_sub(&s->wmem, m->truesize);

	/* Like sock_wfree(): writers hear of it once a quarter or less of the buffer is used. */
	if ((uint64_t)(was - m->truesize) * 4 <= sock_sndbuf(&s->sk))
		waitq_wake(&s->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
	if (fds) {
		unix_unflight(fds);
		m->scm.fds = NULL;
	}
	scm_done(&m->scm);
	scm_fds_put(fds);
	unix_put(s);
	free(m);
}

static void free_msgs(struct list *l)
{
	struct unix_msg *m, *tmp;

	list_for_each_safe(m, tmp, l, node) {
		list_del(&m->node);
		unix_msg_free(m);
	}
}

/* The connection's other end learns that this one is gone. */
static void peer_gone(struct unix_sock *peer, bool reset)
{
	mutex_lock(&peer->mu);
	peer->shutdown = UNIX_SHUT_BOTH;
	if (reset)
		peer->err = ECONNRESET;
	mutex_unlock(&peer->mu);
	waitq_wake(&peer->sk.wq, EV_ALL);
}

void unix_dgram_disconnect(struct unix_sock *u, struct unix_sock *expected)
{
	struct unix_sock *old;
	bool mine;

	mutex_lock(&u->mu);
	old = u->peer && (!expected || u->peer == expected) ? unix_get(u->peer) : NULL;
	mutex_unlock(&u->mu);
	if (!old)
		return;
	unix_lock2(u, old);
	mine = u->peer == old;
	if (mine) {
		u->peer = NULL;
		u->state = UNIX_CLOSED;
		list_del(&u->conn_node);
	}
	unix_unlock2(u, old);
	if (mine)
		unix_put(old);
	unix_put(old);
}

/* Takes the endpoint apart: called for a closed file, and for embryos of a closed listener (@embryo). */
static void unix_teardown(struct unix_sock *u, bool embryo)
{
	struct list msgs = LIST_INIT(msgs), embryos = LIST_INIT(embryos);
	struct unix_sock *peer, *e, *tmp, *s;
	struct path path;
	bool unread;

	if (unix_is_dgram(u))
		unix_dgram_disconnect(u, NULL);
	mutex_lock(&u->mu);
	u->dead = true;
	u->sk.file = NULL;
	u->state = UNIX_CLOSED;
	u->shutdown = UNIX_SHUT_BOTH;
	peer = u->peer;
	u->peer = NULL;
	unread = !list_empty(&u->rq);
	list_splice_tail(&msgs, &u->rq);
	u->rq_len = 0;
	u->rq_bytes = 0;
	u->oob = NULL;
	list_splice_tail(&embryos, &u->backlog);
	u->nr_backlog = 0;
	path = u->path;
	u->path = (struct path){ 0 };
	list_for_each(s, &u->senders, conn_node)
		waitq_wake(&s->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
	mutex_unlock(&u->mu);
	if (path.dentry) {
		struct inode *i = path_inode(&path);

		mutex_lock(&i->attr_mu);
		if (i->sock == u)
			i->sock = NULL;
		mutex_unlock(&i->attr_mu);
		path_put(&path);
	} else if (u->addr && !u->addr->name[0] && !u->child) {
		unhash_abstract(u);
	}
	waitq_wake(&u->sk.wq, EV_ALL); /* connects and sends that wait for room here */
	if (peer)
		peer_gone(peer, unread || embryo);
	unix_put(peer);
	list_for_each_safe(e, tmp, &embryos, backlog_node) {
		list_del(&e->backlog_node);
		unix_teardown(e, true);
		unix_put(e);
	}
	free_msgs(&msgs);
}

static void unix_close(struct sock *sk)
{
	unix_teardown(unix_of(sk), false);
	unix_gc();
}

static void unix_destroy(struct sock *sk)
{
	struct unix_sock *u = unix_of(sk);

	mutex_lock(&unix_all_mu);
	list_del(&u->all);
	mutex_unlock(&unix_all_mu);
	/* Reached with things queued only when loading failed half-way or an endpoint never got its file. */
	if (!u->dead)
		unix_teardown(u, true);
	if (u->peer_pid)
		pid_put(u->peer_pid);
	if (u->peer_cred)
		cred_put(u->peer_cred);
	unix_addr_put(u->addr);
	mutex_destroy(&u->mu);
	sock_done(sk);
	free(u);
}

/* --- bind --- */

static int bind_path(struct unix_sock *u, struct task *t, const char *name, uint32_t len)
{
	_cleanup_parent_ struct parent_path pp = { 0 };
	struct path path = { 0 };
	struct unix_addr *a;
	struct inode *i;
	uint32_t mode = 0777;
	int r = namei_parent(t, LINUX_AT_FDCWD, name, 0, &pp);

	if (r)
		return r;
	if (pp.type != LAST_NORM || pp.slash)
		return pp.type != LAST_NORM ? -EADDRINUSE : -ENOENT;
	a = unix_addr_new(name, len);
	if (!a)
		return -ENOMEM;
	if (u->sk.file)
		mode = u->sk.file->inode->mode & 0777;
	r = vfs_mknod(t, &pp.dir, pp.name, LINUX_S_IFSOCK | mode, 0, &path);
	if (r) {
		unix_addr_put(a);
		return r == -EEXIST ? -EADDRINUSE : r;
	}
	mutex_lock(&u->mu);
	if (u->addr) {
		mutex_unlock(&u->mu);
		/* Two binds of one socket raced: undo the name. What if that fails: a stale name, as after a crash. */
		int ignored _unused_ = vfs_unlink(t, &pp.dir, pp.name, false);

		path_put(&path);
		unix_addr_put(a);
		return -EINVAL;
	}
	u->addr = a;
	u->path = path;
	i = path_inode(&path);
	mutex_lock(&i->attr_mu);
	i->sock = u;
	mutex_unlock(&i->attr_mu);
	mutex_unlock(&u->mu);
	return 0;
}

static int unix_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct unix_sock *u = unix_of(sk);
	char name[LINUX_UNIX_PATH_MAX + 1];
	int n = parse_addr(addr, len, name), r;
	struct unix_addr *a;
	bool bound;

	if (n < 0)
		return n;
	if (!n)
		return unix_autobind(u);
	mutex_lock(&u->mu);
	bound = u->addr != NULL;
	mutex_unlock(&u->mu);
	if (name[0]) {
		/* Linux makes the name first: an existing one wins over "already bound". */
		if (bound) {
			struct path p;

			r = namei(t, LINUX_AT_FDCWD, name, 0, &p);
			if (!r)
				path_put(&p);
			return r == 0 ? -EADDRINUSE : -EINVAL;
		}
		return bind_path(u, t, name, (uint32_t)n);
	}
	a = unix_addr_new(name, (uint32_t)n);
	if (!a)
		return -ENOMEM;
	mutex_lock(&u->mu);
	r = u->addr ? -EINVAL : unix_hash_abstract(u, a);
	mutex_unlock(&u->mu);
	if (r)
		unix_addr_put(a);
	return r;
}

/* --- listen, connect, accept --- */

static int unix_listen(struct sock *sk, struct task *t, int backlog)
{
	struct unix_sock *u = unix_of(sk);
	int r = 0;

	if (unix_is_dgram(u))
		return -EOPNOTSUPP;
	mutex_lock(&u->mu);
	if (!u->addr || (u->state != UNIX_CLOSED && u->state != UNIX_LISTEN)) {
		r = -EINVAL;
	} else {
		u->backlog_max = MIN((uint32_t)backlog, SOCK_SOMAXCONN);
		u->state = UNIX_LISTEN;
		set_own_cred(u, t);
	}
	mutex_unlock(&u->mu);
	if (!r)
		waitq_wake(&sk->wq, SOCK_WAIT_SPACE);
	return r;
}

int unix_find(struct unix_sock *u, struct task *t, const void *addr, uint32_t len, struct unix_sock **ret)
{
	char name[LINUX_UNIX_PATH_MAX + 1];
	int n = parse_addr(addr, len, name), r;
	struct unix_sock *o = NULL;
	struct path path;
	struct inode *i;

	if (n <= 0)
		return n < 0 ? n : -ECONNREFUSED;
	if (!name[0]) {
		mutex_lock(&u->sk.net->abstract_mu);
		o = abstract_find_locked(u, name, (uint32_t)n);
		if (o && !ref_tryget(&o->sk.ref))
			o = NULL;
		mutex_unlock(&u->sk.net->abstract_mu);
		*ret = o;
		return o ? 0 : -ECONNREFUSED;
	}
	r = namei(t, LINUX_AT_FDCWD, name, LOOKUP_FOLLOW, &path);
	if (r)
		return r;
	i = path_inode(&path);
	r = inode_permission(i, t, vfs_cred(t), MAY_WRITE);
	if (!r && !LINUX_S_ISSOCK(i->mode))
		r = -ECONNREFUSED;
	if (!r) {
		mutex_lock(&i->attr_mu);
		o = i->sock;
		if (o && !ref_tryget(&o->sk.ref))
			o = NULL;
		mutex_unlock(&i->attr_mu);
		if (!o) {
			r = unix_connect_external(u, t, i);
			if (!r)
				r = -ECONNREFUSED;
		} else if (o->sk.type != u->sk.type) {
			unix_put(o);
			r = -EPROTOTYPE;
		}
	}
	path_put(&path);
	if (!r)
		*ret = o;
	return r;
}

struct connect_op {
	struct unix_sock *c, *l, *n;
	struct task *t;
};

/* One attempt to join the listener's backlog: 1 when connected, -EAGAIN when there is no room. */
static int64_t connect_try(void *arg)
{
	struct connect_op *o = arg;
	struct unix_sock *c = o->c, *l = o->l, *n = o->n;
	int r = 1;

	unix_lock2(c, l);
	if (c->state == UNIX_ESTABLISHED) {
		r = -EISCONN;
	} else if (c->state != UNIX_CLOSED || c == l) {
		r = c == l ? -ECONNREFUSED : -EINVAL;
	} else if (l->dead || l->state != UNIX_LISTEN || (l->shutdown & UNIX_SHUT_RCV)) {
		r = -ECONNREFUSED;
	} else if (l->nr_backlog > l->backlog_max) {
		r = -EAGAIN;
	} else {
		n->peer = unix_get(c);
		c->peer = unix_get(n);
		n->state = c->state = UNIX_ESTABLISHED;
		if (l->addr) {
			ref_get(&l->addr->ref);
			n->addr = l->addr;
		}
		set_own_cred(n, o->t);
		set_peer_cred(c, l->peer_pid, l->peer_uid, l->peer_gid, l->peer_cred);
		n->child = true;
		list_add_tail(&l->backlog, &n->backlog_node); /* takes over o->n's reference */
		l->nr_backlog++;
		o->n = NULL;
	}
	unix_unlock2(c, l);
	return r;
}

static int stream_connect(struct unix_sock *u, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct connect_op o = { .c = u, .t = t };
	int64_t r;

	if (sock_passcred(&u->sk)) {
		r = unix_autobind(u);
		if (r)
			return (int)r;
	}
	r = unix_find(u, t, addr, len, &o.l);
	if (r)
		return (int)r;
	o.n = unix_new(u->sk.net, u->sk.type);
	if (!o.n) {
		unix_put(o.l);
		return -ENOMEM;
	}
	mutex_lock(&o.l->sk.opt_mu);
	o.n->sk.opts.passcred = o.l->sk.opts.passcred;
	o.n->sk.opts.passsec = o.l->sk.opts.passsec;
	mutex_unlock(&o.l->sk.opt_mu);
	r = connect_try(&o);
	if (r == -EAGAIN && !nonblock)
		r = task_wait_on(t, &o.l->sk.wq, SOCK_WAIT_SPACE, deadline, connect_try, &o);
	if (r == 1) {
		waitq_wake(&o.l->sk.wq, POLL_READ);
		waitq_wake(&u->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
	}
	unix_put(o.l);
	if (o.n) {
		o.n->dead = true; /* never was anybody's */
		unix_put(o.n);
	}
	if (r == -ETIMEDOUT)
		r = -EAGAIN;
	return r == 1 ? 0 : (int)r;
}

static int dgram_connect(struct unix_sock *u, struct task *t, const void *addr, uint32_t len)
{
	struct unix_sock *o = NULL;
	uint16_t family;
	bool refused;
	int r;

	memcpy(&family, addr, sizeof(family));
	if (family == LINUX_AF_UNSPEC) {
		unix_dgram_disconnect(u, NULL);
		return 0;
	}
	if (sock_passcred(&u->sk)) {
		r = unix_autobind(u);
		if (r)
			return r;
	}
	r = unix_find(u, t, addr, len, &o);
	if (r)
		return r;
	unix_dgram_disconnect(u, NULL);
	unix_lock2(u, o);
	refused = o->peer && o->peer != u;
	if (o->dead) {
		r = -ECONNREFUSED;
	} else if (refused) {
		r = -EPERM;
	} else if (!u->peer) {
		u->peer = unix_get(o);
		u->state = UNIX_ESTABLISHED;
		list_add_tail(&o->senders, &u->conn_node);
		set_peer_cred(u, o->peer_pid, o->peer_uid, o->peer_gid, o->peer_cred);
	}
	unix_unlock2(u, o);
	unix_put(o);
	return r;
}

static int unix_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct unix_sock *u = unix_of(sk);
	uint16_t family = 0;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (unix_is_dgram(u))
		return dgram_connect(u, t, addr, len);
	if (family == LINUX_AF_UNSPEC)
		return -EINVAL;
	return stream_connect(u, t, addr, len, nonblock, deadline);
}

static int unix_accept(struct sock *sk, struct task *t, struct sock **ret)
{
	struct unix_sock *u = unix_of(sk), *n = NULL;
	int r = 0;

	if (unix_is_dgram(u))
		return -EOPNOTSUPP;
	mutex_lock(&u->mu);
	if (u->state != UNIX_LISTEN) {
		r = -EINVAL;
	} else {
		n = list_first(&u->backlog, struct unix_sock, backlog_node);
		if (n) {
			list_del(&n->backlog_node);
			u->nr_backlog--;
		} else {
			r = u->shutdown & UNIX_SHUT_RCV ? -EINVAL : -EAGAIN;
		}
	}
	mutex_unlock(&u->mu);
	if (r)
		return r;
	waitq_wake(&sk->wq, SOCK_WAIT_SPACE);
	*ret = &n->sk;
	return 0;
}

static int unix_getname(struct sock *sk, struct task *t, void *addr, bool peer)
{
	struct unix_sock *u = unix_of(sk), *p;
	int r;

	if (!peer)
		return unix_fill_name(u, addr);
	mutex_lock(&u->mu);
	p = u->peer ? unix_get(u->peer) : NULL;
	mutex_unlock(&u->mu);
	if (!p)
		return -ENOTCONN;
	r = unix_fill_name(p, addr);
	unix_put(p);
	return r;
}

static int unix_shutdown(struct sock *sk, int how)
{
	struct unix_sock *u = unix_of(sk), *peer;
	uint32_t mode = (uint32_t)how + 1, other = 0;

	mutex_lock(&u->mu);
	u->shutdown |= mode;
	peer = u->peer && !unix_is_dgram(u) ? unix_get(u->peer) : NULL;
	mutex_unlock(&u->mu);
	if (peer) {
		if (mode & UNIX_SHUT_RCV)
			other |= UNIX_SHUT_SEND;
		if (mode & UNIX_SHUT_SEND)
			other |= UNIX_SHUT_RCV;
		mutex_lock(&peer->mu);
		peer->shutdown |= other;
		mutex_unlock(&peer->mu);
		waitq_wake(&peer->sk.wq, EV_ALL);
		unix_put(peer);
	}
	waitq_wake(&sk->wq, EV_ALL);
	return 0;
}

static int64_t unix_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct unix_sock *u = unix_of(sk);
	int32_t v;

	switch (cmd) {
	case LINUX_SIOCINQ:
		mutex_lock(&u->mu);
		if (u->state == UNIX_LISTEN) {
			mutex_unlock(&u->mu);
			return -EINVAL;
		}
		if (unix_is_dgram(u)) {
			struct unix_msg *m = list_first(&u->rq, struct unix_msg, node);

			v = m ? (int32_t)m->len : 0;
		} else {
			v = (int32_t)MIN(u->rq_bytes, (size_t)INT32_MAX);
		}
		mutex_unlock(&u->mu);
		break;
	case LINUX_SIOCOUTQ:
		v = (int32_t)atomic_load(&u->wmem);
		break;
	case LINUX_SIOCATMARK:
		mutex_lock(&u->mu);
		v = unix_at_mark_locked(u);
		mutex_unlock(&u->mu);
		break;
	default:
		return -ENOTTY;
	}
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

static int get_groups(struct unix_sock *u, void *buf, uint32_t *len)
{
	struct cred *c;
	uint32_t n;
	int r = 0;

	mutex_lock(&u->mu);
	c = u->peer_cred ? cred_get(u->peer_cred) : NULL;
	mutex_unlock(&u->mu);
	if (!c)
		return -ENODATA;
	n = (uint32_t)(c->nr_groups * sizeof(c->groups[0]));
	if (*len < n)
		r = -ERANGE;
	else if (n)
		memcpy(buf, c->groups, n);
	*len = n;
	cred_put(c);
	return r;
}

static int unix_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	struct unix_sock *u = unix_of(sk);
	struct linux_ucred c;
	uint8_t name[LINUX_SOCKADDR_MAX];
	int n;

	if (level != LINUX_SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (opt) {
	case LINUX_SO_PEERCRED:
		mutex_lock(&u->mu);
		c = (struct linux_ucred){ u->peer_pid ? pid_nr(u->peer_pid, t) : 0, u->peer_uid, u->peer_gid };
		if (u->peer_pid) {
			c.uid = task_id_show(t, ID_UID, c.uid);
			c.gid = task_id_show(t, ID_GID, c.gid);
		}
		mutex_unlock(&u->mu);
		*len = MIN(*len, (uint32_t)sizeof(c));
		memcpy(buf, &c, *len);
		return 0;
	case LINUX_SO_PEERGROUPS:
		return get_groups(u, buf, len);
	case LINUX_SO_PEERNAME:
		n = unix_getname(sk, t, name, true);
		if (n < 0)
			return n;
		if (*len > (uint32_t)n)
			return -EINVAL;
		memcpy(buf, name, *len);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int unix_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	return -EOPNOTSUPP;
}

static bool unix_listening(struct sock *sk)
{
	struct unix_sock *u = unix_of(sk);
	bool r;

	mutex_lock(&u->mu);
	r = u->state == UNIX_LISTEN;
	mutex_unlock(&u->mu);
	return r;
}

static int unix_take_error(struct sock *sk)
{
	struct unix_sock *u = unix_of(sk);
	int r;

	mutex_lock(&u->mu);
	r = u->err;
	u->err = 0;
	mutex_unlock(&u->mu);
	return r;
}

const struct sock_ops unix_sock_ops = {
	.name = "unix",
	.peek_off = true,
	.state = &unix_sock_state_type,
	.close = unix_close,
	.destroy = unix_destroy,
	.bind = unix_bind,
	.listen = unix_listen,
	.connect = unix_connect,
	.accept = unix_accept,
	.getname = unix_getname,
	.sendmsg = unix_sendmsg,
	.recvmsg = unix_recvmsg,
	.shutdown = unix_shutdown,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.setsockopt = unix_setsockopt,
	.getsockopt = unix_getsockopt,
	.listening = unix_listening,
	.take_error = unix_take_error,
};
