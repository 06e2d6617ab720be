package evidence_test

import (
	"bytes"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Each target holds a parser to this: whatever it accepts is the one form of what it read.

func FuzzParseEvent(f *testing.F) {
	s := newStory(f)
	s.tell()
	for _, b := range s.log.bodies {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := evidence.ParseEvent(b); err == nil {
			if again, err := e.Bytes(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s\nprints as\n%s (%v)", b, again, err)
			}
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	_, signed, _ := head(f, 5)
	key := logSigner(f, origin).LogKey
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := evidence.OpenCheckpoint(b, key); err == nil && !bytes.HasPrefix(b, signed) {
			t.Errorf("opened as %+v:\n%s", c, b)
		}
	})
}

func FuzzParseVKey(f *testing.F) {
	f.Add(logSigner(f, origin).String())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := evidence.ParseVKey(s); err == nil && k.String() != s {
			t.Errorf("%q prints as %q", s, k)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	c, signed, m := head(f, 9)
	in, _ := evidence.ProveInclusion(4, c, signed, m)
	con, _ := evidence.ProveConsistency(4, c, signed, m)
	f.Add(in.Text())
	f.Add(con.Text())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := evidence.ParseInclusion(b); err == nil && !bytes.Equal(p.Text(), b) {
			t.Errorf("%q prints as %q", b, p.Text())
		}
		if p, err := evidence.ParseConsistency(b); err == nil && !bytes.Equal(p.Text(), b) {
			t.Errorf("%q prints as %q", b, p.Text())
		}
	})
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/0/x001/x234/067")
	f.Add("tile/entries/000.p/255")
	f.Fuzz(func(t *testing.T, s string) {
		if tile, err := evidence.ParseTilePath(s); err == nil && evidence.TilePath(tile) != s {
			t.Errorf("%q prints as %q", s, evidence.TilePath(tile))
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	b, _ := evidence.AppendEntry(nil, []byte("entry"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies, err := evidence.ParseBundle(b)
		if err != nil {
			return
		}
		var again []byte
		for _, body := range bodies {
			if again, err = evidence.AppendEntry(again, body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x prints as %x", b, again)
		}
	})
}

func FuzzParseApproval(f *testing.F) {
	s := newStory(f)
	s.tell()
	for _, c := range s.content {
		f.Add(c.Body)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := evidence.ParseApproval(b); err == nil {
			if again, err := a.Bytes(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s\nprints as\n%s (%v)", b, again, err)
			}
		}
	})
}

func FuzzParseVote(f *testing.F) {
	b, _ := voteOf().Bytes()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := evidence.ParseVote(b); err == nil {
			if again, err := v.Bytes(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s\nprints as\n%s (%v)", b, again, err)
			}
		}
	})
}

func FuzzParseBallot(f *testing.F) {
	s := newStory(f)
	s.tell()
	for _, c := range s.content {
		f.Add(string(c.Body))
	}
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := evidence.ParseBallot(s); err == nil && b.String() != s {
			t.Errorf("%q prints as %q", s, b)
		}
	})
}

func FuzzParseTrust(f *testing.F) {
	f.Add([]byte("# us\n" + evidence.TrustPolicy(logSigner(f, origin).LogKey)))
	f.Fuzz(func(t *testing.T, b []byte) {
		logs, err := evidence.ParseTrust(b)
		if err != nil {
			return
		}
		if again, err := evidence.ParseTrust([]byte(evidence.TrustPolicy(logs...))); err != nil || len(again) != len(logs) {
			t.Errorf("%q: %v, %v", b, again, err)
		}
	})
}

func FuzzOpenDisclosure(f *testing.F) {
	d, _ := evidence.DiscloseText(salt("x"), "ip", "192.0.2.7")
	f.Add(d)
	f.Fuzz(func(t *testing.T, d []byte) {
		if v, err := evidence.Seal(d).Open(d, "ip"); err == nil && !bytes.Contains(d, v) {
			t.Errorf("%q opens as %q", d, v)
		}
	})
}

func FuzzReadPack(f *testing.F) {
	pack, _ := newStory(f).tell()
	f.Add(pack)
	f.Add(evidence.WriteZip([]evidence.Member{{Name: "manifest.json", Data: []byte(`{"issuer":"","members":{},"question":{"event":"` + event("x").String() + `","rev":0,"workspace":"default"},"v":1}`)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := evidence.ReadPack(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := p.Write(&again); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Errorf("a pack that writes itself otherwise: %v", err)
		}
	})
}

// FuzzVerify puts anything in the place of one member, under a manifest that says so: no such pack may pass.
func FuzzVerify(f *testing.F) {
	pack, trust := newStory(f).tell()
	golden, err := evidence.ReadPack(pack)
	if err != nil {
		f.Fatal(err)
	}
	for i, c := range golden.Content {
		f.Add(i, c.Body)
	}
	for i, e := range golden.Entries {
		f.Add(100+i, e.Body)
		f.Add(200+i, e.Proof)
	}
	for i, d := range golden.Details {
		f.Add(300+i, d.Bytes)
	}
	f.Add(400, []byte(golden.Now))
	f.Fuzz(func(t *testing.T, at int, b []byte) {
		p := golden
		p.Content, p.Entries, p.Details = append([]evidence.Content(nil), p.Content...), append([]evidence.Entry(nil), p.Entries...), append([]evidence.Disclosed(nil), p.Details...)
		same := false
		switch n := at % 100; {
		case at < 0:
			return
		case at < 100 && n < len(p.Content):
			old := p.Content[n].Body
			same = bytes.Equal(old, b) || bytes.Contains(old, []byte(`"typ":"attorn-approval"`))
			p.Content[n] = evidence.Content{Digest: id.Sum(b), Body: b}
		case at < 200 && n < len(p.Entries):
			same = bytes.Equal(p.Entries[n].Body, b)
			p.Entries[n].Body = b
		case at < 300 && n < len(p.Entries):
			same = bytes.Equal(p.Entries[n].Proof, b)
			p.Entries[n].Proof = b
		case at < 400 && n < len(p.Details):
			same = bytes.Equal(p.Details[n].Bytes, b)
			p.Details[n].Bytes = b
		default:
			same = string(b) == p.Now || len(b) == 0
			p.Now = string(b)
		}
		var w bytes.Buffer
		if p.Write(&w) != nil { // the same content twice
			return
		}
		r, err := evidence.Verify(w.Bytes(), []byte(trust))
		if err != nil || r.OK() != same || r.String() == "" || r.Tree() == "" {
			t.Errorf("member %d as %q: %v\n%s", at, b, err, r.Tree())
		}
	})
}
