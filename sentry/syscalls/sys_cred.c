/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User and group ids, supplementary groups, capabilities.
 *
 * Each call edits a private copy of the credentials and publishes it; the capability transitions are those of Linux
 * (security/commoncap.c: cap_emulate_setxuid). Ids are translated here: user_ns.h. Linux: kernel/sys.c, capability.c.
 */
#include <stdlib.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define SECBIT_NO_SETUID_FIXUP (1u << 2)
#define SECBIT_KEEP_CAPS       (1u << 4)
#define CAPBIT(c)	       (1ULL << (c))
#define CAP_MAC_OVERRIDE_L     32
#define CAP_FS_SET                                                                                                                        \
	(CAPBIT(LINUX_CAP_CHOWN) | CAPBIT(LINUX_CAP_MKNOD) | CAPBIT(LINUX_CAP_DAC_OVERRIDE) | CAPBIT(LINUX_CAP_DAC_READ_SEARCH) |           \
	 CAPBIT(LINUX_CAP_FOWNER) | CAPBIT(LINUX_CAP_FSETID) | CAPBIT(LINUX_CAP_LINUX_IMMUTABLE) | CAPBIT(CAP_MAC_OVERRIDE_L))
#define NGROUPS_MAX_L 65536

/* What a change of identity takes away besides (Linux commit_creds). Consumes @n. */
static void commit(struct task *t, struct cred *n)
{
	const struct cred *o = t->cred;

	if (o->euid != n->euid || o->egid != n->egid || o->fsuid != n->fsuid || o->fsgid != n->fsgid || (n->cap_perm & ~o->cap_perm)) {
		t->undumpable = true;
		t->pdeathsig = 0;
	}
	task_set_cred(t, n);
}

static void fix_setuid(const struct cred *o, struct cred *n)
{
	uint32_t root = user_ns_in(n->user_ns, ID_UID, 0);
	bool was_root = o->uid == root || o->euid == root || o->suid == root, is_root = n->uid == root || n->euid == root || n->suid == root;

	if (n->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && !is_root) {
		if (!(n->securebits & SECBIT_KEEP_CAPS)) {
			n->cap_perm = 0;
			n->cap_eff = 0;
		}
		n->cap_amb = 0;
	}
	if (o->euid == root && n->euid != root)
		n->cap_eff = 0;
	if (o->euid != root && n->euid == root)
		n->cap_eff = n->cap_perm;
}

/* An id was given that has no meaning in the caller's namespace. */
static bool unmapped(uint32_t given, uint32_t kid)
{
	return given != NO_ID && kid == NO_ID;
}

static bool is_one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
	return id == a || id == b || id == c;
}

int64_t sys_getuid(struct task *t, const struct sys_args *a)
{
	return task_id_show(t, ID_UID, t->cred->uid);
}

int64_t sys_geteuid(struct task *t, const struct sys_args *a)
{
	return task_id_show(t, ID_UID, t->cred->euid);
}

int64_t sys_getgid(struct task *t, const struct sys_args *a)
{
	return task_id_show(t, ID_GID, t->cred->gid);
}

int64_t sys_getegid(struct task *t, const struct sys_args *a)
{
	return task_id_show(t, ID_GID, t->cred->egid);
}

static int64_t put3(struct task *t, const struct sys_args *a, enum id_kind k, uint32_t x, uint32_t y, uint32_t z)
{
	x = task_id_show(t, k, x);
	y = task_id_show(t, k, y);
	z = task_id_show(t, k, z);
	if (copy_out(t, ARG_ADDR(a, 0), &x, 4) < 0 || copy_out(t, ARG_ADDR(a, 1), &y, 4) < 0 || copy_out(t, ARG_ADDR(a, 2), &z, 4) < 0)
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *t, const struct sys_args *a)
{
	return put3(t, a, ID_UID, t->cred->uid, t->cred->euid, t->cred->suid);
}

