/* SPDX-License-Identifier: Apache-2.0 */
/* Size and components of the XSAVE area the host enabled, from CPUID leaf 0DH and XCR0. */
#include <cpuid.h>

#include "platform/regs.h"

#define LEGACY_AREA 576 /* FXSAVE image and XSAVE header */

static bool have_xsave(void)
{
	uint32_t a, b, c = 0, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

/* CPUID costs tens of microseconds on a virtual machine: asked once. Racing first callers store the same value. */
uint64_t arch_xsave_mask(void)
{
	static _Atomic uint64_t mask;
	uint32_t lo = 3, hi = 0;

	if (!mask) {
		if (have_xsave())
			__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		mask = (uint64_t)hi << 32 | lo;
	}
	return mask;
}

uint32_t arch_xsave_size(void)
{
	static _Atomic uint32_t size;
	uint32_t a, b = 0, c, d;

	if (!size) {
		if (!have_xsave() || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d) || b < LEGACY_AREA)
			b = LEGACY_AREA;
		size = MIN(b, (uint32_t)ARCH_XSAVE_MAX);
	}
	return size;
}
