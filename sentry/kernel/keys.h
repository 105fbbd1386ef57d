/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and keyrings (keyctl(2)): named secrets in rings that belong to threads, processes, sessions and users.
 *
 * One lock for all: operations are short and copies to applications are made outside. A keyring holds references on its keys; rings make no
 * cycles. Who has a key in one of its own rings possesses it, which is what the upper byte of the permissions is about.
 *
 * Locks: keys_mu (leaf but for nothing). It guards every key, the rings of tasks and groups, the users' rings and the quota.
 * Checkpoint: keys are reached from tasks, groups and the users' rings (kernel record); quota and serial table are derived.
 * Not there: request_key's up-call (a key that is not found is ENOKEY), persistent keyrings, asymmetric operations, watches.
 * Linux: security/keys/.
 */
#ifndef SENTRY_KERNEL_KEYS_H
#define SENTRY_KERNEL_KEYS_H

#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/kernel/user_ns.h"

struct kernel;
struct strbuf;
struct task;

enum key_type { KEY_KEYRING, KEY_USER, KEY_LOGON, KEY_BIG, KEY_TYPES };

#define KEY_VIEW    0x01u
#define KEY_READ    0x02u
#define KEY_WRITE   0x04u
#define KEY_SEARCH  0x08u
#define KEY_LINK    0x10u
#define KEY_SETATTR 0x20u

struct key {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct list node; /* derived: all keys, by serial; then the list of those to be freed */
	int32_t serial; /* saved: 1 */
	enum key_type type; /* saved: 2 */
	char *description; /* saved: 3 */
	uint32_t uid, gid; /* saved: 4, 5 */
	uint32_t perm; /* saved: 6 */
	bool revoked, invalidated; /* saved: 7, 8 */
	int64_t expiry; /* saved: 9; realtime in seconds, 0 never */
	uint8_t *payload; /* saved: 10 */
	size_t payload_len; /* derived: of payload */
	struct key **links; /* saved: 11 */
	size_t nr_links, cap_links; /* derived: of links */
	bool restricted; /* saved: 12 */
	struct user_ns *user_ns; /* saved: 13; referenced, NULL the initial one */
	uint32_t quota; /* derived: bytes counted for the owner */
	bool counted; /* derived: in the owner's quota */
	uint32_t visit, depth; /* nosave: of the walk that is under way: it comes to each ring once */
};

extern struct mutex keys_mu;

const char *key_type_name(enum key_type t);
int key_type_find(const char *name); /* or -1 */

/* References outlive keys_mu: key_put() takes it. */
struct key *key_get(struct key *k); /* NULL is fine in both */
void key_put(struct key *k);
void key_put_locked(struct key *k);

/* A new key of @t's user and quota; @payload is copied. -EDQUOT, -ENOMEM. */
_must_check_ int key_new_locked(struct task *t, enum key_type type, const char *desc, uint32_t perm, const void *payload, size_t len,
				struct key **ret);
/* Replaces the content. -EDQUOT, -ENOMEM. */
_must_check_ int key_update_locked(struct key *k, const void *payload, size_t len);
_must_check_ int key_chown_locked(struct key *k, uint32_t uid, uint32_t gid); /* -EDQUOT */
/* 0, -EKEYREVOKED, -EKEYEXPIRED, -ENOKEY. */
int key_validate_locked(const struct key *k);
/* @need of KEY_*: 0 or -EACCES. */
int key_permission_locked(struct task *t, const struct key *k, bool possessed, uint32_t need);
bool key_possessed_locked(struct task *t, const struct key *k);
/* By id, special ones included (@create: makes rings that are not there yet); checks @need unless 0, and validity unless @partial. The reference is
 * borrowed: good until keys_mu is released. -ENOKEY, -EACCES, -EINVAL, ... */
_must_check_ int key_lookup_locked(struct task *t, int32_t id, bool create, bool partial, uint32_t need, struct key **ret, bool *ret_possessed);
/* Links @k into @ring in the place of one of the same type and name. -ENOTDIR, -EDEADLK, -ELOOP, -EPERM, -ENOMEM. */
_must_check_ int keyring_link_locked(struct key *ring, struct key *k);
int keyring_unlink_locked(struct key *ring, const struct key *k); /* -ENOENT */
void keyring_clear_locked(struct key *ring);
struct key *keyring_find_locked(const struct key *ring, enum key_type type, const char *desc); /* its own links only */
/* The key below @ring that @t may find: -ENOKEY, -EACCES, -EKEYREVOKED, -EKEYEXPIRED. */
_must_check_ int keyring_search_locked(struct task *t, struct key *ring, bool possessed, enum key_type type, const char *desc, struct key **ret);
/* The same in the rings of @t. */
_must_check_ int keys_search_own_locked(struct task *t, enum key_type type, const char *desc, struct key **ret);
/* A named ring of @t's user namespace that it may join: or NULL. */
struct key *keyring_by_name_locked(struct task *t, const char *name);
/* Makes @ring the session keyring of @t. */
void keys_set_session_locked(struct task *t, struct key *ring);
/* Invalidated: leaves every ring. */
void key_forget_locked(struct key *k);

/* Life of tasks. */
void keys_inherit(struct task *t, struct task *c);
void keys_exec(struct task *t);
void keys_exit(struct task *t);
/* A container's first process gets a session keyring of its own, as runc gives it. */
void keys_begin_session(struct task *t, const char *name);

void keys_show(struct task *t, struct strbuf *b); /* /proc/keys */
void keys_show_users(struct task *t, struct strbuf *b); /* /proc/key-users */

/* The users' rings, for the kernel's record: the n-th, or NULL; and while loading. */
struct key *keys_user_ring(size_t n);
_must_check_ int keys_add_user_ring(struct key *k); /* consumes the reference */
/* After loading: depth, serials, quota. -EINVAL. */
int keys_restore(void);

#endif
