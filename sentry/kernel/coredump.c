/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core files. Contract in coredump.h. Linux: fs/coredump.c, fs/binfmt_elf.c elf_core_dump().
 *
 * The dumping thread ends the others as a fatal signal does; each leaves its registers in tg->core on its way out. When all are gone the notes and the
 * memory are written, holes where nothing was ever touched.
 */
#include "sentry/kernel/coredump.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/rusage.h"
#include "sentry/mm/mm.h"

#define FPU_SIZE    512u
#define CHUNK	    (64u << 10)
#define MAX_PATTERN 128
#define NT_SIGINFO_L 0x53494749u
#define NT_FILE_L    0x46494c45u

/* What one thread leaves. */
struct core_thread {
	struct core_thread *next;
	int32_t tid;
	uint64_t pending, blocked;
	struct linux_timeval utime, stime;
	struct arch_regs regs;
	uint8_t fpu[FPU_SIZE];
	size_t xstate_size;
	uint8_t xstate[ARCH_XSAVE_MAX];
};

struct core_dump {
	struct task *dumper;
	struct core_thread *threads; /* the others; newest first */
};

struct elf_prstatus_l {
	int32_t si_signo, si_code, si_errno;
	int16_t cursig, pad;
	uint64_t sigpend, sighold;
	int32_t pid, ppid, pgrp, sid;
	struct linux_timeval utime, stime, cutime, cstime;
	struct arch_regs regs;
	int32_t fpvalid, pad2;
};

struct elf_prpsinfo_l {
	char state, sname, zomb, nice;
	uint32_t pad;
	uint64_t flag;
	uint32_t uid, gid;
	int32_t pid, ppid, pgrp, sid;
	char fname[16], psargs[80];
};

/* --- threads --- */

static struct linux_timeval tv(int64_t ns)
{
	return (struct linux_timeval){ ns / (int64_t)NSEC_PER_SEC, ns % (int64_t)NSEC_PER_SEC / 1000 };
}

static struct core_thread *record(struct task *t)
{
	struct core_thread *c = calloc(1, sizeof(*c));
	int64_t u, s;
	size_t n;

	if (!c)
		return NULL;
	c->tid = pid_nr(t->pid, t);
	c->pending = t->pending.set;
	c->blocked = t->blocked;
	task_cpu_times(t, &u, &s);
	c->utime = tv(u);
	c->stime = tv(s);
	n = sizeof(c->regs);
	(void)ptrace_get_regset(t, NT_PRSTATUS, &c->regs, &n);
	n = sizeof(c->fpu);
	(void)ptrace_get_regset(t, NT_FPREGSET, c->fpu, &n);
	n = sizeof(c->xstate);
	if (ptrace_get_regset(t, NT_X86_XSTATE, c->xstate, &n) == 0)
		c->xstate_size = n;
	return c;
}

void core_dump_thread_locked(struct task *t)
{
	struct core_dump *d = t->tg->core;
	struct core_thread *c;

	if (!d || t == d->dumper || !t->pctx)
		return;
	c = record(t);
	if (c) {
		c->next = d->threads;
		d->threads = c;
	}
	task_wake(d->dumper);
}

static void free_threads(struct core_dump *d)
{
	struct core_thread *c;

	while ((c = d->threads)) {
		d->threads = c->next;
		free(c);
	}
}

/* Ends the others and waits for their registers. False: somebody else is ending the group, or a freeze came. */
static bool stop_others(struct task *t, struct core_dump *d, int sig)
{
	struct sighand *s = sighand_lock(t);
	bool mine = !t->tg->group_exiting && !t->tg->exec_task;
	int r = 0;

	if (mine)
		t->tg->core = d;
	mutex_unlock(&s->mu);
	if (!mine)
		return false;
	signal_kill_group(t->tg, sig);
	task_block_prepare(t);
	while (r == 0) {
		bool alone = true;
		struct task *o;

		s = sighand_lock(t);
		list_for_each(o, &t->tg->tasks, tg_node)
			if (o != t && !o->exiting && !o->is_zombie)
				alone = false;
		mutex_unlock(&s->mu);
		if (alone)
			break;
		r = task_block_dying(t);
	}
	s = sighand_lock(t);
	t->tg->core = NULL;
	mutex_unlock(&s->mu);
	return r == 0;
}

/* --- the file --- */

static void add_hex_safe(struct strbuf *b, const char *s)
{
	size_t from = b->len;

	strbuf_adds(b, s);
	for (size_t n = from; n < b->len; n++)
		if (b->data[n] == '/')
			b->data[n] = '!';
}

