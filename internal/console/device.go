package console

import (
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
)

// signInRecent is how long ago a person may have signed in who adds a key of their own (oauth.md §11); package guard holds them to it.
const signInRecent = 5 * time.Minute

// deviceView is the page of a device code: it asks for the code, shows what waits under it, and says what became of it.
type deviceView struct {
	Error, Remedy shown

	Code      string // XXXX-XXXX; "" asks for it
	Person    bool   // the key is to be the person's own
	Old       bool   // which takes a newer sign-in
	Workspace string
	Client    string
	Key       string
	Proposed  shown
	Address   string
	Asked     when
	Until     when
	Own       []ownAgent
	New       string // the name of a new agent, in the field
	IsNew     bool   // which is chosen

	Made    *principal // confirmed: what the key is now
	Refused bool
}

// ownAgent is one that the key may become an instance of.
type ownAgent struct {
	principal
	Chosen bool
}

func devicePage(x *request) (view, error) {
	typed := x.r.URL.Query().Get("user_code")
	if typed == "" {
		return deviceOf(deviceView{}), nil
	}
	return x.devicePage(typed, nil)
}

func deviceOf(v deviceView) view {
	return view{Name: "device", Title: "Confirm a device", Data: v}
}

// devicePage shows what waits under a code, with why it was not confirmed, if it was tried; where nothing waits it asks for the code again.
func (x *request) devicePage(typed string, refused error) (view, error) {
	r, err := x.Guard.Device(x.ctx, x.caller, typed)
	if err != nil {
		f := fault.Of(err)
		if f == nil || f.Code != "user_code_unknown" && f.Code != "too_many" {
			return view{}, err
		}
		if again := fault.Of(refused); again != nil {
			f = again
		}
		v := deviceOf(deviceView{Error: show(sentence(f.Reason)), Remedy: show(sentence(f.Remedy))})
		v.Status = statusOf(f)
		return v, nil
	}
	v := x.deviceView(r)
	if f := fault.Of(refused); f != nil {
		v.Error, v.Remedy = show(sentence(f.Reason)), show(sentence(f.Remedy))
		out := deviceOf(v)
		out.Status = statusOf(f)
		return out, nil
	}
	return deviceOf(v), nil
}

func (x *request) deviceView(r guard.DeviceRequest) deviceView {
	v := deviceView{
		Code: r.UserCode, Person: r.Purpose == tickets.ForPerson, Workspace: r.Workspace.String(), Client: guard.CommandLine, Key: r.Key.Thumbprint().String(),
		Proposed: show(r.Name), Address: r.IP, Asked: at(r.CreatedAt, x.now), Until: at(r.ExpiresAt, x.now), New: r.Name, IsNew: true,
	}
	v.Old = v.Person && x.now.Sub(x.caller.SignedIn()) > signInRecent
	for _, a := range r.Own {
		o := ownAgent{principal{"agent", show(a.Name), a.ID.String(), a.ID.Short()}, a.Name == r.Name}
		if o.Chosen { // it proposes to be one more instance of this one
			v.IsNew, v.New = false, ""
		}
		v.Own = append(v.Own, o)
	}
	return v
}

// decideDevice confirms or refuses. What it answers stays on the page that was posted: there is nothing to come back to.
func decideDevice(x *request) (view, error) {
	fields, err := x.form("user_code", "verdict", "agent", "name")
	if err != nil {
		return view{}, err
	}
	code := fields["user_code"]
	if fields["verdict"] == "deny" {
		if _, err := x.Guard.DenyDevice(x.ctx, x.caller, code); err != nil {
			return x.again(code, err)
		}
		return deviceOf(deviceView{Refused: true}), nil
	}
	if fields["verdict"] != "confirm" {
		return view{}, fault.New(fault.Invalid, "malformed", "the form says neither confirm nor deny")
	}
	var choice guard.DeviceChoice
	switch fields["agent"] {
	case "":
	case "new":
		choice.New = strings.TrimSpace(fields["name"])
	default:
		if choice.Agent, err = id.Parse[id.Agent](fields["agent"]); err != nil {
			return view{}, fault.New(fault.Invalid, "malformed", "the form names no agent")
		}
	}
	made, err := x.Guard.ConfirmDevice(x.ctx, x.caller, code, choice)
	if err != nil {
		return x.again(code, err)
	}
	v := deviceView{Key: made.Key.String(), Person: !made.User.IsZero(), Workspace: made.Workspace.String()}
	v.Made = &principal{"agent", show(made.Name), made.Agent.ID.String(), made.Agent.ID.Short()}
	if v.Person {
		v.Made = &principal{"human", show(made.Name), made.User.String(), made.User.Short()}
	}
	return deviceOf(v), nil
}

// again shows the page once more with what is to be mended; what no person can mend here is an error page.
func (x *request) again(code string, err error) (view, error) {
	if f := fault.Of(err); f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return view{}, err
	}
	if c := fault.Code(err); c == "user_code_unknown" || c == "too_many" { // looking again would count as one more guess
		f := fault.Of(err)
		v := deviceOf(deviceView{Error: show(sentence(f.Reason)), Remedy: show(sentence(f.Remedy))})
		v.Status = statusOf(f)
		return v, nil
	}
	return x.devicePage(code, err)
}
