// SPDX-License-Identifier: Apache-2.0
/*
 * Three hundred small files, directories and links written before, half deleted while open, checked after a
 * checkpoint.
 */
#include "guest.h"

void guest_test(void)
{
	char n[64], b[64], want[64];
	int fd[100];
	struct stat st;

	for (int i = 0; i < 300; i++) {
		snprintf(n, sizeof(n), "d%d", i / 30);
		(void)mkdir(n, 0755);
		snprintf(n, sizeof(n), "d%d/f%d", i / 30, i);
		snprintf(b, sizeof(b), "contents of %d", i);
		guest_write_file(n, b);
		if (i % 3 == 0) {
			fd[i / 3] = OK(open(n, O_RDWR));
			OK(unlink(n));
		} else if (i % 3 == 1) {
			snprintf(b, sizeof(b), "link%d", i);
			OK(i % 2 ? link(n, b) : symlink(n, b));
			OK(chmod(n, (mode_t)(i % 512)));
		}
	}
	guest_checkpoint();
	for (int i = 0; i < 300; i++) {
		snprintf(n, sizeof(n), "d%d/f%d", i / 30, i);
		snprintf(want, sizeof(want), "contents of %d", i);
		memset(b, 0, sizeof(b));
		if (i % 3 == 0) {
			CHECK_ERRNO(access(n, F_OK), ENOENT);
			CHECK_EQ(pread(fd[i / 3], b, 63, 0), strlen(want));
			CHECK_STR(b, want);
			continue;
		}
		OK(stat(n, &st));
		CHECK_EQ(st.st_nlink, i % 3 == 1 && i % 2 ? 2 : 1);
		if (i % 3 == 1) {
			CHECK_EQ(st.st_mode & 07777, i % 512);
			snprintf(n, sizeof(n), "link%d", i);
		}
		CHECK(guest_read_file(n, b, sizeof(b)) > 0);
		CHECK_STR(b, want);
	}
}
