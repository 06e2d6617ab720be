package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func TestDisclosures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := evidence.Salt([]byte(rapid.StringMatching(`[a-z]{16}`).Draw(t, "salt")))
		text := rapid.String().Draw(t, "text")
		path := rapid.SampledFrom([]string{"ip", "name", "text"}).Draw(t, "path")
		d, err := evidence.DiscloseText(s, path, text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := jose.Canonical(text)
		if err != nil {
			t.Fatal(err)
		}
		sealed := evidence.Seal(d)
		if got, err := sealed.Open(d, path); err != nil || string(got) != string(want) {
			t.Fatalf("opened %s, %v", got, err)
		}
		if _, err := sealed.Open(d, path+"x"); fault.Code(err) != "malformed" {
			t.Fatalf("opened as another member: %v", err)
		}
		if _, err := sealed.Open(append(slices.Clone(d), ' '), path); fault.Code(err) != "disclosure_mismatch" {
			t.Fatalf("opened with more: %v", err)
		}
		other := s
		other[0] ^= 1
		d2, err := evidence.DiscloseText(other, path, text)
		if err != nil || id.Sum(d2) == sealed.SD {
			t.Fatal("the salt does not count", err)
		}
	})
	if _, err := (evidence.Sealed{}).Open(nil, "x"); fault.Code(err) != "disclosure_mismatch" {
		t.Error(err)
	}
}

func TestCallOf(t *testing.T) {
	pin := id.Sum([]byte("pin"))
	for action, want := range map[string][2]string{
		"tool:files:write_file":          {"tools/call", "write_file"},
		"tool:files:prompts/review":      {"prompts/get", "review"},
		"tool:files:resources/read":      {"resources/read", "file:///a"},
		"tool:files:completion/x":        {},
		"tool:files":                     {},
		"tool:files:":                    {},
		"tool:files:a:b":                 {},
		"attorn:agent:revoke":            {},
		"":                               {},
		"tool:files:resources/templates": {},
	} {
		c, err := evidence.CallOf(issuer+"/mcp/files", action, []byte(`{"uri":"file:///a"}`), pin)
		if c.Method != want[0] || c.Name != want[1] || (err == nil) != (want[0] != "") {
			t.Errorf("%q: %+v, %v", action, c, err)
		}
	}
	if _, err := evidence.CallOf(issuer, "tool:files:resources/read", []byte(`{"uri":1}`), pin); fault.Code(err) != "malformed" {
		t.Error(err)
	}
	if u := evidence.ServerURL(issuer, id.Default, "files"); u != issuer+"/mcp/files" {
		t.Error(u)
	}
	if ws, _ := id.ParseWorkspace("team-7"); evidence.ServerURL(issuer, ws, "files") != issuer+"/w/team-7/mcp/files" {
		t.Error(evidence.ServerURL(issuer, ws, "files"))
	}
}

func voteOf() evidence.Vote {
	return evidence.Vote{
		V: 1, Typ: "attorn-vote", Issuer: issuer, Workspace: id.Default,
		Asks: []evidence.Asked{{ID: id.Must[id.Approval](text("apr", "a")), Stage: "release-manager", Object: id.Sum([]byte("object"))}},
		Vote: evidence.Approve, Reuse: evidence.ReuseOnce, Voter: user("maya"), At: 100, ExpiresAt: 200, Nonce: "n",
	}
}

