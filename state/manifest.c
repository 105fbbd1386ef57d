/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest. File: magic, version, length, packed image.Manifest, crc32c of all before it; nothing may follow.
 *
 * It is the first thing read of a hostile image: at most MANIFEST_MAX bytes are looked at, unpacked memory is limited, and
 * nothing is believed about the other files that is not checked against them.
 */
#include "state/manifest.h"

#include "state/message.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/image.pb-c.h"
#include "state/crc32c.h"
#include "state/digest.h"
#include "state/image.h"
#include "state/json.h"
#include "state/pages.h"
#include "state/pages_format.h"
#include "state/record.h"
#include "state/signature.h"

#define MANIFEST_MAX ((size_t)1 << 20)
#define MANIFEST_MEMORY ((uint64_t)64 << 20)
#define HEADER 16
#define NAME "inventory.img"

static const char magic[8] = "RUNSCINV";

void manifest_set_parts(struct manifest *m, const struct state_stats *kernel, const struct pages_stats *pages)
{
	m->kernel = (struct manifest_part){ RECORD_FILE_VERSION, kernel->file_bytes, kernel->file_crc, kernel->has_digest };
	memcpy(m->kernel.digest, kernel->file_digest, DIGEST_BYTES);
	m->index = (struct manifest_part){ pages->index_version, pages->index_bytes, pages->index_crc, pages->has_digest };
	memcpy(m->index.digest, pages->index_digest, DIGEST_BYTES);
	m->pages = (struct manifest_part){ PAGES_VERSION, pages->pages_bytes, 0 };
	m->objects = kernel->objects;
	m->pages_stored = pages->pages_stored;
}

static size_t list_len(char **v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static char *str(char *s)
{
	return s ? s : (char *)protobuf_c_empty_string;
}

static void part_to_msg(Image__Part *p, const struct manifest_part *m)
{
	image__part__init(p);
	p->version = m->version;
	p->size = m->size;
	p->crc = m->crc;
	if (m->has_digest)
		p->digest = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)(uintptr_t)m->digest };
}

static int write_packed(int fd, const Image__Manifest *msg, struct error **err)
{
	struct state_out out = { .fd = fd, .name = NAME };
	size_t len = image__manifest__get_packed_size(msg);
	_cleanup_free_ unsigned char *buf = NULL;

	if (len > MANIFEST_MAX)
		return error_msg(err, -EFBIG, "%s would be larger than the limit", NAME);
	buf = malloc(HEADER + len + 4);
	if (!buf)
		return error_set(err, -ENOMEM, "cannot write %s", NAME);
	memcpy(buf, magic, 8);
	put_le32(buf + 8, MANIFEST_FORMAT);
	put_le32(buf + 12, (uint32_t)len);
	image__manifest__pack(msg, buf + HEADER);
	put_le32(buf + HEADER + len, crc32c(0, buf, HEADER + len));
	return state_out_write(&out, buf, HEADER + len + 4, err);
}

