/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform with hand-written machine code: each test maps a blob from a memfd at CODE and data at DATA, runs it and
 * looks at what is trapped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <linux/capability.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/mutex.h"
#include "base/util.h"
#include "platform/platform.h"
#include "platform/ptrace/seccomp.h"

#define CODE 0x400000UL
#define DATA 0x500000UL

static const struct platform_ops *ops;
static struct platform *plat;
static int memfd;
static uint8_t *mem; /* page 0: code, page 1..: data */

#define BLOB(name, text)                                                                                                    \
	extern const uint8_t name##_begin[], name##_end[];                                                                  \
	__asm__(".pushsection .rodata\n" #name "_begin:\n" text "\n" #name "_end:\n.popsection\n")
#define LOAD(name) load(name##_begin, (size_t)(name##_end - name##_begin))

BLOB(b_loop, "1: syscall; jmp 1b");
BLOB(b_spin, "1: jmp 1b");
BLOB(b_count, "1: incq (%rdi); jmp 1b");
BLOB(b_read, "mov (%rdi), %rax; syscall");
BLOB(b_write, "mov %rax, (%rdi); syscall");
BLOB(b_jump, "jmp *%rdi");
BLOB(b_div0, "xor %ecx, %ecx; xor %edx, %edx; div %ecx");
BLOB(b_int3, "int3; syscall");
BLOB(b_ud2, "ud2");
BLOB(b_step, "nop; nop; inc %rax; syscall");
BLOB(b_int80, "mov $20, %eax; int $0x80; syscall");
BLOB(b_cs32, "pushq $0x23; lea 1f(%rip), %rcx; push %rcx; lretq\n1: .code32; mov $20, %eax; int $0x80; .code64");
BLOB(b_vsys, "mov $0xffffffffff600400, %rcx; xor %edi, %edi; call *%rcx; syscall");
BLOB(b_seg, "mov $0x2b, %eax; mov %eax, %ds; mov %eax, %es; xor %eax, %eax; mov %eax, %fs; mov %eax, %gs; syscall; syscall");
BLOB(b_avx, "vmovdqu (%rdi), %ymm7; fldpi; syscall; vmovdqu %ymm7, 32(%rdi); fstpt 64(%rdi); syscall");
BLOB(b_hlt, "hlt");
BLOB(b_fsbase, "mov %fs:0, %rax; syscall");

static void load(const uint8_t *b, size_t n)
{
	assert_true(n <= PAGE_SIZE);
	memset(mem, 0x90, PAGE_SIZE);
	memcpy(mem, b, n);
	memset(mem + PAGE_SIZE, 0, PAGE_SIZE);
}

static struct plat_as *new_as(void)
{
	struct plat_as *as;

	assert_int_equal(ops->as_new(plat, &as), 0);
	assert_int_equal(ops->map(as, NULL, CODE, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_EXEC, memfd, 0, 0), 0);
	assert_int_equal(ops->map(as, NULL, DATA, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_WRITE, memfd, PAGE_SIZE, 0), 0);
	return as;
}

static struct plat_ctx *new_ctx(uint64_t ip)
{
	struct plat_ctx *c;
	struct arch_state *st;

	assert_int_equal(ops->ctx_new(plat, &c), 0);
	st = ops->regs(c, false);
	st->r.rip = ip;
	st->r.rsp = DATA + PAGE_SIZE;
	return c;
}

static struct plat_trap run(struct plat_ctx *c, struct plat_as *as)
{
	struct plat_trap t;

	memset(&t, 0xee, sizeof(t));
	assert_int_equal(ops->switch_to(c, as, &t), 0);
	return t;
}

static void expect_syscall(struct plat_ctx *c, struct plat_as *as, uint64_t nr)
{
	struct plat_trap t = run(c, as);

	assert_int_equal(t.event, PLAT_SYSCALL);
	/* As Linux: the low half counts. */
	assert_true(t.nr == (uint64_t)(int64_t)(int32_t)nr);
}

static struct plat_trap expect_fault(struct plat_ctx *c, struct plat_as *as, int sig)
{
	struct plat_trap t = run(c, as);

	assert_int_equal(t.event, PLAT_FAULT);
	assert_int_equal(t.sig, sig);
	return t;
}

static int count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Children of every thread of ours, stubs included. */
static int count_children(void)
{
	char buf[65536];
	FILE *f;
	int n = 0;
	size_t len;
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	while ((e = readdir(d))) {
		char path[300];

		snprintf(path, sizeof(path), "/proc/self/task/%s/children", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		len = fread(buf, 1, sizeof(buf) - 1, f);
		fclose(f);
		for (size_t i = 0; i < len; i++)
			n += buf[i] == ' ';
	}
	closedir(d);
	return n;
}

/* ---- system calls and registers ---- */

static void returns_and_arguments(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;
	struct arch_state *st;

	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	st = ops->regs(c, false);
	st->r.rax = 39;
	st->r.rdi = 1, st->r.rsi = 2, st->r.rdx = 3, st->r.r10 = 4, st->r.r8 = 5, st->r.r9 = UINT64_MAX;
	t = run(c, as);
	assert_int_equal(t.event, PLAT_SYSCALL);
	assert_int_equal(t.nr, 39);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(t.args[i], i + 1);
	assert_true(t.args[5] == UINT64_MAX);
	assert_int_equal(t.ip, CODE + 2);
	assert_int_equal(t.sp, DATA + PAGE_SIZE);
	/* Whatever is returned is what the next call's number is: odd values, and those that look like restart codes. */
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t v = i < 1000 ? (uint64_t)-(int64_t)i : i * 0x123456789abcdefULL;

		ops->set_ret(c, v);
		if (i % 7 == 0)
			(void)ops->regs(c, false);
		expect_syscall(c, as, v);
	}
	ops->ctx_free(c);
	ops->as_free(as);
}

static void registers_survive(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct arch_state *st;
	struct arch_regs want;

	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	st = ops->regs(c, false);
	for (size_t i = 0; i < 15; i++)
		((uint64_t *)&st->r)[i] = 0x1111111111111111ULL * (i + 1);
	st->r.fs_base = 0x7000deadb000;
	st->r.gs_base = 0x7000beef0000;
	st->r.eflags = 0x202 | 0x8d5;
	want = st->r;
	for (int i = 0; i < 10; i++) {
		expect_syscall(c, as, want.rax);
		/* An injected call must leave no trace. */
		if (i & 1)
			assert_int_equal(ops->map(as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0), 0);
		if (i & 2)
			assert_int_equal(ops->unmap(as, NULL, 0x600000, PAGE_SIZE), 0);
		st = ops->regs(c, false);
		assert_true(st->r.rax == (uint64_t)-ENOSYS);
		assert_true(st->r.orig_rax == want.rax);
		assert_true(st->r.rip == CODE + 2 && st->r.rcx == CODE + 2);
		assert_true(st->r.r15 == want.r15 && st->r.r14 == want.r14 && st->r.r13 == want.r13 && st->r.r12 == want.r12);
		assert_true(st->r.rbp == want.rbp && st->r.rbx == want.rbx && st->r.r10 == want.r10 && st->r.r9 == want.r9);
		assert_true(st->r.r8 == want.r8 && st->r.rdx == want.rdx && st->r.rsi == want.rsi && st->r.rdi == want.rdi);
		assert_true(st->r.rsp == want.rsp && st->r.fs_base == want.fs_base && st->r.gs_base == want.gs_base);
		assert_int_equal(st->r.eflags & 0x8d5, 0x8d5);
		ops->set_ret(c, want.rax);
	}
	ops->ctx_free(c);
	ops->as_free(as);
}

static void fpu_survives(void **state)
{
	struct plat_as *as, *as2;
	struct plat_ctx *c;
	struct arch_state *st;
	const long double pi = 3.14159265358979323846264338327950288L;
	uint8_t img[ARCH_XSAVE_MAX];

	if (!__builtin_cpu_supports("avx2"))
		skip();
	LOAD(b_avx);
	for (int i = 0; i < 32; i++)
		mem[PAGE_SIZE + i] = (uint8_t)(i * 7 + 1);
	as = new_as();
	as2 = new_as();
	c = new_ctx(CODE);
	ops->regs(c, false)->r.rdi = DATA;
	expect_syscall(c, as, 0);
	st = ops->regs(c, true);
	assert_true(st->fpu.size >= 576 && st->fpu.size <= ARCH_XSAVE_MAX);
	memcpy(img, st->fpu.data, st->fpu.size);
	/* Out, in, and into another address space. */
	expect_syscall(c, as2, (uint64_t)-ENOSYS);
	assert_memory_equal(mem + PAGE_SIZE + 32, mem + PAGE_SIZE, 32);
	assert_memory_equal(mem + PAGE_SIZE + 64, &pi, 10);
	/* A hostile image is made harmless, not fatal. */
	st = ops->regs(c, true);
	memset(st->fpu.data, 0xff, st->fpu.size);
	st->r.rip = CODE;
	st->r.cs = 0, st->r.ss = 0x18, st->r.ds = 0x77777, st->r.fs_base = UINT64_MAX, st->r.eflags = UINT64_MAX & ~0x100ULL;
	expect_syscall(c, as2, (uint64_t)-ENOSYS);
	ops->ctx_free(c);
	/* A new context starts from the initial state. */
	c = new_ctx(CODE + 4);
	expect_syscall(c, as, 0);
	st = ops->regs(c, true);
	assert_int_equal(*(uint32_t *)(st->fpu.data + 24), 0x1f80);
	for (int i = 160; i < 416; i++)
		assert_int_equal(st->fpu.data[i], 0);
	ops->ctx_free(c);
	ops->as_free(as);
	ops->as_free(as2);
}

/* ---- faults ---- */

static void faults(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;

	LOAD(b_read);
	as = new_as();
	c = new_ctx(CODE);
	ops->regs(c, false)->r.rdi = 0x700008;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.code, SEGV_MAPERR);
	assert_int_equal(t.addr, 0x700008);
	assert_int_equal(t.access, PLAT_ACCESS_UNKNOWN);
	assert_int_equal(t.trapno, 14);
	/* What the mm does: map, go on. */
	assert_int_equal(ops->map(as, c, 0x700000, PAGE_SIZE, PLAT_PROT_READ, memfd, PAGE_SIZE, PLAT_MAP_PRECOMMIT), 0);
	mem[PAGE_SIZE + 8] = 42;
	expect_syscall(c, as, 42);

	LOAD(b_write);
	ops->regs(c, false)->r.rip = CODE;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.code, SEGV_ACCERR);
	assert_int_equal(ops->protect(as, c, 0x600000, 0x200000, PLAT_PROT_READ | PLAT_PROT_WRITE), 0);
	ops->regs(c, false)->r.rax = 77;
	expect_syscall(c, as, 77);
	assert_int_equal(mem[PAGE_SIZE + 8], 77);

	LOAD(b_jump);
	ops->regs(c, false)->r.rip = CODE;
	ops->regs(c, false)->r.rdi = 0x900000;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.access, PLAT_ACCESS_EXEC);
	assert_int_equal(t.addr, 0x900000);
	ops->regs(c, false)->r.rip = DATA;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.access, PLAT_ACCESS_EXEC);
	assert_int_equal(t.code, SEGV_ACCERR);

	/* A non-canonical address: general protection. */
	LOAD(b_read);
	ops->regs(c, false)->r.rip = CODE;
	ops->regs(c, false)->r.rdi = 0x8000000000000000ULL;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.code, SI_KERNEL);
	assert_int_equal(t.addr, 0);
	assert_int_equal(t.trapno, 13);
	ops->regs(c, false)->r.rip = 0x8000000000000000ULL;
	expect_fault(c, as, SIGSEGV);

	LOAD(b_div0);
	ops->regs(c, false)->r.rip = CODE;
	t = expect_fault(c, as, SIGFPE);
	assert_int_equal(t.code, FPE_INTDIV);
	assert_int_equal(t.addr, CODE + 4);
	LOAD(b_ud2);
	ops->regs(c, false)->r.rip = CODE;
	t = expect_fault(c, as, SIGILL);
	assert_int_equal(t.code, ILL_ILLOPN);
	assert_int_equal(t.addr, CODE);
	LOAD(b_hlt);
	ops->regs(c, false)->r.rip = CODE;
	expect_fault(c, as, SIGSEGV);
	LOAD(b_int3);
	ops->regs(c, false)->r.rip = CODE;
	t = expect_fault(c, as, SIGTRAP);
	assert_int_equal(t.code, SI_KERNEL);
	assert_int_equal(ops->regs(c, false)->r.rip, CODE + 1);
	ops->ctx_free(c);
	ops->as_free(as);
}

