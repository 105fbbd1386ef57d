/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and fids (see internal.h).
 *
 * Containment: a node is reached from an export's fd by openat(parent, component, O_PATH | O_NOFOLLOW) only, where the component
 * holds no '/' and is not "..". That cannot leave the tree: there is nothing to climb with, the last component is never followed
 * (also not a magic link), and the parent is a held inode that nobody can swap. Mounts below are crossed, which bind mounts
 * in the root need. So RESOLVE_BENEATH would add nothing.
 *
 * Opening for I/O goes through /proc/self/fd of the held fd, that is, to the same inode, after its type is known to be regular:
 * opening a FIFO could block, opening a device could do anything.
 */
#include "gofer/server/internal.h"

#include <stdio.h>
#include <string.h>

struct node *node_get(struct node *n)
{
	ref_get(&n->ref);
	return n;
}

void node_put(struct node *n)
{
	if (!ref_put(&n->ref))
		return;
	(void)close(n->fd);
	free(n);
}

int node_new(const struct gofer_export *exp, int fd, struct node **ret)
{
	_cleanup_close_ int owned = fd;
	struct node *n;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	n = malloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	ref_init(&n->ref);
	n->fd = TAKE_FD(owned);
	n->type = st.st_mode & S_IFMT;
	n->exp = exp;
	*ret = n;
	return 0;
}

int node_walk(struct node *dir, const char *name, struct node **ret)
{
	int fd;

	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return node_new(dir->exp, fd, ret);
}

struct fd_name node_name(const struct node *n)
{
	struct fd_name name;

	(void)snprintf(name.s, sizeof(name.s), "%d", n->fd);
	return name;
}

int node_open(struct gofer *g, const struct node *n, int flags)
{
	int fd;

	if (n->type == S_IFLNK)
		return -ELOOP;
	if (n->type == S_IFDIR)
		fd = openat(n->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (n->type == S_IFREG)
		fd = openat(g->proc_fd, node_name(n).s, flags | O_CLOEXEC | O_NOCTTY);
	else
		return -ENXIO;
	/* O_NOATIME is for owners; it is a wish, not a condition. */
	if (fd < 0 && errno == EPERM && (flags & O_NOATIME))
		return node_open(g, n, flags & ~O_NOATIME);
	return fd < 0 ? -errno : fd;
}

int node_writable(const struct node *n)
{
	return (n->exp->flags & GOFER_READONLY) ? -EROFS : 0;
}

int fid_new(struct node *n, struct fid **ret)
{
	struct fid *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	ref_init(&f->ref);
	mutex_init(&f->mu, "gofer.fid.mu");
	f->node = node_get(n);
	f->uid = P9_NOUID;
	f->open_fd = -EBADF;
	f->dir_pos = -1;
	*ret = f;
	return 0;
}

struct fid *fid_put(struct fid *f)
{
	if (!f || !ref_put(&f->ref))
		return NULL;
	if (f->open_fd >= 0)
		(void)close(f->open_fd);
	node_put(f->node);
	if (f->parent)
		node_put(f->parent);
	free(f->name);
	free(f->xattr);
	mutex_destroy(&f->mu);
	free(f);
	return NULL;
}

int fid_set_path(struct fid *f, struct node *parent, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	free(f->name);
	if (f->parent)
		node_put(f->parent);
	f->name = copy;
	f->parent = node_get(parent);
	return 0;
}

struct fid *fid_get(struct gofer *g, uint32_t num)
{
	mutex_guard(&g->fids_mu);
	struct fid *f = htab_get(&g->fids, num);

	if (f)
		ref_get(&f->ref);
	return f;
}

int fid_insert(struct gofer *g, uint32_t num, struct fid *f)
{
	mutex_guard(&g->fids_mu);
	int r;

	if (num == P9_NOFID || htab_get(&g->fids, num))
		return -EBADF;
	if (g->fids.live >= GOFER_MAX_FIDS)
		return -EMFILE;
	r = htab_put(&g->fids, num, f);
	if (r == 0)
		ref_get(&f->ref);
	return r;
}

int fid_add(struct gofer *g, uint32_t num, struct node *n)
{
	_cleanup_fid_ struct fid *f = NULL;
	int r;

	if (num == P9_NOFID)
		return 0;
	r = fid_new(n, &f);
	if (r < 0)
		return r;
	return fid_insert(g, num, f);
}

struct fid *fid_remove(struct gofer *g, uint32_t num)
{
	mutex_guard(&g->fids_mu);

	return htab_del(&g->fids, num);
}

void fid_remove_all(struct gofer *g)
{
	size_t pos = 0;
	uint64_t num;
	void *val;

	mutex_guard(&g->fids_mu);
	while (htab_next(&g->fids, &pos, &num, &val))
		(void)fid_put(htab_del(&g->fids, num));
	htab_done(&g->fids);
}
