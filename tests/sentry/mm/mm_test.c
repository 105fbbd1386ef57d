/* SPDX-License-Identifier: Apache-2.0 */
#include "mm_test_util.h"

#include <signal.h>

static void anon_touch_and_unmap(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t a = test_map(mm, 0, 1 << 20, RW, PRIV_ANON);

	assert_int_equal(guest_read(mm, a), 0);
	assert_int_equal(guest_write(mm, a + 5, 42), 0);
	assert_int_equal(guest_read(mm, a + 5), 42);
	assert_int_equal(guest_read(mm, a - 1), -SIGSEGV);
	assert_int_equal(guest_write(mm, a + (1 << 20) - 1, 7), 0);
	assert_int_equal(mm_munmap(mm, CTX, a + 4096, 8192), 0);
	assert_int_equal(guest_read(mm, a + 4096), -SIGSEGV);
	assert_int_equal(guest_read(mm, a + 5), 42);
	assert_int_equal(guest_read(mm, a + 12288), 0);
	mm_put(mm);
	test_kernel_free(k);
}

static void one_fault_maps_a_window(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t a = test_map(mm, 0, 64 << 20, RW, PRIV_ANON);

	fake_maps = 0;
	for (uint64_t i = 0; i < 64 << 20; i += PAGE_SIZE)
		assert_int_equal(guest_write(mm, a + i, 1), 0);
	assert_true(fake_maps < 60);
	assert_true(mm->pmas.nr < 4);
	mm_put(mm);
	test_kernel_free(k);
}

static void protections(void **state)
{
	for (int unknown = 0; unknown < 2; unknown++) {
		struct kernel *k = test_kernel();
		struct mm *mm = test_mm(k);
		uint64_t a = test_map(mm, 0, 16 * PAGE_SIZE, RW, PRIV_ANON);

		fake_access_unknown = unknown;
		assert_int_equal(guest_write(mm, a, 1), 0);
		assert_int_equal(mm_mprotect(mm, NULL, a, PAGE_SIZE, LINUX_PROT_READ), 0);
		assert_int_equal(mm->vmas.nr, 2);
		assert_int_equal(guest_read(mm, a), 1);
		assert_int_equal(guest_write(mm, a, 2), SIGSEGV);
		assert_int_equal(mm_mprotect(mm, NULL, a, PAGE_SIZE, LINUX_PROT_NONE), 0);
		assert_int_equal(guest_read(mm, a), -SIGSEGV);
		assert_int_equal(mm_mprotect(mm, NULL, a, PAGE_SIZE, RW), 0);
		assert_int_equal(mm->vmas.nr, 1);
		assert_int_equal(guest_write(mm, a, 3), 0);
		assert_int_equal(guest_read(mm, a), 3);
		/* A hole: what comes before it is changed all the same. */
		assert_int_equal(mm_munmap(mm, CTX, a + 2 * PAGE_SIZE, PAGE_SIZE), 0);
		assert_int_equal(mm_mprotect(mm, NULL, a, 4 * PAGE_SIZE, LINUX_PROT_READ), -ENOMEM);
		assert_int_equal(guest_write(mm, a, 4), SIGSEGV);
		assert_int_equal(guest_write(mm, a + 3 * PAGE_SIZE, 4), 0);
		assert_int_equal(mm_mprotect(mm, NULL, a + 1, PAGE_SIZE, RW), -EINVAL);
		assert_int_equal(mm_mprotect(mm, NULL, a, UINT64_MAX - 5000, RW), -ENOMEM);
		assert_int_equal(mm_mprotect(mm, NULL, a, PAGE_SIZE, 0x40), -EINVAL);
		mm_put(mm);
		test_kernel_free(k);
	}
	fake_access_unknown = false;
}

