package oauth

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
)

const (
	maxForm   = 64 << 10 // bytes
	maxFields = 64
)

// form is a request's parameters. One that is empty is not there (RFC 6749 §3.1); one that nobody asks for is ignored.
type form map[string]string

// readBody reads what readForm takes, and one byte of what is too much.
func readBody(r *http.Request) (body []byte, err error) {
	if n := r.ContentLength; 0 <= n && n <= maxForm {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	}
	if err != nil {
		return nil, malformed("the body could not be read")
	}
	return body, nil
}

// readForm reads a body strictly (oauth.md §12): form-urlencoded, at most 64 KiB and 64 fields, in UTF-8, no parameter twice (RFC 6749 §3.2), none
// in the query. Codes: malformed, too_large, duplicate_parameter, query_not_allowed.
func readForm(r *http.Request, body []byte) (form, error) {
	if err := checkForm(r, body); err != nil {
		return nil, err
	}
	return parseForm(string(body))
}

// checkForm holds a request to being a form, of which nothing is in the URL.
func checkForm(r *http.Request, body []byte) error {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return fault.New(fault.Invalid, "query_not_allowed", "the request has parameters in its URL, where they end up in logs").
			Try("send all parameters in the body")
	}
	if err := checkMedia(r.Header); err != nil {
		return err
	}
	if len(body) > maxForm {
		return tooLarge("the body has more than %d bytes", maxForm)
	}
	return nil
}

func checkMedia(h http.Header) error {
	media := malformed("the body is not application/x-www-form-urlencoded, without content coding").
		Try("send the parameters as a form, with one Content-Type: application/x-www-form-urlencoded")
	types := h.Values("Content-Type")
	if len(types) != 1 || len(h.Values("Content-Encoding")) > 0 {
		return media
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return media
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return malformed("the body is not in UTF-8")
	}
	return nil
}

// parseForm is eachField where no parameter may be there twice.
func parseForm(body string) (form, error) {
	f := form{}
	return f, eachField(body, func(name, value string, again bool) error {
		if again {
			return duplicate(name)
		}
		if value != "" {
			f[name] = value
		}
		return nil
	})
}

func duplicate(name string) error {
	return fault.New(fault.Invalid, "duplicate_parameter", "the parameter %s was sent more than once", short(name)).Try("send each parameter once")
}

// eachField reads what the URL standard calls application/x-www-form-urlencoded, but refuses what browsers mend. again says that the name was there before.
func eachField(body string, field func(name, value string, again bool) error) error {
	if strings.Count(body, "&") >= maxFields {
		return tooLarge("the request has more than %d parameters", maxFields)
	}
	seen := make([]string, 0, 8) // of at most maxFields
	for body != "" {
		var one string
		one, body, _ = strings.Cut(body, "&")
		if one == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(one, "=")
		name, errName := url.QueryUnescape(rawName)
		value, errValue := url.QueryUnescape(rawValue)
		if errName != nil || errValue != nil {
			return malformed("the request has a percent sign that two hexadecimal digits do not follow")
		}
		if !text(name) || !text(value) {
			return malformed("a parameter is not text in UTF-8")
		}
		if err := field(name, value, slices.Contains(seen, name)); err != nil {
			return err
		}
		seen = append(seen, name)
	}
	return nil
}

// text is valid UTF-8 without the one character that databases do not store.
func text(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// short is a sender's word, cut to what an error may repeat.
func short(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// need is a parameter that the request must have. Code: malformed.
func (f form) need(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", malformed("the parameter %s is missing", name).Try("send %s", name)
}

func malformed(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "malformed", reason, args...)
}

func tooLarge(reason string, args ...any) *fault.Error {
	return fault.New(fault.TooLarge, "too_large", reason, args...)
}
