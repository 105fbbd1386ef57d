/* SPDX-License-Identifier: Apache-2.0 */
/* See image_dir.h for the layout and why it is crash-safe. */
#include "runsc/image_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd_util.h"

#define MANIFEST     "inventory.img"
#define MANIFEST_MAX (1U << 20)

static const char *const stems[IMAGE_PARTS] = {"inventory", "kernel", "index", "pages"};

int open_in_root(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static void temp_name(int part, char *buf, size_t n)
{
	(void)snprintf(buf, n, ".%s.%d.tmp", stems[part], (int)getpid());
}

/* 128 bits of FNV-1a with two bases: a name that differs when the manifest does, no defence against forgery. */
static int manifest_hash(int fd, char hash[33])
{
	_cleanup_free_ char *buf = malloc(MANIFEST_MAX + 1);
	uint64_t a = 0xcbf29ce484222325ULL, b = 0x84222325cbf29ce4ULL;
	size_t n = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t r = pread(fd, buf + n, MANIFEST_MAX + 1 - n, (off_t)n);

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > MANIFEST_MAX)
			return -EFBIG;
	}
	for (size_t i = 0; i < n; i++) {
		a = (a ^ (unsigned char)buf[i]) * 0x100000001b3ULL;
		b = (b ^ (unsigned char)buf[n - 1 - i]) * 0x100000001b3ULL;
	}
	(void)snprintf(hash, 33, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
	return 0;
}

static void part_name(int part, const char *hash, char *buf, size_t n)
{
	if (part == IMAGE_MANIFEST)
		(void)snprintf(buf, n, MANIFEST);
	else
		(void)snprintf(buf, n, "%s-%s.img", stems[part], hash);
}

int image_dir_open(struct image_dir *d, const char *path, struct error **err)
{
	char hash[33], name[64];
	int r;

	d->path = path;
	d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dirfd < 0)
		return error_set(err, -errno, "image %s", path);
	/* A checkpoint into the same directory may replace the set between our two looks: then look again. */
	for (int attempt = 0; attempt < 8; attempt++) {
		r = 0;
		for (int i = 0; i < IMAGE_PARTS && r == 0; i++) {
			cleanup_closep(&d->fds[i]);
			part_name(i, hash, name, sizeof(name));
			d->fds[i] = openat(d->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			if (d->fds[i] < 0)
				r = -errno;
			else if (i == IMAGE_MANIFEST)
				r = manifest_hash(d->fds[i], hash);
		}
		if (r != -ENOENT || d->fds[IMAGE_MANIFEST] < 0)
			break;
	}
	if (r == -ENOENT && d->fds[IMAGE_MANIFEST] < 0)
		return error_msg(err, r,
				 "image %s: there is no complete image (no " MANIFEST "): No such file or directory",
				 path);
	if (r < 0)
		return error_set(err, r, "image %s: %s", path, name);
	return 0;
}

int image_dir_reopen(struct image_dir *d, const struct image_dir *from, struct error **err)
{
	char path[40];

	d->path = from->path;
	for (int i = 0; i < IMAGE_PARTS; i++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", from->fds[i]);
		d->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (d->fds[i] < 0)
			return error_set(err, -errno, "image %s", d->path);
	}
	return 0;
}

int image_dir_begin(struct image_dir *d, const char *path, struct error **err)
{
	char name[64];
	int r = mkdir_parents(path, 0700);

	if (r < 0)
		return error_set(err, r, "--image-path %s", path);
	d->path = path;
	d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dirfd < 0)
		return error_set(err, -errno, "--image-path %s", path);
	/* One writer at a time: two could remove each other's parts. */
	if (flock(d->dirfd, LOCK_EX) < 0)
		return error_set(err, -errno, "--image-path %s", path);
	d->writing = true;
	for (int i = 0; i < IMAGE_PARTS; i++) {
		temp_name(i, name, sizeof(name));
		d->fds[i] = openat(d->dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (d->fds[i] < 0)
			return error_set(err, -errno, "%s/%s", path, name);
	}
	return 0;
}

