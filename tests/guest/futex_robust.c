// SPDX-License-Identifier: Apache-2.0
/* Robust lists: EOWNERDEAD after the owner's death (thread, process), inconsistent use, list survives a checkpoint. */
#include "guest.h"
#include <linux/futex.h>

static pthread_mutex_t *m;

static void *dies_holding(void *arg)
{
	CHECK_EQ(pthread_mutex_lock(&m[0]), 0);
	return arg;
}

void guest_test(void)
{
	pthread_mutexattr_t a;
	struct gate locked, go;
	void *head;
	size_t len;
	pid_t p;

	gate_init(&locked);
	gate_init(&go);
	m = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_mutex_init(&m[i], &a), 0);
	SUBTEST("thread");
	guest_join(guest_thread(dies_holding, NULL));
	CHECK_EQ(pthread_mutex_lock(&m[0]), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&m[0]), 0);
	CHECK_EQ(pthread_mutex_unlock(&m[0]), 0);
	SUBTEST("process killed after a checkpoint, with a waiter");
	CHILD (p) {
		CHECK_EQ(pthread_mutex_lock(&m[1]), 0);
		CHECK_EQ(pthread_mutex_lock(&m[2]), 0);
		gate_post(&locked);
		gate_wait(&go);
		kill(getpid(), SIGKILL);
	}
	gate_wait(&locked);
	pid_t w;
	CHILD (w) {
		CHECK_EQ(pthread_mutex_lock(&m[1]), EOWNERDEAD);
		CHECK_EQ(pthread_mutex_unlock(&m[1]), 0); /* not made consistent */
		_exit(0);
	}
	guest_blocked(w);
	guest_checkpoint();
	gate_post(&go);
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
	guest_reap(w);
	CHECK_EQ(pthread_mutex_lock(&m[1]), ENOTRECOVERABLE);
	CHECK_EQ(pthread_mutex_lock(&m[2]), EOWNERDEAD);
	SUBTEST("get_robust_list");
	CHECK_EQ(syscall(SYS_get_robust_list, 0, &head, &len), 0);
	CHECK_EQ(len, sizeof(struct robust_list_head));
	CHECK(head != NULL);
	CHECK_ERRNO(syscall(SYS_set_robust_list, head, len + 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 999999, &head, &len), ESRCH);
}
