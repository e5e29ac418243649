// SPDX-License-Identifier: Apache-2.0

// Decide the requests of one folder of bench/policy_corpus with OPA's Go engine, on one core: a query prepared once, reference data
// kept as Rego values, input parsed before, and again from JSON text.
//
// Time is the process's CPU time, garbage collection included: one core does all the work that decisions cause.
//
// usage: peer_opa FOLDER SECONDS      prints one JSON object
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/open-policy-agent/opa/v1/version"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer_opa:", err)
		os.Exit(1)
	}
	return value
}

func read(folder, name string) []byte {
	return must(os.ReadFile(filepath.Join(folder, name)))
}

type engine struct {
	context  context.Context
	prepared rego.PreparedEvalQuery
	options  []rego.EvalOption
}

func prepare(folder string) *engine {
	e := &engine{context: context.Background()}
	var data map[string]any
	must(0, util.UnmarshalJSON(read(folder, "data.json"), &data))
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	e.prepared = must(rego.New(
		rego.Query("data.bench.decision"),
		rego.Module("policy.rego", string(read(folder, "policy.rego"))),
		rego.Module("decision.rego", string(read(folder, "decision.rego"))),
		rego.Store(store),
		// The result as the engine has it: no copy into Go's own maps.
		rego.GenerateJSON(func(term *ast.Term, _ *rego.EvalContext) (any, error) { return term.Value, nil }),
	).PrepareForEval(e.context))
	e.options = []rego.EvalOption{rego.EvalTransaction(storage.NewTransactionOrDie(e.context, store))}
	return e
}

func (e *engine) decide(input ast.Value) ast.Object {
	results := must(e.prepared.Eval(e.context, append(e.options, rego.EvalParsedInput(input))...))
	return results[0].Expressions[0].Value.(ast.Object)
}

func (e *engine) parseAndDecide(line []byte) ast.Object {
	return e.decide(must(ast.ValueFromReader(bytes.NewReader(line))))
}

// fires: the rule's array holds something true, or a set that is not empty.
func fires(decision ast.Object, rule string) bool {
	term := decision.Get(ast.StringTerm(rule))
	if term == nil || term.Value.(*ast.Array).Len() == 0 {
		return false
	}
	switch value := term.Value.(*ast.Array).Elem(0).Value.(type) {
	case ast.Boolean:
		return bool(value)
	case ast.Set:
		return value.Len() > 0
	}
	return true
}

func verdict(decision ast.Object) string {
	switch {
	case fires(decision, "deny"):
		return "deny"
	case fires(decision, "review"):
		return "review"
	case fires(decision, "allow"):
		return "allow"
	}
	return "review" // the default verdict
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// measure: nanoseconds of CPU time for one call, over whole rounds of all requests for about `seconds`.
func measure(count int, seconds float64, call func(int)) float64 {
	for i := range count {
		call(i)
	}
	calls, begin := 0, cpuSeconds()
	for cpuSeconds()-begin < seconds {
		for i := range count {
			call(i)
		}
		calls += count
	}
	return (cpuSeconds() - begin) / float64(calls) * 1e9
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peer_opa FOLDER SECONDS")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	folder, seconds := os.Args[1], must(strconv.ParseFloat(os.Args[2], 64))
	begin := time.Now()
	e := prepare(folder)
	ready := time.Since(begin)

	var lines [][]byte
	var inputs []ast.Value
	scanner := bufio.NewScanner(bytes.NewReader(read(folder, "requests.jsonl")))
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
		inputs = append(inputs, must(ast.ValueFromReader(bytes.NewReader(scanner.Bytes()))))
	}
	must(0, scanner.Err())

	verdicts := map[string]int{"allow": 0, "deny": 0, "review": 0}
	for _, input := range inputs {
		verdicts[verdict(e.decide(input))]++
	}
	report := map[string]any{
		"engine":          "OPA " + version.Version,
		"verdicts":        verdicts,
		"prepare_ms":      ready.Seconds() * 1e3,
		"decide_ns":       map[string]float64{"topdown": measure(len(lines), seconds, func(i int) { e.decide(inputs[i]) })},
		"parse_decide_ns": map[string]float64{"topdown": measure(len(lines), seconds, func(i int) { e.parseAndDecide(lines[i]) })},
	}
	must(0, json.NewEncoder(os.Stdout).Encode(report))
}
