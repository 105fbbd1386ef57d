/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: when there is one, its notes and memory, threads, limits. */
#include <elf.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest.h"

static char marker[4096] = "to be changed";
static char *heap;

static void limit(rlim_t n)
{
	struct rlimit r;

	OK(getrlimit(RLIMIT_CORE, &r));
	r.rlim_cur = n;
	OK(setrlimit(RLIMIT_CORE, &r));
}

static void *sleeper(void *arg)
{
	*(volatile int *)arg = 1;
	for (;;)
		pause();
	return NULL;
}

static char *slurp(const char *name, size_t *n)
{
	int fd = OK(open(name, O_RDONLY));
	struct stat st;
	char *p;

	OK(fstat(fd, &st));
	*n = (size_t)st.st_size;
	p = mmap(NULL, *n, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

static int crash(int sig)
{
	pid_t p;
	int st;

	CHILD (p) {
		volatile int started = 0;
		pthread_t t;

		strcpy(marker, "found in the core");
		heap = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		strcpy(heap + (32 << 20), "in a sea of zeros");
		OK(pthread_create(&t, NULL, sleeper, (void *)&started));
		while (!started)
			sched_yield();
		if (sig == SIGSEGV)
			*(volatile int *)8 = 1;
		raise(sig);
		_exit(0);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	return st;
}

static const char *at_addr(const char *core, uint64_t addr)
{
	const Elf64_Ehdr *eh = (const void *)core;
	const Elf64_Phdr *ph = (const void *)(core + eh->e_phoff);

	for (int n = 0; n < eh->e_phnum; n++)
		if (ph[n].p_type == PT_LOAD && addr >= ph[n].p_vaddr && addr < ph[n].p_vaddr + ph[n].p_filesz)
			return core + ph[n].p_offset + (addr - ph[n].p_vaddr);
	return NULL;
}

static void check_core(const char *core, size_t size)
{
	const Elf64_Ehdr *eh = (const void *)core;
	const Elf64_Phdr *ph = (const void *)(core + eh->e_phoff);
	int status = 0, fpu = 0, auxv = 0, files = 0, info = 0, ps = 0;
	const char *p, *end;

	CHECK(size > sizeof(*eh) && !memcmp(core, ELFMAG, SELFMAG));
	CHECK_EQ(eh->e_type, ET_CORE);
	CHECK_EQ(ph[0].p_type, PT_NOTE);
	p = core + ph[0].p_offset;
	end = p + ph[0].p_filesz;
	while (p < end) {
		const Elf64_Nhdr *h = (const void *)p;
		const char *desc = p + sizeof(*h) + ((h->n_namesz + 3) & ~3u);

		if (h->n_type == NT_PRSTATUS) {
			CHECK_EQ(h->n_descsz, 336);
			if (!status++) /* the one that crashed comes first */
				CHECK_EQ(*(const short *)(desc + 12), SIGSEGV);
		} else if (h->n_type == NT_PRPSINFO) {
			CHECK_EQ(h->n_descsz, 136);
			CHECK(!strncmp(desc + 40, "core_dump", 9));
			ps++;
		} else if (h->n_type == 0x53494749) {
			CHECK_EQ(((const siginfo_t *)desc)->si_signo, SIGSEGV);
			CHECK((uintptr_t)((const siginfo_t *)desc)->si_addr == 8);
			info++;
		} else if (h->n_type == NT_AUXV) {
			auxv++;
		} else if (h->n_type == NT_FPREGSET) {
			CHECK_EQ(h->n_descsz, 512);
			fpu++;
		} else if (h->n_type == 0x46494c45) {
			CHECK(memmem(desc, h->n_descsz, "core_dump", 9) != NULL);
			files++;
		}
		p = desc + ((h->n_descsz + 3) & ~3u);
	}
	CHECK_EQ(status, 2);
	CHECK_EQ(fpu, 2);
	CHECK_EQ(auxv + files + info + ps, 4);
	p = at_addr(core, (uint64_t)(uintptr_t)marker);
	CHECK(p && !strcmp(p, "found in the core"));
	CHECK(memmem(core, size, "in a sea of zeros", 17) != NULL);
}

void guest_test(void)
{
	struct stat st;
	char pattern[128] = "";
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");
	size_t n;
	int w;

	CHECK(f && fgets(pattern, sizeof(pattern), f));
	fclose(f);
	if (strcmp(pattern, "core\n"))
		SKIP("the host's core_pattern is another");
	SUBTEST("no core without a limit");
	limit(0);
	w = crash(SIGSEGV);
	CHECK(WIFSIGNALED(w) && WTERMSIG(w) == SIGSEGV && !WCOREDUMP(w));
	CHECK_ERRNO(stat("core", &st), ENOENT);

	SUBTEST("core");
	struct rlimit all;
	OK(getrlimit(RLIMIT_CORE, &all));
	if (all.rlim_max != RLIM_INFINITY)
		SKIP("the hard limit is low");
	limit(RLIM_INFINITY);
	w = crash(SIGSEGV);
	CHECK(WIFSIGNALED(w) && WTERMSIG(w) == SIGSEGV && WCOREDUMP(w));
	OK(stat("core", &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK(st.st_size > (64 << 20));
	CHECK(st.st_blocks * 512 < (32 << 20)); /* sparse */
	guest_checkpoint();
	const char *core = slurp("core", &n);
	check_core(core, n);

	SUBTEST("signals");
	OK(unlink("core"));
	w = crash(SIGTERM);
	CHECK(WTERMSIG(w) == SIGTERM && !WCOREDUMP(w));
	CHECK_ERRNO(stat("core", &st), ENOENT);
	w = crash(SIGABRT);
	CHECK(WTERMSIG(w) == SIGABRT && WCOREDUMP(w));
	OK(stat("core", &st));

	SUBTEST("not dumpable");
	OK(unlink("core"));
	OK(prctl(PR_SET_DUMPABLE, 0));
	w = crash(SIGABRT);
	CHECK(WTERMSIG(w) == SIGABRT && !WCOREDUMP(w));
	OK(prctl(PR_SET_DUMPABLE, 1));

	SUBTEST("limited");
	limit(16384);
	w = crash(SIGQUIT);
	CHECK(WTERMSIG(w) == SIGQUIT && WCOREDUMP(w));
	OK(stat("core", &st));
	CHECK(st.st_size > 0 && st.st_size <= 16384);
}
