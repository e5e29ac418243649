# SPDX-License-Identifier: Apache-2.0
package pretrade.test

import data.pretrade

# Limits of the tests' own, so that they hold for any data.json.
own_limits := {
	"firm": {
		"max_reference_age_ms": 1000,
		"max_spread_bps": 500,
		"min_notional": 10,
		"warn_percent": 80,
		"open_phases": {"continuous": true},
		"auction_phases": {"closing_auction": true},
		"auction_types": {"limit_on_close": true},
		"restricted_symbols": {"UMBR": true},
	},
	"symbols": {
		"ACME": {
			"product": "equity", "close": 100, "tick_ten_thousandths": 100, "lot": 1, "max_quantity": 5000,
			"average_daily_volume": 1000000, "collar_bps": 500, "hard_to_borrow": true,
		},
		"UMBR": {
			"product": "equity", "close": 100, "tick_ten_thousandths": 100, "lot": 10, "max_quantity": 5000,
			"average_daily_volume": 1000000, "collar_bps": 500, "hard_to_borrow": false,
		},
		"ESZ6": {
			"product": "future", "close": 100, "tick_ten_thousandths": 2500, "lot": 1, "max_quantity": 10,
			"average_daily_volume": 100000, "collar_bps": 200, "hard_to_borrow": false,
		},
	},
	"accounts": {
		"1001": {
			"enabled": true, "desk": 1, "max_quantity": 4000, "max_notional": 200000, "max_volume_bps": 20,
			"products": {"equity": true}, "may_short": true,
		},
		"1002": {
			"enabled": false, "desk": 2, "max_quantity": 10000, "max_notional": 10000000, "max_volume_bps": 100,
			"products": {"equity": true, "future": true}, "may_short": false,
		},
	},
	"traders": {
		"11": {
			"enabled": true, "desks": {"1": true}, "max_notional": 150000,
			"order_types": {"limit": true, "market": true, "limit_on_close": true},
		},
		"12": {"enabled": false, "desks": {"1": true, "2": true}, "max_notional": 5000000, "order_types": {"limit": true}},
	},
}

# An order that nothing is wrong with; each test changes what it is about.
usual := {
	"request_id": 1,
	"account_id": 1001,
	"trader_id": 11,
	"symbol": "ACME",
	"side": "buy",
	"order_type": "limit",
	"quantity": 100,
	"price": 100.25,
	"market_phase": "continuous",
	"reference": {"bid": 100.2, "ask": 100.3, "age_ms": 5},
	"flags": [],
}

changed(change) := object.union(usual, change)

denied(change) := failed if {
	failed := pretrade.deny with input as changed(change)
		with data.reference.pretrade as own_limits
}

reviewed(change) := found if {
	found := pretrade.review with input as changed(change)
		with data.reference.pretrade as own_limits
}

test_a_usual_order_is_allowed if {
	pretrade.allow with input as usual with data.reference.pretrade as own_limits
	pretrade.score == 5 with input as usual with data.reference.pretrade as own_limits
	denied({}) == set()
	reviewed({}) == set()
}

test_an_empty_order_is_denied if {
	pretrade.deny == {
		"P00_quantity", "P01_account_unknown", "P01_trader_unknown", "P02_market_phase", "P09_symbol_unknown",
		"P33_reference_missing",
	} with input as {} with data.reference.pretrade as own_limits
}

test_well_formed if {
	denied({"quantity": 0}) == {"P00_quantity", "P08_minimum_notional"}
	denied({"price": null}) == {"P00_price"}
	denied({"price": 0}) == {"P00_price", "P08_minimum_notional"}
	denied({"price": 100.255}) == {"P00_tick"}
	denied({"price": 100.26}) == set()
	denied({"symbol": "UMBR", "quantity": 105}) == {"P00_lot", "P09_restricted_symbol"}
}

test_accounts_and_traders if {
	denied({"account_id": 9999}) == {"P01_account_unknown"}
	denied({"account_id": 1002}) == {"P01_account_disabled", "P01_trader_not_on_desk"}
	denied({"trader_id": 99}) == {"P01_trader_unknown"}
	denied({"trader_id": 12}) == {"P01_trader_disabled"}
}

