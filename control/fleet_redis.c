/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fleet_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bundle/members.h"
#include "bundle/pack.h"

#define REQUESTS_MAX	16
#define EVENTS_MAX	64
#define BACK_OFF_MS	100
#define BACK_OFF_MAX_MS 5000
#define KEY_BYTES_MIN	16
#define KEY_BYTES_MAX	4096
#define NAME_BYTES	256

struct rg_fleet_redis {
	struct rg_fleet_redis_options options;
	char *key;
	size_t key_bytes;
	char current_key[NAME_BYTES], lock_key[NAME_BYTES], token_key[NAME_BYTES],
		archive_prefix[NAME_BYTES], channel[NAME_BYTES];
	pthread_t thread;
	bool started;
	int request_fd; /* eventfd: a request came, or it is to stop */

	pthread_mutex_t mutex; /* of what follows, up to the next blank line */
	struct rg_fleet_request requests[REQUESTS_MAX];
	struct rg_fleet_event events[EVENTS_MAX];
	uint32_t requests_taken, requests_put, events_taken, events_put;
	bool stop;

	/* the thread's own */
	struct rg_redis *commands, *subscription;
	struct rg_fleet_revision current; /* as told last */
	bool told_away, has_told_current;
	char told_reason[sizeof(
		((struct rg_fleet_event *)NULL)->text)]; /* of being away, told last */
	uint64_t retry_ms, back_off_ms, refresh_ms;
};

/* What `current` becomes, if the number is larger. */
static const char offer_script[] =
	"local old = redis.call('HGET', KEYS[1], 'archive')\n"
	"local number = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')\n"
	"if number == tonumber(ARGV[1]) and old == ARGV[4] then return 1 end\n"
	"if number >= tonumber(ARGV[1]) then return 0 end\n"
	"if old and old ~= ARGV[4] then redis.call('PEXPIRE', ARGV[6] .. old, 604800000) end\n"
	"redis.call('DEL', KEYS[1])\n"
	"redis.call('HSET', KEYS[1], 'number', ARGV[1], 'meta', ARGV[2], 'mac', ARGV[3], "
	"'archive', "
	"ARGV[4])\n"
	"redis.call('PUBLISH', ARGV[5], ARGV[1])\n"
	"return 1";

static const char lock_script[] =
	"if tonumber(ARGV[3]) > 0 and redis.call('HGET', KEYS[3], 'number') == ARGV[3] then\n"
	"  local halted = redis.call('HGET', KEYS[3], 'halted')\n"
	"  if halted then return {-1, halted} end\n"
	"end\n"
	"if redis.call('EXISTS', KEYS[1]) == 1 then return {0, ''} end\n"
	"local token = redis.call('INCR', KEYS[2])\n"
	"if token <= tonumber(ARGV[4]) then\n"
	"  token = tonumber(ARGV[4]) + 1\n"
	"  redis.call('SET', KEYS[2], token)\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1] .. ':' .. token, 'NX', 'PX', ARGV[2])\n"
	"return {token, ''}";

static const char renew_script[] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
				   "return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

static const char release_script[] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
				     "return redis.call('DEL', KEYS[1])";

static const char halt_script[] =
	"if redis.call('HGET', KEYS[1], 'number') ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'halted', ARGV[2])\n"
	"redis.call('PUBLISH', ARGV[3], ARGV[1])\n"
	"return 1";

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- digests ---- */

