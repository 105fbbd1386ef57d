/* SPDX-License-Identifier: Apache-2.0 */
/* Round trip of address spaces with their pages; hostile images. */
#include "mm_test_util.h"

#include <signal.h>

#include "state/image.h"
#include "state/pages.h"

struct saved {
	void *mem;
	size_t len;
	int idx, pages;
};

static void save(struct kernel *k, struct mm **mms, size_t n, struct saved *ret)
{
	struct state_opts o = { .ctx = k };
	struct state_root roots[4];
	struct state_writer *w;
	struct pages_writer *pw;
	const void *mem;

	for (size_t i = 0; i < n; i++)
		roots[i] = (struct state_root){ &mm_state_type, mms[i] };
	assert_int_equal(state_writer_new(-1, &o, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, roots, n, NULL), 0);
	assert_int_equal(state_writer_finish(w, NULL, NULL), 0);
	mem = state_writer_memory(w, &ret->len);
	ret->mem = malloc(ret->len);
	memcpy(ret->mem, mem, ret->len);
	state_writer_free(w);
	ret->idx = memfd_create("idx", 0);
	ret->pages = memfd_create("pages", 0);
	assert_int_equal(pages_writer_new(ret->idx, ret->pages, 0, 1, &pw, NULL), 0);
	assert_int_equal(memfile_save_pages(k->mf, pw, false), 0);
	assert_int_equal(pages_writer_finish(pw, NULL, NULL), 0);
	pages_writer_free(pw);
}

static int load(struct kernel *k, struct saved *s, struct mm **mms, size_t n)
{
	struct state_opts o = { .ctx = k };
	struct state_reader *r;
	struct pages_reader *pr;
	struct plat_as *as;
	struct error *err = NULL;

	assert_int_equal(state_reader_new(-1, s->mem, s->len, &o, &r, NULL), 0);
	if (state_reader_load(r, &err) < 0) {
		print_message("%s\n", error_text(err));
		error_free(err);
		state_reader_free(r);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		void *obj;

		assert_int_equal(state_reader_root(r, i, &mm_state_type, &obj, NULL), 0);
		mms[i] = obj;
		assert_int_equal(mm_as(mms[i], &as), 0);
	}
	state_reader_free(r);
	assert_int_equal(lseek(s->idx, 0, SEEK_SET), 0);
	assert_int_equal(pages_reader_open(s->idx, s->pages, &pr, NULL), 0);
	assert_int_equal(memfile_attach_pages(k->mf, pr, s->pages), 0);
	close(s->idx);
	free(s->mem);
	return 0;
}

static void round_trip(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mms[2] = { test_mm(k) };
	uint64_t a = test_map(mms[0], 0, 4 << 20, RW, PRIV_ANON), s = test_map(mms[0], 0, 1 << 20, RW, SHARED_ANON);

	for (uint64_t i = 0; i < 4 << 20; i += 3 * PAGE_SIZE)
		assert_int_equal(guest_write(mms[0], a + i, (uint8_t)(i >> 12)), 0);
	assert_int_equal(guest_write(mms[0], s + 70000, 5), 0);
	assert_int_equal(mm_mprotect(mms[0], NULL, a, PAGE_SIZE, LINUX_PROT_READ), 0);
	assert_int_equal(mm_set_anon_name(mms[0], a + PAGE_SIZE, PAGE_SIZE, "heap of mine"), 0);
	mm_set_brk(mms[0], 0x500000);
	assert_int_equal(mm_brk(mms[0], NULL, 0x501234), 0x501234);
	mm_layout(mms[0])->auxv[1] = 99;
	assert_int_equal(mm_fork(mms[0], CTX, &mms[1]), 0);
	mm_user_get(mms[0]);
	assert_int_equal(guest_write(mms[0], a + 3 * PAGE_SIZE, 200), 0);
	for (int round = 0; round < 3; round++) {
		_cleanup_strbuf_ struct strbuf before = STRBUF_INIT, after = STRBUF_INIT;
		struct saved img;

		assert_int_equal(mm_show_smaps(mms[0], &before, false), 0);
		save(k, mms, 2, &img);
		for (int i = 0; i < 2; i++) {
			mm_user_put(mms[i]);
			mm_put(mms[i]);
		}
		test_kernel_free(k);
		k = test_kernel();
		assert_int_equal(load(k, &img, mms, 2), 0);
		mm_user_get(mms[0]);
		mm_user_get(mms[1]);
		assert_int_equal(guest_read(mms[0], a), 0);
		assert_int_equal(guest_write(mms[0], a, 1), SIGSEGV);
		assert_int_equal(guest_read(mms[0], a + 3 * PAGE_SIZE), 200);
		assert_int_equal(guest_read(mms[1], a + 3 * PAGE_SIZE), 3);
		for (uint64_t i = 6 * PAGE_SIZE; i < 4 << 20; i += 3 * PAGE_SIZE)
			assert_int_equal(guest_read(mms[round % 2], a + i), (uint8_t)(i >> 12));
		assert_int_equal(guest_read(mms[1], s + 70000), 5 + round);
		assert_int_equal(guest_write(mms[1], s + 70000, (uint8_t)(6 + round)), 0);
		assert_int_equal(guest_read(mms[0], s + 70000), 6 + round);
		assert_int_equal(mm_brk(mms[0], NULL, 0), 0x501234);
		assert_int_equal(mm_layout(mms[1])->auxv[1], 99);
		assert_int_equal(mm_mmap_base(mms[0]), mm_mmap_base(mms[1]));
		assert_int_equal(mm_show_maps(mms[0], &after), 0);
		assert_non_null(strstr(after.data, "[anon:heap of mine]"));
	}
	for (int i = 0; i < 2; i++) {
		mm_user_put(mms[i]);
		mm_put(mms[i]);
	}
	test_kernel_free(k);
}

