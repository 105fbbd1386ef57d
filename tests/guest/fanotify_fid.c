/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify with file handles: FID, DFID, names, targets, renames, pidfds; file handles across a checkpoint. */
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "guest.h"

#ifndef FAN_REPORT_PIDFD
#define FAN_REPORT_PIDFD 0x80
#endif
#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x1000
#endif
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif

union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static void handle_of(const char *name, union handle *h)
{
	int id;

	memset(h, 0, sizeof(*h));
	h->h.handle_bytes = MAX_HANDLE_SZ;
	OK(name_to_handle_at(AT_FDCWD, name, &h->h, &id, 0));
}

static bool same(const union handle *a, const void *b)
{
	const struct file_handle *h = b;

	return a->h.handle_bytes == h->handle_bytes && a->h.handle_type == h->handle_type && !memcmp(a->h.f_handle, h->f_handle, h->handle_bytes);
}

static char buf[8192];
static ssize_t len;
static char *at;

static void fill(int fan)
{
	len = OK(read(fan, buf, sizeof(buf)));
	at = buf;
}

/* The next event, reading more when needed. */
static struct fanotify_event_metadata *next(int fan)
{
	struct fanotify_event_metadata *m;

	if (!at || at >= buf + len)
		fill(fan);
	m = (void *)at;
	at += m->event_len;
	return m;
}

static struct fanotify_event_info_header *info(struct fanotify_event_metadata *m, int type)
{
	char *p = (char *)m + m->metadata_len;

	while (p < (char *)m + m->event_len) {
		struct fanotify_event_info_header *h = (void *)p;

		if (h->info_type == type)
			return h;
		CHECK(h->len > 0);
		p += h->len;
	}
	return NULL;
}

static const char *name_in(void *fid)
{
	struct fanotify_event_info_fid *f = fid;
	struct file_handle *h = (void *)f->handle;

	return (char *)h->f_handle + h->handle_bytes;
}

static void *handle_in(void *fid)
{
	return ((struct fanotify_event_info_fid *)fid)->handle;
}

static void test_handles(void)
{
	union handle h, small;
	int id, fd, dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	char c;

	close(OK(creat("file", 0644)));
	memset(&small, 0, sizeof(small));
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "file", &small.h, &id, 0), EOVERFLOW);
	CHECK(small.h.handle_bytes > 0);
	small.h.handle_bytes = 4096;
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "file", &small.h, &id, 0), EINVAL);
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "file", &small.h, &id, 1), EINVAL);
	small.h.handle_bytes = MAX_HANDLE_SZ;
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "", &small.h, &id, 0), ENOENT);
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "/proc/self/status", &small.h, &id, 0), EOPNOTSUPP);
	fd = OK(open("file", O_PATH));
	small.h.handle_bytes = MAX_HANDLE_SZ;
	OK(name_to_handle_at(fd, "", &small.h, &id, AT_EMPTY_PATH));
	close(fd);
	handle_of("file", &h);
	CHECK(same(&h, &small));
	fd = OK(open("file", O_WRONLY));
	CHECK_EQ(write(fd, "z", 1), 1);
	close(fd);
	OK(rename("file", "other")); /* the handle does not care */
	guest_checkpoint();
	fd = OK(open_by_handle_at(dir, &h.h, O_RDONLY));
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'z');
	close(fd);
	handle_of("other", &small);
	CHECK(same(&h, &small));
	CHECK_ERRNO(open_by_handle_at(999, &h.h, O_RDONLY), EBADF);
	small.h.handle_bytes = 0;
	CHECK_ERRNO(open_by_handle_at(dir, &small.h, O_RDONLY), EINVAL);
	OK(unlink("other"));
	CHECK_ERRNO(open_by_handle_at(dir, &h.h, O_RDONLY), ESTALE);
	OK(mkdir("hd", 0755));
	handle_of("hd", &h);
	fd = OK(open_by_handle_at(dir, &h.h, O_RDONLY | O_DIRECTORY));
	close(fd);
	pid_t p;
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(open_by_handle_at(dir, &h.h, O_RDONLY), EPERM);
		_exit(0);
	}
	guest_reap(p);
	close(dir);
}

