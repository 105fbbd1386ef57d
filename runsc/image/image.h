/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model behind `runsc image`: an image directory with its records by id, the pages, and what people want to know about
 * them. Read README.md first. All of it is one thread's; everything that comes from an image is hostile.
 */
#ifndef RUNSC_IMAGE_IMAGE_H
#define RUNSC_IMAGE_IMAGE_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "runsc/cli.h"
#include "runsc/compression.h"
#include "runsc/image_dir.h"
#include "state/catalog.h"
#include "state/manifest.h"
#include "state/pages.h"

#define IMAGE_VERB(name) int image_##name(struct globals *g, int argc, char **argv, struct error **err)
IMAGE_VERB(convert);
IMAGE_VERB(diff);
IMAGE_VERB(extract);
IMAGE_VERB(inspect);
IMAGE_VERB(keygen);
IMAGE_VERB(merge);
IMAGE_VERB(pack);
IMAGE_VERB(prune);
IMAGE_VERB(show);
IMAGE_VERB(sign);
IMAGE_VERB(tree);
IMAGE_VERB(unpack);
IMAGE_VERB(verify);

/* cmd_parse() for the sub-verbs. */
_must_check_ int image_parse(const char *verb, const struct flag *flags, size_t min, size_t max, int argc, char **argv,
			     struct flags_rest *rest, struct error **err);

/* --- model.c --- */

struct image {
	const char *path; /* the caller's */
	struct image_dir dir;
	struct manifest m;
	struct catalog *cat;
	struct pages_reader *pages;
};

enum { WITH_RECORDS = 1, WITH_PAGES = 2 };

/* Opens the directory, checks the sums of the parts, and reads what @what asks for. The caller does image_done(). */
_must_check_ int image_open(const char *path, unsigned int what, struct image *im, struct error **err);
/* The same with the nearest parent elsewhere than its link says; see image_dir_open(). */
_must_check_ int image_open_at(const char *path, const char *parent, unsigned int what, struct image *im, struct error **err);
/* Steps of opening, for those who want to go on after a failure: sizes and sums of all parts; the chain of page stores. */
_must_check_ int image_check_parts(const struct image *im, struct error **err);
_must_check_ int image_open_pages(struct image *im, struct error **err);
/* The rest of image_open(), for an image whose path and directory are set. */
_must_check_ int image_load(struct image *im, unsigned int what, struct error **err);
void image_done(struct image *im);
#define _cleanup_opened_image_ _cleanup_(image_done)

