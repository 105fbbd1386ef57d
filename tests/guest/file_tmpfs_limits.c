// SPDX-License-Identifier: Apache-2.0
/* Large offsets, many links, deep directories and long symbolic links in the scratch file system, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	char name[300], b[PATH_MAX], t[4096];
	struct stat st;
	int fd = OK(open("big", O_CREAT | O_RDWR, 0600)), dir;

	SUBTEST("a terabyte hole");
	if (ftruncate(fd, 1LL << 40) == 0) {
		CHECK_EQ(pwrite(fd, "far", 3, (1LL << 40) - 3), 3);
		OK(fstat(fd, &st));
		CHECK_EQ(st.st_size, 1LL << 40);
	}
	SUBTEST("two hundred links");
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "ln%d", i);
		OK(link("big", name));
	}
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 201);
	SUBTEST("a path deeper than PATH_MAX, step by step");
	memset(name, 'd', 250);
	name[250] = 0;
	for (int i = 0; i < 20; i++) {
		OK(mkdir(name, 0755));
		OK(chdir(name));
	}
	guest_write_file("bottom", "x");
	dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(syscall(SYS_getcwd, b, sizeof(b)), ENAMETOOLONG);
	OK(chdir(guest_dir));
	SUBTEST("long symbolic links");
	memset(t, 't', sizeof(t));
	t[4095] = 0;
	OK(symlink(t, "long"));
	t[4094] = 0;
	CHECK_EQ(readlink("long", b, sizeof(b)), 4095);
	guest_checkpoint();
	CHECK_EQ(readlink("long", b, sizeof(b)), 4095);
	CHECK_EQ(b[4094], 't');
	CHECK_EQ(faccessat(dir, "bottom", F_OK, 0), 0);
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 201);
	if (st.st_size > 10) {
		CHECK_EQ(pread(fd, b, 10, (1LL << 40) - 3), 3);
		CHECK(memcmp(b, "far", 3) == 0);
		CHECK_EQ(pread(fd, b, 1, 1LL << 39), 1);
		CHECK_EQ(b[0], 0);
	}
	CHECK_ERRNO(access("long", F_OK), ENAMETOOLONG);
}
