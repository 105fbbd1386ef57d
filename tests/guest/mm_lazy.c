// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that is still in an image: read, written by the application and by system calls, shared with children, dropped and moved, in
 * random order over several checkpoints. Every page carries the number of its last change, which a table knows.
 */
#include "guest.h"

#include <sys/uio.h>
#include <sys/wait.h>

#define PAGES 2048
#define ROUNDS 4
#define STEPS 600

static unsigned seed = 7;

static unsigned rnd(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

struct area {
	char *p;
	unsigned *want; /* per page: its number; 0: zeroes */
};

static void put(struct area *a, size_t page, unsigned v)
{
	unsigned *w = (unsigned *)(a->p + page * PAGE);

	w[0] = w[PAGE / 8] = w[PAGE / 4 - 1] = v;
	a->want[page] = v;
}

static int right(const char *p, unsigned v)
{
	const unsigned *w = (const unsigned *)p;

	return w[0] == v && w[PAGE / 8] == v && w[PAGE / 4 - 1] == v;
}

static void check_all(const struct area *a)
{
	for (size_t i = 0; i < PAGES; i++)
		CHECK(right(a->p + i * PAGE, a->want[i]));
}

/* A system call writes what the application has not touched since the restore. */
static void by_read(struct area *a, size_t page, unsigned v)
{
	unsigned buf[PAGE / 4] = { 0 };
	int fd[2];

	buf[0] = buf[PAGE / 8] = buf[PAGE / 4 - 1] = v;
	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(write(fd[1], buf, PAGE), PAGE);
	CHECK_EQ(read(fd[0], a->p + page * PAGE, PAGE), PAGE);
	close(fd[0]);
	close(fd[1]);
	a->want[page] = v;
}

/* A child sees what we have, changes its own (a private area) or ours (a shared one). */
static void in_child(struct area *a, size_t page, unsigned v, int shared)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		if (!right(a->p + page * PAGE, a->want[page]))
			_exit(1);
		put(a, page, v);
		_exit(right(a->p + page * PAGE, v) ? 0 : 2);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	if (shared)
		a->want[page] = v;
	CHECK(right(a->p + page * PAGE, a->want[page]));
}

static void by_vm_writev(struct area *a, size_t page, unsigned v)
{
	struct iovec to = { a->p + page * PAGE, PAGE };
	unsigned buf[PAGE / 4] = { 0 };
	struct iovec from = { buf, PAGE };

	buf[0] = buf[PAGE / 8] = buf[PAGE / 4 - 1] = v;
	CHECK_EQ(process_vm_writev(getpid(), &from, 1, &to, 1, 0), PAGE);
	a->want[page] = v;
}

static void step(struct area *a, unsigned v, int shared)
{
	size_t page = rnd(PAGES), n = 1 + rnd(24);

	switch (rnd(9)) {
	case 0:
	case 1:
		for (; n && page < PAGES; n--, page++)
			put(a, page, v);
		break;
	case 2:
		by_read(a, page, v);
		break;
	case 3:
		in_child(a, page, v, shared);
		break;
	case 4:
		if (shared)
			break;
		n = n < PAGES - page ? n : PAGES - page;
		CHECK_EQ(madvise(a->p + page * PAGE, n * PAGE, MADV_DONTNEED), 0);
		memset(a->want + page, 0, n * sizeof(*a->want));
		break;
	case 5:
		n = n < PAGES - page ? n : PAGES - page;
		CHECK_EQ(mprotect(a->p + page * PAGE, n * PAGE, PROT_READ), 0);
		CHECK(right(a->p + page * PAGE, a->want[page]));
		CHECK_EQ(mprotect(a->p + page * PAGE, n * PAGE, PROT_READ | PROT_WRITE), 0);
		put(a, page, v);
		break;
	case 6:
		by_vm_writev(a, page, v);
		break;
	default:
		for (; n && page < PAGES; n--, page++)
			CHECK(right(a->p + page * PAGE, a->want[page]));
	}
}

static struct area area(int flags, int fd)
{
	struct area a = { .want = calloc(PAGES, sizeof(*a.want)) };

	a.p = OK(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0));
	for (size_t i = 0; i < PAGES; i++)
		if (i % 5)
			put(&a, i, (unsigned)i + 1);
	return a;
}

void guest_test(void)
{
	int fd = OK(memfd_create("lazy", 0));
	struct area a[3];

	CHECK_EQ(ftruncate(fd, PAGES * PAGE), 0);
	a[0] = area(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	a[1] = area(MAP_SHARED | MAP_ANONYMOUS, -1);
	a[2] = area(MAP_SHARED, fd);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		guest_checkpoint();
		for (unsigned i = 0; i < STEPS; i++)
			step(&a[i % 3], round * 100000 + i, i % 3 != 0);
		/* Moved with everything that is in it. */
		a[0].p = mremap(a[0].p, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, OK(mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
		CHECK(a[0].p != MAP_FAILED);
		if (round % 2)
			for (int i = 0; i < 3; i++)
				check_all(&a[i]);
	}
	for (int i = 0; i < 3; i++)
		check_all(&a[i]);
}
