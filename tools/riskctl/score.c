/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl score: one request over the wire, as a client of riskgate would send it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json_member.h"
#include "tools/loadgen/transport.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/document.h"
#include "tools/riskctl/format.h"
#include "wire/decision.h"
#include "wire/sbe_json.h"

enum { OPTION_ADDRESS, OPTION_TEMPLATE, OPTION_SCHEMA, OPTION_TIMEOUT };
static const struct rg_option options[] = {
	[OPTION_ADDRESS] = {"address", 'a', RG_OPTION_TEXT, "HOST:PORT", 0, 0, NULL,
			    "where riskgate answers; without it, the first address\nof the first "
			    "port in the configuration"},
	[OPTION_TEMPLATE] = {"template", 't', RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			     "the request's type; without it, the first one that\nthe "
			     "configuration binds to a package"},
	[OPTION_SCHEMA] = {"schema", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			   "request schema, not the configuration's"},
	[OPTION_TIMEOUT] = {"timeout", 0, RG_OPTION_NUMBER, "MS", 1, 600000, "1000",
			    "wait so long for the decision"},
	{NULL},
};

#define HOST_BYTES	   128
#define MESSAGE_BYTES_MAX  (RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX)
#define REASONS_TIMEOUT_MS 500

struct exchange {
	struct rg_cli *cli;
	const char *template_name;
	char address[HOST_BYTES + 16];
	uint8_t request[MESSAGE_BYTES_MAX];
	size_t request_bytes;
	uint64_t request_id;
	struct rg_decision_message decision;
	uint64_t round_trip_ns;
};

/* ---- what to send, and where ---- */

static int choose_template(struct exchange *exchange, const char *given)
{
	int status = RG_OK;

	exchange->template_name = given;
	if (given)
		return RG_OK;
	status = rg_cli_config(exchange->cli);
	if (status)
		return status;
	if (!exchange->cli->config->templates_count)
		return rg_cli_misused(
			exchange->cli,
			"the configuration binds no template: give one with --template");
	exchange->template_name = exchange->cli->config->templates[0].template_name;
	return RG_OK;
}

static int choose_address(struct exchange *exchange, const char *given)
{
	const struct rg_config *config;
	const char *address;
	int status;

	if (given) {
		snprintf(exchange->address, sizeof(exchange->address), "%s", given);
		return RG_OK;
	}
	status = rg_cli_config(exchange->cli);
	if (status)
		return status;
	config = exchange->cli->config;
	if (!config->dataplane.ports_count || !config->dataplane.ports[0].addresses_count)
		return rg_cli_misused(
			exchange->cli,
			"the configuration gives no address: give one with --address");
	address = config->dataplane.ports[0].addresses[0]; /* "10.71.0.1/24" */
	snprintf(exchange->address, sizeof(exchange->address), "%s%.*s%s:%u",
		 strchr(address, ':') ? "[" : "", (int)strcspn(address, "/"), address,
		 strchr(address, ':') ? "]" : "", config->dataplane.udp_port);
	return RG_OK;
}

/* The request's text: the argument itself if it begins with '{', else what the file of that name
 * (or standard input) holds. */
static int encode(struct exchange *exchange, const char *argument)
{
	struct rg_error *err = &exchange->cli->error;
	bool is_text = argument[strspn(argument, " \t\n")] == '{';
	char *text = NULL;
	size_t bytes = strlen(argument);
	int status = is_text ? RG_OK : rg_cli_read_file(argument, &text, &bytes, err);

	if (!status) {
		status = rg_sbe_from_json(exchange->cli->schema, exchange->template_name,
					  is_text ? argument : text, bytes, exchange->request,
					  sizeof(exchange->request), &exchange->request_bytes, err);
		if (status)
			rg_error_prefix(err, "%s", is_text ? "the request" : argument);
	}
	free(text);
	if (status)
		return status;
	memcpy(&exchange->request_id, exchange->request + RG_SBE_HEADER_BYTES,
	       sizeof(exchange->request_id));
	if (!exchange->request_id) { /* none given */
		exchange->request_id = rg_clock_unix_ns();
		rg_sbe_set_request_id(exchange->request, exchange->request_id);
	}
	return RG_OK;
}

/* ---- over the wire ---- */

