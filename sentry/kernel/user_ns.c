/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces. Contract in user_ns.h. Linux: kernel/user_namespace.c, kernel/ucount.c, security/commoncap.c. */
#include "sentry/kernel/user_ns.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/userns.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

#define INO_INITIAL   0xEFFFFFFDu
#define DEFAULT_LIMIT 0x7fffffffu

/* Of the initial namespace. Checkpoint: the sysctl rows that differ from the default. */
static uint32_t initial_limits[NR_NS_LIMITS] = { [0 ... NR_NS_LIMITS - 1] = 31740 };

static void *user_ns_alloc(void)
{
	struct user_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref);
	mutex_init(&ns->mu, "user_ns.mu");
	for (size_t i = 0; i < NR_NS_LIMITS; i++)
		ns->limits[i] = DEFAULT_LIMIT;
	return ns;
}

struct user_ns *user_ns_get(struct user_ns *ns)
{
	if (ns)
		ref_get(&ns->ref);
	return ns;
}

void user_ns_put(struct user_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct user_ns *parent = ns->parent;

		for (int k = 0; k < ID_KINDS; k++)
			free(ns->map[k].e);
		mutex_destroy(&ns->mu);
		free(ns);
		ns = parent;
	}
}

static uint32_t level_of(const struct user_ns *ns)
{
	return ns ? ns->level : 0;
}

int user_ns_new(const struct cred *c, struct user_ns **ret)
{
	struct user_ns *ns;

	if (level_of(c->user_ns) + 1 > USER_NS_MAX_LEVEL + 1 || !user_ns_limit_ok(c->user_ns, LIMIT_USER_NS))
		return -ENOSPC;
	if (user_ns_out(c->user_ns, ID_UID, c->euid) == NO_ID || user_ns_out(c->user_ns, ID_GID, c->egid) == NO_ID)
		return -EPERM;
	ns = user_ns_alloc();
	if (!ns)
		return -ENOMEM;
	ns->parent = user_ns_get(c->user_ns);
	ns->level = level_of(c->user_ns) + 1;
	ns->owner = c->euid;
	ns->group = c->egid;
	ns->setgroups_denied = c->user_ns && __atomic_load_n(&c->user_ns->setgroups_denied, __ATOMIC_RELAXED);
	ns->parent_setfcap = cred_capable_here(c, LINUX_CAP_SETFCAP);
	ns->ino = kernel_next_ino(the_kernel);
	*ret = ns;
	return 0;
}

uint64_t user_ns_ino(const struct user_ns *ns)
{
	return ns ? ns->ino : INO_INITIAL;
}

bool user_ns_below(const struct user_ns *ns, const struct user_ns *anc)
{
	for (;; ns = ns->parent) {
		if (ns == anc)
			return true;
		if (!ns)
			return false;
	}
}

/* --- limits --- */

uint32_t user_ns_limit(const struct user_ns *ns, enum ns_limit what)
{
	return __atomic_load_n(ns ? &ns->limits[what] : &initial_limits[what], __ATOMIC_RELAXED);
}

void user_ns_set_limit(struct user_ns *ns, enum ns_limit what, uint32_t v)
{
	__atomic_store_n(ns ? &ns->limits[what] : &initial_limits[what], v, __ATOMIC_RELAXED);
}

bool user_ns_limit_ok(const struct user_ns *ns, enum ns_limit what)
{
	for (;; ns = ns->parent) {
		if (!user_ns_limit(ns, what))
			return false;
		if (!ns)
			return true;
	}
}

/* --- ids --- */

/* Number of extents, with what they hold visible. */
static uint32_t nr_extents(const struct id_map *m)
{
	return __atomic_load_n(&m->nr, __ATOMIC_ACQUIRE);
}

/* The kernel ids of @count ids from @id on; NO_ID unless one extent has them all. */
static uint32_t range_in(const struct user_ns *ns, enum id_kind k, uint32_t id, uint32_t count)
{
	if (!ns)
		return id;
	for (uint32_t n = nr_extents(&ns->map[k]), i = 0; i < n; i++) {
		const struct id_extent *e = &ns->map[k].e[i];

		if (id >= e->first && id - e->first < e->count && count <= e->count - (id - e->first))
			return e->lower + (id - e->first);
	}
	return NO_ID;
}