// A ballot verifies with the server's key alone, and no part of it can be exchanged.
func TestBallots(t *testing.T) {
	server := keyOf(t, "issuer")
	keys := func(kid id.Key) (jose.PublicKey, bool) { return server.Public(), kid == server.Public().Thumbprint() }
	maya, eve := keyOf(t, "maya"), keyOf(t, "eve")
	sv, err := evidence.SignVote(voteOf(), maya)
	if err != nil {
		t.Fatal(err)
	}
	key := delegation.DelegatorKey{JWK: maya.Public()}
	b, err := evidence.Count(sv, key, time.Unix(150, 0), 7, server)
	if err != nil {
		t.Fatal(err)
	}
	back, err := evidence.ParseBallot(b.String())
	if err != nil || back.Verify(keys) != nil || back.Rev != 7 || back.At != 150e6 || back.Key.JWK != maya.Public() {
		t.Fatalf("%+v, %v", back, err)
	}
	count := func(sv evidence.SignedVote, k delegation.DelegatorKey, at int64) error {
		_, err := evidence.Count(sv, k, time.Unix(at, 0), 7, server)
		return err
	}
	changed := sv
	changed.Vote.Reason = "another"
	p := passkeyOf(t, "maya")
	challenge, err := sv.Vote.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	byPasskey := evidence.SignedVote{Vote: sv.Vote, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: p.sign(t, challenge)}}
	otherPasskey := evidence.SignedVote{Vote: sv.Vote, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: p.sign(t, id.Sum([]byte("other")))}}
	asStatement := sv
	asStatement.Signature.JWS = detached(t, "attorn-delegation+jws", sv.Vote, maya)
	for name, tt := range map[string]struct {
		err  error
		code string
	}{
		"passkey":                       {count(byPasskey, p.delegatorKey(t), 150), ""},
		"after it expired":              {count(sv, key, 200), "vote_expired"},
		"another's key":                 {count(sv, delegation.DelegatorKey{JWK: eve.Public()}, 150), "key_mismatch"},
		"no key":                        {count(sv, delegation.DelegatorKey{}, 150), "key_mismatch"},
		"a passkey for a key":           {count(sv, p.delegatorKey(t), 150), "key_mismatch"},
		"a key for a passkey":           {count(byPasskey, key, 150), "key_mismatch"},
		"another's passkey":             {count(byPasskey, passkeyOf(t, "eve").delegatorKey(t), 150), "signature_invalid"},
		"a passkey on something else":   {count(otherPasskey, p.delegatorKey(t), 150), "passkey_challenge"},
		"changed after it was signed":   {count(changed, key, 150), "signature_invalid"},
		"signed as a statement":         {count(asStatement, key, 150), "typ_wrong"},
		"no signature":                  {count(evidence.SignedVote{Vote: sv.Vote}, key, 150), "signature_malformed"},
		"attested":                      {count(evidence.SignedVote{Vote: sv.Vote, Signature: delegation.Signature{Type: delegation.ByAttested}}, key, 150), "signature_malformed"},
		"a JWS with its payload":        {count(evidence.SignedVote{Vote: sv.Vote, Signature: delegation.Signature{Type: delegation.ByJWS, JWS: "a.b.c"}}, key, 150), "signature_malformed"},
		"both kinds":                    {count(evidence.SignedVote{Vote: sv.Vote, Signature: delegation.Signature{Type: delegation.ByJWS, JWS: sv.Signature.JWS, Passkey: byPasskey.Signature.Passkey}}, key, 150), "signature_malformed"},
		"no ballot":                     {evidence.Ballot{}.Verify(keys), "malformed"},
		"counted by nobody we know":     {back.Verify(func(id.Key) (jose.PublicKey, bool) { return jose.PublicKey{}, false }), "key_unknown"},
		"counted by another":            {back.Verify(func(id.Key) (jose.PublicKey, bool) { return eve.Public(), true }), "signature_invalid"},
		"a vote is no ballot":           {parseBallot(strings.Replace(sv.Signature.JWS, "..", ".e30.", 1)), "typ_wrong"},
		"a ballot of nothing":           {parseBallot(resigned(t, `{}`, server)), "malformed"},
		"a ballot without a time":       {parseBallot(resigned(t, strings.Replace(payload(t, b), `"at":150000000`, `"at":0`, 1), server)), "malformed"},
		"a ballot with more":            {parseBallot(resigned(t, strings.Replace(payload(t, b), `"at":`, `"and":1,"at":`, 1), server)), "malformed"},
		"a ballot with its vote turned": {parseBallot(resigned(t, strings.Replace(payload(t, b), `"approve"`, `"perhaps"`, 1), server)), "vote_invalid"},
	} {
		if fault.Code(tt.err) != tt.code {
			t.Errorf("%s: %v, want %q", name, tt.err, tt.code)
		}
	}
	late, err := evidence.ParseBallot(resigned(t, strings.Replace(payload(t, b), `"at":150000000`, `"at":200000000`, 1), server))
	if err != nil || fault.Code(late.Verify(keys)) != "vote_expired" {
		t.Errorf("counted late: %v, %v", err, late.Verify(keys))
	}
	forged, err := evidence.ParseBallot(resigned(t, strings.Replace(payload(t, b), `"n"`, `"m"`, 1), server))
	if err != nil || fault.Code(forged.Verify(keys)) != "signature_invalid" {
		t.Errorf("a vote that nobody signed: %v, %v", err, forged.Verify(keys))
	}
}

func parseBallot(s string) error { _, err := evidence.ParseBallot(s); return err }

