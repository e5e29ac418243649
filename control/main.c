/* SPDX-License-Identifier: Apache-2.0 */
/* riskgate-control: reads the command line and riskgate.yaml, steps the state machines until a
 * signal comes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/notify.h"
#include "config/daemon.h"
#include "control/control.h"

#define SLEEP_MS      1 /* rings make no noise: the longest sleep while records come */
#define IDLE_SLEEP_MS 5 /* when none came for a while */
#define IDLE_TURNS    200
#define STOP_DRAIN_NS 5000000000ull

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct rg_control_clock clock_now(void)
{
	return (struct rg_control_clock){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_REALTIME)};
}

/* A descriptor for the stop signals. */
static int open_signals(struct rg_error *err)
{
	sigset_t stop;
	int fd;

	rg_daemon_block_signals(&stop);
	fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		rg_error_set_errno(err, RG_EIO, errno, "signalfd");
	return fd;
}

/* Step until a signal comes; its number. */
static int run(struct rg_control *control, int signal_fd, struct rg_notify *notify)
{
	struct pollfd fds[3] = {{.fd = signal_fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	int control_fds[2];
	uint32_t count = rg_control_fds(control, control_fds), idle_turns = 0;

	for (uint32_t i = 0; i < count; i++)
		fds[i + 1] = (struct pollfd){.fd = control_fds[i], .events = POLLIN};
	for (;;) {
		struct rg_control_clock now = clock_now();
		bool worked = rg_control_do_work(control, now) > 0;

		rg_notify_watchdog(notify, now.monotonic_ns);
		idle_turns = worked ? 0 : idle_turns + 1;
		if (poll(fds, count + 1,
			 worked			   ? 0
			 : idle_turns < IDLE_TURNS ? SLEEP_MS
						   : IDLE_SLEEP_MS) < 0 &&
		    errno != EINTR)
			rg_log(RG_LOG_ERROR, "poll error=\"%s\"", strerror(errno));
		if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
			return (int)info.ssi_signo;
	}
}

static int serve(const struct rg_config *config, struct rg_error *err)
{
	struct rg_control *control;
	struct rg_notify notify;
	uint64_t sequence;
	char policy[24] = "none";
	int signal_fd = open_signals(err), signal_number, rc;

	if (signal_fd < 0)
		return RG_EIO;
	rc = rg_control_new(config, NULL, clock_now(), &control, err);
	if (rc)
		return rc;
	rg_control_do_work(
		control,
		clock_now()); /* looks for the data plane and takes up where the last control was */
	sequence = rg_control_policy_sequence(control);
	if (sequence)
		snprintf(policy, sizeof(policy), "%llu", (unsigned long long)sequence);
	rg_log(RG_LOG_INFO, "ready instance=%s policy=%s socket=%s", config->instance, policy,
	       config->control.socket);
	rg_notify_open(&notify);
	rg_notify_send(&notify, "READY=1");
	signal_number = run(control, signal_fd, &notify);
	rg_log(RG_LOG_INFO, "stopping signal=%s", strsignal(signal_number));
	rg_notify_send(&notify, "STOPPING=1");
	rg_control_stop(control, clock_now, STOP_DRAIN_NS);
	rg_control_delete(control);
	rg_notify_close(&notify);
	close(signal_fd);
	return RG_OK;
}

int main(int argc, char **argv)
{
	struct rg_daemon daemon = {
		.name = "riskgate-control",
		.purpose =
			"Compile and publish policies, write records to the journal and its sinks, "
			"serve riskctl.",
		.notes = "It runs in the foreground and logs to standard error; SIGTERM or SIGINT "
			 "stop "
			 "it after the rings are\n"
			 "drained. The line \"riskgate-control: ready ...\" says that its socket "
			 "is up. "
			 "It may be stopped,\n"
			 "killed and started at any time: the data plane goes on deciding.\n"};
	struct rg_config *config = NULL;
	struct rg_error err;
	int rc = rg_daemon_read_options(&daemon, argc, argv);

	if (rc >= 0)
		return rc;
	rg_log_set_program(daemon.name);
	umask(0027);
	rc = rg_daemon_load_config(&daemon, &config, &err);
	if (!rc)
		rc = serve(config, &err);
	rg_config_free(config);
	if (rc) {
		rg_log(RG_LOG_ERROR, "%s", err.text);
		return RG_EXIT_FAILED;
	}
	rg_log(RG_LOG_INFO, "stopped");
	return RG_EXIT_DONE;
}
