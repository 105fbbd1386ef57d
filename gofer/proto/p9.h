/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P2000.L wire format: constants, message structures and their codec. No host I/O.
 *
 * A message is size[4] type[1] tag[2] body, little-endian. Decoding never allocates and never copies bulk: strings and data point
 * into the message buffer, strings are NOT NUL-terminated and may hold any byte. Decoding is strict: a body that is too
 * short, too long (trailing bytes) or over a limit is -EBADMSG. Encoding fails with -EMSGSIZE when the buffer is full.
 *
 * Versions: P9_VERSION_STD is what any 9P2000.L client speaks (Linux v9fs mounts it); P9_VERSION_EXT adds the EXT rows of
 * messages.def. A reply that carries a host fd (has_fd == 1) has it as SCM_RIGHTS on the first byte of that reply.
 */
#ifndef GOFER_PROTO_P9_H
#define GOFER_PROTO_P9_H

#include "base/cleanup.h"
#include "base/util.h"
#include "gofer/proto/messages.def"

#define P9_VERSION_STD "9P2000.L"
#define P9_VERSION_EXT "9P2000.L.runsc.1"

#define P9_NOTAG ((uint16_t)0xffff)
#define P9_NOFID ((uint32_t)0xffffffff)
#define P9_NOUID ((uint32_t)0xffffffff) /* also "no gid": keep what the host gives */

#define P9_HDR_SIZE 7
#define P9_READ_OVERHEAD 11 /* header and count of Rread */
#define P9_IOHDR_SIZE 24 /* most a Twrite/Rread header needs */
#define P9_MSIZE_MIN 4096
#define P9_MSIZE_DEFAULT (64 * 1024 + 512)
#define P9_MSIZE_MAX (128 * 1024) /* one SOCK_SEQPACKET message must fit the default socket buffer */
#define P9_MAX_WALK 16
#define P9_MAX_CLUNK 64
#define P9_NAME_MAX 255

enum p9_qid_type {
	P9_QTDIR = 0x80,
	P9_QTSYMLINK = 0x02,
	P9_QTFILE = 0x00,
};

/* Open flags on the wire are Linux's generic (x86) values. */
enum p9_open_flags {
	P9_O_WRONLY = 01,
	P9_O_RDWR = 02,
	P9_O_ACCMODE = 03,
	P9_O_CREATE = 0100,
	P9_O_EXCL = 0200,
	P9_O_TRUNC = 01000,
	P9_O_APPEND = 02000,
	P9_O_DSYNC = 010000,
	P9_O_DIRECT = 040000,
	P9_O_DIRECTORY = 0200000,
	P9_O_NOATIME = 01000000,
	P9_O_SYNC = 04010000,
};

/* Tgetattr mask and attr.valid. */
enum p9_getattr_mask {
	P9_GETATTR_BASIC = 0x7ff,
	P9_GETATTR_BTIME = 0x800,
	P9_GETATTR_GEN = 0x1000,
	P9_GETATTR_DATA_VERSION = 0x2000,
};

/* Tsetattr valid. ATIME without ATIME_SET means now. */
enum p9_setattr_valid {
	P9_SETATTR_MODE = 0x1,
	P9_SETATTR_UID = 0x2,
	P9_SETATTR_GID = 0x4,
	P9_SETATTR_SIZE = 0x8,
	P9_SETATTR_ATIME = 0x10,
	P9_SETATTR_MTIME = 0x20,
	P9_SETATTR_CTIME = 0x40,
	P9_SETATTR_ATIME_SET = 0x80,
	P9_SETATTR_MTIME_SET = 0x100,
	P9_SETATTR_ALL = 0x1ff,
};

enum p9_lock_type { P9_LOCK_RDLCK = 0, P9_LOCK_WRLCK = 1, P9_LOCK_UNLCK = 2 };
enum p9_lock_status { P9_LOCK_SUCCESS = 0, P9_LOCK_BLOCKED = 1, P9_LOCK_ERROR = 2, P9_LOCK_GRACE = 3 };

struct p9_qid {
	uint8_t type; /* enum p9_qid_type */
	uint32_t version; /* changes when the file changes */
	uint64_t path; /* unique per file within a connection: the host inode number, mixed with the device's index when there are
			* several; so not comparable between two gofers */
};

struct p9_attr {
	uint64_t valid; /* enum p9_getattr_mask; 0 in a directory entry whose file vanished meanwhile */
	struct p9_qid qid;
	uint32_t mode, uid, gid; /* mode includes S_IFMT */
	uint64_t nlink, rdev, size, blksize, blocks; /* rdev: makedev() of Linux, 64 bit */
	uint64_t atime_sec, atime_nsec, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec, btime_sec, btime_nsec;
	uint64_t gen, data_version;
};

