/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Last words of a process that dies by a fault or abort(): one line with the signal and address, and one with the words on the stack
 * that look like return addresses, as offsets into the binary (addr2line -e build/runsc 0x...). No allocation, no lock, only
 * write(2) to the debug log, so it also works under the seccomp filter and in a half-broken process.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/* Handlers for SEGV, BUS, ILL, FPE, ABRT and TRAP on an alternate stack of the calling thread. Install before others that chain. */
void crash_init(void);

/* Logs the likely return addresses of the context (ucontext_t) a signal handler was given. */
void crash_log_callers(const void *ucontext);

#endif
