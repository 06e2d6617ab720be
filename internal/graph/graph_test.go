package graph_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/graph"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// ident is the nth identifier with a prefix.
func ident[T any](parse func(string) (T, error), prefix string, n int) T {
	v, err := parse(fmt.Sprintf("%s06h0fkepn1o0%013d0", prefix, n))
	if err != nil {
		panic(err)
	}
	return v
}

func user(n int) id.User       { return ident(id.Parse[id.User], "usr_", n) }
func agent(n int) id.Agent     { return ident(id.Parse[id.Agent], "agt_", n) }
func dlg(n int) id.Delegation  { return ident(id.Parse[id.Delegation], "dlg_", n) }
func prefix(s string) *string  { return &s }
func limit(n int64) *int64     { return &n }
func in(d time.Duration) int64 { return now.Add(d).Unix() }

// wood grows forests.
type wood struct {
	graph.Forest
	n int
}

func grow() *wood { return &wood{Forest: graph.Forest{Names: map[string]string{}, Now: now}} }

func (w *wood) name(sub, name string) { w.Names[sub] = name }

// lend adds a delegation by a person (negative) or an agent to an agent, below another, and gives its number.
func (w *wood) lend(by, to, under int, edits ...func(*graph.Lent)) int {
	w.n++
	l := graph.Lent{Status: graph.Active, Statement: delegation.Statement{
		ID: dlg(w.n), Delegate: delegation.Delegate{Agent: agent(to)}, NotBefore: in(-time.Hour), ExpiresAt: in(2 * time.Hour),
		Permissions: []delegation.Permission{{Permission: "tool:files:*"}},
	}}
	if by < 0 {
		l.Statement.Delegator.User = user(-by)
	} else {
		l.Statement.Delegator.Agent = agent(by)
	}
	if under > 0 {
		l.Parent = dlg(under)
	}
	for _, edit := range edits {
		edit(&l)
	}
	w.Lent = append(w.Lent, l)
	return w.n
}

func (w *wood) story() *wood {
	w.name(user(1).String(), "Priya Nair")
	w.name(user(2).String(), "Maya Chen")
	w.name(agent(1).String(), "release-bot")
	w.name(agent(2).String(), "deployer")
	root := w.lend(-1, 1, 0, func(l *graph.Lent) {
		l.Statement.MaxUses, l.Uses, l.Statement.MaxDepth, l.Statement.Task, l.Statement.Purpose = limit(100), 3, 2, "REL-481", "Ship release 4.8.1 to staging, and to production once it has been approved"
		l.Statement.Permissions = append(l.Statement.Permissions, delegation.Permission{Permission: "tool:deploy:run", Where: map[string]delegation.Constraint{
			"env": {In: []delegation.Value{delegation.String("staging"), delegation.String("production")}}, "service": {Prefix: prefix("web-")}, "replicas": {Max: limit(4), Min: limit(1)},
		}})
	})
	key, _ := id.ParseKey("wtv6yldVGOaUeHIplLXp9PT7qdgC4tWotWmwetdeleo")
	w.lend(1, 2, root, func(l *graph.Lent) {
		l.Statement.ExpiresAt, l.Statement.Delegate.Instance = in(5*time.Minute), key
	})
	w.lend(1, 3, root, func(l *graph.Lent) {
		l.Status, l.Ended, l.EndedBy, l.EndedWhy = graph.Revoked, now.Add(-time.Hour), user(2).String(), "it asked for production on its own, INC-212, and nobody knew why it would"
	})
	w.lend(-2, 2, 0, func(l *graph.Lent) { l.Status, l.Statement.ExpiresAt = graph.Expired, in(-time.Minute) })
	w.lend(-2, 4, 0, func(l *graph.Lent) { l.Statement.NotBefore = in(time.Hour) })
	w.lend(-2, 5, 0, func(l *graph.Lent) { l.Status, l.Ended = graph.Revoked, now.Add(-25*time.Hour) })
	return w
}

// star is a person who lends to n-1 agents, tree one whose agents lend on to three each.
func (w *wood) star(n int) *wood {
	for i := 1; i < n; i++ {
		w.lend(-1, i, 0)
	}
	return w
}

