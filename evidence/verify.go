package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Verify answers a pack's question with nothing but the pack and the verifier's own trust policy (ParseTrust), which names the vkey of the server's
// log. It has no clock: what it says holds for the moment of the event. Whatever is wrong with the pack is a failing line of the report; an error
// means that the trust policy itself cannot be used.
//
// From the trusted vkey it goes: the `server` log's checkpoint; in that log the opening of the workspace's log, which gives its vkey, and the
// issuer's keys; the workspace log's checkpoint; the event, and others of the same log that tell whose the keys are; the token and the proof of the
// request; the chain of delegations; the votes; and the decision, made again from the policy and the facts.
func Verify(pack, trust []byte) (*Report, error) {
	logs, err := ParseTrust(trust)
	if err != nil {
		return nil, err
	}
	v := &verifier{
		report: &Report{}, trusted: logs,
		shards: map[string]shard{}, heads: map[string]string{}, issuer: map[id.Key]issuerKey{},
		content: map[id.Digest][]byte{}, details: map[string][]byte{},
	}
	v.run(pack)
	return v.report, nil
}

// verifier carries what the checks so far have established.
type verifier struct {
	report  *Report
	trusted []LogKey
	pack    Pack
	server  string // the issuer without scheme, from the trusted log's origin

	shards  map[string]shard  // by origin
	joints  []joint           // between them
	heads   map[string]string // by origin: the signed checkpoint, its signature checked
	entries []entry
	event   *entry // the question's
	known   bool   // whether this version knows all of the event
	issuer  map[id.Key]issuerKey
	content map[id.Digest][]byte
	details map[string][]byte // by field, of the event alone

	said *Now

	authority
}

// entry is an event that is proved to be in its log.
type entry struct {
	Event
	workspace id.Workspace
	size      int64 // of the checkpoint that proves it
}

// missing is the error of a check that could be made if more were in the pack.
type missing struct{ reason string }

func (m missing) Error() string { return m.reason }

func notShown(reason string, args ...any) error { return missing{fmt.Sprintf(reason, args...)} }

func wrong(reason string, args ...any) error {
	return fault.New(fault.Denied, "evidence_wrong", reason, args...)
}

// check is one line of the report in the making: it returns what it established, or why not.
type check struct {
	question, name string
	do             func() (string, error)
}

func (v *verifier) run(pack []byte) {
	checks := []check{
		{Authentic, "pack", func() (string, error) { return v.open(pack) }},
		{Authentic, "server log", v.serverLog},
		{Authentic, "log", v.openings},
		{Authentic, "event", v.theEvent},
		{Authentic, "others", v.others},
		{Authentic, "issuer keys", v.issuerKeys},
		{Authentic, "details", v.allDetails},
	}
	if v.all(checks) && v.all(v.authorityChecks()) {
		v.all([]check{{AllowedNow, "now", v.now}})
	}
	v.conclude()
}

// all runs checks up to the first that fails, and reports whether none does.
func (v *verifier) all(checks []check) bool {
	for _, c := range checks {
		detail, err := c.do()
		l := Line{Question: c.question, Name: c.name, Verdict: Holds, Detail: detail}
		if m, ok := err.(missing); ok {
			l.Verdict, l.Code, l.Detail = NotShown, "not_shown", m.reason
		} else if err != nil {
			l.Verdict, l.Code, l.Detail = Fails, fault.Code(err), err.Error()
		}
		v.report.Lines = append(v.report.Lines, l)
		if l.Verdict == Fails || v.event == nil && l.Verdict == NotShown {
			return false
		}
	}
	return true
}

