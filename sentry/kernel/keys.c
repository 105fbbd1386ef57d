/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and keyrings as objects. Contract in keys.h. */
#include "sentry/kernel/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/keys.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

#define MAX_DEPTH	6 /* rings in rings */
#define LINK_BYTES	4
#define MAX_LINKS	65536
#define MAX_DESC	4096
#define MAX_PAYLOAD	(1u << 20)
#define PERM_ALL	0x3f3f3f3fu
#define POS_ALL		0x3f000000u
#define USR_VIEW	0x00010000u
#define USR_READ	0x00020000u
#define PERM_USER_RING	0x1f3f0000u /* possessor all but setattr, user all */

struct mutex keys_mu = MUTEX_INIT("keys_mu");
static struct list all_keys = LIST_INIT(all_keys);
static struct key **user_rings;
static size_t nr_user_rings, cap_user_rings;

/* Quota of a user; never freed: there are as many as users that ever had keys. */
struct key_user {
	struct list node;
	uint32_t uid, keys, bytes;
};
static struct list users = LIST_INIT(users);

static const char *const type_names[KEY_TYPES] = { "keyring", "user", "logon", "big_key" };

const char *key_type_name(enum key_type t)
{
	return type_names[t];
}

int key_type_find(const char *name)
{
	for (int i = 0; i < KEY_TYPES; i++)
		if (!strcmp(name, type_names[i]))
			return i;
	return -1;
}

/* --- quota --- */

static struct key_user *user_of(uint32_t uid)
{
	struct key_user *u;

	list_for_each(u, &users, node)
		if (u->uid == uid)
			return u;
	u = calloc(1, sizeof(*u));
	if (u) {
		u->uid = uid;
		list_add_tail(&users, &u->node);
	}
	return u;
}

static uint32_t max_keys(uint32_t uid)
{
	return uid ? 200 : 1000000;
}

static uint32_t max_bytes(uint32_t uid)
{
	return uid ? 20000 : 25000000;
}

/* Counts @k for its owner, @more bytes than before. */
static int charge(struct key *k, int64_t more)
{
	struct key_user *u = user_of(k->uid);

	if (!u)
		return -ENOMEM;
	if ((!k->counted && u->keys + 1 > max_keys(u->uid)) || (more > 0 && u->bytes + more > max_bytes(u->uid)))
		return -EDQUOT;
	u->keys += !k->counted;
	u->bytes = (uint32_t)(u->bytes + more);
	k->quota = (uint32_t)(k->quota + more);
	k->counted = true;
	return 0;
}

static void uncharge(struct key *k)
{
	struct key_user *u = k->counted ? user_of(k->uid) : NULL;

	if (!u)
		return;
	u->keys--;
	u->bytes -= k->quota;
	k->counted = false;
	k->quota = 0;
}

/* --- references --- */

struct key *key_get(struct key *k)
{
	if (k)
		ref_get(&k->ref);
	return k;
}

static void free_key(struct key *k)
{
	uncharge(k);
	user_ns_put(k->user_ns);
	if (k->payload)
		explicit_bzero(k->payload, k->payload_len);
	free(k->payload);
	free(k->links);
	free(k->description);
	free(k);
}

void key_put_locked(struct key *k)
{
	struct list gone = LIST_INIT(gone);

	if (!k || !ref_put(&k->ref))
		return;
	list_del(&k->node);
	list_add(&gone, &k->node);
	while ((k = list_first(&gone, struct key, node))) {
		list_del(&k->node);
		for (size_t i = 0; i < k->nr_links; i++)
			if (ref_put(&k->links[i]->ref)) {
				list_del(&k->links[i]->node);
				list_add(&gone, &k->links[i]->node);
			}
		free_key(k);
	}
}

void key_put(struct key *k)
{
	if (!k)
		return;
	mutex_lock(&keys_mu);
	key_put_locked(k);
	mutex_unlock(&keys_mu);
}

static struct key *by_serial(int32_t serial)
{
	struct key *k;

