/* SPDX-License-Identifier: Apache-2.0 */
/* File mappings (over a host file), mremap, madvise, mincore, mlock, msync and /proc/self/maps. */
#include "mm_test_util.h"

#include <signal.h>
#include <sys/mman.h>

#include "sentry/fs/file.h"
#include "sentry/mm/safecopy.h"

/* A file whose pages are a host file's. */
struct host_file {
	struct file f;
	struct mappable m;
	int fd;
	uint64_t size;
	int syncs;
};

static int hf_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct host_file *h = container_of(m, struct host_file, m);
	uint64_t size = ALIGN_UP(h->size, PAGE_SIZE);

	if (off >= size)
		return -EFAULT;
	*ret = (struct backing){ BACKING_HOST, h->fd, off, MIN(len, size - off), write };
	return 0;
}

static int hf_sync(struct mappable *m, uint64_t off, uint64_t len)
{
	container_of(m, struct host_file, m)->syncs++;
	return 0;
}

static const struct mappable_ops hf_mops = { .translate = hf_translate, .sync = hf_sync };

static int hf_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	req->obj = &container_of(f, struct host_file, f)->m;
	return 0;
}

static void hf_release(struct file *f)
{
}

static const struct file_ops hf_ops = { .name = "hostfile", .mmap = hf_mmap, .release = hf_release };

static void hf_init(struct host_file *h, uint64_t size)
{
	*h = (struct host_file){ .f = { .ops = &hf_ops, .readable = true, .writable = true }, .fd = memfd_create("hf", 0), .size = size };
	ref_init(&h->f.ref);
	mappable_init(&h->m, &hf_mops);
	assert_int_equal(ftruncate(h->fd, (off_t)size), 0);
}

static uint64_t hf_map(struct mm *mm, struct host_file *h, uint64_t len, uint32_t prot, uint32_t flags)
{
	int64_t r = mm_mmap(mm, NULL, 0, len, prot, flags, &h->f, 0);

	assert_true(r > 0);
	return (uint64_t)r;
}

static void file_mappings(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	struct host_file h;
	uint64_t p, s;
	uint32_t v;
	char buf[16];

	hf_init(&h, 10000);
	p = hf_map(mm, &h, 65536, RW, LINUX_MAP_PRIVATE);
	s = hf_map(mm, &h, 65536, RW, LINUX_MAP_SHARED);
	assert_int_equal(pwrite(h.fd, "abc", 3, 4096), 3);
	assert_int_equal(guest_read(mm, p + 4096), 'a');
	assert_int_equal(pwrite(h.fd, "x", 1, 4096), 1);
	assert_int_equal(guest_read(mm, p + 4096), 'x');
	/* Private: the file does not change, later changes of it are not seen. */
	assert_int_equal(guest_write(mm, p + 4097, 'P'), 0);
	assert_int_equal(pwrite(h.fd, "y", 1, 4096), 1);
	assert_int_equal(guest_read(mm, p + 4096), 'x');
	assert_int_equal(guest_read(mm, s + 4096), 'y');
	assert_int_equal(guest_read(mm, s + 4097), 'b');
	assert_int_equal(guest_write(mm, s + 4097, 'S'), 0);
	assert_int_equal(pread(h.fd, buf, 3, 4096), 3);
	assert_memory_equal(buf, "ySc", 3);
	/* Sentry access to all of it. */
	assert_int_equal(mm_copy_in(mm, buf, GADDR(s + 4096), 3), 0);
	assert_memory_equal(buf, "ySc", 3);
	assert_int_equal(mm_copy_out(mm, GADDR(s + 9990), "0123456789ABCDEF", 16), 0);
	assert_int_equal(mm_copy_in(mm, buf, GADDR(s + 9990), 16), 0);
	assert_int_equal(mm_copy_out(mm, GADDR(s), "\7\0\0\0", 4), 0);
	assert_int_equal(mm_cmpxchg_u32(mm, GADDR(s), 7, 8, &v), 0);
	assert_int_equal(mm_load_u32(mm, GADDR(s), &v), 0);
	assert_int_equal(v, 8);
	/* Beyond the end. */
	assert_int_equal(guest_read(mm, s + 12287), 0);
	assert_int_equal(guest_read(mm, s + 12288), -SIGBUS);
	assert_int_equal(mm_copy_in(mm, buf, GADDR(s + 12280), 16), -EFAULT);
	assert_int_equal(mm_copy_in_some(mm, buf, GADDR(s + 12280), 16), 8);
	/* Truncation. */
	assert_int_equal(ftruncate(h.fd, 100), 0);
	h.size = 100;
	mappable_invalidate(&h.m, 4096, INT64_MAX, true);
	assert_int_equal(guest_read(mm, s + 4096), -SIGBUS);
	assert_int_equal(guest_read(mm, p + 4096), -SIGBUS);
	assert_int_equal(guest_read(mm, s), 8);
	/* Flags and modes. */
	assert_true(mappable_has_writable(&h.m));
	assert_int_equal(mm_munmap(mm, CTX, s, 65536), 0);
	assert_false(mappable_has_writable(&h.m));
	h.f.writable = false;
	assert_int_equal(mm_mmap(mm, NULL, 0, 4096, RW, LINUX_MAP_SHARED, &h.f, 0), -EACCES);
	s = hf_map(mm, &h, 4096, LINUX_PROT_READ, LINUX_MAP_SHARED);
	assert_int_equal(mm_mprotect(mm, NULL, s, 4096, RW), -EACCES);
	assert_false(mappable_has_writable(&h.m));
	assert_int_equal(mm_mmap(mm, NULL, 0, 4096, RW, LINUX_MAP_SHARED_VALIDATE | LINUX_MAP_SYNC, &h.f, 0), -EOPNOTSUPP);
	assert_int_equal(mm_mmap(mm, NULL, 0, 4096, RW, 0, &h.f, 0), -EINVAL);
	assert_int_equal(mm_mmap(mm, NULL, 0, 8192, RW, LINUX_MAP_PRIVATE, &h.f, UINT64_MAX - 4095), -EOVERFLOW);
	h.f.readable = false;
	assert_int_equal(mm_mmap(mm, NULL, 0, 4096, LINUX_PROT_READ, LINUX_MAP_PRIVATE, &h.f, 0), -EACCES);
	assert_int_equal(mm_msync(mm, NULL, s, 4096, LINUX_MS_SYNC), 0);
	assert_int_equal(h.syncs, 1);
	assert_int_equal(mm_msync(mm, NULL, s, 4096, LINUX_MS_SYNC | LINUX_MS_ASYNC), -EINVAL);
	assert_int_equal(mm_msync(mm, NULL, s + 1, 4096, LINUX_MS_SYNC), -EINVAL);
	assert_int_equal(mm_msync(mm, NULL, 0x10000, 4096, LINUX_MS_SYNC), -ENOMEM);
	mm_put(mm);
	assert_true(list_empty(&h.m.vmas));
	assert_int_equal(ref_count(&h.f.ref), 1);
	close(h.fd);
	test_kernel_free(k);
}

