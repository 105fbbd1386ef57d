// SPDX-License-Identifier: Apache-2.0
/* read, write, pread, pwrite, vectors, offsets, lseek with DATA and HOLE, sparse files, limits; over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	char b[256], c[16];
	struct iovec iov[3] = {{b, 3}, {b + 10, 0}, {b + 20, 4}};
	struct stat st;

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, -3, SEEK_END), 7);
	CHECK_EQ(read(fd, b, 100), 3);
	CHECK_EQ(read(fd, b, 100), 0);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, -11, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	SUBTEST("vectors");
	CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK_EQ(readv(fd, iov, 3), 7);
	CHECK(memcmp(b, "123", 3) == 0 && memcmp(b + 20, "4567", 4) == 0);
	CHECK_EQ(preadv(fd, iov, 3, 5), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
	CHECK_EQ(pwritev(fd, iov, 1, 20), 3);
	CHECK_EQ(preadv2(fd, iov, 1, -1, 0), 3); /* -1: the file position */
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
	CHECK_ERRNO(readv(fd, iov, -1), EINVAL);
	CHECK_ERRNO(readv(fd, iov, 1025), EINVAL);
	CHECK_EQ(readv(fd, iov, 0), 0);
	CHECK_ERRNO(preadv2(fd, iov, 1, 0, 0x4000), EOPNOTSUPP);
	iov[1] = (struct iovec){(void *)8, 5};
	OK(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(readv(fd, iov, 3), 3); /* up to the bad one */
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_ERRNO(read(fd, (void *)8, 5), EFAULT);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_ERRNO(write(fd, (void *)8, 5), EFAULT);
	CHECK_EQ(read(fd, (void *)8, 0), 0);
	iov[0].iov_len = (size_t)-1;
	CHECK_ERRNO(writev(fd, iov, 1), EINVAL);
	SUBTEST("sparse");
	OK(ftruncate(fd, 0));
	CHECK_EQ(pwrite(fd, "end", 3, 1 << 20), 3);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, (1 << 20) + 3);
	CHECK(st.st_blocks * 512 < 512 * 1024);
	CHECK_EQ(pread(fd, b, 10, 1000), 10);
	CHECK_EQ(b[5], 0);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 3);
	CHECK_ERRNO(lseek(fd, (1 << 20) + 3, SEEK_DATA), ENXIO);
	OK(lseek(fd, 1 << 20, SEEK_SET));
	guest_checkpoint();
	CHECK_EQ(read(fd, c, 16), 3);
	CHECK(memcmp(c, "end", 3) == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
	CHECK_EQ(pread(fd, b, 10, 1000), 10);
	CHECK_EQ(b[9], 0);
	SUBTEST("truncate");
	OK(ftruncate(fd, 10));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1 << 20);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(pread(fd, c, 16, 1 << 20), 1); /* old data are gone */
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_ERRNO(truncate("none", 0), ENOENT);
	CHECK_ERRNO(truncate(".", 0), EISDIR);
	SUBTEST("positions at the limits");
	CHECK_ERRNO(pread(fd, b, 1, -1), EINVAL);
	CHECK_ERRNO(pwrite(fd, b, 1, -5), EINVAL);
	CHECK_ERRNO(pwrite(fd, b, 1, INT64_MAX), EINVAL);
	SUBTEST("shared positions: dup and fork, not open");
	int d = dup(fd), e = OK(open("f", O_RDONLY));
	pid_t p;
	OK(lseek(fd, 100, SEEK_SET));
	CHECK_EQ(lseek(d, 0, SEEK_CUR), 100);
	CHECK_EQ(lseek(e, 0, SEEK_CUR), 0);
	guest_checkpoint();
	CHILD (p) {
		OK(lseek(d, 7, SEEK_CUR));
		_exit(0);
	}
	guest_reap(p);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 107);
	CHECK_EQ(lseek(e, 0, SEEK_CUR), 0);
	CHECK_ERRNO(read(999, b, 1), EBADF);
	int dir = OK(open(".", O_RDONLY));
	CHECK_ERRNO(read(dir, b, 1), EISDIR);
	CHECK_EQ(fsync(fd), 0);
	CHECK_EQ(fdatasync(fd), 0);
	int pfd[2];
	OK(pipe(pfd));
	CHECK_ERRNO(fsync(pfd[0]), EINVAL);
}
