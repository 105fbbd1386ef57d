/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of single operations, as "name nanoseconds" lines: the best of several rounds, so that a neighbour's noise counts little.
 * Built statically; run on the host, and inside each runtime, by scripts/bench.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static const char *self;
static int pipes[2], back[2], sv[2], ep;

static double now(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void op_getppid(void)
{
	syscall(SYS_getppid);
}

static void op_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void op_pipe(void)
{
	char c = 1;

	if (write(pipes[1], &c, 1) != 1 || read(pipes[0], &c, 1) != 1)
		die("pipe");
}

static void op_unix(void)
{
	char c = 1;

	if (write(sv[0], &c, 1) != 1 || read(sv[1], &c, 1) != 1)
		die("socket");
}

static void op_epoll(void)
{
	struct epoll_event e;

	if (epoll_wait(ep, &e, 1, 0) != 1)
		die("epoll_wait");
}

static void op_open_tmpfs(void)
{
	close(open("/tmp/bench.file", O_RDONLY));
}

static void op_stat_root(void)
{
	struct stat st;

	if (stat(self, &st) < 0)
		die("stat");
}

static void op_read_root(void)
{
	char buf[4096];
	int fd = open(self, O_RDONLY);

	if (read(fd, buf, sizeof(buf)) != sizeof(buf))
		die("read");
	close(fd);
}

static void op_mmap(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 65536; i += 4096)
		p[i] = 1;
	munmap(p, 65536);
}

static void op_fork(void)
{
	int st;
	pid_t p = fork();

	if (p == 0)
		_exit(0);
	waitpid(p, &st, 0);
}

static void op_exec(void)
{
	int st;
	pid_t p = vfork();

	if (p == 0) {
		execl(self, self, "exit", NULL);
		_exit(1);
	}
	waitpid(p, &st, 0);
}

static void *thread(void *a)
{
	return a;
}

static void op_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	pthread_join(t, NULL);
}

static void op_pingpong(void)
{
	char c = 1;

	if (write(pipes[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
		die("ping");
}

static void measure(const char *name, void (*op)(void), int n)
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		double t = now();

		for (int i = 0; i < n; i++)
			op();
		t = (now() - t) / n;
		if (t < best)
			best = t;
	}
	printf("%s %.0f\n", name, best);
	fflush(stdout);
}

static void touch_page(void)
{
	size_t n = 32 << 20;
	double best = 1e18;

	for (int r = 0; r < 3; r++) {
		volatile char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		double t = now();

		for (size_t i = 0; i < n; i += 4096)
			p[i] = 1;
		t = (now() - t) / (double)(n / 4096);
		if (t < best)
			best = t;
		munmap((void *)p, n);
	}
	printf("touch_page %.0f\n", best);
}

static void pingpong(int n)
{
	pid_t p;

	if (pipe(back) < 0)
		die("pipe");
	p = fork();
	if (p == 0) {
		char c;

		close(pipes[1]);
		while (read(pipes[0], &c, 1) == 1)
			if (write(back[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(pipes[0]);
	measure("pipe_pingpong", op_pingpong, n);
	close(pipes[1]);
	waitpid(p, NULL, 0);
}

/* A process to checkpoint: touches @mib MiB, says so, then ticks for ever. */
static int hold(size_t mib)
{
	size_t n = mib << 20;
	volatile char *p = n ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;

	for (size_t i = 0; i < n; i += 4096)
		p[i] = (char)(i >> 12 | 1);
	for (;;) {
		if (write(1, ".\n", 2) != 2)
			return 1;
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event e = { .events = EPOLLOUT };
	int fd;

	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 0;
	if (argc > 2 && !strcmp(argv[1], "hold"))
		return hold((size_t)atol(argv[2]));
	fd = open("/tmp/bench.file", O_CREAT | O_RDWR, 0600);
	if (fd < 0 || pipe(pipes) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		die("set-up");
	ep = epoll_create1(0);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], &e) < 0)
		die("epoll");
	measure("getppid", op_getppid, 3000);
	measure("clock_gettime", op_clock, 3000);
	measure("pipe_write_read", op_pipe, 1000);
	measure("unix_write_read", op_unix, 1000);
	measure("epoll_wait_ready", op_epoll, 1000);
	measure("open_close_tmpfs", op_open_tmpfs, 500);
	measure("stat_root", op_stat_root, 500);
	measure("open_read4k_close_root", op_read_root, 300);
	touch_page();
	measure("mmap_touch64k_munmap", op_mmap, 100);
	measure("thread_create_join", op_thread, 100);
	measure("fork_exit_wait", op_fork, 30);
	measure("vfork_exec_static", op_exec, 20);
	pingpong(500);
	unlink("/tmp/bench.file");
	return 0;
}
