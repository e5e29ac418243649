/* SPDX-License-Identifier: Apache-2.0 */
/* The probe points of this very program, which has them from shm/probes.c. */
#include "bpf/usdt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/probes.h"

#if defined(__x86_64__)
#define ARGUMENTS "8@%rdi"
#define NOP	  "\x90"
#elif defined(__aarch64__)
#define ARGUMENTS "8@x0"
#define NOP	  "\x1f\x20\x03\xd5"
#endif

static void read_self(uint64_t offset, void *bytes, size_t count)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert(fd >= 0);
	assert(pread(fd, bytes, count, (off_t)offset) == (ssize_t)count);
	close(fd);
}

/* The place holds a nop, the argument is in the first argument's register, the semaphore is 0 in the
 * file, and no two points share it. */
static void test_points(void)
{
	static const char *const points[] = {"bursts", "publish", "io"};
	uint64_t before = 0;

	rg_probe_publish(1, RG_PUBLISH_TAKEN, 0); /* links the points in */
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct rg_usdt_site site;
		char nop[sizeof(NOP) - 1];
		unsigned short semaphore;
		struct rg_error err;

		assert(!rg_usdt_find("/proc/self/exe", points[i], &site, &err));
		assert(!strcmp(site.arguments, ARGUMENTS));
		read_self(site.offset, nop, sizeof(nop));
		assert(!memcmp(nop, NOP, sizeof(nop)));
		assert(site.semaphore_offset && site.semaphore_offset != before);
		read_self(site.semaphore_offset, &semaphore, sizeof(semaphore));
		assert(semaphore == 0);
		before = site.semaphore_offset;
	}
}

static void test_absent(void)
{
	struct rg_usdt_site site;
	struct rg_error err;

	assert(rg_usdt_find("/proc/self/exe", "burst", &site, &err) == RG_ENOENT);
	assert(rg_usdt_find("/proc/self/exe", "", &site, &err) == RG_ENOENT);
	assert(rg_usdt_find("/proc/self/status", "bursts", &site, &err) == RG_ECORRUPT);
	assert(rg_usdt_find("/nowhere", "bursts", &site, &err) == RG_EIO);
}

/* Nobody is attached: nothing is asked of the clock, and errno is kept. */
static void test_off(void)
{
	errno = 7;
	assert(rg_probe_io_begin() == 0);
	rg_probe_io_end(0, RG_IO_SYNC, "journal", 0, false);
	rg_probe_hit_io(RG_IO_SYNC, "a name that is much too long", 1, 0, false);
	assert(errno == 7);
}

int main(void)
{
	test_points();
	test_absent();
	test_off();
	puts("usdt: ok");
	return 0;
}
