/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch. Handlers are weak references here, so that the table lists every system call whether or not this build implements it.
 */
#include "sentry/syscalls/syscalls.h"

#include "base/log.h"

#define SYSCALL(nr, name, kinds) __attribute__((weak)) int64_t sys_##name(struct task *t, const struct sys_args *a);
#include "sentry/syscalls/syscalls.def"
#undef SYSCALL

static const struct {
	sys_fn fn;
	const char *name, *kinds;
} table[] = {
#define SYSCALL(nr, nm, kd) [nr] = { .fn = sys_##nm, .name = #nm, .kinds = kd },
#include "sentry/syscalls/syscalls.def"
#undef SYSCALL
};

static _Atomic uint8_t logged[ARRAY_SIZE(table)];

const char *syscall_name(uint64_t nr)
{
	return nr < ARRAY_SIZE(table) && table[nr].name ? table[nr].name : "?";
}

bool syscall_was_missing(uint64_t nr)
{
	return nr < ARRAY_SIZE(table) && atomic_load(&logged[nr]);
}

const char *syscall_kinds(uint64_t nr)
{
	return nr < ARRAY_SIZE(table) && table[nr].kinds ? table[nr].kinds : "";
}

int64_t syscall_dispatch(struct task *t, uint64_t nr, const struct sys_args *a)
{
	if (nr >= ARRAY_SIZE(table) || !table[nr].name)
		return -ENOSYS;
	if (!table[nr].fn) {
		if (!atomic_exchange(&logged[nr], 1))
			log_warn("system call %s (%lu) is not implemented: ENOSYS", table[nr].name, (unsigned long)nr);
		return -ENOSYS;
	}
	return table[nr].fn(t, a);
}
