/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading programs into a fresh address space.
 */
#ifndef SENTRY_LOADER_LOADER_H
#define SENTRY_LOADER_LOADER_H

#include "base/strbuf.h"
#include "sentry/kernel/task.h"

/* Arguments or environment: strings one after another, each with its NUL. */
struct arg_list {
	struct strbuf bytes;
	size_t n;
};

struct load_req {
	struct task *t; /* whose limits and credentials apply */
	struct mm *mm; /* empty */
	struct file *file; /* the program: after scripts were resolved */
	const char *execfn; /* AT_EXECFN and the name scripts see */
	struct arg_list *argv, *envp;
	const struct cred *cred; /* after the exec, for AT_UID... */
	bool secure; /* AT_SECURE */
};

struct load_result {
	uint64_t entry, sp;
};

/* Maps the program and its interpreter, builds the stack. -ENOEXEC for what is no ELF file for this machine. */
_must_check_ int elf_load(struct load_req *q, struct load_result *ret);

/* If @file starts with "#!": *@ret_interp and *@ret_arg (may be NULL) are malloc'd and 1 is returned; 0: not a script. */
_must_check_ int script_parse(struct file *file, struct task *t, char **ret_interp, char **ret_arg);

/* --- vDSO --- */

/* Drops the kernel's vDSO pages if no address space maps them. The kernel is frozen. */
void vdso_forget(struct kernel *k);
/* Maps it, made at the first use; *@ret_addr is the ELF header's address for AT_SYSINFO_EHDR. */
_must_check_ int vdso_map(struct task *t, struct mm *mm, uint64_t *ret_addr);

#endif