static void add_exe(struct task *t, struct strbuf *b, bool whole)
{
	struct strbuf path _cleanup_strbuf_ = STRBUF_INIT;
	struct file *exe _cleanup_file_ = t->mm ? mm_exe_file(t->mm) : NULL;
	const char *slash;

	if (exe && exe->path.dentry)
		(void)path_text(&exe->path, NULL, false, &path);
	if (!path.data) {
		add_hex_safe(b, t->comm);
		return;
	}
	slash = strrchr(path.data, '/');
	add_hex_safe(b, whole || !slash ? path.data : slash + 1);
}

/* kernel.core_pattern with its specifiers replaced. */
static void format_name(struct task *t, int sig, struct strbuf *b)
{
	char pattern[MAX_PATTERN];
	bool has_pid = false;

	proc_core_pattern(pattern, sizeof(pattern));
	for (const char *p = pattern; *p; p++) {
		if (*p != '%') {
			strbuf_addc(b, *p);
			continue;
		}
		switch (*++p) {
		case '\0':
			p--;
			break;
		case '%':
			strbuf_addc(b, '%');
			break;
		case 'p':
		case 'P':
			has_pid = has_pid || *p == 'p';
			strbuf_addf(b, "%d", *p == 'p' ? pid_nr(t->tg->pid, t) : pid_nr_ns(t->tg->pid, t->k->root_pid_ns));
			break;
		case 'i':
		case 'I':
			strbuf_addf(b, "%d", *p == 'i' ? pid_nr(t->pid, t) : pid_nr_ns(t->pid, t->k->root_pid_ns));
			break;
		case 'u':
			strbuf_addf(b, "%u", t->cred->uid);
			break;
		case 'g':
			strbuf_addf(b, "%u", t->cred->gid);
			break;
		case 'd':
			strbuf_addf(b, "%d", !t->undumpable);
			break;
		case 's':
			strbuf_addf(b, "%d", sig);
			break;
		case 't':
			strbuf_addf(b, "%lld", (long long)inode_now().tv_sec);
			break;
		case 'h': {
			char host[65];

			mutex_lock(&t->ns->uts->mu);
			memcpy(host, t->ns->uts->nodename, sizeof(host));
			mutex_unlock(&t->ns->uts->mu);
			host[sizeof(host) - 1] = '\0';
			add_hex_safe(b, host);
			break;
		}
		case 'e':
			add_hex_safe(b, t->comm);
			break;
		case 'f':
			add_exe(t, b, false);
			break;
		case 'E':
			add_exe(t, b, true);
			break;
		case 'c':
			strbuf_addf(b, "%llu", (unsigned long long)task_rlimit(t, LINUX_RLIMIT_CORE));
			break;
		default:
			break;
		}
	}
	if (!has_pid && proc_sysctl_get("kernel/core_uses_pid", 0))
		strbuf_addf(b, ".%d", pid_nr(t->tg->pid, t));
}

/* A new file of that name, whatever was there. */
static struct file *create(struct task *t, const char *name)
{
	struct parent_path pp = { 0 };
	struct file *f = NULL;

	if (namei_parent(t, LINUX_AT_FDCWD, name, 0, &pp) == 0) {
		if (pp.type == LAST_NORM)
			(void)!vfs_unlink(t, &pp.dir, pp.name, false);
		parent_path_done(&pp);
	}
	if (vfs_openat(t, LINUX_AT_FDCWD, name, LINUX_O_CREAT | LINUX_O_RDWR | LINUX_O_NOFOLLOW | LINUX_O_EXCL, 0600, 0, &f))
		return NULL;
	if (!LINUX_S_ISREG(f->inode->mode) || f->inode->nlink > 1) {
		file_put(f);
		return NULL;
	}
	return f;
}

struct out {
	struct file *f;
	int64_t pos;
	uint64_t limit;
	bool full; /* the limit, or an error: nothing more is written */
};

