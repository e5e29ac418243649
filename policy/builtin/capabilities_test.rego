# SPDX-License-Identifier: Apache-2.0
# OPA takes this with riskgate's capabilities: what it compiles away is there, too.
package capabilities

import rego.v1

# METADATA
# title: refused
deny contains rego.metadata.rule().title if {
	some limit in data.limits
	input.amount > limit
	not startswith(input.merchant, "x")
	print("denied", input.amount)
	[path, value] := walk(input)
	value == path[0]
	every field in object.keys(input) { regex.match(`^[a-z]+$`, field) }
}

seen := time.weekday(time.now_ns())
