# SPDX-License-Identifier: Apache-2.0
# What is made of a field before it is compared: its place among prefixes, texts and networks, the time of
# day and the day of the week; in rules over rows of data, some of which have unexpected values, and in rules of
# one body. derived.plan.json is made of it, and of derived.data.json:
#	opa build -t plan -e derived/deny -e derived/review -e derived/allow -e derived/score -e derived/reasons derived.rego derived.data.json
package derived

import rego.v1

# networks
deny contains r.reason if {
	some r in data.networks
	net.cidr_contains(r.cidr, input.merchant)
	input.amount > r.max
}

reasons contains r.reason if {
	some r in data.networks
	not net.cidr_contains(r.cidr, input.merchant)
	input.delta == r.max
}

deny contains "private" if net.cidr_contains("10.0.0.0/8", input.merchant)

deny contains "no_address" if not net.cidr_contains("0.0.0.0/0", input.merchant)

inside := net.cidr_contains("10.1.0.0/16", input.merchant)

deny contains "inside" if inside

deny contains "outside" if inside == false

# prefixes and the order of texts
listed if {
	some p in data.prefixes
	startswith(input.merchant, p.prefix)
	input.account >= p.above
}

review contains "listed" if listed

review contains "not_bad" if not startswith(input.merchant, "BAD")

review contains "below" if input.merchant < "ACMEACMEA"

review contains "above" if input.merchant > "ACME"

review contains "until" if input.merchant <= "10.1.2."

review contains "account" if startswith(input.account, "A")

review contains "any" if strings.any_prefix_match(input.merchant, [p.prefix | some p in data.prefixes; is_string(p.prefix); count(p.prefix) > 2])

review contains "any_of_two" if strings.any_prefix_match(input.account, ["A", "B2", "this is longer than the field"])

review contains "long" if startswith(input.account, "A1234")

review contains "side" if startswith(input.side, "S")

review contains "level" if upper(input.user.risk_level) == "HIGH"

review contains "ordered" if input.user.risk_level >= "low"

score := sum([p.points | some p in data.prefixes; startswith(input.merchant, p.prefix); input.country > p.above])

# times
hour := time.clock([input.big, "Europe/Berlin"])[0]

reasons contains r.reason if {
	some r in data.hours
	time.clock(input.big)[0] >= r.from
	time.clock(input.big)[0] < r.to
	time.weekday([input.big, "America/New_York"]) == r.day
}

reasons contains sprintf("S%d", [r.second]) if {
	some r in data.hours
	[_, _, second] := time.clock([input.big, "UTC"])
	second == r.second
	input.vip
}

reasons contains "night" if hour >= 22

reasons contains "morning" if hour < 6

reasons contains "weekend" if time.weekday(input.big) in {"Saturday", "Sunday"}

reasons contains "late" if time.now_ns() - input.count > -2

reasons contains "divided" if floor(input.big / 3600000000000) % 24 >= 22

reasons contains "quarter" if (input.count % 60) / 15 >= 2

reasons contains "third" if input.delta / 3 <= -0.5

reasons contains "part" if floor(input.delta / 7) == -1

allow if not startswith(input.country, "K")
