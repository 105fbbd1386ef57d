/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a mounted file system: what remount and FSCONFIG_CMD_RECONFIGURE share. Linux: fs/super.c reconfigure_super().
 *
 * Checkpoint: stateless.
 */
#include "sentry/fs/mount.h"
#include "sentry/kernel/kernel.h"

int sb_reconfigure(struct super_block *sb, struct task *t, const char *source, const char *options, uint32_t flags, uint32_t mask)
{
	uint32_t new = (sb->ms_flags & ~mask) | (flags & mask);
	struct mount_req rq = { .k = t->k, .t = t, .source = source, .options = options, .flags = new };
	int err = 0;

	if (new & LINUX_MS_RDONLY && !sb_rdonly(sb))
		err = mount_sb_may_ro(sb);
	if (!err && sb->ops->remount)
		err = sb->ops->remount(sb, &rq);
	if (!err)
		sb->ms_flags = new;
	return err;
}
