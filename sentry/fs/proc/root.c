/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc: the file system type, its root, and the entries about processes themselves (self, thread-self). What is about the machine
 * is in machine.c, /proc/sys in sysctl.c. Linux: fs/proc/root.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/keys.h"

/* --- links to oneself --- */

int proc_self_link(struct pctx *c, char **ret)
{
	int32_t nr = c->t ? proc_nr(c, c->t->tg->pid) : 0;

	if (!nr)
		return -ENOENT;
	return asprintf(ret, "%d", nr) < 0 ? -ENOMEM : 0;
}

static int thread_self_link(struct pctx *c, char **ret)
{
	int32_t nr = c->t ? proc_nr(c, c->t->tg->pid) : 0, tid = c->t ? proc_nr(c, c->t->pid) : 0;

	if (!nr || !tid)
		return -ENOENT;
	return asprintf(ret, "%d/task/%d", nr, tid) < 0 ? -ENOMEM : 0;
}

static int to_self(struct pctx *c, char **ret)
{
	return asprintf(ret, "self/%s", (const char *)c->node->data) < 0 ? -ENOMEM : 0;
}

static int show_tty_ldiscs(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "n_tty       0\n");
	return 0;
}

static int show_tty_drivers(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
		       "/dev/ptmx            /dev/ptmx       5       2 system\n"
		       "pty_slave            /dev/pts      136 0-1048575 pty:slave\n");
	return 0;
}

/* --- the root --- */

static int show_keys(struct pctx *c, struct strbuf *b)
{
	if (c->t)
		keys_show(c->t, b);
	return 0;
}

static int show_key_users(struct pctx *c, struct strbuf *b)
{
	if (c->t)
		keys_show_users(c->t, b);
	return 0;
}

static const struct pnode empty[] = { { 0 } };
static const struct pnode sysvipc[] = {
	PN_FILE("shm", 0444, proc_show_sysvipc_shm),
	PN_FILE("sem", 0444, proc_show_sysvipc_sem),
	PN_FILE("msg", 0444, proc_show_sysvipc_msg),
	{ 0 },
};
static const struct pnode tty_dir[] = {
	PN_FILE("drivers", 0444, show_tty_drivers),
	PN_FILE("ldiscs", 0444, show_tty_ldiscs),
	{ 0 },
};
static const struct pnode pressure[] = {
	PN_FILE("cpu", 0666, proc_show_pressure),
	PN_FILE("io", 0666, proc_show_pressure),
	PN_FILE("memory", 0666, proc_show_pressure),
	{ 0 },
};
static const struct pnode children[] = {
	PN_LINK("self", proc_self_link),
	PN_LINK("thread-self", thread_self_link),
	PN_LINK("mounts", to_self, .data = "mounts"),
	PN_LINK("net", to_self, .data = "net"),
	PN_DIR("sys", 0555, proc_sys_children),
	PN_DIR("sysvipc", 0555, sysvipc),
	PN_DIR("fs", 0555, empty),
	PN_DIR("driver", 0555, empty),
	PN_DIR("bus", 0555, empty),
	PN_DIR("irq", 0555, empty),
	PN_DIR("tty", 0555, tty_dir),
	PN_DIR("pressure", 0555, pressure),
	PN_FILE("buddyinfo", 0444, proc_show_buddyinfo),
	PN_FILE("cgroups", 0444, proc_show_cgroups),
	PN_FILE("cmdline", 0444, proc_show_boot_cmdline),
	PN_FILE("consoles", 0444, proc_show_nothing),
	PN_FILE("cpuinfo", 0444, proc_show_cpuinfo),
	PN_FILE("crypto", 0444, proc_show_nothing),
	PN_FILE("devices", 0444, proc_show_devices),
	PN_FILE("diskstats", 0444, proc_show_nothing),
	PN_FILE("dma", 0444, proc_show_dma),
	PN_FILE("execdomains", 0444, proc_show_execdomains),
	PN_FILE("fb", 0444, proc_show_nothing),
	PN_FILE("filesystems", 0444, proc_show_filesystems),
	PN_FILE("interrupts", 0444, proc_show_interrupts),
	PN_FILE("iomem", 0444, proc_show_iomem),
	PN_FILE("ioports", 0444, proc_show_nothing),
	PN_FILE("kallsyms", 0444, proc_show_nothing),
	PN_FILE("key-users", 0444, show_key_users),
	PN_FILE("keys", 0444, show_keys),
	PN_FILE("loadavg", 0444, proc_show_loadavg),
	PN_FILE("locks", 0444, proc_show_locks),
	PN_FILE("meminfo", 0444, proc_show_meminfo),
	PN_FILE("misc", 0444, proc_show_nothing),
	PN_FILE("modules", 0444, proc_show_nothing),
	PN_FILE("partitions", 0444, proc_show_partitions),
	PN_FILE("slabinfo", 0400, proc_show_slabinfo),
	PN_FILE("softirqs", 0444, proc_show_softirqs),
	PN_FILE("stat", 0444, proc_show_machine_stat),
	PN_FILE("swaps", 0444, proc_show_swaps),
	PN_FILE("uptime", 0444, proc_show_uptime),
	PN_FILE("version", 0444, proc_show_version),
	PN_FILE("vmstat", 0444, proc_show_vmstat),
	PN_FILE("zoneinfo", 0444, proc_show_zoneinfo),
	{ 0 },
};
static const struct pnode root = PN_DIR("/", 0555, children, .dyn = &proc_pid_dyn);

