/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp filters: every action, inheritance, stacking, threads, errors; a checkpoint with filters in force. */
#include "guest.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define LOAD(field)	   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NR(nr, ret)	   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, ret)
#define ALLOW		   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define PROG(...)                                                                                                      \
	((struct sock_fprog){ .len = sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter),       \
			      .filter = (struct sock_filter[]){ __VA_ARGS__ } })

static long seccomp(unsigned op, unsigned flags, const void *arg)
{
	return syscall(SYS_seccomp, op, flags, arg);
}

static void nnp(void)
{
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void install(struct sock_fprog p)
{
	nnp();
	OK(seccomp(SECCOMP_SET_MODE_FILTER, 0, &p));
}

static void status_field(const char *name, char *ret, size_t size)
{
	static char buf[8192];
	char *p;

	CHECK(guest_read_file("/proc/self/status", buf, sizeof(buf)) > 0);
	p = strstr(buf, name);
	CHECK(p != NULL);
	p += strlen(name);
	snprintf(ret, size, "%.*s", (int)strcspn(p, "\n"), p);
}

static void one_action(uint32_t action, int want_status)
{
	pid_t p;

	CHILD (p) {
		struct rlimit no = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no);
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, action), ALLOW));
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK_EQ(guest_status(p) & 0x7f, want_status);
}

static void test_actions(void)
{
	pid_t p;

	SUBTEST("errno");
	CHILD (p) {
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_ERRNO | 77), IF_NR(__NR_getppid, SECCOMP_RET_ERRNO | 0xffff),
			     IF_NR(__NR_getuid, SECCOMP_RET_ERRNO), ALLOW));
		CHECK_ERRNO(syscall(SYS_getpgrp), 77);
		CHECK_ERRNO(syscall(SYS_getppid), 4095);
		CHECK_EQ(syscall(SYS_getuid), 0);
		guest_checkpoint();
		CHECK_ERRNO(syscall(SYS_getpgrp), 77);
		CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("kill and unknown actions");
	one_action(SECCOMP_RET_KILL_PROCESS, SIGSYS);
	one_action(SECCOMP_RET_KILL_THREAD, SIGSYS);
	one_action(0x12340000, SIGSYS);
	one_action(SECCOMP_RET_LOG, 0);
	one_action(SECCOMP_RET_TRAP, SIGSYS);
	SUBTEST("trace without a tracer");
	CHILD (p) {
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_TRACE | 5), ALLOW));
		CHECK_ERRNO(syscall(SYS_getpgrp), ENOSYS);
		_exit(0);
	}
	guest_reap(p);
}

static void *die_alone(void *arg)
{
	syscall(SYS_getpgrp);
	return arg;
}

static void test_kill_thread(void)
{
	pthread_t th;
	pid_t p;

	SUBTEST("a killed thread");
	CHILD (p) {
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_KILL_THREAD), ALLOW));
		th = guest_thread(die_alone, NULL);
		guest_join(th); /* its tid word is cleared by the kernel */
		_exit(0);
	}
	guest_reap(p);
}

static volatile int trapped;
static ucontext_t trap_uc;
static siginfo_t trap_si;

static void on_sys(int sig, siginfo_t *si, void *uc)
{
	trapped++;
	trap_si = *si;
	trap_uc = *(ucontext_t *)uc;
	((ucontext_t *)uc)->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void test_trap(void)
{
	pid_t p;

	SUBTEST("trap");
	CHILD (p) {
		guest_handler(SIGSYS, on_sys, 0);
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_TRAP | 99), ALLOW));
		CHECK_EQ(syscall(SYS_getpgrp), 4711);
		CHECK_EQ(trapped, 1);
		CHECK_EQ(trap_si.si_signo, SIGSYS);
		CHECK_EQ(trap_si.si_code, 1); /* SYS_SECCOMP */
		CHECK_EQ(trap_si.si_errno, 99);
		CHECK_EQ(trap_si.si_syscall, __NR_getpgrp);
		CHECK_EQ(trap_si.si_arch, AUDIT_ARCH_X86_64);
		CHECK_EQ((long)trap_si.si_call_addr, trap_uc.uc_mcontext.gregs[REG_RIP]);
		CHECK_EQ(trap_uc.uc_mcontext.gregs[REG_RAX], __NR_getpgrp);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("a blocked or ignored trap kills");
	CHILD (p) {
		guest_block(SIGSYS);
		guest_handler(SIGSYS, on_sys, 0);
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_TRAP), ALLOW));
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK_EQ(guest_status(p) & 0x7f, SIGSYS);
}

