/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace itself: when lines begin and end. See strace.h for the form, internal.h for decoders.
 *
 * A call's beginning is decoded at once, because the call may change what it points to, but written with its end, so that a line is whole. Whoever
 * else writes first closes the open line, as strace(1) does with its terminal:
 *
 *   task 5                          task 6
 *   enter: decodes "read(3, "
 *     open_line = 5
 *                                   enter: closes 5's line: "[pid 5] read(3,  <unfinished ...>"
 *                                     open_line = 6
 *   exit: closes 6's line, writes
 *     "[pid 5] <... read resumed>..."
 *
 * A call that a freeze interrupts and that is dispatched again is one call in the trace. Locks: line_mu is a leaf; a pending call's buffer belongs to its
 * thread, but while it is the open line others may read it under line_mu. Checkpoint: nothing.
 */
#include "sentry/syscalls/strace/strace.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/run.h"
#include "sentry/syscalls/strace/internal.h"

#define NR_BITS	      512
#define RESULT_COLUMN 40

struct pending {
	struct dec d;
	const char *kinds; /* what is left of the row */
	size_t written; /* bytes of the buffer that are in the log already */
	bool active; /* a call is under way */
	int tid;
};

bool strace_on;
static uint64_t filter[NR_BITS / 64]; /* calls to trace */
static const char *only_comms; /* names of tasks, comma-separated; NULL: all */
static struct mutex line_mu;
static struct pending *open_line; /* guarded by line_mu */
static __thread struct pending *mine;

static const struct {
	const char *name;
	dec_fn fn;
} kinds_table[] = {
#define KIND(n) { #n, k_##n },
#include "sentry/syscalls/strace/kinds.def"
#undef KIND
};

/* --- filters --- */

