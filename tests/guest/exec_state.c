// SPDX-License-Identifier: Apache-2.0
/*
 * A re-executed program keeps descriptors, pending signals, itimer, cwd, locks and credentials, and is checkpointed
 * in its new image.
 */
#include "guest.h"
#include <sys/file.h>

int guest_helper(int argc, char **argv)
{
	struct itimerval it;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	sigset_t s;
	char b[16];
	uid_t r, e, sv;
	pid_t p;

	CHECK_EQ(argc, 2);
	CHECK_STR(argv[1], "second");
	guest_checkpoint();
	CHECK_EQ(read(100, b, 16), 5);
	CHECK(memcmp(b, "piped", 5) == 0);
	sigpending(&s);
	CHECK(sigismember(&s, SIGUSR1));
	CHECK_EQ(getitimer(ITIMER_REAL, &it), 0);
	CHECK(it.it_value.tv_sec > 20);
	CHECK_EQ(access("here", F_OK), 0);
	getresuid(&r, &e, &sv);
	CHECK(r == 5 && e == 0 && sv == 0);
	CHILD (p) {
		CHECK_EQ(fcntl(101, F_GETLK, &fl), 0);
		CHECK_EQ(fl.l_type, F_WRLCK); /* record locks stay with the pid */
		CHECK_EQ(fl.l_pid, getppid());
		_exit(0);
	}
	guest_reap(p);
	return 44;
}

void guest_test(void)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct itimerval it = {.it_value = {100, 0}};
	int fds[2];
	pid_t p;

	CHILD (p) {
		OK(mkdir("w", 0755));
		OK(chdir("w"));
		guest_write_file("here", "");
		OK(pipe(fds));
		CHECK_EQ(write(fds[1], "piped", 5), 5);
		OK(dup2(fds[0], 100));
		OK(dup2(OK(open("lock", O_CREAT | O_RDWR, 0666)), 102));
		OK(dup2(102, 101));
		CHECK_EQ(fcntl(101, F_SETLK, &fl), 0);
		guest_block(SIGUSR1);
		raise(SIGUSR1);
		CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
		OK(setresuid(5, 0, 0));
		execl(guest_self, "x", "second", NULL);
		_exit(99);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 44);
}
