package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// row is a goal (performance.md §2): the scenario costs at most so many times its yardstick.
type row struct {
	name     string
	scenario string
	floor    string
	per      float64 // the scenario is compared with this part of its yardstick
	goal     float64
}

var rows = []row{
	{"token seen: bearer", "token-bearer", "hello", 1, 1.3},
	{"token seen: DPoP", "token-dpop", "hello+v", 1, 1.3},
	{"signed request", "signed", "json+v", 1, 1.35},
	{"token: assertion, proof", "token", "64v", 64, 3},
	{"token, to its floor", "token", "floor", 1, 1.25},
	{"exchange, statement seen", "exchange", "64v", 64, 3.9},
	{"exchange, to its floor", "exchange", "floor", 1, 1.5},
	{"exchange, nothing seen before", "exchange-new", "floor+2v", 1, 1.35},
	{"decision over HTTP, 1,000 policies", "decide", "json+v", 1, 1.5},
	{"decision, to its floor", "decide", "row+v", 1, 1.5},
}

// needed are the scenarios that rows measure, their yardsticks first.
func needed(rs []row) []string {
	var names []string
	for _, r := range rs {
		for _, name := range []string{r.floor, r.scenario} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// result is a row as it was measured. Ratios are formed within a repeat; Ratio is their median.
type result struct {
	Op      string  `json:"op"`
	Engine  string  `json:"engine"`
	Callers int     `json:"callers"`
	Ratio   float64 `json:"ratio"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	To      string  `json:"to"`
	Goal    float64 `json:"goal"`
	Verdict string  `json:"verdict"` // ok, missed, noisy
	spread  float64
}

// judge forms the ratios. costs is CPU per request, by repeat and scenario.
func judge(rs []row, costs []map[string]float64, p plan) []result {
	var found []result
	for _, r := range rs {
		var ratios, floors []float64
		for _, c := range costs {
			floor := c[r.floor] / r.per
			ratios, floors = append(ratios, c[r.scenario]/floor), append(floors, floor)
		}
		slices.Sort(ratios)
		out := result{
			Op: r.name, Engine: engine(r), Callers: p.callers, Ratio: median(ratios), Min: ratios[0], Max: ratios[len(ratios)-1],
			To: r.floor, Goal: r.goal, Verdict: "ok", spread: slices.Max(floors)/slices.Min(floors) - 1,
		}
		switch {
		case out.spread > 0.15:
			out.Verdict = "noisy"
		case out.Ratio > r.goal:
			out.Verdict = "missed"
		}
		found = append(found, out)
	}
	return found
}

func engine(r row) string {
	if issuing(r.scenario) {
		return "sqlite"
	}
	return "none"
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func show(w io.Writer, found []result, p plan) {
	fmt.Fprintf(w, "\n%-24s %-10s %7s %7s %7s %6s  (%d callers, %d repeats, CPU of the server's process, load on the same machine)\n",
		"", "to", "median", "min", "max", "goal", p.callers, p.repeats)
	for _, r := range found {
		fmt.Fprintf(w, "%-24s %-10s %7.2f %7.2f %7.2f %6.2f  %s (yardsticks within %.0f %%)\n", r.Op, r.To, r.Ratio, r.Min, r.Max, r.Goal, r.Verdict, r.spread*100)
	}
}

func write(path string, found []result) error {
	raw, err := json.Marshal(found, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
