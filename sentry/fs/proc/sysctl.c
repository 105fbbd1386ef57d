/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys. Contract in sysctl.h. Linux: kernel/sysctl.c and others.
 *
 * A row of numbers has its storage in the table; a write is checked against its bounds before anything is stored. Others have functions.
 * Locks: sysctl_mu (leaf) guards the numbers. Checkpoint: rows that differ from their defaults, in every proc super block's message; all are
 * the same. DEVIATION: net/ is one for the sandbox, not one for each network namespace.
 */
#include "sentry/fs/aio.h"
#include "sentry/fs/proc/sysctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/generation.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/seccomp.h"

#define MAX_VALS 4

struct sysctl {
	int n;
	int64_t dflt[MAX_VALS];
	int64_t min, max;
	bool wide; /* unsigned 64-bit numbers, bounds elsewhere */
	int64_t val[MAX_VALS];
	bool changed;
};

static struct mutex sysctl_mu = MUTEX_INIT("sysctl.mu");

static void values(const struct sysctl *s, int64_t *ret)
{
	mutex_guard(&sysctl_mu);
	memcpy(ret, s->changed ? s->val : s->dflt, sizeof(s->val));
}

static int show_num(struct pctx *c, struct strbuf *b)
{
	const struct sysctl *s = c->node->data;
	int64_t v[MAX_VALS];

	values(s, v);
	for (int n = 0; n < s->n; n++)
		strbuf_addf(b, "%s%ld", n ? "\t" : "", (long)v[n]);
	strbuf_addc(b, '\n');
	return 0;
}

static int parse_row(const struct sysctl *s, const char *text, int64_t *v)
{
	char *end;
	int n;

	for (n = 0; n < s->n; n++) {
		text += strspn(text, " \t\n");
		if (!*text)
			break;
		errno = 0;
		if (s->wide && *text == '-')
			return -EINVAL;
		v[n] = s->wide ? (int64_t)strtoull(text, &end, 0) : strtoll(text, &end, 0);
		if (end == text || errno || (*end && !strchr(" \t\n", *end)) || (!s->wide && (v[n] < s->min || v[n] > s->max)))
			return -EINVAL;
		text = end;
	}
	return n && !text[strspn(text, " \t\n")] ? 0 : -EINVAL;
}

static int64_t store_num(struct pctx *c, char *text, size_t n)
{
	struct sysctl *s = (struct sysctl *)(uintptr_t)c->node->data;
	int64_t v[MAX_VALS];
	int err;

	values(s, v);
	err = parse_row(s, text, v);
	if (err)
		return err;
	mutex_lock(&sysctl_mu);
	memcpy(s->val, v, sizeof(v));
	s->changed = true;
	mutex_unlock(&sysctl_mu);
	return (int64_t)n;
}

#define ROW(nm, perm, st, count, lo, hi, ...)                                                                                          \
	{ .name = (nm), .mode = LINUX_S_IFREG | (perm), .show = show_num, .store = (st),                                               \
	  .data = &(struct sysctl){ .n = (count), .dflt = { __VA_ARGS__ }, .min = (lo), .max = (hi) } }
#define NUM(nm, v, lo, hi) ROW(nm, 0644, store_num, 1, lo, hi, v)
#define CONST(nm, v)	   ROW(nm, 0444, NULL, 1, 0, 0, v)
#define BOOL(nm, v)	   NUM(nm, v, 0, 1)
#define INT_MAX_	   0x7fffffffLL

/* --- names and other texts --- */

static int show_text(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%s\n", (const char *)c->node->data);
	return 0;
}

static char core_pattern[128] = "core"; /* guarded by sysctl_mu */

void proc_core_pattern(char *buf, size_t size)
{
	mutex_guard(&sysctl_mu);
	(void)snprintf(buf, size, "%s", core_pattern);
}

static int show_core_pattern(struct pctx *c, struct strbuf *b)
{
	char text[sizeof(core_pattern)];

	proc_core_pattern(text, sizeof(text));
	strbuf_addf(b, "%s\n", text);
	return 0;
}

/* DEVIATION: pipes to a helper are refused: it would be started in the initial namespaces, of which there are none. */
static int64_t store_core_pattern(struct pctx *c, char *text, size_t n)
{
	size_t len = strcspn(text, "\n");

	if (*text == '|')
		return -EINVAL;
	mutex_guard(&sysctl_mu);
	len = MIN(len, sizeof(core_pattern) - 1);
	memcpy(core_pattern, text, len);
	core_pattern[len] = '\0';
	return (int64_t)n;
}

