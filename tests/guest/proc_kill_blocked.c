// SPDX-License-Identifier: Apache-2.0
/* SIGKILL and fatal signals end processes blocked in every kind of call, also right after a checkpoint. */
#include "guest.h"
#include <linux/futex.h>
#include <sys/epoll.h>

static int fds[2];

static void block(int k)
{
	struct timespec ts = {100, 0};
	struct epoll_event ev;
	int word = 0, sp[2], full[2];
	char c[70000];
	pid_t p;

	switch (k) {
	case 0:
		read(fds[0], c, 1);
		break;
	case 1:
		OK(pipe(full));
		write(full[1], c, sizeof(c));
		break;
	case 2:
		nanosleep(&ts, NULL);
		break;
	case 3:
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		break;
	case 4:
		poll(NULL, 0, -1);
		break;
	case 5:
		epoll_wait(epoll_create1(0), &ev, 1, -1);
		break;
	case 6:
		OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sp));
		recv(sp[0], c, 1, 0);
		break;
	case 7:
		p = vfork();
		if (p == 0) {
			nanosleep(&ts, NULL);
			_exit(0);
		}
		break;
	case 8:
		pause();
		break;
	case 9:
		open("fifo", O_RDONLY);
		break;
	case 10:
		for (;;)
			;
	}
	_exit(5);
}

void guest_test(void)
{
	pid_t p[11];

	OK(pipe(fds));
	OK(mkfifo("fifo", 0600));
	for (int sig = SIGTERM, round = 0; round < 2; round++, sig = SIGKILL) {
		for (int i = 0; i < 11; i++)
			CHILD (p[i]) {
				setpgid(0, 0);
				block(i);
			}
		for (int i = 0; i < 10; i++)
			if (i != 7)
				guest_blocked(p[i]);
		msleep(10);
		guest_checkpoint();
		for (int i = 0; i < 11; i++) {
			/* A vfork parent waits uninterruptibly but for fatal signals; its child shares its group. */
			OK(kill(i == 7 ? -p[i] : p[i], sig));
			CHECK_EQ(WTERMSIG(guest_status(p[i])), sig);
		}
	}
}
