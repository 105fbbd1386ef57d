// SPDX-License-Identifier: Apache-2.0
/*
 * epoll: level, edge, one-shot, data, modification, deletion by close, nesting, errors; ready lists over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static int ep;

static int wait1(struct epoll_event *ev, int timeout)
{
	memset(ev, 0, sizeof(*ev));
	return epoll_wait(ep, ev, 1, timeout);
}

static void add(int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	CHECK_EQ(epoll_ctl(ep, op, fd, &ev), 0);
}

void guest_test(void)
{
	struct epoll_event ev, evs[8];
	int a[2], b[2], sp[2], outer, d;
	char c[16];

	ep = OK(epoll_create1(EPOLL_CLOEXEC));
	OK(pipe(a));
	OK(pipe(b));
	SUBTEST("level triggered");
	add(EPOLL_CTL_ADD, a[0], EPOLLIN, 0xa0a0a0a0b0b0ULL);
	CHECK_EQ(wait1(&ev, 0), 0);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(wait1(&ev, -1), 1);
	CHECK_EQ(ev.events, EPOLLIN);
	CHECK_EQ(ev.data.u64, 0xa0a0a0a0b0b0ULL);
	guest_checkpoint();
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(ev.data.u64, 0xa0a0a0a0b0b0ULL);
	CHECK_EQ(read(a[0], c, 1), 1);
	CHECK_EQ(wait1(&ev, 0), 0);
	SUBTEST("edge triggered");
	add(EPOLL_CTL_ADD, b[0], EPOLLIN | EPOLLET, 2);
	CHECK_EQ(write(b[1], "x", 1), 1);
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(wait1(&ev, 0), 0);
	guest_checkpoint();
	CHECK_EQ(wait1(&ev, 0), 0); /* already reported */
	CHECK_EQ(write(b[1], "y", 1), 1);
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(write(b[1], "z", 1), 1);
	guest_checkpoint();
	CHECK_EQ(wait1(&ev, 0), 1); /* reported after the restore */
	CHECK_EQ(wait1(&ev, 0), 0);
	SUBTEST("re-arming an edge by MOD");
	add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLET, 3);
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(ev.data.u64, 3);
	SUBTEST("one shot");
	add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLONESHOT, 4);
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(wait1(&ev, 0), 0);
	CHECK_EQ(write(b[1], "x", 1), 1);
	guest_checkpoint();
	CHECK_EQ(wait1(&ev, 0), 0); /* disarmed */
	add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLONESHOT, 5);
	CHECK_EQ(wait1(&ev, 0), 1);
	SUBTEST("several, in fair order");
	add(EPOLL_CTL_MOD, b[0], EPOLLIN, 5);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(ep, evs, 8, 0), 2);
	CHECK(evs[0].data.u64 + evs[1].data.u64 == 0xa0a0a0a0b0b0ULL + 5);
	CHECK_EQ(epoll_wait(ep, evs, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, evs + 1, 1, 0), 1);
	CHECK(evs[0].data.u64 != evs[1].data.u64); /* round robin */
	SUBTEST("closing removes; a duplicate keeps it");
	d = dup(a[0]);
	close(a[0]);
	CHECK_EQ(epoll_wait(ep, evs, 8, 0), 2);
	guest_checkpoint();
	CHECK_EQ(epoll_wait(ep, evs, 8, 0), 2);
	close(d);
	CHECK_EQ(epoll_wait(ep, evs, 8, 0), 1);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, b[0], NULL), 0);
	CHECK_EQ(epoll_wait(ep, evs, 8, 0), 0);
	SUBTEST("sockets: RDHUP and HUP");
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sp));
	add(EPOLL_CTL_ADD, sp[0], EPOLLIN | EPOLLRDHUP | EPOLLOUT, 6);
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(ev.events, EPOLLOUT);
	OK(shutdown(sp[1], SHUT_WR));
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(ev.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	close(sp[1]);
	guest_checkpoint();
	CHECK_EQ(wait1(&ev, 0), 1);
	CHECK_EQ(ev.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, sp[0], NULL), 0);
	SUBTEST("nested");
	outer = OK(epoll_create1(0));
	ev = (struct epoll_event){.events = EPOLLIN, .data.u64 = 99};
	CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev), 0);
	CHECK_EQ(epoll_wait(outer, evs, 8, 0), 0);
	add(EPOLL_CTL_ADD, b[0], EPOLLIN, 7);
	CHECK_EQ(epoll_wait(outer, evs, 8, 0), 1);
	CHECK_EQ(evs[0].data.u64, 99);
	guest_checkpoint();
	CHECK_EQ(epoll_wait(outer, evs, 8, 0), 1);
	SUBTEST("errors");
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &ev), ELOOP);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &ev), EEXIST);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, b[1], &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, b[1], &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(999, EPOLL_CTL_ADD, b[1], &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(b[0], EPOLL_CTL_ADD, b[1], &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, 77, b[1], &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, b[1], (void *)8), EFAULT);
	int f = OK(open("f", O_CREAT | O_RDWR, 0600));
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, f, &ev), EPERM);
	CHECK_ERRNO(epoll_wait(ep, evs, 0, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(ep, evs, -1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(b[0], evs, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_create(0), EINVAL);
	CHECK_ERRNO(epoll_create1(1), EINVAL);
	ev.events = EPOLLEXCLUSIVE | EPOLLONESHOT;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, b[1], &ev), EINVAL);
	ev.events = EPOLLEXCLUSIVE | EPOLLIN;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, b[0], &ev), EINVAL);
	SUBTEST("one call returns as many events as there are");
	struct rlimit rl;
	OK(getrlimit(RLIMIT_NOFILE, &rl));
	rl.rlim_cur = rl.rlim_max;
	OK(setrlimit(RLIMIT_NOFILE, &rl));
	int many = rl.rlim_max > 6000 ? 5000 : 500, big = (int)OK(epoll_create1(0));
	struct epoll_event bev = {.events = EPOLLIN}, *got = calloc((size_t)many + 1000, sizeof(*got));
	CHECK(got != NULL);
	for (int i = 0; i < many; i++) {
		int efd = (int)OK(eventfd(1, 0));
		OK(epoll_ctl(big, EPOLL_CTL_ADD, efd, &bev));
	}
	CHECK_EQ(epoll_wait(big, got, many + 1000, 0), many);
	CHECK_EQ(epoll_wait(big, got, 100, 0), 100);
	free(got);
}
