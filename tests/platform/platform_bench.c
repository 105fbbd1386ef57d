/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of a platform's primitives, ns each: `platform_bench [platform] [rounds]`. Not a test; figures only.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "platform/platform.h"

#define CODE 0x400000UL
#define DATA 0x500000UL

static const struct platform_ops *ops;
static struct platform *plat;
static int memfd;
static const uint8_t loop_code[] = { 0x0f, 0x05, 0xeb, 0xfc }; /* 1: syscall; jmp 1b */
static const uint8_t touch_code[] = { 0x48, 0x89, 0x07, 0xeb, 0xfb }; /* 1: mov %rax,(%rdi); jmp 1b */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-r));
		exit(1);
	}
}

static struct plat_as *new_as(void)
{
	struct plat_as *as;

	check(ops->as_new(plat, &as), "as_new");
	check(ops->map(as, NULL, CODE, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_EXEC, memfd, 0, 0), "map");
	return as;
}

static struct plat_ctx *new_ctx(uint64_t ip)
{
	struct plat_ctx *c;
	struct arch_state *st;

	check(ops->ctx_new(plat, &c), "ctx_new");
	st = ops->regs(c, false);
	st->r.rip = ip;
	st->r.rdi = DATA;
	st->r.rax = SYS_getppid;
	return c;
}

static void expect(struct plat_ctx *c, struct plat_as *as, enum plat_event ev)
{
	struct plat_trap t;

	check(ops->switch_to(c, as, &t), "switch_to");
	if (t.event != ev) {
		fprintf(stderr, "unexpected event %d\n", (int)t.event);
		exit(1);
	}
}

#define REPORT(name, n, body)                                                                                               \
	do {                                                                                                                \
		uint64_t t0 = now();                                                                                        \
		for (int i = 0; i < (n); i++) {                                                                             \
			body;                                                                                               \
		}                                                                                                           \
		printf("%-44s %10.0f ns\n", name, (double)(now() - t0) / (n));                                              \
	} while (0)

int main(int argc, char **argv)
{
	struct error *err = NULL;
	int n = argc > 2 ? atoi(argv[2]) : 50000;
	struct plat_as *as, *as2;
	struct plat_ctx *c, *d;
	uint8_t *mem;

	memfd = memfd_create("bench", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, 1 << 20) < 0)
		return 1;
	mem = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	memcpy(mem, loop_code, sizeof(loop_code));
	memcpy(mem + 64, touch_code, sizeof(touch_code));
	ops = platform_find(argc > 1 ? argv[1] : NULL, &err);
	if (!ops || ops->new(&plat, &err) < 0 || ops->start(plat, &err) < 0) {
		fprintf(stderr, "%s\n", error_text(err));
		return 1;
	}
	printf("platform %s, pinned: %s\n", ops->name, getenv("PIN") ? "yes" : "no");
	if (getenv("PIN")) {
		/* Sentry thread and stub on one CPU (the stub inherits it from the thread that makes it: not from us, so all). */
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(0, &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
	as = new_as();
	c = new_ctx(CODE);
	expect(c, as, PLAT_SYSCALL);
	REPORT("native getppid", n, syscall(SYS_getppid));
	REPORT("system call, set_ret", n, (ops->set_ret(c, 1), expect(c, as, PLAT_SYSCALL)));
	REPORT("system call, registers", n, (ops->regs(c, false)->r.rax = 1, expect(c, as, PLAT_SYSCALL)));
	REPORT("system call, registers and fpu", n, (ops->regs(c, true)->r.rax = 1, expect(c, as, PLAT_SYSCALL)));
	REPORT("map + unmap, own stub", n / 4, {
		check(ops->map(as, c, DATA, PAGE_SIZE, 3, memfd, 0, 0), "map");
		check(ops->unmap(as, c, DATA, PAGE_SIZE), "unmap");
	});
	REPORT("map + unmap, remote", n / 10, {
		check(ops->map(as, NULL, DATA, PAGE_SIZE, 3, memfd, 0, 0), "map");
		check(ops->unmap(as, NULL, DATA, PAGE_SIZE), "unmap");
	});
	d = new_ctx(CODE + 64);
	REPORT("fault + map + unmap", n / 10, {
		expect(d, as, PLAT_FAULT);
		check(ops->map(as, d, DATA, PAGE_SIZE, 3, memfd, PAGE_SIZE, 0), "map");
		check(ops->unmap(as, d, DATA, PAGE_SIZE), "unmap");
	});
	ops->ctx_free(d);
	REPORT("new thread: first switch, end", n / 200, {
		d = new_ctx(CODE);
		expect(d, as, PLAT_SYSCALL);
		ops->ctx_free(d);
	});
	REPORT("new address space: map, first switch, end", n / 200, {
		as2 = new_as();
		d = new_ctx(CODE);
		expect(d, as2, PLAT_SYSCALL);
		ops->ctx_free(d);
		ops->as_free(as2);
	});
	ops->ctx_free(c);
	ops->as_free(as);
	ops->free(plat);
	return 0;
}
