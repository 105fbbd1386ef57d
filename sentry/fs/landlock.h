/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (ABI 2, Linux 6.1): a program restricts what it and its children may do with files.
 *
 * A ruleset is a descriptor to which rules are added; restricting oneself makes a copy of it the newest layer of the caller's domain, which
 * belongs to the credentials and is inherited with them. Access needs the consent of every layer: what a layer handles must be
 * granted by one of its rules at the file or a directory above it. Rules stand for inodes, which they keep.
 *
 * Locks: ruleset.mu guards its rules; a domain is immutable. A check walks up the tree and takes sb.d_mu and mnt_mu for each step, so it may be called
 * with inode locks held. Checkpoint: rulesets and domains; a rule's place is its dentry. Linux: security/landlock/.
 */
#ifndef SENTRY_FS_LANDLOCK_H
#define SENTRY_FS_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct cred;
struct dentry;
struct landlock_domain;
struct path;
struct task;

#define LL_EXECUTE     (1u << 0)
#define LL_WRITE_FILE  (1u << 1)
#define LL_READ_FILE   (1u << 2)
#define LL_READ_DIR    (1u << 3)
#define LL_REMOVE_DIR  (1u << 4)
#define LL_REMOVE_FILE (1u << 5)
#define LL_MAKE_CHAR   (1u << 6)
#define LL_MAKE_DIR    (1u << 7)
#define LL_MAKE_REG    (1u << 8)
#define LL_MAKE_SOCK   (1u << 9)
#define LL_MAKE_FIFO   (1u << 10)
#define LL_MAKE_BLOCK  (1u << 11)
#define LL_MAKE_SYM    (1u << 12)
#define LL_REFER       (1u << 13)
#define LL_ALL	       ((1u << 14) - 1)
#define LL_FILE	       (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE)

struct landlock_domain *landlock_domain_get(struct landlock_domain *d); /* NULL is fine in both */
void landlock_domain_put(struct landlock_domain *d);

/* Is @t (NULL: the kernel) restricted at all? */
bool landlock_on(const struct task *t);
/* May @t do @access at @p? 0 or -EACCES. */
int landlock_check(struct task *t, const struct path *p, uint32_t access);
/* May @t open @p with open flags @flags? */
int landlock_check_open(struct task *t, const struct path *p, uint32_t flags);
/* The right to make a file of @mode's type. */
uint32_t landlock_make_right(uint32_t mode);
/* A link or (@removes) rename of @od to @nd (negative, replaced, or @exchange) in @ndir; both in directories of one mount, that of @odir and
 * @ndir. -EACCES; -EXDEV where a move could gain rights. */
int landlock_check_refer(struct task *t, const struct path *odir, struct dentry *od, const struct path *ndir, struct dentry *nd, bool removes,
			 bool exchange);
/* May who has @tracer's restrictions control who has @tracee's? Only if those are at least as strict. */
bool landlock_may_trace(const struct cred *tracer, const struct cred *tracee);

#endif
