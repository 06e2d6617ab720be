package evidence

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/fault"
)

// Frontier is the right edge of a log's tree: one hash for each complete subtree, that is for each set bit of the size. It is all that
// appending needs. Frontiers are values: a copy is independent of its original, and two are equal (==) when they stand for the same tree.
// The zero value is the empty tree.
type Frontier struct {
	size   int64
	hashes [63]tlog.Hash // by level; zero where the size has no bit
}

// Size is the number of leaves.
func (f *Frontier) Size() int64 { return f.size }

// Append adds a leaf: tlog.RecordHash of an event's stored bytes.
func (f *Frontier) Append(leaf tlog.Hash) {
	level := bits.TrailingZeros64(^uint64(f.size))
	for l := range level {
		leaf = tlog.NodeHash(f.hashes[l], leaf)
		f.hashes[l] = tlog.Hash{}
	}
	f.hashes[level] = leaf
	f.size++
}

// Root is the tree's hash, SHA-256 of nothing for the empty tree (RFC 6962 §2.1).
func (f *Frontier) Root() tlog.Hash {
	if f.size == 0 {
		h, _ := tlog.TreeHash(0, nil) // cannot fail: the empty tree reads nothing
		return h
	}
	level := bits.TrailingZeros64(uint64(f.size))
	root := f.hashes[level]
	for level++; f.size>>level != 0; level++ {
		if f.size>>level&1 == 1 {
			root = tlog.NodeHash(f.hashes[level], root)
		}
	}
	return root
}

// Bytes is the stored form: the hashes of the subtrees, the largest (leftmost) first, 32 bytes each. The size is stored beside it.
func (f *Frontier) Bytes() []byte {
	b := make([]byte, 0, bits.OnesCount64(uint64(f.size))*tlog.HashSize)
	for level := bits.Len64(uint64(f.size)) - 1; level >= 0; level-- {
		if f.size>>level&1 == 1 {
			b = append(b, f.hashes[level][:]...)
		}
	}
	return b
}

// ParseFrontier reads the stored form of a tree of the given size. Code: malformed. That the hashes are right shows only in Root.
func ParseFrontier(size int64, b []byte) (Frontier, error) {
	f := Frontier{size: size}
	if size < 0 || len(b) != bits.OnesCount64(uint64(size))*tlog.HashSize {
		return Frontier{}, fault.New(fault.Invalid, "malformed", "a frontier of %d bytes does not belong to a tree of %d leaves", len(b), size)
	}
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			b = b[copy(f.hashes[level][:], b):]
		}
	}
	return f, nil
}
