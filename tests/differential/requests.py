# SPDX-License-Identifier: Apache-2.0
"""Random inputs of two templates of examples/schema/riskgate.xml: requests, and JSON that no request could be.

A request is given in the form that riskgate makes of its SBE message: absent fields left out, each composite an object,
each set an array in the order of its bits. Anything else about it than the fields named here is absent.
"""

import random

COUNTRIES = ["DE", "FR", "US", "NG", "KP", "GB"]
CURRENCIES = ["EUR", "USD", "JPY", "GBP"]
SIGNALS = ["new_device", "rooted", "emulator", "malware", "remote_access", "vpn", "tor", "proxy"]
FINDINGS = ["abnormal_spending", "unusual_device", "malware", "known_scenario", "abnormal_payer_location"]
FLAGS = ["intermarket_sweep", "post_only", "reduce_only", "hidden", "algorithmic", "manual"]
ORDER_TYPES = ["market", "limit", "stop", "stop_limit", "limit_on_open", "limit_on_close"]
CATEGORIES = ["gas_transport", "shopping_net", "grocery_pos", "épicerie", "a b", "Travel", "café <&>"]
SYMBOLS = ["ACME", "UMBR", "ESZ6", "acme", "ZZ", "BRK.B"]

# Values are texts of JSON numbers, so that no digit depends on a float.
MONEY = ["0", "0.01", "-0.01", "1", "9.99", "10", "10.5", "99.99", "100", "100.01", "1000", "1000.5", "2500", "9999.99",
         "10000",
         "123456.78", "92233720368547758.07", "-92233720368547758.07"]
PRICES = ["0", "0.0001", "1", "9.5", "99.9999", "100", "100.0001", "100.25", "105.27", "1000", "922337203685477.5807"]
RATES = ["0.00000001", "0.9", "1", "1.08123456", "1.1", "155.5"]
DEGREES = ["0", "-0.000001", "48.137154", "52.52", "-90", "90", "179.999999"]
COUNTS = ["0", "1", "2", "3", "5", "10", "64", "99", "100", "101", "1000", "4294967294"]
TOKENS = ["0", "1", "7", "1001", "1002", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808",
          "18446744073709551614"]
# Addresses, networks and what is neither, at most 20 bytes long.
ADDRESSES = ["10.0.0.0", "10.0.0.1", "10.1.2.3", "10.255.255.255", "11.0.0.0", "9.255.255.255", "192.168.1.7", "0.0.0.0",
             "255.255.255.255", "::", "::1", "2001:db8::1", "2001:db8:ffff::", "2001:db9::", "ffff::ffff", "::ffff:10.1.2.3",
             "::ffff:a01:203", "fe80::1%eth0", "010.0.0.1", "10.1.2", "256.1.1.1", "10.0.0.0/8", "10.1.2.0/24", "10.1.2.3/32",
             "2001:db8::/48", "::/0", "0.0.0.0/0", "A-1", "order ü 3", "10.0.0.1 "]
# Nanoseconds, some of them around midnight, a change of the clocks, a new year. None is between what the two sides take for now.
MOMENTS = ["0", "1", "86399999999999", "86400000000000", "1690551837123456789", "1648342799999999999", "1648342800000000000",
           "1667091599999999999", "1667091600000000000", "1667714400000000000", "1672531199999999999", "1672531200000000000",
           "1682000000000000000", "4102444800123456789", "4102531199999999999", "4110000000000000000"]
ZONES = ["Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Australia/Sydney", "Atlantis/Poseidonis"]
POSITIONS = ["0", "1", "-1", "100", "-100", "9223372036854775807", "-9223372036854775807"]


class Field:
    """A field: its path below input, its kind (number, text, flag, names) and the values it takes."""

    def __init__(self, path, kind, pool, required=False):
        self.path, self.kind, self.pool, self.required = path, kind, pool, required

    def __repr__(self):
        return self.path


def numbers(path, pool, required=False):
    return Field(path, "number", pool, required)


def texts(path, pool, required=False):
    return Field(path, "text", pool, required)


def flags(path):
    return Field(path, "flag", [True, False])


def names(path, pool):
    return Field(path, "names", pool, True)


class Template:
    def __init__(self, name, composites, fields):
        self.name, self.composites, self.fields = name, composites, fields

    def of(self, kind):
        return [field for field in self.fields if field.kind == kind]


PAYMENT = Template("PaymentAuthorization", ["user", "merchant", "holder", "card", "device", "payee"], [
    numbers("request_id", TOKENS, True), numbers("amount", MONEY, True), numbers("amount_base", MONEY),
    numbers("account_id", TOKENS), numbers("user.age_days", COUNTS), texts("user.country", COUNTRIES),
    texts("user.risk_level", ["low", "medium", "high"]), texts("user.segment", ["retail", "premium", "minor"]),
    numbers("merchant.mcc", ["0", "1", "5411", "5999", "6011", "65534"]), numbers("merchant.latitude", DEGREES),
    texts("merchant.country", COUNTRIES), texts("merchant.category", CATEGORIES), texts("merchant.name", ADDRESSES),
    numbers("transaction_time_ns", MOMENTS),
    numbers("holder.birth_date", ["19500616", "19820616", "20010101"]), numbers("card.age_days", COUNTS),
    texts("card.entry_mode", ["chip", "contactless", "fallback", "ecommerce"]), flags("card.present"),
    flags("card.prepaid"),
    names("device.signals", SIGNALS), numbers("device.token", TOKENS), flags("payee.trusted"),
    numbers("local_minute", ["0", "59", "60", "300", "720", "1439"]), texts("shipping_country", COUNTRIES),
    texts("currency", CURRENCIES), texts("channel", ["pos", "ecommerce", "atm", "mobile"]),
    texts("transaction_type", ["purchase", "cash_withdrawal", "refund", "transfer"]), flags("is_recurring"),
    numbers("pin_tries", ["0", "1", "2", "3", "4", "254"]), names("risk_analysis", FINDINGS)])