static void bus_error_past_the_end_of_a_file(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;

	LOAD(b_read);
	as = new_as();
	c = new_ctx(CODE);
	assert_int_equal(ops->map(as, NULL, 0x700000, PAGE_SIZE, PLAT_PROT_READ, memfd, 1 << 20, 0), 0);
	ops->regs(c, false)->r.rdi = 0x700010;
	t = expect_fault(c, as, SIGBUS);
	assert_int_equal(t.code, BUS_ADRERR);
	assert_int_equal(t.addr, 0x700010);
	ops->ctx_free(c);
	ops->as_free(as);
}

static void single_step(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;

	LOAD(b_step);
	as = new_as();
	c = new_ctx(CODE);
	ops->set_step(c, true);
	for (uint64_t i = 0; i < 3; i++) {
		t = expect_fault(c, as, SIGTRAP);
		assert_int_equal(t.code, TRAP_TRACE);
		assert_int_equal(ops->regs(c, false)->r.rip, CODE + (i < 2 ? i + 1 : 5));
		if (i == 1)
			assert_int_equal(ops->map(as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0), 0);
	}
	expect_syscall(c, as, 1);
	ops->set_ret(c, 4);
	t = expect_fault(c, as, SIGTRAP);
	assert_int_equal(t.code, TRAP_BRKPT);
	assert_int_equal(ops->regs(c, false)->r.rip, CODE + 7);
	assert_int_equal(ops->regs(c, false)->r.rax, 4);
	t = expect_fault(c, as, SIGTRAP);
	assert_int_equal(ops->regs(c, false)->r.rip, CODE + 8);
	ops->set_step(c, false);
	assert_int_equal(ops->regs(c, false)->r.eflags & 0x100, 0);
	ops->ctx_free(c);
	ops->as_free(as);
}

