package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// goSDKRegisters is the Go SDK's client that finds everything by itself, and registers (RFC 7591).
func goSDKRegisters(ctx context.Context, r *rig) []check {
	return goSDK(ctx, r, auth.AuthorizationCodeHandlerConfig{DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
		Metadata: &oauthex.ClientRegistrationMetadata{ClientName: "go-sdk", RedirectURIs: []string{redirect}, GrantTypes: []string{"authorization_code", "refresh_token"}},
	}})
}

// goSDKDocument is one whose client_id is the address of its metadata. The SDK takes only https for one, so it is told as if it had been registered before.
func goSDKDocument(ctx context.Context, r *rig) []check {
	return goSDK(ctx, r, auth.AuthorizationCodeHandlerConfig{PreregisteredClient: &oauthex.ClientCredentials{ClientID: r.docs + "/app/go-sdk"}})
}

func goSDK(ctx context.Context, r *rig, c auth.AuthorizationCodeHandlerConfig) (all []check) {
	note := func(name string, err error) bool {
		all = append(all, check{name, err})
		return err == nil
	}
	var asked *url.URL
	var config *oauth2.Config
	var first *oauth2.Token
	refuse := false
	c.RedirectURL, c.RequestRefreshToken = redirect, true
	c.AuthorizationCodeFetcher = func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		back, err := r.browser.decide(ctx, args.URL, !refuse)
		if err != nil {
			return nil, err
		}
		asked, _ = url.Parse(args.URL)
		u, err := url.Parse(back)
		if err != nil {
			return nil, err
		}
		q := u.Query()
		if q.Get("error") != "" {
			return nil, errors.New(q.Get("error"))
		}
		return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
	}
	c.NewTokenSource = func(ctx context.Context, o *oauth2.Config, t *oauth2.Token) (oauth2.TokenSource, error) {
		config, first = o, t
		return o.TokenSource(ctx, t), nil
	}
	handler, err := auth.NewAuthorizationCodeHandler(&c)
	if !note("is configured", err) {
		return all
	}
	connect := func(h auth.OAuthHandler) (*mcp.ClientSession, error) {
		return mcp.NewClient(&mcp.Implementation{Name: "go-sdk", Version: "1"}, nil).Connect(ctx, &mcp.StreamableClientTransport{Endpoint: r.resource, OAuthHandler: h}, nil)
	}
	refuse = true
	_, err = connect(handler)
	note("hears that the person refuses", want(err != nil && strings.Contains(err.Error(), "access_denied"), err))
	refuse = false
	session, err := connect(handler)
	if !note("is authorized and connects", err) {
		return all
	}
	defer session.Close()
	note("asks for the resource", want(asked.Query().Get("resource") == r.resource, asked))
	note("gets a bearer token and a refresh token", want(strings.EqualFold(first.TokenType, "bearer") && first.RefreshToken != "", first.TokenType))
	tools, err := session.ListTools(ctx, nil)
	note("lists tools", or(err, want(err == nil && len(tools.Tools) == 1 && tools.Tools[0].Name == "echo", tools)))
	note("calls a tool", echoes(ctx, session))

	expired := *first
	expired.Expiry = time.Now().Add(-time.Minute)
	second, err := config.TokenSource(ctx, &expired).Token()
	if !note("refreshes", or(err, want(err == nil && second.AccessToken != first.AccessToken && second.RefreshToken != first.RefreshToken, "the same tokens"))) {
		return all
	}
	c.InitialTokenSource = oauth2.StaticTokenSource(second)
	handler, err = auth.NewAuthorizationCodeHandler(&c)
	if err == nil {
		var again *mcp.ClientSession
		if again, err = connect(handler); err == nil {
			err = echoes(ctx, again)
			again.Close()
		}
	}
	note("calls a tool with the new token", err)
	_, err = config.TokenSource(ctx, &expired).Token()
	note("may not use a refresh token twice", want(err != nil && strings.Contains(err.Error(), "invalid_grant"), err))
	note("ends all that descends from it by that", want(echoes(ctx, session) != nil, "the first token still works"))
	return all
}

func echoes(ctx context.Context, s *mcp.ClientSession) error {
	got, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "hi"}})
	if err != nil {
		return err
	}
	if t, ok := got.Content[0].(*mcp.TextContent); got.IsError || !ok || t.Text != "hi" {
		return fmt.Errorf("the tool says %+v", got.Content[0])
	}
	return nil
}

// want is an error that shows what there is instead.
func want(ok bool, got any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("not so: %v", got)
}

func or(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