func (w *wood) tree(n int) *wood {
	made := map[int]int{}
	made[1] = w.lend(-1, 1, 0)
	for i := 2; i < n; i++ {
		by := (i + 1) / 3
		made[i] = w.lend(by, i, made[by])
	}
	return w
}

// circle is A that lends to B under one root, and B to A under another.
func (w *wood) circle() *wood {
	a, b := w.lend(-1, 1, 0), w.lend(-2, 2, 0)
	c := w.lend(1, 2, a)
	w.lend(2, 1, b)
	w.lend(2, 3, c)
	d := w.lend(-2, 3, 0)
	w.lend(3, 1, d)
	return w
}

func goldens() map[string]graph.Forest {
	focused := grow().tree(200)
	focused.Focus, focused.More = agent(5).String(), "/w/default/delegations"
	linked := grow().story()
	linked.Link = func(sub string) string { return "/w/default/" + sub + "?tab=graph&open=1" }
	offline := grow().story()
	for i := range offline.Lent {
		offline.Lent[i].Status = ""
	}
	everything := grow().story()
	everything.All = true
	return map[string]graph.Forest{
		"none": grow().Forest, "1": grow().star(2).Forest, "story": linked.Forest, "all": everything.Forest, "offline": offline.Forest, "15": grow().tree(15).Forest, "60": grow().tree(60).Forest,
		"200": focused.Forest, "200-star": grow().star(200).Forest, "circle": grow().circle().Forest,
	}
}

func TestGolden(t *testing.T) {
	for name, f := range goldens() {
		for file, got := range map[string][]byte{name + ".svg": graph.SVG(f), name + ".txt": []byte(graph.Text(f))} {
			path := filepath.Join("testdata", file)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is another drawing (go test ./internal/graph -update writes it): %v", file, err)
			}
		}
	}
}

// The same delegations in any order are the same bytes.
func TestSameInputSameBytes(t *testing.T) {
	for name, f := range goldens() {
		text, svg := graph.Text(f), graph.SVG(f)
		for range 20 {
			rand.Shuffle(len(f.Lent), func(i, j int) { f.Lent[i], f.Lent[j] = f.Lent[j], f.Lent[i] })
			if graph.Text(f) != text || !bytes.Equal(graph.SVG(f), svg) {
				t.Fatalf("%s depends on the order", name)
			}
		}
	}
}

var forbidden = regexp.MustCompile(`(?i)\s(style|on[a-z]+)\s*=|<script|<style|javascript:|<foreignObject|<!`)

// elements reads a drawing as XML, and gives each element's name and attributes.
func elements(t *testing.T, svg []byte) (all []xml.StartElement) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			all = append(all, e.Copy())
		}
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func TestHostileTextStaysText(t *testing.T) {
	w := grow()
	evil := "<script>alert(1)</script>\" onload=\"x' style='y &amp; \u202eevil\u200b\x00\xff\n]]>" + strings.Repeat("\u0301", 9)
	w.name(user(1).String(), evil)
	w.name(agent(1).String(), evil)
	w.lend(-1, 1, 0, func(l *graph.Lent) {
		l.Statement.Purpose, l.Statement.Task, l.Status, l.Ended, l.EndedBy, l.EndedWhy = evil, evil, graph.Revoked, now, evil, evil
		l.Statement.Permissions = []delegation.Permission{{Permission: evil, Where: map[string]delegation.Constraint{evil: {Prefix: prefix(evil)}}}}
	})
	w.Link = func(string) string { return `/"><script>` }
	svg, text := graph.SVG(w.Forest), graph.Text(w.Forest)
	for _, e := range elements(t, svg) {
		if e.Name.Local == "script" {
			t.Error("a script")
		}
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(strings.ToLower(a.Name.Local), "on") {
				t.Errorf("%s has the attribute %s", e.Name.Local, a.Name.Local)
			}
		}
	}
	for _, s := range []string{string(svg), text} {
		if i := strings.IndexFunc(s, func(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || r == utf8.RuneError) }); i >= 0 {
			t.Errorf("what cannot be seen: %q", s[max(0, i-40):i+10])
		}
		for _, mark := range []string{"⟨U+202E⟩", "⟨U+200B⟩", "⟨U+0000⟩", "⟨0xFF⟩", "⟨U+000A⟩", "⟨U+0301⟩"} {
			if !strings.Contains(s, mark) {
				t.Errorf("no mark %s", mark)
			}
		}
	}
}

