/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of files: open flags, modes, stat, fcntl, mounts, inotify. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "sentry/syscalls/strace/internal.h"

/* --- opening --- */

static const struct xlat x_open[] = {
	X(O_CREAT), X(O_EXCL), X(O_NOCTTY), X(O_TRUNC), X(O_APPEND), X(O_NONBLOCK), X(O_SYNC), X(O_DSYNC), X(FASYNC), X(O_DIRECT),
	{ 0100000, "O_LARGEFILE" }, X(O_NOFOLLOW), X(O_NOATIME), X(O_CLOEXEC), X(O_PATH), X(O_TMPFILE), X(O_DIRECTORY), XEND,
};

void dec_open_flags(struct dec *d, uint64_t v)
{
	static const char *const acc[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

	strbuf_adds(&d->b, acc[v & O_ACCMODE]);
	v &= ~(uint64_t)O_ACCMODE;
	if (v) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_open, v, NULL);
	}
}

bool k_OFLAGS(struct dec *d, uint64_t v)
{
	dec_open_flags(d, (uint32_t)v);
	return true;
}

bool k_MODE(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, (v & 07777) < 010 ? "00%o" : (v & 0xffff) < 0100 ? "0%02o" : "0%03o", (uint32_t)v & 0xffff);
	return true;
}

