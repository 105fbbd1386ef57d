// SPDX-License-Identifier: Apache-2.0
/* Set-user-ID and set-group-ID programs: ids after exec, AT_SECURE, no_new_privs, bits cleared by write and chown. */
#include "guest.h"
#include <sys/auxv.h>

static void copy_self(const char *to)
{
	int in = OK(open(guest_self, O_RDONLY)), out = OK(open(to, O_CREAT | O_WRONLY | O_TRUNC, 0755));
	char buf[65536];
	ssize_t r;

	while ((r = read(in, buf, sizeof(buf))) > 0)
		CHECK_EQ(write(out, buf, (size_t)r), r);
	close(in);
	close(out);
}

int guest_helper(int argc, char **argv)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	if (argc != 6)
		return 1;
	CHECK_EQ(r, 1000);
	CHECK_EQ(e, atoi(argv[1]));
	CHECK_EQ(s, atoi(argv[1]));
	CHECK_EQ(rg, 1000);
	CHECK_EQ(eg, atoi(argv[2]));
	CHECK_EQ(sg, atoi(argv[2]));
	CHECK_EQ(getauxval(AT_SECURE), atoi(argv[3]));
	CHECK_EQ(getauxval(AT_EUID), e);
	CHECK_EQ(prctl(PR_GET_DUMPABLE) == 1, !atoi(argv[3]));
	return 0;
}

static void run(bool nnp, const char *uid, const char *gid, const char *secure)
{
	pid_t p;

	CHILD (p) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		if (nnp)
			OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		execl("prog", "prog", uid, gid, secure, "x", "y", NULL);
		_exit(99);
	}
	guest_reap(p);
}

void guest_test(void)
{
	struct stat st;
	char tmp[PATH_MAX + 16];
	pid_t p;
	int fd;

	/* A scratch file system mounted nosuid would hide what is tested here. */
	snprintf(tmp, sizeof(tmp), "%s/m", guest_dir);
	OK(mkdir(tmp, 0755));
	extern int mount(const char *, const char *, const char *, unsigned long, const void *);
	if (mount("t", tmp, "tmpfs", 0, "mode=755") != 0)
		SKIP("cannot mount tmpfs");
	OK(chdir(tmp));
	copy_self("prog");
	run(false, "1000", "1000", "0");
	OK(chown("prog", 2000, 3000));
	OK(chmod("prog", 04755));
	run(false, "2000", "1000", "1");
	OK(chmod("prog", 06755));
	run(false, "2000", "3000", "1");
	guest_checkpoint();
	run(false, "2000", "3000", "1");
	OK(chmod("prog", 02745)); /* set-group-ID without group execute is something else */
	run(false, "1000", "1000", "0");
	OK(chmod("prog", 06755));
	run(true, "1000", "1000", "0");
	SUBTEST("writing clears the bits");
	CHILD (p) {
		OK(chmod("prog", 06777));
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		fd = OK(open("prog", O_WRONLY));
		CHECK_EQ(write(fd, "\177", 1), 1);
		_exit(0);
	}
	guest_reap(p);
	OK(stat("prog", &st));
	CHECK_EQ(st.st_mode & 07777, 0777);
	OK(chmod("prog", 06755));
	OK(chown("prog", 2001, -1u));
	OK(stat("prog", &st));
	CHECK_EQ(st.st_mode & 07777, 0755);
	OK(chmod("prog", 06755));
	fd = OK(open("prog", O_WRONLY));
	CHECK_EQ(write(fd, "\177", 1), 1); /* root keeps them */
	OK(stat("prog", &st));
	CHECK_EQ(st.st_mode & 07777, 06755);
	OK(chdir("/"));
}
