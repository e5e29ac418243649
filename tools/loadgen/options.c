/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WINDOW	 512
#define DEFAULT_SECONDS	 10
#define DEFAULT_REQUESTS 8192
#define REQUESTS_MAX	 10000000
#define SECONDS_MAX	 1e6
#define NS_PER_SECOND	 1e9

static const char help[] =
	"riskgate-loadgen: send requests to riskgate and measure its answers\n"
	"\n"
	"usage: riskgate-loadgen (--device DEVICE | --target ADDRESS:PORT) REQUESTS PACE "
	"[OPTIONS]\n"
	"\n"
	"examples:\n"
	"  # 10,000 generated payments a second for 30 s through a memif port, from core 0\n"
	"  riskgate-loadgen --device "
	"net_memif0,role=client,socket=/run/riskgate/memif.sock,socket-abstract=no \\\n"
	"      --template PaymentAuthorization --generate 1 --rate 10000 --seconds 30 --core 0\n"
	"  # every row of a CSV file once, 64 requests outstanding, by a kernel UDP socket\n"
	"  riskgate-loadgen --target 10.71.0.1:9471 --csv card_transactions_sample.csv.gz \\\n"
	"      --map card_transactions.map.json --once --window 64\n"
	"  # as fast as it goes, small amounts of low-risk users only\n"
	"  riskgate-loadgen --target '[fd71::1]:9471' --template PaymentAuthorization --generate 7 "
	"--rate max \\\n"
	"      --set 'amount=uniform(1,5000)' --set user.risk_level=low --seconds 10\n"
	"\n"
	"where to:\n"
	"  --device DEVICE       a DPDK device: "
	"net_memif0,role=client,socket=PATH,socket-abstract=no, a PCI address ...\n"
	"  --target ADDR:PORT    riskgate's address; without --device by a kernel UDP socket "
	"(default with --device:\n"
	"                        10.71.0.1:9471); IPv6 as [fd71::1]:9471\n"
	"  --source ADDR:PORT    our address (default with --device: 10.71.0.2:40000 or "
	"[fd71::2]:40000)\n"
	"  --flows N             source ports used in turn, so that RSS spreads the load (with "
	"--device; default 1)\n"
	"  --target-mac MAC      do not ask for riskgate's link address (ARP, neighbour "
	"discovery), use this one\n"
	"  --source-mac MAC      our link address (default 02:72:67:00:00:02)\n"
	"  --mtu N               longest IP packet the device carries (default 1500; a memif also "
	"needs bsize=)\n"
	"  --queues N            queue pairs of the device to use in turn (default 1)\n"
	"  --core N              CPU to run on (default with --device: the first this process may "
	"use)\n"
	"  --memory MIB          DPDK memory (default 64)\n"
	"  --no-huge             use ordinary memory; also done, with a note, where no huge page "
	"is free\n"
	"  --file-prefix NAME    DPDK's file prefix (default: one of this process)\n"
	"  --eal ARGUMENT        a further argument for DPDK's environment layer; may be repeated\n"
	"  --link-timeout S      wait so long for the other side of the device (default 10)\n"
	"\n"
	"requests:\n"
	"  --csv FILE[.gz]       rows to send, in order and again from the start; \"-\": standard "
	"input\n"
	"  --map FILE            which column becomes which field (examples/data/README.md)\n"
	"  --once                each row once\n"
	"  --template NAME       generate requests of this template ...\n"
	"  --generate SEED       ... from this seed\n"
	"  --set FIELD=VALUE     a value, null, uniform(LOW,HIGH) or choice(A,B,...) for a "
	"generated field; may be repeated\n"
	"  --requests N          generated requests to cycle (default 8192)\n"
	"  --per-datagram N      messages in a datagram (default 1)\n"
	"  --first-id N          request id of the first request; the others follow (default 1)\n"
	"  --schema FILE         SBE schema (default: the one riskgate.yaml names)\n"
	"  --config FILE         riskgate.yaml (default: $RISKGATE_CONFIG, "
	"/etc/riskgate/riskgate.yaml)\n"
	"\n"
	"pace:\n"
	"  --rate N              open loop: N requests a second whatever is answered; latency "
	"counts from the intended time\n"
	"  --rate max            closed loop with a window of 512\n"
	"  --window N            closed loop: N requests outstanding\n"
	"  --seconds S           send so long (default 10, unless --count or --once is given)\n"
	"  --count N             send so many requests\n"
	"  --warmup S            send so long before measuring begins (default 0)\n"
	"  --timeout S           wait so long for the last answers; in a closed loop for each "
	"(default 1)\n"
	"  --burst N             datagrams sent or received at once, 1 to 64 (default 32)\n"
	"  --yield               leave the core to others while nothing is due\n"
	"\n"
	"results (a summary is printed in any case; Ctrl-C ends the load and prints it):\n"
	"  --json FILE           the summary as JSON; \"-\": standard output, instead of the "
	"printed one\n"
	"  --log-answers FILE    one entry an answer; FILE.csv: as text, else binary "
	"(tools/loadgen/answer_log.h)\n"
	"  --require-all         exit with 1 if any request was lost\n"
	"  --quiet               no progress bar\n"
	"\n"
	"exit codes: 0 done, 1 failed (could not start, no answer at all, or --require-all), 2 "
	"wrong use\n";

