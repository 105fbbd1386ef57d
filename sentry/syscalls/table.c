/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch. Handlers are weak references here, so that the table lists every system call whether or not this build implements it.
 */
#include "sentry/syscalls/syscalls.h"

#include "base/log.h"
#include "sentry/syscalls/counts.h"

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
static struct {
	_Atomic uint64_t calls, errors, ns;
} counters[ARRAY_SIZE(table)];
_Atomic bool syscall_timing;

void syscall_count_get(uint64_t nr, struct syscall_count *ret)
{
	*ret = (struct syscall_count){ 0 };
	if (nr < ARRAY_SIZE(table))
		*ret = (struct syscall_count){ atomic_load(&counters[nr].calls), atomic_load(&counters[nr].errors), atomic_load(&counters[nr].ns) };
}

const char *syscall_name(uint64_t nr)
{
	return nr < ARRAY_SIZE(table) && table[nr].name ? table[nr].name : "?";
}

const char *syscall_kinds(uint64_t nr)
{
	return nr < ARRAY_SIZE(table) && table[nr].kinds ? table[nr].kinds : "";
}

/* Calls that move bytes through descriptors, for /proc/pid/io: 1 in, 2 out, 3 both (Linux: add_rchar() and add_wchar() in the VFS). */
static const uint8_t io_calls[ARRAY_SIZE(table)] = {
	[0] = 1, [17] = 1, [19] = 1, [295] = 1, [327] = 1, [1] = 2, [18] = 2, [20] = 2, [296] = 2, [328] = 2, [40] = 3, [326] = 3,
};

static void count_io(struct task *t, int what, int64_t ret)
{
	if (ret == -EFREEZE)
		return;
	if (what & 1) {
		t->syscr++;
		t->rchar += ret > 0 ? ret : 0;
	}
	if (what & 2) {
		t->syscw++;
		t->wchar += ret > 0 ? ret : 0;
	}
}

int64_t syscall_dispatch(struct task *t, uint64_t nr, const struct sys_args *a)
{
	int64_t ret, start = 0;

	if (nr >= ARRAY_SIZE(table) || !table[nr].name)
		return -ENOSYS;
	atomic_fetch_add_explicit(&counters[nr].calls, 1, memory_order_relaxed);
	if (!table[nr].fn) {
		syscall_count_missing(t, nr);
		atomic_fetch_add_explicit(&counters[nr].errors, 1, memory_order_relaxed);
		if (!atomic_exchange(&logged[nr], 1))
			log_warn("system call %s (%lu) is not implemented: ENOSYS", table[nr].name, (unsigned long)nr);
		return -ENOSYS;
	}
	if (unlikely(atomic_load_explicit(&syscall_timing, memory_order_relaxed)))
		start = ktime_mono();
	ret = table[nr].fn(t, a);
	if (unlikely(start))
		atomic_fetch_add_explicit(&counters[nr].ns, (uint64_t)(ktime_mono() - start), memory_order_relaxed);
	if (io_calls[nr])
		count_io(t, io_calls[nr], ret);
	if (ret < 0 && ret > -ERESTARTSYS)
		atomic_fetch_add_explicit(&counters[nr].errors, 1, memory_order_relaxed);
	return ret;
}