uint32_t user_ns_in(const struct user_ns *ns, enum id_kind k, uint32_t id)
{
	return range_in(ns, k, id, 1);
}

uint32_t user_ns_out(const struct user_ns *ns, enum id_kind k, uint32_t kid)
{
	if (!ns)
		return kid;
	for (uint32_t n = nr_extents(&ns->map[k]), i = 0; i < n; i++) {
		const struct id_extent *e = &ns->map[k].e[i];

		if (kid >= e->lower && kid - e->lower < e->count)
			return e->first + (kid - e->lower);
	}
	return NO_ID;
}

uint32_t user_ns_show(const struct user_ns *ns, enum id_kind k, uint32_t kid)
{
	uint32_t id = user_ns_out(ns, k, kid);

	return id == NO_ID ? OVERFLOW_ID : id;
}

bool user_ns_may_setgroups(const struct user_ns *ns)
{
	return !ns || (nr_extents(&ns->map[ID_GID]) && !__atomic_load_n(&ns->setgroups_denied, __ATOMIC_RELAXED));
}

/* --- capabilities --- */

bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap)
{
	for (;; ns = ns->parent) {
		if (ns == c->user_ns)
			return cred_capable_here(c, cap);
		if (level_of(ns) <= level_of(c->user_ns))
			return false;
		if (ns->parent == c->user_ns && ns->owner == c->euid)
			return true;
	}
}

bool cred_capable_over(const struct cred *c, uint32_t uid, uint32_t gid, int cap)
{
	return cred_capable_here(c, cap) &&
	       (!c->user_ns || (user_ns_out(c->user_ns, ID_UID, uid) != NO_ID && user_ns_out(c->user_ns, ID_GID, gid) != NO_ID));
}

void cred_enter_user_ns(struct cred *c, struct user_ns *ns)
{
	struct user_ns *old = c->user_ns;

	c->securebits = 0;
	c->cap_inh = c->cap_amb = 0;
	c->cap_perm = c->cap_eff = c->cap_bset = LINUX_CAP_FULL;
	c->user_ns = user_ns_get(ns);
	user_ns_put(old);
}

bool task_ns_capable(struct task *t, const struct user_ns *ns, int cap)
{
	return cred_ns_capable(t->cred, ns, cap);
}

bool task_capable_here(struct task *t, int cap)
{
	return cred_capable_here(t->cred, cap);
}

uint32_t task_id_in(const struct task *t, enum id_kind k, uint32_t id)
{
	return id == NO_ID || !t->cred ? id : user_ns_in(t->cred->user_ns, k, id);
}

uint32_t task_id_show(const struct task *t, enum id_kind k, uint32_t kid)
{
	return t->cred ? user_ns_show(t->cred->user_ns, k, kid) : kid;
}

/* --- /proc/pid/uid_map --- */

void user_ns_show_map(struct user_ns *ns, enum id_kind k, const struct cred *c, struct strbuf *b)
{
	const struct user_ns *lower = c->user_ns;

	if (!ns) {
		strbuf_addf(b, "%10u %10u %10u\n", 0u, 0u, NO_ID);
		return;
	}
	/* Who asks about the own namespace sees the ids of the one above. */
	if (lower == ns)
		lower = ns->parent;
	for (uint32_t n = nr_extents(&ns->map[k]), i = 0; i < n; i++) {
		const struct id_extent *e = &ns->map[k].e[i];

		strbuf_addf(b, "%10u %10u %10u\n", e->first, user_ns_out(lower, k, e->lower), e->count);
	}
}

/* One number and the blanks after it. */
static int parse_num(char **s, uint32_t *ret)
{
	unsigned long v;
	char *end;

	*s += strspn(*s, " \t\r\v\f");
	if (**s < '0' || **s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(*s, &end, 10);
	if (errno || v > UINT32_MAX || (*end && !strchr(" \t\r\v\f\n", *end)))
		return -EINVAL;
	*ret = (uint32_t)v;
	*s = end + strspn(end, " \t\r\v\f");
	return 0;
}

static bool overlaps(const struct id_map *m, const struct id_extent *x)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		const struct id_extent *e = &m->e[i];

		if ((x->first <= e->first + (e->count - 1) && e->first <= x->first + (x->count - 1)) ||
		    (x->lower <= e->lower + (e->count - 1) && e->lower <= x->lower + (x->count - 1)))
			return true;
	}
	return false;
}

