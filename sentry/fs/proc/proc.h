/* SPDX-License-Identifier: Apache-2.0 */
/* What the rest of the kernel may ask of proc. */
#ifndef SENTRY_FS_PROC_PROC_H
#define SENTRY_FS_PROC_PROC_H

struct file;
struct pid;

/* The process whose /proc/<pid> directory @f is, referenced (it may have ended); NULL for any other file, /proc/<pid>/task/<tid> included. */
struct pid *proc_dir_pid(const struct file *f);

#endif
