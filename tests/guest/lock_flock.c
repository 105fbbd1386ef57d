// SPDX-License-Identifier: Apache-2.0
/*
 * flock: per open file, shared and exclusive, conversion, inheritance, release on last close; held over a checkpoint.
 */
#include "guest.h"
#include <sys/file.h>

static void in_child(int op, int want)
{
	pid_t p;

	CHILD (p) {
		int fd = OK(open("f", O_RDONLY));

		if (want)
			CHECK_ERRNO(flock(fd, op | LOCK_NB), want);
		else
			CHECK_EQ(flock(fd, op | LOCK_NB), 0);
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	int a = OK(open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0644)), b = OK(open("f", O_RDONLY)), d;
	pid_t p;

	CHECK_EQ(flock(a, LOCK_SH), 0);
	CHECK_EQ(flock(b, LOCK_SH), 0);
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK); /* and loses what it had: conversion is not atomic */
	guest_checkpoint();
	in_child(LOCK_SH, 0);
	in_child(LOCK_EX, EWOULDBLOCK);
	CHECK_EQ(flock(b, LOCK_UN), 0);
	CHECK_EQ(flock(a, LOCK_EX), 0);
	in_child(LOCK_SH, EWOULDBLOCK);
	CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK); /* even in one process */
	SUBTEST("duplicates and children share it");
	d = dup(a);
	close(a);
	guest_checkpoint();
	in_child(LOCK_SH, EWOULDBLOCK);
	CHILD (p) {
		CHECK_EQ(flock(d, LOCK_SH), 0); /* the same lock: converts */
		_exit(0);
	}
	guest_reap(p);
	in_child(LOCK_SH, 0);
	in_child(LOCK_EX, EWOULDBLOCK);
	close(d);
	in_child(LOCK_EX, 0);
	SUBTEST("errors");
	CHECK_ERRNO(flock(b, 0), EINVAL);
	CHECK_ERRNO(flock(999, LOCK_SH), EBADF);
	int path = OK(open("f", O_PATH));
	CHECK_ERRNO(flock(path, LOCK_SH), EBADF);
	CHECK_EQ(flock(b, LOCK_UN), 0);
}
