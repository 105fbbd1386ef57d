/* SPDX-License-Identifier: Apache-2.0 */
/* open(2) and fcntl(2) constants, x86-64 numbers. */
#ifndef SENTRY_ABI_FCNTL_H
#define SENTRY_ABI_FCNTL_H

#define LINUX_O_ACCMODE   00000003u
#define LINUX_O_RDONLY    00000000u
#define LINUX_O_WRONLY    00000001u
#define LINUX_O_RDWR      00000002u
#define LINUX_O_CREAT     00000100u
#define LINUX_O_EXCL      00000200u
#define LINUX_O_NOCTTY    00000400u
#define LINUX_O_TRUNC     00001000u
#define LINUX_O_APPEND    00002000u
#define LINUX_O_NONBLOCK  00004000u
#define LINUX_O_DSYNC     00010000u
#define LINUX_O_ASYNC     00020000u
#define LINUX_O_DIRECT    00040000u
#define LINUX_O_LARGEFILE 00100000u
#define LINUX_O_DIRECTORY 00200000u
#define LINUX_O_NOFOLLOW  00400000u
#define LINUX_O_NOATIME   01000000u
#define LINUX_O_CLOEXEC   02000000u
#define LINUX_O_SYNC      04010000u
#define LINUX_O_PATH      010000000u
#define LINUX_O_TMPFILE   020200000u

#define LINUX_AT_FDCWD            (-100)
#define LINUX_AT_SYMLINK_NOFOLLOW 0x100
#define LINUX_AT_EACCESS          0x200
#define LINUX_AT_REMOVEDIR        0x200
#define LINUX_AT_SYMLINK_FOLLOW   0x400
#define LINUX_AT_NO_AUTOMOUNT     0x800
#define LINUX_AT_EMPTY_PATH       0x1000

#define LINUX_FD_CLOEXEC 1

#define LINUX_F_DUPFD         0
#define LINUX_F_GETFD         1
#define LINUX_F_SETFD         2
#define LINUX_F_GETFL         3
#define LINUX_F_SETFL         4
#define LINUX_F_GETLK         5
#define LINUX_F_SETLK         6
#define LINUX_F_SETLKW        7
#define LINUX_F_SETOWN        8
#define LINUX_F_GETOWN        9
#define LINUX_F_SETSIG        10
#define LINUX_F_GETSIG        11
#define LINUX_F_SETOWN_EX     15
#define LINUX_F_GETOWN_EX     16
#define LINUX_F_GETOWNER_UIDS 17
#define LINUX_F_OFD_GETLK     36
#define LINUX_F_OFD_SETLK     37
#define LINUX_F_OFD_SETLKW    38
#define LINUX_F_SETLEASE      1024
#define LINUX_F_GETLEASE      1025
#define LINUX_F_NOTIFY        1026
#define LINUX_F_DUPFD_QUERY   1027
#define LINUX_F_DUPFD_CLOEXEC 1030
#define LINUX_F_SETPIPE_SZ    1031
#define LINUX_F_GETPIPE_SZ    1032
#define LINUX_F_ADD_SEALS     1033
#define LINUX_F_GET_SEALS     1034

#define LINUX_F_RDLCK 0
#define LINUX_F_WRLCK 1
#define LINUX_F_UNLCK 2

#endif
