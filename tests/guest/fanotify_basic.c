/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify with descriptors: marks on inodes, mounts and file systems, ignore masks, merging, permission events; checkpoints with events queued and
 * with a task waiting for an answer. */
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest.h"

static struct fanotify_event_metadata ev[64];
static int nr;

/* Reads what is queued (non-blocking descriptor). */
static void drain(int fan)
{
	ssize_t n = read(fan, ev, sizeof(ev));

	nr = 0;
	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return;
	}
	CHECK_EQ(n % FAN_EVENT_METADATA_LEN, 0);
	nr = (int)(n / FAN_EVENT_METADATA_LEN);
	for (int k = 0; k < nr; k++) {
		CHECK_EQ(ev[k].vers, FANOTIFY_METADATA_VERSION);
		CHECK_EQ(ev[k].metadata_len, FAN_EVENT_METADATA_LEN);
	}
}

static void forget(void)
{
	for (int k = 0; k < nr; k++)
		if (ev[k].fd >= 0)
			close(ev[k].fd);
	nr = 0;
}

static void touch(const char *name)
{
	int fd = OK(open(name, O_WRONLY | O_CREAT, 0644));

	CHECK_EQ(write(fd, "x", 1), 1);
	close(fd);
}

static void test_errors(void)
{
	int fan;

	CHECK_ERRNO(fanotify_init(0x80000000u, O_RDONLY), EINVAL);
	CHECK_ERRNO(fanotify_init(FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT, O_RDONLY), EINVAL);
	CHECK_ERRNO(fanotify_init(FAN_CLASS_NOTIF, 3), EINVAL);
	CHECK_ERRNO(fanotify_init(FAN_CLASS_NOTIF, O_EXCL), EINVAL);
	fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE));
	CHECK_EQ(fcntl(fan, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, 0, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, 0, FAN_OPEN, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_REMOVE, FAN_OPEN, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, 1ULL << 40, AT_FDCWD, "."), EINVAL);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_REMOVE, FAN_OPEN, AT_FDCWD, "."), ENOENT);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "nosuch"), ENOENT);
	touch("f");
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, AT_FDCWD, "f"), ENOTDIR);
	CHECK_ERRNO(fanotify_mark(0, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "f"), EINVAL);
	CHECK_ERRNO(fanotify_mark(999, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "f"), EBADF);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_FLUSH | FAN_MARK_ONLYDIR, 0, AT_FDCWD, "f"), EINVAL);
	CHECK_ERRNO(read(fan, ev, sizeof(ev)), EAGAIN);
	close(fan);
}

