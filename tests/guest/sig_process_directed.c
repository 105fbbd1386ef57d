// SPDX-License-Identifier: Apache-2.0
/* A process-directed signal goes to a thread that does not block it; thread-directed ones to their thread only. */
#include "guest.h"

static pthread_t threads[3];
static volatile pid_t tids[3];
static volatile pid_t got_tid[65];
static struct gate quit;

static void note(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	got_tid[sig] = guest_gettid();
}

static void *thread(void *arg)
{
	int i = (int)(intptr_t)arg;

	if (i == 1)
		guest_unblock(SIGUSR1);
	if (i == 2)
		guest_unblock(SIGUSR2);
	tids[i] = guest_gettid();
	gate_wait(&quit);
	return NULL;
}

static void want(int sig, pid_t tid)
{
	for (int i = 0; i < 2000 && !got_tid[sig]; i++)
		msleep(1);
	CHECK_EQ(got_tid[sig], tid);
	got_tid[sig] = 0;
}

void guest_test(void)
{
	gate_init(&quit);
	guest_handler(SIGUSR1, note, SA_RESTART);
	guest_handler(SIGUSR2, note, SA_RESTART);
	guest_handler(SIGHUP, note, SA_RESTART);
	guest_block(SIGUSR1);
	guest_block(SIGUSR2);
	for (intptr_t i = 0; i < 3; i++)
		threads[i] = guest_thread(thread, (void *)i);
	for (int i = 0; i < 3; i++)
		while (!tids[i])
			msleep(1);
	guest_checkpoint();
	OK(kill(getpid(), SIGUSR1));
	want(SIGUSR1, tids[1]);
	OK(kill(getpid(), SIGUSR2));
	want(SIGUSR2, tids[2]);
	OK(kill(getpid(), SIGHUP));
	want(SIGHUP, getpid()); /* the main thread is preferred */
	OK(syscall(SYS_tgkill, getpid(), tids[0], SIGHUP));
	want(SIGHUP, tids[0]);
	SUBTEST("pending in one thread only");
	OK(syscall(SYS_tgkill, getpid(), tids[0], SIGUSR1));
	msleep(10);
	CHECK_EQ(got_tid[SIGUSR1], 0);
	sigset_t s;
	sigpending(&s);
	CHECK(!sigismember(&s, SIGUSR1));
	guest_checkpoint();
	CHECK_EQ(got_tid[SIGUSR1], 0);
	for (int i = 0; i < 3; i++)
		gate_post(&quit);
	for (int i = 0; i < 3; i++)
		guest_join(threads[i]);
}
