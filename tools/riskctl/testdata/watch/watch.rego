# What a trace has to get right: loops, not, every, functions with several bodies, with, a conflict, a default.
# plan.json: opa build -t plan -e watch/allow -e watch/late -e watch/total -e watch/clash -e watch/ratio .
package watch

default allow := false

allow if {
	some item in input.items
	item.price > 10
	not blocked(item.name)
	every tag in item.tags {
		tag != "bad"
	}
}

blocked(name) if name in data.blocked
blocked(name) if {
	startswith(name, "x")
}

names contains upper(item.name) if some item in input.items

total := sum([item.price | some item in input.items])

late if {
	count(names) > 5 with input as {"items": []}
}

clash := 1 if input.a
clash := 2 if input.b

ratio := input.a / input.b
