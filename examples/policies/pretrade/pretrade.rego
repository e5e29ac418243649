# SPDX-License-Identifier: Apache-2.0

# Orders before they leave for the venue (NewOrder in examples/schema/riskgate.xml): the checks that need no state of
# their own, with the usual check numbers in front of each reason. Limits are in data.json; the most
# restrictive one wins. What cannot be checked, because a price, an account or a symbol is not known, is denied.
#
#	deny     the checks that failed
#	review   close to a limit, or an override is asked for
#	score    percent of the account's notional limit that the order takes
#
# An order that only lowers the account's position is not held to notional and volume (P04, P07).
package pretrade

import data.reference.pretrade as limits

default allow := false

allow if {
	count(deny) == 0
	count(review) == 0
}

score := round((100 * notional) / account.max_notional)

reasons := deny | review

# ---- P00 well-formed ----

deny contains "P00_quantity" if not is_quantity_positive

deny contains "P00_price" if {
	has_limit_price
	not is_price_positive
}

deny contains "P00_tick" if round(input.price * 10000) % symbol.tick_ten_thousandths != 0

deny contains "P00_lot" if input.quantity % symbol.lot != 0

# ---- P01 known, enabled, entitled ----

deny contains "P01_account_unknown" if not account

deny contains "P01_account_disabled" if account.enabled == false

deny contains "P01_trader_unknown" if not trader

deny contains "P01_trader_disabled" if trader.enabled == false

deny contains "P01_trader_not_on_desk" if {
	account
	trader
	not is_trader_on_desk
}

# ---- P02 market phase and order type ----

deny contains "P02_order_type" if {
	trader
	not is_order_type_permitted
}

deny contains "P02_market_phase" if not is_market_open

# ---- P03 quantity ----

deny contains "P03_account_quantity" if input.quantity > account.max_quantity

deny contains "P03_symbol_quantity" if input.quantity > symbol.max_quantity

# ---- P04 notional ----

deny contains "P04_account_notional" if {
	not is_reducing
	notional > account.max_notional
}

deny contains "P04_trader_notional" if {
	not is_reducing
	notional > trader.max_notional
}

review contains "P04_close_to_limit" if {
	not is_reducing
	notional <= account.max_notional
	notional * 100 > account.max_notional * limits.firm.warn_percent
}

# ---- P05 collar, P06 market orders ----

deny contains "P05_collar" if {
	is_buy
	input.price > highest_price
}

deny contains "P05_collar" if {
	not is_buy
	input.price < lowest_price
}

deny contains "P06_wide_market" if {
	not has_limit_price
	spread := input.reference.ask - input.reference.bid
	spread * 10000 > input.reference.bid * limits.firm.max_spread_bps
}

# ---- P07 daily volume, P08 minimum ----

deny contains "P07_daily_volume" if {
	not is_reducing
	input.quantity * 10000 > symbol.average_daily_volume * account.max_volume_bps
}

deny contains "P08_minimum_notional" if notional < limits.firm.min_notional

# ---- P09 symbols and products ----

deny contains "P09_symbol_unknown" if not symbol

deny contains "P09_restricted_symbol" if limits.firm.restricted_symbols[input.symbol]

deny contains "P09_product" if {
	account
	symbol
	not is_product_permitted
}

# ---- P12 short sales ----

deny contains "P12_short_sale" if {
	is_short_sale
	account.may_short == false
}

deny contains "P12_locate" if {
	is_short_sale
	symbol.hard_to_borrow
	not input.locate_id
}

# ---- P32 halt, P33 age of the reference, P35 override ----

deny contains "P32_halted" if input.market_phase == "halted"

deny contains "P33_reference_missing" if not reference_price

deny contains "P33_reference_stale" if {
	is_reference_live
	not is_reference_fresh
}

review contains "P35_override" if input.override_token

# ---- words the rules use ----

account := limits.accounts[format_int(input.account_id, 10)]

trader := limits.traders[format_int(input.trader_id, 10)]

symbol := limits.symbols[input.symbol]

has_limit_price if input.order_type in {"limit", "limit_on_close", "limit_on_open", "stop_limit"}

is_quantity_positive if input.quantity > 0

is_price_positive if input.price > 0

is_trader_on_desk if trader.desks[format_int(account.desk, 10)]

is_order_type_permitted if trader.order_types[input.order_type]

is_product_permitted if account.products[symbol.product]

is_market_open if limits.firm.open_phases[input.market_phase]

is_market_open if {
	limits.firm.auction_phases[input.market_phase]
	limits.firm.auction_types[input.order_type]
}

is_buy if input.side == "buy"

is_short_sale if input.side == "sell_short"

is_reducing if {
	is_buy
	input.quantity <= 0 - input.position
}

is_reducing if {
	input.side == "sell"
	input.quantity <= input.position
}

# The middle of the market, else the last price, else yesterday's close.
reference_price := (input.reference.bid + input.reference.ask) / 2 if {
	input.reference.bid > 0
	input.reference.ask > 0
} else := input.reference.price if {
	input.reference.price > 0
} else := symbol.close

is_reference_live if input.reference.bid > 0

is_reference_live if input.reference.price > 0

is_reference_fresh if input.reference.age_ms <= limits.firm.max_reference_age_ms

highest_price := (reference_price * (10000 + symbol.collar_bps)) / 10000

lowest_price := (reference_price * (10000 - symbol.collar_bps)) / 10000

# What the order can cost at worst: its limit price, or for a market order the end of the collar.
worst_price := input.price if has_limit_price

worst_price := highest_price if not has_limit_price

notional := input.quantity * worst_price