static void fork_is_copy_on_write(void **state)
{
	for (int unknown = 0; unknown < 2; unknown++) {
		struct kernel *k = test_kernel();
		struct mm *mm = test_mm(k), *child;
		struct plat_as *as;
		uint64_t a = test_map(mm, 0, 1 << 20, RW, PRIV_ANON), s = test_map(mm, 0, 1 << 16, RW, SHARED_ANON);

		fake_access_unknown = unknown;
		for (int i = 0; i < 256; i++)
			assert_int_equal(guest_write(mm, a + (uint64_t)i * PAGE_SIZE, (uint8_t)i), 0);
		assert_int_equal(guest_write(mm, s, 9), 0);
		assert_int_equal(mm_fork(mm, CTX, &child), 0);
		assert_int_equal(mm_as(child, &as), 0);
		assert_int_equal(guest_read(child, a + 5 * PAGE_SIZE), 5);
		assert_int_equal(guest_write(mm, a + 5 * PAGE_SIZE, 99), 0);
		assert_int_equal(guest_write(child, a + 6 * PAGE_SIZE, 98), 0);
		for (int i = 0; i < 256; i++) {
			assert_int_equal(guest_read(mm, a + (uint64_t)i * PAGE_SIZE), i == 5 ? 99 : i);
			assert_int_equal(guest_read(child, a + (uint64_t)i * PAGE_SIZE), i == 6 ? 98 : i);
		}
		assert_int_equal(guest_write(child, s, 10), 0);
		assert_int_equal(guest_read(mm, s), 10);
		assert_int_equal(mm_copy_out(child, GADDR(a + 7 * PAGE_SIZE), "x", 1), 0);
		assert_int_equal(guest_read(child, a + 7 * PAGE_SIZE), 'x');
		assert_int_equal(guest_read(mm, a + 7 * PAGE_SIZE), 7);
		mm_user_put(child);
		mm_put(child);
		/* Sole owner again: no copy, all of it writable. */
		fake_maps = 0;
		for (int i = 0; i < 256; i++)
			assert_int_equal(guest_write(mm, a + (uint64_t)i * PAGE_SIZE, 1), 0);
		assert_true(fake_maps < 30);
		mm_put(mm);
		test_kernel_free(k);
	}
	fake_access_unknown = false;
}

