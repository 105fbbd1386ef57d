/* SPDX-License-Identifier: Apache-2.0 */
/* Time namespaces. Contract in time_ns.h. */
#include "sentry/kernel/time_ns.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "schemas/nsproxy.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

#define MAX_OFFSETS   2 /* lines of one write */
#define OFFSET_MAX_SEC (INT64_MAX / 2 / NSEC_PER_SEC)

static void *time_ns_alloc(void)
{
	struct time_ns *ns = calloc(1, sizeof(*ns));

	if (ns) {
		ref_init(&ns->ref);
		mutex_init(&ns->mu, "time_ns.mu");
	}
	return ns;
}

struct time_ns *time_ns_new(struct time_ns *old, struct user_ns *owner)
{
	struct time_ns *ns = time_ns_alloc();

	if (!ns)
		return NULL;
	ns->ino = kernel_next_ino(the_kernel);
	ns->user_ns = user_ns_get(owner);
	if (old) {
		mutex_lock(&old->mu);
		ns->monotonic = old->monotonic;
		ns->boottime = old->boottime;
		mutex_unlock(&old->mu);
	}
	return ns;
}

struct time_ns *time_ns_get(struct time_ns *ns)
{
	if (ns)
		ref_get(&ns->ref);
	return ns;
}

void time_ns_put(struct time_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	mutex_destroy(&ns->mu);
	free(ns);
}

void time_ns_enter(struct time_ns *ns)
{
	if (!ns)
		return;
	mutex_lock(&ns->mu);
	ns->frozen = true;
	mutex_unlock(&ns->mu);
}

int64_t task_clock_offset(const struct task *t, int clockid)
{
	const struct time_ns *ns = t && t->ns ? t->ns->time : NULL;

	if (!ns)
		return 0;
	switch (clockid) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return ns->monotonic;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return ns->boottime;
	default:
		return 0;
	}
}

int64_t task_clock_to_kernel(const struct task *t, int clockid, int64_t when)
{
	int64_t r;

	if (when == TIME_FOREVER)
		return when;
	if (sub_overflow(when, task_clock_offset(t, clockid), &r))
		return TIME_FOREVER;
	return MAX(r, (int64_t)0);
}

/* --- /proc/pid/timens_offsets --- */

static void show(struct strbuf *b, const char *name, int64_t off)
{
	int64_t ns = off % NSEC_PER_SEC, sec = off / NSEC_PER_SEC;

	if (ns < 0) {
		ns += NSEC_PER_SEC;
		sec--;
	}
	strbuf_addf(b, "%-10s %10ld %9ld\n", name, (long)sec, (long)ns);
}

void time_ns_show_offsets(struct time_ns *ns, struct strbuf *b)
{
	int64_t mono = 0, boot = 0;

	if (ns) {
		mutex_lock(&ns->mu);
		mono = ns->monotonic;
		boot = ns->boottime;
		mutex_unlock(&ns->mu);
	}
	show(b, "monotonic", mono);
	show(b, "boottime", boot);
}

struct offset {
	bool boot;
	int64_t ns;
};

static int parse_line(const char *line, struct offset *ret)
{
	char clock[10];
	long sec, nsec;
	int end = 0, r = 0;

	if (sscanf(line, "%9s %ld %ld%n", clock, &sec, &nsec, &end) != 3 || line[end + (int)strspn(line + end, " \t")] || nsec < 0 ||
	    nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (!strcmp(clock, "monotonic") || !strcmp(clock, "1"))
		ret->boot = false;
	else if (!strcmp(clock, "boottime") || !strcmp(clock, "7"))
		ret->boot = true;
	else
		r = -EINVAL;
	if (r == 0 && (sec > OFFSET_MAX_SEC || sec < -OFFSET_MAX_SEC))
		r = -ERANGE;
	if (r == 0)
		ret->ns = sec * NSEC_PER_SEC + nsec;
	return r;
}

int64_t time_ns_write_offsets(struct time_ns *ns, const struct cred *c, char *text, size_t n)
{
	struct offset off[MAX_OFFSETS];
	size_t nr = 0;
	char *save;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = nr == MAX_OFFSETS ? -EINVAL : parse_line(line, &off[nr]);

		if (r < 0)
			return r;
		nr++;
	}
	if (!cred_ns_capable(c, ns ? ns->user_ns : NULL, LINUX_CAP_SYS_TIME))
		return -EPERM;
	if (!ns)
		return -EACCES; /* the initial one has had tasks from the beginning */
	mutex_guard(&ns->mu);
	/* A clock that would be negative, or end within a lifetime. */
	for (size_t i = 0; i < nr; i++)
		if (ktime_mono() + off[i].ns < 0)
			return -ERANGE;
	if (ns->frozen)
		return -EACCES;
	for (size_t i = 0; i < nr; i++)
		*(off[i].boot ? &ns->boottime : &ns->monotonic) = off[i].ns;
	return (int64_t)n;
}

/* --- state --- */

static int time_ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct time_ns *ns = obj;
	Sentry__TimeNs *m = msg;

	m->ino = ns->ino;
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
	m->monotonic = ns->monotonic;
	m->boottime = ns->boottime;
	m->frozen = ns->frozen;
	return 0;
}

static int time_ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct time_ns *ns = obj;
	const Sentry__TimeNs *m = msg;
	const int64_t max = (OFFSET_MAX_SEC + 1) * NSEC_PER_SEC;
	int e = state_check(r, m->monotonic <= max && m->monotonic >= -max && m->boottime <= max && m->boottime >= -max,
			    "time offset out of range");

	if (e < 0)
		return e;
	ns->ino = m->ino;
	ns->monotonic = m->monotonic;
	ns->boottime = m->boottime;
	ns->frozen = m->frozen;
	return state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns);
}

static void time_ns_get_state(void *obj)
{
	(void)time_ns_get(obj);
}

static void time_ns_put_state(void *obj)
{
	time_ns_put(obj);
}

const struct state_type time_ns_state_type = {
	.id = STATE_ID_time_ns,
	.name = "time_ns",
	.desc = &sentry__time_ns__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = time_ns_alloc,
	.save = time_ns_save,
	.load = time_ns_load,
	.get = time_ns_get_state,
	.put = time_ns_put_state,
};