static void hex(const unsigned char *bytes, unsigned count, char *text)
{
	for (unsigned i = 0; i < count; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int digest_of(const void *bytes, size_t count, char text[static 65], struct rg_error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_bytes;

	if (EVP_Digest(bytes, count, digest, &digest_bytes, EVP_sha256(), NULL) != 1)
		return rg_error_set(err, RG_EIO, "SHA-256 is not available from libcrypto");
	hex(digest, digest_bytes, text);
	return RG_OK;
}

/* The mac of a revision's meta; "" without a key. */
static void mac_of(const struct rg_fleet_redis *fleet, const char *meta, size_t bytes,
		   char text[static 65])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_bytes = 0;

	text[0] = '\0';
	if (fleet->key && HMAC(EVP_sha256(), fleet->key, (int)fleet->key_bytes,
			       (const unsigned char *)meta, bytes, mac, &mac_bytes))
		hex(mac, mac_bytes, text);
}

static int check_mac(const struct rg_fleet_redis *fleet, const redisReply *meta,
		     const redisReply *mac, struct rg_error *err)
{
	char wanted[65];

	if (!fleet->key)
		return RG_OK;
	mac_of(fleet, meta->str, meta->len, wanted);
	if (mac->type == REDIS_REPLY_STRING && mac->len == 64 && wanted[0] &&
	    !CRYPTO_memcmp(mac->str, wanted, 64))
		return RG_OK;
	return rg_error_set(err, RG_ECONFLICT,
			    "the fleet's revision in Redis was not made with the key of "
			    "redis.key_file: do all nodes have the same?");
}

/* ---- queues ---- */

static void put_event(struct rg_fleet_redis *fleet, const struct rg_fleet_event *event)
{
	uint64_t one = 1;

	pthread_mutex_lock(&fleet->mutex);
	/* answers always have room: there are fewer requests than half of the events */
	if (event->is_answer || fleet->events_put - fleet->events_taken < EVENTS_MAX / 2)
		fleet->events[fleet->events_put++ % EVENTS_MAX] = *event;
	pthread_mutex_unlock(&fleet->mutex);
	if (write(fleet->options.wake_fd, &one, sizeof(one)) < 0)
		return; /* the loop looks now and then anyway */
}

static bool take_request(struct rg_fleet_redis *fleet, struct rg_fleet_request *request)
{
	bool has = false;

	pthread_mutex_lock(&fleet->mutex);
	if (fleet->requests_taken != fleet->requests_put) {
		*request = fleet->requests[fleet->requests_taken++ % REQUESTS_MAX];
		has = true;
	}
	pthread_mutex_unlock(&fleet->mutex);
	return has;
}

static bool submit(void *context, const struct rg_fleet_request *request)
{
	struct rg_fleet_redis *fleet = context;
	uint64_t one = 1;
	bool room;

	pthread_mutex_lock(&fleet->mutex);
	room = fleet->requests_put - fleet->requests_taken < REQUESTS_MAX &&
	       fleet->events_put - fleet->events_taken < EVENTS_MAX - REQUESTS_MAX;
	if (room)
		fleet->requests[fleet->requests_put++ % REQUESTS_MAX] = *request;
	pthread_mutex_unlock(&fleet->mutex);
	return room && write(fleet->request_fd, &one, sizeof(one)) == sizeof(one);
}

static bool poll_event(void *context, struct rg_fleet_event *event)
{
	struct rg_fleet_redis *fleet = context;
	bool has = false;

	pthread_mutex_lock(&fleet->mutex);
	if (fleet->events_taken != fleet->events_put) {
		*event = fleet->events[fleet->events_taken++ % EVENTS_MAX];
		has = true;
	}
	pthread_mutex_unlock(&fleet->mutex);
	return has;
}

struct rg_fleet_link rg_fleet_redis_link(struct rg_fleet_redis *fleet)
{
	return (struct rg_fleet_link){fleet, submit, poll_event};
}

/* ---- the current revision ---- */

static int read_current(struct rg_fleet_redis *fleet, struct rg_fleet_revision *revision,
			struct rg_error *err)
{
	const char *words[] = {"HMGET", fleet->current_key, "meta", "mac", "halted"};
	const redisReply *meta, *halted;
	redisReply *reply;
	int rc = rg_redis_command(fleet->commands, 5, words, NULL, &reply, err);

	memset(revision, 0, sizeof(*revision));
	if (rc)
		return rc;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
		freeReplyObject(reply);
		return rg_error_set(err, RG_EINVAL, "Redis: %s is no hash", fleet->current_key);
	}
	meta = reply->element[0];
	halted = reply->element[2];
	if (meta->type == REDIS_REPLY_STRING) {
		rc = check_mac(fleet, meta, reply->element[1], err);
		if (!rc)
			rc = rg_fleet_revision_read(meta->str, meta->len, revision, err);
		if (!rc && halted->type == REDIS_REPLY_STRING)
			snprintf(revision->halted, sizeof(revision->halted), "%s", halted->str);
	}
	freeReplyObject(reply);
	return rc;
}

