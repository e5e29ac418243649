# SPDX-License-Identifier: Apache-2.0
package payments.test

import data.payments

# A purchase that nothing is wrong with; each test changes what it is about.
usual := {
	"request_id": 1,
	"transaction_time_ns": 1767268800000000000, # 2026-01-01 12:00:00 UTC
	"local_minute": 720,
	"amount": 25.5,
	"currency": "EUR",
	"account_id": 11,
	"card_token": 22,
	"transaction_type": "purchase",
	"channel": "pos",
	"user": {"age_days": 900, "country": "DE", "risk_level": "low", "segment": "retail"},
	"merchant": {
		"id": 33, "mcc": 5411, "country": "DE", "category": "grocery_pos",
		"latitude": 52.52, "longitude": 13.405,
	},
	"holder": {"latitude": 52.4, "longitude": 13.06, "birth_date": 19820616, "country": "DE"},
	"card": {"present": true, "country": "DE", "entry_mode": "chip", "age_days": 400},
	"device": {"signals": []},
	"risk_analysis": [],
}

remote := {"card": {"present": false, "entry_mode": "ecommerce"}, "channel": "ecommerce", "merchant": {"category": null}}

transfer := {"transaction_type": "instant_transfer", "merchant": null, "payee": {"token": 44, "age_days": 0}}

changed(change) := object.union(usual, change)

reasons(change) := fired if {
	fired := payments.reasons with input as changed(change)
}

denied(change) if {
	count(payments.deny) > 0 with input as changed(change)
}

reviewed(change) if {
	not denied(change)
	count(payments.review) > 0 with input as changed(change)
}

allowed(change) if {
	payments.allow with input as changed(change)
}

test_a_usual_purchase_is_allowed if {
	allowed({})
	reasons({}) == set()
	payments.score == 0 with input as usual
}

test_an_empty_request_is_denied_for_its_currency if {
	payments.deny == {"currency_not_accepted"} with input as {}
	not payments.allow with input as {}
}

# ---- prohibited ----

test_blocked_tokens if {
	reasons({"card_token": 4000000000000002}) == {"blocked_card"}
	reasons({"card_token": 17446744073709551557}) == {"blocked_card"}
	reasons({"card_token": 17446744073709551558}) == set()
	reasons({"device": {"token": 7700000000000001}}) == {"blocked_device"}
	reasons({"merchant": {"id": 5500000000000005}}) == {"blocked_merchant"}
	reasons({"payee": {"token": 6600000000000006}}) == {"blocked_payee"}
	denied({"card_token": 4000000000000002})
}

test_blocked_countries if {
	reasons({"merchant": {"country": "KP"}}) == {"blocked_country"}
	reasons({"payee": {"country": "SY"}}) == {"blocked_country"}
}

test_currency_list if {
	reasons({"currency": "XAU"}) == {"currency_not_accepted"}
	denied({"currency": "XAU"})
}

test_restricted_mcc if reasons({"merchant": {"mcc": 7995}}) == {"restricted_mcc"}

test_absolute_limit_and_segment_ceiling if {
	corporate := {"user": {"segment": "corporate"}, "merchant": {"category": null}}
	reasons(object.union(corporate, {"amount": 1000000.0})) == {"round_amount"}
	reasons(object.union(corporate, {"amount": 1000000.01})) == {"amount_above_limit", "amount_above_segment_ceiling"}
	reasons({"amount": 10000.01, "merchant": {"category": null}}) == {"amount_above_segment_ceiling"}
}

test_the_base_amount_counts_where_there_is_one if {
	yen := {"amount": 2600000, "currency": "JPY", "merchant": {"category": null}}
	"amount_above_limit" in reasons(yen)
	reasons(object.union(yen, {"amount_base": 14300.11})) == {"amount_above_segment_ceiling", "round_amount"}
}

test_under_age if {
	reasons({"merchant": {"mcc": 5921}, "holder": {"birth_date": 20100101}}) == {"under_age"}
	reasons({"merchant": {"mcc": 5921}, "holder": {"birth_date": 20080101}}) == set()
	reasons({"holder": {"birth_date": 20100101}}) == set()
}

