package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

// maxKeep is how many permissions a request may ask for: as many as a statement lends.
const maxKeep = 64

// choice is what of a request a person lets stand, as app.js and the form send it.
type choice struct {
	Keep  []int  `json:"keep"`
	TTL   int64  `json:"ttl"`  // seconds
	Uses  int64  `json:"uses"` // 0 is what was asked for
	Depth int    `json:"depth"`
	Task  string `json:"task,omitzero"`

	Further bool `json:"further"` // who is named to act in its stead may
}

func (c choice) guard() guard.ConsentChoice {
	return guard.ConsentChoice{
		Keep: c.Keep, TTL: time.Duration(min(c.TTL, delegation.MaxLifetime)) * time.Second, Uses: c.Uses, Depth: c.Depth, MayAct: c.Further, Task: c.Task,
	}
}

// handle is the request's, from the path.
func (x *request) handle() string { return x.r.PathValue("handle") }

func consentPage(x *request) (view, error) { return x.consentPage(nil, nil) }

// consentPage shows what a handle asks, with what was chosen so far and why that was refused, if it was.
func (x *request) consentPage(chosen *choice, refused error) (view, error) {
	asked, err := x.Guard.Consent(x.ctx, x.caller, x.handle())
	if err != nil {
		return x.questionOver(err)
	}
	if err := x.actIn(asked.Request.Workspace); err != nil { // the names on the page are those of that workspace
		return view{}, err
	}
	v, err := x.consentView(asked, chosen)
	if err != nil {
		return view{}, err
	}
	out := view{Name: "consent", Title: "An app asks to act in your name", Data: v, Wide: true}
	if f := fault.Of(refused); f != nil {
		v.Error, v.Remedy, out.Status = show(sentence(f.Reason)), show(sentence(f.Remedy)), statusOf(f)
	}
	contentPolicy(x.w.Header(), formTarget(asked.Request.Redirect))
	return out, nil
}

// questionOver is the page of a request that this person cannot answer, or not any more. What is no such thing stays an error.
func (x *request) questionOver(err error) (view, error) {
	err = aboutQuestion(err)
	v := view{Name: "consent", Title: "This question is over", Status: http.StatusGone}
	switch fault.Code(err) {
	case "ticket_unknown", "ticket_expired", "ticket_spent", "consent_changed":
	case "wrong_person":
		v.Title, v.Status = "This question is not for you", http.StatusForbidden
	default:
		return view{}, err
	}
	f := fault.Of(err)
	v.Data = &consentView{Over: v.Title, Error: show(sentence(f.Reason)), Remedy: show(sentence(f.Remedy))}
	return v, nil
}

// aboutQuestion says of a ticket that is not good any more what it was to the person.
func aboutQuestion(err error) error {
	switch code := fault.Code(err); code {
	case "ticket_unknown", "ticket_expired", "ticket_spent":
		return fault.Wrap(err, fault.Conflict, code, "it was answered already, or it is older than ten minutes; nothing was changed just now").Try("go back to the app and begin again")
	}
	return err
}

// answerConsent takes the answer of a form: to who has no passkey, and to who refuses. What can be mended is shown on the page once more.
func answerConsent(x *request) (view, error) {
	names := []string{"verdict", "ttl", "uses", "depth", "further", "task"}
	for i := range maxKeep {
		names = append(names, keepField(i))
	}
	fields, err := x.form(names...)
	if err != nil {
		return view{}, err
	}
	var resume string
	chosen, err := readChoice(fields)
	switch verdict := fields["verdict"]; {
	case verdict == "refuse": // whatever else the form says
		resume, err = x.Guard.RefuseConsent(x.ctx, x.caller, x.handle())
	case err != nil || verdict == "look":
	case verdict == "allow":
		resume, err = x.Guard.GiveConsentAttested(x.ctx, x.caller, x.handle(), chosen.guard())
	default:
		err = fault.New(fault.Invalid, "malformed", "the form says neither allow nor refuse")
	}
	if err == nil && resume != "" {
		return view{To: resumePath(resume)}, nil
	}
	if f := fault.Of(err); err != nil && (f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable) {
		return view{}, err
	}
	return x.consentPage(&chosen, err)
}

func keepField(i int) string { return "keep" + strconv.Itoa(i) }

