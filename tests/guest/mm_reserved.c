// SPDX-License-Identifier: Apache-2.0
/* Terabytes that are only reserved, as runtimes and sanitizers do, with some pages here and there: no operation may depend on what is not used. */
#include "guest.h"

#include <sys/wait.h>

#define SIZE	(4ul << 40)
#define STRIDES 16
#define USED	(512ul << 10) /* at each */

static void fill(char *p, char v)
{
	for (unsigned long i = 0; i < STRIDES; i++)
		for (unsigned long at = 0; at < USED; at += PAGE)
			p[i * (SIZE / STRIDES) + at] = (char)(v + (char)i);
}

static int right(const char *p, char v)
{
	for (unsigned long i = 0; i < STRIDES; i++)
		for (unsigned long at = 0; at < USED; at += PAGE)
			if (p[i * (SIZE / STRIDES) + at] != (char)(v + (char)i))
				return 0;
	return 1;
}

void guest_test(void)
{
	char *p = OK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	int status;
	pid_t pid;

	for (char v = 1; v < 4; v++) {
		fill(p, v);
		guest_checkpoint();
		CHECK(right(p, v));
		pid = OK(fork());
		if (pid == 0) {
			fill(p, 50);
			_exit(right(p, 50) ? 0 : 1);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		CHECK(right(p, v));
		CHECK_EQ(p[SIZE / STRIDES / 2], 0);
	}
	CHECK_EQ(munmap(p, SIZE), 0);
}
