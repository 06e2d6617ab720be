package evidence_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

var update = flag.Bool("update", false, "write vectors/pack/pack.json anew from the story")

// packCase is the in of a case of kind pack: a whole pack, or what is done to that of another case. Error is the code of the first line that does not
// hold.
type packCase struct {
	Pack  string `json:"pack,omitempty"` // base64
	Trust string `json:"trust,omitempty"`

	Of       string `json:"of,omitempty"`       // id of the case whose pack and trust are taken
	Flip     []int  `json:"flip,omitempty"`     // {offset, bits}: that byte is exclusive-ored with the bits
	Insert   []int  `json:"insert,omitempty"`   // {offset, byte}
	Cut      int    `json:"cut,omitempty"`      // so many bytes are taken from the end
	Without  string `json:"without,omitempty"`  // the archive is written anew without this member, the manifest as it was
	Unlisted string `json:"unlisted,omitempty"` // likewise, and the manifest without it too
}

// apply makes the pack and the trust policy of a case.
func (c packCase) apply(t *testing.T, golden packCase) (pack []byte, trust string) {
	t.Helper()
	trust = c.Trust
	if c.Of == "" {
		golden = c
	} else if trust == "" {
		trust = golden.Trust
	}
	pack, err := base64.StdEncoding.DecodeString(golden.Pack)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.Flip != nil:
		pack[c.Flip[0]] ^= byte(c.Flip[1])
	case c.Insert != nil:
		pack = slices.Insert(pack, c.Insert[0], byte(c.Insert[1]))
	case c.Cut > 0:
		pack = pack[:len(pack)-c.Cut]
	case c.Without+c.Unlisted != "":
		members, err := evidence.SplitZip(pack)
		if err != nil {
			t.Fatal(err)
		}
		pack = evidence.WriteZip(without(t, members, c.Without+c.Unlisted, c.Unlisted != ""))
	}
	return pack, trust
}

func without(t *testing.T, members []evidence.Member, name string, unlist bool) []evidence.Member {
	t.Helper()
	var left []evidence.Member
	for _, m := range members {
		if m.Name == "manifest.json" && unlist {
			var man map[string]jsontext.Value
			var list map[string]id.Digest
			if err := json.Unmarshal(m.Data, &man); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(man["members"], &list); err != nil {
				t.Fatal(err)
			}
			delete(list, name)
			var err error
			if man["members"], err = jose.Canonical(list); err != nil {
				t.Fatal(err)
			}
			if m.Data, err = jose.Canonical(man); err != nil {
				t.Fatal(err)
			}
		}
		if m.Name != name {
			left = append(left, m)
		}
	}
	if len(left) != len(members)-1 {
		t.Fatalf("there is no member %s", name)
	}
	return left
}

func TestPackVectors(t *testing.T) {
	if *update { // what is embedded is still the old file: run again without the flag
		writePackVectors(t)
		return
	}
	cases, err := vectors.Load("pack")
	if err != nil {
		t.Fatal(err)
	}
	var golden packCase
	if err := vectors.Decode(cases[0].In, &golden); err != nil {
		t.Fatal(err)
	}
	pack, trust := newStory(t).tell()
	if golden.Pack != base64.StdEncoding.EncodeToString(pack) || golden.Trust != trust {
		t.Error("the golden pack is not the story's: go test ./evidence -run TestPackVectors -update, and say why in the commit")
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			var in packCase
			if err := vectors.Decode(c.In, &in); err != nil {
				t.Fatal(err)
			}
			if in.Of != "" && in.Of != cases[0].ID {
				t.Fatalf("of %q", in.Of)
			}
			pack, trust := in.apply(t, golden)
			r := mustVerify(t, pack, trust)
			if f := r.FirstFailure; f != nil {
				if f.Code != c.Want.Error {
					t.Errorf("%+v, want %q", f, c.Want.Error)
				}
				return
			}
			lines := []string{}
			for _, l := range r.Lines {
				if l.Question != "" {
					lines = append(lines, l.Name)
				}
			}
			compare(t, c.Want, object{
				"event": r.Question.Event, "rev": r.Question.Rev, "authentic": r.Answers[0].Verdict, "authorised_then": r.Answers[1].Verdict,
				"would_be_allowed_now": r.Answers[2].Verdict, "lines": lines,
			}, nil)
		})
	}
}

type packVector struct {
	ID      string   `json:"id"`
	Comment string   `json:"comment"`
	In      packCase `json:"in"`
	Want    object   `json:"want"`
}

