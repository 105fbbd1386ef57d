// SPDX-License-Identifier: Apache-2.0
/* eventfd, timerfd, FIFO open, vfork parent, pthread mutex/cond/semaphore, splice: all blocked over a checkpoint. */
#include "guest.h"
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static int efd, efd_full, pfd[2];
static sem_t *sem;

static void waiter(int kind)
{
	struct itimerspec its = {.it_value = {0, 250 * MS}};
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	uint64_t v = 0;
	pid_t c;
	int fd;

	switch (kind) {
	case 0:
		CHECK_EQ(read(efd, &v, 8), 8);
		CHECK_EQ(v, 3);
		break;
	case 1:
		v = 5;
		CHECK_EQ(write(efd_full, &v, 8), 8);
		break;
	case 2:
		fd = OK(open("fifo_r", O_RDONLY));
		CHECK_EQ(read(fd, &v, 1), 0);
		break;
	case 3:
		fd = OK(open("fifo_w", O_WRONLY));
		break;
	case 4:
		CHECK_EQ(sem_wait(sem), 0);
		break;
	case 5:
		fd = OK(open("out", O_CREAT | O_WRONLY, 0600));
		CHECK_EQ(splice(pfd[0], NULL, fd, NULL, 100, 0), 4);
		break;
	case 6:
		fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
		OK(timerfd_settime(fd, 0, &its, NULL));
		CHECK_EQ(read(fd, &v, 8), 8);
		CHECK_EQ(v, 1);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	case 7:
		c = vfork();
		if (c == 0) {
			struct timespec ts = {0, 250 * MS};

			nanosleep(&ts, NULL);
			_exit(5);
		}
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		CHECK_EQ(WEXITSTATUS(guest_status(c)), 5);
		break;
	}
	_exit(0);
}

void guest_test(void)
{
	pid_t p[8];
	uint64_t v = UINT64_MAX - 1;
	int r, w;

	sem = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	CHECK_EQ(sem_init(sem, 1, 0), 0);
	efd = OK(eventfd(0, 0));
	efd_full = OK(eventfd(0, 0));
	CHECK_EQ(write(efd_full, &v, 8), 8);
	OK(mkfifo("fifo_r", 0600));
	OK(mkfifo("fifo_w", 0600));
	OK(pipe(pfd));
	for (int i = 0; i < 8; i++)
		CHILD (p[i])
			waiter(i);
	for (int i = 0; i < 6; i++)
		guest_blocked(p[i]);
	guest_checkpoint();
	for (int i = 0; i < 6; i++)
		CHECK_EQ(waitpid(p[i], NULL, WNOHANG), 0);
	v = 3;
	CHECK_EQ(write(efd, &v, 8), 8);
	CHECK_EQ(read(efd_full, &v, 8), 8);
	CHECK_EQ(v, UINT64_MAX - 1);
	w = OK(open("fifo_r", O_WRONLY));
	close(w);
	r = OK(open("fifo_w", O_RDONLY));
	CHECK_EQ(sem_post(sem), 0);
	CHECK_EQ(write(pfd[1], "data", 4), 4);
	for (int i = 0; i < 8; i++)
		guest_reap(p[i]);
	CHECK_EQ(read(efd_full, &v, 8), 8);
	CHECK_EQ(v, 5);
	close(r);
}
