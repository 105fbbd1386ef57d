// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of memory calls in corner cases; the runner compares them with the host. */
#include "guest.h"

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
/* For calls that return addresses. */
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define AT_P(x) (base + (x) * PAGE)

static char *base; /* a hole of 64 pages to place things in */

static char *hole(void)
{
	base = (char *)0x1000000000; /* far from where anything else goes */
	munmap(base, 64 * PAGE);
	return base;
}

static char *fix(int page, int n, int prot, int flags)
{
	return mmap(AT_P(page), n * PAGE, prot, flags | MAP_FIXED, -1, 0);
}

/* "rwxp off name" of the mappings inside the hole. */
static void show(void)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long a, b;
		char prot[8];

		if (sscanf(line, "%lx-%lx %7s", &a, &b, prot) == 3 && a >= (uintptr_t)base && b <= (uintptr_t)base + 64 * PAGE)
			dprintf(1, "call map %lu+%lu %s%s\n", (a - (uintptr_t)base) / PAGE, (b - a) / PAGE, prot, strchr(line, '[') ? strchr(line, '[') : "");
	}
	if (f)
		fclose(f);
}

/* A flag of the mapping at @p in smaps' VmFlags. */
static int vmflag(const void *p, const char *flag)
{
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");
	bool in = false;
	int r = -1;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2)
			in = a <= (uintptr_t)p && (uintptr_t)p < b;
		else if (in && !strncmp(line, "VmFlags:", 8))
			r = strstr(line, flag) != NULL;
	}
	if (f)
		fclose(f);
	return r;
}

