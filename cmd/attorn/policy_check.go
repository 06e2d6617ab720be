package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// found is what check and fmt found, for programs.
type found struct {
	Digest   string         `json:"digest,omitempty"` // of what could be published
	Files    int            `json:"files"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Problems []foundProblem `json:"problems"`
	Ignored  []string       `json:"ignored,omitempty"` // what is in the directory, and no part of the bundle
	Note     string         `json:"note,omitempty"`
}

type foundProblem struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Col      int    `json:"col,omitempty"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

func foundOf(files int, problems []policy.Problem) found {
	f := found{Files: files, Problems: []foundProblem{}}
	for _, p := range problems {
		f.Problems = append(f.Problems, foundProblem{p.File, p.Line, p.Col, p.Severity, p.Code, p.Message})
		if p.Severity == policy.SeverityError {
			f.Errors++
		} else {
			f.Warnings++
		}
	}
	return f
}

// against is where the tools and roles come from that policies are checked against.
type against struct {
	file    string
	offline bool
}

func (a *against) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.file, "schema", "", "tools and roles from a file of attorn policy schema")
	cmd.Flags().BoolVar(&a.offline, "offline", false, "without tools and roles")
}

func (c *cli) policyCheckCommand() *cobra.Command {
	var from against
	var strict bool
	cmd := &cobra.Command{
		Use: "check [DIR]", Short: "Find mistakes in a directory of policies, without publishing it", Args: between(0, 1),
		Long: "Compile a directory of policies, check it against the tools and roles of the server that you are signed in to, and point at what is wrong or\n" +
			"most likely not meant. Exits with 1 on an error, with --strict on a warning too.",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readBundle(dirOf(args))
			if err != nil {
				return err
			}
			set, problems := b.compile()
			note := ""
			if set != nil {
				var world policy.World
				if world, note, err = c.world(cmd, from); err != nil {
					return err
				}
				problems = append(problems, policy.Review(set, world)...)
			}
			f := foundOf(len(b.files), problems)
			if f.Ignored, f.Note = b.ignored, note; f.Errors == 0 {
				f.Digest = set.Digest().String()
			}
			if err := c.show(f, f.Digest, func(w io.Writer) {
				b.print(w, problems)
				if note != "" {
					say(w, "%s", note)
				}
				if len(f.Ignored) > 0 {
					say(w, "not part of the bundle: %s", strings.Join(f.Ignored, ", "))
				}
				if f.Errors == 0 {
					say(w, "ok: %s, bundle %s%s", count(f.Files, "file"), f.Digest, orNothing(f.Warnings, ", "+count(f.Warnings, "warning")))
				} else {
					say(w, "%s, %s in %s", count(f.Errors, "error"), count(f.Warnings, "warning"), count(f.Files, "file"))
				}
			}); err != nil {
				return err
			}
			switch {
			case f.Errors > 0:
				return fault.New(fault.Invalid, "policy_invalid", "the policies in %s have errors", b.dir).Try("mend what is named, and check again")
			case strict && f.Warnings > 0:
				return fault.New(fault.Invalid, "policy_doubtful", "the policies in %s have warnings", b.dir).Try("mend what is named, or check without --strict")
			}
			return nil
		},
	}
	from.flags(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "fail on warnings too")
	return cmd
}

func orNothing(n int, text string) string {
	if n == 0 {
		return ""
	}
	return text
}

func dirOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// print shows problems with the lines that they are about.
func (b *bundleDir) print(w io.Writer, problems []policy.Problem) {
	for _, p := range problems {
		if p.File == "" {
			say(w, "%s: %s (%s)", p.Severity, p.Message, p.Code)
			continue
		}
		say(w, "%s", p)
		i := slices.IndexFunc(b.files, func(f policy.File) bool { return f.Path == p.File })
		if i >= 0 && p.Line > 0 {
			source, caret := excerpt(string(b.files[i].Text), p.Line, p.Col)
			number := fmt.Sprintf("%5d", p.Line)
			fmt.Fprintf(w, "%s | %s\n%s | %s\n", number, source, strings.Repeat(" ", len(number)), caret)
		}
	}
}

// shown is how much of a line is shown.
const shown = 110

// excerpt is a line of a file, as a terminal may have it, and a line with a caret under a column of it. Of a long line it is the part around the column.
func excerpt(text string, n, col int) (source, caret string) {
	for range n - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	text, _, _ = strings.Cut(text, "\n")
	r := []rune(line(strings.ReplaceAll(strings.TrimRight(text, "\r"), "\t", " ")))
	at := min(max(col-1, 0), len(r))
	from := 0
	if at > shown-20 {
		from = at - shown/2
	}
	to := min(len(r), from+shown)
	source, at = string(r[from:to]), at-from
	if from > 0 {
		source, at = "…"+source, at+1
	}
	if to < len(r) {
		source += "…"
	}
	return source, strings.Repeat(" ", at) + "^"
}

