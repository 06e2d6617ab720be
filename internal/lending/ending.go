package lending

import (
	"slices"
	"strconv"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Of says whose delegations are meant: what was lent by or to the principals, and what the keys signed or were lent alone.
type Of struct {
	Principals []string // "usr_…" or "agt_…"
	Keys       []id.Key
}

// Standing lists everything that rests on what Of names, and what descends from that: all that was not revoked, and those of it that can be used now.
func (*Room) Standing(tx *audit.Tx, ws id.Workspace, of Of) (all, live []id.Delegation, err error) {
	seen := map[id.Delegation]bool{}
	err = of.each(func(seed string, args []any) error {
		now := "$" + strconv.Itoa(len(args)+2)
		rows, err := tx.Rows(seed+` SELECT id, CASE WHEN status = 'active' AND expires_at > `+now+` THEN 1 ELSE 0 END FROM delegation
			WHERE id IN (SELECT id FROM down) AND status <> 'revoked'`, append(append([]any{ws}, args...), tx.Now().UnixMicro())...)
		_, err = collect(rows, err, func(s scanner) (id.Delegation, error) {
			var d id.Delegation
			var usable int
			err := s.Scan(&d, &usable)
			if err == nil && !seen[d] {
				seen[d], all = true, append(all, d)
				if usable == 1 {
					live = append(live, d)
				}
			}
			return d, err
		})
		return err
	})
	return all, live, err
}

// RevokeAll ends for ever everything that rests on what Of names, and what descends from that, and lists what it ended. Code: reason_invalid.
func (*Room) RevokeAll(tx *audit.Tx, ws id.Workspace, of Of, by, why string) (ended []id.Delegation, err error) {
	if err := checkReason(why); err != nil {
		return nil, err
	}
	err = of.each(func(seed string, args []any) error {
		n := len(args) + 1
		rows, err := tx.Rows(seed+` UPDATE delegation SET status = 'revoked', ended_at = $`+strconv.Itoa(n+1)+`, ended_by = $`+strconv.Itoa(n+2)+`, ended_why = $`+strconv.Itoa(n+3)+`
			WHERE id IN (SELECT id FROM down) AND status <> 'revoked' RETURNING id`,
			append(append([]any{ws}, args...), tx.Now().UnixMicro(), by, why)...)
		some, err := collect(rows, err, func(s scanner) (id.Delegation, error) {
			var d id.Delegation
			return d, s.Scan(&d)
		})
		ended = append(ended, some...)
		return err
	})
	return ended, err
}

// manySeeds is how many principals or keys one statement names.
const manySeeds = 200

// each calls do with the beginning of a statement in which down is what some of Of named, and all that descends from it; its arguments begin at $2.
func (of Of) each(do func(seed string, args []any) error) error {
	one := func(first, second string, values []any) error {
		list := in(len(values))
		from := ` SELECT id FROM delegation WHERE workspace = $1 AND status <> 'revoked' AND `
		return do(`WITH RECURSIVE down (id) AS (`+from+first+` IN `+list+` UNION`+from+second+` IN `+list+descend, values)
	}
	for some := range slices.Chunk(of.Principals, manySeeds) {
		if err := one("delegator", "delegate", anys(some)); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(of.Keys, manySeeds) {
		values := make([]any, len(some))
		for i, k := range some {
			values[i] = k.String()
		}
		if err := one("delegator_key <> '' AND delegator_key", "instance IS NOT NULL AND instance", values); err != nil { // as the indexes say
			return err
		}
	}
	return nil
}

func anys(texts []string) []any {
	values := make([]any, len(texts))
	for i, s := range texts {
		values[i] = s
	}
	return values
}
