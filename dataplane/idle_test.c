/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle turns one by one, without a device. What needs one with receive interrupts is in
 * tests/network/idle.py.
 */
#include "dataplane/idle.h"

#include <assert.h>
#include <time.h>

#include <urcu/urcu-qsbr.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void turn_until_naps(struct rg_idle *idle)
{
	for (uint64_t i = 1; i <= RG_IDLE_PAUSE_TURNS; i++)
		assert(rg_idle_turn(idle) ==
		       (i <= RG_IDLE_SPIN_TURNS ? RG_IDLE_SPIN : RG_IDLE_PAUSE));
}

static void test_never(void)
{
	struct rg_port port = {.id = 0};
	struct rg_port_queue queue = {&port, 0};
	struct rg_idle idle;

	rg_idle_init(&idle, 0);
	assert(!rg_idle_listen(&idle, &queue, 1)); /* told not to sleep */
	turn_until_naps(&idle);
	for (int i = 0; i < 100000; i++)
		assert(rg_idle_turn(&idle) == RG_IDLE_PAUSE);
}

/* Naps grow to the longest and stay there; a packet begins anew. */
static void test_naps(void)
{
	struct rg_idle idle;
	uint64_t begin;

	rg_idle_init(&idle, 20);
	for (int round = 0; round < 2; round++) {
		turn_until_naps(&idle);
		begin = now_ns();
		for (int i = 0; i < 120; i++)
			assert(rg_idle_turn(&idle) == RG_IDLE_NAP);
		/* 1 + 2 + ... + 20 us, then 100 of 20 us; at least, for the kernel may sleep longer */
		assert(now_ns() - begin >= (20 * 21 / 2 + 100 * 20) * 1000);
		rg_idle_work(&idle);
		assert(rg_idle_turn(&idle) == RG_IDLE_SPIN);
		rg_idle_work(&idle);
	}
}

/* No port, no interrupts: naps are all there is. */
static void test_no_interrupts(void)
{
	struct rg_port port = {.id = UINT16_MAX};
	struct rg_port_queue queue = {&port, 0};
	struct rg_idle idle;

	rg_idle_init(&idle, 1);
	assert(!rg_idle_listen(&idle, &queue, 1) && !rg_idle_listen(&idle, &queue, 0));
	turn_until_naps(&idle);
	for (int i = 0; i < 100; i++)
		assert(rg_idle_turn(&idle) == RG_IDLE_NAP);
	rg_idle_leave(&idle);
}

/* Who sleeps is not waited for by RCU. */
static void test_offline(void)
{
	struct rg_idle idle;

	rg_idle_init(&idle, 1);
	turn_until_naps(&idle);
	assert(rg_idle_turn(&idle) == RG_IDLE_NAP);
	assert(urcu_qsbr_read_ongoing()); /* online again */
}

int main(void)
{
	urcu_qsbr_register_thread();
	test_never();
	test_naps();
	test_no_interrupts();
	test_offline();
	urcu_qsbr_unregister_thread();
	return 0;
}
