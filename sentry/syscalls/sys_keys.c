/* SPDX-License-Identifier: Apache-2.0 */
/* add_key, request_key, keyctl: arguments and their rules. The objects are in sentry/kernel/keys.h. Linux: security/keys/keyctl.c. */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define TYPE_MAX     32
#define DESC_MAX     4096
#define PAYLOAD_MAX  ((1u << 20) - 1)
#define USER_MAX     32767u
#define PERM_ALL     0x3f3f3f3fu

static int copy_type(struct task *t, gaddr_t addr, char *buf)
{
	int64_t n = mm_copy_in_str(t->mm, buf, addr, TYPE_MAX);

	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : (int)n;
	return !*buf ? -EINVAL : *buf == '.' ? -EPERM : 0;
}

static int copy_desc(struct task *t, gaddr_t addr, char **ret)
{
	int r = copy_in_string(t, addr, DESC_MAX - 1, ret);

	return r == -ENAMETOOLONG ? -EINVAL : r;
}

/* Is @len of content right for a key of that type and name? */
static int check_payload(enum key_type type, const char *desc, size_t len)
{
	const char *colon;

	switch (type) {
	case KEY_KEYRING:
		return len ? -EINVAL : 0;
	case KEY_LOGON:
		colon = desc ? strchr(desc, ':') : NULL;
		if (desc && (!colon || colon == desc))
			return -EINVAL;
		return len && len <= USER_MAX ? 0 : -EINVAL;
	case KEY_USER:
		return len && len <= USER_MAX ? 0 : -EINVAL;
	default:
		return len && len <= PAYLOAD_MAX ? 0 : -EINVAL;
	}
}

/* What a key's maker gets: the possessor everything the type can do, the user a look. */
static uint32_t default_perm(enum key_type type)
{
	uint32_t pos = KEY_VIEW | KEY_SEARCH | KEY_LINK | KEY_SETATTR | KEY_WRITE;

	return (type == KEY_LOGON ? pos : pos | KEY_READ) << 24 | KEY_VIEW << 16;
}

static int copy_payload(struct task *t, gaddr_t addr, size_t len, void **ret)
{
	*ret = NULL;
	if (!len)
		return 0;
	*ret = malloc(len);
	if (!*ret)
		return -ENOMEM;
	return copy_in(t, *ret, addr, len);
}

static int64_t add_locked(struct task *t, int32_t ring_id, enum key_type type, const char *desc, const void *payload, size_t len)
{
	struct key *ring, *k;
	bool possessed;
	int r = key_lookup_locked(t, ring_id, true, false, KEY_WRITE, &ring, &possessed);

	if (r < 0)
		return r;
	if (ring->type != KEY_KEYRING)
		return -ENOTDIR;
	r = check_payload(type, desc, len);
	if (r < 0)
		return r;
	k = type == KEY_KEYRING ? NULL : keyring_find_locked(ring, type, desc);
	if (k && key_validate_locked(k) == 0) {
		r = key_permission_locked(t, k, possessed, KEY_WRITE);
		if (r == 0)
			r = key_update_locked(k, payload, len);
		return r < 0 ? r : k->serial;
	}
	r = key_new_locked(t, type, desc, default_perm(type), payload, len, &k);
	if (r < 0)
		return r;
	r = keyring_link_locked(ring, k);
	if (r == 0)
		r = k->serial;
	key_put_locked(k);
	return r;
}

int64_t sys_add_key(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ void *payload = NULL;
	_cleanup_free_ char *desc = NULL;
	char type[TYPE_MAX];
	size_t len = a->a[3];
	int kind;
	int64_t r;

	if (len > PAYLOAD_MAX)
		return -EINVAL;
	r = copy_type(t, ARG_ADDR(a, 0), type);
	if (r == 0 && a->a[1]) {
		r = copy_desc(t, ARG_ADDR(a, 1), &desc);
		if (r == 0 && desc[0] == '.' && !strncmp(type, "keyring", 7))
			r = -EPERM;
	}
	if (r == 0)
		r = copy_payload(t, ARG_ADDR(a, 2), len, &payload);
	if (r < 0)
		return r;
	kind = key_type_find(type);
	mutex_lock(&keys_mu);
	if (kind < 0 || !desc || !*desc) {
		struct key *ring;

		/* The ring is looked at first. */
		r = key_lookup_locked(t, ARG_INT(a, 4), true, false, KEY_WRITE, &ring, NULL);
		if (r == 0)
			r = kind < 0 ? -ENODEV : -EINVAL;
	} else {
		r = add_locked(t, ARG_INT(a, 4), (enum key_type)kind, desc, payload, len);
	}
	mutex_unlock(&keys_mu);
	if (payload)
		explicit_bzero(payload, len);
	return r;
}

