// SPDX-License-Identifier: Apache-2.0
/*
 * Stopped processes stay stopped over a checkpoint; SIGCONT clears stops and the reverse; SIGKILL of a stopped
 * process.
 */
#include "guest.h"

static int *counter;

static void *count(void *arg)
{
	for (;;) {
		__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	return arg;
}

void guest_test(void)
{
	char path[64], buf[512];
	pid_t p, q;
	int a;

	counter = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	CHILD (p) {
		guest_thread(count, NULL);
		count(NULL);
	}
	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < 100)
		msleep(1);
	OK(kill(p, SIGSTOP));
	CHECK_EQ(waitpid(p, NULL, WUNTRACED), p);
	a = *counter;
	msleep(10);
	CHECK_EQ(*counter, a); /* all threads stopped */
	guest_checkpoint();
	CHECK_EQ(*counter, a);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)p);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, ") T "));
	OK(kill(p, SIGCONT));
	for (int i = 0; i < 3000 && *counter == a; i++)
		msleep(1);
	CHECK(*counter > a);
	SUBTEST("kill while stopped");
	OK(kill(p, SIGSTOP));
	CHECK_EQ(waitpid(p, NULL, WUNTRACED), p);
	OK(kill(p, SIGTERM)); /* pending */
	guest_checkpoint();
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	OK(kill(p, SIGCONT));
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGTERM);
	CHILD (q) {
		guest_block(SIGTSTP);
		raise(SIGTSTP);
		sigset_t s;
		sigpending(&s);
		CHECK(sigismember(&s, SIGTSTP));
		raise(SIGCONT); /* discards pending stops */
		sigpending(&s);
		CHECK(!sigismember(&s, SIGTSTP));
		guest_block(SIGCONT);
		raise(SIGCONT);
		sigpending(&s);
		guest_catch(SIGCONT, 0);
		raise(SIGCONT);
		sigpending(&s);
		CHECK(sigismember(&s, SIGCONT));
		raise(SIGTSTP); /* and the reverse */
		sigpending(&s);
		CHECK(!sigismember(&s, SIGCONT));
		_exit(0);
	}
	guest_reap(q);
	CHILD (q) {
		raise(SIGSTOP);
		_exit(0);
	}
	CHECK_EQ(waitpid(q, NULL, WUNTRACED), q);
	OK(kill(q, SIGKILL));
	CHECK_EQ(WTERMSIG(guest_status(q)), SIGKILL);
}
