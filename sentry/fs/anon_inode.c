/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes outside every file system: the shared one of eventfd-like descriptors, and one each for pipes and sockets.
 *
 * Their super blocks are static, one per magic, never freed, with fixed device numbers; an image stores the magic only.
 * Linux: fs/anon_inodes.c, pipefs, sockfs.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/task.h"
#include "state/state.h"

struct anon_ino { /* message: AnonInode */
	struct inode i; /* saved: 1 inode_base */
	uint64_t magic; /* saved: 2 */
};

static const uint64_t magics[] = { LINUX_ANON_INODE_MAGIC, LINUX_PIPEFS_MAGIC, LINUX_SOCKFS_MAGIC, LINUX_MQUEUE_MAGIC };
static struct super_block anon_sb[ARRAY_SIZE(magics)];
static struct inode *shared;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void sb_never(struct super_block *sb)
{
}

static const struct sb_ops anon_sb_ops = { .free = sb_never };

static void anon_evict(struct inode *i)
{
	inode_done(i);
	free(container_of(i, struct anon_ino, i));
}

static const struct inode_ops anon_ops = {
	.name = "anon",
	.state = &anon_inode_state_type,
	.evict = anon_evict,
	.open = inode_no_open,
};

static struct inode *make(size_t which, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct anon_ino *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->magic = magics[which];
	inode_init(&a->i, &anon_ops, &anon_sb[which], 0, mode, uid, gid);
	return &a->i;
}

static void init(void)
{
	for (size_t n = 0; n < ARRAY_SIZE(magics); n++) {
		sb_init(&anon_sb[n], &anon_sb_ops, NULL, magics[n]);
		anon_sb[n].dev = dev_make(0, 10 + (uint32_t)n);
		anon_sb[n].next_ino = 1000; /* never one digit: netstat(8) takes "socket:[1]" for no socket */
	}
	shared = make(0, 0600, 0, 0);
	if (!shared)
		abort();
}

static size_t which_magic(uint64_t magic)
{
	for (size_t n = 0; n < ARRAY_SIZE(magics); n++)
		if (magics[n] == magic)
			return n;
	return 0;
}

struct inode *anon_inode(void)
{
	pthread_once(&once, init);
	return shared;
}

struct inode *anon_inode_new(struct task *t, uint32_t mode, uint32_t fs_magic)
{
	const struct cred *c = vfs_cred(t);

	pthread_once(&once, init);
	return make(which_magic(fs_magic), mode, c->fsuid, c->fsgid);
}

int anon_inode_path(struct inode *i, const char *name, struct path *ret)
{
	static struct mount *mnt[ARRAY_SIZE(magics)];
	static struct mutex mu = MUTEX_INIT("anon_inode.mu");
	size_t n = 0;
	struct dentry *d;

	pthread_once(&once, init);
	while (n < ARRAY_SIZE(magics) && i->sb != &anon_sb[n])
		n++;
	if (n == ARRAY_SIZE(magics))
		return -EINVAL;
	mutex_lock(&mu);
	if (!mnt[n]) {
		struct inode *root = make(n, LINUX_S_IFDIR | 0555, 0, 0);

		anon_sb[n].flags = SB_PINNED;
		anon_sb[n].root = root ? dentry_new_root(&anon_sb[n], root) : NULL;
		if (!anon_sb[n].root || mount_kern(&anon_sb[n], &mnt[n]) < 0) {
			mutex_unlock(&mu);
			return -ENOMEM;
		}
	}
	mutex_unlock(&mu);
	d = dentry_new(anon_sb[n].root, name, strlen(name));
	if (!d)
		return -ENOMEM;
	d->disconnected = true;
	d->inode = inode_get(i);
	*ret = (struct path){ .mnt = mount_get(mnt[n]), .dentry = d };
	return 0;
}

/* --- state --- */

static void *anon_alloc(void)
{
	struct anon_ino *a = calloc(1, sizeof(*a));

	pthread_once(&once, init);
	if (a)
		ref_init(&a->i.ref);
	return a;
}

static int anon_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct anon_ino *a = obj;
	Sentry__AnonInode *m = msg;

	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	m->magic = a->magic;
	return inode_save_base(w, &a->i, m->inode_base);
}

static int anon_load(struct state_reader *r, void *obj, const void *msg)
{
	struct anon_ino *a = obj;
	const Sentry__AnonInode *m = msg;
	struct super_block *sb = &anon_sb[which_magic(m->magic)];
	int err = inode_load_base(r, &a->i, &anon_ops, m->inode_base);

	if (!err)
		err = state_check(r, !a->i.sb, "anonymous inode in a file system");
	if (err)
		return err;
	a->magic = m->magic;
	a->i.sb = sb_get(sb);
	if (sb->next_ino <= m->inode_base->ino && m->inode_base->ino < UINT64_MAX)
		sb->next_ino = m->inode_base->ino + 1;
	return 0;
}

const struct state_type anon_inode_state_type = {
	.id = STATE_ID_anon_inode,
	.name = "anon_inode",
	.desc = &sentry__anon_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = anon_alloc,
	.save = anon_save,
	.load = anon_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
