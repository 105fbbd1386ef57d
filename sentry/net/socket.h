/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket layer: what every family shares.
 *
 * As in Linux an open socket is two objects. `struct socket` is the open file description; `struct sock` is the endpoint, embedded first in
 * the family's own struct and counted by itself, because it outlives its file (messages it sent, a peer that still points at it) and may
 * exist before it has one (connections waiting for accept).
 *
 * sock_ops never block but for connect(): they return -EAGAIN and the caller waits on a queue and calls again. With -EAGAIN a send may name
 * another socket in sock_msg.wait, whose queue is the one to wait on.
 *
 * Locks: see sentry/net/README.md. opts are guarded by sock.opt_mu (leaf).
 */
#ifndef SENTRY_NET_SOCKET_H
#define SENTRY_NET_SOCKET_H

#include "sentry/abi/socket.h"
#include "sentry/fs/file.h"
#include "sentry/net/netns.h"
#include "sentry/net/scm.h"

struct sock;
struct sock_filter_prog;
struct socket;
struct state_type;

/* Bits of wait masks that no application asks for. */
#define SOCK_WAIT_SPACE (1u << 27) /* the receive queue or backlog of this socket has room again */

#define SOCK_WMEM_DEF    212992u
#define SOCK_WMEM_MAX    212992u
#define SOCK_SNDBUF_MIN  4608u
#define SOCK_RCVBUF_MIN  2304u
#define SOCK_SOMAXCONN   4096u

struct sock_msg {
	struct uio *u;
	uint8_t name[LINUX_SOCKADDR_MAX]; /* send: destination; recv: out, the sender */
	uint32_t namelen; /* 0: none */
	struct scm scm; /* ancillary data to send / received */
	/* Ancillary data of the family's own levels, as struct cmsghdr and data, each aligned: what sendmsg(2) was given (with all levels), or
	 * what was received. malloc'd, owned. The holder of the message calls sock_msg_done(). */
	uint8_t *ctl;
	size_t ctllen;
	uint32_t flags; /* LINUX_MSG_* given */
	uint32_t ret_flags; /* recv: LINUX_MSG_TRUNC, EOR */
	bool nonblock; /* the caller will not wait */
	size_t done; /* bytes moved by earlier rounds of the same call */
	bool stop; /* out, recv: whatever was asked for, the call ends here (descriptors or another sender's data came) */
	struct sock *wait; /* out with -EAGAIN: a reference; wait on its queue for SOCK_WAIT_SPACE, not on the own one */
};

struct sock_opts { /* message: SockBase */
	uint32_t sndbuf, rcvbuf; /* saved: 5, 6; as getsockopt shows them (doubled) */
	int64_t rcvtimeo, sndtimeo; /* saved: 7, 8; ns, TIME_FOREVER: none */
	int32_t rcvlowat; /* saved: 9 */
	bool passcred; /* saved: 10 */
	bool reuseaddr, reuseport, keepalive, broadcast, dontroute, oobinline, timestamp, passsec; /* saved: option_bits, in this order */
	bool linger; /* saved: 12 */
	int32_t linger_sec; /* saved: 13 */
	int32_t priority; /* saved: 14 */
	uint32_t mark; /* saved: 15 */
	bool debug; /* saved: 16 */
	bool ts_ns, ts_new; /* saved: more_bits, these and the next, in this order; what kind of time stamp @timestamp asks for */
	bool rxq_ovfl, wifi_status, nofcs, select_err_queue, no_check, zerocopy, rcvmark, lock_filter, prefer_busy_poll, txtime; /* saved: more_bits */
	uint32_t buf_lock; /* saved: 18 */
	uint32_t timestamping; /* saved: 19; SOF_TIMESTAMPING_* */
	int32_t peek_off; /* saved: 20; -1: off */
	int32_t incoming_cpu; /* saved: 21 */
	uint32_t busy_poll, busy_poll_budget; /* saved: 22, 23 */
	uint64_t max_pacing_rate; /* saved: 24 */
	uint32_t txrehash; /* saved: 25 */
	int32_t txtime_clock; /* saved: 26 */
	uint32_t txtime_flags; /* saved: 27 */
};

#define SOCK_SNDBUF_LOCKED 1u
#define SOCK_RCVBUF_LOCKED 2u
#define SOCK_BUFS_LOCKED   3u

