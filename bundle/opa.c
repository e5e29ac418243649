/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/opa.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

#define MESSAGES_BYTES_MAX 16384
#define PATH_TEXT_BYTES	   256
#define ENTRYPOINTS_MAX	   256

/* The rules that give a verdict: what a package stands for as an entrypoint. */
static const char *const verdict_rules[] = {"allow", "deny", "review", "score", "reasons"};

struct entrypoints {
	char paths[ENTRYPOINTS_MAX][PATH_TEXT_BYTES];
	uint32_t count;
};

static int add_entrypoint(struct entrypoints *list, const char *path, struct rg_error *err)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (!strcmp(list->paths[i], path))
			return RG_OK;
	}
	if (list->count == ENTRYPOINTS_MAX || strlen(path) >= PATH_TEXT_BYTES)
		return rg_error_set(err, RG_ELIMIT,
				    "more than %d entrypoints, or one of more than %d bytes: %.64s",
				    ENTRYPOINTS_MAX, PATH_TEXT_BYTES - 1, path);
	strcpy(list->paths[list->count++], path);
	return RG_OK;
}

/* ---- which packages there are ---- */

static bool name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static const char *skip_blank(const char *at)
{
	for (;;) {
		while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
			at++;
		if (*at != '#')
			return at;
		at += strcspn(at, "\n");
	}
}

bool rg_opa_package_of(const char *rego, char *path, size_t path_bytes)
{
	const char *at = rego;
	size_t used = 0;

	if (!strncmp(at, "\xef\xbb\xbf", 3))
		at += 3;
	at = skip_blank(at);
	if (strncmp(at, "package", 7) || name_byte(at[7]))
		return false;
	at = skip_blank(at + 7);
	for (;;) {
		const char *begin = at, *end;

		if (*at == '[' && at[1] == '"') {
			begin = at + 2;
			end = strpbrk(begin, "\"\\/\n");
			if (!end || *end != '"' || end[1] != ']')
				return false;
			at = end + 2;
		} else {
			while (name_byte(*at))
				at++;
			end = at;
		}
		if (end == begin || used + (size_t)(end - begin) + 2 > path_bytes)
			return false;
		if (used)
			path[used++] = '/';
		memcpy(path + used, begin, (size_t)(end - begin));
		used += (size_t)(end - begin);
		path[used] = '\0';
		if (*at == '.')
			at++;
		else if (*at != '[')
			return true;
	}
}

static void dots_to_slashes(const char *package, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s", package);
	for (char *at = path; (at = strchr(at, '.'));)
		*at = '/';
}

static bool is_wanted(const char *path, const struct rg_bundle_options *options)
{
	if (!options->package_count)
		return !options->entrypoint_count; /* nothing said: every package */
	for (uint32_t i = 0; i < options->package_count; i++) {
		char wanted[PATH_TEXT_BYTES];

		dots_to_slashes(options->packages[i], wanted, sizeof(wanted));
		if (!strcmp(wanted, path))
			return true;
	}
	return false;
}

static bool is_test(const char *name)
{
	size_t length = strlen(name);

	return length >= 10 && !strcmp(name + length - 10, "_test.rego");
}

/* The wanted packages that the sources define. */
static int find_packages(const struct rg_member_list *sources, const char *label,
			 const struct rg_bundle_options *options, struct entrypoints *packages,
			 struct rg_error *err)
{
	char defined[512] = "", path[PATH_TEXT_BYTES];

	for (uint32_t i = 0; i < sources->count; i++) {
		const struct rg_member *member = &sources->members[i];
		size_t used = strlen(defined);

		if (member->kind != RG_MEMBER_REGO || is_test(member->name) ||
		    !rg_opa_package_of(member->bytes, path, sizeof(path)))
			continue;
		snprintf(defined + used, sizeof(defined) - used, "%s%s", used ? ", " : "", path);
		if (is_wanted(path, options) && add_entrypoint(packages, path, err))
			return RG_ELIMIT;
	}
	if (!packages->count && !options->entrypoint_count) {
		char wanted[256] = "";

		for (uint32_t i = 0; i < options->package_count; i++) {
			size_t used = strlen(wanted);

			snprintf(wanted + used, sizeof(wanted) - used, "%s%s", used ? ", " : "",
				 options->packages[i]);
		}
		return rg_error_set(err, RG_EINVAL,
				    "%s: none of the packages that requests are bound to (%s) is "
				    "in it; it defines: %s",
				    label, wanted, *defined ? defined : "none");
	}
	return RG_OK;
}

/* ---- the private folder ---- */

