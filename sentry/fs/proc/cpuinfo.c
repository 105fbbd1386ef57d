/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/cpuinfo from the CPUID instruction: the processor applications really run on. Linux: arch/x86/kernel/cpu/proc.c. */
#include <cpuid.h>
#include <string.h>

#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"

struct leaf_flags {
	uint32_t leaf, sub;
	int reg; /* 0 eax, 1 ebx, 2 ecx, 3 edx */
	const char *names[32];
};

/* clang-format off */
static const struct leaf_flags tables[] = {
	{ 1, 0, 3, { "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep", "mtrr", "pge", "mca", "cmov", "pat", "pse36",
		     "pn", "clflush", NULL, "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe" } },
	{ 0x80000001, 0, 3, { [11] = "syscall", [19] = "mp", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt", [26] = "pdpe1gb", [27] = "rdtscp",
			      [29] = "lm", [30] = "3dnowext", [31] = "3dnow" } },
	{ 1, 0, 2, { "pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma", "cx16", "xtpr", "pdcm",
		     NULL, "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", NULL, "avx", "f16c",
		     "rdrand", "hypervisor" } },
	{ 0x80000001, 0, 2, { "lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse", "3dnowprefetch", "osvw", "ibs",
			      "xop", "skinit", "wdt", [15] = "lwp", "fma4", "tce", [19] = "nodeid_msr", [21] = "tbm", "topoext", "perfctr_core",
			      "perfctr_nb", [26] = "bpext", "ptsc", "perfctr_llc", "mwaitx" } },
	{ 7, 0, 1, { "fsgsbase", "tsc_adjust", NULL, "bmi1", "hle", "avx2", NULL, "smep", "bmi2", "erms", "invpcid", "rtm", "cqm", NULL, "mpx", "rdt_a",
		     "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", NULL, "clflushopt", "clwb", "intel_pt", "avx512pf", "avx512er",
		     "avx512cd", "sha_ni", "avx512bw", "avx512vl" } },
	{ 0xd, 1, 0, { "xsaveopt", "xsavec", "xgetbv1", "xsaves" } },
	{ 7, 0, 2, { NULL, "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2", NULL, "gfni", "vaes", "vpclmulqdq", "avx512_vnni",
		     "avx512_bitalg", "tme", "avx512_vpopcntdq", NULL, "la57", [22] = "rdpid", [25] = "cldemote", [27] = "movdiri", "movdir64b" } },
	{ 7, 0, 3, { [4] = "fsrm", [8] = "avx512_vp2intersect", [10] = "md_clear", [14] = "serialize", [16] = "tsxldtrk", [22] = "amx_bf16",
		     "avx512_fp16", "amx_tile", "amx_int8" } },
};
/* clang-format on */

static void show_flags(struct strbuf *b)
{
	strbuf_adds(b, "flags\t\t:");
	for (size_t n = 0; n < ARRAY_SIZE(tables); n++) {
		uint32_t r[4] = { 0 };

		if (!__get_cpuid_count(tables[n].leaf, tables[n].sub, &r[0], &r[1], &r[2], &r[3]))
			continue;
		for (int bit = 0; bit < 32; bit++)
			if (r[tables[n].reg] >> bit & 1 && tables[n].names[bit])
				strbuf_addf(b, " %s", tables[n].names[bit]);
	}
	strbuf_adds(b, "\n");
}

int proc_show_cpuinfo(struct pctx *c, struct strbuf *b)
{
	uint32_t a = 0, v[3] = { 0 }, sig = 0, x = 0, y = 0, z = 0, family, model, mhz = 0, addr = 0, clf = 64;
	size_t cpus = the_kernel->cfg.nr_cpus;
	char vendor[13] = "", brand[49] = "";
	const char *name = brand;

	(void)__get_cpuid(0, &a, &v[0], &v[2], &v[1]);
	memcpy(vendor, v, 12);
	if (__get_cpuid(1, &sig, &x, &y, &z))
		clf = (x >> 8 & 0xff) * 8;
	family = sig >> 8 & 15;
	model = sig >> 4 & 15;
	if (family == 6 || family == 15)
		model |= (sig >> 16 & 15) << 4;
	if (family == 15)
		family += sig >> 20 & 255;
	for (uint32_t n = 0; n < 3; n++) {
		uint32_t r[4] = { 0 };

		if (__get_cpuid(0x80000002 + n, &r[0], &r[1], &r[2], &r[3]))
			memcpy(brand + n * 16, r, 16);
	}
	name += strspn(name, " ");
	if (__get_cpuid(0x16, &x, &y, &z, &mhz))
		mhz = x & 0xffff;
	if (__get_cpuid(0x80000008, &x, &y, &z, &addr))
		addr = x;
	for (size_t n = 0; n < cpus; n++) {
		strbuf_addf(b, "processor\t: %zu\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", n, vendor, family, model,
			    *name ? name : "unknown", sig & 15);
		strbuf_addf(b, "cpu MHz\t\t: %u.000\nphysical id\t: 0\nsiblings\t: %zu\ncore id\t\t: %zu\ncpu cores\t: %zu\napicid\t\t: %zu\ninitial apicid\t: %zu\n",
			    mhz ? mhz : 2000, cpus, n, cpus, n, n);
		strbuf_addf(b, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", a);
		show_flags(b);
		strbuf_addf(b, "bugs\t\t:\nbogomips\t: %u.00\nclflush size\t: %u\ncache_alignment\t: %u\naddress sizes\t: %u bits physical, %u bits virtual\n"
			       "power management:\n\n", (mhz ? mhz : 2000) * 2, clf, clf, addr & 0xff ? addr & 0xff : 46, addr >> 8 & 0xff ? addr >> 8 & 0xff : 48);
	}
	return 0;
}
