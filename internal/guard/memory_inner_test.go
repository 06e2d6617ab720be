package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// past is a history that a test writes: it heard of everything before upTo, and forgot what ended before from.
type past struct {
	ends       []audit.End
	from, upTo int64
}

func (p *past) Ended(_ id.Workspace, from int64) ([]audit.End, int64, bool) {
	var ends []audit.End
	for _, e := range p.ends {
		if e.Rev >= from && e.Rev >= p.from {
			ends = append(ends, e)
		}
	}
	return ends, p.upTo, p.upTo > 0 && from >= p.from
}

func (p *past) Rev(context.Context, id.Workspace) (int64, error) { return p.upTo, nil }

// whole reports whether what is remembered hangs together.
func (m *memory) whole() error {
	n := 0
	for _, s := range m.spaces {
		n += len(s.facts)
		for name, f := range s.facts {
			for _, on := range f.rests {
				if _, ok := s.on[on][name]; !ok {
					return fmt.Errorf("nothing ends %s with %s", name, on)
				}
			}
		}
		for on, names := range s.on {
			for name := range names {
				if !slices.Contains(s.facts[name].rests, on) {
					return fmt.Errorf("%s is forgotten, and still hangs on %s", name, on)
				}
			}
			if len(names) == 0 {
				return fmt.Errorf("nothing hangs on %s", on)
			}
		}
	}
	if n != m.n || n > maxFacts || len(m.homes) > maxFacts {
		return fmt.Errorf("%d facts are counted as %d, and %d homes", n, m.n, len(m.homes))
	}
	return nil
}

// TestCacheBounded: what is remembered does not grow without end, whatever is asked.
func TestCacheBounded(t *testing.T) {
	m := newMemory(&past{upTo: 5, from: 1})
	if _, err := m.asOf(t.Context(), id.Default); err != nil {
		t.Fatal(err)
	}
	for n := range maxFacts + 500 {
		name := fmt.Sprintf("fact %d", n)
		m.keep(id.Default, 5, name, fact{value: n, rests: []string{"all", name}})
		sum := sha256.Sum256([]byte(name))
		key, err := id.ParseKey(jose.EncodeBase64(sum[:]))
		if err != nil {
			t.Fatal(err)
		}
		m.settle(key, id.Default)
		if v, ok := m.get(id.Default, 5, name, time.Time{}); !ok || v != n {
			t.Fatalf("%s is not remembered", name)
		}
	}
	if err := m.whole(); err != nil || m.n != maxFacts {
		t.Error(m.n, err)
	}
	if _, ok := m.get(id.Default, 0, fmt.Sprintf("fact %d", maxFacts+499), time.Time{}); ok {
		t.Error("something is found for a decision that the log will not hold to its revision")
	}
}

// TestMemoryKnowsNothingThatEnded: whatever is kept, read late, ended or forgotten by the log, a fact that is found was true of the state at the revision that
// the door was told before, or at a later one.
func TestMemoryKnowsNothingThatEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := &past{upTo: 1, from: 1}
		m := newMemory(log)
		version := map[string]int64{} // of each thing: the revision from which it is as it is
		type reading struct {
			asOf, version int64
			thing         string
		}
		var readings []reading
		asOf := func() int64 {
			at, err := m.asOf(context.Background(), id.Default)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		thing := rapid.SampledFrom([]string{"a", "b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"something happens": func(*rapid.T) { log.upTo++ },
			"something ends": func(t *rapid.T) {
				touched := []string{thing.Draw(t, "thing")}
				version[touched[0]] = log.upTo
				if rapid.IntRange(0, 9).Draw(t, "everything") == 0 {
					touched = []string{evidence.Workspace}
					for _, x := range []string{"a", "b", "c"} {
						version[x] = log.upTo
					}
				}
				log.ends = append(log.ends, audit.End{Rev: log.upTo, Touches: touched})
				log.upTo++
			},
			"the log forgets": func(*rapid.T) { log.from = log.upTo },
			"somebody reads": func(t *rapid.T) {
				at, x := asOf(), thing.Draw(t, "thing")
				readings = append(readings, reading{at, version[x], x})
			},
			"and keeps it": func(t *rapid.T) {
				if len(readings) == 0 {
					return
				}
				n := rapid.IntRange(0, len(readings)-1).Draw(t, "reading")
				r := readings[n]
				readings = slices.Delete(readings, n, n+1)
				m.keep(id.Default, r.asOf, r.thing, fact{value: r.version, rests: []string{r.thing}})
			},
			"somebody recalls": func(t *rapid.T) {
				at, x := asOf(), thing.Draw(t, "thing")
				if rapid.Bool().Draw(t, "who asked the database is ahead of what was heard") {
					at = log.upTo + 1
				}
				if v, ok := m.get(id.Default, at, x, time.Time{}); ok && (v != version[x] || at > log.upTo) {
					t.Fatalf("as of %d %s is as it was at %d, though it changed at %d", at, x, v, version[x])
				}
			},
			"": func(t *rapid.T) {
				if err := m.whole(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}
