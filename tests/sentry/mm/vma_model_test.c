/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random memory calls, forks and accesses compared with a naive model: an array of pages, each with protection, content byte and
 * sharing. Page content is one byte per page (the first).
 */
#include "mm_test_util.h"

#include <signal.h>

#define PAGES 96
#define BASE  0x10000000ULL
#define PROCS 4
#define SHOBJ 64

struct cell {
	bool there;
	uint32_t prot;
	int sh; /* -1 private; else index of a shared cell */
	uint8_t val;
};

struct proc {
	struct mm *mm;
	bool forked;
	struct cell c[PAGES];
};

static struct proc procs[PROCS];
static uint8_t shared_cells[1 << 16];
static int nr_shared;

static uint64_t at(int page)
{
	return BASE + (uint64_t)page * PAGE_SIZE;
}

static uint8_t *cell_val(struct cell *c)
{
	return c->sh >= 0 ? &shared_cells[c->sh] : &c->val;
}

static void check_proc(struct proc *p)
{
	for (int i = 0; i < PAGES; i++) {
		struct cell *c = &p->c[i];
		int want = c->there && c->prot ? *cell_val(c) : -SIGSEGV;

		if (guest_read(p->mm, at(i)) != want)
			fail_msg("page %d: %d, want %d (there %d prot %u sh %d)", i, guest_read(p->mm, at(i)), want, c->there, c->prot, c->sh);
	}
	/* Neighbours that could be one are one, and the tree is in order. */
	for (struct range *r = p->mm->vmas.first; r && r->next; r = r->next)
		assert_false(r->end == r->next->start && vma_map_ops.can_merge(r, r->next));
}

static void do_map(struct proc *p, int a, int n)
{
	uint32_t prots[] = { 0, LINUX_PROT_READ, RW, RW, RW };
	uint32_t prot = prots[rand() % 5];
	bool shared = rand() % 4 == 0 && nr_shared + n < (int)sizeof(shared_cells);

	assert_int_equal(test_map(p->mm, at(a), (uint64_t)n * PAGE_SIZE, prot,
				  (shared ? SHARED_ANON : PRIV_ANON) | LINUX_MAP_FIXED | (rand() % 8 ? 0 : LINUX_MAP_POPULATE)), at(a));
	for (int i = a; i < a + n; i++)
		p->c[i] = (struct cell){ true, prot, shared ? nr_shared++ : -1, 0 };
}

static void do_protect(struct proc *p, int a, int n)
{
	uint32_t prots[] = { 0, LINUX_PROT_READ, RW };
	uint32_t prot = prots[rand() % 3];
	int64_t want = 0;

	for (int i = a; i < a + n && want == 0; i++)
		want = p->c[i].there ? 0 : -ENOMEM;
	assert_int_equal(mm_mprotect(p->mm, NULL, at(a), (uint64_t)n * PAGE_SIZE, prot), want);
	if (!p->c[a].there)
		return;
	for (int i = a; i < a + n && p->c[i].there; i++)
		p->c[i].prot = prot;
}

static void do_move(struct proc *p, int a, int n)
{
	int to = rand() % (PAGES - n + 1);
	struct cell old[PAGES];
	bool dontunmap = rand() % 4 == 0;
	struct vma *v = vma_find(p->mm, at(a));
	int64_t r;

	if (!v || v->r.end < at(a + n) || (to < a + n && a < to + n))
		return;
	r = mm_mremap(p->mm, NULL, at(a), (uint64_t)n * PAGE_SIZE, (uint64_t)n * PAGE_SIZE,
		      LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED | (dontunmap ? LINUX_MREMAP_DONTUNMAP : 0), at(to));
	assert_int_equal(r, at(to));
	memcpy(old, p->c, sizeof(old));
	for (int i = 0; i < n; i++) {
		p->c[to + i] = old[a + i];
		if (!dontunmap)
			p->c[a + i] = (struct cell){ 0 };
		else if (p->c[a + i].sh < 0)
			p->c[a + i].val = 0;
	}
}

static void put_proc(struct proc *p)
{
	if (p->forked)
		mm_user_put(p->mm);
	mm_put(p->mm);
}

static void do_fork(struct proc *p)
{
	struct proc *q = &procs[rand() % PROCS];
	struct plat_as *as;

	if (q == p)
		return;
	put_proc(q);
	assert_int_equal(mm_fork(p->mm, CTX, &q->mm), 0);
	assert_int_equal(mm_as(q->mm, &as), 0);
	memcpy(q->c, p->c, sizeof(q->c));
	q->forked = true;
}

static void step(struct proc *p)
{
	int a = rand() % PAGES, n = 1 + rand() % 20;

	n = MIN(n, PAGES - a);
	switch (rand() % 12) {
	case 0:
	case 1:
		do_map(p, a, n);
		break;
	case 2:
		assert_int_equal(mm_munmap(p->mm, CTX, at(a), (uint64_t)n * PAGE_SIZE), 0);
		for (int i = a; i < a + n; i++)
			p->c[i] = (struct cell){ 0 };
		break;
	case 3:
		do_protect(p, a, n);
		break;
	case 4:
		do_move(p, a, n);
		break;
	case 5:
		if (rand() % 4 == 0)
			do_fork(p);
		break;
	case 6: {
		bool hole = false;

		for (int i = a; i < a + n; i++) {
			hole |= !p->c[i].there;
			if (p->c[i].there && p->c[i].sh < 0)
				p->c[i].val = 0;
		}
		assert_int_equal(mm_madvise(p->mm, NULL, at(a), (uint64_t)n * PAGE_SIZE, LINUX_MADV_DONTNEED), hole ? -ENOMEM : 0);
		break;
	}
	case 7: {
		uint8_t v = (uint8_t)rand();
		bool ok = p->c[a].there && (p->c[a].prot & LINUX_PROT_WRITE);

		assert_int_equal(mm_copy_out(p->mm, GADDR(at(a)), &v, 1), ok ? 0 : -EFAULT);
		if (ok)
			*cell_val(&p->c[a]) = v;
		break;
	}
	default:
		for (int i = 0; i < 4; i++, a = (a + rand() % 9) % PAGES) {
			uint8_t v = (uint8_t)rand();
			bool ok = p->c[a].there && (p->c[a].prot & LINUX_PROT_WRITE);

			assert_int_equal(guest_write(p->mm, at(a), v), ok ? 0 : SIGSEGV);
			if (ok)
				*cell_val(&p->c[a]) = v;
		}
	}
}

static void run(unsigned seed, bool unknown, int steps)
{
	struct kernel *k = test_kernel();

	srand(seed);
	fake_access_unknown = unknown;
	nr_shared = 0;
	memset(shared_cells, 0, sizeof(shared_cells));
	for (int i = 0; i < PROCS; i++) {
		memset(&procs[i], 0, sizeof(procs[i]));
		procs[i].mm = test_mm(k);
	}
	for (int s = 0; s < steps && nr_shared < 60000; s++) {
		step(&procs[rand() % PROCS]);
		if (s % 16 == 0)
			check_proc(&procs[rand() % PROCS]);
	}
	for (int i = 0; i < PROCS; i++) {
		check_proc(&procs[i]);
		put_proc(&procs[i]);
	}
	test_kernel_free(k);
}

static void access_known(void **state)
{
	for (unsigned seed = 1; seed <= 6; seed++)
		run(seed, false, 3000);
}

static void access_unknown(void **state)
{
	for (unsigned seed = 11; seed <= 16; seed++)
		run(seed, true, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_known),
		cmocka_unit_test(access_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
