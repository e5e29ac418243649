/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/tally.h"

#include <ctype.h>
#include <inttypes.h>

#include "base/json.h"

#define VERDICT_UNKNOWN (RG_TALLY_VERDICTS - 1)
#define STATUS_UNKNOWN	(RG_TALLY_STATUSES - 1)

static const struct {
	const char *label, *key;
	double percentile;
} percentiles[] = {
	{"p50", "p50", 50},	 {"p90", "p90", 90},	     {"p99", "p99", 99},
	{"p99.9", "p999", 99.9}, {"p99.99", "p9999", 99.99}, {"max", "max", 100},
};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

/* The newest are looked at first: answers under the policy before come for a moment after a swap. */
static struct rg_tally_sequence *find_sequence(struct rg_tally *tally, uint64_t sequence)
{
	struct rg_tally_sequence *entry = &tally->sequences[tally->last_sequence];

	if (tally->sequence_count && entry->sequence == sequence)
		return entry;
	if (tally->sequences_dropped && sequence == tally->dropped_sequence)
		return NULL;
	for (uint32_t i = tally->sequence_count; i-- > 0;) {
		if (tally->sequences[i].sequence == sequence) {
			tally->last_sequence = i;
			return &tally->sequences[i];
		}
	}
	if (tally->sequence_count == RG_TALLY_SEQUENCES) {
		tally->dropped_sequence = sequence;
		return NULL;
	}
	tally->last_sequence = tally->sequence_count++;
	entry = &tally->sequences[tally->last_sequence];
	entry->sequence = sequence;
	return entry;
}

void rg_tally_decision(struct rg_tally *tally, const struct rg_decision_message *decision,
		       uint64_t now_ns)
{
	struct rg_tally_sequence *entry = find_sequence(tally, decision->policy_sequence);

	tally->verdicts[decision->verdict < VERDICT_UNKNOWN ? decision->verdict
							    : VERDICT_UNKNOWN]++;
	tally->statuses[decision->status < STATUS_UNKNOWN ? decision->status : STATUS_UNKNOWN]++;
	if (!entry) {
		tally->sequences_dropped++;
		return;
	}
	if (entry->decisions++ == 0)
		entry->first_ns = now_ns;
	entry->last_ns = now_ns;
}

double rg_tally_throughput(const struct rg_tally *tally)
{
	if (!tally->measured || tally->last_answer_ns <= tally->measure_begin_ns)
		return 0;
	return (double)tally->measured * 1e9 /
	       (double)(tally->last_answer_ns - tally->measure_begin_ns);
}

static void print_share(FILE *out, const char *name, uint64_t count, uint64_t of, bool *first)
{
	if (!count)
		return;
	fprintf(out, "%s%s %" PRIu64 " (%.2f %%)", *first ? "" : ", ", name, count,
		100.0 * (double)count / (double)of);
	*first = false;
}

static void print_latency(const struct rg_tally *tally, FILE *out)
{
	fprintf(out, "  latency     ");
	if (!tally->latency.count) {
		fprintf(out, "no answer was measured\n");
		return;
	}
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		fprintf(out, "%s%s %.1f us", i ? ", " : "", percentiles[i].label,
			(double)rg_histogram_percentile(&tally->latency,
							percentiles[i].percentile) /
				1e3);
	fprintf(out, "\n");
	if (tally->latency.clipped)
		fprintf(out,
			"              %" PRIu64
			" answers took longer than 68.7 s: percentiles are bounded by that\n",
			tally->latency.clipped);
}

void rg_tally_print(const struct rg_tally *tally, FILE *out)
{
	bool first = true;

	fprintf(out, "riskgate-loadgen: summary\n");
	fprintf(out, "  requests    %" PRIu64 " sent, %" PRIu64 " answered, %" PRIu64 " lost\n",
		tally->sent, tally->answered, tally->lost);
	if (tally->late || tally->duplicates || tally->unknown)
		fprintf(out,
			"              %" PRIu64 " late, %" PRIu64 " duplicate, %" PRIu64
			" unasked-for answers\n",
			tally->late, tally->duplicates, tally->unknown);
	if (tally->unsent)
		fprintf(out,
			"              %" PRIu64
			" were due but could not be sent in time: lower --rate\n",
			tally->unsent);
	if (tally->unreadable || tally->foreign)
		fprintf(out,
			"              %" PRIu64 " unreadable messages, %" PRIu64
			" foreign frames\n",
			tally->unreadable, tally->foreign);
	fprintf(out,
		"  throughput  %.0f answers/s; the sending thread was busy %.0f %% of the time\n",
		rg_tally_throughput(tally),
		tally->total_ns ? 100.0 * (double)tally->busy_ns / (double)tally->total_ns : 0.0);
	print_latency(tally, out);
	if (tally->echoed)
		fprintf(out,
			"  echo        %" PRIu64
			" requests came back undecided: the other side is no riskgate\n",
			tally->echoed);
	if (tally->answered == tally->echoed)
		return;
	fprintf(out, "  verdicts    ");
	for (uint8_t i = 0; i < RG_TALLY_VERDICTS; i++)
		print_share(out, rg_decision_verdict_name(i), tally->verdicts[i],
			    tally->answered - tally->echoed, &first);
	fprintf(out, "\n  status      ");
	first = true;
	for (uint8_t i = 0; i < RG_TALLY_STATUSES; i++)
		print_share(out, rg_decision_status_name(i), tally->statuses[i],
			    tally->answered - tally->echoed, &first);
	fprintf(out, "\n");
	for (uint32_t i = 0; i < tally->sequence_count; i++) {
		const struct rg_tally_sequence *entry = &tally->sequences[i];

		fprintf(out,
			"  policy %-4" PRIu64 " %" PRIu64
			" decisions, first after %.6f s, last after %.6f s\n",
			entry->sequence, entry->decisions,
			((double)entry->first_ns - (double)tally->measure_begin_ns) / 1e9,
			((double)entry->last_ns - (double)tally->measure_begin_ns) / 1e9);
	}
}

