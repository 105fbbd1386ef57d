// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: signal stops (siginfo, masks, queues, changed and injected signals), group stops of seized and of attached tasks,
 * PTRACE_LISTEN, SIGCONT, detaching into a stop, a tracer that is not the parent, a tracer's death, PTRACE_O_EXITKILL.
 */
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/user.h>

#define EVENT_STOP(sig) ((sig) | PTRACE_EVENT_STOP << 8)

static volatile sig_atomic_t last;

static void note(int sig, siginfo_t *si, void *uc)
{
	last = sig;
}

static pid_t pauser(void)
{
	pid_t p;

	CHILD (p) {
		guest_handler(SIGUSR1, note, 0);
		guest_handler(SIGUSR2, note, 0);
		for (;;) {
			pause();
			if (last == SIGUSR2)
				_exit(6);
		}
	}
	guest_blocked(p);
	return p;
}

static int stop_of(pid_t p)
{
	int st;

	CHECK_EQ(waitpid(p, &st, __WALL), p);
	CHECK(WIFSTOPPED(st));
	return st >> 8;
}

static char state_of(pid_t p)
{
	char path[64], buf[512], *s;

	snprintf(path, sizeof(path), "/proc/%d/stat", p);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	s = strrchr(buf, ')');
	CHECK(s != NULL);
	return s[2];
}

static void signals(void)
{
	union sigval v = { .sival_int = 55 };
	siginfo_t si, q[4];
	uint64_t mask;
	struct __ptrace_peeksiginfo_args a = { .off = 0, .flags = 0, .nr = 4 };
	pid_t p = pauser();

	SUBTEST("signals");
	CHECK_EQ(ptrace(PTRACE_SEIZE, p, NULL, PTRACE_O_TRACESYSGOOD), 0);
	CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), ESRCH); /* not stopped */
	OK(sigqueue(p, SIGRTMIN + 2, v));
	CHECK_EQ(stop_of(p), SIGRTMIN + 2);
	OK(sigqueue(p, SIGRTMIN + 3, v));
	OK(sigqueue(p, SIGRTMIN + 3, v));
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_value.sival_int, 55);
	CHECK_EQ(si.si_pid, getpid());
	a.flags = PTRACE_PEEKSIGINFO_SHARED;
	CHECK_EQ(ptrace(PTRACE_PEEKSIGINFO, p, &a, q), 2);
	CHECK_EQ(q[1].si_signo, SIGRTMIN + 3);
	a.off = 2;
	CHECK_EQ(ptrace(PTRACE_PEEKSIGINFO, p, &a, q), 0);
	CHECK_EQ(ptrace(PTRACE_GETSIGMASK, p, 8, &mask), 0);
	CHECK_EQ(mask, 0);
	mask = 1ull << (SIGRTMIN + 3 - 1);
	CHECK_EQ(ptrace(PTRACE_SETSIGMASK, p, 8, &mask), 0);
	CHECK_ERRNO(ptrace(PTRACE_GETSIGMASK, p, 4, &mask), EINVAL);
	/* Another signal in place of a deadly one: the handler sees it. */
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGUSR1), 0);
	guest_blocked(p);
	OK(kill(p, SIGTERM));
	CHECK_EQ(stop_of(p), SIGTERM);
	CHECK_ERRNO(ptrace(PTRACE_CONT, p, NULL, 65), EIO);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, 0), 0);
	/* An ignored signal is seen by a tracer. */
	OK(kill(p, SIGWINCH));
	CHECK_EQ(stop_of(p), SIGWINCH);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, SIGUSR2), 0);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 6);
}

