/* SPDX-License-Identifier: Apache-2.0 */
#include "config/huge_pages.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char root[] = "/tmp/riskgate-huge-pages-test-XXXXXX";

static void put(const char *size, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, size);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s", root, size, name);
	file = fopen(path, "w");
	assert(file && fputs(text, file) >= 0 && !fclose(file));
}

int main(void)
{
	char command[128];

	assert(mkdtemp(root));
	assert(rg_huge_pages_free_bytes("/nonexistent") == 0);
	assert(rg_huge_pages_free_bytes(root) == 0);
	put("hugepages-2048kB", "free_hugepages", "100\n");
	assert(rg_huge_pages_free_bytes(root) == 100ull << 21); /* nothing promised is said */
	put("hugepages-2048kB", "resv_hugepages", "64\n");
	assert(rg_huge_pages_free_bytes(root) == 36ull << 21);
	put("hugepages-1048576kB", "free_hugepages", "3\n");
	put("hugepages-1048576kB", "resv_hugepages", "1\n");
	assert(rg_huge_pages_free_bytes(root) == (36ull << 21) + (2ull << 30));
	put("hugepages-2048kB", "resv_hugepages", "101\n"); /* read at another moment */
	put("hugepages-1048576kB", "free_hugepages", "junk\n");
	assert(rg_huge_pages_free_bytes(root) == 0);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert(!system(command));
	return 0;
}
