// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of NUMA policy calls, remap_file_pages, process_madvise and process_mrelease; the runner compares them with the host. */
#include "guest.h"

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })

#define DEFAULT	   0
#define PREFERRED  1
#define BIND	   2
#define INTERLEAVE 3
#define LOCAL	   4
#define MANY	   5
#define STATIC	   0x8000
#define RELATIVE   0x4000
#define BALANCING  0x2000

static unsigned long mask[128];
static int mode;

static long get(void *addr, unsigned long maxnode, unsigned flags)
{
	memset(mask, 0x55, sizeof(mask));
	mode = -1;
	return syscall(SYS_get_mempolicy, &mode, mask, maxnode, addr, flags);
}

static long set(int m, unsigned long bits, unsigned long maxnode)
{
	memset(mask, 0, sizeof(mask));
	mask[0] = bits;
	return syscall(SYS_set_mempolicy, m, mask, maxnode);
}

static long bind_to(void *p, size_t n, int m, unsigned long bits, unsigned flags)
{
	memset(mask, 0, sizeof(mask));
	mask[0] = bits;
	return syscall(SYS_mbind, p, n, m, mask, 64, flags);
}

static void task_policy(void)
{
	V(get(NULL, 1024, 0));
	V(mode);
	V(mask[0]);
	V(mask[15]);
	V(get(NULL, 0, 0));
	V(get(NULL, 1, 0));
	V(mask[0]);
	V(get(NULL, 64, 4));
	V(mask[0]);
	V(get(NULL, 64, 5));
	V(get(NULL, 64, 8));
	V(get(NULL, 64, 1));
	V(get(mask, 64, 0));
	V(get((void *)8, 64, 2));
	V(get(mask, 64, 3));
	V(mode);
	V(get(NULL, 40000, 0));
	V(syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));
	V(syscall(SYS_get_mempolicy, 8, NULL, 0, NULL, 0));
	V(syscall(SYS_get_mempolicy, NULL, 8, 64, NULL, 0));
	for (int m = -1; m < 6; m++) {
		dprintf(1, "call mode %d\n", m);
		V(set(m, 0, 64));
		V(set(m, 1, 64));
		V((get(NULL, 64, 0), mode));
		V(mask[0]);
		V(set(m, 2, 64));
		V(set(m | STATIC, 3, 64));
		V((get(NULL, 64, 0), mode));
		V(mask[0]);
		V(set(m | RELATIVE, 2, 64));
		V((get(NULL, 64, 0), mode));
		V(mask[0]);
		V(set(m | STATIC, 0, 64));
		V(set(m | STATIC | RELATIVE, 1, 64));
		V(set(m | BALANCING, 1, 64));
		V((get(NULL, 64, 0), mode));
		V(get(NULL, 64, 1));
		V(syscall(SYS_set_mempolicy, m, NULL, 0));
	}
	V(set(BIND, 1, 0));
	V(set(BIND, 1, 1));
	V(set(BIND, 1, 2));
	V(set(BIND, 3, 2));
	V(set(BIND, 1, 1025));
	V(set(BIND, 1, 8192));
	V(set(BIND, 1, 40000));
	V(syscall(SYS_set_mempolicy, BIND, 8, 64));
	V(set(INTERLEAVE, 1, 64));
	V(get(NULL, 64, 1));
	V(mode);
	pid_t c;
	CHILD (c) {
		V((get(NULL, 64, 0), mode));
		_exit(0);
	}
	guest_reap(c);
	guest_checkpoint();
	V((get(NULL, 64, 0), mode));
	V(set(DEFAULT, 1, 64));
	V(set(DEFAULT, 0, 64));
}

/* The policy column of the mapping at @p. */
static void numa_line(void *p)
{
	char line[512], want[32];
	FILE *f = fopen("/proc/self/numa_maps", "r");

	snprintf(want, sizeof(want), "%08lx ", (unsigned long)p);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, want, strlen(want))) {
			char *s = line + strlen(want), *e = strchr(s, ' ');

			dprintf(1, "call numa_maps %.*s\n", e ? (int)(e - s) : (int)strcspn(s, "\n"), s);
		}
	if (f)
		fclose(f);
}