func (v *verifier) conclude() {
	r := v.report
	r.FirstFailure = r.first()
	if r.answer(Authentic) == Holds && v.event != nil {
		r.Event = v.event.Event
	}
	for i, q := range []string{Authentic, AuthorisedThen, AllowedNow} {
		a := Answer{Question: q, Verdict: r.answer(q), Detail: "not reached"}
		var said []string
		for _, l := range r.Lines {
			if l.Question == q && (a.Verdict == Holds || l.Verdict == a.Verdict) && l.Detail != "" {
				said = append(said, l.Detail)
			}
		}
		switch {
		case len(said) == 0:
		case a.Verdict == Holds:
			a.Detail = strings.Join(said, " · ")
		default:
			a.Detail = said[0]
		}
		r.Answers[i] = a
	}
	r.Answers[0].Detail, r.Answers[1].Detail = v.summary(r.Answers[0]), v.summary(r.Answers[1])
	if v.said != nil && v.said.Outcome != Permit && v.said.Outcome != OK {
		r.Answers[2].Verdict = Fails
	}
	r.Lines = append(r.Lines, Line{
		Name: "remark", Verdict: NotShown, Code: "not_shown",
		Detail: "inclusion shows what is in the log, not that nothing else is: that no key, agent or delegation was revoked, and no policy replaced, before the event rests on the server's refusal to permit after an end",
	})
}

// summary shortens the answer of a question that holds to what people look for.
func (v *verifier) summary(a Answer) string {
	switch {
	case a.Verdict != Holds:
		return a.Detail
	case a.Question == Authentic:
		return fmt.Sprintf("#%d in checkpoint %d · %s", v.event.Rev, v.event.size, v.pack.Question.Workspace)
	}
	return v.authoritySummary()
}

// open takes the pack apart. A member that was changed is named before anything else, an event by what its proof says.
func (v *verifier) open(data []byte) (string, error) {
	members, err := splitZip(data)
	if err != nil {
		return "", err
	}
	if man, err := manifestOf(members); err == nil {
		v.report.Question = man.Question
	}
	if name := changed(members); name != "" {
		return "", blame(members, name, v.report.Question)
	}
	if err := checkZip(members, data); err != nil {
		return "", err
	}
	if v.pack, err = packOf(members); err != nil {
		return "", err
	}
	for _, c := range v.pack.Content {
		v.content[c.Digest] = c.Body
	}
	return fmt.Sprintf("%d members in one form", len(members)), nil
}

// blame says of a changed member that is an event whether its own proof refutes it.
func blame(members []member, name string, q Question) error {
	stem, ok := strings.CutSuffix(name, ".json")
	i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
	j := slices.IndexFunc(members, func(m member) bool { return m.name == stem+".tlog-proof" })
	if !ok || i < 0 || j < 0 {
		return memberChanged(name)
	}
	proof, err := ParseInclusion(members[j].data)
	if err != nil {
		return memberChanged(name)
	}
	c, err := parseCheckpoint(proof.Checkpoint)
	if err != nil {
		return memberChanged(name)
	}
	if err := proof.leads(members[i].data, c); err != nil {
		where := strings.Replace(strings.TrimPrefix(stem, "events/"), "/", " #", 1)
		if where == fmt.Sprintf("%s #%d", q.Workspace, q.Rev) {
			return err
		}
		return fault.Wrap(err, fault.Denied, fault.Code(err), "%s: %s", where, err.Error())
	}
	return memberChanged(name)
}

// now checks that the server's word is the server's, and about this event.
func (v *verifier) now() (string, error) {
	if v.pack.Now == "" {
		return "", notShown("the server said nothing about it")
	}
	n, err := openNow(v.pack.Now, v.nowKey)
	if err != nil {
		return "", err
	}
	if n.Event != v.pack.Question.Event || n.Workspace != v.pack.Question.Workspace || n.Issuer != v.pack.Issuer || n.Rev < v.event.Rev {
		return "", wrong("what the server said is about another event")
	}
	v.said = &n
	detail := fmt.Sprintf("said by the server at #%d, not provable here: %s", n.Rev, n.Outcome)
	for _, s := range []string{n.Code, n.Reason} {
		if s != "" {
			detail += ": " + s
		}
	}
	return detail, nil
}