int manifest_hash(int fd, char ret[MANIFEST_HASH + 1])
{
	_cleanup_free_ char *buf = malloc(MANIFEST_MAX + 1);
	uint64_t a = 0xcbf29ce484222325ULL, b = 0x84222325cbf29ce4ULL; /* FNV-1a with two bases */
	size_t n = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t r = pread(fd, buf + n, MANIFEST_MAX + 1 - n, (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > MANIFEST_MAX)
			return -EFBIG;
	}
	for (size_t i = 0; i < n; i++) {
		a = (a ^ (unsigned char)buf[i]) * 0x100000001b3ULL;
		b = (b ^ (unsigned char)buf[n - 1 - i]) * 0x100000001b3ULL;
	}
	(void)snprintf(ret, MANIFEST_HASH + 1, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
	return 0;
}

/* Layers as messages, in one block; NULL when there is no memory. */
struct layer_msg {
	Image__Layer m;
	Image__Part index, pages;
};

static struct layer_msg *layers_to_msg(const struct manifest *m, Image__Layer **ptrs)
{
	struct layer_msg *v = calloc(m->nr_layers + 1, sizeof(*v));

	for (size_t i = 0; v && i < m->nr_layers; i++) {
		image__layer__init(&v[i].m);
		part_to_msg(&v[i].index, &m->layers[i].index);
		part_to_msg(&v[i].pages, &m->layers[i].pages);
		v[i].m.hash = m->layers[i].hash;
		v[i].m.index = &v[i].index;
		v[i].m.pages = &v[i].pages;
		ptrs[i] = &v[i].m;
	}
	return v;
}

int manifest_write(int fd, const struct manifest *m, struct error **err)
{
	Image__Manifest msg = IMAGE__MANIFEST__INIT;
	Image__Part kernel, index, pages;
	_cleanup_free_ Image__XsaveComponent *xs = calloc(m->nr_xsave + 1, sizeof(*xs));
	_cleanup_free_ Image__XsaveComponent **xp = calloc(m->nr_xsave + 1, sizeof(*xp));
	_cleanup_free_ Image__Layer **lp = calloc(m->nr_layers + 1, sizeof(*lp));
	_cleanup_free_ struct layer_msg *ls = lp ? layers_to_msg(m, lp) : NULL;

	if (!xs || !xp || !ls)
		return error_set(err, -ENOMEM, "cannot write %s", NAME);
	for (size_t i = 0; i < m->nr_xsave; i++) {
		image__xsave_component__init(&xs[i]);
		xs[i].bit = m->xsave[i].bit;
		xs[i].offset = m->xsave[i].offset;
		xs[i].size = m->xsave[i].size;
		xp[i] = &xs[i];
	}
	part_to_msg(&kernel, &m->kernel);
	part_to_msg(&index, &m->index);
	part_to_msg(&pages, &m->pages);
	msg.format = MANIFEST_FORMAT;
	msg.product = str(m->product);
	msg.created_ns = m->created_ns;
	msg.containers = m->containers;
	msg.n_containers = list_len(m->containers);
	msg.platform = str(m->platform);
	msg.arch = str(m->arch);
	msg.cpu_features = m->cpu_features;
	msg.n_cpu_features = list_len(m->cpu_features);
	msg.xcr0 = m->xcr0;
	msg.xsave_size = m->xsave_size;
	msg.xsave = xp;
	msg.n_xsave = m->nr_xsave;
	msg.features = m->features;
	msg.n_features = list_len(m->features);
	msg.kernel = &kernel;
	msg.index = &index;
	msg.pages = &pages;
	msg.pages_stored = m->pages_stored;
	msg.objects = m->objects;
	msg.layers = lp;
	msg.n_layers = m->nr_layers;
	msg.page_size = m->page_size;
	msg.types = m->types;
	msg.n_types = list_len(m->types);
	return write_packed(fd, &msg, err);
}

static char **list_copy(char *const *v, size_t n)
{
	char **r = calloc(n + 1, sizeof(*r));

	for (size_t i = 0; r && i < n; i++) {
		r[i] = strdup(v[i]);
		if (!r[i]) {
			while (i)
				free(r[--i]);
			free(r);
			return NULL;
		}
	}
	return r;
}

static void list_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

void manifest_done(struct manifest *m)
{
	free(m->product);
	free(m->platform);
	free(m->arch);
	free(m->xsave);
	free(m->layers);
	list_free(m->containers);
	list_free(m->cpu_features);
	list_free(m->features);
	list_free(m->types);
	*m = (struct manifest){ 0 };
}

void manifest_drop_layers(struct manifest *m)
{
	char **to = m->features;

	m->nr_layers = 0;
	for (char **f = m->features; f && *f; f++) {
		if (!strcmp(*f, MANIFEST_FEATURE_LAYERS))
			free(*f);
		else
			*to++ = *f;
	}
	if (to)
		*to = NULL;
}

static int part_from_msg(const Image__Part *p, struct manifest_part *ret, struct error **err)
{
	*ret = (struct manifest_part){ p->version, p->size, p->crc, p->digest.len > 0 };
	if (ret->has_digest && p->digest.len != DIGEST_BYTES)
		return error_msg(err, -EINVAL, "%s: a digest of %zu bytes", NAME, p->digest.len);
	if (ret->has_digest)
		memcpy(ret->digest, p->digest.data, DIGEST_BYTES);
	return 0;
}

static int layer_from_msg(const Image__Layer *l, struct manifest_layer *ret)
{
	if (!l->index || !l->pages || strlen(l->hash) != MANIFEST_HASH || strspn(l->hash, "0123456789abcdef") != MANIFEST_HASH)
		return -EINVAL;
	memcpy(ret->hash, l->hash, MANIFEST_HASH + 1);
	if (part_from_msg(l->index, &ret->index, NULL) < 0)
		return -EINVAL;
	return part_from_msg(l->pages, &ret->pages, NULL);
}

static int from_msg(const Image__Manifest *msg, struct manifest *ret, struct error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };

	if (msg->format != MANIFEST_FORMAT)
		return error_msg(err, -EINVAL, "%s has format %u, this build reads %u", NAME, msg->format, MANIFEST_FORMAT);
	if (!msg->kernel || !msg->index || !msg->pages)
		return error_msg(err, -EINVAL, "%s does not list every part", NAME);
	if (msg->n_layers > MANIFEST_LAYERS_MAX)
		return error_msg(err, -EINVAL, "%s has %zu layers, more than %d", NAME, msg->n_layers, MANIFEST_LAYERS_MAX);
	m.xsave = calloc(msg->n_xsave + 1, sizeof(*m.xsave));
	m.product = strdup(msg->product);
	m.platform = strdup(msg->platform);
	m.arch = strdup(msg->arch);
	m.containers = list_copy(msg->containers, msg->n_containers);
	m.cpu_features = list_copy(msg->cpu_features, msg->n_cpu_features);
	m.features = list_copy(msg->features, msg->n_features);
	m.types = list_copy(msg->types, msg->n_types);
	if (!m.xsave || !m.product || !m.platform || !m.arch || !m.containers || !m.cpu_features || !m.features || !m.types)
		return error_set(err, -ENOMEM, "cannot read %s", NAME);
	for (size_t i = 0; i < msg->n_xsave; i++)
		m.xsave[i] = (struct manifest_xsave){ msg->xsave[i]->bit, msg->xsave[i]->offset, msg->xsave[i]->size };
	m.nr_xsave = msg->n_xsave;
	m.format = msg->format;
	m.created_ns = msg->created_ns;
	m.xcr0 = msg->xcr0;
	m.xsave_size = msg->xsave_size;
	if (part_from_msg(msg->kernel, &m.kernel, err) < 0 || part_from_msg(msg->index, &m.index, err) < 0 ||
	    part_from_msg(msg->pages, &m.pages, err) < 0)
		return -EINVAL;
	m.pages_stored = msg->pages_stored;
	m.objects = msg->objects;
	m.layers = calloc(msg->n_layers + 1, sizeof(*m.layers));
	if (!m.layers)
		return error_set(err, -ENOMEM, "cannot read %s", NAME);
	for (size_t i = 0; i < msg->n_layers; i++)
		if (layer_from_msg(msg->layers[i], &m.layers[i]) < 0)
			return error_msg(err, -EINVAL, "%s: layer %zu is not possible", NAME, i);
	m.nr_layers = msg->n_layers;
	m.page_size = msg->page_size;
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}

