package server

import (
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/console"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
)

// Upstream is an OpenID provider that people sign in with.
type Upstream struct {
	Name        string            `key:"name" why:"names it on the button, in the callback's path and in the log: small letters, digits and hyphens"`
	Issuer      string            `key:"issuer" why:"the provider's issuer URL, byte for byte as it says itself"`
	ClientID    string            `key:"client_id" why:"what the provider calls this server"`
	SecretFile  string            `key:"client_secret_file" why:"file with the client secret; or ATTORN_SIGNIN_OIDC_<NAME>_CLIENT_SECRET; without one, PKCE alone"`
	Scopes      []string          `key:"scopes" default:"openid,profile,email" why:"what is asked for; openid always is"`
	Create      bool              `key:"create" default:"false" why:"whether somebody who is not known gets an account"`
	Workspace   string            `key:"workspace" default:"default" why:"where new accounts, and the groups, are"`
	GroupsClaim string            `key:"groups_claim" why:"the claim that lists a person's groups"`
	Groups      map[string]string `key:"groups" why:"a group there, and the group here that its members are in"`
	ACR         map[string]int    `key:"acr" why:"a value of the acr claim, and what it counts as: 1 signed in, 2 with several factors"`
	MFA         []string          `key:"amr_mfa" default:"mfa,hwk" why:"values of the amr claim that count as several factors (RFC 8176)"`

	// A draft, and off by default.
	IdentityAssertions bool `key:"identity_assertions" default:"false" why:"whether the provider's word that an agent acts for somebody lends what it says (a draft: ID-JAG)"`
	AssertPasskeys     bool `key:"identity_assertions_passkeys" default:"false" why:"whether it lends so for people with a passkey, too, who would sign what they lend themselves"`

	Secret string // read by Load
}

// readSecrets reads the client secrets: from the environment, else from their files.
func (c *Config) readSecrets() error {
	for i := range c.OIDC {
		u := &c.OIDC[i]
		name := variable("signin.oidc." + u.Name + ".client_secret")
		if u.Secret = os.Getenv(name); u.Secret != "" || u.SecretFile == "" {
			continue
		}
		var err error
		if u.Secret, err = secretFile(u.SecretFile); err != nil {
			return err
		}
	}
	return nil
}

var (
	upstreamName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){0,31}$`)
	// A scope is what RFC 6749 §3.3 says.
	scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
)

func (c *Config) checkUpstreams() error {
	var names []string
	for _, u := range c.OIDC {
		if why := u.wrong(); why != "" {
			return fault.New(fault.Invalid, "config_value", "signin.oidc %q: %s", u.Name, why)
		}
		if slices.Contains(names, u.Name) {
			return fault.New(fault.Invalid, "config_value", "signin.oidc has two providers of the name %q", u.Name)
		}
		names = append(names, u.Name)
	}
	return nil
}

// wrong says what is wrong with a provider, or "".
func (u Upstream) wrong() string {
	issuer, err := url.Parse(u.Issuer)
	switch {
	case !upstreamName.MatchString(u.Name):
		return "a name has 1 to 32 small letters, digits and single hyphens"
	case err != nil || issuer.Host == "" || issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "":
		return "the issuer is a URL without user, query and fragment"
	case issuer.Scheme != "https" && (issuer.Scheme != "http" || !loopback(issuer.Hostname())):
		return "the issuer must be https://…, or http:// on loopback"
	case u.ClientID == "":
		return "the client_id is missing"
	case len(u.Groups) > 0 && u.GroupsClaim == "":
		return "groups are mapped, but groups_claim does not say where they stand"
	case u.AssertPasskeys && !u.IdentityAssertions:
		return "identity_assertions_passkeys says more of identity_assertions, which is false"
	case slices.ContainsFunc(u.Scopes, func(s string) bool { return !scopeToken.MatchString(s) }):
		return "a scope has no spaces, quotes and backslashes"
	}
	if ws, err := id.ParseWorkspace(u.Workspace); err != nil || ws == id.Server {
		return "the workspace is no name of one"
	}
	for there, here := range u.Groups {
		if !people.GoodGroup(here) {
			return "the group " + there + " is mapped to " + here + ", which is no name of a group here"
		}
	}
	if len(u.Groups) > 200 {
		return "more than 200 groups are mapped"
	}
	for value, level := range u.ACR {
		if level != 1 && level != 2 {
			return "the acr value " + value + " can count as 1 or 2 only: 3 is a passkey of this server"
		}
	}
	return ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// asserting are the providers whose identity assertions lend.
func (c *Config) asserting() []guard.Asserter {
	var all []guard.Asserter
	for _, u := range c.OIDC {
		if u.IdentityAssertions {
			all = append(all, guard.Asserter{Issuer: u.Issuer, Passkeys: u.AssertPasskeys})
		}
	}
	return all
}

// upstreams are the providers as the console takes them.
func (c *Config) upstreams() []console.Upstream {
	var all []console.Upstream
	for _, u := range c.OIDC {
		ws, _ := id.ParseWorkspace(u.Workspace) // checked by wrong
		all = append(all, console.Upstream{
			Name: u.Name, Issuer: u.Issuer, ClientID: u.ClientID, Secret: u.Secret, Scopes: u.Scopes, Create: u.Create, Workspace: ws,
			GroupsClaim: u.GroupsClaim, Groups: u.Groups, ACR: u.ACR, MFA: u.MFA,
		})
	}
	return all
}