static void safecopy_survives(void **state)
{
	int fd = memfd_create("x", 0);
	char *p, buf[8192];
	uint32_t v;

	assert_int_equal(ftruncate(fd, 4096), 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	safecopy_init();
	assert_int_equal(safecopy(buf, p, 4096), 0);
	assert_int_equal(safecopy(buf, p + 4000, 200), 104);
	assert_int_equal(safecopy(p + 4000, buf, 200), 104);
	assert_int_equal(safezero(p + 4095, 2), 1);
	assert_int_equal(safe_load_u32(p + 4096, &v), -EFAULT);
	assert_int_equal(safe_cmpxchg_u32(p + 4096, 0, 1, &v), -EFAULT);
	assert_int_equal(safe_cmpxchg_u32(p, 0, 1, &v), 0);
	assert_int_equal(safe_load_u32(p, &v), 0);
	assert_int_equal(v, 1);
	munmap(p, 8192);
	assert_int_equal(safecopy(buf, p, 10), 10);
	close(fd);
}

static void mremap_modes(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	uint64_t base = 0x20000000, s;
	int64_t r;

	(void)test_map(mm, base, 4 * PAGE_SIZE, RW, PRIV_ANON | LINUX_MAP_FIXED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(guest_write(mm, base + (uint64_t)i * PAGE_SIZE, (uint8_t)(i + 1)), 0);
	/* In place, then shrink, then blocked. */
	assert_int_equal(mm_mremap(mm, NULL, base, 4 * PAGE_SIZE, 8 * PAGE_SIZE, 0, 0), base);
	assert_int_equal(guest_write(mm, base + 7 * PAGE_SIZE, 8), 0);
	assert_int_equal(mm_mremap(mm, NULL, base, 8 * PAGE_SIZE, 2 * PAGE_SIZE, 0, 0), base);
	assert_int_equal(guest_read(mm, base + 2 * PAGE_SIZE), -SIGSEGV);
	(void)test_map(mm, base + 2 * PAGE_SIZE, PAGE_SIZE, LINUX_PROT_READ, PRIV_ANON | LINUX_MAP_FIXED);
	assert_int_equal(mm_mremap(mm, NULL, base, 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0, 0), -ENOMEM);
	r = mm_mremap(mm, NULL, base, 2 * PAGE_SIZE, 64 * PAGE_SIZE, LINUX_MREMAP_MAYMOVE, 0);
	assert_true(r > 0 && (uint64_t)r != base);
	assert_int_equal(guest_read(mm, (uint64_t)r), 1);
	assert_int_equal(guest_read(mm, (uint64_t)r + PAGE_SIZE), 2);
	assert_int_equal(guest_read(mm, (uint64_t)r + 2 * PAGE_SIZE), 0);
	assert_int_equal(guest_read(mm, base), -SIGSEGV);
	/* Errors. */
	assert_int_equal(mm_mremap(mm, NULL, base, PAGE_SIZE, PAGE_SIZE, 8, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, PAGE_SIZE, PAGE_SIZE, LINUX_MREMAP_FIXED, base), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r + 1, PAGE_SIZE, PAGE_SIZE, 0, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, PAGE_SIZE, 0, 0, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, PAGE_SIZE, UINT64_MAX - 5000, LINUX_MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, UINT64_MAX - 5000, PAGE_SIZE, LINUX_MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, base, PAGE_SIZE, PAGE_SIZE, 0, 0), -EFAULT);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, 0, PAGE_SIZE, LINUX_MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, 65 * PAGE_SIZE, 66 * PAGE_SIZE, LINUX_MREMAP_MAYMOVE, 0), -EFAULT);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, PAGE_SIZE, PAGE_SIZE, LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED, (uint64_t)r), -EINVAL);
	assert_int_equal(mm_mremap(mm, NULL, (uint64_t)r, PAGE_SIZE, PAGE_SIZE, LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED, UINT64_MAX - 4095),
			 -EINVAL);
	/* A second window on shared memory. */
	s = test_map(mm, 0, 2 * PAGE_SIZE, RW, SHARED_ANON);
	assert_int_equal(guest_write(mm, s + PAGE_SIZE, 55), 0);
	r = mm_mremap(mm, NULL, s, 0, 2 * PAGE_SIZE, LINUX_MREMAP_MAYMOVE, 0);
	assert_true(r > 0);
	assert_int_equal(guest_read(mm, (uint64_t)r + PAGE_SIZE), 55);
	assert_int_equal(guest_write(mm, (uint64_t)r + PAGE_SIZE, 56), 0);
	assert_int_equal(guest_read(mm, s + PAGE_SIZE), 56);
	mm_put(mm);
	test_kernel_free(k);
}

