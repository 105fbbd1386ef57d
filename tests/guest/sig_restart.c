// SPDX-License-Identifier: Apache-2.0
/*
 * Which calls restart under SA_RESTART and which always fail with EINTR; over a checkpoint the restart still happens.
 */
#include "guest.h"
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <semaphore.h>

static int fds[2], sock, fd;
static int word;

/* Returns the call's errno, or 0 on success. The parent first signals, then makes the event happen. */
static int run(int kind)
{
	struct pollfd pf = {fds[0], POLLIN, 0};
	struct timespec ts = {30, 0};
	struct timeval tv = {30, 0};
	struct epoll_event ev = {.events = EPOLLIN};
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	sigset_t s;
	fd_set set;
	char c;
	int ep;

	errno = 0;
	switch (kind) {
	case 0:
		return read(fds[0], &c, 1) == 1 ? 0 : errno;
	case 1:
		return waitpid(-1, NULL, 0) > 0 ? 0 : errno;
	case 2:
		return accept(sock, NULL, NULL) >= 0 ? 0 : errno;
	case 3: {
		int f = open("lock", O_RDWR);

		return flock(f, LOCK_EX) == 0 ? 0 : errno;
	}
	case 4: {
		int f = open("lock", O_RDWR);

		return fcntl(f, F_SETLKW, &fl) == 0 ? 0 : errno;
	}
	case 5:
		return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : errno;
	case 6:
		return open("fifo", O_RDONLY) >= 0 ? 0 : errno;
	case 7:
		return recv(sock, &c, 1, 0) == 1 ? 0 : errno;
	/* Never restarted. */
	case 8:
		return poll(&pf, 1, -1) == 1 ? 0 : errno;
	case 9:
		FD_ZERO(&set);
		FD_SET(fds[0], &set);
		return select(fds[0] + 1, &set, NULL, NULL, &tv) == 1 ? 0 : errno;
	case 10:
		ep = epoll_create1(0);
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev);
		return epoll_wait(ep, &ev, 1, -1) == 1 ? 0 : errno;
	case 11:
		return nanosleep(&ts, &ts) == 0 ? 0 : errno;
	case 12:
		return pause() == 0 ? 0 : errno;
	case 13:
		sigemptyset(&s);
		sigaddset(&s, SIGUSR2);
		return sigtimedwait(&s, NULL, &ts) > 0 ? 0 : errno;
	case 14:
		return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0) == 0 ? 0 : errno;
	case 15: /* a receive timeout makes it like poll */
		setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		return recv(sock, &c, 1, 0) == 1 ? 0 : errno;
	}
	return -1;
}

static void event(int kind, pid_t p, int peer)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};

	switch (kind) {
	case 0:
		CHECK_EQ(write(fds[1], "x", 1), 1);
		break;
	case 2:
		OK(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, sizeof(a)));
		break;
	case 3:
	case 4:
		close(fd);
		break;
	case 6:
		OK(open("fifo", O_RDWR));
		break;
	case 7:
		CHECK_EQ(send(peer, "x", 1, 0), 1);
		break;
	}
	(void)p;
}

void guest_test(void)
{
	/* 14: a futex wait with a relative timeout restarts through a restart block, i.e. SA_RESTART or not it ends with EINTR. */
	static const int want_restart[16] = {0, 0, 0, 0, 0, 0, 0, 0, EINTR, EINTR, EINTR, EINTR, EINTR, EINTR, EINTR, EINTR};
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int sp[2], *shared_word;
	pid_t p[32];

	OK(mkfifo("fifo", 0600));
	shared_word = &word;
	(void)shared_word;
	for (int restart = 0; restart < 2; restart++) {
		guest_catch(SIGUSR1, restart ? SA_RESTART : 0);
		for (int k = 0; k < 16; k++) {
			int want = restart ? want_restart[k] : EINTR;

			SUBTEST(((const char *[]){"read", "wait", "accept", "flock", "setlkw", "futex", "fifo", "recv", "poll",
						  "select", "epoll", "nanosleep", "pause", "sigtimedwait", "futex timeout",
						  "recv timeout"})[k]);
			OK(pipe(fds));
			OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sp));
			sock = sp[0];
			if (k == 2) {
				unlink("sock");
				sock = OK(socket(AF_UNIX, SOCK_STREAM, 0));
				OK(bind(sock, (void *)&a, sizeof(a)));
				OK(listen(sock, 5));
			}
			fd = OK(open("lock", O_CREAT | O_RDWR | O_CLOEXEC, 0644));
			if (k == 3)
				OK(flock(fd, LOCK_EX));
			if (k == 4) {
				struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

				OK(fcntl(fd, F_SETLK, &fl));
			}
			if (k == 5 && want == 0)
				continue; /* see below: a woken private word needs a thread; covered by sig_restart_futex */
			CHILD (p[k]) {
				pid_t c = 0;

				if (k == 3) /* else the lock is shared by the descriptor */
					close(fd);
				if (k == 1)
					CHILD (c) {
						signal(SIGUSR1, SIG_IGN);
						msleep(restart ? 150 : 30000);
						_exit(0);
					}
				int e = run(k);
				CHECK_EQ(e, want);
				CHECK_EQ(guest_sig_count, 1);
				if (c)
					kill(c, SIGKILL);
				_exit(0);
			}
			guest_blocked(p[k]);
			OK(kill(p[k], SIGUSR1));
			if (want == 0) {
				guest_blocked(p[k]);
				if (k == 0)
					guest_checkpoint();
				event(k, p[k], sp[1]);
			}
			guest_reap(p[k]);
			close(fds[0]);
			close(fds[1]);
			close(sp[0]);
			close(sp[1]);
			if (k == 2)
				close(sock);
			close(fd);
		}
	}
}
