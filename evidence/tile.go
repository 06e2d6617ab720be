package evidence

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/fault"
)

// The shape of tiles (C2SP tlog-tiles): 256 hashes or entries in a full one. Entries is the level of entry bundles.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
	Entries    = -1

	maxEntry = 1<<16 - 1 // bytes; its length is a uint16
)

// TilePath is the C2SP path of a tile of height 8, without a leading slash: `tile/<L>/<N>[.p/<W>]`, or `tile/entries/…` at level Entries.
// Package tlog's own path has the height in it, and "data".
func TilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", TileHeight))
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// ParseTilePath reads exactly what TilePath writes, for tiles that a tree of int64 size can have. Code: malformed.
func ParseTilePath(path string) (tlog.Tile, error) {
	bad := fault.New(fault.Invalid, "malformed", "not the path of a tile: tile/<L>/<N>[.p/<W>] or tile/entries/<N>[.p/<W>]")
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 {
		return tlog.Tile{}, bad
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", TileHeight, rest))
	if err != nil || TilePath(t) != path { // "data" comes back as "entries"
		return tlog.Tile{}, bad
	}
	if t.L > 6 || t.N >= 1<<(62-TileHeight*(max(t.L, 0)+1)) {
		return tlog.Tile{}, bad
	}
	return t, nil
}

// HashReader reads hashes of a tree out of its tiles. Given the tiles that a request needs, each as wide as needed at least, read returns the data
// of each: W hashes or more, in order. What read returns is believed: check the root (tlog.TreeHash), or the proofs made of it.
func HashReader(read func([]tlog.Tile) ([][]byte, error)) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		type place struct {
			level int
			n     int64
		}
		var tiles []tlog.Tile
		at := map[place]int{}
		for _, x := range indexes {
			t := tlog.TileForIndex(TileHeight, x)
			i, ok := at[place{t.L, t.N}]
			if !ok {
				at[place{t.L, t.N}] = len(tiles)
				tiles = append(tiles, t)
			} else if tiles[i].W < t.W {
				tiles[i].W = t.W
			}
		}
		data, err := read(tiles)
		if err != nil {
			return nil, err
		}
		if len(data) != len(tiles) {
			return nil, fmt.Errorf("asked for %d tiles and got %d", len(tiles), len(data))
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			t := tlog.TileForIndex(TileHeight, x)
			k := at[place{t.L, t.N}]
			if hashes[i], err = tlog.HashFromTile(tiles[k], data[k], x); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	})
}

// AppendEntry adds a stored event to an entry bundle: its length as a big-endian uint16, then its bytes. Code: too_large.
func AppendEntry(bundle, body []byte) ([]byte, error) {
	if len(body) > maxEntry {
		return nil, fault.New(fault.TooLarge, "too_large", "a log entry has at most %d bytes, not %d", maxEntry, len(body))
	}
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(body))), body...), nil
}

// ParseBundle splits an entry bundle into at most 256 stored events, which share its memory. Code: malformed.
func ParseBundle(bundle []byte) ([][]byte, error) {
	var bodies [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bodies) == TileWidth {
			return nil, fault.New(fault.Invalid, "malformed", "not an entry bundle: more than %d entries, or a length cut short", TileWidth)
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return nil, fault.New(fault.Invalid, "malformed", "not an entry bundle: an entry is cut short")
		}
		bodies = append(bodies, bundle[2:2+n:2+n])
		bundle = bundle[2+n:]
	}
	return bodies, nil
}
