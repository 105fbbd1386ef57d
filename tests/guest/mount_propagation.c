/* SPDX-License-Identifier: Apache-2.0 */
/* Mount propagation: peers, slaves, private and unbindable mounts, across bind mounts and namespaces, with a checkpoint in between. */
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest.h"

/* The line of /proc/self/mountinfo for the last mount on @where (relative to the scratch directory), or "". */
static const char *info(const char *where)
{
	static char line[4096], found[4096];
	char full[1024], cwd[512];
	FILE *f = fopen("/proc/self/mountinfo", "r");

	CHECK(f && getcwd(cwd, sizeof(cwd)));
	snprintf(full, sizeof(full), " %s/%s ", cwd, where);
	found[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (strstr(line, full))
			strcpy(found, line);
	fclose(f);
	return found;
}

static int tag(const char *where, const char *name)
{
	const char *p = strstr(info(where), name);

	return p ? atoi(p + strlen(name)) : 0;
}

static bool mounted(const char *where)
{
	return info(where)[0];
}

static void tmpfs(const char *where)
{
	OK(mount("none", where, "tmpfs", 0, ""));
}

static void dirs(const char *const *v)
{
	for (; *v; v++)
		OK(mkdir(*v, 0755));
}

void guest_test(void)
{
	static const char *const top[] = { "a", "b", "c", "d", "e", NULL };

	OK(unshare(CLONE_NEWNS));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	tmpfs(".");
	/* The mount is on top of us: step in by the absolute name. */
	char cwd[512];
	CHECK(getcwd(cwd, sizeof(cwd)));
	OK(chdir(cwd));
	dirs(top);

	SUBTEST("peers");
	{
		tmpfs("a");
		CHECK_EQ(tag("a", "shared:"), 0);
		OK(mount(NULL, "a", NULL, MS_SHARED, NULL));
		CHECK(tag("a", "shared:") > 0);
		OK(mkdir("a/m", 0755));
		OK(mkdir("a/n", 0755));
		OK(mount("a", "b", NULL, MS_BIND, NULL));
		CHECK_EQ(tag("a", "shared:"), tag("b", "shared:"));
		tmpfs("b/m");
		CHECK(mounted("a/m"));
		CHECK(tag("a/m", "shared:") > 0);
		CHECK_EQ(tag("a/m", "shared:"), tag("b/m", "shared:"));
		OK(mkdir("a/m/deep", 0755));
		tmpfs("a/m/deep");
		CHECK(mounted("b/m/deep"));
		OK(umount2("b/m/deep", 0));
		CHECK(!mounted("a/m/deep"));
	}

	SUBTEST("slave");
	{
		OK(mount("a", "c", NULL, MS_BIND, NULL));
		OK(mount(NULL, "c", NULL, MS_SLAVE, NULL));
		CHECK_EQ(tag("c", "master:"), tag("a", "shared:"));
		CHECK_EQ(tag("c", "shared:"), 0);
		tmpfs("a/n");
		CHECK(mounted("b/n"));
		CHECK(mounted("c/n"));
		CHECK_EQ(tag("c/n", "master:"), tag("a/n", "shared:"));
		OK(umount("a/n"));
		CHECK(!mounted("c/n"));
		tmpfs("c/n");
		CHECK(!mounted("a/n"));
		OK(umount("c/n"));
		/* A slave that is shared passes on. */
		OK(mount(NULL, "c", NULL, MS_SHARED, NULL));
		OK(mount("c", "d", NULL, MS_BIND, NULL));
		CHECK_EQ(tag("d", "shared:"), tag("c", "shared:"));
		CHECK_EQ(tag("d", "master:"), tag("a", "shared:"));
		tmpfs("b/n");
		CHECK(mounted("c/n"));
		CHECK(mounted("d/n"));
		CHECK_EQ(tag("d/n", "shared:"), tag("c/n", "shared:"));
		OK(umount("d/n"));
		CHECK(!mounted("c/n"));
		CHECK(mounted("a/n"));
		OK(umount("a/n"));
	}

	SUBTEST("checkpoint");
	{
		int before = tag("a", "shared:");

		guest_checkpoint();
		CHECK_EQ(tag("a", "shared:"), before);
		tmpfs("a/n");
		CHECK(mounted("b/n"));
		CHECK(mounted("d/n"));
		/* New groups are not those of the image. */
		OK(mkdir("fresh", 0755));
		tmpfs("fresh");
		OK(mount(NULL, "fresh", NULL, MS_SHARED, NULL));
		CHECK(tag("fresh", "shared:") != before);
		OK(umount("fresh"));
		OK(umount("b/n"));
		CHECK(!mounted("d/n"));
	}

	SUBTEST("errors");
	{
		CHECK_ERRNO(mount("a/m", "e", NULL, MS_MOVE, NULL), EINVAL); /* its parent is shared */
		CHECK_ERRNO(mount(NULL, "a", NULL, MS_SHARED | MS_PRIVATE, NULL), EINVAL);
		CHECK_ERRNO(mount(NULL, "a", NULL, MS_SHARED | MS_RDONLY, NULL), EINVAL);
		CHECK_ERRNO(mount(NULL, "a/n", NULL, MS_SHARED, NULL), EINVAL);
		OK(mount(NULL, "d", NULL, MS_UNBINDABLE, NULL));
		CHECK(strstr(info("d"), "unbindable") != NULL);
		CHECK_ERRNO(mount("d", "e", NULL, MS_BIND, NULL), EINVAL);
		CHECK_ERRNO(mount("d", "a/n", NULL, MS_MOVE, NULL), EINVAL); /* unbindable to shared */
	}

	SUBTEST("busy");
	{
		tmpfs("a/n");
		int fd = OK(open("b/n", O_RDONLY | O_DIRECTORY));

		CHECK_ERRNO(umount("a/n"), EBUSY); /* its copy is in use */
		close(fd);
		OK(umount("a/n"));
		CHECK_ERRNO(umount("a"), EBUSY);
		CHECK_ERRNO(umount2("b/m", MNT_EXPIRE | MNT_DETACH), EINVAL);
		CHECK_ERRNO(umount2("b/m", MNT_EXPIRE), EAGAIN);
		OK(umount2("b/m", MNT_EXPIRE));
		CHECK(!mounted("a/m"));
	}

	SUBTEST("namespaces");
	{
		int to[2], from[2];
		char x;

		OK(pipe(to));
		OK(pipe(from));
		pid_t p;
		CHILD (p) {
			OK(unshare(CLONE_NEWNS));
			CHECK_EQ(write(from[1], "x", 1), 1);
			CHECK_EQ(read(to[0], &x, 1), 1);
			CHECK(mounted("a/n"));
			OK(umount2("a/n", MNT_DETACH));
			CHECK_EQ(write(from[1], "x", 1), 1);
			CHECK_EQ(read(to[0], &x, 1), 1);
			/* A private mount of one is nothing to the other. */
			CHECK(!mounted("e"));
			CHECK_EQ(write(from[1], "x", 1), 1);
			_exit(0);
		}
		CHECK_EQ(read(from[0], &x, 1), 1);
		tmpfs("a/n");
		guest_checkpoint();
		CHECK_EQ(write(to[1], "x", 1), 1);
		CHECK_EQ(read(from[0], &x, 1), 1);
		CHECK(!mounted("a/n"));
		tmpfs("e");
		CHECK_EQ(write(to[1], "x", 1), 1);
		CHECK_EQ(read(from[0], &x, 1), 1);
		guest_reap(p);
		OK(umount("e"));
	}

	SUBTEST("rmdir of a mount point of another namespace");
	{
		int to[2], from[2];
		char x;

		OK(pipe(to));
		OK(pipe(from));
		OK(mkdir("e/x", 0755));
		pid_t p;
		CHILD (p) {
			OK(unshare(CLONE_NEWNS));
			tmpfs("e/x");
			CHECK_ERRNO(rmdir("e/x"), EBUSY);
			CHECK_EQ(write(from[1], "x", 1), 1);
			CHECK_EQ(read(to[0], &x, 1), 1);
			CHECK(!mounted("e/x"));
			_exit(0);
		}
		CHECK_EQ(read(from[0], &x, 1), 1);
		OK(rmdir("e/x"));
		CHECK_EQ(write(to[1], "x", 1), 1);
		guest_reap(p);
	}

	SUBTEST("recursive bind and move");
	{
		static const char *const more[] = { "r", "s", "t", NULL };

		dirs(more);
		tmpfs("r");
		OK(mkdir("r/1", 0755));
		OK(mkdir("r/2", 0755));
		tmpfs("r/1");
		tmpfs("r/2");
		OK(mkdir("r/1/in", 0755));
		tmpfs("r/1/in");
		OK(mount(NULL, "r/2", NULL, MS_UNBINDABLE, NULL));
		OK(mount("r", "s", NULL, MS_BIND | MS_REC, NULL));
		CHECK(mounted("s/1/in"));
		CHECK(!mounted("s/2"));
		OK(mount("s", "t", NULL, MS_MOVE, NULL));
		CHECK(!mounted("s"));
		CHECK(mounted("t/1/in"));
		CHECK_ERRNO(mount("t", "t/1/in", NULL, MS_MOVE, NULL), ELOOP);
		CHECK_ERRNO(umount("t"), EBUSY);
		OK(umount2("t", MNT_DETACH));
		CHECK(!mounted("t/1"));
		OK(umount2("r", MNT_DETACH));
	}

	SUBTEST("read-only and busy writers");
	{
		tmpfs("e");
		int fd = OK(open("e/f", O_RDWR | O_CREAT, 0644));

		CHECK_ERRNO(mount(NULL, "e", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
		CHECK_ERRNO(mount(NULL, "e", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY);
		guest_checkpoint();
		CHECK_ERRNO(mount(NULL, "e", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY);
		close(fd);
		OK(mount(NULL, "e", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
		CHECK(strstr(info("e"), " ro,relatime - tmpfs none rw") != NULL);
		CHECK_ERRNO(open("e/f", O_RDWR), EROFS);
		OK(mount(NULL, "e", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL));
		CHECK(strstr(info("e"), " ro,nosuid,relatime - tmpfs none ro") != NULL);
		OK(mount(NULL, "e", NULL, MS_REMOUNT | MS_NOATIME, NULL));
		CHECK(strstr(info("e"), " rw,noatime - tmpfs none rw") != NULL);
		OK(mount(NULL, "e", NULL, MS_REMOUNT, NULL));
		CHECK(strstr(info("e"), " rw,noatime - tmpfs") != NULL);
		OK(mount(NULL, "e", NULL, MS_REMOUNT | MS_STRICTATIME, NULL));
		CHECK(strstr(info("e"), " rw - tmpfs") != NULL);
		OK(umount("e"));
	}
	OK(chdir("/"));
	OK(umount2(cwd, MNT_DETACH));
}
