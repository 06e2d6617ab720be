package explain

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
)

// Answer explains one event of a workspace. Code: not_found.
func (x *Explainer) Answer(ctx context.Context, ws id.Workspace, event id.Event) (api.Answer, error) {
	e, err := x.Log.Event(ctx, ws, event)
	if err != nil {
		return api.Answer{}, err
	}
	pack, err := x.Pack(ctx, ws, event)
	if err != nil {
		return api.Answer{}, err
	}
	trust, err := x.Trust(ctx)
	if err != nil {
		return api.Answer{}, err
	}
	report, err := evidence.Verify(pack, trust)
	if err != nil {
		return api.Answer{}, err
	}
	a := api.Answer{
		Event: e.ID, Rev: e.Rev, Kind: e.Kind, Outcome: string(e.Outcome), At: time.UnixMicro(e.At).UTC().Format(time.RFC3339Nano),
		Chain: []api.Hop{}, Approved: []string{}, Report: report,
	}
	if e.Did != nil {
		a.Action = e.Did.Action
	}
	if d, err := x.Log.Detail(ctx, e, "args"); err == nil && e.Did != nil && e.Did.Args != nil {
		if value, err := e.Did.Args.Open(d, "args"); err == nil {
			a.Arguments = string(value)
		}
	}
	if a.Sent, err = x.sent(ctx, ws, e); err != nil {
		return api.Answer{}, err
	}
	if e.Under != nil && e.Under.Via != nil {
		a.Via = evidence.ViaWords(*e.Under.Via)
	}
	if w := e.Why; w != nil {
		a.Reason = w.Reason
		a.Policy = policyLine(w)
	}
	x.chain(ctx, ws, e, &a)
	x.approved(ctx, ws, e, &a)
	return a, nil
}

// sent says of a request that came with a bearer token that nobody knows who sent it, and to which app the token was given. The issuing of such a token is no
// request with it.
func (x *Explainer) sent(ctx context.Context, ws id.Workspace, e audit.Entry) (string, error) {
	agent, err := id.Parse[id.Agent](e.Who.Sub)
	if err != nil || e.Who.Proof == nil || e.Who.Proof.Type != "bearer" || e.Where.Face == "oauth" {
		return "", nil
	}
	given := "an app"
	app, err := x.Clients.AppOf(ctx, ws, agent)
	if fault.Code(err) != "not_found" {
		if err != nil {
			return "", err
		}
		given = appWords(app)
	}
	return "whoever held the token: it is bound to no key, so nothing shows who that was. It was given to " + given, nil
}

// appWords names an app: by the host that vouches for it, or as one that nobody vouches for.
func appWords(a clients.AppAgent) string {
	if u, err := url.Parse(a.Client); err == nil && u.Host != "" {
		return fmt.Sprintf("the app of the host %s (%s), which calls itself %q", u.Host, a.Client, a.Seen.Name)
	}
	return fmt.Sprintf("the app %s, which registered itself, calls itself %q and has its answers sent to %s", a.Client, a.Seen.Name, a.Seen.Redirect)
}

func policyLine(w *evidence.Why) string {
	var parts []string
	if !w.Bundle.IsZero() {
		parts = append(parts, "bundle "+w.Bundle.String()[:8]+"…")
	}
	if len(w.Reasons) > 0 {
		parts = append(parts, "by "+strings.Join(w.Reasons, ", "))
	}
	if len(w.Waived) > 0 {
		parts = append(parts, "gate "+strings.Join(w.Waived, ", ")+" lifted")
	}
	return strings.Join(parts, " · ")
}

// chain tells who lent what to whom, from the statements.
func (x *Explainer) chain(ctx context.Context, ws id.Workspace, e audit.Entry, a *api.Answer) {
	hops := e.Who.Chain
	if len(hops) == 0 {
		hops = []evidence.Hop{{Sub: e.Who.Sub, Instance: e.Who.Instance}}
	}
	for _, h := range hops {
		hop := api.Hop{Sub: h.Sub, Name: x.Name(ctx, ws, h.Sub), Instance: h.Instance}
		if raw, err := x.Log.Content(ctx, h.Link); err == nil {
			if l, err := delegation.ParseLink(string(raw)); err == nil {
				hop.Lent, hop.By = lentWords(l.Statement), fmt.Sprintf("%s, countersigned at #%d", l.Statement.ID, l.Rev)
				if at := l.Delegator.Attested; at != nil && at.Token != nil {
					hop.By += fmt.Sprintf(", in the stead of the one above, on its token %s, which says that this agent may act", at.Token.ID)
				} else if at != nil {
					hop.By += fmt.Sprintf(", signed by nobody: the server attests a sign-in (%s)", at.Method)
				}
			}
		}
		a.Chain = append(a.Chain, hop)
	}
}

// lentWords says what a statement lends.
func lentWords(st delegation.Statement) string {
	var ps []string
	for _, p := range st.Permissions {
		ps = append(ps, p.Permission+whereWords(p))
	}
	text := strings.Join(ps, "; ")
	text += ", until " + time.Unix(st.ExpiresAt, 0).UTC().Format("15:04:05 MST on 2 Jan")
	if st.MaxUses != nil {
		text += fmt.Sprintf(", %d uses", *st.MaxUses)
	}
	if st.Task != "" {
		text += ", task " + st.Task
	}
	return text
}

func whereWords(p delegation.Permission) string {
	if len(p.Where) == 0 {
		return ""
	}
	return " where " + delegation.Words(p.Where)
}

func (x *Explainer) approved(ctx context.Context, ws id.Workspace, e audit.Entry, a *api.Answer) {
	if e.Under == nil {
		return
	}
	for _, ref := range e.Under.Approvals {
		for _, v := range ref.Votes {
			raw, err := x.Log.Content(ctx, v)
			if err != nil {
				continue
			}
			b, err := evidence.ParseBallot(string(raw))
			if err != nil {
				continue
			}
			how := "with a registered key"
			if b.Key.Passkey != nil {
				how = "with a passkey"
			}
			a.Approved = append(a.Approved, fmt.Sprintf("%s (%s) %s at %s, this call only (%s)", x.Name(ctx, ws, b.Vote.Voter.String()), b.Vote.Voter.Short(),
				how, time.UnixMicro(b.At).UTC().Format("15:04:05"), ref.ID))
		}
	}
}

// Name is what people call a principal now; "" where nobody knows.
func (x *Explainer) Name(ctx context.Context, ws id.Workspace, sub string) string {
	if u, err := id.Parse[id.User](sub); err == nil {
		if p, err := x.People.Person(ctx, ws, u); err == nil {
			return p.Name
		}
	}
	if g, err := id.Parse[id.Agent](sub); err == nil {
		if a, err := x.Agents.Agent(ctx, ws, g); err == nil {
			return a.Name
		}
	}
	return ""
}