/* Reads and unpacks the file; the message is freed with @alloc, which uses @budget. */
static int read_message(int fd, const struct manifest_auth *auth, struct message_budget *budget, ProtobufCAllocator *alloc,
			ProtobufCMessage **ret, struct error **err)
{
	struct state_in in = { .fd = fd, .name = NAME };
	unsigned char hdr[HEADER], extra;
	_cleanup_free_ unsigned char *whole = NULL;
	unsigned char *buf;
	char why[160];
	ssize_t n;
	size_t len;
	int r;

	r = state_in_read_full(&in, hdr, sizeof(hdr), err);
	if (r < 0)
		return r;
	if (memcmp(hdr, magic, 8))
		return error_msg(err, -EINVAL, "%s is not a manifest of runsc", NAME);
	len = get_le32(hdr + 12);
	if (get_le32(hdr + 8) > MANIFEST_FORMAT)
		return error_msg(err, -EINVAL, "%s has format %u, this build reads %u: written by a newer build", NAME,
				 get_le32(hdr + 8), MANIFEST_FORMAT);
	if (get_le32(hdr + 8) != MANIFEST_FORMAT || len > MANIFEST_MAX)
		return error_msg(err, -EINVAL, "%s: bad header", NAME);
	whole = malloc(HEADER + len + 4);
	if (!whole)
		return error_set(err, -ENOMEM, "cannot read %s", NAME);
	memcpy(whole, hdr, HEADER);
	buf = whole + HEADER;
	r = state_in_read_full(&in, buf, len + 4, err);
	if (r < 0)
		return r;
	if (get_le32(buf + len) != crc32c(crc32c(0, hdr, sizeof(hdr)), buf, len))
		return error_msg(err, -EINVAL, "%s: checksum does not match", NAME);
	n = state_in_read(&in, &extra, 1, err);
	if (n)
		return n < 0 ? (int)n : error_msg(err, -EINVAL, "%s: data after the end", NAME);
	if (auth) { /* before anything is made of it */
		r = signature_check(auth->public, whole, HEADER + len + 4, auth->signature, auth->signature_len, err);
		if (r < 0)
			return r;
	}
	*budget = (struct message_budget){ .left = MANIFEST_MEMORY };
	message_allocator(budget, alloc);
	*ret = message_unpack_any(&image__manifest__descriptor, alloc, budget, buf, len, why, sizeof(why));
	return *ret ? 0 : error_msg(err, -EINVAL, "%s: %s", NAME, why);
}

int manifest_read(int fd, struct manifest *ret, struct error **err)
{
	return manifest_read_signed(fd, NULL, ret, err);
}