// world is what policies are checked against; note says if that is less than was asked for.
func (c *cli) world(cmd *cobra.Command, from against) (w policy.World, note string, err error) {
	var s api.PolicySchema
	switch {
	case from.offline && from.file != "":
		return w, "", usageError{errors.New("--offline and --schema exclude each other")}
	case from.offline:
		return w, "", nil
	case from.file != "":
		raw, err := os.ReadFile(from.file)
		if err != nil {
			return w, "", err
		}
		if err := json.Unmarshal(raw, &s, json.RejectUnknownMembers(true)); err != nil {
			return w, "", fault.Wrap(err, fault.Invalid, "malformed", "%s is no schema", from.file).Try("attorn policy schema > %s", from.file)
		}
	default:
		s, err = c.schema(cmd)
		if f := fault.Of(err); f != nil && f.Code == "not_signed_in" {
			return w, "not signed in: tools and roles were not looked at", nil
		} else if err != nil {
			return w, "", err
		}
	}
	return worldOf(s), "", nil
}

// worldOf is a schema in policy's terms. A definition whose shape cannot be told is of a tool that nobody can call either.
func worldOf(s api.PolicySchema) policy.World {
	w := policy.World{Actions: []policy.Action{}, Acts: s.Acts, Holders: map[string]int{}}
	for _, t := range s.Tools {
		shape, err := policy.ShapeOf(t.Definition)
		if err != nil {
			shape = nil
		}
		w.Actions = append(w.Actions, policy.Action{Name: t.Action, Class: t.Class, Resource: policy.UID{Type: policy.TypeTool, ID: strings.TrimPrefix(t.Action, "tool:")}, Shape: shape})
	}
	for _, r := range s.Roles {
		w.Holders[r.Role] = r.People
	}
	return w
}

// schema reads what policies can be about from the server.
func (c *cli) schema(cmd *cobra.Command) (api.PolicySchema, error) {
	cl, _, err := c.client(cmd.Context())
	if err != nil {
		return api.PolicySchema{}, err
	}
	var all api.PolicySchema
	for p := (attorn.Page{Limit: 200}); ; {
		s, err := cl.PolicySchema(cmd.Context(), p)
		if err != nil {
			return all, err
		}
		if p.After == "" {
			all = s
		} else {
			all.Tools = append(all.Tools, s.Tools...)
		}
		if p.After = s.Next; p.After == "" {
			all.Next = ""
			return all, nil
		}
	}
}

func (c *cli) policySchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print what policies can be about", Args: exactly(0),
		Long: "Print the server's tools with their definitions, the roles that somebody holds and attorn's own acts, as JSON: `attorn policy check --schema FILE` reads it\n" +
			"where there is no server, as in CI.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.schema(cmd)
			if err != nil {
				return err
			}
			if c.format == "table" {
				c.format = "json"
			}
			var names []string
			for _, t := range s.Tools {
				names = append(names, t.Action)
			}
			return c.show(s, strings.Join(names, "\n"), nil)
		},
	}
}

func (c *cli) policyFmtCommand() *cobra.Command {
	var check, write bool
	cmd := &cobra.Command{
		Use: "fmt [FILE…|DIR]", Short: "Lay policies out in the one way", Args: between(0, -1),
		Long: "Print files as they are to be laid out, or write them (-w). Comments stay, and what the files say does. With --check nothing is written: what is not laid out so\n" +
			"is named, and the command fails.",
		RunE: func(_ *cobra.Command, args []string) error {
			if check && write {
				return usageError{errors.New("--check and -w exclude each other")}
			}
			files, err := filesToFormat(args)
			if err != nil {
				return err
			}
			var differ []string
			for _, f := range files {
				out, problems := policy.Format(f.File)
				if len(problems) > 0 {
					var all strings.Builder
					for _, p := range problems {
						all.WriteString("\n" + line(p.String()))
					}
					return fault.New(fault.Invalid, "policy_invalid", "%s is not touched, for it has errors%s", f.at, all.String()).Try("mend what is named")
				}
				if string(out) != string(f.Text) {
					differ = append(differ, f.at)
				}
				switch {
				case write && string(out) != string(f.Text):
					err = replaceFile(f.at, out)
				case !write && !check:
					_, err = io.WriteString(c.out, text(string(out)))
				}
				if err != nil {
					return err
				}
			}
			if write || check {
				for _, name := range differ {
					say(c.out, "%s", name)
				}
			}
			if check && len(differ) > 0 {
				return fault.New(fault.Invalid, "not_formatted", "%s not laid out as policies are", are(len(differ), "file")).Try("attorn policy fmt -w")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "name what is not laid out so, and fail")
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the files")
	return cmd
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return count(n, what) + " are"
}

// formatFile is a file to be laid out, and where it is.
type formatFile struct {
	policy.File
	at string
}

// filesToFormat are the files that were named, or those of a bundle's directory.
func filesToFormat(args []string) ([]formatFile, error) {
	var files []formatFile
	info, err := os.Stat(dirOf(args))
	if len(args) < 2 && err == nil && info.IsDir() {
		b, err := readBundle(dirOf(args))
		for _, f := range b.files {
			files = append(files, formatFile{f, strings.TrimPrefix(dirOf(args)+"/"+f.Path, "./")})
		}
		return files, err
	}
	for _, name := range args {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxPolicyFile))
		f.Close()
		if err != nil {
			return nil, err
		}
		files = append(files, formatFile{policy.File{Path: name, Text: text}, name})
	}
	return files, nil
}

// replaceFile writes a file whole or not at all, with the mode that it has.
func replaceFile(name string, text []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	next := name + ".new"
	if err := os.WriteFile(next, text, mode); err != nil {
		return err
	}
	return os.Rename(next, name)
}
