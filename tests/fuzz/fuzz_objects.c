/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzer of the load() of every kernel object: the first byte chooses the type, the rest the values of its fields. Loads in this process,
 * so that coverage is seen; what is loaded is abandoned, as in a restore that failed: run it with
 *   build-fuzz/fuzz/fuzz_objects -fork=1 -detect_leaks=0 -rss_limit_mb=2000 -max_total_time=600 [corpus directory]
 */
#include "base/error.h"
#include "tests/fakes/hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct hostile h = { .p = p + 1, .n = n - 1 };
	struct strbuf b = STRBUF_INIT;
	struct error *err = NULL;
	size_t nr = 0;

	if (!n)
		return 0;
	while (hostile_type(nr))
		nr++;
	hostile_image_of(&h, hostile_type(p[0] % nr), &b);
	(void)!hostile_load(b.data, b.len, &err);
	error_free(err);
	strbuf_done(&b);
	return 0;
}
