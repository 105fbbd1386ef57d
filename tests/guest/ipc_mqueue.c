// SPDX-License-Identifier: Apache-2.0
/* POSIX message queues: priorities, blocking, non-blocking, attributes, notification; contents over a checkpoint. */
#include "guest.h"
#include <mqueue.h>

void guest_test(void)
{
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 64}, g;
	mqd_t q = mq_open("/guest-q", O_CREAT | O_EXCL | O_RDWR, 0600, &a);
	struct sigevent sev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec past = {1, 0};
	char b[64];
	unsigned prio;
	pid_t p;

	if (q == (mqd_t)-1 && errno == ENOSYS)
		SKIP("no POSIX message queues");
	CHECK(q != (mqd_t)-1);
	CHECK_EQ(mq_send(q, "low", 3, 1), 0);
	CHECK_EQ(mq_send(q, "high", 4, 9), 0);
	CHECK_EQ(mq_send(q, "low2", 4, 1), 0);
	guest_checkpoint();
	CHECK_EQ(mq_getattr(q, &g), 0);
	CHECK(g.mq_curmsgs == 3 && g.mq_maxmsg == 4 && g.mq_msgsize == 64);
	CHECK_EQ(mq_receive(q, b, 64, &prio), 4);
	CHECK(prio == 9 && memcmp(b, "high", 4) == 0);
	CHECK_EQ(mq_receive(q, b, 64, &prio), 3);
	CHECK_ERRNO(mq_receive(q, b, 10, &prio), EMSGSIZE);
	CHECK_EQ(mq_receive(q, b, 64, &prio), 4);
	CHECK_ERRNO(mq_timedreceive(q, b, 64, &prio, &past), ETIMEDOUT);
	SUBTEST("blocked over a checkpoint");
	CHILD (p) {
		CHECK_EQ(mq_receive(q, b, 64, &prio), 2);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(mq_send(q, "ok", 2, 0), 0);
	guest_reap(p);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(mq_send(q, "x", 1, 0), 0);
	CHECK_ERRNO(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(mq_receive(q, b, 64, NULL), 1);
	SUBTEST("notification");
	guest_catch(SIGUSR1, 0);
	CHECK_EQ(mq_notify(q, &sev), 0);
	CHECK_ERRNO(mq_notify(q, &sev), EBUSY);
	guest_checkpoint();
	CHECK_EQ(mq_send(q, "n", 1, 0), 0);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_EQ(guest_si.si_code, SI_MESGQ);
	CHECK_EQ(mq_receive(q, b, 64, NULL), 1);
	CHECK_EQ(mq_unlink("/guest-q"), 0);
	CHECK_ERRNO(mq_unlink("/guest-q"), ENOENT);
	guest_checkpoint();
	CHECK_EQ(mq_send(q, "still", 5, 0), 0);
	CHECK_EQ(mq_receive(q, b, 64, NULL), 5);
}