	list_for_each(k, &all_keys, node)
		if (k->serial == serial)
			return k;
	return NULL;
}

static void *key_alloc(void)
{
	struct key *k = calloc(1, sizeof(*k));

	if (k) {
		ref_init(&k->ref);
		list_init(&k->node);
	}
	return k;
}

/* In the order of serials, in which /proc/keys shows them. */
static void insert(struct key *k)
{
	struct key *o;

	list_for_each(o, &all_keys, node)
		if (o->serial > k->serial) {
			list_add_tail(&o->node, &k->node);
			return;
		}
	list_add_tail(&all_keys, &k->node);
}

static int new_key(uint32_t uid, uint32_t gid, struct user_ns *ns, enum key_type type, const char *desc, uint32_t perm, const void *payload,
		   size_t len, struct key **ret)
{
	struct key *k = key_alloc();
	int r = -ENOMEM;

	if (!k)
		return r;
	k->type = type;
	k->uid = uid;
	k->gid = gid;
	k->perm = perm;
	k->user_ns = user_ns_get(ns);
	k->description = strdup(desc);
	k->payload = len ? malloc(len) : NULL;
	if (k->description && (k->payload || !len))
		r = charge(k, (int64_t)(strlen(desc) + 1 + len));
	if (r < 0) {
		free_key(k);
		return r;
	}
	if (len)
		memcpy(k->payload, payload, len);
	k->payload_len = len;
	do {
		kernel_random(&k->serial, sizeof(k->serial));
		k->serial &= INT32_MAX;
	} while (k->serial < 3 || by_serial(k->serial));
	insert(k);
	*ret = k;
	return 0;
}

int key_new_locked(struct task *t, enum key_type type, const char *desc, uint32_t perm, const void *payload, size_t len, struct key **ret)
{
	return new_key(t->cred->fsuid, t->cred->fsgid, t->cred->user_ns, type, desc, perm, payload, len, ret);
}

int key_update_locked(struct key *k, const void *payload, size_t len)
{
	uint8_t *v = malloc(len);
	int r = v ? charge(k, (int64_t)len - (int64_t)k->payload_len) : -ENOMEM;

	if (r < 0) {
		free(v);
		return r;
	}
	memcpy(v, payload, len);
	if (k->payload)
		explicit_bzero(k->payload, k->payload_len);
	free(k->payload);
	k->payload = v;
	k->payload_len = len;
	k->expiry = 0;
	return 0;
}

int key_chown_locked(struct key *k, uint32_t uid, uint32_t gid)
{
	if (uid != NO_ID && uid != k->uid) {
		struct key_user *u = user_of(uid);
		uint32_t bytes = k->quota;

		if (!u)
			return -ENOMEM;
		if (u->keys + 1 > max_keys(uid) || u->bytes + bytes > max_bytes(uid))
			return -EDQUOT;
		uncharge(k);
		k->uid = uid;
		(void)charge(k, bytes);
	}
	if (gid != NO_ID)
		k->gid = gid;
	return 0;
}

int key_validate_locked(const struct key *k)
{
	if (k->invalidated)
		return -ENOKEY;
	if (k->revoked)
		return -EKEYREVOKED;
	return k->expiry && ktime_real() / NSEC_PER_SEC >= k->expiry ? -EKEYEXPIRED : 0;
}

/* --- permissions --- */

int key_permission_locked(struct task *t, const struct key *k, bool possessed, uint32_t need)
{
	const struct cred *c = t->cred;
	uint32_t perm;

	if (k->uid == c->fsuid)
		perm = k->perm >> 16;
	else if (k->gid != NO_ID && (k->perm & 0x3f00) && cred_in_group(c, k->gid))
		perm = k->perm >> 8;
	else
		perm = k->perm;
	if (possessed)
		perm |= k->perm >> 24;
	return need & ~perm ? -EACCES : 0;
}

/* --- rings --- */

