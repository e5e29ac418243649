# SPDX-License-Identifier: Apache-2.0
"""Random Rego policies of the risk domain.

A policy is two packages. `risk` holds rules, functions and the roles of a verdict over one template; nothing in it can
conflict, so that its whole document has one value. `clash` holds rules that may conflict, each a rule that nobody
uses: whether a conflict is met at all depends on how far an evaluation goes, and that is each evaluator's own affair.

Expressions are made to a type, so that nearly all pass OPA's type checker:

    number, text, truth      scalars
    list, set, table         of numbers, with ("list", "number") and so on; a table has text keys
    any                      anything, nested and mixed

A path of input or data stands for each type: OPA's checker knows nothing about it.

Left out is what OPA's evaluator, its planner and its documents do not agree on:

    a conflict within a condition	rule indexing passes rules by before it is met, a plan does not
    `some x in {a, b}`			OPA visits a written-out set in the order of its terms, and equal members twice
    data.table[1]				finds the key "1" in OPA's storage: numbers are no keys of data here
    `with data.x` beside a mocked function	the planner changes input instead of data
    entrypoints that functions refer to	cannot be planned

and regular expressions on texts that are not UTF-8 (of hex.decode and the like), where RE2 finds other matches than Go.

The pieces are kept apart (Policy.rules), so that a failing policy can be made smaller.
"""

import re

import bodies
import tables
from requests import COUNTRIES, CURRENCIES, MONEY, Number, drawn, json_text, odd

INTEGERS = ["0", "1", "2", "3", "7", "10", "100", "-1", "-10", "1000000"]
DECIMALS = ["0.1", "0.5", "1.5", "10.25", "-2.75", "99.99", "0.001", "1.0", "2.50"]
GREAT = ["2147483647", "2147483648", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808",
         "-9223372036854775808", "18446744073709551616", "123456789012345678901234567890", "1e3", "12345678.987654321"]
WORDS = ["", "a", "high", "DE", "ecommerce", "x-1", "a,b,c", "100", "10.5", "Grüße", "a b c", "abcabc", "EUR"]
REASONS = ["amount_high", "country_blocked", "new_device", "velocity", "limit_exceeded", "night", "mismatch",
           "manual_check", "P01", "P02", "P03", "unusual"]
ROLES = ["deny", "review", "allow", "score", "reasons"]
SCALARS = ["number", "text", "truth"]
COLLECTIONS = [(shape, item) for shape in ("list", "set", "table") for item in ("number", "text")]
NAMED = re.compile(r"[a-z0-9_.]+") # a path without keys
OPERATORS = ["==", "!=", "<", "<=", ">", ">="]


def signatures(text):
    """[(name, [argument types])] of words like count(list) and sum(list:number)."""
    made = []
    for word in text.split():
        name, arguments = word.rstrip(")").split("(")
        made.append((name, [tuple(kind.split(":")) if ":" in kind else kind for kind in arguments.split(",")]))
    return made


# Built-ins by the type of their result, with the types of their arguments. Writer.argument() knows those that are no
# type of expressions.
CALLS = {result: signatures(text) for result, text in {
    "number": """
        semver.compare(version,version) time.add_date(number,small,small,small) count(path)
        units.parse_bytes(text) bits.lsh(number,small) bits.rsh(number,small) bits.negate(number)
        product(set:number) count(list) count(set) count(table) count(text) sum(list:number) sum(set:number)
        product(list:number) max(list:number) min(set:number) abs(number) ceil(number) floor(number) round(number)
        to_number(text) indexof(text,text) strings.count(text,text) bits.and(number,number) bits.or(number,number)
        bits.xor(number,number) to_number(path) time.parse_rfc3339_ns(moment) units.parse(text)""",
    "any": """
        object.get(table,text,any) object.get(composite,text,any) object.get(composite,keys,any)
        json.unmarshal(document) json.remove(composite,paths) json.filter(composite,paths)
        json.patch(composite,patch) object.union(composite,table) object.keys(composite) array.flatten(items)
        intersection(sets) union(sets) max(items) min(items) sort(items) array.concat(items,items)
        time.clock(time) time.date(time) time.diff(time,time) regex.find_all_string_submatch_n(pattern,text,small)
        numbers.range_step(small,small,step) urlquery.decode_object(text) object.union_n(objects)
        graph.reachable(graph,list:text) object.filter(composite,list:text) base64.decode(text) hex.decode(text)
        urlquery.decode(text)""",
    "text": """
        time.weekday(time) time.format(time) json.marshal(any)
        strings.replace_n(table:text,text) trim_left(text,text) trim_right(text,text)
        base64url.encode_no_pad(text) crypto.hmac.sha256(text,text) lower(text) upper(text) trim_space(text)
        trim(text,text) trim_prefix(text,text) trim_suffix(text,text) replace(text,text,text)
        substring(text,small,small) concat(text,list:text) concat(text,set:text) format_int(number,base)
        type_name(any) json.marshal(collection) strings.reverse(text) base64.encode(text) hex.encode(text)
        crypto.sha256(text) urlquery.encode(text) regex.replace(text,pattern,text)""",
    ("list", "number"): """
        array.concat(list:number,list:number) array.reverse(list:number) array.slice(list:number,small,small)
        sort(set:number) sort(list:number) numbers.range(small,small) indexof_n(text,text)""",
    ("list", "text"): """
        split(text,text) sort(set:text) array.reverse(list:text) array.concat(list:text,list:text)
        regex.split(pattern,text) regex.find_n(pattern,text,small)""",
    ("set", "text"): """
        object.keys(table)""",
    ("table", "number"): """
        object.union(table:number,table:number) object.remove(table:number,list:text)
        object.filter(table:number,set:text)""",
    ("table", "text"): """
        object.union(table:text,table:text) object.remove(table:text,set:text)""",
}.items()}
# Those that are tests.
FACTS = signatures("""
    net.cidr_contains(network,network) semver.is_valid(any) object.subset(mixed,mixed) regex.is_valid(pattern)
    strings.any_suffix_match(text,set:text) net.cidr_intersects(network,network) startswith(text,text)
    endswith(text,text) contains(text,text) regex.match(pattern,text) glob.match(glob,none,text)
    is_number(any) is_string(any) is_boolean(any) is_null(any) is_array(any) is_object(any) is_set(any)
    strings.any_prefix_match(list:text,list:text) object.subset(table:number,table:number) json.is_valid(text)""")