/* Only there when open() creates. */
bool k_OMODE(struct dec *d, uint64_t v)
{
	return d->a[d->i - 1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? k_MODE(d, v) : true;
}

static const struct xlat x_resolve[] = {
	X(RESOLVE_NO_XDEV), X(RESOLVE_NO_MAGICLINKS), X(RESOLVE_NO_SYMLINKS), X(RESOLVE_BENEATH), X(RESOLVE_IN_ROOT), X(RESOLVE_CACHED), XEND,
};

bool k_OPENHOW(struct dec *d, uint64_t v)
{
	struct open_how h;

	if (d->a[d->i + 1] < sizeof(h) || !dec_read(d, v, &h, sizeof(h))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{flags=");
	dec_open_flags(d, h.flags);
	if (h.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {
		strbuf_adds(&d->b, ", mode=");
		(void)k_MODE(d, h.mode);
	}
	strbuf_adds(&d->b, ", resolve=");
	dec_flags(d, x_resolve, h.resolve, "RESOLVE_???");
	strbuf_addc(&d->b, '}');
	return true;
}

/* --- attributes --- */

static const struct xlat x_ifmt[] = { X(S_IFREG), X(S_IFDIR), X(S_IFLNK), X(S_IFSOCK), X(S_IFIFO), X(S_IFBLK), X(S_IFCHR), XEND };

void dec_mode(struct dec *d, uint32_t mode)
{
	const char *n = xlat_name(x_ifmt, mode & S_IFMT);

	if (n)
		strbuf_addf(&d->b, "%s|", n);
	if (mode & S_ISUID)
		strbuf_adds(&d->b, "S_ISUID|");
	if (mode & S_ISGID)
		strbuf_adds(&d->b, "S_ISGID|");
	if (mode & S_ISVTX)
		strbuf_adds(&d->b, "S_ISVTX|");
	(void)k_MODE(d, n ? mode & 0777 : mode & ~(uint32_t)(S_ISUID | S_ISGID | S_ISVTX));
}

bool k_MKNODMODE(struct dec *d, uint64_t v)
{
	dec_mode(d, (uint32_t)v);
	return true;
}

/* Only there for device nodes. */
bool k_DEV(struct dec *d, uint64_t v)
{
	uint64_t m = d->a[d->i - 1] & S_IFMT;

	if (m == S_IFCHR || m == S_IFBLK)
		dec_dev(d, v);
	return true;
}

bool k_OUT_STAT(struct dec *d, uint64_t v)
{
	struct stat st; /* x86-64: the kernel's */

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &st, sizeof(st))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{st_mode=");
	dec_mode(d, st.st_mode);
	if ((st.st_mode & S_IFMT) == S_IFCHR || (st.st_mode & S_IFMT) == S_IFBLK) {
		strbuf_adds(&d->b, ", st_rdev=");
		dec_dev(d, st.st_rdev);
	} else {
		strbuf_addf(&d->b, ", st_size=%ld", (long)st.st_size);
	}
	strbuf_adds(&d->b, ", ...}");
	return true;
}

static const struct xlat x_statx_mask[] = {
	X(STATX_ALL), X(STATX_BASIC_STATS), X(STATX_TYPE), X(STATX_MODE), X(STATX_NLINK), X(STATX_UID), X(STATX_GID), X(STATX_ATIME), X(STATX_MTIME),
	X(STATX_CTIME), X(STATX_INO), X(STATX_SIZE), X(STATX_BLOCKS), X(STATX_BTIME), X(STATX_MNT_ID), XEND,
};
static const struct xlat x_statx_attr[] = {
	X(STATX_ATTR_COMPRESSED), X(STATX_ATTR_IMMUTABLE), X(STATX_ATTR_APPEND), X(STATX_ATTR_NODUMP), X(STATX_ATTR_ENCRYPTED),
	X(STATX_ATTR_AUTOMOUNT), X(STATX_ATTR_MOUNT_ROOT), X(STATX_ATTR_VERITY), X(STATX_ATTR_DAX), XEND,
};

bool k_STATX_MASK(struct dec *d, uint64_t v)
{
	dec_flags(d, x_statx_mask, (uint32_t)v, "STATX_???");
	return true;
}

bool k_OUT_STATX(struct dec *d, uint64_t v)
{
	struct statx sx;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &sx, sizeof(sx))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{stx_mask=");
	dec_flags(d, x_statx_mask, sx.stx_mask, "STATX_???");
	strbuf_adds(&d->b, ", stx_attributes=");
	dec_flags(d, x_statx_attr, sx.stx_attributes, "STATX_ATTR_???");
	strbuf_adds(&d->b, ", stx_mode=");
	dec_mode(d, sx.stx_mode);
	strbuf_addf(&d->b, ", stx_size=%lu, ...}", (unsigned long)sx.stx_size);
	return true;
}

static const struct xlat x_at[] = {
	X(AT_SYMLINK_NOFOLLOW), { AT_REMOVEDIR, "AT_REMOVEDIR" }, X(AT_SYMLINK_FOLLOW), X(AT_NO_AUTOMOUNT), X(AT_EMPTY_PATH), X(AT_RECURSIVE), XEND,
};
static const struct xlat x_faccess[] = { X(AT_SYMLINK_NOFOLLOW), X(AT_EACCESS), X(AT_EMPTY_PATH), XEND };
static const struct xlat x_statx_sync[] = { X(AT_STATX_SYNC_AS_STAT), X(AT_STATX_FORCE_SYNC), X(AT_STATX_DONT_SYNC), XEND };

bool k_ATFLAGS(struct dec *d, uint64_t v)
{
	const char *n = syscall_name(d->nr);

	v = (uint32_t)v;
	if (!strcmp(n, "faccessat2")) {
		dec_flags(d, x_faccess, v, "AT_???");
	} else if (!strcmp(n, "statx")) {
		dec_value(d, x_statx_sync, v & AT_STATX_SYNC_TYPE, "AT_STATX_???");
		if (v & ~(uint64_t)AT_STATX_SYNC_TYPE) {
			strbuf_addc(&d->b, '|');
			dec_flags(d, x_at, v & ~(uint64_t)AT_STATX_SYNC_TYPE, NULL);
		}
	} else {
		dec_flags(d, x_at, v, "AT_???");
	}
	return true;
}

static const struct xlat x_access[] = { X(F_OK), X(R_OK), X(W_OK), X(X_OK), XEND };

bool k_ACCESS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_access, (uint32_t)v, "?_OK");
	return true;
}

static void times_of(struct dec *d, uint64_t v, bool ns)
{
	int64_t t[4];

	if (!dec_read(d, v, t, sizeof(t))) {
		dec_ptr(d, v);
		return;
	}
	for (int i = 0; i < 4; i += 2) {
		strbuf_adds(&d->b, i ? ", " : "[");
		if (ns && t[i + 1] == UTIME_NOW)
			strbuf_adds(&d->b, "UTIME_NOW");
		else if (ns && t[i + 1] == UTIME_OMIT)
			strbuf_adds(&d->b, "UTIME_OMIT");
		else if (ns)
			dec_timespec_val(d, t[i], t[i + 1]);
		else
			dec_timeval_val(d, t[i], t[i + 1]);
	}
	strbuf_addc(&d->b, ']');
}

bool k_UTIMESPEC(struct dec *d, uint64_t v)
{
	times_of(d, v, true);
	return true;
}

bool k_UTIMES(struct dec *d, uint64_t v)
{
	times_of(d, v, false);
	return true;
}

bool k_UTIMBUF(struct dec *d, uint64_t v)
{
	int64_t t[2];

	if (dec_read(d, v, t, sizeof(t)))
		strbuf_addf(&d->b, "{actime=%ld, modtime=%ld}", (long)t[0], (long)t[1]);
	else
		dec_ptr(d, v);
	return true;
}

static const struct xlat x_statfs_type[] = {
	{ 0xef53, "EXT2_SUPER_MAGIC" }, { 0x01021994, "TMPFS_MAGIC" }, { 0x9fa0, "PROC_SUPER_MAGIC" }, { 0x62656572, "SYSFS_MAGIC" },
	{ 0x63677270, "CGROUP2_SUPER_MAGIC" }, { 0x794c7630, "OVERLAYFS_SUPER_MAGIC" }, { 0x1cd1, "DEVPTS_SUPER_MAGIC" }, { 0x6e736673, "NSFS_MAGIC" },
	{ 0x50495045, "PIPEFS_MAGIC" }, { 0x534f434b, "SOCKFS_MAGIC" }, { 0x19800202, "MQUEUE_MAGIC" }, { 0x09041934, "ANON_INODE_FS_MAGIC" },
	{ 0x01021997, "V9FS_MAGIC" }, { 0x9123683e, "BTRFS_SUPER_MAGIC" }, { 0x58465342, "XFS_SUPER_MAGIC" }, XEND,
};
static const struct xlat x_st[] = {
	{ 0x20, "ST_VALID" }, { 1, "ST_RDONLY" }, { 2, "ST_NOSUID" }, { 4, "ST_NODEV" }, { 8, "ST_NOEXEC" }, { 0x10, "ST_SYNCHRONOUS" },
	{ 0x40, "ST_MANDLOCK" }, { 0x400, "ST_NOATIME" }, { 0x800, "ST_NODIRATIME" }, { 0x1000, "ST_RELATIME" }, XEND,
};

bool k_OUT_STATFS(struct dec *d, uint64_t v)
{
	struct {
		int64_t type, bsize, blocks, bfree, bavail, files, ffree;
		int32_t fsid[2];
		int64_t namelen, frsize, flags;
	} s;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &s, sizeof(s))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{f_type=");
	dec_value(d, x_statfs_type, (uint64_t)s.type, NULL);
	strbuf_addf(&d->b, ", f_bsize=%ld, f_blocks=%ld, f_bfree=%ld, f_bavail=%ld, f_files=%ld, f_ffree=%ld, f_fsid={val=[%#x, %#x]}, f_namelen=%ld, "
			   "f_frsize=%ld, f_flags=",
		    (long)s.bsize, (long)s.blocks, (long)s.bfree, (long)s.bavail, (long)s.files, (long)s.ffree, (unsigned)s.fsid[0],
		    (unsigned)s.fsid[1], (long)s.namelen, (long)s.frsize);
	dec_flags(d, x_st, (uint64_t)s.flags, NULL);
	strbuf_addc(&d->b, '}');
	return true;
}

static const struct xlat x_xattr[] = { { 1, "XATTR_CREATE" }, { 2, "XATTR_REPLACE" }, XEND };

bool k_XATTRFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_xattr, (uint32_t)v, "XATTR_???");
	return true;
}

