/* SPDX-License-Identifier: Apache-2.0 */
/* File system calls as an application makes them: arguments in application memory, results there, tmpfs below. */
#include "../mm/mm_test_util.h"

#include <pthread.h>

#include "sentry/abi/fs.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/syscalls/syscalls.h"
#include "tests/fakes/fake_fs.h"

static struct task *t;
static uint64_t arena, next;

static int setup(void **state)
{
	struct mm *mm = NULL;

	t = fake_task_new();
	t->k->pops = &fake_ops;
	t->k->pcaps.min_addr = 0x10000;
	t->k->pcaps.max_addr = LINUX_TASK_SIZE_MAX;
	assert_int_equal(mm_new(t->k, &mm), 0);
	mm_user_get(mm);
	t->mm = mm;
	arena = next = (uint64_t)mm_mmap(mm, NULL, 0, 1 << 20, LINUX_PROT_READ | LINUX_PROT_WRITE, LINUX_MAP_PRIVATE | LINUX_MAP_ANONYMOUS,
					 NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	mm_user_put(t->mm);
	mm_put(t->mm);
	fake_task_free(t);
	return 0;
}

static uint64_t put(const void *p, size_t n)
{
	uint64_t at = next;

	if (at + n > arena + (1 << 20))
		at = next = arena;
	assert_int_equal(mm_copy_out(t->mm, GADDR(at), p, n), 0);
	next += ALIGN_UP(n, 16UL);
	return at;
}

static uint64_t S(const char *s)
{
	return put(s, strlen(s) + 1);
}

static void get(void *p, uint64_t at, size_t n)
{
	assert_int_equal(mm_copy_in(t->mm, p, GADDR(at), n), 0);
}

#define CALL(name, ...) sys_##name(t, &(struct sys_args){ { __VA_ARGS__ } })
#define FD(x)		((uint64_t)(int64_t)(x))

static void basics(void **state)
{
	uint64_t buf = put((char[4096]){ 0 }, 4096), st = put((char[256]){ 0 }, 256);
	struct linux_stat s;
	struct linux_statx x;
	struct linux_statfs sf;
	char text[64];

	assert_int_equal(CALL(mkdir, S("/d"), 0777), 0);
	assert_int_equal(CALL(open, S("/d/f"), LINUX_O_RDWR | LINUX_O_CREAT, 0666), 0);
	assert_int_equal(CALL(write, 0, S("hello"), 5), 5);
	assert_int_equal(CALL(pread64, 0, buf, 100, 1), 4);
	get(text, buf, 4);
	assert_memory_equal(text, "ello", 4);
	assert_int_equal(CALL(pread64, 0, buf, 100, FD(-1)), -EINVAL);
	assert_int_equal(CALL(lseek, 0, FD(-2), LINUX_SEEK_END), 3);
	assert_int_equal(CALL(read, 0, buf, 100), 2);
	assert_int_equal(CALL(read, 0, buf, 100), 0);
	assert_int_equal(CALL(read, 0, 8, 100), 0); /* end of file comes before the bad address */
	assert_int_equal(CALL(pread64, 0, 8, 100, 0), -EFAULT);
	assert_int_equal(CALL(write, 0, 8, 100), -EFAULT);
	assert_int_equal(CALL(write, 9, buf, 1), -EBADF);
	assert_int_equal(CALL(fstat, 0, st), 0);
	get(&s, st, sizeof(s));
	assert_int_equal(s.st_mode, LINUX_S_IFREG | 0644);
	assert_int_equal(s.st_size, 5);
	assert_int_equal(CALL(stat, S("/d"), st), 0);
	get(&s, st, sizeof(s));
	assert_int_equal(s.st_mode, LINUX_S_IFDIR | 0755);
	assert_int_equal(s.st_nlink, 2);
	assert_int_equal(CALL(newfstatat, 0, S(""), st, LINUX_AT_EMPTY_PATH), 0);
	assert_int_equal(CALL(newfstatat, 0, S(""), st, 0), -ENOENT);
	assert_int_equal(CALL(newfstatat, FD(LINUX_AT_FDCWD), S("d/f/"), st, 0), -ENOTDIR);
	assert_int_equal(CALL(stat, 8, st), -EFAULT);
	assert_int_equal(CALL(statx, FD(LINUX_AT_FDCWD), S("/d/f"), 0, LINUX_STATX_ALL, st), 0);
	get(&x, st, sizeof(x));
	assert_int_equal(x.stx_size, 5);
	assert_int_equal(CALL(statfs, S("/"), st), 0);
	get(&sf, st, sizeof(sf));
	assert_int_equal(sf.f_type, LINUX_TMPFS_MAGIC);
	assert_int_equal(CALL(access, S("/d/f"), LINUX_R_OK | LINUX_W_OK), 0);
	assert_int_equal(CALL(access, S("/d/f"), LINUX_X_OK), -EACCES);
	assert_int_equal(CALL(chmod, S("/d/f"), 0700), 0);
	assert_int_equal(CALL(access, S("/d/f"), LINUX_X_OK), 0);
	assert_int_equal(CALL(symlink, S("d/f"), S("/l")), 0);
	assert_int_equal(CALL(readlink, S("/l"), buf, 2), 2);
	assert_int_equal(CALL(readlink, S("/d"), buf, 2), -EINVAL);
	assert_int_equal(CALL(chdir, S("/d")), 0);
	assert_int_equal(CALL(getcwd, buf, 3), 3);
	assert_int_equal(CALL(getcwd, buf, 2), -ERANGE);
	get(text, buf, 3);
	assert_string_equal(text, "/d");
	assert_int_equal(CALL(rename, S("f"), S("../g")), 0);
	assert_int_equal(CALL(link, S("/g"), S("/h")), 0);
	assert_int_equal(CALL(unlink, S("/g")), 0);
	assert_int_equal(CALL(ftruncate, 0, 2), 0);
	assert_int_equal(CALL(truncate, S("/h"), 1), 0);
	assert_int_equal(CALL(rmdir, S("/d/.")), -EINVAL);
	assert_int_equal(CALL(rmdir, S("/d/..")), -ENOTEMPTY);
	assert_int_equal(CALL(rmdir, S("/")), -EBUSY);
	assert_int_equal(CALL(rmdir, S("/d")), 0);
	assert_int_equal(CALL(getcwd, buf, 100), -ENOENT);
	assert_int_equal(CALL(open, S("x"), LINUX_O_CREAT | LINUX_O_RDWR, 0600), -ENOENT);
	assert_int_equal(CALL(close, 0), 0);
	assert_int_equal(CALL(close, 0), -EBADF);
}

static void vectors_and_lists(void **state)
{
	uint64_t a = S("abc"), b = S("defg"), buf = put((char[4096]){ 0 }, 4096);
	struct linux_iovec v[2] = { { a, 3 }, { b, 4 } };
	uint64_t iov = put(v, sizeof(v));
	char ents[512];
	size_t n = 0, at = 0;
	int64_t r;

	assert_int_equal(CALL(open, S("/f"), LINUX_O_RDWR | LINUX_O_CREAT, 0666), 0);
	assert_int_equal(CALL(writev, 0, iov, 2), 7);
	assert_int_equal(CALL(pwritev2, 0, iov, 2, FD(-1), 0, LINUX_RWF_APPEND), 7);
	assert_int_equal(CALL(preadv, 0, iov, 2, 10), 4);
	assert_int_equal(CALL(preadv2, 0, iov, 2, 0, 0, 0x8000), -EOPNOTSUPP);
	assert_int_equal(CALL(readv, 0, iov, 2000), -EINVAL);
	assert_int_equal(CALL(open, S("/g"), LINUX_O_RDWR | LINUX_O_CREAT, 0666), 1);
	assert_int_equal(CALL(sendfile, 1, 0, put(&(int64_t){ 2 }, 8), 100), 12);
	assert_int_equal(CALL(copy_file_range, 0, put(&(int64_t){ 0 }, 8), 1, put(&(int64_t){ 100 }, 8), 5, 0), 5);
	assert_int_equal(CALL(open, S("/"), LINUX_O_RDONLY | LINUX_O_DIRECTORY, 0), 2);
	assert_int_equal(CALL(getdents64, 2, buf, 16), -EINVAL);
	assert_int_equal(CALL(getdents64, 2, 8, 512), -EFAULT);
	r = CALL(getdents64, 2, buf, 512);
	assert_int_equal(r, 24 * 4);
	get(ents, buf, (size_t)r);
	for (; at < (size_t)r; n++)
		at += *(uint16_t *)(ents + at + 16);
	assert_int_equal(n, 4);
	assert_string_equal(ents + 48 + 19, "f");
	assert_int_equal(CALL(getdents64, 2, buf, 512), 0);
	assert_int_equal(CALL(lseek, 2, 0, LINUX_SEEK_SET), 0);
	assert_int_equal(CALL(getdents, 2, buf, 512), 24 * 4);
	assert_int_equal(CALL(read, 2, buf, 1), -EISDIR);
	assert_int_equal(CALL(fcntl, 0, LINUX_F_DUPFD, 10), 10);
	assert_int_equal(CALL(fcntl, 0, LINUX_F_GETFL), LINUX_O_RDWR | LINUX_O_LARGEFILE);
	assert_int_equal(CALL(fcntl, 0, LINUX_F_SETFL, LINUX_O_APPEND | LINUX_O_NONBLOCK), 0);
	assert_int_equal(CALL(fcntl, 10, LINUX_F_GETFL), LINUX_O_RDWR | LINUX_O_LARGEFILE | LINUX_O_APPEND | LINUX_O_NONBLOCK);
	assert_int_equal(CALL(dup2, 0, 0), 0);
	assert_int_equal(CALL(dup3, 0, 0, 0), -EINVAL);
	assert_int_equal(CALL(dup3, 0, 5, LINUX_O_CLOEXEC), 5);
	assert_int_equal(CALL(fcntl, 5, LINUX_F_GETFD), 1);
	assert_int_equal(CALL(ioctl, 0, LINUX_FIONCLEX, 0), 0);
	assert_int_equal(CALL(ioctl, 0, 0x5401, 0), -ENOTTY);
	assert_int_equal(CALL(setxattr, S("/f"), S("user.a"), a, 3, 0), 0);
	assert_int_equal(CALL(getxattr, S("/f"), S("user.a"), buf, 10), 3);
	assert_int_equal(CALL(listxattr, S("/f"), buf, 10), 7);
	assert_int_equal(CALL(setxattr, S("/f"), S("system.posix_acl_access"), a, 3, 0), -EINVAL);
	assert_int_equal(CALL(memfd_create, S("x"), LINUX_MFD_CLOEXEC), 3);
}

/* A write whose source is a mapping of the same file, at the very pages it allocates; a read into one. */
static void self_mapped(void **state)
{
	struct file *f;
	int64_t m;

	assert_int_equal(CALL(open, S("/f"), LINUX_O_RDWR | LINUX_O_CREAT, 0666), 0);
	assert_int_equal(CALL(ftruncate, 0, 1 << 20), 0);
	f = fd_get(t, 0);
	m = mm_mmap(t->mm, t, 0, 1 << 20, LINUX_PROT_READ | LINUX_PROT_WRITE, LINUX_MAP_SHARED, f, 0);
	assert_true(m > 0);
	file_put(f);
	assert_int_equal(mm_copy_out(t->mm, GADDR(m), "start", 5), 0);
	assert_int_equal(CALL(pwrite64, 0, (uint64_t)m, 1 << 19, 1 << 18), 1 << 19);
	assert_int_equal(CALL(pread64, 0, (uint64_t)m + 8192, 4096, 1 << 18), 4096);
	{
		char b[6] = { 0 };

		get(b, (uint64_t)m + 8192, 5);
		assert_string_equal(b, "start");
	}
	/* truncation takes the pages away from the mapping */
	assert_int_equal(CALL(ftruncate, 0, 100), 0);
	assert_int_equal(mm_copy_out(t->mm, GADDR(m + 8192), "x", 1), -EFAULT);
	assert_int_equal(mm_copy_out(t->mm, GADDR(m + 200), "x", 1), 0);
	assert_int_equal(CALL(munmap, (uint64_t)m, 1 << 20), 0);
}

static void *churn(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, seed = me;
	struct task self = *t;
	char a[64], b[64];

	for (int n = 0; n < 3000; n++) {
		struct path p = { 0 };
		struct file *f = NULL;

		(void)snprintf(a, sizeof(a), "/s/%u/n%u", rand_r(&seed) % 3, rand_r(&seed) % 8);
		(void)snprintf(b, sizeof(b), "/s/%u/n%u", rand_r(&seed) % 3, rand_r(&seed) % 8);
		switch (rand_r(&seed) % 6) {
		case 0:
			if (vfs_openat(&self, LINUX_AT_FDCWD, a, LINUX_O_RDWR | LINUX_O_CREAT, 0644, 0, &f) == 0) {
				struct uio u;

				uio_kernel(&u, a, 8);
				(void)file_write(f, &self, &u, -1, 0);
				file_put(f);
			}
			break;
		case 1:
		case 2:
		case 3: {
			struct parent_path o = { 0 }, q = { 0 };

			if (namei_parent(&self, LINUX_AT_FDCWD, a, 0, &o) == 0 && namei_parent(&self, LINUX_AT_FDCWD, b, 0, &q) == 0) {
				int kind = (int)(rand_r(&seed) % 4);

				if (kind == 0)
					(void)!vfs_mkdir(&self, &o.dir, o.name, 0755, NULL);
				else if (kind == 1)
					(void)!vfs_rename(&self, &o.dir, o.name, &q.dir, q.name, rand_r(&seed) % 2 ? 0 : LINUX_RENAME_EXCHANGE);
				else if (kind == 2)
					(void)!vfs_unlink(&self, &o.dir, o.name, false);
				else
					(void)!vfs_rmdir(&self, &o.dir, o.name);
			}
			parent_path_done(&o);
			parent_path_done(&q);
			break;
		}
		default:
			if (namei(&self, LINUX_AT_FDCWD, a, 0, &p) == 0) {
				struct strbuf text = STRBUF_INIT;

				(void)path_text(&p, NULL, true, &text);
				strbuf_done(&text);
				path_put(&p);
			}
			break;
		}
	}
	return NULL;
}

static void threads(void **state)
{
	pthread_t th[4];

	assert_int_equal(CALL(mkdir, S("/s"), 0777), 0);
	assert_int_equal(CALL(mkdir, S("/s/0"), 0777), 0);
	assert_int_equal(CALL(mkdir, S("/s/1"), 0777), 0);
	assert_int_equal(CALL(mkdir, S("/s/2"), 0777), 0);
	for (uintptr_t n = 0; n < 4; n++)
		assert_int_equal(pthread_create(&th[n], NULL, churn, (void *)n), 0);
	for (int n = 0; n < 4; n++)
		pthread_join(th[n], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(basics, setup, teardown),
		cmocka_unit_test_setup_teardown(vectors_and_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(self_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
