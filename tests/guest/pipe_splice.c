// SPDX-License-Identifier: Apache-2.0
/* splice, tee, vmsplice between pipes and files: offsets, partial data, errors; data in the pipe over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	int in = guest_make_file("in", 20000, 7), out = OK(open("out", O_CREAT | O_RDWR | O_TRUNC, 0644));
	int a[2], b[2];
	char *want = malloc(20000), *got = malloc(20000);
	loff_t off = 1000;

	guest_fill(want, 20000, 7);
	OK(pipe(a));
	OK(pipe(b));
	CHECK_EQ(splice(in, &off, a[1], NULL, 10000, 0), 10000);
	CHECK_EQ(off, 11000);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(tee(a[0], b[1], 5000, 0), 5000);
	guest_checkpoint();
	CHECK_EQ(read(b[0], got, 20000), 5000);
	CHECK(memcmp(got, want + 1000, 5000) == 0);
	off = 100;
	CHECK_EQ(splice(a[0], NULL, out, &off, 10000, 0), 10000);
	CHECK_EQ(off, 10100);
	CHECK_EQ(pread(out, got, 20000, 100), 10000);
	CHECK(memcmp(got, want + 1000, 10000) == 0);
	SUBTEST("pipe to pipe");
	CHECK_EQ(write(a[1], "0123456789", 10), 10);
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 4, 0), 4);
	guest_checkpoint();
	CHECK_EQ(read(b[0], got, 100), 4);
	CHECK(memcmp(got, "0123", 4) == 0);
	CHECK_EQ(read(a[0], got, 100), 6);
	CHECK(memcmp(got, "456789", 6) == 0);
	SUBTEST("vmsplice");
	struct iovec iov[2] = {{(void *)"abc", 3}, {(void *)"defg", 4}};
	CHECK_EQ(vmsplice(a[1], iov, 2, 0), 7);
	CHECK_EQ(read(a[0], got, 100), 7);
	CHECK(memcmp(got, "abcdefg", 7) == 0);
	SUBTEST("end of file, empty and errors");
	off = 20000;
	CHECK_EQ(splice(in, &off, a[1], NULL, 10, 0), 0);
	CHECK_ERRNO(splice(a[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(tee(a[0], b[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(splice(in, NULL, out, NULL, 10, 0), EINVAL);
	CHECK_ERRNO(splice(a[0], &off, out, NULL, 10, 0), ESPIPE);
	CHECK_ERRNO(splice(a[0], NULL, a[1], NULL, 10, 0), EINVAL);
	CHECK_ERRNO(splice(a[1], NULL, out, NULL, 10, 0), EBADF);
	CHECK_ERRNO(splice(a[0], NULL, in, NULL, 10, 0x100), EINVAL);
	CHECK_ERRNO(tee(in, b[1], 10, 0), EINVAL);
	close(a[1]);
	CHECK_EQ(splice(a[0], NULL, out, NULL, 10, 0), 0);
	SUBTEST("append files cannot be spliced to");
	int ap = OK(open("out", O_WRONLY | O_APPEND));
	CHECK_EQ(write(b[1], "x", 1), 1);
	CHECK_ERRNO(splice(b[0], NULL, ap, NULL, 1, 0), EINVAL);
	SUBTEST("sendfile");
	extern ssize_t sendfile(int, int, off_t *, size_t);
	off_t o = 5;
	CHECK_EQ(sendfile(b[1], in, &o, 100), 100);
	CHECK_EQ(o, 105);
	CHECK_EQ(read(b[0], got, 200), 101);
	CHECK(memcmp(got + 1, want + 5, 100) == 0);
	OK(lseek(in, 19990, SEEK_SET));
	CHECK_EQ(sendfile(out, in, NULL, 100), 10);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 20000);
	CHECK_EQ(sendfile(out, in, NULL, 100), 0);
	CHECK_ERRNO(sendfile(ap, in, NULL, 100), EINVAL);
	CHECK_ERRNO(sendfile(out, b[0], NULL, 1), EINVAL);
	SUBTEST("copy_file_range");
	loff_t oi = 10, oo = 0;
	int cp = OK(open("cp", O_CREAT | O_RDWR, 0644));
	CHECK_EQ(copy_file_range(in, &oi, cp, &oo, 500, 0), 500);
	CHECK(oi == 510 && oo == 500);
	CHECK_EQ(pread(cp, got, 1000, 0), 500);
	CHECK(memcmp(got, want + 10, 500) == 0);
	oi = 0, oo = 10;
	CHECK_ERRNO(copy_file_range(in, &oi, in, &oo, 100, 0), EINVAL); /* overlap */
	CHECK_ERRNO(copy_file_range(in, &oi, cp, &oo, 1, 1), EINVAL);
	CHECK_ERRNO(copy_file_range(in, NULL, ap, NULL, 1, 0), EBADF);
	oi = 30000;
	CHECK_EQ(copy_file_range(in, &oi, cp, &oo, 1, 0), 0);
}
