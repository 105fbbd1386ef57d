/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/fakes/fake_platform.h"

static void script(struct plat_ctx *c, struct plat_as *as, struct plat_trap *t, void *arg)
{
	uint64_t v = 7;

	if (fake_write(as, 0x20ffc, &v, sizeof(v), t) == 0)
		fake_syscall(t, 1, 2, 3, 4);
}

static void faults_then_calls(void **state)
{
	const struct platform_ops *ops = &fake_platform_ops;
	int fd = memfd_create("fake", MFD_CLOEXEC);
	struct platform *p;
	struct plat_as *as;
	struct plat_ctx *c;
	struct plat_trap t;
	uint64_t v = 0;

	assert_int_equal(ftruncate(fd, 8 * PAGE_SIZE), 0);
	assert_int_equal(ops->new(&p, NULL), 0);
	fake_set_script(p, script, NULL);
	assert_int_equal(ops->as_new(p, &as), 0);
	assert_int_equal(ops->ctx_new(p, &c), 0);
	assert_int_equal(ops->switch_to(c, as, &t), 0);
	assert_int_equal(t.event, PLAT_FAULT);
	assert_int_equal(t.code, SEGV_MAPERR);
	assert_int_equal(ops->map(as, c, 0x20000, 2 * PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_WRITE, fd, 0, 0), 0);
	assert_int_equal(ops->protect(as, c, 0x21000, PAGE_SIZE, PLAT_PROT_READ), 0);
	assert_int_equal(ops->switch_to(c, as, &t), 0);
	assert_int_equal(t.addr, 0x21000);
	assert_int_equal(t.code, SEGV_ACCERR);
	assert_int_equal(ops->protect(as, c, 0x21000, PAGE_SIZE, PLAT_PROT_READ | PLAT_PROT_WRITE), 0);
	ops->interrupt(c);
	assert_int_equal(ops->switch_to(c, as, &t), 0);
	assert_int_equal(t.event, PLAT_INTERRUPTED);
	assert_int_equal(ops->switch_to(c, as, &t), 0);
	assert_int_equal(t.event, PLAT_SYSCALL);
	assert_int_equal(t.args[2], 4);
	assert_int_equal(fake_read(as, 0x20ffc, &v, sizeof(v), &t), 0);
	assert_int_equal(v, 7);
	ops->ctx_free(c);
	ops->as_free(as);
	assert_int_equal(fake_counts(p).spaces + fake_counts(p).contexts, 0);
	ops->free(p);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(faults_then_calls) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