/* A key that was found is linked where the caller wants it. */
static int64_t found(struct task *t, struct key *k, struct key *dest)
{
	int r = dest ? key_permission_locked(t, k, key_possessed_locked(t, k), KEY_LINK) : 0;

	if (r == 0 && dest)
		r = keyring_link_locked(dest, k);
	return r < 0 ? r : k->serial;
}

int64_t sys_request_key(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ char *desc = NULL, *callout = NULL;
	struct key *k, *dest = NULL;
	char type[TYPE_MAX];
	int kind;
	int64_t r = copy_type(t, ARG_ADDR(a, 0), type);

	if (r == 0)
		r = copy_desc(t, ARG_ADDR(a, 1), &desc);
	if (r == 0 && a->a[2])
		r = copy_in_string(t, ARG_ADDR(a, 2), PAGE_SIZE - 1, &callout);
	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	kind = key_type_find(type);
	mutex_lock(&keys_mu);
	if (ARG_INT(a, 3))
		r = key_lookup_locked(t, ARG_INT(a, 3), true, false, KEY_WRITE, &dest, NULL);
	if (r == 0 && kind < 0)
		r = -ENOKEY;
	if (r == 0)
		r = keys_search_own_locked(t, (enum key_type)kind, desc, &k);
	/* Nobody outside is asked to make it: an up-call that fails is ENOKEY, too. */
	if (r == 0)
		r = found(t, k, dest);
	mutex_unlock(&keys_mu);
	return r;
}

/* --- keyctl --- */

static int64_t op_get_id(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r = key_lookup_locked(t, ARG_INT(a, 1), a->a[2] != 0, false, KEY_SEARCH, &k, NULL);

	return r < 0 ? r : k->serial;
}

static int64_t join_session(struct task *t, gaddr_t addr)
{
	_cleanup_free_ char *name = NULL;
	struct key *k;
	int r = addr.v ? copy_desc(t, addr, &name) : 0;

	if (r < 0)
		return r;
	if (name && name[0] == '.')
		return -EPERM;
	mutex_guard(&keys_mu);
	k = name ? key_get(keyring_by_name_locked(t, name)) : NULL;
	/* Possessor all; user: view and read, of a named one link. */
	if (!k)
		r = key_new_locked(t, KEY_KEYRING, name ? name : "_ses", name ? 0x3f130000 : 0x3f030000, NULL, 0, &k);
	if (r < 0)
		return r;
	keys_set_session_locked(t, k);
	r = k->serial;
	key_put_locked(k);
	return r;
}

static int64_t op_update(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ void *payload = NULL;
	size_t len = a->a[3];
	struct key *k;
	int r;

	if (len > PAGE_SIZE)
		return -EINVAL;
	r = copy_payload(t, ARG_ADDR(a, 2), len, &payload);
	if (r < 0)
		return r;
	mutex_guard(&keys_mu);
	r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_WRITE, &k, NULL);
	if (r == 0)
		r = k->type == KEY_KEYRING ? -EOPNOTSUPP : check_payload(k->type, NULL, len);
	return r < 0 ? r : key_update_locked(k, payload, len);
}

static int64_t op_revoke(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_WRITE, &k, NULL);

	if (r == -EACCES)
		r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_SETATTR, &k, NULL);
	if (r < 0)
		return r;
	k->revoked = true;
	if (k->type == KEY_KEYRING)
		keyring_clear_locked(k);
	return 0;
}

