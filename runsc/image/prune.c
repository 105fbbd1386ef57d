/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc image prune: what a directory holds beyond its image. Removed are temporary files of checkpoints that were killed and
 * parts that neither the directory's own manifest nor that of a given child names; with --unneeded the directory's own image, when
 * no child needs it. A manifest that cannot be read stops everything: then nobody knows what is needed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc/image/image.h"

struct hashes {
	char (*v)[MANIFEST_HASH + 1];
	size_t nr;
};

struct prune {
	const char *path;
	int dirfd;
	struct hashes needed;
	bool dry_run;
	char own[MANIFEST_HASH + 1]; /* empty: there is no image */
	size_t files;
	uint64_t bytes;
};

static int need(struct hashes *h, const char *hash, struct error **err)
{
	void *v = reallocarray(h->v, h->nr + 1, sizeof(*h->v));

	if (!v)
		return error_set(err, -ENOMEM, "cannot prune");
	h->v = v;
	(void)snprintf(h->v[h->nr++], sizeof(*h->v), "%s", hash);
	return 0;
}

static bool is_needed(const struct hashes *h, const char *hash)
{
	for (size_t i = 0; i < h->nr; i++)
		if (!strncmp(h->v[i], hash, MANIFEST_HASH))
			return true;
	return false;
}

/* The hash of the image in the directory; empty when there is none. */
static int read_own(struct prune *p, struct error **err)
{
	_cleanup_manifest_ struct manifest m = {0};
	_cleanup_close_ int fd = openat(p->dirfd, "inventory.img", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: inventory.img", p->path);
	r = manifest_read(fd, &m, err);
	if (r < 0)
		return error_prefix(err, "%s, nothing is removed", p->path);
	r = manifest_hash(fd, p->own);
	return r < 0 ? error_set(err, r, "%s: inventory.img", p->path) : 0;
}

static int read_child(struct prune *p, const char *path, struct error **err)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;
	_cleanup_manifest_ struct manifest m = {0};
	char own[MANIFEST_HASH + 1];
	int r = image_dir_open(&d, path, NULL, err);

	if (r >= 0)
		r = manifest_read(d.fds[IMAGE_MANIFEST], &m, err);
	if (r < 0)
		return error_prefix(err, "%s, nothing is removed", path);
	r = manifest_hash(d.fds[IMAGE_MANIFEST], own);
	if (r < 0)
		return error_set(err, r, "%s", path);
	r = need(&p->needed, own, err);
	for (size_t i = 0; i < m.nr_layers && r >= 0; i++)
		r = need(&p->needed, m.layers[i].hash, err);
	return r;
}

static int remove_file(struct prune *p, const char *name, struct error **err)
{
	struct stat st = {0};

	(void)fstatat(p->dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (!p->dry_run && unlinkat(p->dirfd, name, 0) < 0)
		return error_set(err, -errno, "%s/%s", p->path, name);
	printf("%s%s\n", p->dry_run ? "would remove " : "removed ", name);
	p->files++;
	p->bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

static bool is_garbage(const struct prune *p, const char *name)
{
	switch (image_file_kind(name)) {
	case IMAGE_FILE_TEMP:
		return true;
	case IMAGE_FILE_PART:
	case IMAGE_FILE_LINK:
		return !is_needed(&p->needed, strchr(name, '-') + 1);
	default:
		return false;
	}
}

static int sweep(struct prune *p, struct error **err)
{
	int fd = fcntl(p->dirfd, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		r = error_set(err, -errno, "%s", p->path);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	/* The manifest of an image that goes is first: from then on its parts are garbage, whatever happens to us. */
	if (p->own[0] && !is_needed(&p->needed, p->own))
		r = remove_file(p, "inventory.img", err);
	if (r >= 0 && !p->dry_run && fsync(p->dirfd) < 0)
		r = error_set(err, -errno, "%s", p->path);
	rewinddir(dir);
	while (r >= 0 && (e = readdir(dir)))
		if (is_garbage(p, e->d_name))
			r = remove_file(p, e->d_name, err);
	(void)closedir(dir);
	return r;
}

static int prune(struct prune *p, const struct flag_list *children, bool unneeded, struct error **err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	int r;

	p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dirfd < 0)
		return error_set(err, -errno, "%s", p->path);
	/* Writers of images hold this lock. */
	if (flock(p->dirfd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? error_msg(err, -EBUSY, "%s: an image is being written there", p->path) :
					      error_set(err, -errno, "%s", p->path);
	r = read_own(p, err);
	for (size_t i = 0; i < children->n && r >= 0; i++)
		r = read_child(p, children->v[i], err);
	if (r >= 0 && p->own[0] && !unneeded)
		r = need(&p->needed, p->own, err);
	if (r >= 0)
		r = sweep(p, err);
	if (r < 0)
		return r;
	text_size(&b, p->bytes);
	printf("%zu files, %s\n", p->files, b.data ? b.data : "?");
	return image_flush(err);
}

static void prune_done(struct prune *p)
{
	free(p->needed.v);
	cleanup_closep(&p->dirfd);
}

int image_prune(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_(prune_done) struct prune p = {.dirfd = -EBADF};
	_cleanup_(flag_list_done) struct flag_list children = {0};
	bool unneeded = false;
	const struct flag flags[] = {
		{"dry-run", 'n', FLAG_BOOL, &p.dry_run, NULL, "only say what would be removed"},
		{"needed-by", 0, FLAG_LIST, &children, "CHILD", "keep what this image needs of DIR; may be given many times"},
		{"unneeded", 0, FLAG_BOOL, &unneeded, NULL, "remove the image of DIR, too, if no CHILD needs it"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("prune", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (unneeded && !children.n)
		return error_msg(err, -EINVAL, "--unneeded wants to know for whom: at least one --needed-by");
	p.path = rest.args[0];
	return prune(&p, &children, unneeded, err);
}