const char *rg_options_help(void)
{
	return help;
}

enum {
	OPTION_DEVICE = 256,
	OPTION_TARGET,
	OPTION_SOURCE,
	OPTION_FLOWS,
	OPTION_TARGET_MAC,
	OPTION_SOURCE_MAC,
	OPTION_MTU,
	OPTION_QUEUES,
	OPTION_CORE,
	OPTION_MEMORY,
	OPTION_NO_HUGE,
	OPTION_FILE_PREFIX,
	OPTION_EAL,
	OPTION_LINK_TIMEOUT,
	OPTION_CSV,
	OPTION_MAP,
	OPTION_ONCE,
	OPTION_TEMPLATE,
	OPTION_GENERATE,
	OPTION_SET,
	OPTION_REQUESTS,
	OPTION_PER_DATAGRAM,
	OPTION_FIRST_ID,
	OPTION_SCHEMA,
	OPTION_CONFIG,
	OPTION_RATE,
	OPTION_WINDOW,
	OPTION_SECONDS,
	OPTION_COUNT,
	OPTION_WARMUP,
	OPTION_TIMEOUT,
	OPTION_BURST,
	OPTION_YIELD,
	OPTION_JSON,
	OPTION_LOG_ANSWERS,
	OPTION_REQUIRE_ALL,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"device", required_argument, NULL, OPTION_DEVICE},
	{"target", required_argument, NULL, OPTION_TARGET},
	{"source", required_argument, NULL, OPTION_SOURCE},
	{"flows", required_argument, NULL, OPTION_FLOWS},
	{"target-mac", required_argument, NULL, OPTION_TARGET_MAC},
	{"source-mac", required_argument, NULL, OPTION_SOURCE_MAC},
	{"mtu", required_argument, NULL, OPTION_MTU},
	{"queues", required_argument, NULL, OPTION_QUEUES},
	{"core", required_argument, NULL, OPTION_CORE},
	{"memory", required_argument, NULL, OPTION_MEMORY},
	{"no-huge", no_argument, NULL, OPTION_NO_HUGE},
	{"file-prefix", required_argument, NULL, OPTION_FILE_PREFIX},
	{"eal", required_argument, NULL, OPTION_EAL},
	{"link-timeout", required_argument, NULL, OPTION_LINK_TIMEOUT},
	{"csv", required_argument, NULL, OPTION_CSV},
	{"map", required_argument, NULL, OPTION_MAP},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"template", required_argument, NULL, OPTION_TEMPLATE},
	{"generate", required_argument, NULL, OPTION_GENERATE},
	{"set", required_argument, NULL, OPTION_SET},
	{"requests", required_argument, NULL, OPTION_REQUESTS},
	{"per-datagram", required_argument, NULL, OPTION_PER_DATAGRAM},
	{"first-id", required_argument, NULL, OPTION_FIRST_ID},
	{"schema", required_argument, NULL, OPTION_SCHEMA},
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"window", required_argument, NULL, OPTION_WINDOW},
	{"seconds", required_argument, NULL, OPTION_SECONDS},
	{"count", required_argument, NULL, OPTION_COUNT},
	{"warmup", required_argument, NULL, OPTION_WARMUP},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"burst", required_argument, NULL, OPTION_BURST},
	{"yield", no_argument, NULL, OPTION_YIELD},
	{"json", required_argument, NULL, OPTION_JSON},
	{"log-answers", required_argument, NULL, OPTION_LOG_ANSWERS},
	{"require-all", no_argument, NULL, OPTION_REQUIRE_ALL},
	{"quiet", no_argument, NULL, OPTION_QUIET},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

