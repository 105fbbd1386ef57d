/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NETLINK_GENERIC: the controller, which says that it is the only family. Linux: net/netlink/genetlink.c.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/netlink.h"

#define GENL_ID_CTRL       16
#define CTRL_CMD_NEWFAMILY 1
#define CTRL_CMD_GETFAMILY 3
#define CTRL_CMD_GETPOLICY 10
#define CTRL_VERSION       2
#define NOTIFY_GROUP       16 /* multicast group "notify" */
#define CMD_CAP_DO         0x02u
#define CMD_CAP_DUMP       0x04u
#define CMD_CAP_HASPOL     0x08u

enum { ATTR_FAMILY_ID = 1, ATTR_FAMILY_NAME, ATTR_VERSION, ATTR_HDRSIZE, ATTR_MAXATTR, ATTR_OPS, ATTR_MCAST_GROUPS };

struct genlmsghdr {
	uint8_t cmd, version;
	uint16_t reserved;
};

static void put_op(struct strbuf *b, uint16_t nr, uint32_t id, uint32_t flags)
{
	size_t at = nl_nest(b, nr);

	nl_put_u32(b, 1 /* OP_ID */, id);
	nl_put_u32(b, 2 /* OP_FLAGS */, flags);
	nl_nest_end(b, at);
}

static void fill_ctrl(struct nl_request *q, uint16_t flags)
{
	struct genlmsghdr g = { .cmd = CTRL_CMD_NEWFAMILY, .version = CTRL_VERSION };
	size_t msg = nl_reply(q, GENL_ID_CTRL, flags), at, in;

	strbuf_add(&q->out, &g, sizeof(g));
	nl_put_str(&q->out, ATTR_FAMILY_NAME, "nlctrl");
	nl_put_u16(&q->out, ATTR_FAMILY_ID, GENL_ID_CTRL);
	nl_put_u32(&q->out, ATTR_VERSION, CTRL_VERSION);
	nl_put_u32(&q->out, ATTR_HDRSIZE, 0);
	nl_put_u32(&q->out, ATTR_MAXATTR, 10);
	at = nl_nest(&q->out, ATTR_OPS);
	put_op(&q->out, 1, CTRL_CMD_GETFAMILY, CMD_CAP_DO | CMD_CAP_DUMP | CMD_CAP_HASPOL);
	nl_nest_end(&q->out, at);
	at = nl_nest(&q->out, ATTR_MCAST_GROUPS);
	in = nl_nest(&q->out, 1);
	nl_put_u32(&q->out, 2 /* GRP_ID */, NOTIFY_GROUP);
	nl_put_str(&q->out, 1 /* GRP_NAME */, "notify");
	nl_nest_end(&q->out, in);
	nl_nest_end(&q->out, at);
	if (flags & LINUX_NLM_F_MULTI)
		nl_dump_next(q, msg);
	else
		nl_end(&q->out, msg);
}

static int genl_request(struct nl_request *q)
{
	struct nl_attr a[ATTR_MCAST_GROUPS + 1];
	struct genlmsghdr g;
	char name[32];
	int r;

	if (q->h.type != GENL_ID_CTRL)
		return -ENOENT;
	if (q->n < sizeof(g))
		return -EINVAL;
	memcpy(&g, q->body, sizeof(g));
	if (g.cmd != CTRL_CMD_GETFAMILY)
		return -EOPNOTSUPP;
	r = nl_attrs(q, sizeof(g), a, ATTR_MCAST_GROUPS);
	if (r)
		return r;
	if (nl_is_dump(q)) {
		fill_ctrl(q, LINUX_NLM_F_MULTI);
		return nl_dump_done(q);
	}
	if (a[ATTR_FAMILY_ID].data && a[ATTR_FAMILY_ID].len >= sizeof(uint16_t)) {
		uint16_t id;

		memcpy(&id, a[ATTR_FAMILY_ID].data, sizeof(id));
		r = id == GENL_ID_CTRL ? 0 : -ENOENT;
	} else if (a[ATTR_FAMILY_NAME].data) {
		r = nl_str(&a[ATTR_FAMILY_NAME], name, sizeof(name)) && !strcmp(name, "nlctrl") ? 0 : -ENOENT;
	} else {
		r = -EINVAL;
	}
	if (!r)
		fill_ctrl(q, 0);
	return r;
}

const struct nl_proto nl_generic = {
	.number = LINUX_NETLINK_GENERIC, .groups = 32, .any_recv = true, .request = genl_request,
};
