// SPDX-License-Identifier: Apache-2.0
/* userfaultfd: faults of applications and of system calls' copies that a thread resolves, write protection, minor faults, events. */
#include "guest.h"

#include <linux/userfaultfd.h>

static int uffd_new(uint64_t features, int flags)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = OK((int)syscall(SYS_userfaultfd, flags));

	CHECK_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	CHECK_EQ(api.features & features, features);
	CHECK(api.ioctls & (1ULL << _UFFDIO_REGISTER));
	return fd;
}

static void reg(int fd, void *p, size_t n, uint64_t mode)
{
	struct uffdio_register r = { .range = { (uintptr_t)p, n }, .mode = mode };

	CHECK_EQ(ioctl(fd, UFFDIO_REGISTER, &r), 0);
	CHECK(r.ioctls & (1ULL << _UFFDIO_COPY));
}

static char *anon(size_t n, int flags)
{
	return OK((char *)mmap(NULL, n, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0));
}

static int64_t copy(int fd, void *dst, const void *src, size_t n, uint64_t mode)
{
	struct uffdio_copy c = { .dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = n, .mode = mode };
	int r = ioctl(fd, UFFDIO_COPY, &c);

	return r == 0 ? c.copy : -errno;
}

static int64_t zero(int fd, void *dst, size_t n)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)dst, n } };
	int r = ioctl(fd, UFFDIO_ZEROPAGE, &z);

	return r == 0 ? z.zeropage : -errno;
}

static int64_t cont(int fd, void *dst, size_t n)
{
	struct uffdio_continue c = { .range = { (uintptr_t)dst, n } };
	int r = ioctl(fd, UFFDIO_CONTINUE, &c);

	return r == 0 ? c.mapped : -errno;
}

static int wp(int fd, void *p, size_t n, uint64_t mode)
{
	struct uffdio_writeprotect w = { .range = { (uintptr_t)p, n }, .mode = mode };

	return ioctl(fd, UFFDIO_WRITEPROTECT, &w);
}

static struct uffd_msg next(int fd)
{
	struct uffd_msg m;

	CHECK_EQ(read(fd, &m, sizeof(m)), sizeof(m));
	return m;
}

static void api(void)
{
	struct uffdio_api a = { .api = 0x55 };
	struct uffdio_register r = { .range = { 0, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg m;
	struct pollfd pf;
	char *p = anon(4 * PAGE, MAP_PRIVATE);
	int fd, fd2;

	SUBTEST("handshake and errors");
	CHECK_ERRNO(syscall(SYS_userfaultfd, 0x100), EINVAL);
	fd = OK((int)syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC));
	pf = (struct pollfd){ fd, POLLIN, 0 };
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLERR);
	CHECK_ERRNO(read(fd, &m, sizeof(m)), EINVAL);
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	CHECK_ERRNO(ioctl(fd, UFFDIO_API, &a), EINVAL);
	CHECK_EQ(a.api, 0);
	a = (struct uffdio_api){ .api = UFFD_API, .features = 1ULL << 60 };
	CHECK_ERRNO(ioctl(fd, UFFDIO_API, &a), EINVAL);
	CHECK_ERRNO(ioctl(fd, UFFDIO_API, (void *)8), EFAULT);
	a = (struct uffdio_api){ .api = UFFD_API };
	CHECK_EQ(ioctl(fd, UFFDIO_API, &a), 0);
	CHECK_EQ(a.ioctls, 1ULL << _UFFDIO_REGISTER | 1ULL << _UFFDIO_UNREGISTER | 1ULL << _UFFDIO_API);
	a = (struct uffdio_api){ .api = UFFD_API };
	CHECK_ERRNO(ioctl(fd, UFFDIO_API, &a), EINVAL);
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_NONBLOCK | O_RDONLY);
	CHECK_ERRNO(read(fd, &m, sizeof(m)), EAGAIN);
	CHECK_ERRNO(read(fd, &m, 8), EINVAL);
	CHECK_ERRNO(write(fd, &m, 8), EBADF);
	CHECK_EQ(poll(&pf, 1, 0), 0);
	CHECK_ERRNO(ioctl(fd, 0xaa55, 0), EINVAL);
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	r.range = (struct uffdio_range){ (uintptr_t)p, 100 };
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	r.range.len = PAGE;
	r.mode = 0;
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	r.mode = 0x80;
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	r.mode = UFFDIO_REGISTER_MODE_MINOR;
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	r.mode = UFFDIO_REGISTER_MODE_MISSING;
	CHECK_EQ(ioctl(fd, UFFDIO_REGISTER, &r), 0);
	CHECK_EQ(r.ioctls & (1ULL << _UFFDIO_WRITEPROTECT | 1ULL << _UFFDIO_CONTINUE), 0);
	fd2 = uffd_new(0, 0);
	CHECK_ERRNO(ioctl(fd2, UFFDIO_REGISTER, &r), EBUSY);
}

