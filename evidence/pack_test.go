package evidence_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func mustVerify(t *testing.T, pack []byte, trust string) *evidence.Report {
	t.Helper()
	r, err := evidence.Verify(pack, []byte(trust))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A pack reads back as what was written, and any zip reader reads it.
func TestPackRoundTrip(t *testing.T) {
	s := newStory(t)
	var want evidence.Pack
	s.pack = func(p *evidence.Pack) { want = *p }
	pack, _ := s.tell()
	got, err := evidence.ReadPack(pack)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := got.Write(&again); err != nil || !bytes.Equal(again.Bytes(), pack) {
		t.Errorf("written again it differs: %v", err)
	}
	if got.Question != want.Question || got.Now != want.Now || got.Trust != want.Trust || len(got.Entries) != len(want.Entries) || len(got.Content) != len(want.Content) {
		t.Errorf("read %+v", got.Question)
	}
	z, err := zip.NewReader(bytes.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	members, err := evidence.SplitZip(pack)
	if err != nil || len(z.File) != len(members) {
		t.Fatal(len(z.File), err)
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r) // checks the CRC
		if err != nil || f.Name != members[i].Name || !bytes.Equal(data, members[i].Data) || !f.Modified.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %s", f.Name, err, f.Modified)
		}
	}
}

func TestTheSameQuestionGivesTheSameBytes(t *testing.T) {
	a, _ := newStory(t).tell()
	b, _ := newStory(t).tell()
	if !bytes.Equal(a, b) {
		t.Error("two packs of the same story differ")
	}
}

// One flipped bit anywhere is refused; in the body of an event with the words that say so.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	pack, trust := newStory(t).tell()
	for i := range pack {
		bad := bytes.Clone(pack)
		bad[i] ^= 1 << (i % 8)
		if _, err := evidence.ReadPack(bad); err == nil {
			t.Fatalf("byte %d of %d flipped and read", i, len(pack))
		}
		if i%7 != 0 {
			continue
		}
		if r := mustVerify(t, bad, trust); r.OK() || r.FirstFailure == nil || r.FirstFailure.Verdict != evidence.Fails || r.FirstFailure.Name != "pack" {
			t.Fatalf("byte %d of %d flipped: %s", i, len(pack), r.Tree())
		}
	}
	for in, want := range map[string]string{
		`"kind":"tool.started"`:          "FAIL  #11  AUTHENTIC no: body does not hash to its leaf\n",
		`"kind":"user.passkey_changed"`:  "FAIL  #11  AUTHENTIC no: default #1: body does not hash to its leaf\n",
		"quorum none":                    "FAIL  #11  AUTHENTIC no: trust.policy: its bytes are not those that the pack was made with\n",
		"Production needs a release man": "FAIL  #11  AUTHENTIC no: content/",
	} {
		bad := bytes.Clone(pack)
		bad[bytes.Index(pack, []byte(in))+10] ^= 1
		if got := mustVerify(t, bad, trust).String(); !strings.HasPrefix(got, want) {
			t.Errorf("flipped in %s: %q, want %q", in, got, want)
		}
	}
}

// A member less is refused where the manifest still lists it, and with a manifest that does not the answer is no longer yes.
func TestEveryMemberIsNeeded(t *testing.T) {
	pack, trust := newStory(t).tell()
	members, err := evidence.SplitZip(pack)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		r := mustVerify(t, evidence.WriteZip(slices.Delete(slices.Clone(members), i, i+1)), trust)
		if f := r.FirstFailure; f == nil || f.Name != "pack" || f.Code != "pack_malformed" {
			t.Errorf("without %s: %+v", m.Name, f)
		}
	}
	p, err := evidence.ReadPack(pack)
	if err != nil {
		t.Fatal(err)
	}
	less := func(name string, change func(*evidence.Pack)) {
		q := p
		q.Entries, q.Details, q.Content = slices.Clone(p.Entries), slices.Clone(p.Details), slices.Clone(p.Content)
		change(&q)
		var b bytes.Buffer
		if err := q.Write(&b); err != nil {
			t.Fatal(err)
		}
		if r := mustVerify(t, b.Bytes(), trust); r.OK() || r.FirstFailure == nil {
			t.Errorf("without %s: %s", name, r)
		}
	}
	for i, e := range p.Entries {
		less(fmt.Sprintf("%s #%d", e.Workspace, e.Rev), func(q *evidence.Pack) { q.Entries = slices.Delete(q.Entries, i, i+1) })
	}
	for i, d := range p.Details {
		less(d.Field, func(q *evidence.Pack) { q.Details = slices.Delete(q.Details, i, i+1) })
	}
	for i, c := range p.Content {
		if bytes.Contains(c.Body, []byte(`"typ":"attorn-approval"`)) {
			continue // what was asked is made again from the event: it needs no copy
		}
		less(c.Digest.String(), func(q *evidence.Pack) { q.Content = slices.Delete(q.Content, i, i+1) })
	}
}

