/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a directory of the overlay knows beyond its lower one: names of files, and whiteouts. Guarded by the directory's i.mu.
 *
 * Entries hold their inodes, so a tree of directories made here hangs from the root; freeing it must not recurse as deep as it is.
 * Checkpoint: saved with the directory (overlay_state.c).
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

struct ovl_name *ovl_name_find(struct ovl_inode *dir, const char *name, size_t len)
{
	struct ovl_name *n = htab_get(&dir->name_table, hash_bytes(name, len));

	for (; n; n = n->chain)
		if (n->len == len && !memcmp(n->name, name, len))
			return n;
	return NULL;
}

int ovl_name_reserve(struct ovl_inode *dir, const char *name, size_t len, struct ovl_name **ret)
{
	struct ovl_name *n = ovl_name_find(dir, name, len);

	if (!n) {
		n = calloc(1, sizeof(*n) + len + 1);
		if (!n)
			return -ENOMEM;
		memcpy(n->name, name, len);
		n->len = len;
		n->hash = hash_bytes(name, len);
		n->chain = htab_get(&dir->name_table, n->hash);
		if (htab_put(&dir->name_table, n->hash, n) < 0) {
			free(n);
			return -ENOMEM;
		}
		list_add_tail(&dir->names, &n->node);
	}
	*ret = n;
	return 0;
}

void ovl_name_set(struct ovl_name *n, struct inode *i)
{
	struct inode *old = n->inode;

	n->inode = i ? inode_get(i) : NULL;
	n->whiteout = !i;
	inode_put(old);
}

void ovl_name_drop(struct ovl_inode *dir, struct ovl_name *n)
{
	struct ovl_name *head = htab_get(&dir->name_table, n->hash);

	if (head == n) {
		if (!n->chain || htab_put(&dir->name_table, n->hash, n->chain) < 0)
			(void)htab_del(&dir->name_table, n->hash);
	} else {
		while (head->chain != n)
			head = head->chain;
		head->chain = n->chain;
	}
	list_del(&n->node);
	inode_put(n->inode);
	free(n);
}

void ovl_names_done(struct ovl_inode *dir)
{
	static _Thread_local struct ovl_name *pending;
	static _Thread_local bool draining;
	struct ovl_name *n;

	while ((n = list_first(&dir->names, struct ovl_name, node))) {
		list_del(&n->node);
		n->chain = pending;
		pending = n;
	}
	htab_done(&dir->name_table);
	if (draining)
		return; /* evicted by the loop below, further up the stack */
	draining = true;
	while ((n = pending)) {
		pending = n->chain;
		inode_put(n->inode);
		free(n);
	}
	draining = false;
}
