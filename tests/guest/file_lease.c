/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and dnotify: who gets which signal, who waits, what a checkpoint keeps. */
#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>

#include "guest.h"

static volatile sig_atomic_t hits, last_fd;

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
	hits++;
	last_fd = si->si_fd;
}

static void wait_hits(int n)
{
	while (hits < n)
		msleep(2);
}

static void handler(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	OK(sigaction(sig, &sa, NULL));
}

static void test_lease(void)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644)), rd, other, from[2];
	pid_t p;
	char c;

	handler(SIGIO);
	handler(SIGRTMIN);
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, 9), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_RDLCK), EAGAIN); /* open for writing */
	OK(fcntl(fd, F_SETLEASE, F_WRLCK));
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_WRLCK);
	guest_checkpoint();
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_WRLCK);
	CHECK_ERRNO(open("f", O_RDONLY | O_NONBLOCK), EWOULDBLOCK);
	wait_hits(1);
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK); /* what it is to become */
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	rd = OK(open("f", O_RDONLY | O_NONBLOCK));
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN); /* another open file */
	close(rd);

	/* A waiting opener, with a checkpoint meanwhile. */
	OK(fcntl(fd, F_SETSIG, SIGRTMIN));
	OK(fcntl(fd, F_SETLEASE, F_WRLCK));
	OK(pipe(from));
	hits = 0;
	CHILD (p) {
		close(fd);
		other = OK(open("f", O_WRONLY));
		CHECK_EQ(write(from[1], "x", 1), 1);
		close(other);
		_exit(0);
	}
	wait_hits(1);
	CHECK_EQ(last_fd, fd);
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
	struct pollfd pf = { .fd = from[0], .events = POLLIN };
	CHECK_EQ(poll(&pf, 1, 0), 0); /* still waiting */
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	CHECK_EQ(read(from[0], &c, 1), 1);
	guest_reap(p);

	/* Truncating by name breaks a read lease. */
	close(fd);
	rd = OK(open("f", O_RDONLY));
	OK(fcntl(rd, F_SETLEASE, F_RDLCK));
	hits = 0;
	CHILD (p) {
		close(rd);
		OK(truncate("f", 0));
		_exit(0);
	}
	wait_hits(1);
	close(rd); /* gives it up */
	guest_reap(p);
	CHECK_ERRNO(fcntl(OK(open(".", O_RDONLY)), F_SETLEASE, F_RDLCK), EINVAL);
	OK(chmod("f", 0666));
	CHILD (p) {
		rd = OK(open("f", O_RDONLY));
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(fcntl(rd, F_SETLEASE, F_RDLCK), EACCES);
		_exit(0);
	}
	guest_reap(p);
}

static void test_dnotify(void)
{
	int d, file = OK(open("plain", O_WRONLY | O_CREAT, 0600));

	OK(mkdir("dir", 0755));
	d = OK(open("dir", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(fcntl(file, F_NOTIFY, DN_CREATE), ENOTDIR);
	OK(fcntl(d, F_SETSIG, SIGRTMIN));
	OK(fcntl(d, F_NOTIFY, DN_CREATE)); /* one shot */
	hits = 0;
	close(OK(creat("dir/a", 0600)));
	wait_hits(1);
	CHECK_EQ(last_fd, d);
	close(OK(creat("dir/b", 0600)));
	msleep(20);
	CHECK_EQ(hits, 1);
	OK(fcntl(d, F_NOTIFY, DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MULTISHOT));
	guest_checkpoint();
	hits = 0;
	OK(chmod("dir/a", 0640));
	wait_hits(1);
	OK(rename("dir/a", "dir/c"));
	wait_hits(2);
	int before = hits;
	OK(unlink("dir/c"));
	wait_hits(before + 1);
	OK(fcntl(d, F_NOTIFY, 0));
	msleep(20);
	before = hits;
	OK(unlink("dir/b"));
	msleep(20);
	CHECK_EQ(hits, before);
	close(d);
	close(file);
}

void guest_test(void)
{
	SUBTEST("lease");
	test_lease();
	SUBTEST("dnotify");
	test_dnotify();
}
