// SPDX-License-Identifier: Apache-2.0
/* Code written into memory and executed; execute permission, shared code pages, two mappings of one memfd (W and X). */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;

static void jump(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	siglongjmp(jb, sig);
}

static void emit(uint8_t *c, uint32_t v)
{
	c[0] = 0xb8; /* mov $v, %eax; ret */
	memcpy(c + 1, &v, 4);
	c[5] = 0xc3;
}

typedef uint32_t (*fn_t)(void);

void guest_test(void)
{
	uint8_t *p = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *w, *x;
	int fd = OK(memfd_create("jit", 0));

	guest_handler(SIGSEGV, jump, SA_NODEFER);
	emit(p, 1234);
	if (sigsetjmp(jb, 1) == 0) {
		((fn_t)p)();
		CHECK(!"executed");
	}
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(((fn_t)p)(), 1234);
	guest_checkpoint();
	CHECK_EQ(((fn_t)p)(), 1234);
	SUBTEST("rewrite");
	for (uint32_t i = 0; i < 20; i++) {
		CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
		emit(p, i);
		CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
		CHECK_EQ(((fn_t)p)(), i);
	}
	SUBTEST("RWX");
	CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	for (uint32_t i = 0; i < 20; i++) {
		emit(p + PAGE, i * 3);
		CHECK_EQ(((fn_t)(p + PAGE))(), i * 3);
	}
	SUBTEST("double mapping");
	OK(ftruncate(fd, PAGE));
	w = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	x = OK(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
	emit(w, 77);
	CHECK_EQ(((fn_t)x)(), 77);
	guest_checkpoint();
	emit(w, 78);
	CHECK_EQ(((fn_t)x)(), 78);
	if (sigsetjmp(jb, 1) == 0) {
		((fn_t)w)();
		CHECK(!"executed");
	}
	if (sigsetjmp(jb, 1) == 0) {
		x[0] = 0;
		CHECK(!"written");
	}
}
