/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a plain 9P2000.L client (Linux's v9fs) uses it: the messages our own client has no need of. */
#include "tests/gofer/raw.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static struct p9_msg m;

static int setup(void **state)
{
	struct fix *f = fix_new(SOCK_STREAM, false);
	int s = f->sock;

	assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 8192, S("9P2000.L") }), 0);
	assert_int_equal(m.rversion.msize, 8192);
	assert_int_equal(m.rversion.version.len, 8);
	assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 0, P9_NOFID, S("root"), S("root"), 0 }), 0);
	assert_int_equal(m.rattach.qid.type, P9_QTDIR);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fix_free(*state);
	return 0;
}

#define WALK(s, from, to, name) RPC(s, .type = P9_twalk, .twalk = { from, to, { 1, { S(name) } } })
#define CLUNK(s, fid)		RPC(s, .type = P9_tclunk, .tclunk = { fid })

static void versions(void **state)
{
	struct fix *f = *state;
	int s = f->sock;

	assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 65536, S("9P2000") }), 0);
	assert_int_equal(m.rversion.version.len, 7);
	assert_memory_equal(m.rversion.version.s, "unknown", 7);
	assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 0, P9_NOFID, S("root"), S("root"), 0 }), -EPROTO);
	assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 100, S("9P2000.L") }), 0);
	assert_int_equal(m.rversion.version.len, 7);
	assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 0xffffffff, S("9P2000.L.runsc.99") }), 0);
	assert_int_equal(m.rversion.version.len, 8);
	assert_int_equal(m.rversion.msize, P9_MSIZE_MAX);
	/* The new session has no fids, and no extensions. */
	assert_int_equal(RPC(s, .type = P9_tgetattr, .tgetattr = { 0, 1 }), -EBADF);
	assert_int_equal(RPC(s, .type = P9_topenfd, .topenfd = { 0, 0 }), -EOPNOTSUPP);
	assert_int_equal(RPC(s, .type = P9_tclunkn), -EOPNOTSUPP);
}

static void auth_and_attach(void **state)
{
	struct fix *f = *state;
	int s = f->sock;

	assert_int_equal(RPC(s, .type = P9_tauth, .tauth = { 5, S("u"), S("root"), 0 }), -EOPNOTSUPP);
	assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 5, 6, S("u"), S("root"), 0 }), -EOPNOTSUPP);
	assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 0, P9_NOFID, S("u"), S("root"), 0 }), -EBADF);
	assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { P9_NOFID, P9_NOFID, S("u"), S("root"), 0 }), -EBADF);
	/* What a user creates is the user's. */
	if (!geteuid()) {
		struct stat st;

		assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 1, P9_NOFID, S("u"), S("root"), 1000 }), 0);
		assert_int_equal(RPC(s, .type = P9_tmkdir, .tmkdir = { 1, S("sub"), 0755, 2000 }), 0);
		assert_int_equal(stat(fix_path(f, "sub"), &st), 0);
		assert_int_equal(st.st_uid, 1000);
		assert_int_equal(st.st_gid, 2000);
		assert_int_equal(WALK(s, 1, 2, "sub"), 0);
		assert_int_equal(RPC(s, .type = P9_tlcreate, .tlcreate = { 2, S("f"), O_RDWR, 0640, P9_NOUID }), 0);
		assert_int_equal(stat(fix_path(f, "sub/f"), &st), 0);
		assert_int_equal(st.st_uid, 1000);
	}
}

