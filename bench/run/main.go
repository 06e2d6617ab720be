// Command run measures what attorn adds to a trivial handler: CPU of the server's process per request, as a ratio to a yardstick of the same
// repeat. It starts the server, interleaves the scenarios, throws out what does not count, judges and writes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// Exit codes.
const (
	exitMissed  = 1
	exitUsage   = 2
	exitInvalid = 3
	exitNoisy   = 4
)

func main() {
	only := flag.String("only", "", "measure only rows whose name contains this")
	repeats := flag.Int("repeats", 5, "how often each scenario is run")
	callers := flag.Int("callers", 64, "connections at once")
	ticks := flag.Int64("ticks", 200, "clock ticks of server CPU that a run needs to count")
	yard := flag.String("yard", "../bin/yard", "the measured server")
	out := flag.String("out", "", "write the results here, as JSON")
	data := flag.String("data", "", "new data directory of the measured product, which stays; \"\": one that goes")
	delegations := flag.Int("delegations", 0, "how many delegations of others the measured product has")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the measured server here")
	flag.Parse()
	if flag.NArg() > 0 || *repeats < 1 || *callers < 1 || *ticks < 1 {
		flag.Usage()
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(measure(ctx, *only, *yard, *profile, *out, plan{repeats: *repeats, callers: *callers, ticks: *ticks, data: *data, delegations: *delegations}))
}

type plan struct {
	repeats, callers int
	ticks            int64
	data             string
	delegations      int
}

func measure(ctx context.Context, only, yard, profile, out string, p plan) int {
	var chosen []row
	for _, r := range rows {
		if strings.Contains(r.name, only) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		fmt.Fprintf(os.Stderr, "no row is named like %q\n", only)
		return exitUsage
	}
	var product *product
	if slices.ContainsFunc(chosen, func(r row) bool { return issuing(r.scenario) }) {
		var err error
		if product, err = newProduct(p.data, p.delegations); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitInvalid
		}
		defer product.remove()
	}
	s, err := start(ctx, yard, profile, product)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitInvalid
	}
	defer s.stop()
	var found []result
	for attempt := 1; ; attempt++ {
		costs, err := s.costs(ctx, needed(chosen), p)
		if err != nil {
			fmt.Fprintln(os.Stderr, "the run does not count:", err)
			return exitInvalid
		}
		found = judge(chosen, costs, p)
		if attempt == 3 || !slices.ContainsFunc(found, func(r result) bool { return r.Verdict == "noisy" }) {
			break
		}
		fmt.Fprintln(os.Stderr, "the yardsticks disagree by more than 15 %: again")
	}
	show(os.Stdout, found, p)
	if out != "" {
		if err := write(out, found); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitInvalid
		}
	}
	return verdict(found)
}

func verdict(found []result) int {
	code := 0
	for _, r := range found {
		switch r.Verdict {
		case "missed":
			return exitMissed
		case "noisy":
			code = exitNoisy
		}
	}
	return code
}
