package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// claims are those of an ID token or of the UserInfo endpoint, by their exact names. What each of them is, is asked where it is used: providers differ.
type claims map[string]any

func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// texts is a claim that is one text or a list of them; members that are none are passed over.
func (c claims) texts(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, m := range v {
			if s, ok := m.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// seconds is a time (RFC 7519 §2, NumericDate); ok is false where there is none, or none that could be one.
func (c claims) seconds(name string) (at int64, ok bool) {
	v, ok := c[name].(float64)
	if !ok || v < 0 || v > 1<<40 {
		return 0, false
	}
	return int64(math.Floor(v)), true
}

// redeem gives the code for tokens and reads who they speak of. Codes: provider_down, provider_answer.
func (p *provider) redeem(ctx context.Context, m *metadata, t guard.Trip, code string) (guard.Identity, error) {
	var none guard.Identity
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 3*providerWait)
	defer cancel()
	got, err := p.oauth(m).Exchange(ctx, code, oauth2.VerifierOption(t.Verifier()))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < 500 && refused.ErrorCode != "":
		return none, p.invalid("it refused the code (" + plainCode(refused.ErrorCode) + ")")
	case err != nil:
		return none, p.down(err)
	}
	token, _ := got.Extra("id_token").(string)
	if token == "" || len(token) > maxIDToken {
		return none, p.invalid("it gave no ID token, or one that is too large")
	}
	// The library checks the signature, with the keys and algorithms that the provider publishes (never none, never one with the client's secret). What the
	// claims say is checked here, from the same bytes, by their exact names.
	verified, err := m.library.VerifierContext(oidc.ClientContext(context.WithoutCancel(ctx), p.client), &oidc.Config{
		SkipClientIDCheck: true, SkipIssuerCheck: true, SkipExpiryCheck: true,
	}).Verify(ctx, token)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") {
			return none, p.down(err)
		}
		return none, fault.Wrap(err, fault.Unauthenticated, "provider_answer", "%s did not sign you in: its ID token is malformed, or its signature does not hold", p.Name).
			Try("tell an administrator")
	}
	var text raw
	if err := verified.Claims(&text); err != nil {
		return none, p.invalid("its ID token is malformed")
	}
	c, err := p.decode(text)
	if err != nil {
		return none, err
	}
	if why := p.wrong(c, t); why != "" {
		return none, p.invalid(why)
	}
	if verified.AccessTokenHash != "" && verified.VerifyAccessToken(got.AccessToken) != nil {
		return none, p.invalid("its ID token belongs to another access token (at_hash)")
	}
	if err := p.complete(ctx, m, c, got); err != nil {
		return none, err
	}
	return p.identity(c, token), nil
}

func (p *provider) decode(text []byte) (claims, error) {
	c := claims{}
	if err := jose.DecodeForeign(text, &c, jose.Limits{Bytes: maxAnswer}); err != nil {
		return nil, p.invalid("what it says of you is malformed")
	}
	return c, nil
}

// wrong says what is wrong with an ID token whose signature holds (OpenID Connect Core §3.1.3.7), or "".
func (p *provider) wrong(c claims, t guard.Trip) string {
	now := p.now()
	expires, ok := c.seconds("exp")
	before, limited := c.seconds("nbf")
	authTime, said := c.seconds("auth_time")
	audience := c.texts("aud")
	switch {
	case c.text("iss") != p.Issuer:
		return "its ID token is of another issuer (iss)"
	case !slices.Contains(audience, p.ClientID):
		return "its ID token is for somebody else (aud)"
	case c["azp"] != nil && c.text("azp") != p.ClientID, len(audience) > 1 && c["azp"] == nil:
		return "its ID token was given to somebody else (azp)"
	case !ok || !now.Add(-clockSkew).Before(time.Unix(expires, 0)):
		return "its ID token has expired; the clocks may differ (exp)"
	case limited && now.Add(clockSkew).Before(time.Unix(before, 0)):
		return "its ID token is of the future; the clocks may differ (nbf)"
	case c.text("nonce") != t.Nonce():
		return "its ID token is for another sign-in (nonce)"
	case c.text("sub") == "":
		return "its ID token names nobody (sub)"
	case t.Fresh && !said:
		return "it does not say when you proved who you are (auth_time), which this needs"
	case t.Fresh && time.Unix(authTime, 0).Before(t.Began.Add(-clockSkew)):
		return "it did not ask you to prove anew who you are (auth_time)"
	case said && now.Add(clockSkew).Before(time.Unix(authTime, 0)):
		return "you have signed in there in the future; the clocks may differ (auth_time)"
	}
	return ""
}