static void fs_base(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;

	LOAD(b_fsbase);
	*(uint64_t *)(mem + PAGE_SIZE + 64) = 4711;
	as = new_as();
	c = new_ctx(CODE);
	ops->regs(c, false)->r.fs_base = DATA + 64;
	expect_syscall(c, as, 4711);
	ops->ctx_free(c);
	ops->as_free(as);
}

/* ---- interrupts and threads ---- */

static void *interrupter(void *arg)
{
	struct plat_ctx *c = arg;

	for (int i = 0; i < 20; i++) {
		usleep(2000);
		ops->interrupt(c);
	}
	return NULL;
}

static void interrupt_a_spinner(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	pthread_t th;
	int n = 0;

	LOAD(b_spin);
	as = new_as();
	c = new_ctx(CODE);
	ops->interrupt(c);
	assert_int_equal(run(c, as).event, PLAT_INTERRUPTED);
	pthread_create(&th, NULL, interrupter, c);
	for (; n < 10; n++)
		assert_int_equal(run(c, as).event, PLAT_INTERRUPTED);
	pthread_join(th, NULL);
	assert_int_equal(run(c, as).event, PLAT_INTERRUPTED);
	assert_int_equal(ops->regs(c, false)->r.rip, CODE);
	assert_true(ops->regs(c, false)->r.orig_rax == UINT64_MAX);
	ops->ctx_free(c);
	ops->as_free(as);
}