int64_t sys_getresgid(struct task *t, const struct sys_args *a)
{
	return put3(t, a, ID_GID, t->cred->gid, t->cred->egid, t->cred->sgid);
}

int64_t sys_setuid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id = task_id_in(t, ID_UID, ARG_U32(a, 0));
	struct cred *n;

	if (id == NO_ID)
		return -EINVAL;
	if (!task_capable_here(t, LINUX_CAP_SETUID) && id != o->uid && id != o->suid)
		return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (task_capable_here(t, LINUX_CAP_SETUID))
		n->uid = n->suid = id;
	n->euid = n->fsuid = id;
	fix_setuid(o, n);
	commit(t, n);
	return 0;
}

int64_t sys_setgid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id = task_id_in(t, ID_GID, ARG_U32(a, 0));
	struct cred *n;

	if (id == NO_ID)
		return -EINVAL;
	if (!task_capable_here(t, LINUX_CAP_SETGID) && id != o->gid && id != o->sgid)
		return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (task_capable_here(t, LINUX_CAP_SETGID))
		n->gid = n->sgid = id;
	n->egid = n->fsgid = id;
	commit(t, n);
	return 0;
}

int64_t sys_setreuid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t r = task_id_in(t, ID_UID, ARG_U32(a, 0)), e = task_id_in(t, ID_UID, ARG_U32(a, 1));
	bool cap = task_capable_here(t, LINUX_CAP_SETUID);
	struct cred *n;

	if (unmapped(ARG_U32(a, 0), r) || unmapped(ARG_U32(a, 1), e))
		return -EINVAL;
	if (r != NO_ID && !cap && r != o->uid && r != o->euid)
		return -EPERM;
	if (e != NO_ID && !cap && !is_one_of(e, o->uid, o->euid, o->suid))
		return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (r != NO_ID)
		n->uid = r;
	if (e != NO_ID)
		n->euid = e;
	if (r != NO_ID || (e != NO_ID && e != o->uid))
		n->suid = n->euid;
	n->fsuid = n->euid;
	fix_setuid(o, n);
	commit(t, n);
	return 0;
}

int64_t sys_setregid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t r = task_id_in(t, ID_GID, ARG_U32(a, 0)), e = task_id_in(t, ID_GID, ARG_U32(a, 1));
	bool cap = task_capable_here(t, LINUX_CAP_SETGID);
	struct cred *n;

	if (unmapped(ARG_U32(a, 0), r) || unmapped(ARG_U32(a, 1), e))
		return -EINVAL;
	if (r != NO_ID && !cap && r != o->gid && r != o->egid)
		return -EPERM;
	if (e != NO_ID && !cap && !is_one_of(e, o->gid, o->egid, o->sgid))
		return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (r != NO_ID)
		n->gid = r;
	if (e != NO_ID)
		n->egid = e;
	if (r != NO_ID || (e != NO_ID && e != o->gid))
		n->sgid = n->egid;
	n->fsgid = n->egid;
	commit(t, n);
	return 0;
}

int64_t sys_setresuid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id[3];
	struct cred *n;

	for (int i = 0; i < 3; i++) {
		id[i] = task_id_in(t, ID_UID, ARG_U32(a, i));
		if (unmapped(ARG_U32(a, i), id[i]))
			return -EINVAL;
	}
	for (int i = 0; i < 3; i++)
		if (id[i] != NO_ID && !is_one_of(id[i], o->uid, o->euid, o->suid) && !task_capable_here(t, LINUX_CAP_SETUID))
			return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (id[0] != NO_ID)
		n->uid = id[0];
	if (id[1] != NO_ID)
		n->euid = id[1];
	if (id[2] != NO_ID)
		n->suid = id[2];
	n->fsuid = n->euid;
	fix_setuid(o, n);
	commit(t, n);
	return 0;
}

