# SPDX-License-Identifier: Apache-2.0
# Rules over rows of data by what is made of fields. plan.json is made of it, data.json by the test:
#	opa build -t plan -e networks/deny networks.rego
package networks

deny contains row.reason if {
	some row in data.reference.networks
	net.cidr_contains(row.cidr, input.merchant.name)
	startswith(input.merchant.category, row.prefix)
	time.clock([input.transaction_time_ns, "Europe/Berlin"])[0] >= row.from
	input.merchant.mcc % 100 == row.part
}
