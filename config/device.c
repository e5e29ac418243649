/* SPDX-License-Identifier: Apache-2.0 */
#include "config/device.h"

#include <stdio.h>
#include <string.h>

bool rg_device_is_pci(const char *device)
{
	unsigned domain, bus, slot, function;
	int used = -1;

	if (sscanf(device, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &used) == 4 &&
	    used > 0 && (device[used] == '\0' || device[used] == ','))
		return true;
	used = -1;
	return sscanf(device, "%x:%x.%x%n", &bus, &slot, &function, &used) == 3 && used > 0 &&
	       (device[used] == '\0' || device[used] == ',');
}

bool rg_device_name(const char *device, char *out, size_t bytes)
{
	bool short_pci = rg_device_is_pci(device) && strchr(device, ':') == strrchr(device, ':');
	int length = snprintf(out, bytes, "%s%.*s", short_pci ? "0000:" : "",
			      (int)strcspn(device, ","), device);

	return length >= 0 && (size_t)length < bytes;
}

bool rg_device_argument(const char *device, const char *key, char *out, size_t bytes)
{
	size_t key_bytes = strlen(key);

	for (const char *at = strchr(device, ','); at; at = strchr(at, ',')) {
		int length;

		at++;
		if (strncmp(at, key, key_bytes) != 0 || at[key_bytes] != '=')
			continue;
		at += key_bytes + 1;
		length = snprintf(out, bytes, "%.*s", (int)strcspn(at, ","), at);
		return length >= 0 && (size_t)length < bytes;
	}
	return false;
}