static int64_t op_chown(struct task *t, const struct sys_args *a)
{
	uint32_t uid = task_id_in(t, ID_UID, ARG_U32(a, 2)), gid = task_id_in(t, ID_GID, ARG_U32(a, 3));
	bool admin = task_capable(t, LINUX_CAP_SYS_ADMIN);
	struct key *k;
	int r;

	if ((uid == NO_ID && ARG_U32(a, 2) != NO_ID) || (gid == NO_ID && ARG_U32(a, 3) != NO_ID))
		return -EINVAL;
	if (uid == NO_ID && gid == NO_ID)
		return 0;
	r = key_lookup_locked(t, ARG_INT(a, 1), true, true, KEY_SETATTR, &k, NULL);
	if (r < 0)
		return r;
	if (!admin && ((uid != NO_ID && uid != k->uid) || (gid != NO_ID && gid != k->gid && !cred_in_group(t->cred, gid))))
		return -EACCES;
	return key_chown_locked(k, uid, gid);
}

static int64_t op_setperm(struct task *t, const struct sys_args *a)
{
	uint32_t perm = ARG_U32(a, 2);
	struct key *k;
	int r;

	if (perm & ~PERM_ALL)
		return -EINVAL;
	r = key_lookup_locked(t, ARG_INT(a, 1), true, true, KEY_SETATTR, &k, NULL);
	if (r < 0)
		return r;
	if (k->uid != t->cred->fsuid && !task_capable(t, LINUX_CAP_SYS_ADMIN))
		return -EACCES;
	k->perm = perm;
	return 0;
}

/* @n bytes for an application's buffer of @size: all or nothing, and always how many there are. */
static int64_t give(struct task *t, gaddr_t addr, uint64_t size, const void *p, size_t n)
{
	if (addr.v && size >= n && copy_out(t, addr, p, n) < 0)
		return -EFAULT;
	return (int64_t)n;
}

static int64_t op_describe(struct task *t, const struct sys_args *a)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct key *k;
	int r;

	mutex_lock(&keys_mu);
	r = key_lookup_locked(t, ARG_INT(a, 1), false, true, KEY_VIEW, &k, NULL);
	if (r == 0)
		strbuf_addf(&b, "%s;%d;%d;%08x;%s", key_type_name(k->type), (int)task_id_show(t, ID_UID, k->uid),
			    k->gid == NO_ID ? (int)OVERFLOW_ID : (int)task_id_show(t, ID_GID, k->gid), k->perm, k->description);
	mutex_unlock(&keys_mu);
	if (r < 0 || strbuf_error(&b) < 0)
		return r < 0 ? r : -ENOMEM;
	return give(t, ARG_ADDR(a, 2), a->a[3], b.data, b.len + 1);
}

static int64_t op_clear(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r = key_lookup_locked(t, ARG_INT(a, 1), true, false, KEY_WRITE, &k, NULL);

	if (r == 0 && k->type != KEY_KEYRING)
		r = -ENOTDIR;
	if (r == 0)
		keyring_clear_locked(k);
	return r;
}

static int64_t op_link(struct task *t, const struct sys_args *a)
{
	struct key *ring, *k;
	int r = key_lookup_locked(t, ARG_INT(a, 2), true, false, KEY_WRITE, &ring, NULL);

	if (r == 0)
		r = key_lookup_locked(t, ARG_INT(a, 1), true, false, KEY_LINK, &k, NULL);
	return r < 0 ? r : keyring_link_locked(ring, k);
}

static int64_t op_unlink(struct task *t, const struct sys_args *a)
{
	struct key *ring, *k;
	int r = key_lookup_locked(t, ARG_INT(a, 2), false, false, KEY_WRITE, &ring, NULL);

	if (r == 0)
		r = key_lookup_locked(t, ARG_INT(a, 1), false, true, 0, &k, NULL);
	if (r == 0 && ring->type != KEY_KEYRING)
		r = -ENOTDIR;
	return r < 0 ? r : keyring_unlink_locked(ring, k);
}

