/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO: code mapped into every application, so that libraries find the entry points they look for.
 *
 * Each function makes the real system call. DEVIATION: Linux answers clock reads without a trap; see ARCHITECTURE.md.
 * Built alone, without a library, as one small shared object; nothing here may reference anything outside.
 */
#define EXPORT __attribute__((visibility("default")))

static inline long call2(long nr, long a, long b)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static inline long call3(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

EXPORT int __vdso_clock_gettime(int clock, void *ts);
EXPORT int __vdso_clock_getres(int clock, void *ts);
EXPORT int __vdso_gettimeofday(void *tv, void *tz);
EXPORT long __vdso_time(long *t);
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

int __vdso_clock_gettime(int clock, void *ts)
{
	return (int)call2(228, clock, (long)ts);
}

int __vdso_clock_getres(int clock, void *ts)
{
	return (int)call2(229, clock, (long)ts);
}

int __vdso_gettimeofday(void *tv, void *tz)
{
	return (int)call2(96, (long)tv, (long)tz);
}

long __vdso_time(long *t)
{
	return call2(201, (long)t, 0);
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	return call3(309, (long)cpu, (long)node, 0);
}

#define WEAK(name, target) EXPORT extern __typeof__(target) name __attribute__((weak, alias(#target)))
WEAK(clock_gettime, __vdso_clock_gettime);
WEAK(clock_getres, __vdso_clock_getres);
WEAK(gettimeofday, __vdso_gettimeofday);
WEAK(time, __vdso_time);
WEAK(getcpu, __vdso_getcpu);
