// SPDX-License-Identifier: Apache-2.0
/* execve failures: ENOENT, EACCES, ENOEXEC, ENOTDIR, ELOOP, E2BIG, EFAULT, ETXTBSY, broken ELF files. */
#include "guest.h"
#include <elf.h>

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
	(void)argv;
	return argc == 2 ? 31 : 0;
}

void guest_test(void)
{
	char *av[] = {(char *)"x", (char *)"y", NULL}, *ev[] = {NULL}, *big, **many;
	pid_t p;
	int fd;

	CHECK_ERRNO(execve("nothing", av, ev), ENOENT);
	CHECK_ERRNO(execve("", av, ev), ENOENT);
	CHECK_ERRNO(execve(".", av, ev), EACCES);
	guest_write_file("text", "hello");
	CHECK_ERRNO(execve("text", av, ev), EACCES);
	OK(chmod("text", 0755));
	CHECK_ERRNO(execve("text", av, ev), ENOEXEC);
	guest_write_file("empty", "");
	OK(chmod("empty", 0755));
	CHECK_ERRNO(execve("empty", av, ev), ENOEXEC);
	CHECK_ERRNO(execve("text/x", av, ev), ENOTDIR);
	OK(symlink("l2", "l1"));
	OK(symlink("l1", "l2"));
	CHECK_ERRNO(execve("l1", av, ev), ELOOP);
	CHECK_ERRNO(execve((char *)8, av, ev), EFAULT);
	CHECK_ERRNO(execve(guest_self, (char **)8, ev), EFAULT);
	CHECK_ERRNO(execve("/dev/null", av, ev), EACCES);
	SUBTEST("E2BIG");
	big = malloc(200000);
	memset(big, 'a', 200000);
	big[131072] = 0; /* MAX_ARG_STRLEN includes the NUL */
	av[1] = big;
	CHECK_ERRNO(execve(guest_self, av, ev), E2BIG);
	many = malloc(500 * sizeof(char *));
	big[100000] = 0;
	for (int i = 0; i < 499; i++)
		many[i] = big;
	many[499] = NULL;
	CHECK_ERRNO(execve(guest_self, many, ev), E2BIG);
	av[1] = (char *)"y";
	SUBTEST("a long but legal argument");
	big[100000] = 'a';
	big[131071] = 0;
	CHILD (p) {
		av[1] = big;
		execve(guest_self, av, ev);
		_exit(99);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 31);
	SUBTEST("ETXTBSY");
	copy_self("prog");
	fd = OK(open("prog", O_WRONLY));
	CHECK_ERRNO(execve("prog", av, ev), ETXTBSY);
	guest_checkpoint();
	CHECK_ERRNO(execve("prog", av, ev), ETXTBSY);
	close(fd);
	CHILD (p) {
		execve("prog", av, ev);
		_exit(99);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 31);
	SUBTEST("broken ELF");
	Elf64_Ehdr eh;
	fd = OK(open("prog", O_RDWR));
	CHECK_EQ(pread(fd, &eh, sizeof(eh), 0), sizeof(eh));
	uint16_t m = eh.e_machine;
	eh.e_machine = EM_AARCH64;
	CHECK_EQ(pwrite(fd, &eh, sizeof(eh), 0), sizeof(eh));
	close(fd);
	CHECK_ERRNO(execve("prog", av, ev), ENOEXEC);
	fd = OK(open("prog", O_RDWR));
	eh.e_machine = m;
	eh.e_phentsize = 3;
	CHECK_EQ(pwrite(fd, &eh, sizeof(eh), 0), sizeof(eh));
	close(fd);
	CHECK_ERRNO(execve("prog", av, ev), ENOEXEC);
	OK(truncate("prog", 30));
	CHECK_ERRNO(execve("prog", av, ev), ENOEXEC);
	SUBTEST("permission by class");
	copy_self("p2");
	OK(chmod("p2", 0011));
	CHILD (p) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		execve("p2", av, ev); /* "other" may execute */
		_exit(99);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 31);
	OK(chmod("p2", 0600));
	CHECK_ERRNO(execve("p2", av, ev), EACCES); /* even root needs one x bit */
	SUBTEST("execveat");
	fd = OK(open(guest_self, O_PATH));
	CHILD (p) {
		syscall(SYS_execveat, fd, "", av, ev, AT_EMPTY_PATH);
		_exit(99);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 31);
	CHECK_ERRNO(syscall(SYS_execveat, fd, "", av, ev, 0), ENOENT);
	OK(symlink(guest_self, "sl"));
	CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "sl", av, ev, AT_SYMLINK_NOFOLLOW), ELOOP);
	CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "sl", av, ev, 0x8000), EINVAL);
}
