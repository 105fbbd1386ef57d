/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU features that an image requires, named as in /proc/cpuinfo.
 *
 * What user space can execute counts: a library chooses its code once, by CPUID, and a restored process runs that code. What only
 * hints does not (a prefetch or cldemote where there is none is a no-op, rep movsb only slower without erms), nor what only the
 * host's kernel uses, nor what every x86-64 has: hosts of one fleet differ there by microcode and kernel, and nobody could tell.
 */
#include "sentry/arch/cpu_features.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "platform/regs.h"
#include "state/manifest.h"

enum reg { EAX, EBX, ECX, EDX };

static const struct {
	uint32_t leaf, sub;
	enum reg reg;
	uint8_t bit;
	const char *name;
} features[] = {
	{ 1, 0, EDX, 25, "sse" },
	{ 1, 0, EDX, 26, "sse2" },
	{ 1, 0, ECX, 0, "pni" },
	{ 1, 0, ECX, 1, "pclmulqdq" },
	{ 1, 0, ECX, 9, "ssse3" },
	{ 1, 0, ECX, 12, "fma" },
	{ 1, 0, ECX, 13, "cx16" },
	{ 1, 0, ECX, 19, "sse4_1" },
	{ 1, 0, ECX, 20, "sse4_2" },
	{ 1, 0, ECX, 22, "movbe" },
	{ 1, 0, ECX, 23, "popcnt" },
	{ 1, 0, ECX, 25, "aes" },
	{ 1, 0, ECX, 27, "osxsave" },
	{ 1, 0, ECX, 28, "avx" },
	{ 1, 0, ECX, 29, "f16c" },
	{ 1, 0, ECX, 30, "rdrand" },
	{ 7, 0, EBX, 0, "fsgsbase" },
	{ 7, 0, EBX, 3, "bmi1" },
	{ 7, 0, EBX, 5, "avx2" },
	{ 7, 0, EBX, 8, "bmi2" },
	{ 7, 0, EBX, 11, "rtm" },
	{ 7, 0, EBX, 16, "avx512f" },
	{ 7, 0, EBX, 17, "avx512dq" },
	{ 7, 0, EBX, 18, "rdseed" },
	{ 7, 0, EBX, 19, "adx" },
	{ 7, 0, EBX, 21, "avx512ifma" },
	{ 7, 0, EBX, 23, "clflushopt" },
	{ 7, 0, EBX, 24, "clwb" },
	{ 7, 0, EBX, 26, "avx512pf" },
	{ 7, 0, EBX, 27, "avx512er" },
	{ 7, 0, EBX, 28, "avx512cd" },
	{ 7, 0, EBX, 29, "sha_ni" },
	{ 7, 0, EBX, 30, "avx512bw" },
	{ 7, 0, EBX, 31, "avx512vl" },
	{ 7, 0, ECX, 1, "avx512vbmi" },
	{ 7, 0, ECX, 5, "waitpkg" },
	{ 7, 0, ECX, 6, "avx512_vbmi2" },
	{ 7, 0, ECX, 8, "gfni" },
	{ 7, 0, ECX, 9, "vaes" },
	{ 7, 0, ECX, 10, "vpclmulqdq" },
	{ 7, 0, ECX, 11, "avx512_vnni" },
	{ 7, 0, ECX, 12, "avx512_bitalg" },
	{ 7, 0, ECX, 14, "avx512_vpopcntdq" },
	{ 7, 0, ECX, 22, "rdpid" },
	{ 7, 0, ECX, 27, "movdiri" },
	{ 7, 0, ECX, 28, "movdir64b" },
	{ 7, 0, EDX, 2, "avx512_4vnniw" },
	{ 7, 0, EDX, 3, "avx512_4fmaps" },
	{ 7, 0, EDX, 8, "avx512_vp2intersect" },
	{ 7, 0, EDX, 14, "serialize" },
	{ 7, 0, EDX, 16, "tsxldtrk" },
	{ 7, 0, EDX, 23, "avx512_fp16" },
	{ 7, 1, EAX, 0, "sha512" },
	{ 7, 1, EAX, 1, "sm3" },
	{ 7, 1, EAX, 2, "sm4" },
	{ 7, 1, EAX, 4, "avx_vnni" },
	{ 7, 1, EAX, 5, "avx512_bf16" },
	{ 7, 1, EAX, 7, "cmpccxadd" },
	{ 7, 1, EAX, 23, "avx_ifma" },
	{ 7, 1, EDX, 4, "avx_vnni_int8" },
	{ 7, 1, EDX, 5, "avx_ne_convert" },
	{ 7, 1, EDX, 10, "avx_vnni_int16" },
	{ 7, 1, EDX, 19, "avx10" },
	/* The dynamic linker saves registers with these when it binds a function at its first call. */
	{ 0xd, 1, EAX, 0, "xsaveopt" },
	{ 0xd, 1, EAX, 1, "xsavec" },
	{ 0xd, 1, EAX, 2, "xgetbv1" },
	{ 0x80000001, 0, ECX, 0, "lahf_lm" },
	{ 0x80000001, 0, ECX, 5, "abm" },
	{ 0x80000001, 0, ECX, 6, "sse4a" },
	{ 0x80000001, 0, ECX, 7, "misalignsse" },
	{ 0x80000001, 0, ECX, 11, "xop" },
	{ 0x80000001, 0, ECX, 16, "fma4" },
	{ 0x80000001, 0, ECX, 21, "tbm" },
	{ 0x80000001, 0, ECX, 29, "mwaitx" },
	{ 0x80000001, 0, EDX, 22, "mmxext" },
	{ 0x80000001, 0, EDX, 27, "rdtscp" },
	{ 0x80000001, 0, EDX, 30, "3dnowext" },
	{ 0x80000001, 0, EDX, 31, "3dnow" },
	{ 0x80000008, 0, EBX, 0, "clzero" },
	{ 0x80000008, 0, EBX, 4, "rdpru" },
};

