// SPDX-License-Identifier: Apache-2.0
/* /dev/zero mapped private and shared, /dev/null, /dev/full and /dev/urandom reads and writes. */
#include "guest.h"

void guest_test(void)
{
	int z = OK(open("/dev/zero", O_RDWR)), n = OK(open("/dev/null", O_RDWR)), f = OK(open("/dev/full", O_RDWR));
	int u = OK(open("/dev/urandom", O_RDONLY));
	char buf[100], other[100], *p, *s;
	pid_t c;

	memset(buf, 1, sizeof(buf));
	CHECK_EQ(read(z, buf, 100), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(buf[i], 0);
	CHECK_EQ(write(z, buf, 100), 100);
	CHECK_EQ(read(n, buf, 100), 0);
	CHECK_EQ(write(n, buf, 100), 100);
	CHECK_EQ(read(f, buf, 100), 100);
	CHECK_ERRNO(write(f, buf, 1), ENOSPC);
	CHECK_EQ(read(u, buf, 100), 100);
	CHECK_EQ(read(u, other, 100), 100);
	CHECK(memcmp(buf, other, 100) != 0);
	p = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, z, 0));
	s = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, z, 0));
	p[1] = 1;
	s[1] = 1;
	guest_checkpoint();
	CHILD (c) {
		p[1] = 2;
		s[1] = 2;
		_exit(0);
	}
	guest_reap(c);
	CHECK_EQ(p[1], 1);
	CHECK_EQ(s[1], 2);
	CHECK_EQ(read(z, buf, 100), 100);
	CHECK_EQ(buf[50], 0);
	CHECK_ERRNO(write(f, buf, 1), ENOSPC);
	CHECK_EQ(lseek(n, 100, SEEK_SET), 0);
	struct stat st;
	CHECK_EQ(fstat(n, &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_rdev, 0x103);
	CHECK_EQ(fstat(z, &st), 0);
	CHECK_EQ(st.st_rdev, 0x105);
	CHECK_EQ(fstat(f, &st), 0);
	CHECK_EQ(st.st_rdev, 0x107);
	CHECK_EQ(fstat(u, &st), 0);
	CHECK_EQ(st.st_rdev, 0x109);
}
