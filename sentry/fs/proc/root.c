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

static void show_options(struct pseudo_sb *ps, struct strbuf *b)
{
	if (ps->hidepid)
		strbuf_addf(b, ",hidepid=%u", ps->hidepid);
	if (ps->gid)
		strbuf_addf(b, ",gid=%u", ps->gid);
}

static const struct pseudo_fs proc_fs = { .name = "proc", .magic = LINUX_PROC_SUPER_MAGIC, .root = &root, .show_options = show_options };
PSEUDO_FS_REGISTER(proc_fs)

static int parse_hidepid(const char *v, uint32_t *ret)
{
	static const char *const names[] = { "off", "noaccess", "invisible", NULL, "ptraceable" };

	for (uint32_t n = 0; n < ARRAY_SIZE(names); n++)
		if (names[n] && (!strcmp(v, names[n]) || (v[0] == (char)('0' + n) && !v[1]))) {
			*ret = n;
			return 0;
		}
	return -EINVAL;
}

static int parse_options(struct pseudo_sb *ps, const char *options)
{
	_cleanup_free_ char *copy = strdup(options);
	char *p = copy, *key, *val;
	uint64_t v;

	if (!copy)
		return -ENOMEM;
	while (mount_option_next(&p, &key, &val)) {
		if (!strcmp(key, "hidepid")) {
			if (parse_hidepid(val, &ps->hidepid) < 0)
				return -EINVAL;
		} else if (!strcmp(key, "gid")) {
			if (pseudo_parse_u64(val, &v) < 0 || v > UINT32_MAX)
				return -EINVAL;
			ps->gid = (uint32_t)v;
		} else if (strcmp(key, "subset")) {
			return -EINVAL;
		}
	}
	return 0;
}

static int proc_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct pid_ns *ns = rq->t && rq->t->ns ? rq->t->ns->pid_for_children : NULL;
	struct super_block *sb = NULL;
	int err = pseudo_mount(ft, &proc_fs, ns, &sb);

	if (!err)
		err = parse_options(pseudo_of(sb), rq->options);
	if (err && sb) {
		sb_activate(sb);
		sb_deactivate(sb);
		sb_put(sb);
	}
	if (!err)
		*ret = sb;
	return err;
}

static int proc_check(const char *option)
{
	struct pseudo_sb ps = { 0 };
	int err = mount_option_known("hidepid,gid,subset", option);

	return err ? err : parse_options(&ps, option);
}

static const struct fs_type proc_type = { .name = "proc", .mount = proc_mount, .check = proc_check, .nodev = true };
FS_TYPE_REGISTER(proc_type)