static int open_socket(struct exchange *exchange, int *fd)
{
	struct rg_error *err = &exchange->cli->error;
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
	char host[HOST_BYTES], service[8];
	uint16_t port;
	int code;
	int status = rg_transport_split_address(exchange->address, host, sizeof(host), &port, err);

	if (status)
		return rg_error_prefix(err, "--address");
	snprintf(service, sizeof(service), "%u", port);
	code = getaddrinfo(host, service, &hints, &found);
	if (code)
		return rg_error_set(err, RG_EINVAL, "--address %s: %s", exchange->address,
				    gai_strerror(code));
	*fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || connect(*fd, found->ai_addr, found->ai_addrlen))
		status = rg_error_set_errno(err, RG_EIO, errno, "%s", exchange->address);
	freeaddrinfo(found);
	return status;
}

/* Does the datagram hold the decision about this request? */
static bool take_decision(struct exchange *exchange, const uint8_t *datagram, uint32_t bytes)
{
	uint32_t at = 0, taken;

	while ((taken = rg_decision_decode(datagram + at, bytes - at, &exchange->decision)) != 0) {
		if (exchange->decision.request_id == exchange->request_id)
			return true;
		at += taken;
	}
	return false;
}

static int wait_for_decision(struct exchange *exchange, int fd, uint64_t timeout_ms)
{
	struct rg_error *err = &exchange->cli->error;
	uint64_t begin_ns = rg_clock_monotonic_ns(), deadline_ns = begin_ns + timeout_ms * 1000000;
	uint8_t datagram[65536];

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		uint64_t now_ns = rg_clock_monotonic_ns();
		ssize_t n;

		if (now_ns >= deadline_ns)
			return rg_error_set(err, RG_EAGAIN,
					    "no decision from %s within %llu ms: is "
					    "riskgate-dataplane running there, "
					    "and is the address one of dataplane.ports?",
					    exchange->address, (unsigned long long)timeout_ms);
		if (poll(&ready, 1, (int)((deadline_ns - now_ns + 999999) / 1000000)) <= 0)
			continue;
		n = recv(fd, datagram, sizeof(datagram), 0);
		if (n < 0 && errno == ECONNREFUSED)
			return rg_error_set(err, RG_EIO, "%s: nobody listens on that port",
					    exchange->address);
		if (n < 0 && errno != EINTR)
			return rg_error_set_errno(err, RG_EIO, errno, "%s", exchange->address);
		if (n > 0 && take_decision(exchange, datagram, (uint32_t)n)) {
			exchange->round_trip_ns = rg_clock_monotonic_ns() - begin_ns;
			return RG_OK;
		}
	}
}

static int ask(struct exchange *exchange, uint64_t timeout_ms)
{
	int fd = -1;
	int status = open_socket(exchange, &fd);

	if (!status && send(fd, exchange->request, exchange->request_bytes, 0) < 0)
		status = rg_error_set_errno(&exchange->cli->error, RG_EIO, errno, "%s",
					    exchange->address);
	if (!status)
		status = wait_for_decision(exchange, fd, timeout_ms);
	if (fd >= 0)
		close(fd);
	return status;
}

/* ---- printing ---- */

/* The names of reasons as control knows them; without control they are printed as numbers. */
struct names {
	struct rg_document document;
	bool known;
};

static void fetch_names(struct rg_cli *cli, struct names *names)
{
	char *answer;
	size_t bytes;

	names->known = false;
	if (rg_cli_control(cli, "{\"command\":\"reasons\"}", REASONS_TIMEOUT_MS, &answer, &bytes))
		return;
	names->known = rg_document_parse(&names->document, answer, bytes, NULL) == RG_OK;
	free(answer);
}

static const char *name_of(struct names *names, uint16_t id)
{
	struct rg_value root = names->document.root;

	for (uint32_t i = 0;
	     names->known && i < rg_document_count(&names->document, root, "reasons"); i++) {
		struct rg_value reason = rg_document_element(&names->document, root, "reasons", i);

		if (rg_document_number(&names->document, reason, "id", -1) == id)
			return rg_document_text(&names->document, reason, "name");
	}
	return NULL;
}

static uint32_t reason_count(const struct rg_decision_message *decision)
{
	uint32_t count = 0;

	while (count < RG_DECISION_REASONS && decision->reasons[count])
		count++;
	return count;
}