static bool same_name(const struct key *k, enum key_type type, const char *desc)
{
	return k->type == type && !strcmp(k->description, desc);
}

struct key *keyring_find_locked(const struct key *ring, enum key_type type, const char *desc)
{
	for (size_t i = 0; i < ring->nr_links; i++)
		if (same_name(ring->links[i], type, desc) && !ring->links[i]->invalidated)
			return ring->links[i];
	return NULL;
}

static uint32_t walk; /* number of the latest walk over rings */

/* Rings below @k, itself included, or more than MAX_DEPTH; *@ret_found when @find is one of them. Begin with a new walk. */
static unsigned depth_of(struct key *k, const struct key *find, bool *ret_found, unsigned level)
{
	unsigned max = 0;

	if (k == find)
		*ret_found = true;
	if (level > MAX_DEPTH)
		return MAX_DEPTH + 1;
	if (k->visit == walk)
		return k->depth;
	k->visit = walk;
	k->depth = MAX_DEPTH + 1; /* what a circle comes back to */
	for (size_t i = 0; i < k->nr_links; i++)
		if (k->links[i]->type == KEY_KEYRING) {
			unsigned d = depth_of(k->links[i], find, ret_found, level + 1);

			max = MAX(max, d);
		}
	k->depth = max + 1;
	return k->depth;
}

int keyring_link_locked(struct key *ring, struct key *k)
{
	bool found = false;
	int r;

	if (ring->type != KEY_KEYRING)
		return -ENOTDIR;
	if (ring->restricted)
		return -EPERM;
	if (k->type == KEY_KEYRING) {
		unsigned d;

		walk++;
		d = depth_of(k, ring, &found, 0);
		if (found)
			return -EDEADLK;
		if (d > MAX_DEPTH)
			return -ELOOP;
	}
	for (size_t i = 0; i < ring->nr_links; i++)
		if (same_name(ring->links[i], k->type, k->description)) {
			struct key *old = ring->links[i];

			ring->links[i] = key_get(k);
			key_put_locked(old);
			return 0;
		}
	if (ring->nr_links == MAX_LINKS)
		return -ENFILE;
	if (ring->nr_links == ring->cap_links) {
		size_t cap = ring->cap_links ? 2 * ring->cap_links : 8;
		struct key **v = reallocarray(ring->links, cap, sizeof(struct key *));

		if (!v)
			return -ENOMEM;
		ring->links = v;
		ring->cap_links = cap;
	}
	r = charge(ring, LINK_BYTES);
	if (r < 0)
		return r;
	ring->links[ring->nr_links++] = key_get(k);
	return 0;
}

int keyring_unlink_locked(struct key *ring, const struct key *k)
{
	for (size_t i = 0; i < ring->nr_links; i++)
		if (ring->links[i] == k) {
			struct key *old = ring->links[i];

			ring->nr_links--;
			memmove(&ring->links[i], &ring->links[i + 1], (ring->nr_links - i) * sizeof(struct key *));
			(void)charge(ring, -LINK_BYTES);
			key_put_locked(old);
			return 0;
		}
	return -ENOENT;
}

void keyring_clear_locked(struct key *ring)
{
	while (ring->nr_links)
		(void)keyring_unlink_locked(ring, ring->links[ring->nr_links - 1]);
}

void key_forget_locked(struct key *k)
{
	struct key *o;

	(void)key_get(k);
	list_for_each(o, &all_keys, node)
		(void)keyring_unlink_locked(o, k);
	key_put_locked(k);
}

/* The more telling of two failures of a search. */
static int worse(int a, int b)
{
	return a == -ENOKEY ? b : a;
}

static int search(struct task *t, struct key *ring, bool possessed, enum key_type type, const char *desc, const struct key *exact, unsigned level,
		  struct key **ret)
{
	int err = -ENOKEY;

