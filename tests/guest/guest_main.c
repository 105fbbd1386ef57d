// SPDX-License-Identifier: Apache-2.0
/*
 * main() of every guest program, and the helpers of guest.h.
 *
 * Process layout: main is pid 1 of the container (or, run by hand, a child subreaper). It forks the test, which becomes a
 * session leader in an empty scratch directory, and reaps everything until the test has ended. A page shared by all
 * descendants keeps the number of checks, the subtest and the last check passed, so that a crash or a time-out can be
 * located. Output is one dprintf() per line to fd 1: nothing is buffered across a checkpoint.
 */
#include "guest.h"
#include <net/if.h>
#include <sys/vfs.h>

struct shared {
	unsigned long checks;
	char subtest[120];
	const char *file;
	int line;
	int ckpt;
	int skipped;
};

static struct shared fallback_page;
static struct shared *sh = &fallback_page;
char guest_self[PATH_MAX];
char guest_dir[PATH_MAX];
static char ckpt_dir[PATH_MAX];
static pid_t test_pid;

volatile sig_atomic_t guest_sig_count, guest_sig_last;
siginfo_t guest_si;

static const char *base_name(const char *p)
{
	const char *s = strrchr(p, '/');

	return s ? s + 1 : p;
}

void guest_at(const char *file, int line, bool counted)
{
	sh->file = file;
	sh->line = line;
	if (counted)
		__atomic_fetch_add(&sh->checks, 1, __ATOMIC_RELAXED);
}

void guest_fail(const char *file, int line, const char *fmt, ...)
{
	char msg[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	dprintf(1, "FAIL %s:%d [%s] pid %d: %s\n", base_name(file), line, sh->subtest, (int)getpid(), msg);
	_exit(1);
}

void guest_skip(const char *reason)
{
	dprintf(1, "SKIP %s\n", reason);
	sh->skipped = 1;
	_exit(77);
}

void guest_subtest(const char *name)
{
	snprintf(sh->subtest, sizeof(sh->subtest), "%s", name);
	if (getenv("GUEST_VERBOSE"))
		dprintf(1, "# %s\n", name);
}

void guest_checkpoint(void)
{
	char at[PATH_MAX + 32], go[PATH_MAX + 32];
	int n = __atomic_add_fetch(&sh->ckpt, 1, __ATOMIC_RELAXED), fd;

	(void)prctl(GUEST_PRCTL_MARK, n, 0, 0, 0);
	if (!ckpt_dir[0])
		return;
	snprintf(at, sizeof(at), "%s/at.%d", ckpt_dir, n);
	snprintf(go, sizeof(go), "%s/go.%d", ckpt_dir, n);
	fd = open(at, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		guest_fail(__FILE__, __LINE__, "cannot create %s: errno %d", at, errno);
	close(fd);
	while (access(go, F_OK) != 0) {
		struct timespec ts = {0, 10 * MS};

		nanosleep(&ts, NULL);
	}
}

pid_t guest_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		guest_fail(__FILE__, __LINE__, "fork: errno %d", errno);
	return pid;
}

int guest_status(pid_t pid)
{
	int status;
	pid_t r;

	do {
		r = waitpid(pid, &status, 0);
	} while (r < 0 && errno == EINTR);
	if (r != pid)
		guest_fail(__FILE__, __LINE__, "waitpid(%d) = %d, errno %d", (int)pid, (int)r, errno);
	return status;
}

void guest_reap(pid_t pid)
{
	int status = guest_status(pid);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		guest_fail(sh->file ? sh->file : "?", sh->line, "child %d ended with wait status 0x%x", (int)pid,
			   (unsigned)status);
}

void guest_lo_up(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int s = OK(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	OK(ioctl(s, SIOCGIFFLAGS, &r));
	r.ifr_flags |= IFF_UP;
	OK(ioctl(s, SIOCSIFFLAGS, &r));
	close(s);
}

pthread_t guest_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, fn, arg);

	if (r != 0)
		guest_fail(__FILE__, __LINE__, "pthread_create: %d", r);
	return t;
}

void guest_join(pthread_t t)
{
	int r = pthread_join(t, NULL);

	if (r != 0)
		guest_fail(__FILE__, __LINE__, "pthread_join: %d", r);
}

pid_t guest_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

void guest_blocked(pid_t tid)
{
	char path[64], buf[512];
	int seen = 0;

	msleep(3);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	for (int i = 0; i < 500; i++) {
		const char *p;

		if (guest_read_file(path, buf, sizeof(buf)) <= 0) {
			msleep(50);
			return;
		}
		p = strrchr(buf, ')');
		/* Twice, so that a momentary sleep on the way in does not count. */
		if (p && p[1] == ' ' && p[2] == 'S') {
			if (++seen == 2)
				return;
		} else {
			seen = 0;
		}
		msleep(2);
	}
}

void msleep(int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (ms % 1000) * MS;
	if (end.tv_nsec >= 1000 * MS) {
		end.tv_sec++;
		end.tv_nsec -= 1000 * MS;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
}

int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		guest_fail(__FILE__, __LINE__, "clock_gettime(%d): errno %d", (int)clock, errno);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

void gate_init(struct gate *g)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		guest_fail(__FILE__, __LINE__, "pipe2: errno %d", errno);
	g->r = p[0];
	g->w = p[1];
}

void gate_post(struct gate *g)
{
	if (write(g->w, "", 1) != 1)
		guest_fail(__FILE__, __LINE__, "gate_post: errno %d", errno);
}

