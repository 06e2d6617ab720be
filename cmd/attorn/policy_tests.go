package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// testReport is what attorn policy test found, for programs.
type testReport struct {
	Tests    []testedRow     `json:"tests"`
	Passed   int             `json:"passed"`
	Failed   int             `json:"failed"`
	Policies []coveredPolicy `json:"policies"`
	Coverage int             `json:"coverage"` // per cent of the policies, rounded down
	Note     string          `json:"note,omitempty"`
}

type testedRow struct {
	File    string   `json:"file"`
	Name    string   `json:"name"`
	Failure string   `json:"failure,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
	Code    string   `json:"code,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	Why     []string `json:"why,omitempty"` // of a failure, in words
}

type coveredPolicy struct {
	ID    string `json:"id"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	True  bool   `json:"true"`
	False bool   `json:"false"`
}

func (c *cli) policyTestCommand() *cobra.Command {
	var from against
	var only string
	var verbose bool
	least := -1
	cmd := &cobra.Command{
		Use: "test [DIR]", Short: "Run the tests of a directory of policies", Args: between(0, 1),
		Long: "Decide what the tables in tests/*_test.yaml ask, compare, and say which policies the tests have seen match and not match. Tools that a table does not name are\n" +
			"those of the server that you are signed in to, or of --schema.",
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := regexp.Compile(only)
			if err != nil {
				return usageError{fmt.Errorf("--run: %w", err)}
			}
			b, err := readBundle(dirOf(args))
			if err != nil {
				return err
			}
			set, problems := b.compile()
			if set == nil {
				return b.invalid(problems)
			}
			world, note, err := c.world(cmd, from)
			if err != nil {
				return err
			}
			r := reportOf(policy.Test(set, world, run.MatchString))
			r.Note = note
			if least < 0 && only == "" {
				least = set.Settings().MinCoverage
			}
			if err := c.show(r, r.failed(), func(w io.Writer) { r.print(w, verbose) }); err != nil {
				return err
			}
			switch {
			case len(r.Tests) == 0:
				return fault.New(fault.Invalid, "no_tests", "no test was run in %s", b.dir).Try("write one: attorn policy init shows how")
			case r.Failed > 0:
				return fault.New(fault.Invalid, "tests_failed", "%s failed", count(r.Failed, "test")).Try("mend the policies, or what the tests expect")
			case r.Coverage < least:
				return fault.New(fault.Invalid, "coverage_low", "the tests cover %d %% of the policies, and %d %% are wanted", r.Coverage, least).Try("add tests in which the policies named match, and do not")
			}
			return nil
		},
	}
	from.flags(cmd)
	cmd.Flags().StringVar(&only, "run", "", "only tests whose names match this regular expression")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "name the tests that passed, too")
	cmd.Flags().IntVar(&least, "min-coverage", -1, "fail below so many per cent; else min_coverage of attorn.yaml")
	return cmd
}

// invalid says what is wrong with a bundle that cannot be used.
func (b *bundleDir) invalid(problems []policy.Problem) error {
	var all strings.Builder
	for _, p := range problems {
		all.WriteString("\n" + line(p.String()))
	}
	return fault.New(fault.Invalid, "policy_invalid", "the policies in %s have errors%s", b.dir, all.String()).Try("attorn policy check %s", b.dir)
}

func reportOf(tests []policy.Tested, covered []policy.Covered) testReport {
	r := testReport{Tests: []testedRow{}, Policies: []coveredPolicy{}}
	for _, t := range tests {
		d := t.Explanation.Decision
		row := testedRow{File: t.File, Name: t.Name, Failure: t.Failure, Outcome: string(d.Outcome), Code: d.Code, Reasons: d.Reasons}
		if t.Failure == "" {
			r.Passed++
		} else {
			r.Failed++
			row.Why = whyOf(t.Explanation)
		}
		r.Tests = append(r.Tests, row)
	}
	both := 0
	for _, p := range covered {
		r.Policies = append(r.Policies, coveredPolicy{p.ID, p.File, p.Line, p.True, p.False})
		if p.True && p.False {
			both++
		}
	}
	r.Coverage = 100
	if len(covered) > 0 {
		r.Coverage = both * 100 / len(covered)
	}
	return r
}

// whyOf says what led to a decision: its message, the policies that applied, and of who has no permit the nearest one.
func whyOf(x policy.Explanation) []string {
	var why []string
	if x.Decision.Message != "" {
		why = append(why, x.Decision.Message)
	}
	for _, p := range x.Principals {
		for _, h := range p.Policies {
			said := h.Effect
			if h.Erred {
				said += ", which cannot be evaluated"
				if h.Trouble != nil {
					said += ": " + h.Trouble.Words
				}
			}
			why = append(why, fmt.Sprintf("%s: %s %s:%d:%d %s", p.Principal, h.ID, h.File, h.Line, h.Col, said))
		}
		for i, n := range p.Nearest {
			if i == 0 {
				why = append(why, fmt.Sprintf("%s: the nearest permit is %s %s:%d:%d: %s", p.Principal, n.ID, n.File, n.First.Line, n.First.Col, n.First.Words))
			}
		}
	}
	return why
}

// failed are the names of the tests that did.
func (r testReport) failed() string {
	var names []string
	for _, t := range r.Tests {
		if t.Failure != "" {
			names = append(names, t.Name)
		}
	}
	return strings.Join(names, "\n")
}

func (r testReport) print(w io.Writer, verbose bool) {
	for _, t := range r.Tests {
		switch {
		case t.Failure != "":
			say(w, "FAIL %s: %s", t.File, t.Name)
			say(w, "     %s", t.Failure)
			for _, why := range t.Why {
				say(w, "     %s", why)
			}
		case verbose:
			say(w, "ok   %s: %s", t.File, t.Name)
		}
	}
	for _, p := range r.Policies {
		switch {
		case !p.True && !p.False:
			say(w, "never asked  %s  %s:%d", p.ID, p.File, p.Line)
		case !p.True:
			say(w, "never true   %s  %s:%d", p.ID, p.File, p.Line)
		case !p.False:
			say(w, "never false  %s  %s:%d", p.ID, p.File, p.Line)
		}
	}
	if r.Note != "" && r.Failed > 0 {
		say(w, "%s", r.Note)
	}
	say(w, "%d passed, %d failed; %d %% of %s seen true and false", r.Passed, r.Failed, r.Coverage, plural(len(r.Policies), "policy", "policies"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
