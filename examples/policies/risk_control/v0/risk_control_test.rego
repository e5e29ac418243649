# SPDX-License-Identifier: Apache-2.0
package risk_control

request(amount, level) = {"amount": amount, "user": {"risk_level": level}}

test_low_risk_below_ten_thousand_is_allowed { allow with input as request(9999.99, "low") }
test_ten_thousand_is_not_allowed { not allow with input as request(10000, "low") }
test_medium_risk_is_not_allowed { not allow with input as request(50, "medium") }
test_a_missing_level_is_not_allowed { not allow with input as {"amount": 50} }
test_high_risk_above_a_hundred_thousand_is_denied { deny with input as request(100000.01, "high") }
test_high_risk_of_a_hundred_thousand_is_not_denied { not deny with input as request(100000, "high") }
test_low_risk_is_never_denied { not deny with input as request(1000000, "low") }
