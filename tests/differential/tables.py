# SPDX-License-Identifier: Apache-2.0
"""Random policies whose rules become rule tables: bodies over many rows of data, very many bodies of one rule, long
chains of `else`, sums of scores. Among them stand bodies and rows that no table can hold, so that each rule is in part
this and in part that.
"""

from requests import ADDRESSES, MOMENTS, MONEY, ZONES, Number, drawn, json_text

ODD_VALUES = [None, True, "x", "", Number("1.5"), [], ["DE"], {"a": Number("1")}]
SCORES = [["0", "1", "5", "10", "25", "-3", "40"], ["0.5", "1", "2.25", "10", "0", "0.1", "7.0001", "33.3"]]
REVERSED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


WEEKDAYS = ["Monday", "Thursday", "Saturday", "Sunday"]


def prefix(chance, texts):
    """A part of a text that is no character's half, or what follows it."""
    text = chance.choice(texts)
    text = text[:chance.randrange(len(text) + 1)]
    return text if chance.random() < 0.8 else text + chance.choice(["", "\x7f", "~", "z", "0"])


def network(chance):
    """Around an address, mostly valid."""
    address = chance.choice([text for text in ADDRESSES if "/" not in text])
    return f"{address}/{chance.choice([0, 7, 8, 9, 16, 24, 30, 31, 32, 47, 48, 64, 104, 127, 128])}"


class Derived:
    """A condition on something that is made of a field, and values to go with it."""

    def __init__(self, chance, field):
        self.chance, self.operator = chance, chance.choice(["==", "!=", "<", "<=", ">", ">="])
        path = f"input.{field}"
        if field.kind == "text":
            self.form, self.value = chance.choice([
                ("startswith({}, {})", lambda: prefix(chance, field.pool)),
                (f"{{}} {chance.choice(['<', '<=', '>', '>='])} {{}}", lambda: prefix(chance, field.pool)),
                ("strings.any_prefix_match({}, {})", lambda: [prefix(chance, field.pool) for _ in range(chance.randrange(4))])])
            if ADDRESSES[0] in field.pool and chance.random() < 0.6:
                self.form, self.value = "net.cidr_contains({1}, {0})", lambda: network(chance)
        else:
            zone = chance.choice(ZONES)
            moment = chance.choice([path, f'[{path}, "{zone}"]'])
            self.form, self.value = chance.choice([
                (f"time.clock({moment})[{{2}}] {{3}} {{1}}", lambda: Number(chance.choice(["0", "1", "3", "13", "22", "59"]))),
                (f"time.weekday({moment}) == {{1}}", lambda: chance.choice(WEEKDAYS)),
                ("floor({0} / 3600000000000) % 24 {3} {1}", lambda: Number(chance.choice(["0", "5", "13", "22"]))),
                ("({0} % 86400000000000) / 3600000000000 {3} {1}", lambda: Number(chance.choice(["0", "5.5", "13", "22"]))),
                ("{0} % 1000 {3} {1}", lambda: Number(chance.choice(["0", "1", "789", "999"])))])
        self.path, self.part = path, chance.choice("0012")

    def line(self, value):
        return self.form.format(self.path, value, self.part, self.operator)


def may_derive(field):
    """Is something made of the field?"""
    return field.kind == "text" or (field.kind == "number" and MOMENTS[4] in field.pool)


class Condition:
    """A comparison of a field with what a row holds under a key."""

    def __init__(self, chance, field, key):
        self.chance, self.field, self.key = chance, field, key
        form = chance.random()
        self.is_list = field.kind == "text" and form < 0.4
        self.is_nested = self.is_list and form < 0.15
        self.derived = None
        if may_derive(field) and chance.random() < 0.5:
            self.derived, self.is_list, self.is_nested = Derived(chance, field), False, False
        self.negated = chance.random() < 0.15
        self.operator = chance.choice(["==", "==", "!=", "<", "<=", ">", ">="] if field.kind == "number" else
                                      ["==", "==", "==", "!="])

    def lines(self, row):
        value = f"{row}.{self.key}"
        if self.derived:
            return [f"{'not ' if self.negated else ''}{self.derived.line(value)}"]
        if self.is_nested:
            return [f"some {self.key}_item in {value}", f"input.{self.field} == {self.key}_item"]
        if self.is_list:
            return [f"{'not ' if self.negated else ''}input.{self.field} in {value}"]
        if self.chance.random() < 0.3:
            return [f"{value} {REVERSED[self.operator]} input.{self.field}"]
        return [f"{'not ' if self.negated else ''}input.{self.field} {self.operator} {value}"]

    def value(self):
        """What a row has: mostly of the field's type."""
        chance = self.chance
        if chance.random() < 0.04:
            return chance.choice(ODD_VALUES)
        if self.derived:
            return self.derived.value()
        if self.is_list:
            return [chance.choice(self.field.pool) for _ in range(chance.randrange(4))]
        if self.field.kind == "number":
            value = chance.choice([drawn(chance, self.field), Number(chance.choice(MONEY)),
                                   Number(str(chance.randrange(1000)))])
            return Number("3") if abs(float(value)) > 2**53 else value
        return drawn(chance, self.field)


