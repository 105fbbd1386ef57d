// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of transfers in corner cases: RWF flags, splice and kin, copy_file_range, sendfile, fallocate, holes, O_* flags. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wstringop-overflow" /* bad arguments are the point */
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"
#include <linux/falloc.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })

#define NOAPPEND 0x20

static char buf[65536];
static struct iovec one = {buf, 10}, zero = {buf, 0};

static void rwf(void)
{
	int f = open("rwf", O_RDWR | O_CREAT | O_TRUNC, 0600), a = open("rwf", O_WRONLY | O_APPEND), p[2], np[2], ro = open("rwf", O_RDONLY);
	int d = open(".", O_RDONLY), e = eventfd(0, 0), op = open("rwf", O_PATH);

	V(pipe(p));
	V(pipe2(np, O_NONBLOCK));
	V(pwritev2(f, &one, 1, 0, 0));
	V(pwritev2(f, &one, 1, 0, RWF_APPEND));
	V(lseek(f, 0, SEEK_END));
	V(lseek(f, 3, SEEK_SET));
	V(pwritev2(f, &one, 1, -1, RWF_APPEND));
	V(lseek(f, 0, SEEK_CUR));
	V(pwritev2(f, &one, 1, -1, RWF_DSYNC));
	V(pwritev2(f, &one, 1, 5, RWF_SYNC));
	V(pwritev2(f, &one, 1, 5, RWF_HIPRI));
	V(preadv2(f, &one, 1, 5, RWF_HIPRI));
	V(preadv2(f, &one, 1, 5, RWF_DSYNC));
	V(preadv2(f, &one, 1, 5, RWF_SYNC));
	V(preadv2(f, &one, 1, 5, RWF_APPEND));
	V(preadv2(f, &one, 1, 5, RWF_NOWAIT));
	V(preadv2(f, &one, 1, 5, 0x4000));
	V(preadv2(f, &one, 1, -2, 0));
	V(preadv2(f, &one, 1, -1, 0x4000));
	V(preadv2(f, &zero, 1, 0, 0x4000));
	V(preadv2(f, &one, 0, 0, 0));
	V(preadv2(f, &one, -1, 0, 0));
	V(preadv2(f, &one, 1025, 0, 0));
	V(preadv2(f, NULL, 1, 0, 0));
	V(pwritev2(ro, &one, 1, 0, 0));
	V(preadv2(a, &one, 1, 0, 0));
	V(preadv2(op, &one, 1, 0, 0));
	V(preadv2(d, &one, 1, 0, 0));
	V(preadv2(-1, &one, 1, 0, 0));
	V(preadv2(p[0], &one, 1, 0, 0));
	V(preadv2(p[0], &one, 1, -1, RWF_NOWAIT));
	V(preadv2(np[0], &one, 1, -1, 0));
	V(pwritev2(p[1], &one, 1, -1, RWF_NOWAIT));
	V(preadv2(p[0], &one, 1, -1, RWF_NOWAIT));
	V(preadv2(e, &one, 1, -1, RWF_NOWAIT));
	V(pwritev2(a, &one, 1, 0, 0));
	V(lseek(f, 0, SEEK_END));
	V(pwrite(a, buf, 3, 0));
	V(lseek(f, 0, SEEK_END));
	V(pwritev(a, &one, 1, 0));
	V(lseek(f, 0, SEEK_END));
	V(pread(f, buf, 10, -1));
	V(pwrite(f, buf, 0, -1));
	V(pread(p[0], buf, 1, 0));
	V(pwrite(p[1], buf, 1, 0));
	V(pread(e, buf, 8, 0));
	V(readv(f, &one, 0));
	V(read(f, buf, (size_t)-1));
	V(write(f, (void *)8, 0));
	V(write(f, (void *)8, 5));
	V(pread(f, buf, 10, INT64_MAX));
	V(pread(f, buf, 10, INT64_MAX - 5));
	V(pwrite(f, buf, 10, INT64_MAX - 5));
	V(lseek(f, INT64_MAX, SEEK_SET));
	V(lseek(f, 0, SEEK_SET));
	V(lseek(f, -1, SEEK_SET));
	V(lseek(f, 0, 9));
	V(lseek(p[0], 0, SEEK_SET));
	V(lseek(e, 0, SEEK_SET));
	close(f), close(a), close(ro), close(d), close(e), close(op);
	close(p[0]), close(p[1]), close(np[0]), close(np[1]);
}