static int64_t op_move(struct task *t, const struct sys_args *a)
{
	struct key *k, *from, *to, *old;
	int r;

	if (ARG_U32(a, 4) & ~1u) /* KEYCTL_MOVE_EXCL */
		return -EINVAL;
	r = key_lookup_locked(t, ARG_INT(a, 1), true, false, KEY_LINK, &k, NULL);
	if (r == 0)
		r = key_lookup_locked(t, ARG_INT(a, 2), false, false, KEY_WRITE, &from, NULL);
	if (r == 0)
		r = key_lookup_locked(t, ARG_INT(a, 3), true, false, KEY_WRITE, &to, NULL);
	if (r == 0 && (from->type != KEY_KEYRING || to->type != KEY_KEYRING))
		r = -ENOTDIR;
	if (r < 0 || from == to)
		return r;
	old = keyring_find_locked(to, k->type, k->description);
	if (old && (ARG_U32(a, 4) & 1))
		return -EEXIST;
	(void)key_get(k);
	r = keyring_unlink_locked(from, k);
	if (r == 0) {
		r = keyring_link_locked(to, k);
		if (r < 0)
			r = keyring_link_locked(from, k) < 0 ? -ENOMEM : r;
	}
	key_put_locked(k);
	return r;
}

static int64_t do_search(struct task *t, const struct sys_args *a)
{
	struct key *ring, *dest = NULL, *k;
	_cleanup_free_ char *desc = NULL;
	char type[TYPE_MAX];
	bool possessed;
	int kind, r = copy_type(t, ARG_ADDR(a, 2), type);

	if (r == 0)
		r = copy_desc(t, ARG_ADDR(a, 3), &desc);
	if (r < 0)
		return r;
	kind = key_type_find(type);
	mutex_guard(&keys_mu);
	r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_SEARCH, &ring, &possessed);
	if (r == 0 && ARG_INT(a, 4))
		r = key_lookup_locked(t, ARG_INT(a, 4), true, false, KEY_WRITE, &dest, NULL);
	if (r == 0 && kind < 0)
		r = -ENOKEY;
	if (r == 0 && ring->type != KEY_KEYRING)
		r = -ENOTDIR;
	if (r == 0)
		r = keyring_search_locked(t, ring, possessed, (enum key_type)kind, desc, &k);
	return r < 0 ? r : found(t, k, dest);
}

/* A copy of what reading @k gives, since the application's buffer is not to be touched under the lock. */
static int64_t content_locked(struct task *t, int32_t id, void **ret)
{
	bool possessed;
	struct key *k;
	size_t n;
	int r = key_lookup_locked(t, id, false, false, 0, &k, &possessed);

	if (r < 0)
		return r == -ENOKEY ? -ENOKEY : r;
	/* Who can find it in one's own rings may read it. */
	if (key_permission_locked(t, k, possessed, KEY_READ) < 0 && !possessed)
		return -EACCES;
	if (k->type == KEY_LOGON)
		return -EOPNOTSUPP;
	n = k->type == KEY_KEYRING ? k->nr_links * sizeof(int32_t) : k->payload_len;
	*ret = malloc(n ? n : 1);
	if (!*ret)
		return -ENOMEM;
	if (k->type != KEY_KEYRING && n)
		memcpy(*ret, k->payload, n);
	for (size_t i = 0; i < k->nr_links; i++)
		((int32_t *)*ret)[i] = k->links[i]->serial;
	return (int64_t)n;
}

static int64_t op_read(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ void *v = NULL;
	int64_t n;

	mutex_lock(&keys_mu);
	n = content_locked(t, ARG_INT(a, 1), &v);
	mutex_unlock(&keys_mu);
	return n < 0 ? n : give(t, ARG_ADDR(a, 2), a->a[3], v, (size_t)n);
}

static int64_t op_default_ring(struct task *t, const struct sys_args *a)
{
	int old = t->reqkey_keyring, want = ARG_INT(a, 1);

	if (want == -1)
		return old;
	if (want < 0 || want > 7 || want == 6)
		return -EINVAL;
	t->reqkey_keyring = want;
	return old;
}

static int64_t op_timeout(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r = key_lookup_locked(t, ARG_INT(a, 1), true, true, KEY_SETATTR, &k, NULL);

	if (r < 0)
		return r;
	k->expiry = ARG_U32(a, 2) ? ktime_real() / NSEC_PER_SEC + ARG_U32(a, 2) : 0;
	return 0;
}

static int64_t op_security(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r;

	mutex_lock(&keys_mu);
	r = key_lookup_locked(t, ARG_INT(a, 1), false, true, KEY_VIEW, &k, NULL);
	mutex_unlock(&keys_mu);
	return r < 0 ? r : give(t, ARG_ADDR(a, 2), a->a[3], "", 1);
}