static void emit(struct out *o, const void *data, size_t n)
{
	struct uio u;

	if (o->full || (uint64_t)o->pos + n > o->limit) {
		o->full = true;
		return;
	}
	uio_kernel(&u, (void *)(uintptr_t)data, n);
	while (u.left && !o->full)
		if (o->f->ops->write(o->f, NULL, &u, &o->pos, 0) <= 0)
			o->full = true;
	uio_done(&u);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void emit_area(struct out *o, struct mm *mm, const struct mm_core_area *a, uint8_t *buf)
{
	uint64_t at = a->start, end = a->start + a->dump, s, e;
	int64_t base = o->pos;

	while (!o->full && at < end && mm_core_present(mm, at, end, &s, &e)) {
		for (; s < e && !o->full; s += CHUNK) {
			size_t n = (size_t)MIN(e - s, (uint64_t)CHUNK);
			int64_t got = mm_access(mm, GADDR(s), buf, n, false, true);

			if (got <= 0 || all_zero(buf, (size_t)got))
				continue;
			o->pos = base + (int64_t)(s - a->start);
			emit(o, buf, (size_t)got);
		}
		at = e;
	}
	o->pos = base + (int64_t)a->dump;
	if ((uint64_t)o->pos > o->limit)
		o->full = true;
}

/* --- notes --- */

static void add_note(struct strbuf *b, const char *owner, uint32_t type, const void *data, size_t n)
{
	Elf64_Nhdr h = { .n_namesz = (uint32_t)strlen(owner) + 1, .n_descsz = (uint32_t)n, .n_type = type };
	static const char zero[4];

	strbuf_add(b, &h, sizeof(h));
	strbuf_add(b, owner, h.n_namesz);
	strbuf_add(b, zero, -h.n_namesz & 3);
	if (n)
		strbuf_add(b, data, n);
	strbuf_add(b, zero, -n & 3);
}

static void ids(struct task *t, int32_t *ppid, int32_t *pgrp, int32_t *sid)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&t->k->tasks_mu);
	*ppid = tg->parent ? pid_nr(tg->parent->pid, t) : 0;
	*pgrp = pid_nr(tg->pgrp->id, t);
	*sid = pid_nr(tg->session->id, t);
	mutex_unlock(&t->k->tasks_mu);
}

static void add_status(struct strbuf *b, struct task *t, const struct core_thread *c, int sig, const struct linux_siginfo *info)
{
	struct elf_prstatus_l p = { .cursig = (int16_t)sig, .si_signo = sig, .sigpend = c->pending, .sighold = c->blocked, .pid = c->tid,
				    .utime = c->utime, .stime = c->stime, .regs = c->regs, .fpvalid = 1 };

	if (info) {
		p.si_code = info->si_code;
		p.si_errno = info->si_errno;
	}
	ids(t, &p.ppid, &p.pgrp, &p.sid);
	add_note(b, "CORE", NT_PRSTATUS, &p, sizeof(p));
}

static void add_fpu(struct strbuf *b, const struct core_thread *c)
{
	add_note(b, "CORE", NT_FPREGSET, c->fpu, sizeof(c->fpu));
	if (c->xstate_size)
		add_note(b, "LINUX", NT_X86_XSTATE, c->xstate, c->xstate_size);
}