/* subset=pid: nothing about the machine. */
static const struct pnode pid_only_children[] = { PN_LINK("self", proc_self_link), PN_LINK("thread-self", thread_self_link), { 0 } };
static const struct pnode pid_only_root = PN_DIR("/", 0555, pid_only_children, .dyn = &proc_pid_dyn);

static const char *const hidepid_names[] = { "off", "noaccess", "invisible", NULL, "ptraceable" };

static void show_options(struct pseudo_sb *ps, struct strbuf *b)
{
	if (ps->gid)
		strbuf_addf(b, ",gid=%u", ps->gid);
	if (ps->hidepid < ARRAY_SIZE(hidepid_names) && ps->hidepid && hidepid_names[ps->hidepid])
		strbuf_addf(b, ",hidepid=%s", hidepid_names[ps->hidepid]);
}

static void show_pid_only_options(struct pseudo_sb *ps, struct strbuf *b)
{
	show_options(ps, b);
	strbuf_adds(b, ",subset=pid");
}

static const struct pseudo_fs proc_pid_fs = { .name = "proc subset=pid", .magic = LINUX_PROC_SUPER_MAGIC, .root = &pid_only_root,
					      .show_options = show_pid_only_options };
PSEUDO_FS_REGISTER(proc_pid_fs)
static const struct pseudo_fs proc_fs = { .name = "proc", .magic = LINUX_PROC_SUPER_MAGIC, .root = &root, .show_options = show_options };
PSEUDO_FS_REGISTER(proc_fs)

static int parse_hidepid(const char *v, uint32_t *ret)
{
	for (uint32_t n = 0; n < ARRAY_SIZE(hidepid_names); n++)
		if (hidepid_names[n] && (!strcmp(v, hidepid_names[n]) || (v[0] == (char)('0' + n) && !v[1]))) {
			*ret = n;
			return 0;
		}
	return -EINVAL;
}

struct proc_options {
	uint32_t hidepid, gid;
	bool pid_only;
};

/* subset=: nothing, or "pid", however often. */
static int parse_subset(char *v, bool *pid_only)
{
	char *save = NULL;

	for (char *s = strtok_r(v, "+", &save); s; s = strtok_r(NULL, "+", &save)) {
		if (strcmp(s, "pid"))
			return -EINVAL;
		*pid_only = true;
	}
	return 0;
}

static int parse_options(struct proc_options *o, const char *options)
{
	_cleanup_free_ char *copy = strdup(options);
	char *p = copy, *key, *val;
	uint64_t v;

	if (!copy)
		return -ENOMEM;
	while (mount_option_next(&p, &key, &val)) {
		if (!strcmp(key, "hidepid")) {
			if (parse_hidepid(val, &o->hidepid) < 0)
				return -EINVAL;
		} else if (!strcmp(key, "gid")) {
			if (pseudo_parse_u64(val, &v) < 0 || v > UINT32_MAX)
				return -EINVAL;
			o->gid = (uint32_t)v;
		} else if (strcmp(key, "subset") || parse_subset(val, &o->pid_only) < 0) {
			return -EINVAL;
		}
	}
	return 0;
}

static int proc_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct pid_ns *ns = rq->t && rq->t->ns ? rq->t->ns->pid_for_children : NULL;
	struct super_block *sb = NULL;
	struct proc_options o = { 0 };
	int err = parse_options(&o, rq->options);

	if (!err)
		err = pseudo_mount(ft, o.pid_only ? &proc_pid_fs : &proc_fs, ns, &sb);
	if (err)
		return err;
	pseudo_of(sb)->hidepid = o.hidepid;
	pseudo_of(sb)->gid = o.gid;
	*ret = sb;
	return 0;
}

static int proc_check(const char *option)
{
	struct proc_options o = { 0 };
	int err = mount_option_known("hidepid,gid,subset", option);

	return err ? err : parse_options(&o, option);
}

static const struct fs_type proc_type = { .name = "proc", .mount = proc_mount, .check = proc_check, .nodev = true };
FS_TYPE_REGISTER(proc_type)
