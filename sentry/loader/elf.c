/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF programs: mapping segments and the interpreter, and the initial stack.
 *
 * Every number in the file is hostile: sizes are bounded, sums checked, and what does not fit the address space is ENOEXEC or the
 * mapping's own error. Linux: fs/binfmt_elf.c.
 */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/fs/namei.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/loader/loader.h"

#define MAX_PHNUM    128
#define MAX_ALIGN (1ull << 30)
#define STACK_INIT   (132ull << 10)

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[MAX_PHNUM];
	uint64_t bias; /* added to the file's addresses */
	uint64_t start, end; /* [lowest page, highest byte) unbiased */
	uint64_t align; /* what the bias must be a multiple of */
	uint64_t start_code, end_code, start_data, end_data, bss_end; /* biased */
};

static uint64_t random_pages(uint64_t mask)
{
	uint64_t r;

	kernel_random(&r, sizeof(r));
	return (r & mask) << PAGE_SHIFT;
}

static int read_headers(struct load_req *q, struct file *f, struct image *im)
{
	size_t size;
	bool any = false;

	if (file_pread_kernel(f, q->t, &im->eh, sizeof(im->eh), 0) != sizeof(im->eh))
		return -ENOEXEC;
	if (memcmp(im->eh.e_ident, ELFMAG, SELFMAG) || im->eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    im->eh.e_machine != EM_X86_64 || (im->eh.e_type != ET_EXEC && im->eh.e_type != ET_DYN) ||
	    im->eh.e_phentsize != sizeof(Elf64_Phdr) || im->eh.e_phnum < 1 || im->eh.e_phnum > MAX_PHNUM)
		return -ENOEXEC;
	size = im->eh.e_phnum * sizeof(Elf64_Phdr);
	if (im->eh.e_phoff > INT64_MAX - size || file_pread_kernel(f, q->t, im->ph, size, (int64_t)im->eh.e_phoff) != (int64_t)size)
		return -ENOEXEC;
	im->start = UINT64_MAX;
	im->align = PAGE_SIZE;
	for (int i = 0; i < im->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &im->ph[i];
		uint64_t end;

		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || add_overflow(p->p_vaddr, p->p_memsz, &end) || end > q->t->k->pcaps.max_addr ||
		    (p->p_vaddr - p->p_offset) % PAGE_SIZE || p->p_offset > INT64_MAX - p->p_filesz)
			return -ENOEXEC;
		im->start = MIN(im->start, ALIGN_DOWN(p->p_vaddr, PAGE_SIZE));
		im->end = MAX(im->end, end);
		/* Segments made for huge pages ask for more than a page; nonsense is ignored, as on Linux. */
		if (!(p->p_align & (p->p_align - 1)) && p->p_align <= MAX_ALIGN)
			im->align = MAX(im->align, p->p_align);
		any = true;
	}
	return any ? 0 : -ENOEXEC;
}

static uint32_t prot_of(const Elf64_Phdr *p)
{
	return (p->p_flags & PF_R ? PROT_READ : 0u) | (p->p_flags & PF_W ? PROT_WRITE : 0u) | (p->p_flags & PF_X ? PROT_EXEC : 0u);
}

/* Finds room for the whole image so that its segments keep their distances. */
static int place(struct load_req *q, struct image *im, uint64_t want, bool fixed)
{
	uint64_t len = ALIGN_UP(im->end - im->start, PAGE_SIZE) + (im->align - PAGE_SIZE);
	int64_t at;

	if (im->eh.e_type == ET_EXEC) {
		im->bias = 0;
		return 0;
	}
	at = mm_mmap(q->mm, q->t, want, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (fixed ? MAP_FIXED_NOREPLACE : 0), NULL, 0);
	if (at < 0)
		return (int)at;
	im->bias = ALIGN_UP((uint64_t)at - im->start, im->align);
	return (int)mm_munmap(q->mm, NULL, (uint64_t)at, len);
}

