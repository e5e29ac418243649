# Rows that one rule finds and another goes over: the conditions of both become those of one rule table. views.plan.json and
# views.data.json are made of it and of 300 rows:
#	opa build -t plan -e views/deny -e views/review -e views/allow -e views/score views.rego views.data.json
package views

import rego.v1

matching := [r | some r in data.limits; r.account == input.account]

deny contains r.reason if {
	some r in matching
	input.amount > r.max
}

maxima[r.reason] := r.max if {
	some r in data.limits
	r.account == input.account
}

review contains "large" if input.amount + 7 > maxima.R003

review contains name if {
	some name, most in maxima
	input.count > most
}

by_country[r.country] := r.reason if {
	some r in data.countries
	input.count > r.least
}

review contains by_country[input.country]

allow if count(matching) > 40

score := sum([r.max | some r in matching; r.max > 100])
