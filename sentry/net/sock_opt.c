/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOL_SOCKET: options, the control messages of sending, time stamps, and running filters. Values live in sock.opts (guarded by opt_mu); what a family
 * has to say itself goes to its ops. Options about devices' queues (busy polling, pacing, ...) are kept and shown; lo has no queues.
 * Linux: net/core/sock.c. Checkpoint: sock_save_base() in socket.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/sock_filter.h"
#include "sentry/net/netns.h"
#include "sentry/net/socket.h"

#define IFNAMSIZ_ 16
#define TIMESTAMPING_MASK ((1u << 16) - 1) /* SOF_TIMESTAMPING_MASK of 6.1 */
#define TIMESTAMPING_TX_RECORD (1u << 0 | 1u << 1 | 1u << 8 | 1u << 9) /* TX_HARDWARE, TX_SOFTWARE, TX_SCHED, TX_ACK */
#define TIMESTAMPING_RX_SOFTWARE (1u << 3)
#define TIMESTAMPING_SOFTWARE (1u << 4)
#define TIMESTAMPING_OPT_ID (1u << 7)
#define SCM_TXTIME_ 61
#define CLOCK_MONOTONIC_ 1

static int set_timeo(struct task *t, gaddr_t val, uint32_t len, int64_t *ret)
{
	struct linux_timeval tv;
	int64_t ns;
	int r;

	if (len < sizeof(tv))
		return -EINVAL;
	r = copy_in(t, &tv, val, sizeof(tv));
	if (r)
		return r;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		ns = 0;
	else if ((!tv.tv_sec && !tv.tv_usec) || mul_overflow(tv.tv_sec, NSEC_PER_SEC, &ns) ||
		 add_overflow(ns, tv.tv_usec * 1000, &ns))
		ns = TIME_FOREVER;
	*ret = ns;
	return 0;
}

static uint32_t clamp_buf(int v, uint32_t min, uint32_t max, bool force)
{
	uint32_t n = v < 0 ? (force ? 0 : max) : (uint32_t)v;

	if (!force)
		n = MIN(n, max);
	n = MIN(n, (uint32_t)INT32_MAX / 2) * 2;
	return MAX(n, min);
}

static int set_linger(struct sock *sk, struct task *t, gaddr_t val, uint32_t len)
{
	struct linux_linger l;
	int r;

	if (len < sizeof(l))
		return -EINVAL;
	r = copy_in(t, &l, val, sizeof(l));
	if (r)
		return r;
	mutex_lock(&sk->opt_mu);
	sk->opts.linger = l.onoff;
	if (l.onoff)
		sk->opts.linger_sec = l.linger;
	mutex_unlock(&sk->opt_mu);
	return 0;
}

/* --- flags and numbers --- */

static bool *bool_opt(struct sock_opts *o, int opt)
{
	switch (opt) {
	case LINUX_SO_DEBUG:
		return &o->debug;
	case LINUX_SO_REUSEADDR:
		return &o->reuseaddr;
	case LINUX_SO_REUSEPORT:
		return &o->reuseport;
	case LINUX_SO_KEEPALIVE:
		return &o->keepalive;
	case LINUX_SO_BROADCAST:
		return &o->broadcast;
	case LINUX_SO_DONTROUTE:
		return &o->dontroute;
	case LINUX_SO_OOBINLINE:
		return &o->oobinline;
	case LINUX_SO_PASSSEC:
		return &o->passsec;
	case LINUX_SO_PASSCRED:
		return &o->passcred;
	case LINUX_SO_NO_CHECK:
		return &o->no_check;
	case LINUX_SO_RXQ_OVFL:
		return &o->rxq_ovfl;
	case LINUX_SO_WIFI_STATUS:
		return &o->wifi_status;
	case LINUX_SO_NOFCS:
		return &o->nofcs;
	case LINUX_SO_SELECT_ERR_QUEUE:
		return &o->select_err_queue;
	case LINUX_SO_PREFER_BUSY_POLL:
		return &o->prefer_busy_poll;
	case LINUX_SO_LOCK_FILTER:
		return &o->lock_filter;
	case LINUX_SO_RCVMARK:
		return &o->rcvmark;
	case LINUX_SO_ZEROCOPY:
		return &o->zerocopy;
	default:
		return NULL;
	}
}

