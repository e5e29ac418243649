/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/idle.h"

#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_log.h>
#include <rte_pause.h>

#include <urcu/urcu-qsbr.h>

#define NAP_SHORTEST_NS 1000
#define EVENTS_AT_ONCE	8

void rg_idle_init(struct rg_idle *idle, uint32_t longest_nap_us)
{
	*idle = (struct rg_idle){.longest_nap_ns = (uint64_t)longest_nap_us * 1000, .epoll = -1};
}

bool rg_idle_listen(struct rg_idle *idle, const struct rg_port_queue *queues, uint32_t count)
{
	int rc = 0, level = rte_log_get_level(rte_eth_dev_logtype);

	if (!idle->longest_nap_ns || !count)
		return false;
	idle->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (idle->epoll < 0)
		return false;
	idle->queues = queues;
	idle->queue_count = count;
	/* It is no error that a driver has no interrupts, but DPDK logs one. */
	rte_log_set_level(rte_eth_dev_logtype, RTE_LOG_CRIT);
	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = rte_eth_dev_rx_intr_ctl_q(queues[i].port->id, queues[i].queue, idle->epoll,
					       RTE_INTR_EVENT_ADD, NULL);
	rte_log_set_level(rte_eth_dev_logtype, (uint32_t)level);
	if (rc != 0)
		rg_idle_leave(idle);
	return rc == 0;
}

void rg_idle_leave(struct rg_idle *idle)
{
	if (idle->epoll >= 0)
		close(idle->epoll);
	idle->epoll = -1;
}

/* Some drivers (net_tap) tell of every packet and have nothing to be turned on or off: their
 * -ENOTSUP is no error. */
static void arm(struct rg_idle *idle, bool on)
{
	for (uint32_t i = 0; i < idle->queue_count; i++) {
		const struct rg_port_queue *queue = &idle->queues[i];

		if (on)
			rte_eth_dev_rx_intr_enable(queue->port->id, queue->queue);
		else
			rte_eth_dev_rx_intr_disable(queue->port->id, queue->queue);
	}
	idle->armed = on;
}

void rg_idle_disarm(struct rg_idle *idle)
{
	arm(idle, false);
}

static void nap(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
				.tv_nsec = (long)(ns % 1000000000)};

	urcu_qsbr_thread_offline();
	nanosleep(&time, NULL);
	urcu_qsbr_thread_online();
}

/* Whether an interrupt came. */
static bool sleep_for_packets(const struct rg_idle *idle)
{
	struct rte_epoll_event events[EVENTS_AT_ONCE];
	int count;

	urcu_qsbr_thread_offline();
	count = rte_epoll_wait(idle->epoll, events, EVENTS_AT_ONCE, RG_IDLE_SLEEP_MS);
	urcu_qsbr_thread_online();
	return count > 0;
}

enum rg_idle_state rg_idle_turn(struct rg_idle *idle)
{
	uint64_t wanted_ns;

	idle->turns++;
	if (likely(idle->turns <= RG_IDLE_SPIN_TURNS))
		return RG_IDLE_SPIN;
	if (idle->turns <= RG_IDLE_PAUSE_TURNS || !idle->longest_nap_ns) {
		rte_pause();
		return RG_IDLE_PAUSE;
	}
	wanted_ns = NAP_SHORTEST_NS * (idle->turns - RG_IDLE_PAUSE_TURNS);
	if (wanted_ns <= idle->longest_nap_ns || idle->epoll < 0) {
		nap(RTE_MIN(wanted_ns, idle->longest_nap_ns));
		return RG_IDLE_NAP;
	}
	if (!idle->armed) {
		arm(idle, true);
		return RG_IDLE_ARMED;
	}
	if (sleep_for_packets(idle))
		idle->turns = 0; /* the packet may still be on its way through the driver */
	rg_idle_disarm(idle);
	return RG_IDLE_SLEEP;
}