static void mapping_policy(void)
{
	char *p = OK(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	memset(p, 1, 8 * PAGE);
	V(bind_to(p, PAGE, BIND, 1, 0x100));
	V(bind_to(p + 1, PAGE, BIND, 1, 0));
	V(bind_to(p, 0, BIND, 1, 0));
	V(bind_to(p, 0, BIND, 2, 0));
	V(bind_to(p, -PAGE, BIND, 1, 0));
	V(bind_to((void *)0x10000, PAGE, BIND, 1, 0));
	V(bind_to(p, PAGE, 77, 1, 0));
	V(bind_to(p, PAGE, BIND, 0, 0));
	V(bind_to(p, PAGE, BIND, 2, 0));
	V(bind_to(p, PAGE, BIND, 1, 7));
	V(bind_to(p, 2 * PAGE, BIND, 1, 0));
	V(bind_to(p + 2 * PAGE, PAGE, PREFERRED, 1, 1));
	V(bind_to(p + 3 * PAGE, PAGE, INTERLEAVE | STATIC, 1, 3));
	V(bind_to(p + 4 * PAGE, PAGE, LOCAL, 0, 0));
	V(bind_to(p + 5 * PAGE, PAGE, MANY, 1, 0));
	V(bind_to(p + 6 * PAGE, PAGE, BIND | RELATIVE, 2, 0));
	V((get(p + PAGE, 64, 2), mode));
	V(mask[0]);
	V((get(p + 2 * PAGE, 64, 2), mode));
	V((get(p + 3 * PAGE, 64, 2), mode));
	V((get(p + 4 * PAGE, 64, 2), mode));
	V((get(p + 6 * PAGE, 64, 2), mode));
	V(mask[0]);
	V((get(p + 7 * PAGE, 64, 2), mode));
	for (int i = 1; i < 7; i++)
		numa_line(p + i * PAGE);
	numa_line(p);
	V(syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 0));
	V(syscall(SYS_set_mempolicy_home_node, p, PAGE, 1, 0));
	V(syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 1));
	V(syscall(SYS_set_mempolicy_home_node, p + 1, PAGE, 0, 0));
	V(syscall(SYS_set_mempolicy_home_node, p, 0, 0, 0));
	V(syscall(SYS_set_mempolicy_home_node, p + 2 * PAGE, PAGE, 0, 0));
	V(syscall(SYS_set_mempolicy_home_node, p + 7 * PAGE, PAGE, 0, 0));
	guest_checkpoint();
	V((get(p + 2 * PAGE, 64, 2), mode));
	V((get(p + 6 * PAGE, 64, 2), mode));
	V(bind_to(p, 8 * PAGE, DEFAULT, 0, 0));
	munmap(p + PAGE, PAGE);
	V(bind_to(p, 3 * PAGE, BIND, 1, 0));
	V(bind_to(p + PAGE, 2 * PAGE, BIND, 1, 0));
	V(bind_to(p, 2 * PAGE, BIND, 1, 0));
	munmap(p, 8 * PAGE);
}

