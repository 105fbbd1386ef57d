// SPDX-License-Identifier: Apache-2.0
/* Futex wake counts, requeue, cmp_requeue, bitsets, wake_op and argument errors; requeued waiters over a checkpoint. */
#include "guest.h"
#include <linux/futex.h>

static int a, b;
static int woken;
static volatile int started;

static long futex(int *addr, int op, int val, void *t, int *addr2, int val3)
{
	return syscall(SYS_futex, addr, op, val, t, addr2, val3);
}

static void *waiter(void *arg)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(futex(arg, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *bits(void *arg)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(futex(&a, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1 << (intptr_t)arg), 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void settle(int n)
{
	while (started < n)
		msleep(1);
	msleep(20);
}

static void want_woken(int n)
{
	for (int i = 0; i < 2000 && __atomic_load_n(&woken, __ATOMIC_SEQ_CST) < n; i++)
		msleep(1);
	msleep(5);
	CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), n);
}

void guest_test(void)
{
	struct timespec ts = {0, MS}, bad = {0, 1000 * MS}, neg = {-1, 0};
	pthread_t t[6];

	SUBTEST("wait errors");
	CHECK_ERRNO(futex(&a, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&a, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
	CHECK_ERRNO(futex(&a, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&a, FUTEX_WAIT, 0, &neg, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((int *)((char *)&a + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((int *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&a, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&a, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&a, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_EQ(futex(&a, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	SUBTEST("wake n");
	for (int i = 0; i < 6; i++)
		t[i] = guest_thread(waiter, &a);
	settle(6);
	CHECK_EQ(futex(&a, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2);
	want_woken(2);
	SUBTEST("requeue");
	CHECK_ERRNO(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &b, 7), EAGAIN);
	CHECK_EQ(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &b, 0), 3);
	want_woken(3);
	guest_checkpoint();
	CHECK_EQ(futex(&a, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&b, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2);
	want_woken(6);
	for (int i = 0; i < 6; i++)
		guest_join(t[i]);
	SUBTEST("bitsets");
	started = woken = 0;
	for (int i = 0; i < 3; i++)
		t[i] = guest_thread(bits, (void *)(intptr_t)i);
	settle(3);
	guest_checkpoint();
	CHECK_EQ(futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 1 << 5), 0);
	CHECK_EQ(futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 5), 2);
	want_woken(2);
	CHECK_EQ(futex(&a, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	for (int i = 0; i < 3; i++)
		guest_join(t[i]);
	SUBTEST("wake_op");
	started = woken = 0;
	b = 5;
	t[0] = guest_thread(waiter, &a);
	settle(1);
	/* b = b + 3; wake 1 on a; wake on b if the old b == 5 */
	CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)), 1);
	CHECK_EQ(b, 8);
	guest_join(t[0]);
	CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_XOR, 15, FUTEX_OP_CMP_LT, 0)), 0);
	CHECK_EQ(b, 7);
	CHECK_ERRNO(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, FUTEX_OP(7, 1, FUTEX_OP_CMP_EQ, 0)), ENOSYS);
	SUBTEST("private and shared keys differ only by flag; a shared mapping has one key");
	int *s1 = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	int *s2 = mremap(s1, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(s2 != MAP_FAILED);
	pid_t p;
	CHILD (p) {
		CHECK_EQ(futex(s1 + 3, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(futex(s2 + 3, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	guest_reap(p);
}