class Shape:
    """Rows of data of one shape, and what a body asks of them."""

    def __init__(self, chance, template, name, counts=(5, 70, 100, 200, 300, 450)):
        self.chance, self.name, self.counts = chance, name, counts
        fields = [field for field in template.fields if field.kind != "names"]
        picked = chance.sample(fields, chance.choice([1, 2, 2, 3, 4]))
        self.conditions = [Condition(chance, field, f"k{i}") for i, field in enumerate(picked)]
        self.asks_enabled = chance.random() < 0.3
        self.is_table = chance.random() < 0.25
        self.scores = chance.choice(SCORES)
        self.flag = chance.choice(template.of("names")) if chance.random() < 0.3 else None
        self.names_field = chance.random() < 0.15
        self.top = [str(field) for field in template.fields if field.kind == "number" and "." not in str(field)]

    def rows(self):
        count = self.chance.choice(self.counts)
        rows = [self.row(i) for i in range(count)]
        if self.is_table:
            return {f"id{i}" if self.chance.random() < 0.9 else str(i): row for i, row in enumerate(rows)}
        return rows

    def row(self, number):
        chance = self.chance
        row = {condition.key: condition.value() for condition in self.conditions}
        row |= {"reason": f"R{number % chance.choice([3, 1000]):03}", "score": Number(chance.choice(self.scores)),
                "enabled": chance.random() < 0.8, "field": chance.choice(self.top + ["absent"])}
        if chance.random() < 0.003:
            row["reason"] = chance.choice(ODD_VALUES)
        if chance.random() < 0.01:
            row["enabled"] = chance.choice(ODD_VALUES)
        return {key: value for key, value in row.items() if chance.random() < 0.985}

    def body(self, variable):
        """Lines that bind variable to a row for which all holds."""
        chance, path = self.chance, f"data.tables.{self.name}"
        input_of = f"input[{variable}.field]" if self.names_field else None
        lines = [chance.choice([f"some {variable} in {path}", f"some _, {variable} in {path}", f"{variable} := {path}[_]",
                                f"some {variable}_at\n\t{variable} := {path}[{variable}_at]",
                                f"some {variable}_at, {variable} in {path}"])]
        asked = [line for condition in self.conditions for line in condition.lines(variable)]
        if self.flag and chance.random() < 0.7:
            asked.append(f"{chance.choice(['', 'not '])}{json_text(chance.choice(self.flag.pool))} in input.{self.flag}")
        if input_of:
            asked.append(f"{input_of} {chance.choice(['>', '<=', '=='])} {variable}.score")
        if self.asks_enabled:
            asked.insert(chance.randrange(len(asked) + 1) if not any(c.is_nested for c in self.conditions) else 0,
                         chance.choice([f"{variable}.enabled", f"{variable}.enabled == true", f"not {variable}.enabled == false"]))
        return lines + asked


