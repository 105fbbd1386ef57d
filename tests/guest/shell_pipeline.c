// SPDX-License-Identifier: Apache-2.0
/* busybox: a shell script with pipes, background jobs, traps and redirections, running over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	static const char script[] = "trap 'echo trapped >> log' USR1\n"
				     "(while [ ! -e stop ]; do :; done; echo bg >> log) &\n"
				     "seq() { i=1; while [ $i -le $1 ]; do echo $i; i=$((i+1)); done; }\n"
				     "seq 300 | while read x; do echo $((x*2)); done | cat > out\n"
				     "touch ready 2>/dev/null || : > ready\n"
				     "while [ ! -e go ]; do :; done\n"
				     "echo done >> log\n"
				     "wait\n"
				     "exit 7\n";
	char b[4096], *line;
	int n = 0, st;
	pid_t p;

	if (access("/bin/busybox", X_OK) != 0 && access("/usr/bin/busybox", X_OK) != 0)
		SKIP("no busybox");
	guest_write_file("script", script);
	CHILD (p) {
		execl("/bin/busybox", "sh", "script", NULL);
		execl("/usr/bin/busybox", "sh", "script", NULL);
		_exit(99);
	}
	for (int i = 0; i < 10000 && access("ready", F_OK) != 0; i++)
		msleep(1);
	guest_checkpoint();
	OK(kill(p, SIGUSR1));
	for (int i = 0; i < 10000 && access("log", F_OK) != 0; i++)
		msleep(1);
	guest_write_file("go", "");
	for (int i = 0; i < 10000 && (guest_read_file("log", b, sizeof(b)) < 0 || !strstr(b, "done")); i++)
		msleep(1);
	guest_checkpoint();
	guest_write_file("stop", "");
	st = guest_status(p);
	CHECK(WIFEXITED(st));
	CHECK_EQ(WEXITSTATUS(st), 7);
	CHECK(guest_read_file("out", b, sizeof(b)) > 0);
	for (line = strtok(b, "\n"); line; line = strtok(NULL, "\n"))
		CHECK_EQ(atoi(line), 2 * ++n);
	CHECK_EQ(n, 300);
	CHECK(guest_read_file("log", b, sizeof(b)) > 0);
	CHECK_STR(b, "trapped\ndone\nbg\n");
}
