/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Sentry as its process (runsc boot) sees it: create or restore a kernel, start containers and processes in it, wait,
 * signal, pause, checkpoint. Everything here is called from the sandbox process's control threads; all functions may block and
 * are thread-safe unless they say otherwise. After sentry_new() returns, no function opens a host path or a host socket:
 * every host object comes in as a file descriptor (the seccomp filter enforces it).
 *
 * Ownership: file descriptors in the structs pass to the Sentry on success only; strings stay the caller's.
 */
#ifndef SENTRY_SENTRY_H
#define SENTRY_SENTRY_H

#include <sys/types.h>

#include "base/error.h"
#include "base/util.h"

struct sentry;

struct sentry_rlimit {
	int resource; /* LINUX_RLIMIT_*; Linux numbers */
	uint64_t soft, hard;
};

/* One process to run: OCI `process` after parsing. Arrays of strings are NULL-terminated. */
struct sentry_process {
	char **args, **env;
	const char *cwd;
	const char *exec_path; /* NULL: args[0], searched in PATH of env inside the container */
	uint32_t uid, gid, umask; /* umask: 0xffffffff means 022 */
	const uint32_t *groups;
	size_t nr_groups;
	/* Capability sets as bit masks. */
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	const struct sentry_rlimit *rlimits;
	size_t nr_rlimits;
	bool no_new_privs;
	int oom_score_adj;
	/* Terminal: when true the process gets a controlling terminal of the sandbox; its output appears on stdio[0], a host pty
	 * slave or any fd, which the Sentry relays to. When false stdio[0..2] are host fds used as they are. */
	bool terminal;
	uint16_t rows, cols;
	int stdio[3];
	const int *extra_fds; /* become 3, 4, ... (preserve-fds) */
	size_t nr_extra_fds;
};

enum sentry_mount_kind {
	SENTRY_MOUNT_GOFER, /* bind mount or the root: files behind a 9P connection */
	SENTRY_MOUNT_TMPFS,
	SENTRY_MOUNT_PROC,
	SENTRY_MOUNT_SYSFS,
	SENTRY_MOUNT_DEVTMPFS, /* /dev */
	SENTRY_MOUNT_DEVPTS,
	SENTRY_MOUNT_MQUEUE,
	SENTRY_MOUNT_CGROUP,
};

struct sentry_mount {
	enum sentry_mount_kind kind;
	const char *destination; /* absolute, inside the container; "/" for the root, which is mounts[0] */
	const char *source; /* shown in /proc/mounts */
	const char *options; /* comma-separated file-system options (size=, mode=, ...) with mount flags removed, or "" */
	uint64_t flags; /* LINUX_MS_RDONLY | NOSUID | NODEV | NOEXEC | NOATIME ... */
	const char *aname; /* GOFER: the 9P attach name that selects this mount in the gofer */
	bool is_file; /* GOFER: a file is mounted over a file */
	bool overlay; /* GOFER: memory above, gofer below; else writes go through */
	bool exclusive; /* GOFER: nobody else changes the files, so attributes may be cached */
};

struct sentry_device {
	const char *path;
	char type; /* 'c' 'b' 'p' */
	uint32_t major, minor, mode, uid, gid;
};

struct sentry_sysctl {
	const char *key, *value; /* "net.core.somaxconn" */
};

/* What a restored container is called. */
enum sentry_hostname {
	SENTRY_HOSTNAME_IF_UNCHANGED, /* the given name, unless it is NULL or the application has set its own */
	SENTRY_HOSTNAME_SET, /* the given name */
	SENTRY_HOSTNAME_KEEP, /* the saved name */
};

struct sentry_container {
	const char *id;
	const char *hostname, *domainname; /* NULL: "localhost"-like default / "(none)" */
	enum sentry_hostname hostname_how; /* restore only */
	int gofer_fd; /* connected socket to this container's gofer (SCM_RIGHTS capable), all mounts behind it */
	const struct sentry_mount *mounts;
	size_t nr_mounts;
	const struct sentry_device *devices; /* besides the OCI default devices */
	size_t nr_devices;
	char **masked_paths, **readonly_paths;
	const struct sentry_sysctl *sysctls;
	size_t nr_sysctls;
	uint64_t pids_limit; /* 0: none */
	uint64_t memory_limit; /* bytes; 0: none */
	uint64_t cpu_quota, cpu_period; /* us; quota 0: none; period 0: 100 ms; taken as cpu.max when they are in its bounds */
	const char *cgroups_path;
	/* linux.seccomp as a BPF program for every process of the container, in instructions (struct sock_filter); NULL: none. Copied. */
	const void *seccomp;
	size_t seccomp_len;
	uint32_t seccomp_flags; /* SECCOMP_FILTER_FLAG_* */
	struct sentry_process process; /* init */
};

