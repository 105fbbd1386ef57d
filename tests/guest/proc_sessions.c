// SPDX-License-Identifier: Apache-2.0
/* Sessions and process groups: setsid, setpgid, getsid rules and errors; unchanged by a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct gate ready, go, go_p;
	pid_t me = getpid(), p, q;

	gate_init(&ready);
	gate_init(&go);
	gate_init(&go_p);
	CHECK_EQ(getsid(0), me);
	CHECK_EQ(getpgrp(), me);
	CHECK_ERRNO(setsid(), EPERM);
	CHECK_ERRNO(setpgid(0, 0), EPERM); /* session leader */
	CHILD (p) {
		CHECK_EQ(getsid(0), me);
		CHECK_EQ(getpgrp(), me);
		CHECK_EQ(setpgid(0, 0), 0);
		CHECK_EQ(getpgrp(), getpid());
		CHECK_EQ(setpgid(0, me), 0);
		CHECK_EQ(setpgid(0, 0), 0);
		gate_post(&ready);
		gate_wait(&go_p);
		CHECK_EQ(getpgrp(), getpid());
		CHECK_EQ(getsid(0), me);
		CHECK_ERRNO(setsid(), EPERM); /* a group leader */
		_exit(0);
	}
	gate_wait(&ready);
	CHILD (q) {
		CHECK_EQ(setpgid(0, p), 0); /* join the sibling's group */
		CHECK_EQ(setsid(), getpid());
		CHECK_EQ(getsid(0), getpid());
		gate_post(&ready);
		gate_wait(&go);
		CHECK_EQ(getsid(0), getpid());
		CHECK_EQ(getpgid(p), p);
		CHECK_EQ(getsid(p), me);
		CHECK_ERRNO(setpgid(0, p), EPERM); /* other session */
		_exit(0);
	}
	gate_wait(&ready);
	CHECK_EQ(getsid(q), q);
	CHECK_EQ(getpgid(q), q);
	CHECK_ERRNO(setpgid(q, q), EPERM);
	guest_checkpoint();
	CHECK_EQ(getsid(0), me);
	CHECK_EQ(getpgid(p), p);
	CHECK_EQ(getsid(q), q);
	CHECK_ERRNO(setpgid(p, 999999), EPERM);
	CHECK_ERRNO(setpgid(999999, 0), ESRCH);
	CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
	CHECK_ERRNO(setpgid(0, -1), EINVAL);
	CHECK_ERRNO(getpgid(999999), ESRCH);
	CHECK_ERRNO(getsid(999999), ESRCH);
	CHECK_EQ(setpgid(p, me), 0);
	CHECK_EQ(setpgid(p, p), 0);
	gate_post(&go);
	guest_reap(q);
	gate_post(&go_p);
	guest_reap(p);
	SUBTEST("not after exec");
	CHILD (p) {
		OK(dup2(go.r, 0));
		execl("/bin/cat", "cat", NULL);
		_exit(0);
	}
	msleep(30);
	char link[64], exe[PATH_MAX] = "";
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)p);
	readlink(link, exe, sizeof(exe) - 1);
	if (strcmp(exe, guest_self) != 0 && exe[0])
		CHECK_ERRNO(setpgid(p, p), EACCES);
	kill(p, SIGKILL);
	guest_status(p);
}