static void madvise_kinds(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k), *child;
	struct plat_as *as;
	uint64_t a = test_map(mm, 0, 1 << 20, RW, PRIV_ANON), s = test_map(mm, 0, 1 << 16, RW, SHARED_ANON), used;
	unsigned char vec[256];
	uint64_t v = test_map(mm, 0, PAGE_SIZE, RW, PRIV_ANON);

	for (uint64_t i = 0; i < 1 << 20; i += PAGE_SIZE)
		assert_int_equal(guest_write(mm, a + i, 1), 0);
	used = memfile_committed(k->mf);
	fake_maps = 0;
	assert_int_equal(mm_madvise(mm, NULL, a, 1 << 19, LINUX_MADV_DONTNEED), 0);
	assert_true(memfile_committed(k->mf) <= used - (1 << 19));
	assert_int_equal(guest_read(mm, a), 0);
	assert_int_equal(fake_maps, 0); /* without a new fault */
	assert_int_equal(guest_read(mm, a + (1 << 19)), 1);
	assert_int_equal(mm_madvise(mm, NULL, a, PAGE_SIZE, 1234), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, a + 1, PAGE_SIZE, LINUX_MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, a, UINT64_MAX, LINUX_MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, a, UINT64_MAX - 8191, LINUX_MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, 0x10000, PAGE_SIZE, LINUX_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(mm_madvise(mm, NULL, s, PAGE_SIZE, LINUX_MADV_FREE), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, a, PAGE_SIZE, LINUX_MADV_REMOVE), -EINVAL);
	assert_int_equal(guest_write(mm, s, 3), 0);
	assert_int_equal(mm_madvise(mm, NULL, s, PAGE_SIZE, LINUX_MADV_DONTNEED), 0);
	assert_int_equal(guest_read(mm, s), 3);
	assert_int_equal(mm_madvise(mm, NULL, s, PAGE_SIZE, LINUX_MADV_REMOVE), 0);
	assert_int_equal(guest_read(mm, s), 0);
	/* mincore sees what was touched. */
	assert_int_equal(mm_mincore(mm, NULL, a, 1 << 20, GADDR(v)), 0);
	assert_int_equal(mm_copy_in(mm, vec, GADDR(v), 256), 0);
	assert_int_equal(vec[5], 0);
	assert_int_equal(vec[200], 1);
	assert_int_equal(mm_mincore(mm, NULL, a + 1, 1, GADDR(v)), -EINVAL);
	assert_int_equal(mm_mincore(mm, NULL, 0x10000, PAGE_SIZE, GADDR(v)), -ENOMEM);
	assert_int_equal(mm_mincore(mm, NULL, a, PAGE_SIZE, GADDR(0x10000)), -EFAULT);
	assert_int_equal(mm_mincore(mm, NULL, a, UINT64_MAX, GADDR(v)), -ENOMEM);
	/* What forks get. */
	assert_int_equal(guest_write(mm, v, 9), 0);
	assert_int_equal(mm_madvise(mm, NULL, v, PAGE_SIZE, LINUX_MADV_WIPEONFORK), 0);
	assert_int_equal(mm_madvise(mm, NULL, s, PAGE_SIZE, LINUX_MADV_WIPEONFORK), -EINVAL);
	assert_int_equal(mm_madvise(mm, NULL, a, PAGE_SIZE, LINUX_MADV_DONTFORK), 0);
	assert_int_equal(mm_fork(mm, CTX, &child), 0);
	assert_int_equal(mm_as(child, &as), 0);
	assert_int_equal(guest_read(child, v), 0);
	assert_int_equal(guest_read(child, a), -SIGSEGV);
	assert_int_equal(guest_read(mm, v), 9);
	mm_user_put(child);
	mm_put(child);
	/* Locking. */
	assert_int_equal(mm_mlock(mm, NULL, a, 100, true, false), 0);
	assert_int_equal(mm->locked, PAGE_SIZE);
	assert_int_equal(mm_madvise(mm, NULL, a, PAGE_SIZE, LINUX_MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_mlock(mm, NULL, a, 100, false, false), 0);
	assert_int_equal(mm->locked, 0);
	assert_int_equal(mm_mlock(mm, NULL, 0x10000, PAGE_SIZE, true, false), -ENOMEM);
	assert_int_equal(mm_mlock(mm, NULL, a, UINT64_MAX - a, true, false), -EINVAL);
	assert_int_equal(mm_mlockall(mm, NULL, LINUX_MCL_CURRENT | LINUX_MCL_ONFAULT), 0);
	assert_int_equal(mm->locked, mm->vmas.total);
	assert_int_equal(mm_mlockall(mm, NULL, 0), 0);
	assert_int_equal(mm->locked, 0);
	assert_int_equal(mm_mlockall(mm, NULL, LINUX_MCL_ONFAULT), -EINVAL);
	mm_put(mm);
	test_kernel_free(k);
}

