/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform contract: what makes application code run and traps it.
 *
 * Objects: a platform (one per sandbox); an address space (plat_as: what one application mm maps); a context (plat_ctx: one
 * application thread's CPU state).
 *
 * Threads: a context is used by one Sentry pthread at a time - in practice for ever: the task's own; only interrupt() may
 * come from any thread. Address-space operations may come from any Sentry thread; `self` is the caller's own context when the
 * caller runs a task of that address space (then it is stopped by definition and its stub may carry out the operation), else NULL.
 * All operations return 0 or a negative errno.
 *
 * Registers are lazy: after switch_to() returned a system call only the trap is known. regs() pulls everything on first use
 * and marks it to be pushed back by the next switch_to(). A trivial call needs neither: set_ret() is enough.
 *
 * The application's memory, registers and timing are hostile; a platform trusts none of them.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdint.h>

#include "base/error.h"
#include "base/util.h"
#include "platform/regs.h"

struct platform;
struct plat_as;
struct plat_ctx;

enum plat_event {
	/* The application executed `syscall`: trap.nr (low 32 bits of rax, sign-extended: what Linux dispatches on), trap.args,
	 * trap.ip (after the instruction), trap.sp. Also a call into the vsyscall page where the host offers one. */
	PLAT_SYSCALL,
	PLAT_FAULT, /* a hardware exception: trap.sig, trap.code, trap.addr, trap.access */
	PLAT_INTERRUPTED, /* interrupt() was called; nothing happened to the application */
	PLAT_DEAD, /* the context's stub is gone (killed from outside); the task must die */
};

/* Access of a fault; PLAT_ACCESS_UNKNOWN when the platform cannot tell read from write (the mm then maps for reading first, and
 * a fault on a readable mapping is a write). */
#define PLAT_ACCESS_READ    1u
#define PLAT_ACCESS_WRITE   2u
#define PLAT_ACCESS_EXEC    4u
#define PLAT_ACCESS_UNKNOWN 8u

struct plat_trap {
	enum plat_event event;
	/* PLAT_SYSCALL */
	uint64_t nr, args[6], ip, sp;
	/* PLAT_FAULT: signal number (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP), siginfo si_code and si_addr as the hardware event
	 * gives them; trapno and err as in a signal frame's mcontext, 0 when not known. */
	int sig, code;
	uint64_t addr;
	uint32_t access;
	uint32_t trapno, err;
	/* PLAT_FAULT SIGTRAP of a context with hardware breakpoints: which hit, as DR6 says (bits 0-3, and 14 for a step); else 0. */
	uint32_t debug_status;
};

#define PLAT_DEBUG_REGS 4

/* Hardware breakpoints as the CPU has them: DR0-3 and DR7. control 0: none. */
struct plat_debug {
	uint64_t addr[PLAT_DEBUG_REGS];
	uint64_t control;
};

#define PLAT_PROT_READ  1u /* as PROT_* */
#define PLAT_PROT_WRITE 2u
#define PLAT_PROT_EXEC  4u

/* map() flags */
#define PLAT_MAP_PRECOMMIT 1u /* populate page tables now (MAP_POPULATE) */

struct plat_caps {
	const char *name;
	bool lazy_regs; /* full registers cost extra: avoid regs() where set_ret() does */
	bool fault_access_known; /* traps tell read from write */
	uint64_t min_addr, max_addr; /* usable application addresses [min, max), page-aligned; the platform's own pages lie outside */
};

struct platform_ops {
	const char *name;
	/* 0, or -errno and in *@why one line saying what the host lacks. Called before new(), for a choice among several. NULL: the
	 * platform to fall back on, whose new() says it. */
	int (*probe)(const char **why);
	/* Makes the object and nothing in the host. Until start() only caps(), ctx_new(), ctx_free(), and regs() of contexts that never
	 * ran may be called; the process may be forked meanwhile, and then each copy starts its own. */
	int (*new)(struct platform **ret, struct error **err);
	/* Called once, single-threaded, before the sandbox's seccomp filter is installed, after its user, namespaces and root are
	 * final, by the thread that lives as long as the sandbox (stubs die with it). Capabilities may be dropped later. May be NULL. */
	int (*start)(struct platform *p, struct error **err);
	void (*free)(struct platform *p);
	void (*caps)(const struct platform *p, struct plat_caps *ret);

	int (*as_new)(struct platform *p, struct plat_as **ret);
	/* No context may still be running in it. Contexts last run there may be freed or switched elsewhere later. */
	void (*as_free)(struct plat_as *as);
	/* Maps [@addr, +@len) to @fd at @off, MAP_SHARED, replacing what was there. Page-aligned. @fd is an fd of the Sentry
	 * process. After an error there is a hole. */
	int (*map)(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off,
		   uint32_t flags);
	int (*unmap)(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len);
	/* Ranges inside that are not mapped are skipped without error. */
	int (*protect)(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot);

	/* A context with zeroed registers and initial FPU state. Binds to the first thread that switches. */
	int (*ctx_new)(struct platform *p, struct plat_ctx **ret);
	/* By the bound thread, or by any thread if it was never switched to. NULL is ignored. */
	void (*ctx_free)(struct plat_ctx *c);
	/* Runs the application in @as until an event. @as may differ from the last call's (execve). */
	int (*switch_to)(struct plat_ctx *c, struct plat_as *as, struct plat_trap *ret);
	/* From any thread: makes a running or the next switch_to() return PLAT_INTERRUPTED soon. May be spurious. */
	void (*interrupt)(struct plat_ctx *c);

	/* Full state, pulled if necessary; the pointer stays valid until the next switch_to() and edits to it are pushed then.
	 * By the bound thread; others only after that one has called it (fpu true if they want that) and parked. After a PLAT_SYSCALL: r.rax holds the value to return (-ENOSYS until set), r.orig_rax the number, r.rip the
	 * address after `syscall`. @fpu false: the caller does not touch ->fpu (cheaper). Not NULL. */
	struct arch_state *(*regs)(struct plat_ctx *c, bool fpu);
	/* Sets the return value of the trapped call without pulling registers. */
	void (*set_ret)(struct plat_ctx *c, uint64_t val);
	/* Single-step the next switch_to(): it ends with PLAT_FAULT SIGTRAP after one instruction. When that is `syscall`, the first
	 * switch_to() ends with PLAT_SYSCALL and the one after it with the SIGTRAP, nothing having run. */
	void (*set_step)(struct plat_ctx *c, bool on);
	/* Would the host take these breakpoints? 0, -EINVAL (alignment, length, kind, address), -ENOSPC (no register free, or none at
	 * all) ... Tried on @self, the caller's own bound and stopped context, whose breakpoints stay as they are. */
	int (*try_debug)(struct plat_ctx *self, const struct plat_debug *d);
	/* Breakpoints of @c from the next switch_to() on: values that try_debug() took, else there may be none. A hit ends a switch_to() with PLAT_FAULT
	 * SIGTRAP (code TRAP_HWBKPT, or TRAP_TRACE with a step): after the instruction for data, before it for execution, and
	 * then pushing the flags pulled (RF set) lets it run. Accesses by system calls may go unnoticed. By the bound thread. */
	void (*set_debug)(struct plat_ctx *c, const struct plat_debug *d);
	/* CPU time the application has used in this context since ctx_new(), in ns. From any thread. May be NULL: not known. */
	int (*cpu_time)(struct plat_ctx *c, int64_t *ret_ns);
};

/* All platforms of this build, NULL-terminated, best first. */
extern const struct platform_ops *const platforms[];
/* @name NULL: the best whose probe succeeds. */
const struct platform_ops *platform_find(const char *name, struct error **err);

#endif
