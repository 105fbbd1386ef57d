/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads work on one address space at once; each checks its own bytes. Meant for the thread and address sanitizers, too. */
#include "mm_test_util.h"

#include <pthread.h>

#include "sentry/mm/shmobj.h"

#define ROUNDS 15000

static int nop_as_new(struct platform *p, struct plat_as **ret)
{
	*ret = (struct plat_as *)(uintptr_t)8;
	return 0;
}

static void nop_as_free(struct plat_as *as)
{
}

static int nop_map(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off, uint32_t flags)
{
	return 0;
}

static int nop_unmap(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	return 0;
}

static int nop_protect(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot)
{
	return 0;
}

static const struct platform_ops nop_ops = {
	.as_new = nop_as_new, .as_free = nop_as_free, .map = nop_map, .unmap = nop_unmap, .protect = nop_protect,
};

static struct mm *mm;
static uint64_t area, shared, object_at;
static struct mappable *object;
static _Atomic int failures;

#define EXPECT(x)                                                                                                                      \
	do {                                                                                                                           \
		if (!(x)) {                                                                                                            \
			print_message("%s:%d: %s\n", __func__, __LINE__, #x);                                                         \
			failures++;                                                                                                    \
		}                                                                                                                      \
	} while (0)

static void *writer(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg, v, got;
	unsigned seed = (unsigned)me;

	for (int i = 0; i < ROUNDS; i++) {
		/* Neighbouring words in the same pages. */
		uint64_t a = area + (uint64_t)(rand_r(&seed) % 512) * PAGE_SIZE + me * 8;
		struct mm_fault f;

		v = ((uint64_t)i << 8) | me;
		EXPECT(mm_copy_out(mm, GADDR(a), &v, 8) == 0);
		EXPECT(mm_handle_fault(mm, NULL, a, PLAT_ACCESS_WRITE, &f) == 0);
		EXPECT(mm_copy_in(mm, &got, GADDR(a), 8) == 0 && got == v);
		a = shared + (uint64_t)(rand_r(&seed) % 64) * PAGE_SIZE + me * 8;
		EXPECT(mm_copy_out(mm, GADDR(a), &v, 8) == 0);
		EXPECT(mm_copy_in(mm, &got, GADDR(a), 8) == 0 && got == v);
		EXPECT(mm_copy_in(mm, &got, GADDR(object_at + (uint64_t)(rand_r(&seed) % 64) * PAGE_SIZE), 8) == 0);
	}
	return NULL;
}

static void *forker(void *arg)
{
	for (int i = 0; i < ROUNDS / 5; i++) {
		struct mm *child;
		uint64_t v = 1, got;

		EXPECT(mm_fork(mm, NULL, &child) == 0);
		EXPECT(mm_copy_out(child, GADDR(area + 4000), &v, 8) == 0);
		EXPECT(mm_copy_in(mm, &got, GADDR(area + 4000), 8) == 0 && got == 0);
		mm_user_put(child);
		mm_put(child);
	}
	return NULL;
}

static void *mapper(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int64_t a = mm_mmap(mm, NULL, 0, 1 << 18, RW, PRIV_ANON, NULL, 0), b;
		uint64_t v = 5, got = 0;

		EXPECT(a > 0);
		EXPECT(mm_copy_out(mm, GADDR((uint64_t)a + 70000), &v, 8) == 0);
		b = mm_mremap(mm, NULL, (uint64_t)a, 1 << 18, 1 << 20, LINUX_MREMAP_MAYMOVE, 0);
		EXPECT(b > 0);
		EXPECT(mm_copy_in(mm, &got, GADDR((uint64_t)b + 70000), 8) == 0 && got == 5);
		EXPECT(mm_munmap(mm, NULL, (uint64_t)b, 1 << 20) == 0);
	}
	return NULL;
}

static void *invalidator(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		shmobj_punch(object, (uint64_t)(i % 64) * PAGE_SIZE, 8 * PAGE_SIZE);
		(void)mm_mprotect(mm, NULL, object_at, 64 * PAGE_SIZE, i % 2 ? RW : LINUX_PROT_READ);
		(void)mm_madvise(mm, NULL, object_at, 64 * PAGE_SIZE, LINUX_MADV_DONTNEED);
	}
	return NULL;
}

static void together(void **state)
{
	void *(*const fns[])(void *) = { writer, writer, forker, mapper, invalidator };
	struct kernel *k = test_kernel();
	pthread_t th[ARRAY_SIZE(fns)];
	struct plat_as *as;

	k->pops = &nop_ops;
	assert_int_equal(mm_new(k, &mm), 0);
	assert_int_equal(mm_as(mm, &as), 0);
	area = test_map(mm, 0, 512 * PAGE_SIZE, RW, PRIV_ANON);
	shared = test_map(mm, 0, 64 * PAGE_SIZE, RW, SHARED_ANON);
	assert_int_equal(shmobj_new(k->mf, 64 * PAGE_SIZE, &object), 0);
	object_at = (uint64_t)mm_map_object(mm, NULL, 0, 64 * PAGE_SIZE, RW, LINUX_MAP_SHARED, object, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fns); i++)
		assert_int_equal(pthread_create(&th[i], NULL, fns[i], (void *)(i + 1)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fns); i++)
		pthread_join(th[i], NULL);
	assert_int_equal(failures, 0);
	object->ops->put(object);
	mm_put(mm);
	test_kernel_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
