package evidence_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
)

// memory is a whole tree in x/mod's own storage order.
type memory struct{ hashes []tlog.Hash }

func (m *memory) add(t testing.TB, n int64, body []byte) {
	t.Helper()
	hs, err := tlog.StoredHashes(n, body, m)
	if err != nil {
		t.Fatal(err)
	}
	m.hashes = append(m.hashes, hs...)
}

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m.hashes[x]
	}
	return out, nil
}

func entry(n int64) []byte { return fmt.Appendf(nil, "entry %d", n) }

func tree(t testing.TB, size int64) *memory {
	t.Helper()
	m := &memory{}
	for n := range size {
		m.add(t, n, entry(n))
	}
	return m
}

func TestFrontierEqualsTheTree(t *testing.T) {
	m, f := &memory{}, evidence.Frontier{}
	for n := range int64(2001) {
		want, err := tlog.TreeHash(n, m)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Root(); got != want || f.Size() != n {
			t.Fatalf("size %d: root %v of %d leaves, want %v", n, got, f.Size(), want)
		}
		back, err := evidence.ParseFrontier(n, f.Bytes())
		if err != nil || back != f {
			t.Fatalf("size %d: the stored form reads back as another tree: %v", n, err)
		}
		m.add(t, n, entry(n))
		f.Append(tlog.RecordHash(entry(n)))
	}
}

func TestFrontierOfLargeTrees(t *testing.T) {
	const most = 150_000
	m := tree(t, most)
	f := evidence.Frontier{}
	check := map[int64]bool{65535: true, 65536: true, 65537: true, most: true}
	for range 50 {
		check[rand.Int64N(most)] = true
	}
	for n := range int64(most + 1) {
		if check[n] {
			if want, err := tlog.TreeHash(n, m); err != nil || f.Root() != want {
				t.Fatalf("size %d: root %v, want %v (%v)", n, f.Root(), want, err)
			}
		}
		f.Append(tlog.RecordHash(entry(n)))
	}
}

// Resuming from stored bytes at any point goes on as if nothing had happened, and leaves the copy it resumed from alone.
func TestFrontierResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		hashes := rapid.SliceOfN(rapid.Byte(), 64*tlog.HashSize, 64*tlog.HashSize).Draw(t, "hashes")
		n := 0
		for s := size; s > 0; s &= s - 1 {
			n++
		}
		f, err := evidence.ParseFrontier(size, hashes[:n*tlog.HashSize])
		if err != nil {
			t.Fatal(err)
		}
		before, a := f, f
		leaves := rapid.IntRange(1, 300).Draw(t, "leaves")
		b := f
		for i := range leaves {
			leaf := tlog.RecordHash(entry(int64(i)))
			a.Append(leaf)
			b.Append(leaf)
			if b, err = evidence.ParseFrontier(b.Size(), b.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
		if a != b || a.Size() != size+int64(leaves) || f != before {
			t.Fatal("a frontier that was stored at each step differs from one that was not")
		}
	})
}

func TestParseFrontierRefuses(t *testing.T) {
	for size, n := range map[int64]int{-1: 0, 0: 32, 1: 0, 2: 31, 3: 32, 4: 33, 1<<62 - 1: 61 * 32} {
		if _, err := evidence.ParseFrontier(size, make([]byte, n)); fault.Code(err) != "malformed" {
			t.Errorf("ParseFrontier(%d, %d bytes): %v", size, n, err)
		}
	}
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]tlog.Tile{
		"tile/0/000":                  {H: 8, L: 0, N: 0, W: 256},
		"tile/0/x001/x234/067":        {H: 8, L: 0, N: 1234067, W: 256},
		"tile/1/999.p/17":             {H: 8, L: 1, N: 999, W: 17},
		"tile/6/002.p/1":              {H: 8, L: 6, N: 2, W: 1},
		"tile/entries/000":            {H: 8, L: -1, N: 0, W: 256},
		"tile/entries/x001/234.p/255": {H: 8, L: -1, N: 1234, W: 255},
	} {
		got, err := evidence.ParseTilePath(path)
		if err != nil || got != want || evidence.TilePath(want) != path {
			t.Errorf("%s: parsed %+v (%v), printed %s", path, got, err, evidence.TilePath(want))
		}
	}
	for _, bad := range []string{
		"", "tile", "tile/", "tile/0", "/tile/0/000", "tile/8/0/000", "tile/data/000", "tile/-1/000", "tile/00/000", "tile/0/0", "tile/0/0000", "tile/0/x000/000",
		"tile/0/001/234", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p", "tile/0/000/", "tile/7/000", "tile/63/000", "tile/64/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/entries/-01", "tile/entries/data/000", "tile/0/000.p/1/2", "tile/0/+01", "tile/6/x999/999",
	} {
		if got, err := evidence.ParseTilePath(bad); fault.Code(err) != "malformed" {
			t.Errorf("ParseTilePath(%q) = %+v, %v", bad, got, err)
		}
	}
}

// A tree read from tiles alone has the same roots and proofs as the tree.
func TestHashReaderReadsTiles(t *testing.T) {
	for _, size := range []int64{1, 2, 255, 256, 257, 511, 512, 1000, 65535, 65536, 65537, 70000} {
		m := tree(t, size)
		tiles := map[string][]byte{}
		for _, tile := range tlog.NewTiles(evidence.TileHeight, 0, size) {
			data, err := tlog.ReadTileData(tile, m)
			if err != nil {
				t.Fatal(err)
			}
			tile.W = 256
			tiles[evidence.TilePath(tile)] = data
		}
		r := evidence.HashReader(func(want []tlog.Tile) ([][]byte, error) {
			var out [][]byte
			seen := map[string]bool{}
			for _, tile := range want {
				w := tile.W
				tile.W = 256
				path := evidence.TilePath(tile)
				if seen[path] || len(tiles[path]) < w*tlog.HashSize {
					t.Errorf("size %d: asked twice, or too wide: %s", size, path)
				}
				seen[path] = true
				out = append(out, tiles[path])
			}
			return out, nil
		})
		want, _ := tlog.TreeHash(size, m)
		if got, err := tlog.TreeHash(size, r); err != nil || got != want {
			t.Fatalf("size %d: %v %v", size, got, err)
		}
		for range 20 {
			n := rand.Int64N(size)
			p, err := tlog.ProveRecord(size, n, r)
			if err != nil || tlog.CheckRecord(p, size, want, n, tlog.RecordHash(entry(n))) != nil {
				t.Fatalf("size %d, entry %d: %v", size, n, err)
			}
		}
	}
}

func TestBundles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 700), 0, 256).Draw(t, "bodies")
		var bundle []byte
		for _, b := range bodies {
			var err error
			if bundle, err = evidence.AppendEntry(bundle, b); err != nil {
				t.Fatal(err)
			}
		}
		got, err := evidence.ParseBundle(bundle)
		if err != nil || len(got) != len(bodies) {
			t.Fatal(len(got), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], bodies[i]) {
				t.Fatalf("entry %d differs", i)
			}
		}
	})
	if _, err := evidence.AppendEntry(nil, make([]byte, 65536)); fault.Code(err) != "too_large" {
		t.Error(err)
	}
	for _, bad := range [][]byte{{0}, {0, 1}, {0, 0, 0}, {0, 2, 1}, make([]byte, 2*257)} {
		if _, err := evidence.ParseBundle(bad); fault.Code(err) != "malformed" {
			t.Errorf("ParseBundle(%v): %v", bad, err)
		}
	}
}