static struct uts_ns *uts_of(struct pctx *c)
{
	return c->t && c->t->ns ? c->t->ns->uts : NULL;
}

static int show_uts(struct pctx *c, struct strbuf *b)
{
	struct uts_ns *u = uts_of(c);

	if (!u)
		return -ENOENT;
	mutex_lock(&u->mu);
	strbuf_addf(b, "%s\n", c->node->data ? u->domainname : u->nodename);
	mutex_unlock(&u->mu);
	return 0;
}

static int uts_set(struct uts_ns *u, bool domain, const char *s)
{
	size_t n = MIN(strcspn(s, "\n"), (size_t)UTS_LEN - 1);
	char *to = domain ? u->domainname : u->nodename;

	mutex_guard(&u->mu);
	memcpy(to, s, n);
	memset(to + n, 0, UTS_LEN - n);
	return 0;
}

static int64_t store_uts(struct pctx *c, char *s, size_t n)
{
	struct uts_ns *u = uts_of(c);
	int err = u ? uts_set(u, c->node->data != NULL, s) : -ENOENT;

	return err ? err : (int64_t)n;
}

static int show_uuid(struct pctx *c, struct strbuf *b)
{
	uint8_t u[16];
	uint64_t h;

	if (c->node->data) { /* boot_id: of this kernel, the same after a restore */
		for (int n = 0; n < 2; n++) {
			h = hash_u64((uint64_t)the_kernel->boot_real + (uint64_t)n * 0x9e3779b97f4a7c15ULL) ^ hash_u64((uint64_t)the_kernel->boot_mono);
			memcpy(u + 8 * n, &h, 8);
		}
	} else {
		kernel_random(u, sizeof(u));
	}
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	strbuf_addf(b, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
		    u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return 0;
}

/* Not in Linux, where a virtual machine's generation id is for the kernel only. */
static int show_generation_id(struct pctx *c, struct strbuf *b)
{
	for (size_t n = 0; n < sizeof(the_kernel->generation_id); n++)
		strbuf_addf(b, "%02x", the_kernel->generation_id[n]);
	strbuf_addc(b, '\n');
	return 0;
}

static struct pseudo_watch *watch_generation(const struct pctx *c, void **ret_owner)
{
	*ret_owner = NULL; /* it lives as long as we do */
	return generation_watch();
}

static void unwatch_nothing(void *owner)
{
}

static int show_file_nr(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "0\t0\t9223372036854775807\n");
	return 0;
}

static int show_u64max(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "9223372036854775807\n");
	return 0;
}

static int show_ns_last_pid(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%d\n", c->ns ? c->ns->last : 0);
	return 0;
}

static int show_threads_max(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%lu\n", MIN(the_kernel->cfg.total_memory / (8 * 16384), (uint64_t)4194304));
	return 0;
}

/* --- kernel.seccomp: a bit for each action --- */

static void put_actions(struct strbuf *b, uint64_t mask)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(seccomp_action_names); i++)
		if (mask >> i & 1) {
			strbuf_addf(b, "%s%s", first ? "" : " ", seccomp_action_names[i]);
			first = false;
		}
	strbuf_addc(b, '\n');
}

static int show_actions_avail(struct pctx *c, struct strbuf *b)
{
	put_actions(b, (1u << ARRAY_SIZE(seccomp_action_names)) - 1);
	return 0;
}

static int show_actions(struct pctx *c, struct strbuf *b)
{
	int64_t v[MAX_VALS];

	values(c->node->data, v);
	put_actions(b, (uint64_t)v[0]);
	return 0;
}

static int64_t parse_actions(char *text)
{
	int64_t mask = 0;
	char *save;

	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(seccomp_action_names); i++)
			if (!strcmp(w, seccomp_action_names[i]))
				break;
		if (i == ARRAY_SIZE(seccomp_action_names) || !strcmp(w, "allow")) /* what is allowed is never logged */
			return -EINVAL;
		mask |= 1 << i;
	}
	return mask;
}

