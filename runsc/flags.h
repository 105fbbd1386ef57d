/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line flags the way Go's runtimes take them: `--opt v`, `--opt=v`, `-opt v`, `-opt=v`, one-letter aliases
 * (`-o v`, `-ov` for none: only clusters of boolean letters as in `-it`), booleans `--opt`, `--opt=true|false`.
 */
#ifndef RUNSC_FLAGS_H
#define RUNSC_FLAGS_H

#include "base/error.h"
#include "base/util.h"

enum flag_type {
	FLAG_BOOL,     /* bool * */
	FLAG_STR,      /* const char ** */
	FLAG_LIST,     /* struct flag_list *; may be given many times */
	FLAG_INT,      /* int64_t * */
	FLAG_NOP_BOOL, /* accepted and without effect here; the help says why */
	FLAG_NOP_STR,
};

struct flag_list {
	const char **v;
	size_t n;
};

struct flag {
	const char *name;
	char alias; /* '\0': none */
	enum flag_type type;
	void *ptr;
	const char *arg; /* what the value is called in the help */
	const char *help;
};

enum flags_mode {
	FLAGS_ANYWHERE,       /* flags before and after positional arguments; "--" ends them */
	FLAGS_FIRST,          /* the first positional argument ends the flags */
	FLAGS_BEFORE_COMMAND, /* flags around the first positional argument (the id) end at the second or at "--" */
};

struct flags_rest {
	char **args; /* NULL-terminated, malloc'd; strings are argv's */
	size_t n;
	bool help; /* --help or -h was given; nothing else was checked */
};

/* @flags ends with a zero name. On success the caller frees rest->args. */
_must_check_ int flags_parse(const struct flag *flags, enum flags_mode mode, int argc, char **argv,
			     struct flags_rest *rest, struct error **err);
void flags_print(const struct flag *flags);
void flag_list_done(struct flag_list *l);

#endif
