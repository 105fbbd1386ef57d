// SPDX-License-Identifier: Apache-2.0
/* fallocate: allocate, keep size, punch holes, zero ranges, errors; the holes survive a checkpoint. */
#include "guest.h"
#include <linux/falloc.h>

void guest_test(void)
{
	int fd = guest_make_file("f", 8 * PAGE, 4), ro = OK(open("f", O_RDONLY)), p[2];
	char *b = malloc(16 * PAGE), *w = malloc(16 * PAGE);
	struct stat st;

	guest_fill(w, 8 * PAGE, 4);
	CHECK_EQ(fallocate(fd, 0, 4 * PAGE, 8 * PAGE), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 12 * PAGE);
	CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 12 * PAGE, PAGE), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 12 * PAGE);
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 100, 2 * PAGE), 0);
	memset(w + PAGE + 100, 0, 2 * PAGE);
	memset(w + 8 * PAGE, 0, 8 * PAGE);
	guest_checkpoint();
	CHECK_EQ(pread(fd, b, 16 * PAGE, 0), 12 * PAGE);
	CHECK(memcmp(b, w, 12 * PAGE) == 0);
	SUBTEST("mapped while punched");
	char *m = OK(mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
	CHECK(m[5 * PAGE + 1] == w[5 * PAGE + 1]);
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE, PAGE), 0);
	CHECK_EQ(m[5 * PAGE + 1], 0);
	CHECK(m[6 * PAGE + 1] == w[6 * PAGE + 1]);
	SUBTEST("RLIMIT_FSIZE: growing beyond it is EFBIG, with SIGXFSZ");
	struct rlimit was, lim;
	sigset_t xfsz;
	struct timespec none = {0, 0};

	sigemptyset(&xfsz);
	sigaddset(&xfsz, SIGXFSZ);
	OK(sigprocmask(SIG_BLOCK, &xfsz, NULL));
	OK(getrlimit(RLIMIT_FSIZE, &was));
	lim = (struct rlimit){14 * PAGE, was.rlim_max};
	OK(setrlimit(RLIMIT_FSIZE, &lim));
	CHECK_ERRNO(fallocate(fd, 0, 12 * PAGE, 2 * PAGE + 1), EFBIG);
	CHECK_EQ(sigtimedwait(&xfsz, NULL, &none), SIGXFSZ);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 12 * PAGE);
	CHECK_EQ(fallocate(fd, 0, 12 * PAGE, 2 * PAGE), 0);
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * PAGE, PAGE), 0);
	CHECK_ERRNO(sigtimedwait(&xfsz, NULL, &none), EAGAIN);
	OK(setrlimit(RLIMIT_FSIZE, &was));
	SUBTEST("errors");
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERRNO(fallocate(ro, 0, 0, 10), EBADF);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0x1000, 0, 10), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, INT64_MAX, 10), EFBIG);
	OK(pipe(p));
	CHECK_ERRNO(fallocate(p[1], 0, 0, 10), ESPIPE);
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0);
	CHECK_EQ(posix_fadvise(fd, 0, 0, 77), EINVAL);
	CHECK_EQ(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
}
