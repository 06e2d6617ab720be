package attorn

import (
	"net/http"
	"testing"
)

// A challenge is read by its scheme and its parameters, however many stand in a line (RFC 9110 §11.6.1), and what is not known is passed over (RFC 9449 §7.1).
func TestChallenged(t *testing.T) {
	for line, want := range map[string]string{
		`DPoP error="use_dpop_nonce"`: "use_dpop_nonce",
		`DPoP algs="ES256 PS256", error="use_dpop_nonce", error_description="a nonce"`: "use_dpop_nonce",
		`dpop Error=use_dpop_nonce`:    "use_dpop_nonce",
		`DPoP error = "invalid_token"`: "invalid_token",
		`Bearer error="invalid_token", DPoP algs="EdDSA", error="use_dpop_nonce"`:             "use_dpop_nonce",
		`Bearer, DPoP error="use_dpop_nonce", Negotiate abc==`:                                "use_dpop_nonce",
		`DPoP last_error="use_dpop_nonce", error="invalid_token"`:                             "invalid_token",
		`DPoP error_description="error=\"use_dpop_nonce\", DPoP error=\"x", error="replayed"`: "replayed",
		`DPoP realm="a, Bearer b", error="invalid_token"`:                                     "invalid_token",
		`DPoP error="use\_dpop\_nonce"`:                                                       "use_dpop_nonce",
		`DPoP algs="EdDSA"`:                                                                   "",
		`DPoP`:                                                                                "",
		`Bearer error="invalid_token"`:                                                        "",
		`DPoP realm="x", Bearer error="use_dpop_nonce"`:                                       "",
		`Negotiate abc=, error="use_dpop_nonce"`:                                              "",
		`error="use_dpop_nonce"`:                                                              "",
		`DPoP error="unended`:                                                                 "unended",
		`DPoP error="x\`:                                                                      `x\`,
		` ,, ,`:                                                                               "", ``: "", `=`: "", `"`: "",
	} {
		res := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {`Basic realm="here"`, line}}}
		if got := challenged(res); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
		res.StatusCode = http.StatusBadRequest
		if got := challenged(res); got != "" {
			t.Errorf("%s, of a 400: %q", line, got)
		}
	}
}

func FuzzChallenged(f *testing.F) {
	f.Add(`DPoP algs="ES256", error="use_dpop_nonce", Bearer`)
	f.Add(`"\",=`)
	f.Fuzz(func(_ *testing.T, line string) {
		challenged(&http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {line}}})
	})
}