static void errors(void)
{
	char *p = anon(4 * PAGE, MAP_PRIVATE), *src = anon(PAGE, MAP_PRIVATE);
	int fd = uffd_new(0, O_NONBLOCK), f = guest_make_file("file", 2 * PAGE, 1);
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_range g = { (uintptr_t)p, PAGE };
	char *q;

	SUBTEST("page requests: errors");
	memset(src, 5, PAGE);
	CHECK_EQ(ioctl(fd, UFFDIO_WAKE, &g), 0);
	g.len = 7;
	CHECK_ERRNO(ioctl(fd, UFFDIO_WAKE, &g), EINVAL);
	CHECK_EQ(copy(fd, p, src, PAGE, 0), -ENOENT);
	reg(fd, p, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	CHECK_EQ(copy(fd, p, src, PAGE, 0x80), -EINVAL);
	CHECK_EQ(copy(fd, p, src, PAGE - 1, 0), -EINVAL);
	CHECK_EQ(copy(fd, p, (void *)8, PAGE, 0), -EFAULT);
	CHECK_EQ(copy(fd, p, src, 3 * PAGE, 0), -ENOENT); /* not all of it is registered */
	CHECK_EQ(copy(fd, p, src, PAGE, UFFDIO_COPY_MODE_WP), -EINVAL);
	CHECK_EQ(copy(fd, p, src, PAGE, 0), PAGE);
	CHECK_EQ(copy(fd, p, src, PAGE, 0), -EEXIST);
	CHECK_EQ(zero(fd, p, PAGE), -EEXIST);
	CHECK_EQ(zero(fd, p + PAGE, PAGE), PAGE);
	CHECK(p[0] == 5 && p[PAGE] == 0);
	CHECK_EQ(cont(fd, p, PAGE), -EINVAL);
	CHECK_EQ(wp(fd, p, PAGE, UFFDIO_WRITEPROTECT_MODE_WP), -1);
	CHECK_EQ(errno, ENOENT);
	/* Partial: the second page is there. */
	CHECK_EQ(madvise(p, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(copy(fd, p, p + PAGE, 2 * PAGE, 0), -EAGAIN);
	g = (struct uffdio_range){ (uintptr_t)p, 2 * PAGE };
	CHECK_EQ(ioctl(fd, UFFDIO_UNREGISTER, &g), 0);
	CHECK_EQ(ioctl(fd, UFFDIO_UNREGISTER, &g), 0);
	CHECK_EQ(copy(fd, p, src, PAGE, 0), -ENOENT);
	q = OK((char *)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0));
	munmap(p, 4 * PAGE);
	CHECK_ERRNO(ioctl(fd, UFFDIO_UNREGISTER, &g), EINVAL);
	r.range = g;
	CHECK_ERRNO(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	munmap(q, PAGE);
	close(f);
	close(fd);
}

struct touch {
	volatile char *at;
	int value; /* < 0: read */
	int got;
	pid_t tid;
};

static void *touch(void *arg)
{
	struct touch *t = arg;

	__atomic_store_n(&t->tid, guest_gettid(), __ATOMIC_RELEASE);
	if (t->value < 0)
		t->got = *t->at;
	else
		*t->at = (char)t->value;
	return NULL;
}

static pthread_t start(struct touch *t)
{
	pthread_t th = guest_thread(touch, t);

	while (!__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	return th;
}

static void missing(int shared)
{
	char *p = anon(8 * PAGE, shared ? MAP_SHARED : MAP_PRIVATE), *src = anon(PAGE, MAP_PRIVATE);
	int fd = uffd_new(UFFD_FEATURE_THREAD_ID, 0);
	struct touch t = { p + PAGE + 100, 7, 0, 0 };
	struct pollfd pf = { fd, POLLIN, 0 };
	struct uffd_msg m;
	pthread_t th;

	SUBTEST(shared ? "missing pages, shared" : "missing pages");
	memset(src, 'a', PAGE);
	p[0] = 1;
	reg(fd, p, 8 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	CHECK_EQ(p[0], 1); /* is there: no fault */
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLERR); /* a blocking descriptor cannot be polled */
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	th = start(&t);
	CHECK_EQ(poll(&pf, 1, -1), 1);
	CHECK_EQ(pf.revents, POLLIN);
	guest_checkpoint(); /* the fault is queued and not read */
	m = next(fd);
	CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
	CHECK_EQ(m.arg.pagefault.flags, UFFD_PAGEFAULT_FLAG_WRITE);
	CHECK_EQ(m.arg.pagefault.address, (uintptr_t)p + PAGE);
	CHECK_EQ(m.arg.pagefault.feat.ptid, t.tid);
	guest_checkpoint(); /* it was read: it must not come again */
	CHECK_EQ(poll(&pf, 1, 50), 0);
	CHECK_EQ(copy(fd, p + PAGE, src, PAGE, 0), PAGE);
	guest_join(th);
	CHECK(p[PAGE] == 'a' && p[PAGE + 100] == 7);

	/* A read, filled with zeroes; woken by hand. */
	t = (struct touch){ p + 3 * PAGE, -1, 9, 0 };
	th = start(&t);
	CHECK_EQ(poll(&pf, 1, -1), 1);
	m = next(fd);
	CHECK_EQ(m.arg.pagefault.flags, 0);
	struct uffdio_zeropage z = { .range = { (uintptr_t)p + 3 * PAGE, PAGE }, .mode = UFFDIO_ZEROPAGE_MODE_DONTWAKE };
	CHECK_EQ(ioctl(fd, UFFDIO_ZEROPAGE, &z), 0);
	struct uffdio_range g = { (uintptr_t)p + 3 * PAGE, PAGE };
	CHECK_EQ(ioctl(fd, UFFDIO_WAKE, &g), 0);
	guest_join(th);
	CHECK_EQ(t.got, 0);

	/* Closing ends the registration: the sleeper finds an ordinary page. */
	t = (struct touch){ p + 5 * PAGE, -1, 9, 0 };
	th = start(&t);
	CHECK_EQ(poll(&pf, 1, -1), 1);
	close(fd);
	guest_join(th);
	CHECK_EQ(t.got, 0);
	munmap(p, 8 * PAGE);
	munmap(src, PAGE);
}

struct reader {
	int fd, n;
	char *src;
};

/* Fills what is missing with its page's number, n times. */
static void *serve(void *arg)
{
	struct reader *r = arg;

	for (int i = 0; i < r->n; i++) {
		struct uffd_msg m = next(r->fd);
		uint64_t page = m.arg.pagefault.address & ~(PAGE - 1);

		CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
		memset(r->src, 'A' + (int)((page >> 12) & 15), PAGE);
		CHECK_EQ(copy(r->fd, (void *)page, r->src, PAGE, 0), PAGE);
	}
	return NULL;
}

static void kernel_access(void)
{
	char *p = anon(4 * PAGE, MAP_PRIVATE), buf[16];
	int fd = uffd_new(0, 0), pp[2], f = guest_make_file("data", 3 * PAGE, 3);
	struct reader r = { fd, 3, anon(PAGE, MAP_PRIVATE) };
	pthread_t th;

	SUBTEST("copies of system calls");
	OK(pipe(pp));
	reg(fd, p, 4 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	th = guest_thread(serve, &r);
	CHECK_EQ(write(pp[1], p + PAGE - 4, 8), 8); /* two pages */
	CHECK_EQ(read(pp[0], buf, 16), 8);
	CHECK_EQ(buf[0], 'A' + (((uintptr_t)p >> 12) & 15));
	CHECK_EQ(buf[7], 'A' + ((((uintptr_t)p >> 12) + 1) & 15));
	CHECK_EQ(pread(f, p + 2 * PAGE, 10, 0), 10); /* into the third */
	guest_join(th);
	CHECK(p[2 * PAGE + 10] == 'A' + (char)((((uintptr_t)p >> 12) + 2) & 15));
	close(fd);
	SUBTEST("USER_MODE_ONLY and SIGBUS");
	madvise(p, 4 * PAGE, MADV_DONTNEED);
	fd = uffd_new(0, UFFD_USER_MODE_ONLY);
	reg(fd, p, PAGE, UFFDIO_REGISTER_MODE_MISSING);
	CHECK_ERRNO(write(pp[1], p, 8), EFAULT);
	close(fd);
	fd = uffd_new(UFFD_FEATURE_SIGBUS, 0);
	reg(fd, p, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	CHECK_ERRNO(write(pp[1], p, 8), EFAULT);
	pid_t c;
	CHILD (c) {
		/* The child's copy is not registered. */
		CHECK_EQ(p[PAGE], 0);
		_exit(0);
	}
	guest_reap(c);
	close(fd);
	close(pp[0]);
	close(pp[1]);
	close(f);
	munmap(p, 4 * PAGE);
}

static void *blocked_read(void *arg)
{
	void **a = arg;
	ssize_t n = pread((int)(intptr_t)a[0], a[1], PAGE, 0);

	CHECK_EQ(n, PAGE);
	return NULL;
}

static void kernel_blocked(void)
{
	char *p = anon(2 * PAGE, MAP_PRIVATE), *src = anon(PAGE, MAP_PRIVATE);
	int fd = uffd_new(0, 0), f = guest_make_file("blk", PAGE, 9);
	void *a[2] = { (void *)(intptr_t)f, p };
	struct uffd_msg m;
	pthread_t th;

	SUBTEST("checkpoint while a system call waits for a page");
	reg(fd, p, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	th = guest_thread(blocked_read, a);
	m = next(fd);
	CHECK_EQ(m.arg.pagefault.address, (uintptr_t)p);
	guest_checkpoint();
	CHECK_EQ(copy(fd, p, src, PAGE, 0), PAGE);
	guest_join(th);
	CHECK(guest_filled(p, PAGE, 9));
	close(fd);
	close(f);
	munmap(p, 2 * PAGE);
}

static void write_protect(void)
{
	char *p = anon(4 * PAGE, MAP_PRIVATE);
	int fd = uffd_new(UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0);
	struct touch t = { p + PAGE, 8, 0, 0 };
	struct uffd_msg m;
	pthread_t th;
	pid_t c;

	SUBTEST("write protection");
	memset(p, 3, 4 * PAGE);
	reg(fd, p, 4 * PAGE, UFFDIO_REGISTER_MODE_WP);
	CHECK_EQ(wp(fd, p, 4 * PAGE, UFFDIO_WRITEPROTECT_MODE_WP), 0);
	CHECK_EQ(p[PAGE], 3); /* reading is free */
	th = start(&t);
	m = next(fd);
	CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
	CHECK_EQ(m.arg.pagefault.flags, UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE);
	CHECK_EQ(m.arg.pagefault.address, (uintptr_t)p + PAGE);
	guest_checkpoint();
	CHECK_EQ(p[PAGE], 3);
	CHECK_EQ(wp(fd, p + PAGE, PAGE, 0), 0);
	guest_join(th);
	CHECK_EQ(p[PAGE], 8);
	CHILD (c) {
		p[0] = 1; /* the child's copy is free */
		_exit(0);
	}
	guest_reap(c);
	t = (struct touch){ p, 9, 0, 0 };
	th = start(&t);
	m = next(fd);
	CHECK(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
	struct uffdio_range g = { (uintptr_t)p + PAGE, 3 * PAGE };
	CHECK_EQ(ioctl(fd, UFFDIO_UNREGISTER, &g), 0);
	p[2 * PAGE] = 4; /* not protected any more */
	close(fd);
	guest_join(th);
	CHECK_EQ(p[0], 9);
	munmap(p, 4 * PAGE);
}

static void minor(void)
{
	int mfd = OK((int)syscall(SYS_memfd_create, "minor", 0)), fd;
	char *a, *b;
	struct touch t;
	struct uffd_msg m;
	pthread_t th;

	SUBTEST("minor faults");
	OK(ftruncate(mfd, 4 * PAGE));
	a = OK((char *)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mfd, 0));
	b = OK((char *)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mfd, 0));
	fd = uffd_new(UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MISSING_SHMEM, 0);
	a[PAGE] = 42;
	reg(fd, b, 4 * PAGE, UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_MISSING);
	t = (struct touch){ b + PAGE, -1, 0, 0 };
	th = start(&t);
	m = next(fd);
	CHECK_EQ(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR, UFFD_PAGEFAULT_FLAG_MINOR);
	a[PAGE] = 43;
	guest_checkpoint();
	CHECK_EQ(cont(fd, b + 2 * PAGE, PAGE), -EFAULT); /* nothing there */
	CHECK_EQ(cont(fd, b + PAGE, PAGE), PAGE);
	guest_join(th);
	CHECK_EQ(t.got, 43);
	t = (struct touch){ b + 2 * PAGE, 5, 0, 0 };
	th = start(&t);
	m = next(fd);
	CHECK_EQ(m.arg.pagefault.flags, UFFD_PAGEFAULT_FLAG_WRITE);
	CHECK_EQ(copy(fd, b + 2 * PAGE, a, PAGE, 0), PAGE);
	guest_join(th);
	CHECK_EQ(a[2 * PAGE], 5);
	CHECK_EQ(copy(fd, b + PAGE, a, PAGE, 0), -EEXIST);
	close(fd);
	close(mfd);
}

struct evt {
	int fd;
	struct uffd_msg m;
	bool two;
	struct uffd_msg m2;
};

static void *get_event(void *arg)
{
	struct evt *e = arg;

	e->m = next(e->fd);
	if (e->two)
		e->m2 = next(e->fd);
	return NULL;
}

static void events(void)
{
	char *p = anon(8 * PAGE, MAP_PRIVATE), *q;
	struct evt e = { uffd_new(UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_FORK, 0), { 0 } };
	struct uffdio_range g;
	pthread_t th;
	pid_t c;

	SUBTEST("event: remove");
	memset(p, 1, 8 * PAGE);
	reg(e.fd, p, 8 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	th = guest_thread(get_event, &e);
	CHECK_EQ(madvise(p, 2 * PAGE, MADV_DONTNEED), 0);
	guest_join(th);
	CHECK_EQ(e.m.event, UFFD_EVENT_REMOVE);
	CHECK(e.m.arg.remove.start == (uintptr_t)p && e.m.arg.remove.end == (uintptr_t)p + 2 * PAGE);
	SUBTEST("event: remap");
	e.two = true; /* the old place is unmapped, too */
	th = guest_thread(get_event, &e);
	q = OK((char *)mremap(p + 4 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, anon(2 * PAGE, MAP_PRIVATE)));
	guest_join(th);
	CHECK_EQ(e.m.event, UFFD_EVENT_REMAP);
	CHECK(e.m.arg.remap.from == (uintptr_t)p + 4 * PAGE && e.m.arg.remap.to == (uintptr_t)q && e.m.arg.remap.len == 2 * PAGE);
	CHECK_EQ(e.m2.event, UFFD_EVENT_UNMAP);
	CHECK(e.m2.arg.remove.start == (uintptr_t)p + 4 * PAGE && e.m2.arg.remove.end == (uintptr_t)p + 6 * PAGE);
	e.two = false;
	SUBTEST("event: unmap");
	th = guest_thread(get_event, &e);
	CHECK_EQ(munmap(p + 6 * PAGE, 2 * PAGE), 0);
	guest_join(th);
	CHECK_EQ(e.m.event, UFFD_EVENT_UNMAP);
	CHECK(e.m.arg.remove.start == (uintptr_t)p + 6 * PAGE && e.m.arg.remove.end == (uintptr_t)p + 8 * PAGE);
	SUBTEST("event: fork");
	th = guest_thread(get_event, &e);
	CHILD (c) {
		CHECK_EQ(p[0], 'F'); /* missing in the child, too */
		CHECK_EQ(p[2 * PAGE], 1);
		_exit(0);
	}
	guest_join(th);
	CHECK_EQ(e.m.event, UFFD_EVENT_FORK);
	struct uffd_msg m = next((int)e.m.arg.fork.ufd);
	CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
	CHECK_EQ(m.arg.pagefault.address, (uintptr_t)p);
	guest_checkpoint();
	char *src = anon(PAGE, MAP_PRIVATE);
	memset(src, 'F', PAGE);
	CHECK_EQ(copy((int)e.m.arg.fork.ufd, p, src, PAGE, 0), PAGE);
	guest_reap(c);
	CHECK_EQ(copy((int)e.m.arg.fork.ufd, p, src, PAGE, 0), -ESRCH);
	close((int)e.m.arg.fork.ufd);
	g = (struct uffdio_range){ (uintptr_t)p, 4 * PAGE };
	CHECK_EQ(ioctl(e.fd, UFFDIO_UNREGISTER, &g), 0);
	close(e.fd);
}

static void signals(void)
{
	char *p = anon(2 * PAGE, MAP_PRIVATE);
	int fd = uffd_new(0, 0);
	struct touch t = { p, 7, 0, 0 };
	struct uffd_msg m;
	pthread_t th;

	SUBTEST("a signal interrupts a fault's sleep");
	guest_catch(SIGUSR1, 0);
	reg(fd, p, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
	th = start(&t);
	m = next(fd);
	OK((int)syscall(SYS_tgkill, getpid(), t.tid, SIGUSR1));
	while (guest_sig_count == 0)
		sched_yield();
	m = next(fd); /* it faults again */
	CHECK_EQ(m.arg.pagefault.address, (uintptr_t)p);
	CHECK_EQ(zero(fd, p, PAGE), PAGE);
	guest_join(th);
	CHECK_EQ(p[0], 7);
	close(fd);
}

void guest_test(void)
{
	if (syscall(SYS_userfaultfd, O_CLOEXEC) < 0 && (errno == ENOSYS || errno == EPERM))
		SKIP("no userfaultfd");
	api();
	errors();
	missing(0);
	missing(1);
	kernel_access();
	kernel_blocked();
	write_protect();
	minor();
	signals();
	events();
}
