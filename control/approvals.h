/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four eyes: a push that waits until a second identity approves it.
 *
 *	             policy.approve             published under a new sequence
 *	 WAITING ───────────────────► (a push) ───────────────────────────────► gone
 *	    │ policy.reject, or four_eyes.expire_s have passed
 *	    └────────────────────────────────────────────────────────────────► gone
 *
 * What waits is in the policy store, built and checked but without an image, so that it survives
 * any restart and nothing can publish it by mistake. An identity is
 *
 *   - with four_eyes.approvers: the holder of a key, who signs digest and sequence (bundle/approval.h).
 *     Through whose connection the signature comes does not matter. The key's `user` must not be the one
 *     who pushed;
 *   - without: the user at the other end of the socket, as the kernel tells, who must not be the one who
 *     pushed. The superuser can be anybody; who must not trust him configures keys.
 *
 * Anybody who may use the socket may reject, the pusher too: not to publish is always safe.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_APPROVALS_H
#define RG_CONTROL_APPROVALS_H

struct rg_control;

/* Take out what nobody approved in time. Looks once a second. */
void rg_approvals_expire(struct rg_control *control);

#endif
