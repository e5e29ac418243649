# Rules that are typed but for a condition here and there, and reasons with parts of the request: bodies.plan.json is made of
# it:
#	opa build -t plan -e bodies/deny -e bodies/review -e bodies/allow -e bodies/score bodies.rego
package bodies

import rego.v1

deny contains {"code": "LIMIT", "message": sprintf("%v over %d", [input.amount, 100])} if input.amount > 100

deny contains {"code": "LIMIT", "message": sprintf("%v over %d", [input.amount, 10000])} if input.amount > 10000

deny contains msg if {
	input.count > 7
	msg := sprintf("count %d of %s", [input.count, input.country])
}

# Two conditions that the rules are asked for together, after that on the amount.
deny contains "odd" if {
	startswith(input.merchant, "A")
	upper(input.account) == "B2"
	input.amount > 7
}

# Only if nothing was denied.
review contains "merchant" if endswith(input.merchant, "P")

review contains note("age", input.user.age) if input.user.age > 101

note(what, x) := sprintf("%s %d", [what, x]) if x != 120

allow if {
	count(deny) == 0
	not contains(input.country, "K")
}

# Left to the rules as a whole.
score := count(input.country)
