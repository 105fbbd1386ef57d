/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's operations: one function per request, each filling a call, running it, and checking what the reply claims against
 * what was asked (counts, names, attributes), because the gofer's word is not trusted with our buffers.
 */
#include "gofer/client/internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int check_attr(struct p9_client *c, const struct p9_attr *a)
{
	uint32_t type = a->mode & S_IFMT;
	bool ok = a->size <= INT64_MAX && a->blocks <= INT64_MAX && a->atime_nsec < 1000000000 &&
		  a->mtime_nsec < 1000000000 && a->ctime_nsec < 1000000000 && a->btime_nsec < 1000000000 &&
		  (type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR || type == S_IFBLK ||
		   type == S_IFIFO || type == S_IFSOCK);

	return ok ? 0 : p9_client_fail(c, "gofer sent impossible attributes");
}

uint32_t p9_client_iounit(const struct p9_client *c)
{
	return c->msize - P9_IOHDR_SIZE;
}

int p9_getattr(struct p9_client *c, uint32_t fid, struct p9_attr *attr)
{
	CALL(call, P9_tgetattr);
	int r;

	call.m.tgetattr = (struct p9_tgetattr){ fid, P9_GETATTR_BASIC | P9_GETATTR_BTIME };
	r = p9_call_run(&call);
	if (r == 0)
		r = check_attr(c, &call.m.rgetattr.attr);
	if (r == 0)
		*attr = call.m.rgetattr.attr;
	return r;
}

int p9_attach(struct p9_client *c, const char *aname, uint32_t *ret, struct p9_attr *attr)
{
	CALL(call, P9_tattach);
	uint32_t fid = p9_fid_alloc(c);
	int r;

	call.m.tattach = (struct p9_tattach){ fid, P9_NOFID, p9_mkstr("root"), p9_mkstr(aname), P9_NOUID };
	r = p9_call_run(&call);
	if (r < 0) {
		p9_fid_release(c, fid);
		return r;
	}
	if (attr) {
		r = p9_getattr(c, fid, attr);
		if (r < 0) {
			p9_clunk(c, fid);
			return r;
		}
	}
	*ret = fid;
	return 0;
}

ssize_t p9_walk(struct p9_client *c, uint32_t fid, const char *const *names, size_t n, bool want_fids,
		struct p9_walked *res, int *err)
{
	CALL(call, P9_twalkgetattr);
	struct p9_twalkgetattr *t = &call.m.twalkgetattr;
	const struct p9_attrs *got = &call.m.rwalkgetattr.attrs;
	ssize_t r;

	*err = 0;
	if (!n || n > P9_MAX_WALK)
		return -EINVAL;
	t->fid = fid;
	t->walks.n = (uint16_t)n;
	for (size_t i = 0; i < n; i++) {
		res[i].fid = want_fids ? p9_fid_alloc(c) : P9_NOFID;
		t->walks.v[i].newfid = res[i].fid;
		t->walks.v[i].name = p9_mkstr(names[i]);
	}
	r = p9_call_run(&call);
	if (r == 0) {
		uint32_t e = call.m.rwalkgetattr.err;

		if (got->n > n || (got->n < n) != (e != 0) || e >= 4096)
			r = p9_client_fail(c, "gofer sent an impossible walk result");
		for (size_t i = 0; r == 0 && i < got->n; i++) {
			res[i].attr = got->v[i];
			r = check_attr(c, &res[i].attr);
		}
		if (r == 0) {
			*err = -(int)e;
			r = got->n;
		}
	}
	for (size_t i = r < 0 ? 0 : (size_t)r; want_fids && i < n; i++)
		p9_fid_release(c, res[i].fid);
	return r;
}

int p9_lookup(struct p9_client *c, uint32_t fid, const char *name, uint32_t *ret, struct p9_attr *attr)
{
	struct p9_walked w;
	int err;
	ssize_t n = p9_walk(c, fid, &name, 1, ret != NULL, &w, &err);

	if (n <= 0)
		return n < 0 ? (int)n : err;
	if (ret)
		*ret = w.fid;
	if (attr)
		*attr = w.attr;
	return 0;
}

