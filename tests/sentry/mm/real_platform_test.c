/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mm over the real platforms of this host: machine code in application memory touches pages, faults are resolved by the mm, and
 * a fork's copies are told apart. Skipped where no platform works.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "mm_test_util.h"

/* For each page from rdi, rsi times: mov (%rdi),%al; add %dl; mov back; next. Then syscall, and again. */
static const uint8_t code[] = {
	0x8a, 0x07, /* 0: mov (%rdi),%al */
	0x00, 0xd0, /* add %dl,%al */
	0x88, 0x07, /* mov %al,(%rdi) */
	0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* add $4096,%rdi */
	0x48, 0xff, 0xce, /* dec %rsi */
	0x75, 0xee, /* jnz 0b */
	0x0f, 0x05, /* syscall */
};

static const struct platform_ops *ops;
static struct platform *plat;
static unsigned faults;

/* Runs until the system call; returns 0 or the signal. */
static int run(struct mm *mm, struct plat_ctx *c)
{
	for (;;) {
		struct plat_as *as;
		struct plat_trap t;
		struct mm_fault f;

		assert_int_equal(mm_as(mm, &as), 0);
		assert_int_equal(ops->switch_to(c, as, &t), 0);
		if (t.event == PLAT_SYSCALL)
			return 0;
		assert_int_not_equal(t.event, PLAT_DEAD);
		if (t.event != PLAT_FAULT)
			continue;
		assert_true(t.sig == SIGSEGV || t.sig == SIGBUS);
		if (faults++ > 300)
			fail_msg("endless faults at %lx (%x)", t.addr, t.access);
		if (mm_handle_fault(mm, c, t.addr, t.access, &f) < 0)
			return f.sig;
	}
}

static int touch(struct mm *mm, struct plat_ctx *c, uint64_t text, uint64_t at, uint64_t pages, uint8_t add)
{
	struct arch_state *s = ops->regs(c, false);

	s->r.rip = text;
	s->r.rdi = at;
	s->r.rsi = pages;
	s->r.rdx = add;
	return run(mm, c);
}

static uint8_t peek(struct mm *mm, uint64_t a)
{
	uint8_t v = 0xee;

	assert_int_equal(mm_copy_in(mm, &v, GADDR(a), 1), 0);
	return v;
}

static void touches_and_forks(void **state)
{
	struct kernel *k = test_kernel();
	uint64_t text, data, n = 1024;
	struct plat_ctx *c, *c2;
	struct mm *mm, *child;

	if (!ops)
		skip();
	k->pops = ops;
	k->plat = plat;
	ops->caps(plat, &k->pcaps);
	assert_int_equal(mm_new(k, &mm), 0);
	mm_user_get(mm);
	assert_int_equal(ops->ctx_new(plat, &c), 0);
	assert_int_equal(ops->ctx_new(plat, &c2), 0);
	text = test_map(mm, 0, PAGE_SIZE, RW, PRIV_ANON);
	assert_int_equal(mm_copy_out(mm, GADDR(text), code, sizeof(code)), 0);
	assert_int_equal(mm_mprotect(mm, NULL, text, PAGE_SIZE, LINUX_PROT_READ | LINUX_PROT_EXEC), 0);
	data = test_map(mm, 0, n * PAGE_SIZE, RW, PRIV_ANON);
	assert_int_equal(touch(mm, c, text, data, n, 3), 0);
	print_message("%u faults for %lu pages\n", faults, n);
	assert_true(faults < 40);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(peek(mm, data + i * PAGE_SIZE), 3);
	assert_int_equal(mm_fork(mm, c, &child), 0);
	assert_int_equal(touch(mm, c, text, data, 100, 1), 0);
	assert_int_equal(touch(child, c2, text, data + 50 * PAGE_SIZE, 100, 2), 0);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(peek(mm, data + i * PAGE_SIZE), i < 100 ? 4 : 3);
		assert_int_equal(peek(child, data + i * PAGE_SIZE), i >= 50 && i < 150 ? 5 : 3);
	}
	/* The Sentry's own copy on write shows in the application. */
	assert_int_equal(mm_copy_out(child, GADDR(data), "\x50", 1), 0);
	assert_int_equal(touch(child, c2, text, data, 1, 1), 0);
	assert_int_equal(peek(child, data), 0x51);
	/* Violations. */
	assert_int_equal(touch(mm, c, text, text, 1, 1), SIGSEGV);
	assert_int_equal(touch(mm, c, text, data - PAGE_SIZE * 4, 1, 1), SIGSEGV);
	assert_int_equal(mm_mprotect(mm, NULL, data, PAGE_SIZE, LINUX_PROT_READ), 0);
	assert_int_equal(touch(mm, c, text, data, 1, 1), SIGSEGV);
	assert_int_equal(mm_munmap(mm, c, data, PAGE_SIZE), 0);
	assert_int_equal(touch(mm, c, text, data, 1, 1), SIGSEGV);
	assert_int_equal(touch(mm, c, data, data, 1, 1), SIGSEGV);
	mm_user_put(child);
	mm_user_put(mm);
	ops->ctx_free(c);
	ops->ctx_free(c2);
	mm_put(child);
	mm_put(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touches_and_forks),
	};
	struct error *err = NULL;

	ops = platform_find(NULL, &err);
	if (ops && (ops->new(&plat, &err) < 0 || ops->start(plat, &err) < 0))
		ops = NULL;
	error_free(err);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
