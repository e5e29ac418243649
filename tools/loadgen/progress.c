/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/progress.h"

#include <inttypes.h>
#include <unistd.h>

#define INTERVAL_NS 1000000000u
#define BAR_CELLS   20

void rg_progress_init(struct rg_progress *progress, FILE *out, bool quiet, uint64_t now_ns)
{
	*progress = (struct rg_progress){.out = quiet || !isatty(fileno(out)) ? NULL : out,
					 .next_ns = now_ns + INTERVAL_NS,
					 .drawn_ns = now_ns};
}

/* How far the load has come, 0 to 1. */
static double done_share(const struct rg_load *load, uint64_t now_ns)
{
	double by_time = 0, by_count = 0;

	if (load->options.duration_ns)
		by_time =
			(double)(now_ns - load->begin_ns) / (double)(load->end_ns - load->begin_ns);
	if (load->options.message_limit)
		by_count = (double)load->tally.sent / (double)load->options.message_limit;
	by_time = by_time > by_count ? by_time : by_count;
	return by_time < 1 ? by_time : 1;
}

static void draw(struct rg_progress *progress, const struct rg_load *load, uint64_t now_ns)
{
	double seconds = (double)(now_ns - progress->drawn_ns) / 1e9,
	       share = done_share(load, now_ns);
	int full = (int)(share * BAR_CELLS);
	char bar[BAR_CELLS + 1];

	for (int i = 0; i < BAR_CELLS; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_CELLS] = 0;
	fprintf(progress->out,
		"\r[%s] %3.0f %%  %.1f s  %.0f sent/s  %.0f answered/s  %" PRIu64
		" waiting  p99 %.1f us\033[K",
		bar, share * 100, (double)(now_ns - load->begin_ns) / 1e9,
		(double)(load->tally.sent - progress->drawn_sent) / seconds,
		(double)(load->tally.answered - progress->drawn_answered) / seconds,
		load->outstanding.waiting,
		(double)rg_histogram_percentile(&load->tally.latency, 99) / 1e3);
	fflush(progress->out);
	progress->drawn = true;
	progress->drawn_ns = now_ns;
	progress->drawn_sent = load->tally.sent;
	progress->drawn_answered = load->tally.answered;
}

void rg_progress_update(struct rg_progress *progress, const struct rg_load *load, uint64_t now_ns)
{
	if (!progress->out || now_ns < progress->next_ns)
		return;
	progress->next_ns = now_ns + INTERVAL_NS;
	draw(progress, load, now_ns);
}

void rg_progress_finish(struct rg_progress *progress)
{
	if (progress->drawn) {
		fprintf(progress->out, "\r\033[K");
		fflush(progress->out);
	}
}
