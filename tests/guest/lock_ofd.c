// SPDX-License-Identifier: Apache-2.0
/*
 * Open file description locks: owner is the description, shared over fork and dup, conflicts inside one process; over
 * a checkpoint.
 */
#include "guest.h"

static int lk(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &fl);
}

void guest_test(void)
{
	int a = OK(open("f", O_CREAT | O_RDWR, 0644)), b = OK(open("f", O_RDWR)), d;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
	pid_t p;

	CHECK_EQ(lk(a, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
	CHECK_ERRNO(lk(b, F_OFD_SETLK, F_WRLCK, 5, 1), EAGAIN);
	CHECK_ERRNO(lk(b, F_SETLK, F_RDLCK, 5, 1), EAGAIN); /* conflicts with classic locks, also of the same process */
	guest_checkpoint();
	CHECK_ERRNO(lk(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
	CHECK_EQ(fcntl(b, F_OFD_GETLK, &fl), 0);
	CHECK_EQ(fl.l_type, F_WRLCK);
	CHECK_EQ(fl.l_pid, -1);
	CHECK_EQ(fl.l_len, 10);
	CHILD (p) { /* the description is shared */
		CHECK_EQ(lk(a, F_OFD_SETLK, F_RDLCK, 0, 10), 0);
		CHECK_EQ(lk(b, F_OFD_SETLK, F_RDLCK, 0, 1), 0);
		CHECK_EQ(lk(b, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("closing another description does not drop it, the last close does");
	close(OK(open("f", O_RDONLY)));
	CHECK_ERRNO(lk(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	d = dup(a);
	close(a);
	guest_checkpoint();
	CHECK_ERRNO(lk(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(d);
	CHECK_EQ(lk(b, F_OFD_SETLK, F_WRLCK, 0, 1), 0);
	SUBTEST("errors");
	fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1, .l_pid = 5};
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &fl), EINVAL);
	int ro = OK(open("f", O_RDONLY));
	CHECK_ERRNO(lk(ro, F_OFD_SETLK, F_WRLCK, 100, 1), EBADF);
}
