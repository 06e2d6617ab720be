package oauth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// document is a public answer that is not plain JSON, or not to be kept for as long as others.
type document struct {
	kind   string // media type
	body   []byte
	age    int  // seconds that it may be kept
	tagged bool // it is the same as long as what it tells of is
	signed httpsig.Headers
}

// identityAge is how long, in seconds, what is said of an agent may be kept: who has to know of its end at once follows the feed.
const identityAge = 60

// send writes a document; one that the client has already is not sent again (RFC 9110 §13.1.2).
func (x *exchange) send(w http.ResponseWriter, d document) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(d.age))
	if d.signed.Input != "" {
		h.Set("Content-Digest", d.signed.Digest)
		h.Set("Signature-Input", d.signed.Input)
		h.Set("Signature", d.signed.Signature)
	}
	if d.tagged {
		tag := `"` + id.Sum(d.body).String() + `"`
		h.Set("ETag", tag)
		for _, line := range x.r.Header.Values("If-None-Match") {
			for known := range strings.SplitSeq(line, ",") {
				if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
			}
		}
	}
	h.Set("Content-Type", d.kind)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(d.body) // the client is gone: nothing to do
}

// agentOf reads the agent that a path names. One whose id is none is not found, like one that does not exist.
func (x *exchange) agentOf() (id.Agent, error) {
	agent, err := id.Parse[id.Agent](x.r.PathValue("agent"))
	if err != nil {
		return agent, errNoAgent()
	}
	return agent, nil
}

// once reads a parameter of the query that is there at most once.
func (x *exchange) once(name string) (string, error) {
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil || len(q[name]) > 1 {
		return "", fault.New(fault.Invalid, "malformed", "the query has %s once, as name=value", name).Try("send %s=…", name)
	}
	return q.Get(name), nil
}

// pageOf reads which keys of an agent are asked for.
func (x *exchange) pageOf() (agent id.Agent, after id.Key, err error) {
	if agent, err = x.agentOf(); err != nil {
		return agent, after, err
	}
	text, err := x.once("after")
	if err == nil && text != "" {
		if after, err = id.ParseKey(text); err != nil {
			err = fault.New(fault.Invalid, "malformed", "after is the thumbprint of a key").Try("send what next has in the answer before")
		}
	}
	return agent, after, err
}

// identity is GET /oauth/agents/{agent}: what everybody may know of an agent, with all keys that it ever had.
func (f *face) identity(x *exchange) (any, error) {
	agent, after, err := x.pageOf()
	if err != nil {
		return nil, err
	}
	i, err := f.Guard.Identity(x.ctx, agent, after)
	if err != nil {
		return nil, unknownAgent(err)
	}
	body, err := json.Marshal(i, json.Deterministic(true))
	return document{kind: "application/json", body: body, age: identityAge, tagged: true}, err
}

// signedIdentity is GET /oauth/agents/{agent}/identity.jws: the same, signed, for whoever keeps it for years.
func (f *face) signedIdentity(x *exchange) (any, error) {
	agent, after, err := x.pageOf()
	if err != nil {
		return nil, err
	}
	signed, err := f.Guard.SignedIdentity(x.ctx, agent, after)
	return document{kind: "application/jose", body: []byte(signed), age: identityAge}, unknownAgent(err)
}

func unknownAgent(err error) error {
	if fault.Code(err) == "not_found" {
		return errNoAgent()
	}
	return err
}

// agentJWKS is GET /oauth/agents/{agent}/jwks: an agent's keys that may sign now or, with ?at=<seconds>, could then.
func (f *face) agentJWKS(x *exchange) (any, error) {
	agent, err := x.agentOf()
	if err != nil {
		return nil, err
	}
	at, err := x.once("at")
	if err != nil {
		return nil, err
	}
	var keys []jose.PublicKey
	if at == "" {
		keys, err = f.Guard.AgentKeys(x.ctx, agent)
	} else {
		seconds, bad := strconv.ParseInt(at, 10, 64)
		if bad != nil || seconds < 0 || seconds > maxSeconds {
			return nil, fault.New(fault.Invalid, "malformed", "at is a time in seconds since 1970").Try("send at=1764000000")
		}
		keys, err = f.Guard.AgentKeysAt(x.ctx, agent, time.Unix(seconds, 0))
	}
	if err != nil {
		return nil, unknownAgent(err)
	}
	set := jwkSet{Keys: []jsontext.Value{}}
	for _, k := range keys {
		set.add(k)
	}
	return set, nil
}

const maxSeconds = 253_402_300_799 // the last second of the year 9999

// directory is GET /.well-known/http-message-signatures-directory (draft-meunier-webbotauth-httpsig-directory): the server's keys; with ?keyid=, that one
// key, if it is live, of the server or of any instance, with whose it is, so that nobody can list agents by it. Each of the server's keys signs the answer; an
// instance's key is vouched for by the server alone, which does not hold it.
func (f *face) directory(x *exchange) (any, error) {
	keyid, err := x.once("keyid")
	if err != nil {
		return nil, err
	}
	set := jwkSet{Keys: []jsontext.Value{}}
	add := func(h guard.Holder) {
		more := `,"kid":"` + h.Key.Thumbprint().String() + `","use":"sig"` // without alg: JWK's names are none of the registered ones (§3)
		if !h.Agent.IsZero() {
			more += `,"agent":"` + h.Agent.String() + `","ws":"` + h.Workspace.String() + `"`
		}
		raw := h.Key.JWK()
		set.Keys = append(set.Keys, append(raw[:len(raw)-1:len(raw)-1], more+`}`...))
	}
	signers, err := f.Guard.PublishedSigners(x.ctx)
	if err != nil {
		return nil, err
	}
	if kid, bad := id.ParseKey(keyid); keyid != "" && bad == nil {
		h, err := f.Guard.Holder(x.ctx, kid)
		if err == nil {
			add(h)
		} else if fault.Code(err) != "key_unknown" {
			return nil, err
		}
	} else if keyid == "" {
		for _, s := range signers {
			add(guard.Holder{Key: s.Public()})
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	now := f.Guard.Now().Unix()
	d := document{kind: httpsig.DirectoryType, body: body, age: identityAge}
	d.signed, err = httpsig.SignDirectory(authority(f.Issuer), body, now, now+5*identityAge, signers)
	return d, err
}

// authority is a URL's, as RFC 9421 §2.2.3 normalises it.
func authority(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Host)
	return strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
}