static void splices(void)
{
	int f = open("sp", O_RDWR | O_CREAT | O_TRUNC, 0600), a = open("sp", O_WRONLY | O_APPEND), p[2], q[2], s[2], n = open("/dev/null", O_RDWR);
	int z = open("/dev/zero", O_RDONLY);
	off_t off = 0, neg = -1;

	V(pipe(p));
	V(pipe(q));
	V(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V(write(f, "0123456789", 10));
	V(splice(f, &off, p[1], NULL, 4, 0));
	V(off);
	V(splice(f, &off, p[1], NULL, 100, SPLICE_F_MOVE | SPLICE_F_MORE));
	V(off);
	V(splice(f, &off, p[1], NULL, 100, 0));
	V(splice(f, NULL, p[1], NULL, 100, 0));
	V(splice(p[0], NULL, q[1], NULL, 3, 0));
	V(tee(p[0], q[1], 4, 0));
	V(read(q[0], buf, 100));
	V(tee(p[0], p[1], 4, 0));
	V(tee(p[0], f, 4, 0));
	V(tee(p[1], q[0], 4, 0));
	V(tee(p[0], q[1], 0, 0));
	V(tee(p[0], q[1], 4, 64));
	V(splice(p[0], NULL, p[1], NULL, 3, 0));
	V(splice(p[0], &off, q[1], NULL, 3, 0));
	V(splice(p[0], NULL, q[1], &off, 3, 0));
	V(splice(f, &off, f, NULL, 3, 0));
	V(splice(f, &neg, p[1], NULL, 3, 0));
	V(splice(p[0], NULL, f, &neg, 3, 0));
	V(splice(p[0], NULL, a, NULL, 3, 0));
	V(splice(p[0], NULL, f, NULL, 3, 64));
	V(splice(p[0], NULL, f, NULL, 0, 64));
	V(splice(p[1], NULL, f, NULL, 3, 0));
	V(splice(f, NULL, p[0], NULL, 3, 0));
	off = 20;
	V(splice(p[0], NULL, f, &off, 3, 0));
	V(off);
	V(lseek(f, 0, SEEK_END));
	V(splice(p[0], NULL, s[0], NULL, 4, 0));
	V(recv(s[1], buf, 10, 0));
	V(send(s[1], "sock", 4, 0));
	V(splice(s[0], NULL, p[1], NULL, 100, 0));
	V(splice(s[0], NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
	V(splice(p[0], NULL, n, NULL, 100, 0));
	V(splice(p[0], NULL, n, NULL, 100, SPLICE_F_NONBLOCK));
	V(splice(z, NULL, p[1], NULL, 5000, 0));
	V(read(p[0], buf, sizeof(buf)));
	V(splice(-1, NULL, p[1], NULL, 5, 0));
	V(splice(f, NULL, -1, NULL, 5, 0));
	V(vmsplice(p[1], &one, 1, 0));
	V(vmsplice(p[0], &one, 1, 0));
	V(vmsplice(f, &one, 1, 0));
	V(vmsplice(p[1], &one, 1, 64));
	V(vmsplice(p[1], &one, 0, 0));
	V(vmsplice(p[1], &one, 2000, 0));
	V(vmsplice(p[1], &zero, 1, 0));
	V(vmsplice(-1, &one, 1, 0));
	close(q[1]);
	V(splice(q[0], NULL, p[1], NULL, 10, 0));
	V(splice(q[0], NULL, p[1], NULL, 10, 0));
	for (int i = 0; i < 2; i++)
		close(p[i]), close(s[i]);
	close(q[0]), close(f), close(a), close(n), close(z);
}

static void copies(void)
{
	int f = open("c1", O_RDWR | O_CREAT | O_TRUNC, 0600), g = open("c2", O_RDWR | O_CREAT | O_TRUNC, 0600), a = open("c2", O_WRONLY | O_APPEND);
	int ro = open("c1", O_RDONLY), d = open(".", O_RDONLY), p[2], s[2], e = eventfd(0, 0);
	off_t o = 0, o2 = 0, neg = -1;

	V(pipe(p));
	V(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	memset(buf, 'c', sizeof(buf));
	V(write(f, buf, 10000));
	V(copy_file_range(f, &o, g, &o2, 5000, 0));
	V(o);
	V(o2);
	V(copy_file_range(f, &o, g, &o2, 50000, 0));
	V(o2);
	V(copy_file_range(f, &o, g, &o2, 50000, 0));
	V(lseek(f, 100, SEEK_SET));
	V(copy_file_range(f, NULL, g, NULL, 50, 0));
	V(lseek(f, 0, SEEK_CUR));
	V(lseek(g, 0, SEEK_CUR));
	V(copy_file_range(f, NULL, g, NULL, 50, 1));
	V(copy_file_range(f, NULL, a, NULL, 50, 0));
	V(copy_file_range(f, NULL, ro, NULL, 50, 0));
	V(copy_file_range(a, NULL, g, NULL, 50, 0));
	V(copy_file_range(f, NULL, d, NULL, 50, 0));
	V(copy_file_range(d, NULL, g, NULL, 50, 0));
	V(copy_file_range(f, NULL, p[1], NULL, 50, 0));
	V(copy_file_range(p[0], NULL, g, NULL, 50, 0));
	V(copy_file_range(f, &neg, g, NULL, 50, 0));
	V(copy_file_range(f, NULL, g, &neg, 50, 0));
	V(copy_file_range(f, NULL, g, NULL, 0, 0));
	o = 0, o2 = 50;
	V(copy_file_range(f, &o, f, &o2, 100, 0));
	o = 0, o2 = 5000;
	V(copy_file_range(f, &o, f, &o2, 100, 0));
	V(copy_file_range(-1, NULL, g, NULL, 0, 0));
	o2 = INT64_MAX;
	V(copy_file_range(f, &o, g, &o2, 100, 0));
	V(copy_file_range(e, NULL, g, NULL, 100, 0));
	V(lseek(f, 0, SEEK_SET));
	V(sendfile(s[0], f, NULL, 100));
	V(recv(s[1], buf, sizeof(buf), 0));
	V(lseek(f, 0, SEEK_CUR));
	o = 9990;
	V(sendfile(s[0], f, &o, 100));
	V(o);
	V(sendfile(s[0], f, &o, 100));
	V(recv(s[1], buf, sizeof(buf), 0));
	V(sendfile(p[1], f, NULL, 10));
	V(read(p[0], buf, 100));
	V(sendfile(g, f, NULL, 10));
	V(sendfile(a, f, NULL, 10));
	V(sendfile(f, p[0], NULL, 10));
	V(sendfile(g, s[0], NULL, 10));
	V(sendfile(g, d, NULL, 10));
	V(sendfile(ro, f, NULL, 10));
	V(sendfile(g, a, NULL, 10));
	V(sendfile(g, f, &neg, 10));
	V(sendfile(g, f, (off_t *)8, 10));
	V(sendfile(g, f, NULL, 0));
	V(sendfile(-1, f, NULL, 0));
	V(sendfile(g, e, NULL, 10));
	close(f), close(g), close(a), close(ro), close(d), close(e);
	close(p[0]), close(p[1]), close(s[0]), close(s[1]);
}

static long long blocks(int f)
{
	struct stat st;

	return fstat(f, &st) ? -1 : st.st_blocks;
}

static long long size_of(int f)
{
	struct stat st;

	return fstat(f, &st) ? -1 : st.st_size;
}

static void holes(void)
{
	int f = open("h", O_RDWR | O_CREAT | O_TRUNC, 0600), ro = open("h", O_RDONLY), d = open(".", O_RDONLY), p[2];

	V(pipe(p));
	V(lseek(f, 0, SEEK_DATA));
	V(lseek(f, 0, SEEK_HOLE));
	V(ftruncate(f, 1 << 20));
	V(lseek(f, 0, SEEK_DATA));
	V(lseek(f, 0, SEEK_HOLE));
	V(pwrite(f, buf, 4096, 65536));
	V(lseek(f, 0, SEEK_DATA));
	V(lseek(f, 0, SEEK_HOLE));
	V(lseek(f, 65536, SEEK_HOLE));
	V(lseek(f, 66000, SEEK_DATA));
	V(lseek(f, 66000, SEEK_HOLE));
	V(lseek(f, 70000, SEEK_DATA));
	V(lseek(f, 70000, SEEK_HOLE));
	V(lseek(f, 1 << 20, SEEK_DATA));
	V(lseek(f, 1 << 20, SEEK_HOLE));
	V(lseek(f, -1, SEEK_DATA));
	V(lseek(p[0], 0, SEEK_DATA));
	V(lseek(d, 0, SEEK_DATA));
	V(blocks(f));
	V(fallocate(f, 0, 0, 8192));
	V(blocks(f));
	V(fallocate(f, 0, 0, 2 << 20));
	V(size_of(f));
	V(fallocate(f, FALLOC_FL_KEEP_SIZE, 4 << 20, 4096));
	V(size_of(f));
	V(fallocate(f, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	V(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 4096));
	V(pread(f, buf, 1, 65536));
	V(buf[0]);
	V(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50));
	V(fallocate(f, 0, -1, 10));
	V(fallocate(f, 0, 10, 0));
	V(fallocate(f, 0, 10, -1));
	V(fallocate(f, 0, INT64_MAX, 10));
	V(fallocate(f, 0, INT64_MAX - 100, 50));
	V(fallocate(ro, 0, 0, 10));
	V(fallocate(d, 0, 0, 10));
	V(fallocate(p[1], 0, 0, 10));
	V(fallocate(-1, 0, 0, 10));
	V(fallocate(f, 0x100, 0, 10));
	V(fallocate(f, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	V(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	V(sync_file_range(f, 0, 100, 0));
	V(sync_file_range(f, 0, 100, 7));
	V(sync_file_range(f, 0, 100, 8));
	V(sync_file_range(f, -1, 100, 1));
	V(sync_file_range(f, 1, -100, 1));
	V(sync_file_range(p[0], 0, 100, 1));
	V(sync_file_range(d, 0, 100, 1));
	V(sync_file_range(-1, 0, 100, 1));
	V(readahead(f, 0, 4096));
	V(readahead(ro, 0, 4096));
	V(readahead(p[0], 0, 4096));
	V(readahead(d, 0, 4096));
	V(readahead(-1, 0, 4096));
	V(posix_fadvise(f, 0, 0, POSIX_FADV_DONTNEED));
	V(posix_fadvise(f, 0, 0, 77));
	V(posix_fadvise(f, 0, -1, POSIX_FADV_NORMAL));
	V(posix_fadvise(f, -1, 10, POSIX_FADV_NORMAL));
	V(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL));
	V(posix_fadvise(d, 0, 0, POSIX_FADV_NORMAL));
	V(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL));
	V(fsync(p[0]));
	V(fdatasync(d));
	V(fsync(d));
	V(syncfs(f));
	V(syncfs(p[0]));
	close(f), close(ro), close(d), close(p[0]), close(p[1]);
}

static void flags(void)
{
	int f = open("fl", O_RDWR | O_CREAT | O_DSYNC, 0600), t, p[2];
	char path[64];

	V(pipe(p));
	V(fcntl(f, F_GETFL));
	V(write(f, buf, 100));
	V(fcntl(f, F_SETFL, O_APPEND));
	V(fcntl(f, F_GETFL));
	V(fcntl(f, F_SETFL, 0));
	V(fcntl(f, F_GETFL));
	close(f);
	V((f = open("fl", O_RDWR | O_SYNC)) >= 0);
	V(fcntl(f, F_GETFL));
	close(f);
	V((t = open(".", O_TMPFILE | O_RDWR, 0600)) >= 0);
	V(fcntl(t, F_GETFL));
	V(write(t, "tmp", 3));
	V(size_of(t));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t);
	V(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	V(access("linked", F_OK));
	V(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	close(t);
	V((t = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600)) >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t);
	V(linkat(AT_FDCWD, path, AT_FDCWD, "linked2", AT_SYMLINK_FOLLOW));
	close(t);
	V(open(".", O_TMPFILE | O_RDONLY, 0600));
	V(open("fl", O_TMPFILE | O_RDWR, 0600));
	V(open("nope", O_TMPFILE | O_RDWR, 0600));
	V(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	V(fcntl(p[0], F_SETFL, O_DIRECT));
	V(fcntl(p[0], F_GETFL));
	V(fcntl(p[1], F_SETFL, O_APPEND));
	V(fcntl(p[1], F_GETFL));
	V(write(p[1], "xy", 2));
	close(p[0]), close(p[1]);
}

void guest_test(void)
{
	rwf();
	splices();
	copies();
	holes();
	flags();
}
