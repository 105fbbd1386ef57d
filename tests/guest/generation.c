// SPDX-License-Identifier: Apache-2.0
/*
 * The generation: how a program learns that it was restored. Our kernel's own, so natively there is only to find that random bytes are random.
 * Without a restore nothing changes and nobody is told; with one, everybody who asked is, whatever he was blocked in.
 */
#include "guest.h"
#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/random.h>

#define ID_PATH	 "/proc/sys/kernel/random/generation_id"
#define DEV_PATH "/dev/sysgenid"

static void read_id(int fd, char *ret)
{
	CHECK_EQ(pread(fd, ret, 64, 0), 33);
	ret[33] = '\0';
	CHECK_EQ(strspn(ret, "0123456789abcdef"), 32);
	CHECK_EQ(ret[32], '\n');
}

static short events(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLPRI, 0};

	OK(poll(&p, 1, 0));
	return p.revents;
}

static uint32_t count_of(const volatile uint32_t *page)
{
	return __atomic_load_n(page, __ATOMIC_ACQUIRE);
}

/* Polls for a change in one of the ways until the parent has seen that it need not or must come; says so by its exit status. */
static pid_t waiter(int how, int stop)
{
	pid_t p;

	CHILD (p) {
		struct pollfd pf[2] = {{stop, POLLIN, 0}, {-1, how ? POLLIN : POLLPRI, 0}};

		pf[1].fd = OK(open(how ? DEV_PATH : ID_PATH, O_RDONLY));
		CHECK(poll(pf, 2, -1) >= 1);
		_exit(pf[1].revents ? 42 : 0);
	}
	guest_blocked(p);
	return p;
}

static void on_proc(void)
{
	int fd = OK(open(ID_PATH, O_RDONLY)), ep = OK(epoll_create1(0)), in = OK(inotify_init1(IN_NONBLOCK)), other;
	struct epoll_event ev = {.events = EPOLLPRI | EPOLLET}, got;
	char id[64], now[64], buf[512];
	bool restored;

	read_id(fd, id);
	read_id(fd, now);
	CHECK_STR(id, now);
	CHECK_EQ(events(fd), POLLIN);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	OK(inotify_add_watch(in, ID_PATH, IN_MODIFY));
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	guest_checkpoint();
	other = OK(open(ID_PATH, O_RDONLY));
	read_id(other, now);
	restored = strcmp(id, now) != 0;
	CHECK_EQ(events(other), POLLIN); /* opened since */
	CHECK_EQ(events(fd), restored ? POLLIN | POLLPRI | POLLERR : POLLIN);
	CHECK_EQ(events(fd), restored ? POLLIN | POLLPRI | POLLERR : POLLIN); /* until it is read */
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), restored);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	if (restored)
		CHECK(read(in, buf, sizeof(buf)) > 0 && (((struct inotify_event *)buf)->mask & IN_MODIFY));
	else
		CHECK_ERRNO(read(in, buf, sizeof(buf)), EAGAIN);
	guest_checkpoint(); /* what nobody has read yet is still to be read */
	if (restored)
		CHECK_EQ(events(fd), POLLIN | POLLPRI | POLLERR);
	read_id(fd, now);
	CHECK_EQ(events(fd), POLLIN);
	close(fd);
	close(other);
	close(ep);
	close(in);
}

static void on_device(void)
{
	int fd = OK(open(DEV_PATH, O_RDWR | O_NONBLOCK));
	volatile uint32_t *page = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0)), *late;
	uint32_t was = count_of(page), v = 0;

	CHECK(was != 0);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	CHECK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE) == MAP_FAILED && errno == EINVAL);
	CHECK_ERRNO(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK_ERRNO(read(fd, &v, 3), EINVAL);
	CHECK_ERRNO(read(fd, &v, 4), EAGAIN);
	CHECK_EQ(events(fd), 0);
	guest_checkpoint();
	late = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	CHECK_EQ(count_of(late), count_of(page));
	if (count_of(page) != was) {
		CHECK(count_of(page) > was);
		CHECK_EQ(events(fd), POLLIN);
		CHECK_EQ(read(fd, &v, 4), 4);
		CHECK_EQ(v, count_of(page));
		CHECK_EQ(read(fd, &v, 4), 4); /* until it is confirmed */
		CHECK_ERRNO(write(fd, &was, 4), EINVAL);
		CHECK_ERRNO(write(fd, &v, 3), EINVAL);
		CHECK_EQ(write(fd, &v, 4), 4);
	} else {
		CHECK_ERRNO(write(fd, "xxxx", 4), EINVAL);
	}
	CHECK_EQ(events(fd), 0);
	CHECK_ERRNO(read(fd, &v, 4), EAGAIN);
	munmap((void *)page, PAGE);
	munmap((void *)late, PAGE);
	close(fd);
}

static void uevents(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int s = OK(socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)), fd = OK(open(ID_PATH, O_RDONLY));
	char id[64], now[64], buf[1024];
	bool found = false;
	ssize_t n;

	OK(bind(s, (void *)&a, sizeof(a)));
	read_id(fd, id);
	guest_checkpoint();
	read_id(fd, now);
	n = recv(s, buf, sizeof(buf) - 1, 0);
	if (!strcmp(id, now)) {
		CHECK(n == -1 && errno == EAGAIN);
	} else {
		CHECK(n > 0);
		buf[n] = '\0';
		CHECK(!strncmp(buf, "change@/", 8));
		for (char *p = buf; p < buf + n; p += strlen(p) + 1)
			found = found || !strcmp(p, "NEW_VMGENID=1");
		CHECK(found);
	}
	close(s);
	close(fd);
}

static void blocked(void)
{
	int fd = OK(open(ID_PATH, O_RDONLY)), stop[2], want;
	char id[64], now[64];
	pid_t a, b;

	OK(pipe(stop));
	read_id(fd, id);
	a = waiter(0, stop[0]);
	b = waiter(1, stop[0]);
	guest_checkpoint();
	read_id(fd, now);
	want = strcmp(id, now) ? 42 : 0;
	if (!want)
		CHECK_EQ(write(stop[1], "x", 1), 1);
	CHECK_EQ(guest_status(a), want << 8);
	CHECK_EQ(guest_status(b), want << 8);
	close(stop[0]);
	close(stop[1]);
	close(fd);
}

/* Two lives of one image must not draw the same; here only that one life does not draw the same twice (tests/e2e/outside compares lives). */
static void randomness(void)
{
	unsigned char a[32], b[32];
	char u[64], v[64];

	CHECK_EQ(getrandom(a, sizeof(a), 0), sizeof(a));
	CHECK(guest_read_file("/proc/sys/kernel/random/uuid", u, sizeof(u)) > 0);
	guest_checkpoint();
	CHECK_EQ(getrandom(b, sizeof(b), 0), sizeof(b));
	CHECK(guest_read_file("/proc/sys/kernel/random/uuid", v, sizeof(v)) > 0);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(strcmp(u, v) != 0);
}

void guest_test(void)
{
	SUBTEST("randomness");
	randomness();
	if (access(ID_PATH, F_OK) < 0)
		return; /* Linux has no such thing */
	SUBTEST("/proc/sys/kernel/random/generation_id");
	on_proc();
	SUBTEST("/dev/sysgenid");
	on_device();
	SUBTEST("uevents");
	uevents();
	SUBTEST("blocked in poll");
	blocked();
}