static void *fsync_thread(void *arg)
{
	int fd = *(int *)arg;

	return (void *)(intptr_t)(fsync(fd) < 0 ? -errno : 0);
}

/* All parts at once: the file system commits them together instead of one after the other. */
static int fsync_all(int *fds)
{
	pthread_t th[IMAGE_PARTS];
	bool started[IMAGE_PARTS] = {false};
	int r = 0;

	for (int i = 1; i < IMAGE_PARTS; i++)
		started[i] = pthread_create(&th[i], NULL, fsync_thread, &fds[i]) == 0;
	for (int i = 0; i < IMAGE_PARTS; i++) {
		void *res = NULL;

		if (started[i])
			(void)pthread_join(th[i], &res);
		else
			res = fsync_thread(&fds[i]);
		if ((intptr_t)res < 0)
			r = (int)(intptr_t)res;
	}
	return r;
}

enum image_file image_file_kind(const char *name)
{
	size_t n = strlen(name);

	if (!strcmp(name, MANIFEST))
		return IMAGE_FILE_MANIFEST;
	for (int i = 0; i < IMAGE_PARTS; i++) {
		size_t k = strlen(stems[i]);

		if (!strncmp(name, stems[i], k) && name[k] == '-' && n == k + 37 && !strcmp(name + n - 4, ".img") &&
		    strspn(name + k + 1, "0123456789abcdef") == 32)
			return IMAGE_FILE_PART;
		if (name[0] == '.' && !strncmp(name + 1, stems[i], k) && n > 4 && !strcmp(name + n - 4, ".tmp"))
			return IMAGE_FILE_TEMP;
	}
	return IMAGE_FILE_OTHER;
}

int image_dir_names(int fd, image_part_names ret)
{
	char hash[33];
	int r = manifest_hash(fd, hash);

	for (int i = 0; i < IMAGE_PARTS && r == 0; i++)
		part_name(i, hash, ret[i], sizeof(ret[i]));
	return r;
}

/* Parts of other generations and temporary files of checkpoints that were killed. */
static void remove_others(int dirfd, const char *hash)
{
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		enum image_file kind = image_file_kind(e->d_name);

		if (kind == IMAGE_FILE_TEMP ||
		    (kind == IMAGE_FILE_PART && strncmp(strchr(e->d_name, '-') + 1, hash, 32) != 0))
			(void)unlinkat(dirfd, e->d_name, 0);
	}
	(void)closedir(dir);
}

int image_dir_commit(struct image_dir *d, struct error **err)
{
	char hash[33], from[64], to[64];
	int r = manifest_hash(d->fds[IMAGE_MANIFEST], hash);

	if (r == 0)
		r = fsync_all(d->fds);
	/* The manifest last. */
	for (int i = IMAGE_PARTS - 1; i >= 0 && r == 0; i--) {
		temp_name(i, from, sizeof(from));
		part_name(i, hash, to, sizeof(to));
		if (renameat(d->dirfd, from, d->dirfd, to) < 0)
			r = -errno;
		if (i == IMAGE_MANIFEST + 1 && r == 0 && fsync(d->dirfd) < 0)
			r = -errno;
	}
	if (r == 0 && fsync(d->dirfd) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, r, "--image-path %s", d->path);
	d->writing = false;
	remove_others(d->dirfd, hash);
	return 0;
}

void image_dir_done(struct image_dir *d)
{
	char name[64];

	for (int i = 0; i < IMAGE_PARTS; i++) {
		if (d->writing) {
			temp_name(i, name, sizeof(name));
			(void)unlinkat(d->dirfd, name, 0);
		}
		cleanup_closep(&d->fds[i]);
	}
	cleanup_closep(&d->dirfd);
	*d = (struct image_dir)IMAGE_DIR_INIT;
}
