/* SPDX-License-Identifier: Apache-2.0 */
/* What an image made here needs, and what this machine offers to images: the one fits in the other, and Linux agrees with the names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/regs.h"
#include "sentry/arch/cpu_features.h"
#include "state/manifest.h"

static bool listed(char **v, const char *name)
{
	for (size_t i = 0; v[i]; i++)
		if (!strcmp(v[i], name))
			return true;
	return false;
}

static void needs_fit_offers(void **state)
{
	struct manifest needs = { 0 }, offers = { 0 };
	struct error *err = NULL;

	assert_int_equal(cpu_manifest_needs(&needs), 0);
	assert_int_equal(cpu_manifest_offers(&offers), 0);
	if (manifest_check_features(&needs, &offers, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_int_equal(needs.page_size, PAGE_SIZE);
	assert_true(listed(needs.cpu_features, "sse2"));
	/* Hints are accepted from old images on any CPU, and never asked for. */
	assert_true(listed(offers.cpu_features, "erms") && listed(offers.cpu_features, "3dnowprefetch"));
	assert_false(listed(needs.cpu_features, "erms") || listed(needs.cpu_features, "3dnowprefetch"));
	for (size_t i = 0; needs.cpu_features[i]; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(needs.cpu_features[i], needs.cpu_features[k]);
	cpu_manifest_done(&needs);
	cpu_manifest_done(&offers);
}

static void components(void **state)
{
	struct manifest needs = { 0 };

	assert_int_equal(cpu_manifest_needs(&needs), 0);
	assert_int_equal(needs.xcr0, arch_xsave_mask() & ~ARCH_XSAVE_UNUSABLE);
	for (size_t i = 0; i < needs.nr_xsave; i++) {
		const struct manifest_xsave *x = &needs.xsave[i];

		assert_true(needs.xcr0 >> x->bit & 1);
		assert_true(x->size && x->offset >= 576 && x->offset + x->size <= needs.xsave_size);
	}
	cpu_manifest_done(&needs);
}

/* Protection keys and AMX of another host, wherever they lie there, do not stand in the way; what matters does. */
static void other_hosts(void **state)
{
	struct manifest_xsave pkru[] = { { 9, 12345, 8 } };
	struct manifest image = { .xcr0 = 3 | ARCH_XSAVE_UNUSABLE, .xsave = pkru, .nr_xsave = 1 }, offers = { 0 };

	assert_int_equal(cpu_manifest_offers(&offers), 0);
	assert_int_equal(manifest_check_features(&image, &offers, NULL), 0);
	image.xcr0 |= 1ull << 13; /* a supervisor's: never in XCR0 */
	assert_int_equal(manifest_check_features(&image, &offers, NULL), -ENOTSUP);
	cpu_manifest_done(&offers);
}

/* Names that an operator can look up. Linux hides what it does not use, and calls two of them otherwise, so most is asked, not all. */
static void names_of_linux(void **state)
{
	static char flags[16384];
	struct manifest needs = { 0 };
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t known = 0, n = 0;
	char word[80];

	assert_non_null(f);
	while (fgets(flags, sizeof(flags), f) && strncmp(flags, "flags", 5) != 0)
		;
	(void)fclose(f);
	flags[strcspn(flags, "\n")] = ' ';
	assert_int_equal(cpu_manifest_needs(&needs), 0);
	for (; needs.cpu_features[n]; n++) {
		(void)snprintf(word, sizeof(word), " %s ", needs.cpu_features[n]);
		known += strstr(flags, word) != NULL;
	}
	assert_true(known * 4 >= n * 3);
	cpu_manifest_done(&needs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_fit_offers),
		cmocka_unit_test(components),
		cmocka_unit_test(other_hosts),
		cmocka_unit_test(names_of_linux),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
