/* SPDX-License-Identifier: Apache-2.0 */
/* runsc image: the table of its verbs. They need no container and no more rights than reading the files. */
#include <stdio.h>
#include <string.h>

#include "runsc/image/image.h"

static const struct command verbs[] = {
	/* clang-format off */

	{ "inspect", image_inspect, "DIR",                 "what is in an image: processes, memory, files, sockets, sizes, needs" },
	{ "tree",    image_tree,    "DIR",                 "the processes, each below its parent" },
	{ "show",    image_show,    "DIR [TYPE[:ID]|ID]",  "records by the schema: types, one type, one object, pages" },
	{ "verify",  image_verify,  "DIR",                 "check every checksum and every reference; one line per damage" },
	{ "convert", image_convert, "SRC DST",             "write an image again, complete, with other compression" },
	{ "extract", image_extract, "DIR [PATH|#ID]",      "a file of a tmpfs or of the overlay's memory layer; --list of them" },
	{ "diff",    image_diff,    "A B",                 "what changed between two images: objects, pages, files" },
	{ "merge",   image_merge,   "DIR... DST",          "write an incremental image (the newest DIR) as a complete one" },
	{ "pack",    image_pack,    "DIR >STREAM",         "an image, with those it is a change of, as a stream for restore --image-path -" },
	{ "unpack",  image_unpack,  "DIR <STREAM",         "a stream as an image directory; --compression" },
	{ "prune",   image_prune,   "DIR",                 "remove what an image directory holds beyond its image" },
	{ "keygen",  image_keygen,  "FILE",                "make a key: FILE to sign with, FILE.pub to check with" },
	{ "sign",    image_sign,    "DIR",                 "sign an image that was made with checkpoint --digest or --sign" },
	/* clang-format on */
};

static const struct command *verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

int image_parse(const char *verb, const struct flag *flags, size_t min, size_t max, int argc, char **argv,
		struct flags_rest *rest, struct error **err)
{
	const struct command *c = verb_find(verb);
	char name[32];

	(void)snprintf(name, sizeof(name), "image %s", verb);
	return command_parse(name, c->args, c->help, flags, FLAGS_ANYWHERE, min, max, argc, argv, rest, err);
}

static void print_help(void)
{
	printf("usage: runsc image VERB [flags] DIR...\n\nlook into, check, convert and compare image directories\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-8s %-22s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	printf("\n`runsc image VERB --help` lists a verb's flags.\n");
}

int cmd_image(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag none[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	const struct command *c;
	int r = flags_parse(none, FLAGS_FIRST, argc, argv, &rest, err);

	if (r < 0)
		return r;
	if (rest.help || (rest.n && !strcmp(rest.args[0], "help"))) {
		print_help();
		return 0;
	}
	if (!rest.n)
		return error_msg(err, -EINVAL, "a verb is missing (see runsc image --help)");
	c = verb_find(rest.args[0]);
	if (!c)
		return error_msg(err, -EINVAL, "unknown verb \"%s\" (see runsc image --help)", rest.args[0]);
	r = c->run(g, (int)rest.n - 1, rest.args + 1, err);
	if (r < 0)
		return error_prefix(err, "%s", c->name);
	return r;
}
