/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Application register state as platforms and the Sentry exchange it (x86-64).
 * struct arch_regs has the layout of the kernel's user_regs_struct (ptrace PTRACE_GETREGS), so ptrace can fill it directly.
 */
#ifndef PLATFORM_REGS_H
#define PLATFORM_REGS_H

#include <stdint.h>

#include "base/util.h"

struct arch_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* system call number at a trap; -1 when the frame is no system call */
	uint64_t rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

/* Largest XSAVE area we handle (AVX-512 + PKRU fit in 2.7 KiB; AMX tiles would need 11 KiB). */
#define ARCH_XSAVE_MAX 12288

struct arch_fpu {
	uint32_t size; /* bytes valid in data; 0: the CPU's initial state */
	uint8_t *data; /* XSAVE image, standard (not compacted) format; capacity ARCH_XSAVE_MAX */
};

struct arch_state {
	struct arch_regs r;
	struct arch_fpu fpu;
};

/* Bytes of the XSAVE area (standard format) for the components the OS enabled (CPUID.0DH.0:EBX), and their mask (XCR0). */
uint32_t arch_xsave_size(void);
uint64_t arch_xsave_mask(void);

#endif
