/* SPDX-License-Identifier: Apache-2.0 */
#include "config/cores.h"

#include <assert.h>
#include <string.h>

static cpu_set_t cores_0_to(uint32_t count)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (uint32_t i = 0; i < count; i++)
		CPU_SET(i, &set);
	return set;
}

static void expect(const char *setting, uint32_t workers, uint32_t machine, uint32_t main_core,
		   uint32_t first_worker, bool shared)
{
	cpu_set_t set = cores_0_to(machine);
	struct rg_cores cores;
	struct rg_error err;

	assert(rg_cores_choose(setting, workers, &set, &cores, &err) == RG_OK);
	assert(cores.main == main_core);
	assert(cores.worker_count == workers);
	assert(cores.worker[0] == first_worker);
	assert(cores.shared == shared);
}

static void expect_refused(const char *setting, uint32_t workers, uint32_t machine, const char *key,
			   const char *value)
{
	cpu_set_t set = cores_0_to(machine);
	struct rg_cores cores;
	struct rg_error err;

	assert(rg_cores_choose(setting, workers, &set, &cores, &err) == RG_EINVAL);
	assert(strstr(err.text, key));
	assert(strstr(err.text, value));
}

int main(void)
{
	expect("auto", 1, 2, 0, 1, false);
	expect("auto", 1, 1, 0, 0, true);
	expect("auto", 2, 2, 0, 0, true);
	expect("auto", 3, 8, 0, 5, false);
	expect("2,4-7", 4, 8, 2, 4, false);
	expect("2,4-7", 2, 8, 2, 4, false);
	expect("4-7", 4, 8, 0, 4,
	       false); /* as many cores as workers: the main thread goes beside them */
	expect("0-1", 2, 2, 0, 0, true);
	expect("1,0", 1, 2, 1, 0, false);

	expect_refused("auto", 3, 2, "dataplane.workers", "3 workers");
	expect_refused("auto", 0, 2, "dataplane.workers", "0");
	expect_refused("auto", RG_WORKERS_MAX + 1, 200, "dataplane.workers", "1..64");
	expect_refused("4-7", 5, 8, "dataplane.workers", "gives 4");
	expect_refused("0,1,2", 1, 2, "dataplane.cores", "core 2");
	expect_refused("0,0", 1, 2, "dataplane.cores", "twice");
	expect_refused("", 1, 2, "dataplane.cores", "\"\"");
	expect_refused("1,", 1, 2, "dataplane.cores", "list");
	expect_refused("3-1", 1, 8, "dataplane.cores", "list");
	expect_refused("1-", 1, 8, "dataplane.cores", "list");
	expect_refused("one", 1, 8, "dataplane.cores", "list");
	expect_refused("1;2", 1, 8, "dataplane.cores", "list");
	expect_refused("99999999999999999999", 1, 8, "dataplane.cores", "list");
	return 0;
}