static void test_data(void)
{
	pid_t p;

	SUBTEST("arguments, instruction pointer, arithmetic");
	CHILD (p) {
		/* getpgrp(a0, a1): errno = ((a0 + 2 * a1) ^ 1) & 0xff if the high half of a0 is 7 */
		install(PROG(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getpgrp, 0, 14),
			     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
			     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 12),
			     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
			     BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 2), BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_STX, 3),
			     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
			     BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
			     BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
			     BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0),
			     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), ALLOW));
		CHECK_ERRNO(syscall(SYS_getpgrp, 0x700000010ul, 5ul), 0x1b);
		CHECK_EQ(syscall(SYS_getpgrp, 0x800000010ul, 5ul), getpgrp());
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("division by zero ends the program");
	CHILD (p) {
		install(PROG(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getpgrp, 1, 0), ALLOW, BPF_STMT(BPF_LDX | BPF_IMM, 0),
			     BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), ALLOW));
		syscall(SYS_getpgrp);
		_exit(0);
	}
	CHECK_EQ(guest_status(p) & 0x7f, SIGSYS);
}

static void test_stack(void)
{
	char v[32];
	pid_t p;

	SUBTEST("precedence and count");
	CHILD (p) {
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_ERRNO | 10), IF_NR(__NR_getppid, SECCOMP_RET_ERRNO | 10), ALLOW));
		install(PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_ERRNO | 20), IF_NR(__NR_getppid, SECCOMP_RET_TRACE), ALLOW));
		install(PROG(ALLOW));
		CHECK_ERRNO(syscall(SYS_getpgrp), 20); /* the newest of equals */
		CHECK_ERRNO(syscall(SYS_getppid), 10); /* the strictest */
		status_field("Seccomp:\t", v, sizeof(v));
		CHECK_STR(v, "2");
		status_field("Seccomp_filters:\t", v, sizeof(v));
		CHECK_STR(v, "3");
		status_field("NoNewPrivs:\t", v, sizeof(v));
		CHECK_STR(v, "1");
		guest_checkpoint();
		status_field("Seccomp_filters:\t", v, sizeof(v));
		CHECK_STR(v, "3");
		SUBTEST("inherited by fork and exec");
		CHILD (p) {
			CHECK_ERRNO(syscall(SYS_getpgrp), 20);
			execl(guest_self, guest_self, "inherited", NULL);
			_exit(9);
		}
		guest_reap(p);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("the chain has a limit");
	CHILD (p) {
		static struct sock_filter many[4096];
		struct sock_fprog fp = { .len = 4096, .filter = many };
		int n = 0;

		for (size_t i = 0; i < ARRAY_SIZE(many); i++)
			many[i] = (struct sock_filter)ALLOW;
		nnp();
		while (seccomp(SECCOMP_SET_MODE_FILTER, 0, &fp) == 0 && n < 100)
			n++;
		CHECK_EQ(errno, ENOMEM);
		CHECK_EQ(n, 3); /* a return counts twice */
		_exit(0);
	}
	guest_reap(p);
}

