// SPDX-License-Identifier: Apache-2.0
/* getrlimit, setrlimit, prlimit: inheritance, raising, errors, RLIMIT_NOFILE and FSIZE effects, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct rlimit rl, old;
	pid_t p;
	int fd;

	CHECK_EQ(getrlimit(RLIMIT_STACK, &rl), 0);
	SUBTEST("NOFILE");
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	rl = (struct rlimit){10, old.rlim_max};
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rl), 0);
	while ((fd = dup(0)) >= 0)
		CHECK(fd < 10);
	CHECK_EQ(errno, EMFILE);
	CHECK_ERRNO(dup2(0, 10), EBADF);
	CHECK_ERRNO(fcntl(0, F_DUPFD, 10), EINVAL);
	CHECK_ERRNO(open("/", O_RDONLY), EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 3; i < 10; i++)
		close(i);
	SUBTEST("FSIZE");
	rl = (struct rlimit){1000, 2000};
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &rl), 0);
	guest_checkpoint();
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &rl), 0);
	CHECK_EQ(rl.rlim_cur, 1000);
	CHECK_EQ(rl.rlim_max, 2000);
	guest_catch(SIGXFSZ, 0);
	fd = OK(open("f", O_CREAT | O_RDWR, 0644));
	char buf[1500] = {0};
	CHECK_EQ(write(fd, buf, 1500), 1000);
	CHECK_EQ(guest_sig_count, 0);
	CHECK_ERRNO(write(fd, buf, 1), EFBIG);
	CHECK_EQ(guest_sig_last, SIGXFSZ);
	CHECK_ERRNO(ftruncate(fd, 1001), EFBIG);
	CHECK_EQ(guest_sig_count, 2);
	CHILD (p) {
		CHECK_EQ(getrlimit(RLIMIT_FSIZE, &rl), 0);
		CHECK_EQ(rl.rlim_cur, 1000);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("prlimit of another process");
	struct gate g;
	gate_init(&g);
	CHILD (p) {
		gate_wait(&g);
		CHECK_EQ(getrlimit(RLIMIT_CPU, &rl), 0);
		CHECK_EQ(rl.rlim_cur, 1234);
		_exit(0);
	}
	rl = (struct rlimit){1234, 5678};
	CHECK_EQ(prlimit(p, RLIMIT_CPU, &rl, &old), 0);
	CHECK_EQ(prlimit(p, RLIMIT_CPU, NULL, &old), 0);
	CHECK_EQ(old.rlim_max, 5678);
	gate_post(&g);
	guest_reap(p);
	CHECK_ERRNO(prlimit(p, RLIMIT_CPU, NULL, &old), ESRCH);
	SUBTEST("errors");
	rl = (struct rlimit){10, 5};
	CHECK_ERRNO(setrlimit(RLIMIT_CORE, &rl), EINVAL);
	CHECK_ERRNO(getrlimit(99, &rl), EINVAL);
	CHECK_ERRNO(syscall(SYS_prlimit64, 0, RLIMIT_CORE, 8, NULL), EFAULT);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		rl = (struct rlimit){1000, 2001};
		CHECK_ERRNO(setrlimit(RLIMIT_FSIZE, &rl), EPERM);
		rl = (struct rlimit){2000, 2000};
		CHECK_EQ(setrlimit(RLIMIT_FSIZE, &rl), 0);
		CHECK_ERRNO(prlimit(getppid(), RLIMIT_CPU, NULL, &old), EPERM);
		_exit(0);
	}
	guest_reap(p);
}
