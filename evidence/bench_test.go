package evidence_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
)

func BenchmarkEventBytes(b *testing.B) {
	s := newStory(b)
	s.tell()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.question.Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseEvent(b *testing.B) {
	s := newStory(b)
	s.tell()
	body := s.log.bodies[s.question.Rev]
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := evidence.ParseEvent(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLeaf is what the commit loop does for each event: leaf and frontier.
func BenchmarkLeaf(b *testing.B) {
	s := newStory(b)
	s.tell()
	body := s.log.bodies[s.question.Rev]
	var f evidence.Frontier
	b.ReportAllocs()
	for b.Loop() {
		f.Append(tlog.RecordHash(body))
	}
}

// BenchmarkCheckpoint is what it does for each batch.
func BenchmarkCheckpoint(b *testing.B) {
	k := logSigner(b, origin)
	var f evidence.Frontier
	for i := range int64(1023) {
		f.Append(tlog.RecordHash(entry(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := evidence.SignCheckpoint(f.Size(), f.Root(), k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProof(b *testing.B) {
	c, signed, m := head(b, 1<<16+1)
	b.ReportAllocs()
	for b.Loop() {
		p, err := evidence.ProveInclusion(12345, c, signed, m)
		if err != nil || len(p.Text()) == 0 {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	pack, trust := newStory(b).tell()
	b.ReportAllocs()
	for b.Loop() {
		if r, err := evidence.Verify(pack, []byte(trust)); err != nil || !r.OK() {
			b.Fatal(err)
		}
	}
}
