package attorn

import (
	"net/http"
	"strings"
)

// challenged is the error of the DPoP challenge of a 401, "" where it has none (RFC 9449 §7.1, §9). Other schemes and parameters are passed over.
func challenged(res *http.Response) string {
	if res.StatusCode != http.StatusUnauthorized {
		return ""
	}
	for _, line := range res.Header.Values("WWW-Authenticate") {
		scheme := ""
		for part := range elements(line) {
			// A scheme stands before the first of its parameters, with nothing but space between (RFC 9110 §11.6.1).
			if name, rest, found := strings.Cut(part, " "); !strings.ContainsAny(name, `="`) && !strings.HasPrefix(strings.TrimLeft(rest, " "), "=") {
				scheme, part = name, rest
				if !found {
					continue
				}
			}
			name, value, _ := strings.Cut(part, "=")
			if strings.EqualFold(scheme, "DPoP") && strings.EqualFold(strings.TrimSpace(name), "error") {
				return unquoted(strings.TrimSpace(value))
			}
		}
	}
	return ""
}

// elements yields what commas separate outside quotation marks (RFC 9110 §5.6.1), without the space around it.
func elements(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		quoted, from := false, 0
		for i := 0; i <= len(line); i++ {
			switch {
			case i == len(line) || line[i] == ',' && !quoted:
				if part := strings.TrimSpace(line[from:i]); part != "" && !yield(part) {
					return
				}
				from = i + 1
			case line[i] == '"':
				quoted = !quoted
			case line[i] == '\\' && quoted && i+1 < len(line):
				i++
			}
		}
	}
}

// unquoted is the text of a token or a quoted string (RFC 9110 §5.6.4).
func unquoted(s string) string {
	inner, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(inner) && inner[i] != '"'; i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}