func payload(t *testing.T, b evidence.Ballot) string {
	t.Helper()
	j, err := jose.Parse(b.String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(j.Payload)
}

func resigned(t *testing.T, payload string, s jose.Signer) string {
	t.Helper()
	out, err := jose.Sign(evidence.TypeBallot, []byte(payload), s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func detached(t *testing.T, typ string, v evidence.Vote, s jose.Signer) string {
	t.Helper()
	b, err := v.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jose.Sign(typ, b, s)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(compact, ".")
	return parts[0] + ".." + parts[2]
}

func TestTrustPolicies(t *testing.T) {
	a, b := logSigner(t, "a.example/log/server/2026").LogKey, logSigner(t, "b.example/log/server/2026").LogKey
	logs, err := evidence.ParseTrust([]byte("# who we trust\n\n \tlog " + a.String() + "  https://a.example/ \nquorum\tnone\nlog " + b.String() + "\n"))
	if err != nil || len(logs) != 2 || logs[0] != a || logs[1] != b {
		t.Fatal(logs, err)
	}
	if back, err := evidence.ParseTrust([]byte(evidence.TrustPolicy(a, b))); err != nil || !slices.Equal(back, logs) {
		t.Error(back, err)
	}
	log := "log " + a.String() + "\n"
	for text, code := range map[string]string{
		"":                                   "trust_invalid",
		log:                                  "trust_invalid",
		"quorum none\n":                      "trust_invalid",
		log + "quorum none\nquorum none\n":   "trust_invalid",
		log + "quorum\n":                     "trust_invalid",
		log + "quorum none none\n":           "trust_invalid",
		log + log + "quorum none\n":          "trust_invalid",
		"log\nquorum none\n":                 "trust_invalid",
		"log x\nquorum none\n":               "trust_invalid",
		log + "quorum none\nallow all\n":     "trust_invalid",
		log + "quorum none\r\n":              "trust_invalid",
		log + "quorum none\x00\n":            "trust_invalid",
		log + "quorum w\n":                   "trust_unsupported",
		log + "witness w x\nquorum w\n":      "trust_unsupported",
		log + "group g any w\nquorum none\n": "trust_unsupported",
		strings.Repeat("#", 1<<17):           "too_large",
	} {
		if _, err := evidence.ParseTrust([]byte(text)); fault.Code(err) != code {
			t.Errorf("%.60q: %v, want %s", text, err, code)
		}
	}
}

func TestOrigins(t *testing.T) {
	if o := evidence.Origin("https://attorn.example:8443/base/", id.Default, "2026-2"); o != "attorn.example:8443/base/log/default/2026-2" {
		t.Error(o)
	}
}

// wholeLog is a log with one call that finished, and one that did not.
func wholeLog(t testing.TB) *ledger {
	l := newLedger(t, id.Default)
	for i, e := range []evidence.Event{
		{Kind: evidence.LogOpened},
		{Kind: evidence.ToolStarted, ID: event("a")},
		{Kind: evidence.ToolStarted, ID: event("b")},
		{Kind: evidence.ToolFinished, Cause: event("a")},
		{Kind: "tool.dreamt"},
		{Kind: evidence.SystemStopped},
	} {
		e.V, e.Outcome, e.Who.Sub, e.Where = 1, evidence.OK, evidence.ServerSub, evidence.Where{Face: "server", Node: "n1"}
		if e.ID.IsZero() {
			e.ID = event(string(rune('0' + i)))
		}
		l.add(string(e.Kind), e)
	}
	return l
}

func stored(bodies [][]byte) []evidence.Stored {
	var all []evidence.Stored
	for _, b := range bodies {
		all = append(all, evidence.Stored{Leaf: tlog.RecordHash(b), Body: b})
	}
	return all
}

func TestCheckLog(t *testing.T) {
	l := wholeLog(t)
	c, _ := l.checkpoint()
	got, err := evidence.CheckLog(slices.Values(stored(l.bodies)), 0, c)
	if want := (evidence.LogSummary{Size: 6, Unknown: 1, Started: 2, Finished: 1, Open: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	pruned := stored(l.bodies)
	pruned[1].Body, pruned[0].Body = nil, nil
	got, err = evidence.CheckLog(slices.Values(pruned), 0, c)
	if want := (evidence.LogSummary{Size: 6, Pruned: 2, Unknown: 1, Started: 1, Open: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		change func([]evidence.Stored) []evidence.Stored
		base   int64
		code   string
		says   string
	}{
		"a body changed": {func(s []evidence.Stored) []evidence.Stored { s[3].Body = s[4].Body; return s }, 0, "not_in_log", "#3: body does not hash to its leaf"},
		"a leaf changed": {func(s []evidence.Stored) []evidence.Stored { s[0].Body, s[0].Leaf[0] = nil, s[0].Leaf[0]^1; return s }, 0, "not_consistent", "6 entries"},
		"one less":       {func(s []evidence.Stored) []evidence.Stored { return s[:5] }, 0, "not_consistent", "5 entries"},
		"one more": {func(s []evidence.Stored) []evidence.Stored {
			return append(s, evidence.Stored{Leaf: tlog.RecordHash(nil)})
		}, 0, "not_consistent", "7 entries"},
		"one left out":  {func(s []evidence.Stored) []evidence.Stored { return slices.Delete(s, 2, 3) }, 0, "log_broken", "#2"},
		"two exchanged": {func(s []evidence.Stored) []evidence.Stored { s[1], s[2] = s[2], s[1]; return s }, 0, "log_broken", "#1"},
		"another base":  {func(s []evidence.Stored) []evidence.Stored { return s }, 7, "log_broken", "#7"},
		"no event":      {func(s []evidence.Stored) []evidence.Stored { s[5] = stored([][]byte{[]byte("x")})[0]; return s }, 0, "log_broken", "#5: the entry is no event"},
		"finished twice": {func(s []evidence.Stored) []evidence.Stored {
			return appended(t, s, evidence.Event{Kind: evidence.ToolFinished, Cause: event("a"), ID: event("z")})
		}, 0, "log_broken", "#6"},
		"finished nothing": {func(s []evidence.Stored) []evidence.Stored {
			return appended(t, s, evidence.Event{Kind: evidence.ToolFinished, ID: event("z")})
		}, 0, "log_broken", "#6"},
		"an id twice": {func(s []evidence.Stored) []evidence.Stored {
			return appended(t, s, evidence.Event{Kind: evidence.ToolStarted, ID: event("a")})
		}, 0, "log_broken", "#6"},
	} {
		_, err := evidence.CheckLog(slices.Values(tt.change(stored(l.bodies))), tt.base, c)
		if fault.Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s %q", name, err, tt.code, tt.says)
		}
	}
}

func appended(t *testing.T, s []evidence.Stored, e evidence.Event) []evidence.Stored {
	t.Helper()
	e.V, e.Outcome, e.Who.Sub, e.Where, e.Rev = 1, evidence.OK, evidence.ServerSub, evidence.Where{Face: "server", Node: "n1"}, int64(len(s))
	b, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return append(s, stored([][]byte{b})...)
}

// An event reads back as it was, its bytes are its only form, and every member that must be there is missed.
func TestEventsTakeOneForm(t *testing.T) {
	s := newStory(t)
	s.tell()
	b, err := s.question.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := evidence.ParseEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := got.Bytes(); err != nil || string(again) != string(b) {
		t.Error("an event reads back as another", err)
	}
	for _, change := range [][2]string{
		{`"v":1`, `"v":2`},
		{`"v":1`, `"v":1.0`},
		{`"v":1`, `"V":1`},
		{`{"at"`, `{ "at"`},
		{`"rev":11`, `"rev":11,"soon":1`},
		{`"rev":11`, `"rev":1e1`},
		{`"rev":11,`, ``},
		{`"kind":"tool.started",`, ``},
		{`"outcome":"permit",`, ``},
		{`"rev":11`, `"rev":11,"rev":11`},
		{`"uses_left":9`, `"uses_left":9.5`},
		{`"who":`, `"whom":`},
		{`"id":"evt_`, `"id":"EVT_`},
	} {
		bad := strings.Replace(string(b), change[0], change[1], 1)
		if bad == string(b) {
			t.Fatalf("%s is not in the event", change[0])
		}
		if _, err := evidence.ParseEvent([]byte(bad)); fault.Code(err) != "malformed" {
			t.Errorf("%s for %s: %v", change[1], change[0], err)
		}
	}
	large := s.question
	large.Why = &evidence.Why{Reason: strings.Repeat("x", evidence.MaxEvent)}
	if _, err := large.Bytes(); fault.Code(err) != "event_too_large" {
		t.Error(err)
	}
	if _, err := evidence.ParseEvent(make([]byte, evidence.MaxEvent+1)); fault.Code(err) != "too_large" {
		t.Error(err)
	}
}

func TestKindsAreClosed(t *testing.T) {
	if !evidence.KeyRetired.Alters() || evidence.LogRead.Alters() || !evidence.LogRead.Known() || evidence.Kind("x").Known() || evidence.Kind("x").Alters() {
		t.Error("kinds are mixed up")
	}
}
