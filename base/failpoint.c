/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define ARMS_MAX   32
#define TEXT_BYTES 4096

enum action { KILL, FAIL, DELAY };

/* One entry of RISKGATE_FAILPOINTS. */
struct arm {
	const char *name;
	enum action action;
	long value; /* FAIL: errno; DELAY: ms */
	uint64_t at;
	bool onwards;
};

static struct arm arms[ARMS_MAX];
static size_t arm_count;
static char text[TEXT_BYTES]; /* the names point into it */
static pthread_once_t read_once = PTHREAD_ONCE_INIT;
static bool (*the_hook)(const struct rg_failpoint *point, void *context);
static void *the_context;

/* The linker's names for the ends of the section; weak: a program without points has no section. */
extern struct rg_failpoint *const __start_rg_failpoints[] __attribute__((weak));
extern struct rg_failpoint *const __stop_rg_failpoints[] __attribute__((weak));

const struct rg_failpoint *rg_failpoint_at(size_t index)
{
	size_t count = (size_t)(__stop_rg_failpoints - __start_rg_failpoints);

	return index < count ? __start_rg_failpoints[index] : NULL;
}

void rg_failpoint_set_hook(bool (*hook)(const struct rg_failpoint *point, void *context),
			   void *context)
{
	the_hook = hook;
	the_context = context;
}

/* ":N" behind an action, or what it is without. */
static bool read_value(const char **at, long without, long *value)
{
	char *end;

	*value = without;
	if (**at != ':')
		return without >= 0;
	*value = strtol(*at + 1, &end, 10);
	if (end == *at + 1 || *value < 0)
		return false;
	*at = end;
	return true;
}

static bool read_action(const char **at, struct arm *arm)
{
	static const struct {
		const char *word;
		enum action action;
		long without; /* value where none is given; -1: one must be */
	} actions[] = {{"kill", KILL, 0}, {"error", FAIL, EIO}, {"delay", DELAY, -1}};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		size_t length = strlen(actions[i].word);

		if (strncmp(*at, actions[i].word, length))
			continue;
		*at += length;
		arm->action = actions[i].action;
		return read_value(at, actions[i].without, &arm->value);
	}
	return false;
}

static bool read_count(const char **at, struct arm *arm)
{
	char *end;

	arm->at = 1;
	if (**at != '@')
		return true;
	arm->at = strtoull(*at + 1, &end, 10);
	if (end == *at + 1 || !arm->at)
		return false;
	arm->onwards = *end == '+';
	*at = end + arm->onwards;
	return true;
}

/* "name=action[:value][@N[+]]" */
static bool read_arm(char *entry, struct arm *arm)
{
	char *equals = strchr(entry, '=');
	const char *at = equals ? equals + 1 : NULL;

	if (!equals || equals == entry)
		return false;
	*equals = '\0';
	*arm = (struct arm){.name = entry};
	return read_action(&at, arm) && read_count(&at, arm) && !*at;
}

static void read_environment(void)
{
	const char *value = getenv("RISKGATE_FAILPOINTS");
	char *rest = text, *entry;

	if (!value || !*value)
		return;
	if (strlen(value) >= sizeof(text)) {
		rg_log(RG_LOG_ERROR, "failpoints: RISKGATE_FAILPOINTS has more than %d bytes",
		       TEXT_BYTES - 1);
		return;
	}
	strcpy(text, value);
	while ((entry = strsep(&rest, ","))) {
		if (arm_count < ARMS_MAX && read_arm(entry, &arms[arm_count]))
			arm_count++;
		else
			rg_log(RG_LOG_ERROR,
			       "failpoints: entry \"%s\" of RISKGATE_FAILPOINTS is not "
			       "name=kill|error[:errno]|delay:ms[@N[+]], or there are more than %d",
			       entry, ARMS_MAX);
	}
}

static void wait_ms(long ms)
{
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static bool act(const struct arm *arm)
{
	switch (arm->action) {
	case KILL:
		kill(getpid(), SIGKILL);
		pause();
		return false;
	case DELAY: wait_ms(arm->value); return false;
	case FAIL: errno = (int)arm->value; return true;
	}
	return false;
}

bool rg_failpoint_hit(struct rg_failpoint *point)
{
	/* Relaxed: each hit gets a number of its own, nothing else hangs on it. */
	uint64_t hit = __atomic_add_fetch(&point->hits, 1, __ATOMIC_RELAXED);
	bool fails = false;

	if (the_hook)
		return the_hook(point, the_context);
	pthread_once(&read_once, read_environment);
	for (size_t i = 0; i < arm_count; i++) {
		const struct arm *arm = &arms[i];

		if (!strcmp(arm->name, point->name) &&
		    (hit == arm->at || (arm->onwards && hit > arm->at)))
			fails |= act(arm);
	}
	return fails;
}
