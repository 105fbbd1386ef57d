/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the ptrace platform; see platform/README.md for the objects and threads.
 *
 * Locks: plat_as.mu (one address-space operation at a time, and `mapped`) > platform.mu (the request queue, service start-up).
 */
#ifndef PLATFORM_PTRACE_INTERNAL_H
#define PLATFORM_PTRACE_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/mutex.h"
#include "platform/platform.h"
#include "platform/ranges.h"

/* The highest page of the 47-bit user range; the application's range ends below it. */
#define PTRACE_STUB_ADDR 0x7fffffffe000UL
#define PTRACE_TASK_MAX  0x7ffffffff000UL

extern const char ptrace_stub_begin[], ptrace_stub_end[], ptrace_stub_call[], ptrace_stub_call_trap[];
extern const char ptrace_stub_clone[], ptrace_stub_clone_trap[], ptrace_stub_child[], ptrace_stub_park[];
extern const char ptrace_stub_wipe[], ptrace_stub_wipe_trap[];
/* Where a label of stub.S is in a stub. */
#define STUB_AT(label) (PTRACE_STUB_ADDR + (uint64_t)((label)-ptrace_stub_begin))

struct platform {
	pid_t template; /* the clean process that address spaces are forked from; never runs application code */
	pid_t sentry; /* our pid as the stubs' getppid() tells it */
	uint32_t xsave_size; /* bytes of NT_X86_XSTATE on this host */
	struct mutex mu;
	struct cond work, done;
	struct list reqs;
	pthread_t service;
	bool service_up, service_stop;
	/* Empty address spaces ready for use: a fork, an exec and an exit then cost no host process. */
	struct list pool;
	unsigned npool;
};

#define POOL_SPACES 4 /* per platform */
#define POOL_STUBS  2 /* parked per address space */

struct plat_as {
	struct platform *p;
	atomic_uint refs; /* the creator's, and one per bound context */
	/* Service thread only, until as_free(): the stub that remote operations run in. 0: not forked yet; -1: died. */
	pid_t leader;
	struct mutex mu;
	/* Under mu: */
	struct ranges mapped; /* what map() put there, so that nothing is asked of the host for holes */
	pid_t parked[POOL_STUBS]; /* stub threads nobody traces, in the pause loop of stub.S */
	unsigned nparked;
	struct list pool; /* node in platform.pool, under platform.mu */
};

struct plat_ctx {
	struct platform *p;
	struct plat_as *as; /* whose stub we have; referenced */
	pid_t tid; /* our stub thread; 0: none */
	pid_t owner; /* the Sentry thread that traces it */
	struct arch_state st;
	uint64_t ret; /* valid with ret_set: rax to push, the rest of the registers not being cached */
	bool regs_valid, regs_dirty; /* st.r equals, or overrides, the stub's */
	bool fpu_valid, fpu_dirty;
	bool ret_set;
	bool in_syscall; /* the last event was a PLAT_SYSCALL */
	bool step;
	struct plat_debug debug; /* wanted */
	bool debug_dirty; /* the stub does not have them yet */
	bool debug_armed; /* the stub may have some */
	atomic_bool irq; /* interrupt() was called and not yet reported */
	struct mutex cpu_mu; /* leaf: cpu_tid and cpu_base together, for readers on other threads */
	pid_t cpu_tid; /* the stub whose CPU clock counts, 0 none */
	int64_t cpu_base; /* ns to add to that clock */
	atomic_int running; /* stub tid while switch_to() waits for it */
};

/* ---- template.c ---- */
int ptrace_template_start(struct platform *p, struct error **err);
#define STUB_FORK_FLAGS	  (CLONE_FILES | CLONE_PARENT | CLONE_PTRACE)
#define STUB_THREAD_FLAGS (CLONE_FILES | CLONE_PARENT | CLONE_FS | CLONE_VM)

/* ---- tracee.c: one stopped stub, by the thread that traces it ---- */
/* Waits for the next change of @tid; -ESRCH when it is gone (and reaped). */
int tracee_wait(pid_t tid, int *status);
/* SEIZEs a running stub and stops it. -ESRCH when it died. */
int tracee_attach(pid_t tid);
void tracee_kill(pid_t tid);
/* Stops tracing a stopped stub; it parks until the next tracee_attach(). -ESRCH when it died. */
int tracee_park(pid_t tid, pid_t sentry);
int tracee_getregs(pid_t tid, struct arch_regs *r);
/* Pushes @r made acceptable to the host: selectors of ring 3, canonical bases, no system call to restart. */
int tracee_setregs(pid_t tid, const struct arch_regs *r);
int tracee_getfpu(pid_t tid, uint8_t *data, uint32_t *size);
/* size 0: the initial state. @native: bytes the host expects. */
int tracee_setfpu(pid_t tid, const uint8_t *data, uint32_t size, uint32_t native);
/* Sets the debug registers. 0, -ESRCH, or the host's error: then there are none. */
int tracee_setdebug(pid_t tid, const struct plat_debug *d);
/* DR6, less the bits that are always set; cleared by reading. */
int tracee_debug_status(pid_t tid, uint32_t *ret);
/* Runs one host system call in the stub; destroys its general registers. 0 and the result in *@ret, or -ESRCH. */
int tracee_call(pid_t tid, long nr, const uint64_t args[6], int64_t *ret);
/* clone() in the stub; the child parks (see stub.S). */
int tracee_clone(pid_t tid, uint64_t flags, pid_t sentry, int64_t *ret);

/* ---- service.c ---- */
/* One host call in the leader of @as; @make: fork the leader if there is none yet, else the call is skipped (result 0). */
int service_call(struct plat_as *as, bool make, long nr, const uint64_t args[6], int64_t *ret);
/* A new parked, untraced stub thread in @as; its tid, or -errno. */
int service_thread(struct plat_as *as);
void service_stop(struct platform *p);

#endif