	for (size_t i = 0; i < ring->nr_links; i++) {
		struct key *k = ring->links[i];
		int r;

		if (exact ? k != exact : !same_name(k, type, desc))
			continue;
		r = exact ? 0 : key_validate_locked(k);
		if (r == 0)
			r = key_permission_locked(t, k, possessed, KEY_SEARCH);
		if (r == 0) {
			*ret = k;
			return 0;
		}
		err = worse(err, r);
	}
	for (size_t i = 0; level < MAX_DEPTH && i < ring->nr_links; i++) {
		struct key *k = ring->links[i];
		int r;

		if (k->type != KEY_KEYRING || key_validate_locked(k) < 0 || key_permission_locked(t, k, possessed, KEY_SEARCH) < 0)
			continue;
		if (k->visit == walk)
			continue;
		k->visit = walk;
		r = search(t, k, possessed, type, desc, exact, level + 1, ret);
		if (r == 0)
			return 0;
		err = worse(err, r);
	}
	return err;
}

int keyring_search_locked(struct task *t, struct key *ring, bool possessed, enum key_type type, const char *desc, struct key **ret)
{
	int r = key_permission_locked(t, ring, possessed, KEY_SEARCH);

	if (r < 0)
		return r;
	/* The ring itself may be what is looked for. */
	if (same_name(ring, type, desc)) {
		*ret = ring;
		return 0;
	}
	walk++;
	return search(t, ring, possessed, type, desc, NULL, 0, ret);
}

/* --- the rings of tasks --- */

static struct key *user_ring(const char *prefix, uint32_t uid, const struct user_ns *ns)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s.%u", prefix, uid);
	for (size_t i = 0; i < nr_user_rings; i++)
		if (user_rings[i]->uid == uid && user_rings[i]->user_ns == ns && !strcmp(user_rings[i]->description, name))
			return user_rings[i];
	return NULL;
}

int keys_add_user_ring(struct key *k)
{
	if (nr_user_rings == cap_user_rings) {
		size_t cap = cap_user_rings ? 2 * cap_user_rings : 8;
		struct key **v = reallocarray(user_rings, cap, sizeof(struct key *));

		if (!v)
			return -ENOMEM;
		user_rings = v;
		cap_user_rings = cap;
	}
	user_rings[nr_user_rings++] = k;
	return 0;
}

struct key *keys_user_ring(size_t n)
{
	return n < nr_user_rings ? user_rings[n] : NULL;
}

static int make_user_ring(struct task *t, const char *prefix, struct key **ret)
{
	uint32_t uid = t->cred->uid;
	char name[32];
	int r;

	*ret = user_ring(prefix, uid, t->cred->user_ns);
	if (*ret)
		return 0;
	(void)snprintf(name, sizeof(name), "%s.%u", prefix, uid);
	r = new_key(uid, NO_ID, t->cred->user_ns, KEY_KEYRING, name, PERM_USER_RING, NULL, 0, ret);
	if (r == 0)
		r = keys_add_user_ring(*ret);
	return r;
}

/* Both rings of a user: the session ring holds the other one. */
static int user_rings_of(struct task *t, struct key **ret_user, struct key **ret_session)
{
	int r = make_user_ring(t, "_uid", ret_user);

	if (r == 0)
		r = make_user_ring(t, "_uid_ses", ret_session);
	if (r == 0 && !keyring_find_locked(*ret_session, KEY_KEYRING, (*ret_user)->description))
		r = keyring_link_locked(*ret_session, *ret_user);
	return r;
}

void keys_set_session_locked(struct task *t, struct key *ring)
{
	struct key *old = t->session_keyring;

	t->session_keyring = key_get(ring);
	key_put_locked(old);
}

static int own_ring(struct task *t, struct key **slot, const char *name, bool create, struct key **ret)
{
	int r = 0;

	if (!*slot)
		r = create ? key_new_locked(t, KEY_KEYRING, name, POS_ALL | USR_VIEW, NULL, 0, slot) : -ENOKEY;
	if (r == 0)
		*ret = *slot;
	return r;
}

