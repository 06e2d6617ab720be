package clients

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// App is a program that asks people for authority: an MCP client, an assistant, somebody's own. What it says about itself nobody has checked, but that its
// client_id is its own.
type App struct {
	ID        string   // its client_id: the address of its metadata, or app_…
	Name      string   // what it calls itself; its ID where it says nothing
	Host      string   // of the address, with a port only in development; "" where it registered itself
	Redirects []string // where its answers may go; App.Redirect compares
	Keys      []jose.PublicKey
	KeysAt    string   // the address of its keys (jwks_uri), which are then in Keys once they were fetched
	Proves    bool     // it authenticates with private_key_jwt by Keys, and always; else its client_id is all it has
	Grants    []string // grant types that it uses, of those that an app may use

	BoundTokens bool // its tokens are always bound to a DPoP key (RFC 9449 §5.2)
	PushedOnly  bool // its authorization requests are always pushed (RFC 9126 §6)

	DynamicallyRegistered bool
	Workspace             id.Workspace // that invited it; default where registration is open; zero for one with an address
	CreatedAt             time.Time    // zero for one with an address
}

// The grant types of apps.
const (
	GrantCode      = "authorization_code"
	GrantRefresh   = "refresh_token"
	GrantDevice    = "urn:ietf:params:oauth:grant-type:device_code"
	GrantAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// The limits of what an app says about itself.
const (
	MaxMetadata = 5 << 10 // bytes, as draft-ietf-oauth-client-id-metadata-document §8.7 recommends

	maxRedirects = 20
	maxName      = 100 // characters
	maxKeys      = 10
)

// Redirect says whether the app's answers may go to uri: it is one of Redirects (MatchRedirect). Code: redirect_unregistered.
func (a App) Redirect(uri string) error {
	if slices.ContainsFunc(a.Redirects, func(r string) bool { return MatchRedirect(r, uri) }) {
		return nil
	}
	return fault.New(fault.Invalid, "redirect_unregistered", "the redirect URI is none that the app registered").
		Try("have the app's publisher register it: it is compared byte for byte, but for the port of a loopback address")
}

// Uses reports whether the app said that it uses a grant type.
func (a App) Uses(grant string) bool { return slices.Contains(a.Grants, grant) }

// Key is the app's key with a thumbprint.
func (a App) Key(kid id.Key) (jose.PublicKey, bool) {
	i := slices.IndexFunc(a.Keys, func(k jose.PublicKey) bool { return k.Thumbprint() == kid })
	if i < 0 {
		return jose.PublicKey{}, false
	}
	return a.Keys[i], true
}

// Metadata is what RFC 7591 §2 calls client metadata, as far as it means anything here: what an app's document says, and what a registration asks for and is
// answered.
type Metadata struct {
	ClientID   string         `json:"client_id,omitempty"` // a document's alone
	Name       string         `json:"client_name,omitempty"`
	Redirects  []string       `json:"redirect_uris"`
	Auth       string         `json:"token_endpoint_auth_method,omitempty"`
	AuthAlg    string         `json:"token_endpoint_auth_signing_alg,omitempty"`
	Grants     []string       `json:"grant_types,omitempty"`
	Responses  []string       `json:"response_types,omitempty"`
	JWKS       jsontext.Value `json:"jwks,omitzero"`
	JWKSURI    string         `json:"jwks_uri,omitempty"`
	Bound      bool           `json:"dpop_bound_access_tokens,omitzero"`
	PushedOnly bool           `json:"require_pushed_authorization_requests,omitzero"`

	Secret    jsontext.Value `json:"client_secret,omitzero"` // read to be refused
	SecretEnd jsontext.Value `json:"client_secret_expires_at,omitzero"`
}

func invalidApp(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "client_invalid", "the app's metadata is not acceptable: "+reason, args...)
}

