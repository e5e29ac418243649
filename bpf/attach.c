/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/attach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "bpf/usdt.h"

#define LINKS_MAX 64
/* enum bpf_attach_type: BPF_TRACE_UPROBE_MULTI, from Linux 6.6 on. Headers may be older. */
#define UPROBE_MULTI 48

#if defined(__x86_64__)
#define POINT_ARGUMENTS "8@%rdi"
#elif defined(__aarch64__)
#define POINT_ARGUMENTS "8@x0"
#endif

static const char *const side_names[RG_SIDE_COUNT] = {"dataplane", "control"};

const struct rg_probe *const rg_probes[] = {&rg_probe_stages,	&rg_probe_jitter,
					    &rg_probe_outliers, &rg_probe_publishes,
					    &rg_probe_journal,	NULL};

struct rg_attached {
	const struct rg_probe *probe;
	char folder[512];
	void *skeleton;
	struct {
		int fd;
		struct bpf_link *link; /* that has the fd; NULL: it is ours */
	} links[LINKS_MAX];
	uint32_t link_count;
};

bool rg_probe_possible(const struct rg_probe *probe, const struct rg_probe_target *target)
{
	uint32_t needed = 0, running = 0;

	for (int side = 0; side < RG_SIDE_COUNT; side++) {
		needed += probe->sides[side];
		running += probe->sides[side] && target->sides[side].pid;
	}
	return probe->any_side ? running : running == needed;
}

/* ---- files ---- */

static void path_of(char *path, size_t bytes, const char *folder, const char *kind,
		    const char *name, const char *side)
{
	snprintf(path, bytes, "%s/%s%s%s%s", folder, kind, name, side ? "_" : "", side ? side : "");
}

static int make_folders(const char *folder, struct rg_error *err)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", folder);
	for (char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		if (slash == path)
			continue;
		*slash = '\0';
		if (mkdir(path, 0750) && errno != EEXIST)
			return rg_error_set_errno(err, RG_EIO, errno, "making %s", path);
		*slash = '/';
	}
	if (mkdir(path, 0750) && errno != EEXIST)
		return rg_error_set_errno(err, RG_EIO, errno, "making %s", path);
	return RG_OK;
}

int rg_probe_unpin(const char *folder, bool maps, struct rg_error *err)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	int rc = RG_OK;

	if (!directory)
		return errno == ENOENT ? RG_OK
				       : rg_error_set_errno(err, RG_EIO, errno, "%s", folder);
	while (!rc && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.' || (!maps && strncmp(entry->d_name, "link_", 5) != 0 &&
						strncmp(entry->d_name, "prog_", 5) != 0))
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) && errno != ENOENT)
			rc = rg_error_set_errno(err, RG_EIO, errno, "removing %s/%s", folder,
						entry->d_name);
	}
	closedir(directory);
	if (!rc && maps)
		rmdir(folder);
	return rc;
}

/* ---- before it is loaded ---- */

/* The name of the tracepoint that the program is for; NULL: it is for none. */
static const char *tracepoint_of(const struct bpf_program *program)
{
	static const char prefix[] = "tp_btf/";
	const char *section = bpf_program__section_name(program);

	return strncmp(section, prefix, sizeof(prefix) - 1) ? NULL : section + sizeof(prefix) - 1;
}

/* Leave out programs for tracepoints that the running kernel has not; the others are for uprobes. */
static int prepare_programs(const struct rg_probe *probe, struct bpf_object *object,
			    uint32_t *skipped, struct rg_error *err)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct bpf_program *program;

	*skipped = 0;
	if (!kernel)
		return rg_error_set_errno(err, RG_EIO, errno,
					  "/sys/kernel/btf/vmlinux: this kernel does not describe "
					  "its types (CONFIG_DEBUG_INFO_BTF), which probes need");
	bpf_object__for_each_program(program, object)
	{
		const char *tracepoint = tracepoint_of(program);
		char name[128];

		if (!tracepoint)
			bpf_program__set_expected_attach_type(program, UPROBE_MULTI);
		snprintf(name, sizeof(name), "btf_trace_%s", tracepoint ? tracepoint : "");
		if (!tracepoint || btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF) >= 0)
			continue;
		rg_log(RG_LOG_WARNING, "probe=%s tracepoint=%s: this kernel has none; left out",
		       probe->name, tracepoint);
		bpf_program__set_autoload(program, false);
		(*skipped)++;
	}
	btf__free(kernel);
	return RG_OK;
}

