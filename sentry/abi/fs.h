/* SPDX-License-Identifier: Apache-2.0 */
/* File-system constants and layouts of the Linux ABI (x86-64). Nothing else. */
#ifndef SENTRY_ABI_FS_H
#define SENTRY_ABI_FS_H

#include "sentry/abi/fcntl.h"
#include "sentry/abi/types.h"

#define LINUX_PATH_MAX    4096
#define LINUX_NAME_MAX    255
#define LINUX_SYMLINK_MAX 40

/* open(2) */
#define LINUX___O_SYNC    04000000u
#define LINUX___O_TMPFILE 020000000u

/* openat2(2) */
#define LINUX_RESOLVE_NO_XDEV       0x01u
#define LINUX_RESOLVE_NO_MAGICLINKS 0x02u
#define LINUX_RESOLVE_NO_SYMLINKS   0x04u
#define LINUX_RESOLVE_BENEATH       0x08u
#define LINUX_RESOLVE_IN_ROOT       0x10u
#define LINUX_RESOLVE_CACHED        0x20u
struct linux_open_how {
	uint64_t flags, mode, resolve;
};

/* st_mode */
#define LINUX_S_IFMT   0170000u
#define LINUX_S_IFSOCK 0140000u
#define LINUX_S_IFLNK  0120000u
#define LINUX_S_IFREG  0100000u
#define LINUX_S_IFBLK  0060000u
#define LINUX_S_IFDIR  0040000u
#define LINUX_S_IFCHR  0020000u
#define LINUX_S_IFIFO  0010000u
#define LINUX_S_ISUID  0004000u
#define LINUX_S_ISGID  0002000u
#define LINUX_S_ISVTX  0001000u
#define LINUX_S_IALLUGO 07777u
#define LINUX_S_IRWXUGO 00777u
#define LINUX_S_IXUGO   00111u
#define LINUX_S_IXGRP   00010u
#define LINUX_S_ISREG(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFREG)
#define LINUX_S_ISDIR(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFDIR)
#define LINUX_S_ISLNK(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFLNK)
#define LINUX_S_ISCHR(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFCHR)
#define LINUX_S_ISBLK(m)  (((m)&LINUX_S_IFMT) == LINUX_S_IFBLK)
#define LINUX_S_ISFIFO(m) (((m)&LINUX_S_IFMT) == LINUX_S_IFIFO)
#define LINUX_S_ISSOCK(m) (((m)&LINUX_S_IFMT) == LINUX_S_IFSOCK)

/* d_type is (st_mode & S_IFMT) >> 12 */
#define LINUX_DT_UNKNOWN 0
#define LINUX_DT_FIFO    1
#define LINUX_DT_CHR     2
#define LINUX_DT_DIR     4
#define LINUX_DT_BLK     6
#define LINUX_DT_REG     8
#define LINUX_DT_LNK     10
#define LINUX_DT_SOCK    12

/* *at(2) */
#define LINUX_AT_STATX_SYNC_TYPE  0x6000u
#define LINUX_AT_RECURSIVE        0x8000u

#define LINUX_RENAME_NOREPLACE 1u
#define LINUX_RENAME_EXCHANGE  2u
#define LINUX_RENAME_WHITEOUT  4u

#define LINUX_SEEK_SET  0
#define LINUX_SEEK_CUR  1
#define LINUX_SEEK_END  2
#define LINUX_SEEK_DATA 3
#define LINUX_SEEK_HOLE 4

#define LINUX_R_OK 4
#define LINUX_W_OK 2
#define LINUX_X_OK 1

