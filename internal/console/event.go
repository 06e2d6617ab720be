package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// eventView is the explanation of one event.
type eventView struct {
	eventRow
	Args      []argument
	Long      bool
	Chain     []hopRow
	Policy    shown
	Approved  []shown
	Answers   []answerRow // nil where the reader may not be told
	Remarks   []lineRow
	Approvals []string
	Early     string     // the code of a refusal before policy was asked
	Heard     []heardRow // what the policies said of everybody on the chain
	Raw       shown
}

// heardRow is a principal, and the policies that applied to them or, where none permits, came nearest to it.
type heardRow struct {
	Who   principal
	Lines []lineRow
}

type hopRow struct {
	principal
	Instance id.Key
	Lent     shown
	By       shown
}

// answerRow is one of the three answers with the checks below it.
type answerRow struct {
	Question string // in words
	Term     string // as evidence has it
	Verdict  pill
	Detail   shown
	Lines    []lineRow
}

type lineRow struct {
	Name    shown
	Verdict pill
	Detail  shown
}

func eventPage(x *request) (view, error) {
	event, err := id.Parse[id.Event](x.r.PathValue("id"))
	if err != nil {
		return view{}, missing("there is no such event")
	}
	e, err := x.Guard.Event(x.ctx, x.caller, event)
	if err != nil {
		return view{}, err
	}
	v := eventView{eventRow: x.eventRow(e), Raw: pretty(e.Body)}
	if e.Under != nil {
		for _, a := range e.Under.Approvals {
			v.Approvals = append(v.Approvals, a.ID.String())
		}
	}
	if e.What != nil && !e.What.Approval.IsZero() {
		v.Approvals = append(v.Approvals, e.What.Approval.String())
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	may, err := p.MayExplain(x.ctx, e)
	if err != nil {
		return view{}, err
	}
	if may {
		answer, err := x.Explain.Answer(x.ctx, x.caller.Workspace(), event)
		if err != nil {
			return view{}, err
		}
		x.explain(&v, answer)
		decision, err := x.Explain.Decision(x.ctx, x.caller.Workspace(), event, nil)
		if err != nil {
			return view{}, err
		}
		if decision.Unasked != "" && e.Outcome == evidence.Deny {
			v.Early = decision.Event.Code
		}
		for _, p := range decision.Principals {
			v.Heard = append(v.Heard, heardRow{x.principal(p.Principal.ID), heard(p)})
		}
	}
	return view{Name: "event", Title: fmt.Sprintf("Event #%d", e.Rev), Data: v}, nil
}

func pretty(body []byte) shown {
	value := jsontext.Value(body).Clone()
	if value.Indent(jsontext.WithIndent("  ")) != nil {
		return show(string(body))
	}
	return literal(string(value))
}

func (x *request) explain(v *eventView, a api.Answer) {
	if a.Arguments != "" {
		v.Args, v.Long = arguments([]byte(a.Arguments))
	}
	v.Policy = show(a.Policy)
	for _, s := range a.Approved {
		v.Approved = append(v.Approved, show(s))
	}
	for _, h := range a.Chain {
		v.Chain = append(v.Chain, hopRow{x.principal(h.Sub), h.Instance, show(h.Lent), show(h.By)})
	}
	questions := map[string]string{
		evidence.Authentic:      "Did it happen, exactly like this?",
		evidence.AuthorisedThen: "Should it have been permitted?",
		evidence.AllowedNow:     "Would it be permitted now?",
	}
	for _, q := range a.Report.Answers {
		row := answerRow{Question: questions[q.Question], Term: strings.ToLower(q.Question), Verdict: verdict(q.Verdict), Detail: show(q.Detail)}
		for _, l := range a.Report.Lines {
			if l.Question == q.Question {
				row.Lines = append(row.Lines, lineRow{show(l.Name), verdict(l.Verdict), show(l.Detail)})
			}
		}
		v.Answers = append(v.Answers, row)
	}
	for _, l := range a.Report.Lines {
		if l.Question == "" {
			v.Remarks = append(v.Remarks, lineRow{show(l.Name), verdict(l.Verdict), show(l.Detail)})
		}
	}
}

// heard is a line for each policy: what it said, where it stands, and its author's words; of what is near, what would have to be different.
func heard(p policy.Explained) (lines []lineRow) {
	for _, h := range p.Policies {
		said := map[string]pill{policy.EffectForbid: {"no", "Forbids"}, policy.EffectGate: {"wait", "Asks"}, policy.EffectPermit: {"ok", "Permits"}}[h.Effect]
		words := []string{fmt.Sprintf("%s:%d:%d", h.File, h.Line, h.Col)}
		switch {
		case h.Erred:
			said = pill{"no", "Errs"}
		case h.Lifted:
			said = pill{"ok", "Lifted"}
		}
		if h.Needs != "" {
			words = append(words, "it takes "+h.Needs)
		}
		if h.Trouble != nil {
			words = append(words, fmt.Sprintf("line %d: %s", h.Trouble.Line, h.Trouble.Words))
		}
		if text := cmp.Or(h.Reason, h.Doc); text != "" {
			words = append(words, text)
		}
		lines = append(lines, lineRow{show(h.ID), said, show(strings.Join(words, " · "))})
	}
	for _, n := range p.Nearest {
		words := fmt.Sprintf("%s:%d:%d · %s", n.File, n.First.Line, n.First.Col, n.First.Words)
		lines = append(lines, lineRow{show(n.ID), pill{"plain", "Near"}, show(words)})
	}
	return lines
}

func verdict(v evidence.Verdict) pill {
	switch v {
	case evidence.Holds:
		return pill{"ok", "Yes"}
	case evidence.Fails:
		return pill{"no", "No"}
	}
	return pill{"plain", "Not shown"}
}

func microsOf(us int64) time.Time { return time.UnixMicro(us) }

func timeOf(seconds int64) time.Time { return time.Unix(seconds, 0) }