static bool is_stamp_opt(int opt)
{
	return opt == LINUX_SO_TIMESTAMP || opt == LINUX_SO_TIMESTAMPNS || opt == LINUX_SO_TIMESTAMP_NEW || opt == LINUX_SO_TIMESTAMPNS_NEW;
}

/* One of the four forms at a time; switching any off switches off all. */
static void set_stamp_locked(struct sock_opts *o, int opt, bool on)
{
	o->timestamp = on;
	o->ts_ns = on && (opt == LINUX_SO_TIMESTAMPNS || opt == LINUX_SO_TIMESTAMPNS_NEW);
	o->ts_new = on && (opt == LINUX_SO_TIMESTAMP_NEW || opt == LINUX_SO_TIMESTAMPNS_NEW);
}

static bool get_stamp_locked(const struct sock_opts *o, int opt)
{
	return o->timestamp && o->ts_ns == (opt == LINUX_SO_TIMESTAMPNS || opt == LINUX_SO_TIMESTAMPNS_NEW) &&
	       o->ts_new == (opt == LINUX_SO_TIMESTAMP_NEW || opt == LINUX_SO_TIMESTAMPNS_NEW);
}

static bool is_inet(const struct sock *sk)
{
	return sk->family == LINUX_AF_INET || sk->family == LINUX_AF_INET6;
}

static bool mark_allowed(struct task *t)
{
	return net_capable(t, LINUX_CAP_NET_RAW) || net_capable(t, LINUX_CAP_NET_ADMIN);
}

/* What Linux asks before it sets a flag. */
static int bool_allowed_locked(struct sock *sk, struct task *t, int opt, int v)
{
	switch (opt) {
	case LINUX_SO_DEBUG:
		return v && !net_capable(t, LINUX_CAP_NET_ADMIN) ? -EACCES : 0;
	case LINUX_SO_PASSCRED:
		return is_inet(sk) ? -EOPNOTSUPP : 0;
	case LINUX_SO_LOCK_FILTER:
		return sk->opts.lock_filter && !v ? -EPERM : 0;
	case LINUX_SO_RCVMARK:
		return mark_allowed(t) ? 0 : -EPERM;
	case LINUX_SO_PREFER_BUSY_POLL:
		return v && !net_capable(t, LINUX_CAP_NET_ADMIN) ? -EPERM : 0;
	case LINUX_SO_ZEROCOPY:
		if (!is_inet(sk) || (sk->protocol != 6 && sk->protocol != 17) || sk->type == LINUX_SOCK_RAW)
			return -EOPNOTSUPP;
		return v < 0 || v > 1 ? -EINVAL : 0;
	default:
		return 0;
	}
}

static int set_lowat_locked(struct sock *sk, int v)
{
	struct sock_opts *o = &sk->opts;
	uint32_t cap;

	o->rcvlowat = v < 0 ? INT32_MAX : MAX(v, 1);
	if (is_inet(sk) && sk->type == LINUX_SOCK_STREAM) {
		cap = o->buf_lock & SOCK_RCVBUF_LOCKED ? o->rcvbuf : (uint32_t)proc_sysctl_get_nth("net/ipv4/tcp_rmem", 2, 6291456);
		o->rcvlowat = MIN(o->rcvlowat, (int32_t)(cap / 2));
	}
	return 0;
}

static int set_buf_locked(struct sock *sk, struct task *t, int opt, int v)
{
	bool force = opt == LINUX_SO_SNDBUFFORCE || opt == LINUX_SO_RCVBUFFORCE;

	if (force && !net_capable(t, LINUX_CAP_NET_ADMIN))
		return -EPERM;
	if (opt == LINUX_SO_SNDBUF || opt == LINUX_SO_SNDBUFFORCE) {
		sk->opts.sndbuf = clamp_buf(v, SOCK_SNDBUF_MIN, (uint32_t)proc_sysctl_get("net/core/wmem_max", SOCK_WMEM_MAX), force);
		sk->opts.buf_lock |= SOCK_SNDBUF_LOCKED;
	} else {
		sk->opts.rcvbuf = clamp_buf(v, SOCK_RCVBUF_MIN, (uint32_t)proc_sysctl_get("net/core/rmem_max", SOCK_WMEM_MAX), force);
		sk->opts.buf_lock |= SOCK_RCVBUF_LOCKED;
	}
	return 0;
}