/* The option that is being read, for errors. */
static const char *option_name(int option)
{
	for (const struct option *entry = long_options; entry->name; entry++)
		if (entry->val == option)
			return entry->name;
	return "?";
}

static int parse_uint(int option, const char *text, uint64_t low, uint64_t high, uint64_t *value,
		      struct rg_error *err)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || number < low || number > high)
		return rg_error_set(err, RG_EINVAL,
				    "--%s: '%s' is not a whole number from %llu to %llu",
				    option_name(option), text, (unsigned long long)low,
				    (unsigned long long)high);
	*value = number;
	return RG_OK;
}

static int parse_uint32(int option, const char *text, uint32_t low, uint32_t high, uint32_t *value,
			struct rg_error *err)
{
	uint64_t number = 0;
	int status = parse_uint(option, text, low, high, &number, err);

	if (status == RG_OK)
		*value = (uint32_t)number;
	return status;
}

static int parse_seconds(int option, const char *text, uint64_t *ns, struct rg_error *err)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0) || seconds > SECONDS_MAX)
		return rg_error_set(err, RG_EINVAL, "--%s: '%s' is not a number of seconds",
				    option_name(option), text);
	*ns = (uint64_t)(seconds * NS_PER_SECOND);
	return RG_OK;
}

static int parse_rate(const char *text, struct rg_load_options *load, struct rg_error *err)
{
	char *end;

	if (strcmp(text, "max") == 0) {
		load->rate_per_s = 0;
		return RG_OK;
	}
	load->rate_per_s = strtod(text, &end);
	if (end == text || *end || !(load->rate_per_s > 0) || load->rate_per_s > 1e9)
		return rg_error_set(
			err, RG_EINVAL,
			"--rate: '%s' is neither a number of requests a second nor 'max'", text);
	return RG_OK;
}

static int parse_mac(int option, const char *text, uint8_t mac[6], struct rg_error *err)
{
	unsigned byte[6];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
		   &byte[4], &byte[5], &used) != 6 ||
	    text[used])
		return rg_error_set(err, RG_EINVAL,
				    "--%s: '%s' is no link address like 02:72:67:00:00:01",
				    option_name(option), text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return RG_OK;
}

static int copy_address(int option, const char *text, char *out, size_t out_bytes,
			struct rg_error *err)
{
	if (strlen(text) >= out_bytes)
		return rg_error_set(err, RG_EINVAL, "--%s: '%s' is too long", option_name(option),
				    text);
	strcpy(out, text);
	return RG_OK;
}

static int append(int option, const char *text, const char **list, uint32_t *count,
		  struct rg_error *err)
{
	if (*count == RG_OPTIONS_LIST_MAX)
		return rg_error_set(err, RG_ELIMIT, "--%s: given more than %d times",
				    option_name(option), RG_OPTIONS_LIST_MAX);
	list[(*count)++] = text;
	return RG_OK;
}

static int take_transport_option(struct rg_options *o, int option, const char *text,
				 struct rg_error *err)
{
	uint64_t ns = 0;
	uint32_t number = 0;
	int status = RG_OK;

