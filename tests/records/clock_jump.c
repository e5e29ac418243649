/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be preloaded (LD_PRELOAD): moves the wall clock of one program by the seconds, an int64, that are
 * in the file RISKGATE_CLOCK_FILE at the time; the monotonic clock stays. libfaketime cannot be used
 * here: its start needs malloc, which is jemalloc, which asks for the time.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Written by the test, one store; any value of it is a time of day. */
static _Atomic int64_t *offset_s;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("RISKGATE_CLOCK_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at =
		fd >= 0 ? mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED)
		abort(); /* a test that moved nothing would prove nothing */
	offset_s = at;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	long rc = syscall(SYS_clock_gettime, clock, now);

	if (!rc && offset_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset_s;
	return (int)rc;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (at)
		*at = now.tv_sec;
	return now.tv_sec;
}
