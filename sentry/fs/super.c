/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Super blocks, the registry of file system types, mount option parsing.
 *
 * Life of a super block: sb_init (one ref, inactive) -> first mount activates -> last mount deactivates: the dentry tree is dropped, shutdown() is
 * told, and the first reference goes. Inodes of files still open keep the memory.
 * Checkpoint: sb_save_base(). Linux: fs/super.c, fs/filesystems.c.
 */
#include "sentry/fs/fs_type.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/handle.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/vfs_state.h"

#define MAX_TYPES 64
#define DEFAULT_MAX_CACHED 65536

static const struct fs_type *types[MAX_TYPES]; /* filled by constructors, then constant */
static size_t nr_types;
static _Atomic uint32_t next_minor = 32; /* lower ones: anon_inode.c */

void fs_type_register(const struct fs_type *ft)
{
	if (nr_types == MAX_TYPES)
		abort();
	types[nr_types++] = ft;
}

const struct fs_type *fs_type_find(const char *name)
{
	for (size_t n = 0; n < nr_types; n++)
		if (!strcmp(types[n]->name, name))
			return types[n];
	return NULL;
}

const struct fs_type *fs_type_next(const struct fs_type *prev)
{
	size_t n = 0;

	while (prev && n < nr_types && types[n++] != prev)
		;
	return n < nr_types ? types[n] : NULL;
}

static void init_locks(struct super_block *sb)
{
	mutex_init(&sb->rename_mu, "sb.rename_mu");
	mutex_init(&sb->d_mu, "sb.d_mu");
	list_init(&sb->lru);
	sb->max_cached = DEFAULT_MAX_CACHED;
}

void sb_init(struct super_block *sb, const struct sb_ops *ops, const struct fs_type *type, uint64_t magic)
{
	ref_init(&sb->ref);
	sb->ops = ops;
	sb->type = type;
	sb->magic = magic;
	sb->dev = dev_make(0, atomic_fetch_add(&next_minor, 1));
	sb->blksize = PAGE_SIZE;
	sb->max_bytes = INT64_MAX;
	sb->next_ino = 1;
	init_locks(sb);
}

void sb_done(struct super_block *sb)
{
	free(sb->handles);
	mutex_destroy(&sb->rename_mu);
	mutex_destroy(&sb->d_mu);
}

struct super_block *sb_get(struct super_block *sb)
{
	ref_get(&sb->ref);
	return sb;
}

void sb_put(struct super_block *sb)
{
	if (sb && ref_put(&sb->ref))
		sb->ops->free(sb);
}

void sb_activate(struct super_block *sb)
{
	if (atomic_fetch_add(&sb->active, 1) == 0)
		(void)sb_get(sb); /* held by being active */
}

void sb_deactivate(struct super_block *sb)
{
	struct dentry *root;

	if (atomic_fetch_sub(&sb->active, 1) != 1)
		return;
	fsnotify_sb_gone(sb);
	fanotify_sb_gone(sb);
	handle_sb_gone(sb);
	root = TAKE_PTR(sb->root);
	if (root) {
		dcache_kill_tree(root);
		dentry_put(root);
	}
	if (sb->ops->shutdown)
		sb->ops->shutdown(sb);
	sb_put(sb);
}

bool mount_option_next(char **p, char **key, char **val)
{
	char *s = *p, *end, *eq;

	while (*s == ',')
		s++;
	if (!*s)
		return false;
	end = strchr(s, ',');
	if (end)
		*end++ = '\0';
	else
		end = s + strlen(s);
	*p = end;
	*key = s;
	eq = strchr(s, '=');
	if (eq) {
		*eq = '\0';
		*val = eq + 1;
	} else {
		*val = s + strlen(s);
	}
	return true;
}

int mount_option_known(const char *list, const char *option)
{
	size_t n = strcspn(option, "=");

	for (const char *p = list; *p; p += strcspn(p, ",")) {
		p += strspn(p, ",");
		if (strcspn(p, ",") == n && !strncmp(p, option, n))
			return 0;
	}
	return -ENOENT;
}