static int session_ring(struct task *t, bool create, struct key **ret)
{
	struct key *user, *ses;
	int r;

	if (!t->session_keyring) {
		r = user_rings_of(t, &user, &ses);
		if (r < 0)
			return r;
		if (create) {
			struct key *n;

			r = key_new_locked(t, KEY_KEYRING, "_ses", POS_ALL | USR_VIEW | USR_READ, NULL, 0, &n);
			if (r < 0)
				return r;
			t->session_keyring = n;
		} else {
			keys_set_session_locked(t, ses);
		}
	}
	*ret = t->session_keyring;
	return 0;
}

/* The rings in which a task looks for keys; the session's is the user's where there is none. */
static size_t own_rings(struct task *t, struct key *v[3])
{
	struct key *ses = t->session_keyring ? t->session_keyring : user_ring("_uid_ses", t->cred->uid, t->cred->user_ns);
	size_t n = 0;

	if (t->thread_keyring)
		v[n++] = t->thread_keyring;
	if (t->tg->process_keyring)
		v[n++] = t->tg->process_keyring;
	if (ses)
		v[n++] = ses;
	return n;
}

bool key_possessed_locked(struct task *t, const struct key *k)
{
	struct key *v[3], *found;
	size_t n = own_rings(t, v);

	walk++;
	for (size_t i = 0; i < n; i++)
		if (v[i] == k || (key_permission_locked(t, v[i], true, KEY_SEARCH) == 0 && search(t, v[i], true, 0, NULL, k, 0, &found) == 0))
			return true;
	return false;
}

int keys_search_own_locked(struct task *t, enum key_type type, const char *desc, struct key **ret)
{
	struct key *v[3];
	size_t n = own_rings(t, v);
	int err = -ENOKEY;

	for (size_t i = 0; i < n; i++) {
		int r = keyring_search_locked(t, v[i], true, type, desc, ret);

		if (r == 0)
			return 0;
		err = worse(err, r);
	}
	return err;
}

static int special(struct task *t, int32_t id, bool create, struct key **ret)
{
	struct key *user, *ses;
	int r;

	switch (id) {
	case -1:
		return own_ring(t, &t->thread_keyring, "_tid", create, ret);
	case -2:
		return own_ring(t, &t->tg->process_keyring, "_pid", create, ret);
	case -3:
		return session_ring(t, create, ret);
	case -4:
	case -5:
		r = user_rings_of(t, &user, &ses);
		if (r == 0)
			*ret = id == -4 ? user : ses;
		return r;
	case -7: /* only while a key is being made for somebody */
	case -8:
		return -ENOKEY;
	default:
		return -EINVAL;
	}
}

int key_lookup_locked(struct task *t, int32_t id, bool create, bool partial, uint32_t need, struct key **ret, bool *ret_possessed)
{
	bool possessed = true;
	struct key *k = NULL;
	int r;

	if (id <= 0) {
		r = special(t, id, create, &k);
		if (r < 0)
			return r;
	} else {
		k = by_serial(id);
		if (!k || k->invalidated)
			return -ENOKEY;
		possessed = key_possessed_locked(t, k);
	}
	r = partial ? 0 : key_validate_locked(k);
	if (r == 0 && need)
		r = key_permission_locked(t, k, possessed, need);
	if (r < 0)
		return r;
	*ret = k;
	if (ret_possessed)
		*ret_possessed = possessed;
	return 0;
}

struct key *keyring_by_name_locked(struct task *t, const char *name)
{
	struct key *k;

	list_for_each(k, &all_keys, node)
		if (same_name(k, KEY_KEYRING, name) && k->user_ns == t->cred->user_ns && key_validate_locked(k) == 0 &&
		    key_permission_locked(t, k, false, KEY_SEARCH) == 0)
			return k;
	return NULL;
}

/* --- life of tasks --- */

void keys_inherit(struct task *t, struct task *c)
{
	mutex_lock(&keys_mu);
	c->session_keyring = key_get(t->session_keyring);
	mutex_unlock(&keys_mu);
	c->reqkey_keyring = t->reqkey_keyring;
}