static void test_names(void)
{
	int fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME, O_RDONLY));
	struct fanotify_event_metadata *m;
	union handle dir, file, sub;
	struct statfs st;
	void *i;

	OK(mkdir("w", 0755));
	handle_of("w", &dir);
	OK(fanotify_mark(fan, FAN_MARK_ADD,
			 FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_OPEN | FAN_CLOSE_WRITE | FAN_ONDIR | FAN_EVENT_ON_CHILD |
				 FAN_RENAME | FAN_ATTRIB,
			 AT_FDCWD, "w"));
	close(OK(creat("w/a", 0644)));
	handle_of("w/a", &file);
	guest_checkpoint();
	m = next(fan);
	CHECK_EQ(m->fd, FAN_NOFD);
	CHECK_EQ(m->pid, getpid());
	CHECK_EQ(m->mask, FAN_CREATE);
	i = info(m, FAN_EVENT_INFO_TYPE_DFID_NAME);
	CHECK(i != NULL);
	CHECK(same(&dir, handle_in(i)));
	CHECK_STR(name_in(i), "a");
	OK(statfs("w", &st));
	CHECK(!memcmp(&((struct fanotify_event_info_fid *)i)->fsid, &st.f_fsid, sizeof(st.f_fsid)));
	CHECK(!info(m, FAN_EVENT_INFO_TYPE_FID));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_OPEN | FAN_CLOSE_WRITE);
	i = info(m, FAN_EVENT_INFO_TYPE_DFID_NAME);
	CHECK(i && same(&dir, handle_in(i)));
	CHECK_STR(name_in(i), "a");
	i = info(m, FAN_EVENT_INFO_TYPE_FID);
	CHECK(i && same(&file, handle_in(i)));

	OK(chmod("w/a", 0600));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_ATTRIB);
	OK(mkdir("w/d", 0755));
	handle_of("w/d", &sub);
	m = next(fan);
	CHECK_EQ(m->mask, FAN_CREATE | FAN_ONDIR);
	CHECK_STR(name_in(info(m, FAN_EVENT_INFO_TYPE_DFID_NAME)), "d");
	close(OK(open("w", O_RDONLY)));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_OPEN | FAN_ONDIR);
	i = info(m, FAN_EVENT_INFO_TYPE_DFID_NAME);
	CHECK(i && same(&dir, handle_in(i)));
	CHECK_STR(name_in(i), ".");

	OK(rename("w/a", "w/b"));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_RENAME);
	i = info(m, FAN_EVENT_INFO_TYPE_OLD_DFID_NAME);
	CHECK(i && same(&dir, handle_in(i)));
	CHECK_STR(name_in(i), "a");
	i = info(m, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME);
	CHECK(i && same(&dir, handle_in(i)));
	CHECK_STR(name_in(i), "b");
	m = next(fan);
	CHECK_EQ(m->mask, FAN_MOVED_FROM);
	m = next(fan);
	CHECK_EQ(m->mask, FAN_MOVED_TO);
	CHECK_STR(name_in(info(m, FAN_EVENT_INFO_TYPE_DFID_NAME)), "b");
	/* Out of the watched directory: only the old name is told. */
	OK(rename("w/b", "b"));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_RENAME);
	CHECK(info(m, FAN_EVENT_INFO_TYPE_OLD_DFID_NAME) && !info(m, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_MOVED_FROM);
	OK(rmdir("w/d"));
	m = next(fan);
	CHECK(m->mask & FAN_DELETE && m->mask & FAN_ONDIR);
	CHECK_ERRNO(read(fan, buf, sizeof(buf)), EAGAIN);
	close(fan);
}

static void test_targets_and_pidfd(void)
{
	struct fanotify_event_metadata *m;
	union handle file, dir;
	void *i;
	int fan;

	OK(mkdir("t", 0755));
	handle_of("t", &dir);
	fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID,
			       O_RDONLY));
	at = NULL;
	close(OK(creat("plain", 0600)));
	CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "plain"), ENOTDIR);
	OK(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_DELETE_SELF, AT_FDCWD, "t"));
	close(OK(creat("t/x", 0600)));
	handle_of("t/x", &file);
	m = next(fan);
	CHECK_EQ(m->mask, FAN_CREATE);
	i = info(m, FAN_EVENT_INFO_TYPE_FID);
	CHECK(i && same(&file, handle_in(i)));
	i = info(m, FAN_EVENT_INFO_TYPE_DFID_NAME);
	CHECK(i && same(&dir, handle_in(i)));
	OK(unlink("t/x"));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_DELETE_SELF);
	i = info(m, FAN_EVENT_INFO_TYPE_FID);
	CHECK(i && same(&file, handle_in(i)));
	close(fan);

	fan = OK(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_PIDFD | FAN_REPORT_FID, O_RDONLY));
	at = NULL;
	OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN | FAN_CREATE | FAN_EVENT_ON_CHILD, AT_FDCWD, "t"));
	close(OK(creat("t/y", 0600)));
	m = next(fan);
	CHECK_EQ(m->mask, FAN_CREATE);
	i = info(m, FAN_EVENT_INFO_TYPE_FID);
	CHECK(i && same(&dir, handle_in(i))); /* without DIR_FID: the directory */
	i = info(m, 4);
	CHECK(i != NULL);
	int pidfd = *(int *)((char *)i + 4);
	CHECK(pidfd >= 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	CHECK_EQ(poll(&p, 1, 0), 0);
	close(pidfd);
	close(fan);
}

static void test_unprivileged(void)
{
	pid_t p;

	OK(chmod(".", 0777));
	CHILD (p) {
		int fan;

		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), EPERM);
		CHECK_ERRNO(fanotify_init(FAN_CLASS_CONTENT | FAN_REPORT_FID, O_RDONLY), EPERM);
		CHECK_ERRNO(fanotify_init(FAN_REPORT_FID | FAN_UNLIMITED_QUEUE, O_RDONLY), EPERM);
		fan = OK(fanotify_init(FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY));
		CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, AT_FDCWD, "."), EPERM);
		OK(mkdir("u", 0755));
		OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "u"));
		close(OK(creat("u/f", 0600)));
		at = NULL;
		struct fanotify_event_metadata *m = next(fan);
		CHECK_EQ(m->mask, FAN_CREATE);
		CHECK_EQ(m->pid, getpid());
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	OK(mkdir("fs", 0755));
	OK(mount("none", "fs", "tmpfs", 0, ""));
	OK(chdir("fs"));
	SUBTEST("handles");
	test_handles();
	SUBTEST("names");
	test_names();
	SUBTEST("targets and pidfd");
	test_targets_and_pidfd();
	SUBTEST("unprivileged");
	test_unprivileged();
}
