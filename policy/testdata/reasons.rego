# Strings that can become reasons, and strings that cannot, for the test of the reason list:
#	opa build -t plan -e reasons/deny -e reasons/review -e reasons/reasons reasons.rego reasons.data.json
package reasons

deny contains {"code": "object_code", "message": "no reason: a message"} if input.amount > 1

deny contains reason if {
	some reason in data.names
	input.amount > 2
}

deny contains table[input.user.risk_level] if input.amount > 3

table := {"low": "from_table_low", "high": "from_table_high"}

review[code] := "no reason: a value" if {
	some code in ["key_1", "key_2"]
	input.count > 1
}

reasons contains handed_on("handed_on") if input.vip

handed_on(text) := text

reasons contains sprintf("no reason: made_%v", [input.count])

reasons contains "plain" if input.merchant == "no reason: compared"

reasons contains chosen if {
	chosen := first
	input.count == 3
}

first := "first" if {
	input.amount > 4
} else := "else"
