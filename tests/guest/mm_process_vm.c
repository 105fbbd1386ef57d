// SPDX-License-Identifier: Apache-2.0
/* process_vm_readv/writev between processes, partial results, permissions, dead targets. */
#include "guest.h"

void guest_test(void)
{
	char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), buf[3 * PAGE];
	struct iovec l[2], r[2];
	struct gate g;
	pid_t c, d;

	gate_init(&g);
	munmap(p + 3 * PAGE, PAGE);
	CHILD (c) {
		guest_fill(p, 3 * PAGE, 8);
		gate_wait(&g);
		CHECK(memcmp(p + 100, "written", 7) == 0);
		_exit(0);
	}
	guest_blocked(c);
	guest_checkpoint();
	l[0] = (struct iovec){buf, 3 * PAGE};
	r[0] = (struct iovec){p, 3 * PAGE};
	CHECK_EQ(process_vm_readv(c, l, 1, r, 1, 0), 3 * PAGE);
	CHECK(guest_filled(buf, 3 * PAGE, 8));
	CHECK_EQ(p[5], 0); /* ours is apart */
	SUBTEST("scatter");
	l[0] = (struct iovec){buf, 10};
	l[1] = (struct iovec){buf + 20, 10};
	r[0] = (struct iovec){p + 1, 5};
	r[1] = (struct iovec){p + 2 * PAGE - 5, 15};
	CHECK_EQ(process_vm_readv(c, l, 2, r, 2, 0), 20);
	SUBTEST("partial");
	l[0] = (struct iovec){buf, PAGE};
	r[0] = (struct iovec){p + 3 * PAGE - 16, 16};
	r[1] = (struct iovec){p + 3 * PAGE, 16};
	CHECK_EQ(process_vm_readv(c, l, 1, r, 2, 0), 16);
	CHECK_ERRNO(process_vm_readv(c, l, 1, r + 1, 1, 0), EFAULT);
	SUBTEST("write");
	l[0] = (struct iovec){(void *)"written", 7};
	r[0] = (struct iovec){p + 100, 7};
	CHECK_EQ(process_vm_writev(c, l, 1, r, 1, 0), 7);
	SUBTEST("errors");
	CHECK_ERRNO(process_vm_readv(c, l, 1, r, 1, 1), EINVAL);
	CHECK_ERRNO(process_vm_readv(999999, l, 1, r, 1, 0), ESRCH);
	CHILD (d) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		l[0] = (struct iovec){buf, 7};
		CHECK_ERRNO(process_vm_readv(c, l, 1, r, 1, 0), EPERM);
		_exit(0);
	}
	guest_reap(d);
	gate_post(&g);
	guest_reap(c);
}