struct worker {
	struct plat_as *as;
	struct plat_ctx *c;
	uint64_t slot;
	int stops;
	atomic_bool stop, done;
};

static void *counter_thread(void *arg)
{
	struct worker *w = arg;
	struct plat_trap t;
	int r;

	w->c = new_ctx(CODE);
	ops->regs(w->c, false)->r.rdi = DATA + w->slot * 64;
	while (!atomic_load(&w->stop)) {
		r = ops->switch_to(w->c, w->as, &t);
		if (r < 0 || (t.event != PLAT_INTERRUPTED && t.event != PLAT_FAULT))
			abort();
		if (t.event == PLAT_FAULT)
			(void)ops->map(w->as, w->c, DATA, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_WRITE, memfd, PAGE_SIZE, 0);
		w->stops++;
	}
	/* The interrupter has a pointer to it. */
	while (!atomic_load(&w->done))
		usleep(100);
	ops->ctx_free(w->c);
	return NULL;
}

static void two_threads_and_remote_operations(void **state)
{
	struct worker w[2] = { 0 };
	pthread_t th[2];
	volatile uint64_t *slot = (volatile uint64_t *)(mem + PAGE_SIZE);

	LOAD(b_count);
	w[0].as = w[1].as = new_as();
	w[1].slot = 1;
	for (int i = 0; i < 2; i++)
		pthread_create(&th[i], NULL, counter_thread, &w[i]);
	while (!slot[0] || !slot[8])
		usleep(1000);
	/* A third thread takes the page away and changes its protection: both fault it in again and go on counting. */
	for (int i = 0; i < 50; i++) {
		uint64_t a;

		assert_int_equal(ops->unmap(w[0].as, NULL, DATA, PAGE_SIZE), 0);
		usleep(200);
		assert_int_equal(ops->protect(w[0].as, NULL, DATA, PAGE_SIZE, PLAT_PROT_READ), 0);
		a = slot[0];
		for (int n = 0; slot[0] == a && n < 1000; n++)
			usleep(1000);
		assert_true(slot[0] != a);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&w[i].stop, true);
		ops->interrupt(w[i].c);
		atomic_store(&w[i].done, true);
		pthread_join(th[i], NULL);
		assert_true(w[i].stops > 1);
	}
	ops->as_free(w[0].as);
}

static void *asker(void *arg)
{
	(void)ops->regs(arg, true);
	return NULL;
}

/* A bug of the caller must not cost the application its life. */
static void registers_for_the_wrong_thread(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	pthread_t th;

	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	expect_syscall(c, as, 0);
	pthread_create(&th, NULL, asker, c);
	pthread_join(th, NULL);
	ops->set_ret(c, 3);
	expect_syscall(c, as, 3);
	ops->ctx_free(c);
	ops->as_free(as);
}

BLOB(b_stress, "1: incq (%rdi); mov (%rdi), %rax; syscall; cmp $0, %rax; jne 2f; jmp 1b; 2: ud2");

#define STRESS_THREADS 8
static struct plat_ctx *stress_ctx[STRESS_THREADS];
static struct mutex stress_mu[STRESS_THREADS];

