package oauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusal is a request that must be refused: how, and with which event in the log ("": none, for no authority was attempted).
type refusalCase struct {
	name   string
	do     func() answer
	status int
	error  string
	reason string
	event  string
}

// refuseEach runs the cases on one world. Each leaves nothing behind but the event that it names.
func refuseEach(t *testing.T, w *world, cases []refusalCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.pass(61 * time.Second) // the limits forget
			_, before := w.refused()
			got := c.do()
			refuses(t, got, c.status, c.error, c.reason)
			_, after := w.refused()
			switch {
			case c.event == "" && after.ID != before.ID:
				t.Errorf("an event was written: %+v", after.Why)
			case c.event != "" && (after.ID == before.ID || after.Why == nil || after.Why.Code != c.event):
				t.Errorf("the newest refusal in the log is %s %+v, want %s", after.Kind, after.Why, c.event)
			case c.event != "" && after.Why.Reason == "":
				t.Errorf("the event gives no reason: %+v", after)
			}
		})
	}
}

const tokenPath = "/oauth/token"

// Each rule of the form (oauth.md §12), broken alone.
func TestFormRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	good := func() string { return bot.with("grant_type", "client_credentials").Encode() }
	send := func(path, body string, header ...string) func() answer {
		return func() answer {
			h := http.Header{"Dpop": {bot.proof(tokenPath, w.nonce())}}
			for i := 0; i < len(header); i += 2 {
				h[header[i]] = append(h[header[i]], header[i+1])
			}
			return w.send("POST", path, good()+body, h)
		}
	}
	kind := "application/x-www-form-urlencoded"
	bad := func(name string, do func() answer, reason string) refusalCase {
		return refusalCase{name, do, 400, "invalid_request", reason, ""}
	}
	tooBig := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 413, "invalid_request", "too_large", ""}
	}
	fields := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf("&f%d=1", i)
		}
		return s
	}
	if got := send(tokenPath, fields(61), "Content-Type", kind+"; charset=UTF-8")(); got.status != 200 { // 61 and 3 of its own
		t.Fatalf("64 fields: %d %s", got.status, got.raw)
	}
	if got := send(tokenPath, "&&x=&", "Content-Type", kind)(); got.status != 200 {
		t.Fatalf("empty fields: %d %s", got.status, got.raw)
	}
	refuseEach(t, w, []refusalCase{
		bad("JSON", send(tokenPath, "", "Content-Type", "application/json"), "malformed"),
		bad("multipart", send(tokenPath, "", "Content-Type", "multipart/form-data; boundary=x"), "malformed"),
		bad("two media types", send(tokenPath, "", "Content-Type", kind, "Content-Type", kind), "malformed"),
		bad("malformed media type", send(tokenPath, "", "Content-Type", kind+"; ="), "malformed"),
		bad("other charset", send(tokenPath, "", "Content-Type", kind+"; charset=latin1"), "malformed"),
		bad("content coding", send(tokenPath, "", "Content-Encoding", "gzip"), "malformed"),
		bad("query", send(tokenPath+"?grant_type=client_credentials", ""), "query_not_allowed"),
		bad("empty query", send(tokenPath+"?", ""), "query_not_allowed"),
		bad("parameter twice", send(tokenPath, "&scope=a:b&scope=a:b"), "duplicate_parameter"),
		bad("parameter twice, encoded", send(tokenPath, "&scope=a:b&sc%6Fpe=a:b"), "duplicate_parameter"),
		bad("parameter twice, once empty", send(tokenPath, "&grant_type="), "duplicate_parameter"),
		bad("parameter twice, at first empty", send(tokenPath, "&scope=&scope=attorn:a:b"), "duplicate_parameter"),
		bad("unknown parameter twice", send(tokenPath, "&x=1&x=2"), "duplicate_parameter"),
		bad("two resources", send(tokenPath, "&resource="+resource+"&resource="+otherResource), "duplicate_parameter"),
		bad("value not UTF-8", send(tokenPath, "&x=%ff"), "malformed"),
		bad("value overlong", send(tokenPath, "&x=%c0%80"), "malformed"),
		bad("name not UTF-8", send(tokenPath, "&%ff=x"), "malformed"),
		bad("raw bytes", send(tokenPath, "&x=\xff"), "malformed"),
		bad("NUL", send(tokenPath, "&x=a%00b"), "malformed"),
		bad("percent alone", send(tokenPath, "&x=%"), "malformed"),
		bad("percent and no hex", send(tokenPath, "&x=%zz"), "malformed"),
		tooBig("64 KiB", send(tokenPath, "&x="+strings.Repeat("a", 64<<10))),
		tooBig("65 fields", send(tokenPath, fields(62))),
		bad("no grant type", func() answer { return w.post(tokenPath, bot.with()) }, "malformed"),
		{"GET", func() answer { return w.send("GET", tokenPath, "", nil) }, 405, "invalid_request", "malformed", ""},
		{"PUT", func() answer { return w.send("PUT", tokenPath, good(), nil) }, 405, "invalid_request", "malformed", ""},
	})
	var unsupported []refusalCase
	for _, grant := range []string{"password", "implicit", "Client_Credentials", "client_credentials "} {
		unsupported = append(unsupported, refusalCase{grant, func() answer { return bot.ask("grant_type", grant) }, 400, "unsupported_grant_type", "", ""})
	}
	refuseEach(t, w, unsupported)
	if got := w.send("OPTIONS", tokenPath, "", http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}}); got.status != 204 ||
		got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "DPoP") {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
}

// chunked hides its length.
type chunked struct{ *strings.Reader }

func TestBodyOfUnknownLength(t *testing.T) {
	w := start(t, "")
	r, err := http.NewRequest("POST", w.URL+tokenPath, chunked{strings.NewReader("x=" + strings.Repeat("a", 64<<10))})
	w.ok(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}
