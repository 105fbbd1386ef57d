/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sanitizers' run-time libraries are told in test builds. An option variable of the environment would not do: the sandbox
 * process starts with an empty one, and its root is empty too, so nothing there can be opened (reports go to stderr, the log).
 *
 * safecopy() owns SIGSEGV and SIGBUS, and base/crash.c reports the rest. Leaks are not looked for: processes end with _exit(), and the
 * leak checker needs ptrace. Mappings of application memory and the clone()d children make the tight address space checks useless.
 */
#include "base/util.h"

#if defined(RUNSC_SANITIZE_address)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0:"
	       "allow_user_segv_handler=1:use_sigaltstack=0:detect_stack_use_after_return=0:abort_on_error=0:"
	       "symbolize=0:quarantine_size_mb=16";
}
#endif

#if defined(RUNSC_SANITIZE_undefined)
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:symbolize=0";
}
#endif

#if defined(RUNSC_SANITIZE_thread)
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0:allow_user_segv_handler=1:"
	       "use_sigaltstack=0:symbolize=0:halt_on_error=0:exitcode=0:detect_deadlocks=0:die_after_fork=0:history_size=4:"
	       "atexit_sleep_ms=0";
}
#endif
