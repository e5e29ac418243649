# SPDX-License-Identifier: Apache-2.0
# The corners of evaluation, each as one entrypoint that says true: see eval_test.c. general.plan.json is made of it:
#	opa build -t plan -e general general.rego general.data.json  (and one -e general/RULE for each rule named in eval_test.c)
package general

import rego.v1

# blocks and breaks
every_empty if every x in [] { x == 1 }

every_set if every x in {1, 2} { x < 3 }

every_fails := "no" if {
	every x in input.list { x > 1 }
} else := "yes"

nested := [x, y] if {
	some x in [1, 2, 3]
	some y in [x, 9]
	x * y == 27
}

negated if {
	not input.nothing
	not {x | some x in input.list} == {1}
}

# partial rules
squares[x] := y if {
	some x in input.list
	y := x * x
}

deep.er[x].list contains y if {
	some x in ["a", "b"]
	some y in input.list
}

table[x][y] := true if {
	some x in ["r", "s"]
	some y in input.list
}

# functions
classify(x) := "small" if x < 10 else := "large" if x < 100 else := "huge"

classified := [classify(x) | some x in [1, 10, 1000]]

twice(x) := y if y := x + x

pick(x, _) := x if x > 0

pick(_, y) := y if y < 0

picked := [pick(1, 5), pick(-1, -5)]

# with
limit := data.limits.max

raised := v if v := limit with data.limits.max as 99

other_input := v if v := count(input.list) with input as {"list": [1, 2, 3, 4]}

deep_input := v if v := input.a.b with input.a.b as 7

made_input := v if v := input with input.x.y as 1

restored := [a, b, c] if {
	a := limit
	b := limit with data.limits.max as 5
	c := limit
}

mocked := v if v := twice(4) with twice as 11

seen_by_rule if trusts with input.account as "T1"

trusts if input.account in data.trusted

# comprehensions and values
inverted := {v: k | some k, v in {"a": 1, "b": 2}}

by_any_key := {[1]: "x", {2}: "y", null: "z"}

numbers := [1 == 1.0, 0.1 + 0.2 == 0.3, 9007199254740993 + 1 == 9007199254740994, {1, 1.0}]

ordered := [null, false, 1, "a", [1], {"a": 1}, {1}] == sort([{1}, {"a": 1}, [1], "a", 1, false, null])

path_integer := data.numbered[7]

variable_integer if {
	x := data.numbered
	not x[7]
}

dynamic := [v | some name in ["one", "two"]; v := data.general.dispatch[name].value]

dispatch.one.value := 1

dispatch.two.value := 2

whole := object.keys(data.general.dispatch)

merged := data.mixed.base

# errors
conflict := 1 if input.list

conflict := 2 if input.list[0]

conflicting_function(x) := 1 if x

conflicting_function(x) := 2 if x

function_conflict := conflicting_function(true)

key_conflict[k] := v if some k, v in [1, 2]

key_conflict[0] := 5 if input.list

divided := 1 / input.zero

no_division := "none" if not divided

mistyped := upper(input.zero)
