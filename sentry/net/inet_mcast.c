/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast groups on lo: memberships of sockets with their source filters, and who takes what. Packets to a group come back from lo only when
 * some socket has joined it, as the interface would drop them; a socket that has not joined takes them too unless IP_MULTICAST_ALL is off.
 * Linux: net/ipv4/igmp.c, net/ipv6/mcast.c. Memberships are guarded by inet_mu. Checkpoint: see inet_state.c.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"

#define MEMBERS_MAX 20u /* net.ipv4.igmp_max_memberships */
#define MSF_MAX	    10u /* net.ipv4.igmp_max_msf; IPv6: 64 */
enum { ADD = 35, DROP = 36, UNBLOCK = 37, BLOCK = 38, ADD_SOURCE = 39, DROP_SOURCE = 40, MCAST_JOIN = 42, MCAST_BLOCK = 43, MCAST_UNBLOCK = 44,
       MCAST_LEAVE = 45, MCAST_JOIN_SOURCE = 46, MCAST_LEAVE_SOURCE = 47, V6_JOIN = 20, V6_LEAVE = 21 };
#define IP_MULTICAST_ALL_ 49
#define IPV6_MULTICAST_ALL_ 29
#define GROUP_REQ_LEN	     136u
#define GROUP_SOURCE_REQ_LEN 264u

bool inet_is_mcast_opt(int level, int opt)
{
	if (opt >= MCAST_JOIN && opt <= MCAST_LEAVE_SOURCE)
		return level == SOL_IP_ || level == SOL_IPV6_;
	return level == SOL_IP_ ? opt >= ADD && opt <= DROP_SOURCE : level == SOL_IPV6_ && (opt == V6_JOIN || opt == V6_LEAVE);
}

/* What any of the options ask. */
struct request {
	int op; /* MCAST_* */
	bool v6, any_dev; /* any_dev: neither index nor address was given */
	uint32_t dev;
	struct inet_addr group, source;
};

static struct inet_member *find(struct inet_sock *u, const struct request *q)
{
	struct inet_member *mb;

	list_for_each(mb, &u->members, node)
		if (inet_same_ip(&mb->group, &q->group) && (q->any_dev || mb->ifindex == q->dev))
			return mb;
	return NULL;
}

static void leave_locked(struct inet_sock *u, struct inet_member *mb)
{
	list_del(&mb->node);
	list_del(&mb->all_node);
	u->nr_members--;
	free(mb);
}

void inet_mcast_leave_all_locked(struct inet_sock *u)
{
	struct inet_member *mb, *tmp;

	list_for_each_safe(mb, tmp, &u->members, node)
		leave_locked(u, mb);
}

static int join_locked(struct inet_sock *u, const struct request *q, bool exclude, struct inet_member **ret)
{
	struct inet_member *mb = find(u, q);

	if (mb) {
		*ret = mb;
		return -EADDRINUSE;
	}
	if (u->nr_members >= MEMBERS_MAX && !q->v6)
		return -ENOBUFS;
	if (u->nr_members >= 4096)
		return -ENOBUFS;
	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return -ENOBUFS;
	mb->group = q->group;
	mb->group.port = 0;
	mb->ifindex = q->dev;
	mb->exclude = exclude;
	list_add_tail(&u->members, &mb->node);
	list_add_tail(&u->sk.net->inet->members, &mb->all_node);
	u->nr_members++;
	*ret = mb;
	return 0;
}

/* Adds or removes a source of the filter, whose mode must be @exclude. */
static int source_locked(struct inet_sock *u, const struct request *q, bool exclude, bool add)
{
	struct inet_member *mb = find(u, q);
	uint32_t i;

	if (!mb)
		return -EINVAL;
	if (mb->exclude != exclude) {
		if (mb->nr_sources)
			return -EINVAL;
		mb->exclude = exclude;
	}
	for (i = 0; i < mb->nr_sources && !inet_same_ip(&mb->sources[i], &q->source); i++)
		;
	if (add) {
		if (i < mb->nr_sources)
			return -EADDRNOTAVAIL;
		if (mb->nr_sources >= (q->v6 ? INET_MAX_SOURCES : MSF_MAX))
			return -ENOBUFS;
		mb->sources[mb->nr_sources++] = q->source;
		return 0;
	}
	if (i == mb->nr_sources)
		return -EADDRNOTAVAIL;
	if (mb->nr_sources == 1 && !exclude) {
		leave_locked(u, mb);
		return 0;
	}
	mb->sources[i] = mb->sources[--mb->nr_sources];
	return 0;
}

static int apply(struct inet_sock *u, const struct request *q)
{
	struct inet_member *mb = NULL;
	int r;

	mutex_lock(inet_mu(u));
	switch (q->op) {
	case MCAST_JOIN:
		r = join_locked(u, q, true, &mb);
		break;
	case MCAST_LEAVE:
		mb = find(u, q);
		r = mb ? 0 : -EADDRNOTAVAIL;
		if (mb)
			leave_locked(u, mb);
		break;
	case MCAST_JOIN_SOURCE:
		r = join_locked(u, q, false, &mb);
		if (!r || r == -EADDRINUSE)
			r = source_locked(u, q, false, true);
		break;
	case MCAST_LEAVE_SOURCE:
		r = source_locked(u, q, false, false);
		break;
	default:
		r = source_locked(u, q, true, q->op == MCAST_BLOCK);
		break;
	}
	mutex_unlock(inet_mu(u));
	return r;
}

