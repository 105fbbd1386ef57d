// SPDX-License-Identifier: Apache-2.0
/* mincore, mlock family and RLIMIT_MEMLOCK semantics. */
#include "guest.h"

/* All of it, whatever its size and place; and after a restore, while old content still waits in the image. */
static void populate(void)
{
	enum { N = 3000 };
	unsigned char vec[N];

	for (int n = 2; n <= N; n = n == 2 ? 40 : n == 40 ? 600 : n * 5) {
		char *q = OK(mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));

		CHECK_EQ(mincore(q, n * PAGE, vec), 0);
		/* In random mode a checkpoint may come between, and an image has no pages of zeroes. */
		for (int i = 0; i < n && !getenv("GUEST_REPEAT"); i++)
			CHECK(vec[i] & 1);
		munmap(q, n * PAGE);
	}
}

void guest_test(void)
{
	char *p = OK(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char vec[8];

	SUBTEST("mincore");
	p[0] = 1;
	p[3 * PAGE] = 1;
	CHECK_EQ(mincore(p, 8 * PAGE, vec), 0);
	CHECK(vec[0] & 1);
	CHECK(vec[3] & 1);
	CHECK_ERRNO(mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_ERRNO(mincore(p, PAGE, (void *)8), EFAULT);
	CHECK_EQ(mincore(p, 0, vec), 0);
	SUBTEST("mlock");
	CHECK_EQ(mlock(p, PAGE), 0);
	CHECK_EQ(mlock(p + 100, 10), 0); /* rounded */
	CHECK_EQ(munlock(p, 8 * PAGE), 0);
	CHECK_ERRNO(mlock((void *)0x10000000, PAGE), ENOMEM);
	CHECK_EQ(mlock2(p, PAGE, MLOCK_ONFAULT), 0);
	CHECK_ERRNO(mlock2(p, PAGE, 0x80), EINVAL);
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK_ERRNO(mlockall(MCL_ONFAULT), EINVAL);
	SUBTEST("MAP_POPULATE");
	enum { OLD = 32 << 20 };
	char *old = OK(mmap(NULL, OLD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(old, 1, OLD);
	populate();
	guest_checkpoint();
	populate();
	CHECK(old[0] == 1 && old[OLD - 1] == 1);
	munmap(old, OLD);
	CHECK_EQ(munlockall(), 0);
	SUBTEST("limit without CAP_IPC_LOCK");
	pid_t c;
	CHILD (c) {
		struct rlimit rl = {2 * PAGE, 2 * PAGE};

		OK(setrlimit(RLIMIT_MEMLOCK, &rl));
		OK(setresuid(1000, 1000, 1000));
		CHECK_EQ(mlock(p, 2 * PAGE), 0);
		CHECK_ERRNO(mlock(p + 2 * PAGE, PAGE), ENOMEM);
		CHECK_EQ(mlock(p, 2 * PAGE), 0); /* already locked pages do not count twice */
		CHECK_EQ(munlock(p, PAGE), 0);
		CHECK_EQ(mlock(p + 2 * PAGE, PAGE), 0);
		rl.rlim_cur = 0;
		OK(setrlimit(RLIMIT_MEMLOCK, &rl));
		CHECK_ERRNO(mlock(p, PAGE), EPERM);
		_exit(0);
	}
	guest_reap(c);
	SUBTEST("RLIMIT_AS");
	CHILD (c) {
		struct rlimit rl = {300UL << 20, 300UL << 20};

		OK(setrlimit(RLIMIT_AS, &rl));
		CHECK_ERRNO(mmap(NULL, 400UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
		CHECK(mmap(NULL, 1UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
		_exit(0);
	}
	guest_reap(c);
}
