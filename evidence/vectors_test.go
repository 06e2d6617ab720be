package evidence_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// input is the in of every case of this package's kinds; op says which members count.
type input struct {
	Op string `json:"op"`

	// calldigest
	Server, Method, Name, Arguments, Definition string

	// disclosure
	Salt, Path, Value, SD, Disclosure string

	// event, proofs
	Body   string
	Bodies []string
	Proof  string
	Old    head1
	Bundle string

	// checkpoint
	Seed, Origin, Root, Signed, VKey, Trust string
	Size                                    int64

	// approval
	Object, Vote, Ballot string
	Keys                 []jose.PublicKey
}

type head1 struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
}

func (h head1) checkpoint() (evidence.Checkpoint, error) {
	root, err := tlog.ParseHash(h.Root)
	return evidence.Checkpoint{Origin: h.Origin, Size: h.Size, Root: root}, err
}

type object = map[string]any

// runners give the ok of a case of each kind, by op.
func runners() map[string]func(input) (any, error) {
	return map[string]func(input) (any, error){
		"calldigest": runCall, "event": runEvent,
		"disclosure/disclose": runDisclose, "disclosure/open": runOpen,
		"checkpoint/sign": runSign, "checkpoint/open": runCheckpoint, "checkpoint/vkey": runVKey, "checkpoint/trust": runTrust,
		"proofs/inclusion": runInclusion, "proofs/consistency": runConsistency, "proofs/frontier": runFrontier, "proofs/tile": runTile, "proofs/bundle": runBundle,
		"approval/approval": runApproval, "approval/vote": runVote, "approval/ballot": runBallot,
	}
}

func TestVectors(t *testing.T) {
	for _, kind := range []string{"calldigest", "event", "disclosure", "checkpoint", "proofs", "approval"} {
		cases, err := vectors.Load(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(kind+"/"+c.ID, func(t *testing.T) {
				var in input
				if err := json.Unmarshal(c.In, &in, json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(true)); err != nil {
					t.Fatal(err)
				}
				name := kind
				if in.Op != "" {
					name += "/" + in.Op
				}
				run, ok := runners()[name]
				if !ok {
					t.Fatalf("no runner for %s", name)
				}
				got, err := run(in)
				compare(t, c.Want, got, err)
			})
		}
	}
}

// compare holds a result to what a case wants, both as JSON.
func compare(t *testing.T, want vectors.Want, got any, err error) {
	t.Helper()
	if want.Error != "" || err != nil {
		if fault.Code(err) != want.Error {
			t.Errorf("%v (%s), want %q", err, fault.Code(err), want.Error)
		}
		return
	}
	b, err := json.Marshal(got, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	w := want.OK.Clone()
	if err := w.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	g := jsontext.Value(b)
	if err := g.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(w), string(g)); d != "" {
		t.Error(d)
	}
}

func runCall(in input) (any, error) {
	c := evidence.Call{Server: in.Server, Method: in.Method, Name: in.Name, Arguments: []byte(in.Arguments)}
	if in.Definition != "" {
		c.Definition = id.MustDigest(in.Definition)
	}
	return evidence.CallDigest(c)
}

func runEvent(in input) (any, error) {
	e, err := evidence.ParseEvent([]byte(in.Body))
	return object{"id": e.ID, "kind": e.Kind, "rev": e.Rev, "leaf": tlog.RecordHash([]byte(in.Body))}, err
}

func runDisclose(in input) (any, error) {
	salt, err := jose.DecodeBase64(in.Salt)
	if err != nil {
		return nil, err
	}
	d, err := evidence.Disclose(evidence.Salt(salt), in.Path, []byte(in.Value))
	return object{"disclosure": string(d), "sd": id.Sum(d)}, err
}

func runOpen(in input) (any, error) {
	v, err := evidence.Sealed{SD: id.MustDigest(in.SD)}.Open([]byte(in.Disclosure), in.Path)
	return string(v), err
}

func runSign(in input) (any, error) {
	seed, err := jose.DecodeBase64(in.Seed)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	k, err := evidence.NewLogSigner(in.Origin, signer)
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(in.Root)
	if err != nil {
		return nil, err
	}
	b, err := evidence.SignCheckpoint(in.Size, root, k)
	return string(b), err
}

func runCheckpoint(in input) (any, error) {
	k, err := evidence.ParseVKey(in.VKey)
	if err != nil {
		return nil, err
	}
	c, err := evidence.OpenCheckpoint([]byte(in.Signed), k)
	return head1{c.Origin, c.Size, c.Root.String()}, err
}

func runVKey(in input) (any, error) {
	k, err := evidence.ParseVKey(in.VKey)
	return k.Name(), err
}

func runTrust(in input) (any, error) {
	logs, err := evidence.ParseTrust([]byte(in.Trust))
	all := []string{}
	for _, k := range logs {
		all = append(all, k.String())
	}
	return all, err
}

func runInclusion(in input) (any, error) {
	k, err := evidence.ParseVKey(in.VKey)
	if err != nil {
		return nil, err
	}
	p, err := evidence.ParseInclusion([]byte(in.Proof))
	if err != nil {
		return nil, err
	}
	c, err := p.Check([]byte(in.Body), k)
	return object{"index": p.Index, "size": c.Size}, err
}

func runConsistency(in input) (any, error) {
	k, err := evidence.ParseVKey(in.VKey)
	if err != nil {
		return nil, err
	}
	old, err := in.Old.checkpoint()
	if err != nil {
		return nil, err
	}
	p, err := evidence.ParseConsistency([]byte(in.Proof))
	if err != nil {
		return nil, err
	}
	c, err := p.Check(old, k)
	return object{"size": c.Size}, err
}

func runFrontier(in input) (any, error) {
	var f evidence.Frontier
	for _, b := range in.Bodies {
		f.Append(tlog.RecordHash([]byte(b)))
	}
	return object{"root": f.Root(), "frontier": base64.StdEncoding.EncodeToString(f.Bytes())}, nil
}

func runTile(in input) (any, error) {
	tile, err := evidence.ParseTilePath(in.Path)
	return []int64{int64(tile.L), tile.N, int64(tile.W)}, err
}

func runBundle(in input) (any, error) {
	b, err := base64.StdEncoding.DecodeString(in.Bundle)
	if err != nil {
		return nil, err
	}
	bodies, err := evidence.ParseBundle(b)
	all := []string{}
	for _, b := range bodies {
		all = append(all, string(b))
	}
	return all, err
}

func runApproval(in input) (any, error) {
	a, err := evidence.ParseApproval([]byte(in.Object))
	if err != nil {
		return nil, err
	}
	return a.Digest()
}

func runVote(in input) (any, error) {
	v, err := evidence.ParseVote([]byte(in.Vote))
	if err != nil {
		return nil, err
	}
	return v.Challenge()
}

func runBallot(in input) (any, error) {
	b, err := evidence.ParseBallot(in.Ballot)
	if err != nil {
		return nil, err
	}
	err = b.Verify(func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range in.Keys {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	})
	return object{"voter": b.Vote.Voter, "vote": b.Vote.Vote, "rev": b.Rev, "key": b.Key.JWK.Thumbprint()}, err
}
