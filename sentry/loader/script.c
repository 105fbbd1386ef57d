/* SPDX-License-Identifier: Apache-2.0 */
/* "#!" lines. Linux: fs/binfmt_script.c: the first 256 bytes, one optional argument, trailing blanks dropped. */
#include <string.h>

#include "sentry/fs/namei.h"
#include "sentry/loader/loader.h"

#define SCRIPT_HEAD 256

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

int script_parse(struct file *file, struct task *t, char **ret_interp, char **ret_arg)
{
	char buf[SCRIPT_HEAD + 1] = { 0 };
	_cleanup_free_ char *interp = NULL, *arg = NULL;
	int64_t n = file_pread_kernel(file, t, buf, SCRIPT_HEAD, 0);
	char *p, *end, *name_end;

	if (n < 0)
		return (int)n;
	if (n < 2 || buf[0] != '#' || buf[1] != '!')
		return 0;
	end = memchr(buf, '\n', (size_t)n);
	if (!end) {
		/* The line is cut: acceptable only when the interpreter's name is complete. */
		p = buf + 2 + strspn(buf + 2, " \t");
		if (!*p || (n == SCRIPT_HEAD && !p[strcspn(p, " \t")]))
			return -ENOEXEC;
		end = buf + n;
	}
	*end = '\0';
	while (end > buf + 2 && blank(end[-1]))
		*--end = '\0';
	p = buf + 2 + strspn(buf + 2, " \t");
	if (!*p)
		return -ENOEXEC;
	name_end = p + strcspn(p, " \t");
	interp = strndup(p, (size_t)(name_end - p));
	p = name_end + strspn(name_end, " \t");
	if (*p)
		arg = strdup(p);
	if (!interp || (*p && !arg))
		return -ENOMEM;
	*ret_interp = TAKE_PTR(interp);
	*ret_arg = TAKE_PTR(arg);
	return 1;
}