// readChoice reads the fields of the form. Fields that are left empty say what was asked for.
func readChoice(fields map[string]string) (c choice, err error) {
	for i := range maxKeep {
		if _, kept := fields[keepField(i)]; kept {
			c.Keep = append(c.Keep, i)
		}
	}
	for _, n := range []struct {
		name, says string
		into       *int64
	}{{"ttl", "how long", &c.TTL}, {"uses", "how often", &c.Uses}} {
		text := strings.TrimSpace(fields[n.name])
		if text == "" {
			continue
		}
		if *n.into, err = strconv.ParseInt(text, 10, 64); err != nil || *n.into < 1 {
			return c, fault.New(fault.Invalid, "choice_invalid", "%s is a whole number, 1 or more", n.says)
		}
	}
	if text := fields["depth"]; text != "" {
		if c.Depth, err = strconv.Atoi(text); err != nil || c.Depth < 0 {
			return c, fault.New(fault.Invalid, "choice_invalid", "how far it may be lent on is a whole number")
		}
	}
	_, c.Further = fields["further"]
	c.Task = strings.TrimSpace(fields["task"])
	return c, nil
}

// resumePath is where the browser goes on to the client with the answer.
func resumePath(resume string) string { return "/oauth/resume/" + url.PathEscape(resume) }

// lendProposal is what app.js compares with the page, and has a passkey sign.
type lendProposal struct {
	Statement string                `json:"statement"` // RFC 8785; its SHA-256 is the challenge
	Options   people.RequestOptions `json:"options"`
}

// decodeChoice reads what app.js sends.
func decodeChoice(body []byte) (c choice, err error) {
	if err = jose.Decode(body, &c, jose.Limits{Bytes: maxBody}); err != nil {
		return c, err
	}
	if len(c.Keep) > maxKeep || c.TTL < 1 || c.Uses < 0 || c.Depth < 0 {
		return c, fault.New(fault.Invalid, "choice_invalid", "how long is 1 second or more, and nothing else is negative")
	}
	return c, nil
}

// proposeConsent makes the statement that lends what the person chose.
func proposeConsent(x *request, body []byte) (any, error) {
	if err := x.limit(x.challenges, x.person.ID.String()); err != nil {
		return nil, err
	}
	in, err := decodeChoice(body)
	if err != nil {
		return nil, err
	}
	st, err := x.Guard.ProposeConsent(x.ctx, x.caller, x.handle(), in.guard())
	if err != nil {
		return nil, aboutQuestion(err)
	}
	raw, err := st.Bytes()
	if err != nil {
		return nil, err
	}
	options, err := x.Guard.LendRequest(x.ctx, st)
	return lendProposal{string(raw), options}, err
}

// resumed says where to go on.
type resumed struct {
	Resume string `json:"resume"`
}

// giveConsent hands the signed statement in.
func giveConsent(x *request, body []byte) (any, error) {
	var in voteBody // a signed statement has the same form
	if err := jose.Decode(body, &in, jose.Limits{Bytes: maxBody}); err != nil {
		return nil, err
	}
	st, err := delegation.ParseStatement([]byte(in.Statement))
	if err != nil {
		return nil, err
	}
	signed := delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &in.Assertion}}
	resume, err := x.Guard.GiveConsent(x.ctx, x.caller, x.handle(), signed)
	if err != nil {
		return nil, aboutAssertion(aboutQuestion(err))
	}
	return resumed{resumePath(resume)}, nil
}

// attestConsent and refuseConsent are answerConsent for app.js. The browser then goes on by itself: what a form's answer redirects to is held to the page's
// policy at each step, also beyond the client's own address.
func attestConsent(x *request, body []byte) (any, error) {
	in, err := decodeChoice(body)
	if err != nil {
		return nil, err
	}
	resume, err := x.Guard.GiveConsentAttested(x.ctx, x.caller, x.handle(), in.guard())
	return resumed{resumePath(resume)}, aboutQuestion(err)
}

func refuseConsent(x *request, _ []byte) (any, error) {
	resume, err := x.Guard.RefuseConsent(x.ctx, x.caller, x.handle())
	return resumed{resumePath(resume)}, aboutQuestion(err)
}

var (
	plainHost   = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)
	plainScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]{0,63}$`)
)

// formTarget is where the answer to a form of the consent page may be redirected to, beside here, as a source of a policy (CSP3 §2.3.1): the origin of the
// client's redirect URI, or its private scheme; "" for what has no such form. The grammar knows no IPv6 addresses, so of those the port alone is said.
func formTarget(redirect string) string {
	u, err := url.Parse(redirect)
	switch {
	case err != nil || !plainScheme.MatchString(u.Scheme):
		return ""
	case u.Scheme != "https" && u.Scheme != "http":
		return u.Scheme + ":"
	case strings.HasPrefix(u.Host, "[") && u.Port() != "":
		return fmt.Sprintf("%s://*:%s", u.Scheme, u.Port())
	case !plainHost.MatchString(u.Host):
		return ""
	}
	return u.Scheme + "://" + u.Host
}