void gate_wait(struct gate *g)
{
	char c;
	ssize_t r;

	do {
		r = read(g->r, &c, 1);
	} while (r < 0 && errno == EINTR);
	if (r != 1)
		guest_fail(__FILE__, __LINE__, "gate_wait: %zd, errno %d", r, errno);
}

static void count_signal(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	guest_si = *si;
	guest_sig_last = sig;
	guest_sig_count++;
}

void guest_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO};

	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, &sa, NULL) != 0)
		guest_fail(__FILE__, __LINE__, "sigaction(%d): errno %d", sig, errno);
}

void guest_catch(int sig, int flags)
{
	guest_handler(sig, count_signal, flags);
}

void guest_block(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
}

void guest_unblock(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}

void guest_write_file(const char *path, const char *data)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, data, strlen(data)) != (ssize_t)strlen(data))
		guest_fail(__FILE__, __LINE__, "cannot write %s: errno %d", path, errno);
	close(fd);
}

ssize_t guest_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = 0;

	if (fd < 0)
		return -1;
	while (n + 1 < size && (r = read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)r;
	close(fd);
	if (r < 0)
		return -1;
	buf[n] = 0;
	return (ssize_t)n;
}

void guest_fill(void *p, size_t n, int seed)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)((i * 131u + (i >> 9) * 17u + (unsigned)seed * 7u) & 0xff);
}

bool guest_filled(const void *p, size_t n, int seed)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i] != (uint8_t)((i * 131u + (i >> 9) * 17u + (unsigned)seed * 7u) & 0xff))
			return false;
	return true;
}

int guest_make_file(const char *path, size_t size, int seed)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
	char *b = malloc(size + 1);

	if (fd < 0 || !b)
		guest_fail(__FILE__, __LINE__, "cannot make %s: errno %d", path, errno);
	guest_fill(b, size, seed);
	if (pwrite(fd, b, size, 0) != (ssize_t)size)
		guest_fail(__FILE__, __LINE__, "short write to %s: errno %d", path, errno);
	free(b);
	return fd;
}

int guest_count_fds(void)
{
	int n = 0;

	for (int i = 0; i < 1024; i++)
		if (fcntl(i, F_GETFD) >= 0)
			n++;
	return n;
}

static void reset_process(void)
{
	struct rlimit core;
	sigset_t none;

	for (int i = 1; i < 65; i++)
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0; /* core_dump raises it again */
		setrlimit(RLIMIT_CORE, &core);
	}
	umask(022);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR);
}

static void run_test(int round)
{
	const char *tmp = getenv("GUEST_TMP");

	reset_process();
	(void)setsid();
	snprintf(guest_dir, sizeof(guest_dir), "%.*s/%.40s.%d.XXXXXX", PATH_MAX - 100, tmp ? tmp : "/tmp", base_name(guest_self),
		 round);
	if (!mkdtemp(guest_dir) || chmod(guest_dir, 0755) != 0 || chdir(guest_dir) != 0) {
		dprintf(1, "FAIL no scratch directory %s: errno %d\n", guest_dir, errno);
		_exit(1);
	}
	guest_test();
	if (getpid() == test_pid)
		_exit(0);
	dprintf(1, "FAIL a child returned from guest_test()\n");
	_exit(1);
}

static void on_timeout(int sig)
{
	(void)sig;
	dprintf(1, "FAIL timeout; last check %s:%d [%s], %lu checks passed\n", sh->file ? base_name(sh->file) : "?", sh->line,
		sh->subtest, sh->checks);
	kill(-test_pid, SIGKILL);
	kill(test_pid, SIGKILL);
	_exit(1);
}

static int supervise(int round)
{
	int status = 0;

	test_pid = fork();
	if (test_pid < 0) {
		dprintf(1, "FAIL fork: errno %d\n", errno);
		return 1;
	}
	if (test_pid == 0) {
		test_pid = getpid();
		run_test(round);
	}
	for (;;) {
		pid_t r = waitpid(-1, &status, 0);

		if (r == test_pid)
			break;
		if (r < 0 && errno == ECHILD) {
			dprintf(1, "FAIL the test's process was lost\n");
			return 1;
		}
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	dprintf(1, "FAIL the test died of signal %d; last check %s:%d [%s]\n", WTERMSIG(status),
		sh->file ? base_name(sh->file) : "?", sh->line, sh->subtest);
	return 1;
}

int main(int argc, char **argv)
{
	const char *dir = getenv("GUEST_CKPT"), *limit = getenv("GUEST_TIMEOUT"), *repeat = getenv("GUEST_REPEAT");
	int rounds = repeat ? atoi(repeat) : 1;
	void *p;

	if (!realpath("/proc/self/exe", guest_self))
		snprintf(guest_self, sizeof(guest_self), "%s", argv[0]);
	if (dir)
		snprintf(ckpt_dir, sizeof(ckpt_dir), "%s", dir);
	if (argc > 1 && guest_helper)
		return guest_helper(argc, argv);
	p = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		sh = p;
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	reset_process();
	signal(SIGALRM, on_timeout);
	alarm(limit ? (unsigned)atoi(limit) : 20);
	for (int i = 0; i < rounds; i++) {
		int r = supervise(i);

		if (r != 0)
			return r;
	}
	dprintf(1, "PASS %lu checks\n", sh->checks);
	return 0;
}
