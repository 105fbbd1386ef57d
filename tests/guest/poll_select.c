// SPDX-License-Identifier: Apache-2.0
/*
 * poll and select on every common kind of descriptor: readiness bits, POLLNVAL, timeouts, select's set limits and
 * errors.
 */
#include "guest.h"
#include <sys/select.h>

static int pollbits(int fd, short ev)
{
	struct pollfd pf = {fd, ev, 0};
	int r = poll(&pf, 1, 0);

	CHECK_EQ(r, pf.revents != 0);
	return pf.revents;
}

void guest_test(void)
{
	int f = guest_make_file("f", 10, 1), p[2], sp[2], n = OK(open("/dev/null", O_RDWR));
	struct timeval tv = {0, 0};
	struct timespec ts = {0, 1000 * MS};
	fd_set r, w, e;

	OK(pipe(p));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sp));
	CHECK_EQ(pollbits(f, POLLIN | POLLOUT | POLLPRI), POLLIN | POLLOUT);
	CHECK_EQ(pollbits(n, POLLIN | POLLOUT), POLLIN | POLLOUT);
	CHECK_EQ(pollbits(p[0], POLLIN), 0);
	CHECK_EQ(pollbits(p[1], POLLOUT), POLLOUT);
	CHECK_EQ(pollbits(999, POLLIN), POLLNVAL);
	CHECK_EQ(pollbits(-1, POLLIN), 0);
	CHECK_EQ(pollbits(sp[0], POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(send(sp[1], "x", 1, 0), 1);
	CHECK_EQ(pollbits(sp[0], POLLIN | POLLOUT | POLLRDNORM), POLLIN | POLLOUT | POLLRDNORM);
	guest_checkpoint();
	CHECK_EQ(pollbits(sp[0], POLLIN | POLLOUT | POLLRDNORM), POLLIN | POLLOUT | POLLRDNORM);
	close(sp[1]);
	CHECK_EQ(pollbits(sp[0], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	SUBTEST("directories");
	int d = OK(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_EQ(pollbits(d, POLLIN), POLLIN);
	int path = OK(open(".", O_PATH));
	CHECK_EQ(pollbits(path, POLLIN), POLLNVAL);
	SUBTEST("select");
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(f, &r);
	FD_SET(p[1], &w);
	FD_SET(f, &e);
	CHECK_EQ(select(20, &r, &w, &e, &tv), 2);
	CHECK(FD_ISSET(f, &r) && !FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w) && !FD_ISSET(f, &e));
	FD_SET(40, &r);
	CHECK_ERRNO(select(41, &r, NULL, NULL, &tv), EBADF);
	CHECK_EQ(select(20, NULL, NULL, NULL, &tv), 0);
	CHECK_ERRNO(select(-1, NULL, NULL, NULL, &tv), EINVAL);
	tv.tv_sec = -1;
	CHECK_ERRNO(select(0, NULL, NULL, NULL, &tv), EINVAL);
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &ts, NULL), EINVAL);
	CHECK_ERRNO(ppoll(NULL, 0, &ts, NULL), EINVAL);
	CHECK_ERRNO(poll((void *)8, 1, 0), EFAULT);
	CHECK_ERRNO(poll(NULL, 100000, 0), EINVAL); /* over RLIMIT_NOFILE */
	SUBTEST("timeouts");
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	struct pollfd pf = {p[0], POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 30), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 30 * MS);
	tv = (struct timeval){0, 30000};
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	t0 = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(syscall(SYS_select, p[0] + 1, &r, NULL, NULL, &tv), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 30 * MS);
	CHECK_EQ(tv.tv_sec + tv.tv_usec, 0); /* Linux reports the time left */
	CHECK(!FD_ISSET(p[0], &r));
	close(p[1]);
	CHECK_EQ(pollbits(p[0], 0), POLLHUP);
}
