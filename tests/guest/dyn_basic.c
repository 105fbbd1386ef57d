// SPDX-License-Identifier: Apache-2.0
/*
 * A dynamically linked program: interpreter, shared library, TLS, locale-free stdio, threads and fork over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/auxv.h>

static __thread int tls = 3;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

static int cmp(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void *thread(void *arg)
{
	pthread_mutex_lock(&m);
	CHECK_EQ(tls, 3);
	tls = 4;
	pthread_mutex_unlock(&m);
	return arg;
}

void guest_test(void)
{
	static char maps[65536];
	pthread_t t;
	int v[1000];
	FILE *f;
	pid_t p;

	CHECK(getauxval(AT_BASE) != 0);
	CHECK(guest_read_file("/proc/self/maps", maps, sizeof(maps)) > 0);
	CHECK(strstr(maps, "libc.so.6"));
	CHECK(strstr(maps, "ld-linux"));
	pthread_mutex_lock(&m);
	t = guest_thread(thread, NULL);
	f = fopen("file", "w+");
	CHECK(f != NULL);
	fprintf(f, "buffered %d\n", 42);
	for (int i = 0; i < 1000; i++)
		v[i] = (i * 7919) % 1000;
	guest_checkpoint();
	qsort(v, 1000, sizeof(int), cmp);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(v[i], i);
	pthread_mutex_unlock(&m);
	guest_join(t);
	CHECK_EQ(tls, 3);
	CHECK_EQ(fflush(f), 0);
	rewind(f);
	char b[32];
	CHECK(fgets(b, sizeof(b), f) != NULL);
	CHECK_STR(b, "buffered 42\n");
	CHILD (p) {
		void *q = malloc(10 << 20);
		CHECK(q != NULL);
		memset(q, 1, 10 << 20);
		_exit(0);
	}
	guest_reap(p);
}
