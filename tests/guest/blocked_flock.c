// SPDX-License-Identifier: Apache-2.0
/* flock, F_SETLKW and F_OFD_SETLKW blocked over a checkpoint are granted after the holder releases. */
#include "guest.h"
#include <sys/file.h>

static void waiter(int kind)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	int fd = OK(open("f", O_RDWR));

	if (kind == 0)
		CHECK_EQ(flock(fd, LOCK_EX), 0);
	else
		CHECK_EQ(fcntl(fd, kind == 1 ? F_SETLKW : F_OFD_SETLKW, &fl), 0);
	CHECK_EQ(access("released", F_OK), 0);
	_exit(0);
}

void guest_test(void)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	pid_t p[3];

	CHECK_EQ(flock(fd, LOCK_EX), 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &fl), 0);
	for (int i = 0; i < 3; i++)
		CHILD (p[i]) {
			close(fd);
			waiter(i);
		}
	for (int i = 0; i < 3; i++)
		guest_blocked(p[i]);
	guest_checkpoint();
	for (int i = 0; i < 3; i++)
		CHECK_EQ(waitpid(p[i], NULL, WNOHANG), 0);
	guest_write_file("released", "");
	CHECK_EQ(flock(fd, LOCK_UN), 0);
	fl.l_type = F_UNLCK;
	CHECK_EQ(fcntl(fd, F_SETLK, &fl), 0);
	for (int i = 0; i < 3; i++)
		guest_reap(p[i]);
}