static void test_inode(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDWR)), fd, n;
	struct pollfd p = { .fd = fan, .events = POLLIN };
	char c;

	OK(mkdir("dir", 0755));
	touch("dir/a");
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE | FAN_MODIFY | FAN_EVENT_ON_CHILD, AT_FDCWD, "dir"));
	CHECK_EQ(poll(&p, 1, 0), 0);
	touch("dir/a");
	CHECK_EQ(poll(&p, 1, 0), 1);
	OK(ioctl(fan, FIONREAD, &n));
	CHECK(n > 0 && n % FAN_EVENT_METADATA_LEN == 0);
	guest_checkpoint();
	CHECK_EQ(poll(&p, 1, 0), 1);
	drain(fan);
	CHECK_EQ(nr, 1); /* merged: one object, one process */
	CHECK_EQ(ev[0].mask, FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE);
	CHECK_EQ(ev[0].pid, getpid());
	CHECK_EQ(fcntl(ev[0].fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(pread(ev[0].fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'x');
	forget();
	drain(fan);
	CHECK_EQ(nr, 0); /* what is done with the event's descriptor is no event */
	/* Directories only when asked for. */
	close(OK(open("dir", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 0);
	/* Ignoring one file, until it is modified. */
	OK(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN | FAN_CLOSE, AT_FDCWD, "dir/a"));
	close(OK(open("dir/a", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 0);
	touch("dir/a");
	drain(fan);
	CHECK(nr >= 1);
	forget();
	close(OK(open("dir/a", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 1);
	CHECK_EQ(ev[0].mask, FAN_OPEN | FAN_CLOSE_NOWRITE);
	forget();
	OK(fanotify_mark(fan, FAN_MARK_REMOVE, FAN_OPEN | FAN_CLOSE, AT_FDCWD, "dir"));
	fd = OK(open("dir/a", O_WRONLY));
	CHECK_EQ(write(fd, "y", 1), 1);
	close(fd);
	drain(fan);
	CHECK_EQ(nr, 1);
	CHECK_EQ(ev[0].mask, FAN_MODIFY);
	forget();
	OK(fanotify_mark(fan, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL));
	touch("dir/a");
	drain(fan);
	CHECK_EQ(nr, 0);
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_REMOVE, FAN_MODIFY, AT_FDCWD, "dir"), ENOENT);
	/* By descriptor. */
	fd = OK(open("dir/a", O_RDONLY));
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_ACCESS, fd, NULL));
	CHECK_EQ(read(fd, &c, 1), 1);
	drain(fan);
	CHECK_EQ(nr, 1);
	CHECK_EQ(ev[0].mask, FAN_ACCESS);
	forget();
	close(fd);
	close(fan);
}

static void test_mount(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));

	OK(mkdir("m1", 0755));
	OK(mkdir("m2", 0755));
	OK(mount("none", "m1", "tmpfs", 0, ""));
	OK(mount("m1", "m2", NULL, MS_BIND, NULL));
	touch("m1/f");
	OK(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, "m1"));
	guest_checkpoint();
	close(OK(open("m2/f", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 0); /* another mount */
	close(OK(open("m1/f", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 1);
	forget();
	OK(fanotify_mark(fan, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, AT_FDCWD, NULL));
	OK(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "m1"));
	close(OK(open("m2/f", O_RDONLY)));
	close(OK(open("m2", O_RDONLY)));
	drain(fan);
	CHECK_EQ(nr, 2);
	forget();
	OK(umount("m2"));
	OK(umount("m1"));
	drain(fan);
	forget();
	close(fan);
}

static void test_perm(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_CONTENT, O_RDONLY)), st;
	struct fanotify_response r;
	pid_t p;
	char c;

	touch("p");
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "p"));
	for (int round = 0; round < 2; round++) {
		CHILD (p) {
			int fd = open("p", O_RDONLY);

			if (round == 0) {
				CHECK(fd >= 0);
				CHECK_EQ(read(fd, &c, 1), 1);
			} else {
				CHECK(fd == -1 && errno == EPERM);
			}
			_exit(0);
		}
		guest_blocked(p);
		guest_checkpoint(); /* nobody has read the question yet */
		CHECK_EQ(read(fan, ev, sizeof(ev)), FAN_EVENT_METADATA_LEN);
		CHECK_EQ(ev[0].mask, FAN_OPEN_PERM);
		CHECK_EQ(ev[0].pid, p);
		CHECK_EQ(read(ev[0].fd, &c, 1), 1);
		guest_checkpoint(); /* it was read, but not answered */
		r = (struct fanotify_response){ .fd = 12345, .response = FAN_ALLOW };
		CHECK_ERRNO(write(fan, &r, sizeof(r)), ENOENT);
		r = (struct fanotify_response){ .fd = ev[0].fd, .response = 7 };
		CHECK_ERRNO(write(fan, &r, sizeof(r)), EINVAL);
		CHECK_ERRNO(write(fan, &r, 4), EINVAL);
		r.response = round ? FAN_DENY : FAN_ALLOW;
		CHECK_EQ(write(fan, &r, sizeof(r)), sizeof(r));
		close(ev[0].fd);
		guest_reap(p);
	}
	/* Closing the listener lets everybody go on. */
	CHILD (p) {
		close(fan);
		close(OK(open("p", O_RDONLY)));
		_exit(0);
	}
	guest_blocked(p);
	close(fan);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st, 0);
}

static void test_access_perm(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_PRE_CONTENT, O_RDONLY)), fd;
	struct fanotify_response r;
	pid_t p;
	char c;

	touch("q");
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_ACCESS_PERM, AT_FDCWD, "q"));
	fd = OK(open("q", O_RDONLY)); /* newer kernels decide at open whether a file is watched */
	CHILD (p) {
		CHECK_ERRNO(read(fd, &c, 1), EPERM);
		CHECK_EQ(read(fd, &c, 1), 1);
		_exit(0);
	}
	for (int n = 0; n < 2; n++) {
		CHECK_EQ(read(fan, ev, sizeof(ev)), FAN_EVENT_METADATA_LEN);
		CHECK_EQ(ev[0].mask, FAN_ACCESS_PERM);
		r = (struct fanotify_response){ .fd = ev[0].fd, .response = n ? FAN_ALLOW : FAN_DENY };
		CHECK_EQ(write(fan, &r, sizeof(r)), sizeof(r));
		close(ev[0].fd);
	}
	guest_reap(p);
	/* A killed process leaves its question behind, which is gone or answered without harm. */
	CHILD (p) {
		(void)!read(fd, &c, 1);
		_exit(0);
	}
	guest_blocked(p);
	kill(p, SIGKILL);
	CHECK_EQ(waitpid(p, NULL, 0), p);
	close(fd);
	close(fan);
}

static void test_overflow(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY)), total = 0;
	bool overflow = false;

	OK(mkdir("o", 0755));
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, "o"));
	for (int n = 0; n < 16500; n++) {
		char name[32];

		snprintf(name, sizeof(name), "o/%d", n);
		close(OK(creat(name, 0600)));
		OK(unlink(name));
	}
	do {
		drain(fan);
		total += nr;
		for (int k = 0; k < nr; k++)
			if (ev[k].mask == FAN_Q_OVERFLOW) {
				overflow = true;
				CHECK_EQ(ev[k].fd, FAN_NOFD);
			}
		int got = nr;
		forget();
		nr = got;
	} while (nr);
	CHECK(overflow);
	CHECK_EQ(total, 16385);
	close(fan);
}

void guest_test(void)
{
	SUBTEST("errors");
	test_errors();
	SUBTEST("inode");
	test_inode();
	SUBTEST("mount");
	test_mount();
	SUBTEST("permission");
	test_perm();
	SUBTEST("access permission");
	test_access_perm();
	SUBTEST("overflow");
	test_overflow();
}
