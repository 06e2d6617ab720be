package rules

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// Resource is an object of a stored resource type (policy.Type). What its attributes must be is the type's to say, which stands in the live bundle.
type Resource struct {
	UID       policy.UID
	Parents   []policy.UID
	Attrs     jsontext.Value // an object in RFC 8785 form
	Principal string         // the user or agent that it stands for; "" for nobody
	ChangedAt time.Time
}

// The bounds of resources.
const (
	MaxResourceID = 255 // bytes
	maxAttrs      = 16 << 10
	maxParents    = 8
	maxAbove      = 64 // resources that one is in, one above the other
)

// GoodResourceID reports whether a resource can have this id: one line of UTF-8 without control characters.
func GoodResourceID(s string) bool {
	return s != "" && len(s) <= MaxResourceID && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// SetResource stores a resource, or changes one that is there. What it is in must be there. Codes: object_invalid, not_found, resource_cycle; principal_taken where
// another one of its type stands for that principal.
func (*Room) SetResource(tx *audit.Tx, ws id.Workspace, r Resource) error {
	if !policy.GoodType(r.UID.Type) || !GoodResourceID(r.UID.ID) || len(r.Attrs) == 0 || len(r.Attrs) > maxAttrs || len(r.Parents) > maxParents {
		return fault.New(fault.Invalid, "object_invalid", "a resource has an id of 1 to %d bytes on one line, at most %d bytes of attributes and %d parents", MaxResourceID, maxAttrs, maxParents)
	}
	for _, p := range r.Parents {
		there, err := hasResource(tx, ws, p)
		if err != nil {
			return err
		}
		if !there {
			return noResource(p)
		}
	}
	if err := upwards(tx, ws, r); err != nil {
		return err
	}
	if r.Principal != "" {
		other, err := standsFor(tx, ws, r.UID.Type, r.Principal)
		if err != nil {
			return err
		}
		if other != "" && other != r.UID.ID {
			return fault.New(fault.Conflict, "principal_taken", "%s is the %s %q already", r.Principal, r.UID.Type, other).Try("change or remove that one first: attorn resource rm %s %s", r.UID.Type, other)
		}
	}
	return putResource(tx, ws, r)
}

// upwards refuses a resource that would be in itself, or too deep.
func upwards(tx *audit.Tx, ws id.Workspace, r Resource) error {
	above, err := above(tx, ws, r.Parents)
	if err != nil {
		return err
	}
	if len(above) > maxAbove {
		return fault.New(fault.Invalid, "object_invalid", "it would be in more than %d others, one above the other", maxAbove)
	}
	for _, u := range above {
		if u == r.UID {
			return fault.New(fault.Conflict, "resource_cycle", "the %s %q would be in itself", r.UID.Type, r.UID.ID).Try("take it out of what is below it first")
		}
	}
	return nil
}

// RemoveResource ends a resource that nothing is in. Codes: not_found, resource_in_use.
func (*Room) RemoveResource(tx *audit.Tx, ws id.Workspace, u policy.UID) error {
	below, err := belowResource(tx, ws, u)
	switch {
	case err != nil:
		return err
	case below.ID != "":
		return fault.New(fault.Conflict, "resource_in_use", "the %s %q is in it", below.Type, below.ID).Try("move or remove what is in it first")
	}
	gone, err := dropResource(tx, ws, u)
	if err == nil && !gone {
		err = noResource(u)
	}
	return err
}

// Resource reads one. Code: not_found.
func (r *Room) Resource(ctx context.Context, ws id.Workspace, u policy.UID) (Resource, error) {
	all, err := r.resources(ctx, `type = $2 AND id = $3`, ws, u.Type, u.ID)
	if err == nil && len(all) == 0 {
		err = noResource(u)
	}
	if err != nil {
		return Resource{}, err
	}
	return all[0], nil
}

// Resources lists those of a type by id, after the given one ("": from the first), at most limit.
func (r *Room) Resources(ctx context.Context, ws id.Workspace, of, after string, limit int) ([]Resource, error) {
	return r.resources(ctx, `type = $2 AND id > $3 ORDER BY id LIMIT $4`, ws, of, after, limit)
}

// Above reads a resource and all that it is in, the resource first. Code: not_found.
func (r *Room) Above(ctx context.Context, ws id.Workspace, u policy.UID) ([]Resource, error) {
	first, err := r.Resource(ctx, ws, u)
	if err != nil || len(first.Parents) == 0 {
		return []Resource{first}, err
	}
	more, err := r.above(ctx, ws, u)
	return append([]Resource{first}, more...), err
}

// StandingFor lists the resources that stand for these principals, by type and id.
func (r *Room) StandingFor(ctx context.Context, ws id.Workspace, principals ...string) ([]Resource, error) {
	return r.standingFor(ctx, ws, principals)
}

func noResource(u policy.UID) error {
	return fault.New(fault.NotFound, "not_found", "there is no %s %q", u.Type, u.ID).Try("see what there is: attorn resource ls %s", u.Type)
}