/* Tell of the fleet's revision, if it is another than the one told last. */
static int tell_current(struct rg_fleet_redis *fleet, struct rg_error *err)
{
	struct rg_fleet_event event = {.kind = RG_FLEET_CURRENT};
	int rc = read_current(fleet, &event.revision, err);

	if (rc || (fleet->has_told_current &&
		   !memcmp(&event.revision, &fleet->current, sizeof(fleet->current))))
		return rc;
	fleet->current = event.revision;
	fleet->has_told_current = true;
	fleet->told_away = false;
	put_event(fleet, &event);
	return RG_OK;
}

/* ---- requests ---- */

static int run_script(struct rg_fleet_redis *fleet, const char *script, const char *const *keys,
		      int key_count, const char *const *arguments, int argument_count,
		      redisReply **reply, struct rg_error *err)
{
	const char *words[16] = {"EVAL", script};
	char count[8];
	int n = 3;

	snprintf(count, sizeof(count), "%d", key_count);
	words[2] = count;
	for (int i = 0; i < key_count; i++)
		words[n++] = keys[i];
	for (int i = 0; i < argument_count; i++)
		words[n++] = arguments[i];
	return rg_redis_command(fleet->commands, n, words, NULL, reply, err);
}

/* A script that answers with a number. */
static int run_number(struct rg_fleet_redis *fleet, const char *script, const char *key,
		      const char *const *arguments, int argument_count, long long *number,
		      struct rg_error *err)
{
	redisReply *reply;
	int rc = run_script(fleet, script, &key, 1, arguments, argument_count, &reply, err);

	if (rc)
		return rc;
	*number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
	freeReplyObject(reply);
	return RG_OK;
}

static int store_archive(struct rg_fleet_redis *fleet, struct rg_fleet_revision *revision,
			 const char *path, struct rg_error *err)
{
	char key[NAME_BYTES + 65];
	const char *words[] = {"SET", key, NULL};
	size_t lengths[] = {3, 0, 0};
	redisReply *reply = NULL;
	void *bytes;
	int rc = rg_bundle_pack(path, fleet->options.archive_bytes_max, &bytes, &lengths[2], err);

	if (rc)
		return rc;
	rc = digest_of(bytes, lengths[2], revision->archive, err);
	if (!rc) {
		lengths[1] = (size_t)snprintf(key, sizeof(key), "%s%s", fleet->archive_prefix,
					      revision->archive);
		words[2] = bytes;
		rc = rg_redis_command(fleet->commands, 3, words, lengths, &reply, err);
	}
	freeReplyObject(reply);
	free(bytes);
	return rc;
}

static int offer(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request,
		 struct rg_fleet_event *event, struct rg_error *err)
{
	struct rg_json_writer meta;
	char number[24], mac[65];
	long long taken = 0;
	int rc = store_archive(fleet, &event->revision, request->path, err);

	if (rc)
		return rc;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)request->revision.number);
	rg_json_writer_init(&meta, false);
	rg_fleet_revision_write(&event->revision, &meta);
	if (meta.failed) {
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	} else {
		const char *arguments[] = {number,
					   meta.text,
					   (mac_of(fleet, meta.text, meta.bytes, mac), mac),
					   event->revision.archive,
					   fleet->channel,
					   fleet->archive_prefix};

		rc = run_number(fleet, offer_script, fleet->current_key, arguments, 6, &taken, err);
	}
	rg_json_writer_free(&meta);
	event->kind = taken ? RG_FLEET_OFFERED : RG_FLEET_OLDER;
	return rc ? rc : tell_current(fleet, err);
}

static int write_archive(const char *path, const void *bytes, size_t count, struct rg_error *err)
{
	char temporary[1100];
	int fd, failed;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", temporary);
	failed = write(fd, bytes, count) != (ssize_t)count ? errno : 0;
	close(fd);
	if (!failed && rename(temporary, path))
		failed = errno;
	return failed ? rg_error_set_errno(err, RG_EIO, failed, "%s", path) : RG_OK;
}