static void walk_forms(void **state)
{
	struct fix *f = *state;
	int s = f->sock;

	assert_int_equal(mkdir(fix_path(f, "a"), 0755), 0);
	assert_int_equal(mkdir(fix_path(f, "a/b"), 0755), 0);
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 0, 1, { 2, { S("a"), S("b") } } }), 0);
	assert_int_equal(m.rwalk.qids.n, 2);
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 0, 2, { 2, { S("a"), S("zz") } } }), 0);
	assert_int_equal(m.rwalk.qids.n, 1);
	assert_int_equal(CLUNK(s, 2), -EBADF); /* a short walk makes no fid */
	assert_int_equal(WALK(s, 0, 2, "zz"), -ENOENT);
	assert_int_equal(WALK(s, 0, 2, ".."), -EINVAL);
	assert_int_equal(WALK(s, 0, 1, "a"), -EBADF); /* in use */
	assert_int_equal(WALK(s, 99, 2, "a"), -EBADF);
	/* newfid == fid moves it. */
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 0, 4, { 0 } }), 0);
	assert_int_equal(WALK(s, 4, 4, "a"), 0);
	assert_int_equal(WALK(s, 4, 4, "b"), 0);
	assert_int_equal(CLUNK(s, 4), 0);
	assert_int_equal(CLUNK(s, 1), 0);
}

static void create_read_write_remove(void **state)
{
	struct fix *f = *state;
	int s = f->sock;
	struct stat st;

	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 0, 1, { 0 } }), 0);
	assert_int_equal(RPC(s, .type = P9_tlcreate, .tlcreate = { 1, S("new"), O_RDWR | O_CREAT, 0640, getegid() }), 0);
	assert_true(m.rlcreate.iounit > 0 && m.rlcreate.iounit <= 8192);
	assert_int_equal(RPC(s, .type = P9_twrite, .twrite = { 1, 0, { "hello world", 11 } }), 0);
	assert_int_equal(m.rwrite.count, 11);
	assert_int_equal(RPC(s, .type = P9_tread, .tread = { 1, 6, 0xffffffff }), 0);
	assert_int_equal(m.rread.data.len, 5);
	assert_memory_equal(m.rread.data.p, "world", 5);
	assert_int_equal(RPC(s, .type = P9_tfsync, .tfsync = { 1, 1 }), 0);
	assert_int_equal(RPC(s, .type = P9_tlock, .tlock = { 1, P9_LOCK_WRLCK, 1, 0, 0, 42, S("client") }), 0);
	assert_int_equal(m.rlock.status, P9_LOCK_SUCCESS);
	assert_int_equal(RPC(s, .type = P9_tgetlock, .tgetlock = { 1, P9_LOCK_WRLCK, 0, 0, 42, S("client") }), 0);
	assert_int_equal(m.rgetlock.type, P9_LOCK_UNLCK);
	assert_int_equal(m.rgetlock.client_id.len, 6);
	assert_int_equal(RPC(s, .type = P9_tlock, .tlock = { 1, 9, 1, 0, 0, 42, S("client") }), -EINVAL);
	/* Rename and remove by fid. */
	assert_int_equal(RPC(s, .type = P9_tmkdir, .tmkdir = { 0, S("sub"), 0755, getegid() }), 0);
	assert_int_equal(WALK(s, 0, 2, "sub"), 0);
	assert_int_equal(RPC(s, .type = P9_trename, .trename = { 1, 2, S("renamed") }), 0);
	assert_int_equal(stat(fix_path(f, "sub/renamed"), &st), 0);
	assert_int_equal(RPC(s, .type = P9_trename, .trename = { 1, 2, S("again") }), 0);
	assert_int_equal(RPC(s, .type = P9_trename, .trename = { 0, 2, S("root") }), -EOPNOTSUPP); /* no parent known */
	assert_int_equal(RPC(s, .type = P9_tremove, .tremove = { 1 }), 0);
	assert_int_equal(stat(fix_path(f, "sub/again"), &st), -1);
	assert_int_equal(RPC(s, .type = P9_tremove, .tremove = { 2 }), 0);
	assert_int_equal(stat(fix_path(f, "sub"), &st), -1);
	/* Remove when somebody else has taken the name: not that one. */
	fix_write(f, "x", "1");
	assert_int_equal(WALK(s, 0, 3, "x"), 0);
	assert_int_equal(rename(fix_path(f, "x"), "/tmp/gofer-test-away"), 0);
	fix_write(f, "x", "2");
	assert_int_equal(RPC(s, .type = P9_tremove, .tremove = { 3 }), -ENOENT);
	assert_int_equal(stat(fix_path(f, "x"), &st), 0);
	(void)unlink("/tmp/gofer-test-away");
	assert_int_equal(CLUNK(s, 3), -EBADF); /* the fid is gone all the same */
}

