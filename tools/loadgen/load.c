/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/load.h"

#include <string.h>

#include "wire/sbe.h"

#define EXPIRY_INTERVAL_NS 1000000u
#define TABLE_ENTRIES_MIN  (1ull << 18)
#define TABLE_ENTRIES_MAX  (1ull << 24)

static uint64_t now_ns(const struct rg_load *load)
{
	return load->clock.now_ns(load->clock.context);
}

static bool is_open_loop(const struct rg_load *load)
{
	return load->options.rate_per_s > 0;
}

/* Room for everything that may be sent within two timeouts, within bounds. */
static uint64_t table_entries(const struct rg_load_options *options)
{
	double wanted = 2.0 * options->rate_per_s * (double)options->timeout_ns / 1e9;

	if (wanted < (double)(4 * options->window))
		wanted = (double)(4 * options->window);
	if (wanted < (double)TABLE_ENTRIES_MIN)
		return TABLE_ENTRIES_MIN;
	return wanted > (double)TABLE_ENTRIES_MAX ? TABLE_ENTRIES_MAX : (uint64_t)wanted;
}

static int check_options(const struct rg_load_options *options,
			 const struct rg_transport *transport, const struct rg_request_pool *pool,
			 struct rg_error *err)
{
	if (pool->count == 0)
		return rg_error_set(err, RG_EINVAL, "there is no request to send");
	if (options->messages_per_datagram == 0 ||
	    (uint64_t)options->messages_per_datagram * pool->message_bytes >
		    transport->payload_bytes)
		return rg_error_set(err, RG_EINVAL,
				    "%u messages of %u bytes do not fit a datagram: at most %u do "
				    "(with --device, --mtu is for longer ones)",
				    options->messages_per_datagram, pool->message_bytes,
				    transport->payload_bytes / pool->message_bytes);
	if ((options->rate_per_s > 0) == (options->window > 0))
		return rg_error_set(err, RG_EINVAL,
				    "give either a rate (open loop) or a window (closed loop)");
	if (options->window && options->window < options->messages_per_datagram)
		return rg_error_set(
			err, RG_EINVAL,
			"the window of %llu is smaller than one datagram of %u messages",
			(unsigned long long)options->window, options->messages_per_datagram);
	if (options->burst == 0 || options->burst > RG_TRANSPORT_BURST_MAX)
		return rg_error_set(err, RG_EINVAL, "a burst has 1 to %u datagrams",
				    RG_TRANSPORT_BURST_MAX);
	return RG_OK;
}

int rg_load_init(struct rg_load *load, const struct rg_load_options *options,
		 struct rg_load_clock clock, struct rg_transport *transport,
		 const struct rg_request_pool *pool, struct rg_answer_log *log,
		 struct rg_error *err)
{
	int status = check_options(options, transport, pool, err);

	memset(load, 0, sizeof(*load));
	if (status == RG_OK)
		status = rg_outstanding_init(&load->outstanding, table_entries(options),
					     options->first_request_id, err);
	if (status != RG_OK)
		return status;
	load->options = *options;
	load->clock = clock;
	load->transport = transport;
	load->pool = pool;
	load->log = log;
	load->begin_ns = now_ns(load);
	load->measure_ns = load->begin_ns + options->warmup_ns;
	load->end_ns = options->duration_ns ? load->measure_ns + options->duration_ns : UINT64_MAX;
	if (is_open_loop(load))
		load->datagram_interval_ns =
			1e9 * options->messages_per_datagram / options->rate_per_s;
	load->last_step_ns = load->begin_ns;
	load->next_expiry_ns = load->begin_ns + EXPIRY_INTERVAL_NS;
	load->tally.measure_begin_ns = load->measure_ns;
	return RG_OK;
}

void rg_load_free(struct rg_load *load)
{
	rg_outstanding_free(&load->outstanding);
}

/* The intended time of the n-th datagram of an open loop. */
static uint64_t intended_ns(const struct rg_load *load, uint64_t datagram)
{
	return load->begin_ns + (uint64_t)((double)datagram * load->datagram_interval_ns);
}

/* ---- answers ---- */

/* Settle a request. *latency_ns is set when this is its first answer. */
static bool settle(struct rg_load *load, uint64_t request_id, uint64_t now, uint64_t *latency_ns)
{
	struct rg_tally *tally = &load->tally;
	uint64_t intended;

	switch (rg_outstanding_answer(&load->outstanding, request_id, &intended)) {
	case RG_ANSWER_FIRST: break;
	case RG_ANSWER_DUPLICATE: tally->duplicates++; return false;
	case RG_ANSWER_LATE: tally->late++; return false;
	case RG_ANSWER_UNKNOWN: tally->unknown++; return false;
	}
	*latency_ns = now > intended ? now - intended : 0;
	tally->answered++;
	if (intended >= load->measure_ns) {
		tally->measured++;
		tally->last_answer_ns = now;
		rg_histogram_snapshot_record(&tally->latency, *latency_ns);
	}
	return true;
}

