# SPDX-License-Identifier: Apache-2.0
# The same policy in Rego v1, the language of OPA 1.0 and later.
package risk_control

default allow := false

allow if {
	input.amount < 10000
	input.user.risk_level == "low"
}

deny if {
	input.amount > 100000
	input.user.risk_level == "high"
}