/* --- descriptors --- */

static const struct xlat x_whence[] = { X(SEEK_SET), X(SEEK_CUR), X(SEEK_END), X(SEEK_DATA), X(SEEK_HOLE), XEND };

bool k_WHENCE(struct dec *d, uint64_t v)
{
	dec_value(d, x_whence, (uint32_t)v, "SEEK_???");
	return true;
}

static const struct xlat x_fcntl[] = {
	X(F_DUPFD), X(F_GETFD), X(F_SETFD), X(F_GETFL), X(F_SETFL), { 5, "F_GETLK" }, { 6, "F_SETLK" }, { 7, "F_SETLKW" }, X(F_SETOWN), X(F_GETOWN),
	X(F_SETSIG), X(F_GETSIG), { 15, "F_SETOWN_EX" }, { 16, "F_GETOWN_EX" }, { 17, "F_GETOWNER_UIDS" }, { 36, "F_OFD_GETLK" }, { 37, "F_OFD_SETLK" },
	{ 38, "F_OFD_SETLKW" }, X(F_SETLEASE), X(F_GETLEASE), X(F_NOTIFY), X(F_DUPFD_CLOEXEC), X(F_SETPIPE_SZ), X(F_GETPIPE_SZ), X(F_ADD_SEALS),
	X(F_GET_SEALS), X(F_GET_RW_HINT), X(F_SET_RW_HINT), X(F_GET_FILE_RW_HINT), X(F_SET_FILE_RW_HINT), XEND,
};
static const struct xlat x_fdflags[] = { X(FD_CLOEXEC), XEND };
static const struct xlat x_lock[] = { X(F_RDLCK), X(F_WRLCK), X(F_UNLCK), XEND };
static const struct xlat x_seals[] = { X(F_SEAL_SEAL), X(F_SEAL_SHRINK), X(F_SEAL_GROW), X(F_SEAL_WRITE), X(F_SEAL_FUTURE_WRITE), XEND };

