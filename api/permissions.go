package api

import "github.com/attorn/attorn/delegation"

// EffectivePermission is what a role permits a principal, or denies it.
type EffectivePermission struct {
	Permission string                           `json:"permission"`
	Where      map[string]delegation.Constraint `json:"where,omitempty"`
	Deny       bool                             `json:"deny,omitzero"`
	Class      string                           `json:"class,omitempty"` // only actions of this class
	Scope      string                           `json:"scope,omitempty"` // only there; "" is the whole workspace
	Role       string                           `json:"role"`            // that states it
	Path       []string                         `json:"path"`            // from the role that is bound, by what it inherits, to Role
	Group      string                           `json:"group,omitempty"` // to which that is bound; "" is the principal itself
	DeniedBy   string                           `json:"denied_by,omitempty"`
}
