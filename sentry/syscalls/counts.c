/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unimplemented calls by task name: a small table, the first names that come. A checkpoint sees nothing of it. missing_mu is a leaf.
 */
#include "sentry/syscalls/counts.h"

#include <string.h>

#define MISSING_MAX 128

static struct mutex missing_mu = MUTEX_INIT("syscalls.missing_mu");
static struct syscall_missing missing[MISSING_MAX]; /* guarded by missing_mu */
static size_t nr_missing;

void syscall_count_missing(struct task *t, uint64_t nr)
{
	mutex_guard(&missing_mu);
	for (size_t i = 0; i < nr_missing; i++)
		if (missing[i].nr == nr && !strcmp(missing[i].comm, t->comm)) {
			missing[i].count++;
			return;
		}
	if (nr_missing == MISSING_MAX)
		return;
	missing[nr_missing] = (struct syscall_missing){ .nr = nr, .count = 1 };
	memcpy(missing[nr_missing].comm, t->comm, sizeof(t->comm));
	nr_missing++;
}

bool syscall_missing_get(size_t i, struct syscall_missing *ret)
{
	mutex_guard(&missing_mu);
	if (i >= nr_missing)
		return false;
	*ret = missing[i];
	return true;
}