static void pages(void)
{
	char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	void *at[4] = { p, p + PAGE, (void *)0x10000, p + 2 * PAGE + 5 };
	int nodes[4] = { 0, 0, 0, 0 }, st[4] = { 9, 9, 9, 9 };
	unsigned long one = 1, none = 0, two = 2;

	p[0] = 1;
	p[2 * PAGE] = 1;
	V(syscall(SYS_move_pages, 0, 4, at, NULL, st, 0));
	V(st[0]);
	V(st[2]);
	V(st[3]);
	V(syscall(SYS_move_pages, 0, 4, at, nodes, st, 2));
	V(st[0]);
	V(st[2]);
	V(st[3]);
	nodes[1] = 1;
	V(syscall(SYS_move_pages, 0, 4, at, nodes, st, 2));
	nodes[1] = -1;
	V(syscall(SYS_move_pages, 0, 4, at, nodes, st, 2));
	V(syscall(SYS_move_pages, 0, 4, at, nodes, st, 8));
	V(syscall(SYS_move_pages, 0, 4, 8, NULL, st, 0));
	V(syscall(SYS_move_pages, 0, 4, at, NULL, 8, 0));
	V(syscall(SYS_move_pages, 99999, 4, at, NULL, st, 0));
	V(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
	V(syscall(SYS_migrate_pages, 0, 64, &one, &one));
	V(syscall(SYS_migrate_pages, 0, 64, &one, &none));
	V(syscall(SYS_migrate_pages, 0, 64, &one, &two));
	V(syscall(SYS_migrate_pages, 0, 64, 8, &one));
	V(syscall(SYS_migrate_pages, 99999, 64, &one, &one));
	V(syscall(SYS_migrate_pages, getpid(), 64, &one, &one));
	munmap(p, 4 * PAGE);
}

static void remap(void)
{
	int fd = guest_make_file("remap", 6 * PAGE, 3);
	char *p, *q;

	for (int i = 0; i < 6; i++)
		pwrite(fd, &(char){ 'a' + i }, 1, i * PAGE);
	p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	q = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	V(syscall(SYS_remap_file_pages, p, PAGE, 1, 5, 0));
	V(syscall(SYS_remap_file_pages, p, 0, 0, 5, 0));
	V(syscall(SYS_remap_file_pages, q, PAGE, 0, 5, 0));
	V(syscall(SYS_remap_file_pages, 0x10000, PAGE, 0, 5, 0));
	V(syscall(SYS_remap_file_pages, p, PAGE, 0, -1L, 0));
	V(syscall(SYS_remap_file_pages, p, 8 * PAGE, 0, 0, 0));
	V(syscall(SYS_remap_file_pages, p, PAGE, 0, 5, 0));
	V(syscall(SYS_remap_file_pages, p + PAGE, PAGE, 0, 4, 0x10000));
	V(p[0]);
	V(p[PAGE]);
	V(p[2 * PAGE]);
	p[0] = 'z';
	pread(fd, &q[PAGE], 1, 5 * PAGE);
	V(q[PAGE]);
	V(syscall(SYS_remap_file_pages, p, 4 * PAGE, 0, 0, 0));
	V(p[3 * PAGE]);
	guest_checkpoint();
	V(p[0]);
	munmap(p, 4 * PAGE);
	p = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	p[0] = 1;
	p[PAGE] = 2;
	V(syscall(SYS_remap_file_pages, p, PAGE, 0, 1, 0));
	V(p[0]);
	munmap(p, 2 * PAGE);
	munmap(q, 4 * PAGE);
	close(fd);
}

static void others(void)
{
	char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct iovec v[2] = { { p, PAGE }, { p + PAGE, 2 * PAGE } }, bad = { (void *)0x10000, PAGE };
	struct gate g;
	int fd;
	pid_t c;

	memset(p, 1, 4 * PAGE);
	gate_init(&g);
	CHILD (c) {
		gate_wait(&g);
		_exit(0);
	}
	fd = OK((int)syscall(SYS_pidfd_open, c, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, MADV_PAGEOUT, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, MADV_WILLNEED, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, 77, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 1));
	V(syscall(SYS_process_madvise, fd, v, 2000, MADV_COLD, 0));
	V(syscall(SYS_process_madvise, fd, 8, 2, MADV_COLD, 0));
	V(syscall(SYS_process_madvise, -1, v, 2, MADV_COLD, 0));
	V(syscall(SYS_process_madvise, 1, v, 2, MADV_COLD, 0));
	V(syscall(SYS_process_madvise, fd, &bad, 1, MADV_COLD, 0));
	V(syscall(SYS_process_mrelease, fd, 1));
	V(syscall(SYS_process_mrelease, -1, 0));
	V(syscall(SYS_process_mrelease, 1, 0));
	V(syscall(SYS_process_mrelease, fd, 0));
	gate_post(&g);
	guest_reap(c);
	V(syscall(SYS_process_mrelease, fd, 0));
	V(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0));
	close(fd);
	munmap(p, 4 * PAGE);
}

void guest_test(void)
{
	task_policy();
	mapping_policy();
	pages();
	remap();
	others();
}