static void seized_stop(void)
{
	siginfo_t si;
	pid_t p = pauser();
	int st;

	SUBTEST("group stop of a seized task");
	CHECK_EQ(ptrace(PTRACE_SEIZE, p, NULL, 0), 0);
	OK(kill(p, SIGSTOP));
	CHECK_EQ(stop_of(p), SIGSTOP); /* signal delivery */
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGSTOP), 0);
	CHECK_EQ(stop_of(p), EVENT_STOP(SIGSTOP));
	guest_checkpoint();
	CHECK_EQ(state_of(p), 't');
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, EVENT_STOP(SIGSTOP));
	CHECK_EQ(ptrace(PTRACE_LISTEN, p, NULL, 0), 0);
	CHECK_EQ(waitpid(p, &st, WNOHANG), 0);
	CHECK_ERRNO(ptrace(PTRACE_CONT, p, NULL, 0), ESRCH);
	guest_checkpoint();
	CHECK_EQ(waitpid(p, &st, WNOHANG), 0);
	OK(kill(p, SIGCONT));
	CHECK_EQ(stop_of(p), EVENT_STOP(SIGTRAP)); /* the stop is over */
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, 0), 0);
	CHECK_EQ(stop_of(p), SIGCONT);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGCONT), 0);
	SUBTEST("interrupt while listening");
	OK(kill(p, SIGTSTP));
	CHECK_EQ(stop_of(p), SIGTSTP);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGSTOP), 0);
	CHECK_EQ(stop_of(p), EVENT_STOP(SIGSTOP));
	CHECK_EQ(ptrace(PTRACE_LISTEN, p, NULL, 0), 0);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_INTERRUPT, p, NULL, 0), 0);
	CHECK_EQ(stop_of(p), EVENT_STOP(SIGSTOP));
	SUBTEST("detach into the stop");
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, 0), 0);
	while (state_of(p) != 'T')
		msleep(5);
	guest_checkpoint();
	CHECK_EQ(state_of(p), 'T');
	SUBTEST("attach to a stopped task");
	CHECK_EQ(ptrace(PTRACE_ATTACH, p, NULL, 0), 0);
	CHECK_EQ(stop_of(p), SIGSTOP);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, 0), 0);
	OK(kill(p, SIGKILL));
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
}

static void attached_stop(void)
{
	siginfo_t si;
	pid_t p = pauser();

	SUBTEST("group stop of an attached task");
	CHECK_EQ(ptrace(PTRACE_ATTACH, p, NULL, 0), 0);
	CHECK_EQ(stop_of(p), SIGSTOP);
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, SI_KERNEL);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGSTOP), 0);
	CHECK_EQ(stop_of(p), SIGSTOP);
	CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), EINVAL); /* how a group stop is told */
	guest_checkpoint();
	CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), EINVAL);
	CHECK_ERRNO(ptrace(PTRACE_LISTEN, p, NULL, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_INTERRUPT, p, NULL, 0), EIO);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, 0), 0); /* runs though its group is stopped */
	OK(kill(p, SIGUSR1));
	CHECK_EQ(stop_of(p), SIGUSR1);
	CHECK_EQ(ptrace(PTRACE_KILL, p, NULL, 0), 0);
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
}

static void not_the_parent(void)
{
	struct gate go, ready;
	pid_t p, tracer;
	int st;

	SUBTEST("a tracer that is not the parent");
	gate_init(&go);
	gate_init(&ready);
	p = pauser();
	CHILD (tracer) {
		CHECK_EQ(ptrace(PTRACE_SEIZE, p, NULL, 0), 0);
		OK(kill(p, SIGUSR2));
		CHECK_EQ(stop_of(p), SIGUSR2);
		gate_post(&ready);
		gate_wait(&go);
		CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, SIGUSR2), 0);
		CHECK_EQ(waitpid(p, &st, __WALL), p); /* the tracer collects it first */
		CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 6);
		CHECK_ERRNO(waitpid(p, &st, __WALL), ECHILD);
		_exit(0);
	}
	gate_wait(&ready);
	CHECK_EQ(waitpid(p, &st, WNOHANG | WUNTRACED), 0); /* not the parent's affair */
	guest_checkpoint();
	gate_post(&go);
	guest_reap(tracer);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 6); /* then the parent */
}

static void tracer_dies(bool kill_it)
{
	struct gate ready;
	pid_t p, tracer;

	SUBTEST(kill_it ? "PTRACE_O_EXITKILL" : "the tracer dies");
	gate_init(&ready);
	p = pauser();
	CHILD (tracer) {
		CHECK_EQ(ptrace(PTRACE_SEIZE, p, NULL, kill_it ? PTRACE_O_EXITKILL : 0), 0);
		OK(kill(p, SIGUSR2));
		CHECK_EQ(stop_of(p), SIGUSR2);
		gate_post(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	guest_checkpoint();
	OK(kill(tracer, SIGKILL));
	CHECK_EQ(WTERMSIG(guest_status(tracer)), SIGKILL);
	if (kill_it) {
		CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
		return;
	}
	msleep(20); /* the signal was collected, so it went with the tracer */
	OK(kill(p, SIGUSR2));
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 6);
}

void guest_test(void)
{
	signals();
	seized_stop();
	attached_stop();
	not_the_parent();
	tracer_dies(false);
	tracer_dies(true);
}