static int map_segment(struct load_req *q, struct file *f, struct image *im, const Elf64_Phdr *p)
{
	uint64_t addr = p->p_vaddr + im->bias, page = ALIGN_DOWN(addr, PAGE_SIZE), skew = addr - page;
	uint64_t file_end = addr + p->p_filesz, mem_end = addr + p->p_memsz;
	uint64_t map_end = p->p_filesz ? ALIGN_UP(file_end, PAGE_SIZE) : page;
	uint32_t prot = prot_of(p);
	int64_t r;

	if (p->p_filesz) {
		r = mm_mmap(q->mm, q->t, page, map_end - page, prot, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, f, p->p_offset - skew);
		if (r < 0)
			return (int)r;
	}
	if (mem_end > map_end) {
		r = mm_mmap(q->mm, q->t, map_end, ALIGN_UP(mem_end, PAGE_SIZE) - map_end, prot,
			    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, NULL, 0);
		if (r < 0)
			return (int)r;
	}
	if (p->p_memsz > p->p_filesz && p->p_filesz && (prot & PROT_WRITE) && file_end % PAGE_SIZE) {
		/* To the end of the page, not of the segment: the loader's first allocations are taken from there. */
		int e = mm_zero_out(q->mm, GADDR(file_end), map_end - file_end);

		if (e < 0)
			return e;
	}
	if (p->p_flags & PF_X) {
		im->start_code = im->start_code ? MIN(im->start_code, addr) : addr;
		im->end_code = MAX(im->end_code, file_end);
	}
	im->start_data = MAX(im->start_data, addr);
	im->end_data = MAX(im->end_data, file_end);
	im->bss_end = MAX(im->bss_end, mem_end);
	return 0;
}

static int map_image(struct load_req *q, struct file *f, struct image *im)
{
	for (int i = 0; i < im->eh.e_phnum; i++)
		if (im->ph[i].p_type == PT_LOAD) {
			int r = map_segment(q, f, im, &im->ph[i]);

			if (r < 0)
				return r;
		}
	return 0;
}

static int open_interp(struct load_req *q, struct file *f, const struct image *im, struct file **ret)
{
	for (int i = 0; i < im->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &im->ph[i];
		_cleanup_free_ char *name = NULL;
		int r;

		if (p->p_type != PT_INTERP)
			continue;
		if (p->p_filesz < 2 || p->p_filesz > 4096 || p->p_offset > INT64_MAX - p->p_filesz)
			return -ENOEXEC;
		name = malloc(p->p_filesz);
		if (!name)
			return -ENOMEM;
		if (file_pread_kernel(f, q->t, name, p->p_filesz, (int64_t)p->p_offset) != (int64_t)p->p_filesz ||
		    name[p->p_filesz - 1] != '\0')
			return -ENOEXEC;
		r = vfs_open_exec(q->t, -100 /* AT_FDCWD */, name, 0, ret);
		return r;
	}
	return 0;
}

/* --- the stack --- */

struct stack {
	struct mm *mm;
	uint64_t sp;
	int err;
};

static uint64_t push(struct stack *s, const void *p, size_t n)
{
	s->sp -= n;
	if (s->err == 0)
		s->err = mm_copy_out(s->mm, GADDR(s->sp), p, n);
	return s->sp;
}

struct auxv {
	uint64_t v[64];
	size_t n;
};

static void aux(struct auxv *a, uint64_t type, uint64_t val)
{
	a->v[a->n++] = type;
	a->v[a->n++] = val;
}

static void cpu_hwcap(uint64_t *hwcap, uint64_t *hwcap2)
{
	uint32_t eax = 1, ebx = 0, ecx = 0, edx = 0;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	*hwcap = edx;
	/* Bit 1: FSGSBASE usable from user space. */
	eax = 7;
	ecx = 0;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	*hwcap2 = ebx & 1 ? 2 : 0;
}