// writePackVectors writes the cases. What each wants is said here, not taken from what Verify says.
func writePackVectors(t *testing.T) {
	pack, trust := newStory(t).tell()
	ok := object{"ok": object{
		"event": event("call"), "rev": 11, "authentic": "ok", "authorised_then": "ok", "would_be_allowed_now": "fail",
		"lines": []string{
			"pack", "server log", "log", "event", "others", "issuer keys", "details",
			"token", "proof", "chain", "live", "keys", "covers", "facts", "bundle", "approvals", "decision", "now",
		},
	}}
	all := []packVector{{"golden", "a write that a release manager approved", packCase{Pack: base64.StdEncoding.EncodeToString(pack), Trust: trust}, ok}}
	add := func(name, comment, code string, in packCase) {
		in.Of = "golden"
		all = append(all, packVector{name, comment, in, object{"error": code}})
	}
	members, err := evidence.SplitZip(pack)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for i, m := range members {
		start := at + 30 + len(m.Name)
		code := "member_changed"
		if strings.HasSuffix(m.Name, ".json") && strings.HasPrefix(m.Name, "events/") {
			code = "not_in_log"
		}
		add(fmt.Sprintf("flip member %d", i), "a bit of a member", code, packCase{Flip: []int{start + len(m.Data)/2, 1}})
		if i%3 == 0 || !strings.HasPrefix(m.Name, "content/") {
			add(fmt.Sprintf("without member %d", i), "a member less", "pack_malformed", packCase{Without: m.Name})
		}
		at = start + len(m.Data)
	}
	for i, name := range []string{
		"signature", "", "", "", "version", "", "flags", "", "method", "", "time", "", "date", "", "crc", "", "", "", "packed size", "", "", "", "size", "", "", "", "name length", "", "extra length", "",
	} {
		code := "pack_malformed"
		switch {
		case name == "":
			continue
		case name == "crc":
			code = "member_changed"
		}
		add("flip header "+name, "the first member's local header", code, packCase{Flip: []int{i, 1}})
	}
	central := bytes.Index(pack, []byte("PK\x01\x02"))
	for _, i := range []int{0, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 30, 32, 34, 36, 38, 42, 46} {
		add(fmt.Sprintf("flip directory %d", i), "the first entry of the directory", "pack_malformed", packCase{Flip: []int{central + i, 1}})
	}
	for _, i := range []int{0, 3, 4, 6, 8, 10, 12, 13, 16, 18, 20, 21} {
		add(fmt.Sprintf("flip end %d", i), "the end of the directory", "pack_malformed", packCase{Flip: []int{len(pack) - 22 + i, 1}})
	}
	add("junk before", "a byte before", "pack_malformed", packCase{Insert: []int{0, 'x'}})
	add("junk between", "a byte before the directory", "pack_malformed", packCase{Insert: []int{central, 'x'}})
	add("junk after", "a byte after", "pack_malformed", packCase{Insert: []int{len(pack), 'x'}})
	add("cut", "a byte less", "pack_malformed", packCase{Cut: 1})
	add("no directory", "the members alone", "pack_malformed", packCase{Cut: len(pack) - central})
	for i, m := range members {
		if code := unlistedCode(m); code != "" {
			add(fmt.Sprintf("unlisted member %d", i), "the manifest does not miss it", code, packCase{Unlisted: m.Name})
		}
	}
	add("trust another", "trust in another server", "evidence_wrong", packCase{Trust: evidence.TrustPolicy(logSigner(t, "other.example/log/server/2026").LogKey)})
	add("trust the log", "trust in the workspace's log instead of the server's", "evidence_wrong", packCase{Trust: evidence.TrustPolicy(logSigner(t, origin).LogKey)})

	var b bytes.Buffer
	fmt.Fprintf(&b, `{"kind":"pack","spec":%q,"cases":[`+"\n", "evidence.Verify (evidence.md §9): a pack is a zip in one form; error is the code of the first line that does not hold, not_shown where something is missing")
	for i, v := range all {
		line, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		b.WriteString(map[bool]string{true: ",\n", false: "\n"}[i < len(all)-1])
	}
	b.WriteString("]}\n")
	if err := os.MkdirAll("../vectors/pack", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("../vectors/pack/pack.json", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unlistedCode is what a pack without the member fails with; "" where it fails with nothing.
func unlistedCode(m evidence.Member) string {
	switch {
	case m.Name == "manifest.json", m.Name == "trust.policy", m.Name == "now.jws", bytes.Contains(m.Data, []byte(`"typ":"attorn-approval"`)):
		return ""
	case strings.HasPrefix(m.Name, "events/"): // a body without its proof, or the reverse
		return "pack_malformed"
	}
	return "not_shown"
}
