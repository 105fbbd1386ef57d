// SPDX-License-Identifier: Apache-2.0
/* 64 MiB touched with a pattern, and a huge sparse mapping, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	size_t n = 64UL << 20, huge = 64UL << 30;
	uint64_t *p = OK(mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *s = OK(mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

	for (size_t i = 0; i < n / 8; i++)
		p[i] = i * 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < huge; i += huge / 64)
		s[i + 12345] = (char)(i / (huge / 64) + 1);
	guest_checkpoint();
	for (size_t i = 0; i < n / 8; i++)
		if (p[i] != i * 0x9e3779b97f4a7c15ULL)
			CHECK_EQ(p[i], i * 0x9e3779b97f4a7c15ULL);
	for (size_t i = 0; i < huge; i += huge / 64) {
		CHECK_EQ(s[i + 12345], i / (huge / 64) + 1);
		CHECK_EQ(s[i + 20 * PAGE], 0);
	}
	for (size_t i = 0; i < n / 8; i += 512)
		p[i] = ~p[i];
	guest_checkpoint();
	for (size_t i = 0; i < n / 8; i += 512)
		if (p[i] != ~(i * 0x9e3779b97f4a7c15ULL))
			CHECK_EQ(p[i], ~(i * 0x9e3779b97f4a7c15ULL));
}