static void print_words(const struct exchange *exchange, struct names *names)
{
	const struct rg_decision_message *decision = &exchange->decision;
	char score[RG_FORMAT_BYTES], inside[RG_FORMAT_BYTES], round_trip[RG_FORMAT_BYTES];

	printf("%s  status %s  score %s  policy %llu\n",
	       rg_decision_verdict_name(decision->verdict),
	       rg_decision_status_name(decision->status),
	       rg_format_micro(score, decision->score_micro),
	       (unsigned long long)decision->policy_sequence);
	for (uint32_t i = 0; i < reason_count(decision); i++) {
		const char *name = name_of(names, decision->reasons[i]);

		if (name)
			printf("  %s\n", name);
		else
			printf("  reason %u\n", decision->reasons[i]);
	}
	printf("request %llu: decided in %s, answered in %s\n",
	       (unsigned long long)exchange->request_id,
	       rg_format_duration(inside, decision->send_time_ns - decision->receive_time_ns),
	       rg_format_duration(round_trip, exchange->round_trip_ns));
}

static int print_json(const struct exchange *exchange, struct names *names)
{
	const struct rg_decision_message *decision = &exchange->decision;
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_uint(&writer, "request_id", exchange->request_id);
	rg_json_member_text(&writer, "verdict", rg_decision_verdict_name(decision->verdict));
	rg_json_member_text(&writer, "status", rg_decision_status_name(decision->status));
	rg_json_member_micro(&writer, "score", decision->score_micro);
	rg_json_write_key(&writer, "reasons");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < reason_count(decision); i++) {
		const char *name = name_of(names, decision->reasons[i]);

		if (name)
			rg_json_write_string(&writer, name);
		else
			rg_json_write_uint(&writer, decision->reasons[i]);
	}
	rg_json_write_array_end(&writer);
	rg_json_member_uint(&writer, "reasons_fired", decision->reasons_fired);
	rg_json_member_uint(&writer, "policy_sequence", decision->policy_sequence);
	rg_json_member_uint(&writer, "flags", decision->flags);
	rg_json_member_uint(&writer, "receive_time_ns", decision->receive_time_ns);
	rg_json_member_uint(&writer, "send_time_ns", decision->send_time_ns);
	rg_json_member_uint(&writer, "round_trip_ns", exchange->round_trip_ns);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(exchange->cli, &writer);
}

static int print(const struct exchange *exchange)
{
	struct names names = {0};
	int status = RG_OK;

	if (exchange->decision.reasons[0])
		fetch_names(exchange->cli, &names);
	if (exchange->cli->json)
		status = print_json(exchange, &names);
	else
		print_words(exchange, &names);
	if (names.known)
		rg_document_free(&names.document);
	return status;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *option = invocation->options;
	struct exchange exchange = {.cli = cli};
	int status = choose_template(&exchange, option[OPTION_TEMPLATE].text);

	if (!status)
		status = choose_address(&exchange, option[OPTION_ADDRESS].text);
	if (!status)
		status = rg_cli_schema(cli, option[OPTION_SCHEMA].text);
	if (!status)
		status = encode(&exchange,
				invocation->argument_count ? invocation->arguments[0] : "-");
	if (!status)
		status = ask(&exchange, option[OPTION_TIMEOUT].number);
	return status ? status : print(&exchange);
}

const struct rg_command rg_command_score = {
	.name = "score",
	.arguments = "[REQUEST]",
	.arguments_max = 1,
	.summary = "Send one request over the wire and print the decision",
	.details =
		"REQUEST is a JSON object, a file with one, or - (or nothing) for standard input.\n"
		"Its members are the fields of the template, as Rego sees them under `input`. It\n"
		"is encoded by the schema and sent in a UDP datagram through the kernel. Without\n"
		"a request_id it gets the time. Whatever the verdict is, the exit status is 0; it\n"
		"is 1 when no decision came.",
	.examples =
		"riskctl score --address 10.71.0.1:9471 request.json\n"
		"riskctl score '{\"amount\": 250.00, \"account_id\": 7, \"currency\": \"EUR\"}'\n"
		"riskctl --json score --template NewOrder order.json",
	.options = options,
	.run = run,
};