/* fcntl(2) */
#define LINUX_F_CREATED_QUERY 1028
#define LINUX_F_GET_RW_HINT   1035
#define LINUX_F_SET_RW_HINT   1036
#define LINUX_F_GET_FILE_RW_HINT 1037
#define LINUX_F_SET_FILE_RW_HINT 1038
#define LINUX_F_OWNER_TID  0
#define LINUX_F_OWNER_PID  1
#define LINUX_F_OWNER_PGRP 2
#define LINUX_LOCK_SH 1
#define LINUX_LOCK_EX 2
#define LINUX_LOCK_NB 4
#define LINUX_LOCK_UN 8
#define LINUX_F_SEAL_SEAL         0x01u
#define LINUX_F_SEAL_SHRINK       0x02u
#define LINUX_F_SEAL_GROW         0x04u
#define LINUX_F_SEAL_WRITE        0x08u
#define LINUX_F_SEAL_FUTURE_WRITE 0x10u
#define LINUX_F_SEAL_EXEC         0x20u
#define LINUX_MFD_CLOEXEC       0x01u
#define LINUX_MFD_ALLOW_SEALING 0x02u
#define LINUX_MFD_HUGETLB       0x04u
#define LINUX_MFD_NOEXEC_SEAL   0x08u
#define LINUX_MFD_EXEC          0x10u