static int write_file(int folder, const char *path, const char *bytes, size_t size)
{
	int fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t done = 0;

	if (fd < 0)
		return -1;
	while (done < size) {
		ssize_t n = write(fd, bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int saved = errno;

			close(fd);
			errno = saved;
			return -1;
		}
		done += (size_t)n;
	}
	return close(fd);
}

static int write_member(int folder, const struct rg_member *member)
{
	char path[RG_BUNDLE_NAME_BYTES_MAX + 1];

	snprintf(path, sizeof(path), "%s", member->name);
	for (char *slash = path; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdirat(folder, path, 0700) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return write_file(folder, path, member->bytes, member->size);
}

static int write_sources(const struct rg_member_list *sources, const char *folder,
			 struct rg_error *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = RG_OK;

	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", folder);
	for (uint32_t i = 0; !rc && i < sources->count; i++) {
		const struct rg_member *member = &sources->members[i];

		if (member->kind == RG_MEMBER_SIGNATURES ||
		    (member->kind == RG_MEMBER_REGO && is_test(member->name)))
			continue;
		if (write_member(fd, member))
			rc = rg_error_set_errno(err, RG_EIO, errno, "%s/%s", folder, member->name);
	}
	close(fd);
	return rc;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void remove_folder(const char *folder)
{
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- running ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Collect what the child says until it closes its end or the deadline passes. Returns false on the
 * deadline. */
static bool collect(int fd, int64_t deadline_ms, char *text, size_t bytes)
{
	size_t used = 0;
	char rest[1024];

	text[0] = '\0';
	for (;;) {
		struct pollfd poll_fd = {fd, POLLIN, 0};
		int64_t left = deadline_ms - now_ms();
		bool full = used + 1 >= bytes;
		ssize_t n;

		if (left <= 0 || !poll(&poll_fd, 1, left > 1000000 ? 1000000 : (int)left))
			return false;
		n = read(fd, full ? rest : text + used, full ? sizeof(rest) : bytes - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return true;
		if (!full) {
			used += (size_t)n;
			text[used] = '\0';
		}
	}
}

/* Wait for the child until the deadline, then kill its process group. Returns its wait status, or
 * -1 on the deadline. */
static int reap(pid_t child, bool expired, int64_t deadline_ms)
{
	int status;

	while (!expired) {
		pid_t done = waitpid(child, &status, WNOHANG);

		if (done == child)
			return status;
		if (done < 0 && errno != EINTR)
			return -1;
		expired = now_ms() >= deadline_ms;
		poll(NULL, 0, 2);
	}
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return -1;
}

static int spawn(const char *program, char *const *arguments, const char *folder, int output,
		 pid_t *child)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int rc;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGTERM);
	sigaddset(&defaults, SIGINT);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	posix_spawn_file_actions_adddup2(&actions, output, 2);
	posix_spawn_file_actions_addchdir_np(&actions, folder);
	rc = posix_spawnp(child, program, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return rc;
}

/* A path with a slash is taken from here, not from the folder opa runs in. */
static int absolute_program(const char *program, char *out, size_t bytes, struct rg_error *err)
{
	char here[PATH_TEXT_BYTES * 4];
	int n;

	if (!strchr(program, '/') || program[0] == '/') {
		n = snprintf(out, bytes, "%s", program);
	} else {
		if (!getcwd(here, sizeof(here)))
			return rg_error_set_errno(err, RG_EIO, errno, "working directory");
		n = snprintf(out, bytes, "%s/%s", here, program);
	}
	if (n < 0 || (size_t)n >= bytes)
		return rg_error_set(err, RG_ELIMIT,
				    "the path of the opa program is too long: %.64s...", program);
	return RG_OK;
}

/* Run opa in `folder`; its messages are the error's text. */
static int run(const struct rg_bundle_options *options, char *const *arguments, const char *folder,
	       const char *label, struct rg_error *err)
{
	const char *wanted = options->opa && *options->opa ? options->opa : "opa";
	uint32_t timeout_ms =
		options->build_timeout_ms ? options->build_timeout_ms : RG_BUNDLE_BUILD_TIMEOUT_MS;
	int64_t deadline_ms = now_ms() + timeout_ms;
	char program[PATH_TEXT_BYTES * 8], messages[MESSAGES_BYTES_MAX];
	int pipe_fds[2], rc = absolute_program(wanted, program, sizeof(program), err), status;
	bool closed;
	pid_t child;

	if (rc)
		return rc;
	if (pipe2(pipe_fds, O_CLOEXEC))
		return rg_error_set_errno(err, RG_EIO, errno, "pipe");
	rc = spawn(program, arguments, folder, pipe_fds[1], &child);
	close(pipe_fds[1]);
	if (rc) {
		close(pipe_fds[0]);
		return rg_error_set_errno(
			err, rc == ENOENT ? RG_ENOENT : RG_EIO, rc,
			"%s holds only Rego, and the program \"%s\" to build it cannot be run "
			"(install opa, set "
			"control.opa, or push a bundle made by `opa build -t plan`)",
			label, wanted);
	}
	closed = collect(pipe_fds[0], deadline_ms, messages, sizeof(messages));
	close(pipe_fds[0]);
	status = reap(child, !closed, deadline_ms);
	if (status == -1)
		return rg_error_set(err, RG_EAGAIN, "%s: `%s build` did not finish in %u ms", label,
				    wanted, timeout_ms);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		const char *text = !strncmp(messages, "error: ", 7) ? messages + 7 : messages;
		size_t length = strcspn(text, "") > 900 ? 900 : strlen(text);

		while (length && text[length - 1] == '\n')
			length--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !length)
			return rg_error_set(err, RG_ENOENT, "%s: the program \"%s\" cannot be run",
					    label, wanted);
		return rg_error_set(err, RG_EINVAL, "%s: opa refuses it: %.*s", label, (int)length,
				    text);
	}
	return RG_OK;
}

/* One `opa build -t plan` with these entrypoints; the output's members go to `built`. */
static int build_once(const struct entrypoints *entrypoints,
		      const struct rg_bundle_options *options, const char *source,
		      const char *output, const char *label, struct rg_member_list *built,
		      struct rg_error *err)
{
	const char *arguments[ENTRYPOINTS_MAX * 2 + 16];
	size_t count = 0, size;
	char *bytes;
	int rc;

	arguments[count++] = "opa";
	arguments[count++] = "build";
	arguments[count++] = "--target=plan";
	arguments[count++] = "--bundle";
	arguments[count++] = ".";
	arguments[count++] = "--output";
	arguments[count++] = output;
	if (options->v0)
		arguments[count++] = "--v0-compatible";
	for (uint32_t i = 0; i < entrypoints->count; i++) {
		arguments[count++] = "--entrypoint";
		arguments[count++] = entrypoints->paths[i];
	}
	arguments[count] = NULL;
	rc = run(options, (char *const *)arguments, source, label, err);
	if (rc)
		return rc;
	rc = rg_member_read_file(AT_FDCWD, output, built->limits.total_bytes_max, &bytes, &size,
				 err);
	if (rc)
		return rg_error_prefix(err, "%s: opa's output", label);
	rc = rg_member_list_read_archive(built, label, bytes, size, err);
	free(bytes);
	unlink(output);
	return rc ? rc : rg_member_list_sort(built, err);
}

/* ---- which of the verdict rules a package has ---- */

/* The path array at the reader ("g0", "a", "b", "deny", ...) names a verdict rule of a package:
 * that entrypoint. */
static int take_function_path(struct rg_json_reader *reader, const struct entrypoints *packages,
			      struct entrypoints *entrypoints, struct rg_error *err)
{
	char path[PATH_TEXT_BYTES] = "";
	enum rg_json_token token;
	uint32_t element = 0;
	size_t used = 0;
	bool fits = true;

	while ((token = rg_json_next(reader)) == RG_JSON_STRING) {
		if (element++ == 0)
			continue; /* "g0" */
		if (!fits || used + reader->text_bytes * 3 + 2 > sizeof(path)) {
			fits = false;
			continue;
		}
		if (used)
			path[used++] = '/';
		used += rg_json_decode(reader, path + used);
		path[used] = '\0';
	}
	if (token != RG_JSON_ARRAY_END)
		return rg_error_set(
			err, RG_EINVAL,
			"plan.json of opa: a function's path is not an array of strings");
	for (uint32_t i = 0; fits && i < packages->count; i++) {
		size_t length = strlen(packages->paths[i]);

		if (strncmp(path, packages->paths[i], length) || path[length] != '/')
			continue;
		for (size_t r = 0; r < sizeof(verdict_rules) / sizeof(verdict_rules[0]); r++) {
			const char *rule = verdict_rules[r], *rest = path + length + 1;
			char entrypoint[PATH_TEXT_BYTES];

			if (strncmp(rest, rule, strlen(rule)) ||
			    (rest[strlen(rule)] && rest[strlen(rule)] != '/'))
				continue;
			snprintf(entrypoint, sizeof(entrypoint), "%.*s/%s", (int)length, path,
				 rule);
			if (add_entrypoint(entrypoints, entrypoint, err))
				return RG_ELIMIT;
		}
	}
	return RG_OK;
}

/* Walk plan.json's funcs.funcs[].path. */
static int find_verdict_rules(const struct rg_member *plan, const struct entrypoints *packages,
			      struct entrypoints *entrypoints, struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	bool in_functions = false;
	int rc = RG_OK;

	rg_json_reader_init(&reader, plan->bytes, plan->size);
	while (!rc && (token = rg_json_next(&reader)) != RG_JSON_END) {
		if (token == RG_JSON_ERROR)
			return rg_error_set(err, RG_EINVAL, "plan.json of opa: %s",
					    reader.error.text);
		if (token == RG_JSON_OBJECT_END && reader.depth == 1)
			in_functions = false;
		if (token != RG_JSON_KEY)
			continue;
		if (reader.depth == 1 && rg_json_equals(&reader, "funcs")) {
			in_functions = true;
		} else if (in_functions && reader.depth == 4 && rg_json_equals(&reader, "path")) {
			if (rg_json_next(&reader) == RG_JSON_ARRAY_BEGIN)
				rc = take_function_path(&reader, packages, entrypoints, err);
		}
	}
	return rc;
}

/* The optional packages that the sources define. */
static int add_optional(const struct rg_member_list *sources,
			const struct rg_bundle_options *options, struct entrypoints *entrypoints,
			struct rg_error *err)
{
	char path[PATH_TEXT_BYTES];
	int rc = RG_OK;

	for (uint32_t i = 0; !rc && i < sources->count; i++) {
		const struct rg_member *member = &sources->members[i];

		if (member->kind != RG_MEMBER_REGO || is_test(member->name) ||
		    !rg_opa_package_of(member->bytes, path, sizeof(path)))
			continue;
		for (uint32_t k = 0; !rc && k < options->optional_count; k++)
			if (!strcmp(path, options->optional[k]))
				rc = add_entrypoint(entrypoints, path, err);
	}
	return rc;
}

static int build_in(const char *folder, const struct rg_member_list *sources, const char *label,
		    const struct rg_bundle_options *options, struct rg_member_list *built,
		    struct entrypoints *lists, struct rg_error *err)
{
	struct entrypoints *packages = &lists[0], *entrypoints = &lists[1];
	char source[128], output[128];
	int rc = find_packages(sources, label, options, packages, err);

	snprintf(source, sizeof(source), "%s/source", folder);
	snprintf(output, sizeof(output), "%s/bundle.tar.gz", folder);
	if (!rc && mkdir(source, 0700))
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s", source);
	if (!rc)
		rc = write_sources(sources, source, err);
	for (uint32_t i = 0; !rc && i < options->entrypoint_count; i++)
		rc = add_entrypoint(entrypoints, options->entrypoints[i], err);
	if (!rc && packages->count) {
		struct rg_member_list probe;
		const struct rg_member *plan;

		rg_member_list_init(&probe, &built->limits);
		rc = build_once(packages, options, source, output, label, &probe, err);
		plan = rg_member_list_find(&probe, RG_MEMBER_PLAN);
		if (!rc && plan)
			rc = find_verdict_rules(plan, packages, entrypoints, err);
		rg_member_list_free(&probe);
		if (!rc && !entrypoints->count && !options->package_count)
			*entrypoints = *packages; /* nothing was asked for and it is not about
						    verdicts: whole packages */
		if (!rc && !entrypoints->count)
			rc = rg_error_set(err, RG_EINVAL,
					  "%s: its packages define none of allow, deny, review, "
					  "score and reasons",
					  label);
	}
	if (!rc)
		rc = add_optional(sources, options, entrypoints, err);
	return rc ? rc : build_once(entrypoints, options, source, output, label, built, err);
}

int rg_opa_build(const struct rg_member_list *sources, const char *label,
		 const struct rg_bundle_options *options, struct rg_member_list *built,
		 struct rg_error *err)
{
	const char *temporary = getenv("TMPDIR");
	struct entrypoints *lists = calloc(2, sizeof(*lists));
	char folder[100];
	int rc;

	if (!lists)
		return rg_error_set(err, RG_ENOMEM, "%s: out of memory", label);
	if (!temporary || temporary[0] != '/' || strlen(temporary) > 60)
		temporary = "/tmp";
	snprintf(folder, sizeof(folder), "%s/riskgate-build-XXXXXX", temporary);
	if (!mkdtemp(folder)) {
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s", folder);
	} else {
		rc = build_in(folder, sources, label, options, built, lists, err);
		remove_folder(folder);
	}
	free(lists);
	return rc;
}