/* Hints that images made up to 57cb729 list as required: every CPU will do. */
static const char *const hints[] = { "erms", "3dnowprefetch" };

/* The leaf that row @i is in; rows of one leaf stand together, and CPUID is slow on virtual machines, so @r keeps the last one. */
static const uint32_t *leaf_of(size_t i, uint32_t r[4])
{
	bool same = i && features[i].leaf == features[i - 1].leaf && features[i].sub == features[i - 1].sub;

	if (!same && !__get_cpuid_count(features[i].leaf, features[i].sub, &r[EAX], &r[EBX], &r[ECX], &r[EDX]))
		memset(r, 0, 4 * sizeof(*r));
	return r;
}

/* Where transactions are switched off by microcode, XBEGIN may be left, always aborting, which programs expect. */
static bool always_aborts(size_t i, const uint32_t *leaf)
{
	return !strcmp(features[i].name, "rtm") && leaf[EDX] >> 11 & 1;
}

/* A component of no size stands for any layout. */
static size_t offer_unusable(struct manifest *m, size_t n)
{
	m->xcr0 |= ARCH_XSAVE_UNUSABLE;
	for (uint32_t bit = 2; bit < 63; bit++)
		if (ARCH_XSAVE_UNUSABLE >> bit & 1)
			m->xsave[n++] = (struct manifest_xsave){ .bit = bit };
	return n;
}

static int xsave_layout(struct manifest *m, bool offers)
{
	uint64_t mask = arch_xsave_mask() & ~ARCH_XSAVE_UNUSABLE;
	size_t n = 0;

	m->xcr0 = mask;
	m->xsave_size = arch_xsave_size();
	m->xsave = calloc(64, sizeof(*m->xsave));
	if (!m->xsave)
		return -ENOMEM;
	if (__get_cpuid_max(0, NULL) < 0xd)
		mask = 0;
	for (uint32_t bit = 2; bit < 63; bit++) {
		uint32_t a, b, c, d;

		if (!(mask >> bit & 1))
			continue;
		__cpuid_count(0xd, bit, a, b, c, d);
		m->xsave[n++] = (struct manifest_xsave){ .bit = bit, .offset = b, .size = a };
	}
	m->nr_xsave = offers ? offer_unusable(m, n) : n;
	return 0;
}

static int describe(struct manifest *m, bool offers)
{
	uint32_t r[4] = { 0 };
	size_t n = 0;

	m->arch = (char *)(uintptr_t)"x86_64";
	m->page_size = PAGE_SIZE;
	m->features = manifest_build_features();
	m->cpu_features = calloc(ARRAY_SIZE(features) + ARRAY_SIZE(hints) + 1, sizeof(char *));
	if (!m->cpu_features)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const uint32_t *leaf = leaf_of(i, r);

		if (leaf[features[i].reg] >> features[i].bit & 1 || (offers && always_aborts(i, leaf)))
			m->cpu_features[n++] = (char *)(uintptr_t)features[i].name;
	}
	for (size_t i = 0; offers && i < ARRAY_SIZE(hints); i++)
		m->cpu_features[n++] = (char *)(uintptr_t)hints[i];
	if (xsave_layout(m, offers) < 0) {
		cpu_manifest_done(m);
		return -ENOMEM;
	}
	return 0;
}

int cpu_manifest_needs(struct manifest *m)
{
	return describe(m, false);
}

int cpu_manifest_offers(struct manifest *m)
{
	return describe(m, true);
}

void cpu_manifest_done(struct manifest *m)
{
	free(m->cpu_features);
	free(m->xsave);
	m->cpu_features = NULL;
	m->xsave = NULL;
}
