package httpsig

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/attorn/attorn/jose"
)

// DirectoryType is the media type of a key directory (draft-meunier-webbotauth-httpsig-directory §7.2), a JWK set.
const DirectoryType = "application/http-message-signatures-directory+json"

// SignDirectory makes the fields that bind a directory's keys to the authority that serves it (draft-meunier-webbotauth-httpsig-directory §5.2): each
// signer, Ed25519, signs the request's @authority and the digest of the body, from created until expires, in seconds. An authority is as RFC 9421
// §2.2.3 normalises it.
func SignDirectory(authority string, body []byte, created, expires int64, by []jose.Signer) (Headers, error) {
	h := Headers{Digest: ContentDigest(body)}
	inputs, signatures := make([]string, len(by)), make([]string, len(by))
	for i, s := range by {
		params := fmt.Sprintf(`("@authority";req "content-digest");created=%d;expires=%d;keyid="%s";alg="ed25519";tag="http-message-signatures-directory"`,
			created, expires, s.Public().Thumbprint())
		sig, err := s.Sign([]byte(`"@authority";req: ` + authority + "\n" + `"content-digest": ` + h.Digest + "\n" + `"@signature-params": ` + params))
		if err != nil {
			return h, err
		}
		inputs[i] = fmt.Sprintf("key%d=%s", i, params)
		signatures[i] = fmt.Sprintf("key%d=:%s:", i, base64.StdEncoding.EncodeToString(sig))
	}
	h.Input, h.Signature = strings.Join(inputs, ", "), strings.Join(signatures, ", ")
	return h, nil
}