static void *stress_thread(void *arg)
{
	size_t k = (size_t)(uintptr_t)arg;
	uint64_t want = 0;

	for (int round = 0; round < 12; round++) {
		struct plat_as *as = new_as();
		struct plat_ctx *c = new_ctx(CODE);

		ops->regs(c, false)->r.rdi = DATA + k * 64;
		mutex_lock(&stress_mu[k]);
		stress_ctx[k] = c;
		mutex_unlock(&stress_mu[k]);
		for (int i = 0; i < 60;) {
			struct plat_trap t;

			if (ops->switch_to(c, as, &t) < 0)
				abort();
			if (t.event == PLAT_INTERRUPTED)
				continue;
			if (t.event == PLAT_FAULT && t.sig == SIGSEGV) {
				if (ops->map(as, c, DATA, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_WRITE, memfd, PAGE_SIZE, 0) < 0)
					abort();
				continue;
			}
			if (t.event != PLAT_SYSCALL || t.nr != ++want)
				abort();
			ops->set_ret(c, 0);
			if (i % 5 == 0 && ops->unmap(as, i % 10 ? c : NULL, DATA, PAGE_SIZE) < 0)
				abort();
			i++;
		}
		mutex_lock(&stress_mu[k]);
		stress_ctx[k] = NULL;
		mutex_unlock(&stress_mu[k]);
		if (round & 1)
			ops->ctx_free(c);
		ops->as_free(as);
		if (!(round & 1))
			ops->ctx_free(c);
	}
	return NULL;
}

/* Many threads, each with its own address spaces, interrupted all the time; no event may be lost or doubled. */
static void stress(void **state)
{
	pthread_t th[STRESS_THREADS];

	LOAD(b_stress);
	for (size_t i = 0; i < STRESS_THREADS; i++) {
		mutex_init(&stress_mu[i], "test.stress");
		pthread_create(&th[i], NULL, stress_thread, (void *)(uintptr_t)i);
	}
	for (int n = 0; n < 2000; n++) {
		size_t k = (size_t)n % STRESS_THREADS;

		mutex_lock(&stress_mu[k]);
		if (stress_ctx[k])
			ops->interrupt(stress_ctx[k]);
		mutex_unlock(&stress_mu[k]);
		usleep(50);
	}
	for (size_t i = 0; i < STRESS_THREADS; i++)
		pthread_join(th[i], NULL);
}

/* ---- life and death ---- */

static void exec_switches_address_space(void **state)
{
	struct plat_as *a, *b;
	struct plat_ctx *c;

	LOAD(b_loop);
	a = new_as();
	b = new_as();
	c = new_ctx(CODE);
	ops->regs(c, false)->r.rbx = 99;
	expect_syscall(c, a, 0);
	/* The old one goes first, as in execve(); the registers travel. */
	ops->as_free(a);
	ops->set_ret(c, 5);
	expect_syscall(c, b, 5);
	assert_int_equal(ops->regs(c, false)->r.rbx, 99);
	/* And a context that is freed after its address space. */
	ops->as_free(b);
	ops->ctx_free(c);
}

static void nothing_leaks(void **state)
{
	int fds = 0, kids = 0, threads = 0;

	LOAD(b_loop);
	for (int i = 0; i < 110; i++) {
		struct plat_as *as = new_as();
		struct plat_ctx *c = new_ctx(CODE), *d = new_ctx(CODE);

		/* The pools are full by then. */
		if (i == 10) {
			fds = count_dir("/proc/self/fd");
			kids = count_children();
			threads = count_dir("/proc/self/task");
		}
		expect_syscall(c, as, 0);
		expect_syscall(d, as, 0);
		if (i & 1)
			ops->as_free(as);
		ops->ctx_free(c);
		ops->ctx_free(d);
		if (!(i & 1))
			ops->as_free(as);
	}
	assert_int_equal(count_dir("/proc/self/fd"), fds);
	assert_int_equal(count_children(), kids);
	assert_int_equal(count_dir("/proc/self/task"), threads);
}

/* The stub that this thread traces. */
static pid_t my_stub(void)
{
	char buf[4096], path[64];
	FILE *f;
	size_t n;
	pid_t last = 0;
	char *p = buf;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = 0;
	for (char *tok; (tok = strtok_r(p, " ", &p));) {
		char status[4096], *tracer;

		snprintf(path, sizeof(path), "/proc/%s/status", tok);
		f = fopen(path, "r");
		n = fread(status, 1, sizeof(status) - 1, f);
		fclose(f);
		status[n] = 0;
		tracer = strstr(status, "TracerPid:");
		if (tracer && atoi(tracer + 10) == gettid())
			last = (pid_t)atoi(tok);
	}
	return last;
}

static void a_killed_stub_is_reported(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	int kids;

	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	expect_syscall(c, as, 0);
	kids = count_children();
	/* Other signals from outside do nothing. */
	kill(my_stub(), SIGTERM);
	kill(my_stub(), SIGSEGV);
	kill(my_stub(), SIGTRAP);
	kill(my_stub(), SIGSTOP);
	kill(my_stub(), SIGCONT);
	ops->set_ret(c, 6);
	expect_syscall(c, as, 6);
	assert_int_equal(ops->map(as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0), 0);
	kill(my_stub(), SIGKILL);
	assert_int_equal(run(c, as).event, PLAT_DEAD);
	ops->ctx_free(c);
	ops->as_free(as);
	assert_int_equal(count_children(), kids - 1);
}

