// SPDX-License-Identifier: Apache-2.0
/* poll, select, pselect, epoll_wait blocked over a checkpoint: by event, by timeout, without timeout. */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/select.h>

static int fds[2];

static void waiter(int kind)
{
	struct pollfd pf = {.fd = fds[0], .events = POLLIN};
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0x123456789abcULL};
	struct timeval tv = {100, 0};
	struct timespec ts = {100, 0};
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	fd_set r;
	int ep;

	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	switch (kind) {
	case 0:
		CHECK_EQ(poll(&pf, 1, -1), 1);
		CHECK_EQ(pf.revents, POLLIN);
		break;
	case 1:
		CHECK_EQ(select(fds[0] + 1, &r, NULL, NULL, &tv), 1);
		CHECK(FD_ISSET(fds[0], &r));
		break;
	case 2:
		CHECK_EQ(pselect(fds[0] + 1, &r, NULL, NULL, &ts, NULL), 1);
		break;
	case 3:
	case 4:
		ep = OK(epoll_create1(0));
		OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev));
		memset(&ev, 0, sizeof(ev));
		CHECK_EQ(epoll_wait(ep, &ev, 1, kind == 3 ? -1 : 100000), 1);
		CHECK_EQ(ev.data.u64, 0x123456789abcULL);
		CHECK_EQ(ev.events, EPOLLIN);
		break;
	case 5:
		pf.events = 0;
		CHECK_EQ(poll(&pf, 1, 250), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	case 6:
		tv.tv_sec = 0;
		tv.tv_usec = 250000;
		CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	case 7:
		ep = OK(epoll_create1(0));
		CHECK_EQ(epoll_wait(ep, &ev, 1, 250), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	case 8:
		ts.tv_sec = 0;
		ts.tv_nsec = 250 * MS;
		CHECK_EQ(ppoll(NULL, 0, &ts, NULL), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	}
	_exit(0);
}

void guest_test(void)
{
	pid_t p[9];

	OK(pipe(fds));
	for (int i = 0; i < 9; i++)
		CHILD (p[i])
			waiter(i);
	for (int i = 0; i < 5; i++)
		guest_blocked(p[i]);
	guest_checkpoint();
	for (int i = 0; i < 5; i++)
		CHECK_EQ(waitpid(p[i], NULL, WNOHANG), 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	for (int i = 0; i < 9; i++)
		guest_reap(p[i]);
}
