/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA memory policies, of tasks and of mappings: set_mempolicy(2), mbind(2).
 *
 * The sandbox has one node, 0, so a policy changes nothing; it is checked, remembered and shown as Linux does.
 */
#ifndef SENTRY_MM_MEMPOLICY_H
#define SENTRY_MM_MEMPOLICY_H

#include "base/cleanup.h"
#include "base/util.h"

#define LINUX_MPOL_DEFAULT        0
#define LINUX_MPOL_PREFERRED      1
#define LINUX_MPOL_BIND           2
#define LINUX_MPOL_INTERLEAVE     3
#define LINUX_MPOL_LOCAL          4
#define LINUX_MPOL_PREFERRED_MANY 5
#define LINUX_MPOL_MAX            6
#define LINUX_MPOL_F_NUMA_BALANCING 0x2000u
#define LINUX_MPOL_F_RELATIVE_NODES 0x4000u
#define LINUX_MPOL_F_STATIC_NODES   0x8000u
#define LINUX_MPOL_MODE_FLAGS       0xe000u

struct mm;
struct strbuf;

struct mempolicy {
	uint32_t mode; /* saved: 1; LINUX_MPOL_*; DEFAULT: none set */
	uint32_t flags; /* saved: 2; LINUX_MPOL_F_* */
	uint64_t nodes; /* saved: 3; as given; what is shown with STATIC and RELATIVE */
	bool home; /* saved: 4; set_mempolicy_home_node: node 0 */
};

static inline bool mempolicy_equal(const struct mempolicy *a, const struct mempolicy *b)
{
	return a->mode == b->mode && a->flags == b->flags && a->nodes == b->nodes && a->home == b->home;
}

/* Splits @arg of a system call into mode and flags. -EINVAL. */
_must_check_ int mempolicy_mode(uint32_t arg, struct mempolicy *ret);
/* Gives @p, which mempolicy_mode() began, its nodes. -EINVAL when they do not fit. */
_must_check_ int mempolicy_set_nodes(struct mempolicy *p, uint64_t nodes);
/* The nodes get_mempolicy(2) shows. */
uint64_t mempolicy_nodes(const struct mempolicy *p);
/* As in /proc/pid/numa_maps: "bind=static:0". */
void mempolicy_text(const struct mempolicy *p, struct strbuf *b);

/* For the records of their holders. */
struct Sentry__Mempolicy;
struct state_reader;
struct state_writer;
struct Sentry__Mempolicy *mempolicy_save(struct state_writer *w, const struct mempolicy *p); /* NULL for DEFAULT */
_must_check_ int mempolicy_load(struct state_reader *r, struct mempolicy *p, const struct Sentry__Mempolicy *m); /* NULL: DEFAULT */

/* [addr, +len) gets @p. -EFAULT when part of it is not mapped. */
_must_check_ int mm_mbind(struct mm *mm, uint64_t addr, uint64_t len, const struct mempolicy *p);
/* The policy of the mapping at @addr. -EFAULT. */
_must_check_ int mm_mempolicy_at(struct mm *mm, uint64_t addr, struct mempolicy *ret);
/* -EOPNOTSUPP for a policy that has no home, -ENOENT when there is none at all. */
_must_check_ int mm_set_home_node(struct mm *mm, uint64_t addr, uint64_t len);
/* The node the page at @addr is on. -EFAULT: not mapped, or anonymous and never touched; -ENOENT: its file page is not there. */
_must_check_ int mm_page_node(struct mm *mm, uint64_t addr);
/* Text of /proc/pid/numa_maps; @task: policy of the task. */
int mm_show_numa_maps(struct mm *mm, const struct mempolicy *task, struct strbuf *b);

#endif
