/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl top: what the appliance does just now. The data plane's part is read from the region, so
 * it needs nobody; journal and sinks are riskgate-control's, asked for as `riskctl status` does.
 * Whoever is away is said to be, and looked for again at the next interval.
 */
#include "tools/riskctl/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/riskctl/clock.h"

#define NS_PER_MS 1000000ull

enum { OPTION_INTERVAL, OPTION_COUNT, OPTION_ONCE, OPTION_DIRECTORY };
static const struct rg_option options[] = {
	[OPTION_INTERVAL] = {"interval", 'i', RG_OPTION_NUMBER, "MS", 100, 3600000, "1000",
			     "show what each interval of so many\nmilliseconds added"},
	[OPTION_COUNT] = {"count", 'n', RG_OPTION_NUMBER, "N", 0, UINT32_MAX, "0",
			  "end after so many intervals; 0: never"},
	[OPTION_ONCE] = {"once", '1', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			 "print one interval and end, also on a terminal"},
	[OPTION_DIRECTORY] = {"directory", 'd', RG_OPTION_TEXT, "FOLDER", 0, 0, NULL,
			      "the region's folder, not the configuration's"},
	{NULL},
};

/* Longest wait for control's answer; it is asked once an interval. */
#define ANSWER_TIMEOUT_MS 1000

/* ---- reading ---- */

/* The region may be made, or made anew, at any time. */
static void look_for_region(struct rg_top *top)
{
	if (top->region) {
		rg_region_refresh_readonly(top->region);
		return;
	}
	if (rg_region_view_directory(top->cli, top->given, top->directory,
				     sizeof(top->directory)) ||
	    rg_region_open_readonly(top->directory, &top->region, &top->cli->error)) {
		top->absence = top->cli->error;
		top->region = NULL;
	}
}

static void forget_status(struct rg_top *top)
{
	if (top->answered)
		rg_document_free(&top->status);
	top->answered = false;
}

static void ask_control(struct rg_top *top, uint64_t interval_ms)
{
	uint64_t timeout_ms = interval_ms < ANSWER_TIMEOUT_MS ? interval_ms : ANSWER_TIMEOUT_MS;
	char *answer = NULL;
	size_t bytes;

	forget_status(top);
	top->answered = !rg_cli_control(top->cli, "{\"command\":\"status\"}", timeout_ms, &answer,
					&bytes) &&
			!rg_document_parse(&top->status, answer, bytes, &top->cli->error);
	if (!top->answered)
		top->silence = top->cli->error;
	free(answer);
}

/* `before` is what was read last, `now` becomes it; `shown` is their difference. */
static void take_interval(struct rg_top *top, uint64_t interval_ms)
{
	struct rg_top_sample *oldest = top->before;

	look_for_region(top);
	top->before = top->now;
	top->now = oldest;
	rg_top_sample_read(top->now, top->region);
	memcpy(top->shown, top->now, sizeof(*top->shown));
	rg_top_sample_subtract(top->shown, top->before);
	top->seconds = (double)(top->now->monotonic_ns - top->before->monotonic_ns) / 1e9;
	ask_control(top, interval_ms);
}

/* ---- turns ---- */

static int show(struct rg_top *top, uint64_t turn)
{
	int rc = RG_OK;

	if (top->cli->json) {
		rc = rg_top_print_json(top);
	} else {
		if (turn && !top->screen.terminal)
			puts("");
		rg_top_show_page(top);
	}
	if (fflush(stdout) || ferror(stdout))
		return rg_error_set(&top->cli->error, RG_EIO, "cannot write to standard output");
	return rc;
}

/* Who looks at a terminal wants to see something soon. */
#define FIRST_INTERVAL_MS 200

static int show_intervals(struct rg_top *top, uint64_t interval_ms, uint64_t count)
{
	uint64_t next_ns = rg_clock_monotonic_ns();
	bool soon = top->screen.terminal && interval_ms > FIRST_INTERVAL_MS;
	int rc = RG_OK;

	look_for_region(top);
	rg_top_sample_read(top->now, top->region);
	for (uint64_t turn = 0; !rc && (!count || turn < count); turn++) {
		enum rg_screen_event event;
		uint64_t now_ns;

		next_ns += (soon && !turn ? FIRST_INTERVAL_MS : interval_ms) * NS_PER_MS;
		do {
			now_ns = rg_clock_monotonic_ns();
			event = rg_screen_wait(&top->screen,
					       next_ns > now_ns ? next_ns - now_ns : 0);
			if (event == RG_SCREEN_RESIZED && turn)
				rg_top_show_page(top);
		} while (event == RG_SCREEN_RESIZED);
		if (event == RG_SCREEN_QUIT)
			break;
		now_ns = rg_clock_monotonic_ns();
		if (now_ns > next_ns + interval_ms * NS_PER_MS)
			next_ns =
				now_ns; /* stopped, or far too slow: intervals are not made up for */
		take_interval(top, interval_ms);
		rc = show(top, turn);
	}
	return rc;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *given = invocation->options;
	struct rg_top top = {.cli = cli, .given = given[OPTION_DIRECTORY].text};
	struct rg_top_sample *samples = calloc(3, sizeof(*samples));
	bool once = given[OPTION_ONCE].text;
	int rc = rg_cli_config(cli);

	if (!rc && !samples)
		rc = rg_error_set(&cli->error, RG_ENOMEM, "no memory");
	if (!rc)
		rc = rg_screen_begin(&top.screen, once || cli->json, &cli->error);
	if (rc) {
		free(samples);
		return rc;
	}
	top.before = &samples[0];
	top.now = &samples[1];
	top.shown = &samples[2];
	rc = show_intervals(&top, given[OPTION_INTERVAL].number,
			    once ? 1 : given[OPTION_COUNT].number);
	rg_screen_end(&top.screen);
	forget_status(&top);
	rg_region_close(top.region);
	free(samples);
	return rc;
}

const struct rg_command rg_command_top = {
	.name = "top",
	.arguments = "",
	.summary = "Watch workers, rates, latencies and lags",
	.details =
		"Drawn in place on a terminal, printed block by block elsewhere; with --json one\n"
		"object a line. Figures are those of the last interval: rates, verdicts, what was\n"
		"refused and why, latency from the receive burst to the hand-over of the answer.\n"
		"Of each worker, the share of its time in each state, and how full its ring is.\n"
		"The data plane's figures come from its region, the journal's and the sinks' from\n"
		"riskgate-control. Who is away is said, and looked for again. Keys: q quits.",
	.examples = "riskctl top\n"
		    "riskctl top --interval 200\n"
		    "riskctl top --once\n"
		    "riskctl --json top --count 60 > minute.jsonl",
	.options = options,
	.run = run,
};