int64_t sys_setresgid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id[3];
	struct cred *n;

	for (int i = 0; i < 3; i++) {
		id[i] = task_id_in(t, ID_GID, ARG_U32(a, i));
		if (unmapped(ARG_U32(a, i), id[i]))
			return -EINVAL;
	}
	for (int i = 0; i < 3; i++)
		if (id[i] != NO_ID && !is_one_of(id[i], o->gid, o->egid, o->sgid) && !task_capable_here(t, LINUX_CAP_SETGID))
			return -EPERM;
	n = cred_dup(o);
	if (!n)
		return -ENOMEM;
	if (id[0] != NO_ID)
		n->gid = id[0];
	if (id[1] != NO_ID)
		n->egid = id[1];
	if (id[2] != NO_ID)
		n->sgid = id[2];
	n->fsgid = n->egid;
	commit(t, n);
	return 0;
}

/* Both answer the old id, whatever happens. */
int64_t sys_setfsuid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id = task_id_in(t, ID_UID, ARG_U32(a, 0)), old = o->fsuid, shown = task_id_show(t, ID_UID, old);
	struct cred *n;

	if (id == NO_ID || id == old)
		return shown;
	if (id != o->fsuid && !is_one_of(id, o->uid, o->euid, o->suid) && !task_capable_here(t, LINUX_CAP_SETUID))
		return shown;
	n = cred_dup(o);
	if (!n)
		return shown;
	n->fsuid = id;
	if (!(n->securebits & SECBIT_NO_SETUID_FIXUP)) {
		uint32_t root = user_ns_in(o->user_ns, ID_UID, 0);

		if (old == root && id != root)
			n->cap_eff &= ~CAP_FS_SET;
		if (old != root && id == root)
			n->cap_eff |= n->cap_perm & CAP_FS_SET;
	}
	commit(t, n);
	return shown;
}

int64_t sys_setfsgid(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint32_t id = task_id_in(t, ID_GID, ARG_U32(a, 0)), old = o->fsgid, shown = task_id_show(t, ID_GID, old);
	struct cred *n;

	if (id == NO_ID || id == old)
		return shown;
	if (!is_one_of(id, o->gid, o->egid, o->sgid) && !task_capable_here(t, LINUX_CAP_SETGID))
		return shown;
	n = cred_dup(o);
	if (!n)
		return shown;
	n->fsgid = id;
	commit(t, n);
	return shown;
}

int64_t sys_getgroups(struct task *t, const struct sys_args *a)
{
	const struct cred *c = t->cred;
	int size = ARG_INT(a, 0);

	if (size < 0)
		return -EINVAL;
	if (size) {
		if ((size_t)size < c->nr_groups)
			return -EINVAL;
		for (size_t i = 0; i < c->nr_groups; i++) {
			uint32_t gid = task_id_show(t, ID_GID, c->groups[i]);

			if (copy_out(t, GADDR(a->a[1] + i * sizeof(gid)), &gid, sizeof(gid)) < 0)
				return -EFAULT;
		}
	}
	return (int64_t)c->nr_groups;
}

static int cmp_gid(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return a < b ? -1 : a > b;
}

int64_t sys_setgroups(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	size_t nr = ARG_U32(a, 0);
	_cleanup_cred_ struct cred *n = NULL;

	if (!task_capable_here(t, LINUX_CAP_SETGID) || !user_ns_may_setgroups(o->user_ns))
		return -EPERM;
	if (nr > NGROUPS_MAX_L)
		return -EINVAL;
	n = cred_dup_groups(o, nr);
	if (!n)
		return -ENOMEM;
	if (nr && copy_in(t, n->groups, ARG_ADDR(a, 1), nr * sizeof(n->groups[0])) < 0)
		return -EFAULT;
	for (size_t i = 0; i < nr; i++) {
		n->groups[i] = task_id_in(t, ID_GID, n->groups[i]);
		if (n->groups[i] == NO_ID)
			return -EINVAL;
	}
	if (nr)
		qsort(n->groups, nr, sizeof(n->groups[0]), cmp_gid);
	commit(t, TAKE_PTR(n));
	return 0;
}

