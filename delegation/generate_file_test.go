package delegation_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// A case of kind "file" reads a file, a text, and verifies its chain with those of its keys that are trusted, or with the keys beside it; ok is the number of links.
type fileCase struct {
	File  string           `json:"file"`
	Trust []id.Key         `json:"trust,omitzero"`
	Keys  []jose.PublicKey `json:"keys,omitzero"`
}

func TestVectorsFile(t *testing.T) {
	run(t, "file", func(in fileCase) (int, error) {
		f, err := delegation.ParseFile([]byte(in.File))
		if err != nil {
			return 0, err
		}
		find := f.Trusting(in.Trust...)
		if in.Keys != nil {
			find = delegation.File{Keys: in.Keys}.Trusting(in.Keys[0].Thumbprint())
		}
		return len(f.Links), delegation.VerifyChain(f.Links, find)
	})
}

func fileCases(t *testing.T) (all []wanted) {
	server, other := signer("server").Public(), signer("another server").Public()
	trusted := []id.Key{server.Thumbprint()}
	text := func(f delegation.File) string { return string(must(f.Bytes())) }
	add := func(id, comment, file string, trust []id.Key, keys []jose.PublicKey, want any) {
		all = append(all, wanted{"file-" + id, comment, fileCase{file, trust, keys}, want})
	}
	whole := delegation.File{Links: chain(t, 3), Keys: []jose.PublicKey{server}}
	bare := delegation.File{Links: whole.Links}
	array := string(must(json.Marshal(links(whole.Links...))))
	add("whole", "a chain with the server's key", text(whole), trusted, nil, ok(3))
	add("keys-beside", "the keys come from elsewhere", text(bare), nil, []jose.PublicKey{server}, ok(3))
	add("array", "an array of links", array, nil, []jose.PublicKey{server}, ok(3))
	add("array-space", "white space before the array", "\n "+array, nil, []jose.PublicKey{server}, ok(3))
	add("two-keys", "more keys than one", text(delegation.File{Links: whole.Links, Keys: []jose.PublicKey{other, server}}), trusted, nil, ok(3))

	add("own-keys", "nobody is trusted: that a key is in the file proves nothing", text(whole), []id.Key{}, nil, refused("key_unknown"))
	add("other-trust", "somebody else is trusted", text(whole), []id.Key{other.Thumbprint()}, nil, refused("key_unknown"))
	add("other-key", "the key of another server stands in the file", text(delegation.File{Links: whole.Links, Keys: []jose.PublicKey{other}}), trusted, nil, refused("key_unknown"))
	add("no-keys", "no keys", text(bare), trusted, nil, refused("key_unknown"))
	add("array-no-keys", "an array has no keys", array, trusted, nil, refused("key_unknown"))
	add("order", "out of order", text(delegation.File{Links: []delegation.Link{whole.Links[1], whole.Links[0]}, Keys: whole.Keys}), trusted, nil, refused("chain_broken"))
	add("none", "no link", `{"links":[],"type":"attorn-chain"}`, trusted, nil, refused("chain_broken"))
	add("array-none", "an empty array", `[]`, trusted, nil, refused("chain_broken"))
	add("nine", "one link too many", text(delegation.File{Links: chain(t, 9), Keys: whole.Keys}), trusted, nil, refused("chain_broken"))
	add("no-type", "no type", strings.Replace(text(whole), `,"type":"attorn-chain"`, "", 1), trusted, nil, refused("file_type"))
	add("type", "another type", strings.Replace(text(whole), `"attorn-chain"`, `"attorn-pack"`, 1), trusted, nil, refused("file_type"))
	add("unknown", "an unknown member", strings.Replace(text(whole), `{`, `{"issuer":"https://attorn.example",`, 1), trusted, nil, refused("malformed"))
	add("twice", "a member twice", strings.Replace(text(whole), `{`, `{"type":"attorn-chain",`, 1), trusted, nil, refused("malformed"))
	add("text", "no JSON", "chain", trusted, nil, refused("malformed"))
	add("empty", "no bytes", "", trusted, nil, refused("malformed"))
	add("large", "more than 256 KiB", "["+strings.Repeat(" ", 256<<10)+"]", trusted, nil, refused("too_large"))
	return all
}

// Whatever ParseFile reads it writes so that it reads the same.
func FuzzParseFile(f *testing.F) {
	seeds(f, "file", func(in fileCase) { f.Add([]byte(in.File)) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := delegation.ParseFile(raw)
		if err != nil {
			coded(t, err)
			return
		}
		b, err := file.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := delegation.ParseFile(b)
		if err != nil || len(again.Links) != len(file.Links) || len(again.Keys) != len(file.Keys) {
			t.Errorf("%q is read and not read again: %v", raw, err)
		}
	})
}
