/* SPDX-License-Identifier: Apache-2.0 */
/* Freed pages that are kept: the list, and what the memory file makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/memfile.h"
#include "sentry/mm/warm.h"

static void list(void **state)
{
	struct warm w = { .max = 1 << 20 };
	struct warm_range r;
	uint64_t off;

	(void)state;
	assert_false(warm_take(&w, 4096, &off));
	warm_give(&w, 0, 65536);
	warm_give(&w, 131072, 16384);
	assert_true(warm_take(&w, 16384, &off)); /* the smallest that fits */
	assert_int_equal(off, 131072);
	assert_int_equal(w.nr, 1);
	assert_true(warm_take(&w, 16384, &off));
	assert_int_equal(off, 0);
	warm_give(&w, 65536, 65536); /* joins what is left of the first */
	assert_int_equal(w.nr, 1);
	assert_int_equal(w.total, 131072 - 16384);
	assert_false(warm_room(&w, (1 << 20) - w.total + 1));
	assert_true(warm_evict(&w, &r));
	assert_int_equal(r.off, 16384);
	assert_int_equal(w.total, 0);
	assert_false(warm_evict(&w, &r));
	for (uint64_t i = 0; i < WARM_SLOTS; i++)
		warm_give(&w, i * 8192, 4096);
	assert_false(warm_room(&w, 4096));
}

static bool all_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void reuse(void **state)
{
	struct memfile *mf;
	uint64_t a, b;
	char *p;

	(void)state;
	assert_int_equal(memfile_new(&mf), 0);
	memfile_keep_freed(mf, 1 << 20);
	assert_int_equal(memfile_alloc_warm(mf, 65536, &a), -ENOMEM);
	assert_int_equal(memfile_alloc(mf, 1 << 19, false, &a), 0);
	p = memfile_ptr(mf, a, 1 << 19);
	memset(p + 4096, 7, 65536);
	memset(p + 131072, 8, 8192); /* too short to be kept */
	memset(p + 262144, 9, 65536);
	memfile_unref(mf, a, 1 << 19);
	assert_int_equal(memfile_used(mf), 0);
	assert_int_equal(memfile_committed(mf), 0);
	/* Two of them were, and are zero again. */
	assert_int_equal(memfile_alloc_warm(mf, 65536, &a), 0);
	assert_int_equal(memfile_alloc_warm(mf, 32768, &b), 0);
	assert_true(all_zero(memfile_ptr(mf, a, 65536), 65536));
	assert_true(all_zero(memfile_ptr(mf, b, 32768), 32768));
	assert_false(memfile_is_hole(mf, a, 4096));
	assert_int_equal(memfile_used(mf), 65536 + 32768);
	assert_int_equal(memfile_alloc_warm(mf, 65536, &a), -ENOMEM);
	memfile_set_limit(mf, 65536 + 32768);
	assert_int_equal(memfile_alloc_warm(mf, 4096, &a), -ENOMEM);
	memfile_free(mf);
}

static void pressure(void **state)
{
	struct memfile *mf;
	uint64_t a[64];

	(void)state;
	assert_int_equal(memfile_new(&mf), 0);
	memfile_keep_freed(mf, 256 << 10);
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(memfile_alloc(mf, 65536, false, &a[i]), 0);
		memset(memfile_ptr(mf, a[i], 65536), 1, 65536);
	}
	for (size_t i = 0; i < 64; i += 2)
		memfile_unref(mf, a[i], 65536);
	for (size_t i = 1; i < 64; i += 2)
		memfile_unref(mf, a[i], 65536);
	assert_int_equal(memfile_used(mf), 0);
	assert_int_equal(memfile_committed(mf), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(memfile_alloc_warm(mf, 65536, &a[i]), 0);
	assert_int_equal(memfile_alloc_warm(mf, 65536, &a[4]), -ENOMEM);
	memfile_free(mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list),
		cmocka_unit_test(reuse),
		cmocka_unit_test(pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
