package agents

import (
	"database/sql"
	"maps"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/jose"
)

// The bounds of tags.
const (
	MaxTags     = 32
	maxTagValue = 128 // bytes
)

var tagForm = regexp.MustCompile(`^[a-z][a-z0-9._/-]{0,62}$`)

// Tags are the tags of an agent: name=value. Policy reads them, so whoever sets them steers what the agent may do. The zero value is none; two equal
// sets compare equal.
type Tags struct{ text string } // RFC 8785 form, "" for none

// NewTags makes a set. Code: agent_invalid.
func NewTags(tags map[string]string) (Tags, error) {
	if len(tags) == 0 {
		return Tags{}, nil
	}
	if len(tags) > MaxTags {
		return Tags{}, invalid("an agent has at most %d tags, not %d", MaxTags, len(tags))
	}
	for name, value := range tags {
		if err := checkTag(name, value); err != nil {
			return Tags{}, err
		}
	}
	raw, err := jose.Canonical(tags)
	return Tags{string(raw)}, err
}

func checkTag(name, value string) error {
	switch {
	case !tagForm.MatchString(name):
		return invalid("a tag's name begins with a letter a-z and has letters a-z, digits, dots, underscores, slashes and hyphens, 63 at most: not %q", name)
	case value == "" || len(value) > maxTagValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return invalid("the tag %s has a value of one line of 1 to %d bytes", name, maxTagValue)
	}
	return nil
}

// Map is the set as a map of its own; nil for none.
func (t Tags) Map() map[string]string {
	if t.text == "" {
		return nil
	}
	var m map[string]string
	_ = jose.Decode([]byte(t.text), &m, jose.Limits{}) // NewTags wrote it
	return m
}

// With is the set with some tags set and others removed. Code: agent_invalid.
func (t Tags) With(set map[string]string, remove []string) (Tags, error) {
	m := t.Map()
	if m == nil {
		m = map[string]string{}
	}
	for _, name := range remove {
		delete(m, name)
	}
	maps.Copy(m, set)
	return NewTags(m)
}

// Scan implements sql.Scanner.
func (t *Tags) Scan(src any) error {
	var s sql.Null[string]
	err := s.Scan(src)
	t.text = s.V
	return err
}