static void test_errors(void)
{
	struct sock_fprog p = PROG(ALLOW), none = { 0 };
	static struct sock_filter many[4097];
	struct sock_fprog big = { .len = 4097, .filter = many };
	uint16_t sizes[4] = { 0 };
	uint32_t action = SECCOMP_RET_ERRNO;
	pid_t c;

	SUBTEST("argument errors");
	CHECK_ERRNO(seccomp(99, 0, NULL), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, &p), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0x40000000, &p), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &none), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &big), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER, &p), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 32, &p), EINVAL); /* WAIT_KILLABLE_RECV alone */
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, 3, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, 2, 0, 0, 0), EFAULT);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_EQ(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
	action = 0x00060000;
	CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
	CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &action), EINVAL);
	CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
	CHECK_EQ(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, sizes), 0);
	CHECK_EQ(sizes[0], 80);
	CHECK_EQ(sizes[1], 24);
	CHECK_EQ(sizes[2], 64);
	SUBTEST("programs that are refused");
	CHILD (c) {
		nnp();
#define BAD(...) CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &PROG(__VA_ARGS__)), EINVAL)
		BAD(LOAD(nr)); /* no return */
		BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW);
		BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW);
		BAD(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW);
		BAD(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW);
		BAD(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW);
		BAD(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ALLOW);
		BAD(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW);
		BAD(BPF_STMT(BPF_LD | BPF_MEM, 0), ALLOW);
		BAD(BPF_STMT(BPF_ST, 16), ALLOW);
		BAD(BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW);
		BAD(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ALLOW);
		BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ALLOW);
		BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 0), BPF_STMT(BPF_LD | BPF_MEM, 0), ALLOW);
		BAD(BPF_STMT(0xffff, 0), ALLOW);
		CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
		_exit(0);
	}
	guest_reap(c);
	SUBTEST("not without no_new_privs or the capability");
	CHILD (c) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &p), EACCES);
		nnp();
		OK(seccomp(SECCOMP_SET_MODE_FILTER, 0, &p));
		CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL), EINVAL);
		_exit(0);
	}
	guest_reap(c);
	CHILD (c) {
		OK(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &p)); /* CAP_SYS_ADMIN */
		_exit(0);
	}
	guest_reap(c);
}

static void test_strict(void)
{
	pid_t p;

	SUBTEST("strict mode");
	CHILD (p) {
		char c = 'x';
		int fds[2];

		OK(pipe(fds));
		OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
		if (write(fds[1], &c, 1) == 1 && read(fds[0], &c, 1) == 1)
			syscall(SYS_exit, 7);
		syscall(SYS_exit, 8);
	}
	CHECK_EQ(guest_status(p), 7 << 8);
	CHILD (p) {
		OK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
		syscall(SYS_getpid);
		syscall(SYS_exit, 8);
	}
	CHECK_EQ(guest_status(p), SIGKILL);
}

static struct gate ready, go;

static void *synced(void *arg)
{
	gate_post(&ready);
	gate_wait(&go);
	CHECK_ERRNO(syscall(SYS_getpgrp), 33);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	return arg;
}

static void *own_filter(void *arg)
{
	struct sock_fprog p = PROG(ALLOW);

	OK(seccomp(SECCOMP_SET_MODE_FILTER, 0, &p));
	*(pid_t *)arg = guest_gettid();
	gate_post(&ready);
	gate_wait(&go);
	return NULL;
}

static void test_tsync(void)
{
	struct sock_fprog p = PROG(LOAD(nr), IF_NR(__NR_getpgrp, SECCOMP_RET_ERRNO | 33), ALLOW);
	pthread_t a, b;
	pid_t c, tid;

	SUBTEST("all threads at once");
	CHILD (c) {
		gate_init(&ready);
		gate_init(&go);
		a = guest_thread(synced, NULL);
		b = guest_thread(synced, NULL);
		gate_wait(&ready);
		gate_wait(&ready);
		nnp();
		CHECK_EQ(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p), 0);
		guest_checkpoint();
		gate_post(&go);
		gate_post(&go);
		guest_join(a);
		guest_join(b);
		_exit(0);
	}
	guest_reap(c);
	SUBTEST("a thread with filters of its own");
	CHILD (c) {
		gate_init(&ready);
		gate_init(&go);
		nnp();
		a = guest_thread(own_filter, &tid);
		gate_wait(&ready);
		CHECK_EQ(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p), tid);
		CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, &p), ESRCH);
		CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
		gate_post(&go);
		guest_join(a);
		_exit(0);
	}
	guest_reap(c);
}

int guest_helper(int argc, char **argv)
{
	CHECK_ERRNO(syscall(SYS_getpgrp), 20);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
	return 0;
}

void guest_test(void)
{
	test_errors();
	test_actions();
	test_kill_thread();
	test_trap();
	test_data();
	test_stack();
	test_strict();
	test_tsync();
}
