/* SPDX-License-Identifier: Apache-2.0 */
/* Points of its own, armed in children: what each action does, when, and what a list that cannot be
 * read does (nothing). */
#include "base/failpoint.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* Reach both points six times. Exit status: bit i is set when call i+1 failed. */
static int run(void)
{
	int failed = 0;

	for (int i = 0; i < 6; i++) {
		RG_FAILPOINT("test.place");
		errno = 0;
		if (RG_FAILPOINT_FAILS("test.call")) {
			assert(errno == EIO || errno == ENOSPC);
			failed |= 1 << i;
		}
	}
	return failed;
}

/* The wait status of a child that runs with this environment. */
static int run_with(const char *armed)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert(child >= 0);
	if (!child) {
		setenv("RISKGATE_FAILPOINTS", armed, 1);
		_exit(run());
	}
	assert(waitpid(child, &status, 0) == child);
	return status;
}

static int exit_of(const char *armed)
{
	int status = run_with(armed);

	assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool killed_by(const char *armed)
{
	int status = run_with(armed);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_actions(void)
{
	struct timespec before, after;

	assert(exit_of("") == 0);
	assert(exit_of("test.call=error") == 1);
	assert(exit_of("test.call=error@3") == 4);
	assert(exit_of("test.call=error:28@2+") == 0x3e);
	assert(exit_of("test.call=error,test.call=error@6") == 0x21);
	assert(exit_of("test.place=error@1+") == 0); /* nothing there can fail */
	assert(killed_by("test.place=kill") && killed_by("other=kill,test.call=kill@6"));
	assert(!killed_by("test.place=kill@7") && !killed_by("other=kill"));
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert(exit_of("test.place=delay:20@2") == 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >=
	       19);
}

static void test_unreadable(void)
{
	static const char *const unreadable[] = {"test.call",	       "=error",
						 "test.call=",	       "test.call=erro",
						 "test.call=error@",   "test.call=error@0",
						 "test.call=error:x",  "test.call=error@1x",
						 "test.place=delay",   "test.place=killed",
						 "test.place=delay:-1"};

	rg_log_set_level(RG_LOG_ERROR);
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		assert(exit_of(unreadable[i]) == 0);
	assert(exit_of("rubbish,test.call=error") == 1); /* the others are armed */
}

static jmp_buf crash;

static bool hook(const struct rg_failpoint *point, void *context)
{
	int *calls = context;

	if (!strcmp(point->name, "test.place") && ++*calls == 3)
		longjmp(crash, 1);
	errno = ENOSPC;
	return !strcmp(point->name, "test.call");
}

static void test_hook(void)
{
	static int calls;

	rg_failpoint_set_hook(hook, &calls);
	if (!setjmp(crash)) {
		run();
		assert(!"it must not get here");
	}
	assert(calls == 3);
	assert(RG_FAILPOINT_FAILS("test.call"));
	rg_failpoint_set_hook(NULL, NULL);
}

static void test_list(void)
{
	const struct rg_failpoint *point;
	size_t count = 0, places = 0;

	for (; (point = rg_failpoint_at(count)); count++) {
		places += !strcmp(point->name, "test.place");
		assert(!strcmp(point->name, "test.place") || !strcmp(point->name, "test.call"));
		assert(point->can_fail == !strcmp(point->name, "test.call"));
		assert(point->hits > 0);
	}
	assert(count == 3 && places == 1); /* test.call has a second site, in test_hook() */
}

int main(void)
{
	test_actions();
	test_unreadable();
	test_hook();
	test_list();
	return 0;
}
