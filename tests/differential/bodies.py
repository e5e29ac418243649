# SPDX-License-Identifier: Apache-2.0
"""Random policies most of whose rules are typed, with what is hard to type among them: reasons made of the request,
bodies that only the general evaluator can decide, rows that one rule finds and another goes over, partial objects.
"""

from requests import json_text
from tables import Shape, Tables

SCORES = ["count(deny)", "sum([1 | some _ in deny])"]


class Bodies(Tables):
    """Writes the rules with the help of a Writer, as Tables does."""

    def __init__(self, writer):
        super().__init__(writer)
        chance = self.chance
        self.shapes = [Shape(chance, self.template, f"shape{i}", [3, 20, 70, 90, 150]) for i in range(2)]
        self.codes = [json_text(f"C{i}") for i in range(chance.choice([2, 4, 12]))]
        self.functions, self.sets = [], []

    # ---- conditions ----

    def hard_line(self):
        """A condition that no typed program decides, mostly."""
        chance = self.chance
        text, number, other = (f"input.{self.writer.field(kind)}" for kind in ("text", "number", "number"))
        letter = chance.choice(["a", "D", "e", "r", "x", ""])
        return chance.choice([
            f'startswith({text}, "{letter}")', f'not startswith({text}, "{letter}")', f'endswith({text}, "{letter}")',
            f'contains(lower({text}), "{letter}")', f'regex.match("^[{letter}D-F]", {text})', f"count({text}) > 2",
            f'count(split({text}, "e")) == {chance.choice("12")}', f'some part in split({text}, "_")\n\tpart == "limit"',
            f"{number} * {other} > 100", f"{number} % 3 == 1", f"abs({number}) > 9.5", f"some n in [{number}, {other}]\n\tn > 10",
            f"{number} in [{other}, 100, 1000]", f'upper({text}) == "DE"', f"time.now_ns() > {number}",
            f'{text} < "b"', f"every n in [{number}, {other}] {{ n > 1 }}", f'object.get(input, "absent", {number}) > 1'])

    def condition(self):
        chance = self.chance
        form = chance.random()
        if form < 0.2:
            return self.hard_line()
        if form < 0.3:
            return self.writer.comparison_of_field(None)
        if form < 0.4 and self.helpers:
            return chance.choice(["not {}", "{}"]).format(chance.choice(self.helpers))
        return self.writer.table_line()

    def conditions(self):
        return [self.condition() for _ in range(self.chance.choice([1, 1, 2, 3]))]

    # ---- reasons ----

    def text(self):
        chance = self.chance
        part = lambda: f"input.{chance.choice([field for field in self.template.fields if field.kind != 'names'])}"
        if self.functions and chance.random() < 0.15:
            return f"{chance.choice(self.functions)}({part()})"
        if chance.random() < 0.1:
            return f'concat("{chance.choice([" ", ":", ""])}", ["{chance.choice(["at", "C", ""])}", input.{self.writer.field("text")}])'
        form = chance.choice(["%v over %v", "%v", "C%v", "%s is odd", "limit %d", "limit %v of %v", "limit %v by %v", "%5.2f!",
                              "%v%%", "C1", "limit %v %v %v", "%[2]v %v", "é %q"])
        count = max(0, form.replace("%%", "").count("%") + chance.choice([0, 0, 0, 0, 0, 1, -1]))
        parts = [chance.choice([part(), part(), '"x"', "7", "1.50", "[input.request_id, 2]"]) for _ in range(count)]
        return f"sprintf({json_text(form)}, [{', '.join(parts)}])"

    def head(self):
        """(lines, element) of a reason."""
        chance, code = self.chance, self.chance.choice(self.codes)
        value = f"input.{self.writer.field(chance.choice(['number', 'text']))}"
        form = chance.randrange(10)
        if form < 4:
            return [], code
        if form < 6:
            return [], f'{{"code": {code}, "message": {self.text()}}}'
        if form == 6:
            return [f"message := {self.text()}"], "message"
        if form == 7:
            return [], chance.choice([f'{{"code": {code}, "value": {value}}}', f'{{"amount": {value}, "code": {code}}}',
                                      f'{{"id": {self.text()}, "n": 1}}', f'{{"code": {code}, "of": [{value}, 1]}}', value])
        if form == 8:
            return [f'found := {{"code": {code}, "n": {value}}}', f"found.n {self.writer.operator()} 100"], "found.code"
        return [], self.text()

    def reasons(self, role):
        chance = self.chance
        for _ in range(chance.choice([1, 2, 3, 5, 12])):
            lines, head = self.head()
            if self.sets and chance.random() < 0.2:
                self.over_set(role)
            elif chance.random() < 0.25:
                self.over_rows(role)
            self.rule(role, f"{role} contains {head}", self.conditions() + lines)

    # ---- rules that others go over ----

    def function(self):
        name = self.name("text_of")
        body = self.chance.choice(['sprintf("value %v", [x])', 'concat("-", ["C", sprintf("%v", [x])])', "x"])
        guard = self.chance.choice(["", " if x != 7", " if { x != 10; input.request_id != 7 }"])
        self.made.append((None, f"{name}(x) := {body}{guard}"))
        self.functions.append(name)

    def helper(self):
        name = self.name("odd")
        for _ in range(self.chance.choice([1, 2])):
            self.rule(name, name, self.conditions())
        self.helpers.append(name)

    def set_of_objects(self):
        name = self.name("found")
        for _ in range(self.chance.choice([1, 2, 3])):
            code, field = self.chance.choice(self.codes), self.writer.field("number")
            self.rule(name, f'{name} contains {{"code": {code}, "n": input.{field}}}', self.conditions())
        self.sets.append(name)

    def over_set(self, role):
        name = self.chance.choice(self.sets)
        head = self.chance.choice(["f.code", "f", 'sprintf("%v %v", [f.code, f.n])', '"some"'])
        lines = [f"some f in {name}"] if head != '"some"' else [f"count({name}) > {self.chance.choice('012')}"]
        if head != '"some"' and self.chance.random() < 0.6:
            lines.append(self.chance.choice(["f.n > 100", 'f.code == "C1"', "f.n == input.request_id", "f.n >= 0"]))
        self.rule(role, f"{role} contains {head}", lines)

    def over_rows(self, role):
        """Rows that match, as an array, a set, an object or a rule of functions, and a rule that goes over them."""
        chance, shape = self.chance, self.shape()
        name = self.name("rows")
        lines = shape.body("r")
        form = chance.randrange(5)
        limit = f"input.{self.writer.field('number')} {self.writer.operator()} s.score"
        if form == 0:
            self.made.append((name, f"{name} := [r | {self.joined(lines)}]"))
            asked = [f"some s in {name}", limit]
        elif form == 1:
            self.rule(name, f"{name} contains r", lines)
            asked = [f"some s in {name}", limit]
        elif form == 2:
            lines = [f"some at, r in data.tables.{shape.name}"] + lines[1:]
            self.rule(name, f"{name}[at] := r.score", lines) # each key once: no conflict
            # OPA's evaluator, unlike its plan, finds the key "2" by 2
            keys = {"number": f"input.{self.writer.field('number')}", "text": f"input.{self.writer.field('text')}"}
            key = chance.choice([keys["text"] if shape.is_table else keys["number"], '"id1"' if shape.is_table else "2", "k"])
            asked = ([] if key != "k" else [f"some k, _ in {name}"]) + [f"{name}[{key}] < input.{self.writer.field('number')}"]
            self.rule(role, f"{role} contains {'k' if key == 'k' else chance.choice(self.codes)}", asked)
            return
        elif form == 3:
            self.made.append((name, f"{name} := {{r.reason | {self.joined(lines)}}}"))
            self.rule(role, f"{role} contains s", [f"some s in {name}"] + ([f's != "R001"'] if chance.random() < 0.5 else []))
            return
        else:
            self.made.append((name, f"{name} := [r | {self.joined(lines)}]"))
            self.rule(role, f"{role} contains {chance.choice(self.codes)}", [f"count({name}) {self.writer.operator()} {chance.choice('012')}"])
            return
        if chance.random() < 0.2:
            asked.append(self.condition())
        self.rule(role, f"{role} contains {chance.choice(['s.reason', 's.reason', chance.choice(self.codes)])}", asked)

    def joined(self, lines):
        return "; ".join(lines).replace("\n\t", "; ")

    def score(self):
        chance = self.chance
        number, text = f"input.{self.writer.field('number')}", f"input.{self.writer.field('text')}"
        return chance.choice(SCORES + [number, f"count({text})", f"round({number} / 3)", f"{number} * 1.5",
                                       f'count(split({text}, "e")) + count(deny)', f"max([{number}, count({text})])",
                                       f"to_number(format_int({number}, 10))", self.gathered_score()])

    def gathered_score(self):
        return f"sum([r.score | {self.joined(self.shape().body('r'))}])"

    def rules(self):
        chance = self.chance
        for make in [self.helper, self.function, self.set_of_objects]:
            for _ in range(chance.choice([0, 1, 1, 2])):
                make()
        self.reasons("deny")
        if chance.random() < 0.7:
            self.reasons("review") if chance.random() < 0.8 else self.rule("review", "review", self.conditions())
        if chance.random() < 0.8:
            self.rule("allow", "allow", chance.choice([["count(deny) == 0"], self.conditions(), ["not denied"]]))
            if "not denied" in self.made[-1][1]:
                self.rule("denied", "denied", ["count(deny) > 1"])
        if chance.random() < 0.7:
            self.made.append(("score", f"score := {self.score()}"))
        if chance.random() < 0.3:
            self.reasons("reasons")
        return self.made
