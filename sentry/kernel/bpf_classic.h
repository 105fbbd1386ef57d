/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as seccomp(2) uses it: programs over struct seccomp_data.
 *
 * A program is checked once (bpf_check()) and then run without further checks: jumps go forward and stay inside, memory words are written
 * before they are read, divisors that are constants are not zero, loads are aligned words of the data. No state, no locks.
 * Linux: net/core/filter.c, kernel/seccomp.c; bpf(4) in the BSDs.
 */
#ifndef SENTRY_KERNEL_BPF_CLASSIC_H
#define SENTRY_KERNEL_BPF_CLASSIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_MAX_INSNS 4096

/* struct sock_filter */
struct bpf_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};
_Static_assert(sizeof(struct bpf_insn) == 8, "sock_filter layout");

/* struct seccomp_data */
struct bpf_seccomp_data {
	int32_t nr;
	uint32_t arch;
	uint64_t ip, args[6];
};
_Static_assert(sizeof(struct bpf_seccomp_data) == 64, "seccomp_data layout");

/* 0, or -EINVAL for a program that Linux would refuse as a seccomp filter; @len is 1..BPF_MAX_INSNS. */
int bpf_check(const struct bpf_insn *prog, size_t len);
/* The value a checked program returns for @data. Ends: every jump goes forward. */
uint32_t bpf_run(const struct bpf_insn *prog, const struct bpf_seccomp_data *data);
/* True when the result depends on nothing but number and architecture, and *@ret is it. May say false without need. */
bool bpf_run_const(const struct bpf_insn *prog, int32_t nr, uint32_t arch, uint32_t *ret);
/* How many instructions Linux counts for it: those of the internal form into which it translates the program. */
uint32_t bpf_linux_len(const struct bpf_insn *prog, size_t len);

#endif
