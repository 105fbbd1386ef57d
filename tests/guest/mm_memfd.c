// SPDX-License-Identifier: Apache-2.0
/* memfd: contents, sharing, seals and their errors, reopening through /proc, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	int fd = OK(memfd_create("mem one", MFD_ALLOW_SEALING | MFD_CLOEXEC)), ro, plain;
	char *p, *q, path[64], buf[128];
	ssize_t n;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	OK(ftruncate(fd, 4 * PAGE));
	p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	guest_fill(p, 4 * PAGE, 6);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = OK(readlink(path, buf, sizeof(buf) - 1));
	buf[n] = 0;
	CHECK_STR(buf, "/memfd:mem one (deleted)");
	guest_checkpoint();
	CHECK(guest_filled(p, 4 * PAGE, 6));
	p[0] = 'A';
	CHECK_EQ(pread(fd, buf, 1, 0), 1);
	CHECK_EQ(buf[0], 'A');
	ro = OK(open(path, O_RDONLY));
	q = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
	p[1] = 'B';
	CHECK_EQ(q[1], 'B');
	SUBTEST("seals");
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK_ERRNO(fcntl(ro, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	CHECK_ERRNO(ftruncate(fd, PAGE), EPERM);
	CHECK_EQ(ftruncate(fd, 5 * PAGE), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	CHECK_ERRNO(ftruncate(fd, 6 * PAGE), EPERM);
	CHECK_EQ(pwrite(fd, "xy", 2, 5 * PAGE - 1), 1);
	CHECK_ERRNO(pwrite(fd, "x", 1, 5 * PAGE), EPERM);
	CHECK_ERRNO(fallocate(fd, 0, 0, 6 * PAGE), EPERM);
	munmap(p, 4 * PAGE);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_ERRNO(write(fd, "x", 1), EPERM);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	guest_checkpoint();
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK_ERRNO(write(fd, "x", 1), EPERM);
	SUBTEST("without sealing");
	plain = OK(memfd_create("", 0));
	CHECK_EQ(fcntl(plain, F_GETFD), 0);
	CHECK_EQ(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERRNO(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	SUBTEST("errors");
	CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
	memset(buf, 'a', sizeof(buf));
	char big[300];
	memset(big, 'a', sizeof(big));
	big[249] = 0;
	CHECK(memfd_create(big, 0) >= 0);
	big[249] = 'a';
	big[250] = 0;
	CHECK_ERRNO(memfd_create(big, 0), EINVAL);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0777);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(st.st_size, 5 * PAGE);
}