/* The message of object @id if it is of this type, or NULL. */
const void *image_msg_of(struct image *im, uint64_t id, uint32_t type_id);
#define IMAGE_GET(im, id, type, Message) ((const Sentry__##Message *)image_msg_of(im, id, STATE_ID_##type))
/* The part of object @id that is described by @desc, such as its FileBase; the whole when that is what it is; else NULL. */
const void *image_part_of(struct image *im, uint64_t id, const ProtobufCMessageDescriptor *desc);
#define IMAGE_PART(im, id, part, Message) ((const Sentry__##Message *)image_part_of(im, id, &sentry__##part##__descriptor))
#define image_each(im, id, type)                                                                                       \
	for (uint64_t id = catalog_next((im)->cat, STATE_ID_##type, 0); id; id = catalog_next((im)->cat, 0, id))
/* "task"; "?" for what this build does not know. */
const char *image_type_name(const struct image *im, uint64_t id);
struct image_type_sum {
	const struct state_type *type; /* NULL: all that are not of this build */
	uint64_t objects, bytes, first;
};
/* What there is of each type, in the order of first appearance; *@ret is malloc'd. */
_must_check_ int image_type_sums(const struct image *im, struct image_type_sum **ret, size_t *ret_n, struct error **err);
const struct state_type *image_type_by_name(const char *name, size_t len);
/* Prints it, indented, and a newline. */
_must_check_ int image_print_json(const json_t *o, struct error **err);
/* Stores what stdio could not write as an error. */
_must_check_ int image_flush(struct error **err);

/* --- text.c: what comes from an image, printed --- */

/* Control characters and what is not UTF-8 as \xNN: nothing an image holds may drive the terminal. */
void text_quote(struct strbuf *b, const void *s, size_t len);
/* "regular", "directory", ... of a mode as stat(2) shows it. */
const char *image_mode_name(uint32_t mode);
/* "4.0K", "1.2M": for people. */
void text_size(struct strbuf *b, uint64_t bytes);
/* A JSON string of any bytes: those that are not UTF-8 become U+0080 to U+00FF. */
json_t *text_json(const void *s, size_t len);
json_t *text_json_buf(struct strbuf *b); /* and empties it */

/* A table: columns as wide as their cells. */
struct table;
struct table *table_new(size_t columns, ...); /* titles; one that begins with '>' is right-aligned */
void table_addf(struct table *t, const char *fmt, ...) _printf_(2, 3); /* the next cell */
void table_print(const struct table *t, const char *indent);
struct table *table_free(struct table *t);
static inline void table_freep(struct table **t)
{
	*t = table_free(*t);
}
#define _cleanup_table_ _cleanup_(table_freep)

/* --- names.c: objects in words --- */

/* The names of a path from the inside out: a climb to the root. Images are hostile: it ends after so many steps. */
#define CLIMB_MAX 256
struct climb {
	const char *names[CLIMB_MAX];
	size_t n;
	bool cut; /* it went on */
};
bool climb_add(struct climb *c, const char *name); /* false: cut */
void climb_print(const struct climb *c, struct strbuf *b); /* "/a/b"; nothing for the root */

/* The path of a dentry within its file system, "/a/b"; or in the tree of @mount, up to the root of its namespace. */
void name_dentry(struct image *im, uint64_t dentry, struct strbuf *b);
void name_path(struct image *im, uint64_t mount, uint64_t dentry, struct strbuf *b);
/* An open file: its path, or what it is ("pipe:[12]"). */
void name_file(struct image *im, uint64_t file, struct strbuf *b);
/* "task 12 sh", "dentry /etc/passwd", "eventfd". */
void name_object(struct image *im, uint64_t id, struct strbuf *b);
/* The pid of a thread group in the outermost namespace; 0: none. */
int32_t name_group_pid(struct image *im, uint64_t tg);
/* The number of a pid object in the outermost namespace; 0: none. */
int32_t name_pid(struct image *im, uint64_t pid);

/* --- memory.c: what is in the memory file, and whose it is --- */

/* The stored pages, to be counted quickly. */
struct page_set {
	struct pages_run *runs;
	uint64_t *before; /* pages in the runs before this one */
	size_t nr, cap;
};
_must_check_ int page_set_add(struct page_set *s, uint64_t page, uint64_t n); /* ascending */
_must_check_ int page_set_stored(struct page_set *s, const struct pages_reader *pr);
/* How many of the @n pages from @page on are in the set. */
uint64_t page_set_count(const struct page_set *s, uint64_t page, uint64_t n);
uint64_t page_set_total(const struct page_set *s);
void page_set_done(struct page_set *s);
#define _cleanup_page_set_ _cleanup_(page_set_done)

enum mem_kind { MEM_PRIVATE, MEM_SHARED, MEM_FILE, MEM_RING, MEM_KINDS };
extern const char *const mem_kind_names[MEM_KINDS];

/* A range of the memory file that an object uses. */
struct mem_use {
	enum mem_kind kind;
	uint64_t id; /* Mm, Shmobj, TmpfsInode, Uring */
	uint64_t start; /* address, or offset in the object */
	uint64_t page, npages; /* of the memory file */
};
struct mem_uses {
	struct mem_use *v; /* in the order of objects, then of addresses */
	size_t nr, cap;
};
/* Ranges that make no sense (a hostile image) are left out. */
_must_check_ int mem_uses_load(struct image *im, struct mem_uses *ret, struct error **err);
void mem_uses_done(struct mem_uses *u);
#define _cleanup_mem_uses_ _cleanup_(mem_uses_done)

struct Sentry__Mm;
struct Sentry__Vma;
struct vma_pages {
	uint64_t private, in_set; /* pages; in_set: of the private ones */
};
/* For each mapping, malloc'd; NULL: out of memory. Both lists of an Mm ascend; where a hostile image's do not, pages are left out. */
struct vma_pages *vma_pages(const struct Sentry__Mm *m, const struct page_set *set);
/* The file, "[heap]", the name given by prctl..., in @b, which is emptied first. */
const char *vma_name(struct image *im, const struct Sentry__Mm *m, const struct Sentry__Vma *v, struct strbuf *b);
/* Reads memory of an address space as the application would; what is not in its private pages ends it. Returns bytes read. */
size_t mem_read(struct image *im, uint64_t mm, uint64_t addr, void *buf, size_t len);

/* --- process.c --- */

/* Every process in the order of the kernel's list, as docs/checkpoint.md has it; @stored NULL: without memory sums. Fails with
 * NULL when out of memory. */
json_t *process_list(struct image *im, const struct page_set *stored);
/* The open file as an object: kind, path, flags, position. */
json_t *process_file(struct image *im, uint64_t file);

/* --- sockets.c --- */
json_t *socket_list(struct image *im);
json_t *pipe_list(struct image *im);
json_t *timer_list(struct image *im);
/* "tcp listening 127.0.0.1:80" */
void socket_describe(struct image *im, uint64_t sock, struct strbuf *b);

/* --- mounts.c --- */
json_t *mount_list(struct image *im);
json_t *outside_list(struct image *im);

/* --- files.c: files whose content is in the image --- */

struct stored_file {
	uint64_t id; /* the inode */
	uint64_t data; /* the inode that has the content: TmpfsInode or GoferInode; 0: not in the image, or no regular file */
	char *path; /* where the container sees it; of a deleted file: its last name, if known */
	bool deleted; /* no name leads to it */
	const char *layer; /* "overlay", "tmpfs", "outside" */
	uint32_t mode, uid, gid;
	uint64_t size, stored; /* stored: bytes in pages */
	int64_t mtime;
	const char *target; /* of a symbolic link, owned by the catalog; else NULL */
};
struct stored_files {
	struct stored_file *v; /* by path, the deleted ones last */
	size_t nr, cap;
};
_must_check_ int files_load(struct image *im, struct stored_files *ret, struct error **err);
void files_done(struct stored_files *f);
#define _cleanup_files_ _cleanup_(files_done)
json_t *files_json(const struct stored_files *f);
/* Writes the content of regular file @s to @fd: holes stay holes where @fd can have them and @sparse is set. */
_must_check_ int stored_file_write(struct image *im, const struct stored_file *s, int fd, bool sparse, struct error **err);

/* --- progress.c --- */

/* On stderr when that is a terminal, at most a few times a second. */
struct progress {
	const char *what;
	uint64_t total, done;
	int64_t last_ns;
	bool on, shown;
};
void progress_begin(struct progress *p, const char *what, uint64_t total);
void progress_add(struct progress *p, uint64_t n);
void progress_end(struct progress *p);

/* --- copy.c --- */

/* Writes the whole image (opened with WITH_PAGES) to directory @dst; the parts of im->m become those of the copy. */
_must_check_ int image_copy(struct image *im, const char *dst, int level, struct error **err);
/* The same into a directory that was begun and is then to be committed. */
_must_check_ int image_copy_into(struct image *im, struct image_dir *to, int level, struct error **err);
/* The first @size bytes of a file, to the position of @to. */
_must_check_ int image_copy_file(int from, int to, uint64_t size, const char *name, struct error **err);

#endif
