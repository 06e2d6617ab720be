package admin

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	maxReason    = 500 // bytes
)

// read parses a parameter; "" is the zero value.
func read[T any](parse func(string) (T, error), name, text string) (T, error) {
	var zero T
	if text == "" {
		return zero, nil
	}
	v, err := parse(text)
	if err != nil {
		return zero, fault.Wrap(err, fault.Invalid, "malformed", "%s: %v", name, err)
	}
	return v, nil
}

// limit is how many items a page has.
func (x *request) limit() (int, error) {
	text := x.query.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fault.New(fault.Invalid, "malformed", "limit is a number from 1 to %d", maxLimit)
	}
	return n, nil
}

// me replaces the word by the caller.
func (x *request) me(text string) string {
	if text == "me" {
		return x.caller.Sub()
	}
	return text
}

// page makes an answer of found items; a full page may have a next one, which begins beside last.
func page[From, To any](found []From, limit int, to func(From) To, last func(From) string) api.List[To] {
	l := api.List[To]{Items: make([]To, 0, len(found))}
	for _, v := range found {
		l.Items = append(l.Items, to(v))
	}
	if limit > 0 && len(found) >= limit {
		l.Next = last(found[len(found)-1])
	}
	return l
}

// when is a time as bodies have it: RFC 3339 in UTC, "" for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// reasonOf is the caller's reason, which is stored beside what it ended.
func reasonOf(in api.Reason) (string, error) {
	if len(in.Reason) > maxReason || strings.ContainsFunc(in.Reason, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "malformed", "a reason is one line of at most %d bytes", maxReason)
	}
	return in.Reason, nil
}

func readTime(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) }

func (x *request) agent() (id.Agent, error) { return read(id.Parse[id.Agent], "id", x.path("id")) }

func (x *request) user() (id.User, error) { return read(id.Parse[id.User], "id", x.path("id")) }

func (x *request) instance() (id.Key, error) { return read(id.ParseKey, "key", x.path("key")) }

func (x *request) delegation() (id.Delegation, error) {
	return read(id.Parse[id.Delegation], "id", x.path("id"))
}

func (x *request) approval() (id.Approval, error) {
	return read(id.Parse[id.Approval], "id", x.path("id"))
}

func (x *request) event() (id.Event, error) { return read(id.Parse[id.Event], "id", x.path("id")) }
