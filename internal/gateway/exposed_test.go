package gateway

import (
	"strings"
	"testing"
)

// A private key that an agent sends through the gateway goes nowhere, and the log says that it was sent.
func TestPrivateKeyIsNoted(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	bot := r.agent("bot", "developer")
	access := bot.token("sdk")
	noted := func() (n int) {
		rows, err := r.reader.Rows(t.Context(), `SELECT kind FROM event WHERE kind = 'token.refused'`)
		r.must(err)
		defer rows.Close()
		for rows.Next() {
			n++
		}
		return n
	}
	const jwk = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`
	body, headers := modernCall("write", `{"path":`+jwk+`}`, "{}", "")
	for n, got := range []answered{
		bot.post("sdk", access, body, headers...),
		bot.post("sdk", access, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "X-Key", jwk),
	} {
		if !strings.Contains(got.body+got.header.Get("WWW-Authenticate"), "private key") && !strings.Contains(got.body, "private_key") || strings.Contains(got.body, "nWGxne") {
			t.Errorf("%d: %d %s", n, got.status, got.body)
		}
	}
	if n := noted(); n != 2 {
		t.Errorf("%d events", n)
	}
}