static void bad_ranges(void **state)
{
	struct plat_as *as;
	struct plat_caps caps;

	ops->caps(plat, &caps);
	LOAD(b_loop);
	as = new_as();
	assert_int_equal(ops->map(as, NULL, 0x600001, PAGE_SIZE, 1, memfd, 0, 0), -EINVAL);
	assert_int_equal(ops->map(as, NULL, 0x600000, 0, 1, memfd, 0, 0), -EINVAL);
	assert_int_equal(ops->map(as, NULL, 0, PAGE_SIZE, 1, memfd, 0, 0), -EINVAL);
	assert_int_equal(ops->map(as, NULL, 0x600000, PAGE_SIZE, 1, -1, 0, 0), -EINVAL);
	assert_int_equal(ops->map(as, NULL, 0x600000, PAGE_SIZE, 1, 999, 0, 0), -EBADF);
	/* The stub page is out of reach. */
	assert_int_equal(ops->unmap(as, NULL, caps.max_addr, PAGE_SIZE), -EINVAL);
	assert_int_equal(ops->map(as, NULL, caps.max_addr - PAGE_SIZE, 2 * PAGE_SIZE, 1, memfd, 0, 0), -EINVAL);
	assert_int_equal(ops->protect(as, NULL, caps.max_addr, PAGE_SIZE, 7), -EINVAL);
	assert_int_equal(ops->unmap(as, NULL, UINT64_MAX & PAGE_MASK, PAGE_SIZE), -EINVAL);
	assert_int_equal(ops->map(as, NULL, caps.max_addr - PAGE_SIZE, PAGE_SIZE, 1, memfd, 0, 0), 0);
	assert_int_equal(ops->unmap(as, NULL, caps.min_addr, caps.max_addr - caps.min_addr), 0);
	ops->as_free(as);
}

/* ---- hostile code ---- */

static void compat_calls_do_not_reach_the_host(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;

	LOAD(b_int80);
	as = new_as();
	c = new_ctx(CODE);
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.code, SI_KERNEL);
	assert_int_equal(ops->regs(c, false)->r.rip, CODE + 5);
	assert_int_equal(ops->regs(c, false)->r.rax, 20);
	ops->regs(c, false)->r.rip = CODE + 7;
	expect_syscall(c, as, 20);
	LOAD(b_cs32);
	ops->regs(c, false)->r.rip = CODE;
	(void)expect_fault(c, as, SIGSEGV);
	assert_int_equal(ops->regs(c, false)->r.cs, 0x23);
	ops->ctx_free(c);
	ops->as_free(as);
}

static void vsyscall_page(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;

	LOAD(b_vsys);
	as = new_as();
	c = new_ctx(CODE);
	t = run(c, as);
	if (t.event == PLAT_FAULT) {
		/* vsyscall=none */
		assert_int_equal(t.access, PLAT_ACCESS_EXEC);
	} else {
		assert_int_equal(t.event, PLAT_SYSCALL);
		assert_int_equal(t.nr, SYS_time);
		assert_int_equal(t.args[0], 0);
		assert_int_equal(t.ip, CODE + 11);
		assert_int_equal(t.sp, DATA + PAGE_SIZE);
		ops->set_ret(c, 12345);
		expect_syscall(c, as, 12345);
	}
	ops->ctx_free(c);
	ops->as_free(as);
}

static void odd_numbers_and_segments(void **state)
{
	static const uint64_t odd[] = { 0x40000000, 0x40000027, UINT64_MAX, INT64_MAX, 0xffffffff, 1ULL << 32 | 39, 1000000 };
	struct plat_as *as;
	struct plat_ctx *c;

	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		ops->regs(c, false)->r.rax = odd[i];
		ops->regs(c, false)->r.rip = CODE;
		expect_syscall(c, as, odd[i]);
	}
	LOAD(b_seg);
	ops->regs(c, false)->r.rip = CODE;
	expect_syscall(c, as, 0);
	assert_int_equal(ops->regs(c, false)->r.ds, 0x2b);
	ops->set_ret(c, 9);
	expect_syscall(c, as, 9);
	ops->ctx_free(c);
	ops->as_free(as);
}