int p9_clone(struct p9_client *c, uint32_t fid, uint32_t *ret)
{
	CALL(call, P9_twalk);
	uint32_t newfid = p9_fid_alloc(c);
	int r;

	call.m.twalk.fid = fid;
	call.m.twalk.newfid = newfid;
	call.m.twalk.names.n = 0;
	r = p9_call_run(&call);
	if (r < 0)
		p9_fid_release(c, newfid);
	else
		*ret = newfid;
	return r;
}

int p9_setattr(struct p9_client *c, uint32_t fid, const struct p9_setattr *sa)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tsetattr);
	call.m.tsetattr = (struct p9_tsetattr){
		.fid = fid,
		.valid = sa->valid,
		.mode = sa->mode,
		.uid = sa->uid,
		.gid = sa->gid,
		.size = sa->size,
		.atime_sec = (uint64_t)sa->atime.tv_sec,
		.atime_nsec = (uint64_t)sa->atime.tv_nsec,
		.mtime_sec = (uint64_t)sa->mtime.tv_sec,
		.mtime_nsec = (uint64_t)sa->mtime.tv_nsec,
	};
	return p9_call_simple(&call);
}

int p9_statfs(struct p9_client *c, uint32_t fid, struct p9_statfs *st)
{
	CALL(call, P9_tstatfs);
	const struct p9_rstatfs *m = &call.m.rstatfs;
	int r;

	call.m.tstatfs.fid = fid;
	r = p9_call_run(&call);
	if (r == 0)
		*st = (struct p9_statfs){
			.type = m->type,
			.bsize = m->bsize,
			.namelen = m->namelen,
			.blocks = m->blocks,
			.bfree = m->bfree,
			.bavail = m->bavail,
			.files = m->files,
			.ffree = m->ffree,
			.fsid = m->fsid,
		};
	return r;
}

int p9_openfd(struct p9_client *c, uint32_t fid, int flags)
{
	CALL(call, P9_topenfd);
	int r;

	call.m.topenfd = (struct p9_topenfd){ fid, (uint32_t)flags };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	return call.fd < 0 ? -EOPNOTSUPP : TAKE_FD(call.fd);
}

/* Finishes a creation: attributes and fid to the caller, or both undone. */
static int created(struct p9_client *c, int r, uint32_t fid, const struct p9_attr *a, uint32_t *ret, struct p9_attr *attr)
{
	if (r == 0)
		r = check_attr(c, a);
	if (r < 0) {
		if (fid != P9_NOFID)
			p9_fid_release(c, fid);
		return r;
	}
	if (attr)
		*attr = *a;
	if (ret)
		*ret = fid;
	return 0;
}

int p9_create(struct p9_client *c, uint32_t dfid, const char *name, int flags, uint32_t mode, uint32_t uid, uint32_t gid,
	      uint32_t *ret, struct p9_attr *attr)
{
	CALL(call, P9_tucreate);
	uint32_t fid = ret ? p9_fid_alloc(c) : P9_NOFID;
	int r;

	call.m.tucreate =
		(struct p9_tucreate){ dfid, fid, p9_mkstr(name), (uint32_t)flags, mode, uid, gid };
	r = p9_call_run(&call);
	/* The server made the fid, but the donated fd did not arrive: give both up. */
	if (r == -EMFILE && call.m.type == P9_rucreate) {
		if (fid != P9_NOFID)
			p9_clunk(c, fid);
		return r;
	}
	r = created(c, r, fid, &call.m.rucreate.attr, ret, attr);
	if (r < 0)
		return r;
	if (call.fd < 0)
		return p9_client_fail(c, "gofer created a file without donating it");
	return TAKE_FD(call.fd);
}

int p9_mkdir(struct p9_client *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t *ret,
	     struct p9_attr *attr)
{
	CALL(call, P9_tumkdir);
	uint32_t fid = ret ? p9_fid_alloc(c) : P9_NOFID;