// ParseDocument reads the metadata document at the address clientID, which is one by CheckAddress. What it says of what nobody here asks about is passed over;
// what it says wrong makes all of it void. Keys at another address (App.KeysAt) are still to be fetched, and read with ReadKeys. Code: client_invalid.
func ParseDocument(clientID string, raw []byte) (App, error) {
	var m Metadata
	if len(raw) > MaxMetadata {
		return App{}, invalidApp("it has more than %d bytes", MaxMetadata)
	}
	if err := jose.DecodeForeign(raw, &m, jose.Limits{Bytes: MaxMetadata}); err != nil {
		return App{}, invalidApp("it is no acceptable JSON: %v", err)
	}
	switch {
	case m.ClientID != clientID: // RFC 3986 §6.2.1
		return App{}, invalidApp("its client_id is not its address, byte for byte")
	case m.Name == "":
		return App{}, invalidApp("it has no client_name")
	}
	if m.Auth == "" && (m.JWKS != nil || m.JWKSURI != "") {
		m.Auth = "private_key_jwt"
	}
	a, err := m.app(clientID)
	if err != nil {
		if fault.Code(err) == "redirect_invalid" {
			err = fault.Wrap(err, fault.Invalid, "client_invalid", "the app's metadata is not acceptable: %s", fault.Of(err).Reason)
		}
		return App{}, err
	}
	u, err := url.Parse(clientID)
	if err != nil {
		return App{}, err
	}
	a.Host = u.Host
	if a.KeysAt != "" {
		k, err := url.Parse(a.KeysAt)
		if err != nil || k.Scheme != u.Scheme || k.Host != u.Host || k.User != nil || k.Fragment != "" || k.Opaque != "" || len(a.KeysAt) > maxAddress {
			return App{}, invalidApp("its jwks_uri is not on the host of its client_id")
		}
	}
	return a, nil
}

// ParseRegistration reads what an app asks to be registered with, and returns what it is registered with, which the answer says (RFC 7591 §3.2.1). Codes:
// client_invalid, redirect_invalid.
func ParseRegistration(raw []byte) (Metadata, error) {
	var m Metadata
	if len(raw) > MaxMetadata {
		return m, invalidApp("it has more than %d bytes", MaxMetadata)
	}
	if err := jose.DecodeForeign(raw, &m, jose.Limits{Bytes: MaxMetadata}); err != nil {
		return m, invalidApp("it is no acceptable JSON: %v", err)
	}
	if m.JWKSURI != "" {
		return m, invalidApp("the keys of an app that registers itself are in jwks: no address is asked for them")
	}
	m.ClientID = "" // the server's to give
	if m.Auth == "" {
		m.Auth = "none"
	}
	a, err := m.app("")
	if err != nil {
		return m, err
	}
	m.Grants, m.Responses = a.Grants, []string{"code"}
	if m.Auth == "none" {
		m.JWKS, m.AuthAlg = nil, ""
	}
	return m, nil
}

// app is what the metadata says, checked. Codes: client_invalid, redirect_invalid.
func (m Metadata) app(clientID string) (App, error) {
	a := App{ID: clientID, Name: m.Name, Redirects: m.Redirects, KeysAt: m.JWKSURI, BoundTokens: m.Bound, PushedOnly: m.PushedOnly}
	if a.Name == "" {
		a.Name = clientID
	}
	if err := checkName(m.Name); err != nil {
		return App{}, err
	}
	if n := len(m.Redirects); n == 0 || n > maxRedirects {
		return App{}, fault.New(fault.Invalid, "redirect_invalid", "an app has 1 to %d redirect_uris", maxRedirects)
	}
	for _, r := range m.Redirects {
		if err := CheckRedirect(r); err != nil {
			return App{}, err
		}
	}
	if len(m.Responses) > 0 && !slices.Contains(m.Responses, "code") {
		return App{}, invalidApp("its response_types do not have code, the only one there is")
	}
	asked := m.Grants
	if len(asked) == 0 {
		asked = []string{GrantCode} // RFC 7591 §2
	}
	for _, g := range []string{GrantCode, GrantRefresh, GrantDevice, GrantAssertion} {
		if slices.Contains(asked, g) {
			a.Grants = append(a.Grants, g)
		}
	}
	if !a.Uses(GrantCode) {
		return App{}, invalidApp("its grant_types do not have authorization_code, by which people consent")
	}
	return a, m.authentication(&a)
}