struct sentry_config {
	const char *platform; /* "ptrace", ... or NULL for the default */
	bool strace; /* log system calls to the debug log */
	const char *strace_calls, *strace_comms; /* which: see strace_setup(); kept by reference; may be NULL */
	bool host_network; /* Internet sockets are those of the host's network namespace we run in */
	uint32_t unprivileged_port; /* with host_network: its net.ipv4.ip_unprivileged_port_start */
	size_t nr_cpus; /* as shown to applications; 0: the host's affinity */
	uint64_t total_memory; /* as shown to applications; 0: the host's */
	/* A page of the image that was restored turned out to be damaged or unreadable when it was first used. Called on any thread, with
	 * locks held, before the application sees anything of it; must end the process. NULL: it is aborted. */
	void (*on_damage)(void);
};

/* Progress and result of a checkpoint or restore, in microseconds of host monotonic time unless said otherwise. */
struct sentry_ckpt_stats {
	uint64_t freeze_us, save_us, write_us, total_us;
	uint64_t pages_total, pages_written; /* 4 KiB pages looked at, stored */
	uint64_t objects, bytes;
	uint64_t pages_inherited; /* left to the parent; 0: the image is complete */
	uint64_t paused_us; /* how long the application stood still, with leave_running */
};

/* The files of an image directory, opened by the caller. On save the Sentry writes them; the caller fsyncs and renames the
 * manifest into place last. On restore they are read-only; pages may stay open for the life of the sandbox. */
struct sentry_image_fds {
	int manifest, kernel, index, pages;
	const struct sentry_layer_fds {
		int index, pages;
	} *layers; /* restore: of the images it is a change of, the nearest first */
	size_t nr_layers;
};

struct sentry_ckpt_opts {
	bool digests; /* of all pages, so that the image can be signed */
	bool leave_running;
	int compression_level; /* zstd level; 0: raw page-aligned pages */
	/* Hash of an image (manifest_hash()): when it is the one this kernel was last saved to or restored from, only what has changed is
	 * written; else everything. NULL: everything. */
	const char *parent;
	bool file_digest; /* record a digest of every file outside that is open or mapped */
};

/* What a restore does about files outside that differ from what was recorded. */
enum sentry_file_check {
	SENTRY_FILE_CHECK_AUTO, /* refuses what a process could trip over, warns of the rest: sentry/fs/file_check.h */
	SENTRY_FILE_CHECK_STRICT, /* refuses every difference */
	SENTRY_FILE_CHECK_WARN, /* warns of every difference */
	SENTRY_FILE_CHECK_OFF, /* compares nothing but that a file is there and of its kind */
};

/* What the monotonic clocks of a restored kernel make of the time between checkpoint and restore. */
enum sentry_clock {
	SENTRY_CLOCK_CONTINUE, /* nothing: they go on from the saved value */
	SENTRY_CLOCK_ELAPSED, /* they include it, as after a suspend */
};

/* What of an image is checked. Bounds and formats always are. */
enum sentry_verify {
	SENTRY_VERIFY_SUMS, /* every checksum: pages when they are first used, small images before the start */
	SENTRY_VERIFY_OFF,
	SENTRY_VERIFY_SIGNATURE, /* SUMS, and a signature by the given key, and every digest it stands for */
};

enum sentry_working_set { SENTRY_WORKING_SET_NONE, SENTRY_WORKING_SET_PREFETCH, SENTRY_WORKING_SET_RECORD };

/* How sentry_restore() goes about it. All zero: the defaults. runsc/restore_opts.c carries it from the command line to the sandbox. */
struct sentry_restore_opts {
	enum sentry_file_check file_check;
	enum sentry_clock clock;
	enum sentry_verify verify;
	unsigned char verify_key[32], signature[92]; /* for SIGNATURE: the public key, and signature_len bytes of the signature file */
	size_t signature_len;
	enum sentry_working_set working_set;
	int working_set_fd; /* of workset-<hash>.img: read, or recorded for working_set_secs; borrowed during the call */
	uint32_t working_set_secs;
	bool background; /* all pages are brought nearer while the application runs */
	/* Told of what does not fit but does not fail the restore: one line, no newline, the caller's to copy. May be NULL. */
	void (*warn)(void *arg, const char *line);
	void *warn_arg;
};