	call.m.tumkdir = (struct p9_tumkdir){ dfid, fid, p9_mkstr(name), mode, uid, gid };
	return created(c, p9_call_run(&call), fid, &call.m.rumkdir.attr, ret, attr);
}

int p9_mknod(struct p9_client *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t major, uint32_t minor, uint32_t uid,
	     uint32_t gid, uint32_t *ret, struct p9_attr *attr)
{
	CALL(call, P9_tumknod);
	uint32_t fid = ret ? p9_fid_alloc(c) : P9_NOFID;

	call.m.tumknod = (struct p9_tumknod){ dfid, fid, p9_mkstr(name), mode, major, minor, uid, gid };
	return created(c, p9_call_run(&call), fid, &call.m.rumknod.attr, ret, attr);
}

int p9_symlink(struct p9_client *c, uint32_t dfid, const char *name, const char *target, uint32_t uid, uint32_t gid,
	       uint32_t *ret, struct p9_attr *attr)
{
	CALL(call, P9_tusymlink);
	uint32_t fid = ret ? p9_fid_alloc(c) : P9_NOFID;

	call.m.tusymlink = (struct p9_tusymlink){ dfid, fid, p9_mkstr(name), p9_mkstr(target), uid, gid };
	return created(c, p9_call_run(&call), fid, &call.m.rusymlink.attr, ret, attr);
}

int p9_link(struct p9_client *c, uint32_t dfid, const char *name, uint32_t fid)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tlink);
	call.m.tlink = (struct p9_tlink){ dfid, fid, p9_mkstr(name) };
	return p9_call_simple(&call);
}

int p9_rename(struct p9_client *c, uint32_t olddfid, const char *oldname, uint32_t newdfid, const char *newname,
	      uint32_t flags)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_trenameat2);
	call.m.trenameat2 =
		(struct p9_trenameat2){ olddfid, p9_mkstr(oldname), newdfid, p9_mkstr(newname), flags };
	return p9_call_simple(&call);
}

int p9_unlink(struct p9_client *c, uint32_t dfid, const char *name, int flags)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tunlinkat);
	call.m.tunlinkat = (struct p9_tunlinkat){ dfid, p9_mkstr(name), (uint32_t)flags };
	return p9_call_simple(&call);
}

ssize_t p9_readlink(struct p9_client *c, uint32_t fid, char *buf, size_t size)
{
	CALL(call, P9_treadlink);
	const struct p9_str *s = &call.m.rreadlink.target;
	int r;

	call.m.treadlink.fid = fid;
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	if (memchr(s->s, '\0', s->len))
		return p9_client_fail(c, "gofer sent an impossible link target");
	memcpy(buf, s->s, MIN(size, (size_t)s->len));
	return (ssize_t)MIN(size, (size_t)s->len);
}

ssize_t p9_readdir(struct p9_client *c, uint32_t fid, uint64_t offset,
		   int (*fn)(void *arg, const struct p9_dirent *d), void *arg)
{
	CALL(call, P9_treaddirattr);
	_cleanup_free_ struct p9_dirent *d = malloc(sizeof(*d));
	struct p9_buf b;
	ssize_t n = 0;
	int r;

	if (!d)
		return -ENOMEM;
	call.m.treaddirattr = (struct p9_treaddirattr){ fid, offset, c->msize - P9_READ_OVERHEAD };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	/* The cursor only reads. */
	b = (struct p9_buf){ .p = (uint8_t *)(uintptr_t)call.m.rreaddirattr.data.p, .len = call.m.rreaddirattr.data.len };
	while (b.pos < b.len) {
		struct p9_dirent_wire w;

		if (p9_get_dirent(&b, &w, true) < 0 || p9_copy_name(&w.name, d->name) < 0)
			return p9_client_fail(c, "gofer sent a malformed directory");
		if (w.attr.valid && check_attr(c, &w.attr) < 0)
			return -EIO;
		d->attr = w.attr;
		d->qid = w.qid;
		d->offset = w.offset;
		d->type = w.type;
		n++;
		if (fn(arg, d))
			break;
	}
	return n;
}