static void fill_auxv(struct load_req *q, const struct image *im, uint64_t interp_base, uint64_t vdso, uint64_t rnd, uint64_t execfn,
		      uint64_t platform, struct auxv *a)
{
	uint64_t hwcap, hwcap2, phdr = im->bias + im->start + im->eh.e_phoff;

	for (int i = 0; i < im->eh.e_phnum; i++)
		if (im->ph[i].p_type == PT_PHDR)
			phdr = im->bias + im->ph[i].p_vaddr;
	cpu_hwcap(&hwcap, &hwcap2);
	if (vdso)
		aux(a, AT_SYSINFO_EHDR, vdso);
	aux(a, 51 /* AT_MINSIGSTKSZ */, ALIGN_UP(arch_xsave_size() + 4 + 64 + 440 + 128 + 16, 16));
	aux(a, AT_HWCAP, hwcap);
	aux(a, AT_PAGESZ, PAGE_SIZE);
	aux(a, AT_CLKTCK, 100);
	aux(a, AT_PHDR, phdr);
	aux(a, AT_PHENT, sizeof(Elf64_Phdr));
	aux(a, AT_PHNUM, im->eh.e_phnum);
	aux(a, AT_BASE, interp_base);
	aux(a, AT_FLAGS, 0);
	aux(a, AT_ENTRY, im->bias + im->eh.e_entry);
	aux(a, AT_UID, user_ns_show(q->cred->user_ns, ID_UID, q->cred->uid));
	aux(a, AT_EUID, user_ns_show(q->cred->user_ns, ID_UID, q->cred->euid));
	aux(a, AT_GID, user_ns_show(q->cred->user_ns, ID_GID, q->cred->gid));
	aux(a, AT_EGID, user_ns_show(q->cred->user_ns, ID_GID, q->cred->egid));
	aux(a, AT_SECURE, q->secure);
	aux(a, AT_RANDOM, rnd);
	aux(a, AT_HWCAP2, hwcap2);
	aux(a, AT_EXECFN, execfn);
	aux(a, AT_PLATFORM, platform);
	aux(a, AT_NULL, 0);
}

/* argc, argv[], NULL, envp[], NULL, auxv, ..., strings; addresses computed from where the strings were pushed. */
static int push_vectors(struct stack *s, struct load_req *q, uint64_t argv_at, uint64_t envp_at, const struct auxv *a)
{
	size_t n = 1 + q->argv->n + 1 + q->envp->n + 1 + a->n, i = 0;
	_cleanup_free_ uint64_t *v = calloc(n, sizeof(*v));
	uint64_t at = argv_at;

	if (!v)
		return -ENOMEM;
	v[i++] = q->argv->n;
	for (size_t k = 0; k < q->argv->n; k++) {
		v[i++] = at;
		at += strlen(q->argv->bytes.data + (at - argv_at)) + 1;
	}
	i++;
	at = envp_at;
	for (size_t k = 0; k < q->envp->n; k++) {
		v[i++] = at;
		at += strlen(q->envp->bytes.data + (at - envp_at)) + 1;
	}
	i++;
	memcpy(v + i, a->v, a->n * sizeof(*v));
	s->sp = ALIGN_DOWN(s->sp - n * sizeof(*v), 16ull);
	return mm_copy_out(s->mm, GADDR(s->sp), v, n * sizeof(*v));
}

static int map_stack(struct load_req *q, uint64_t need, uint64_t *ret_top)
{
	uint64_t top = mm_stack_top(q->mm), limit = task_rlimit(q->t, LINUX_RLIMIT_STACK);
	uint64_t size = ALIGN_UP(need + STACK_INIT, PAGE_SIZE);
	int64_t r;

	if (need > MAX(limit / 4, (uint64_t)128 << 10))
		return -E2BIG;
	r = mm_mmap(q->mm, q->t, top - size, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK, NULL, 0);
	*ret_top = top;
	return (int)MIN(r, (int64_t)0);
}

