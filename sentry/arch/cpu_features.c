/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU features that an image requires, named as in /proc/cpuinfo.
 *
 * Everything user space can use counts: a library chooses its code once, by CPUID, and a restored process runs that code.
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
	{ 1, 0, EDX, 25, "sse" },		{ 1, 0, EDX, 26, "sse2" },	   { 1, 0, ECX, 0, "pni" },
	{ 1, 0, ECX, 1, "pclmulqdq" },		{ 1, 0, ECX, 9, "ssse3" },	   { 1, 0, ECX, 12, "fma" },
	{ 1, 0, ECX, 13, "cx16" },		{ 1, 0, ECX, 19, "sse4_1" },	   { 1, 0, ECX, 20, "sse4_2" },
	{ 1, 0, ECX, 22, "movbe" },		{ 1, 0, ECX, 23, "popcnt" },	   { 1, 0, ECX, 25, "aes" },
	{ 1, 0, ECX, 27, "osxsave" },		{ 1, 0, ECX, 28, "avx" },	   { 1, 0, ECX, 29, "f16c" },
	{ 1, 0, ECX, 30, "rdrand" },		{ 7, 0, EBX, 0, "fsgsbase" },	   { 7, 0, EBX, 3, "bmi1" },
	{ 7, 0, EBX, 5, "avx2" },		{ 7, 0, EBX, 8, "bmi2" },	   { 7, 0, EBX, 9, "erms" },
	{ 7, 0, EBX, 16, "avx512f" },		{ 7, 0, EBX, 17, "avx512dq" },	   { 7, 0, EBX, 18, "rdseed" },
	{ 7, 0, EBX, 19, "adx" },		{ 7, 0, EBX, 21, "avx512ifma" },   { 7, 0, EBX, 23, "clflushopt" },
	{ 7, 0, EBX, 24, "clwb" },		{ 7, 0, EBX, 28, "avx512cd" },	   { 7, 0, EBX, 29, "sha_ni" },
	{ 7, 0, EBX, 30, "avx512bw" },		{ 7, 0, EBX, 31, "avx512vl" },	   { 7, 0, ECX, 1, "avx512vbmi" },
	{ 7, 0, ECX, 6, "avx512_vbmi2" },	{ 7, 0, ECX, 8, "gfni" },	   { 7, 0, ECX, 9, "vaes" },
	{ 7, 0, ECX, 10, "vpclmulqdq" },	{ 7, 0, ECX, 11, "avx512_vnni" },  { 7, 0, ECX, 12, "avx512_bitalg" },
	{ 7, 0, ECX, 14, "avx512_vpopcntdq" },	{ 7, 0, ECX, 22, "rdpid" },	   { 7, 1, EAX, 4, "avx_vnni" },
	{ 7, 1, EAX, 5, "avx512_bf16" },	{ 0x80000001, 0, ECX, 5, "abm" },  { 0x80000001, 0, ECX, 6, "sse4a" },
	{ 0x80000001, 0, ECX, 8, "3dnowprefetch" }, { 0x80000001, 0, EDX, 27, "rdtscp" },
};

/* What images may require of a build; the writer of an image says which it needs. */
static char *const build_features[] = { (char *)(uintptr_t)"kernel-1", (char *)(uintptr_t)MANIFEST_FEATURE_LAYERS, NULL };

struct leaf {
	uint32_t leaf, sub, r[4];
};

/* The table names leaves in groups, and each CPUID costs microseconds on a virtual machine: @l keeps the last answer. */
static bool has(struct leaf *l, size_t i)
{
	if (l->leaf != features[i].leaf || l->sub != features[i].sub) {
		*l = (struct leaf){ .leaf = features[i].leaf, .sub = features[i].sub };
		if (!__get_cpuid_count(l->leaf, l->sub, &l->r[EAX], &l->r[EBX], &l->r[ECX], &l->r[EDX]))
			memset(l->r, 0, sizeof(l->r));
	}
	return l->r[features[i].reg] >> features[i].bit & 1;
}

static int xsave_layout(struct manifest *m)
{
	uint64_t mask = arch_xsave_mask();
	size_t n = 0;

	m->xcr0 = mask;
	m->xsave_size = arch_xsave_size();
	m->xsave = calloc(64, sizeof(*m->xsave));
	if (!m->xsave)
		return -ENOMEM;
	for (uint32_t bit = 2; bit < 63 && __get_cpuid_max(0, NULL) >= 0xd; bit++) {
		uint32_t a, b, c, d;

		if (!(mask >> bit & 1))
			continue;
		__cpuid_count(0xd, bit, a, b, c, d);
		m->xsave[n++] = (struct manifest_xsave){ .bit = bit, .offset = b, .size = a };
	}
	m->nr_xsave = n;
	return 0;
}

int cpu_manifest(struct manifest *m)
{
	struct leaf last = { 0 };
	size_t n = 0;

	m->arch = (char *)(uintptr_t)"x86_64";
	m->features = (char **)(uintptr_t)build_features;
	m->cpu_features = calloc(ARRAY_SIZE(features) + 1, sizeof(char *));
	if (!m->cpu_features)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (has(&last, i))
			m->cpu_features[n++] = (char *)(uintptr_t)features[i].name;
	if (xsave_layout(m) < 0) {
		cpu_manifest_done(m);
		return -ENOMEM;
	}
	return 0;
}

void cpu_manifest_done(struct manifest *m)
{
	free(m->cpu_features);
	free(m->xsave);
	m->cpu_features = NULL;
	m->xsave = NULL;
}