static int parse_map(char *s, struct id_map *m)
{
	while (*s) {
		struct id_extent x;

		if (parse_num(&s, &x.first) < 0 || parse_num(&s, &x.lower) < 0 || parse_num(&s, &x.count) < 0 || (*s && *s != '\n'))
			return -EINVAL;
		s += *s == '\n';
		if (x.first == NO_ID || x.lower == NO_ID || !x.count || x.first + x.count <= x.first || x.lower + x.count <= x.lower ||
		    overlaps(m, &x))
			return -EINVAL;
		if (m->nr == USER_NS_MAX_EXTENTS)
			return -EINVAL;
		m->e[m->nr++] = x;
	}
	return m->nr ? 0 : -EINVAL;
}

/* Mapping the parent's root is for who could give files capabilities there. */
static bool root_map_ok(const struct user_ns *ns, const struct cred *c, const struct id_map *m)
{
	for (uint32_t i = 0; i < m->nr; i++)
		if (m->e[i].lower == 0) {
			if (c->user_ns == ns)
				return ns->parent_setfcap;
			return c->user_ns == ns->parent && cred_ns_capable(c, ns->parent, LINUX_CAP_SETFCAP);
		}
	return true;
}

/* @m has the ids of the parent namespace still. */
static bool map_permitted(const struct user_ns *ns, enum id_kind k, const struct cred *c, const struct id_map *m)
{
	if (k == ID_UID && !root_map_ok(ns, c, m))
		return false;
	if (m->nr == 1 && m->e[0].count == 1 && ns->owner == c->euid) {
		uint32_t kid = user_ns_in(ns->parent, k, m->e[0].lower);

		if (k == ID_UID && kid == c->euid)
			return true;
		if (k == ID_GID && ns->setgroups_denied && kid == c->egid)
			return true;
	}
	return k == ID_PROJID || cred_ns_capable(c, ns->parent, k == ID_UID ? LINUX_CAP_SETUID : LINUX_CAP_SETGID);
}

static int set_map_locked(struct user_ns *ns, enum id_kind k, const struct cred *c, char *text)
{
	struct id_map m = { .e = calloc(USER_NS_MAX_EXTENTS, sizeof(*m.e)) };
	int r = m.e ? 0 : -ENOMEM;

	if (r == 0 && (ns->map[k].nr || (k != ID_PROJID && !cred_ns_capable(c, ns, LINUX_CAP_SYS_ADMIN))))
		r = -EPERM;
	if (r == 0)
		r = parse_map(text, &m);
	if (r == 0 && !map_permitted(ns, k, c, &m))
		r = -EPERM;
	for (uint32_t i = 0; r == 0 && i < m.nr; i++) {
		m.e[i].lower = range_in(ns->parent, k, m.e[i].lower, m.e[i].count);
		if (m.e[i].lower == NO_ID)
			r = -EPERM;
	}
	if (r < 0) {
		free(m.e);
		return r;
	}
	ns->map[k].e = m.e;
	__atomic_store_n(&ns->map[k].nr, m.nr, __ATOMIC_RELEASE);
	return 0;
}

int64_t user_ns_write_map(struct user_ns *ns, enum id_kind k, const struct cred *c, char *text, size_t n)
{
	int r;

	if (n >= PAGE_SIZE)
		return -EINVAL;
	if (!ns || (c->user_ns != ns && c->user_ns != ns->parent))
		return -EPERM;
	mutex_lock(&ns->mu);
	r = set_map_locked(ns, k, c, text);
	mutex_unlock(&ns->mu);
	return r < 0 ? r : (int64_t)n;
}

int64_t user_ns_write_setgroups(struct user_ns *ns, const struct cred *c, const char *text, size_t n)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
	bool deny;

	if (n >= 8)
		return -EINVAL;
	if (len == 5 && !strncmp(text, "allow", len))
		deny = false;
	else if (len == 4 && !strncmp(text, "deny", len))
		deny = true;
	else
		return -EINVAL;
	if (text[len + strspn(text + len, " \t\n")])
		return -EINVAL;
	if (!ns)
		return deny ? -EPERM : (int64_t)n;
	mutex_guard(&ns->mu);
	/* Allowed once, always allowed where groups can be set already; denied once, for ever. */
	if (deny ? ns->map[ID_GID].nr && !ns->setgroups_denied : ns->setgroups_denied)
		return -EPERM;
	if (deny)
		__atomic_store_n(&ns->setgroups_denied, true, __ATOMIC_RELAXED);
	return (int64_t)n;
}