static void add_psinfo(struct strbuf *b, struct task *t, struct mm *mm)
{
	const struct mm_layout *l = mm_layout(mm);
	struct elf_prpsinfo_l p = { .sname = 'R', .nice = (char)t->nice, .uid = t->cred->uid, .gid = t->cred->gid,
				    .pid = pid_nr(t->tg->pid, t) };
	size_t n = MIN(l->arg_end > l->arg_start ? l->arg_end - l->arg_start : 0, sizeof(p.psargs) - 1);

	ids(t, &p.ppid, &p.pgrp, &p.sid);
	memcpy(p.fname, t->comm, sizeof(p.fname));
	if (n && mm_access(mm, GADDR(l->arg_start), p.psargs, n, false, true) > 0)
		for (size_t k = 0; k < n; k++)
			if (!p.psargs[k])
				p.psargs[k] = ' ';
	add_note(b, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

static void add_files(struct strbuf *b, const struct mm_core_area *v, size_t n)
{
	struct strbuf d _cleanup_strbuf_ = STRBUF_INIT;
	uint64_t head[2] = { 0, PAGE_SIZE };

	for (size_t k = 0; k < n; k++)
		head[0] += v[k].name != NULL;
	if (!head[0])
		return;
	strbuf_add(&d, head, sizeof(head));
	for (size_t k = 0; k < n; k++)
		if (v[k].name) {
			uint64_t e[3] = { v[k].start, v[k].end, v[k].off / PAGE_SIZE };

			strbuf_add(&d, e, sizeof(e));
		}
	for (size_t k = 0; k < n; k++)
		if (v[k].name)
			strbuf_add(&d, v[k].name, strlen(v[k].name) + 1);
	if (!strbuf_error(&d))
		add_note(b, "CORE", NT_FILE_L, d.data, d.len);
}

static void build_notes(struct strbuf *b, struct task *t, const struct core_thread *me, const struct core_dump *d, int sig,
			const struct linux_siginfo *info, const struct mm_core_area *v, size_t n)
{
	const uint64_t *auxv = mm_layout(t->mm)->auxv;
	size_t nr = 0;

	add_status(b, t, me, sig, info);
	add_psinfo(b, t, t->mm);
	if (info)
		add_note(b, "CORE", NT_SIGINFO_L, info, sizeof(*info));
	while (nr + 2 <= ARRAY_SIZE(mm_layout(t->mm)->auxv) && auxv[nr])
		nr += 2;
	add_note(b, "CORE", NT_AUXV, auxv, MIN(nr + 2, ARRAY_SIZE(mm_layout(t->mm)->auxv)) * sizeof(*auxv));
	add_files(b, v, n);
	add_fpu(b, me);
	for (const struct core_thread *c = d->threads; c; c = c->next) {
		add_status(b, t, c, sig, NULL);
		add_fpu(b, c);
	}
}

/* --- putting it together --- */

static void write_core(struct out *o, struct mm *mm, const struct strbuf *notes, const struct mm_core_area *v, size_t n)
{
	bool many = n + 1 >= PN_XNUM;
	Elf64_Ehdr eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			  .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
			  .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = many ? PN_XNUM : (uint16_t)(n + 1) };
	uint64_t off = sizeof(eh) + (n + 1) * sizeof(Elf64_Phdr);
	Elf64_Phdr note = { .p_type = PT_NOTE, .p_offset = off, .p_filesz = notes->len, .p_align = 4 };
	uint8_t *buf _cleanup_free_ = malloc(CHUNK);
	uint64_t data = ALIGN_UP(off + notes->len, PAGE_SIZE), at = data;

	if (!buf)
		return;
	if (many)
		for (size_t k = 0; k < n; k++)
			at += v[k].dump;
	if (many) {
		eh.e_shoff = at;
		eh.e_shentsize = sizeof(Elf64_Shdr);
		eh.e_shnum = 1;
	}
	emit(o, &eh, sizeof(eh));
	emit(o, &note, sizeof(note));
	at = data;
	for (size_t k = 0; k < n; k++) {
		Elf64_Phdr ph = { .p_type = PT_LOAD, .p_offset = at, .p_vaddr = v[k].start, .p_filesz = v[k].dump, .p_memsz = v[k].end - v[k].start,
				  .p_align = PAGE_SIZE };

		ph.p_flags = (v[k].prot & LINUX_PROT_READ ? PF_R : 0u) | (v[k].prot & LINUX_PROT_WRITE ? PF_W : 0u) |
			     (v[k].prot & LINUX_PROT_EXEC ? PF_X : 0u);
		at += v[k].dump;
		emit(o, &ph, sizeof(ph));
	}
	emit(o, notes->data, notes->len);
	o->pos = (int64_t)data;
	for (size_t k = 0; k < n && !o->full; k++)
		emit_area(o, mm, &v[k], buf);
	if (many) {
		Elf64_Shdr sh = { .sh_size = 1, .sh_info = (uint32_t)(n + 1) };

		emit(o, &sh, sizeof(sh));
	}
	/* Holes at the end count. */
	if (!o->full && (uint64_t)o->pos > o->f->inode->size)
		(void)!vfs_truncate(NULL, &o->f->path, (uint64_t)o->pos, o->f);
}

static bool dumps_core(int sig)
{
	return SIGBIT(sig) & (SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) |
			      SIGBIT(SIGBUS) | SIGBIT(SIGSYS) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ));
}

bool core_dump(struct task *t, int sig, const struct linux_siginfo *info)
{
	struct core_dump d = { .dumper = t };
	struct strbuf name _cleanup_strbuf_ = STRBUF_INIT, notes _cleanup_strbuf_ = STRBUF_INIT;
	struct file *f _cleanup_file_ = NULL;
	struct core_thread *me _cleanup_free_ = NULL;
	struct mm_core_area *v = NULL;
	struct out o = { .limit = task_rlimit(t, LINUX_RLIMIT_CORE) };
	size_t n = 0;

	if (!dumps_core(sig) || t->undumpable || o.limit < PAGE_SIZE || !t->mm || !t->fs)
		return false;
	me = record(t);
	if (!me || !stop_others(t, &d, sig)) {
		free_threads(&d);
		return false;
	}
	format_name(t, sig, &name);
	f = name.data && *name.data ? create(t, name.data) : NULL;
	if (f && mm_core_areas(t->mm, &v, &n) == 0) {
		build_notes(&notes, t, me, &d, sig, info, v, n);
		o.f = f;
		if (!strbuf_error(&notes))
			write_core(&o, t->mm, &notes, v, n);
	}
	mm_core_areas_free(v, n);
	free_threads(&d);
	if (o.f) {
		struct sighand *s = sighand_lock(t);

		t->tg->group_exit_code = sig | 0x80;
		mutex_unlock(&s->mu);
	}
	return o.f != NULL;
}