func TestDrawings(t *testing.T) {
	for name, f := range goldens() {
		svg := graph.SVG(f)
		if m := forbidden.Find(svg); m != nil {
			t.Errorf("%s has %q", name, m)
		}
		nodes, last := 0, -1
		for i, e := range elements(t, svg) {
			if !strings.HasPrefix(attr(e, "class"), "node ") {
				if i == 0 && (e.Name.Local != "svg" || attr(e, "role") != "group" || attr(e, "aria-label") == "") {
					t.Errorf("%s is not a labelled group", name)
				}
				continue
			}
			nodes++
			if attr(e, "aria-label") == "" || e.Name.Local == "a" && attr(e, "href") == "" || e.Name.Local == "g" && attr(e, "tabindex") != "0" {
				t.Errorf("%s has a node that is not reached or not said: %v", name, e.Attr)
			}
		}
		for _, m := range regexp.MustCompile(`<rect class="box" x="\d+" y="(\d+)" width="200"`).FindAllSubmatch(svg, -1) { // row by row
			y := 0
			fmt.Sscan(string(m[1]), &y)
			if y < last {
				t.Errorf("%s: the order of nodes goes up", name)
			}
			last = y
		}
		if nodes > 120 {
			t.Errorf("%s draws %d nodes", name, nodes)
		}
	}
	many := string(graph.SVG(goldens()["200-star"]))
	if n := strings.Count(many, `class="node agent"`); n != 59 || !strings.Contains(many, "140 more agents") {
		t.Errorf("a star of 200 draws %d agents", n)
	}
	around := string(graph.SVG(goldens()["200"]))
	for _, want := range []int{1, 2, 5, 14, 15, 16, 41, 49} { // two up, and two down
		if !strings.Contains(around, agent(want).String()) {
			t.Errorf("agent %d is within two hops of 5 and not drawn", want)
		}
	}
	if strings.Contains(around, agent(120).String()) || !strings.Contains(around, `href="/w/default/delegations"`) {
		t.Error("what is far is drawn, or what stands for it leads nowhere")
	}
	circle := string(graph.SVG(goldens()["circle"]))
	if n := strings.Count(circle, `class="edge live back"`); n != 2 {
		t.Errorf("%d edges lead back", n)
	}
	day := string(graph.SVG(goldens()["story"]))
	if strings.Contains(day, agent(5).String()) || !strings.Contains(day, `class="edge revoked"`) || !strings.Contains(day, `class="edge soon"`) || !strings.Contains(day, ">2 → 1 · 5 min<") {
		t.Error("the story is drawn wrongly")
	}
}

func TestTextIsNarrow(t *testing.T) {
	for name, f := range goldens() {
		for line := range strings.Lines(graph.Text(f)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 && strings.Count(strings.TrimLeft(line, " │├└─"), " ") > 0 {
				t.Errorf("%s has a line of %d: %s", name, n, line)
			}
		}
	}
}

// Whatever is lent to whom, also in ways that the store refuses, is drawn and ends.
func TestAnythingIsDrawn(t *testing.T) {
	w := grow()
	for i := range 300 {
		w.lend(1+rand.IntN(40), 1+rand.IntN(40), 1+rand.IntN(300), func(l *graph.Lent) {
			if i%7 == 0 {
				l.Parent = l.Statement.ID
			}
		})
	}
	elements(t, graph.SVG(w.Forest))
	_ = graph.Text(w.Forest)
}

func BenchmarkSVG15(b *testing.B) {
	f := grow().tree(15).Forest
	for b.Loop() {
		graph.SVG(f)
	}
}