int p9_open(struct p9_client *c, uint32_t fid, int flags)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tlopen);
	call.m.tlopen = (struct p9_tlopen){ fid, (uint32_t)flags };
	return p9_call_simple(&call);
}

ssize_t p9_read(struct p9_client *c, uint32_t fid, void *buf, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		CALL(call, P9_tread);
		const struct p9_data *data = &call.m.rread.data;
		uint32_t want = (uint32_t)MIN(n - done, (size_t)p9_client_iounit(c));
		int r;

		call.m.tread = (struct p9_tread){ fid, off + done, want };
		r = p9_call_run(&call);
		if (r < 0)
			return done ? (ssize_t)done : r;
		if (data->len > want)
			return p9_client_fail(c, "gofer sent more than was asked for");
		memcpy((char *)buf + done, data->p, data->len);
		done += data->len;
		if (data->len < want)
			break;
	}
	return (ssize_t)done;
}

ssize_t p9_write(struct p9_client *c, uint32_t fid, const void *buf, size_t n, uint64_t off)
{
	size_t done = 0;

	do {
		CALL(call, P9_twrite);
		uint32_t len = (uint32_t)MIN(n - done, (size_t)p9_client_iounit(c));
		int r;

		call.m.twrite = (struct p9_twrite){ fid, off + done, { (const char *)buf + done, len } };
		r = p9_call_run(&call);
		if (r < 0)
			return done ? (ssize_t)done : r;
		if (call.m.rwrite.count > len)
			return p9_client_fail(c, "gofer claims to have written more than it was given");
		done += call.m.rwrite.count;
		if (call.m.rwrite.count < len)
			break;
	} while (done < n);
	return (ssize_t)done;
}

int p9_allocate(struct p9_client *c, uint32_t fid, int mode, uint64_t off, uint64_t len)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tallocate);
	call.m.tallocate = (struct p9_tallocate){ fid, (uint32_t)mode, off, len };
	return p9_call_simple(&call);
}

static int lock_type(int type)
{
	return type == F_RDLCK ? P9_LOCK_RDLCK : type == F_WRLCK ? P9_LOCK_WRLCK : type == F_UNLCK ? P9_LOCK_UNLCK : -EINVAL;
}

int p9_lock(struct p9_client *c, uint32_t fid, int type, uint64_t start, uint64_t len)
{
	CALL(call, P9_tlock);
	int wire = lock_type(type), r;

	if (wire < 0)
		return wire;
	call.m.tlock = (struct p9_tlock){ fid, (uint8_t)wire, 0, start, len, 0, p9_mkstr("") };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	switch (call.m.rlock.status) {
	case P9_LOCK_SUCCESS:
		return 0;
	case P9_LOCK_BLOCKED:
	case P9_LOCK_GRACE:
		return -EAGAIN;
	default:
		return -ENOLCK;
	}
}

int p9_getlock(struct p9_client *c, uint32_t fid, int *type, uint64_t *start, uint64_t *len, uint32_t *pid)
{
	static const short types[] = { [P9_LOCK_RDLCK] = F_RDLCK, [P9_LOCK_WRLCK] = F_WRLCK, [P9_LOCK_UNLCK] = F_UNLCK };
	CALL(call, P9_tgetlock);
	const struct p9_rgetlock *m = &call.m.rgetlock;
	int wire = lock_type(*type), r;

	if (wire < 0)
		return wire;
	call.m.tgetlock = (struct p9_tgetlock){ fid, (uint8_t)wire, *start, *len, 0, p9_mkstr("") };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	if (m->type >= ARRAY_SIZE(types))
		return p9_client_fail(c, "gofer sent an impossible lock");
	*type = types[m->type];
	*start = m->start;
	*len = m->length;
	*pid = m->proc_id;
	return 0;
}

int p9_fsync(struct p9_client *c, uint32_t fid, bool datasync)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tfsync);
	call.m.tfsync = (struct p9_tfsync){ fid, datasync };
	return p9_call_simple(&call);
}

