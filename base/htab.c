/* SPDX-License-Identifier: Apache-2.0 */
#include "base/htab.h"

static char gone_mark;
#define HTAB_GONE ((void *)&gone_mark)

void htab_done(struct htab *h)
{
	free(h->slots);
	*h = (struct htab){ 0 };
}

static struct htab_slot *find(const struct htab *h, uint64_t key)
{
	size_t mask = h->cap - 1;

	if (!h->cap)
		return NULL;
	for (size_t i = hash_u64(key) & mask;; i = (i + 1) & mask) {
		struct htab_slot *s = &h->slots[i];

		if (!s->val)
			return NULL;
		if (s->val != HTAB_GONE && s->key == key)
			return s;
	}
}

void *htab_get(const struct htab *h, uint64_t key)
{
	struct htab_slot *s = find(h, key);

	return s ? s->val : NULL;
}

static void insert_new(struct htab *h, uint64_t key, void *val)
{
	size_t mask = h->cap - 1, i = hash_u64(key) & mask;

	while (h->slots[i].val && h->slots[i].val != HTAB_GONE)
		i = (i + 1) & mask;
	if (!h->slots[i].val)
		h->used++;
	h->slots[i] = (struct htab_slot){ key, val };
	h->live++;
}

static int grow(struct htab *h)
{
	struct htab n = { .cap = h->cap ? h->cap : 8 };

	while (n.cap * 3 < (h->live + 1) * 8)
		n.cap *= 2;
	n.slots = calloc(n.cap, sizeof(*n.slots));
	if (!n.slots)
		return -ENOMEM;
	for (size_t i = 0; i < h->cap; i++)
		if (h->slots[i].val && h->slots[i].val != HTAB_GONE)
			insert_new(&n, h->slots[i].key, h->slots[i].val);
	free(h->slots);
	*h = n;
	return 0;
}

int htab_put(struct htab *h, uint64_t key, void *val)
{
	struct htab_slot *s = find(h, key);
	int r;

	if (s) {
		s->val = val;
		return 0;
	}
	if ((h->used + 1) * 4 > h->cap * 3) {
		r = grow(h);
		if (r < 0)
			return r;
	}
	insert_new(h, key, val);
	return 0;
}

void *htab_del(struct htab *h, uint64_t key)
{
	struct htab_slot *s = find(h, key);
	void *old;

	if (!s)
		return NULL;
	old = s->val;
	s->val = HTAB_GONE;
	h->live--;
	return old;
}

bool htab_next(const struct htab *h, size_t *pos, uint64_t *key, void **val)
{
	while (*pos < h->cap) {
		struct htab_slot *s = &h->slots[(*pos)++];

		if (!s->val || s->val == HTAB_GONE)
			continue;
		*key = s->key;
		*val = s->val;
		return true;
	}
	return false;
}
