package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/db"
)

// fillTiles stores the tiles that the batch completed: 256 hashes each, so that a proof reads a few rows however long the log is.
// What is not complete is read from the events' leaves.
func (r *run) fillTiles(h *head, added []tlog.Hash) error {
	size := h.frontier.Size()
	before := size - int64(len(added))
	for n := before / evidence.TileWidth; (n+1)*evidence.TileWidth <= size; n++ {
		first := n * evidence.TileWidth
		data, err := r.leavesFrom(h.log, first, min(before, first+evidence.TileWidth))
		if err != nil {
			return err
		}
		for seq := max(before, first); seq < first+evidence.TileWidth; seq++ {
			data = append(data, added[seq-before][:]...)
		}
		if err := r.fillTile(h.log, 0, n, data); err != nil {
			return err
		}
	}
	return nil
}

// fillTile stores a complete tile, and the one above where it completes that.
func (r *run) fillTile(log string, level int, n int64, data []byte) error {
	if len(data) != evidence.TileWidth*tlog.HashSize {
		return fmt.Errorf("tile %d/%d of %s has %d bytes", level, n, log, len(data))
	}
	if _, err := r.tx.Exec(`INSERT INTO tile (log, level, n, hashes) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, log, level, n, data); err != nil {
		return err
	}
	if (n+1)%evidence.TileWidth != 0 {
		return nil
	}
	rows, err := r.tx.Rows(`SELECT hashes FROM tile WHERE log = $1 AND level = $2 AND n > $3 AND n <= $4 ORDER BY n`, log, level, n-evidence.TileWidth, n)
	if err != nil {
		return err
	}
	above, err := tileRoots(rows)
	if err != nil {
		return err
	}
	return r.fillTile(log, level+1, n/evidence.TileWidth, above)
}

func (r *run) leavesFrom(log string, from, to int64) ([]byte, error) {
	if from >= to {
		return nil, nil
	}
	rows, err := r.tx.Rows(`SELECT leaf FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 ORDER BY seq`, log, from, to)
	if err != nil {
		return nil, err
	}
	return concat(rows)
}

type scanner interface {
	Next() bool
	Scan(...any) error
	Err() error
	Close() error
}

func concat(rows scanner) ([]byte, error) {
	defer rows.Close()
	var all bytes.Buffer
	for rows.Next() {
		var one []byte
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all.Write(one)
	}
	return all.Bytes(), rows.Err()
}

// tileRoots gives the hash of each tile that rows yields, one after the other: the data of the tile above.
func tileRoots(rows scanner) ([]byte, error) {
	defer rows.Close()
	var above bytes.Buffer
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		var f evidence.Frontier // of a complete subtree: its root is the tile's
		for ; len(data) >= tlog.HashSize; data = data[tlog.HashSize:] {
			f.Append(tlog.Hash(data[:tlog.HashSize]))
		}
		root := f.Root()
		above.Write(root[:])
	}
	return above.Bytes(), rows.Err()
}

// hashes reads a log's tree: complete tiles from their rows, the edges from leaves and from the tiles below.
func hashes(ctx context.Context, r *db.Reader, log string) tlog.HashReader {
	return evidence.HashReader(func(tiles []tlog.Tile) ([][]byte, error) {
		data := make([][]byte, len(tiles))
		for i, t := range tiles {
			var err error
			if data[i], err = readTile(ctx, r, log, t); err != nil {
				return nil, err
			}
			if len(data[i]) < t.W*tlog.HashSize {
				return nil, fmt.Errorf("tile %s of %s is not complete: %d bytes", evidence.TilePath(t), log, len(data[i]))
			}
		}
		return data, nil
	})
}

func readTile(ctx context.Context, r *db.Reader, log string, t tlog.Tile) ([]byte, error) {
	if t.W == evidence.TileWidth {
		var data []byte
		err := r.Row(ctx, `SELECT hashes FROM tile WHERE log = $1 AND level = $2 AND n = $3`, log, t.L, t.N).Scan(&data)
		return data, err
	}
	from := t.N * evidence.TileWidth
	to := from + int64(t.W)
	if t.L == 0 {
		rows, err := r.Rows(ctx, `SELECT leaf FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 ORDER BY seq`, log, from, to)
		if err != nil {
			return nil, err
		}
		return concat(rows)
	}
	rows, err := r.Rows(ctx, `SELECT hashes FROM tile WHERE log = $1 AND level = $2 AND n >= $3 AND n < $4 ORDER BY n`, log, t.L-1, from, to)
	if err != nil {
		return nil, err
	}
	return tileRoots(rows)
}
