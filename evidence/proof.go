package evidence

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/fault"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1\n"
	maxProof    = 63 // hashes: the height of the largest tree
)

// Inclusion is the proof that a log has an entry at Index (C2SP tlog-proof). Checkpoint is the signed checkpoint it leads to, verbatim.
type Inclusion struct {
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint []byte
}

// Consistency is the proof that the log of a checkpoint begins with the first Old entries of an earlier one, as a witness is sent it
// (C2SP tlog-witness, add-checkpoint).
type Consistency struct {
	Old        int64
	Hashes     tlog.TreeProof
	Checkpoint []byte
}

// ProveInclusion makes the proof for entry index against a checkpoint that signed has the bytes of and c says.
func ProveInclusion(index int64, c Checkpoint, signed []byte, r tlog.HashReader) (Inclusion, error) {
	hashes, err := tlog.ProveRecord(c.Size, index, r)
	return Inclusion{index, hashes, signed}, err
}

// ProveConsistency makes the proof that c extends the tree of old entries.
func ProveConsistency(old int64, c Checkpoint, signed []byte, r tlog.HashReader) (Consistency, error) {
	if old == 0 { // every tree extends the empty one
		return Consistency{0, nil, signed}, nil
	}
	hashes, err := tlog.ProveTree(c.Size, old, r)
	return Consistency{old, hashes, signed}, err
}

// Check opens the proof's checkpoint with the log's key and checks that body, an event's stored bytes, is the entry. Codes: those of
// OpenCheckpoint, and not_in_log.
func (p Inclusion) Check(body []byte, key LogKey) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, key)
	if err != nil {
		return c, err
	}
	return c, p.leads(body, c)
}

func (p Inclusion) leads(body []byte, c Checkpoint) error {
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, tlog.RecordHash(body)); err != nil {
		return fault.Wrap(err, fault.Denied, "not_in_log", "body does not hash to its leaf")
	}
	return nil
}

// Check opens the proof's checkpoint with the log's key and checks that it extends old. Codes: those of OpenCheckpoint, and not_consistent.
func (p Consistency) Check(old Checkpoint, key LogKey) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, key)
	if err != nil {
		return c, err
	}
	empty := Frontier{}
	if old.Origin == c.Origin && old.Size == p.Old {
		if old.Size == 0 && len(p.Hashes) == 0 && old.Root == empty.Root() {
			return c, nil
		}
		if tlog.CheckTree(p.Hashes, c.Size, c.Root, old.Size, old.Root) == nil {
			return c, nil
		}
	}
	return c, fault.New(fault.Denied, "not_consistent", "the later checkpoint does not extend the earlier one")
}

// Text is the proof in its text form.
func (p Inclusion) Text() []byte {
	return proofText(fmt.Sprintf("%sindex %d\n", proofHeader, p.Index), p.Hashes, p.Checkpoint)
}

// Text is the proof in its text form.
func (p Consistency) Text() []byte {
	return proofText(fmt.Sprintf("old %d\n", p.Old), p.Hashes, p.Checkpoint)
}

func proofText(head string, hashes []tlog.Hash, checkpoint []byte) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for _, h := range hashes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteByte('\n')
	b.Write(checkpoint)
	return b.Bytes()
}

// ParseInclusion reads exactly what Text writes; the extra line that the format allows is refused. It checks nothing. Codes: malformed, too_large.
func ParseInclusion(text []byte) (Inclusion, error) {
	n, hashes, checkpoint, err := parseProof(text, proofHeader+"index ")
	p := Inclusion{n, hashes, checkpoint}
	if err == nil && !bytes.Equal(p.Text(), text) {
		err = badProof()
	}
	return p, err
}

// ParseConsistency reads exactly what Text writes. It checks nothing. Codes: malformed, too_large.
func ParseConsistency(text []byte) (Consistency, error) {
	n, hashes, checkpoint, err := parseProof(text, "old ")
	p := Consistency{n, hashes, checkpoint}
	if err == nil && !bytes.Equal(p.Text(), text) {
		err = badProof()
	}
	return p, err
}

func badProof() error {
	return fault.New(fault.Invalid, "malformed", "not a proof: a number, a hash on each line, a blank line, a checkpoint")
}

func parseProof(text []byte, head string) (n int64, hashes []tlog.Hash, checkpoint []byte, err error) {
	if len(text) > MaxCheckpoint+4096 {
		return 0, nil, nil, fault.New(fault.TooLarge, "too_large", "a proof has at most %d bytes, not %d", MaxCheckpoint+4096, len(text))
	}
	rest, ok := bytes.CutPrefix(text, []byte(head))
	first, checkpoint, more := bytes.Cut(rest, []byte("\n\n"))
	lines := strings.Split(string(first), "\n")
	n, err = strconv.ParseInt(lines[0], 10, 64)
	if !ok || !more || err != nil || n < 0 || len(lines) > 1+2*maxProof {
		return 0, nil, nil, badProof()
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, nil, badProof()
		}
		hashes = append(hashes, h)
	}
	return n, hashes, checkpoint, nil
}
