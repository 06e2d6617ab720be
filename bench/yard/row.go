package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"net/http"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// rows is the least that a durable log is: a row of 0.7 KB for each request and a head that is signed and replaced for each commit, which all who wait share.
type rows struct {
	db    *sql.DB
	queue chan chan error
	key   ed25519.PrivateKey
}

func newRows(path string) (*rows, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, body BLOB); CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, size INTEGER, body BLOB);
		INSERT INTO head VALUES (1, 0, '') ON CONFLICT DO NOTHING`); err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	r := &rows{db, make(chan chan error, 4096), key}
	add, err := db.Prepare(`INSERT INTO row (body) VALUES (?)`)
	if err != nil {
		return nil, err
	}
	head, err := db.Prepare(`UPDATE head SET size = size + ?, body = ? WHERE id = 1`)
	if err != nil {
		return nil, err
	}
	go r.loop(add, head)
	return r, nil
}

func (r *rows) loop(add, head *sql.Stmt) {
	for first := range r.queue {
		batch := []chan error{first}
	fill:
		for len(batch) < 1024 {
			select {
			case w := <-r.queue:
				batch = append(batch, w)
			default:
				break fill
			}
		}
		err := r.commit(len(batch), add, head)
		for _, w := range batch {
			w <- err
		}
	}
}

func (r *rows) commit(n int, add, head *sql.Stmt) error {
	tx, err := r.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	add, head = tx.Stmt(add), tx.Stmt(head)
	for range n {
		body := make([]byte, 700)
		rand.Read(body)
		if _, err := add.Exec(body); err != nil {
			return err
		}
	}
	if _, err := head.Exec(n, ed25519.Sign(r.key, make([]byte, 100))); err != nil {
		return err
	}
	return tx.Commit()
}

// durable is next once a row of its own is committed, and once something was signed.
func (r *rows) durable(next http.HandlerFunc) http.HandlerFunc {
	stored := r.stored(next)
	return func(w http.ResponseWriter, req *http.Request) {
		if sig := ed25519.Sign(r.key, make([]byte, 600)); len(sig) == 0 { // about as long as a token
			http.Error(w, "not signed", http.StatusInternalServerError)
			return
		}
		stored(w, req)
	}
}

// stored is next once a row of its own is committed.
func (r *rows) stored(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		wait := make(chan error, 1)
		r.queue <- wait
		if err := <-wait; err != nil {
			http.Error(w, "not stored", http.StatusInternalServerError)
			return
		}
		next(w, req)
	}
}
