# SPDX-License-Identifier: Apache-2.0
# Rules over rows of data, and rules of another shape, that become rule tables of each kind; a few rows
# and bodies cannot. rows.plan.json is made of it, and of rows.data.json, in which rows have missing and
# unexpected values:
#	opa build -t plan -e rows/deny -e rows/review -e rows/allow -e rows/score -e rows/reasons rows.rego rows.data.json
package rows

import rego.v1

# a set of what rows say
deny contains r.reason if {
	some r in data.limits
	r.country == input.country
	input.amount > r.max
	input.count in r.counts
}

# and of what is made of them
deny contains sprintf("%v over %v", [r.reason, r.max * 2]) if {
	some r in data.limits
	not r.vip == input.vip
	input.limit < r.max
	r.side == input.side
}

# any row
blocked if {
	some i
	data.limits[i].merchant == input.merchant
	input.amount >= data.limits[i].max
	not trusted
}

blocked if {
	input.vip
	input.count == 10
	input.ratio > 0.75
}

blocked if {
	some r in data.limits
	r.merchant == input.merchant
	input.user.age == r.age
}

trusted if input.user.risk_level == "low"

# the first one
action := "hold" if { input.delta > 0; input.vip; input.side != "BUY" } else := "block" if { not input.vip; input.amount > 12345.67; input.vip } else := "block" if { input.count < 100; input.user.age == 83; not input.vip } else := "pass" if { input.amount > -1; input.vip; input.country == "IR" } else := "pass" if { input.user.age == 84; input.vip; input.country == "DE" } else := "pass" if { not input.vip; input.count < 2; input.country == "KP" } else := "pass" if { input.delta > -1; input.amount > 12345.67; input.vip } else := "pass" if { input.side != "SELL"; input.country == "US"; input.count < 10 } else := "hold" if { input.delta > -1; not input.vip; input.amount > 100 } else := "pass" if { not input.vip; input.count < 100; input.amount > 12345.67 } else := "block" if { input.country == "KP"; input.amount > -1; input.side != "BUY" } else := "pass" if { input.side != "BUY"; input.count < 100; input.delta > 100 } else := "pass" if { input.amount > 100; input.count < 5; input.side != "BUY" } else := "hold" if { not input.vip; input.user.age == 79; input.vip } else := "pass" if { input.amount > 12345.67; input.vip; input.delta > 0 } else := "hold" if { input.count < 100; input.side != "BUY"; input.country == "IR" } else := "pass" if { input.user.age == 32; input.delta > 0; not input.vip } else := "pass" if { input.count < 100; input.delta > 0; input.country == "DE" } else := "hold" if { input.vip; input.side != "BUY"; not input.vip } else := "pass" if { input.count < 1; input.delta > 0; input.amount > 0.5 } else := "hold" if { input.side != "SELL"; input.country == "DE"; input.user.age == 4 } else := "pass" if { input.vip; input.count < 1; input.delta > 3 } else := "hold" if { not input.vip; input.amount > 100; input.side != "SELL" } else := "pass" if { not input.vip; input.vip; input.country == "DE" } else := "pass" if { input.side != "BUY"; input.delta > -1; input.count < 100 } else := "hold" if { input.count < 1; input.country == "DE"; not input.vip } else := "block" if { input.amount > -1; input.country == "US"; input.delta > 100 } else := "hold" if { input.amount > 12345.67; input.side != "BUY"; input.country == "IR" } else := "hold" if { input.side != "BUY"; not input.vip; input.user.age == 17 } else := "block" if { input.delta > 100; input.vip; input.country == "KP" } else := "pass" if { input.count < 100; input.vip; not input.vip } else := "pass" if { input.delta > 100; input.user.age == 45; input.count < 100 } else := "block" if { input.user.age == 99; input.vip; input.side != "BUY" } else := "pass" if { input.country == "US"; input.vip; input.count < 5 } else := "block" if { input.vip; input.side != "BUY"; input.delta > 3 } else := "hold" if { not input.vip; input.vip; input.amount > 0.5 } else := "hold" if { input.delta > 3; input.country == "US"; input.vip } else := "pass" if { input.user.age == 92; input.country == "DE"; input.side != "BUY" } else := "pass" if { input.delta > -1; input.country == "DE"; input.side != "BUY" } else := "pass" if { input.count < 5; input.user.age == 62; input.side != "BUY" } else := "block" if { input.amount > 0.5; input.delta > -1; input.side != "SELL" } else := "block" if { input.amount > -1; input.country == "US"; input.user.age == 106 } else := "hold" if { input.count < 100; input.side != "SELL"; input.amount > 12345.67 } else := "pass" if { input.country == "IR"; input.count < 100; input.side != "SELL" } else := "pass" if { input.delta > 100; input.user.age == 117; input.country == "IR" } else := "block" if { input.count < 10; input.country == "KP"; input.user.age == 67 } else := "pass" if { input.side != "BUY"; input.country == "US"; input.vip } else := "block" if { input.side != "SELL"; input.vip; input.user.age == 79 } else := "block" if { input.country == "IR"; input.side != "SELL"; input.user.age == 112 } else := "block" if { input.vip; input.user.age == 81; input.country == "US" } else := "block" if { input.country == "US"; input.user.age == 114; not input.vip } else := "block" if { input.country == "IR"; input.user.age == 33; input.amount > 100 } else := "hold" if { input.vip; input.side != "SELL"; input.delta > -1 } else := "hold" if { input.country == "DE"; input.user.age == 61; not input.vip } else := "hold" if { input.country == "US"; input.vip; input.amount > -1 } else := "pass" if { not input.vip; input.user.age == 41; input.side != "SELL" } else := "pass" if { input.delta > 100; input.country == "DE"; input.vip } else := "block" if { input.vip; input.count < 10; input.delta > -1 } else := "hold" if { input.user.age == 72; input.vip; not input.vip } else := "hold" if { not input.vip; input.user.age == 17; input.vip } else := "block" if { input.count < 1; input.country == "KP"; input.vip } else := "block" if { not input.vip; input.side != "SELL"; input.user.age == 29 } else := "hold" if { input.count < 1; input.delta > 100; input.side != "BUY" } else := "pass" if { not input.vip; input.count < 2; input.delta > 0 } else := "block" if { input.user.age == 35; input.side != "BUY"; not input.vip } else := "block" if { input.delta > 0; input.side != "SELL"; not input.vip } else := "pass" if { input.side != "SELL"; input.country == "IR"; input.delta > 100 } else := "block" if { input.count < 10; not input.vip; input.user.age == 83 } else := "hold" if { input.vip; input.delta > -1; input.amount > 0.5 } else := "hold" if { input.delta > 100; input.country == "KP"; input.user.age == 92 } else := "pass" if { input.count < 100; input.side != "BUY"; input.amount > 12345.67 } else := "block" if { input.vip; input.amount > -1; input.user.age == 26 } else := "hold" if { input.side != "SELL"; input.vip; input.user.age == 58 } else := "hold" if { input.amount > -1; input.vip; input.country == "KP" } else := "hold" if { input.side != "BUY"; input.country == "US"; input.amount > 100 } else := "block" if { input.user.age == 4; input.vip; input.delta > -1 } else := "pass" if { input.amount > 0.5; input.country == "KP"; not input.vip } else := "pass" if { input.delta > 0; input.amount > 100; input.vip } else := "hold" if { input.side != "BUY"; input.delta > 3; input.vip } else := "pass" if { input.user.age == 83; input.side != "SELL"; input.count < 10 } else := "block" if { input.user.age == 72; input.country == "IR"; input.delta > -1 } else := "block" if { input.country == "KP"; input.user.age == 10; input.delta > 3 } else := "pass" if { input.delta > 3; input.side != "SELL"; input.country == "DE" } else := "block" if { input.vip; input.count < 5; input.country == "IR" } else := "block" if { input.country == "IR"; not input.vip; input.side != "SELL" } else := "block" if { input.amount > 0.5; input.side != "SELL"; input.count < 2 } else := "hold" if { input.side != "SELL"; not input.vip; input.delta > -1 } else := "hold" if { input.count < 5; input.vip; not input.vip } else := "pass" if { input.vip; not input.vip; input.amount > 12345.67 } else := "hold" if { input.user.age == 43; input.vip; input.side != "SELL" } else := "pass"

hits contains r.reason if {
	some r in data.limits
	r.age < input.user.age
	r.country == input.country
}

review contains hit if some hit in hits

review contains "blocked" if blocked

review contains "held" if action == "hold"

review contains "many" if count(hits) > 3

allow if action == "pass"

highest := max([r.points | some r in data.limits; r.country == input.country; input.count > r.age])

lowest := min([r.max | some r in data.limits; r.side == input.side; r.age == input.user.age])

reasons contains "high" if highest > 20

reasons contains "low" if lowest < 10

reasons contains {"code": "counted", "at": 7} if {
	count([1 | some r in data.limits; r.country == input.country; input.amount > r.max]) > 5
}

score := sum([r.points | some r in data.limits; r.country == input.country; input.amount <= r.max])