static void copies(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t a = test_map(mm, 0, 1 << 20, RW, PRIV_ANON), ro = test_map(mm, 0, PAGE_SIZE, LINUX_PROT_READ, PRIV_ANON);
	char buf[10000], out[10000];
	struct futex_key k1, k2;
	struct uio u;
	uint32_t v;

	memset(buf, 'q', sizeof(buf));
	assert_int_equal(mm_copy_out(mm, GADDR(a + 100), buf, sizeof(buf)), 0);
	assert_int_equal(mm_copy_in(mm, out, GADDR(a + 100), sizeof(out)), 0);
	assert_memory_equal(buf, out, sizeof(buf));
	assert_int_equal(guest_read(mm, a + 100), 'q');
	assert_int_equal(mm_zero_out(mm, GADDR(a + 101), 3), 0);
	assert_int_equal(guest_read(mm, a + 101), 0);
	assert_int_equal(mm_copy_out(mm, GADDR(ro), buf, 1), -EFAULT);
	assert_int_equal(mm_access(mm, GADDR(ro), buf, 1, true, true), 1);
	assert_int_equal(guest_read(mm, ro), 'q');
	assert_int_equal(mm_copy_in(mm, out, GADDR(a + (1 << 20) - 4), 8), -EFAULT);
	assert_int_equal(mm_copy_in_some(mm, out, GADDR(a + (1 << 20) - 4), 8), 4);
	assert_int_equal(mm_copy_in(mm, out, GADDR(UINT64_MAX - 3), 8), -EFAULT);
	assert_int_equal(mm_copy_in(mm, out, GADDR(a), UINT64_MAX), -EFAULT);
	assert_int_equal(mm_copy_out(mm, GADDR(a + (1 << 20) - 6), "hello", 6), 0);
	assert_int_equal(mm_copy_in_str(mm, out, GADDR(a + (1 << 20) - 6), sizeof(out)), 5);
	assert_int_equal(mm_copy_in_str(mm, out, GADDR(a + (1 << 20) - 6), 5), -ENAMETOOLONG);
	assert_int_equal(mm_copy_out(mm, GADDR(a + (1 << 20) - 1), "z", 1), 0);
	assert_int_equal(mm_copy_in_str(mm, out, GADDR(a + (1 << 20) - 6), sizeof(out)), -EFAULT);

	assert_int_equal(mm_copy_out(mm, GADDR(a), "\1\0\0\0", 4), 0);
	assert_int_equal(mm_cmpxchg_u32(mm, GADDR(a), 1, 2, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(mm_load_u32(mm, GADDR(a), &v), 0);
	assert_int_equal(v, 2);
	assert_int_equal(mm_load_u32(mm, GADDR(a + 2), &v), -EINVAL);
	assert_int_equal(mm_cmpxchg_u32(mm, GADDR(ro), 1, 2, &v), -EFAULT);
	assert_int_equal(mm_futex_key(mm, GADDR(a), false, true, &k1), 0);
	assert_int_equal(mm_futex_key(mm, GADDR(a), true, true, &k2), 0);
	assert_memory_equal(&k1, &k2, sizeof(k1));

	{
		struct linux_iovec iov[3] = { { a, 3 }, { a + 5000, 0 }, { a + 6000, 7 } };
		struct iovec host[4];

		assert_int_equal(mm_copy_out(mm, GADDR(a + 9000), iov, sizeof(iov)), 0);
		assert_int_equal(uio_user_iov(&u, mm, GADDR(a + 9000), 3), 0);
		assert_int_equal(u.left, 10);
		assert_int_equal(uio_put(&u, "abcd", 4), 4);
		struct uio mark = uio_mark(&u);
		assert_int_equal(uio_put(&u, "XXX", 3), 3);
		u = mark;
		assert_int_equal(uio_pin(&u, true, host, 4), 1);
		assert_int_equal(host[0].iov_len, 6);
		memcpy(host[0].iov_base, "efghij", 6);
		uio_unpin(&u);
		uio_advance(&u, 6);
		assert_int_equal(u.left, 0);
		uio_done(&u);
		assert_int_equal(mm_copy_in(mm, out, GADDR(a), 3), 0);
		assert_int_equal(mm_copy_in(mm, out + 3, GADDR(a + 6000), 7), 0);
		assert_memory_equal(out, "abcdefghij", 10);
	}
	mm_put(mm);
	test_kernel_free(k);
}

static void brk_and_stack(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t b = 0x555555560000, top = mm_stack_top(mm), s;

	mm_set_brk(mm, b);
	assert_int_equal(mm_brk(mm, NULL, 0), b);
	assert_int_equal(mm_brk(mm, NULL, b + 10000), b + 10000);
	assert_int_equal(guest_write(mm, b + 10000, 1), 0);
	assert_int_equal(guest_read(mm, b + 3 * PAGE_SIZE), -SIGSEGV);
	assert_int_equal(mm_brk(mm, NULL, b + 1), b + 1);
	assert_int_equal(guest_read(mm, b + 10000), -SIGSEGV);
	assert_int_equal(mm_brk(mm, NULL, b + 10000), b + 10000);
	assert_int_equal(guest_read(mm, b + 10000), 0);
	assert_int_equal(mm_brk(mm, NULL, UINT64_MAX - 4000), b + 10000);

	s = test_map(mm, top - 4 * PAGE_SIZE, 4 * PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_GROWSDOWN | LINUX_MAP_FIXED);
	assert_int_equal(guest_write(mm, s - 3 * PAGE_SIZE, 1), 0);
	assert_int_equal(guest_write(mm, s - (1 << 20), 1), 0);
	assert_int_equal(mm_copy_out(mm, GADDR(s - (2 << 20)), "a", 1), 0);
	assert_int_equal(guest_write(mm, s - (9 << 20), 1), SIGSEGV);
	mm_put(mm);
	test_kernel_free(k);
}

static void addresses(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t a = test_map(mm, 0, PAGE_SIZE, RW, PRIV_ANON), b = test_map(mm, 0, PAGE_SIZE, RW, PRIV_ANON);

	assert_int_equal(b, a - PAGE_SIZE);
	assert_int_equal(mm->vmas.nr, 1);
	assert_int_equal(test_map(mm, a - (1 << 20) + 5, PAGE_SIZE, RW, PRIV_ANON), a - (1 << 20));
	assert_int_equal(mm_mmap(mm, NULL, a, PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_FIXED_NOREPLACE, NULL, 0), -EEXIST);
	assert_int_equal(mm_mmap(mm, NULL, a + 1, PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_FIXED, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(mm, NULL, 0, PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_FIXED, NULL, 0), -EPERM);
	assert_int_equal(mm_mmap(mm, NULL, 0, 0, RW, PRIV_ANON, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(mm, NULL, 0, UINT64_MAX - 100, RW, PRIV_ANON, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(mm, NULL, 0, UINT64_MAX, RW, PRIV_ANON, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(mm, NULL, 0, 1ULL << 47, RW, PRIV_ANON, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(mm, NULL, LINUX_TASK_SIZE_MAX, PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(mm, NULL, 0, PAGE_SIZE, RW, LINUX_MAP_ANONYMOUS, NULL, 0), -EINVAL);
	assert_int_equal(mm_munmap(mm, CTX, a, 0), -EINVAL);
	assert_int_equal(mm_munmap(mm, CTX, a + 1, PAGE_SIZE), -EINVAL);
	assert_int_equal(mm_munmap(mm, CTX, a, UINT64_MAX - a), -EINVAL);
	assert_true(test_map(mm, 0, PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_32BIT) < 0x80000000);
	mm_put(mm);
	test_kernel_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anon_touch_and_unmap), cmocka_unit_test(one_fault_maps_a_window), cmocka_unit_test(protections),
		cmocka_unit_test(fork_is_copy_on_write), cmocka_unit_test(copies), cmocka_unit_test(brk_and_stack),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