static void the_other_makers(void **state)
{
	struct fix *f = *state;
	int s = f->sock;

	assert_int_equal(RPC(s, .type = P9_tsymlink, .tsymlink = { 0, S("sl"), S("to"), getegid() }), 0);
	assert_int_equal(m.rsymlink.qid.type, P9_QTSYMLINK);
	assert_int_equal(WALK(s, 0, 1, "sl"), 0);
	assert_int_equal(RPC(s, .type = P9_treadlink, .treadlink = { 1 }), 0);
	assert_int_equal(m.rreadlink.target.len, 2);
	assert_int_equal(RPC(s, .type = P9_tmknod, .tmknod = { 0, S("ff"), S_IFIFO | 0600, 0, 0, getegid() }), 0);
	assert_int_equal(RPC(s, .type = P9_tlink, .tlink = { 0, 1, S("sl2") }), 0);
	assert_int_equal(RPC(s, .type = P9_trenameat, .trenameat = { 0, S("sl2"), 0, S("sl3") }), 0);
	assert_int_equal(RPC(s, .type = P9_tunlinkat, .tunlinkat = { 0, S("sl3"), 0 }), 0);
	assert_int_equal(RPC(s, .type = P9_tunlinkat, .tunlinkat = { 0, S("sl"), 0x10 }), -EINVAL);
	assert_int_equal(RPC(s, .type = P9_tstatfs, .tstatfs = { 0 }), 0);
	assert_int_equal(m.rstatfs.namelen, 255);
	assert_int_equal(CLUNK(s, 1), 0);
}

static void readdir_small_buffers(void **state)
{
	struct fix *f = *state;
	int s = f->sock;
	bool seen[102] = { 0 };
	uint64_t off = 0;
	size_t n = 0;

	for (int i = 0; i < 100; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "n%d", i);
		fix_write(f, name, "");
	}
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 0, 1, { 0 } }), 0);
	assert_int_equal(RPC(s, .type = P9_treaddir, .treaddir = { 1, 0, 1000 }), -EBADF);
	assert_int_equal(RPC(s, .type = P9_tlopen, .tlopen = { 1, O_RDONLY | O_DIRECTORY }), 0);
	for (;;) {
		struct p9_buf b;

		assert_int_equal(RPC(s, .type = P9_treaddir, .treaddir = { 1, off, 200 }), 0);
		assert_true(m.rreaddir.data.len <= 200);
		b = (struct p9_buf){ .p = (uint8_t *)(uintptr_t)m.rreaddir.data.p, .len = m.rreaddir.data.len };
		if (!b.len)
			break;
		while (b.pos < b.len) {
			struct p9_dirent_wire d;
			char name[P9_NAME_MAX + 1] = "";
			size_t i = 100;

			assert_int_equal(p9_get_dirent(&b, &d, false), 0);
			memcpy(name, d.name.s, d.name.len);
			off = d.offset;
			n++;
			if (name[0] == 'n')
				i = strtoul(name + 1, NULL, 10);
			else if (d.name.len == 2)
				i = 101;
			else if (d.name.len != 1)
				continue; /* "single" */
			assert_false(seen[i]);
			seen[i] = true;
		}
	}
	assert_int_equal(n, 103);
	assert_int_equal(RPC(s, .type = P9_treaddir, .treaddir = { 1, 0, 10 }), -EINVAL);
	assert_int_equal(RPC(s, .type = P9_treaddir, .treaddir = { 1, UINT64_MAX, 1000 }), -EINVAL);
	assert_int_equal(CLUNK(s, 1), 0);
}

