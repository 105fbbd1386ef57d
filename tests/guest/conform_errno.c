// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the outcome of every system call with all-zero, all-ones and bad-descriptor arguments; the runner compares
 * it with the host.
 */
#include "guest.h"

/* Calls that change the machine, never return, or differ by hardware or privilege rather than by semantics. */
static const int skip[] = {15, 34,  56,  57,  58,  60,  101, 103, 130, 134, 153, 154, 156, 162, 163, 164, 167, 168, 169,
			   172, 173,	     174, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 187, 205, 211, 212, 214,
			   215, 219,	     220, 227, 231, 236, 246, 248, 249, 250, 273, 298, 300, 301, 304, 305, 310, 313, 317, 320,
			   321, 323,	     329, 330, 331, 334, 335, 336, 425, 426, 427,
			   /* the descriptor-based mount interface and quotas: not built, ENOSYS */ 428, 429, 430, 431, 432, 433, 442, 443,
			   /* ustat, sysfs, remap_file_pages, native AIO, NUMA, process_madvise: not built, ENOSYS */ 136, 139, 206,
			   207, 208, 209, 210, 216, 237, 238, 239, 256, 279, 333, 440};

static sigset_t sigchld; /* blocked, and waited for */

/* Blocked in the call, rather than slow? How long a call takes on a busy machine says nothing; that its process sleeps, does. */
static bool asleep(pid_t p)
{
	char path[64], b[256], *e;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)p);
	fd = OK(open(path, O_RDONLY));
	n = read(fd, b, sizeof(b) - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	e = strrchr(b, ')');
	return e && e[2] == 'S';
}

/* The wait status of @p. It is shot when it sleeps in the call that @in says it makes, and goes on sleeping. */
static int outcome(pid_t p, const volatile int *in)
{
	struct timespec tick = {0, 20000000};
	int st, slept = 0;

	while (waitpid(p, &st, WNOHANG) != p) {
		if (sigtimedwait(&sigchld, NULL, &tick) > 0)
			continue;
		slept = *in && asleep(p) ? slept + 1 : 0;
		if (slept == 8)
			kill(p, SIGALRM);
	}
	return st;
}

static void one(int nr, const char *kind, long a, long rest)
{
	volatile int *out = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	int st;
	pid_t p;

	CHILD (p) {
		OK(sigprocmask(SIG_UNBLOCK, &sigchld, NULL));
		errno = 0;
		out[2] = 1;
		out[0] = syscall(nr, a, rest, rest, rest, rest, rest) == -1 ? errno : 0;
		out[1] = 1;
		syscall(SYS_exit_group, 0);
	}
	st = outcome(p, &out[2]);
	if (WIFSIGNALED(st))
		dprintf(1, "call %d %s: signal %d\n", nr, kind, WTERMSIG(st));
	else if (!out[1])
		dprintf(1, "call %d %s: ended\n", nr, kind);
	else
		dprintf(1, "call %d %s: %s\n", nr, kind, out[0] ? strerror(out[0]) : "success");
	munmap((void *)(uintptr_t)out, PAGE);
}

void guest_test(void)
{
	OK(dup2(OK(open("/dev/null", O_RDWR)), 0)); /* descriptor 0 is an argument below */
	sigemptyset(&sigchld);
	sigaddset(&sigchld, SIGCHLD);
	OK(sigprocmask(SIG_BLOCK, &sigchld, NULL));
	for (int nr = 0; nr <= 450; nr++) {
		bool skipped = nr > 334 && nr < 424;

		for (size_t i = 0; i < ARRAY_SIZE(skip); i++)
			skipped |= skip[i] == nr;
		if (skipped || nr >= 444)
			continue;
		one(nr, "zeros", 0, 0);
		one(nr, "ones", -1, -1);
		one(nr, "999", 999, 0);
		CHECK(true);
	}
	guest_checkpoint();
}
