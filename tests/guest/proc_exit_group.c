// SPDX-License-Identifier: Apache-2.0
/* exit_group from any thread ends all, in whatever state; exit status masks; kill of one thread kills all. */
#include "guest.h"

static int fds[2];
static struct gate go;

static void *reader(void *arg)
{
	char c;

	read(fds[0], &c, 1);
	return arg;
}

static void *spinner(void *arg)
{
	for (volatile unsigned i = 0;; i++)
		;
	return arg;
}

static void *quitter(void *arg)
{
	gate_wait(&go);
	_exit((int)(intptr_t)arg);
}

static void *dies(void *arg)
{
	gate_wait(&go);
	*(volatile int *)8 = 1;
	return arg;
}

static pid_t group(void *(*last)(void *), int arg)
{
	pid_t p;

	CHILD (p) {
		guest_thread(reader, NULL);
		guest_thread(spinner, NULL);
		guest_thread(last, (void *)(intptr_t)arg);
		pause();
		_exit(99);
	}
	return p;
}

void guest_test(void)
{
	pid_t p;

	OK(pipe(fds));
	gate_init(&go);
	p = group(quitter, 300);
	msleep(10);
	guest_checkpoint();
	gate_post(&go);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 300 & 255);
	p = group(dies, 0);
	gate_post(&go);
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGSEGV);
	p = group(quitter, 0);
	guest_blocked(p);
	CHECK_EQ(kill(p, SIGKILL), 0);
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
	p = group(quitter, -1);
	gate_post(&go);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 255);
}
