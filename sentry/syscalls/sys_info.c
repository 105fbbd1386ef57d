/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the caller, and what the system says about itself: uname, sysinfo, random numbers, names of the host, kcmp, reboot. */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

int64_t sys_getpid(struct task *t, const struct sys_args *a)
{
	return pid_nr(t->tg->pid, t);
}

int64_t sys_gettid(struct task *t, const struct sys_args *a)
{
	return pid_nr(t->pid, t);
}

int64_t sys_getppid(struct task *t, const struct sys_args *a)
{
	int64_t r;

	mutex_lock(&t->k->tasks_mu);
	r = t->tg->parent ? pid_nr(t->tg->parent->pid, t) : 0;
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

int64_t sys_set_tid_address(struct task *t, const struct sys_args *a)
{
	t->clear_child_tid = a->a[0];
	return pid_nr(t->pid, t);
}

/* --- names --- */

struct linux_utsname {
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN], version[UTS_LEN], machine[UTS_LEN], domainname[UTS_LEN];
};

int64_t sys_uname(struct task *t, const struct sys_args *a)
{
	struct uts_ns *u = t->ns->uts;
	struct linux_utsname n = { .sysname = "Linux", .release = "6.1.0", .version = "#1 SMP", .machine = "x86_64" };

	mutex_lock(&u->mu);
	memcpy(n.nodename, u->nodename, UTS_LEN);
	memcpy(n.domainname, u->domainname, UTS_LEN);
	mutex_unlock(&u->mu);
	if ((t->personality & 0xff) == 8) /* PER_LINUX32 */
		(void)snprintf(n.machine, sizeof(n.machine), "i686");
	return copy_out(t, ARG_ADDR(a, 0), &n, sizeof(n));
}

