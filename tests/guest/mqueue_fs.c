// SPDX-License-Identifier: Apache-2.0
/* The mqueue file system: queues as files. */
#include "guest.h"

#include <mqueue.h>
#include <sys/mount.h>

void guest_test(void)
{
	struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	char buf[256];
	struct stat st;
	DIR *d;
	int n = 0, q, fd;

	OK(mkdir("mq", 0755));
	if (mount("mqueue", "mq", "mqueue", 0, NULL) < 0)
		SKIP("cannot mount mqueue");
	SUBTEST("a queue is a file");
	q = OK((int)syscall(SYS_mq_open, "one", O_CREAT | O_RDWR, 0640, &a));
	OK(stat("mq/one", &st));
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK_EQ(st.st_size, 80);
	OK(mq_send(q, "hello", 5, 1));
	CHECK(guest_read_file("mq/one", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
	d = opendir("mq");
	CHECK(d != NULL);
	for (struct dirent *e; (e = readdir(d));)
		n += !strcmp(e->d_name, "one");
	closedir(d);
	CHECK_EQ(n, 1);
	SUBTEST("an opened file is a queue");
	fd = OK(open("mq/one", O_RDWR));
	guest_checkpoint();
	CHECK_EQ(mq_receive(fd, buf, 16, NULL), 5);
	OK(mq_send(fd, "back", 4, 0));
	CHECK_EQ(mq_receive(q, buf, 16, NULL), 4);
	close(fd);
	SUBTEST("made and removed as files");
	fd = OK(open("mq/two", O_CREAT | O_EXCL | O_RDWR, 0600));
	CHECK_EQ(mq_getattr(fd, &a), 0);
	CHECK(a.mq_maxmsg == 10 && a.mq_msgsize == 8192);
	close(fd);
	fd = OK((int)syscall(SYS_mq_open, "two", O_RDWR, 0, NULL));
	close(fd);
	OK(unlink("mq/two"));
	CHECK_ERRNO(syscall(SYS_mq_open, "two", O_RDWR, 0, NULL), ENOENT);
	CHECK_ERRNO(unlink("mq/two"), ENOENT);
	CHECK_ERRNO(mkdir("mq/dir", 0755), EPERM);
	CHECK_ERRNO(link("mq/one", "mq/three"), EPERM);
	OK(syscall(SYS_mq_unlink, "one"));
	CHECK_ERRNO(stat("mq/one", &st), ENOENT);
	CHECK_EQ(fstat(q, &st), 0);
	close(q);
	OK(umount("mq"));
}
