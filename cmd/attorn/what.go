package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
)

// whatOf is an event in a line: what was done, to what, for whom, by which authority, and why not.
func whatOf(e evidence.Event) string {
	var parts []string
	add := func(before, text string) {
		if text != "" {
			parts = append(parts, before+text)
		}
	}
	noun := ""
	if d := e.Did; d != nil {
		add("", d.Action)
		if d.Resource.Type == "Noun" {
			noun = d.Resource.ID
		}
	}
	about, named := aboutWhat(e)
	if !named && noun != "workspace" {
		add("", noun)
	}
	if about != "" {
		parts = append(parts, about)
	}
	if chain := e.Who.Chain; len(chain) > 0 && chain[0].Sub != e.Who.Sub {
		add("for ", chain[0].Sub)
	}
	if u := e.Under; u != nil {
		if !u.Delegation.IsZero() {
			add("under ", u.Delegation.String())
		}
		add("task ", shorten(u.Task, maxPart))
	}
	if e.Why != nil && e.Why.Code != "" {
		add("", "("+e.Why.Code+")")
	}
	return strings.Join(parts, " ")
}

// maxPart is how long what others chose may be, in characters.
const maxPart = 120

// aboutWhat says what an event says of the change that it records, and whether that names what was changed.
func aboutWhat(e evidence.Event) (text string, named bool) {
	w := e.What
	if w == nil {
		return "", false
	}
	if !w.Instance.IsZero() && strings.HasPrefix(string(e.Kind), "instance.") {
		return aboutKey(e), true
	}
	var parts []string
	add := func(before, text string) {
		if text != "" {
			parts, named = append(parts, before+text), true
		}
	}
	switch {
	case e.Kind == evidence.TokenIssued:
		add("to ", shorten(w.Audience, maxPart))
		add("scope ", shorten(w.Scope, maxPart))
	case !w.Delegation.IsZero():
		add("", w.Delegation.String())
		if !w.Agent.IsZero() {
			add("to ", w.Agent.String())
		}
		add("in place of ", w.Replaces.String())
	case w.Role != "":
		add("", w.Role)
		switch {
		case !w.User.IsZero():
			add("of ", w.User.String())
		case !w.Agent.IsZero():
			add("of ", w.Agent.String())
		case w.Group != "":
			add("of group:", w.Group)
		}
	case w.Group != "":
		add("", w.Group)
		if w.Status != "" {
			add("", w.Status)
		}
		if !w.User.IsZero() {
			add("", w.User.String())
		} else if !w.Agent.IsZero() {
			add("", w.Agent.String())
		}
		return strings.Join(parts, " "), true
	case !w.Agent.IsZero():
		add("", w.Agent.String())
	case !w.User.IsZero():
		add("", w.User.String())
	case w.Server != "":
		add("", strings.TrimSuffix(w.Server+":"+w.Tool, ":"))
	case !w.Approval.IsZero():
		add("", w.Approval.String())
	case w.Log != nil:
		add("", w.Log.Origin)
	case w.Use != "":
		add("key for ", w.Use)
	case !w.Bundle.IsZero():
		add("bundle ", w.Bundle.String())
	}
	if e.Kind != evidence.TokenIssued && w.Status != "" {
		parts = append(parts, w.Status)
	}
	return strings.Join(parts, " "), named
}

// aboutKey says what an event about an instance says of its keys.
func aboutKey(e evidence.Event) string {
	w := e.What
	key, ends := w.Instance.String(), moment(time.UnixMicro(w.Until).UTC().Format(time.RFC3339))
	switch e.Kind {
	case evidence.InstanceEnrolled:
		return key + " of " + w.Agent.String()
	case evidence.InstanceSpawned:
		return key + " of " + w.Agent.String() + " below " + w.Parent.String() + " until " + ends
	case evidence.InstanceRotated:
		return key + " replaces " + w.Before.String() + ", which ends " + ends
	case evidence.InstanceSeen:
		return key + " from a new place"
	}
	if n := len(w.Ended); n > 0 {
		return key + " and " + fmt.Sprint(n) + " more"
	}
	return key
}
