package audit

import (
	"database/sql"
	"errors"
	"sync"

	"github.com/attorn/attorn/internal/keyring"
)

type subjectKey = keyring.SubjectKey

// subjectKeys caches the data keys of people and agents, bounded.
type subjectKeys struct {
	sealer *keyring.Sealer
	mu     sync.Mutex
	keys   map[string]subjectKey
}

const maxSubjectKeys = 10_000

func newSubjectKeys(s *keyring.Sealer) *subjectKeys {
	return &subjectKeys{sealer: s, keys: map[string]subjectKey{}}
}

func (s *subjectKeys) get(subject string) (subjectKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[subject]
	return k, ok
}

// keep takes over the keys that a committed batch used.
func (s *subjectKeys) keep(used map[string]subjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys)+len(used) > maxSubjectKeys {
		clear(s.keys)
	}
	for subject, k := range used {
		s.keys[subject] = k
	}
}

// subjectKey finds the key of a subject, or makes it in this transaction.
func (r *run) subjectKey(subject string) (subjectKey, error) {
	if k, ok := r.subjects[subject]; ok {
		return k, nil
	}
	if k, ok := r.log.subjects.get(subject); ok {
		return k, nil
	}
	sealer := r.log.subjects.sealer
	if err := r.log.cfg.Ring.Holds(r.tx); err != nil {
		return subjectKey{}, err
	}
	made, wrapped := sealer.NewSubjectKey(subject)
	n, err := r.tx.Exec(`INSERT INTO subject_key (subject, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING`, subject, wrapped)
	if err != nil {
		return made, err
	}
	if n == 0 {
		if err := r.tx.Row(`SELECT wrapped FROM subject_key WHERE subject = $1`, subject).Scan(&wrapped); err != nil {
			return made, err
		}
		if made, err = sealer.UnwrapSubjectKey(subject, wrapped); err != nil {
			return made, err
		}
	}
	if r.subjects == nil {
		r.subjects = map[string]subjectKey{}
	}
	r.subjects[subject] = made
	return made, nil
}

// ResealSubjects wraps every subject's key again, under the sealing key of now: part of Ring.Reseal's transaction.
func (l *Log) ResealSubjects(tx *Tx) (n int, err error) {
	for after := ""; ; {
		page, err := subjectPage(tx, after)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, s := range page {
			wrapped, err := l.subjects.sealer.RewrapSubjectKey(s.subject, s.wrapped)
			if err != nil {
				return n, err
			}
			if _, err := tx.Exec(`UPDATE subject_key SET wrapped = $2 WHERE subject = $1`, s.subject, wrapped); err != nil {
				return n, err
			}
			after = s.subject
			n++
		}
	}
}

type storedSubject struct {
	subject string
	wrapped []byte
}

func subjectPage(tx *Tx, after string) ([]storedSubject, error) {
	rows, err := tx.Rows(`SELECT subject, wrapped FROM subject_key WHERE subject > $1 ORDER BY subject LIMIT 1000`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []storedSubject
	for rows.Next() {
		var s storedSubject
		if err := rows.Scan(&s.subject, &s.wrapped); err != nil {
			return nil, err
		}
		page = append(page, s)
	}
	return page, rows.Err()
}

func noRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }
