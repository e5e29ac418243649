/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/answer_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES   (1u << 20)
#define LINE_BYTES_MAX 256

struct rg_answer_log {
	int fd;
	bool csv;
	int write_errno; /* of the first failure; 0: none */
	size_t used;
	char *path;
	char buffer[BUFFER_BYTES];
};

static void flush(struct rg_answer_log *log)
{
	size_t done = 0;

	while (done < log->used && !log->write_errno) {
		ssize_t written = write(log->fd, log->buffer + done, log->used - done);

		if (written >= 0)
			done += (size_t)written;
		else if (errno != EINTR)
			log->write_errno = errno;
	}
	log->used = 0;
}

int rg_answer_log_open(const char *path, struct rg_answer_log **out, struct rg_error *err)
{
	struct rg_answer_log *log = malloc(sizeof(*log));
	size_t path_bytes = strlen(path);

	if (!log)
		return rg_error_set(err, RG_ENOMEM, "%s: no memory for the answer log", path);
	log->csv = path_bytes >= 4 && strcmp(path + path_bytes - 4, ".csv") == 0;
	log->write_errno = 0;
	log->path = strdup(path);
	log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (log->fd < 0 || !log->path) {
		rg_error_set_errno(err, RG_EIO, errno, "%s: cannot create the answer log", path);
		if (log->fd >= 0)
			close(log->fd);
		free(log->path);
		free(log);
		return RG_EIO;
	}
	log->used = (size_t)snprintf(log->buffer, BUFFER_BYTES, "%s",
				     log->csv ? "request_id,verdict,status,policy_sequence,score_"
						"micro,flags,receive_time_ns,"
						"send_time_ns,latency_ns\n"
					      : RG_ANSWER_LOG_MAGIC);
	*out = log;
	return RG_OK;
}

static void add_line(struct rg_answer_log *log, const struct rg_answer_entry *entry)
{
	log->used += (size_t)snprintf(
		log->buffer + log->used, LINE_BYTES_MAX,
		"%" PRIu64 ",%s,%s,%" PRIu64 ",%" PRId64 ",%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64
		"\n",
		entry->request_id, rg_decision_verdict_name(entry->verdict),
		rg_decision_status_name(entry->status), entry->policy_sequence, entry->score_micro,
		entry->flags, entry->receive_time_ns, entry->send_time_ns, entry->latency_ns);
}

void rg_answer_log_add(struct rg_answer_log *log, const struct rg_decision_message *decision,
		       uint64_t latency_ns)
{
	struct rg_answer_entry entry = {
		.request_id = decision->request_id,
		.policy_sequence = decision->policy_sequence,
		.score_micro = decision->score_micro,
		.receive_time_ns = decision->receive_time_ns,
		.send_time_ns = decision->send_time_ns,
		.latency_ns = latency_ns,
		.verdict = decision->verdict,
		.status = decision->status,
		.flags = decision->flags,
	};

	if (log->used + LINE_BYTES_MAX > BUFFER_BYTES)
		flush(log);
	if (log->csv) {
		add_line(log, &entry);
	} else {
		memcpy(log->buffer + log->used, &entry, sizeof(entry));
		log->used += sizeof(entry);
	}
}

int rg_answer_log_close(struct rg_answer_log *log, struct rg_error *err)
{
	int status = RG_OK;

	if (!log)
		return RG_OK;
	flush(log);
	if (close(log->fd) != 0 && !log->write_errno)
		log->write_errno = errno;
	if (log->write_errno)
		status = rg_error_set_errno(
			err, RG_EIO, log->write_errno,
			"%s: the answer log is incomplete: make room and run again", log->path);
	free(log->path);
	free(log);
	return status;
}
