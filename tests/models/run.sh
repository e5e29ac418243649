#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Check the models of this folder with Spin, and check that each seeded mutant of them is caught.
#
#	run.sh [SPIN [CC [full]]]
#
# SPIN: the spin program (default: spin). CC: a C compiler (default: cc). full: the large state
# spaces too (publish with deaths on both sides and two images: 16 million states, about half a
# minute and 2 GB).
# Prints a line for each check with the number of states, and at the end `N passed, N failed`.
set -u
spin=${1:-spin}
cc=${2:-cc}
extent=${3:-quick}
if ! command -v "$spin" > /dev/null; then
	echo "skipped: $spin is not installed (package spin)"
	exit 77
fi
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
passed=0
failed=0

# search MODEL safety|progress FLAGS...: leaves pan's output in $work/out; false: it was not built
search()
{
	model=$1
	property=$2
	shift 2
	rm -f "$work"/pan* "$work"/*.trail
	(cd "$work" && "$spin" -a "$@" "$here/$model.pml") > "$work/out" 2>&1 || return 1
	if [ "$property" = safety ]; then
		$cc -O1 -w -DSAFETY -DNOCLAIM -o "$work/pan" "$work/pan.c" >> "$work/out" 2>&1 || return 1
		(cd "$work" && ./pan -m200000) > "$work/out" 2>&1
	else
		# weak fairness over the processes of the model
		$cc -O1 -w -DNFAIR=3 -o "$work/pan" "$work/pan.c" >> "$work/out" 2>&1 || return 1
		(cd "$work" && ./pan -a -f -m200000) > "$work/out" 2>&1
	fi
	return 0
}

states()
{
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/out"
}

# A search that was cut short proves nothing.
complete()
{
	grep -q 'State-vector' "$work/out" && ! grep -q -e 'max search depth too small' \
		-e 'out of memory' -e 'Search not completed' "$work/out"
}

pass()
{
	passed=$((passed + 1))
	echo "ok    $*"
}

fail()
{
	failed=$((failed + 1))
	echo "FAIL  $*"
	sed 's/^/      /' "$work/out" | tail -20
}

holds()
{
	if search "$@" && complete && grep -q 'errors: 0$' "$work/out"; then
		pass "$* ($(states) states)"
	else
		fail "$*"
	fi
}

# The mutant must be refused by an assertion or an acceptance cycle, not by failing to build.
caught()
{
	if search "$@" && grep -q 'errors: [1-9]' "$work/out" &&
		grep -q -e '^pan:1: assertion violated' -e '^pan:1: acceptance cycle' \
			"$work/out"; then
		pass "mutant $*: caught: $(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$work/out")"
	else
		fail "mutant $*: not caught"
	fi
}

holds ring safety
holds ring progress -DDECISIONS=3 -DPRODUCER_DEATHS=0
holds ring progress -DDECISIONS=3 -DCONSUMER_DEATHS=0
holds publish safety -DIMAGES=1
holds publish safety -DCONTROL_DEATHS=0
holds publish safety -DDATAPLANE_DEATHS=0
holds publish progress -DIMAGES=1
if [ "$extent" = full ]; then
	holds ring progress
	holds ring safety -DDECISIONS=5 -DPRODUCER_DEATHS=2
	holds publish safety
fi
for bug in COMMIT_FIRST RELEASE_FIRST NO_HINT NO_WAIT NO_LOOKING GENERATION RESUME_RESERVED \
	ONE_TOO_MANY UNCOUNTED_LOSS PADDING_UNPUBLISHED NO_RESUME; do
	caught ring safety -DBUG_$bug
done
caught ring progress -DBUG_NEVER_JOINED -DDECISIONS=3
for bug in NO_GRACE ACK_EARLY QUIESCENT_EARLY VERIFY_ORIGINAL STUCK_GIVES_UP; do
	caught publish safety -DBUG_$bug -DCONTROL_DEATHS=0 -DDATAPLANE_DEATHS=0
done
for bug in LOAD_UNVERIFIED REMOVE_FIRST TORN_REFUSED RESTART_TRUSTS_REPLY; do
	caught publish safety -DBUG_$bug -DCONTROL_DEATHS=0
done
for bug in TORN_REQUEST SEQUENCE_AGAIN; do
	caught publish safety -DBUG_$bug -DDATAPLANE_DEATHS=0
done
caught publish progress -DBUG_NOT_POLLED_AGAIN -DIMAGES=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