/* Makes the kernel and its platform; before the seccomp filter is installed (the platform may fork its template stub). */
int sentry_new(const struct sentry_config *cfg, struct sentry **ret, struct error **err);

/*
 * A template: a kernel whose platform is not started, for a process that will be forked and has no threads. sentry_load_template() fills it as far
 * as the image alone goes (checkpoint_begin_load()); @fds may be closed afterwards. Of @cfg only `platform` and sizes count; there is no
 * host_network. In the fork sentry_own_clone() then makes what one sandbox has for itself, where sentry_new() would have been called,
 * and sentry_restore() goes on without @fds.
 */
int sentry_new_template(const struct sentry_config *cfg, struct sentry **ret, struct error **err);
/* @verify: of sentry_restore_opts the part about checking. */
int sentry_load_template(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_restore_opts *verify, struct error **err);
int sentry_own_clone(struct sentry *s, const struct sentry_config *cfg, struct error **err);

/* Builds a container: mounts, devices, the init process loaded and ready but not run. */
int sentry_create_container(struct sentry *s, const struct sentry_container *c, struct error **err);
/* Lets the init process of container @id run. */
int sentry_start(struct sentry *s, const char *id, struct error **err);
/* Starts one more process in container @id; *@ret_pid is its pid as seen inside. */
int sentry_exec(struct sentry *s, const char *id, const struct sentry_process *p, pid_t *ret_pid, struct error **err);
/* Blocks until process @pid (0: init) of container @id has exited; *@ret_status is a wait(2) status. Callable by many at once,
 * and after the exit (the status of init is kept; an exec'd process's until asked for once). */
int sentry_wait(struct sentry *s, const char *id, pid_t pid, int *ret_status, struct error **err);
/* @pid 0: init. @all: every process of the container. -ESRCH when there is none. */
int sentry_kill(struct sentry *s, const char *id, pid_t pid, bool all, int sig, struct error **err);
/* Terminal window of process @pid (0: init). */
int sentry_set_winsize(struct sentry *s, const char *id, pid_t pid, uint16_t rows, uint16_t cols);
/* Stops and continues every task of the sandbox, invisibly to them. Pausing twice is fine. */
int sentry_pause(struct sentry *s, struct error **err);
int sentry_resume(struct sentry *s, struct error **err);
/* Removes what is left of a container whose init has exited (kills the rest). */
int sentry_destroy_container(struct sentry *s, const char *id, struct error **err);

/* JSON text, malloc'd: ps: [{"pid":1,"ppid":0,"uid":0,"tty":"?","start":"...","time":"...","cmd":"..."}]; stats: see runsc/README;
 * debug: tasks with what they are blocked in, unimplemented calls. */
char *sentry_ps_json(struct sentry *s, const char *id);
char *sentry_stats_json(struct sentry *s, const char *id);
struct sentry_debug_opts {
	bool stacks; /* where the threads of sleeping tasks are */
	bool counts; /* system calls: how often, how long (from the first time this is asked for) */
};
char *sentry_debug_json(struct sentry *s, const struct sentry_debug_opts *opts);

/* Freezes, saves to @fds, then thaws (leave_running; stays paused if it was) or leaves everything frozen for the caller to exit, or to
 * sentry_resume() when the image could not be made durable. On failure the
 * sandbox is running again as if nothing had happened (paused, if it was paused). */
int sentry_checkpoint(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
		      struct sentry_ckpt_stats *ret, struct error **err);
/* Whether this build on this machine could restore the image whose manifest is in @fd (read from its position): -ENOTSUP and what is
 * missing. Needs no sentry. */
int sentry_check_needs(int fd_manifest, struct error **err);
/* Loads an image into a fresh sentry (no container created yet); @fds NULL: the image that a template has begun to load. @c gives the new id, gofer, mounts (matched to the saved ones by
 * destination), stdio and console in c->process.stdio; other fields of c->process are ignored. Tasks stay frozen until sentry_start(). @o: valid during the call. */
int sentry_restore(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_container *c,
		   const struct sentry_restore_opts *o, struct sentry_ckpt_stats *ret, struct error **err);
/* The sandbox is about to end: a working set that is being recorded is written now. Fine when there is none. */
void sentry_working_set_end(struct sentry *s);

#endif
