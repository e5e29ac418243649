# SPDX-License-Identifier: Apache-2.0
# The first policy anybody reads, in v0 syntax: opa build --v0-compatible -t plan -e risk_control/allow -e risk_control/deny verdict.rego
package risk_control
default allow = false
allow { input.amount < 10000; input.user.risk_level == "low" }
deny { input.amount > 100000; input.user.risk_level == "high" }
