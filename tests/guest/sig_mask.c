// SPDX-License-Identifier: Apache-2.0
/*
 * Signal masks: per thread, inheritance, sa_mask and SA_NODEFER in handlers, KILL and STOP cannot be blocked, over a
 * checkpoint.
 */
#include "guest.h"

static sigset_t in_handler;
static int depth, max_depth, raised;

static void look(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	sigprocmask(SIG_BLOCK, NULL, &in_handler);
	if (++depth > max_depth)
		max_depth = depth;
	if (depth < 3 && raised++ < 3)
		raise(sig);
	depth--;
}

static void *thread(void *arg)
{
	sigset_t s;

	(void)arg;
	pthread_sigmask(SIG_BLOCK, NULL, &s);
	CHECK(sigismember(&s, SIGUSR2)); /* inherited */
	guest_unblock(SIGUSR2);
	guest_block(SIGHUP);
	return NULL;
}

void guest_test(void)
{
	struct sigaction sa = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	sigset_t s;
	pid_t p;

	guest_block(SIGUSR2);
	guest_join(guest_thread(thread, NULL));
	sigprocmask(SIG_BLOCK, NULL, &s);
	CHECK(sigismember(&s, SIGUSR2) && !sigismember(&s, SIGHUP));
	SUBTEST("fork inherits the mask, not the pending signals");
	raise(SIGUSR2);
	CHILD (p) {
		sigprocmask(SIG_BLOCK, NULL, &s);
		CHECK(sigismember(&s, SIGUSR2));
		sigpending(&s);
		CHECK(!sigismember(&s, SIGUSR2));
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("KILL and STOP");
	sigfillset(&s);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &s, NULL), 0);
	guest_checkpoint();
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &s), 0);
	CHECK(!sigismember(&s, SIGKILL) && !sigismember(&s, SIGSTOP) && sigismember(&s, SIGTERM) && sigismember(&s, 64));
	sigpending(&s);
	CHECK(sigismember(&s, SIGUSR2));
	signal(SIGUSR2, SIG_IGN); /* ignoring discards */
	sigpending(&s);
	CHECK(!sigismember(&s, SIGUSR2));
	sigemptyset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	SUBTEST("handler masks");
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQ(max_depth, 1); /* deferred, one at a time */
	CHECK(sigismember(&in_handler, SIGUSR1) && sigismember(&in_handler, SIGTERM) && !sigismember(&in_handler, SIGHUP));
	sigprocmask(SIG_BLOCK, NULL, &s);
	CHECK(!sigismember(&s, SIGUSR1) && !sigismember(&s, SIGTERM));
	sa.sa_flags |= SA_NODEFER;
	max_depth = raised = 0;
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQ(max_depth, 3);
	CHECK(!sigismember(&in_handler, SIGUSR1) && sigismember(&in_handler, SIGTERM));
	SUBTEST("sigaction round trip and errors");
	struct sigaction old;
	guest_checkpoint();
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_sigaction == look);
	CHECK_EQ(old.sa_flags & (SA_NODEFER | SA_SIGINFO | SA_RESTART), SA_NODEFER | SA_SIGINFO);
	CHECK(sigismember(&old.sa_mask, SIGTERM));
	CHECK_ERRNO(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_EQ(sigaction(SIGKILL, NULL, &old), 0);
	CHECK_ERRNO(sigaction(65, NULL, &old), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 77, &s, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
}
