/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by fanotify.c (groups, delivery), fanotify_read.c (the descriptor), fanotify_mark.c (system calls) and fanotify_state.c. */
#ifndef SENTRY_FS_FANOTIFY_INTERNAL_H
#define SENTRY_FS_FANOTIFY_INTERNAL_H

#include "base/htab.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/handle.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/kernel.h"

#define FAN_ONDIR_F	     0x40000000u
#define FAN_EVENT_ON_CHILD_F 0x08000000u
#define FAN_Q_OVERFLOW_F     0x00004000u
#define FAN_FS_ERROR_F	     0x00008000u
#define FAN_PERM_EVENTS	     (FAN_OPEN_PERM_F | FAN_ACCESS_PERM_F | FAN_OPEN_EXEC_PERM_F)
/* Events on an object, which can be reported with a descriptor. */
#define FAN_FD_EVENTS                                                                                                          \
	(LINUX_IN_ACCESS | LINUX_IN_MODIFY | LINUX_IN_CLOSE_WRITE | LINUX_IN_CLOSE_NOWRITE | LINUX_IN_OPEN | FAN_OPEN_EXEC_F)
/* Changes of a directory's entries. */
#define FAN_DIRENT_EVENTS (LINUX_IN_MOVED_FROM | LINUX_IN_MOVED_TO | LINUX_IN_CREATE | LINUX_IN_DELETE | FAN_RENAME_F)
#define FAN_INODE_EVENTS  (FAN_DIRENT_EVENTS | LINUX_IN_ATTRIB | LINUX_IN_MOVE_SELF | LINUX_IN_DELETE_SELF)
#define FAN_EVENTS	  (FAN_FD_EVENTS | FAN_INODE_EVENTS)

#define FAN_CLASS_CONTENT_F	0x4u
#define FAN_CLASS_PRE_CONTENT_F 0x8u
#define FAN_CLASS_BITS		0xcu
#define FAN_UNLIMITED_QUEUE_F	0x10u
#define FAN_UNLIMITED_MARKS_F	0x20u
#define FAN_ENABLE_AUDIT_F	0x40u
#define FAN_REPORT_PIDFD_F	0x80u
#define FAN_REPORT_TID_F	0x100u
#define FAN_REPORT_FID_F	0x200u
#define FAN_REPORT_DIR_FID_F	0x400u
#define FAN_REPORT_NAME_F	0x800u
#define FAN_REPORT_TARGET_FID_F 0x1000u
#define FAN_FID_BITS		0x1e00u

#define FAN_MARK_SURV_MODIFY_F 0x40u
#define FAN_MARK_EVICTABLE_F   0x200u
#define FAN_MARK_IGNORE_F      0x400u

#define FAN_MAX_QUEUED	  16384u /* fs.fanotify.max_queued_events */
#define FAN_MAX_UNLIMITED 1048576u /* what "unlimited" means to us: the Sentry's memory is not the guest's */
#define FAN_MAX_MARKS	  65536u /* fs.fanotify.max_user_marks, per group here */

enum fan_kind { FAN_INODE, FAN_MOUNT, FAN_SB };

struct fan_mark { /* message: FanMark */
	struct list node; /* derived: group->marks, in order */
	struct fanotify *group; /* derived: whose message it is in */
	enum fan_kind kind; /* saved: 1 */
	void *object; /* saved: 2; an inode is referenced (unless evictable), a mount or super block is not */
	uint32_t mask, ignored; /* saved: 3, 4 */
	uint32_t flags; /* saved: 5; FAN_MARK_*_F above */
};

struct fan_fid { /* message: FanFid */
	uint64_t dev; /* saved: 1 */
	uint64_t ino; /* saved: 2 */
	uint32_t gen; /* saved: 3 */
};

enum fan_state { FAN_QUEUED, FAN_READ, FAN_ANSWERED, FAN_ABANDONED };

struct fan_event { /* message: FanEvent */
	struct list node; /* derived: group->queue or group->asked */
	uint32_t mask; /* saved: 1 */
	enum fan_state state; /* saved: 2 */
	struct pid *pid; /* saved: 3, referenced */
	struct path path; /* saved: 4, referenced */
	struct fan_fid object, dir; /* saved: 5, 6; ino 0: none */
	char *name; /* saved: 7; NULL none */
	struct fan_fid new_dir; /* saved: 8 */
	char *new_name; /* saved: 9 */
	struct pid *waiter; /* saved: 10, referenced */
	int fd; /* saved: 11 */
	bool denied; /* saved: 12 */
	bool waiting; /* nosave: its waiter is in wait_answer() and will take it out; a frozen one finds it again */
};

struct fanotify {
	struct file file; /* saved: 1 file_base */
	struct ref gref; /* nosave: one for the file while it lives, one per waiting task */
	struct waitq wq; /* nosave: readers and pollers re-run or register again */
	struct waitq asked_wq; /* nosave: those who wait for answers run again */
	struct list all; /* derived: in the list of groups; below: guarded by fan_mu */
	uint32_t flags; /* saved: 2; immutable */
	uint32_t event_flags; /* saved: 3; immutable */
	bool unprivileged; /* saved: 4; immutable */
	bool closed; /* nosave: the file is gone, waiting tasks are to go on */
	struct list marks; /* saved: 5 */
	struct htab by_object; /* derived: object -> mark */
	struct list queue; /* saved: 6 events; not read yet */
	uint32_t nr_queued; /* derived: of queue */
	struct list asked; /* derived: of events; permission events that were read */
};

extern struct mutex fan_mu;
extern struct list fan_groups; /* fanotify.all */
extern const struct file_ops fanotify_ops;

struct fanotify *fanotify_alloc(void);
void fan_group_put(struct fanotify *g);
void fan_event_free(struct fan_event *e); /* puts references: no lock held */
void fan_free_list(struct list *events);
/* _locked: fan_mu. */
_must_check_ int fan_mark_link_locked(struct fan_mark *m);
/* Takes it off; when it held an inode that goes to *@inode for the caller to put, without lock. Frees @m. */
void fan_mark_unlink_locked(struct fan_mark *m, struct inode **inode);
void fan_update_active_locked(void);

static inline struct fanotify *fanotify_of(struct file *f)
{
	return container_of(f, struct fanotify, file);
}

/* fanotify_read.c */
int64_t fanotify_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf);
int64_t fanotify_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf);
size_t fan_event_size(const struct fanotify *g, const struct fan_event *e);

#endif
