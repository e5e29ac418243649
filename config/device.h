/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device strings of riskgate.yaml (dataplane.ports[].device): a PCI address or a DPDK virtual
 * device, each with arguments behind commas.
 *
 * Thread-safety: pure.
 */
#ifndef RG_CONFIG_DEVICE_H
#define RG_CONFIG_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/* Is this device string a PCI address ("0000:01:00.1", "01:00.1", with or without ",arguments")? */
bool rg_device_is_pci(const char *device);

/* DPDK's name of the device into out[bytes]: the string without its arguments, a PCI address with
 * its domain. False: it is too long. */
bool rg_device_name(const char *device, char *out, size_t bytes);

/* The value of an argument, "eth1" of iface in "net_af_xdp0,iface=eth1", into out[bytes]. False: it
 * is not there, or too long. */
bool rg_device_argument(const char *device, const char *key, char *out, size_t bytes);

#endif