/* --- capabilities --- */

#define CAP_V1 0x19980330u
#define CAP_V2 0x20071026u
#define CAP_V3 0x20080522u

struct cap_header {
	uint32_t version;
	int32_t pid;
};

struct cap_data {
	uint32_t eff, perm, inh;
};

/* Number of 32-bit words of the header's version; an unknown one is answered with the newest. */
static int cap_header_in(struct task *t, gaddr_t addr, struct cap_header *h, bool *known)
{
	static const uint32_t newest = CAP_V3;

	*known = true;
	if (copy_in(t, h, addr, sizeof(*h)) < 0)
		return -EFAULT;
	if (h->version == CAP_V1)
		return 1;
	if (h->version == CAP_V2 || h->version == CAP_V3)
		return 2;
	*known = false;
	return copy_out(t, addr, &newest, sizeof(newest)) < 0 ? -EFAULT : -EINVAL;
}

int64_t sys_capget(struct task *t, const struct sys_args *a)
{
	struct cap_data d[2] = { 0 };
	struct cap_header h;
	struct cred *c;
	struct task *o;
	bool known;
	int n = cap_header_in(t, ARG_ADDR(a, 0), &h, &known);

	if (!a->a[1] && (n > 0 || !known))
		return n == -EFAULT ? n : 0;
	if (n < 0)
		return n;
	if (h.pid < 0)
		return -EINVAL;
	if (h.pid && h.pid != pid_nr(t->pid, t)) {
		o = task_find(t->k, task_pid_ns(t), h.pid);
		c = o ? task_cred_get(o) : NULL;
		task_put(o);
		if (!c)
			return -ESRCH;
	} else {
		c = cred_get(t->cred);
	}
	for (int i = 0; i < n; i++)
		d[i] = (struct cap_data){ (uint32_t)(c->cap_eff >> (32 * i)), (uint32_t)(c->cap_perm >> (32 * i)),
					  (uint32_t)(c->cap_inh >> (32 * i)) };
	cred_put(c);
	return copy_out(t, ARG_ADDR(a, 1), d, (size_t)n * sizeof(d[0]));
}

int64_t sys_capset(struct task *t, const struct sys_args *a)
{
	const struct cred *o = t->cred;
	uint64_t eff = 0, perm = 0, inh = 0;
	struct cap_data d[2] = { 0 };
	struct cap_header h;
	struct cred *c;
	bool known;
	int n = cap_header_in(t, ARG_ADDR(a, 0), &h, &known);

	if (n < 0)
		return n;
	if (h.pid && h.pid != pid_nr(t->pid, t))
		return -EPERM;
	if (copy_in(t, d, ARG_ADDR(a, 1), (size_t)n * sizeof(d[0])) < 0)
		return -EFAULT;
	for (int i = 0; i < n; i++) {
		eff |= (uint64_t)d[i].eff << (32 * i);
		perm |= (uint64_t)d[i].perm << (32 * i);
		inh |= (uint64_t)d[i].inh << (32 * i);
	}
	eff &= LINUX_CAP_FULL;
	perm &= LINUX_CAP_FULL;
	inh &= LINUX_CAP_FULL;
	if (!task_capable_here(t, LINUX_CAP_SETPCAP) && (inh & ~(o->cap_inh | o->cap_perm)))
		return -EPERM;
	if ((inh & ~(o->cap_inh | o->cap_bset)) || (perm & ~o->cap_perm) || (eff & ~perm))
		return -EPERM;
	c = cred_dup(o);
	if (!c)
		return -ENOMEM;
	c->cap_eff = eff;
	c->cap_perm = perm;
	c->cap_inh = inh;
	c->cap_amb &= perm & inh;
	commit(t, c);
	return 0;
}
