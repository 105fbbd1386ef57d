/* SPDX-License-Identifier: Apache-2.0 */
/* The 9P decoder: any bytes; what decodes must encode to the same bytes. */
#include <string.h>

#include "gofer/proto/p9.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[P9_MSIZE_MAX];
	struct p9_buf b = { .p = (uint8_t *)(uintptr_t)data, .len = size };
	struct p9_dirent_wire d;
	struct p9_msg m;

	if (size > sizeof(out))
		return 0;
	while (b.pos < b.len && p9_get_dirent(&b, &d, size & 1) == 0)
		;
	if (p9_decode(data, size, &m) < 0)
		return 0;
	if (p9_encode(&m, out, sizeof(out)) != (int64_t)size || memcmp(out, data, size))
		abort();
	return 0;
}