static bool has_kind(uint64_t nr, const char *const *kinds)
{
	for (; *kinds; kinds++) {
		const char *at = syscall_kinds(nr);
		size_t n = strlen(*kinds);

		for (; (at = strstr(at, *kinds)); at += n)
			if ((at == syscall_kinds(nr) || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
				return true;
	}
	return false;
}

static bool name_has(uint64_t nr, const char *const *parts)
{
	for (; *parts; parts++)
		if (strstr(syscall_name(nr), *parts))
			return true;
	return false;
}

static bool in_class(uint64_t nr, const char *class)
{
	static const char *const file[] = { "PATH", NULL }, *const desc[] = { "FD", "DIRFD", "POLLFDS", "FDSETS", "OUT_PIPE", NULL };
	static const char *const net[] = { "FAMILY", "SOCKADDR", "OUT_SOCKADDR", "MSGHDR", "OUT_MSGHDR", "MMSGHDR", "OUT_MMSGHDR", "SOL", "SHUTHOW", NULL };
	static const char *const mem[] = { "mmap", "brk", "munmap", "mprotect", "mremap", "madvise", "mlock", "msync", "mincore", "shmat", "shmdt", NULL };
	static const char *const proc[] = { "clone", "fork", "exec", "exit", "wait", NULL }, *const sig[] = { "sig", "kill", "pause", NULL };
	static const char *const ipc[] = { "IPCKEY", "SHMCTL", "SEMCTL", "MSGCTL", "SEMBUF", "MSGBUF", "OUT_MSGBUF", NULL };

	if (!strcmp(class, "%file"))
		return has_kind(nr, file);
	if (!strcmp(class, "%desc"))
		return has_kind(nr, desc);
	if (!strcmp(class, "%network"))
		return has_kind(nr, net) || !strcmp(syscall_name(nr), "listen");
	if (!strcmp(class, "%memory"))
		return name_has(nr, mem);
	if (!strcmp(class, "%process"))
		return name_has(nr, proc);
	if (!strcmp(class, "%signal"))
		return name_has(nr, sig);
	return !strcmp(class, "%ipc") && has_kind(nr, ipc);
}

/* Sets or clears the bits that @word (@n bytes) names; false when it names none. */
static bool filter_word(const char *word, size_t n, bool set)
{
	char name[64];
	bool any = false;

	if (n >= sizeof(name))
		return false;
	memcpy(name, word, n);
	name[n] = '\0';
	for (uint64_t nr = 0; nr < NR_BITS; nr++) {
		if (!strcmp(syscall_name(nr), "?") || (name[0] == '%' ? !in_class(nr, name) : strcmp(name, syscall_name(nr)) != 0))
			continue;
		any = true;
		if (set)
			filter[nr / 64] |= 1ull << nr % 64;
		else
			filter[nr / 64] &= ~(1ull << nr % 64);
	}
	return any;
}

int strace_setup(const char *calls, const char *comms)
{
	bool all = !calls || !*calls, invert = !all && *calls == '!';

	mutex_init(&line_mu, "strace.line_mu");
	memset(filter, all || invert ? 0xff : 0, sizeof(filter));
	for (const char *s = all ? "" : calls + invert; *s;) {
		size_t n = strcspn(s, ",");

		if (!filter_word(s, n, !invert))
			return -EINVAL;
		s += n + (s[n] == ',');
	}
	only_comms = comms && *comms ? comms : NULL;
	strace_on = true;
	return 0;
}

static bool wanted_task(const struct task *t)
{
	size_t n = strlen(t->comm);

	for (const char *s = only_comms; s && *s;) {
		size_t w = strcspn(s, ",");

		if (w == n && !memcmp(s, t->comm, n))
			return true;
		s += w + (s[w] == ',');
	}
	return !only_comms;
}

static bool wanted(const struct task *t, uint64_t nr)
{
	return (nr >= NR_BITS || (filter[nr / 64] >> nr % 64 & 1)) && wanted_task(t);
}

/* --- lines --- */

static void put_line(int tid, const char *a, const char *b, const char *c)
{
	_cleanup_strbuf_ struct strbuf s = STRBUF_INIT;

	strbuf_addf(&s, "[pid %5d] %s%s%s", tid, a, b, c);
	if (!strbuf_error(&s))
		log_text(LOG_LVL_INFO, s.data, s.len);
}

/* Ends the line of a call that has not ended. line_mu held. */
static void close_open_line(void)
{
	struct pending *p = open_line;

	if (!p)
		return;
	open_line = NULL;
	if (!strbuf_error(&p->d.b) && p->d.b.data)
		put_line(p->tid, p->d.b.data, " <unfinished ...>", "");
	p->written = p->d.b.len;
}

static void put_event(int tid, const char *text)
{
	mutex_lock(&line_mu);
	close_open_line();
	put_line(tid, text, "", "");
	mutex_unlock(&line_mu);
}

/* --- arguments --- */

static dec_fn find_kind(const char *k, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds_table); i++)
		if (strlen(kinds_table[i].name) == n && !memcmp(kinds_table[i].name, k, n))
			return kinds_table[i].fn;
	return k_HEX;
}

/* Prints arguments until the row ends or one must wait: its separator is there then, as in strace. @resumed: so it was. */
static void decode(struct pending *p, bool resumed)
{
	struct dec *d = &p->d;

	while (*p->kinds && d->i < 6) {
		size_t n = strcspn(p->kinds, " "), before = d->b.len, sep;

		if (*p->kinds == '=') {
			d->fmt = p->kinds[1];
			p->kinds += n + (p->kinds[n] == ' ');
			continue;
		}
		if (d->i && !resumed)
			dec_comma(d);
		resumed = false;
		sep = d->b.len;
		d->next = d->i + 1;
		if (!find_kind(p->kinds, n)(d, d->a[d->i]))
			return;
		if (d->b.len == sep && d->b.data) { /* an argument that is not there */
			d->b.len = before;
			d->b.data[before] = '\0';
		}
		d->i = d->next;
		p->kinds += n + (p->kinds[n] == ' ');
	}
	p->kinds = "";
}

static void begin(struct pending *p, struct task *t, uint64_t nr, const uint64_t args[6])
{
	p->d = (struct dec){ .t = t, .nr = nr, .fmt = 'd' };
	memcpy(p->d.a, args, sizeof(p->d.a));
	p->kinds = syscall_kinds(nr);
	if (!*p->kinds)
		p->kinds = "HEX HEX HEX HEX HEX HEX";
	p->written = 0;
	p->tid = dec_tid(t);
	if (!strcmp(syscall_name(nr), "?"))
		strbuf_addf(&p->d.b, "syscall_%#lx(", (unsigned long)nr);
	else
		strbuf_addf(&p->d.b, "%s(", syscall_name(nr));
	decode(p, false);
}