test_phase_and_order_type if {
	denied({"order_type": "stop_limit"}) == {"P02_order_type"}
	denied({"market_phase": "closing_auction"}) == {"P02_market_phase"}
	denied({"market_phase": "closing_auction", "order_type": "limit_on_close"}) == set()
	denied({"market_phase": "halted"}) == {"P02_market_phase", "P32_halted"}
}

test_quantity if {
	cheap := {"price": 1, "reference": {"bid": 1, "ask": 1}}
	denied(object.union(cheap, {"quantity": 2000})) == set()
	denied(object.union(cheap, {"quantity": 2001})) == {"P07_daily_volume"}
	denied(object.union(cheap, {"quantity": 4001})) == {"P03_account_quantity", "P07_daily_volume"}
	denied(object.union(cheap, {"quantity": 5001})) == {"P03_account_quantity", "P03_symbol_quantity", "P07_daily_volume"}
}

test_notional if {
	denied({"price": 100, "quantity": 1500}) == set()
	denied({"price": 100, "quantity": 1501}) == {"P04_trader_notional"}
	denied({"price": 100, "quantity": 2000}) == {"P04_trader_notional"}
	denied({"price": 100.01, "quantity": 2000}) == {"P04_account_notional", "P04_trader_notional"}
	reviewed({"price": 100, "quantity": 1600}) == set()
	reviewed({"price": 100, "quantity": 1601}) == {"P04_close_to_limit"}
	reviewed({"price": 100, "quantity": 2001}) == set()
}

test_a_market_order_is_priced_at_the_end_of_the_collar if {
	market := {"order_type": "market", "price": null}
	denied(object.union(market, {"quantity": 1400})) == set()
	denied(object.union(market, {"quantity": 1430})) == {"P04_trader_notional"}
}

test_reducing_orders if {
	large := {"price": 100, "quantity": 2001}
	denied(object.union(large, {"side": "sell", "position": 2001})) == set()
	denied(object.union(large, {"side": "sell", "position": 2000})) == {
		"P04_account_notional", "P04_trader_notional", "P07_daily_volume",
	}
	denied(object.union(large, {"side": "buy", "position": -2001})) == set()
}

test_collar if {
	denied({"price": 105.26}) == set()
	denied({"price": 105.27}) == {"P05_collar"}
	denied({"price": 50}) == set()
	denied({"side": "sell", "price": 95.24}) == set()
	denied({"side": "sell", "price": 95.23}) == {"P05_collar"}
}

test_the_reference_falls_back if {
	last := {"reference": {"bid": null, "ask": null, "price": 200}}
	denied(object.union(last, {"price": 210})) == set()
	denied(object.union(last, {"price": 210.01})) == {"P05_collar"}
	close := {"reference": null}
	denied(object.union(close, {"price": 105})) == set()
	denied(object.union(close, {"price": 105.01})) == {"P05_collar"}
}

test_wide_market if {
	wide := {"order_type": "market", "price": null, "reference": {"bid": 100, "ask": 105.01}}
	denied(wide) == {"P06_wide_market"}
	denied(object.union(wide, {"reference": {"ask": 105}})) == set()
}

test_minimum_notional if denied({"quantity": 1, "price": 9.99, "reference": {"bid": 9.98, "ask": 10}}) == {"P08_minimum_notional"}

test_symbols_and_products if {
	denied({"symbol": "NONE"}) == {"P09_symbol_unknown"}
	denied({"symbol": "UMBR"}) == {"P09_restricted_symbol"}
	denied({"symbol": "ESZ6", "quantity": 1}) == {"P09_product"}
}

test_short_sales if {
	short := {"side": "sell_short"}
	denied(short) == {"P12_locate"}
	denied(object.union(short, {"locate_id": 7})) == set()
	"P12_short_sale" in denied(object.union(short, {"account_id": 1002, "locate_id": 7}))
}

test_age_of_the_reference if {
	denied({"reference": {"age_ms": 1000}}) == set()
	denied({"reference": {"age_ms": 1001}}) == {"P33_reference_stale"}
	unknown := json.remove(usual, ["reference/age_ms"])
	pretrade.deny == {"P33_reference_stale"} with input as unknown with data.reference.pretrade as own_limits
}

test_override if reviewed({"override_token": 77}) == {"P35_override"}
