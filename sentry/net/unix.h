/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX internals, shared by unix.c (names, connections, life), unix_io.c (send, receive, poll), unix_gc.c (descriptors in
 * flight) and unix_state.c. Nobody else includes this but socket.c for the interface ioctls.
 *
 * Locks, outermost first: unix_gc_mu > unix_sock.mu (two of them: by address, unix_lock2) > net_ns.abstract_mu, inode.attr_mu, mm.lock,
 * waitq.mu, sock.opt_mu.
 */
#ifndef SENTRY_NET_UNIX_H
#define SENTRY_NET_UNIX_H

#include "sentry/net/socket.h"

enum unix_state { UNIX_CLOSED, UNIX_LISTEN, UNIX_ESTABLISHED };

#define UNIX_SHUT_RCV  1u
#define UNIX_SHUT_SEND 2u
#define UNIX_SHUT_BOTH 3u
#define UNIX_DGRAM_QLEN 10 /* net.unix.max_dgram_qlen */

/* A bound name: the bytes of sun_path that count (a path has its NUL; an abstract name begins with one). */
struct unix_addr {
	struct ref ref;
	uint32_t len;
	char name[];
};

struct unix_sock;

/* One chunk of a stream, or one message. */
struct unix_msg {
	struct list node; /* derived: the queue is in order */
	struct unix_sock *sender; /* saved: 1, referenced: its send buffer is charged, its name shown */
	struct scm scm; /* saved: files, has_creds, pid, uid and gid */
	uint32_t truesize; /* saved: 3; what the sender is charged */
	size_t len, off; /* derived: what is left becomes all of it; off: bytes already read (stream) */
	bool oob; /* saved: 9; an urgent byte; the queue's last of them, unless read, is unix_sock.oob */
	uint8_t data[]; /* saved: 2 */
};

struct unix_sock {
	struct sock sk; /* saved: 1 sock_base */
	_Atomic uint32_t wmem; /* derived: truesize of its messages that are still queued somewhere */
	struct mutex mu; /* nosave: nobody runs; guards all below but the last two groups */
	enum unix_state state; /* saved: 2 */
	bool dead; /* saved: 3; its file was closed */
	uint32_t shutdown; /* saved: 4 */
	int err; /* saved: 5; SO_ERROR, positive */
	struct unix_sock *peer; /* saved: 6, referenced */
	struct unix_addr *addr; /* saved: 7 name; set once; NULL: unnamed */
	struct path path; /* saved: 8, referenced; of a name in the file system; only the socket that bound it has it */
	struct list rq; /* saved: 9 queue; unix_msg, oldest first */
	uint32_t rq_len; /* derived: length of rq */
	size_t rq_bytes; /* derived: bytes left in rq */
	struct unix_msg *oob; /* derived: the message in rq that is oob; NULL: none */
	struct list backlog; /* saved: 10; connections waiting for accept, each referenced */
	uint32_t nr_backlog; /* derived: length of backlog */
	uint32_t backlog_max; /* saved: 11 */
	struct list backlog_node; /* derived; guarded by the listener's mu */
	bool child; /* saved: 15; made by connect(): shows its listener's name without being bound to it */
	struct pid *peer_pid; /* saved: 12, referenced; SO_PEERCRED (of a listener: its own) */
	uint32_t peer_uid, peer_gid; /* saved: 13, 14 */
	struct cred *peer_cred; /* saved: 16, referenced; SO_PEERGROUPS; NULL: none */
	struct list senders; /* derived: datagram sockets connected to this one (conn_node) */

	struct list conn_node; /* derived; guarded by peer->mu */
	struct unix_sock *hash_next; /* derived; guarded by net->abstract_mu */
	struct list all; /* derived; in the list of all, guarded by unix_all_mu (leaf) */

	/* guarded by unix_gc_mu */
	uint32_t inflight; /* derived: references on its file held by queued messages */
	struct list inflight_node; /* derived: with inflight */
	uint32_t gc_refs; /* nosave: only during a collection */
	bool gc_candidate, gc_live; /* nosave: only during a collection */
};

extern const struct sock_ops unix_sock_ops;

static inline struct unix_sock *unix_of(struct sock *sk)
{
	return container_of(sk, struct unix_sock, sk);
}

static inline void unix_put(struct unix_sock *u)
{
	if (u)
		sock_put(&u->sk);
}

static inline struct unix_sock *unix_get(struct unix_sock *u)
{
	(void)sock_get(&u->sk);
	return u;
}

static inline bool unix_is_dgram(const struct unix_sock *u)
{
	return u->sk.type == LINUX_SOCK_DGRAM;
}

/* unix.c */
struct unix_sock *unix_new(struct net_ns *net, int type); /* or NULL */
void *unix_alloc(void); /* zeroed with its locks and lists; for loading */
/* socketpair(2): two connected endpoints, credentials of @t. */
int unix_pair(struct task *t, struct net_ns *net, int type, struct unix_sock *ret[2]);
/* What @addr (family included, @len bytes) names, referenced; checks permission. *@ret_type mismatch gives -EPROTOTYPE. */
int unix_find(struct unix_sock *u, struct task *t, const void *addr, uint32_t len, struct unix_sock **ret);
void unix_lock2(struct unix_sock *a, struct unix_sock *b);
void unix_unlock2(struct unix_sock *a, struct unix_sock *b);
void unix_addr_put(struct unix_addr *a); /* NULL is fine */
struct unix_addr *unix_addr_new(const char *name, uint32_t len);
int unix_fill_name(struct unix_sock *u, void *sockaddr); /* length */
int unix_autobind(struct unix_sock *u);
/* Puts a bound socket into the table of its name. @u->mu held. */
int unix_hash_abstract(struct unix_sock *u, struct unix_addr *a);
/* Breaks a datagram association; returns the old peer's reference. @u->mu not held. */
void unix_dgram_disconnect(struct unix_sock *u, struct unix_sock *expected);
/* Frees a message: discharges and wakes its sender, drops its descriptors. No lock held. */
void unix_msg_free(struct unix_msg *m);

/* Calls @fn for each socket of @net, oldest first, with a reference and without lock. */
void unix_each(struct net_ns *net, void (*fn)(struct unix_sock *u, void *arg), void *arg);

/* unix_io.c */
int64_t unix_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m);
int64_t unix_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m);
uint32_t unix_poll(struct sock *sk);
bool unix_at_mark_locked(const struct unix_sock *u); /* SIOCATMARK */
uint32_t unix_truesize(size_t len, bool stream);
static inline bool unix_rq_full(const struct unix_sock *u)
{
	return u->rq_len > u->backlog_max;
}

/* unix_gc.c: account descriptors that enter and leave messages; collect what only circles of them hold. No unix_sock.mu held. */
void unix_flight(const struct scm_fds *f);
void unix_unflight(const struct scm_fds *f);
void unix_gc(void);

/* Interface ioctls any socket answers (SIOCGIFCONF, SIOCGIFFLAGS, ... for lo); -ENOTTY. */
int64_t netdev_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg);

#endif