/* Maps with figures are pinned, and used on where they are pinned already. Those that the compiler
 * made are not, nor those that only serve the programs: scratch_*. */
static int name_maps(struct bpf_object *object, const char *folder, struct rg_error *err)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		char path[512];

		if (bpf_map__is_internal(map) ||
		    !strncmp(bpf_map__name(map), "scratch_", strlen("scratch_")))
			continue;
		path_of(path, sizeof(path), folder, "", bpf_map__name(map), NULL);
		if (bpf_map__set_pin_path(map, path))
			return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	}
	return RG_OK;
}

static int load(const struct rg_probe *probe, struct bpf_object *object, const char *folder,
		struct rg_error *err)
{
	int failed = -bpf_object__load(object);

	if (!failed)
		return RG_OK;
	if (failed == EPERM)
		return rg_error_set_errno(err, RG_EIO, failed,
					  "probe %s: loading it needs CAP_BPF and CAP_PERFMON",
					  probe->name);
	if (failed == EINVAL)
		return rg_error_set_errno(err, RG_EVERSION, failed,
					  "probe %s: it does not load; if %s holds figures of "
					  "another version, forget them with --reset",
					  probe->name, folder);
	return rg_error_set_errno(err, RG_EIO, failed, "probe %s: loading it", probe->name);
}

/* ---- attaching ---- */

/* Pin the link: libbpf's, or with NULL the one of fd. */
static int add_link(struct rg_attached *attached, const struct bpf_program *program,
		    struct bpf_link *link, int fd, const char *folder, const char *side,
		    struct rg_error *err)
{
	char path[512];

	if (link)
		fd = bpf_link__fd(link);
	attached->links[attached->link_count].fd = fd;
	attached->links[attached->link_count++].link = link;
	path_of(path, sizeof(path), folder, "link_", bpf_program__name(program), side);
	if (bpf_obj_pin(fd, path))
		return rg_error_set_errno(err, RG_EIO, errno, "pinning %s", path);
	return RG_OK;
}

static int no_link(const struct rg_attached *attached, const struct bpf_program *program,
		   const char *side, int errnum, struct rg_error *err)
{
	return rg_error_set_errno(err, RG_EIO, errnum, "probe %s: attaching %s%s%s",
				  attached->probe->name, bpf_program__name(program),
				  side ? " in " : "", side ? side : "");
}

struct link_create_uprobe_multi {
	uint32_t program_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, semaphore_offsets, cookies;
	uint32_t count, multi_flags, pid, reserved;
};

/* A uprobe as a link of its own. It needs no more than CAP_PERFMON, where the older way, a perf event,
 * asks for CAP_SYS_ADMIN in some kernels. Its fd, or -1 with errno: EINVAL in a kernel that is older. */
static int link_uprobe(const struct bpf_program *program, int pid, const char *file,
		       const struct rg_usdt_site *site)
{
	struct link_create_uprobe_multi create = {
		.program_fd = (uint32_t)bpf_program__fd(program),
		.attach_type = UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t)file,
		.offsets = (uint64_t)(uintptr_t)&site->offset,
		.semaphore_offsets = (uint64_t)(uintptr_t)&site->semaphore_offset,
		.count = 1,
		.pid = (uint32_t)pid,
	};

	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create));
}

static int attach_to_point(struct rg_attached *attached, struct bpf_program *program, int side,
			   const struct rg_probe_target *target, const char *folder,
			   struct rg_error *err)
{
	const char *file = target->sides[side].program;
	LIBBPF_OPTS(bpf_uprobe_opts, options);
	int pid = target->sides[side].pid, fd;
	struct bpf_link *link = NULL;
	struct rg_usdt_site site;
	int rc = rg_usdt_find(file, attached->probe->point, &site, err);

