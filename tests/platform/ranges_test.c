/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "platform/ranges.h"

/* Against a plain array of flags. */
static void like_a_bitmap(void **state)
{
	struct ranges rs = { 0 };
	bool map[64] = { 0 };

	srand(1);
	for (int i = 0; i < 20000; i++) {
		uint64_t a = 1 + (uint64_t)rand() % 62, b = a + 1 + (uint64_t)rand() % (63 - a);
		bool add = rand() & 1;
		struct addr_range r;

		assert_int_equal(add ? ranges_add(&rs, a, b) : ranges_del(&rs, a, b), 0);
		for (uint64_t k = a; k < b; k++)
			map[k] = add;
		for (size_t k = 0; k < rs.n; k++) {
			assert_true(rs.v[k].start < rs.v[k].end);
			assert_true(k == 0 || rs.v[k - 1].end < rs.v[k].start);
		}
		for (uint64_t k = 0; k < 64; k++)
			assert_int_equal(ranges_next(&rs, k, k + 1, &r), map[k]);
	}
	ranges_done(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(like_a_bitmap) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
