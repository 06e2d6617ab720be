package oauth

import (
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const (
	maxScope   = 4 << 10 // bytes
	maxDetails = 4 << 10
	detailType = token.DetailType
)

// asked reads what every grant may ask for: resource (RFC 8707), scope (RFC 6749 §3.3), authorization_details (RFC 9396). Codes: too_large,
// scope_malformed, details_malformed.
func (x *exchange) asked() (guard.TokenRequest, error) {
	want := guard.TokenRequest{Resource: x.form["resource"]}
	scope, err := readScope(x.form["scope"])
	if err != nil {
		return want, err
	}
	details, err := readDetails(x.form["authorization_details"], want.Resource)
	if err != nil {
		return want, err
	}
	if err := apart(scope, details); err != nil {
		return want, err
	}
	want.Permissions = append(scope, details...)
	return want, nil
}

func readScope(s string) ([]delegation.Permission, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxScope {
		return nil, tooLarge("scope has more than %d bytes", maxScope)
	}
	var all []delegation.Permission
	for item := range strings.SplitSeq(s, " ") {
		if _, err := delegation.ParsePermission(item); err != nil {
			return nil, fault.New(fault.Invalid, "scope_malformed", "scope is permissions with one space between; %s is none", short(item)).
				Try("ask for permissions such as tool:files:read")
		}
		all = append(all, delegation.Permission{Permission: item})
	}
	return all, nil
}

// readDetails reads attorn_permission objects, and no others. A location is the one resource that the token is for, or an error: that it were
// ignored could widen what was meant.
func readDetails(s, resource string) ([]delegation.Permission, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxDetails {
		return nil, tooLarge("authorization_details has more than %d bytes", maxDetails)
	}
	var in []token.Detail
	if err := jose.Decode([]byte(s), &in, jose.Limits{Bytes: maxDetails}); err != nil {
		f := fault.Of(err)
		return nil, badDetails("authorization_details is not acceptable: %s", f.Reason)
	}
	var all []delegation.Permission
	for _, d := range in {
		p := delegation.Permission{Permission: d.Permission, Where: d.Where}
		if d.Type != detailType {
			return nil, badDetails("the only type of authorization_details is %s", detailType)
		}
		if err := p.Check(); err != nil {
			return nil, badDetails("authorization_details is not acceptable: %s", err)
		}
		for _, l := range d.Locations {
			if l != resource {
				return nil, badDetails("a location is another resource than the one that the token is asked for")
			}
		}
		all = append(all, p)
	}
	return all, nil
}

func badDetails(reason string, args ...any) error {
	return fault.New(fault.Invalid, "details_malformed", reason, args...).
		Try(`send a list of {"type":"attorn_permission","permission":…,"where":{…}}, each permission here or in scope, not in both`)
}

// uncovered tells which parameter asked for too much, where only one can have.
func (x *exchange) uncovered(err error) error {
	f := fault.Of(err)
	if f == nil || f.Code != "not_covered" || x.form["authorization_details"] == "" || x.form["scope"] != "" {
		return err
	}
	c := *f
	c.Code = "details_not_covered"
	return &c
}
