package guard_test

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/token"
)

// TestATokenBoundToNoKeyIsNobodys: were one ever issued, a proof by any key at all would fit it.
func TestATokenBoundToNoKeyIsNobodys(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	key, err := s.Ring.Current(t.Context(), keyring.ForTokens)
	s.ok(err)
	raw, err := token.Issue(token.Claims{
		Issuer: issuer, Subject: s.priya.user.String(), Audience: issuer + "/api", ClientID: s.priya.user.String(), Scope: "attorn:*", ID: rand.Text(),
		IssuedAt: s.now.Unix(), Expires: s.now.Unix() + 300, Workspace: id.Default, Session: "x",
	}, key.Signer())
	s.ok(err)
	thief, url := newSigner(t), issuer+"/v1/x"
	_, err = s.Authenticate(t.Context(), guard.Credentials{
		Method: http.MethodPost, URL: url, Authorization: []string{"DPoP " + raw}, DPoP: []string{s.proof(thief, http.MethodPost, url, raw)},
	}, issuer+"/api")
	if fault.Code(err) != "invalid_token" {
		t.Errorf("accepted with anybody's key: %v", err)
	}
}
