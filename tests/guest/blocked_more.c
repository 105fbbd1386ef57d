// SPDX-License-Identifier: Apache-2.0
/*
 * More calls blocked over a checkpoint: inotify, terminal, pidfd wait, datagrams both ways, epoll_pwait, futex_waitv,
 * sendfile, WAITALL.
 */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <termios.h>

static int in, tty_s, dg[2], full[2], st[2], pp[2], out_pipe[2], file;
static uint32_t *words;
static struct gate g;

struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

static void waiter(int kind)
{
	struct epoll_event ev = {.events = EPOLLIN};
	char b[4096] __attribute__((aligned(8)));
	struct waitv wv[2] = {{0, (uintptr_t)words, 2, 0}, {0, (uintptr_t)(words + 1), 2, 0}};
	siginfo_t si;
	sigset_t all;
	pid_t c;
	int fd, ep;

	switch (kind) {
	case 0:
		CHECK(read(in, b, sizeof(b)) > 0);
		CHECK_STR(((struct inotify_event *)b)->name, "new");
		break;
	case 1:
		CHECK_EQ(read(tty_s, b, 100), 5);
		CHECK(memcmp(b, "line\n", 5) == 0);
		break;
	case 2:
		CHILD (c) {
			gate_wait(&g);
			_exit(6);
		}
		fd = (int)OK(syscall(SYS_pidfd_open, c, 0));
		CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &si, WEXITED), 0);
		CHECK_EQ(si.si_status, 6);
		break;
	case 3:
		CHECK_EQ(recv(dg[0], b, 100, 0), 3);
		break;
	case 4:
		CHECK_EQ(send(full[0], "more", 4, 0), 4);
		break;
	case 5:
		ep = OK(epoll_create1(0));
		OK(epoll_ctl(ep, EPOLL_CTL_ADD, pp[0], &ev));
		sigfillset(&all);
		CHECK_EQ(epoll_pwait(ep, &ev, 1, -1, &all), 1);
		break;
	case 6:
		CHECK_EQ(syscall(449, wv, 2, 0, NULL, CLOCK_MONOTONIC), 1);
		break;
	case 7:
		for (ssize_t k = 0; k < 100000;) /* each call takes what fits, the next one blocks */
			k += OK(sendfile(out_pipe[1], file, NULL, (size_t)(100000 - k)));
		break;
	case 8:
		CHECK_EQ(recv(st[0], b, 8, MSG_WAITALL), 8);
		CHECK(memcmp(b, "abcdefgh", 8) == 0);
		break;
	}
	_exit(0);
}

void guest_test(void)
{
	int m, n, unlock = 0, filled = 0;
	char name[64], *b = malloc(200000), *w = malloc(200000);
	pid_t p[9];
	bool waitv;

	gate_init(&g);
	in = OK(inotify_init());
	OK(mkdir("d", 0755));
	OK(inotify_add_watch(in, "d", IN_CREATE));
	m = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(m, TIOCSPTLCK, &unlock));
	OK(ioctl(m, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	tty_s = OK(open(name, O_RDWR | O_NOCTTY));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, dg));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, full));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, st));
	OK(pipe(pp));
	OK(pipe(out_pipe));
	file = guest_make_file("f", 100000, 3);
	while (send(full[0], "x", 1, MSG_DONTWAIT) == 1)
		filled++;
	words = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	waitv = syscall(449, NULL, 0, 0, NULL, 0) == -1 && errno != ENOSYS;
	for (int i = 0; i < 9; i++)
		CHILD (p[i])
			waiter(i == 6 && !waitv ? 99 : i);
	for (int i = 0; i < 9; i++)
		if (i != 6 || waitv)
			guest_blocked(p[i]);
	CHECK_EQ(send(st[1], "abc", 3, 0), 3);
	CHECK_EQ(write(m, "li", 2), 2);
	guest_checkpoint();
	for (int i = 0; i < 9; i++)
		if (i != 6)
			CHECK_EQ(waitpid(p[i], NULL, WNOHANG), 0);
	guest_write_file("d/new", "");
	CHECK_EQ(write(m, "ne\n", 3), 3);
	gate_post(&g);
	CHECK_EQ(send(dg[1], "msg", 3, 0), 3);
	for (int i = 0; i < filled; i++)
		CHECK_EQ(recv(full[1], b, 100, 0), 1);
	CHECK_EQ(recv(full[1], b, 100, 0), 4);
	CHECK_EQ(write(pp[1], "x", 1), 1);
	if (waitv)
		CHECK_EQ(syscall(SYS_futex, words + 1, 1, 1, NULL, NULL, 0), 1);
	CHECK_EQ(send(st[1], "defgh", 5, 0), 5);
	for (n = 0; n < 100000;)
		n += (int)OK(read(out_pipe[0], b + n, (size_t)(100000 - n)));
	guest_fill(w, 100000, 3);
	CHECK(memcmp(b, w, 100000) == 0);
	for (int i = 0; i < 9; i++)
		guest_reap(p[i]);
}