int p9_syncfs(struct p9_client *c, uint32_t fid)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tsyncfs);
	call.m.tsyncfs.fid = fid;
	return p9_call_simple(&call);
}

static ssize_t xattr_answer(struct p9_call *call, void *buf, size_t size)
{
	const struct p9_rgetxattr *m = &call->m.rgetxattr;

	if (m->size > INT32_MAX || m->data.len > size || (size && m->data.len != m->size))
		return p9_client_fail(call->c, "gofer sent an impossible attribute");
	if (m->data.len)
		memcpy(buf, m->data.p, m->data.len);
	return (ssize_t)m->size;
}

/* Room to ask for: an answer larger than a message cannot come, a value larger than 64 KiB does not exist. */
static uint32_t xattr_room(const struct p9_client *c, size_t size)
{
	return (uint32_t)MIN(size, (size_t)c->msize - P9_HDR_SIZE - 8);
}

ssize_t p9_getxattr(struct p9_client *c, uint32_t fid, const char *name, void *buf, size_t size)
{
	CALL(call, P9_tgetxattr);
	int r;

	call.m.tgetxattr = (struct p9_tgetxattr){ fid, p9_mkstr(name), xattr_room(c, size) };
	r = p9_call_run(&call);
	return r < 0 ? r : xattr_answer(&call, buf, size);
}

ssize_t p9_listxattr(struct p9_client *c, uint32_t fid, char *buf, size_t size)
{
	CALL(call, P9_tlistxattr);
	int r;

	call.m.tlistxattr = (struct p9_tlistxattr){ fid, xattr_room(c, size) };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	call.m.rgetxattr = (struct p9_rgetxattr){ call.m.rlistxattr.size, call.m.rlistxattr.data };
	return xattr_answer(&call, buf, size);
}

int p9_setxattr(struct p9_client *c, uint32_t fid, const char *name, const void *val, size_t size, int flags)
{
	struct p9_call call;

	if (size > UINT16_MAX + 1)
		return -E2BIG;
	p9_call_init(&call, c, P9_tsetxattr);
	call.m.tsetxattr =
		(struct p9_tsetxattr){ fid, p9_mkstr(name), { val, (uint32_t)size }, (uint32_t)flags };
	return p9_call_simple(&call);
}

int p9_removexattr(struct p9_client *c, uint32_t fid, const char *name)
{
	struct p9_call call;

	p9_call_init(&call, c, P9_tremovexattr);
	call.m.tremovexattr = (struct p9_tremovexattr){ fid, p9_mkstr(name) };
	return p9_call_simple(&call);
}

int p9_connect(struct p9_client *c, uint32_t fid, int type)
{
	CALL(call, P9_tconnect);
	int r;

	call.m.tconnect = (struct p9_tconnect){ fid, (uint32_t)type };
	r = p9_call_run(&call);
	if (r < 0)
		return r;
	return call.fd < 0 ? -ECONNREFUSED : TAKE_FD(call.fd);
}

int p9_bind(struct p9_client *c, uint32_t dfid, const char *name, int type, uint32_t mode, uint32_t uid, uint32_t gid,
	    uint32_t *ret, struct p9_attr *attr)
{
	CALL(call, P9_tbind);
	uint32_t fid = ret ? p9_fid_alloc(c) : P9_NOFID;
	int r;

	call.m.tbind = (struct p9_tbind){ dfid, fid, p9_mkstr(name), (uint32_t)type, mode, uid, gid };
	r = p9_call_run(&call);
	if (r == -EMFILE && call.m.type == P9_rbind) {
		if (fid != P9_NOFID)
			p9_clunk(c, fid);
		return r;
	}
	r = created(c, r, fid, &call.m.rbind.attr, ret, attr);
	if (r < 0)
		return r;
	if (call.fd < 0)
		return p9_client_fail(c, "gofer bound a socket without donating it");
	return TAKE_FD(call.fd);
}
