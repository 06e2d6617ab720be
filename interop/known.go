package main

// known are the checks that fail, with why: "client: check".
var known = map[string]string{
	"openid-client: a key of the library's default algorithm": "it is ES256; " + es256,
	"typescript-sdk 2, DPoP, ES256: is authorized":            es256,
}

const es256 = "the key of an app's proof becomes an instance of an agent, and those are Ed25519 (docs/divergences.md, RFC 9449 §5)"