static void drop(struct key **slot)
{
	struct key *k = *slot;

	*slot = NULL;
	key_put_locked(k);
}

void keys_exec(struct task *t)
{
	mutex_lock(&keys_mu);
	drop(&t->thread_keyring);
	drop(&t->tg->process_keyring);
	mutex_unlock(&keys_mu);
	t->reqkey_keyring = 0;
}

void keys_exit(struct task *t)
{
	mutex_lock(&keys_mu);
	drop(&t->thread_keyring);
	drop(&t->session_keyring);
	mutex_unlock(&keys_mu);
}

void keys_begin_session(struct task *t, const char *name)
{
	struct key *k = NULL;

	mutex_lock(&keys_mu);
	if (key_new_locked(t, KEY_KEYRING, name, POS_ALL | 0x001b0000u /* user: view, read, search, link */, NULL, 0, &k) == 0) {
		keys_set_session_locked(t, k);
		key_put_locked(k);
	}
	mutex_unlock(&keys_mu);
}

/* --- /proc --- */

static void show_expiry(const struct key *k, char *buf, size_t n)
{
	int64_t left = k->expiry - ktime_real() / NSEC_PER_SEC;

	if (!k->expiry)
		(void)snprintf(buf, n, "perm");
	else if (left <= 0)
		(void)snprintf(buf, n, "expd");
	else if (left < 60)
		(void)snprintf(buf, n, "%lds", (long)left);
	else if (left < 3600)
		(void)snprintf(buf, n, "%ldm", (long)left / 60);
	else if (left < 86400)
		(void)snprintf(buf, n, "%ldh", (long)left / 3600);
	else if (left < 604800)
		(void)snprintf(buf, n, "%ldd", (long)left / 86400);
	else
		(void)snprintf(buf, n, "%ldw", (long)left / 604800);
}

void keys_show(struct task *t, struct strbuf *b)
{
	struct key *k;
	char when[24];

	mutex_guard(&keys_mu);
	list_for_each(k, &all_keys, node) {
		if (key_permission_locked(t, k, key_possessed_locked(t, k), KEY_VIEW) < 0)
			continue;
		show_expiry(k, when, sizeof(when));
		strbuf_addf(b, "%08x I%c-%c--%c %5d %4s %08x %5d %5d %-9.9s %s", k->serial, k->revoked ? 'R' : '-', k->counted ? 'Q' : '-',
			    k->invalidated ? 'i' : '-', (int)ref_count(&k->ref), when, k->perm, (int)task_id_show(t, ID_UID, k->uid),
			    k->gid == NO_ID ? (int)OVERFLOW_ID : (int)task_id_show(t, ID_GID, k->gid), key_type_name(k->type), k->description);
		if (k->type != KEY_KEYRING)
			strbuf_addf(b, ": %zu\n", k->payload_len);
		else if (k->nr_links)
			strbuf_addf(b, ": %zu\n", k->nr_links);
		else
			strbuf_adds(b, ": empty\n");
	}
}

void keys_show_users(struct task *t, struct strbuf *b)
{
	struct key_user *u;

	mutex_guard(&keys_mu);
	list_for_each(u, &users, node)
		if (u->keys && user_ns_out(t->cred->user_ns, ID_UID, u->uid) != NO_ID)
			strbuf_addf(b, "%5u: %5d %u/%u %u/%u %u/%u\n", task_id_show(t, ID_UID, u->uid), (int)u->keys, u->keys, u->keys, u->keys,
				    max_keys(u->uid), u->bytes, max_bytes(u->uid));
}

/* --- state --- */