bool k_FCNTL(struct dec *d, uint64_t v)
{
	dec_value(d, x_fcntl, (uint32_t)v, "F_???");
	if (v == F_GETFD)
		d->fmt = 'F';
	else if (v == F_GETFL)
		d->fmt = 'L';
	else if (v == F_GET_SEALS)
		d->fmt = 'S';
	return true;
}

static void put_flock(struct dec *d, uint64_t v, bool pid)
{
	struct flock l;

	if (!dec_read(d, v, &l, sizeof(l))) {
		dec_ptr(d, v);
		return;
	}
	strbuf_adds(&d->b, "{l_type=");
	dec_value(d, x_lock, (uint16_t)l.l_type, "F_???");
	strbuf_adds(&d->b, ", l_whence=");
	dec_value(d, x_whence, (uint16_t)l.l_whence, "SEEK_???");
	strbuf_addf(&d->b, ", l_start=%ld, l_len=%ld", (long)l.l_start, (long)l.l_len);
	if (pid)
		strbuf_addf(&d->b, ", l_pid=%d", l.l_pid);
	strbuf_addc(&d->b, '}');
}

bool k_FCNTLARG(struct dec *d, uint64_t v)
{
	switch ((int)d->a[1]) {
	case F_GETFD: case F_GETFL: case F_GETOWN: case F_GETSIG: case F_GETLEASE: case F_GETPIPE_SZ: case F_GET_SEALS:
		return true;
	case F_SETFD:
		dec_flags(d, x_fdflags, v, NULL);
		return true;
	case F_SETFL:
		dec_open_flags(d, (uint32_t)v);
		return true;
	case F_SETLK: case F_SETLKW: case 37: case 38:
		put_flock(d, v, false);
		return true;
	case F_GETLK: case 36:
		if (!d->exit)
			return false;
		put_flock(d, v, true);
		return true;
	case F_SETSIG:
		dec_signame(d, (int)v);
		return true;
	case F_SETLEASE:
		dec_value(d, x_lock, (uint32_t)v, "F_???");
		return true;
	case F_ADD_SEALS:
		dec_flags(d, x_seals, (uint32_t)v, "F_SEAL_???");
		return true;
	case F_DUPFD: case F_DUPFD_CLOEXEC: case F_SETOWN: case F_SETPIPE_SZ:
		return k_INT(d, v);
	default:
		dec_ptr(d, v);
		return true;
	}
}