static int64_t store_actions(struct pctx *c, char *text, size_t n)
{
	struct sysctl *s = (struct sysctl *)(uintptr_t)c->node->data;
	char *end;
	int64_t mask;

	if (c->t && !task_capable(c->t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	mask = c->t ? parse_actions(text) : strtoll(text, &end, 10); /* from an image: the number */
	if (mask < 0 || mask > s->max)
		return -EINVAL;
	mutex_lock(&sysctl_mu);
	s->val[0] = mask;
	s->changed = true;
	mutex_unlock(&sysctl_mu);
	return (int64_t)n;
}

/* The limits of System V objects are the ipc namespace's. */
int ipc_ns_sysctl_get(struct ipc_ns *ns, const char *name, int64_t *ret, int n) __attribute__((weak));
int ipc_ns_sysctl_set(struct ipc_ns *ns, const char *name, const int64_t *v, int n) __attribute__((weak));

static int show_ipc(struct pctx *c, struct strbuf *b)
{
	const struct sysctl *s = c->node->data;
	int64_t v[MAX_VALS];

	values(s, v);
	if (ipc_ns_sysctl_get && c->t && c->t->ns && c->t->ns->ipc)
		(void)ipc_ns_sysctl_get(c->t->ns->ipc, c->node->name, v, s->n);
	for (int n = 0; n < s->n; n++)
		strbuf_addf(b, "%s%lu", n ? "\t" : "", (unsigned long)v[n]);
	strbuf_addc(b, '\n');
	return 0;
}

/* Numbers that @text leaves out stay as they are. */
static int store_ipc_row(const struct sysctl *s, struct ipc_ns *ns, const char *name, const char *text)
{
	int64_t v[MAX_VALS] = { 0 };
	int err = ipc_ns_sysctl_get(ns, name, v, s->n);

	if (!err)
		err = parse_row(s, text, v);
	return err ? err : ipc_ns_sysctl_set(ns, name, v, s->n);
}

static int64_t store_ipc(struct pctx *c, char *text, size_t n)
{
	const struct sysctl *s = c->node->data;
	int err;

	if (!ipc_ns_sysctl_set || !c->t || !c->t->ns || !c->t->ns->ipc)
		return -EACCES;
	err = store_ipc_row(s, c->t->ns->ipc, c->node->name, text);
	return err ? err : (int64_t)n;
}

#define IPC(nm, count, ...)                                                                                                            \
	{ .name = (nm), .mode = LINUX_S_IFREG | 0644, .show = show_ipc, .store = store_ipc,                                            \
	  .data = &(struct sysctl){ .n = (count), .dflt = { __VA_ARGS__ }, .wide = true } }

/* --- tables --- */

static const struct pnode random_kids[] = {
	PN_FILE("boot_id", 0444, show_uuid, .data = ""),
	CONST("entropy_avail", 256),
	CONST("poolsize", 256),
	CONST("urandom_min_reseed_secs", 60),
	PN_FILE("generation_id", 0444, show_generation_id, .watch = watch_generation, .unwatch = unwatch_nothing),
	PN_FILE("uuid", 0444, show_uuid),
	CONST("write_wakeup_threshold", 256),
	{ 0 },
};
static const struct pnode seccomp_kids[] = {
	PN_FILE("actions_avail", 0444, show_actions_avail),
	{ .name = "actions_logged", .mode = LINUX_S_IFREG | 0644, .show = show_actions, .store = store_actions,
	  .data = &(struct sysctl){ .n = 1, .dflt = { 0x7f }, .max = 0x7f } },
	{ 0 },
};
static const struct pnode yama_kids[] = { CONST("ptrace_scope", 0), { 0 } };
static const struct pnode keys_kids[] = { CONST("maxkeys", 200), CONST("maxbytes", 20000), CONST("root_maxkeys", 1000000),
					  CONST("root_maxbytes", 25000000), { 0 } };
static const struct pnode kernel_kids[] = {
	CONST("cap_last_cap", LINUX_CAP_LAST),
	PN_FILE("core_pattern", 0644, show_core_pattern, .store = store_core_pattern),
	BOOL("core_uses_pid", 0),
	BOOL("dmesg_restrict", 1),
	PN_FILE("domainname", 0644, show_uts, .store = store_uts, .data = ""),
	PN_FILE("hostname", 0644, show_uts, .store = store_uts),
	PN_DIR("keys", 0555, keys_kids),
	NUM("kptr_restrict", 1, 0, 2),
	IPC("msgmax", 1, 8192),
	IPC("msgmnb", 1, 16384),
	IPC("msgmni", 1, 32000),
	CONST("ngroups_max", 65536),
	PN_FILE("ns_last_pid", 0444, show_ns_last_pid),
	PN_FILE("osrelease", 0444, show_text, .data = RUNSC_OSRELEASE),
	PN_FILE("ostype", 0444, show_text, .data = RUNSC_OSTYPE),
	CONST("overflowgid", 65534),
	CONST("overflowuid", 65534),
	NUM("panic", 0, -1, INT_MAX_),
	NUM("perf_event_paranoid", 2, -1, 4),
	CONST("pid_max", 4194304),
	ROW("printk", 0444, NULL, 4, 0, 15, 4, 4, 1, 7),
	PN_DIR("random", 0555, random_kids),
	CONST("randomize_va_space", 2),
	CONST("sched_autogroup_enabled", 0),
	CONST("sched_child_runs_first", 0),
	CONST("sched_rr_timeslice_ms", 100),
	CONST("sched_rt_period_us", 1000000),
	CONST("sched_rt_runtime_us", 950000),
	PN_DIR("seccomp", 0555, seccomp_kids),
	IPC("sem", 4, 32000, 1024000000, 500, 32000),
	BOOL("shm_rmid_forced", 0),
	IPC("shmall", 1, (int64_t)(UINT64_MAX - (1UL << 24))),
	IPC("shmmax", 1, (int64_t)(UINT64_MAX - (1UL << 24))),
	IPC("shmmni", 1, 4096),
	CONST("sysrq", 0),
	CONST("tainted", 0),
	PN_FILE("threads-max", 0444, show_threads_max),
	CONST("unprivileged_bpf_disabled", 2),
	PN_FILE("version", 0444, show_text, .data = RUNSC_VERSION),
	PN_DIR("yama", 0555, yama_kids),
	{ 0 },
};

static const struct pnode vm_kids[] = {
	NUM("admin_reserve_kbytes", 8192, 0, INT_MAX_),
	NUM("dirty_background_ratio", 10, 0, 100),
	NUM("dirty_expire_centisecs", 3000, 0, INT_MAX_),
	NUM("dirty_ratio", 20, 0, 100),
	NUM("dirty_writeback_centisecs", 500, 0, INT_MAX_),
	CONST("hugetlb_shm_group", 0),
	NUM("max_map_count", 65530, 0, INT_MAX_),
	CONST("memory_failure_early_kill", 0),
	NUM("min_free_kbytes", 67584, 0, INT_MAX_),
	CONST("mmap_min_addr", 65536),
	CONST("nr_hugepages", 0),
	CONST("nr_overcommit_hugepages", 0),
	NUM("oom_kill_allocating_task", 0, 0, 1),
	NUM("overcommit_memory", 0, 0, 2),
	NUM("overcommit_ratio", 50, 0, INT_MAX_),
	NUM("overcommit_kbytes", 0, 0, INT_MAX_),
	NUM("page-cluster", 3, 0, 31),
	NUM("panic_on_oom", 0, 0, 2),
	NUM("swappiness", 60, 0, 200),
	NUM("unprivileged_userfaultfd", 0, 0, 1),
	NUM("user_reserve_kbytes", 131072, 0, INT_MAX_),
	NUM("vfs_cache_pressure", 100, 0, INT_MAX_),
	CONST("zone_reclaim_mode", 0),
	{ 0 },
};

static const struct pnode inotify_kids[] = {
	NUM("max_queued_events", 16384, 0, INT_MAX_),
	NUM("max_user_instances", 128, 0, INT_MAX_),
	NUM("max_user_watches", 65536, 0, INT_MAX_),
	{ 0 },
};
static const struct pnode fanotify_kids[] = {
	CONST("max_queued_events", 16384),
	CONST("max_user_groups", 128),
	CONST("max_user_marks", 65536),
	{ 0 },
};
static const struct pnode mqueue_kids[] = {
	IPC("msg_default", 1, 10),
	IPC("msg_max", 1, 10),
	IPC("msgsize_default", 1, 8192),
	IPC("msgsize_max", 1, 8192),
	IPC("queues_max", 1, 256),
	{ 0 },
};
static int show_aio_nr(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%lu\n", (unsigned long)aio_nr());
	return 0;
}

static const struct pnode epoll_kids[] = { NUM("max_user_watches", 1048576, 0, INT_MAX_), { 0 } };
static const struct pnode fs_kids[] = {
	NUM("aio-max-nr", 65536, 0, INT_MAX_),
	PN_FILE("aio-nr", 0444, show_aio_nr),
	ROW("dentry-state", 0444, NULL, 4, 0, 0, 0, 0, 45, 0),
	PN_DIR("epoll", 0555, epoll_kids),
	PN_DIR("fanotify", 0555, fanotify_kids),
	PN_FILE("file-max", 0444, show_u64max),
	PN_FILE("file-nr", 0444, show_file_nr),
	ROW("inode-nr", 0444, NULL, 2, 0, 0, 0, 0),
	PN_DIR("inotify", 0555, inotify_kids),
	NUM("lease-break-time", 45, 0, INT_MAX_),
	CONST("leases-enable", 1),
	NUM("mount-max", 100000, 1, INT_MAX_),
	PN_DIR("mqueue", 0555, mqueue_kids),
	CONST("nr_open", 1048576),
	CONST("overflowgid", 65534),
	CONST("overflowuid", 65534),
	NUM("pipe-max-size", 1048576, 4096, INT_MAX_),
	CONST("pipe-user-pages-hard", 0),
	CONST("pipe-user-pages-soft", 16384),
	NUM("protected_fifos", 0, 0, 2),
	BOOL("protected_hardlinks", 0),
	NUM("protected_regular", 0, 0, 2),
	BOOL("protected_symlinks", 0),
	CONST("suid_dumpable", 0),
	{ 0 },
};

static const struct pnode core_kids[] = {
	CONST("bpf_jit_enable", 1),
	NUM("bpf_jit_harden", 0, 0, 2),
	NUM("busy_poll", 0, 0, INT_MAX_),
	NUM("busy_read", 0, 0, INT_MAX_),
	NUM("dev_weight", 64, 0, INT_MAX_),
	NUM("fb_tunnels_only_for_init_net", 0, 0, 2),
	NUM("gro_normal_batch", 8, 1, INT_MAX_),
	BOOL("high_order_alloc_disable", 0),
	CONST("max_skb_frags", 17),
	NUM("message_burst", 10, 0, INT_MAX_),
	NUM("message_cost", 5, 0, INT_MAX_),
	NUM("netdev_budget", 300, 0, INT_MAX_),
	NUM("netdev_budget_usecs", 8000, 0, INT_MAX_),
	PN_FILE("default_qdisc", 0444, show_text, .data = "noqueue"),
	NUM("netdev_max_backlog", 1000, 0, INT_MAX_),
	NUM("optmem_max", 131072, 0, INT_MAX_),
	NUM("rps_sock_flow_entries", 0, 0, INT_MAX_),
	NUM("rmem_default", 212992, 2304, INT_MAX_),
	NUM("rmem_max", 212992, 2304, INT_MAX_),
	NUM("somaxconn", 4096, 0, INT_MAX_),
	BOOL("tstamp_allow_data", 1),
	BOOL("txrehash", 1),
	BOOL("warnings", 0),
	NUM("wmem_default", 212992, 4608, INT_MAX_),
	NUM("wmem_max", 212992, 4608, INT_MAX_),
	{ 0 },
};
/* Of each interface; what a program sets here is kept, and has no packet to act on. @pol: policy is off (lo). */
#define CONF4(src_route, pol)                                                                                                          \
	{                                                                                                                              \
		BOOL("accept_local", 0), BOOL("accept_redirects", 1), BOOL("accept_source_route", src_route), NUM("arp_accept", 0, 0, 2),   \
		NUM("arp_announce", 0, 0, 2), BOOL("arp_evict_nocarrier", 1), BOOL("arp_filter", 0), NUM("arp_ignore", 0, 0, 8),           \
		BOOL("arp_notify", 0), BOOL("bc_forwarding", 0), BOOL("bootp_relay", 0), BOOL("disable_policy", pol),                      \
		BOOL("disable_xfrm", pol), BOOL("drop_gratuitous_arp", 0), BOOL("drop_unicast_in_l2_multicast", 0),                        \
		NUM("force_igmp_version", 0, 0, 3), BOOL("forwarding", 0), NUM("igmpv2_unsolicited_report_interval", 10000, 0, INT_MAX_),   \
		NUM("igmpv3_unsolicited_report_interval", 1000, 0, INT_MAX_), BOOL("ignore_routes_with_linkdown", 0),                      \
		BOOL("log_martians", 0), CONST("mc_forwarding", 0), NUM("medium_id", 0, -1, INT_MAX_), BOOL("promote_secondaries", 0),      \
		BOOL("proxy_arp", 0), BOOL("proxy_arp_pvlan", 0), BOOL("route_localnet", 0), NUM("rp_filter", 0, 0, 2),                    \
		BOOL("secure_redirects", 1), BOOL("send_redirects", 1), BOOL("shared_media", 1), BOOL("src_valid_mark", 0),                \
		NUM("tag", 0, 0, INT_MAX_), { 0 }                                                                                      \
	}
static const struct pnode conf4_all[] = CONF4(0, 0), conf4_default[] = CONF4(1, 0), conf4_lo[] = CONF4(1, 1);
static const struct pnode conf4_kids[] = {
	PN_DIR("all", 0555, conf4_all),
	PN_DIR("default", 0555, conf4_default),
	PN_DIR("lo", 0555, conf4_lo),
	{ 0 },
};
#define NEIGH_DEFAULT                                                                                                                  \
	{                                                                                                                              \
		NUM("base_reachable_time", 30, 0, INT_MAX_), NUM("base_reachable_time_ms", 30000, 0, INT_MAX_),                            \
		NUM("gc_interval", 30, 0, INT_MAX_), NUM("gc_stale_time", 60, 0, INT_MAX_), NUM("gc_thresh1", 128, 0, INT_MAX_),            \
		NUM("gc_thresh2", 512, 0, INT_MAX_), NUM("gc_thresh3", 1024, 0, INT_MAX_), NUM("mcast_solicit", 3, 0, INT_MAX_),            \
		NUM("retrans_time_ms", 1000, 0, INT_MAX_), NUM("ucast_solicit", 3, 0, INT_MAX_), NUM("unres_qlen", 101, 0, INT_MAX_),       \
		NUM("unres_qlen_bytes", 212992, 0, INT_MAX_), { 0 }                                                                    \
	}
static const struct pnode neigh4_default[] = NEIGH_DEFAULT, neigh6_default[] = NEIGH_DEFAULT;
static const struct pnode neigh4_kids[] = { PN_DIR("default", 0555, neigh4_default), { 0 } };
static const struct pnode neigh6_kids[] = { PN_DIR("default", 0555, neigh6_default), { 0 } };

static const struct pnode ipv4_kids[] = {
	PN_DIR("conf", 0555, conf4_kids),
	BOOL("fwmark_reflect", 0),
	BOOL("icmp_echo_ignore_broadcasts", 1),
	BOOL("icmp_ignore_bogus_error_responses", 1),
	NUM("icmp_ratelimit", 1000, 0, INT_MAX_),
	NUM("icmp_ratemask", 6168, 0, INT_MAX_),
	NUM("ip_dynaddr", 0, 0, 7),
	BOOL("ip_early_demux", 1),
	NUM("ip_no_pmtu_disc", 0, 0, 3),
	BOOL("ip_forward_use_pmtu", 0),
	PN_DIR("neigh", 0555, neigh4_kids),
	NUM("tcp_adv_win_scale", 1, -31, 31),
	NUM("tcp_app_win", 31, 0, INT_MAX_),
	BOOL("tcp_autocorking", 1),
	NUM("tcp_base_mss", 1024, 0, INT_MAX_),
	NUM("tcp_challenge_ack_limit", INT_MAX_, 0, INT_MAX_),
	BOOL("tcp_dsack", 1),
	NUM("tcp_early_retrans", 3, 0, 4),
	NUM("tcp_ecn", 2, 0, 2),
	BOOL("tcp_ecn_fallback", 1),
	NUM("tcp_frto", 2, 0, 2),
	NUM("tcp_limit_output_bytes", 1048576, 0, INT_MAX_),
	NUM("tcp_max_orphans", 8192, 0, INT_MAX_),
	NUM("tcp_max_reordering", 300, 0, INT_MAX_),
	ROW("tcp_mem", 0644, store_num, 3, 0, INT_MAX_, 22632, 30176, 45264),
	NUM("tcp_min_tso_segs", 2, 1, 65535),
	NUM("tcp_mtu_probing", 0, 0, 2),
	BOOL("tcp_no_metrics_save", 0),
	NUM("tcp_notsent_lowat", 4294967295LL, 0, 4294967295LL),
	NUM("tcp_orphan_retries", 0, 0, 255),
	NUM("tcp_recovery", 1, 0, 255),
	NUM("tcp_reordering", 3, 1, INT_MAX_),
	BOOL("tcp_rfc1337", 0),
	BOOL("tcp_slow_start_after_idle", 1),
	BOOL("tcp_thin_linear_timeouts", 0),
	BOOL("tcp_workaround_signed_windows", 0),
	ROW("udp_mem", 0644, store_num, 3, 0, INT_MAX_, 45264, 60352, 90528),
	NUM("udp_rmem_min", 4096, 1, INT_MAX_),
	NUM("udp_wmem_min", 4096, 1, INT_MAX_),
	BOOL("icmp_echo_ignore_all", 0),
	NUM("ip_default_ttl", 64, 1, 255),
	BOOL("ip_forward", 0),
	ROW("ip_local_port_range", 0644, store_num, 2, 1, 65535, 32768, 60999),
	BOOL("ip_nonlocal_bind", 0),
	NUM("ip_unprivileged_port_start", 1024, 0, 65535),
	ROW("ping_group_range", 0644, store_num, 2, 0, 4294967294LL, 1, 0),
	NUM("tcp_abort_on_overflow", 0, 0, 1),
	PN_FILE("tcp_allowed_congestion_control", 0444, show_text, .data = "reno"),
	PN_FILE("tcp_available_congestion_control", 0444, show_text, .data = "reno"),
	PN_FILE("tcp_congestion_control", 0444, show_text, .data = "reno"),
	NUM("tcp_fastopen", 1, 0, INT_MAX_),
	NUM("tcp_fin_timeout", 60, 0, INT_MAX_),
	NUM("tcp_keepalive_intvl", 75, 1, 32767),
	NUM("tcp_keepalive_probes", 9, 1, 127),
	NUM("tcp_keepalive_time", 7200, 1, 32767),
	NUM("tcp_max_syn_backlog", 512, 1, INT_MAX_),
	NUM("tcp_max_tw_buckets", 16384, 0, INT_MAX_),
	BOOL("tcp_moderate_rcvbuf", 1),
	NUM("tcp_retries1", 3, 0, 255),
	NUM("tcp_retries2", 15, 0, INT_MAX_),
	ROW("tcp_rmem", 0644, store_num, 3, 1, INT_MAX_, 4096, 131072, 6291456),
	BOOL("tcp_sack", 1),
	NUM("tcp_syn_retries", 6, 1, 127),
	NUM("tcp_synack_retries", 5, 0, 255),
	NUM("tcp_syncookies", 1, 0, 2),
	BOOL("tcp_timestamps", 1),
	NUM("tcp_tw_reuse", 2, 0, 2),
	BOOL("tcp_window_scaling", 1),
	ROW("tcp_wmem", 0644, store_num, 3, 1, INT_MAX_, 4096, 16384, 4194304),
	{ 0 },
};
#define CONF6(dad, temp)                                                                                                               \
	{                                                                                                                              \
		NUM("accept_dad", dad, -1, 2), NUM("accept_ra", 1, 0, 2), BOOL("accept_ra_defrtr", 1), BOOL("accept_ra_pinfo", 1),          \
		BOOL("accept_redirects", 1), NUM("accept_source_route", 0, -1, INT_MAX_), NUM("addr_gen_mode", 0, 0, 3),                    \
		BOOL("autoconf", 1), NUM("dad_transmits", 1, 0, INT_MAX_), BOOL("disable_ipv6", 0), BOOL("disable_policy", 0),             \
		BOOL("forwarding", 0), NUM("hop_limit", 64, 1, 255), NUM("keep_addr_on_down", 0, -1, 1),                                   \
		NUM("max_addresses", 16, 0, INT_MAX_), NUM("mtu", LO_MTU6, 1280, LO_MTU6), BOOL("optimistic_dad", 0), BOOL("proxy_ndp", 0),  \
		NUM("router_solicitations", -1, -1, INT_MAX_), NUM("temp_prefered_lft", 86400, 0, INT_MAX_),                               \
		NUM("temp_valid_lft", 604800, 0, INT_MAX_), NUM("use_tempaddr", temp, -1, 2), { 0 }                                    \
	}
#define LO_MTU6 65536
static const struct pnode conf6_all_kids[] = CONF6(0, 0), conf6_default_kids[] = CONF6(1, 0), conf6_lo_kids[] = CONF6(-1, -1);
static const struct pnode conf6_kids[] = {
	PN_DIR("all", 0555, conf6_all_kids),
	PN_DIR("default", 0555, conf6_default_kids),
	PN_DIR("lo", 0555, conf6_lo_kids),
	{ 0 },
};
static const struct pnode ipv6_kids[] = {
	NUM("auto_flowlabels", 1, 0, 3),
	BOOL("bindv6only", 0),
	PN_DIR("conf", 0555, conf6_kids),
	BOOL("fwmark_reflect", 0),
	BOOL("ip_nonlocal_bind", 0),
	PN_DIR("neigh", 0555, neigh6_kids),
	{ 0 },
};
static const struct pnode unix_kids[] = { NUM("max_dgram_qlen", 512, 0, INT_MAX_), { 0 } };
static const struct pnode net_kids[] = {
	PN_DIR("core", 0555, core_kids),
	PN_DIR("ipv4", 0555, ipv4_kids),
	PN_DIR("ipv6", 0555, ipv6_kids),
	PN_DIR("unix", 0555, unix_kids),
	{ 0 },
};
static const struct pnode user_kids[] = {
	CONST("max_cgroup_namespaces", 0),
	NUM("max_inotify_instances", 128, 0, INT_MAX_),
	NUM("max_inotify_watches", 65536, 0, INT_MAX_),
	CONST("max_user_namespaces", 0),
	{ 0 },
};
static const struct pnode none[] = { { 0 } };

const struct pnode proc_sys_children[] = {
	PN_DIR("abi", 0555, none),
	PN_DIR("debug", 0555, none),
	PN_DIR("dev", 0555, none),
	PN_DIR("fs", 0555, fs_kids),
	PN_DIR("kernel", 0555, kernel_kids),
	PN_DIR("net", 0555, net_kids),
	PN_DIR("user", 0555, user_kids),
	PN_DIR("vm", 0555, vm_kids),
	{ 0 },
};

/* --- from inside --- */

static const struct pnode *find(const char *path)
{
	const struct pnode *at = proc_sys_children, *hit = NULL;

	while (*path) {
		size_t len = strcspn(path, "/");

		hit = NULL;
		for (; at && at->name && !hit; at++)
			if (strlen(at->name) == len && !memcmp(at->name, path, len))
				hit = at;
		if (!hit)
			return NULL;
		at = hit->children;
		path += len;
		path += *path == '/';
	}
	return hit && hit->show ? hit : NULL;
}

int proc_sysctl_set(struct container *c, const char *key, const char *value)
{
	_cleanup_free_ char *path = strdup(key), *text = strdup(value);
	const struct pnode *n;
	struct pctx pc;
	int64_t r;

	if (!path || !text)
		return -ENOMEM;
	if (!strchr(path, '/')) /* "a.b/c" means a dot in a name, as sysctl(8) has it */
		for (char *p = path; *p; p++)
			if (*p == '.')
				*p = '/';
	n = find(path);
	if (!n)
		return -ENOENT;
	if (n->store == store_uts)
		return c && c->ns && c->ns->uts ? uts_set(c->ns->uts, n->data != NULL, text) : -ENOENT;
	if (n->store == store_ipc)
		return ipc_ns_sysctl_set && c && c->ns && c->ns->ipc ? store_ipc_row(n->data, c->ns->ipc, n->name, text) : -EACCES;
	if (!n->store)
		return -EACCES;
	pc = (struct pctx){ .node = n };
	r = n->store(&pc, text, strlen(text));
	return r < 0 ? (int)r : 0;
}

static uint64_t nth(const struct pnode *n, int i, uint64_t dflt)
{
	int64_t v[MAX_VALS];

	if (!n || n->show != show_num || i >= MAX_VALS)
		return dflt;
	values(n->data, v);
	return (uint64_t)v[i];
}

uint64_t proc_sysctl_get_nth(const char *path, int i, uint64_t dflt)
{
	return nth(find(path), i, dflt);
}

uint64_t proc_sysctl_cached(_Atomic(const void *) *slot, const char *path, int i, uint64_t dflt)
{
	const struct pnode *n = atomic_load_explicit(slot, memory_order_relaxed);

	if (!n) {
		n = find(path);
		atomic_store_explicit(slot, n, memory_order_relaxed);
	}
	return nth(n, i, dflt);
}

uint64_t proc_sysctl_get(const char *path, uint64_t dflt)
{
	return proc_sysctl_get_nth(path, 0, dflt);
}

/* --- state --- */

static void each_changed(const struct pnode *at, char *path, size_t len, void (*fn)(void *arg, const char *path, const char *text), void *arg)
{
	for (; at && at->name; at++) {
		int n = snprintf(path + len, 256 - len, "%s%s", len ? "/" : "", at->name);
		const struct sysctl *s = at->data;

		if (n < 0 || len + (size_t)n >= 256)
			continue;
		if (at->children) {
			each_changed(at->children, path, len + (size_t)n, fn, arg);
		} else if (at->store == store_core_pattern && strcmp(core_pattern, "core")) {
			fn(arg, path, core_pattern);
		} else if ((at->show == show_num || at->show == show_actions) && s->changed) {
			char text[128];
			int at_text = 0;

			for (int i = 0; i < s->n; i++)
				at_text += snprintf(text + at_text, sizeof(text) - (size_t)at_text, "%s%ld", i ? " " : "", (long)s->val[i]);
			fn(arg, path, text);
		}
	}
}

void proc_sysctl_each_changed(void (*fn)(void *arg, const char *path, const char *text), void *arg)
{
	char path[256] = "";

	each_changed(proc_sys_children, path, 0, fn, arg);
}