	switch (option) {
	case OPTION_DEVICE: o->dpdk.device = text; break;
	case OPTION_TARGET:
		return copy_address(option, text, o->endpoint.target, sizeof(o->endpoint.target),
				    err);
	case OPTION_SOURCE:
		return copy_address(option, text, o->endpoint.source, sizeof(o->endpoint.source),
				    err);
	case OPTION_FLOWS:
		return parse_uint32(option, text, 1, 60000, &o->endpoint.flow_count, err);
	case OPTION_TARGET_MAC: return parse_mac(option, text, o->endpoint.target_mac, err);
	case OPTION_SOURCE_MAC: return parse_mac(option, text, o->endpoint.source_mac, err);
	case OPTION_QUEUES:
		status = parse_uint32(option, text, 1, 64, &number, err);
		o->dpdk.queue_count = (uint16_t)number;
		break;
	case OPTION_CORE:
		status = parse_uint32(option, text, 0, 1023, &number, err);
		o->core = (int)number;
		break;
	case OPTION_MTU: return parse_uint32(option, text, 1280, 9600, &o->dpdk.mtu, err);
	case OPTION_MEMORY: return parse_uint32(option, text, 16, 65536, &o->dpdk.memory_mib, err);
	case OPTION_NO_HUGE: o->dpdk.huge_pages = false; break;
	case OPTION_FILE_PREFIX: o->dpdk.file_prefix = text; break;
	case OPTION_EAL:
		return append(option, text, o->eal_arguments, &o->dpdk.eal_argument_count, err);
	case OPTION_LINK_TIMEOUT:
		status = parse_seconds(option, text, &ns, err);
		o->dpdk.link_timeout_ms = (uint32_t)fmin((double)ns / 1e6, 1e9);
		break;
	}
	return status;
}

static int take_request_option(struct rg_options *o, int option, const char *text,
			       struct rg_error *err)
{
	switch (option) {
	case OPTION_CSV: o->csv = text; break;
	case OPTION_MAP: o->map = text; break;
	case OPTION_ONCE: o->once = true; break;
	case OPTION_TEMPLATE: o->template = text; break;
	case OPTION_GENERATE:
		o->generate = true;
		return parse_uint(option, text, 0, UINT64_MAX, &o->seed, err);
	case OPTION_SET: return append(option, text, o->settings, &o->setting_count, err);
	case OPTION_REQUESTS:
		return parse_uint(option, text, 1, REQUESTS_MAX, &o->generated_count, err);
	case OPTION_PER_DATAGRAM:
		return parse_uint32(option, text, 1, 64, &o->load.messages_per_datagram, err);
	case OPTION_FIRST_ID:
		return parse_uint(option, text, 0, 1ull << 62, &o->load.first_request_id, err);
	case OPTION_SCHEMA: o->schema = text; break;
	case OPTION_CONFIG: o->config = text; break;
	}
	return RG_OK;
}

static int take_pace_option(struct rg_options *o, int option, const char *text, bool *rate_given,
			    struct rg_error *err)
{
	switch (option) {
	case OPTION_RATE: *rate_given = true; return parse_rate(text, &o->load, err);
	case OPTION_WINDOW: return parse_uint(option, text, 1, 1u << 22, &o->load.window, err);
	case OPTION_SECONDS: return parse_seconds(option, text, &o->load.duration_ns, err);
	case OPTION_COUNT:
		return parse_uint(option, text, 1, 1ull << 60, &o->load.message_limit, err);
	case OPTION_WARMUP: return parse_seconds(option, text, &o->load.warmup_ns, err);
	case OPTION_TIMEOUT: return parse_seconds(option, text, &o->load.timeout_ns, err);
	case OPTION_BURST:
		return parse_uint32(option, text, 1, RG_TRANSPORT_BURST_MAX, &o->load.burst, err);
	case OPTION_YIELD: o->yield = true; break;
	}
	return RG_OK;
}

static void take_result_option(struct rg_options *o, int option, const char *text)
{
	switch (option) {
	case OPTION_JSON: o->json = text; break;
	case OPTION_LOG_ANSWERS: o->log_answers = text; break;
	case OPTION_REQUIRE_ALL: o->require_all = true; break;
	case OPTION_QUIET: o->quiet = true; break;
	case OPTION_HELP: o->help = true; break;
	case OPTION_VERSION: o->version = true; break;
	}
}

