/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The region: what one riskgate instance's processes share. Two files in one directory, one writer
 * a file:
 *
 *	dataplane   by riskgate-dataplane: header, mailbox reply, publisher, catalogue, counters,
 *	            histograms, error log; then for each worker status, counters, histograms,
 *	            error log, ring
 *	control     by riskgate-control: header, mailbox request, catalogue, counters, histograms,
 *	            error log, a cursor for each ring there could be
 *
 * Each side maps its own file for writing and the peer's read-only; tools map both read-only. The
 * two run as different users of one group: files are 0640, the directory 0750 if it is made here.
 * (Two users that both create files need a directory made for them, group-writable.)
 *
 * WHO STARTS FIRST does not matter. A file that is not there, too short or not published gives
 * RG_EAGAIN with a text; the caller tries again.
 *
 * LIFE OF A FILE. Everything in the header that describes the layout is constant for the life of a
 * file; `generation` names the file: it is the epoch at which it was made. A process that starts
 * and finds a file
 *
 *	of its layout      takes it over: counters go on (from 0 if metrics.def has changed), rings
 *	                   keep what was committed, the mailbox its state; `epoch` is new
 *	of another layout  (version, worker_count, ring_bytes; or a ring that contradicts itself)
 *	                   renames it and makes a new one. dataplane.<epoch> is found, drained
 *	                   and removed by control (rg_region_open_retired); control.<epoch> is of
 *	                   another version and kept for people: records not released come again.
 *	                   A dataplane.<epoch> whose version control does not know is set aside as
 *	                   dataplane.<epoch>.version<N> and kept likewise
 *	unfinished         (its maker died while making it) removes it and makes a new one
 *	that is no region  or of another instance: leaves it alone and fails
 *
 * A file is laid out completely before its magic is published and is never truncated; only
 * rg_region_delete() clears the magic.
 *
 * EPOCH. Unix ns of the owner's start, strictly greater than the one before, also when the clock
 * went back: taken from the file, from the retired ones and from what the peer remembers.
 *
 * ONE PROCESS A ROLE: an open-file-description lock (fcntl F_OFD_SETLK) on the file, held while the
 * process lives. Unlike flock(2) it can be tested without taking it (rg_region_running). A child
 * made by fork() holds it too until it closes or execs.
 *
 * ORDERING.
 * (a) header.object.magic is published last with release; joins acquire it.
 * (b) epoch is stored with release after the new owner's pid and start time; readers acquire it.
 * (c) A generation in a cursor is stored with release after its position (ring.h).
 *
 * MEMORY. Files are allocated (fallocate), mapped and populated before anything is published: no
 * SIGBUS later. A peer that truncates its own file can still raise one: the group that may write is
 * part of what is trusted.
 *
 * Thread-safety: a struct rg_region belongs to the thread that opened it; the objects in it have
 * their own rules.
 */
#ifndef RG_SHM_REGION_H
#define RG_SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/counters.h"
#include "shm/error_log.h"
#include "shm/histogram.h"
#include "shm/mailbox.h"
#include "shm/mapping.h"
#include "shm/object.h"
#include "shm/ring.h"
#include "shm/worker.h"

#define RG_REGION_VERSION	 1
#define RG_REGION_INSTANCE_BYTES 64
#define RG_REGION_PATH_BYTES	 512

enum rg_region_role { RG_REGION_DATAPLANE = 0, RG_REGION_CONTROL, RG_REGION_READER };

/* What a data plane wants its file to be. */
struct rg_region_config {
	uint32_t worker_count; /* 1..RG_WORKERS_MAX */
	uint64_t ring_bytes;   /* of each ring: a power of two from RG_RING_BYTES_MIN on */
	const char *instance;  /* 1..63 characters of [A-Za-z0-9_.-], not starting with '.' */
	uint32_t node;
};

/* First in both files. The first 64 bytes are the same in every version of the layout, for ever:
 * they are what finds a file of another version. */
struct rg_region_header {
	/* Constant while published. parameter: enum rg_region_role of the writer */
	struct rg_object object;
	uint64_t generation; /* epoch at which the file was made */

	/* Written by the owner at its start (pid also at its end), read when the peer and tools
	 * check. */
	_Atomic uint64_t epoch;		/* start of the present owner, unix ns */
	_Atomic uint64_t pid;		/* in its own pid namespace; 0: it left cleanly */
	_Atomic uint64_t start_time_ns; /* unix, as the clock said */
	uint64_t reserved0;
	_Atomic uint32_t node;
	uint32_t reserved3;