	if (rc)
		return rc;
	if (strcmp(site.arguments, POINT_ARGUMENTS) != 0)
		return rg_error_set(err, RG_EVERSION,
				    "%s: probe point %s hands over \"%s\" instead of \"%s\": it is "
				    "of another version",
				    file, attached->probe->point, site.arguments, POINT_ARGUMENTS);
	fd = link_uprobe(program, pid, file, &site);
	if (fd < 0 && errno == EINVAL) { /* the older way */
		options.ref_ctr_offset = site.semaphore_offset;
		link = bpf_program__attach_uprobe_opts(program, pid, file, site.offset, &options);
	}
	if (fd < 0 && !link)
		return no_link(attached, program, side_names[side], errno, err);
	return add_link(attached, program, link, fd, folder, side_names[side], err);
}

static int attach_to_tracepoint(struct rg_attached *attached, struct bpf_program *program,
				const char *folder, struct rg_error *err)
{
	struct bpf_link *link = bpf_program__attach(program);

	return link ? add_link(attached, program, link, -1, folder, NULL, err)
		    : no_link(attached, program, NULL, errno, err);
}

static int attach_program(struct rg_attached *attached, struct bpf_program *program,
			  const struct rg_probe_target *target, const char *folder,
			  struct rg_error *err)
{
	char path[512];
	int rc = RG_OK;

	path_of(path, sizeof(path), folder, "prog_", bpf_program__name(program), NULL);
	if (bpf_program__pin(program, path))
		return rg_error_set_errno(err, RG_EIO, errno, "pinning %s", path);
	if (tracepoint_of(program))
		return attach_to_tracepoint(attached, program, folder, err);
	for (int side = 0; !rc && side < RG_SIDE_COUNT; side++) {
		if (attached->probe->sides[side] && target->sides[side].pid)
			rc = attach_to_point(attached, program, side, target, folder, err);
	}
	return rc;
}

/* Readers are of the group; they need no right to write. */
static void let_group_read(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *path = bpf_map__pin_path(map);

		if (path && chmod(path, 0640))
			rg_log(RG_LOG_WARNING, "%s: its mode cannot be set: %s", path,
			       strerror(errno));
	}
}

static int attach_all(struct rg_attached *attached, struct bpf_object *object,
		      const struct rg_probe_target *target, const char *folder,
		      struct rg_error *err)
{
	struct bpf_program *program;
	int rc = RG_OK;

	bpf_object__for_each_program(program, object)
	{
		if (!rc && bpf_program__autoload(program))
			rc = attach_program(attached, program, target, folder, err);
	}
	return rc;
}

int rg_probe_attach(const struct rg_probe *probe, const struct rg_probe_target *target,
		    const char *folder, struct rg_attached **out, uint32_t *skipped,
		    struct rg_error *err)
{
	struct rg_attached *attached = calloc(1, sizeof(*attached));
	struct bpf_object *object = NULL;
	int rc;

	if (!attached)
		return rg_error_set(err, RG_ENOMEM, "no memory");
	attached->probe = probe;
	snprintf(attached->folder, sizeof(attached->folder), "%s", folder);
	attached->skeleton = probe->open(target, &object);
	if (!attached->skeleton)
		rc = rg_error_set_errno(err, RG_EIO, errno, "probe %s: opening it", probe->name);
	else
		rc = prepare_programs(probe, object, skipped, err);
	if (!rc)
		rc = make_folders(folder, err);
	if (!rc)
		rc = rg_probe_unpin(folder, false, err);
	if (!rc)
		rc = name_maps(object, folder, err);
	if (!rc)
		rc = load(probe, object, folder, err);
	if (!rc) {
		let_group_read(object);
		rc = attach_all(attached, object, target, folder, err);
	}
	if (rc) {
		rg_probe_detach(attached);
		return rc;
	}
	*out = attached;
	return RG_OK;
}

void rg_probe_detach(struct rg_attached *attached)
{
	struct rg_error err;

	if (!attached)
		return;
	if (rg_probe_unpin(attached->folder, false, &err))
		rg_log(RG_LOG_WARNING, "probe=%s %s", attached->probe->name, err.text);
	for (uint32_t i = 0; i < attached->link_count; i++) {
		if (attached->links[i].link)
			bpf_link__destroy(attached->links[i].link);
		else
			close(attached->links[i].fd);
	}
	if (attached->skeleton)
		attached->probe->destroy(attached->skeleton);
	free(attached);
}
