/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/htab.h"

static void put_get_del(void **state)
{
	struct htab h = { 0 };
	size_t pos = 0, n = 0;
	uint64_t key;
	void *val;

	for (uint64_t i = 1; i <= 1000; i++)
		assert_int_equal(htab_put(&h, i, (void *)(uintptr_t)(i * 8)), 0);
	for (uint64_t i = 2; i <= 1000; i += 2)
		assert_ptr_equal(htab_del(&h, i), (void *)(uintptr_t)(i * 8));
	for (uint64_t i = 1; i <= 1000; i++)
		assert_ptr_equal(htab_get(&h, i), i % 2 ? (void *)(uintptr_t)(i * 8) : NULL);
	while (htab_next(&h, &pos, &key, &val))
		n++;
	assert_int_equal(n, 500);
	htab_done(&h);
}

static void churn_does_not_grow_for_ever(void **state)
{
	struct htab h = { 0 };

	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(htab_put(&h, i, &h), 0);
		assert_non_null(htab_del(&h, i));
	}
	assert_true(h.cap <= 64);
	htab_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_del),
		cmocka_unit_test(churn_does_not_grow_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