struct linux_flock {
	int16_t l_type, l_whence;
	int32_t _pad;
	int64_t l_start, l_len;
	int32_t l_pid, _pad2;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock layout");

/* preadv2(2) */
#define LINUX_RWF_HIPRI  0x01
#define LINUX_RWF_DSYNC  0x02
#define LINUX_RWF_SYNC   0x04
#define LINUX_RWF_NOWAIT 0x08
#define LINUX_RWF_APPEND 0x10
#define LINUX_RWF_NOAPPEND 0x20

/* fallocate(2) */
#define LINUX_FALLOC_FL_KEEP_SIZE      0x01
#define LINUX_FALLOC_FL_PUNCH_HOLE     0x02
#define LINUX_FALLOC_FL_COLLAPSE_RANGE 0x08
#define LINUX_FALLOC_FL_ZERO_RANGE     0x10
#define LINUX_FALLOC_FL_INSERT_RANGE   0x20
#define LINUX_FALLOC_FL_UNSHARE_RANGE  0x40

/* ioctl(2), generic */
#define LINUX_FIONREAD 0x541Bu
#define LINUX_FIONBIO  0x5421u
#define LINUX_FIONCLEX 0x5450u
#define LINUX_FIOCLEX  0x5451u
#define LINUX_FIOASYNC 0x5452u
#define LINUX_FIOQSIZE 0x5460u
#define LINUX_FIGETBSZ 2u
#define LINUX_FS_IOC_GETFLAGS   0x80086601u
#define LINUX_FS_IOC_SETFLAGS   0x40086602u
#define LINUX_FS_IOC_GETVERSION 0x80087601u

/* mount(2) */
#define LINUX_MS_RDONLY      0x1u
#define LINUX_MS_NOSUID      0x2u
#define LINUX_MS_NODEV       0x4u
#define LINUX_MS_NOEXEC      0x8u
#define LINUX_MS_SYNCHRONOUS 0x10u
#define LINUX_MS_REMOUNT     0x20u
#define LINUX_MS_MANDLOCK    0x40u
#define LINUX_MS_DIRSYNC     0x80u
#define LINUX_MS_NOSYMFOLLOW 0x100u
#define LINUX_MS_NOATIME     0x400u
#define LINUX_MS_NODIRATIME  0x800u
#define LINUX_MS_BIND        0x1000u
#define LINUX_MS_MOVE        0x2000u
#define LINUX_MS_REC         0x4000u
#define LINUX_MS_SILENT      0x8000u
#define LINUX_MS_UNBINDABLE  0x20000u
#define LINUX_MS_PRIVATE     0x40000u
#define LINUX_MS_SLAVE       0x80000u
#define LINUX_MS_SHARED      0x100000u
#define LINUX_MS_RELATIME    0x200000u
#define LINUX_MS_STRICTATIME 0x1000000u
#define LINUX_MS_LAZYTIME    0x2000000u
#define LINUX_MS_NOUSER      0x80000000u
#define LINUX_MS_MGC_VAL     0xC0ED0000u
#define LINUX_MS_MGC_MSK     0xffff0000u
#define LINUX_MNT_FORCE       1u
#define LINUX_MNT_DETACH      2u
#define LINUX_MNT_EXPIRE      4u
#define LINUX_UMOUNT_NOFOLLOW 8u

#define LINUX_XATTR_CREATE    1
#define LINUX_XATTR_REPLACE   2
#define LINUX_XATTR_NAME_MAX  255
#define LINUX_XATTR_SIZE_MAX  65536
#define LINUX_XATTR_LIST_MAX  65536

/* super block magics */
#define LINUX_RAMFS_MAGIC      0x858458f6u
#define LINUX_TMPFS_MAGIC      0x01021994u
#define LINUX_PROC_SUPER_MAGIC 0x9fa0u
#define LINUX_SYSFS_MAGIC      0x62656572u
#define LINUX_DEVPTS_MAGIC     0x1cd1u
#define LINUX_ANON_INODE_MAGIC 0x09041934u
#define LINUX_PIPEFS_MAGIC     0x50495045u
#define LINUX_SOCKFS_MAGIC     0x534F434Bu
#define LINUX_MQUEUE_MAGIC     0x19800202u
#define LINUX_CGROUP2_MAGIC    0x63677270u
#define LINUX_OVERLAYFS_MAGIC  0x794c7630u
#define LINUX_V9FS_MAGIC       0x01021997u

struct linux_stat {
	uint64_t st_dev, st_ino, st_nlink;
	uint32_t st_mode, st_uid, st_gid, _pad0;
	uint64_t st_rdev;
	int64_t st_size, st_blksize, st_blocks;
	struct linux_timespec st_atim, st_mtim, st_ctim;
	int64_t _unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat layout");

struct linux_statx_timestamp {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t _reserved;
};
#define LINUX_STATX_BASIC_STATS 0x7ffu
#define LINUX_STATX_BTIME       0x800u
#define LINUX_STATX_MNT_ID      0x1000u
#define LINUX_STATX_ALL         0xfffu
#define LINUX_STATX__RESERVED   0x80000000u
#define LINUX_STATX_ATTR_MOUNT_ROOT 0x2000u
struct linux_statx {
	uint32_t stx_mask, stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink, stx_uid, stx_gid;
	uint16_t stx_mode, _spare0;
	uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
	struct linux_statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
	uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
	uint64_t stx_mnt_id, _spare3[13];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx layout");

struct linux_statfs {
	int64_t f_type, f_bsize;
	uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	uint32_t f_fsid[2];
	int64_t f_namelen, f_frsize, f_flags, f_spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs layout");
#define LINUX_ST_VALID 0x0020

/* Device numbers. The kernel's own form keeps major and minor apart in 32 bits each (dev_make); what stat shows is new_encode_dev. */
static inline uint64_t dev_make(uint32_t major, uint32_t minor)
{
	return (uint64_t)major << 32 | minor;
}
static inline uint32_t dev_major(uint64_t dev)
{
	return (uint32_t)(dev >> 32);
}
static inline uint32_t dev_minor(uint64_t dev)
{
	return (uint32_t)dev;
}
static inline uint64_t dev_encode(uint64_t dev)
{
	uint64_t ma = dev_major(dev), mi = dev_minor(dev);

	return (mi & 0xff) | (ma & 0xfff) << 8 | (mi & 0xffffff00) << 12 | (ma & 0xfffff000) << 32;
}
static inline uint64_t dev_decode(uint64_t enc)
{
	return dev_make((uint32_t)((enc >> 8 & 0xfff) | (enc >> 32 & 0xfffff000)), (uint32_t)((enc & 0xff) | (enc >> 12 & 0xffffff00)));
}

#endif