static int fetch(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request,
		 struct rg_fleet_event *event, struct rg_error *err)
{
	char key[NAME_BYTES + 65], digest[65];
	const char *words[] = {"GET", key};
	redisReply *reply;
	int rc;

	snprintf(key, sizeof(key), "%s%s", fleet->archive_prefix, request->revision.archive);
	rc = rg_redis_command(fleet->commands, 2, words, NULL, &reply, err);
	if (rc)
		return rc;
	event->kind = RG_FLEET_FETCHED;
	if (reply->type != REDIS_REPLY_STRING) {
		/* lost, or not there yet on a replica: asked again later */
		rc = rg_error_set(err, RG_EINVAL, "Redis: there is no %s", key);
	} else if (reply->len > fleet->options.archive_bytes_max ||
		   digest_of(reply->str, reply->len, digest, err) ||
		   strcmp(digest, request->revision.archive)) {
		event->kind = RG_FLEET_BAD;
		snprintf(event->text, sizeof(event->text),
			 "Redis: what %s holds has not that digest, or is too large", key);
	} else {
		rc = write_archive(request->path, reply->str, reply->len, err);
	}
	freeReplyObject(reply);
	return rc;
}

static int lock(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request,
		struct rg_fleet_event *event, struct rg_error *err)
{
	const char *keys[] = {fleet->lock_key, fleet->token_key, fleet->current_key};
	char lease[24], number[24], token[24];
	const char *arguments[] = {fleet->options.owner, lease, number, token};
	redisReply *reply;
	int rc;

	snprintf(lease, sizeof(lease), "%llu", (unsigned long long)request->lease_ms);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)request->revision.number);
	snprintf(token, sizeof(token), "%llu", (unsigned long long)request->token);
	rc = run_script(fleet, lock_script, keys, 3, arguments, 4, &reply, err);
	if (rc)
		return rc;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_INTEGER) {
		rc = rg_error_set(err, RG_EINVAL, "Redis: the lock's script answers oddly");
	} else if (reply->element[0]->integer < 0) {
		event->kind = RG_FLEET_HALTED;
		snprintf(event->revision.halted, sizeof(event->revision.halted), "%s",
			 reply->element[1]->str);
	} else {
		event->token = (uint64_t)reply->element[0]->integer;
		event->kind = event->token ? RG_FLEET_LOCKED : RG_FLEET_BUSY;
	}
	freeReplyObject(reply);
	return rc;
}

/* What is done only while the lock is still ours. */
static int compare_and(struct rg_fleet_redis *fleet, const char *script,
		       const struct rg_fleet_request *request, struct rg_fleet_event *event,
		       struct rg_error *err)
{
	char held[NAME_BYTES + 24], lease[24];
	const char *arguments[] = {held, lease};
	long long kept;
	int rc;

	snprintf(held, sizeof(held), "%s:%llu", fleet->options.owner,
		 (unsigned long long)request->token);
	snprintf(lease, sizeof(lease), "%llu", (unsigned long long)request->lease_ms);
	rc = run_number(fleet, script, fleet->lock_key, arguments, 2, &kept, err);
	event->kind = !rc && kept ? RG_FLEET_RENEWED : RG_FLEET_LOST;
	return rc;
}

static int halt(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request,
		struct rg_error *err)
{
	char number[24];
	const char *arguments[] = {number, request->revision.halted, fleet->channel};
	long long done;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)request->revision.number);
	return run_number(fleet, halt_script, fleet->current_key, arguments, 3, &done, err);
}

static int perform(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request,
		   struct rg_fleet_event *event, struct rg_error *err)
{
	switch (request->kind) {
	case RG_FLEET_OFFER: return offer(fleet, request, event, err);
	case RG_FLEET_FETCH: return fetch(fleet, request, event, err);
	case RG_FLEET_LOCK: return lock(fleet, request, event, err);
	case RG_FLEET_RENEW: return compare_and(fleet, renew_script, request, event, err);
	case RG_FLEET_RELEASE: return compare_and(fleet, release_script, request, event, err);
	case RG_FLEET_HALT: return halt(fleet, request, err);
	}
	return RG_OK;
}