test_malware if {
	reasons({"risk_analysis": ["malware"]}) == {"malware"}
	reasons({"device": {"signals": ["malware"]}}) == {"malware"}
}

test_guided_transfer if {
	"guided_transfer" in reasons(object.union(transfer, {"amount": 100.01, "device": {"signals": ["remote_access"]}}))
	"guided_transfer" in reasons(object.union(transfer, {"amount": 100.01, "device": {"signals": ["on_call"]}}))
	not "guided_transfer" in reasons(object.union(transfer, {"amount": 100, "device": {"signals": ["on_call"]}}))
	not "guided_transfer" in reasons({"amount": 200, "device": {"signals": ["remote_access"]}})
}

test_failed_authentication if denied({"authentication": "failed"})

test_night_ceiling_of_the_category if {
	reasons({"local_minute": 1320, "amount": 250.01}) == {"night_amount_above_category_ceiling"}
	reasons({"local_minute": 239, "amount": 250.01}) == {"night_amount_above_category_ceiling"}
	reasons({"local_minute": 1319, "amount": 250.01}) == set()
	reasons({"local_minute": 240, "amount": 250.01}) == set()
	reasons({"local_minute": 0, "amount": 250}) == set()
}

test_night_in_utc_when_the_local_time_is_unknown if {
	late := object.union(object.remove(usual, ["local_minute"]), {
		"amount": 250.01,
		"transaction_time_ns": 1767308400000000000, # 23:00:00 UTC
	})
	payments.reasons == {"night_amount_above_category_ceiling"} with input as late
}

# ---- signals ----

test_ceilings if {
	reasons({"amount": 270.01}) == {"amount_above_category_ceiling"}
	reviewed({"amount": 270.01})
	reasons({"amount": 270}) == set()
	reasons({"amount": 1000.01, "merchant": {"category": null, "mcc": 6011}}) == {"amount_above_mcc_ceiling"}
	reasons({"amount": 1500.01, "merchant": {"category": null, "country": "TR"}}) == {"amount_above_country_ceiling"}
}

test_night_large if {
	reasons({"local_minute": 60, "amount": 300.01, "merchant": {"category": null}}) == {"night_large"}
	reviewed({"local_minute": 60, "amount": 300.01, "merchant": {"category": null}})
}

test_high_risk_merchant_country if reasons({"merchant": {"country": "SO"}}) == {"high_risk_merchant_country"}

test_country_mismatches if {
	reasons(object.union(remote, {"device": {"ip_country": "BR"}})) == {"ip_country_mismatch"}
	reasons(object.union(remote, {"device": {"ip_country": "DE"}})) == set()
	reasons({"device": {"ip_country": "BR"}}) == set()
	reasons(object.union(remote, {"shipping_country": "BR", "billing_country": "DE"})) == {"shipping_country_mismatch"}
}

test_far_from_home if {
	madrid := {"merchant": {"category": null, "latitude": 40.4168, "longitude": -3.7038}}
	reasons(object.union(madrid, {"amount": 501.5})) == {"far_from_home"}
	reasons(object.union(madrid, {"amount": 500})) == {"round_amount"}
	reasons({"amount": 501.5, "merchant": {"category": null, "latitude": 48.1372, "longitude": 11.5755}}) == set()
}

# Madrid to Potsdam is 1,850 km on the globe; the plane is good to a few percent at such distances.
test_distance if {
	request := changed({"merchant": {"latitude": 40.4168, "longitude": -3.7038}})
	square := payments.distance_km_squared with input as request
	square > 1800 * 1800
	square < 1900 * 1900
}

test_distance_across_the_date_line if {
	request := changed({
		"merchant": {"latitude": -17, "longitude": 179.5},
		"holder": {"latitude": -17, "longitude": -179.5},
	})
	square := payments.distance_km_squared with input as request
	square > 100 * 100
	square < 112 * 112
}