static int build_stack(struct load_req *q, const struct image *im, uint64_t top, uint64_t interp_base, uint64_t vdso, uint64_t *ret_sp)
{
	struct mm_layout *l = mm_layout(q->mm);
	struct stack s = { .mm = q->mm, .sp = top - 8 };
	struct auxv a = { .n = 0 };
	uint64_t execfn, platform, rnd, envp, argv;
	uint8_t random[16];
	int r;

	kernel_random(random, sizeof(random));
	execfn = push(&s, q->execfn, strlen(q->execfn) + 1);
	envp = push(&s, q->envp->bytes.data, q->envp->bytes.len);
	argv = push(&s, q->argv->bytes.data, q->argv->bytes.len);
	l->env_end = execfn;
	l->env_start = l->arg_end = envp;
	l->arg_start = argv;
	s.sp = ALIGN_DOWN(s.sp, 16ull);
	platform = push(&s, "x86_64", sizeof("x86_64"));
	rnd = push(&s, random, sizeof(random));
	if (s.err < 0)
		return s.err;
	fill_auxv(q, im, interp_base, vdso, rnd, execfn, platform, &a);
	r = push_vectors(&s, q, argv, envp, &a);
	if (r < 0)
		return r;
	memcpy(l->auxv, a.v, a.n * sizeof(a.v[0]));
	l->start_stack = s.sp;
	*ret_sp = s.sp;
	return 0;
}

static int load_interp(struct load_req *q, struct file *f, uint64_t *ret_base, uint64_t *ret_entry)
{
	_cleanup_free_ struct image *im = calloc(1, sizeof(*im));
	int r;

	if (!im)
		return -ENOMEM;
	r = read_headers(q, f, im);
	if (r < 0)
		return r == -ENOEXEC ? -ELIBBAD : r;
	r = place(q, im, 0, false);
	if (r == 0)
		r = map_image(q, f, im);
	if (r < 0)
		return r;
	*ret_base = im->bias + (im->eh.e_type == ET_EXEC ? im->start : 0);
	*ret_entry = im->bias + im->eh.e_entry;
	return 0;
}

int elf_load(struct load_req *q, struct load_result *ret)
{
	_cleanup_free_ struct image *im = calloc(1, sizeof(*im));
	_cleanup_file_ struct file *interp = NULL;
	struct mm_layout *l = mm_layout(q->mm);
	uint64_t base = 0, entry, vdso = 0, top = 0;
	uint64_t need = q->argv->bytes.len + q->envp->bytes.len + (q->argv->n + q->envp->n) * 8 + strlen(q->execfn);
	int r;

	if (!im)
		return -ENOMEM;
	r = read_headers(q, q->file, im);
	if (r == 0)
		r = open_interp(q, q->file, im, &interp);
	if (r == 0)
		r = map_stack(q, need, &top);
	if (r == 0) /* a PIE without interpreter (the loader itself, static-pie) goes with the libraries, as on Linux */
		r = interp ? place(q, im, mm_pie_base(q->mm), true) : place(q, im, 0, false);
	if (r == 0)
		r = map_image(q, q->file, im);
	entry = im->bias + im->eh.e_entry;
	if (r == 0 && interp) {
		r = load_interp(q, interp, &base, &entry);
		exec_file_done(interp);
	}
	if (r == 0)
		r = vdso_map(q->t, q->mm, &vdso);
	if (r < 0)
		return r;
	l->start_code = im->start_code;
	l->end_code = im->end_code;
	l->start_data = im->start_data;
	l->end_data = im->end_data;
	l->vdso = vdso;
	l->start_brk = ALIGN_UP(im->bss_end, PAGE_SIZE);
	/* A static PIE's heap would sit among the libraries: give it the PIE area. */
	if (im->eh.e_type == ET_DYN && !interp)
		l->start_brk = mm_pie_base(q->mm);
	l->start_brk += random_pages(0x1fff);
	mm_set_brk(q->mm, l->start_brk);
	r = build_stack(q, im, top, base, vdso, &ret->sp);
	ret->entry = entry;
	return r;
}
