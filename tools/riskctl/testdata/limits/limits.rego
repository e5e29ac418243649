# SPDX-License-Identifier: Apache-2.0
# Rules over rows of data. plan.json is made of it, data.json by the test:
#	opa build -t plan -e limits/deny -e limits/score limits.rego
package limits

deny contains limit.reason if {
	some limit in data.reference.limits
	limit.account == input.account_id
	input.amount > limit.max
}

score := sum([limit.score |
	some limit in data.reference.limits
	limit.account == input.account_id
])
