/* SPDX-License-Identifier: Apache-2.0 */
#include "config/huge_pages.h"

#include <dirent.h>
#include <stdio.h>

static uint64_t read_pages(const char *folder, const char *size, const char *name)
{
	char path[512];
	unsigned long pages = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, size, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

uint64_t rg_huge_pages_free_bytes(const char *folder)
{
	const char *from = folder ? folder : "/sys/kernel/mm/hugepages";
	DIR *sizes = opendir(from);
	uint64_t bytes = 0;
	struct dirent *entry;

	while (sizes && (entry = readdir(sizes))) {
		uint64_t free_pages, promised;
		unsigned long kib;

		if (sscanf(entry->d_name, "hugepages-%lukB", &kib) != 1)
			continue;
		free_pages = read_pages(from, entry->d_name, "free_hugepages");
		promised = read_pages(from, entry->d_name, "resv_hugepages");
		if (free_pages > promised)
			bytes += (uint64_t)kib * 1024 * (free_pages - promised);
	}
	if (sizes)
		closedir(sizes);
	return bytes;
}
