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
#include "runsc/image_sign.h"
#include "state/manifest.h"

#define MANIFEST    "inventory.img"
#define PARENT_LINK  "parent-"

static const char *const stems[] = {"inventory", "kernel", "index", "pages", "signature", "workset"}; /* IMAGE_PARTS, and what may be beside */

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

static void part_name(int part, const char *hash, char *buf, size_t n)
{
	if (part == IMAGE_MANIFEST)
		(void)snprintf(buf, n, MANIFEST);
	else
		(void)snprintf(buf, n, "%s-%s.img", stems[part], hash);
}

/*
 * An image is regular files and nothing else. It is looked at before it is opened: opening a FIFO could block, opening a device could
 * do anything, and a symlink would lead out of the image.
 */
int image_dir_open_file(int dirfd, const char *name)
{
	_cleanup_close_ int path = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[40];
	struct stat st;
	int fd;

	if (path < 0 || fstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -EMEDIUMTYPE;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", path);
	fd = open(self, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The parts of @want (a mask) of the set that is complete in @dirfd; @name is the one that failed. */
static int open_set(int dirfd, unsigned int want, int *fds, char hash[MANIFEST_HASH + 1], char name[64])
{
	int r = 0;

	/* A checkpoint into the same directory may replace the set between our two looks: then look again. */
	for (int attempt = 0; attempt < 8; attempt++) {
		r = 0;
		for (int i = 0; i < IMAGE_PARTS && r == 0; i++) {
			if (!(want & 1U << i))
				continue;
			cleanup_closep(&fds[i]);
			part_name(i, hash, name, 64);
			fds[i] = image_dir_open_file(dirfd, name);
			if (fds[i] < 0)
				r = fds[i];
			else if (i == IMAGE_MANIFEST)
				r = manifest_hash(fds[i], hash);
		}
		if (r != -ENOENT || fds[IMAGE_MANIFEST] < 0)
			break;
	}
	return r;
}

/* Parts are found by the hash of the manifest: a part that is not there means that the manifest is damaged, or that the part is lost. */
static int explain_missing(const char *path, int manifest_fd, const char *name, struct error **err)
{
	_cleanup_manifest_ struct manifest m = {0};
	int r = lseek(manifest_fd, 0, SEEK_SET) < 0 ? -errno : manifest_read(manifest_fd, &m, err);

	if (r < 0)
		return error_prefix(err, "image %s", path);
	return error_msg(err, -ENOENT, "image %s is not complete: %s is missing", path, name);
}

/* Says of which image a part could not be opened. */
static int set_error(int r, const char *path, int manifest_fd, const char *name, struct error **err)
{
	if (r == -ENOENT && manifest_fd < 0)
		return error_msg(err, r,
				 "image %s: there is no complete image (no " MANIFEST "): No such file or directory",
				 path);
	if (r == -ELOOP || r == -EMEDIUMTYPE)
		return error_msg(err, -EINVAL, "image %s: %s is %s, not a regular file", path, name,
				 r == -ELOOP ? "a symbolic link" : "a special file or directory");
	if (r == -EFBIG)
		return error_msg(err, -EINVAL, "image %s: %s is too large to be a manifest", path, name);
	if (r == -ENOENT)
		return explain_missing(path, manifest_fd, name, err);
	return error_set(err, r, "image %s: %s", path, name);
}

/* Adds the image in @dirfd, which is an ancestor of ours; @shown names it. */
static int add_layer(struct image_dir *d, int dirfd, const char *shown, char hash[MANIFEST_HASH + 1], struct error **err)
{
	int fds[IMAGE_PARTS] = {-EBADF, -EBADF, -EBADF, -EBADF}, r;
	char name[64];

	if (d->nr_layers == MANIFEST_LAYERS_MAX)
		return error_msg(err, -ELOOP, "image %s: more than %d parents", d->path, MANIFEST_LAYERS_MAX);
	r = open_set(dirfd, 1U << IMAGE_MANIFEST | 1U << IMAGE_INDEX | 1U << IMAGE_PAGES, fds, hash, name);
	if (r < 0)
		r = set_error(r, shown, fds[IMAGE_MANIFEST], name, err);
	cleanup_closep(&fds[IMAGE_MANIFEST]);
	if (r < 0) {
		cleanup_closep(&fds[IMAGE_INDEX]);
		cleanup_closep(&fds[IMAGE_PAGES]);
		return r;
	}
	d->layers[d->nr_layers++] = (struct sentry_layer_fds){fds[IMAGE_INDEX], fds[IMAGE_PAGES]};
	return 0;
}

/* Follows the links from image to image. @parent: instead of the first link. */
static int open_layers(struct image_dir *d, const char *parent, struct error **err)
{
	_cleanup_close_ int at = fcntl(d->dirfd, F_DUPFD_CLOEXEC, 3);
	char link[sizeof(PARENT_LINK) + MANIFEST_HASH], hash[MANIFEST_HASH + 1], shown[4096];
	int r = 0;

	memcpy(hash, d->hash, sizeof(hash));
	for (;;) {
		const char *to = parent;
		ssize_t n;
		int up;

		if (!to) {
			(void)snprintf(link, sizeof(link), PARENT_LINK "%s", hash);
			n = readlinkat(at, link, shown, sizeof(shown) - 1);
			if (n < 0)
				return errno == ENOENT || errno == EINVAL ? 0 : error_set(err, -errno, "image %s: %s", d->path, link);
			shown[n] = '\0';
			to = shown;
		}
		up = openat(at, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			return error_set(err, -errno, "image %s: its parent %s (--parent-path names another place)", d->path, to);
		r = add_layer(d, up, to, hash, err);
		if (r < 0) {
			(void)close(up);
			return error_prefix(err, "image %s: its parent", d->path);
		}
		(void)close(at);
		at = up;
		parent = NULL;
	}
}

static void working_set_name(const struct image_dir *d, char name[64])
{
	(void)snprintf(name, 64, "workset-%s.img", d->hash);
}

int image_dir_record_working_set(struct image_dir *d, struct error **err)
{
	char name[64];

	working_set_name(d, name);
	cleanup_closep(&d->working_set);
	/* A new file: whoever reads the old one goes on doing so. */
	if (unlinkat(d->dirfd, name, 0) < 0 && errno != ENOENT)
		return error_set(err, -errno, "image %s: %s", d->path, name);
	d->working_set = openat(d->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return d->working_set < 0 ? error_set(err, -errno, "image %s: %s", d->path, name) : 0;
}

int image_dir_open(struct image_dir *d, const char *path, const char *parent, struct error **err)
{
	char name[64];
	int r;

	d->path = path;
	d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dirfd < 0)
		return error_set(err, -errno, "image %s", path);
	r = open_set(d->dirfd, (1U << IMAGE_PARTS) - 1, d->fds, d->hash, name);
	if (r < 0)
		return set_error(r, path, d->fds[IMAGE_MANIFEST], name, err);
	image_dir_read_signature(d);
	working_set_name(d, name);
	d->working_set = image_dir_open_file(d->dirfd, name);
	return open_layers(d, parent && parent[0] ? parent : NULL, err);
}

ssize_t image_dir_parent(const struct image_dir *d, char *buf, size_t n)
{
	char link[sizeof(PARENT_LINK) + MANIFEST_HASH];
	ssize_t r;

	(void)snprintf(link, sizeof(link), PARENT_LINK "%s", d->hash);
	r = readlinkat(d->dirfd, link, buf, n - 1);
	if (r < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : -errno;
	buf[r] = '\0';
	return r;
}

int image_dir_parent_hash(const char *path, const char *parent, char ret[MANIFEST_HASH + 1], struct error **err)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int up = dir < 0 && parent[0] != '/' ? -1 : openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fds[IMAGE_PARTS] = {-EBADF, -EBADF, -EBADF, -EBADF}, r;
	char name[64];

	if (up < 0)
		return error_set(err, -errno, "--parent-path %s (seen from --image-path)", parent);
	r = open_set(up, 1U << IMAGE_MANIFEST, fds, ret, name);
	if (r < 0)
		r = set_error(r, parent, fds[IMAGE_MANIFEST], name, err);
	cleanup_closep(&fds[IMAGE_MANIFEST]);
	return r;
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
	/* These are read by offset. */
	for (; d->nr_layers < from->nr_layers; d->nr_layers++) {
		const struct sentry_layer_fds *l = &from->layers[d->nr_layers];
		struct sentry_layer_fds mine = {fcntl(l->index, F_DUPFD_CLOEXEC, 3), fcntl(l->pages, F_DUPFD_CLOEXEC, 3)};

		d->layers[d->nr_layers] = mine;
		if (mine.index < 0 || mine.pages < 0)
			return error_set(err, -errno, "image %s", d->path);
	}
	if (from->working_set >= 0)
		d->working_set = fcntl(from->working_set, F_DUPFD_CLOEXEC, 3);
	memcpy(d->hash, from->hash, sizeof(d->hash));
	memcpy(d->signature, from->signature, sizeof(d->signature));
	d->signature_len = from->signature_len;
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
		/* Whatever has this name was left by a command that was killed; its sandbox may even be writing still. */
		(void)unlinkat(d->dirfd, name, 0);
		d->fds[i] = openat(d->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
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
	if (!strncmp(name, PARENT_LINK, sizeof(PARENT_LINK) - 1) && n == sizeof(PARENT_LINK) - 1 + MANIFEST_HASH &&
	    strspn(name + sizeof(PARENT_LINK) - 1, "0123456789abcdef") == MANIFEST_HASH)
		return IMAGE_FILE_LINK;
	for (size_t i = 0; i < ARRAY_SIZE(stems); i++) {
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

		if (!strncmp(e->d_name, "descriptors.json.tmp.", 21) || kind == IMAGE_FILE_TEMP ||
		    ((kind == IMAGE_FILE_PART || kind == IMAGE_FILE_LINK) && strncmp(strchr(e->d_name, '-') + 1, hash, 32) != 0))
			(void)unlinkat(dirfd, e->d_name, 0);
	}
	(void)closedir(dir);
}

static int make_link(const struct image_dir *d, const char *hash, const char *parent)
{
	char link[sizeof(PARENT_LINK) + MANIFEST_HASH];

	(void)snprintf(link, sizeof(link), PARENT_LINK "%s", hash);
	(void)unlinkat(d->dirfd, link, 0);
	return symlinkat(parent, d->dirfd, link) < 0 ? -errno : 0;
}

int image_dir_commit(struct image_dir *d, const char *parent, struct error **err)
{
	char hash[MANIFEST_HASH + 1], from[64], to[64];
	int r = manifest_hash(d->fds[IMAGE_MANIFEST], hash);

	if (r == 0)
		r = fsync_all(d->fds);
	if (r == 0 && d->sign) {
		r = image_dir_sign(d, hash, d->sign, err);
		if (r < 0)
			return r;
	}
	if (r == 0 && parent)
		r = make_link(d, hash, parent);
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
	for (size_t i = 0; i < d->nr_layers; i++) {
		cleanup_closep(&d->layers[i].index);
		cleanup_closep(&d->layers[i].pages);
	}
	cleanup_closep(&d->working_set);
	cleanup_closep(&d->dirfd);
	*d = (struct image_dir)IMAGE_DIR_INIT;
}