static void take_decision(struct rg_load *load, const uint8_t *message, uint32_t bytes,
			  uint64_t now)
{
	struct rg_decision_message decision;
	uint64_t latency_ns;

	if (!rg_decision_decode(message, bytes, &decision)) {
		load->tally.unreadable++;
		return;
	}
	if (!settle(load, decision.request_id, now, &latency_ns))
		return;
	rg_tally_decision(&load->tally, &decision, now);
	if (load->log)
		rg_answer_log_add(load->log, &decision, latency_ns);
}

/* Walk the messages of a datagram. A request of ours that comes back is an echo: the baseline that
 * bench/ measures. */
static void take_datagram(struct rg_load *load, const struct rg_datagram *datagram, uint64_t now)
{
	uint32_t cursor = 0, at = 0;
	struct rg_sbe_message message;
	enum rg_sbe_result result;
	uint64_t latency_ns;

	while ((result = rg_sbe_next(datagram->payload, datagram->bytes, &cursor, &message)) !=
	       RG_SBE_END) {
		if (result != RG_SBE_MESSAGE)
			load->tally.unreadable++;
		else if (message.header.template_id == RG_DECISION_TEMPLATE_ID)
			take_decision(load, datagram->payload + at, cursor - at, now);
		else if (message.header.template_id != load->pool->template->template_id)
			load->tally.unreadable++;
		else
			load->tally.echoed += settle(load, message.request_id, now, &latency_ns);
		at = cursor;
	}
}

static uint32_t receive_burst(struct rg_load *load, uint64_t *now)
{
	struct rg_datagram datagrams[RG_TRANSPORT_BURST_MAX];
	uint32_t count =
		load->transport->ops->receive(load->transport, datagrams, load->options.burst);

	*now = now_ns(load);
	for (uint32_t i = 0; i < count; i++)
		take_datagram(load, &datagrams[i], *now);
	return count;
}

/* ---- requests ---- */

/* How many datagrams may be sent now. */
static uint64_t datagrams_due(const struct rg_load *load, uint64_t now)
{
	const struct rg_load_options *options = &load->options;
	uint64_t due = UINT64_MAX;

	if (is_open_loop(load)) {
		uint64_t until = now < load->end_ns ? now + 1 : load->end_ns;
		double scheduled = (double)(until - load->begin_ns) / load->datagram_interval_ns;
		uint64_t whole = (uint64_t)scheduled;

		/* Intended times in [begin, until): one more than the whole intervals, unless
		 * `until` falls on one. */
		due = whole + (intended_ns(load, whole) < until);
		due = due > load->datagrams_sent ? due - load->datagrams_sent : 0;
	}
	if (options->window) {
		uint64_t waiting = load->outstanding.waiting;
		uint64_t room = waiting < options->window ? options->window - waiting : 0;

		if (due > room / options->messages_per_datagram)
			due = room / options->messages_per_datagram;
	}
	if (options->message_limit) {
		uint64_t left = options->message_limit - load->tally.sent;
		uint64_t datagrams = (left + options->messages_per_datagram - 1) /
				     options->messages_per_datagram;

		if (due > datagrams)
			due = datagrams;
	}
	return due;
}

/* Messages of the next datagram: fewer in the last one when message_limit is no multiple. */
static uint32_t messages_of(const struct rg_load *load, uint64_t messages_before)
{
	uint64_t left = load->options.message_limit
				? load->options.message_limit - load->tally.sent - messages_before
				: UINT64_MAX;

	return left < load->options.messages_per_datagram ? (uint32_t)left
							  : load->options.messages_per_datagram;
}

/* Write `count` messages with ids from `id` on. */
static void write_messages(struct rg_load *load, struct rg_datagram *datagram, uint32_t count,
			   uint64_t id, uint64_t *pool_at)
{
	uint32_t bytes = load->pool->message_bytes;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *message = datagram->payload + i * bytes;

		memcpy(message, rg_request_pool_message(load->pool, *pool_at), bytes);
		rg_sbe_set_request_id(message, id + i);
		if (++*pool_at == load->pool->count)
			*pool_at = 0;
	}
	datagram->bytes = (uint16_t)(count * bytes);
}

