package oauth_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/internal/db/dbtest"
)

// Once: of 64 callers with one assertion, or one proof, one gets a token, whichever engine keeps what was seen.
func TestOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := start(t, dsn)
		bot := w.agentNamed("release-bot")
		link := w.priya.lend(bot, terms{}, bare("repo:acme:*")...).String()
		for name, grant := range map[string][]string{
			"client credentials": {"grant_type", "client_credentials"},
			"exchange":           {"grant_type", grantExchange, "subject_token", link, "subject_token_type", typeDelegation, "resource", resource},
		} {
			nonce := w.nonce()
			form, proof := bot.with(grant...), bot.proof(tokenPath, nonce)
			t.Run(name+"/assertion", func(t *testing.T) {
				w.pass(time.Minute)
				nonce = w.nonce()
				form = bot.with(grant...)
				once(t, w, "invalid_client", func() (url.Values, string) { return form, bot.proof(tokenPath, nonce) })
			})
			t.Run(name+"/proof", func(t *testing.T) {
				w.pass(time.Minute)
				proof = bot.proof(tokenPath, w.nonce())
				once(t, w, "invalid_dpop_proof", func() (url.Values, string) { return bot.with(grant...), proof })
			})
		}
		t.Run("a person's assertion", func(t *testing.T) {
			w.pass(time.Minute)
			nonce, assertion := w.nonce(), w.priya.assertion()
			once(t, w, "invalid_grant", func() (url.Values, string) {
				return fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", assertion}), w.priya.proof(tokenPath, nonce)
			})
		})
	})
}

// once sends 64 requests at once. What is not the one success is refused as a replay, or for being one request too many.
func once(t *testing.T, w *world, refused string, request func() (url.Values, string)) {
	t.Helper()
	const callers = 64
	got := make([]answer, callers)
	var ready, done sync.WaitGroup
	ready.Add(callers)
	for i := range got {
		form, proof := request()
		done.Go(func() {
			ready.Done()
			ready.Wait()
			got[i] = w.post(tokenPath, form, proof)
		})
	}
	done.Wait()
	count := map[string]int{}
	for _, a := range got {
		count[fmt.Sprint(a.status, " ", a.text("error"))]++
	}
	if count["200 "] != 1 || count["429 temporarily_unavailable"] > callers-50 && refused == "invalid_dpop_proof" {
		t.Errorf("answers: %v", count)
	}
	for answer := range count {
		if answer != "200 " && answer != "429 temporarily_unavailable" && answer != "400 "+refused && answer != "401 "+refused {
			t.Errorf("answers: %v", count)
		}
	}
}

// The same statement lent at 32 exchanges at once is one delegation.
func TestLentOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := start(t, dsn)
		bot, deployer := w.agentNamed("release-bot"), w.agentNamed("deployer")
		root := w.priya.lend(bot, terms{depth: 1}, bare("repo:acme:*")...)
		st := bot.sign(bot.statement(deployer, terms{under: root}, bare("repo:acme:read")...))
		nonce := w.nonce()
		got := make([]answer, 32)
		var done sync.WaitGroup
		for i := range got {
			done.Go(func() {
				got[i] = w.post(tokenPath, deployer.with("grant_type", grantExchange, "subject_token", st, "subject_token_type", typeDelegation, "resource", resource),
					deployer.proof(tokenPath, nonce))
			})
		}
		done.Wait()
		first := w.claims(got[0]).Delegation
		for _, a := range got {
			if c := w.claims(a); c.Delegation != first || c.Subject != w.priya.sub {
				t.Errorf("%+v", c)
			}
		}
	})
}