static int check_requests(const struct rg_options *o, struct rg_error *err)
{
	if (!o->csv && !o->generate)
		return rg_error_set(err, RG_EINVAL,
				    "what to send? give --csv FILE --map FILE, or --template NAME "
				    "--generate SEED");
	if (o->csv && o->generate)
		return rg_error_set(err, RG_EINVAL, "give either --csv or --generate");
	if (o->csv && !o->map)
		return rg_error_set(err, RG_EINVAL,
				    "--csv needs --map FILE: which column becomes which field");
	if (o->csv && (o->template || o->setting_count))
		return rg_error_set(err, RG_EINVAL,
				    "--template and --set belong to --generate; a CSV file's "
				    "mapping names its template");
	if (!o->csv && (o->map || o->once))
		return rg_error_set(err, RG_EINVAL, "--map and --once belong to --csv");
	if (o->generate && !o->template)
		return rg_error_set(
			err, RG_EINVAL,
			"--generate needs --template NAME, such as PaymentAuthorization");
	return RG_OK;
}

/* Fill in what was left out. */
static int complete(struct rg_options *o, bool rate_given, struct rg_error *err)
{
	if (!o->dpdk.device && !o->endpoint.target[0])
		return rg_error_set(err, RG_EINVAL,
				    "where to? give --target ADDRESS:PORT, or --device DEVICE");
	if (!o->endpoint.target[0])
		strcpy(o->endpoint.target, "10.71.0.1:9471");
	if (o->load.rate_per_s > 0 && o->load.window)
		return rg_error_set(err, RG_EINVAL,
				    "give either --rate N (open loop) or --window N (closed loop)");
	if (!rate_given && !o->load.window)
		return rg_error_set(err, RG_EINVAL,
				    "how fast? give --rate N, --rate max or --window N");
	if (o->load.rate_per_s == 0 && !o->load.window)
		o->load.window = DEFAULT_WINDOW;
	if (o->once && o->load.message_limit)
		return rg_error_set(err, RG_EINVAL, "give either --once or --count");
	if (!o->load.duration_ns && !o->load.message_limit && !o->once)
		o->load.duration_ns = DEFAULT_SECONDS * (uint64_t)NS_PER_SECOND;
	return RG_OK;
}

int rg_options_parse(int argc, char **argv, struct rg_options *o, struct rg_error *err)
{
	static const uint8_t default_source_mac[6] = {0x02, 0x72, 0x67, 0, 0, 2};
	bool rate_given = false;
	int option, status = RG_OK;

	memset(o, 0, sizeof(*o));
	o->core = -1;
	o->generated_count = DEFAULT_REQUESTS;
	o->endpoint.flow_count = 1;
	memcpy(o->endpoint.source_mac, default_source_mac, 6);
	o->dpdk.program = argv[0];
	o->dpdk.memory_mib = 64;
	o->dpdk.mtu = 1500;
	o->dpdk.huge_pages = true;
	o->dpdk.queue_count = 1;
	o->dpdk.link_timeout_ms = 10000;
	o->dpdk.eal_arguments = o->eal_arguments;
	o->load.messages_per_datagram = 1;
	o->load.burst = 32;
	o->load.first_request_id = 1;
	o->load.timeout_ns = (uint64_t)NS_PER_SECOND;
	optind = 1;
	opterr = 0;
	while (status == RG_OK &&
	       (option = getopt_long(argc, argv, "+:", long_options, NULL)) != -1) {
		if (option == ':')
			return rg_error_set(err, RG_EINVAL, "%s needs a value: see --help",
					    argv[optind - 1]);
		if (option == '?')
			return rg_error_set(err, RG_EINVAL, "unknown option '%s': see --help",
					    argv[optind - 1]);
		if (option <= OPTION_LINK_TIMEOUT)
			status = take_transport_option(o, option, optarg, err);
		else if (option <= OPTION_CONFIG)
			status = take_request_option(o, option, optarg, err);
		else if (option <= OPTION_YIELD)
			status = take_pace_option(o, option, optarg, &rate_given, err);
		else
			take_result_option(o, option, optarg);
	}
	if (status != RG_OK || o->help || o->version)
		return status;
	if (optind < argc)
		return rg_error_set(err, RG_EINVAL, "'%s' belongs to no option: see --help",
				    argv[optind]);
	status = check_requests(o, err);
	return status == RG_OK ? complete(o, rate_given, err) : status;
}
