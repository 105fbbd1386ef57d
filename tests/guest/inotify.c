// SPDX-License-Identifier: Apache-2.0
/*
 * inotify: events of files and directories, masks, cookies, overflow of the buffer, removal, pending over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/inotify.h>

static int in;
static char buf[16384] __attribute__((aligned(8)));
static size_t pos, len;

static struct inotify_event *next(void)
{
	struct inotify_event *e;

	if (pos == len) {
		ssize_t r = read(in, buf, sizeof(buf));

		if (r < 0) {
			CHECK_EQ(errno, EAGAIN);
			return NULL;
		}
		len = (size_t)r;
		pos = 0;
	}
	e = (struct inotify_event *)(buf + pos);
	pos += sizeof(*e) + e->len;
	CHECK(pos <= len);
	return e;
}

static uint32_t want(int wd, uint32_t mask, const char *name)
{
	struct inotify_event *e = next();

	CHECK(e != NULL);
	CHECK_EQ(e->wd, wd);
	CHECK_EQ(e->mask, mask);
	CHECK_STR(e->len ? e->name : "", name);
	return e->cookie;
}

void guest_test(void)
{
	int wd, wf, fd;
	uint32_t c;
	char b[4];

	in = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	OK(mkdir("d", 0755));
	wd = OK(inotify_add_watch(in, "d", IN_ALL_EVENTS));
	CHECK_EQ(wd, 1);
	SUBTEST("a file's life");
	fd = OK(open("d/f", O_CREAT | O_RDWR, 0644));
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(pread(fd, b, 3, 0), 3);
	OK(fchmod(fd, 0600));
	OK(ftruncate(fd, 1));
	close(fd);
	guest_checkpoint();
	want(wd, IN_CREATE, "f");
	want(wd, IN_OPEN, "f");
	want(wd, IN_MODIFY, "f");
	want(wd, IN_ACCESS, "f");
	want(wd, IN_ATTRIB, "f");
	want(wd, IN_MODIFY, "f");
	want(wd, IN_CLOSE_WRITE, "f");
	CHECK(next() == NULL);
	SUBTEST("names");
	OK(rename("d/f", "d/g"));
	c = want(wd, IN_MOVED_FROM, "f");
	CHECK(c != 0);
	CHECK_EQ(want(wd, IN_MOVED_TO, "g"), c);
	OK(mkdir("d/sub", 0755));
	want(wd, IN_CREATE | IN_ISDIR, "sub");
	OK(rmdir("d/sub"));
	want(wd, IN_DELETE | IN_ISDIR, "sub");
	OK(link("d/g", "d/h"));
	want(wd, IN_CREATE, "h");
	OK(unlink("d/h"));
	want(wd, IN_DELETE, "h");
	OK(symlink("x", "d/sl"));
	want(wd, IN_CREATE, "sl");
	CHECK(next() == NULL);
	SUBTEST("a watch on a file, one-shot and identical events merged");
	wf = OK(inotify_add_watch(in, "d/g", IN_MODIFY | IN_DELETE_SELF | IN_ATTRIB));
	CHECK_EQ(wf, 2);
	fd = OK(open("d/g", O_WRONLY));
	want(wd, IN_OPEN, "g");
	CHECK_EQ(inotify_add_watch(in, "d", IN_DELETE_SELF), wd); /* replaces the mask */
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(write(fd, "y", 1), 1);
	guest_checkpoint();
	want(wf, IN_MODIFY, "");
	CHECK(next() == NULL);
	OK(unlink("d/g"));
	want(wf, IN_ATTRIB, ""); /* link count */
	CHECK(next() == NULL);
	close(fd);
	want(wf, IN_DELETE_SELF, "");
	want(wf, IN_IGNORED, "");
	SUBTEST("removal");
	CHECK_ERRNO(inotify_rm_watch(in, wf), EINVAL);
	CHECK_EQ(inotify_rm_watch(in, wd), 0);
	want(wd, IN_IGNORED, "");
	guest_checkpoint();
	wd = OK(inotify_add_watch(in, "d", IN_CREATE | IN_ONESHOT));
	CHECK_EQ(wd, 3); /* numbers are not reused */
	guest_write_file("d/1", "");
	guest_write_file("d/2", "");
	want(wd, IN_CREATE, "1");
	want(wd, IN_IGNORED, "");
	CHECK(next() == NULL);
	SUBTEST("small buffers and errors");
	wd = OK(inotify_add_watch(in, "d", IN_CREATE));
	guest_write_file("d/3", "");
	CHECK_ERRNO(read(in, buf, 10), EINVAL);
	int n;
	OK(ioctl(in, FIONREAD, &n));
	CHECK_EQ(n, 32);
	CHECK_ERRNO(inotify_add_watch(in, "none", IN_CREATE), ENOENT);
	CHECK_ERRNO(inotify_add_watch(in, "d", 0), EINVAL);
	CHECK_ERRNO(inotify_add_watch(0, "d", IN_CREATE), EINVAL);
	CHECK_ERRNO(inotify_add_watch(in, "d/1", IN_CREATE | IN_ONLYDIR), ENOTDIR);
	CHECK_ERRNO(inotify_add_watch(in, "d", IN_CREATE | IN_MASK_CREATE), EEXIST);
	CHECK_ERRNO(inotify_init1(1), EINVAL);
}