static void do_mmap(void)
{
	int fd = guest_make_file("f", 2 * PAGE, 1), ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY)), d = OK(open(".", O_RDONLY)), pp[2];
	int op = OK(open("f", O_PATH));

	OK(pipe(pp));
	hole();
	E(mmap(NULL, 0, RW, ANON, -1, 0));
	E(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
	E(mmap(NULL, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0));
	E(mmap(NULL, PAGE, RW, MAP_ANONYMOUS | 0x0f, -1, 0));
	E(mmap(NULL, PAGE, RW, ANON, -1, 1));
	E(mmap(NULL, PAGE, RW, ANON, 99, 0));
	E(mmap(NULL, PAGE, RW, ANON, -1, -(off_t)PAGE));
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 5));
	E(mmap(NULL, PAGE, RW, 0, fd, 0));
	E(mmap(NULL, PAGE, RW, 0x0f, fd, 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | 0x8000000, fd, 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE, fd, 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_SYNC, fd, 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0));
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0));
	E(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0));
	E(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE, wo, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, op, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pp[0], 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pp[1], 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
	E(mmap(NULL, PAGE, PROT_READ, ANON | MAP_GROWSDOWN, -1, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1L << 62));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -(off_t)PAGE));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, INT64_MAX & ~(PAGE - 1)));
	E(mmap(NULL, 1UL << 47, PROT_READ, ANON, -1, 0));
	E(mmap(NULL, -1UL, PROT_READ, ANON, -1, 0));
	E(mmap(NULL, PAGE, 0xff000, ANON, -1, 0));
	E(mmap(AT_P(0) + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(mmap((void *)(1UL << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(mmap((void *)((1UL << 47) - PAGE), PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(mmap((void *)((1UL << 47) - PAGE), PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	V((char *)mmap(AT_P(3), PAGE, RW, ANON, -1, 0) - base); /* a hint */
	V((char *)mmap(AT_P(5) + 100, PAGE, RW, ANON, -1, 0) - base);
	V((char *)mmap(AT_P(3), PAGE, RW, ANON, -1, 0) == AT_P(3)); /* taken */
	E(mmap(AT_P(3), PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	E(mmap(AT_P(2), 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	V((char *)mmap(AT_P(4), PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) - base);
	E(mmap(AT_P(8) + 1, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	show();
	V((uintptr_t)mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0) < (1UL << 32));
	E(mmap(NULL, 2 << 20, RW, ANON | MAP_HUGETLB, -1, 0));
	E(mmap(NULL, PAGE, RW, ANON | MAP_HUGETLB | (21 << 26), -1, 0));
	E(mmap(NULL, PAGE, RW, ANON | MAP_HUGETLB | (30 << 26), -1, 0));
	E(mmap(NULL, PAGE, RW, ANON | MAP_HUGETLB | (29 << 26), -1, 0));
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_HUGETLB, fd, 0));
	/* What a read-only descriptor's shared mapping may become. */
	char *p = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
	V(mprotect(p, PAGE, RW));
	V(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	munmap(p, PAGE);
	/* Beyond the end: SIGBUS, not an error. */
	p = OK(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
	V(write(pp[1], p + 2 * PAGE, 1));
	V(write(pp[1], p + 2 * PAGE - 1, 2));
	V(p[2 * PAGE - 1] == p[2 * PAGE - 1]);
	munmap(p, 4 * PAGE);
	munmap(base, 64 * PAGE);
	V(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("/dev/null", O_RDWR)), 0) == MAP_FAILED ? errno : 0);
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE, OK(open("/dev/zero", O_RDWR)), 0));
	E(mmap(NULL, PAGE, RW, MAP_SHARED, OK(open("/dev/zero", O_RDWR)), 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("/proc/self/maps", O_RDONLY)), 0));
}

static void do_munmap(void)
{
	hole();
	fix(0, 8, RW, ANON);
	V(munmap(AT_P(0) + 1, PAGE));
	V(munmap(AT_P(0), 0));
	V(munmap(AT_P(0), -1UL));
	V(munmap((void *)(1UL << 47), PAGE));
	V(munmap((void *)((1UL << 47) - PAGE), PAGE));
	V(munmap((void *)((1UL << 47) - PAGE), 2 * PAGE));
	V(munmap(AT_P(2), 1));
	V(munmap(AT_P(2), PAGE));
	V(munmap(AT_P(4), 2 * PAGE + 5));
	show();
	V(munmap(base, 64 * PAGE));
	V(munmap(base, 64 * PAGE));
	V(munmap(NULL, PAGE));
}

static void do_mprotect(void)
{
	hole();
	fix(0, 4, RW, ANON);
	fix(6, 2, RW, ANON);
	V(mprotect(AT_P(0) + 1, PAGE, PROT_READ));
	V(mprotect(AT_P(0), 0, PROT_READ));
	V(mprotect(AT_P(5), 0, PROT_READ));
	V(mprotect(AT_P(0), -1UL, PROT_READ));
	V(mprotect(AT_P(0), PAGE, 0x100));
	V(mprotect(AT_P(0), PAGE, 0x8 | PROT_READ));
	V(mprotect(AT_P(0), PAGE, PROT_READ | PROT_GROWSDOWN));
	V(mprotect(AT_P(0), PAGE, PROT_READ | PROT_GROWSUP));
	V(mprotect(AT_P(0), PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	V(mprotect(AT_P(5), PAGE, PROT_READ));
	V(mprotect(AT_P(3), 4 * PAGE, PROT_READ)); /* a hole in the middle: the first part is done */
	show();
	V(mprotect(AT_P(1), PAGE, PROT_NONE));
	V(mprotect(AT_P(1), 1, PROT_READ | PROT_EXEC));
	show();
	V(mprotect(AT_P(0), 4 * PAGE, RW));
	show();
	V(syscall(SYS_pkey_mprotect, AT_P(0), PAGE, PROT_READ, -1));
	V(syscall(SYS_pkey_mprotect, AT_P(0), PAGE, PROT_READ, 5));
	V(syscall(SYS_pkey_mprotect, AT_P(0), PAGE, PROT_READ, 16));
	V(syscall(SYS_pkey_alloc, 1, 0));
	V(syscall(SYS_pkey_alloc, 0, 8));
	V(syscall(SYS_pkey_free, 1));
	char *st = OK(mmap(AT_P(30), 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
	V(mprotect(st + PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	show();
	V(vmflag(st, "gd"));
	munmap(base, 64 * PAGE);
}

static void do_mremap(void)
{
	int fd = guest_make_file("mr", 4 * PAGE, 2);
	char *p;

	hole();
	fix(0, 4, RW, ANON);
	AT_P(0)[0] = 1;
	AT_P(3)[0] = 4;
	E(mremap(AT_P(0) + 1, PAGE, PAGE, 0));
	E(mremap(AT_P(0), PAGE, 0, 0));
	E(mremap(AT_P(0), PAGE, PAGE, 8));
	E(mremap(AT_P(0), PAGE, PAGE, MREMAP_FIXED, AT_P(10)));
	E(mremap(AT_P(0), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(10) + 1));
	E(mremap(AT_P(0), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(0)));
	E(mremap(AT_P(0), 3 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(2)));
	E(mremap(AT_P(0), PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
	E(mremap(AT_P(0), PAGE, PAGE, MREMAP_DONTUNMAP, 0));
	E(mremap(AT_P(8), PAGE, PAGE, 0));
	E(mremap(AT_P(8), PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	E(mremap(AT_P(3), 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE)); /* old range beyond its mapping */
	E(mremap(AT_P(0), PAGE, -1UL, MREMAP_MAYMOVE));
	E(mremap(AT_P(0), PAGE, 1UL << 47, MREMAP_MAYMOVE));
	E(mremap(AT_P(0), 0, PAGE, MREMAP_MAYMOVE)); /* duplicates only shared mappings */
	V((char *)mremap(AT_P(0), 4 * PAGE, 2 * PAGE, 0) - base);
	show();
	V((char *)mremap(AT_P(0), 2 * PAGE, 5 * PAGE, 0) - base);
	V(AT_P(3)[0]);
	fix(6, 1, PROT_READ, ANON);
	E(mremap(AT_P(0), 5 * PAGE, 7 * PAGE, 0));
	V((char *)mremap(AT_P(0), 5 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(10)) - base);
	V(AT_P(10)[0]);
	show();
	V((char *)mremap(AT_P(10), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, AT_P(20)) - base);
	V(AT_P(20)[0]);
	V(AT_P(10)[0]);
	show();
	p = OK(mmap(AT_P(30), 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	V((char *)mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(34)) - base);
	V(AT_P(34)[7] == p[7]);
	E(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
	p = OK(mmap(AT_P(40), 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0));
	E(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
	/* Only a part of a mapping is in the way. */
	V((char *)mremap(AT_P(20), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT_P(50)) - base);
	show();
	munmap(base, 64 * PAGE);
	close(fd);
}

static void do_madvise(void)
{
	static const int all[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 99, -1 };
	int fd = guest_make_file("ma", 4 * PAGE, 2), fds[3];
	char *p;

	hole();
	fds[0] = -1;
	fds[1] = fd;
	fds[2] = fd;
	for (int kind = 0; kind < 4; kind++) {
		dprintf(1, "call kind %d\n", kind);
		for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
			if (kind == 3)
				p = mmap(AT_P(0), 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			else
				p = mmap(AT_P(0), 2 * PAGE, RW, (kind == 2 ? MAP_SHARED : MAP_PRIVATE) | (kind ? 0 : MAP_ANONYMOUS) | MAP_FIXED, fds[kind], 0);
			p[0] = 5;
			dprintf(1, "call advice %d\n", all[i]);
			V(madvise(p, PAGE, all[i]));
			if ((all[i] != 9 || kind < 2) && all[i] != 8) /* MADV_FREE: now or later */
				V(p[0]);
		}
	}
	fix(0, 2, RW, ANON);
	V(madvise(AT_P(0) + 1, PAGE, 4));
	V(madvise(AT_P(0), 0, 4));
	V(madvise(AT_P(0), 0, 99));
	V(madvise(AT_P(0), -1UL, 4));
	V(madvise(AT_P(0), -PAGE, 4));
	fix(4, 1, RW, ANON);
	AT_P(4)[0] = 3;
	V(madvise(AT_P(0), 5 * PAGE, 4)); /* a hole: the rest is done */
	V(AT_P(4)[0]);
	V(madvise(AT_P(10), PAGE, 4));
	V(madvise(AT_P(0), 5 * PAGE, 22));
	V(madvise(AT_P(10), PAGE, 22));
	V(mprotect(AT_P(0), PAGE, PROT_NONE));
	V(madvise(AT_P(0), PAGE, 22));
	V(madvise(AT_P(0), PAGE, 23));
	V(mprotect(AT_P(0), PAGE, PROT_READ));
	V(madvise(AT_P(0), PAGE, 22));
	V(madvise(AT_P(0), PAGE, 23));
	fix(20, 1, RW, ANON);
	V(mlock(AT_P(20), PAGE));
	V(madvise(AT_P(20), PAGE, 4));
	V(madvise(AT_P(20), PAGE, 24));
	V(madvise(AT_P(20), PAGE, 8));
	V(madvise(AT_P(20), PAGE, 20));
	V(madvise(AT_P(20), PAGE, 21));
	V(madvise(AT_P(20), PAGE, 9));
	p = mmap(AT_P(30), 4 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	V(madvise(p, PAGE, 9));
	p = mmap(AT_P(30), 8 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	V(p[PAGE + 1] != 0);
	V(madvise(p + PAGE, PAGE, 9));
	V(p[PAGE + 1]);
	V(madvise(p + 6 * PAGE, PAGE, 22)); /* beyond the end */
	/* Flags that show. */
	fix(40, 6, RW, ANON);
	V(madvise(AT_P(40), PAGE, 10));
	V(madvise(AT_P(41), PAGE, 16));
	V(madvise(AT_P(42), PAGE, 18));
	V(madvise(AT_P(43), PAGE, 1));
	V(madvise(AT_P(44), PAGE, 15));
	V(vmflag(AT_P(40), "dc"));
	V(vmflag(AT_P(41), "dd"));
	V(vmflag(AT_P(42), "wf"));
	V(vmflag(AT_P(43), "rr"));
	V(vmflag(AT_P(44), "nh"));
	show();
	V(madvise(AT_P(40), 6 * PAGE, 11));
	V(madvise(AT_P(40), 6 * PAGE, 17));
	V(madvise(AT_P(40), 6 * PAGE, 19));
	V(madvise(AT_P(40), 6 * PAGE, 0));
	V(vmflag(AT_P(40), "dc"));
	AT_P(45)[0] = 7;
	V(madvise(AT_P(45), PAGE, 18));
	pid_t c;
	CHILD (c) {
		V(AT_P(45)[0]);
		V(vmflag(AT_P(45), "wf"));
		_exit(0);
	}
	guest_reap(c);
	munmap(base, 64 * PAGE);
	close(fd);
}

static long locked_kb(void)
{
	char buf[4096], *p;

	guest_read_file("/proc/self/status", buf, sizeof(buf));
	p = strstr(buf, "VmLck:");
	return p ? atol(p + 6) : -1;
}

static void do_mlock(void)
{
	struct rlimit rl;

	hole();
	fix(0, 4, RW, ANON);
	V(mlock(AT_P(0), 2 * PAGE));
	V(locked_kb());
	V(mlock(AT_P(0) + 100, 10));
	V(locked_kb());
	V(mlock(AT_P(1) + 4000, 200));
	V(locked_kb());
	V(mlock(AT_P(0), 0));
	V(mlock(AT_P(0), -1UL));
	V(mlock(AT_P(3), 2 * PAGE));
	V(locked_kb());
	V(munlock(AT_P(3), 2 * PAGE));
	V(locked_kb());
	V(munlock(AT_P(10), PAGE));
	V(munlock(AT_P(0), -1UL));
	V(mlock2(AT_P(0), PAGE, 2));
	V(mlock2(AT_P(0), PAGE, MLOCK_ONFAULT));
	V(vmflag(AT_P(0), "lo"));
	V(vmflag(AT_P(0), "lf"));
	V(mlockall(0));
	V(mlockall(8));
	V(mlockall(MCL_ONFAULT));
	V(munlockall());
	V(locked_kb());
	V(mlockall(MCL_FUTURE));
	fix(6, 1, RW, ANON);
	V(locked_kb());
	V(vmflag(AT_P(6), "lo"));
	pid_t c;
	CHILD (c) {
		V(locked_kb());
		fix(7, 1, RW, ANON);
		V(vmflag(AT_P(7), "lo"));
		_exit(0);
	}
	guest_reap(c);
	V(munlockall());
	fix(8, 1, PROT_NONE, ANON);
	V(mlock(AT_P(8), PAGE));
	CHILD (c) {
		V(munlockall());
		rl = (struct rlimit){ 2 * PAGE + 100, 2 * PAGE + 100 };
		OK(setrlimit(RLIMIT_MEMLOCK, &rl));
		OK(setresuid(1000, 1000, 1000));
		fix(10, 4, RW, ANON);
		V(mlock(AT_P(10), 3 * PAGE));
		V(mlock(AT_P(10), 2 * PAGE));
		V(mlock(AT_P(11), 2 * PAGE));
		V(mlockall(MCL_CURRENT));
		V(mlockall(MCL_FUTURE));
		E(mmap(NULL, PAGE, RW, ANON, -1, 0));
		V(munlockall());
		E(mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
		E(mmap(NULL, 3 * PAGE, RW, ANON | MAP_LOCKED, -1, 0));
		V(mlock(AT_P(10), PAGE));
		E(mremap(AT_P(10), PAGE, 4 * PAGE, MREMAP_MAYMOVE));
		rl.rlim_cur = 0;
		OK(setrlimit(RLIMIT_MEMLOCK, &rl));
		V(mlock(AT_P(10), PAGE));
		V(mlockall(MCL_CURRENT));
		V(mlock2(AT_P(10), PAGE, MLOCK_ONFAULT));
		E(mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
		V(munlock(AT_P(10), PAGE));
		_exit(0);
	}
	guest_reap(c);
	munmap(base, 64 * PAGE);
}

static void do_msync(void)
{
	int fd = guest_make_file("ms", 2 * PAGE, 2);
	unsigned char vec[8];

	hole();
	OK(mmap(AT_P(0), 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	fix(4, 2, RW, ANON);
	V(msync(AT_P(0), 2 * PAGE, MS_SYNC));
	V(msync(AT_P(0), 2 * PAGE, MS_ASYNC));
	V(msync(AT_P(0), 2 * PAGE, MS_ASYNC | MS_SYNC));
	V(msync(AT_P(0), 2 * PAGE, MS_INVALIDATE));
	V(msync(AT_P(0), 2 * PAGE, 0));
	V(msync(AT_P(0), 2 * PAGE, 8));
	V(msync(AT_P(0) + 1, PAGE, MS_SYNC));
	V(msync(AT_P(0), 0, MS_SYNC));
	V(msync(AT_P(0), -1UL, MS_SYNC));
	V(msync(AT_P(0), -PAGE, MS_SYNC));
	V(msync(AT_P(0), 6 * PAGE, MS_SYNC));
	V(msync(AT_P(4), PAGE, MS_SYNC));
	V(msync(AT_P(10), PAGE, MS_SYNC));
	V(msync(AT_P(10), 0, MS_SYNC));
	V(mlock(AT_P(0), PAGE));
	V(msync(AT_P(0), 2 * PAGE, MS_INVALIDATE));
	V(msync(AT_P(0), 2 * PAGE, MS_INVALIDATE | MS_SYNC));
	V(mincore(AT_P(4), 2 * PAGE, vec));
	V(vec[0]);
	AT_P(4)[0] = 1;
	V(mincore(AT_P(4), 2 * PAGE, vec));
	V(vec[0]);
	V(vec[1]);
	V(mincore(AT_P(4) + 1, PAGE, vec));
	V(mincore(AT_P(4), 0, vec));
	V(mincore(AT_P(4), 3 * PAGE, vec));
	V(mincore(AT_P(10), PAGE, vec));
	V(mincore(AT_P(4), 1, vec));
	V(mincore(AT_P(4), PAGE, (void *)8));
	V(mincore(AT_P(4), -1UL, vec));
	V(mincore((void *)(1UL << 47), PAGE, vec));
	munmap(base, 64 * PAGE);
	close(fd);
}

static void do_brk(void)
{
	char *b = (char *)syscall(SYS_brk, 0), *blk;
	struct rlimit rl;
	pid_t c;

	V((char *)syscall(SYS_brk, 1) - b);
	V((char *)syscall(SYS_brk, b + 100) - b);
	V((char *)syscall(SYS_brk, b + 3 * PAGE) - b);
	V((char *)syscall(SYS_brk, -1UL) - b);
	V((char *)syscall(SYS_brk, b) - b);
	blk = mmap((char *)(((uintptr_t)b + 8 * PAGE) & ~(PAGE - 1)), PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
	V((char *)syscall(SYS_brk, b + 9 * PAGE) - b);
	V((char *)syscall(SYS_brk, b + 5 * PAGE) - b);
	V((char *)syscall(SYS_brk, b) - b);
	munmap(blk, PAGE);
	CHILD (c) {
		rl = (struct rlimit){ 1 << 20, 1 << 20 };
		OK(setrlimit(RLIMIT_DATA, &rl));
		V((char *)syscall(SYS_brk, b + (16 << 20)) - b);
		E(mmap(NULL, 2 << 20, RW, ANON, -1, 0));
		E(mmap(NULL, 2 << 20, PROT_READ, ANON, -1, 0));
		E(mmap(NULL, 2 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
		char *p = mmap(NULL, 2 << 20, PROT_READ, ANON, -1, 0);
		V(mprotect(p, 2 << 20, RW));
		_exit(0);
	}
	guest_reap(c);
	CHILD (c) {
		rl = (struct rlimit){ 64 << 20, 64 << 20 };
		OK(setrlimit(RLIMIT_AS, &rl));
		E(mmap(NULL, 65 << 20, PROT_NONE, ANON, -1, 0));
		char *p = E(mmap(NULL, 20 << 20, PROT_NONE, ANON, -1, 0)) ? NULL : NULL;
		(void)p;
		V((char *)syscall(SYS_brk, b + (65 << 20)) - b);
		_exit(0);
	}
	guest_reap(c);
}

static void do_prctl(void)
{
	char *p = OK(mmap(NULL, 2 * PAGE, RW, ANON, -1, 0));

	V(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	V(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	pid_t c;
	CHILD (c) {
		V(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
		_exit(0);
	}
	guest_reap(c);
	V(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0));
	V(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	V(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	V(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	V(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 9, 0, 0));
	V(prctl(PR_MCE_KILL, 7, 0, 0, 0));
	V(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0));
	guest_checkpoint();
	V(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
	V(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	V(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0));
	for (int i = -1; i < 17; i++)
		if (i != 14) /* PR_SET_MM_MAP, on its own */
			V(prctl(PR_SET_MM, i, 0, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_START_CODE, 0x400000, 0, 1));
	V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, p, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, (void *)0x10000, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_ENV_END, -1L, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 99, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_AUXV, p, 16, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_AUXV, p, 10000, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_AUXV, p, 10, 0));
	unsigned sz = 0;
	V(prctl(PR_SET_MM, 15, &sz, 0, 0));
	V(sz);
	V(prctl(PR_SET_MM, PR_SET_MM_BRK, p, 0, 0));
	V(prctl(PR_SET_MM, PR_SET_MM_START_BRK, p, 0, 0));
	munmap(p, 2 * PAGE);
}

static void do_barrier(void)
{
	static const int cmds[] = { 1, 2, 4, 8, 16, 1024, -1, 3 };

	V(syscall(SYS_membarrier, 0, 1, 0) == -1);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		dprintf(1, "call barrier %d\n", cmds[i]);
		if (cmds[i] != 1)
			V(syscall(SYS_membarrier, cmds[i], 0, 0));
		V(syscall(SYS_membarrier, cmds[i], 1, 0));
		V(syscall(SYS_membarrier, cmds[i], 2, 0));
	}
	V(syscall(SYS_membarrier, 8, 0, 0));
}

static void do_memfd(void)
{
	char longname[260], *p;
	int fd;

	memset(longname, 'x', sizeof(longname));
	longname[250] = 0;
	E(syscall(SYS_memfd_create, longname, 0));
	longname[249] = 0;
	E(syscall(SYS_memfd_create, longname, 0));
	E(syscall(SYS_memfd_create, "x", 0x100));
	E(syscall(SYS_memfd_create, 8, 0));
	E(syscall(SYS_memfd_create, "x", 0x18));
	E(syscall(SYS_memfd_create, "x", 8));
	E(syscall(SYS_memfd_create, "x", 21 << 26));
	fd = OK((int)syscall(SYS_memfd_create, "seal", 2));
	V(fcntl(fd, F_GETFD));
	V(fcntl(fd, F_GET_SEALS));
	OK(ftruncate(fd, 2 * PAGE));
	V(fcntl(fd, F_ADD_SEALS, 0x100));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	V(ftruncate(fd, 3 * PAGE));
	V(pwrite(fd, "xy", 2, 2 * PAGE - 1));
	V(pwrite(fd, "xy", 2, 2 * PAGE));
	V(fallocate(fd, 0, 0, 3 * PAGE));
	V(fallocate(fd, 1, 0, 3 * PAGE));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	V(ftruncate(fd, PAGE));
	p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	V(write(fd, "x", 1));
	p[0] = 9;
	E(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	char *q = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	V(mprotect(q, PAGE, RW));
	munmap(p, 2 * PAGE);
	munmap(q, PAGE);
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	V(pwrite(fd, "x", 1, 0));
	V(fallocate(fd, 3, 0, PAGE));
	E(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	E(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	V(fcntl(fd, F_GET_SEALS));
	close(fd);
	fd = OK((int)syscall(SYS_memfd_create, "noseal", 1));
	V(fcntl(fd, F_GETFD));
	V(fcntl(fd, F_GET_SEALS));
	V(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	close(fd);
	fd = OK(open("plainfile", O_CREAT | O_RDWR, 0600));
	V(fcntl(fd, F_GET_SEALS) >= -1);
	close(fd);
}

void guest_test(void)
{
	do_mmap();
	do_munmap();
	do_mprotect();
	do_mremap();
	do_madvise();
	do_mlock();
	do_msync();
	do_brk();
	do_prctl();
	do_barrier();
	do_memfd();
}