/* --- results --- */

static const struct xlat x_fd_flags[] = { { 1, "FD_CLOEXEC" }, XEND };
static const struct xlat x_seal_bits[] = {
	{ 1, "F_SEAL_SEAL" }, { 2, "F_SEAL_SHRINK" }, { 4, "F_SEAL_GROW" }, { 8, "F_SEAL_WRITE" }, { 16, "F_SEAL_FUTURE_WRITE" }, XEND,
};

static void put_restart(struct dec *d, int64_t code)
{
	static const struct { int code; const char *text; } t[] = {
		{ ERESTARTSYS, "ERESTARTSYS (To be restarted if SA_RESTART is set)" },
		{ ERESTARTNOINTR, "ERESTARTNOINTR (To be restarted)" },
		{ ERESTARTNOHAND, "ERESTARTNOHAND (To be restarted if no handler)" },
		{ ERESTARTBLOCK, "ERESTART_RESTARTBLOCK (Interrupted by signal)" },
	};

	strbuf_addc(&d->b, '?');
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (t[i].code == code)
			strbuf_addf(&d->b, " %s", t[i].text);
}

static void put_result(struct dec *d)
{
	int64_t r = d->ret;

	if (r <= -ERESTARTSYS && r >= -ERESTARTBLOCK) {
		put_restart(d, -r);
	} else if (r < 0 && r > -4096) {
		const char *n = strerrorname_np((int)-r);

		if (n)
			strbuf_addf(&d->b, "-1 %s (%s)", n, strerrordesc_np((int)-r));
		else
			strbuf_addf(&d->b, "-1 (errno %ld)", (long)-r);
	} else if (d->fmt == 'x' || (d->fmt == 'F' && r) || d->fmt == 'L' || (d->fmt == 'S' && r)) {
		dec_hex(d, (uint64_t)r);
		if (d->fmt != 'x')
			strbuf_adds(&d->b, d->fmt == 'S' ? " (seals " : " (flags ");
		if (d->fmt == 'F')
			dec_flags(d, x_fd_flags, (uint64_t)r, NULL);
		else if (d->fmt == 'S')
			dec_flags(d, x_seal_bits, (uint64_t)r, NULL);
		else if (d->fmt == 'L')
			dec_open_flags(d, (uint64_t)r);
		if (d->fmt != 'x')
			strbuf_addc(&d->b, ')');
	} else if (d->fmt == 'o') {
		strbuf_addf(&d->b, r ? "0%lo" : "%lo", (unsigned long)r);
	} else {
		strbuf_addf(&d->b, "%ld", (long)r);
	}
	if (d->note[0])
		strbuf_addf(&d->b, " (%s)", d->note);
}

static void pad(struct dec *d, size_t column)
{
	while (column++ < RESULT_COLUMN - 1)
		strbuf_addc(&d->b, ' ');
	strbuf_addc(&d->b, ' ');
}

/* Writes the end of the call of @p: the whole line, or what follows "resumed". @known: it has a result. */
static void finish(struct pending *p, bool known)
{
	char head[64] = "";
	size_t lead;

	mutex_lock(&line_mu);
	if (open_line == p)
		open_line = NULL; /* nobody else looks at the buffer any more */
	mutex_unlock(&line_mu);
	if (known)
		decode(p, true);
	if (p->written)
		(void)snprintf(head, sizeof(head), "<... %s resumed>", syscall_name(p->d.nr));
	strbuf_addc(&p->d.b, ')');
	lead = (size_t)snprintf(NULL, 0, "[pid %5d] %s", p->tid, head);
	pad(&p->d, lead + p->d.b.len - p->written);
	strbuf_adds(&p->d.b, "= ");
	if (known)
		put_result(&p->d);
	else
		strbuf_addc(&p->d.b, '?');
	mutex_lock(&line_mu);
	close_open_line();
	if (!strbuf_error(&p->d.b))
		put_line(p->tid, head, p->d.b.data + p->written, "");
	mutex_unlock(&line_mu);
	strbuf_done(&p->d.b);
	p->active = false;
}

/* --- hooks --- */