struct p9_str {
	const char *s;
	uint16_t len;
};

struct p9_data {
	const void *p;
	uint32_t len;
};

struct p9_names {
	uint16_t n;
	struct p9_str v[P9_MAX_WALK];
};

struct p9_qids {
	uint16_t n;
	struct p9_qid v[P9_MAX_WALK];
};

struct p9_walks {
	uint16_t n;
	struct {
		uint32_t newfid;
		struct p9_str name;
	} v[P9_MAX_WALK];
};

struct p9_attrs {
	uint16_t n;
	struct p9_attr v[P9_MAX_WALK];
};

struct p9_fids {
	uint16_t n;
	uint32_t v[P9_MAX_CLUNK];
};

typedef uint8_t p9_u8;
typedef uint16_t p9_u16;
typedef uint32_t p9_u32;
typedef uint64_t p9_u64;
typedef struct p9_str p9_str;
typedef struct p9_data p9_data;
typedef struct p9_qid p9_qid;
typedef struct p9_attr p9_attr;
typedef struct p9_names p9_names;
typedef struct p9_qids p9_qids;
typedef struct p9_walks p9_walks;
typedef struct p9_attrs p9_attrs;
typedef struct p9_fids p9_fids;

enum p9_type {
#define P9_ENUM(num, name, dialect, fields) P9_##name = num,
	P9_MESSAGES(P9_ENUM)
#undef P9_ENUM
};

#define P9_FIELD(type, name) p9_##type name;
#define P9_STRUCT(num, nm, dialect, fields)                                                                            \
	struct p9_##nm {                                                                                               \
		fields(P9_FIELD)                                                                                       \
	};
P9_MESSAGES(P9_STRUCT)
#undef P9_STRUCT
#undef P9_FIELD

struct p9_msg {
	uint8_t type;
	uint16_t tag;
	union {
#define P9_MEMBER(num, name, dialect, fields) struct p9_##name name;
		P9_MESSAGES(P9_MEMBER)
#undef P9_MEMBER
	};
};

/* A cursor over a message: @pos never passes @len. Errors are sticky in @err (negative errno). */
struct p9_buf {
	uint8_t *p;
	size_t pos, len;
	int err;
};

/* Bytes of the header's size field, unchecked; @p has at least 4 bytes. */
uint32_t p9_peek_size(const void *p);
/* Decodes the whole message in @p[0..len). The header's size must equal @len. -EBADMSG when malformed, -EOPNOTSUPP when the
 * type is not in the table (m->type and m->tag are then still set). */
_must_check_ int p9_decode(const void *p, size_t len, struct p9_msg *m);
/* Encodes @m into @p[0..cap); returns the size or -EMSGSIZE. A data field that already lies at its place is not moved. */
_must_check_ int64_t p9_encode(const struct p9_msg *m, void *p, size_t cap);
/* Name of a message type for logs and tests ("twalk"), NULL when unknown. */
const char *p9_type_name(uint8_t type);
bool p9_type_is_ext(uint8_t type);

/* One entry of Rreaddir's and Rreaddirattr's data. */
struct p9_dirent_wire {
	struct p9_qid qid;
	uint64_t offset; /* pass it to read on after this entry */
	uint8_t type; /* DT_* */
	struct p9_str name;
	struct p9_attr attr; /* Rreaddirattr only */
};

/* Appends/reads one entry at @b's cursor. p9_put_dirent returns false (and leaves @b as it was) when it does not fit. */
bool p9_put_dirent(struct p9_buf *b, const struct p9_dirent_wire *d, bool with_attr);
_must_check_ int p9_get_dirent(struct p9_buf *b, struct p9_dirent_wire *d, bool with_attr);

/* 0 when @s can be one path component: 1..255 bytes, no '/' or NUL, not "." or "..". Else -EINVAL, -ENAMETOOLONG. */
_must_check_ int p9_check_name(const struct p9_str *s);
/* Copies a checked name into @dst[P9_NAME_MAX + 1] with a terminating NUL; same errors. */
_must_check_ int p9_copy_name(const struct p9_str *s, char *dst);

static inline struct p9_str p9_mkstr(const char *s)
{
	size_t n = __builtin_strlen(s);

	/* The codec refuses strings of 64 KiB and more by length; a caller's longer string must not wrap to a valid one. */
	return (struct p9_str){ s, n > 0xffff ? 0xffff : (uint16_t)n };
}

#endif