static int64_t set_uts(struct task *t, const struct sys_args *a, char *field)
{
	char buf[UTS_LEN] = "";
	int len = ARG_INT(a, 1);

	if (!task_ns_capable(t, t->ns->uts->user_ns, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len >= UTS_LEN)
		return -EINVAL;
	if (copy_in(t, buf, ARG_ADDR(a, 0), (size_t)len) < 0)
		return -EFAULT;
	mutex_lock(&t->ns->uts->mu);
	memcpy(field, buf, UTS_LEN);
	mutex_unlock(&t->ns->uts->mu);
	return 0;
}

int64_t sys_sethostname(struct task *t, const struct sys_args *a)
{
	return set_uts(t, a, t->ns->uts->nodename);
}

int64_t sys_setdomainname(struct task *t, const struct sys_args *a)
{
	return set_uts(t, a, t->ns->uts->domainname);
}

/* --- sysinfo --- */

struct linux_sysinfo {
	int64_t uptime;
	uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
	char f[4];
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "sysinfo layout");

int64_t sys_sysinfo(struct task *t, const struct sys_args *a)
{
	struct kernel *k = t->k;
	struct linux_sysinfo i = { .mem_unit = 1 };
	uint64_t used = memfile_committed(kernel_memfile(k)) + memfile_absent(kernel_memfile(k)); /* as in meminfo */

	i.totalram = k->cfg.total_memory;
	i.sharedram = memfile_shared(kernel_memfile(k)); /* limits of the control group are no business of this call */
	i.freeram = i.totalram > used ? i.totalram - used : 0;
	i.uptime = (ktime_mono() + task_clock_offset(t, 7 /* CLOCK_BOOTTIME */) - k->boot_mono + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
	mutex_lock(&k->tasks_mu);
	i.procs = (uint16_t)MIN(k->nr_tasks, 0xffffu);
	mutex_unlock(&k->tasks_mu);
	return copy_out(t, ARG_ADDR(a, 0), &i, sizeof(i));
}

/* --- random --- */

#define GRND_L_NONBLOCK 1u
#define GRND_L_RANDOM	2u
#define GRND_L_INSECURE 4u

int64_t sys_getrandom(struct task *t, const struct sys_args *a)
{
	uint64_t len = MIN(a->a[1], (uint64_t)MAX_RW_COUNT), done = 0;
	uint32_t flags = ARG_U32(a, 2);
	uint8_t buf[1024];

	if (flags & ~(GRND_L_NONBLOCK | GRND_L_RANDOM | GRND_L_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_L_RANDOM | GRND_L_INSECURE)) == (GRND_L_RANDOM | GRND_L_INSECURE))
		return -EINVAL;
	while (done < len) {
		size_t n = MIN(len - done, (uint64_t)sizeof(buf));

		kernel_random(buf, n);
		if (copy_out(t, gaddr_add(ARG_ADDR(a, 0), done), buf, n) < 0)
			return done ? (int64_t)done : -EFAULT;
		done += n;
		if (done < len && signal_pending(t))
			break;
	}
	return (int64_t)done;
}

/* --- the rest --- */

#define REBOOT_MAGIC1 0xfee1deadu

/* Inside a pid namespace rebooting means killing its init: by SIGHUP to restart, by SIGINT to halt (Linux reboot_pid_ns). */
int64_t sys_reboot(struct task *t, const struct sys_args *a)
{
	uint32_t m2 = ARG_U32(a, 1), cmd = ARG_U32(a, 2);
	struct pid_ns *ns = task_pid_ns(t);
	int sig;

	if (!task_ns_capable(t, ns->user_ns, LINUX_CAP_SYS_BOOT))
		return -EPERM;
	if (ARG_U32(a, 0) != REBOOT_MAGIC1 || (m2 != 672274793 && m2 != 85072278 && m2 != 369367448 && m2 != 537993216))
		return -EINVAL;
	switch (cmd) {
	case 0x01234567: /* RESTART */
	case 0xa1b2c3d4: /* RESTART2 */
		sig = SIGHUP;
		break;
	case 0xcdef0123: /* HALT */
	case 0x4321fedc: /* POWER_OFF */
		sig = SIGINT;
		break;
	default:
		return -EINVAL;
	}
	mutex_lock(&t->k->tasks_mu);
	if (ns->init)
		signal_kill_group(ns->init, sig);
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

enum { KCMP_L_FILE, KCMP_L_VM, KCMP_L_FILES, KCMP_L_FS, KCMP_L_SIGHAND, KCMP_L_IO, KCMP_L_SYSVSEM };

static const void *kcmp_ptr(struct task *o, int type, int fd, int64_t *err)
{
	struct fd_table *ft;
	struct file *f;

	switch (type) {
	case KCMP_L_VM:
		return o->mm;
	case KCMP_L_FILES:
		return o->files;
	case KCMP_L_FS:
		return o->fs;
	case KCMP_L_SIGHAND:
		return o->sighand;
	case KCMP_L_IO:
		return NULL; /* nobody shares an I/O context: none exist */
	case KCMP_L_SYSVSEM:
		return sysv_sem_has_undo(o) ? o->tg : NULL; /* processes without a list are alike */
	case KCMP_L_FILE:
		ft = task_files_get(o);
		f = ft ? fd_table_lookup(ft, fd) : NULL;
		if (ft)
			fd_table_put(ft, NULL);
		if (!f)
			*err = -EBADF;
		file_put(f); /* compared only */
		return f;
	default:
		*err = -EINVAL;
		return NULL;
	}
}

int64_t sys_kcmp(struct task *t, const struct sys_args *a)
{
	struct task *x = task_find(t->k, task_pid_ns(t), ARG_INT(a, 0)), *y = task_find(t->k, task_pid_ns(t), ARG_INT(a, 1));
	uint64_t px, py;
	int64_t r = 0;

	if (!x || !y)
		r = -ESRCH;
	else if (task_ptrace_may_access(t, x, false) < 0 || task_ptrace_may_access(t, y, false) < 0)
		r = -EPERM;
	if (r == 0) {
		/* An order that says nothing about addresses. */
		px = hash_u64((uint64_t)(uintptr_t)kcmp_ptr(x, ARG_INT(a, 2), ARG_INT(a, 3), &r));
		py = hash_u64((uint64_t)(uintptr_t)kcmp_ptr(y, ARG_INT(a, 2), ARG_INT(a, 4), &r));
		if (r == 0)
			r = px == py ? 0 : px < py ? 1 : 2;
	}
	task_put(x);
	task_put(y);
	return r;
}
