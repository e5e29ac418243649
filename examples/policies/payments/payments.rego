# SPDX-License-Identifier: Apache-2.0

# Card payments, withdrawals and transfers before they are authorised (PaymentAuthorization in
# examples/schema/riskgate.xml). No rule keeps state: each looks at one request and the reference data.
#
#	deny     reasons that deny on their own, or every signal once the score is too high
#	review   every signal of a request whose score wants a second look
#	allow    nothing of both
#	score    the weights of all signals that fired, summed
#	reasons  all that fired
#
# Limits, lists and weights are in data.json. Amounts are compared in the base currency where the request
# has it (amount_base), else as they are. A field that is absent fires no rule that needs it, except the
# currency, which must be on the list.
package payments

import data.reference.payments as reference

default allow := false

allow if {
	count(deny) == 0
	count(review) == 0
}

deny contains reason if some reason in prohibited

deny contains reason if {
	score >= reference.score.deny
	some reason in signals
}

review contains reason if {
	score >= reference.score.review
	some reason in signals
}

score := sum([reference.weights[reason] | some reason in signals])

reasons := prohibited | signals

amount := input.amount_base

amount := input.amount if not input.amount_base

# ---- what is prohibited, whatever else is true ----

prohibited contains "blocked_card" if input.card_token in reference.blocked_tokens.cards

prohibited contains "blocked_device" if input.device.token in reference.blocked_tokens.devices

prohibited contains "blocked_merchant" if input.merchant.id in reference.blocked_tokens.merchants

prohibited contains "blocked_payee" if input.payee.token in reference.blocked_tokens.payees

prohibited contains "blocked_country" if reference.blocked_countries[input.merchant.country]

prohibited contains "blocked_country" if reference.blocked_countries[input.payee.country]

prohibited contains "currency_not_accepted" if not is_currency_accepted

prohibited contains "restricted_mcc" if input.merchant.mcc in reference.restricted_mcc

prohibited contains "amount_above_limit" if amount > reference.limits.absolute

prohibited contains "amount_above_segment_ceiling" if amount > reference.ceilings.segment[input.user.segment]

prohibited contains "under_age" if {
	input.merchant.mcc in reference.adult_mcc
	age_years < 18
}

prohibited contains "malware" if "malware" in input.risk_analysis

prohibited contains "malware" if "malware" in input.device.signals

# Someone talks the payer through it: the payer's device is remote-controlled, or a call is going on and the payee is new.
prohibited contains "guided_transfer" if {
	is_transfer
	amount > reference.limits.transfer_on_call
	"remote_access" in input.device.signals
}

prohibited contains "guided_transfer" if {
	is_transfer
	amount > reference.limits.transfer_on_call
	"on_call" in input.device.signals
	input.payee.age_days < 1
}

prohibited contains "authentication_failed" if input.authentication == "failed"

prohibited contains "night_amount_above_category_ceiling" if {
	is_night
	amount > reference.night.category[input.merchant.category]
}

# ---- what adds to the score ----

signals contains "amount_above_category_ceiling" if amount > reference.ceilings.category[input.merchant.category]

signals contains "amount_above_mcc_ceiling" if {
	some ceiling in reference.ceilings.mcc
	input.merchant.mcc == ceiling.mcc
	amount > ceiling.amount
}

signals contains "amount_above_country_ceiling" if amount > reference.ceilings.merchant_country[input.merchant.country]

signals contains "night_large" if {
	is_night
	amount > reference.limits.night
}

signals contains "high_risk_merchant_country" if reference.high_risk_countries[input.merchant.country]

signals contains "ip_country_mismatch" if {
	input.card.present == false
	input.device.ip_country != input.card.country
	input.device.ip_country != input.user.country
}

signals contains "shipping_country_mismatch" if {
	input.card.present == false
	input.shipping_country != input.billing_country
}

signals contains "far_from_home" if {
	input.card.present == true
	amount > reference.limits.far_from_home
	distance_km_squared > reference.limits.far_from_home_km * reference.limits.far_from_home_km
}

signals contains "new_account_large" if {
	input.user.age_days < reference.limits.new_account_days
	amount > reference.limits.new_account
}

signals contains "new_card_large" if {
	input.card.age_days < reference.limits.new_card_days
	amount > reference.limits.new_account
}

signals contains "new_payee_large" if {
	is_transfer
	input.payee.age_days < 1
	not input.payee.trusted
	not input.payee.own_account
	amount > reference.limits.new_payee
}

signals contains "fresh_login_large" if {
	is_transfer
	input.seconds_since_login < reference.limits.fresh_login_seconds
	amount > reference.limits.fresh_login
}

signals contains "prepaid_or_virtual_large" if {
	is_prepaid_or_virtual
	amount > reference.limits.prepaid
}

signals contains "card_not_present_large" if {
	input.card.present == false
	not is_authenticated
	amount > reference.limits.card_not_present
}

signals contains "magstripe_fallback" if input.card.entry_mode == "fallback"

signals contains "cvv_mismatch" if input.cvv_result == "mismatch"

signals contains "address_mismatch" if input.address_result == "mismatch"

signals contains "pin_tries" if input.pin_tries >= 3

signals contains "round_amount" if {
	input.amount >= reference.limits.round
	floor(input.amount / 100) * 100 == input.amount
}

signals contains "senior_large_remote" if {
	input.card.present == false
	amount > reference.limits.senior
	age_years >= reference.limits.senior_years
}

signals contains "user_high_risk" if input.user.risk_level == "high"

signals contains "user_medium_risk" if input.user.risk_level == "medium"

signals contains "anonymous_connection" if {
	some signal in ["hosting", "proxy", "tor", "vpn"]
	signal in input.device.signals
}

signals contains "unusual_device" if "new_device" in input.device.signals

# Findings of the transaction risk analysis upstream (RTS PSD2 Art. 18(2)(c)). Malware denies: above.
signals contains finding if {
	some finding in input.risk_analysis
	reference.weights[finding]
}

# ---- words the rules use ----

is_currency_accepted if reference.accepted_currencies[input.currency]

is_transfer if input.transaction_type in {"instant_transfer", "transfer"}

is_authenticated if input.authentication in {"challenged", "frictionless"}

is_prepaid_or_virtual if input.card.prepaid

is_prepaid_or_virtual if input.card.virtual

# The night passes midnight: it begins before and ends after.
is_night if minute_of_day >= reference.night.from_minute

is_night if minute_of_day < reference.night.to_minute

# The payer's own clock, or UTC when the sender does not know it.
minute_of_day := input.local_minute

minute_of_day := floor(input.transaction_time_ns / 60000000000) % 1440 if not input.local_minute

# The age that the holder reaches in the year of the transaction; a mean Gregorian year has 31,556,952 s.
age_years := (floor(input.transaction_time_ns / 31556952000000000) + 1970) - floor(input.holder.birth_date / 10000)

# Square of the distance between holder and merchant, on a plane that touches the globe between them. A degree of
# latitude is 111.2 km, one of longitude as much times the cosine of the latitude, taken from its series.
distance_km_squared := (north * north) + (east * east) if {
	north := 111.2 * (input.merchant.latitude - input.holder.latitude)
	radians := ((input.merchant.latitude + input.holder.latitude) / 2) * 0.01745329
	square := radians * radians
	cosine := (1 - (square / 2)) + ((square * square) / 24)
	east := (111.2 * cosine) * shorter_way(abs(input.merchant.longitude - input.holder.longitude))
}

# Across the date line the difference of two longitudes is the long way round.
shorter_way(degrees) := degrees if degrees <= 180

shorter_way(degrees) := 360 - degrees if degrees > 180
