// SPDX-License-Identifier: Apache-2.0
/* chroot: new root for lookups, .. stops there, escapes by held descriptors, /proc/self/root, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct gate g, done;
	struct stat st, top;
	char buf[PATH_MAX];
	pid_t p;

	gate_init(&g);
	gate_init(&done);
	OK(mkdir("root", 0755));
	OK(mkdir("root/dir", 0755));
	guest_write_file("root/file", "inside");
	guest_write_file("file", "outside");
	OK(symlink("/file", "root/abs"));
	CHECK_ERRNO(chroot("nothing"), ENOENT);
	CHECK_ERRNO(chroot("file"), ENOTDIR);
	CHILD (p) {
		int out = OK(open(".", O_RDONLY | O_DIRECTORY));

		OK(chroot("root"));
		CHECK_EQ(guest_read_file("file", buf, sizeof(buf)), 7); /* the cwd stayed outside */
		OK(chdir("/"));
		for (int i = 0; i < 2; i++) {
			CHECK_EQ(guest_read_file("/file", buf, sizeof(buf)), 6);
			CHECK_EQ(guest_read_file("/abs", buf, sizeof(buf)), 6);
			CHECK_EQ(guest_read_file("../../../file", buf, sizeof(buf)), 6);
			CHECK(getcwd(buf, sizeof(buf)) != NULL);
			CHECK_STR(buf, "/");
			OK(stat("/..", &st));
			OK(stat("/", &top));
			CHECK_EQ(st.st_ino, top.st_ino);
			gate_post(&done);
			if (i == 0)
				gate_wait(&g);
		}
		int fd = OK(openat(out, "file", O_RDONLY));
		CHECK_EQ(read(fd, buf, 7), 7);
		OK(fchdir(out));
		/* Outside the root the kernel says so. */
		CHECK_EQ(syscall(SYS_getcwd, buf, sizeof(buf)) > 0, 1);
		CHECK(strncmp(buf, "(unreachable)", 13) == 0);
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(chroot("."), EPERM);
		_exit(0);
	}
	gate_wait(&done);
	snprintf(buf, sizeof(buf), "/proc/%d/root", (int)p);
	char link[PATH_MAX], want[PATH_MAX + 8];
	ssize_t n = OK(readlink(buf, link, sizeof(link) - 1));
	link[n] = 0;
	snprintf(want, sizeof(want), "%s/root", guest_dir);
	CHECK_STR(link, want);
	guest_checkpoint();
	gate_post(&g);
	guest_reap(p);
}