// Whatever is not in the one form is refused, though other zip readers take it.
func TestPackTakesOneForm(t *testing.T) {
	pack, _ := newStory(t).tell()
	members, err := evidence.SplitZip(pack)
	if err != nil {
		t.Fatal(err)
	}
	archive := func(change func(*zip.Writer, *zip.FileHeader)) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, m := range members {
			h := &zip.FileHeader{Name: m.Name, Method: zip.Store}
			change(w, h)
			f, err := w.CreateHeader(h)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(m.Data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	with := func(change func([]evidence.Member) []evidence.Member) []byte {
		return evidence.WriteZip(change(slices.Clone(members)))
	}
	renamed := func(i int, name string) []byte {
		return with(func(all []evidence.Member) []evidence.Member { all[i].Name = name; return all })
	}
	more := func(name string) []byte {
		return with(func(all []evidence.Member) []evidence.Member {
			all = append(all, evidence.Member{Name: name, Data: []byte("x")})
			slices.SortFunc(all, func(a, b evidence.Member) int { return strings.Compare(a.Name, b.Name) })
			return all
		})
	}
	edited := func(at int, b ...byte) []byte { return slices.Insert(bytes.Clone(pack), at, b...) }
	central := bytes.Index(pack, []byte("PK\x01\x02"))
	manifest := slices.IndexFunc(members, func(m evidence.Member) bool { return m.Name == "manifest.json" })
	for name, bad := range map[string][]byte{
		"nothing":          nil,
		"no archive":       []byte("hello"),
		"empty archive":    evidence.WriteZip(nil),
		"data descriptors": archive(func(*zip.Writer, *zip.FileHeader) {}),
		"compressed":       archive(func(_ *zip.Writer, h *zip.FileHeader) { h.Method = zip.Deflate }),
		"comment":          archive(func(w *zip.Writer, _ *zip.FileHeader) { _ = w.SetComment("hello") }),
		"member's comment": archive(func(_ *zip.Writer, h *zip.FileHeader) { h.Comment = "hello" }),
		"dates":            archive(func(_ *zip.Writer, h *zip.FileHeader) { h.Modified = time.Unix(1e9, 0) }),
		"extra field":      archive(func(_ *zip.Writer, h *zip.FileHeader) { h.Extra = []byte{1, 0, 0, 0} }),
		"junk before":      edited(0, 'x'),
		"junk between":     edited(central, 'x'),
		"junk after":       edited(len(pack), 'x'),
		"junk in the end":  edited(len(pack)-22, 'x'),
		"cut short":        pack[:len(pack)-1],
		"no directory":     pack[:central],
		"half a member":    pack[:100],
		"order":            with(func(all []evidence.Member) []evidence.Member { all[0], all[1] = all[1], all[0]; return all }),
		"twice":            with(func(all []evidence.Member) []evidence.Member { return slices.Insert(all, 1, all[0]) }),
		"unknown member":   more("other.json"),
		"unknown folder":   more("other/a"),
		"unlisted content": more("content/" + id.Sum([]byte("x")).String()),
		"unlisted event":   more("events/default/99.json"),
		"leading slash":    renamed(0, "/content/x"),
		"dots":             renamed(0, "../x"),
		"dots inside":      renamed(0, "content/../x"),
		"empty part":       renamed(0, "content//x"),
		"backslash":        renamed(0, `content\x`),
		"space":            renamed(0, "content/a b"),
		"not ASCII":        renamed(0, "content/é"),
		"NUL":              renamed(0, "content/a\x00"),
		"empty name":       renamed(0, ""),
		"directory":        renamed(0, "content/"),
		"long name":        renamed(0, "content/"+strings.Repeat("a", 300)),
		"no manifest":      with(func(all []evidence.Member) []evidence.Member { return slices.Delete(all, manifest, manifest+1) }),
		"manifest of a later": with(func(all []evidence.Member) []evidence.Member {
			all[manifest].Data = bytes.Replace(all[manifest].Data, []byte(`"v":1`), []byte(`"v":2`), 1)
			return all
		}),
		"manifest with more": with(func(all []evidence.Member) []evidence.Member {
			all[manifest].Data = bytes.Replace(all[manifest].Data, []byte(`"v":1`), []byte(`"v":1,"w":1`), 1)
			return all
		}),
		"manifest with space": with(func(all []evidence.Member) []evidence.Member {
			all[manifest].Data = append([]byte(" "), all[manifest].Data...)
			return all
		}),
		"manifest, not JSON": with(func(all []evidence.Member) []evidence.Member { all[manifest].Data = []byte("{"); return all }),
	} {
		if _, err := evidence.ReadPack(bad); fault.Code(err) != "pack_malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := make([]evidence.Member, evidence.MaxMembers+1)
	for i := range many {
		many[i].Name = fmt.Sprintf("content/%05d", i)
	}
	for name, bad := range map[string][]byte{"many members": evidence.WriteZip(many), "too long": make([]byte, evidence.MaxPack+1)} {
		if _, err := evidence.ReadPack(bad); fault.Code(err) != "too_large" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A member that the manifest lists must still be one that a pack can have.
func TestListedMembersMustBeKnown(t *testing.T) {
	x := id.Sum([]byte("x")).String()
	manifest := func(names ...string) []evidence.Member {
		list := ""
		var all []evidence.Member
		for _, n := range names {
			list += `,"` + n + `":"` + x + `"`
			all = append(all, evidence.Member{Name: n, Data: []byte("x")})
		}
		all = append(all, evidence.Member{Name: "manifest.json", Data: []byte(`{"issuer":"","members":{` + strings.TrimPrefix(list, ",") +
			`},"question":{"event":"` + event("x").String() + `","rev":0,"workspace":"default"},"v":1}`)})
		slices.SortFunc(all, func(a, b evidence.Member) int { return strings.Compare(a.Name, b.Name) })
		return all
	}
	for name, code := range map[string]string{
		"content/" + x: "", "trust.policy": "", "now.jws": "", "details/default/0/args": "",
		"other": "pack_malformed", "content/a/b": "pack_malformed", "content/" + id.Sum([]byte("y")).String(): "member_changed", "content": "pack_malformed",
		"details/default/00/args": "pack_malformed", "details/Default/0/args": "pack_malformed", "details/default/0": "pack_malformed", "details/default/-1/args": "pack_malformed",
		"events/default/0": "pack_malformed", "events/default/0.json": "pack_malformed", "events/default/0.tlog-proof": "pack_malformed", "events/default/0.json.tlog-proof": "pack_malformed",
		"events/default/00.json": "pack_malformed", "events/default/x.json": "pack_malformed", "events/0.json": "pack_malformed", "events/default/9223372036854775808.json": "pack_malformed",
	} {
		if _, err := evidence.ReadPack(evidence.WriteZip(manifest(name))); fault.Code(err) != code {
			t.Errorf("%s: %v, want %q", name, err, code)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	c := evidence.ContentOf([]byte("x"))
	for name, p := range map[string]evidence.Pack{
		"a member twice": {Content: []evidence.Content{c, c}},
		"an odd field":   {Details: []evidence.Disclosed{{Workspace: id.Default, Field: "../x"}}},
	} {
		if err := p.Write(io.Discard); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// NeedsOf asks for exactly what the story's pack holds, so who packs by it packs enough.
func TestNeedsOfIsEnough(t *testing.T) {
	s := newStory(t)
	s.tell()
	find := func(d id.Digest) ([]byte, bool) {
		for _, c := range s.content {
			if c.Digest == d {
				return c.Body, true
			}
		}
		return nil, false
	}
	n := evidence.NeedsOf(s.question, find)
	if len(n.Content) != len(s.content) {
		t.Errorf("%d documents of %d", len(n.Content), len(s.content))
	}
	want := evidence.Needs{
		Keys:      []id.Key{s.issuerKey.Public().Thumbprint()},
		Agents:    []id.Agent{agent("release-bot"), agent("deployer")},
		Instances: []id.Key{s.botKey.Public().Thumbprint(), s.deployKey.Public().Thumbprint()},
		People: []evidence.PersonKey{
			{User: user("priya"), Thumbprint: s.priya.Public().Thumbprint()},
			{User: user("maya"), COSE: n.People[1].COSE},
		},
	}
	n.Content = nil
	if d := cmp.Diff(want, n, cmp.Comparer(func(a, b id.Key) bool { return a == b }), cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
		cmp.Comparer(func(a, b id.User) bool { return a == b }), cmp.Comparer(func(a, b id.Digest) bool { return a == b })); d != "" {
		t.Error(d)
	}
	lost := evidence.NeedsOf(s.question, func(id.Digest) ([]byte, bool) { return nil, false })
	if len(lost.Missing) != 8 { // two links, token, ask, vote, facts, bundle, definition
		t.Errorf("missing: %v", lost.Missing)
	}
}