static void maps_text(void **state)
{
	struct kernel *k = test_kernel();
	struct mm *mm = test_mm(k);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct mm_usage u;

	mm_layout(mm)->start_stack = 0x30000ff0;
	(void)test_map(mm, 0x20000000, 0x3000, RW, PRIV_ANON | LINUX_MAP_FIXED);
	(void)test_map(mm, 0x20003000, 0x1000, LINUX_PROT_READ | LINUX_PROT_EXEC, PRIV_ANON | LINUX_MAP_FIXED);
	(void)test_map(mm, 0x30000000, 0x1000, RW, PRIV_ANON | LINUX_MAP_FIXED);
	mm_set_brk(mm, 0x10000000);
	assert_int_equal(mm_brk(mm, NULL, 0x10000800), 0x10000800);
	assert_int_equal(mm_show_maps(mm, &b), 0);
	assert_string_equal(b.data, "10000000-10001000 rw-p 00000000 00:00 0                                  [heap]\n"
				    "20000000-20003000 rw-p 00000000 00:00 0 \n"
				    "20003000-20004000 r-xp 00000000 00:00 0 \n"
				    "30000000-30001000 rw-p 00000000 00:00 0                                  [stack]\n");
	assert_int_equal(guest_write(mm, 0x20000000, 1), 0);
	mm_usage(mm, &u);
	assert_int_equal(u.vm, 0x6000);
	assert_int_equal(u.rss, 0x1000);
	strbuf_reset(&b);
	assert_int_equal(mm_show_smaps(mm, &b, false), 0);
	assert_non_null(strstr(b.data, "VmFlags: rd wr mr mw me ac \n"));
	strbuf_reset(&b);
	assert_int_equal(mm_show_smaps(mm, &b, true), 0);
	assert_non_null(strstr(b.data, "[rollup]"));
	mm_put(mm);
	test_kernel_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: cmocka puts its own handlers back after each test. */
		cmocka_unit_test(safecopy_survives), cmocka_unit_test(file_mappings), cmocka_unit_test(mremap_modes),
		cmocka_unit_test(madvise_kinds), cmocka_unit_test(maps_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