static void xattr_fids(void **state)
{
	struct fix *f = *state;
	int s = f->sock;
	char v[8];

	fix_write(f, "x", "");
	if (setxattr(fix_path(f, "x"), "user.a", "12345", 5, 0) < 0)
		skip();
	assert_int_equal(WALK(s, 0, 1, "x"), 0);
	assert_int_equal(RPC(s, .type = P9_txattrwalk, .txattrwalk = { 1, 2, S("user.a") }), 0);
	assert_int_equal(m.rxattrwalk.size, 5);
	assert_int_equal(RPC(s, .type = P9_tread, .tread = { 2, 1, 100 }), 0);
	assert_int_equal(m.rread.data.len, 4);
	assert_int_equal(RPC(s, .type = P9_tread, .tread = { 2, 1ULL << 40, 100 }), 0);
	assert_int_equal(m.rread.data.len, 0);
	assert_int_equal(RPC(s, .type = P9_tlopen, .tlopen = { 2, 0 }), -EBADF);
	assert_int_equal(CLUNK(s, 2), 0);
	assert_int_equal(RPC(s, .type = P9_txattrwalk, .txattrwalk = { 1, 2, S("") }), 0);
	assert_int_equal(m.rxattrwalk.size, 7);
	assert_int_equal(CLUNK(s, 2), 0);
	assert_int_equal(RPC(s, .type = P9_txattrwalk, .txattrwalk = { 1, 2, S("user.none") }), -ENODATA);
	/* Set: announced, written in pieces, done at clunk. */
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 1, 3, { 0 } }), 0);
	assert_int_equal(RPC(s, .type = P9_txattrcreate, .txattrcreate = { 3, S("user.b"), 6, 0 }), 0);
	assert_int_equal(RPC(s, .type = P9_twrite, .twrite = { 3, 0, { "abc", 3 } }), 0);
	assert_int_equal(RPC(s, .type = P9_twrite, .twrite = { 3, 0, { "abc", 3 } }), -EINVAL);
	assert_int_equal(RPC(s, .type = P9_twrite, .twrite = { 3, 3, { "defg", 4 } }), -ENOSPC);
	assert_int_equal(RPC(s, .type = P9_twrite, .twrite = { 3, 3, { "def", 3 } }), 0);
	assert_int_equal(RPC(s, .type = P9_tread, .tread = { 3, 0, 3 }), -EBADF);
	assert_int_equal(CLUNK(s, 3), 0);
	assert_int_equal(getxattr(fix_path(f, "x"), "user.b", v, sizeof(v)), 6);
	assert_memory_equal(v, "abcdef", 6);
	/* Half written: not set. */
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 1, 3, { 0 } }), 0);
	assert_int_equal(RPC(s, .type = P9_txattrcreate, .txattrcreate = { 3, S("user.c"), 6, 0 }), 0);
	assert_int_equal(CLUNK(s, 3), -EINVAL);
	assert_int_equal(getxattr(fix_path(f, "x"), "user.c", v, sizeof(v)), -1);
	/* Remove. */
	assert_int_equal(RPC(s, .type = P9_twalk, .twalk = { 1, 3, { 0 } }), 0);
	assert_int_equal(RPC(s, .type = P9_txattrcreate, .txattrcreate = { 3, S("user.b"), 0, XATTR_REPLACE }), 0);
	assert_int_equal(CLUNK(s, 3), 0);
	assert_int_equal(getxattr(fix_path(f, "x"), "user.b", v, sizeof(v)), -1);
	assert_int_equal(RPC(s, .type = P9_txattrcreate, .txattrcreate = { 1, S("security.x"), 1, 0 }), -EPERM);
	assert_int_equal(RPC(s, .type = P9_txattrcreate, .txattrcreate = { 1, S("user.x"), 1 << 20, 0 }), -E2BIG);
}

