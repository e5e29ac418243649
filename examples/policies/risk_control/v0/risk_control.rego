package risk_control
default allow = false
allow { input.amount < 10000; input.user.risk_level == "low" }
deny { input.amount > 100000; input.user.risk_level == "high" }