/* Note what the device took. */
static void book_sent(struct rg_load *load, uint32_t datagram_count, uint64_t now)
{
	for (uint32_t i = 0; i < datagram_count; i++) {
		uint32_t messages = messages_of(load, 0);
		uint64_t intended =
			is_open_loop(load) ? intended_ns(load, load->datagrams_sent) : now;

		for (uint32_t k = 0; k < messages; k++)
			rg_outstanding_send(&load->outstanding, intended);
		load->datagrams_sent++;
		load->tally.sent += messages;
		load->pool_at = (load->pool_at + messages) % load->pool->count;
	}
}

static uint32_t send_burst(struct rg_load *load, uint64_t now)
{
	struct rg_datagram datagrams[RG_TRANSPORT_BURST_MAX];
	uint64_t due = datagrams_due(load, now), pool_at = load->pool_at, messages_before = 0;
	uint32_t count = due < load->options.burst ? (uint32_t)due : load->options.burst;

	if (!count)
		return 0;
	count = load->transport->ops->reserve(load->transport, datagrams, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t messages = messages_of(load, messages_before);

		write_messages(load, &datagrams[i], messages,
			       load->outstanding.next + messages_before, &pool_at);
		messages_before += messages;
	}
	if (count)
		count = load->transport->ops->send(load->transport, datagrams, count);
	book_sent(load, count, now);
	if (count)
		load->last_send_ns = now;
	return count;
}

/* ---- phases ---- */

static void begin_drain(struct rg_load *load, uint64_t now)
{
	load->phase = RG_LOAD_DRAINING;
	if (is_open_loop(load))
		load->tally.unsent = datagrams_due(load, now) * load->options.messages_per_datagram;
	load->drain_deadline_ns = now + load->options.timeout_ns;
}

void rg_load_finish(struct rg_load *load)
{
	struct rg_tally *tally = &load->tally;

	if (load->phase == RG_LOAD_DONE)
		return;
	load->phase = RG_LOAD_DONE;
	rg_outstanding_expire(&load->outstanding, (1ull << 62) - 1);
	tally->lost = load->outstanding.expired;
	tally->foreign = load->transport->foreign_count;
}

static void advance_phase(struct rg_load *load, uint64_t now)
{
	const struct rg_load_options *options = &load->options;
	bool all_sent = options->message_limit && load->tally.sent == options->message_limit;

	if (load->phase == RG_LOAD_SENDING) {
		/* An open loop still sends what was due before its end, but not for longer than the
		 * timeout. */
		bool behind =
			is_open_loop(load) && now >= load->end_ns && datagrams_due(load, now) > 0;

		if (all_sent ||
		    (now >= load->end_ns && (!behind || now - load->end_ns >= options->timeout_ns)))
			begin_drain(load, now);
	}
	if (load->phase == RG_LOAD_DRAINING &&
	    (!load->outstanding.waiting || now >= load->drain_deadline_ns))
		rg_load_finish(load);
}

static void charge_time(struct rg_load *load, uint64_t now, bool busy)
{
	uint64_t spent = now > load->last_step_ns ? now - load->last_step_ns : 0;

	load->last_step_ns = now;
	if (now < load->measure_ns || load->phase != RG_LOAD_SENDING)
		return;
	load->tally.total_ns += spent;
	if (busy)
		load->tally.busy_ns += spent;
}

uint32_t rg_load_step(struct rg_load *load)
{
	uint64_t now;
	uint32_t received = receive_burst(load, &now), sent = 0;

	if (load->phase == RG_LOAD_SENDING)
		sent = send_burst(load, now);
	if (load->options.window && now >= load->next_expiry_ns) {
		load->next_expiry_ns = now + EXPIRY_INTERVAL_NS;
		if (now > load->options.timeout_ns)
			rg_outstanding_expire(&load->outstanding, now - load->options.timeout_ns);
	}
	charge_time(load, now, received || load->sent_last_step);
	load->sent_last_step = sent > 0;
	advance_phase(load, now);
	return received + sent;
}

uint64_t rg_load_next_due_ns(const struct rg_load *load)
{
	uint64_t due;

	if (!is_open_loop(load) || load->phase != RG_LOAD_SENDING)
		return UINT64_MAX;
	due = intended_ns(load, load->datagrams_sent);
	return due < load->end_ns ? due : load->end_ns;
}

void rg_load_stop(struct rg_load *load)
{
	if (load->phase == RG_LOAD_SENDING)
		begin_drain(load, now_ns(load));
}
