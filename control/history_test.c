/* SPDX-License-Identifier: Apache-2.0 */
#include "control/history.h"

#include <assert.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char state[64], path[96];

static int remove_entry(const char *name, const struct stat *status, int kind, struct FTW *place)
{
	return remove(name);
}

static struct rg_history *open_history(void)
{
	struct rg_history *history;
	struct rg_error err;

	if (rg_history_open(state, &history, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return history;
}

static void append(struct rg_history *history, uint64_t sequence)
{
	struct rg_policy_meta meta = {.sequence = sequence,
				      .bundle = "pay",
				      .user = "ann",
				      .reason = "limits \"of\nMay\""};
	struct rg_error err;

	assert(!rg_history_append(history, RG_HISTORY_ACTIVE, &meta, "bob", "", sequence * 10,
				  &err));
}

static char *newest(const struct rg_history *history, uint64_t limit)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	assert(!rg_history_write_newest(history, limit, &writer, NULL));
	return writer.text;
}

static void test_life(void)
{
	struct rg_history *history = open_history();
	char *text = newest(history, 10);

	assert(!strcmp(text, "[]") && !rg_history_verify(history, NULL));
	free(text);
	append(history, 1);
	append(history, 2);
	rg_history_close(history);
	history = open_history();
	append(history, 3);
	assert(rg_history_count(history) == 3 && !rg_history_verify(history, NULL));
	text = newest(history, 2);
	assert(strstr(text, "[{\"n\":3,\"time_ns\":30,\"event\":\"active\",\"sequence\":3,"
			    "\"bundle\":\"pay\"") == text);
	assert(strstr(text, "\"user\":\"bob\",\"pushed_by\":\"ann\"") &&
	       strstr(text, "limits \\\"of\\nMay\\\""));
	assert(strstr(text, "\"n\":2,") && !strstr(text, "\"n\":1,"));
	free(text);
	rg_history_close(history);
	rg_history_close(NULL);
}

static char *read_file(size_t *bytes)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert(file && text);
	*bytes = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

static void write_file(const char *text, size_t bytes)
{
	FILE *file = fopen(path, "w");

	assert(file && fwrite(text, 1, bytes, file) == bytes && !fclose(file));
}

/* What a crash leaves is cut at every possible byte; nothing before it is touched. */
static void test_torn(void)
{
	size_t bytes, whole;
	char *text = read_file(&bytes);
	struct rg_history *history;

	for (whole = bytes - 1; text[whole - 1] != '\n'; whole--)
		;
	for (size_t cut = whole; cut < bytes; cut++) {
		write_file(text, cut);
		history = open_history();
		assert(rg_history_count(history) == 2);
		append(history, 3);
		assert(!rg_history_verify(history, NULL) && rg_history_count(history) == 3);
		rg_history_close(history);
	}
	write_file(text, bytes);
	free(text);
}

/* One byte altered anywhere, or a line taken out: verify() or open() says so. */
static void test_altered(void)
{
	struct rg_history *history;
	struct rg_error err;
	size_t bytes, first;
	char *text = read_file(&bytes), *altered = malloc(bytes);

	assert(altered);
	for (first = 0; text[first] != '\n'; first++)
		;
	for (size_t at = 0; at < first; at++) {
		memcpy(altered, text, bytes);
		altered[at] ^= 1;
		write_file(altered, bytes);
		history = open_history();
		assert(rg_history_verify(history, &err) == RG_ECORRUPT &&
		       strstr(err.text, "line "));
		rg_history_close(history);
	}
	write_file(text + first + 1, bytes - first - 1);
	history = open_history();
	assert(rg_history_verify(history, &err) == RG_ECORRUPT && strstr(err.text, "line 1 "));
	rg_history_close(history);
	write_file("nonsense\n", 9);
	assert(rg_history_open(state, &history, &err) == RG_ECORRUPT &&
	       strstr(err.text, "restore the file from a backup"));
	free(text);
	free(altered);
}

/* Killed at random moments of appending: all that append() returned for is there. */
static void test_kill(void)
{
	uint64_t highest = 0;

	printf("kill -9 while appending, seed 5\n");
	srand(5);
	unlink(path);
	for (int round = 0; round < 20; round++) {
		struct rg_history *history;
		int pipes[2], status;
		uint64_t told = highest;
		pid_t child;

		assert(!pipe(pipes));
		child = fork();
		assert(child >= 0);
		if (!child) {
			history = open_history();
			for (uint64_t n = rg_history_count(history) + 1;; n++) {
				append(history, n);
				assert(write(pipes[1], &n, sizeof(n)) == sizeof(n));
			}
		}
		close(pipes[1]);
		usleep((useconds_t)(rand() % 8000));
		assert(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
		while (read(pipes[0], &told, sizeof(told)) == sizeof(told))
			;
		close(pipes[0]);
		history = open_history();
		assert(rg_history_count(history) >= told && !rg_history_verify(history, NULL));
		highest = rg_history_count(history);
		rg_history_close(history);
	}
}

int main(void)
{
	snprintf(state, sizeof(state), "/tmp/riskgate-history-test-XXXXXX");
	assert(mkdtemp(state));
	snprintf(path, sizeof(path), "%s/history.jsonl", state);
	test_life();
	test_torn();
	test_altered();
	test_kill();
	nftw(state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
