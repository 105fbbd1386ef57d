// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of process, signal, time and memory calls in corner cases; the runner compares them with the host. */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <linux/futex.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

static void handler(int s)
{
}

static void signals(void)
{
	struct sigaction sa = {.sa_handler = handler}, old;
	sigset_t set, o;
	siginfo_t si = {.si_code = SI_QUEUE};
	struct timespec ts = {0, 1000000}, badts = {0, 1000000000}, neg = {-1, 0};
	stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
	pid_t p;

	E(sigaction(0, NULL, NULL));
	E(sigaction(65, NULL, NULL));
	E(sigaction(SIGKILL, &sa, NULL));
	E(sigaction(SIGKILL, NULL, &old));
	E(sigaction(SIGSTOP, &sa, NULL));
	E(sigaction(64, &sa, NULL));
	E(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
	E(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8));
	sigfillset(&set);
	E(sigprocmask(99, &set, NULL));
	E(sigprocmask(99, NULL, &o));
	E(sigprocmask(SIG_BLOCK, &set, NULL));
	E(sigprocmask(SIG_SETMASK, NULL, &o));
	V(sigismember(&o, SIGKILL));
	V(sigismember(&o, SIGSTOP));
	V(sigismember(&o, SIGCONT));
	E(raise(SIGUSR1));
	E(sigpending(&o));
	V(sigismember(&o, SIGUSR1));
	V(sigtimedwait(&set, &si, &ts));
	V(si.si_code);
	E(sigtimedwait(&set, NULL, &ts));
	E(sigtimedwait(&set, NULL, &badts));
	E(sigtimedwait(&set, NULL, &neg));
	si.si_code = SI_USER;
	E(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si));
	E(sigtimedwait(&set, NULL, &ts));
	si.si_code = SI_QUEUE;
	E(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &si));
	si.si_code = SI_USER;
	E(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &si));
	si.si_code = SI_TKILL;
	E(syscall(SYS_rt_tgsigqueueinfo, getppid(), getppid(), 0, &si));
	E(syscall(SYS_rt_sigqueueinfo, 999999, 0, &si));
	E(sigqueue(getpid(), 65, (union sigval){0}));
	E(sigqueue(getpid(), 0, (union sigval){0}));
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	E(sigaltstack(&ss, NULL));
	ss.ss_size = 100;
	E(sigaltstack(&ss, NULL));
	ss.ss_flags = 8;
	ss.ss_size = 65536;
	E(sigaltstack(&ss, NULL));
	ss.ss_flags = SS_DISABLE;
	ss.ss_size = 0;
	E(sigaltstack(&ss, NULL));
	E(sigaltstack(NULL, &ss));
	V(ss.ss_flags);
	E(kill(0, 0));
	E(kill(-1, 0));
	E(kill(-999999, 0));
	E(kill(999999, 0));
	E(kill(getpid(), 65));
	E(kill(getpid(), -1));
	E(signalfd(-1, &set, 0x100));
	E(signalfd(0, &set, 0));
	E(signalfd(999, &set, 0));
	E(syscall(SYS_signalfd4, -1, &set, 4, 0));
	E(alarm(0));
	E(setpgid(0, 0));
	E(setpgid(999999, 0));
	E(setpgid(0, -1));
	E(setpgid(0, 999999));
	E(setsid());
	E(getsid(999999));
	E(getpgid(999999));
	E(getpgid(-1));
	V(getsid(0) == getpid());
	CHILD (p) {
		V(setpgid(0, 0));
		V(getpgrp() == getpid());
		E(setsid());
		V(setpgid(0, getppid()));
		V(setsid() == getpid());
		_exit(3);
	}
	int st;
	CHECK(waitid(P_PID, p, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0); /* its lines come first */
	E(waitpid(p, &st, 0x100));
	E(waitpid(p, (void *)8, WNOHANG | __WALL | __WNOTHREAD) == -1 && errno != EFAULT ? -1 : 0);
	waitpid(p, &st, 0);
	E(waitpid(-1, &st, 0));
	E(waitpid(999999, &st, 0));
	E(waitpid(INT_MIN, &st, 0));
	E(waitid(P_PID, 0, &si, WEXITED));
	E(waitid(P_ALL, 0, &si, 0));
	E(waitid(P_ALL, 0, &si, WEXITED | 0x40));
	E(waitid(9, 0, &si, WEXITED));
	E(waitid(P_ALL, 0, NULL, WEXITED | WNOHANG));
	E(waitid(P_PIDFD, 999, NULL, WEXITED));
}