/* The interface by its address or index; without both by the route to the group, and there is none. */
static int device(struct inet_sock *u, struct request *q, const struct inet_addr *by)
{
	if (!q->dev && by && !inet_any(by)) {
		if (inet_addr_type(u->sk.net, by) != INET_A_LOCAL)
			return -ENODEV;
		q->dev = LO_IFINDEX;
		return 0;
	}
	q->any_dev = !q->dev;
	return q->dev == LO_IFINDEX ? 0 : -ENODEV;
}

/* sockaddr_in or sockaddr_in6 inside a request. */
static int get_storage(bool v6, const uint8_t *p, struct inet_addr *a)
{
	uint16_t family;
	uint32_t scope;

	memcpy(&family, p, sizeof(family));
	if (family != (v6 ? LINUX_AF_INET6 : LINUX_AF_INET))
		return -EADDRNOTAVAIL;
	if (v6)
		inet_get_sin6(p, a, &scope);
	else
		inet_get_sin(p, a);
	a->port = 0;
	return 0;
}

static int parse_generic(struct inet_sock *u, int level, int opt, const uint8_t *buf, uint32_t len, struct request *q)
{
	bool source = opt != MCAST_JOIN && opt != MCAST_LEAVE;
	int r;

	if (len < (source ? GROUP_SOURCE_REQ_LEN : GROUP_REQ_LEN))
		return -EINVAL;
	q->op = opt;
	q->v6 = level == SOL_IPV6_;
	memcpy(&q->dev, buf, 4);
	r = get_storage(q->v6, buf + 8, &q->group);
	if (r)
		return source ? r : -EINVAL;
	if (source) {
		r = get_storage(q->v6, buf + 136, &q->source);
		if (r)
			return r;
	}
	if (inet_addr_type(u->sk.net, &q->group) != INET_A_MULTICAST)
		return -EINVAL;
	return device(u, q, NULL);
}

static int parse_v4(struct inet_sock *u, int opt, const uint8_t *buf, uint32_t len, struct request *q)
{
	static const int ops[] = { MCAST_JOIN, MCAST_LEAVE, MCAST_UNBLOCK, MCAST_BLOCK, MCAST_JOIN_SOURCE, MCAST_LEAVE_SOURCE };
	struct inet_addr by = { 0 };
	int r;

	q->op = ops[opt - ADD];
	inet_set_v4(&q->group, buf);
	if (len >= 8)
		inet_set_v4(&by, buf + 4);
	if (opt == ADD || opt == DROP) {
		if (len < 8)
			return -EINVAL;
		if (len >= 12)
			memcpy(&q->dev, buf + 8, 4);
	} else {
		if (len != 12)
			return -EINVAL;
		inet_set_v4(&q->source, buf + 8);
	}
	if (inet_addr_type(u->sk.net, &q->group) != INET_A_MULTICAST && opt != DROP)
		return -EINVAL;
	r = device(u, q, &by);
	if (r && opt == DROP && !q->any_dev)
		return -EADDRNOTAVAIL;
	return r;
}

int inet_mcast_setsockopt(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	uint8_t buf[GROUP_SOURCE_REQ_LEN] = { 0 };
	struct request q = { 0 };
	bool generic = opt >= MCAST_JOIN;
	int r;

	if (inet_is_tcp(u))
		return -EPROTO;
	r = copy_in(t, buf, val, MIN(len, (uint32_t)sizeof(buf)));
	if (r)
		return r;
	if (generic) {
		r = parse_generic(u, level, opt, buf, len, &q);
	} else if (level == SOL_IP_) {
		r = parse_v4(u, opt, buf, len, &q);
	} else {
		if (len < 20)
			return -EINVAL;
		q.op = opt == V6_JOIN ? MCAST_JOIN : MCAST_LEAVE;
		q.v6 = true;
		memcpy(q.group.ip, buf, 16);
		memcpy(&q.dev, buf + 16, 4);
		if (inet_mapped(&q.group) || inet_addr_type(u->sk.net, &q.group) != INET_A_MULTICAST)
			return -EINVAL;
		r = device(u, &q, NULL);
	}
	return r ? r : apply(u, &q);
}

bool inet_mcast_joined_locked(struct inet_table *tb, const struct inet_addr *group)
{
	struct inet_member *mb;

	/* All hosts, and all nodes of the interface or link: the interface has joined these itself. */
	if (inet_mapped(group) ? !memcmp(group->ip + 12, (const uint8_t[]){ 224, 0, 0, 1 }, 4) :
				 group->ip[15] == 1 && (group->ip[1] == 1 || group->ip[1] == 2) && !memcmp(group->ip + 2, (const uint8_t[13]){ 0 }, 13))
		return true;
	list_for_each(mb, &tb->members, all_node)
		if (inet_same_ip(&mb->group, group))
			return true;
	return false;
}

bool inet_mcast_wants_locked(struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from)
{
	bool v4 = inet_mapped(to), listed = false;
	struct inet_member *mb;

	list_for_each(mb, &u->members, node) {
		if (!inet_same_ip(&mb->group, to) || mb->ifindex != LO_IFINDEX)
			continue;
		for (uint32_t i = 0; i < mb->nr_sources; i++)
			listed |= inet_same_ip(&mb->sources[i], from);
		return mb->exclude ? !listed : listed;
	}
	return inet_opt_get(u, v4 ? SOL_IP_ : SOL_IPV6_, v4 ? IP_MULTICAST_ALL_ : IPV6_MULTICAST_ALL_);
}