static void disconnect(struct rg_fleet_redis *fleet)
{
	rg_redis_close(fleet->commands);
	rg_redis_close(fleet->subscription);
	fleet->commands = fleet->subscription = NULL;
	fleet->has_told_current = false;
}

/* Redis cannot be used now: say so, once for each new reason, and try again later. */
static void away(struct rg_fleet_redis *fleet, const struct rg_error *err)
{
	struct rg_fleet_event event = {.kind = RG_FLEET_AWAY};

	disconnect(fleet);
	fleet->retry_ms = monotonic_ms() + fleet->back_off_ms;
	fleet->back_off_ms =
		fleet->back_off_ms * 2 < BACK_OFF_MAX_MS ? fleet->back_off_ms * 2 : BACK_OFF_MAX_MS;
	snprintf(event.text, sizeof(event.text), "%s", err->text);
	if (fleet->told_away && !strcmp(fleet->told_reason, event.text))
		return;
	fleet->told_away = true;
	memcpy(fleet->told_reason, event.text, sizeof(event.text));
	put_event(fleet, &event);
}

static void serve(struct rg_fleet_redis *fleet, const struct rg_fleet_request *request)
{
	struct rg_fleet_event event = {
		.is_answer = true, .request = request->kind, .revision = request->revision};
	struct rg_error err = {0};
	int rc = fleet->commands ? perform(fleet, request, &event, &err)
				 : rg_error_set(&err, RG_EIO, "Redis is away");

	if (rc) {
		event.kind = RG_FLEET_AWAY;
		snprintf(event.text, sizeof(event.text), "%s", err.text);
	}
	if (request->kind != RG_FLEET_RELEASE && request->kind != RG_FLEET_HALT)
		put_event(fleet, &event);
	if (rc && fleet->commands && (rc == RG_EIO || rc == RG_EAGAIN))
		away(fleet, &err);
	else if (rc)
		fleet->has_told_current = false; /* Redis said no: that it is there is told again */
}

/* ---- the thread ---- */

static int connect_both(struct rg_fleet_redis *fleet, struct rg_error *err)
{
	const char *words[] = {"SUBSCRIBE", fleet->channel};
	redisReply *reply = NULL;
	int rc = rg_redis_connect(&fleet->options.redis, &fleet->commands, err);

	if (!rc)
		rc = rg_redis_connect(&fleet->options.redis, &fleet->subscription, err);
	if (!rc)
		rc = rg_redis_command(fleet->subscription, 2, words, NULL, &reply, err);
	freeReplyObject(reply);
	return rc ? rc : tell_current(fleet, err);
}

/* Take all messages; whatever they say, `current` is read. */
static int take_messages(struct rg_fleet_redis *fleet, struct rg_error *err)
{
	redisReply *message;
	bool any = false;
	int rc;

	while (!(rc = rg_redis_message(fleet->subscription, &message, err))) {
		freeReplyObject(message);
		any = true;
	}
	if (rc != RG_EAGAIN)
		return rc;
	return any ? tell_current(fleet, err) : RG_OK;
}

static void keep_up(struct rg_fleet_redis *fleet)
{
	uint64_t now_ms = monotonic_ms();
	struct rg_error err = {0};
	int rc = RG_OK;

	if (!fleet->commands) {
		if (now_ms < fleet->retry_ms)
			return;
		rc = connect_both(fleet, &err);
		fleet->refresh_ms = now_ms + RG_FLEET_REFRESH_MS;
		if (!rc)
			fleet->back_off_ms = BACK_OFF_MS;
	} else {
		rc = take_messages(fleet, &err);
		if (!rc && now_ms >= fleet->refresh_ms) {
			fleet->refresh_ms = now_ms + RG_FLEET_REFRESH_MS;
			rc = tell_current(fleet, &err);
		}
	}
	if (rc)
		away(fleet, &err);
}