static void ids(void)
{
	struct __user_cap_header_struct h = {0x12345678, 0};
	struct __user_cap_data_struct d[2];
	gid_t g[4] = {4, 3, 2, 1};
	uid_t r, e, s;
	pid_t p;

	E(syscall(SYS_capget, &h, NULL));
	V(h.version == _LINUX_CAPABILITY_VERSION_3);
	E(syscall(SYS_capget, &h, d));
	h.pid = -1;
	E(syscall(SYS_capget, &h, d));
	h.pid = 999999;
	E(syscall(SYS_capget, &h, d));
	h.pid = 1;
	E(syscall(SYS_capset, &h, d));
	E(setgroups(4, g));
	V(getgroups(0, NULL));
	E(getgroups(2, g));
	E(getgroups(-1, g));
	V(getgroups(4, g));
	V(g[0]);
	E(setgroups(70000, g));
	E(setgroups(1, (void *)8));
	V(setfsuid(-1));
	V(setfsgid(-1));
	E(setreuid(-1, -1));
	E(setuid(-1));
	CHILD (p) {
		E(setresgid(100, 101, 102));
		E(setresuid(1000, 1001, 1002));
		V((getresuid(&r, &e, &s), r * 10000 + e - s));
		E(setuid(0));
		E(setuid(1002));
		V((getresuid(&r, &e, &s), e));
		E(seteuid(1000));
		E(setreuid(1002, -1));
		E(setreuid(-1, 1000));
		V((getresuid(&r, &e, &s), r * 10000 + e - s));
		E(setreuid(1000, 1000));
		V((getresuid(&r, &e, &s), s));
		E(setgroups(0, NULL));
		E(sethostname("x", 1));
		E(chroot("/"));
		E(nice(-5));
		E(setpriority(PRIO_PROCESS, 0, -5));
		E(setpriority(PRIO_PROCESS, 1, 5));
		E(kill(1, 0));
		E(kill(getppid(), SIGTERM));
		struct rlimit rl = {10, 10};
		E(setrlimit(RLIMIT_NOFILE, &rl));
		rl.rlim_max = 20;
		E(setrlimit(RLIMIT_NOFILE, &rl));
		E(mknod("cdev", S_IFCHR | 0600, 0x103));
		E(mount("x", "/tmp", "tmpfs", 0, NULL));
		E(umount("/proc"));
		E(unshare(CLONE_NEWNS));
		E(syscall(SYS_settimeofday, &(struct timeval){1}, NULL));
		E(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
		E(ptrace(0x4206, 1, 0, 0));
		E(open("/proc/1/mem", O_RDONLY));
		E(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
		E(prctl(PR_CAPBSET_DROP, 1));
		E(syscall(SYS_reboot, 0, 0, 0, 0));
		E(syscall(SYS_swapon, "x", 0));
		E(syscall(SYS_syslog, 5, NULL, 0));
		_exit(0);
	}
	guest_reap(p);
}

static void limits(void)
{
	struct rlimit rl = {5, 4};
	struct rusage ru;
	struct utsname un;
	struct sysinfo sif;
	cpu_set_t cs;
	struct sched_param sp = {0};
	struct timespec ts;
	unsigned cpu, node;

	E(setrlimit(RLIMIT_CORE, &rl));
	E(setrlimit(99, &rl));
	E(getrlimit(99, &rl));
	E(getrlimit(RLIMIT_CORE, (void *)8));
	E(syscall(SYS_prlimit64, 999999, RLIMIT_CORE, NULL, &rl));
	E(syscall(SYS_prlimit64, -1, RLIMIT_CORE, NULL, &rl));
	E(getrusage(5, &ru));
	E(getrusage(RUSAGE_THREAD, &ru));
	E(getpriority(PRIO_PROCESS, 999999));
	E(getpriority(9, 0));
	E(setpriority(PRIO_PROCESS, 0, 100));
	V(syscall(SYS_getpriority, PRIO_PROCESS, 0));
	E(setpriority(PRIO_PROCESS, 0, 0));
	E(uname(&un));
	E(uname((void *)8));
	E(sysinfo(&sif));
	V(sif.mem_unit);
	E(syscall(SYS_sched_getaffinity, 0, 1, &cs));
	E(syscall(SYS_sched_getaffinity, 0, 12, &cs));
	E(syscall(SYS_sched_getaffinity, 999999, 8, &cs));
	CPU_ZERO(&cs);
	E(sched_setaffinity(0, sizeof(cs), &cs));
	CPU_SET(1000, &cs);
	E(sched_setaffinity(0, sizeof(cs), &cs));
	E(sched_getscheduler(-1));
	E(sched_getscheduler(999999));
	V(sched_getscheduler(0));
	E(sched_setscheduler(0, 99, &sp));
	sp.sched_priority = 5;
	E(sched_setscheduler(0, SCHED_OTHER, &sp));
	E(sched_setparam(0, &sp));
	E(sched_getparam(0, NULL));
	V(sched_get_priority_max(SCHED_FIFO));
	V(sched_get_priority_min(SCHED_RR));
	V(sched_get_priority_max(SCHED_OTHER));
	E(sched_get_priority_max(77));
	E(sched_rr_get_interval(0, &ts));
	E(sched_rr_get_interval(-1, &ts));
	E(getcpu(&cpu, &node));
	V(personality(0xffffffff));
	E(prctl(9999, 0, 0, 0, 0));
	V(prctl(PR_GET_DUMPABLE));
	E(prctl(PR_SET_DUMPABLE, 5));
	E(prctl(PR_SET_NAME, 8));
	E(prctl(PR_SET_PDEATHSIG, 65));
	E(prctl(PR_SET_PDEATHSIG, 0));
	V(prctl(PR_GET_KEEPCAPS));
	E(prctl(PR_SET_KEEPCAPS, 2));
	E(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	V(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	E(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	V(prctl(PR_GET_SECCOMP));
	E(prctl(PR_CAPBSET_READ, 99));
	V(prctl(PR_CAPBSET_READ, 0));
	E(prctl(PR_GET_TIMERSLACK) > 0 ? 0 : -1);
	E(prctl(PR_SET_TIMERSLACK, 1));
	V(prctl(PR_GET_TIMERSLACK));
	V(prctl(PR_GET_CHILD_SUBREAPER, &cpu));
	E(prctl(PR_GET_TSC, &cpu));
	E(prctl(PR_GET_SECUREBITS));
	E(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	E(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	E(syscall(SYS_ioprio_get, 1, 0));
	E(syscall(SYS_ioprio_get, 9, 0));
	E(syscall(SYS_ioprio_set, 1, 0, 0x10000));
	E(syscall(SYS_membarrier, 0, 0, 0) > 0 ? 0 : -1);
	E(syscall(SYS_membarrier, 0, 5, 0));
	E(syscall(SYS_membarrier, 1 << 20, 0, 0));
	E(syscall(SYS_membarrier, 8, 0, 0));
	E(syscall(SYS_getrandom, &cs, 10, 0));
	E(syscall(SYS_getrandom, &cs, 10, 8));
	E(syscall(SYS_getrandom, &cs, 10, 6));
	E(syscall(SYS_getrandom, 8, 10, 0));
	E(gethostname((char *)&cs, 1));
	E(sethostname("x", 65));
	E(sethostname("x", -1));
	E(setdomainname("x", 65));
	E(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1));
	E(syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 1));
	E(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 999));
	E(syscall(SYS_pidfd_open, 999999, 0));
	E(syscall(SYS_pidfd_open, 0, 0));
	E(syscall(SYS_pidfd_open, getpid(), 1));
	E(close(syscall(SYS_pidfd_open, getpid(), O_NONBLOCK)));
	E(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0));
	E(syscall(SYS_pidfd_getfd, 0, 0, 0));
	E(syscall(SYS_set_tid_address, NULL) == gettid() ? 0 : -1);
	E(syscall(SYS_set_robust_list, NULL, 23));
	E(syscall(SYS_get_robust_list, 999999, &cs, &cs));
	E(syscall(SYS_arch_prctl, 0x1234, 0));
	E(syscall(SYS_arch_prctl, 0x1002, 1ULL << 63));
}

static void times_(void)
{
	struct timespec ts = {0, 0}, bad = {0, 1000000000}, neg = {-1, 0};
	struct itimerval it = {{0, 0}, {0, 1000000}};
	struct itimerspec its = {{0, 0}, {0, 1000000000}};
	struct sigevent sev = {.sigev_notify = 77};
	struct timeval tv;
	timer_t t;
	int tk, fd;

	E(clock_gettime(99, &ts));
	E(clock_gettime(-1, &ts));
	E(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts));
	E(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	E(clock_gettime(CLOCK_BOOTTIME, &ts));
	E(clock_gettime(CLOCK_TAI, &ts));
	E(clock_gettime(CLOCK_MONOTONIC_RAW, &ts));
	E(clock_gettime(CLOCK_REALTIME_COARSE, &ts));
	E(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
	E(clock_getres(CLOCK_MONOTONIC, &ts));
	V(ts.tv_nsec);
	E(clock_getres(CLOCK_MONOTONIC_COARSE, &ts));
	E(clock_getres(99, &ts));
	E(clock_getres(CLOCK_MONOTONIC, NULL));
	E(clock_settime(CLOCK_MONOTONIC, &ts));
	E(clock_settime(CLOCK_REALTIME, &bad));
	V(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL));
	V(clock_nanosleep(CLOCK_MONOTONIC, 0, &neg, NULL));
	V(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
	V(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &ts, NULL));
	V(clock_nanosleep(99, 0, &ts, NULL));
	V(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
	E(nanosleep(&bad, NULL));
	E(syscall(SYS_nanosleep, 8, NULL));
	E(getitimer(9, &it));
	E(setitimer(9, &it, NULL));
	it.it_value.tv_usec = 1000000;
	E(setitimer(ITIMER_REAL, &it, NULL));
	it.it_value.tv_usec = -1;
	E(setitimer(ITIMER_REAL, &it, NULL));
	E(timer_create(CLOCK_MONOTONIC, &sev, &t));
	E(timer_create(99, NULL, &t));
	sev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	E(timer_create(CLOCK_MONOTONIC, &sev, &t));
	sev = (struct sigevent){.sigev_notify = SIGEV_NONE};
	E(timer_create(CLOCK_MONOTONIC, &sev, &t));
	E(timer_settime(t, 0, &its, NULL));
	its.it_value.tv_nsec = 999999999;
	E(timer_settime(t, 4, &its, NULL));
	E(timer_settime(t, 0, NULL, NULL));
	E(timer_gettime(t, &its));
	V(timer_getoverrun(t));
	E(timer_delete(t));
	E(syscall(SYS_timer_delete, 12345));
	E(syscall(SYS_timer_gettime, 12345, &its));
	E(timerfd_create(99, 0));
	E(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
	E(timerfd_create(CLOCK_MONOTONIC, 5));
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	its = (struct itimerspec){{0, 0}, {0, 1000000000}};
	E(timerfd_settime(fd, 0, &its, NULL));
	E(timerfd_settime(fd, 8, &its, NULL));
	E(timerfd_settime(0, 0, &its, NULL));
	E(timerfd_gettime(0, &its));
	E(read(fd, &tv, 4));
	E(read(fd, &tv, 8));
	E(write(fd, &tv, 8));
	E(gettimeofday(&tv, NULL));
	E(syscall(SYS_gettimeofday, NULL, NULL));
	E(syscall(SYS_times, NULL) > 0 ? 0 : -1);
	E(syscall(SYS_time, NULL) > 0 ? 0 : -1);
	struct pollfd pf = {.fd = 999, .events = POLLIN};
	V(poll(&pf, 1, 0));
	V(pf.revents);
	pf.fd = -1;
	V(poll(&pf, 1, 1));
	E(poll((void *)8, 1, 0));
	E(poll(NULL, 0, 0));
	E(poll(&pf, 100000000, 0));
	E(syscall(SYS_ppoll, &pf, 1, &bad, NULL, 8));
	E(syscall(SYS_ppoll, &pf, 1, &ts, &ts, 4));
	E(select(-1, NULL, NULL, NULL, NULL));
	E(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}));
	E(select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}));
	E(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000000}));
	fd_set fs;
	FD_ZERO(&fs);
	FD_SET(900, &fs);
	E(select(901, &fs, NULL, NULL, &(struct timeval){0, 0}));
	int ep = E(epoll_create(0));
	E(epoll_create1(5));
	ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN}, evs[2];
	E(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	E(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &ev));
	E(epoll_ctl(999, EPOLL_CTL_ADD, 0, &ev));
	E(epoll_ctl(0, EPOLL_CTL_ADD, ep, &ev));
	tk = eventfd(0, 0);
	E(epoll_ctl(ep, EPOLL_CTL_MOD, tk, &ev));
	E(epoll_ctl(ep, EPOLL_CTL_DEL, tk, &ev));
	E(epoll_ctl(ep, EPOLL_CTL_ADD, tk, &ev));
	E(epoll_ctl(ep, EPOLL_CTL_ADD, tk, &ev));
	E(epoll_ctl(ep, 9, tk, &ev));
	E(epoll_ctl(ep, EPOLL_CTL_ADD, tk, (void *)8));
	ev.events = EPOLLIN | EPOLLEXCLUSIVE;
	E(epoll_ctl(ep, EPOLL_CTL_MOD, tk, &ev));
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	E(epoll_ctl(ep, EPOLL_CTL_ADD, dup(tk), &ev));
	int reg = open("reg", O_CREAT | O_RDWR, 0600);
	ev.events = EPOLLIN;
	E(epoll_ctl(ep, EPOLL_CTL_ADD, reg, &ev));
	E(epoll_wait(ep, evs, 0, 0));
	E(epoll_wait(ep, evs, -1, 0));
	V(epoll_wait(ep, evs, 2, 0));
	E(epoll_wait(tk, evs, 2, 0));
	E(epoll_wait(ep, (void *)8, 2, 0));
	E(eventfd(0, 0x1000));
	E(inotify_init1(1));
	int in = inotify_init1(IN_NONBLOCK);
	E(inotify_add_watch(in, "none", IN_CREATE));
	E(inotify_add_watch(in, ".", 0));
	E(inotify_add_watch(tk, ".", IN_CREATE));
	E(inotify_add_watch(in, "reg", IN_ONLYDIR | IN_CREATE));
	E(inotify_add_watch(in, ".", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
	E(inotify_rm_watch(in, 99));
	E(read(in, evs, 4));
	uint32_t w = 0;
	E(syscall(SYS_futex, &w, 99, 0, NULL, NULL, 0));
	E(syscall(SYS_futex, (char *)&w + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_WAIT, 1, NULL, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_WAIT, 0, &bad, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	E(syscall(SYS_futex, 8, FUTEX_WAIT, 0, NULL, NULL, 0));
	V(syscall(SYS_futex, &w, FUTEX_WAKE, 1, NULL, NULL, 0));
	V(syscall(SYS_futex, &w, FUTEX_WAKE, -1, NULL, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_REQUEUE, -1, 1, &w, 0));
	E(syscall(SYS_futex, &w, FUTEX_CMP_REQUEUE, 1, 1, &tk, 5));
	E(syscall(SYS_futex, &w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_WAIT | 256, 1, NULL, NULL, 0));
	E(syscall(SYS_futex, &w, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
}

static void memory(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), v[16];
	int fd = open("m", O_CREAT | O_RDWR | O_TRUNC, 0600), wo = open("m", O_WRONLY), ro = open("m", O_RDONLY);

#define M(...) E((long)mmap(__VA_ARGS__))
	M(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0);
	M(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0);
	M(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0);
	M(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	M(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x8000000, fd, 0);
	M((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	M(NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	M(NULL, 1UL << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	M(NULL, PAGE, 0x10, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	M(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1ULL << 62);
	M(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	M(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	M(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	E(munmap(p + 1, PAGE));
	E(munmap(p, 0));
	E(munmap((void *)(1UL << 47), PAGE));
	E(munmap(NULL, PAGE));
	E(mprotect(p + 1, PAGE, PROT_READ));
	E(mprotect(p, 0, PROT_READ));
	E(mprotect((void *)PAGE, PAGE, PROT_READ));
	E(mprotect(p, PAGE, 0x100));
	E(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN));
	E(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	E(madvise(p + 1, PAGE, MADV_NORMAL));
	E(madvise(p, PAGE, 999));
	E(madvise((void *)PAGE, PAGE, MADV_NORMAL));
	E(madvise(p, 0, MADV_DONTNEED));
	E(madvise(p, PAGE, MADV_REMOVE));
	E(madvise(p, PAGE, MADV_FREE));
	E(madvise(p, PAGE, MADV_HWPOISON));
	E(madvise(p, PAGE, MADV_MERGEABLE) == 0 || errno == EINVAL ? 0 : -1);
	E(madvise(p, PAGE, MADV_WIPEONFORK));
	E(madvise(p, PAGE, MADV_KEEPONFORK));
	E(madvise(p, PAGE, MADV_DOFORK));
	E(madvise(p, PAGE, MADV_COLD));
	E(madvise(p, PAGE, MADV_PAGEOUT));
	E(madvise(p, PAGE, MADV_POPULATE_READ));
	E((long)mremap(p, 0, PAGE, 0));
	E((long)mremap(p, PAGE, 0, 0));
	E((long)mremap(p + 1, PAGE, PAGE, 0));
	E((long)mremap(p, PAGE, PAGE, 8));
	E((long)mremap(p, PAGE, PAGE, MREMAP_FIXED, p + 4 * PAGE));
	E((long)mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + PAGE));
	E((long)mremap((void *)PAGE, PAGE, PAGE, 0));
	E((long)mremap(p, PAGE, 2 * PAGE, 0));
	E((long)mremap(p, PAGE, 1UL << 47, MREMAP_MAYMOVE));
	E(msync(p + 1, PAGE, MS_SYNC));
	E(msync(p, PAGE, MS_SYNC | MS_ASYNC));
	E(msync(p, PAGE, 8));
	E(msync((void *)PAGE, PAGE, MS_SYNC));
	E(msync(p, PAGE, MS_SYNC));
	E(mincore(p + 1, PAGE, (void *)v));
	E(mincore(p, PAGE, (void *)8));
	E(mincore((void *)PAGE, PAGE, (void *)v));
	E(mincore(p, PAGE, (void *)v));
	E(mlock((void *)PAGE, PAGE));
	E(mlock(p, PAGE));
	E(munlock(p, PAGE));
	E(syscall(SYS_mlock2, p, PAGE, 2));
	E(mlockall(0));
	E(mlockall(8));
	E(mlockall(MCL_ONFAULT));
	E(munlockall());
	V(syscall(SYS_brk, 0) == syscall(SYS_brk, 1));
	E(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 1));
	E(syscall(SYS_process_vm_readv, 999999, &(struct iovec){v, 1}, 1, &(struct iovec){v, 1}, 1, 0));
	E(syscall(SYS_pkey_alloc, 1, 0));
	E(syscall(SYS_pkey_free, 99));
	E(read(open("/dev/zero", O_RDONLY), (void *)PAGE, 10));
	E(mprotect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0), PAGE, PROT_WRITE));
}

void guest_test(void)
{
	signals();
	ids();
	limits();
	times_();
	memory();
}
