package httpsig

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/attorn/attorn/jose"
)

// Record is what to keep of a signed request, so that anybody can check afterwards who signed what: the signature base and the signature, both in
// base64url, with a dot between. It holds the Authorization field.
func (s Signature) Record() string {
	return jose.EncodeBase64(s.Base) + "." + jose.EncodeBase64(s.Bytes)
}

// VerifyRecord is VerifyHead of the request that a record was made of, from the record alone. Method, TargetURI and all other fields of the result are those
// that were signed; that they are those of the act in question is its caller's to compare. Codes: those of VerifyHead.
func VerifyRecord(record string, want Want) (Signature, error) {
	first, second, _ := strings.Cut(record, ".")
	base, err := jose.DecodeBase64(first)
	if err != nil {
		return Signature{}, errRecord()
	}
	sig, err := jose.DecodeBase64(second)
	if err != nil || len(sig) != 64 {
		return Signature{}, errRecord()
	}
	r, params, ok := unfold(base)
	if !ok {
		return Signature{}, errRecord()
	}
	// The request that the base describes, signed with what the base ends with, must have exactly this base.
	item := ":" + base64.StdEncoding.EncodeToString(sig) + ":"
	fields := r.Header
	r.Header = func(name string) []string {
		switch name {
		case "signature-input":
			return []string{label + "=" + params}
		case "signature":
			return []string{label + "=" + item}
		}
		return fields(name)
	}
	s, err := VerifyHead(r, want)
	if err != nil {
		return Signature{}, err
	}
	if !bytes.Equal(s.Base, base) {
		return Signature{}, errRecord()
	}
	return s, nil
}

// unfold reads a signature base back into the request that it describes and the parameters at its end.
func unfold(base []byte) (r Request, params string, ok bool) {
	fields := map[string]string{}
	rest := string(base)
	for {
		line, more, found := strings.Cut(rest, "\n")
		quoted, value, has := strings.Cut(line, ": ")
		name := strings.Trim(quoted, `"`)
		if !has || quoted != `"`+name+`"` {
			return Request{}, "", false
		}
		if name == "@signature-params" {
			params, ok = value, !found
			break
		}
		if !found {
			return Request{}, "", false
		}
		fields[name], rest = value, more
	}
	r = Request{Method: fields["@method"], TargetURI: fields["@target-uri"], Header: func(name string) []string {
		if v, ok := fields[name]; ok {
			return []string{v}
		}
		return nil
	}}
	if _, target := r.target(); !target || len(fields) > maxCovers {
		return Request{}, "", false
	}
	return r, params, ok
}

func errRecord() error {
	return malformed("not the record of a signed request: a signature base and a signature of 64 bytes in base64url, with a dot between")
}
