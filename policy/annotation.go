package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// gate is what @approve or @stepup makes of a forbid. The zero value is no gate.
type gate struct {
	kind   Kind
	flow   string
	quorum int
	role   string
	binds  []string
	ttl    time.Duration
	stepUp StepUp
}

const (
	defaultTTL = 10 * time.Minute
	maxTTL     = 8 * time.Hour
)

// The forms of annotations' values. Names of roles are those of bindings.
var (
	idForm       = regexp.MustCompile(`^[a-z0-9._/-]{1,128}$`)
	approveForm  = regexp.MustCompile(`^([1-9][0-9]?) of ([a-z0-9][a-z0-9-]{0,63})$`)
	flowForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	durationForm = regexp.MustCompile(`^([1-9][0-9]{0,4})([smh])$`)
	acrForm      = regexp.MustCompile(`^acr>=([123])$`)
)

// annotations reads the annotations of one policy into c and returns, by key, what is wrong with them. Nothing is ignored: a key that is
// misspelt could be the one that was meant to stop something.
func (c *compiled) annotations(p *xast.Policy, shipped bool) (wrong []fieldProblem) {
	values := make(map[string]string, len(p.Annotations))
	for _, a := range p.Annotations {
		key, value := string(a.Key), string(a.Value)
		values[key] = value
		switch {
		case !known(key):
			wrong = append(wrong, fieldProblem{key: key, code: "unknown_annotation", message: "@" + key + " is not known" + meantKey(key)})
		case len(value) > 4096:
			wrong = append(wrong, fieldProblem{key: key, code: "bad_annotation", message: "the value of @" + key + " has more than 4096 bytes"})
		default:
			if _, what := badText(value); what != "" {
				wrong = append(wrong, fieldProblem{key: key, code: "bad_annotation", message: "the value of @" + key + " holds " + what})
			}
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return c.read(values, p.Effect == xast.EffectForbid, shipped)
}

// fieldProblem is what is wrong with one annotation; an empty key means the policy as a whole.
type fieldProblem struct{ key, code, message string }

func keys() []string {
	return []string{"id", "doc", "reason", "approve", "stepup", "binds", "ttl", "reuse"}
}

func known(key string) bool { return slices.Contains(keys(), key) }

func meantKey(key string) string {
	if near := nearest(key, keys()); near != "" {
		return "; is @" + near + " meant?"
	}
	return "; known are @" + strings.Join(keys(), " @")
}

func (c *compiled) read(values map[string]string, forbid, shipped bool) (wrong []fieldProblem) {
	bad := func(key, code, format string, args ...any) {
		wrong = append(wrong, fieldProblem{key: key, code: code, message: fmt.Sprintf(format, args...)})
	}
	if v, ok := values["id"]; ok {
		if err := checkID(v, shipped); err != "" {
			bad("id", "bad_annotation", "%s", err)
		}
		c.id = v
	}
	if v, ok := values["reason"]; ok {
		if strings.TrimSpace(v) == "" {
			bad("reason", "bad_annotation", "@reason is empty; it is what the refused person reads")
		}
		c.reason = v
	}
	approve, isApprove := values["approve"]
	stepup, isStepUp := values["stepup"]
	switch {
	case isApprove && isStepUp:
		bad("stepup", "misplaced_annotation", "@approve and @stepup are two gates; write two policies")
	case (isApprove || isStepUp) && !forbid:
		bad("", "misplaced_annotation", "@approve and @stepup make a gate of a forbid; this is a permit")
	case isApprove:
		wrong = append(wrong, c.gate.approve(approve, values)...)
	case isStepUp:
		wrong = append(wrong, c.gate.readStepUp(stepup)...)
	}
	for _, key := range []string{"binds", "ttl", "reuse"} {
		if _, ok := values[key]; ok && !isApprove {
			bad(key, "misplaced_annotation", "@%s belongs to @approve", key)
		}
	}
	if _, ok := values["id"]; !ok && (isApprove || isStepUp) {
		bad("", "missing_id", "a gate needs an @id, because approvals name it")
	}
	return wrong
}

func checkID(v string, shipped bool) string {
	switch {
	case !idForm.MatchString(v):
		return "an @id has 1 to 128 of the characters a-z 0-9 . _ / -"
	case shipped && !strings.HasPrefix(v, reserved):
		return "an @id in a file under attorn/ starts with attorn/"
	case !shipped && (strings.HasPrefix(v, reserved) || strings.HasPrefix(v, "role/") || strings.HasPrefix(v, "flow/")):
		return "an @id does not start with attorn/, role/ or flow/"
	}
	return ""
}

func (g *gate) approve(v string, values map[string]string) (wrong []fieldProblem) {
	bad := func(key, code, format string, args ...any) {
		wrong = append(wrong, fieldProblem{key: key, code: code, message: fmt.Sprintf(format, args...)})
	}
	g.kind, g.binds, g.ttl = KindApprove, []string{"args"}, defaultTTL
	switch m := approveForm.FindStringSubmatch(v); {
	case m != nil:
		g.flow, g.role = v, m[2]
		g.quorum, _ = strconv.Atoi(m[1]) // two digits
	case flowForm.MatchString(v):
		bad("approve", "unknown_flow", "there is no flow %q; write @approve(\"<n> of <role>\")", v)
	default:
		bad("approve", "bad_annotation", "@approve takes \"<n> of <role>\", n from 1 to 99")
	}
	if v, ok := values["binds"]; ok && v != "args" {
		bad("binds", "bad_annotation", "@binds takes \"args\"")
	}
	if v, ok := values["ttl"]; ok {
		d, ok := duration(v)
		if !ok || d > maxTTL {
			bad("ttl", "bad_annotation", "@ttl takes a whole number of s, m or h, such as \"30m\", and at most 8h")
		}
		g.ttl = d
	}
	if v, ok := values["reuse"]; ok && v != "once" {
		bad("reuse", "bad_annotation", "@reuse takes \"once\"")
	}
	return wrong
}

func (g *gate) readStepUp(v string) (wrong []fieldProblem) {
	g.kind = KindStepUp
	for _, term := range strings.Split(v, ",") {
		term = strings.TrimSpace(term)
		age, isAge := strings.CutPrefix(term, "age<")
		d, okAge := duration(age)
		switch m := acrForm.FindStringSubmatch(term); {
		case m != nil && g.stepUp.ACR == 0:
			g.stepUp.ACR = int64(m[1][0] - '0')
		case isAge && okAge && g.stepUp.Age == 0:
			g.stepUp.Age = d
		case term == "proof=httpsig" && g.stepUp.Proof == "":
			g.stepUp.Proof = "httpsig"
		default:
			return []fieldProblem{{key: "stepup", code: "bad_annotation", message: "@stepup takes any of \"acr>=1\" (to 3), \"age<5m\", \"proof=httpsig\", each once, separated by commas"}}
		}
	}
	return nil
}

// duration reads a whole number of seconds, minutes or hours.
func duration(v string) (time.Duration, bool) {
	m := durationForm.FindStringSubmatch(v)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.Atoi(m[1]) // five digits
	unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]
	return time.Duration(n) * unit, true
}
