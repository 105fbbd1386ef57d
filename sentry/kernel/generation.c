/* SPDX-License-Identifier: Apache-2.0 */
/* See generation.h. Linux: drivers/virt/vmgenid.c. */
#include "sentry/kernel/generation.h"

#include <stdio.h>

#include "sentry/abi/netlink.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/pseudo/watch.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/shmobj.h"
#include "sentry/net/netlink/netlink.h"

static struct pseudo_watch watch;
static struct mutex page_mu = MUTEX_INIT("generation.page_mu"); /* making the page; above the memory file's lock */

static void __attribute__((constructor)) watch_init(void)
{
	pseudo_watch_init(&watch);
}

struct pseudo_watch *generation_watch(void)
{
	return &watch;
}

void generation_init(struct kernel *k)
{
	kernel_random(k->generation_id, sizeof(k->generation_id));
	k->generation = 1;
}

static int write_count(struct kernel *k, struct mappable *m)
{
	struct backing b;
	uint32_t *p;
	int r = m->ops->translate(m, 0, PAGE_SIZE, true, &b);

	if (r < 0)
		return r;
	p = memfile_ptr(k->mf, b.off, PAGE_SIZE);
	if (p)
		__atomic_store_n(p, k->generation, __ATOMIC_RELEASE);
	memfile_unref(k->mf, b.off, b.len);
	return p ? 0 : -ENOMEM;
}

int generation_page(struct kernel *k, struct mappable **ret)
{
	struct mappable *m;
	int r = 0;

	mutex_guard(&page_mu);
	if (!k->generation_page) {
		r = shmobj_new(k->mf, PAGE_SIZE, &m);
		if (r < 0)
			return r;
		r = write_count(k, m);
		if (r < 0) {
			m->ops->put(m);
			return r;
		}
		k->generation_page = m;
	}
	*ret = k->generation_page;
	return 0;
}

/* What udev and its like understand. The first string is the header, the rest are variables. */
static void send_uevent(const struct kernel *k)
{
	static const char path[] = "/devices/virtual/misc/sysgenid";
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "change@%s%cACTION=change%cDEVPATH=%s%cSUBSYSTEM=misc%cNEW_VMGENID=1%cMAJOR=10%cMINOR=%d%cDEVNAME=sysgenid%cSEQNUM=%u", path,
			 0, 0, path, 0, 0, 0, 0, SYSGENID_MINOR, 0, 0, k->generation - 1);

	nl_uevent(text, (size_t)n + 1);
}

int generation_restored(struct kernel *k)
{
	int r = 0;

	k->generation++;
	if (!k->generation) /* never 0, which users of the counter take for none */
		k->generation = 1;
	if (k->generation_page)
		r = write_count(k, k->generation_page);
	pseudo_watch_changed(&watch);
	send_uevent(k);
	return r;
}
