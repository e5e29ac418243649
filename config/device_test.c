/* SPDX-License-Identifier: Apache-2.0 */
#include "config/device.h"

#include <assert.h>
#include <string.h>

static void test_pci_addresses(void)
{
	assert(rg_device_is_pci("0000:01:00.1"));
	assert(rg_device_is_pci("01:00.1"));
	assert(rg_device_is_pci("0000:81:0a.7,representor=0"));
	assert(!rg_device_is_pci("net_tap0"));
	assert(!rg_device_is_pci("01:00"));
	assert(!rg_device_is_pci("01:00.1x"));
	assert(!rg_device_is_pci(""));
}

static void test_names(void)
{
	char name[32];

	assert(rg_device_name("0000:01:00.1,representor=0", name, sizeof(name)));
	assert(!strcmp(name, "0000:01:00.1"));
	assert(rg_device_name("01:00.1", name, sizeof(name)) && !strcmp(name, "0000:01:00.1"));
	assert(rg_device_name("net_tap0,iface=x", name, sizeof(name)) && !strcmp(name, "net_tap0"));
	assert(rg_device_name("net_tap0", name, 9) && !rg_device_name("net_tap0", name, 8));
}

static void test_arguments(void)
{
	const char *device = "net_af_xdp0,ifaces=no,iface=eth1,start_queue=2";
	char value[16];

	assert(rg_device_argument(device, "iface", value, sizeof(value)) && !strcmp(value, "eth1"));
	assert(rg_device_argument(device, "start_queue", value, sizeof(value)) && value[0] == '2');
	assert(!rg_device_argument(device, "queue", value, sizeof(value)));
	assert(!rg_device_argument("iface=eth1", "iface", value, sizeof(value)));
	assert(!rg_device_argument(device, "iface", value, 4));
	assert(rg_device_argument("net_x,iface=", "iface", value, sizeof(value)) && !value[0]);
}

int main(void)
{
	test_pci_addresses();
	test_names();
	test_arguments();
	return 0;
}