test_new_account_card_and_payee if {
	reasons({"amount": 501.5, "merchant": {"category": null}, "user": {"age_days": 6}}) == {"new_account_large"}
	reasons({"amount": 501.5, "merchant": {"category": null}, "user": {"age_days": 7}}) == set()
	reasons({"amount": 501.5, "merchant": {"category": null}, "card": {"age_days": 2}}) == {"new_card_large"}
	reasons(object.union(transfer, {"amount": 1000.5})) == {"new_payee_large"}
	reasons(object.union(transfer, {"amount": 1000.5, "payee": {"token": 44, "age_days": 0, "trusted": true}})) == set()
	reasons(object.union(transfer, {"amount": 1000.5, "payee": {"token": 44, "age_days": 3}})) == set()
}

test_fresh_login if {
	known := object.union(transfer, {"payee": {"age_days": 300}, "amount": 1000.5})
	reasons(object.union(known, {"seconds_since_login": 29})) == {"fresh_login_large"}
	reasons(object.union(known, {"seconds_since_login": 30})) == set()
}

test_prepaid_and_virtual_cards if {
	reasons({"amount": 250.5, "card": {"prepaid": true}}) == {"prepaid_or_virtual_large"}
	reasons({"amount": 250.5, "card": {"virtual": true}}) == {"prepaid_or_virtual_large"}
	reasons({"amount": 250.5, "card": {"virtual": false, "prepaid": false}}) == set()
}

test_card_not_present if {
	large := object.union(remote, {"amount": 1000.5})
	reasons(large) == {"card_not_present_large"}
	reasons(object.union(large, {"authentication": "none"})) == {"card_not_present_large"}
	reasons(object.union(large, {"authentication": "challenged"})) == set()
	reasons({"amount": 1000.5, "merchant": {"category": null}}) == set()
}

test_checks_of_card_address_and_pin if {
	reasons({"card": {"entry_mode": "fallback"}}) == {"magstripe_fallback"}
	reasons({"cvv_result": "mismatch"}) == {"cvv_mismatch"}
	reasons({"address_result": "mismatch"}) == {"address_mismatch"}
	reasons({"pin_tries": 3}) == {"pin_tries"}
	reasons({"pin_tries": 2}) == set()
}

test_round_amount if {
	reasons({"amount": 600, "merchant": {"category": null}}) == {"round_amount"}
	reasons({"amount": 650, "merchant": {"category": null}}) == set()
	reasons({"amount": 400, "merchant": {"category": null}}) == set()
}

test_senior if {
	large := object.union(remote, {"amount": 1000.5, "authentication": "challenged"})
	reasons(object.union(large, {"holder": {"birth_date": 19500616}})) == {"senior_large_remote"}
	reasons(object.union(large, {"holder": {"birth_date": 19520616}})) == set()
}

test_risk_level_of_the_user if {
	reasons({"user": {"risk_level": "high"}}) == {"user_high_risk"}
	reasons({"user": {"risk_level": "medium"}}) == {"user_medium_risk"}
}

test_connection_and_device if {
	reasons({"device": {"signals": ["tor", "vpn"]}}) == {"anonymous_connection"}
	reasons({"device": {"signals": ["new_device"]}}) == {"unusual_device"}
}

test_findings_of_the_risk_analysis if {
	findings := {
		"abnormal_spending", "unusual_device", "known_scenario", "abnormal_payer_location",
		"high_risk_payee_location",
	}
	reasons({"risk_analysis": [finding | some finding in findings]}) == findings
}

test_signals_add_up_to_a_denial if {
	change := {"risk_analysis": ["known_scenario"], "cvv_result": "mismatch"}
	denied(change)
	payments.deny == {"cvv_mismatch", "known_scenario"} with input as changed(change)
	payments.score == 100 with input as changed(change)
	reviewed({"risk_analysis": ["known_scenario"]})
	allowed({"address_result": "mismatch", "user": {"risk_level": "medium"}})
}

test_every_signal_has_a_weight if {
	change := {"device": {"signals": ["new_device", "tor"]}, "pin_tries": 4, "cvv_result": "mismatch"}
	fired := payments.signals with input as changed(change)
	count(fired) == 4
	every reason in fired {
		data.reference.payments.weights[reason] > 0
	}
}