static void stub_page_is_no_way_out(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_caps caps;
	struct plat_trap t;

	ops->caps(plat, &caps);
	LOAD(b_write);
	as = new_as();
	c = new_ctx(CODE);
	ops->regs(c, false)->r.rdi = caps.max_addr;
	t = expect_fault(c, as, SIGSEGV);
	assert_int_equal(t.code, SEGV_ACCERR);
	/* Every byte of it as an entry: a trap, never a host call - munmap() and exit would be noticed. */
	for (uint64_t off = 0; off < 256; off++) {
		struct arch_state *st = ops->regs(c, false);

		memset(&st->r, 0, offsetof(struct arch_regs, orig_rax));
		st->r.rax = SYS_exit_group;
		st->r.rsp = DATA + PAGE_SIZE;
		st->r.rip = caps.max_addr + off;
		for (int n = 0; n < 20; n++) {
			t = run(c, as);
			assert_true(t.event == PLAT_SYSCALL || t.event == PLAT_FAULT);
			if (t.event == PLAT_FAULT)
				break;
			ops->set_ret(c, 0);
		}
		assert_int_equal(ops->map(as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0), 0);
	}
	ops->ctx_free(c);
	ops->as_free(as);
}

static atomic_bool random_over;

static void *random_interrupter(void *arg)
{
	while (!atomic_load(&random_over)) {
		usleep(500);
		ops->interrupt(arg);
	}
	return NULL;
}

/* Random bytes as code, random registers and FPU images: always one of the four events, never a dead stub or a lost one. */
static void random_code(void **state)
{
	struct plat_as *as;
	struct plat_ctx *c;
	pthread_t th;
	struct plat_caps caps;

	ops->caps(plat, &caps);
	LOAD(b_loop);
	as = new_as();
	c = new_ctx(CODE);
	srand(4711);
	atomic_store(&random_over, false);
	pthread_create(&th, NULL, random_interrupter, c);
	for (int seed = 0; seed < 300; seed++) {
		struct arch_state *st = ops->regs(c, seed % 8 == 0);

		for (size_t i = 0; i < PAGE_SIZE; i++)
			mem[i] = (uint8_t)(rand() >> 7);
		for (size_t i = 0; i < sizeof(st->r); i++)
			((uint8_t *)&st->r)[i] = (uint8_t)(rand() >> 7);
		for (size_t i = 0; seed % 8 == 0 && i < st->fpu.size; i++)
			st->fpu.data[i] = (uint8_t)(rand() >> 7);
		st->r.rip = seed % 5 ? CODE + (uint64_t)rand() % PAGE_SIZE : st->r.rip;
		st->r.cs = seed % 3 ? 0x33 : st->r.cs;
		st->r.ss = seed % 3 ? 0x2b : st->r.ss;
		st->r.rsp = DATA + 2048;
		for (int n = 0; n < 20; n++) {
			struct plat_trap t = run(c, as);

			assert_true(t.event == PLAT_SYSCALL || t.event == PLAT_FAULT || t.event == PLAT_INTERRUPTED);
			if (t.event == PLAT_FAULT)
				assert_true(t.sig == SIGSEGV || t.sig == SIGBUS || t.sig == SIGILL || t.sig == SIGFPE || t.sig == SIGTRAP);
			ops->set_ret(c, (uint64_t)rand());
			if (n % 4 == 0)
				assert_int_equal(ops->map(as, c, DATA, PAGE_SIZE, 7, memfd, PAGE_SIZE, 0), 0);
			if (t.event == PLAT_FAULT)
				ops->regs(c, false)->r.rip = CODE + (uint64_t)rand() % PAGE_SIZE;
		}
	}
	atomic_store(&random_over, true);
	pthread_join(th, NULL);
	ops->ctx_free(c);
	ops->as_free(as);
}

/* ---- confinement ---- */

static void as_a_sentry_without_capabilities(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct none[2] = { 0 };
		struct plat_as *as;
		struct plat_ctx *c;
		struct plat_trap t = { 0 };

		(void)alarm(20);
		/* The template is made with capabilities, used without: as the sandbox does. */
		if (ops->new(&plat, NULL) < 0 || ops->start(plat, NULL) < 0)
			_exit(1);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &hdr, none) < 0)
			_exit(2);
		if (prctl(PR_SET_DUMPABLE, 0) < 0)
			_exit(3);
		LOAD(b_loop);
		as = new_as();
		c = new_ctx(CODE);
		if (ops->switch_to(c, as, &t) < 0 || t.event != PLAT_SYSCALL)
			_exit(4);
		if (ops->map(as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0) < 0)
			_exit(5);
		ops->ctx_free(c);
		ops->as_free(as);
		ops->free(plat);
		_exit(count_children() ? 6 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int filter_self(void)
{
	static const int own[] = { SYS_exit_group, SYS_brk, SYS_clock_nanosleep };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = f ? 0 : -1;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(own); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, own[i], 0);
	for (size_t i = 0; r == 0 && platform_ptrace_syscalls[i] >= 0; i++) {
		if (platform_ptrace_syscalls[i] != SYS_ptrace)
			r = seccomp_rule_add(f, SCMP_ACT_ALLOW, platform_ptrace_syscalls[i], 0);
	}
	for (size_t i = 0; r == 0 && platform_ptrace_requests[i] >= 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SYS_ptrace, 1, SCMP_A0(SCMP_CMP_EQ, (uint64_t)platform_ptrace_requests[i]));
	return r < 0 ? r : seccomp_load(f);
}

