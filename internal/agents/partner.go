package agents

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// PartnerAdmission is what AdmitPartner needs.
type PartnerAdmission struct {
	Workspace id.Workspace
	Agent     id.Agent
	Rule      id.Issuer      // that takes the other server's word
	JWK       jose.PublicKey // whose holder proved possession
	Until     time.Time      // up to when that word is good
	Held      bool           // the key is, or was, a person's
}

// AdmitPartner makes the key of another server's agent an instance, or moves the end of the one that it is, never to an earlier time. A key that came by another
// rule stays with it until it has expired, so that the end of a rule is the end of all that came by it. Codes: key_in_use, instance_suspended,
// instance_revoked, and those of Enrol.
func (room *Room) AdmitPartner(tx *audit.Tx, n PartnerAdmission) (Instance, error) {
	key, now := n.JWK.Thumbprint(), tx.Now()
	is, err := scanInstance(tx.Row(`SELECT `+instanceColumns+` FROM instance WHERE key = $1`, key), instanceUnknown())
	if fault.Code(err) == "instance_unknown" {
		return enrol(tx, NewInstance{Workspace: n.Workspace, Agent: n.Agent, JWK: n.JWK, Trust: Partner, ExpiresAt: n.Until, Rule: n.Rule.String(), Held: n.Held})
	}
	if err != nil {
		return Instance{}, err
	}
	if is.Trust != Partner || is.Workspace != n.Workspace || is.Agent != n.Agent || is.Rule != n.Rule.String() && !is.expired(now) {
		return Instance{}, keyInUse()
	}
	a, live, err := lockAgent(tx, n.Workspace, n.Agent)
	if err != nil {
		return Instance{}, err
	}
	if err := a.Live(now); err != nil {
		return Instance{}, err
	}
	if is.expired(now) && live >= MaxInstances {
		return Instance{}, tooMany(n.Agent)
	}
	after, err := scanInstance(tx.Row(`UPDATE instance SET rule = $2, expires_at = CASE WHEN expires_at > $3 THEN expires_at ELSE $3 END
		WHERE key = $1 AND trust = $4 AND status = $5 RETURNING `+instanceColumns, key, n.Rule, n.Until.UnixMicro(), Partner, Active), instanceUnknown())
	if fault.Code(err) == "instance_unknown" {
		is.ExpiresAt = n.Until // what it is but for its time
		if ended := is.Live(now); ended != nil {
			err = ended
		}
	}
	return after, err
}

// EndPartners ends every instance that came by a rule, with the tokens that they have (EndTokens, of mark), and lists them. Such a key may come again by another rule.
func (room *Room) EndPartners(tx *audit.Tx, ws id.Workspace, agent id.Agent, rule id.Issuer, mark int64) ([]id.Key, error) {
	rows, err := tx.Rows(`SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 AND trust = $3 AND rule = $4 AND expires_at > $5 ORDER BY key`+tx.ForUpdate(),
		ws, agent, Partner, rule, tx.Now().UnixMicro())
	found, err := all(rows, err, (*Instance).into)
	if err != nil {
		return nil, err
	}
	var ended []id.Key
	for _, i := range found {
		if err := room.EndInstanceTokens(tx, ws, i.Key, mark); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE instance SET expires_at = $2 WHERE key = $1`, i.Key, tx.Now().UnixMicro()); err != nil {
			return nil, err
		}
		ended = append(ended, i.Key)
	}
	return ended, nil
}
