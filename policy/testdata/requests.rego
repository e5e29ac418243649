# SPDX-License-Identifier: Apache-2.0
# Every kind of field in every kind of comparison, for the differential test of decisions: compiled for
# the request and run on the same request as JSON, both must agree. requests.plan.json is made of it:
#	opa build -t plan -e requests/deny -e requests/review -e requests/allow -e requests/score -e requests/reasons requests.rego requests.data.json
package requests

import rego.v1

high_countries := {"KP", "IR"}

levels := ["low", "medium"]

over(limit) if input.amount > limit

tier := t if {
	t := data.accounts[input.account].tier
} else := "silver" if {
	input.vip
} else := "none"

trusted if input.account in data.trusted

trusted if input.merchant == "ACME"

# numbers
deny contains "amount_exact" if input.amount == 12345.67
deny contains "amount_fraction" if input.amount > 99999.995
deny contains "amount_spelled" if input.amount == 1.50e2
deny contains "negative" if input.delta < -1
deny contains "delta_between" if {
	input.delta >= -0.5
	input.delta <= 0.5
}
deny contains "count_out_of_range" if input.count > 4294967295.5
deny contains "big" if input.big > 9223372036854775807
deny contains "big_equal" if input.big == 18446744073709551615
deny contains "over_limit" if input.amount > input.limit
deny contains "over_count" if input.amount > input.count
deny contains "price" if input.price == 1.25
deny contains "price_high" if input.price > input.amount
deny contains "ratio" if input.ratio >= 0.75
deny contains "not_equal" if input.count != 7
deny contains "twice" if over(data.limits.twice * 2)

# strings, enums, booleans, sets
deny contains "country" if input.country in high_countries
deny contains "country_not" if {
	not input.country in high_countries
	input.country > "US"
}
deny contains "merchant" if input.merchant == "ACME"
deny contains "merchant_prefix" if startswith(input.merchant, "BAD")
deny contains "merchant_long" if input.merchant != "this is longer than the field"
deny contains "empty" if input.account == ""
deny contains "level" if input.user.risk_level == "high"
deny contains "level_listed" if input.user.risk_level in levels
deny contains "level_unknown" if input.user.risk_level == "extreme"
deny contains "level_order" if input.user.risk_level < "low"
deny contains "side" if input.side == "SELL"
deny contains "wide" if input.wide == "MANY"
deny contains "vip" if input.vip
deny contains "not_vip" if input.vip == false
deny contains "flag" if "online" in input.flags
deny contains "no_flag" if not "chip" in input.flags
deny contains "other_type" if input.amount == "12345.67"
deny contains "type_order" if input.amount < input.merchant
deny contains "unknown_field" if input.nothing == 1
deny contains "same" if input.count == input.count

# what needs input as a value
deny contains "has_age" if object.get(input.user, "age", 0) > 17
deny contains "keys" if count(input) == 3
deny contains name if {
	some name, value in input.user
	value == 99
}
deny contains sprintf("tier_%v", [tier]) if tier != "none"
deny contains "every_flag" if every flag in input.flags { flag != "chip" }
deny contains "overridden" if trusted with input.account as "A1"
deny contains "overridden_data" if trusted with data.trusted as ["Z9"]
deny contains "age_not" if not input.user.age > 20

review contains {"code": "velocity", "amount": input.amount} if input.count > 100
review contains {"id": "listed", "n": n} if {
	some n, account in data.trusted
	account == input.account
}
review contains "trusted" if trusted

default allow := false

allow if {
	count(deny) < 12
	trusted
}

score := sum([w | some w in weights])

weights contains 10.25 if input.amount > 1000
weights contains 20 if input.vip
weights contains input.count if input.count < 50

reasons contains "seen"
reasons contains {"reason": "side_known"} if input.side
reasons contains concat("_", ["level", input.user.risk_level])
