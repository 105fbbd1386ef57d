// SPDX-License-Identifier: Apache-2.0
/* Fifty threads: ids, TLS, join values, detached ones, a non-leader's view; all alive over a checkpoint. */
#include "guest.h"

#define N 50

static __thread int tls = 7;
static __thread char big_tls[2000];
static struct gate go;
static int ready, detached_done;

static void *thread(void *arg)
{
	int i = (int)(intptr_t)arg;
	pid_t tid = guest_gettid();

	CHECK_EQ(tls, 7);
	tls = 1000 + i;
	memset(big_tls, i, sizeof(big_tls));
	CHECK(tid != getpid());
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	gate_wait(&go);
	CHECK_EQ(tls, 1000 + i);
	CHECK_EQ(big_tls[1999], i);
	CHECK_EQ(guest_gettid(), tid);
	CHECK_EQ(syscall(SYS_tgkill, getpid(), tid, 0), 0);
	return (void *)(intptr_t)(i * 3);
}

static void *detached(void *arg)
{
	pthread_detach(pthread_self());
	gate_wait(&go);
	__atomic_add_fetch(&detached_done, 1, __ATOMIC_SEQ_CST);
	return arg;
}

void guest_test(void)
{
	pthread_t t[N];
	char buf[4096];
	void *r;
	int n = 0;

	gate_init(&go);
	for (int i = 0; i < N; i++)
		t[i] = guest_thread(thread, (void *)(intptr_t)i);
	for (int i = 0; i < 5; i++)
		guest_thread(detached, NULL);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < N)
		msleep(1);
	tls = 5;
	guest_checkpoint();
	CHECK_EQ(tls, 5);
	CHECK(guest_read_file("/proc/self/status", buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, "Threads:\t56\n"));
	DIR *d = opendir("/proc/self/task");
	while (readdir(d))
		n++;
	closedir(d);
	CHECK_EQ(n, 58);
	for (int i = 0; i < N + 5; i++)
		gate_post(&go);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(pthread_join(t[i], &r), 0);
		CHECK_EQ((intptr_t)r, i * 3);
	}
	for (int i = 0; i < 1000 && __atomic_load_n(&detached_done, __ATOMIC_SEQ_CST) < 5; i++)
		msleep(1);
	CHECK_EQ(detached_done, 5);
}