static void wait_for_work(struct rg_fleet_redis *fleet)
{
	struct pollfd fds[2] = {{fleet->request_fd, POLLIN, 0}, {-1, POLLIN, 0}};
	uint64_t now_ms = monotonic_ms(),
		 until_ms = fleet->commands ? fleet->refresh_ms : fleet->retry_ms, drained;

	if (fleet->subscription)
		fds[1].fd = rg_redis_fd(fleet->subscription);
	if (poll(fds, 2, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) > 0 && fds[0].revents &&
	    read(fleet->request_fd, &drained, sizeof(drained)) < 0)
		return;
}

static void *fleet_thread(void *argument)
{
	struct rg_fleet_redis *fleet = argument;
	struct rg_fleet_request request;
	bool stop = false;

	while (!stop) {
		keep_up(fleet);
		while (take_request(fleet, &request))
			serve(fleet, &request);
		wait_for_work(fleet);
		pthread_mutex_lock(&fleet->mutex);
		stop = fleet->stop;
		pthread_mutex_unlock(&fleet->mutex);
	}
	while (take_request(fleet, &request)) /* a lock that is given back at the end */
		serve(fleet, &request);
	disconnect(fleet);
	return NULL;
}

static int read_key(struct rg_fleet_redis *fleet, struct rg_error *err)
{
	const char *path = fleet->options.key_file;
	int rc;

	if (!path[0])
		return RG_OK;
	rc = rg_member_read_file(AT_FDCWD, path, KEY_BYTES_MAX, &fleet->key, &fleet->key_bytes,
				 err);
	if (!rc && fleet->key_bytes < KEY_BYTES_MIN)
		rc = rg_error_set(err, RG_EINVAL, "%s: a key has at least %d bytes", path,
				  KEY_BYTES_MIN);
	return rc ? rg_error_prefix(err, "redis.key_file") : RG_OK;
}

static int start(struct rg_fleet_redis *fleet, struct rg_error *err)
{
	sigset_t all, before;
	int failed;

	fleet->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fleet->request_fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "eventfd");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	failed = pthread_create(&fleet->thread, NULL, fleet_thread, fleet);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return rg_error_set_errno(err, RG_ENOMEM, failed, "starting a thread for Redis");
	fleet->started = true;
	return RG_OK;
}

int rg_fleet_redis_new(const struct rg_fleet_redis_options *options, struct rg_fleet_redis **out,
		       struct rg_error *err)
{
	struct rg_fleet_redis *fleet = calloc(1, sizeof(*fleet));
	const char *name = options->fleet;
	int rc;

	if (!fleet)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	fleet->options = *options;
	fleet->request_fd = -1;
	fleet->back_off_ms = BACK_OFF_MS;
	pthread_mutex_init(&fleet->mutex, NULL);
	snprintf(fleet->current_key, NAME_BYTES, "riskgate:%s:current", name);
	snprintf(fleet->lock_key, NAME_BYTES, "riskgate:%s:lock", name);
	snprintf(fleet->token_key, NAME_BYTES, "riskgate:%s:token", name);
	snprintf(fleet->archive_prefix, NAME_BYTES, "riskgate:%s:bundle:", name);
	snprintf(fleet->channel, NAME_BYTES, "riskgate:%s:revisions", name);
	rc = read_key(fleet, err);
	if (!rc)
		rc = start(fleet, err);
	if (rc)
		rg_fleet_redis_delete(fleet);
	else
		*out = fleet;
	return rc;
}

void rg_fleet_redis_delete(struct rg_fleet_redis *fleet)
{
	uint64_t one = 1;

	if (!fleet)
		return;
	if (fleet->started) {
		pthread_mutex_lock(&fleet->mutex);
		fleet->stop = true;
		pthread_mutex_unlock(&fleet->mutex);
		if (write(fleet->request_fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(fleet->thread, NULL);
	}
	if (fleet->request_fd >= 0)
		close(fleet->request_fd);
	pthread_mutex_destroy(&fleet->mutex);
	if (fleet->key)
		explicit_bzero(fleet->key, fleet->key_bytes);
	free(fleet->key);
	free(fleet);
}