	/* Constant while published. */
	uint32_t worker_count; /* control: RG_WORKERS_MAX */
	uint32_t features;     /* RG_REGION_FEATURE_* */
	uint64_t ring_bytes;   /* control: 0 */
	char instance[RG_REGION_INSTANCE_BYTES];
	uint64_t reserved1[13];

	/* One line of the owner's. heartbeat: written a few times a second; peer_epoch: when it
	 * joins the peer. Read by the peer and tools when they check. */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t heartbeat_ns; /* unix */
	_Atomic uint64_t peer_epoch; /* the greatest epoch of the peer that was seen */
	uint64_t reserved2[14];
};
static_assert(offsetof(struct rg_region_header, node) == 64 &&
		      offsetof(struct rg_region_header, heartbeat_ns) == 256 &&
		      sizeof(struct rg_region_header) == 384,
	      "layout of the region's header: raise RG_REGION_VERSION; the first 64 bytes must "
	      "never change");

#define RG_REGION_FEATURE_HUGE_PAGES 1u /* the file is on hugetlbfs */

/* The objects of a file, joined. In the peer's file, and in both for tools, they lie in a read-only
 * mapping: a store is a SIGSEGV. Histograms that the file's writer does not have are NULL. */
struct rg_region_worker {
	struct rg_worker *status;
	struct rg_counters *counters;
	struct rg_histogram *histograms[RG_HISTOGRAMS_MAX];
	struct rg_error_log *errors;
	struct rg_ring *ring;
};
struct rg_region_dataplane {
	struct rg_region_header *header; /* NULL: not joined; then all else is NULL and 0 too */
	struct rg_mailbox_reply *reply;
	struct rg_publisher *publisher;
	struct rg_catalogue *catalogue;
	struct rg_counters *counters; /* the publisher's */
	struct rg_histogram *histograms[RG_HISTOGRAMS_MAX];
	struct rg_error_log *errors; /* of the publisher and the main thread, which are one */
	struct rg_region_worker workers[RG_WORKERS_MAX];
	/* as read once from the header and checked against the mapping */
	uint32_t worker_count;
	uint64_t ring_bytes;
	uint64_t generation;
	struct rg_mapping map;
};
struct rg_region_control {
	struct rg_region_header *header; /* NULL: not joined; then all else is NULL too */
	struct rg_mailbox_request *request;
	struct rg_catalogue *catalogue;
	struct rg_counters *counters;
	struct rg_histogram *histograms[RG_HISTOGRAMS_MAX];
	struct rg_error_log *errors;
	struct rg_ring_cursor *cursors[RG_WORKERS_MAX];
	struct rg_mapping map;
};

struct rg_region; /* one process' view */

/* ---- where and how large ---- */

/* Bytes of the two files. 0: config is out of range (worker_count, ring_bytes). Pure. */
uint64_t rg_region_dataplane_bytes(const struct rg_region_config *config);
uint64_t rg_region_control_bytes(void);
/* Both files and two images of a usual size: what a place for the region must have room for. Pure. */
uint64_t rg_region_needed_bytes(const struct rg_region_config *config);

/* Choose the directory and make it if it is not there. configured: a path, or "auto" (or NULL): the
 * directory in which this instance already has a region, else <hugetlbfs>/riskgate-<instance> on
 * the first mounted hugetlbfs where `needed_bytes` can really be had (tried: create, allocate, map,
 * touch), else /dev/shm/riskgate-<instance>. needed_bytes: both files and two images. May be called
 * by both processes at once: they get the same answer. */
int rg_region_directory(const char *configured, const char *instance, uint64_t needed_bytes,
			char *directory, size_t directory_bytes, struct rg_error *err);

/* ---- open ---- */

/* The data plane: make or take over <directory>/dataplane. now_ns: unix time. RG_ECONFLICT: another
 * process has it, its pid is named; RG_EINVAL; RG_ENOMEM: no room; RG_ECORRUPT: there is a file
 * that is no region (it is left alone); RG_EIO. */
int rg_region_create_dataplane(const char *directory, const struct rg_region_config *config,
			       uint64_t now_ns, struct rg_region **region, struct rg_error *err);
/* Control: make or take over <directory>/control. The same errors. */
int rg_region_create_control(const char *directory, const char *instance, uint32_t node,
			     uint64_t now_ns, struct rg_region **region, struct rg_error *err);
