package policy

import (
	"slices"
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
		if name == "" || len(name) > maxName || !goodValue(v, true) {
			return fault.New(fault.Invalid, "schema", "an attribute has a name and is a string, an int64 below 2^53, a bool, a decimal, a UID or a list of them")
		}
	}
	return nil
}

// goodValue says whether an attribute can be this.
func goodValue(v any, list bool) bool {
	switch v := v.(type) {
	case string, bool:
		return true
	case int64:
		return v >= -maxInteger && v <= maxInteger
	case Decimal:
		d, err := types.ParseDecimal(string(v))
		return err == nil && d.String() == string(v) // in one form, so that equal facts are equal bytes
	case UID:
		return v.check() == nil
	case []any:
		return list && len(v) <= maxElements && !slices.ContainsFunc(v, func(e any) bool { return !goodValue(e, false) })
	}
	return false
}

// cedarValue is a checked attribute in Cedar's form.
func cedarValue(v any) types.Value {
	switch v := v.(type) {
	case string:
		return types.String(v)
	case int64:
		return types.Long(v)
	case bool:
		return types.Boolean(v)
	case Decimal:
		d, _ := types.ParseDecimal(string(v)) // checked
		return d
	case UID:
		return entityUID(v)
	case []any:
		all := make([]types.Value, len(v))
		for i, e := range v {
			all[i] = cedarValue(e)
		}
		return types.NewSet(all...)
	}
	return nil
}

func entityUID(u UID) types.EntityUID {
	return types.NewEntityUID(types.EntityType(u.Type), types.String(u.ID))
}

// cedar turns a checked entity into Cedar's form, with more parents.
func (e *Entity) cedar(more []types.EntityUID) types.Entity {
	parents := make([]types.EntityUID, len(e.Parents), len(e.Parents)+len(more))
	for i, p := range e.Parents {
		parents[i] = entityUID(p)
	}
	parents = append(parents, more...)
	out := types.Entity{UID: entityUID(e.UID), Parents: types.NewEntityUIDSet(parents...)}
	if len(e.Attrs) > 0 {
		m := make(types.RecordMap, len(e.Attrs))
		for name, v := range e.Attrs {
			m[types.String(name)] = cedarValue(v)
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

// MarshalJSONTo writes {"decimal":"1.25"}.
func (d Decimal) MarshalJSONTo(enc *jsontext.Encoder) error {
	return json.MarshalEncode(enc, struct {
		Decimal string `json:"decimal"`
	}{string(d)})
}

// UnmarshalJSONFrom reads a string, integer, boolean, {"type","id"}, {"decimal"}, or a list of them.
func (a *attribute) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '{':
		var u struct {
			UID
			Decimal *Decimal `json:"decimal"`
		}
		err := json.UnmarshalDecode(dec, &u)
		if a.value = u.UID; u.Decimal != nil {
			a.value = *u.Decimal
		}
		return err
	case '[':
		var all []attribute
		err := json.UnmarshalDecode(dec, &all)
		values := make([]any, len(all))
		for i := range all {
			values[i] = all[i].value
		}
		a.value = values
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
	return fault.New(fault.Invalid, "malformed", "an attribute is a string, an integer, a boolean, a decimal, an entity's type and id, or a list of them")
}