PATTERNS = ["^[A-Z]{2}$", "[0-9]+", "a|b", "^$", "(?i)ECOM", "\\\\d+\\\\.\\\\d", "[^,]*", "é"]


def braces(lines):
    """A body."""
    return "{\n" + "".join(f"\t{line}\n" for line in lines) + "}"


class Policy:
    """only_roles: just the roles of a verdict are entrypoints, as OPA cannot plan one that some function refers to."""

    def __init__(self, template, package_rules, clash_rules, data, only_roles):
        self.template, self.data, self.only_roles = template, data, only_roles
        self.rules = {"risk": package_rules, "clash": clash_rules} # lists of (name or None for a function, text)

    def sources(self):
        """File name to Rego."""
        files = {"risk.rego": "package risk\n"}
        if self.rules["clash"]:
            files["clash.rego"] = "package clash\n\nimport data.risk\n"
        for package, rules in self.rules.items():
            for _, text in rules:
                files[f"{package}.rego"] += f"\n{text}\n"
        return files

    def names(self, package):
        return list(dict.fromkeys(name for name, _ in self.rules[package] if name))

    def without(self, package, index):
        rules = {name: list(texts) for name, texts in self.rules.items()}
        del rules[package][index]
        return Policy(self.template, rules["risk"], rules["clash"], self.data, self.only_roles)

    def with_data(self, data):
        return Policy(self.template, self.rules["risk"], self.rules["clash"], data, self.only_roles)

    def entrypoints(self):
        if self.only_roles:
            return [f"risk/{name}" for name in self.names("risk") if name in ROLES]
        return ["risk"] + [f"{package}/{name}" for package in self.rules for name in self.names(package)]


class Scope:
    """The variables that may be used at one place. From the first `some` on a body has many solutions: variables
    made after that must not be the value of a rule, which could conflict."""

    def __init__(self, variables=(), depth=0):
        self.variables, self.depth, self.settled = list(variables), depth, None

    def inner(self):
        return Scope(self.variables, self.depth + 1)

    def iterates(self):
        if self.settled is None:
            self.settled = len(self.variables)

    def single(self):
        """A scope of the variables that have one value."""
        return Scope(self.variables[:self.settled], self.depth)


