// SPDX-License-Identifier: Apache-2.0

// Dashboards against Grafana's own description of them: every field is known, of its type, and those that must be are
// there, in the dashboard, its variables, the options of each panel's type and the queries.
//
//	dashboard-schema FILE...
//
// Prints what is wrong, a line each. Exit status: 0 nothing, 1 something, 2 wrong use.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// An error's lines; none for an error without text, which is how the SDK says that there is none.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' })
}

// The SDK takes the options of a panel whose type it does not know as they are.
func unknownTypes(panels []dashboard.PanelOrRowPanel) (wrong []string) {
	for i, panel := range panels {
		if panel.Panel == nil {
			continue
		}
		if _, known := cog.NewRuntime().ConfigForPanelcfgVariant(panel.Panel.Type); !known {
			wrong = append(wrong, fmt.Sprintf("panels[%d]: unknown type '%s'", i, panel.Panel.Type))
		}
	}
	return wrong
}

// Strictly first; what that leaves behind is not whole, so once more for what looks at the result.
func check(file string) []string {
	var strict, made dashboard.Dashboard

	raw, err := os.ReadFile(file)
	if err != nil {
		return lines(err)
	}
	wrong := lines(strict.UnmarshalJSONStrict(raw))
	if err := json.Unmarshal(raw, &made); err != nil {
		return append(wrong, lines(err)...)
	}
	return append(append(wrong, lines(made.Validate())...), unknownTypes(made.Panels)...)
}

func main() {
	status := 0

	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboard-schema FILE...")
		os.Exit(2)
	}
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(bargauge.VariantConfig())
	runtime.RegisterPanelcfgVariant(heatmap.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	for _, file := range os.Args[1:] {
		for _, line := range check(file) {
			fmt.Printf("%s: %s\n", file, line)
			status = 1
		}
	}
	os.Exit(status)
}