/* The parent process joins the caller's session, if both are alike. */
static int64_t session_to_parent(struct task *t)
{
	const struct cred *c = t->cred, *o;
	struct thread_group *p;
	int r = -EPERM;

	mutex_lock(&t->k->tasks_mu);
	p = t->tg->parent;
	o = p && p->nr_tasks == 1 ? p->leader->cred : NULL;
	mutex_lock(&keys_mu);
	if (o && t->session_keyring && o->uid == c->euid && o->euid == c->euid && o->suid == c->euid && o->gid == c->egid && o->egid == c->egid &&
	    o->sgid == c->egid && !p->leader->is_zombie && p->leader->mm != t->mm) {
		keys_set_session_locked(p->leader, t->session_keyring);
		r = 0;
	}
	mutex_unlock(&keys_mu);
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int64_t op_invalidate(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_SEARCH, &k, NULL);

	if (r < 0)
		return r;
	k->invalidated = true;
	key_forget_locked(k);
	return 0;
}

static int64_t op_restrict(struct task *t, const struct sys_args *a)
{
	struct key *k;
	int r;

	if (a->a[2])
		return -ENOENT; /* no type here has restrictions of its own */
	if (a->a[3])
		return -EINVAL;
	r = key_lookup_locked(t, ARG_INT(a, 1), false, false, KEY_SETATTR, &k, NULL);
	if (r == 0 && k->type != KEY_KEYRING)
		r = -ENOTDIR;
	if (r == 0 && k->restricted)
		r = -EEXIST;
	if (r == 0)
		k->restricted = true;
	return r;
}

#define CAPS0_INVALIDATE  0x10
#define CAPS0_RESTRICT	  0x20
#define CAPS0_MOVE	  0x40

static int64_t op_capabilities(struct task *t, const struct sys_args *a)
{
	const uint8_t caps[2] = { 0x01 | 0x08 | CAPS0_INVALIDATE | CAPS0_RESTRICT | CAPS0_MOVE, 0x01 };
	uint64_t n = a->a[2];

	if (!n)
		return sizeof(caps);
	if (copy_out(t, ARG_ADDR(a, 1), caps, MIN(n, sizeof(caps))) < 0)
		return -EFAULT;
	for (uint64_t i = sizeof(caps); i < MIN(n, (uint64_t)PAGE_SIZE); i++)
		if (copy_out(t, GADDR(a->a[1] + i), "", 1) < 0)
			return -EFAULT;
	return sizeof(caps);
}

/* Operations that touch no application memory run under the lock. */
static int64_t (*const locked_ops[])(struct task *t, const struct sys_args *a) = {
	[0] = op_get_id, [3] = op_revoke, [4] = op_chown,   [5] = op_setperm,     [7] = op_clear,	  [8] = op_link,
	[9] = op_unlink, [15] = op_timeout, [21] = op_invalidate, [30] = op_move,
};
static int64_t (*const ops[])(struct task *t, const struct sys_args *a) = {
	[2] = op_update, [6] = op_describe, [10] = do_search, [11] = op_read, [14] = op_default_ring, [17] = op_security, [31] = op_capabilities,
};

int64_t sys_keyctl(struct task *t, const struct sys_args *a)
{
	uint32_t op = ARG_U32(a, 0);
	int64_t r;

	if (op < ARRAY_SIZE(locked_ops) && locked_ops[op]) {
		mutex_lock(&keys_mu);
		r = locked_ops[op](t, a);
		mutex_unlock(&keys_mu);
		return r;
	}
	if (op < ARRAY_SIZE(ops) && ops[op])
		return ops[op](t, a);
	switch (op) {
	case 1:
		return join_session(t, ARG_ADDR(a, 1));
	case 12: /* instantiating and its like need the authority that request_key's helper has */
	case 13:
	case 19:
	case 20:
		return -EPERM;
	case 16:
		return ARG_INT(a, 1) < 0 ? -EINVAL : ARG_INT(a, 1) ? -ENOKEY : 0;
	case 18:
		return session_to_parent(t);
	case 29:
		mutex_lock(&keys_mu);
		r = op_restrict(t, a);
		mutex_unlock(&keys_mu);
		return r;
	default:
		return -EOPNOTSUPP;
	}
}