/* What cannot be seen while records are loaded one by one. */
int keys_restore(void)
{
	struct key *k;
	bool found = false;

	list_for_each(k, &all_keys, node) {
		uint32_t bytes = (uint32_t)(strlen(k->description) + 1 + k->payload_len + k->nr_links * LINK_BYTES);
		struct key_user *u = user_of(k->uid);

		if (!u)
			return -ENOMEM;
		walk++;
		if (k->type == KEY_KEYRING && depth_of(k, NULL, &found, 0) > MAX_DEPTH + 1)
			return -EINVAL;
		k->quota = bytes;
		k->counted = true;
		u->keys++;
		u->bytes += bytes;
	}
	return 0;
}

static int key_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct key *k = obj;
	Sentry__Key *m = msg;

	m->serial = k->serial;
	m->type = k->type;
	m->description = state_strdup(w, k->description);
	m->uid = k->uid;
	m->gid = k->gid;
	m->perm = k->perm;
	m->revoked = k->revoked;
	m->invalidated = k->invalidated;
	m->expiry = k->expiry;
	m->payload.len = k->payload_len;
	m->payload.data = state_zalloc(w, 1, k->payload_len);
	if (k->payload_len)
		memcpy(m->payload.data, k->payload, k->payload_len);
	m->n_links = k->nr_links;
	m->links = state_zalloc(w, k->nr_links, sizeof(*m->links));
	for (size_t i = 0; i < k->nr_links; i++)
		m->links[i] = state_ref(w, &key_state_type, k->links[i]);
	m->restricted = k->restricted;
	m->user_ns = state_ref(w, &user_ns_state_type, k->user_ns);
	return 0;
}

static int load_links(struct state_reader *r, struct key *k, const Sentry__Key *m)
{
	int e = 0;

	k->links = calloc(m->n_links ? m->n_links : 1, sizeof(struct key *));
	if (!k->links)
		return -ENOMEM;
	k->cap_links = m->n_links ? m->n_links : 1;
	for (size_t i = 0; i < m->n_links && e == 0; i++) {
		void *o = NULL;

		e = state_deref(r, m->links[i], &key_state_type, &o);
		if (e == 0)
			e = state_check(r, o != NULL, "a keyring with an empty link");
		if (o)
			k->links[k->nr_links++] = o;
	}
	return e;
}

static int key_load(struct state_reader *r, void *obj, const void *msg)
{
	struct key *k = obj;
	const Sentry__Key *m = msg;
	int e = state_check(r, m->type < KEY_TYPES && m->serial > 2 && !(m->perm & ~PERM_ALL) && m->payload.len <= MAX_PAYLOAD &&
				       strlen(m->description) < MAX_DESC && m->n_links <= MAX_LINKS && (m->type == KEY_KEYRING || !m->n_links),
			    "malformed key");

	if (e < 0)
		return e;
	k->serial = m->serial;
	k->type = m->type;
	k->uid = m->uid;
	k->gid = m->gid;
	k->perm = m->perm;
	k->revoked = m->revoked;
	k->invalidated = m->invalidated;
	k->expiry = m->expiry;
	k->restricted = m->restricted;
	k->description = strdup(m->description);
	k->payload = m->payload.len ? malloc(m->payload.len) : NULL;
	if (!k->description || (m->payload.len && !k->payload))
		return -ENOMEM;
	if (m->payload.len)
		memcpy(k->payload, m->payload.data, m->payload.len);
	k->payload_len = m->payload.len;
	e = load_links(r, k, m);
	return e < 0 ? e : state_deref(r, m->user_ns, &user_ns_state_type, (void **)&k->user_ns);
}

static int key_after_load(struct state_reader *r, void *obj)
{
	struct key *k = obj;
	int e = state_check(r, !by_serial(k->serial), "two keys with one serial number");

	if (e == 0)
		insert(k);
	return e;
}

static void key_get_state(void *obj)
{
	(void)key_get(obj);
}

static void key_put_state(void *obj)
{
	key_put(obj);
}

const struct state_type key_state_type = {
	.id = STATE_ID_key,
	.name = "key",
	.desc = &sentry__key__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = key_alloc,
	.save = key_save,
	.load = key_load,
	.after_load = key_after_load,
	.get = key_get_state,
	.put = key_put_state,
};
