package evidence

import (
	"cmp"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Pack is what proves the answer about one event to somebody who has nothing but the vkey of the server's log. As a file it is a zip archive
// in one form, with these members:
//
//	manifest.json                       the question, the issuer, and the SHA-256 of every other member
//	trust.policy                        the policy that the server suggests: a hint, which Verify does not read
//	events/<workspace>/<rev>.json       an event's stored bytes
//	events/<workspace>/<rev>.tlog-proof its inclusion, with the checkpoint (C2SP tlog-proof)
//	details/<workspace>/<rev>/<field>   what opens a sealed member of that event, or the proof that came with the request
//	content/<digest>                    a document that an event names by digest
//	now.jws                             the server's word on whether it would be allowed now
//
// The same question and the same head of the logs give the same bytes.
type Pack struct {
	Question Question
	Issuer   string // of the tokens, with scheme
	Trust    string // tlog-policy; "" for none
	Entries  []Entry
	Details  []Disclosed
	Content  []Content
	Now      string // SignNow; "" for none
}

// Question is what a pack answers: the event, and its place.
type Question struct {
	Event     id.Event     `json:"event"`
	Workspace id.Workspace `json:"workspace"`
	Rev       int64        `json:"rev"`
}

// Entry is an event of a log with the proof that it is there.
type Entry struct {
	Workspace id.Workspace
	Rev       int64
	Body      []byte // as stored
	Proof     []byte // Inclusion.Text
}

// Disclosed is a detail of an event in the pack.
type Disclosed struct {
	Workspace id.Workspace
	Rev       int64
	Field     string // as in Detail
	Bytes     []byte
}

type manifest struct {
	V        int                  `json:"v"` // 1
	Question Question             `json:"question"`
	Issuer   string               `json:"issuer"`
	Members  map[string]id.Digest `json:"members"`
}

const (
	manifestName = "manifest.json"
	trustName    = "trust.policy"
	nowName      = "now.jws"
)

// Write writes the pack. Codes: pack_malformed for two members of one name or an odd one, too_large.
func (p Pack) Write(w io.Writer) error {
	members := p.members()
	man := manifest{V: 1, Question: p.Question, Issuer: p.Issuer, Members: make(map[string]id.Digest, len(members))}
	for _, m := range members {
		man.Members[m.name] = id.Sum(m.data)
	}
	b, err := jose.Canonical(man)
	if err != nil {
		return err
	}
	members = append(members, member{name: manifestName, data: b})
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	data := writeZip(members)
	if _, err := splitZip(data); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func (p Pack) members() []member {
	var all []member
	add := func(data []byte, parts ...string) {
		all = append(all, member{name: strings.Join(parts, "/"), data: data})
	}
	for _, e := range p.Entries {
		rev := strconv.FormatInt(e.Rev, 10)
		add(e.Body, "events", e.Workspace.String(), rev+".json")
		add(e.Proof, "events", e.Workspace.String(), rev+".tlog-proof")
	}
	for _, d := range p.Details {
		add(d.Bytes, "details", d.Workspace.String(), strconv.FormatInt(d.Rev, 10), d.Field)
	}
	for _, c := range p.Content {
		add(c.Body, "content", c.Digest.String())
	}
	if p.Trust != "" {
		add([]byte(p.Trust), trustName)
	}
	if p.Now != "" {
		add([]byte(p.Now), nowName)
	}
	return all
}

// ReadPack reads exactly what Write writes: the archive in its one form, the manifest in its own, every member listed, of a known name and with the
// listed digest. It verifies nothing else. Codes: too_large, pack_malformed, member_changed.
func ReadPack(data []byte) (Pack, error) {
	members, err := splitZip(data)
	if err != nil {
		return Pack{}, err
	}
	if name := changed(members); name != "" {
		return Pack{}, memberChanged(name)
	}
	if err := checkZip(members, data); err != nil {
		return Pack{}, err
	}
	return packOf(members)
}

func memberChanged(name string) error {
	return fault.New(fault.Denied, "member_changed", "%s: its bytes are not those that the pack was made with", name)
}

// changed names the first member that is not what the archive or the manifest says, as far as both can be read.
func changed(members []member) string {
	for _, m := range members {
		if crc32.ChecksumIEEE(m.data) != m.crc {
			return m.name
		}
	}
	man, err := manifestOf(members)
	if err != nil {
		return ""
	}
	for _, m := range members {
		if d, ok := man.Members[m.name]; ok && id.Sum(m.data) != d {
			return m.name
		}
	}
	return ""
}

func manifestOf(members []member) (manifest, error) {
	i := slices.IndexFunc(members, func(m member) bool { return m.name == manifestName })
	if i < 0 {
		return manifest{}, malformedPack("it has no manifest.json")
	}
	raw := members[i].data
	var man manifest
	if err := jose.Decode(raw, &man, jose.Limits{Bytes: 4 << 20, Values: 3 * MaxMembers}); err != nil {
		return manifest{}, malformedPack("manifest.json: %s", fault.Of(err).Reason)
	}
	if again, err := jose.Canonical(man); err != nil || string(again) != string(raw) || man.V != 1 {
		return manifest{}, malformedPack("manifest.json is not of version 1 in RFC 8785 form")
	}
	return man, nil
}

func packOf(members []member) (Pack, error) {
	man, err := manifestOf(members)
	if err != nil {
		return Pack{}, err
	}
	p := Pack{Question: man.Question, Issuer: man.Issuer}
	for _, m := range members {
		if m.name == manifestName {
			continue
		}
		if d, ok := man.Members[m.name]; !ok {
			return Pack{}, malformedPack("the manifest does not list %s", m.name)
		} else if id.Sum(m.data) != d {
			return Pack{}, memberChanged(m.name)
		}
		delete(man.Members, m.name)
		if err := p.take(m); err != nil {
			return Pack{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(man.Members)) {
		return Pack{}, malformedPack("%s is missing", name)
	}
	for _, e := range p.Entries {
		if e.Body == nil || e.Proof == nil {
			return Pack{}, malformedPack("%s #%d has no body or no proof", e.Workspace, e.Rev)
		}
	}
	return p, nil
}

// take puts a member in its place.
func (p *Pack) take(m member) error {
	parts := strings.Split(m.name, "/")
	bad := malformedPack("%s is no member of a pack", m.name)
	switch {
	case m.name == trustName:
		p.Trust = string(m.data)
	case m.name == nowName:
		p.Now = string(m.data)
	case parts[0] == "content" && len(parts) == 2:
		c := ContentOf(m.data)
		if parts[1] != c.Digest.String() {
			return memberChanged(m.name)
		}
		p.Content = append(p.Content, c)
	case parts[0] == "details" && len(parts) == 4:
		ws, rev, ok := place(parts[1], parts[2])
		if !ok {
			return bad
		}
		p.Details = append(p.Details, Disclosed{ws, rev, parts[3], m.data})
	case parts[0] == "events" && len(parts) == 3:
		stem, isProof := strings.CutSuffix(parts[2], ".tlog-proof")
		stem, isBody := strings.CutSuffix(stem, ".json")
		ws, rev, ok := place(parts[1], stem)
		if !ok || isProof == isBody {
			return bad
		}
		p.takeEntry(ws, rev, isBody, m.data)
	default:
		return bad
	}
	return nil
}

// takeEntry joins an event's two members, which lie beside one another in the archive.
func (p *Pack) takeEntry(ws id.Workspace, rev int64, isBody bool, data []byte) {
	n := len(p.Entries)
	if n == 0 || p.Entries[n-1].Workspace != ws || p.Entries[n-1].Rev != rev {
		p.Entries = append(p.Entries, Entry{Workspace: ws, Rev: rev})
		n++
	}
	if e := &p.Entries[n-1]; isBody {
		e.Body = data
	} else {
		e.Proof = data
	}
}

func place(workspace, rev string) (id.Workspace, int64, bool) {
	ws, err1 := id.ParseWorkspace(workspace)
	n, err2 := strconv.ParseInt(rev, 10, 64)
	return ws, n, err1 == nil && err2 == nil && n >= 0 && strconv.FormatInt(n, 10) == rev
}
