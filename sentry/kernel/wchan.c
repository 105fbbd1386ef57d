/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sleeping task waits for, by the name of the function in which Linux would sleep: /proc/pid/wchan, ps, `runsc debug`. Programs compare these
 * names (test suites wait for "pipe_read"), so they are Linux 6.1's. The call a task is in says enough: one sleeps in one place per call.
 *
 * The Sentry's own stack of a sleeping thread is found by looking for return addresses above the frame that sleeps, which does not move while it does.
 */
#include "sentry/kernel/wchan.h"

#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

static const struct {
	const char *call, *where;
} by_call[] = {
	{ "poll", "do_sys_poll" }, { "ppoll", "do_sys_poll" }, { "select", "do_select" }, { "pselect6", "do_select" }, { "epoll_wait", "ep_poll" },
	{ "epoll_pwait", "ep_poll" }, { "epoll_pwait2", "ep_poll" }, { "wait4", "do_wait" }, { "waitid", "do_wait" }, { "pause", "__x64_sys_pause" },
	{ "nanosleep", "hrtimer_nanosleep" }, { "clock_nanosleep", "hrtimer_nanosleep" }, { "rt_sigsuspend", "sigsuspend" },
	{ "rt_sigtimedwait", "do_sigtimedwait" }, { "futex", "futex_wait_queue" }, { "futex_waitv", "futex_wait_multiple" },
	{ "accept", "inet_csk_accept" }, { "accept4", "inet_csk_accept" }, { "connect", "inet_stream_connect" }, { "msgsnd", "do_msgsnd" },
	{ "msgrcv", "do_msgrcv" }, { "semop", "do_semtimedop" }, { "semtimedop", "do_semtimedop" }, { "mq_timedreceive", "wq_sleep" },
	{ "mq_timedsend", "wq_sleep" }, { "flock", "locks_lock_inode_wait" }, { "fcntl", "do_lock_file_wait" }, { "open", "wait_for_partner" },
	{ "openat", "wait_for_partner" }, { "vfork", "kernel_clone" }, { "clone", "kernel_clone" }, { "clone3", "kernel_clone" },
	{ "recvmsg", "__skb_wait_for_more_packets" }, { "recvfrom", "__skb_wait_for_more_packets" }, { "sendmsg", "sock_alloc_send_pskb" },
	{ "sendto", "sock_alloc_send_pskb" }, { "io_uring_enter", "io_cqring_wait" },
};

/* Reads and writes: by the kind of file. */
static const char *by_file(const struct task *t, bool write)
{
	struct fd_table *ft = task_files_get((struct task *)(uintptr_t)t);
	struct file *f = ft ? fd_table_lookup(ft, (int)t->sysctx.args[0]) : NULL;
	const char *kind = f ? f->ops->name : "", *r = NULL;

	if (!strncmp(kind, "pipe", 4) || !strcmp(kind, "fifo"))
		r = write ? "pipe_write" : "pipe_read";
	else if (!strncmp(kind, "tty", 3) || !strcmp(kind, "host"))
		r = write ? "n_tty_write" : "wait_woken";
	else if (!strcmp(kind, "eventfd"))
		r = write ? "eventfd_write" : "eventfd_read";
	else if (!strcmp(kind, "signalfd"))
		r = "signalfd_dequeue";
	else if (!strcmp(kind, "timerfd"))
		r = "timerfd_read";
	else if (!strcmp(kind, "inotify"))
		r = "inotify_read";
	else if (!strncmp(kind, "sock", 4) || !strncmp(kind, "unix", 4) || !strncmp(kind, "inet", 4))
		r = write ? "sock_alloc_send_pskb" : "unix_stream_read_generic";
	file_put(f);
	if (ft)
		fd_table_put(ft, NULL);
	return r;
}

const char *task_wchan(const struct task *t)
{
	const char *name = syscall_name(t->sysctx.nr), *r;
	char st = atomic_load(&t->run_state);

	if (st == 'T')
		return "do_signal_stop";
	if (st == 't')
		return "ptrace_stop";
	if (st != 'S')
		return NULL;
	if (strstr(name, "read") || strstr(name, "write")) {
		r = by_file(t, strstr(name, "write") != NULL);
		if (r)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(by_call); i++)
		if (!strcmp(by_call[i].call, name))
			return by_call[i].where;
	return "schedule_timeout";
}

extern const char __executable_start, etext;

#define STACK_WORDS 2048

size_t task_sentry_stack(const struct task *t, uint64_t *ret, size_t max)
{
	const uint64_t *sp = atomic_load(&t->block_frame);
	uint64_t base = (uint64_t)(uintptr_t)&__executable_start, end = (uint64_t)(uintptr_t)&etext;
	size_t n = 0;

	if (!sp || t->is_zombie)
		return 0;
	/* The loop of the thread is at the top of its stack; its frame ends the scan, so nothing beyond the stack is read. */
	for (size_t i = 0; i < STACK_WORDS && n < max && sp + i < atomic_load(&t->stack_top); i++) {
		uint64_t w = __atomic_load_n(sp + i, __ATOMIC_RELAXED);

		if (w >= base && w < end)
			ret[n++] = w - base;
	}
	return n;
}