ORDER = Template("NewOrder", ["reference"], [
    numbers("request_id", TOKENS, True), numbers("transaction_time_ns", MOMENTS + TOKENS, True), numbers("account_id", TOKENS,
            True),
    numbers("quantity", COUNTS + TOKENS, True), numbers("price", PRICES), numbers("stop_price", PRICES),
    numbers("position", POSITIONS),
    numbers("locate_id", TOKENS), numbers("reference.price", PRICES), numbers("reference.bid", PRICES),
    numbers("reference.ask", PRICES), numbers("reference.fx_rate", RATES), numbers("reference.age_ms", COUNTS),
    numbers("trader_id", ["0", "7", "11", "1001", "4294967295"], True), numbers("desk_id",
            ["0", "1", "2", "4294967294"]),
    texts("client_order_id", ADDRESSES, True), texts("symbol", SYMBOLS, True),
    texts("venue", ["XETR", "XNAS", "X"]), names("flags", FLAGS), texts("currency", CURRENCIES),
    texts("side", ["buy", "sell", "sell_short"], True), texts("order_type", ORDER_TYPES, True),
    texts("time_in_force", ["day", "fill_or_kill", "at_the_close"], True),
    texts("capacity", ["agency", "principal"]), texts("market_phase", ["closed", "continuous", "halted"]),
    texts("product", ["equity", "future", "fx"])])

TEMPLATES = [PAYMENT, ORDER]


class Number(str):
    """A number as JSON text; json_text() writes it as it is."""


def json_text(value):
    """Compact JSON; Number digit for digit, and keys in their order."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(key)}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(escape(character) for character in value) + '"'


def escape(character):
    if character in '"\\':
        return "\\" + character
    return f"\\u{ord(character):04x}" if ord(character) < 32 else character


def drawn(chance, field):
    if field.kind == "number":
        return Number(chance.choice(field.pool))
    if field.kind == "names":
        return [name for name in field.pool if chance.random() < 0.3]
    return chance.choice(field.pool)


def put(document, path, value):
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def request(chance, template):
    """A request as riskgate sees it."""
    document = {name: {} for name in template.composites}
    absent = chance.choice([0.05, 0.3, 0.8])
    for field in template.fields:
        if field.required or chance.random() >= absent:
            put(document, field.path, drawn(chance, field))
    return document


ODD_NUMBERS = ["0", "-0", "0.0", "1.0", "1e0", "10E-1", "-1.5", "1e3", "1e-7", "100.00", "0.1", "0.30000000000000004",
               "2147483648",
               "-9223372036854775808", "9223372036854775808", "123456789012345678901234567890", "1e20", "1.5e300",
               "99999999999999999.99", "3.141592653589793238462643383279"]
ODD_TEXTS = ["", "DE", "de", "high", "100", "10.5", "1e3", " 7", "null", "äöü€", "𝄞 clef", "a,b,,c", "line\nend",
             "tab\t", "\"q\\", "<&>",
             "ECOMMERCE", "0x10", "-1", "true"]


def odd(chance, depth=0):
    """Any JSON value."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return Number(chance.choice(ODD_NUMBERS + MONEY + TOKENS))
    if kind < 4:
        return chance.choice(ODD_TEXTS + COUNTRIES + CATEGORIES)
    if kind == 4:
        return chance.choice([True, False])
    if kind == 5:
        return None
    if kind == 6:
        return [odd(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(ODD_TEXTS + ["a", "b", "id", "max"]): odd(chance, depth + 1)
            for _ in range(chance.randrange(4))}


def wild(chance, template):
    """An input that need not be a request: fields of wrong types, nulls, foreign fields, composites that are none."""
    document = request(chance, template)
    rate = chance.choice([0.05, 0.2, 0.6])
    for field in template.fields:
        if chance.random() < rate:
            put(document, field.path, odd(chance))
        elif field.required and chance.random() < rate:
            put(document, field.path, None)
    for name in template.composites:
        roll = chance.random()
        if roll < 0.08:
            document[name] = odd(chance)
        elif roll < 0.15:
            del document[name]
    if chance.random() < 0.3:
        document["extra"] = odd(chance)
    return document


def sample(chance, template):
    """(whether it is a request, the document); the document is None for no input at all."""
    roll = chance.random()
    if roll < 0.6:
        return True, request(chance, template)
    if roll < 0.97:
        return False, wild(chance, template)
    return False, chance.choice([None, {}, [], Number("1"), "text"])
