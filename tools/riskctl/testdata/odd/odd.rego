# Legal, and hardly meant: what policy check warns of.
# plan.json: opa build -t plan -e odd/deny -e odd/allow -e stray/deny .
package odd

default allow := false

allow if input.user.risk_levl == "low"

deny contains "level" if input.user.risk_level == "hihg"

deny contains "finding" if "malwear" in input.risk_analysis

deny contains "below" if input.currency.code == "EUR"

deny contains "off" if {
	data.switches.strict
	input.amount > 10
}

deny contains "limits" if {
	some limit in data.limits
	input.amount > limit
	not exempt
	every code in data.codes {
		code != input.currency
	}
}

deny contains sprintf("amount %v", [input.amount]) if input.amount > 5000

exempt if input.user.segment == "private"
exempt if input.merchant.category == "no_such_category"