class Writer:
    def __init__(self, chance, template):
        self.chance, self.template = chance, template
        self.rules = []     # (reference, type)
        self.functions = [] # (name, argument types, result type)
        self.only_roles = chance.random() < 0.25
        self.named = 0
        self.prefix = ""

    def name(self, stem):
        self.named += 1
        return f"{stem}{self.named}"

    def pick(self, *weighted):
        """One of (weight, function) pairs; call it."""
        return self.chance.choices([choice for _, choice in weighted], [weight for weight, _ in weighted])[0]()

    # ---- values ----

    def operator(self):
        return self.chance.choice(OPERATORS)

    def field(self, kind):
        return self.chance.choice(self.template.of(kind))

    def number(self):
        return self.chance.choice(self.chance.choice([INTEGERS, INTEGERS, DECIMALS, GREAT, MONEY]))

    def word(self):
        field = self.field("text")
        return json_text(self.chance.choice(self.chance.choice([WORDS, field.pool, COUNTRIES])))

    def literal(self, kind):
        if kind == "number":
            return self.number()
        if kind == "text":
            return self.word()
        return self.chance.choice(["true", "false"])

    def unknown(self, kind):
        """A path of input or data that often has this type."""
        choice = self.chance.choice
        if kind == "number":
            return choice([f"input.{self.field('number')}", f"input.{self.field('number')}", "data.reference.ceiling",
                           f"data.reference.weights[{json_text(choice(REASONS))}]",
                           f"data.reference.tiers[{choice('01239')}].max",
                           "data.reference.rates[input.currency]", f"data.reference.numbers[{choice('012')}]"])
        if kind == "text":
            return choice([f"input.{self.field('text')}", f"input.{self.field('text')}", "data.reference.label",
                           f"data.reference.names[{choice('0123')}]"])
        if kind == "truth":
            options = [f"data.reference.blocked[input.{self.field('text')}]"]
            options += [f"input.{field}" for field in self.template.of("flag")]
            return choice(options)
        shape, item = kind
        if kind == ("list", "text"):
            return choice([f"input.{self.field('names')}", "data.reference.names"])
        if kind == ("list", "number"):
            return "data.reference.numbers"
        if shape == "table":
            return "data.reference.weights" if item == "number" else "data.reference.labels"
        return None

    def path(self):
        """A path of input or data that may hold anything."""
        choice = self.chance.choice
        field = choice(self.template.fields)
        return choice([f"input[input.{self.field('text')}]", f"data.reference.accounts[input.{self.field('text')}]",
                       f"data.reference[{self.word()}]", f"input.{field}", f"input.{field}",
                       f"input.{choice(self.template.composites)}", "input.extra", "input.absent",
                       "data.reference.tiers", "data.reference.absent", "data.reference.odd",
                       "data.reference.accounts"])

    def known(self, kind, scope):
        """A variable or rule of the type, or None."""
        options = [name for name, its in scope.variables if its == kind] * 3 + [ref for ref, its in self.rules
                if its == kind]
        return self.chance.choice(options) if options else None

    # ---- expressions ----

    def any(self, scope):
        """Of any type, mixed and nested."""
        options = [(4, self.path), (1, lambda: self.literal(self.chance.choice(SCALARS))), (0.5, lambda: "null")]
        if scope.depth < 3:
            inner = scope.inner()
            options += [(2, lambda: self.expression(self.chance.choice(SCALARS + COLLECTIONS), inner)),
                        (1, lambda: self.mixed(inner)),
                        (2, lambda: self.call(self.chance.choice(CALLS["any"]), inner))]
            found = self.known("any", scope)
            if found:
                options += [(2, lambda: found), (1 if found[0] in "ot" else 0,
                                                 lambda: f"{found}[input.{self.field('text')}]")]
        return self.pick(*options)

    def mixed(self, scope):
        """A list, set or object of anything."""
        items = [self.any(scope) for _ in range(self.chance.randint(1, 3))]
        shape = self.chance.randrange(3)
        if shape == 2:
            keys = self.chance.sample(["1", "2.5", "null", "true", '"a"', '"b"', "[1]", '{"k": 1}', "1e3", "{2}"],
                                      len(items))
            return "{" + ", ".join(f"{key}: {item}" for key, item in zip(keys, items)) + "}"
        return ("[{}]" if shape == 0 else "{{{}}}").format(", ".join(items))

    def expression(self, kind, scope):
        if kind == "any":
            return self.any(scope)
        deep = scope.depth > 3
        found = self.known(kind, scope)
        unknown = self.unknown(kind)
        options = [(2, lambda: self.build(kind, scope.inner()))]
        if unknown:
            options.append((4, lambda: unknown))
        if found:
            options.append((4, lambda: found))
        if not deep and CALLS.get(kind):
            options.append((3, lambda: self.call(self.chance.choice(CALLS[kind]), scope.inner())))
        functions = [function for function in self.functions if function[2] == kind]
        if functions and not deep:
            options.append((2, lambda: self.apply(self.chance.choice(functions), scope.inner())))
        return self.pick(*options)

    def apply(self, function, scope):
        name, types, _ = function
        return f"{name}({', '.join(self.expression(kind, scope) for kind in types)})"

    def call(self, builtin, scope):
        name, types = builtin
        return f"{name}({', '.join(self.argument(kind, scope) for kind in types)})"

    def argument(self, kind, scope):
        choice = self.chance.choice
        if kind in ("list", "set", "table"):
            kind = (kind, choice(["number", "text"]))
        special = {
            "small": lambda: choice(["0", "1", "2", "3", "5", "-1"]), "step": lambda: choice(["1", "2", "3", "0"]),
            "base": lambda: choice(["2", "8", "10", "16"]), "pattern": lambda: f'"{choice(PATTERNS)}"',
            "glob": lambda: choice(['"*"', '"a*"', '"{DE,FR}"', '"??"', '"[a-z]*"']),
            "none": lambda: choice(["[]", "null", '["."]']),
            "collection": lambda: self.expression(choice(COLLECTIONS), scope),
            "version": lambda: choice(['"1.2.3"', '"1.10.0-rc1"', self.word()]),
            "moment": lambda: choice(['"2026-03-01T12:30:00Z"', '"1999-12-31T23:59:59.999999999+02:00"', self.word()]),
            "time": lambda: choice(["1700000000123456789", '[1700000000000000000, "Europe/Berlin"]',
                                    '[951782400000000000, "UTC"]', "-1",
                                    f"input.{self.field('number')}", '[1711846799999999999, "America/New_York"]',
                                    "time.now_ns() * 0"]),
            "network": lambda: choice(['"10.0.0.0/8"', '"10.1.2.0/24"', '"2001:db8::/32"', '"10.1.2.3"', self.word()]),
            "composite": lambda: choice([f"input.{choice(self.template.composites)}", "data.reference.labels",
                                         "data.reference.accounts", "input"]),
            "keys": lambda: f"[{self.word()}, {self.word()}]", "path": self.path,
            "mixed": lambda: choice([self.mixed(scope), self.path()]),
            "items": lambda: choice([f"[{self.any(scope)}, {self.any(scope)}]", self.path(),
                                     self.expression(('list', 'number'), scope)]),
            "sets": lambda: f"{{{self.expression(('set', 'text'), scope)}, {self.expression(('set', 'text'), scope)}}}",
            "objects": lambda: f"[{', '.join(self.expression(('table', 'text'), scope) for _ in range(2))}]",
            "document": lambda: choice(['"{\\"a\\": [1, 2.50, null]}"', '"[1e2, \\"x\\"]"', '"1.0"', '"{"',
                                        self.word()]),
            "paths": lambda: f'["{str(choice(self.template.fields)).replace(".", "/")}", "1/max", ["a", "b"]]',
            "patch": lambda: f'[{{"op": "add", "path": "/{choice(["a", "b/c", "max", "1"])}", "value": {self.any(scope)}}}]',
            "graph": lambda: '{"a": ["b", "c"], "b": ["a"], "c": [], "DE": ["a", "x"]}'}
        return special[kind]() if kind in special else self.expression(kind, scope)

    def build(self, kind, scope):
        """A literal or something put together."""
        deep = scope.depth > 3
        if kind == "number":
            return self.literal(kind) if deep else self.pick((2, self.number), (4, lambda: self.arithmetic(scope)))
        if kind == "text":
            return self.word() if deep else self.pick((3, self.word), (1, lambda: self.sprintf(scope)),
                                                      (1, lambda: self.template_string(scope)))
        if kind == "truth":
            return self.literal(kind) if deep else self.pick(
                (1, lambda: self.literal(kind)),
                (2, lambda: f"({self.expression('number', scope)} {self.operator()} {self.number()})"),
                (2, lambda: self.call(self.chance.choice(FACTS), scope)))
        return self.collection(kind, scope, deep)

    def arithmetic(self, scope):
        operator = self.chance.choice(["+", "-", "*", "+", "-", "*", "/", "%"])
        return f"({self.expression('number', scope)} {operator} {self.expression('number', scope)})"

    def sprintf(self, scope):
        verb, kind = self.chance.choice([("%d", "number"), ("%v", "number"), ("%s", "text"), ("%v", "text"),
                                         ("%q", "text"),
                                         ("%v", ("list", "number")), ("%v", ("set", "text")), ("%v", "truth"),
                                         ("%05d", "number"),
                                         ("%.2f", "number"), ("%x", "number"), ("%s", "number"), ("%-8s|", "text")])
        return f'sprintf("{self.chance.choice(["", "n=", "é "])}{verb}", [{self.expression(kind, scope)}])'

    def template_string(self, scope):
        inner = self.pick((2, lambda: self.known("number", scope) or self.number()),
                          (2, lambda: f"input.{self.chance.choice(self.template.fields)}"),
                          (1, lambda: self.known("text", scope) or "input.absent"),
                          (1, lambda: self.known(("set", "text"), scope) or "true"))
        return f'$"{self.chance.choice(["", "at "])}{{{inner}}}{self.chance.choice(["", " of", "!"])}"'

    def collection(self, kind, scope, deep):
        shape, item = kind
        count = self.chance.randrange(4)
        if shape == "table":
            if deep or self.chance.random() < 0.4:
                keys = self.chance.sample(WORDS[1:] + REASONS, count)
                return "{" + ", ".join(f"{json_text(key)}: {self.expression(item, scope)}" for key in keys) + "}"
            return self.table_comprehension(item, scope)
        if not deep and self.chance.random() < 0.4:
            variable, lines, inner = self.loop(scope, item)
            left, right = "[]" if shape == "list" else "{}"
            value = self.expression(item, inner) if self.chance.random() < 0.4 else variable
            return f"{left}{value} | {'; '.join(lines)}{right}"
        if shape == "set" and not deep and self.chance.random() < 0.4:
            return f"({self.expression(kind, scope)} {self.chance.choice('|&-')} {self.expression(kind, scope)})"
        items = ", ".join(self.expression(item, scope) for _ in range(count))
        if shape == "list":
            return f"[{items}]"
        return f"{{{items}}}" if items else "set()"

    def table_comprehension(self, item, scope):
        """Keys from keys, so that none comes twice with different values."""
        key, value = self.name("k"), self.name("v")
        inner = scope.inner()
        source = self.expression(("table", item), inner)
        inner.variables += [(key, "text")]
        lines = [f"some {key}, {value} in {source}"]
        inner.variables += [(value, item)] if not source.startswith(("data", "input")) else []
        lines += [self.fact(inner)] if self.chance.random() < 0.5 else []
        return f"{{{key}: {value} | {'; '.join(lines)}}}"

    def loop(self, scope, item):
        """(variable, lines, scope) of an iteration with conditions over a collection of item."""
        inner = scope.inner()
        variable, shape = self.name("x"), self.chance.choice(["list", "set", "table"])
        source = self.expression((shape, item), inner)
        if shape == "set" and source.startswith("{") and " | some" not in source:
            source = f"({source} | set())"
        lines = [self.chance.choice([f"some {variable} in {source}", f"some _, {variable} in {source}"])]
        if NAMED.fullmatch(source) and self.chance.random() < 0.3:
            lines = [f"{variable} := {source}[_]"]
        inner.variables.append((variable, item))
        lines += [self.fact(inner) for _ in range(self.chance.choice([0, 0, 1, 1, 2]))]
        return variable, lines, inner

    # ---- conditions ----

    def comparison_of_field(self, _):
        field = self.chance.choice(self.template.fields)
        if tables.may_derive(field) and self.chance.random() < 0.4:
            condition = tables.Derived(self.chance, field)
            return f"{self.chance.choice(['', '', 'not '])}{condition.line(json_text(condition.value()))}"
        if field.kind == "number":
            value = self.chance.choice([drawn(self.chance, field), self.number()])
            return f"input.{field} {self.operator()} {value}"
        if field.kind == "flag":
            return self.chance.choice([f"input.{field}", f"not input.{field}", f"input.{field} == false",
                                       f"input.{field} != true"])
        if field.kind == "names":
            name = json_text(self.chance.choice(field.pool))
            return self.chance.choice([f"{name} in input.{field}", f"not {name} in input.{field}",
                                       f"input.{field}[_] == {name}",
                                       f"count(input.{field}) {self.operator()} {self.chance.choice('0123')}",
                                       f"input.{field}[{self.chance.choice('01')}] == {name}"])
        values = [json_text(value) for value in self.chance.sample(field.pool,
                                                                   min(len(field.pool), self.chance.randrange(1, 4)))]
        members = ", ".join(values)
        return self.chance.choice([f"input.{field} == {values[0]}", f"input.{field} != {values[0]}",
                                   f"input.{field} in {{{members}}}",
                                   f"not input.{field} in {{{members}}}", f"input.{field} in [{members}]",
                                   f"{values[0]} == input.{field}",
                                   f"input.{field} {self.operator()} {values[0]}"])

    def comparison(self, scope):
        kind = self.chance.choice(["number", "number", "number", "text", "text", "truth", "any", "any"] + COLLECTIONS)
        if kind == "any" and self.chance.random() < 0.5:
            left = self.any(scope)
            operators = OPERATORS if left.startswith(("input", "data")) else OPERATORS[1:] # == is checked for types
            return f"{left} {self.chance.choice(operators)} {self.literal(self.chance.choice(SCALARS))}"
        operators = OPERATORS[1:] if kind == "any" else OPERATORS
        return f"{self.expression(kind, scope)} {self.chance.choice(operators)} {self.expression(kind, scope)}"

    def membership(self, scope):
        item = self.chance.choice(["number", "text"])
        shape = self.chance.choice(["list", "set", "table"])
        return f"{self.expression(item, scope)} in {self.expression((shape, item), scope)}"

    def iteration(self, scope):
        """Variables in references, keys and positions, patterns."""
        scope.iterates()
        i, x = self.name("i"), self.name("x")
        item = self.chance.choice(["number", "text"])
        inner = scope.inner()

        def value(kind):
            return self.expression(kind, inner)

        small = self.chance.choice("012")
        return self.chance.choice([
            lambda: f"some {i}, {x} in {value(('list', item))}; {i} {self.operator()} {small}",
            lambda: f"some {i}; data.reference.accounts[{i}].max {self.operator()} {value('number')}",
            lambda: f"some {i}; data.reference.tiers[{i}].country == input.{self.field('text')}; {i} >= {small}",
            lambda: f"some {i}; input[{i}] == {value('any')}",
            lambda: f"some {i}, {x}; input[{i}][{x}] == {self.literal(self.chance.choice(SCALARS))}",
            lambda: f"some [{i}, {x}] in [[1, {value(item)}], [2, {value(item)}]]; {i} > 1",
            lambda: f"{self.word()}, {value(item)} in {value(('table', item))}",
            lambda: f"{small}, {value(item)} in {value(('list', item))}",
            lambda: f"count({{{i} | some {i}; data.reference.accounts[{i}].enabled}}) {self.operator()} {small}",
            lambda: f"some {i}, {x} in {self.path()}; {x} == {self.literal(self.chance.choice(SCALARS))}",
            lambda: f"some {x} in {self.chance.choice([self.path(), self.mixed(inner)])}; is_string({x})",
            lambda: f"data.reference.tiers[{i}].max > data.reference.tiers[{x}].max; {i} != {x}",
        ])()

    def every(self, scope):
        inner = scope.inner()
        item = self.chance.choice(["number", "text"])
        source = self.expression((self.chance.choice(["list", "set", "table"]), item), inner)
        variable = self.name("e")
        inner.variables.append((variable, item))
        lines = [f"{variable} {self.operator()} {self.expression(item, inner)}"]
        lines += [self.fact(inner)] if self.chance.random() < 0.4 else []
        head = self.chance.choice([variable, f"_, {variable}"])
        return f"every {head} in {source} {{ {'; '.join(lines)} }}"

    def exists(self, scope):
        _, lines, _ = self.loop(scope, self.chance.choice(["number", "text"]))
        return "; ".join(lines)

    def join(self, scope):
        """A row of a table in data, by keys."""
        row = self.name("row")
        scope.iterates()
        scope.variables += [(f"{row}.max", "number"), (f"{row}.label", "text")]
        key = self.chance.choice(["country", "currency"])
        field = next(field for field in self.template.of("text") if str(field).endswith(key)) if any(
            str(field).endswith(key) for field in self.template.of("text")) else self.field("text")
        lines = [self.chance.choice([f"some {row} in data.reference.tiers", f"{row} := data.reference.tiers[_]"])]
        lines += [self.chance.choice([f"input.{field} == {row}.{key}", f"{row}.{key} == input.{field}",
                                      f"input.account_id == {row}.account"])]
        bound = self.chance.choice(["max", "min", "rate"])
        lines += [f"input.{self.field('number')} {self.operator()} {row}.{bound}"]
        return "; ".join(lines)

    def lookup(self, _):
        account = 'data.reference.accounts[concat("", ["A", format_int(input.account_id, 10)])]'
        return self.chance.choice([f"input.{self.field('number')} {self.operator()} {account}.max",
                                   f"{account}.enabled",
                                   f"not {account}", f"{account}.enabled == false",
                                   f"data.reference.blocked[input.{self.field('text')}]",
                                   f"not data.reference.blocked[input.{self.field('text')}]",
                                   f"{account}.tags[_] == {self.word()}",
                                   f"data.reference.accounts[_].max < input.{self.field('number')}"])

    def assignment(self, scope):
        kind = self.chance.choice(SCALARS + COLLECTIONS)
        variable = self.name("y")
        text = f"{variable} := {self.expression(kind, scope.inner())}"
        scope.variables.append((variable, kind))
        return text

    def destructuring(self, scope):
        first, second = self.name("d"), self.name("d")
        kinds = [self.chance.choice(["number", "text"]) for _ in range(2)]
        values = ", ".join(self.expression(kind, scope.inner()) for kind in kinds)
        scope.variables += [(first, kinds[0]), (second, kinds[1])]
        return self.chance.choice([f"[{first}, {second}] := [{values}]", f"[{first}, {second}] = [{values}]"])

    def known_rule(self, scope):
        truths = [ref for ref, kind in self.rules if kind == "truth"]
        if not truths:
            return self.comparison_of_field(scope)
        return self.chance.choice(["", "", "not "]) + self.chance.choice(truths) + self.modifier()

    def negation(self, scope):
        inner = scope.inner()
        condition = self.chance.choice([self.comparison, self.membership, self.known_rule_plain, self.simple_call])
        return f"not {condition(inner)}"

    def known_rule_plain(self, scope):
        truths = [ref for ref, kind in self.rules if kind == "truth"]
        return self.chance.choice(truths) if truths else self.comparison(scope)

    def simple_call(self, scope):
        return self.call(self.chance.choice(FACTS), scope.inner())

    def walked(self, scope):
        path, value = self.name("p"), self.name("w")
        scope.iterates()
        source = self.chance.choice(["input", f"input.{self.chance.choice(self.template.composites)}",
                                     "data.reference.odd"])
        return f"walk({source}, [{path}, {value}]); {value} == {self.literal(self.chance.choice(['number', 'text']))}"

    def modifier(self):
        """` with ...`, or nothing most of the time."""
        if self.chance.random() < 0.6:
            return ""
        field = self.chance.choice(self.template.fields)
        value = json_text(drawn(self.chance, field))
        options = [f"input.{field} as {value}", "input as {}", "data.reference.ceiling as 50",
                   f"data.reference.blocked as {{{self.word()}: true}}",
                   f"input.{self.chance.choice(self.template.composites)} as {{}}", f"input.{field} as input.absent",
                   "data.reference as {}",
                   f"input.extra.deep as {self.literal('number')}", f'data.reference.weights.night as {self.number()}']
        mocks = []
        mocked = [(ref, kind) for ref, kind in self.rules if kind in SCALARS and "[" not in ref and ref.count(".") < 1]
        if mocked:
            ref, kind = self.chance.choice(mocked)
            options.append(f"data.risk.{ref} as {self.literal(kind)}")
        if self.functions:
            name, types, result = self.chance.choice(self.functions)
            if result in SCALARS:
                mocks.append(f"{self.prefix}{name} as {self.literal(result)}")
        mocks += ["count as 2", 'lower as "mocked"']
        # Not both: OPA's planner gives a document's `with` a wrong base where a function is replaced beside it.
        picked = self.chance.sample(mocks if self.chance.random() < 0.2 else options, self.chance.choice([1, 1, 2]))
        return "".join(f" with {text}" for text in picked)

    def fact(self, scope):
        """One condition, on one line; may add variables to the scope."""
        if scope.depth > 3:
            return self.comparison_of_field(scope)
        return self.pick((8, lambda: self.comparison_of_field(scope)), (3, lambda: self.comparison(scope)),
                         (2, lambda: self.membership(scope)),
                         (2, lambda: self.simple_call(scope)), (1, lambda: self.every(scope)),
                         (1, lambda: self.exists(scope)),
                         (2, lambda: self.join(scope)), (2, lambda: self.lookup(scope)),
                         (1.5, lambda: self.iteration(scope)), (2, lambda: self.assignment(scope)),
                         (1, lambda: self.destructuring(scope)), (3, lambda: self.known_rule(scope)),
                         (2, lambda: self.negation(scope)),
                         (0.3, lambda: self.walked(scope)))

    def body(self, scope, least=1, most=3):
        lines = [self.fact(scope) for _ in range(self.chance.randint(least, most))]
        return braces(lines)

    # ---- rules ----

    def value_rule(self):
        """A complete rule: an expression, or a chain of else, with or without a default."""
        name, kind = self.name("r"), self.chance.choice(["number"] * 3 + ["text", "truth", "any", "any"] + COLLECTIONS)
        scope = Scope()
        shape = self.chance.randrange(3)
        if shape == 0:
            text = f"{name} := {self.expression(kind, scope)}"
        else:
            links = []
            for _ in range(self.chance.randint(1, 3)):
                scope = Scope()
                body = self.body(scope)
                links.append(f":= {self.expression(kind, scope.single())} if {body}")
            text = f"{name} " + " else ".join(links)
            if self.chance.random() < 0.3:
                text += f" else := {self.expression(kind, Scope())}"
        if kind in SCALARS and self.chance.random() < 0.3:
            text = f"default {name} := {self.literal(kind)}\n\n{text}"
        self.rules.append((name, kind))
        return name, text

    def truth_rule(self):
        """true by one of several bodies."""
        name = self.name("is")
        texts = [f"{name} if {self.body(Scope())}" for _ in range(self.chance.randint(1, 3))]
        if self.chance.random() < 0.3:
            texts.insert(0, f"default {name} := false")
        self.rules.append((name, "truth"))
        return name, "\n\n".join(texts)

    def mocked_value(self):
        """The value of an earlier rule under other circumstances."""
        candidates = [(ref, kind) for ref, kind in self.rules if kind != "any" and "[" not in ref
                      and ref.count(".") < 1]
        if not candidates:
            return self.value_rule()
        ref, kind = self.chance.choice(candidates)
        name, variable = self.name("m"), self.name("y")
        modifier = ""
        while not modifier:
            modifier = self.modifier()
        lines = [f"{variable} := {ref}{modifier}"] + ([self.fact(Scope())] if self.chance.random() < 0.5 else [])
        self.rules.append((name, kind))
        return name, f"{name} := {variable} if {braces(lines)}"

    def partial_set(self):
        name, item = self.name("s"), self.chance.choice(["number", "text", "text", "any"])
        texts = []
        for _ in range(self.chance.randint(1, 3)):
            scope = Scope()
            body = self.body(scope)
            texts.append(f"{name} contains {self.expression(item, scope)} if {body}")
        self.rules.append((name, "any" if item == "any" else ("set", item)))
        return name, "\n\n".join(texts)

    def partial_object(self):
        name, item = self.name("o"), self.chance.choice(["number", "text"])
        key, value = self.name("k"), self.name("v")
        inner = Scope()
        source = self.expression(("table", item), inner.inner())
        inner.variables.append((key, "text"))
        lines = [f"some {key}, {value} in {source}"] + ([self.fact(inner)] if self.chance.random() < 0.6 else [])
        self.rules.append((name, "any"))
        return name, f"{name}[{key}] := {value} if {braces(lines)}"

    def deep_head(self):
        """Rule heads with several keys."""
        name, item = self.name("t"), self.chance.choice(["number", "text"])
        variable, lines, inner = self.loop(Scope(), item)
        body = braces(lines)
        value = self.expression("text", inner)
        choice = self.chance.randrange(4)
        head = [f"{name}.all.kinds contains {variable}", f"{name}[{variable}].seen contains {value}",
                f"{name}[{variable}][{value}] := true",
                f'{name}["fixed"][{variable}] := {variable}'][choice]
        self.rules.append((name, "any"))
        if choice == 0:
            self.rules.append((f"{name}.all.kinds", ("set", item)))
        extra = ""
        if choice == 0 and self.chance.random() < 0.5:
            extra = f"\n\n{name}.other := {self.expression(item, Scope())}"
        return name, f"{head} if {body}{extra}"

    def function(self):
        """A function, which refers to rules only where these are no entrypoints."""
        rules = self.rules
        self.rules = rules if self.only_roles else []
        made = self.function_of_any_shape()
        self.rules = rules
        return made

    def function_of_any_shape(self):
        """One body, a chain of else, or a body for each of several constant arguments; perhaps with a default."""
        name, result = self.name("f"), self.chance.choice(["number", "number", "text", "truth"])
        kind = self.chance.choice(["number", "text"])
        argument, second = self.name("a"), self.name("a")
        shape = self.chance.randrange(4)
        types = [kind]
        if shape == 0:
            types = [kind, "number"]
            scope = Scope([(argument, kind), (second, "number")])
            text = f"{name}({argument}, {second}) := {self.expression(result, scope)}"
        elif shape == 1:
            constants = sorted({self.literal(kind) for _ in range(3)}, key=str)
            if kind == "number":
                constants = ["1", "2", "3"]
            text = "\n\n".join(f"{name}({constant}) := {self.literal(result)}" for constant in constants)
        else:
            links = []
            for _ in range(self.chance.randint(1, 3)):
                scope = Scope([(argument, kind)])
                compared = f"\t{argument} {self.operator()} {self.literal(kind)}\n"
                body = self.body(scope, 0, 2)
                links.append(f":= {self.expression(result, scope.single())} if {{\n{compared}{body[2:]}")
            text = f"{name}({argument}) " + " else ".join(links)
        if self.chance.random() < 0.25:
            text = f"default {name}({', '.join('_' for _ in types)}) := {self.literal(result)}\n\n{text}"
        self.functions.append((name, types, result))
        return None, text

    def any_rule(self):
        return self.pick((4, self.value_rule), (3, self.truth_rule), (2, self.partial_set), (1, self.partial_object),
                         (1, self.deep_head),
                         (2, self.function), (1.5, self.mocked_value))

    # ---- the roles of a verdict ----

    def reason_role(self, role):
        rules = []
        form = self.chance.randrange(6)
        if form == 0:
            return [(role, f"{role} if {self.body(Scope())}") for _ in range(self.chance.randint(1, 2))]
        if form == 1:
            key, constants = self.name("k"), ", ".join(json_text(reason) for reason in self.chance.sample(REASONS, 2))
            body = self.body(Scope([(key, "text")]))
            value = self.literal(self.chance.choice(SCALARS))
            return [(role, f"{role}[{key}] := {value} if {{\n\tsome {key} in [{constants}]{body[1:]}")]
        for _ in range(self.chance.randint(1, 5)):
            scope = Scope()
            body = self.body(scope)
            constant = json_text(self.chance.choice(REASONS))
            head = constant
            if form == 2 and self.chance.random() < 0.3:
                head = self.expression("text", scope)
            elif form == 3 and self.chance.random() < 0.5:
                head = f'{{"code": {constant}, "value": {self.expression("number", scope)}}}'
            rules.append((role, f"{role} contains {head} if {body}"))
        return rules

    def table_line(self):
        """A comparison that a rule table can hold, rarely another one."""
        if self.chance.random() < 0.0005:
            return self.comparison_of_field(None)
        field = self.chance.choice([field for field in self.template.fields if field.kind != "names"])
        if tables.may_derive(field) and self.chance.random() < 0.4:
            condition = tables.Derived(self.chance, field)
            return f"{self.chance.choice(['', '', 'not '])}{condition.line(json_text(condition.value()))}"
        if field.kind == "number":
            value = self.chance.choice([drawn(self.chance, field), self.chance.choice(INTEGERS), self.chance.choice(DECIMALS)])
            if abs(float(value)) > 2**53: # the whole rule would be left to the rules over values
                value = self.chance.choice(INTEGERS)
            return f"{self.chance.choice(['', '', '', 'not '])}input.{field} {self.operator()} {value}"
        if field.kind == "flag":
            return self.chance.choice([f"input.{field}", f"not input.{field}", f"input.{field} == false"])
        members = [json_text(value) for value in self.chance.sample(field.pool, min(len(field.pool), self.chance.randrange(1, 5)))]
        return self.chance.choice([f"input.{field} == {members[0]}", f"input.{field} != {members[0]}",
                                   f"not input.{field} == {members[0]}", f"input.{field} in {{{', '.join(members)}}}",
                                   f"not input.{field} in {{{', '.join(members)}}}"])

    def table_role(self, role):
        """So many bodies on the request alone that they become rows of a rule table, and a few that may not."""
        count = self.chance.randint(70, 350)
        rules = []
        for _ in range(count):
            lines = [self.table_line() for _ in range(self.chance.choice([1, 2, 3, 3, 4, 5]))]
            reason = json_text(f"M{self.chance.randrange(count):03}")
            rules.append((role, f"{role} contains {reason} if {braces(lines)}"))
        if self.chance.random() < 0.3:
            rules += [rule for rule in self.reason_role(role) if " contains " in rule[1]]
        return rules

    def table_roles(self):
        made = self.table_role("deny")
        if self.chance.random() < 0.6:
            made += self.table_role("review")
        if self.chance.random() < 0.5:
            made.append(("allow", "allow if count(deny) == 0"))
        if self.chance.random() < 0.3:
            made.append(("score", "score := count(deny)"))
        if self.chance.random() < 0.3:
            made += self.table_role("reasons")
        return made

    def roles(self):
        made = self.reason_role("deny")
        if self.chance.random() < 0.7:
            made += self.reason_role("review")
        if self.chance.random() < 0.8:
            body = self.body(Scope())
            made.append(("allow",
                         self.chance.choice([f"default allow := false\n\nallow if {body}", f"allow if {body}",
                                             "allow if count(deny) == 0"
                                                      if any("deny contains" in text for _, text in made)
                                             else f"allow if {body}"])))
        if self.chance.random() < 0.7:
            made.append(("score", f"score := {self.expression('number', Scope())}"))
        if self.chance.random() < 0.5:
            made += [("reasons", text.replace("review", "reasons", 1)) for _, text in self.reason_role("review")
                     if " contains " in text]
        return made

    # ---- rules that may conflict ----

    def clashes(self):
        self.rules = [(f"risk.{ref}", kind) for ref, kind in self.rules]
        self.functions = [(f"risk.{name}", types, result) for name, types, result in self.functions]
        self.prefix = "data."
        made = []
        for _ in range(self.chance.randrange(3)):
            name, kind = self.name("c"), self.chance.choice(["number", "text"])
            form = self.chance.randrange(3)
            if form == 0:
                texts = [f"{name} := {self.literal(kind)} if {self.comparison_of_field(None)}" for _ in range(2)]
                made.append((name, "\n\n".join(texts)))
                continue
            variable, lines, _ = self.loop(Scope(), kind)
            if form == 1:
                made.append((name, f"{name}[{self.expression('text', Scope())}] := {variable} if {braces(lines)}"))
            else:
                made.append((name, f"{name} := {{{self.literal('text')}: {variable} | {'; '.join(lines)}}}"))
        return made


