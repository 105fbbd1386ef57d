// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: the event stops of fork, vfork, clone, exec and exit, each held over a checkpoint; automatically attached children; SIGTRAP of
 * an exec without the option; threads and their exit statuses; an exec from a thread that is not the leader.
 */
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/user.h>

#define EVENT(st) ((st) >> 8 == (SIGTRAP | ((st) >> 16) << 8) ? (st) >> 16 : 0)
#define OPTS                                                                                                                   \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE |         \
	 PTRACE_O_TRACEEXIT)

static pid_t traced(void (*fn)(void), unsigned long opts)
{
	pid_t p;
	int st;

	CHILD (p) {
		CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		raise(SIGSTOP);
		fn();
		_exit(5);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, p, NULL, (void *)opts), 0);
	return p;
}

static unsigned long message(pid_t p)
{
	unsigned long m = 0;

	CHECK_EQ(ptrace(PTRACE_GETEVENTMSG, p, NULL, &m), 0);
	return m;
}

static void cont(pid_t p)
{
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, NULL), 0);
}

/* Continues @p and waits for its next stop, which must be @event. */
static unsigned long next_event(pid_t p, int event)
{
	int st;

	cont(p);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(EVENT(st), event);
	return message(p);
}

/* A new tracee's first stop. */
static void first_stop(pid_t c)
{
	int st;

	CHECK_EQ(waitpid(c, &st, __WALL), c);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), SIGSTOP);
}

static void ends(pid_t p, int code, bool ckpt)
{
	int st;

	CHECK_EQ(next_event(p, PTRACE_EVENT_EXIT), code << 8);
	if (ckpt)
		guest_checkpoint();
	cont(p);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	CHECK(WIFEXITED(st));
	CHECK_EQ(WEXITSTATUS(st), code);
}

static void do_fork(void)
{
	int st;
	pid_t p = fork();

	if (p == 0)
		_exit(7);
	if (waitpid(p, &st, 0) != p || WEXITSTATUS(st) != 7)
		_exit(1);
}

static void do_vfork(void)
{
	int st;
	pid_t p = vfork();

	if (p == 0)
		_exit(8);
	if (waitpid(p, &st, 0) != p || WEXITSTATUS(st) != 8)
		_exit(1);
}

static void do_exec(void)
{
	execl(guest_self, guest_self, "exit9", NULL);
	_exit(1);
}

static void *quick(void *arg)
{
	return arg;
}

static void do_thread(void)
{
	guest_join(guest_thread(quick, NULL));
}

static void *exec_thread(void *arg)
{
	do_exec();
	return arg;
}

static void do_exec_thread(void)
{
	guest_thread(exec_thread, NULL);
	for (;;)
		pause();
}

int guest_helper(int argc, char **argv)
{
	return 9;
}

void guest_test(void)
{
	unsigned long m;
	pid_t p, c;
	int st;

	SUBTEST("fork");
	p = traced(do_fork, OPTS);
	c = (pid_t)next_event(p, PTRACE_EVENT_FORK);
	first_stop(c);
	guest_checkpoint();
	ends(c, 7, false);
	/* The child's real parent, the tracee, collects it, too; its SIGCHLD stops it first. */
	cont(p);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), SIGCHLD);
	ends(p, 5, true);

	SUBTEST("vfork");
	p = traced(do_vfork, OPTS);
	c = (pid_t)next_event(p, PTRACE_EVENT_VFORK);
	first_stop(c);
	guest_checkpoint();
	cont(p); /* waits for its child */
	guest_checkpoint();
	ends(c, 8, false);
	for (;;) { /* SIGCHLD and the event come in either order */
		CHECK_EQ(waitpid(p, &st, 0), p);
		CHECK(WIFSTOPPED(st));
		if (EVENT(st))
			break;
		CHECK_EQ(WSTOPSIG(st), SIGCHLD);
		cont(p);
	}
	CHECK_EQ(EVENT(st), PTRACE_EVENT_VFORK_DONE);
	CHECK_EQ(message(p), c);
	guest_checkpoint();
	cont(p);
	for (;;) {
		CHECK_EQ(waitpid(p, &st, 0), p);
		if (WIFEXITED(st))
			break;
		CHECK(EVENT(st) == PTRACE_EVENT_EXIT || WSTOPSIG(st) == SIGCHLD);
		cont(p);
	}
	CHECK_EQ(WEXITSTATUS(st), 5);

	SUBTEST("exec");
	p = traced(do_exec, OPTS);
	CHECK_EQ(next_event(p, PTRACE_EVENT_EXEC), p);
	guest_checkpoint();
	ends(p, 9, false);

	SUBTEST("exec without the option");
	p = traced(do_exec, 0);
	cont(p);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(st >> 8, SIGTRAP);
	guest_checkpoint();
	cont(p);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 9);

	SUBTEST("thread");
	p = traced(do_thread, OPTS);
	c = (pid_t)next_event(p, PTRACE_EVENT_CLONE);
	first_stop(c);
	guest_checkpoint();
	CHECK_ERRNO(waitpid(c, &st, WNOHANG | __WNOTHREAD | WUNTRACED) == 0 ? -1 : 0, 0);
	ends(c, 0, true); /* a mere thread's end is reported to the tracer */
	CHECK_ERRNO(ptrace(PTRACE_CONT, c, NULL, NULL), ESRCH);
	CHECK_ERRNO(waitpid(c, &st, __WALL), ECHILD);
	ends(p, 5, false);

	SUBTEST("exec in a thread");
	p = traced(do_exec_thread, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
	c = (pid_t)next_event(p, PTRACE_EVENT_CLONE);
	first_stop(c);
	cont(p);
	cont(c);
	CHECK_EQ(waitpid(p, &st, __WALL), p); /* it has the leader's id now */
	CHECK_EQ(EVENT(st), PTRACE_EVENT_EXEC);
	m = message(p);
	CHECK_EQ(m, c);
	guest_checkpoint();
	cont(p);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 9);
}