static const struct xlat x_flock[] = { X(LOCK_NB), X(LOCK_SH), X(LOCK_EX), X(LOCK_UN), XEND };

bool k_FLOCK(struct dec *d, uint64_t v)
{
	dec_flags(d, x_flock + 1, v & 15 & ~(uint64_t)LOCK_NB, "LOCK_???");
	if (v & LOCK_NB)
		strbuf_adds(&d->b, "|LOCK_NB");
	return true;
}

/* Counts the entries. */
bool k_OUT_DENTS(struct dec *d, uint64_t v)
{
	int64_t n = 0;

	if (!d->exit)
		return false;
	dec_ptr(d, v);
	if (dec_failed(d))
		return true;
	for (int64_t at = 0; at < d->ret;) {
		uint16_t len;

		if (!dec_read(d, v + (uint64_t)at + 16, &len, sizeof(len)) || !len)
			break;
		at += len;
		n++;
	}
	strbuf_addf(&d->b, " /* %ld entries */", (long)n);
	return true;
}

static const struct xlat x_pipe[] = { X(O_CLOEXEC), X(O_DIRECT), X(O_NONBLOCK), XEND };

bool k_PIPEFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_pipe, (uint32_t)v, "O_???");
	return true;
}

static const struct xlat x_splice[] = { X(SPLICE_F_MOVE), X(SPLICE_F_NONBLOCK), X(SPLICE_F_MORE), X(SPLICE_F_GIFT), XEND };

bool k_SPLICEFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_splice, (uint32_t)v, "SPLICE_F_???");
	return true;
}

/* An offset read before the call. */
bool k_OFFPTR(struct dec *d, uint64_t v)
{
	int64_t off;

	if (dec_read(d, v, &off, sizeof(off)))
		strbuf_addf(&d->b, "[%ld]", (long)off);
	else
		dec_ptr(d, v);
	return true;
}

static const struct xlat x_close_range[] = { X(CLOSE_RANGE_UNSHARE), X(CLOSE_RANGE_CLOEXEC), XEND };
static const struct xlat x_rename[] = { X(RENAME_NOREPLACE), X(RENAME_EXCHANGE), X(RENAME_WHITEOUT), XEND };
static const struct xlat x_fallocate[] = {
	X(FALLOC_FL_KEEP_SIZE), X(FALLOC_FL_PUNCH_HOLE), X(FALLOC_FL_COLLAPSE_RANGE), X(FALLOC_FL_ZERO_RANGE), X(FALLOC_FL_INSERT_RANGE),
	X(FALLOC_FL_UNSHARE_RANGE), XEND,
};
static const struct xlat x_fadvise[] = {
	X(POSIX_FADV_NORMAL), X(POSIX_FADV_RANDOM), X(POSIX_FADV_SEQUENTIAL), X(POSIX_FADV_WILLNEED), X(POSIX_FADV_DONTNEED), X(POSIX_FADV_NOREUSE), XEND,
};
static const struct xlat x_rwf[] = { X(RWF_HIPRI), X(RWF_DSYNC), X(RWF_SYNC), X(RWF_NOWAIT), X(RWF_APPEND), XEND };
static const struct xlat x_sync_range[] = { X(SYNC_FILE_RANGE_WAIT_BEFORE), X(SYNC_FILE_RANGE_WRITE), X(SYNC_FILE_RANGE_WAIT_AFTER), XEND };
static const struct xlat x_efd[] = { X(EFD_SEMAPHORE), X(EFD_CLOEXEC), X(EFD_NONBLOCK), XEND };
static const struct xlat x_mfd[] = { X(MFD_CLOEXEC), X(MFD_ALLOW_SEALING), X(MFD_HUGETLB), XEND };