def data_document(chance, template):
    """What `data.reference` holds; not every policy finds all of it."""
    def number():
        return Number(chance.choice(chance.choice([INTEGERS, DECIMALS, GREAT, MONEY])))

    def row():
        entries = {"account": Number(chance.choice(["1", "7", "1001", "9007199254740993"])),
                   "country": chance.choice(COUNTRIES),
                   "currency": chance.choice(CURRENCIES), "max": number(), "min": number(),
                   "rate": Number(chance.choice(DECIMALS)),
                   "label": chance.choice(WORDS)}
        return {key: value for key, value in entries.items() if chance.random() < 0.9}

    texts = [value for field in template.of("text") for value in field.pool]
    reference = {
        "ceiling": number(), "label": chance.choice(WORDS), "numbers": [number() for _ in range(chance.randrange(5))],
        "names": chance.sample(texts, 4), "weights": {reason: number() for reason in chance.sample(REASONS, 5)},
        "labels": {chance.choice(texts): chance.choice(WORDS) for _ in range(3)},
        "rates": {currency: Number(chance.choice(["1", "0.92", "155.37", "1.0"]))
                  for currency in chance.sample(CURRENCIES, 3)},
        "blocked": {chance.choice(texts): chance.choice([True, True, False]) for _ in range(4)},
        "tiers": [row() for _ in range(chance.randrange(6))],
        "accounts": {f"A{account}": {"max": number(), "enabled": chance.choice([True, False]),
                                     "tags": chance.sample(WORDS, 2)}
                     for account in chance.sample(["1", "7", "1001", "1002", "9007199254740993",
                                                   "18446744073709551614"], 4)},
        "odd": odd(chance)}
    return {"reference": {key: value for key, value in reference.items() if chance.random() < 0.93}}


def policy(chance, template, only=None):
    """only: "tables" for one whose rules become rule tables, at any rate; "bodies" for one of bodies.py."""
    writer = Writer(chance, template)
    if only or chance.random() < 0.12:
        writers = {"tables": tables.Tables, "bodies": bodies.Bodies}
        made = writers[only or chance.choice(list(writers))](writer)
        data = data_document(chance, template) | {"tables": made.data()}
        return Policy(template, made.rules(), [], data, writer.only_roles)
    if chance.random() < 0.06:
        return Policy(template, writer.table_roles(), [], data_document(chance, template), writer.only_roles)
    rules = [writer.any_rule() for _ in range(chance.randint(2, 8))]
    rules += writer.roles()
    clashes = [] if writer.only_roles else writer.clashes()
    return Policy(template, rules, clashes, data_document(chance, template), writer.only_roles)
