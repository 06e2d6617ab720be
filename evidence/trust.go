package evidence

import (
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	maxTrust     = 64 << 10 // bytes
	maxTrustLogs = 32
)

// ParseTrust reads a trust policy (C2SP tlog-policy): the logs that the verifier trusts. It knows `log <vkey> [<url>]` and `quorum none`; a policy that
// demands witnesses is refused rather than believed to be met. Codes: too_large, trust_invalid, trust_unsupported.
func ParseTrust(text []byte) ([]LogKey, error) {
	if len(text) > maxTrust {
		return nil, fault.New(fault.TooLarge, "too_large", "a trust policy has at most %d bytes, not %d", maxTrust, len(text))
	}
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
			return nil, badTrust(0, "a control character")
		}
	}
	var logs []LogKey
	quorum := false
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch words[0] {
		case "log":
			if len(words) != 2 && len(words) != 3 || len(logs) == maxTrustLogs {
				return nil, badTrust(n, "log <vkey> [<url>], at most 32 of them")
			}
			k, err := ParseVKey(words[1])
			if err != nil {
				return nil, badTrust(n, "not the vkey of an Ed25519 log")
			}
			for _, other := range logs {
				if other.raw == k.raw {
					return nil, badTrust(n, "the same key twice")
				}
			}
			logs = append(logs, k)
		case "quorum":
			if len(words) != 2 || quorum {
				return nil, badTrust(n, "one line: quorum <name>")
			}
			if words[1] != "none" {
				return nil, needsWitnesses(n)
			}
			quorum = true
		case "witness", "group":
			return nil, needsWitnesses(n)
		default:
			return nil, badTrust(n, "a line begins with log, witness, group or quorum")
		}
	}
	if !quorum || len(logs) == 0 {
		return nil, badTrust(n, "it must name a log and a quorum")
	}
	return logs, nil
}

// TrustPolicy is the policy that trusts these logs and asks for no witness.
func TrustPolicy(logs ...LogKey) string {
	var b strings.Builder
	for _, k := range logs {
		b.WriteString("log " + k.String() + "\n")
	}
	b.WriteString("quorum none\n")
	return b.String()
}

func badTrust(line int, reason string) error {
	return fault.New(fault.Invalid, "trust_invalid", "not a trust policy (C2SP tlog-policy), line %d: %s", line, reason)
}

func needsWitnesses(line int) error {
	return fault.New(fault.Invalid, "trust_unsupported", "line %d of the trust policy asks for witnesses, which this verifier does not check yet", line).
		Try("use `quorum none`")
}

// Origin is the name of a log: `<issuer without scheme>/log/<workspace>/<shard>`.
func Origin(issuer string, ws id.Workspace, shard string) string {
	return withoutScheme(issuer) + "/log/" + ws.String() + "/" + shard
}

func withoutScheme(issuer string) string {
	_, rest, ok := strings.Cut(issuer, "://")
	if !ok {
		return issuer
	}
	return strings.TrimSuffix(rest, "/")
}

// splitOrigin is the inverse of Origin.
func splitOrigin(origin string) (server string, ws id.Workspace, ok bool) {
	i := strings.LastIndex(origin, "/log/")
	if i <= 0 {
		return "", ws, false
	}
	workspace, shard, ok := strings.Cut(origin[i+len("/log/"):], "/")
	ws, err := id.ParseWorkspace(workspace)
	return origin[:i], ws, ok && err == nil && shard != "" && !strings.Contains(shard, "/")
}
