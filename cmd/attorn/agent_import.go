package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/cmd/attorn/internal/term"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// The limits of an import, in bytes.
const (
	maxImport = 64 << 20
	maxLine   = 16 << 10
)

// imported is one agent of a file, with the line that it begins on, or what is wrong with it.
type imported struct {
	line  int
	agent api.NewAgent
	owner string
	wrong error
}

// agentLine is an agent as a JSONL file has it.
type agentLine struct {
	Name        string            `json:"name"`
	Owner       string            `json:"owner,omitempty"` // a user's id or name
	Description string            `json:"description,omitempty"`
	Framework   string            `json:"framework,omitempty"`
	Model       string            `json:"model,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Expires     string            `json:"expires,omitempty"`
}

func (c *cli) importCommand() *cobra.Command {
	var form string
	var dryRun, propose bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Register many agents from a file: JSON lines, or CSV with a header", Args: exactly(1),
		Long: "Registers the agents of a file, each decided and recorded for itself. A line of JSON, or a row below a header, has name and as much as is wanted of\n" +
			"owner (a user's id or name), description, framework, model, tags (in CSV: env=production;team=billing) and expires (a time or a date).\n" +
			"Whatever is refused is told with its line. An import that broke off is repeated as it is: what is there already is left alone.",
		Example: "  attorn agent import agents.csv --dry-run\n  generate | attorn agent import - --format jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if form == "" {
				form = strings.TrimPrefix(filepath.Ext(file), ".")
			}
			read, ok := map[string]func(io.Reader) ([]imported, error){"jsonl": readJSONL, "ndjson": readJSONL, "csv": readCSV}[strings.ToLower(form)]
			if !ok {
				return usageError{fmt.Errorf("attorn agent import takes a file that ends in .jsonl or .csv, or --format jsonl or csv")}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			in, end, err := c.open(file)
			if err != nil {
				return err
			}
			defer end()
			raw, err := io.ReadAll(io.LimitReader(in, maxImport+1))
			if err != nil {
				return err
			}
			if len(raw) > maxImport {
				return tooLarge(file)
			}
			all, broken := read(bytes.NewReader(raw))
			if err := c.owners(cmd, cl, all); err != nil {
				return err
			}
			for i := range all {
				all[i].agent.Propose = propose
			}
			return c.importAgents(cmd, cl, file, all, broken, dryRun)
		},
	}
	cmd.Flags().StringVar(&form, "format", "", "jsonl or csv (default: as the file's name ends)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be refused")
	cmd.Flags().BoolVar(&propose, "propose", false, "only propose them: somebody with attorn:agent:approve lets them act")
	return cmd
}

func tooLarge(file string) error {
	return fault.New(fault.TooLarge, "too_large", "%s has more than %d MiB", file, maxImport>>20).Try("split it: an import leaves alone what is there already")
}

// importAgents registers what can be, part by part, and tells of each refusal with its line. broken is why the file could not be read to its end.
func (c *cli) importAgents(cmd *cobra.Command, cl *attorn.Client, file string, all []imported, broken error, dryRun bool) error {
	t := &tally{c: c, progress: term.Progress{W: c.talk, What: "agents", Total: len(all)}}
	var good []imported
	for _, a := range all {
		if a.wrong == nil {
			good = append(good, a)
			continue
		}
		t.add(api.AgentOutcome{Name: a.agent.Name, Code: "line_invalid", Reason: a.wrong.Error()}, file+":"+strconv.Itoa(a.line))
	}
	err := send(cmd.Context(), good, func(part []imported) error {
		in := api.AgentImport{DryRun: dryRun}
		for _, a := range part {
			in.Agents = append(in.Agents, a.agent)
		}
		got, err := cl.ImportAgents(cmd.Context(), in)
		if err == nil && len(got) != len(part) {
			err = fmt.Errorf("the server answered for %d agents of %d", len(got), len(part))
		}
		if err != nil {
			return err
		}
		for i, o := range got {
			t.add(o, file+":"+strconv.Itoa(part[i].line))
		}
		return nil
	})
	if err != nil {
		return t.broke(err)
	}
	if broken == nil {
		return t.end("registered", dryRun)
	}
	t.add(api.AgentOutcome{Code: "file_invalid", Reason: broken.Error()}, file)
	return t.end("registered", dryRun)
}

// owners finds the people that a file names. One who is not there is the line's fault; whoever may not ask at all is told so at once.
func (c *cli) owners(cmd *cobra.Command, cl *attorn.Client, all []imported) error {
	type answer struct {
		whom
		err error
	}
	known := map[string]answer{}
	for i := range all {
		a := &all[i]
		if a.owner == "" || a.wrong != nil {
			continue
		}
		found, ok := known[a.owner]
		if !ok {
			found.whom, found.err = c.person(cmd.Context(), cl, a.owner)
			known[a.owner] = found
		}
		switch f := fault.Of(found.err); {
		case found.err == nil:
			a.agent.Owner = found.ID
		case f != nil && (f.Kind == fault.NotFound || f.Kind == fault.Conflict):
			a.wrong = errors.New(f.Reason)
		default:
			return found.err
		}
	}
	return nil
}

// readJSONL reads a JSON object a line; empty lines are passed over.
func readJSONL(in io.Reader) (all []imported, err error) {
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, maxLine)
	seen := map[string]int{}
	n := 1
	for ; scan.Scan(); n++ {
		text := bytes.TrimSpace(scan.Bytes())
		if len(text) == 0 {
			continue
		}
		var l agentLine
		a := imported{line: n}
		if a.wrong = jose.Decode(text, &l, jose.Limits{Bytes: maxLine}); a.wrong == nil {
			a = l.read(n)
		}
		all = append(all, a.once(seen))
	}
	if err = scan.Err(); errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("line %d: a line has at most %d bytes; nothing after this was read", n, maxLine)
	}
	return all, err
}

// columns are those that a CSV file may have.
var columns = []string{"name", "owner", "description", "framework", "model", "tags", "expires"}

// readCSV reads rows (RFC 4180) below a header that names their columns.
func readCSV(in io.Reader) (all []imported, err error) {
	r := csv.NewReader(in)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: there is no header: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for i, h := range head {
		if !slices.Contains(columns, h) || slices.Contains(head[:i], h) {
			return nil, fmt.Errorf("line 1: the header has %q; columns are %s, each once", h, strings.Join(columns, ", "))
		}
	}
	if !slices.Contains(head, "name") {
		return nil, fmt.Errorf("line 1: the header has no column name")
	}
	seen := map[string]int{}
	for {
		cells, err := r.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case errors.Is(err, csv.ErrFieldCount) && errors.As(err, &bad):
			all = append(all, imported{line: bad.StartLine, wrong: fmt.Errorf("the row has %d cells, the header %d", len(cells), len(head))})
			continue
		case errors.As(err, &bad):
			return all, fmt.Errorf("line %d: %w; nothing after this was read", bad.Line, bad.Err)
		case err != nil:
			return all, err
		}
		at, _ := r.FieldPos(0)
		all = append(all, csvRow(head, cells, at).once(seen))
	}
}

// csvRow reads one row.
func csvRow(head, cells []string, at int) imported {
	m := map[string]string{}
	size := 0
	for i, h := range head {
		m[h] = cells[i]
		size += len(cells[i])
	}
	if size > maxLine {
		return imported{line: at, wrong: fmt.Errorf("a row has at most %d bytes", maxLine)}
	}
	l := agentLine{Name: m["name"], Owner: m["owner"], Description: m["description"], Framework: m["framework"], Model: m["model"], Expires: m["expires"]}
	if m["tags"] != "" {
		var err error
		if l.Tags, err = readTags(strings.Split(m["tags"], ";")); err != nil {
			return imported{line: at, wrong: err}
		}
	}
	return l.read(at)
}

// read completes an agent of a file.
func (l agentLine) read(at int) imported {
	a := imported{line: at, owner: l.Owner, agent: api.NewAgent{
		Name: l.Name, Description: l.Description, Framework: l.Framework, Model: l.Model, Tags: l.Tags,
	}}
	switch {
	case l.Name == "":
		a.wrong = errors.New("the agent has no name")
	case l.Expires != "":
		a.agent.Expires, a.wrong = readInstant(l.Expires)
	}
	return a
}

// once refuses a name that the file has already.
func (a imported) once(seen map[string]int) imported {
	if a.wrong == nil {
		if first := seen[a.agent.Name]; first > 0 {
			a.wrong = fmt.Errorf("the name %s is on line %d already", a.agent.Name, first)
		} else {
			seen[a.agent.Name] = a.line
		}
	}
	return a
}
