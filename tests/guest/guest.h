/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every guest program includes.
 *
 * A guest program tests one theme of Linux behaviour from inside. It defines `void guest_test(void)`; guest_main.c
 * supplies main(), which plays a small init, runs the test in a child that leads its own session, in an empty scratch
 * directory, and reports "PASS <checks>", "SKIP <reason>" or the first failure. The host kernel is the oracle: every
 * program must pass there. guest_checkpoint() marks a point where the interesting object is held; see README.md.
 *
 * Every failing check ends the process that ran it with status 1, also in children and threads; parents use
 * guest_reap() so that a child's failure is the program's.
 */
#ifndef GUEST_H
#define GUEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define GUEST_PRCTL_MARK 0x52435031 /* 'RCP1': an unknown prctl option, so EINVAL and no effect everywhere */
#define ARRAY_SIZE(a)	 (sizeof(a) / sizeof((a)[0]))
#define PAGE		 4096UL
#define MS		 1000000LL /* nanoseconds in a millisecond */

/* The theme's body; returns when everything held. */
void guest_test(void);
/* Optional: called instead of guest_test() when the program was started with arguments (re-executed by itself). */
int guest_helper(int argc, char **argv) __attribute__((weak));
/* Absolute path of this program. */
extern char guest_self[PATH_MAX];
/* The scratch directory (also the initial working directory). */
extern char guest_dir[PATH_MAX];
extern char **environ;

void guest_at(const char *file, int line, bool counted);
void guest_fail(const char *file, int line, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
void guest_skip(const char *reason) __attribute__((noreturn));
void guest_subtest(const char *name);

#define SUBTEST(name) guest_subtest(name)
#define SKIP(reason)  guest_skip(reason)
#define AT()	      guest_at(__FILE__, __LINE__, true)

#define CHECK(c)                                                                                                       \
	do {                                                                                                           \
		AT();                                                                                                  \
		if (!(c))                                                                                              \
			guest_fail(__FILE__, __LINE__, "CHECK(%s), errno %d (%s)", #c, errno, strerror(errno));        \
	} while (0)

#define CHECK_EQ(a, b)                                                                                                 \
	do {                                                                                                           \
		AT();                                                                                                  \
		long long a_ = (long long)(a), b_ = (long long)(b);                                                    \
		if (a_ != b_)                                                                                          \
			guest_fail(__FILE__, __LINE__, "%s = %lld (0x%llx), want %s = %lld (0x%llx), errno %d", #a,    \
				   a_, (unsigned long long)a_, #b, b_, (unsigned long long)b_, errno);                 \
	} while (0)

#define CHECK_STR(a, b)                                                                                                \
	do {                                                                                                           \
		AT();                                                                                                  \
		const char *a_ = (a), *b_ = (b);                                                                       \
		if (strcmp(a_, b_) != 0)                                                                               \
			guest_fail(__FILE__, __LINE__, "%s = \"%s\", want \"%s\"", #a, a_, b_);                        \
	} while (0)

/* The call fails with -1 and exactly this errno. */
#define CHECK_ERRNO(call, want)                                                                                        \
	do {                                                                                                           \
		guest_at(__FILE__, __LINE__, true);                                                                    \
		errno = 0;                                                                                             \
		long r_ = (long)(call);                                                                                \
		int e_ = errno;                                                                                        \
		if (r_ != -1 || e_ != (want))                                                                          \
			guest_fail(__FILE__, __LINE__, "%s = %ld, errno %d (%s); want -1, errno %d (%s)", #call, r_,   \
				   e_, strerror(e_), (want), #want);                                                   \
	} while (0)

/* The call does not return -1; the value is the call's. */
#define OK(call)                                                                                                       \
	({                                                                                                             \
		AT();                                                                                                  \
		__typeof__(call) r_ = (call);                                                                          \
		if (r_ == (__typeof__(call))-1)                                                                        \
			guest_fail(__FILE__, __LINE__, "%s failed: errno %d (%s)", #call, errno, strerror(errno));     \
		r_;                                                                                                    \
	})

/*
 * Marks a checkpoint. A no-op natively. In a checkpoint run (GUEST_CKPT=dir) it creates dir/at.N and polls for dir/go.N, which the
 * runner creates after it has checkpointed (and restored). Only the calling thread waits; the rest of the program goes on.
 */
void guest_checkpoint(void);

/* fork() that checks. `CHILD (pid) { ...; _exit(0); }` runs the block in the child. */
pid_t guest_fork(void);
#define CHILD(pid) if (((pid) = guest_fork()) == 0)
/* Waits for the child and requires exit status 0. */
void guest_reap(pid_t pid);
/* Waits for the child, returns its wait status. */
int guest_status(pid_t pid);
pthread_t guest_thread(void *(*fn)(void *), void *arg);
void guest_join(pthread_t t);
pid_t guest_gettid(void);
/* Returns when the task (any task id) sleeps in a system call, by /proc; without /proc after 50 ms. */
void guest_blocked(pid_t tid);
/* Brings lo up: natively the program has a fresh network namespace. */
void guest_lo_up(void);
/* Sleeps that long whatever signals arrive. */
void msleep(int ms);
int64_t now_ns(clockid_t clock);

/* A one-shot or counting rendezvous over a pipe, inherited by fork. */
struct gate {
	int r, w;
};
void gate_init(struct gate *g);
void gate_post(struct gate *g);
void gate_wait(struct gate *g);

/* Signal bookkeeping: guest_catch() installs a SA_SIGINFO handler that counts and keeps the last siginfo. */
extern volatile sig_atomic_t guest_sig_count, guest_sig_last;
extern siginfo_t guest_si;
void guest_catch(int sig, int flags);
void guest_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags);
void guest_block(int sig);
void guest_unblock(int sig);

/* Whole small files. */
void guest_write_file(const char *path, const char *data);
ssize_t guest_read_file(const char *path, char *buf, size_t size); /* NUL-terminates; -1 with errno */
int guest_make_file(const char *path, size_t size, int seed);	   /* patterned, returns an O_RDWR fd at offset 0 */
void guest_fill(void *p, size_t n, int seed);
bool guest_filled(const void *p, size_t n, int seed);
int guest_count_fds(void);

#endif
