/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of an IPC namespace as /proc/sys has them. Linux: ipc/ipc_sysctl.c, ipc/mq_sysctl.c.
 *
 * No lock: a limit is one word, looked at when something is made.
 */
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "sentry/ipc/ipc_internal.h"

struct limit {
	const char *name;
	size_t off;
	uint32_t bytes; /* of each value */
	int n;
	int64_t min, max; /* of the 32-bit ones */
};

#define INT_LIMIT(name, field, lo, hi) { name, offsetof(struct ipc_ns, field), sizeof(int32_t), 1, lo, hi }
#define LONG_LIMIT(name, field)	       { name, offsetof(struct ipc_ns, field), sizeof(uint64_t), 1, 0, 0 }

static const struct limit limits[] = {
	LONG_LIMIT("shmmax", shmmax),
	LONG_LIMIT("shmall", shmall),
	INT_LIMIT("shmmni", shmmni, 0, IPC_MNI),
	INT_LIMIT("msgmax", msgmax, 0, INT_MAX),
	INT_LIMIT("msgmnb", msgmnb, 0, INT_MAX),
	INT_LIMIT("msgmni", msgmni, 0, IPC_MNI),
	{ "sem", offsetof(struct ipc_ns, sem_ctls), sizeof(int32_t), 4, 0, INT_MAX },
	INT_LIMIT("queues_max", mq.queues_max, 0, INT_MAX),
	INT_LIMIT("msg_max", mq.msg_max, 1, MQ_MSG_HARD),
	INT_LIMIT("msgsize_max", mq.msgsize_max, MQ_SIZE_MIN, MQ_SIZE_HARD),
	INT_LIMIT("msg_default", mq.msg_default, 1, MQ_MSG_HARD),
	INT_LIMIT("msgsize_default", mq.msgsize_default, MQ_SIZE_MIN, MQ_SIZE_HARD),
};

static const struct limit *limit_find(const char *name, int n)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (!strcmp(limits[i].name, name))
			return limits[i].n == n ? &limits[i] : NULL;
	return NULL;
}

int ipc_ns_sysctl_get(struct ipc_ns *ns, const char *name, int64_t *ret, int n)
{
	const struct limit *l = limit_find(name, n);
	char *at = (char *)ns;

	if (!l)
		return -ENOENT;
	for (int i = 0; i < n; i++) {
		if (l->bytes == sizeof(uint64_t))
			ret[i] = (int64_t)__atomic_load_n((uint64_t *)(void *)(at + l->off) + i, __ATOMIC_RELAXED);
		else
			ret[i] = ipc_limit((int32_t *)(void *)(at + l->off) + i);
	}
	return 0;
}

int ipc_ns_sysctl_set(struct ipc_ns *ns, const char *name, const int64_t *v, int n)
{
	const struct limit *l = limit_find(name, n);
	char *at = (char *)ns;

	if (!l)
		return -ENOENT;
	for (int i = 0; i < n && l->bytes == sizeof(int32_t); i++)
		if (v[i] < l->min || v[i] > l->max)
			return -EINVAL;
	if (!strcmp(name, "sem") && v[3] > IPC_MNI)
		return -ERANGE;
	for (int i = 0; i < n; i++) {
		if (l->bytes == sizeof(uint64_t))
			__atomic_store_n((uint64_t *)(void *)(at + l->off) + i, (uint64_t)v[i], __ATOMIC_RELAXED);
		else
			__atomic_store_n((int32_t *)(void *)(at + l->off) + i, (int32_t)v[i], __ATOMIC_RELAXED);
	}
	return 0;
}