int manifest_read_signed(int fd, const struct manifest_auth *auth, struct manifest *ret, struct error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	struct message_budget budget;
	ProtobufCAllocator alloc;
	ProtobufCMessage *msg;
	char why[160];
	int r = read_message(fd, auth, &budget, &alloc, &msg, err);

	if (r < 0)
		return r;
	r = from_msg((const Image__Manifest *)msg, &m, err);
	/* A newer build's image: what it needs and this build lacks says more than the number of a field. */
	if (r >= 0 && message_has_unknown(msg, why, sizeof(why))) {
		r = manifest_check_build(&m, err);
		if (r >= 0)
			r = error_msg(err, -EINVAL, "%s: %s", NAME, why);
	}
	protobuf_c_message_free_unpacked(msg, &alloc);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}

int manifest_json(int fd, struct strbuf *b, unsigned int indent, struct error **err)
{
	struct message_budget budget;
	ProtobufCAllocator alloc;
	ProtobufCMessage *msg;
	int r = lseek(fd, 0, SEEK_SET) < 0 ? error_set(err, -errno, "cannot read %s", NAME) :
					     read_message(fd, NULL, &budget, &alloc, &msg, err);

	if (r < 0)
		return r;
	state_msg_json(b, msg, indent);
	protobuf_c_message_free_unpacked(msg, &alloc);
	return 0;
}

#define SUMMED_MAX ((uint64_t)4 << 30) /* kernel.img and pages.idx: what a hostile sparse file may make us read */

static int check_part(const char *name, const struct manifest_part *p, uint32_t version, uint32_t last, int fd, bool sum, struct error **err)
{
	unsigned char got[DIGEST_BYTES];
	struct digest digest;
	const size_t chunk = (size_t)256 << 10;
	_cleanup_free_ unsigned char *buf = NULL;
	struct stat st;
	uint32_t crc = 0;

	if (p->version < version || p->version > last)
		return error_msg(err, -EINVAL, "%s has version %u, this build reads %u", name, p->version, last);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "cannot read %s", name);
	if ((uint64_t)st.st_size != p->size)
		return error_msg(err, -EINVAL, "%s has %llu bytes, the manifest says %llu", name, (unsigned long long)st.st_size,
				 (unsigned long long)p->size);
	if (!sum)
		return 0;
	if (p->size > SUMMED_MAX)
		return error_msg(err, -EFBIG, "%s has more than %llu bytes", name, (unsigned long long)SUMMED_MAX);
	digest_begin(&digest);
	buf = malloc(chunk);
	if (!buf)
		return error_set(err, -ENOMEM, "cannot read %s", name);
	for (uint64_t off = 0; off < p->size; off += chunk) {
		size_t n = MIN((uint64_t)chunk, p->size - off);
		int r = pread_full(fd, buf, n, off);

		if (r < 0)
			return error_set(err, r, "cannot read %s", name);
		crc = crc32c(crc, buf, n);
		if (p->has_digest)
			digest_add(&digest, buf, n);
	}
	digest_end(&digest, got);
	if (crc != p->crc)
		return error_msg(err, -EINVAL, "%s is damaged: checksum does not match the manifest", name);
	if (p->has_digest && memcmp(got, p->digest, DIGEST_BYTES))
		return error_msg(err, -EINVAL, "%s has been changed: digest does not match the manifest", name);
	return 0;
}

int manifest_require_digests(const struct manifest *m, struct error **err)
{
	bool all = m->kernel.has_digest && m->index.has_digest;

	for (size_t i = 0; i < m->nr_layers; i++)
		all = all && m->layers[i].index.has_digest;
	return all ? 0 :
		     error_msg(err, -ENOKEY, "%s has no digests of all parts: an older build made it (checkpoint again, and sign that)", NAME);
}

int manifest_check_parts(const struct manifest *m, int fd_kernel, int fd_index, int fd_pages, struct error **err)
{
	int r = check_part("kernel.img", &m->kernel, RECORD_FILE_VERSION, RECORD_FILE_VERSION, fd_kernel, !m->trusted, err);

	if (r >= 0)
		r = check_part("pages.idx", &m->index, PAGES_VERSION, PAGES_VERSION_LAYERED, fd_index, !m->trusted, err);
	return r < 0 ? r : check_part("pages.img", &m->pages, PAGES_VERSION, PAGES_VERSION, fd_pages, false, err);
}

int manifest_check_layer(const struct manifest *m, size_t n, int fd_index, int fd_pages, struct error **err)
{
	const struct manifest_layer *l = &m->layers[n];
	int r = check_part("pages.idx", &l->index, PAGES_VERSION, PAGES_VERSION_LAYERED, fd_index, !m->trusted, err);

	if (r >= 0)
		r = check_part("pages.img", &l->pages, PAGES_VERSION, PAGES_VERSION, fd_pages, false, err);
	return r < 0 ? error_prefix(err, "parent image %zu (%s)", n + 1, l->hash) : 0;
}
