package clients

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Rule says what a workspace lets an app do, or all apps of a host, or all apps.
type Rule struct {
	Workspace id.Workspace `json:"workspace"`
	Client    string       `json:"client"`          // a client_id, an address that ends in "/*", or "*"; "" for what holds where no rule does
	Allow     bool         `json:"allow"`           // people may consent to it
	Bearer    bool         `json:"bearer,omitzero"` // it may have tokens that are bound to no key
	Reason    string       `json:"-"`
	By        string       `json:"-"` // who made it
	CreatedAt time.Time    `json:"-"`
}

const (
	maxRules  = 500 // of a workspace
	maxReason = 500 // bytes
)

// Check says whether the rule can be one; local as for CheckAddress. Code: rule_invalid.
func (r Rule) Check(local bool) error {
	bad := func(reason string) error { return fault.New(fault.Invalid, "rule_invalid", "%s", reason) }
	if err := CheckPattern(r.Client, local); err != nil {
		return err
	}
	switch {
	case r.Bearer && !r.Allow:
		return bad("an app that is not allowed has no tokens, bound to a key or not")
	case len(r.Reason) > maxReason || !utf8.ValidString(r.Reason) || strings.ContainsFunc(r.Reason, unicode.IsControl):
		return bad("a reason is one line of text of at most 500 bytes")
	}
	return nil
}

// CheckPattern says whether text can be what a rule is about: a client_id of an app, an address that ends in "/*", or "*". Code: rule_invalid.
func CheckPattern(text string, local bool) error {
	if text == "*" {
		return nil
	}
	if _, err := id.Parse[id.App](text); err == nil {
		return nil
	}
	address := text
	if p, ok := strings.CutSuffix(text, "/*"); ok {
		address = p + "/x"
	}
	if !isAddress(address) || CheckAddress(address, local) != nil {
		return fault.New(fault.Invalid, "rule_invalid", "a rule is about a client_id, all apps under an address, or all apps").
			Try("name it as https://app.example.com/client.json, https://app.example.com/* or *")
	}
	return nil
}

// patterns are what rules about a client may be about, the most particular first.
func patterns(clientID string) []string {
	all := []string{clientID}
	if isAddress(clientID) {
		host := strings.Index(clientID, "://") + len("://")
		for end := strings.LastIndexByte(clientID, '/'); end > host; end = strings.LastIndexByte(clientID[:end], '/') {
			all = append(all, clientID[:end]+"/*")
		}
	}
	return append(all, "*")
}

// SetRule makes a rule, in the place of the one about the same apps. Codes: too_many_rules.
func (room *Room) SetRule(tx *audit.Tx, r Rule) error {
	ok, err := putRule(tx, r)
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "too_many_rules", "the workspace has %d rules about apps, as many as it may have", maxRules).Try("attorn client rule rm …, or make one about a whole host")
	}
	return err
}

// RemoveRule takes a rule away, and returns what it was. Code: not_found.
func (room *Room) RemoveRule(tx *audit.Tx, ws id.Workspace, client string) (Rule, error) {
	return deleteRule(tx, ws, client)
}

// RuleOf is the rule that decides about an app in a workspace: the most particular one. Where there is none an app is allowed, with tokens that are bound to a
// key. clientID is one by IsApp.
func (room *Room) RuleOf(ctx context.Context, ws id.Workspace, clientID string) (Rule, error) {
	found, err := room.rulesAbout(ctx, ws, patterns(clientID))
	if err != nil {
		return Rule{}, err
	}
	for _, p := range patterns(clientID) {
		if r, ok := found[p]; ok {
			return r, nil
		}
	}
	return Rule{Workspace: ws, Allow: true}, nil
}

// Rule reads the rule about exactly this. Code: not_found.
func (room *Room) Rule(ctx context.Context, ws id.Workspace, client string) (Rule, error) {
	found, err := room.rulesAbout(ctx, ws, []string{client})
	if r, ok := found[client]; ok || err != nil {
		return r, err
	}
	return Rule{}, ruleNotFound()
}

// Rules reads the workspace's rules in the order of what they are about, after the given one, at most limit and never more than 200.
func (room *Room) Rules(ctx context.Context, ws id.Workspace, after string, limit int) ([]Rule, error) {
	return room.listRules(ctx, ws, after, bounded(limit))
}

func bounded(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}

func ruleNotFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no rule about this app in this workspace").Try("attorn client rule ls")
}
