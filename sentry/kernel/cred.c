/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: values, capability tests, saving. Linux: kernel/cred.c, security/commoncap.c. */
#include "sentry/kernel/cred.h"

#include <string.h>

#include "schemas/cred.pb-c.h"
#include "sentry/fs/landlock.h"
#include "sentry/kernel/user_ns.h"
#include "state/state.h"

#define NGROUPS_MAX_LINUX 65536

struct cred *cred_new(size_t nr_groups)
{
	struct cred *c;

	if (nr_groups > NGROUPS_MAX_LINUX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	ref_init(&c->ref);
	c->nr_groups = nr_groups;
	c->groups = nr_groups ? calloc(nr_groups, sizeof(*c->groups)) : NULL;
	if (nr_groups && !c->groups) {
		free(c);
		return NULL;
	}
	return c;
}

struct cred *cred_dup_groups(const struct cred *c, size_t nr_groups)
{
	struct cred *n = cred_new(nr_groups);
	uint32_t *groups;

	if (!n)
		return NULL;
	groups = n->groups;
	*n = *c;
	n->groups = groups;
	n->nr_groups = nr_groups;
	(void)user_ns_get(n->user_ns);
	(void)landlock_domain_get(n->domain);
	ref_init(&n->ref);
	return n;
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *n = cred_dup_groups(c, c->nr_groups);

	if (n && c->nr_groups)
		memcpy(n->groups, c->groups, c->nr_groups * sizeof(*c->groups));
	return n;
}

struct cred *cred_get(struct cred *c)
{
	ref_get(&c->ref);
	return c;
}

void cred_put(struct cred *c)
{
	if (c && ref_put(&c->ref)) {
		user_ns_put(c->user_ns);
		landlock_domain_put(c->domain);
		free(c->groups);
		free(c);
	}
}

bool cred_has_cap(const struct cred *c, int cap)
{
	return !c->user_ns && (c->cap_eff >> cap & 1);
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	size_t lo = 0, hi = c->nr_groups;

	if (c->fsgid == gid)
		return true;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

/* --- state --- */

static void *cred_alloc(void)
{
	return cred_new(0);
}

static int cred_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct cred *c = obj;
	Sentry__Cred *m = msg;
	uint32_t ids[8] = { c->uid, c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid };
	uint64_t caps[5] = { c->cap_inh, c->cap_perm, c->cap_eff, c->cap_bset, c->cap_amb };

	m->n_ids = ARRAY_SIZE(ids);
	m->ids = state_zalloc(w, ARRAY_SIZE(ids), sizeof(ids[0]));
	memcpy(m->ids, ids, sizeof(ids));
	m->n_caps = ARRAY_SIZE(caps);
	m->caps = state_zalloc(w, ARRAY_SIZE(caps), sizeof(caps[0]));
	memcpy(m->caps, caps, sizeof(caps));
	m->user_ns = state_ref(w, &user_ns_state_type, c->user_ns);
	m->domain = state_ref(w, &landlock_domain_state_type, c->domain);
	m->securebits = c->securebits;
	m->n_groups = c->nr_groups;
	m->groups = state_zalloc(w, c->nr_groups, sizeof(c->groups[0]));
	if (c->nr_groups)
		memcpy(m->groups, c->groups, c->nr_groups * sizeof(c->groups[0]));
	return 0;
}

static int cred_load(struct state_reader *r, void *obj, const void *msg)
{
	struct cred *c = obj;
	const Sentry__Cred *m = msg;
	int e = state_check(r, m->n_ids == 8 && m->n_caps == 5 && m->n_groups <= NGROUPS_MAX_LINUX, "wrong number of ids");

	if (e < 0)
		return e;
	c->uid = m->ids[0];
	c->euid = m->ids[1];
	c->suid = m->ids[2];
	c->fsuid = m->ids[3];
	c->gid = m->ids[4];
	c->egid = m->ids[5];
	c->sgid = m->ids[6];
	c->fsgid = m->ids[7];
	c->cap_inh = m->caps[0];
	c->cap_perm = m->caps[1];
	c->cap_eff = m->caps[2];
	c->cap_bset = m->caps[3];
	c->cap_amb = m->caps[4];
	c->securebits = m->securebits;
	c->old_no_new_privs = m->no_new_privs;
	c->groups = m->n_groups ? calloc(m->n_groups, sizeof(*c->groups)) : NULL;
	if (m->n_groups && !c->groups)
		return -ENOMEM;
	c->nr_groups = m->n_groups;
	for (size_t i = 0; i < m->n_groups; i++) {
		c->groups[i] = m->groups[i];
		e = state_check(r, i == 0 || m->groups[i - 1] <= m->groups[i], "groups are not sorted");
		if (e < 0)
			return e;
	}
	e = state_deref(r, m->user_ns, &user_ns_state_type, (void **)&c->user_ns);
	return e < 0 ? e : state_deref(r, m->domain, &landlock_domain_state_type, (void **)&c->domain);
}

static void cred_get_state(void *obj)
{
	(void)cred_get(obj);
}

static void cred_put_state(void *obj)
{
	cred_put(obj);
}

const struct state_type cred_state_type = {
	.id = STATE_ID_cred,
	.name = "cred",
	.desc = &sentry__cred__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = cred_alloc,
	.save = cred_save,
	.load = cred_load,
	.get = cred_get_state,
	.put = cred_put_state,
};