// complete adds what is asked for and the ID token does not say, from the UserInfo endpoint (OpenID Connect Core §5.3), if there is one.
func (p *provider) complete(ctx context.Context, m *metadata, c claims, token *oauth2.Token) error {
	lacks := func(name string) bool { return name != "" && c[name] == nil }
	if m.UserInfo == "" || !lacks("name") && !lacks("email") && !lacks(p.GroupsClaim) {
		return nil
	}
	info, err := m.library.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return p.down(err)
	}
	var text raw
	if err := info.Claims(&text); err != nil {
		return p.down(err)
	}
	more, err := p.decode(text)
	if err != nil {
		return err
	}
	if more.text("sub") != c.text("sub") { // §5.3.2: then it must not be used
		return p.invalid("it speaks of somebody else than its ID token (sub)")
	}
	for name, v := range more {
		switch name {
		case "name", "given_name", "family_name", "preferred_username", p.GroupsClaim:
			if lacks(name) {
				c[name] = v
			}
		}
	}
	if lacks("email") && more["email"] != nil { // the two belong together
		c["email"], c["email_verified"] = more["email"], more["email_verified"]
	}
	return nil
}

// identity is who the claims speak of, in the configuration's terms.
func (p *provider) identity(c claims, token string) guard.Identity {
	i := guard.Identity{
		Provider: p.Name, Issuer: p.Issuer, Subject: c.text("sub"), Workspace: p.Workspace, Create: p.Create, Token: token,
		Name: c.text("name"),
	}
	if i.Name == "" {
		i.Name = strings.TrimSpace(c.text("given_name") + " " + c.text("family_name"))
	}
	if i.Name == "" {
		i.Name = c.text("preferred_username")
	}
	if c["email_verified"] == true {
		i.Email = c.text("email")
	}
	if p.GroupsClaim != "" {
		for _, there := range c.texts(p.GroupsClaim) {
			if here := p.Groups[there]; here != "" {
				i.Groups = append(i.Groups, here)
			}
		}
	}
	i.Auth = p.auth(c)
	return i
}

const maxAMR = 16

// auth is how the person signed in there. What is kept of the provider's words is short.
func (p *provider) auth(c claims) evidence.Auth {
	short := func(s string) bool {
		return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	a := evidence.Auth{Level: 1}
	a.At, _ = c.seconds("auth_time")
	if acr := c.text("acr"); short(acr) {
		a.ACR = acr
	}
	for _, m := range c.texts("amr") {
		if short(m) && len(a.AMR) < maxAMR {
			a.AMR = append(a.AMR, m)
		}
		if slices.Contains(p.MFA, m) {
			a.Level = 2
		}
	}
	if level, ok := p.ACR[c.text("acr")]; ok {
		a.Level = int64(level)
	}
	return a
}

// reaches reports whether a sign-in there may be of a level.
func (p *provider) reaches(level int64) bool {
	if level <= 1 || level == 2 && len(p.MFA) > 0 {
		return true
	}
	for _, n := range p.ACR {
		if int64(n) >= level {
			return true
		}
	}
	return false
}

// plainCode is an error code of a provider's, if it looks like one (RFC 6749 §4.1.2.1).
func plainCode(s string) string {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "an error that is none of OAuth's"
	}
	return fmt.Sprint(s)
}
