package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/jose"
)

// policies is how many the measured product decides by, each about an object of its own.
const policies = 1000

// deciding is a service that asks about its objects: an agent that acts for nobody.
type deciding struct {
	agent *attorn.Agent
	key   jose.Signer
}

// prepareDecisions publishes the policies, and lets an agent ask.
func (i *issuer) prepareDecisions(ctx context.Context, priya *attorn.Client) error {
	agent, key, err := i.enrol(ctx, priya, "records")
	if err != nil {
		return err
	}
	i.deciding = deciding{agent, key}
	const record = "name: record\nsource: request\nattributes: {owner: {type: User}, status: {type: string}}\nactions:\n  read: {class: read}\n  write: {class: write}\n"
	if _, err := priya.SetResourceType(ctx, "record", record); err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "@id(\"asks\")\npermit (principal == Agent::%q, action in [Action::\"attorn:decision:check\", Action::\"attorn:decision:assert\"], resource == Noun::\"type:record\");\n", agent.ID())
	for n := range policies {
		fmt.Fprintf(&text, "\n@id(\"record/%d\")\npermit (principal is User, action == Action::\"record:read\", resource == record::\"r-%d\")\nwhen { resource.owner == principal && resource.status == \"active\" };\n", n, n)
	}
	_, err = priya.Publish(ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/records.cedar", Text: text.String()}}})
	return err
}

// decisions makes n questions, each with a proof of its own; all are answered permit and recorded.
func (i *issuer) decisions(ctx context.Context, n int) (batch, error) {
	b := batch{address: fmt.Sprintf("127.0.0.1:%d", i.port), events: 1, kind: "decision.made", outcome: "permit", check: exactly(`{"decision":true}`)}
	token, err := i.deciding.agent.Token(ctx, i.url+"/api", attorn.TokenRequest{})
	if err != nil {
		return b, err
	}
	const path = "/access/v1/evaluation"
	for k := range n {
		proof, err := dpop.Sign(i.deciding.key, dpop.Claims{Method: "POST", URL: i.url + path, JTI: rand.Text(), AccessToken: token.AccessToken, IssuedAt: time.Now()})
		if err != nil {
			return b, err
		}
		body := fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":"read"},"resource":{"type":"record","id":"r-%d","properties":{"owner":%q,"status":"active"}}}`,
			i.person, k%policies, i.person)
		b.requests = append(b.requests, wire("POST", path, fmt.Sprintf("localhost:%d", i.port),
			map[string]string{"Content-Type": "application/json", "Authorization": "DPoP " + token.AccessToken, "DPoP": proof}, body))
	}
	return b, nil
}
