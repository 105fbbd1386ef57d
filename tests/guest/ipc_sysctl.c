/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of an IPC namespace in /proc/sys: they bound what is made, belong to the namespace, and outlive a checkpoint. */
#include "guest.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define MQ "p/sys/fs/mqueue/"
#define KERNEL "p/sys/kernel/"

static int set(const char *file, const char *value)
{
	int fd = OK(open(file, O_WRONLY)), r = write(fd, value, strlen(value)) < 0 ? -errno : 0;

	close(fd);
	return r;
}

static const char *get(const char *file)
{
	static char buf[128];

	CHECK(guest_read_file(file, buf, sizeof(buf)) > 0);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static struct mq_attr made(const char *name)
{
	struct mq_attr a;
	mqd_t q = OK(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL));

	OK(mq_getattr(q, &a));
	OK(mq_close(q));
	OK(mq_unlink(name));
	return a;
}

static void queues(void)
{
	struct mq_attr a;

	CHECK_EQ(set(MQ "msg_max", "0"), -EINVAL);
	CHECK_EQ(set(MQ "msg_max", "65537"), -EINVAL);
	CHECK_EQ(set(MQ "msgsize_max", "127"), -EINVAL);
	CHECK_EQ(set(MQ "msg_default", "7"), 0);
	CHECK_EQ(set(MQ "msgsize_default", "512"), 0);
	CHECK_EQ(set(MQ "msg_max", "20"), 0);
	a = made("/a");
	CHECK_EQ(a.mq_maxmsg, 7);
	CHECK_EQ(a.mq_msgsize, 512);
	CHECK_EQ(set(MQ "msg_default", "30"), 0); /* more than msg_max: that one counts */
	guest_checkpoint();
	CHECK_STR(get(MQ "msg_default"), "30");
	CHECK_STR(get(MQ "msg_max"), "20");
	a = made("/a");
	CHECK_EQ(a.mq_maxmsg, 20);
	CHECK_EQ(a.mq_msgsize, 512);
	CHECK_EQ(set(MQ "queues_max", "0"), 0);
	OK(syscall(SYS_setresuid, -1, 1000, -1)); /* without CAP_SYS_RESOURCE */
	CHECK_ERRNO(mq_open("/b", O_CREAT | O_RDWR, 0600, NULL), ENOSPC);
	OK(syscall(SYS_setresuid, -1, 0, -1));
	CHECK_EQ(set(MQ "queues_max", "8"), 0);
	OK(syscall(SYS_setresuid, -1, 1000, -1));
	a = (struct mq_attr){ .mq_maxmsg = 21, .mq_msgsize = 16 };
	CHECK_ERRNO(mq_open("/b", O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a.mq_maxmsg = 20;
	OK(mq_close(OK(mq_open("/b", O_CREAT | O_RDWR, 0600, &a))));
	OK(syscall(SYS_setresuid, -1, 0, -1));
	OK(mq_unlink("/b"));
}

static void sysv(void)
{
	int id;

	CHECK_EQ(set(KERNEL "shmmni", "-1"), -EINVAL);
	CHECK_EQ(set(KERNEL "shmmni", "1"), 0);
	CHECK_EQ(set(KERNEL "shmmax", "8192"), 0);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
	id = OK(shmget(IPC_PRIVATE, 8192, 0600));
	CHECK_ERRNO(shmget(IPC_PRIVATE, 4096, 0600), ENOSPC);
	OK(shmctl(id, IPC_RMID, NULL));
	CHECK_EQ(set(KERNEL "shmmax", "18446744073692774399"), 0);
	CHECK_STR(get(KERNEL "shmmax"), "18446744073692774399");
	CHECK_EQ(set(KERNEL "sem", "250 32000"), 0); /* the others stay */
	CHECK_STR(get(KERNEL "sem"), "250\t32000\t500\t32000");
	CHECK_EQ(set(KERNEL "sem", "250 32000 100 32769"), -ERANGE);
	guest_checkpoint();
	CHECK_STR(get(KERNEL "shmmni"), "1");
}

void guest_test(void)
{
	OK(unshare(CLONE_NEWNS | CLONE_NEWIPC));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	OK(mkdir("p", 0755));
	OK(mount("proc", "p", "proc", 0, NULL));
	SUBTEST("message queues");
	CHECK_STR(get(MQ "msg_max"), "10");
	queues();
	SUBTEST("System V");
	sysv();
	SUBTEST("another namespace");
	OK(unshare(CLONE_NEWIPC));
	CHECK_STR(get(MQ "msg_max"), "10");
	CHECK_STR(get(KERNEL "shmmni"), "4096");
	OK(umount("p"));
}
