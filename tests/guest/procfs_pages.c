// SPDX-License-Identifier: Apache-2.0
/* /proc/self/pagemap, map_files, clear_refs, numa_maps. */
#include "guest.h"

static uint64_t pm(int fd, const void *p)
{
	uint64_t e = 0;

	CHECK_EQ(pread(fd, &e, 8, (off_t)((uintptr_t)p / PAGE * 8)), 8);
	return e;
}

#define PRESENT (1ULL << 63)
#define SHARED	(1ULL << 61)

void guest_test(void)
{
	char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *q;
	int fd = OK(open("/proc/self/pagemap", O_RDONLY)), f = guest_make_file("mapped", 2 * PAGE, 1), n;
	char path[128], to[PATH_MAX], buf[65536];
	uint64_t e[4];
	DIR *d;

	SUBTEST("pagemap");
	p[0] = 1;
	p[2 * PAGE] = 1;
	CHECK(pm(fd, p) & PRESENT);
	CHECK(!(pm(fd, p + PAGE) & PRESENT));
	CHECK(pm(fd, p + 2 * PAGE) & PRESENT);
	CHECK(!(pm(fd, p) & SHARED));
	CHECK_EQ(pm(fd, (void *)0x10000), 0);
	CHECK_EQ(pread(fd, e, sizeof(e), (off_t)((uintptr_t)p / PAGE * 8)), sizeof(e));
	CHECK(e[2] & PRESENT);
	CHECK_ERRNO(pread(fd, e, 7, 0), EINVAL);
	CHECK_ERRNO(pread(fd, e, 8, 4), EINVAL);
	q = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0));
	q[0] = 'x';
	CHECK(pm(fd, q) & PRESENT);
	CHECK(pm(fd, q) & SHARED);
	guest_checkpoint();
	CHECK(pm(fd, p) & PRESENT);
	CHECK_EQ(madvise(p, PAGE, MADV_DONTNEED), 0);
	CHECK(!(pm(fd, p) & PRESENT));
	close(fd);

	SUBTEST("map_files");
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)q, (unsigned long)q + 2 * PAGE);
	n = (int)readlink(path, to, sizeof(to) - 1);
	CHECK(n > 7);
	to[n] = 0;
	CHECK_STR(strrchr(to, '/'), "/mapped");
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		CHECK_EQ(pread(fd, to, 1, 0), 1);
		CHECK_EQ(to[0], 'x');
		close(fd);
	} else {
		CHECK_EQ(errno, EPERM);
	}
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)q, (unsigned long)q + PAGE);
	CHECK_ERRNO(readlink(path, to, sizeof(to)), ENOENT);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)p, (unsigned long)p + 4 * PAGE);
	CHECK_ERRNO(readlink(path, to, sizeof(to)), ENOENT); /* anonymous */
	snprintf(path, sizeof(path), "%lx-%lx", (unsigned long)q, (unsigned long)q + 2 * PAGE);
	d = opendir("/proc/self/map_files");
	CHECK(d != NULL);
	n = 0;
	for (struct dirent *de; (de = readdir(d));)
		n += strcmp(de->d_name, path) == 0;
	CHECK_EQ(n, 1);
	closedir(d);

	SUBTEST("clear_refs");
	fd = OK(open("/proc/self/clear_refs", O_WRONLY));
	CHECK_EQ(write(fd, "1", 1), 1);
	CHECK_EQ(pwrite(fd, "5\n", 2, 0), 2);
	CHECK_ERRNO(pwrite(fd, "9", 1, 0), EINVAL);
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EINVAL);
	close(fd);

	SUBTEST("numa_maps");
	CHECK(guest_read_file("/proc/self/numa_maps", buf, sizeof(buf)) > 0);
	snprintf(path, sizeof(path), "%08lx default", (unsigned long)p);
	CHECK(strstr(buf, path) != NULL);
	CHECK(strstr(buf, "stack") != NULL);
	CHECK(strstr(buf, "N0=") != NULL);
	CHECK(strstr(buf, "kernelpagesize_kB=4") != NULL);
}