int parse_size_option(const char *s, uint64_t total, uint64_t *ret)
{
	uint64_t v = 0, mul = 1;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (mul_overflow(v, 10, &v) || add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -EINVAL;
	switch (*s) {
	case '%':
		if (v > 100)
			v = 100;
		v = total / 100 * v;
		s++;
		break;
	case 'k':
	case 'K':
		mul = 1ULL << 10;
		s++;
		break;
	case 'm':
	case 'M':
		mul = 1ULL << 20;
		s++;
		break;
	case 'g':
	case 'G':
		mul = 1ULL << 30;
		s++;
		break;
	case 't':
	case 'T':
		mul = 1ULL << 40;
		s++;
		break;
	}
	if (*s || mul_overflow(v, mul, ret))
		return -EINVAL;
	return 0;
}

/* --- state --- */

void sb_state_get(void *sb)
{
	(void)sb_get(sb);
}

void sb_state_put(void *obj)
{
	struct super_block *sb = obj;

	if (sb->ops)
		sb_put(sb);
}

int sb_save_base(struct state_writer *w, const struct super_block *sb, struct Sentry__SuperBlockBase *m)
{
	m->type = state_strdup(w, sb->type ? sb->type->name : "");
	m->flags = sb->flags;
	m->ms_flags = sb->ms_flags;
	m->dev = sb->dev;
	m->root = state_ref(w, &dentry_state_type, sb->root);
	m->next_ino = sb->next_ino;
	m->handles = state_zalloc(w, sb->nr_handles, sizeof(*m->handles));
	for (m->n_handles = 0; m->n_handles < sb->nr_handles; m->n_handles++)
		m->handles[m->n_handles] = state_ref(w, &dentry_state_type, sb->handles[m->n_handles]);
	return 0;
}

static int load_handles(struct state_reader *r, struct super_block *sb, const struct Sentry__SuperBlockBase *m)
{
	size_t cap = 16;
	int err = state_check(r, m->n_handles <= 65536, "too many file handles");

	while (cap < m->n_handles)
		cap *= 2;
	sb->handles = !err && m->n_handles ? calloc(cap, sizeof(*sb->handles)) : NULL;
	if (!err && m->n_handles && !sb->handles)
		return -ENOMEM;
	for (size_t n = 0; !err && n < m->n_handles; n++) {
		void *d = NULL;

		err = state_deref(r, m->handles[n], &dentry_state_type, &d);
		if (!err)
			err = state_check(r, d != NULL, "file handle of nothing");
		if (!err)
			sb->handles[sb->nr_handles++] = d;
	}
	return err;
}

int sb_load_base(struct state_reader *r, struct super_block *sb, const struct sb_ops *ops, const struct Sentry__SuperBlockBase *m)
{
	uint32_t minor, next;
	void *root = NULL;
	int err = state_check(r, m != NULL, "no super block base");

	if (err)
		return err;
	if (!ref_count(&sb->ref))
		ref_init(&sb->ref);
	init_locks(sb);
	sb->ops = ops;
	sb->blksize = PAGE_SIZE;
	sb->max_bytes = INT64_MAX;
	if (*m->type) {
		sb->type = fs_type_find(m->type);
		err = state_check(r, sb->type != NULL, "unknown file system type");
	}
	if (!err)
		err = state_deref(r, m->root, &dentry_state_type, &root);
	if (!err)
		err = state_check(r, dev_major(m->dev) == 0 && dev_minor(m->dev) < 1u << 20, "bad device number");
	if (err)
		return err;
	sb->flags = m->flags;
	sb->ms_flags = m->ms_flags;
	sb->dev = m->dev;
	sb->root = root;
	sb->next_ino = m->next_ino;
	err = load_handles(r, sb, m);
	if (err)
		return err;
	minor = dev_minor(m->dev);
	next = atomic_load(&next_minor);
	while (next <= minor && !atomic_compare_exchange_weak(&next_minor, &next, minor + 1))
		;
	return 0;
}

uint64_t sb_state_ref(struct state_writer *w, const struct super_block *sb)
{
	return sb ? state_ref(w, sb->ops->state, sb) : 0;
}

int sb_state_deref(struct state_reader *r, uint64_t id, struct super_block **ret)
{
	void *p = NULL;
	int err = vfs_state_deref(r, id, sb_state_get, "not a super block", &p);

	if (!err)
		*ret = p;
	return err;
}