void strace_enter(struct task *t, uint64_t nr, const struct sys_args *a)
{
	if (!strace_on)
		return;
	if (mine && mine->active) {
		if (mine->d.nr == nr && t->sysctx.again)
			return; /* goes on after a freeze */
		finish(mine, false);
	}
	if (!wanted(t, nr))
		return;
	if (!mine)
		mine = calloc(1, sizeof(*mine));
	if (!mine)
		return;
	begin(mine, t, nr, a->a);
	mine->active = true;
	mutex_lock(&line_mu);
	close_open_line();
	open_line = mine;
	mutex_unlock(&line_mu);
}

void strace_exit(struct task *t, uint64_t nr, const struct sys_args *a, int64_t ret)
{
	if (!strace_on || !mine || !mine->active || ret == -EFREEZE)
		return;
	if (ret == SYS_NO_RETURN_VALUE) /* execve and rt_sigreturn made the registers themselves */
		ret = mine->d.nr == nr && !strncmp(syscall_name(nr), "exec", 4) ? 0 : (int64_t)t->k->pops->regs(t->pctx, false)->r.rax;
	mine->d.exit = true;
	mine->d.ret = ret;
	finish(mine, true);
}

void strace_blocked(struct task *t)
{
	if (!mine || !mine->active)
		return;
	mutex_lock(&line_mu);
	if (open_line == mine)
		close_open_line();
	mutex_unlock(&line_mu);
}

void strace_signal(struct task *t, int sig, const struct linux_siginfo *si)
{
	struct dec d = { .t = t };

	if (!strace_on || !wanted_task(t))
		return;
	strbuf_adds(&d.b, "--- ");
	dec_signame(&d, sig);
	strbuf_addc(&d.b, ' ');
	dec_siginfo(&d, si);
	strbuf_adds(&d.b, " ---");
	if (!strbuf_error(&d.b))
		put_event(dec_tid(t), d.b.data);
	strbuf_done(&d.b);
}

void strace_task_exit(struct task *t, int status)
{
	struct dec d = { .t = t };

	if (!strace_on)
		return;
	if (mine && mine->active)
		finish(mine, false);
	if (mine) {
		strbuf_done(&mine->d.b);
		free(TAKE_PTR(mine));
	}
	if (!wanted_task(t))
		return;
	if (WIFSIGNALED(status)) {
		strbuf_adds(&d.b, "+++ killed by ");
		dec_signame(&d, WTERMSIG(status));
		strbuf_adds(&d.b, WCOREDUMP(status) ? " (core dumped) +++" : " +++");
	} else {
		strbuf_addf(&d.b, "+++ exited with %d +++", WEXITSTATUS(status));
	}
	if (!strbuf_error(&d.b))
		put_event(dec_tid(t), d.b.data);
	strbuf_done(&d.b);
}

char *strace_describe(struct task *t, uint64_t nr, const uint64_t args[6])
{
	struct pending p = { 0 };

	begin(&p, t, nr, args);
	if (*p.kinds)
		strbuf_adds(&p.d.b, "...");
	strbuf_addc(&p.d.b, ')');
	return strbuf_take(&p.d.b);
}

/* The memory map, a line each: what a fault's addresses mean. */
static void put_maps(struct task *t)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	char *save = NULL;

	if (mm_show_maps(t->mm, &b) < 0 || strbuf_error(&b) < 0 || !b.data)
		return;
	for (char *l = strtok_r(b.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		put_line(dec_tid(t), "  ", l, "");
}

/* A fault that nothing handles: where, and in which memory. Runtimes that handle theirs make too many to show. */
void strace_fault(struct task *t, const struct plat_trap *trap, const struct linux_siginfo *si)
{
	const struct arch_regs *r;
	char text[160];

	if (!strace_on || !wanted_task(t) || t->sighand->action[si->si_signo - 1].handler != (uint64_t)(uintptr_t)SIG_DFL)
		return;
	r = &t->k->pops->regs(t->pctx, false)->r;
	(void)snprintf(text, sizeof(text), "fault SIG%s at rip=%#lx rsp=%#lx, address %#lx", sigabbrev_np(si->si_signo), (unsigned long)r->rip,
		       (unsigned long)r->rsp, (unsigned long)si->fault.addr);
	put_event(dec_tid(t), text);
	put_maps(t);
}