bool k_CLOSERANGE(struct dec *d, uint64_t v)
{
	dec_flags(d, x_close_range, (uint32_t)v, "CLOSE_RANGE_???");
	return true;
}

bool k_RENAMEFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_rename, (uint32_t)v, "RENAME_???");
	return true;
}

bool k_FALLOCMODE(struct dec *d, uint64_t v)
{
	dec_flags(d, x_fallocate, (uint32_t)v, "FALLOC_FL_???");
	return true;
}

bool k_FADVICE(struct dec *d, uint64_t v)
{
	dec_value(d, x_fadvise, (uint32_t)v, "POSIX_FADV_???");
	return true;
}

bool k_RWF(struct dec *d, uint64_t v)
{
	dec_flags(d, x_rwf, (uint32_t)d->a[5], "RWF_???"); /* the position has two words in between */
	d->next = 6;
	return true;
}

bool k_SYNCRANGE(struct dec *d, uint64_t v)
{
	dec_flags(d, x_sync_range, (uint32_t)v, "SYNC_FILE_RANGE_???");
	return true;
}

bool k_EFDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_efd, (uint32_t)v, "EFD_???");
	return true;
}

bool k_MFDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_mfd, (uint32_t)v, "MFD_???");
	return true;
}

/* --- mounts --- */

static const struct xlat x_ms[] = {
	{ 1, "MS_RDONLY" }, { 2, "MS_NOSUID" }, { 4, "MS_NODEV" }, { 8, "MS_NOEXEC" }, { 16, "MS_SYNCHRONOUS" }, { 32, "MS_REMOUNT" }, { 64, "MS_MANDLOCK" },
	{ 128, "MS_DIRSYNC" }, { 1024, "MS_NOATIME" }, { 2048, "MS_NODIRATIME" }, { 4096, "MS_BIND" }, { 8192, "MS_MOVE" }, { 16384, "MS_REC" },
	{ 32768, "MS_SILENT" }, { 1 << 16, "MS_POSIXACL" }, { 1 << 17, "MS_UNBINDABLE" }, { 1 << 18, "MS_PRIVATE" }, { 1 << 19, "MS_SLAVE" },
	{ 1 << 20, "MS_SHARED" }, { 1 << 21, "MS_RELATIME" }, { 1 << 24, "MS_STRICTATIME" }, { 1 << 25, "MS_LAZYTIME" }, XEND,
};
static const struct xlat x_umount[] = { { 1, "MNT_FORCE" }, { 2, "MNT_DETACH" }, { 4, "MNT_EXPIRE" }, { 8, "UMOUNT_NOFOLLOW" }, XEND };

bool k_MNTFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_ms, v, "MS_???");
	return true;
}

bool k_UMNTFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_umount, (uint32_t)v, "MNT_???");
	return true;
}

/* --- inotify --- */

static const struct xlat x_in[] = {
	X(IN_ALL_EVENTS), X(IN_ACCESS), X(IN_MODIFY), X(IN_ATTRIB), X(IN_CLOSE_WRITE), X(IN_CLOSE_NOWRITE), X(IN_OPEN), X(IN_MOVED_FROM), X(IN_MOVED_TO),
	X(IN_CREATE), X(IN_DELETE), X(IN_DELETE_SELF), X(IN_MOVE_SELF), X(IN_ONLYDIR), X(IN_DONT_FOLLOW), X(IN_EXCL_UNLINK), X(IN_MASK_CREATE),
	X(IN_MASK_ADD), X(IN_ISDIR), X(IN_ONESHOT), XEND,
};
static const struct xlat x_in_init[] = { X(IN_CLOEXEC), X(IN_NONBLOCK), XEND };

bool k_INMASK(struct dec *d, uint64_t v)
{
	dec_flags(d, x_in, (uint32_t)v, "IN_???");
	return true;
}

bool k_INFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_in_init, (uint32_t)v, "IN_???");
	return true;
}