/* --- state --- */

static void save_map(struct state_writer *w, const struct id_map *m, size_t *ret_n, uint32_t **ret)
{
	*ret_n = m->nr * 3ul;
	*ret = state_zalloc(w, *ret_n, sizeof(**ret));
	if (m->nr)
		memcpy(*ret, m->e, m->nr * sizeof(*m->e));
}

static int user_ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct user_ns *ns = obj;
	Sentry__UserNs *m = msg;

	m->parent = state_ref(w, &user_ns_state_type, ns->parent);
	m->owner = ns->owner;
	m->group = ns->group;
	save_map(w, &ns->map[ID_UID], &m->n_uid_map, &m->uid_map);
	save_map(w, &ns->map[ID_GID], &m->n_gid_map, &m->gid_map);
	save_map(w, &ns->map[ID_PROJID], &m->n_projid_map, &m->projid_map);
	m->setgroups_denied = ns->setgroups_denied;
	m->parent_setfcap = ns->parent_setfcap;
	m->ino = ns->ino;
	m->n_limits = NR_NS_LIMITS;
	m->limits = state_zalloc(w, NR_NS_LIMITS, sizeof(*m->limits));
	memcpy(m->limits, ns->limits, sizeof(ns->limits));
	return 0;
}

static int load_map(struct state_reader *r, struct id_map *m, size_t n, const uint32_t *v)
{
	int e = state_check(r, n % 3 == 0 && n / 3 <= USER_NS_MAX_EXTENTS, "malformed id map");

	if (e < 0 || !n)
		return e;
	m->e = calloc(n / 3, sizeof(*m->e));
	if (!m->e)
		return -ENOMEM;
	for (size_t i = 0; i < n / 3 && e == 0; i++) {
		struct id_extent x = { v[3 * i], v[3 * i + 1], v[3 * i + 2] };

		e = state_check(r, x.count && x.first + x.count > x.first && x.lower + x.count > x.lower && !overlaps(m, &x), "impossible id map");
		m->e[m->nr++] = x;
	}
	return e;
}

static int user_ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct user_ns *ns = obj;
	const Sentry__UserNs *m = msg;
	int e = load_map(r, &ns->map[ID_UID], m->n_uid_map, m->uid_map);

	if (e == 0)
		e = load_map(r, &ns->map[ID_GID], m->n_gid_map, m->gid_map);
	if (e == 0)
		e = load_map(r, &ns->map[ID_PROJID], m->n_projid_map, m->projid_map);
	if (e == 0)
		e = state_check(r, m->n_limits == NR_NS_LIMITS, "malformed user namespace");
	if (e < 0)
		return e;
	memcpy(ns->limits, m->limits, sizeof(ns->limits));
	ns->owner = m->owner;
	ns->group = m->group;
	ns->setgroups_denied = m->setgroups_denied;
	ns->parent_setfcap = m->parent_setfcap;
	ns->ino = m->ino;
	return state_deref(r, m->parent, &user_ns_state_type, (void **)&ns->parent);
}

/* Every parent is loaded: a chain without end is found here, before anybody walks it. */
static int user_ns_after_load(struct state_reader *r, void *obj)
{
	struct user_ns *ns = obj;
	uint32_t level = 0;

	for (const struct user_ns *p = ns; p && level <= USER_NS_MAX_LEVEL + 1; p = p->parent)
		level++;
	ns->level = level;
	return state_check(r, level <= USER_NS_MAX_LEVEL + 1, "user namespaces nested too deeply");
}

static void user_ns_get_state(void *obj)
{
	(void)user_ns_get(obj);
}

static void user_ns_put_state(void *obj)
{
	user_ns_put(obj);
}

const struct state_type user_ns_state_type = {
	.id = STATE_ID_user_ns,
	.name = "user_ns",
	.desc = &sentry__user_ns__descriptor,
	.prio = STATE_PRIO_MEMORY, /* before anything that asks about ids */
	.alloc = user_ns_alloc,
	.save = user_ns_save,
	.load = user_ns_load,
	.after_load = user_ns_after_load,
	.get = user_ns_get_state,
	.put = user_ns_put_state,
};
