package delegation

import (
	"bytes"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// TypeFile is the type of a File.
const TypeFile = "attorn-chain"

const (
	maxFile = 256 << 10 // bytes
	maxKeys = 32        // of the issuer, in a file
)

// A File is a portable chain as people keep it and hand it on: a JSON object {"type":"attorn-chain","links":[…],"keys":[…]}. Links are in compact form, the root
// first. Keys are those that the issuer published when the file was made, as JWKs: they save a verifier from fetching them, and prove nothing by being there. Whoever
// verifies names those that they trust (Trusting).
type File struct {
	Type  string           `json:"type"`
	Links []Link           `json:"links"`
	Keys  []jose.PublicKey `json:"keys,omitempty"`
}

// ParseFile reads a File, or an array of links alone. No signature is verified yet. Codes: too_large, malformed, file_type, chain_broken (none or more than 8
// links), and those of ParseLink and jose.ParseJWK.
func ParseFile(raw []byte) (File, error) {
	f := File{Type: TypeFile}
	limits := jose.Limits{Bytes: maxFile}
	var err error
	if first := bytes.TrimLeft(raw, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		err = jose.Decode(raw, &f.Links, limits)
	} else {
		f.Type = ""
		err = jose.Decode(raw, &f, limits)
	}
	switch {
	case err != nil:
		return File{}, err
	case f.Type != TypeFile:
		return File{}, fault.New(fault.Invalid, "file_type", "the file is no chain of delegations: its type is not %s", TypeFile).Try("make one: attorn delegation export")
	case len(f.Links) == 0 || len(f.Links) > MaxLinks:
		return File{}, fault.New(fault.Invalid, "chain_broken", "a chain has 1 to %d links, not %d", MaxLinks, len(f.Links))
	case len(f.Keys) > maxKeys:
		return File{}, fault.New(fault.Invalid, "malformed", "a file has at most %d keys, not %d", maxKeys, len(f.Keys))
	}
	return f, nil
}

// Bytes is the file: RFC 8785, with a new line at the end.
func (f File) Bytes() ([]byte, error) {
	f.Type = TypeFile
	b, err := jose.Canonical(f)
	return append(b, '\n'), err
}

// Trusting finds those of the file's own keys whose thumbprints are among trusted: for VerifyChain, by somebody who knows the thumbprints alone.
func (f File) Trusting(trusted ...id.Key) func(kid id.Key) (jose.PublicKey, bool) {
	return func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range f.Keys {
			if k.Thumbprint() == kid && slices.Contains(trusted, kid) {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	}
}
