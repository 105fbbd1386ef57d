// SPDX-License-Identifier: Apache-2.0
/* A static position-independent program: relocations, vDSO, auxiliary vector; over a checkpoint. */
#include "guest.h"
#include <elf.h>
#include <sys/auxv.h>

static int target = 5;
static int *volatile pointer = &target; /* needs a relocation */

void guest_test(void)
{
	Elf64_Ehdr *vdso = (Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Phdr *ph = (Elf64_Phdr *)getauxval(AT_PHDR);
	unsigned n = (unsigned)getauxval(AT_PHNUM);
	bool load = false;

	CHECK(pointer == &target && *pointer == 5);
	CHECK(ph != NULL && n > 0);
	for (unsigned i = 0; i < n; i++)
		load |= ph[i].p_type == PT_LOAD;
	CHECK(load);
	CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
	if (vdso)
		CHECK(memcmp(vdso->e_ident, ELFMAG, 4) == 0);
	guest_checkpoint();
	if (vdso)
		CHECK(memcmp(vdso->e_ident, ELFMAG, 4) == 0);
	CHECK(now_ns(CLOCK_MONOTONIC) > 0);
	CHECK(*pointer == 5);
	unsigned char *r = (unsigned char *)getauxval(AT_RANDOM);
	unsigned sum = 0;
	for (int i = 0; i < 16; i++)
		sum |= r[i];
	CHECK(sum != 0);
}