// authentication reads how the app proves who it is: by nothing, or by a key of its own. Nobody shares a secret with a program that anybody has.
func (m Metadata) authentication(a *App) (err error) {
	switch {
	case m.Secret != nil || m.SecretEnd != nil:
		return invalidApp("it has a client_secret; apps have no shared secrets")
	case m.Auth != "" && m.Auth != "none" && m.Auth != "private_key_jwt":
		return invalidApp("its token_endpoint_auth_method is neither none nor private_key_jwt").Try("register with none, or with private_key_jwt and a public key")
	case m.AuthAlg != "" && !slices.Contains([]string{"EdDSA", "Ed25519", "ES256"}, m.AuthAlg):
		return invalidApp("its token_endpoint_auth_signing_alg is none of EdDSA, Ed25519 and ES256")
	case m.JWKS != nil && m.JWKSURI != "": // RFC 7591 §2
		return invalidApp("it has both jwks and jwks_uri")
	}
	a.Proves = m.Auth == "private_key_jwt"
	if m.JWKS != nil { // read in any case: what has a private key in it is to be known by nobody
		if a.Keys, err = ReadKeys(m.JWKS, a.Proves); err != nil {
			return err
		}
	}
	switch {
	case !a.Proves:
		a.Keys, a.KeysAt = nil, ""
	case m.JWKS == nil && m.JWKSURI == "":
		return invalidApp("it is to authenticate with private_key_jwt, and has no keys")
	}
	return nil
}

// ReadKeys reads the public keys of a JWK Set (RFC 7517 §5) by which an app signs: Ed25519 and P-256. Keys of other kinds and uses are passed over; a private or
// shared key makes the set void. needed: a set without a key that can be used is refused. Code: client_invalid.
func ReadKeys(set []byte, needed bool) ([]jose.PublicKey, error) {
	var in struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := jose.DecodeForeign(set, &in, jose.Limits{Bytes: MaxMetadata}); err != nil {
		return nil, invalidApp("its key set is no acceptable JSON: %v", err)
	}
	if len(in.Keys) > maxKeys {
		return nil, invalidApp("its key set has more than %d keys", maxKeys)
	}
	var keys []jose.PublicKey
	for _, raw := range in.Keys {
		var k struct {
			Use string   `json:"use"`
			Ops []string `json:"key_ops"`
		}
		if err := jose.DecodeForeign(raw, &k, jose.Limits{Bytes: MaxMetadata}); err != nil {
			return nil, invalidApp("a key of its set is no acceptable JSON")
		}
		key, err := jose.ParseJWK(raw)
		switch {
		case fault.Code(err) == "private_key":
			return nil, invalidApp("its key set has a private or shared key").Try("replace that key everywhere: it is public now")
		case err != nil, k.Use != "" && k.Use != "sig", len(k.Ops) > 0 && !slices.Contains(k.Ops, "verify"), slices.Contains(keys, key):
			continue
		}
		keys = append(keys, key)
	}
	if needed && len(keys) == 0 {
		return nil, invalidApp("its key set has no Ed25519 or P-256 key that signs")
	}
	return keys, nil
}

// checkName demands a line of text that is what it looks like: a name with characters that cannot be seen, or that turn the line around, is made to deceive.
func checkName(name string) error {
	hidden := func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) || r == utf8.RuneError || r != ' ' && unicode.IsSpace(r)
	}
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, hidden) || strings.TrimSpace(name) != name {
		return invalidApp("its client_name is not a line of at most %d visible characters", maxName)
	}
	return nil
}

// encode is the metadata as it is stored.
func (m Metadata) encode() (string, error) {
	raw, err := jose.Canonical(m)
	return string(raw), err
}

func decodeMetadata(raw string) (m Metadata, err error) {
	return m, json.Unmarshal([]byte(raw), &m, json.RejectUnknownMembers(true))
}
