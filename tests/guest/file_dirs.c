// SPDX-License-Identifier: Apache-2.0
/*
 * getdents64: completeness, types, seeking, buffers, changes while reading; a directory stream half read over a
 * checkpoint.
 */
#include "guest.h"

#define N 200

struct dent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static char seen[N];
static int dots;

static void take(char *buf, long n)
{
	for (long i = 0; i < n;) {
		struct dent *d = (struct dent *)(buf + i);

		CHECK(d->ino != 0);
		CHECK_EQ(d->reclen % 8, 0);
		if (d->name[0] == 'f') {
			int k = atoi(d->name + 1);

			CHECK(k >= 0 && k < N);
			CHECK_EQ(seen[k], 0);
			CHECK_EQ(d->type, k % 2 ? DT_DIR : DT_REG);
			seen[k] = 1;
		} else {
			CHECK(strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0);
			CHECK_EQ(d->type, DT_DIR);
			dots++;
		}
		i += d->reclen;
	}
}

void guest_test(void)
{
	char buf[1024], name[32];
	long n;
	int fd, count = 0;

	OK(mkdir("d", 0755));
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "d/f%d", i);
		if (i % 2)
			OK(mkdir(name, 0755));
		else
			guest_write_file(name, "");
	}
	fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0) {
		take(buf, n);
		if (++count == 2)
			guest_checkpoint();
	}
	CHECK(count > 3);
	CHECK_EQ(dots, 2);
	for (int i = 0; i < N; i++)
		CHECK_EQ(seen[i], 1);
	CHECK_EQ(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0);
	SUBTEST("rewind shows new entries");
	guest_write_file("d/g", "");
	OK(unlink("d/f0"));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	bool g = false;
	count = 0;
	while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0)
		for (long i = 0; i < n; i += ((struct dent *)(buf + i))->reclen) {
			g |= strcmp(((struct dent *)(buf + i))->name, "g") == 0;
			CHECK(strcmp(((struct dent *)(buf + i))->name, "f0") != 0);
			count++;
		}
	CHECK(g);
	CHECK_EQ(count, N + 2);
	SUBTEST("seeking to d_off");
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	struct dent *first = (struct dent *)buf, *second = (struct dent *)(buf + first->reclen);
	char want[256];
	snprintf(want, sizeof(want), "%s", second->name);
	OK(lseek(fd, first->off, SEEK_SET));
	guest_checkpoint();
	n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	CHECK_STR(((struct dent *)buf)->name, want);
	SUBTEST("deleting everything while reading");
	DIR *d = opendir("d");
	struct dirent *de;
	count = 0;
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(buf, sizeof(buf), "d/%s", de->d_name);
		CHECK_EQ(remove(buf), 0);
		count++;
	}
	closedir(d);
	CHECK_EQ(count, N);
	CHECK_EQ(rmdir("d"), 0);
	SUBTEST("a removed directory");
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOENT);
	SUBTEST("errors");
	fd = OK(open(".", O_RDONLY));
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, 8, 1000), EFAULT);
	CHECK_ERRNO(syscall(SYS_getdents64, 999, buf, 1000), EBADF);
	int f = OK(open("f", O_CREAT | O_RDWR, 0600));
	CHECK_ERRNO(syscall(SYS_getdents64, f, buf, 1000), ENOTDIR);
}
