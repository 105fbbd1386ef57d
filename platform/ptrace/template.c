/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The template: a child of the Sentry that shares its file descriptors, has dropped every capability, is confined to the few
 * calls that stubs are made to run, and has unmapped everything but the stub page. Address spaces are forked from it, so a new
 * one costs the copy of one page table entry and can hold nothing of the Sentry.
 *
 * It is also the probe: before it is left alone it shows that the host lets us trace a child and traps its system calls.
 */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "platform/ptrace/ptrace_internal.h"

#define TEMPLATE_STACK (64 << 10)

/*
 * Second line of defence: application calls never get as far as this filter (PTRACE_SYSEMU stops them before), only what the
 * Sentry injects does. The calls of the vsyscall page are the exception: the host emulates them without asking the tracer, but
 * asks the filter; SIGSYS hands them to us as system calls.
 */
#define NR_IS(nr, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ARG0_LOW offsetof(struct seccomp_data, args)
static const struct sock_filter stub_filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	NR_IS(SYS_mmap, SECCOMP_RET_ALLOW),
	NR_IS(SYS_munmap, SECCOMP_RET_ALLOW),
	NR_IS(SYS_mprotect, SECCOMP_RET_ALLOW),
	NR_IS(SYS_pause, SECCOMP_RET_ALLOW),
	NR_IS(SYS_getppid, SECCOMP_RET_ALLOW),
	NR_IS(SYS_exit_group, SECCOMP_RET_ALLOW),
	NR_IS(SYS_gettimeofday, SECCOMP_RET_TRAP),
	NR_IS(SYS_time, SECCOMP_RET_TRAP),
	NR_IS(SYS_getcpu, SECCOMP_RET_TRAP),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 6),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG0_LOW),
	NR_IS(STUB_FORK_FLAGS, SECCOMP_RET_ALLOW),
	NR_IS(STUB_THREAD_FLAGS, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG0_LOW),
	NR_IS(PR_SET_PDEATHSIG, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static int drop_caps(void)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capset, &hdr, data) < 0 ? -1 : 0;
}

/* In the child, with a copy of all of the Sentry's memory. Exit codes name the step for the error message. */
static int template_main(void *arg)
{
	const struct sock_fprog prog = { ARRAY_SIZE(stub_filter), (struct sock_filter *)(uintptr_t)stub_filter };
	const struct rlimit no_core = { 0, 0 };
	const struct platform *p = arg;
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	void *page;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != p->sentry)
		return 1;
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "runsc-stub");
	(void)setrlimit(RLIMIT_CORE, &no_core);
	/* The kernel would write to the registered area behind our back once it is unmapped. */
	if (__rseq_size && syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) < 0)
		return 2;
	/* Without these two a Sentry that has no CAP_SYS_PTRACE could not attach. */
	if (drop_caps() < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		return 3;
	page = mmap((void *)PTRACE_STUB_ADDR, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page == MAP_FAILED)
		return 4;
	memcpy(page, ptrace_stub_begin, (size_t)(ptrace_stub_end - ptrace_stub_begin));
	if (mprotect(page, PAGE_SIZE, PROT_READ | PROT_EXEC) < 0)
		return 5;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		return 6;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		return 7;
	{
		register uint64_t r12 __asm__("r12") = PTRACE_STUB_ADDR;
		register uint64_t r13 __asm__("r13") = PTRACE_STUB_ADDR + PAGE_SIZE;
		register uint64_t r14 __asm__("r14") = PTRACE_TASK_MAX - PTRACE_STUB_ADDR - PAGE_SIZE;

		__asm__ volatile("jmp *%3" : : "r"(r12), "r"(r13), "r"(r14), "r"(STUB_AT(ptrace_stub_wipe)) : "memory");
	}
	__builtin_unreachable();
}

static const char *const template_steps[] = {
	"?", "could not tie its life to ours", "could not unregister rseq", "could not drop its capabilities",
	"could not map the stub page", "could not make the stub page executable",
	"may not be traced (ptrace forbidden by the host: a seccomp filter or kernel.yama.ptrace_scope?)",
	"could not install its seccomp filter",
};

/* Whether a system call of @pid, which is stopped, is ours to answer instead of the host's. Its registers are not kept. */
static int check_sysemu(pid_t pid, struct arch_regs r)
{
	int status;

	r.rip = STUB_AT(ptrace_stub_call);
	r.rax = SYS_getppid;
	r.orig_rax = UINT64_MAX;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD) < 0 || tracee_setregs(pid, &r) < 0 ||
	    ptrace(PTRACE_SYSEMU, pid, NULL, NULL) < 0)
		return -errno;
	while (waitpid(pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : -ENOSYS;
}

int ptrace_template_start(struct platform *p, struct error **err)
{
	char *stack = mmap(NULL, TEMPLATE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	struct arch_regs r;
	pid_t pid;
	int status, e;

	if (stack == MAP_FAILED)
		return error_set(err, -errno, "ptrace platform: no memory for the stub template");
	p->sentry = getpid();
	/* No exit signal: the Sentry is not disturbed by stubs coming and going. A separate stack: ours may be where the stub page goes. */
	pid = clone(template_main, stack + TEMPLATE_STACK, CLONE_FILES, p);
	e = errno;
	(void)munmap(stack, TEMPLATE_STACK);
	if (pid < 0)
		return error_set(err, -e, "ptrace platform: cannot start the stub template");
	while (waitpid(pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			return error_set(err, -errno, "ptrace platform: lost the stub template");
	}
	if (WIFEXITED(status))
		return error_msg(err, -EPERM, "ptrace platform: the stub template %s",
				 template_steps[MIN((size_t)WEXITSTATUS(status), ARRAY_SIZE(template_steps) - 1)]);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP || tracee_getregs(pid, &r) < 0 ||
	    r.rip != STUB_AT(ptrace_stub_wipe_trap) || r.rax != 0) {
		tracee_kill(pid);
		return error_msg(err, -EIO, "ptrace platform: the stub template could not empty its address space (status %x)", status);
	}
	e = check_sysemu(pid, r);
	if (e < 0) {
		tracee_kill(pid);
		return error_set(err, e, "ptrace platform: PTRACE_SYSEMU does not trap system calls on this host");
	}
	p->xsave_size = arch_xsave_size();
	{
		uint8_t img[ARCH_XSAVE_MAX];

		if (tracee_getfpu(pid, img, &p->xsave_size) < 0)
			return error_msg(err, -EIO, "ptrace platform: the host does not give the stub's FPU state");
	}
	/* It parks until the service thread attaches. */
	r.rip = STUB_AT(ptrace_stub_park);
	if (tracee_setregs(pid, &r) < 0 || ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0) {
		tracee_kill(pid);
		return error_msg(err, -EIO, "ptrace platform: the stub template died");
	}
	p->template = pid;
	return 0;
}