/* Tools: map what is there, read-only. RG_OK even if one or both files are absent (header NULL in
 * the view; why: rg_region_absence). RG_ENOENT: no such directory. */
int rg_region_open_readonly(const char *directory, struct rg_region **region, struct rg_error *err);
/* A reader that stays: map what is another file than before, or was not there. Pointers of the view
 * are other ones then. One stat a file when nothing changed. */
void rg_region_refresh_readonly(struct rg_region *region);
/* A reader's text why a file is not joined; "" if it is. */
const char *rg_region_absence(const struct rg_region *region, enum rg_region_role role);
/* Leave cleanly: the own pid is cleared, the lock given back, everything unmapped. The files stay.
 * NULL is allowed. */
void rg_region_close(struct rg_region *region);
/* Unpublish and unlink the own file, then close. For tests and for riskctl after a stop. */
void rg_region_delete(struct rg_region *region);

/* ---- the peer ---- */

/* Map the peer's file, or map it again when it is another file than before (one stat when nothing
 * changed: may be called at 10 Hz and more). RG_OK: it is joined and current; *changed (may be
 * NULL) tells that it was mapped anew or its epoch is new. RG_EAGAIN: absent, too short, not
 * published; RG_EVERSION: another layout version; RG_ECONFLICT: another instance; RG_ECORRUPT. On
 * failure the peer joined before stays mapped and usable. The data plane's ring producers made with
 * rg_region_producer() get the new cursors by themselves. */
int rg_region_join_control(struct rg_region *region, bool *changed, struct rg_error *err);
int rg_region_join_dataplane(struct rg_region *region, bool *changed, struct rg_error *err);
/* Does a process hold the file of this role? A test of its lock, not of a heartbeat. */
bool rg_region_running(const struct rg_region *region, enum rg_region_role role);

/* ---- what is in it ---- */

const struct rg_region_dataplane *rg_region_dataplane(const struct rg_region *region);
const struct rg_region_control *rg_region_control(const struct rg_region *region);
const char *rg_region_directory_of(const struct rg_region *region);
/* Epoch of a file's present owner; 0: not joined. */
uint64_t rg_region_epoch(const struct rg_region *region, enum rg_region_role role);
uint64_t rg_region_pid(const struct rg_region *region, enum rg_region_role role);
/* The owner of its file says that it lives. Call a few times a second. */
void rg_region_beat(struct rg_region *region, uint64_t now_ns);

/* The data plane: resume producing into the ring of a worker, and have the cursor attached whenever
 * control's file is joined. */
int rg_region_producer(struct rg_region *region, uint32_t worker, struct rg_ring_producer *producer,
		       struct rg_error *err);
/* Control: resume consuming the ring of a worker of the data plane joined last. Call again when
 * rg_region_join_dataplane() says changed. RG_EAGAIN: a retired file has to be drained first, or
 * the cursor is new and the data plane still looks at the one before (it joins control's file in
 * its loop). */
int rg_region_consumer(struct rg_region *region, uint32_t worker, struct rg_ring_consumer *consumer,
		       struct rg_error *err);

/* ---- retired files (control) ---- */

/* A dataplane.<epoch> that a data plane of another layout left behind. Drain each ring with
 * rg_ring_peek() ... rg_ring_release(), then remove it. */
struct rg_region_retired {
	struct rg_region_dataplane dataplane;
	struct rg_ring_consumer consumers[RG_WORKERS_MAX]; /* of dataplane.worker_count rings */
	char path[RG_REGION_PATH_BYTES];
};
/* Open the oldest retired file. RG_ENOENT: there is none. RG_EVERSION: it has a layout this release
 * does not know, and was set aside under another name, so that the present rings can be read; the
 * text names it and the remedy. RG_EAGAIN: it is the one that
 * rg_region_join_dataplane() joined last: its consumers go on draining it until the new file is
 * joined, and are to be given up then. */
int rg_region_open_retired(struct rg_region *region, struct rg_region_retired **retired,
			   struct rg_error *err);
/* Everything is drained and released: unlink the file and close. RG_EAGAIN: something is left in
 * ring text names; then nothing is done. */
int rg_region_remove_retired(struct rg_region_retired *retired, struct rg_error *err);
/* Close without removing. */
void rg_region_close_retired(struct rg_region_retired *retired);

#endif