static void write_uint(struct rg_json_writer *writer, const char *key, uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

static void write_lower(struct rg_json_writer *writer, const char *name, uint64_t value)
{
	char key[32];
	size_t i;

	for (i = 0; name[i] && i + 1 < sizeof(key); i++)
		key[i] = (char)tolower((unsigned char)name[i]);
	key[i] = 0;
	write_uint(writer, key, value);
}

static void write_sequences(struct rg_json_writer *writer, const struct rg_tally *tally,
			    int64_t unix_offset_ns)
{
	rg_json_write_key(writer, "sequences");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < tally->sequence_count; i++) {
		const struct rg_tally_sequence *entry = &tally->sequences[i];

		rg_json_write_object_begin(writer);
		write_uint(writer, "sequence", entry->sequence);
		write_uint(writer, "decisions", entry->decisions);
		write_uint(writer, "first_unix_ns", entry->first_ns + (uint64_t)unix_offset_ns);
		write_uint(writer, "last_unix_ns", entry->last_ns + (uint64_t)unix_offset_ns);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static void write_counts(struct rg_json_writer *writer, const struct rg_tally *tally)
{
	write_uint(writer, "sent", tally->sent);
	write_uint(writer, "answered", tally->answered);
	write_uint(writer, "lost", tally->lost);
	write_uint(writer, "late", tally->late);
	write_uint(writer, "duplicates", tally->duplicates);
	write_uint(writer, "unknown", tally->unknown);
	write_uint(writer, "echoed", tally->echoed);
	write_uint(writer, "unreadable", tally->unreadable);
	write_uint(writer, "foreign", tally->foreign);
	write_uint(writer, "unsent", tally->unsent);
	write_uint(writer, "measured", tally->measured);
}

int rg_tally_write_json(const struct rg_tally *tally, int64_t unix_offset_ns, FILE *out)
{
	struct rg_json_writer writer;
	int status = -1;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	write_counts(&writer, tally);
	rg_json_write_key(&writer, "throughput_per_s");
	rg_json_write_double(&writer, rg_tally_throughput(tally));
	rg_json_write_key(&writer, "busy_share");
	rg_json_write_double(
		&writer, tally->total_ns ? (double)tally->busy_ns / (double)tally->total_ns : 0);
	write_uint(&writer, "begin_unix_ns", tally->measure_begin_ns + (uint64_t)unix_offset_ns);
	rg_json_write_key(&writer, "latency_ns");
	rg_json_write_object_begin(&writer);
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		write_uint(&writer, percentiles[i].key,
			   rg_histogram_percentile(&tally->latency, percentiles[i].percentile));
	write_uint(&writer, "mean", rg_histogram_mean(&tally->latency));
	rg_json_write_object_end(&writer);
	rg_json_write_key(&writer, "verdicts");
	rg_json_write_object_begin(&writer);
	for (uint8_t i = 0; i < RG_TALLY_VERDICTS; i++)
		write_lower(&writer, rg_decision_verdict_name(i), tally->verdicts[i]);
	rg_json_write_object_end(&writer);
	rg_json_write_key(&writer, "statuses");
	rg_json_write_object_begin(&writer);
	for (uint8_t i = 0; i < RG_TALLY_STATUSES; i++)
		write_lower(&writer, rg_decision_status_name(i), tally->statuses[i]);
	rg_json_write_object_end(&writer);
	write_sequences(&writer, tally, unix_offset_ns);
	rg_json_write_object_end(&writer);
	if (!writer.failed && fwrite(writer.text, 1, writer.bytes, out) == writer.bytes &&
	    fputc('\n', out) != EOF)
		status = 0;
	rg_json_writer_free(&writer);
	return status;
}
