/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/probes.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#define SEMAPHORE(name)                                                                            \
	unsigned short riskgate_##name##_semaphore __attribute__((section(".probes")))
SEMAPHORE(bursts);
SEMAPHORE(publish);
SEMAPHORE(io);

#if defined(__x86_64__)
#define FIRST_ARGUMENT "rdi"
#elif defined(__aarch64__)
#define FIRST_ARGUMENT "x0"
#else
#error "name the register of a function's first argument on this machine"
#endif

/* The first statement makes the compiler store the object before the point is passed; a register
 * variable is guaranteed to be in its register as an operand of a statement, as sdt.h uses it. */
#define HIT(name, object)                                                                          \
	do {                                                                                       \
		__asm__ volatile("" : : "r"(object) : "memory");                                   \
		register const void *argument_ __asm__(FIRST_ARGUMENT) = (object);                 \
		STAP_PROBE1(riskgate, name, argument_);                                            \
	} while (0)

#define POINT __attribute__((noinline, cold))

POINT void rg_probe_hit_bursts(const struct rg_probe_bursts *bursts)
{
	HIT(bursts, bursts);
}

POINT void rg_probe_hit_publish(uint64_t sequence, enum rg_publish_step step, uint64_t duration_ns)
{
	struct rg_probe_publish publish = {
		.sequence = sequence, .duration_ns = duration_ns, .step = step};

	HIT(publish, &publish);
}

POINT void rg_probe_hit_io(enum rg_io_op op, const char *name, uint64_t began_ns, uint64_t amount,
			   bool failed)
{
	int kept = errno;
	struct rg_probe_io io = {.duration_ns = rg_probe_now_ns() - began_ns,
				 .amount = amount,
				 .op = op,
				 .failed = failed};

	strncpy(io.name, name, sizeof(io.name) - 1);
	HIT(io, &io);
	errno = kept;
}

uint64_t rg_probe_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