/* Tflush is always answered, and after the request it names. */
static void flush_follows_its_request(void **state)
{
	struct fix *f = *state;
	int s = f->sock;

	assert_int_equal(RPC(s, .type = P9_tflush, .tflush = { 1234 }), 0);
	fix_write(f, "x", "1");
	assert_int_equal(WALK(s, 0, 1, "x"), 0);
	assert_int_equal(RPC(s, .type = P9_tlopen, .tlopen = { 1, O_RDWR }), 0);
	for (uint16_t i = 0; i < 500; i++) {
		bool answered = false, flushed = false;

		m = (struct p9_msg){ .type = P9_tfsync, .tag = 10, .tfsync = { 1, 0 } };
		raw_send(s, &m);
		m = (struct p9_msg){ .type = P9_tflush, .tag = 11, .tflush = { 10 } };
		raw_send(s, &m);
		while (!flushed) {
			assert_true(raw_recv(s, &m));
			answered |= m.tag == 10 && m.type == P9_rfsync;
			flushed = m.tag == 11 && m.type == P9_rflush;
		}
		assert_true(answered);
	}
}

/* Linux itself as the client, where its 9p is there. */
static void linux_mounts_it(void **state)
{
	struct fix *f = *state;
	char opts[128], mnt[] = "/tmp/gofer-mnt-XXXXXX", path[80];
	static char big[200000], back[200000];
	struct statfs sfs;
	struct stat st;
	struct flock fl;
	size_t n = 0;
	DIR *dir;
	int fd, r;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 3 + i / 777);
	assert_non_null(mkdtemp(mnt));
	(void)snprintf(opts, sizeof(opts), "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L,aname=root,msize=65536", f->sock, f->sock);
	r = mount("gofer", mnt, "9p", 0, opts);
	if (r < 0) {
		print_message("no 9p mount here: %s\n", strerror(errno));
		(void)rmdir(mnt);
		skip();
	}
	fix_write(f, "host", "from the host");
	assert_int_equal(chdir(mnt), 0);
	assert_int_equal(stat("host", &st), 0);
	assert_int_equal(st.st_size, 13);
	fd = open("mine", O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(big, back, sizeof(big));
	fl = (struct flock){ .l_type = F_WRLCK };
	assert_int_equal(fcntl(fd, F_SETLK, &fl), 0);
	assert_int_equal(rename("mine", "yours"), 0);
	assert_int_equal(unlink("yours"), 0);
	assert_int_equal(pread(fd, back, 10, 0), 10); /* unlinked, still open */
	assert_int_equal(close(fd), 0);
	assert_int_equal(stat(fix_path(f, "yours"), &st), -1);
	assert_int_equal(mkdir("d", 0750), 0);
	assert_int_equal(symlink("../host", "d/sl"), 0);
	assert_int_equal(stat("d/sl", &st), 0);
	assert_int_equal(st.st_size, 13);
	assert_int_equal(link("host", "d/hard"), 0);
	assert_int_equal(stat("d/hard", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(mknod("d/fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(chmod("d/hard", 0604), 0);
	assert_int_equal(truncate("d/hard", 5), 0);
	assert_int_equal(utimensat(AT_FDCWD, "d/hard", (struct timespec[]){ { 5, 6 }, { 7, 8 } }, 0), 0);
	assert_int_equal(stat(fix_path(f, "host"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0604);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mtim.tv_sec, 7); /* Debian 12's client cuts the nanoseconds */
	for (int i = 0; i < 300; i++) {
		(void)snprintf(path, sizeof(path), "d/n%d", i);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	dir = opendir("d");
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	assert_int_equal(n, 2 + 3 + 300);
	assert_int_equal(statfs("d", &sfs), 0);
	assert_int_equal(rmdir("d"), -1);
	assert_int_equal(errno, ENOTEMPTY);
	assert_int_equal(system("rm -r d"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(umount(mnt), 0);
	(void)rmdir(mnt);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(versions), T(auth_and_attach), T(walk_forms), T(create_read_write_remove), T(the_other_makers),
		T(readdir_small_buffers), T(xattr_fids), T(flush_follows_its_request), T(linux_mounts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