/* Slots may be NULL: the stated errno. @sk has a reference for the call; no lock held. */
struct sock_ops {
	const char *name;
	bool own_control; /* parses what sendmsg(2) was given in sock_msg.ctl itself: no descriptors, no credentials */
	bool peek_off; /* honours SO_PEEK_OFF */
	const struct state_type *state;
	/* The open file is gone: leave every table, tell the peer, drop what is queued. The caller then puts its reference. */
	void (*close)(struct sock *sk);
	/* Last reference: free the embedding struct after sock_done(). */
	void (*destroy)(struct sock *sk);
	int (*bind)(struct sock *sk, struct task *t, const void *addr, uint32_t len); /* -EOPNOTSUPP */
	int (*listen)(struct sock *sk, struct task *t, int backlog); /* -EOPNOTSUPP */
	/* May block by itself (task_wait_on); restart codes come back unchanged. -EOPNOTSUPP */
	int (*connect)(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline);
	/* A referenced new endpoint, or -EAGAIN. -EOPNOTSUPP */
	int (*accept)(struct sock *sk, struct task *t, struct sock **ret);
	/* Fills @addr (LINUX_SOCKADDR_MAX bytes): the length or an error. */
	int (*getname)(struct sock *sk, struct task *t, void *addr, bool peer);
	/* The peer's name for accept(2) and SO_PEERNAME, also when the connection has ended meanwhile. NULL: getname. */
	int (*accepted_name)(struct sock *sk, void *addr);
	int64_t (*sendmsg)(struct sock *sk, struct task *t, struct sock_msg *m);
	int64_t (*recvmsg)(struct sock *sk, struct task *t, struct sock_msg *m);
	int (*shutdown)(struct sock *sk, int how); /* how is valid; -EOPNOTSUPP */
	uint32_t (*poll)(struct sock *sk);
	int64_t (*ioctl)(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg); /* -ENOTTY: then the common ones */
	/* Levels other than SOL_SOCKET, and SOL_SOCKET options the common code does not know. -ENOPROTOOPT. */
	int (*setsockopt)(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
	/* Fills @buf (at most *@len bytes) and sets *@len to what there is. */
	int (*getsockopt)(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len);
	bool own_sol_socket; /* setsockopt and getsockopt above are asked first for SOL_SOCKET too, but for time-outs */
	bool (*listening)(struct sock *sk);
	int (*take_error)(struct sock *sk); /* SO_ERROR: reads and clears, as a positive errno */
};

struct sock { /* message: SockBase */
	struct ref ref; /* nosave: references are counted again */
	const struct sock_ops *ops; /* derived: from the type */
	uint16_t family, type, protocol; /* saved: 1, 2, 3; immutable */
	struct net_ns *net; /* saved: 4, referenced */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct mutex opt_mu; /* nosave: nobody runs */
	struct sock_opts opts; /* derived: its fields are saved one by one */
	struct file *file; /* derived: the open file, no reference; NULL before accept and after close */
	_Atomic uint32_t bound_dev; /* saved: 28; interface index, 0: any */
	uint64_t cookie; /* saved: 29; opt_mu */
	struct sock_filter_prog *filter; /* saved: 30; opt_mu; run over what arrives, by the family */
	struct sock_filter_prog *reuse_prog; /* saved: 31; opt_mu; chooses in the SO_REUSEPORT group */
};

/* One family: makes an endpoint. Checks type and protocol. */
int unix_sock_create(struct task *t, struct net_ns *net, int type, int protocol, struct sock **ret);
int inet_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret);
int host_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret); /* --network=host */
int netlink_sock_create(struct task *t, struct net_ns *net, int type, int protocol, struct sock **ret);

int sock_init(struct sock *sk, const struct sock_ops *ops, int family, int type, int protocol, struct net_ns *net);
void sock_done(struct sock *sk);
struct sock *sock_get(struct sock *sk);
void sock_put(struct sock *sk); /* NULL is fine */
uint32_t sock_sndbuf(struct sock *sk);
bool sock_passcred(struct sock *sk);

/* An open file for @sk; consumes the reference on success. @flags: LINUX_O_NONBLOCK. */
int socket_file_new(struct task *t, struct sock *sk, uint32_t flags, struct file **ret);
bool file_is_socket(const struct file *f);
/* The endpoint (no reference: the file holds it), or NULL when @f is no socket. */
struct sock *file_sock(const struct file *f);
/* socket(2) without the descriptor: -EAFNOSUPPORT, -EINVAL, -EPROTONOSUPPORT, -ESOCKTNOSUPPORT... */
int sock_create(struct task *t, int family, int type, int protocol, struct sock **ret);
/* The timeout read(2), write(2) and friends obey; TIME_FOREVER when there is none. Used by the generic read/write loop. */
int64_t socket_timeout(const struct file *f, bool write);

/* -EPIPE, after SIGPIPE to @t where send(2) raises it. */
int64_t sock_broken_pipe(struct task *t, const struct sock_msg *m);
void sock_msg_done(struct sock_msg *m); /* drops ancillary data that was not delivered */
int sock_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
int sock_getsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, gaddr_t len);

/* Blocking transfers as the system calls do them; bytes or an error. */
int64_t do_sendmsg(struct file *f, struct task *t, struct sock_msg *m);
int64_t do_recvmsg(struct file *f, struct task *t, struct sock_msg *m);

/* SOL_SOCKET control messages for families with own_control: SO_MARK, SCM_TIMESTAMPING...: -EINVAL, -EPERM. */
int sock_check_control(struct sock *sk, struct task *t, const struct sock_msg *m);
/* Adds a received control message; silently nothing without memory. */
void sock_put_control(struct sock_msg *m, int level, int type, const void *data, size_t n);
/* The time stamp of a message in the forms that @sk has asked for. @ns: realtime. */
void sock_put_timestamp(struct sock *sk, struct sock_msg *m, int64_t ns);
bool sock_zerocopy(struct sock *sk);
/* Bytes of a message that the socket's filter lets pass, at most @len; 0: drop it. */
uint32_t sock_filter_message(struct sock *sk, const uint8_t *data, uint32_t len, uint16_t protocol);

struct Sentry__SockBase;
int sock_save_base(struct state_writer *w, const struct sock *sk, struct Sentry__SockBase *m);
int sock_load_base(struct state_reader *r, struct sock *sk, const struct sock_ops *ops, const struct Sentry__SockBase *m);
void sock_state_get(void *sk);
void sock_state_put(void *sk);

#endif
