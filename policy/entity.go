package policy

import (
	"strconv"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
)

// check refuses types that Cedar could not name, among them Cedar's own, which mean unknowns in partial evaluation.
func (u UID) check() error {
	if _, err := types.NewEntityType(u.Type); err != nil || len(u.Type) > maxName || u.ID == "" || len(u.ID) > maxName {
		return fault.New(fault.Invalid, "schema", "an entity has a Cedar type and an id of 1 to %d bytes", maxName)
	}
	return nil
}

func (e Entity) check() error {
	if err := e.UID.check(); err != nil {
		return err
	}
	if e.UID.Type == "Action" {
		return fault.New(fault.Invalid, "schema", "an action is no entity of the caller's; its groups are its parents")
	}
	for _, p := range e.Parents {
		if err := p.check(); err != nil {
			return err
		}
	}
	for name, v := range e.Attrs {
		ok := name != "" && len(name) <= maxName
		switch v := v.(type) {
		case string, bool:
		case int64:
			ok = ok && v >= -maxInteger && v <= maxInteger
		case UID:
			if err := v.check(); err != nil {
				return err
			}
		default:
			ok = false
		}
		if !ok {
			return fault.New(fault.Invalid, "schema", "an attribute has a name and is a string, an int64 below 2^53, a bool or a UID")
		}
	}
	return nil
}

func entityUID(u UID) types.EntityUID {
	return types.NewEntityUID(types.EntityType(u.Type), types.String(u.ID))
}

// cedar turns a checked entity into Cedar's form.
func (e Entity) cedar() types.Entity {
	parents := make([]types.EntityUID, len(e.Parents))
	for i, p := range e.Parents {
		parents[i] = entityUID(p)
	}
	out := types.Entity{UID: entityUID(e.UID), Parents: types.NewEntityUIDSet(parents...)}
	if len(e.Attrs) > 0 {
		m := make(types.RecordMap, len(e.Attrs))
		for name, v := range e.Attrs {
			switch v := v.(type) {
			case string:
				m[types.String(name)] = types.String(v)
			case int64:
				m[types.String(name)] = types.Long(v)
			case bool:
				m[types.String(name)] = types.Boolean(v)
			case UID:
				m[types.String(name)] = entityUID(v)
			}
		}
		out.Attributes = types.NewRecord(m)
	}
	if len(e.Tags) > 0 {
		m := make(types.RecordMap, len(e.Tags))
		for name, v := range e.Tags {
			m[types.String(name)] = types.String(v)
		}
		out.Tags = types.NewRecord(m)
	}
	return out
}

// UnmarshalJSONFrom reads an entity's attributes into the types that check demands.
func (e *Entity) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var raw struct {
		UID     UID                  `json:"uid"`
		Parents []UID                `json:"parents"`
		Attrs   map[string]attribute `json:"attrs"`
		Tags    map[string]string    `json:"tags"`
	}
	if err := json.UnmarshalDecode(dec, &raw); err != nil {
		return err
	}
	*e = Entity{UID: raw.UID, Parents: raw.Parents, Tags: raw.Tags}
	if raw.Attrs != nil {
		e.Attrs = make(map[string]any, len(raw.Attrs))
		for name, a := range raw.Attrs {
			e.Attrs[name] = a.value
		}
	}
	return nil
}

type attribute struct{ value any }

// UnmarshalJSONFrom reads a string, integer, boolean or {"type","id"}.
func (a *attribute) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '{':
		var u UID
		err := json.UnmarshalDecode(dec, &u)
		a.value = u
		return err
	case '"', 't', 'f', '0':
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		switch t.Kind() {
		case '"':
			a.value = t.String()
		case '0':
			n, err := strconv.ParseInt(t.String(), 10, 64)
			a.value = n
			return err
		default:
			a.value = t.Bool()
		}
		return nil
	}
	return fault.New(fault.Invalid, "malformed", "an attribute is a string, an integer, a boolean or an entity's type and id")
}