/* Everything of the contract under a filter made of the platform's own list. */
static void under_its_own_seccomp_list(void **state)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	skip(); /* their run-time libraries make calls of their own */
#endif
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct worker w = { 0 };
		struct plat_ctx *c;
		pthread_t th;

		(void)alarm(20);
		if (ops->new(&plat, NULL) < 0 || ops->start(plat, NULL) < 0 || filter_self() < 0)
			_exit(1);
		LOAD(b_avx);
		w.as = new_as();
		c = new_ctx(CODE);
		ops->regs(c, false)->r.rdi = DATA;
		ops->set_step(c, true);
		expect_fault(c, w.as, SIGTRAP);
		ops->set_step(c, false);
		expect_syscall(c, w.as, 0);
		ops->regs(c, true);
		ops->set_ret(c, 1);
		expect_syscall(c, w.as, 1);
		ops->set_ret(c, 2);
		assert_int_equal(ops->map(w.as, c, 0x600000, PAGE_SIZE, PLAT_PROT_READ, memfd, 0, 0), 0);
		assert_int_equal(ops->protect(w.as, NULL, 0x600000, PAGE_SIZE, PLAT_PROT_READ), 0);
		ops->ctx_free(c);
		LOAD(b_count);
		pthread_create(&th, NULL, counter_thread, &w);
		while (!*(volatile uint64_t *)(mem + PAGE_SIZE))
			usleep(100);
		atomic_store(&w.stop, true);
		ops->interrupt(w.c);
		atomic_store(&w.done, true);
		pthread_join(th, NULL);
		ops->as_free(w.as);
		ops->free(plat);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void stubs_die_with_the_sentry(void **state)
{
	int p[2], status;
	pid_t pid, kids[16];
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		struct plat_as *as;
		struct plat_ctx *c;
		pid_t k;

		(void)alarm(20);
		if (ops->new(&plat, NULL) < 0 || ops->start(plat, NULL) < 0)
			_exit(1);
		LOAD(b_loop);
		as = new_as();
		c = new_ctx(CODE);
		run(c, as);
		k = my_stub();
		if (write(p[1], &k, sizeof(k)) != sizeof(k))
			_exit(1);
		pause();
	}
	close(p[1]);
	n = read(p[0], kids, sizeof(kids));
	assert_int_equal(n, sizeof(pid_t));
	assert_int_equal(kill(kids[0], 0), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The pipe closes when the last process that shares the table is gone. */
	assert_int_equal(read(p[0], kids + 1, 1), 0);
	close(p[0]);
}

static void find(void **state)
{
	struct error *err = NULL;

	assert_ptr_equal(platform_find("ptrace", &err), ops);
	assert_null(platform_find("nonsense", &err));
	assert_non_null(err);
	error_free(err);
}

static int setup(void **state)
{
	struct error *err = NULL;

	memfd = memfd_create("memory", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, 16 * PAGE_SIZE) < 0)
		return -1;
	mem = mmap(NULL, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ops = platform_find("ptrace", &err);
	if (!ops || ops->new(&plat, &err) < 0 || ops->start(plat, &err) < 0) {
		print_error("%s\n", error_text(err));
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	ops->free(plat);
	/* As pid 1 we inherit the stubs of stubs_die_with_the_sentry(). */
	while (getpid() == 1 && waitpid(-1, NULL, __WALL) > 0)
		;
	return count_children() ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_a_sentry_without_capabilities),
		cmocka_unit_test(under_its_own_seccomp_list),
		cmocka_unit_test(stubs_die_with_the_sentry),
		cmocka_unit_test(returns_and_arguments),
		cmocka_unit_test(registers_survive),
		cmocka_unit_test(fpu_survives),
		cmocka_unit_test(faults),
		cmocka_unit_test(bus_error_past_the_end_of_a_file),
		cmocka_unit_test(single_step),
		cmocka_unit_test(fs_base),
		cmocka_unit_test(interrupt_a_spinner),
		cmocka_unit_test(two_threads_and_remote_operations),
		cmocka_unit_test(registers_for_the_wrong_thread),
		cmocka_unit_test(stress),
		cmocka_unit_test(exec_switches_address_space),
		cmocka_unit_test(nothing_leaks),
		cmocka_unit_test(a_killed_stub_is_reported),
		cmocka_unit_test(bad_ranges),
		cmocka_unit_test(compat_calls_do_not_reach_the_host),
		cmocka_unit_test(vsyscall_page),
		cmocka_unit_test(odd_numbers_and_segments),
		cmocka_unit_test(stub_page_is_no_way_out),
		cmocka_unit_test(random_code),
		cmocka_unit_test(find),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