static int set_int_locked(struct sock *sk, struct task *t, int opt, int v)
{
	struct sock_opts *o = &sk->opts;
	bool *b = bool_opt(o, opt);
	int r;

	if (b) {
		r = bool_allowed_locked(sk, t, opt, v);
		if (!r)
			*b = v;
		return r;
	}
	if (is_stamp_opt(opt)) {
		set_stamp_locked(o, opt, v);
		return 0;
	}
	switch (opt) {
	case LINUX_SO_SNDBUF:
	case LINUX_SO_SNDBUFFORCE:
	case LINUX_SO_RCVBUF:
	case LINUX_SO_RCVBUFFORCE:
		return set_buf_locked(sk, t, opt, v);
	case LINUX_SO_RCVLOWAT:
		return set_lowat_locked(sk, v);
	case LINUX_SO_PRIORITY:
		if ((v < 0 || v > 6) && !mark_allowed(t))
			return -EPERM;
		o->priority = v;
		return 0;
	case LINUX_SO_MARK:
		if (!mark_allowed(t))
			return -EPERM;
		o->mark = (uint32_t)v;
		return 0;
	case LINUX_SO_PEEK_OFF:
		if (!sk->ops->peek_off)
			return -EOPNOTSUPP;
		o->peek_off = v < 0 ? -1 : v;
		return 0;
	case LINUX_SO_BUSY_POLL:
		if (v > (int)o->busy_poll && !net_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		if (v < 0)
			return -EINVAL;
		o->busy_poll = (uint32_t)v;
		return 0;
	case LINUX_SO_BUSY_POLL_BUDGET:
		if (v > (int)o->busy_poll_budget && !net_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		if (v < 0 || v > UINT16_MAX)
			return -EINVAL;
		o->busy_poll_budget = (uint32_t)v;
		return 0;
	case LINUX_SO_INCOMING_CPU:
		o->incoming_cpu = v;
		return 0;
	case LINUX_SO_BUF_LOCK:
		if (v & ~(int)SOCK_BUFS_LOCKED)
			return -EINVAL;
		o->buf_lock = (uint32_t)v;
		return 0;
	case LINUX_SO_TXREHASH:
		if (v < -1 || v > 1)
			return -EINVAL;
		o->txrehash = v == -1 ? UINT8_MAX : (uint32_t)v;
		return 0;
	case LINUX_SO_RESERVE_MEM:
		return v < 0 ? -EINVAL : -EOPNOTSUPP; /* as without a memory controller for sockets */
	case LINUX_SO_BSDCOMPAT:
	case LINUX_SO_CNX_ADVICE:
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* --- filters --- */

static int set_filter(struct sock *sk, struct task *t, int opt, gaddr_t val, uint32_t len)
{
	struct sock_filter_prog *p = NULL, *old = NULL;
	bool reuse = opt == LINUX_SO_ATTACH_REUSEPORT_CBPF || opt == LINUX_SO_DETACH_REUSEPORT_BPF;
	struct sock_filter_prog **at = reuse ? &sk->reuse_prog : &sk->filter;
	int r = 0;

	if (opt == LINUX_SO_ATTACH_FILTER || opt == LINUX_SO_ATTACH_REUSEPORT_CBPF) {
		r = sock_filter_copy_in(t, val, len, &p);
		if (r)
			return r;
	}
	/* DEVIATION: Linux runs it on segments; we have none, and a filter that sees nothing would be a promise not kept. */
	if (p && !reuse && sk->type == LINUX_SOCK_STREAM && sk->family != LINUX_AF_UNIX) {
		sock_filter_put(p);
		return -EOPNOTSUPP;
	}
	mutex_lock(&sk->opt_mu);
	if (sk->opts.lock_filter)
		r = -EPERM;
	else if (reuse && !sk->opts.reuseport)
		r = -EINVAL;
	else if (!p && !*at)
		r = -ENOENT;
	if (!r) {
		old = *at;
		*at = TAKE_PTR(p);
	}
	mutex_unlock(&sk->opt_mu);
	sock_filter_put(old);
	sock_filter_put(p);
	return r;
}

/* eBPF programs come by descriptor, and there is no bpf(2) to make one. */
static int set_bpf(struct task *t, int fd, uint32_t len)
{
	struct file *f;

	if (len != sizeof(uint32_t))
		return -EINVAL;
	f = fd_get(t, fd);
	if (!f)
		return -EBADF;
	file_put(f);
	return -EINVAL;
}

/* The length is in instructions, and so is the answer. */
static int get_filter(struct sock *sk, struct task *t, gaddr_t val, gaddr_t lenp, int32_t ulen)
{
	struct sock_filter_prog *p;
	int32_t n;
	int r = 0;

	mutex_lock(&sk->opt_mu);
	p = sock_filter_get(sk->filter);
	mutex_unlock(&sk->opt_mu);
	n = p ? (int32_t)p->n : 0;
	if (ulen && ulen < n)
		r = -EINVAL;
	else if (ulen && p)
		r = copy_out(t, val, p->insn, (size_t)n * sizeof(p->insn[0]));
	sock_filter_put(p);
	return r ? r : copy_out(t, lenp, &n, sizeof(n));
}

uint32_t sock_filter_message(struct sock *sk, const uint8_t *data, uint32_t len, uint16_t protocol)
{
	struct sock_filter_prog *p;
	uint32_t n;

	mutex_lock(&sk->opt_mu);
	p = sock_filter_get(sk->filter);
	mutex_unlock(&sk->opt_mu);
	if (!p)
		return len;
	n = sock_filter_run(p, data, len, &(struct sock_filter_ctx){ .protocol = protocol, .ifindex = LO_IFINDEX });
	sock_filter_put(p);
	return MIN(n, len);
}

/* --- options with other types --- */

/* Interfaces by name and index; 0 and false: none. A name needs IFNAMSIZ_ bytes. */
static uint32_t net_index_of(struct net_ns *net, const char *name)
{
	struct netdev *d;
	uint32_t r = 0;

	net_cfg_lock(net->cfg);
	d = netdev_by_name(net->cfg, name);
	if (d)
		r = (uint32_t)d->index;
	net_cfg_unlock(net->cfg);
	return r;
}

static bool net_name_of(struct net_ns *net, uint32_t index, char *ret)
{
	struct netdev *d;

	net_cfg_lock(net->cfg);
	d = netdev_by_index(net->cfg, (int32_t)index);
	if (d)
		memcpy(ret, d->name, IFNAMSIZ_);
	net_cfg_unlock(net->cfg);
	return d;
}

static int set_device(struct sock *sk, struct task *t, int opt, gaddr_t val, uint32_t len)
{
	char name[IFNAMSIZ_] = { 0 };
	uint32_t dev = 0;
	int r = 0;

	if (opt == LINUX_SO_BINDTOIFINDEX) {
		int32_t v;

		if (len < sizeof(v))
			return -EINVAL;
		r = copy_in(t, &v, val, sizeof(v));
		if (!r && v < 0)
			r = -EINVAL;
		dev = (uint32_t)v;
	} else {
		r = copy_in(t, name, val, MIN(len, (uint32_t)sizeof(name) - 1));
		if (!r && name[0]) {
			dev = net_index_of(sk->net, name);
			if (!dev)
				r = -ENODEV;
		}
	}
	if (r)
		return r;
	if (atomic_load(&sk->bound_dev) && !net_capable(t, LINUX_CAP_NET_RAW))
		return -EPERM;
	atomic_store(&sk->bound_dev, dev);
	return 0;
}

static int get_device(struct sock *sk, void *buf, uint32_t *len)
{
	uint32_t dev = atomic_load(&sk->bound_dev);

	if (!dev) {
		*len = 0;
		return 0;
	}
	if (*len < IFNAMSIZ_)
		return -EINVAL;
	if (!net_name_of(sk->net, dev, buf))
		return -ENODEV;
	*len = (uint32_t)strlen(buf) + 1;
	return 0;
}

static int set_timestamping(struct sock *sk, struct task *t, int opt, gaddr_t val, uint32_t len)
{
	struct {
		uint32_t flags;
		int32_t bind_phc;
	} v = { 0 };
	int r = copy_in(t, &v, val, len >= sizeof(v) ? sizeof(v) : sizeof(v.flags));

	if (r)
		return r;
	if (v.flags & ~TIMESTAMPING_MASK)
		return -EINVAL;
	mutex_lock(&sk->opt_mu);
	sk->opts.timestamping = v.flags;
	sk->opts.ts_new = opt == LINUX_SO_TIMESTAMPING_NEW;
	mutex_unlock(&sk->opt_mu);
	if (sk->ops->setsockopt && is_inet(sk))
		(void)sk->ops->setsockopt(sk, t, LINUX_SOL_SOCKET, opt, val, len); /* restarts the numbers of OPT_ID */
	return 0;
}

static int set_txtime(struct sock *sk, struct task *t, gaddr_t val, uint32_t len)
{
	struct {
		int32_t clock;
		uint32_t flags;
	} v;
	int r;

	if (len != sizeof(v))
		return -EINVAL;
	r = copy_in(t, &v, val, sizeof(v));
	if (r)
		return r;
	if (v.flags & ~3u)
		return -EINVAL;
	if (v.clock != CLOCK_MONOTONIC_ && !net_capable(t, LINUX_CAP_NET_ADMIN))
		return -EPERM;
	mutex_lock(&sk->opt_mu);
	sk->opts.txtime = true;
	sk->opts.txtime_clock = v.clock;
	sk->opts.txtime_flags = v.flags;
	mutex_unlock(&sk->opt_mu);
	return 0;
}

static int set_pacing(struct sock *sk, struct task *t, gaddr_t val, uint32_t len)
{
	uint64_t v = 0;
	int r = copy_in(t, &v, val, len >= 8 ? 8 : 4);

	if (r)
		return r;
	if (len < 8 && v == UINT32_MAX)
		v = UINT64_MAX;
	mutex_lock(&sk->opt_mu);
	sk->opts.max_pacing_rate = v;
	mutex_unlock(&sk->opt_mu);
	return 0;
}

static bool is_timeo(int opt)
{
	return opt == LINUX_SO_RCVTIMEO || opt == LINUX_SO_SNDTIMEO || opt == LINUX_SO_RCVTIMEO_NEW || opt == LINUX_SO_SNDTIMEO_NEW;
}

int sock_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	int64_t timeo;
	int v, r;

	if (level != LINUX_SOL_SOCKET || (sk->ops->own_sol_socket && !is_timeo(opt)))
		return sk->ops->setsockopt ? sk->ops->setsockopt(sk, t, level, opt, val, len) : -ENOPROTOOPT;
	if (opt == LINUX_SO_BINDTODEVICE)
		return set_device(sk, t, opt, val, len);
	if (len < sizeof(int))
		return -EINVAL;
	r = copy_in(t, &v, val, sizeof(v));
	if (r)
		return r;
	switch (opt) {
	case LINUX_SO_LINGER:
		return set_linger(sk, t, val, len);
	case LINUX_SO_RCVTIMEO:
	case LINUX_SO_SNDTIMEO:
	case LINUX_SO_RCVTIMEO_NEW:
	case LINUX_SO_SNDTIMEO_NEW:
		r = set_timeo(t, val, len, &timeo);
		if (r)
			return r;
		mutex_lock(&sk->opt_mu);
		*(opt == LINUX_SO_RCVTIMEO || opt == LINUX_SO_RCVTIMEO_NEW ? &sk->opts.rcvtimeo : &sk->opts.sndtimeo) = timeo;
		mutex_unlock(&sk->opt_mu);
		return 0;
	case LINUX_SO_ATTACH_FILTER:
	case LINUX_SO_DETACH_FILTER:
	case LINUX_SO_ATTACH_REUSEPORT_CBPF:
	case LINUX_SO_DETACH_REUSEPORT_BPF:
		return set_filter(sk, t, opt, val, len);
	case LINUX_SO_ATTACH_BPF:
	case LINUX_SO_ATTACH_REUSEPORT_EBPF:
		return set_bpf(t, v, len);
	case LINUX_SO_BINDTOIFINDEX:
		return set_device(sk, t, opt, val, len);
	case LINUX_SO_TIMESTAMPING:
	case LINUX_SO_TIMESTAMPING_NEW:
		return set_timestamping(sk, t, opt, val, len);
	case LINUX_SO_TXTIME:
		return set_txtime(sk, t, val, len);
	case LINUX_SO_MAX_PACING_RATE:
		return set_pacing(sk, t, val, len);
	default:
		break;
	}
	mutex_lock(&sk->opt_mu);
	r = set_int_locked(sk, t, opt, v);
	mutex_unlock(&sk->opt_mu);
	if (opt == LINUX_SO_SNDBUF && !r)
		waitq_wake(&sk->wq, POLL_WRITE | LINUX_POLLWRBAND);
	return r;
}

/* --- reading --- */

static void put(void *buf, uint32_t *len, const void *v, size_t n)
{
	*len = MIN(*len, (uint32_t)n);
	memcpy(buf, v, *len);
}

static void timeo_get(int64_t timeo, void *buf, uint32_t *len)
{
	struct linux_timeval tv = { 0 };

	if (timeo != TIME_FOREVER)
		tv = (struct linux_timeval){ timeo / NSEC_PER_SEC, timeo % NSEC_PER_SEC / 1000 };
	put(buf, len, &tv, sizeof(tv));
}

static int get_int_locked(struct sock *sk, int opt, int *ret)
{
	struct sock_opts *o = &sk->opts;
	bool *b = bool_opt(o, opt);

	if (b || is_stamp_opt(opt)) {
		*ret = b ? *b : get_stamp_locked(o, opt);
		return 0;
	}
	switch (opt) {
	case LINUX_SO_BSDCOMPAT:
	case LINUX_SO_INCOMING_NAPI_ID:
	case LINUX_SO_RESERVE_MEM:
		*ret = 0;
		return 0;
	case LINUX_SO_SNDBUF:
		*ret = (int)o->sndbuf;
		return 0;
	case LINUX_SO_RCVBUF:
		*ret = (int)o->rcvbuf;
		return 0;
	case LINUX_SO_RCVLOWAT:
		*ret = o->rcvlowat;
		return 0;
	case LINUX_SO_SNDLOWAT:
		*ret = 1;
		return 0;
	case LINUX_SO_PRIORITY:
		*ret = o->priority;
		return 0;
	case LINUX_SO_MARK:
		*ret = (int)o->mark;
		return 0;
	case LINUX_SO_TYPE:
		*ret = sk->type;
		return 0;
	case LINUX_SO_PROTOCOL:
		*ret = sk->protocol;
		return 0;
	case LINUX_SO_DOMAIN:
		*ret = sk->family;
		return 0;
	case LINUX_SO_PEEK_OFF:
		*ret = o->peek_off;
		return sk->ops->peek_off ? 0 : -EOPNOTSUPP;
	case LINUX_SO_BUSY_POLL:
		*ret = (int)o->busy_poll;
		return 0;
	case LINUX_SO_BPF_EXTENSIONS:
		*ret = 64; /* SKF_AD_MAX */
		return 0;
	case LINUX_SO_INCOMING_CPU:
		*ret = o->incoming_cpu;
		return 0;
	case LINUX_SO_BINDTOIFINDEX:
		*ret = (int)atomic_load(&sk->bound_dev);
		return 0;
	case LINUX_SO_BUF_LOCK:
		*ret = (int)o->buf_lock;
		return 0;
	case LINUX_SO_TXREHASH:
		*ret = (int)o->txrehash;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int get_u64(uint64_t v, void *buf, uint32_t *len)
{
	if (*len < sizeof(v))
		return -EINVAL;
	put(buf, len, &v, sizeof(v));
	return 0;
}

/* Values that are no int: 1 when @opt is none of them. opt_mu held. */
static int get_other_locked(struct sock *sk, int opt, void *buf, uint32_t *len)
{
	struct sock_opts *o = &sk->opts;
	uint32_t pair[2];

	switch (opt) {
	case LINUX_SO_LINGER:
		put(buf, len, &(struct linux_linger){ o->linger, o->linger_sec }, sizeof(struct linux_linger));
		return 0;
	case LINUX_SO_RCVTIMEO:
	case LINUX_SO_RCVTIMEO_NEW:
		timeo_get(o->rcvtimeo, buf, len);
		return 0;
	case LINUX_SO_SNDTIMEO:
	case LINUX_SO_SNDTIMEO_NEW:
		timeo_get(o->sndtimeo, buf, len);
		return 0;
	case LINUX_SO_TIMESTAMPING:
	case LINUX_SO_TIMESTAMPING_NEW:
		pair[0] = o->ts_new == (opt == LINUX_SO_TIMESTAMPING_NEW) || !o->timestamping ? o->timestamping : 0;
		pair[1] = 0;
		put(buf, len, pair, sizeof(pair));
		return 0;
	case LINUX_SO_TXTIME:
		pair[0] = (uint32_t)o->txtime_clock;
		pair[1] = o->txtime_flags;
		put(buf, len, pair, sizeof(pair));
		return 0;
	case LINUX_SO_MAX_PACING_RATE:
		if (*len >= sizeof(uint64_t)) {
			put(buf, len, &o->max_pacing_rate, sizeof(uint64_t));
		} else {
			pair[0] = (uint32_t)MIN(o->max_pacing_rate, (uint64_t)UINT32_MAX);
			put(buf, len, pair, sizeof(pair[0]));
		}
		return 0;
	case LINUX_SO_COOKIE:
		if (*len >= sizeof(uint64_t) && !sk->cookie)
			sk->cookie = kernel_next_ino(the_kernel);
		return get_u64(sk->cookie, buf, len);
	case LINUX_SO_NETNS_COOKIE:
		return get_u64(sk->net ? sk->net->ino : 0, buf, len);
	case LINUX_SO_MEMINFO: {
		uint32_t mem[9] = { 0, o->rcvbuf, 0, o->sndbuf };

		put(buf, len, mem, sizeof(mem));
		return 0;
	}
	default:
		return 1;
	}
}

static int get_peername(struct sock *sk, struct task *t, void *buf, uint32_t *len)
{
	uint8_t name[LINUX_SOCKADDR_MAX];
	int n = sk->ops->accepted_name ? sk->ops->accepted_name(sk, name) : sk->ops->getname(sk, t, name, true);

	if (n < 0)
		return -ENOTCONN;
	if ((uint32_t)n < *len)
		return -EINVAL;
	memcpy(buf, name, *len);
	return 0;
}

/* Fills @buf with the option's value, at most *@len bytes. */
static int get_opt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	int v = 0, r;

	if (level == LINUX_SOL_SOCKET && (!sk->ops->own_sol_socket || is_timeo(opt))) {
		if (opt == LINUX_SO_BINDTODEVICE)
			return get_device(sk, buf, len);
		mutex_lock(&sk->opt_mu);
		r = get_other_locked(sk, opt, buf, len);
		if (r <= 0) {
			mutex_unlock(&sk->opt_mu);
			return r;
		}
		r = get_int_locked(sk, opt, &v);
		mutex_unlock(&sk->opt_mu);
		if (opt == LINUX_SO_ERROR) {
			v = sk->ops->take_error ? sk->ops->take_error(sk) : 0;
			r = 0;
		} else if (opt == LINUX_SO_ACCEPTCONN) {
			v = sk->ops->listening && sk->ops->listening(sk);
			r = 0;
		} else if (opt == LINUX_SO_PEERNAME) {
			return get_peername(sk, t, buf, len);
		}
		if (!r)
			put(buf, len, &v, sizeof(v));
		if (r != -ENOPROTOOPT)
			return r;
	}
	return sk->ops->getsockopt ? sk->ops->getsockopt(sk, t, level, opt, buf, len) : -ENOPROTOOPT;
}

int sock_getsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, gaddr_t lenp)
{
	uint8_t buf[1024] = { 0 };
	int32_t ulen;
	uint32_t len;
	int r = copy_in(t, &ulen, lenp, sizeof(ulen));

	if (r)
		return r;
	if (ulen < 0)
		return -EINVAL;
	if (level == LINUX_SOL_SOCKET && opt == LINUX_SO_ATTACH_FILTER && !sk->ops->own_sol_socket) /* SO_GET_FILTER */
		return get_filter(sk, t, val, lenp, ulen);
	len = MIN((uint32_t)ulen, (uint32_t)sizeof(buf));
	r = get_opt(sk, t, level, opt, buf, &len);
	ulen = (int32_t)len;
	if (r == -ERANGE) /* the value did not fit; how long it is is still told (SO_PEERGROUPS) */
		return copy_out(t, lenp, &ulen, sizeof(ulen)) ? -EFAULT : r;
	if (r < 0)
		return r;
	if (copy_out(t, val, buf, len) || copy_out(t, lenp, &ulen, sizeof(ulen)))
		return -EFAULT;
	return 0;
}

/* --- control messages --- */

static int check_one(struct sock *sk, struct task *t, int type, const uint8_t *data, size_t n)
{
	uint32_t flags;
	bool txtime;

	switch (type) {
	case LINUX_SCM_RIGHTS:
	case LINUX_SCM_CREDENTIALS:
		return 0; /* these mean nothing here */
	case LINUX_SO_MARK:
		if (!mark_allowed(t))
			return -EPERM;
		return n == sizeof(uint32_t) ? 0 : -EINVAL;
	case LINUX_SO_TIMESTAMPING:
	case LINUX_SO_TIMESTAMPING_NEW:
		if (n != sizeof(flags))
			return -EINVAL;
		memcpy(&flags, data, sizeof(flags));
		return flags & ~TIMESTAMPING_TX_RECORD ? -EINVAL : 0;
	case SCM_TXTIME_:
		mutex_lock(&sk->opt_mu);
		txtime = sk->opts.txtime;
		mutex_unlock(&sk->opt_mu);
		return txtime && n == sizeof(uint64_t) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

int sock_check_control(struct sock *sk, struct task *t, const struct sock_msg *m)
{
	size_t at = 0;

	while (m->ctllen - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		int r = 0;

		memcpy(&h, m->ctl + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > m->ctllen - at)
			return -EINVAL;
		if (h.level == LINUX_SOL_SOCKET)
			r = check_one(sk, t, h.type, m->ctl + at + sizeof(h), h.len - sizeof(h));
		if (r)
			return r;
		if (LINUX_CMSG_ALIGN(h.len) >= m->ctllen - at)
			break;
		at += LINUX_CMSG_ALIGN(h.len);
	}
	return 0;
}

void sock_put_control(struct sock_msg *m, int level, int type, const void *data, size_t n)
{
	struct linux_cmsghdr h = { .len = sizeof(h) + n, .level = level, .type = type };
	size_t at = LINUX_CMSG_ALIGN(m->ctllen), total = at + LINUX_CMSG_ALIGN(h.len);
	uint8_t *p = realloc(m->ctl, total);

	if (!p)
		return;
	memset(p + m->ctllen, 0, total - m->ctllen);
	memcpy(p + at, &h, sizeof(h));
	memcpy(p + at + sizeof(h), data, n);
	m->ctl = p;
	m->ctllen = total;
}

void sock_put_timestamp(struct sock *sk, struct sock_msg *m, int64_t ns)
{
	int64_t v[6] = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	struct sock_opts o;

	mutex_lock(&sk->opt_mu);
	o = sk->opts;
	mutex_unlock(&sk->opt_mu);
	if (o.timestamp && o.ts_ns)
		sock_put_control(m, LINUX_SOL_SOCKET, o.ts_new ? LINUX_SO_TIMESTAMPNS_NEW : LINUX_SO_TIMESTAMPNS, v, 16);
	else if (o.timestamp)
		sock_put_control(m, LINUX_SOL_SOCKET, o.ts_new ? LINUX_SO_TIMESTAMP_NEW : LINUX_SO_TIMESTAMP, (int64_t[]){ v[0], v[1] / 1000 }, 16);
	if (o.timestamping & TIMESTAMPING_SOFTWARE && o.timestamping & TIMESTAMPING_RX_SOFTWARE)
		sock_put_control(m, LINUX_SOL_SOCKET, o.ts_new ? LINUX_SO_TIMESTAMPING_NEW : LINUX_SO_TIMESTAMPING, v, sizeof(v));
}

bool sock_zerocopy(struct sock *sk)
{
	bool r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.zerocopy;
	mutex_unlock(&sk->opt_mu);
	return r;
}