/* Spoils one field; false: no more ways. */
static bool spoil(struct mm *mm, int how)
{
	struct vma *v = vma_of(mm->vmas.first);
	struct pma *p = pma_of(mm->pmas.first);

	switch (how) {
	case 0:
		v->prot = 8;
		return true;
	case 1:
		v->prot = RW;
		v->max_prot = LINUX_PROT_READ;
		return true;
	case 2:
		v->flags = 1u << 30;
		return true;
	case 3:
		v->flags = VMA_SHARED;
		return true;
	case 4:
		v->off = 1;
		return true;
	case 5:
		v->off = UINT64_MAX - 4095;
		return true;
	case 6:
		v->r.start++;
		return true;
	case 7:
		v->r.end = v->r.start;
		return true;
	case 8:
		vma_of(mm->vmas.last)->r.end = LINUX_TASK_SIZE_MAX + PAGE_SIZE;
		return true;
	case 9:
		v->r.end = v->r.next->start + PAGE_SIZE;
		return true;
	case 10:
		p->off = 5;
		return true;
	case 11:
		p->off = UINT64_MAX - 4095;
		return true;
	case 12:
		p->off = 1ULL << 50;
		return true;
	case 13:
		p->r.end = p->r.start;
		return true;
	case 14:
		p->r.end += 1ULL << 40;
		return true;
	case 15:
		p->r.start -= PAGE_SIZE;
		return true;
	case 16:
		mm->brk = UINT64_MAX;
		return true;
	case 17:
		mm->stack_top = 5;
		return true;
	case 18:
		mm->def_flags = VMA_SHARED;
		return true;
	default:
		return false;
	}
}

static void hostile(void **state)
{
	for (int how = -1;; how++) {
		struct kernel *k = test_kernel(), *k2 = test_kernel();
		struct mm *mms[1] = { test_mm(k) }, *loaded[1];
		struct range vr, vl, pr;
		struct vma *v;
		struct pma *p;
		struct saved img;
		bool more;
		int r;

		(void)test_map(mms[0], 0x20000000, 0x10000, RW, PRIV_ANON | LINUX_MAP_FIXED);
		(void)test_map(mms[0], 0x30000000, 0x10000, RW, PRIV_ANON | LINUX_MAP_FIXED);
		assert_int_equal(guest_write(mms[0], 0x20000000, 1), 0);
		v = vma_of(mms[0]->vmas.first);
		p = pma_of(mms[0]->pmas.first);
		vr = v->r;
		vl = mms[0]->vmas.last->next ? vr : *mms[0]->vmas.last;
		pr = p->r;
		{
			uint64_t off = p->off;

			more = how < 0 || spoil(mms[0], how);
			save(k, mms, 1, &img);
			v->r = vr;
			*mms[0]->vmas.last = vl;
			p->r = pr;
			p->off = off;
		}
		r = load(k2, &img, loaded, 1);
		if ((r == 0) != (how < 0 || !more))
			fail_msg("spoiled in way %d: %d", how, r);
		if (r == 0) {
			mm_put(loaded[0]);
		} else {
			close(img.idx);
			close(img.pages);
			free(img.mem);
		}
		v->flags = 0; /* undone for the accounting */
		mm_put(mms[0]);
		memfile_free(k->mf);
		memfile_free(k2->mf);
		free(k);
		free(k2);
		if (!more)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