class Tables:
    """Writes the rules of such a policy with the help of a Writer, which makes what is no row."""

    def __init__(self, writer):
        self.writer, self.chance, self.template = writer, writer.chance, writer.template
        self.shapes = [Shape(self.chance, self.template, f"shape{i}") for i in range(self.chance.choice([1, 1, 2]))]
        self.made, self.helpers, self.named = [], [], 0

    def data(self):
        return {shape.name: shape.rows() for shape in self.shapes}

    def name(self, stem):
        self.named += 1
        return f"{stem}{self.named}"

    def shape(self):
        return self.chance.choice(self.shapes)

    def odd_body(self):
        """Lines that may be anything."""
        return [self.writer.comparison_of_field(None) for _ in range(self.chance.choice([1, 1, 2]))]

    def line_body(self):
        return [self.writer.table_line() for _ in range(self.chance.choice([1, 2, 3, 3, 4]))]

    def bodies(self):
        """Of one rule: over rows, of its own, and odd ones."""
        chance = self.chance
        made = []
        if chance.random() < 0.7:
            made += [self.shape().body("r") for _ in range(chance.choice([1, 1, 2]))]
        if not made or chance.random() < 0.4:
            made += [self.line_body() for _ in range(chance.choice([3, 70, 150, 250]))]
        for _ in range(chance.choice([0, 0, 0, 1, 2, 4])):
            made.insert(chance.randrange(len(made) + 1), self.odd_body())
        return made

    def rule(self, name, head, lines):
        self.made.append((name, f"{head} if {{\n" + "".join(f"\t{line}\n" for line in lines) + "}"))

    def reasons(self, role):
        for lines in self.bodies():
            over_rows = " r " in f" {lines[0].split(chr(10))[-1]} ".replace(",", " ")
            head = json_text(f"M{self.chance.randrange(300):03}")
            if over_rows and self.chance.random() < 0.85:
                head = self.chance.choice(["r.reason", "r.reason", "r.reason", 'sprintf("%v-%v", [r.reason, r.score])',
                                           'concat(":", ["row", r.reason])', '{"code": r.reason, "score": r.score}',
                                           "r.score", "r.score * 2", "r",
                                           f'sprintf("%v %v", [r.reason, input.{self.writer.field("number")}])'])
            if self.helpers and self.chance.random() < 0.2:
                lines = lines + [self.chance.choice(["not {}", "{}"]).format(self.chance.choice(self.helpers))]
            self.rule(role, f"{role} contains {head}", lines)

    def truth(self, name):
        if self.chance.random() < 0.4:
            self.made.append((name, f"default {name} := false"))
        for lines in self.bodies():
            if self.helpers and name not in self.helpers and self.chance.random() < 0.2:
                lines = lines + [self.chance.choice(["not {}", "{}"]).format(self.chance.choice(self.helpers))]
            self.rule(name, name, lines)

    def chain(self, name, values):
        """One rule of many branches."""
        count = self.chance.choice([3, 70, 120, 160])
        links, value = [], self.chance.choice(values)
        for _ in range(count):
            lines = self.odd_body() if self.chance.random() < 0.01 else self.line_body()
            value = value if self.chance.random() < 0.3 else self.chance.choice(values)
            links.append(f":= {value} if {{\n" + "".join(f"\t{line}\n" for line in lines) + "}")
        if self.chance.random() < 0.4:
            links.append(f":= {self.chance.choice(values)}")
        self.made.append((name, f"{name} " + " else ".join(links)))

    def gathered(self, what):
        return f"[{what} | {'; '.join(self.shape().body('r')).replace(chr(10) + chr(9), '; ')}]"

    def number(self):
        chance = self.chance
        form = chance.randrange(10)
        if form == 9:
            found = self.found("number")
            return f"{found} + 1" if found else "7"
        if form < 2:
            return f"sum({self.gathered('r.score')})"
        if form == 2:
            return f"count({self.gathered('r.score')}) + {chance.choice('012')}"
        if form == 3:
            return f"count({{{self.gathered('r.reason')[1:-1]}}})"
        if form == 4:
            name = self.name("points")
            self.chain(name, self.chance.choice(SCORES))
            return name
        if form == 5:
            return f"sum({self.gathered('r.score')}) - count({self.gathered('1')})"
        if form == 6:
            return f"{chance.choice(['max', 'min'])}({self.gathered('r.score')})"
        if form == 7:
            name = self.name("highest")
            self.made.append((name, f"{name} := {chance.choice(['max', 'min'])}({self.gathered('r.score')})"))
            return f"{name} + {chance.choice('01')}"
        name = self.name("hits")
        self.reasons(name)
        return f"count({name}) * 10"

    def found(self, kind):
        """A rule whose value many rows may give, all of them the same; None if no shape has the field."""
        for shape in self.shapes:
            for condition in shape.conditions:
                if condition.field.kind != kind or condition.is_list:
                    continue
                name = self.name("found")
                lines = [line for line in shape.body("r") if f".{condition.key}" not in line]
                lines.append(f"r.{condition.key} == input.{condition.field}")
                self.rule(name, f"{name} := r.{condition.key}", lines)
                if self.chance.random() < 0.3:
                    self.rule(name, f"{name} := input.{condition.field}", self.line_body())
                return name
        return None

    def role(self, role):
        form = self.chance.randrange(7)
        if form == 6:
            found = self.found("text") or self.found("number")
            self.rule(role, role, [f"{found} == input.{self.writer.field('text')}" if found else "input.request_id == 7"])
        elif form < 2:
            self.reasons(role)
        elif form == 5:
            name = self.name("hits")
            self.reasons(name)
            self.rule(role, f"{role} contains hit", [f"some hit in {name}"])
            if self.chance.random() < 0.5:
                self.rule(role, f'{role} contains "many"', [f"count({name}) > {self.chance.choice('0123')}"])
        elif form == 2:
            self.truth(role)
        elif form == 3:
            name = self.name("any")
            self.truth(name)
            self.rule(role, role, [self.chance.choice([name, f"not {name}", f"{name} == true"])])
            self.rule(role, role, self.odd_body())
        else:
            name = self.name("action")
            self.chain(name, ['"block"', '"hold"', '"pass"'])
            self.rule(role, role, [f'{name} {self.chance.choice(["==", "!="])} "block"'])

    def rules(self):
        if self.chance.random() < 0.4:
            name = self.name("exempt")
            self.rule(name, name, self.line_body())
            self.helpers.append(name)
        self.role("deny")
        if self.chance.random() < 0.6:
            self.role("review")
        if self.chance.random() < 0.5:
            self.rule("allow", "allow", [self.chance.choice(["not deny", "input.request_id > 5"])])
        if self.chance.random() < 0.7:
            self.made.append(("score", f"score := {self.number()}"))
        if self.chance.random() < 0.3:
            self.reasons("reasons")
        return self.made
