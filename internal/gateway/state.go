package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Stages of a call that waits for its client.
const (
	stageApproval = "approval" // for people to vote
	stageUpstream = "upstream" // for what the upstream itself asked
)

const (
	statePrefix = "as1."
	stateTime   = 10 * time.Minute
	// maxUpstreamState is the longest state of an upstream that fits into ours, in bytes.
	maxUpstreamState = 16 << 10
)

// sealedState is what requestState holds: everything that binds it to one call of one caller. It is opaque and unforgeable for clients; a
// state that was used is worth nothing, since the approval behind it is spent with the call.
type sealedState struct {
	Approval id.Approval `json:"approval,omitzero"`
	Digest   id.Digest   `json:"digest"`
	Caller   string      `json:"caller"` // guard.Caller.ClientKey: workspace, agent, instance, delegation, person
	Round    int         `json:"round"`
	Stage    string      `json:"stage"`
	Expires  int64       `json:"exp"` // seconds since 1970
	Upstream *string     `json:"upstream,omitempty"`
}

// stateKey is the key of a day, HKDF-SHA-256 (RFC 5869) of the configured one.
func (g *Gateway) stateKey(day uint32) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, g.StateKey, nil, "attorn mcp requestState "+strconv.FormatUint(uint64(day), 10), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal makes a requestState: as1. and base64url of day, nonce and AES-256-GCM; the endpoint and the method are its associated data.
func (x *exchange) seal(st sealedState) (string, error) {
	now := x.g.Clock.Now()
	st.Caller, st.Expires = x.caller.ClientKey(), now.Add(stateTime).Unix()
	plain, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	day := uint32(now.Unix() / 86400)
	aead, err := x.g.stateKey(day)
	if err != nil {
		return "", err
	}
	head := binary.BigEndian.AppendUint32(nil, day)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails (crypto/rand)
	out := aead.Seal(append(head, nonce...), nonce, plain, x.stateBinding())
	return statePrefix + jose.EncodeBase64(out), nil
}

func (x *exchange) stateBinding() []byte { return []byte(x.place.url + "\n" + x.msg.Method) }

// openState reads the client's requestState. One that is not ours, is old, or belongs to another caller, endpoint, method or call is refused,
// always in the same words.
func (x *exchange) openState(c gatedCall, digest id.Digest) (*sealedState, *rpcError) {
	if c.State == "" {
		if c.Responses != nil {
			return nil, broken("params", codeParams, "params.inputResponses came without the requestState that they answer")
		}
		return nil, nil
	}
	st, ok := x.unseal(c.State)
	if !ok || st.Digest != digest || st.Caller != x.caller.ClientKey() || x.g.Clock.Now().Unix() >= st.Expires {
		return nil, broken("params", codeParams, "params.requestState is not valid for this call: call again without it")
	}
	return &st, nil
}

func (x *exchange) unseal(text string) (st sealedState, ok bool) {
	rest, ok := strings.CutPrefix(text, statePrefix)
	if !ok {
		return st, false
	}
	raw, err := jose.DecodeBase64(rest)
	if err != nil || len(raw) < 4+12+16 {
		return st, false
	}
	day, today := binary.BigEndian.Uint32(raw), uint32(x.g.Clock.Now().Unix()/86400)
	if day != today && day+1 != today {
		return st, false
	}
	aead, err := x.g.stateKey(day)
	if err != nil {
		return st, false
	}
	nonce := raw[4 : 4+aead.NonceSize()]
	plain, err := aead.Open(nil, nonce, raw[4+len(nonce):], x.stateBinding())
	if err != nil {
		return st, false
	}
	return st, jose.Decode(plain, &st, jose.Limits{}) == nil
}

// wrapInput seals an upstream's input_required: only we tell callers apart, so its state goes inside ours, and what it asks for must be among
// what the client declared and we let through.
func (x *exchange) wrapInput(w *wanted, head resultHead) ([]byte, error) {
	if head.State != nil && len(*head.State) > maxUpstreamState {
		return nil, invalid("the server's requestState is over 16 KiB", nil)
	}
	if head.Requests == nil && head.State == nil {
		return nil, invalid("the server asks for input but does not say which", nil)
	}
	if head.Requests != nil {
		if err := checkInput(head.Requests, w.call.Meta.Capabilities); err != nil {
			return nil, err
		}
	}
	state, err := x.seal(sealedState{Digest: w.asked.Digest, Stage: stageUpstream, Upstream: head.State})
	if err != nil {
		return nil, err
	}
	if len(state) > maxState {
		return nil, invalid("the server's requestState is too long", nil)
	}
	o := (&object{}).text("resultType", "input_required")
	if head.Requests != nil {
		o.raw("inputRequests", oneLine(head.Requests))
	}
	return o.text("requestState", state).end(), nil
}

// checkInput holds input requests to what the client said it can do.
func checkInput(requests jsontext.Value, can clientFeatures) error {
	var all map[string]struct {
		Method string `json:"method"`
		Params struct {
			Mode string `json:"mode"`
		} `json:"params"`
	}
	if err := foreign(requests, &all); err != nil {
		return invalid("the server's input requests are not of the form", err)
	}
	for _, r := range all {
		url := r.Params.Mode == "url"
		if r.Method != "elicitation/create" || (url && !can.URL) || (!url && !can.Form) {
			return invalid("the server asks for input that the client did not say it can give", nil)
		}
	}
	return nil
}
