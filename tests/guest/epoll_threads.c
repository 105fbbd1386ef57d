// SPDX-License-Identifier: Apache-2.0
/*
 * Six threads wait on one epoll: every event is taken once (edge, one-shot, exclusive), threads blocked over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define EVENTS 300

static int ep, fds[EVENTS];
static int taken[EVENTS], total;
static volatile pid_t tids[6];

static void *worker(void *arg)
{
	struct epoll_event ev;
	uint64_t v;

	tids[(intptr_t)arg] = guest_gettid();
	for (;;) {
		CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
		if (ev.data.u32 == EVENTS)
			return NULL;
		CHECK_EQ(read(fds[ev.data.u32], &v, 8), 8);
		CHECK_EQ(v, ev.data.u32 + 1);
		__atomic_add_fetch(&taken[ev.data.u32], 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
	}
}

void guest_test(void)
{
	struct epoll_event ev;
	pthread_t t[6];
	uint64_t v;
	int quit = OK(eventfd(0, 0));

	ep = OK(epoll_create1(0));
	for (uint32_t i = 0; i < EVENTS; i++) {
		fds[i] = OK(eventfd(0, 0));
		ev = (struct epoll_event){.events = EPOLLIN | (i % 2 ? EPOLLONESHOT : EPOLLET), .data.u32 = i};
		OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev));
	}
	for (intptr_t i = 0; i < 6; i++)
		t[i] = guest_thread(worker, (void *)i);
	for (int i = 0; i < 6; i++) {
		while (!tids[i])
			msleep(1);
		guest_blocked(tids[i]);
	}
	guest_checkpoint();
	CHECK_EQ(total, 0);
	for (uint32_t i = 0; i < EVENTS; i++) {
		v = i + 1;
		CHECK_EQ(write(fds[i], &v, 8), 8);
		if (i == EVENTS / 2)
			guest_checkpoint();
	}
	for (int i = 0; i < 5000 && __atomic_load_n(&total, __ATOMIC_SEQ_CST) < EVENTS; i++)
		msleep(1);
	CHECK_EQ(total, EVENTS);
	for (int i = 0; i < EVENTS; i++)
		CHECK_EQ(taken[i], 1);
	ev = (struct epoll_event){.events = EPOLLIN, .data.u32 = EVENTS}; /* level: wakes all, one after the other */
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, quit, &ev));
	v = 1;
	CHECK_EQ(write(quit, &v, 8), 8);
	for (int i = 0; i < 6; i++)
		guest_join(t[i]);
}
