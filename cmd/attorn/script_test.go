package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"attorn": main})
}

// TestScript runs testdata/script/*.txtar against the real binary. Beside the usual commands a script has:
//
//	dev [ARG…]                   starts a server at $URL, on the data of an earlier one; sets $LINK where nobody has signed in yet
//	shutdown, crash              ends it with SIGTERM or SIGKILL; nothing of it may be left running
//	as WHO ARG…                  runs attorn with WHO's own home; it must succeed
//	fails CODE REASON WHO ARG…   the same, but it must exit with CODE for the reason whose code is REASON (- for none), and say what to try
//	begin NAME WHO ARG…          starts it and goes on
//	ends NAME [CODE REASON]      waits for it, and holds it to what `as` and `fails` demand
//	told NAME VAR REGEXP         waits until it has written what matches, and sets VAR to the first group
//	first CODE REASON            waits until one of those begun has ended, whichever it is
//	pending N WHO                waits until exactly N approvals are pending in WHO's eyes; sets $APPROVAL to the newest
//	keep VAR [REGEXP]            sets VAR to what the last command wrote, or to what the first group matches in it
//	mask [REGEXP]                replaces in it what differs each time, and ends it before the first line that matches
//	decodes TYPE                 it must be strict JSON of the API's TYPE
//	upstream                     starts a small MCP server, which speaks HTTP, at $UPSTREAM; its tool says is told a word and says it
//	elsewhere                    starts another organisation's server at $ELSEWHERE, and sets $INVITED to its first sign-in link; or ends the one that runs
//	place                        finds a free place for a service: sets $SERVICE to its URL
//	front                        starts a proxy in front of the server: sets $FRONT to its URL; give the server --url $FRONT --proxy.trusted 127.0.0.1,::1
//	from ADDRESS                 what goes through the proxy comes from this address now
//	guarded KEYFILE SVC [bearer] starts a service there, behind a Verifier, with that key; it says who calls
//	fetch PATH FILE              gets $URL/PATH
//	browser LINK                 opens a one-time sign-in link in a browser
//	submit PATH NAME=VALUE…      sends a form of a page in that browser; the answer is what was written
//	provider USERS [CONFIG]      starts a certified OpenID provider with the users of a file, and puts its issuer for ISSUER into a configuration file;
//	                             or changes the users of the one that runs
//	through USER                 signs in at the server through that provider, in such a browser, and prints where it ends
//	app PATH SCOPE [VERDICT]     asks in that browser, as an app, for SCOPE at $URL/PATH or another address, is answered, and prints the tokens that it collects, or the error;
//	                             with $DETAILS as authorization_details, and $FURTHER if who is named in them may act
//	uses PATH TOOL NAME=VALUE…   calls a tool with the app's token, and prints its answer or why it is refused
//	asks URL                     gets an address with the app's token, and prints the status and the answer
//	hands FILE                   writes the app's token into a file, for whoever it hands it to
//	forgets                      the next app is another one, with a key of the type $APPKEY: Ed25519, P-256, none
//	renews                       brings the refresh token that it was given first
//	platform                     starts a platform that vouches for workloads, at $ISSUER; its keys are in keys.json and bundle.json
//	vouch FILE CLAIM=VALUE…      writes a token of its for $URL; a claim inside another is named a/b
//	describes FILE               serves a file as an app's metadata, at $CLIENT, which it also puts in for CLIENT
//	registers STATUS FILE TOKEN  has an app register itself with a file of metadata, by an invitation unless it is -
//	asserter CONFIG              starts a sign-in provider that asserts of its people, and puts its issuer for ISSUER into a configuration file;
//	asserter ALG                 or has the one that runs assert by its key of ALG: RS256, ES256, EdDSA
//	asserts FILE WHO CLIENT CLAIM=VALUE…  writes such an assertion for $URL; a claim without a value is left out
//	proves                       the next app has a key of its own, by which it authenticates; $CLIENT is its client_id
//	shows FILE                   has that app show the assertion to the token endpoint, and prints the answer
//	flip FILE                    flips one bit in the middle
//
// UPDATE_SCRIPTS=1 writes what is seen into the files that cmp compares it with.
func TestScript(t *testing.T) {
	files, err := filesystemServer()
	if err != nil {
		t.Fatal(err)
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, do := range map[string]func(*stage, []string){
		"dev": (*stage).dev, "shutdown": (*stage).shutdown, "crash": (*stage).crash, "as": (*stage).as, "fails": (*stage).fails, "begin": (*stage).begin, "ends": (*stage).ends, "told": (*stage).told, "first": (*stage).first,
		"pending": (*stage).pending, "keep": (*stage).keep, "mask": (*stage).mask, "decodes": (*stage).decodes, "upstream": (*stage).upstream, "place": (*stage).place, "guarded": (*stage).guarded, "front": (*stage).front, "from": (*stage).from, "fetch": (*stage).fetch, "browser": (*stage).browser, "platform": (*stage).startPlatform, "vouch": (*stage).vouch, "elsewhere": (*stage).elsewhere, "submit": (*stage).submit, "provider": (*stage).provider, "through": (*stage).through, "app": (*stage).app, "renews": (*stage).renews, "uses": (*stage).uses, "asks": (*stage).asks, "forgets": (*stage).forgets, "hands": (*stage).hands, "flip": (*stage).flip,
		"asserter": (*stage).asserter, "asserts": (*stage).asserts, "proves": (*stage).proves, "shows": (*stage).shows,
		"describes": (*stage).describes, "registers": (*stage).registers, "introspects": (*stage).introspects,
	} {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s cannot be negated", name)
			}
			s := ts.Value(stageKey{}).(*stage)
			s.TestScript = ts
			do(s, args)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "", Cmds: cmds,
		Setup: func(e *testscript.Env) error {
			port, err := freePort()
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, "FILES="+files, "REPO="+repo, "PORT="+port, "URL=http://localhost:"+port, "ESC=\x1b", "BIDI=\u202e", "NL=\n", "TAB=\t")
			s := &stage{begun: map[string]*process{}, tb: t}
			e.Values[stageKey{}] = s
			e.Defer(s.clear)
			return nil
		},
	})
}

type stageKey struct{}

// stage is a running script, with what runs beside it.
type stage struct {
	*testscript.TestScript
	server *process
	known  bool // there was a server before, and somebody has signed in
	begun  map[string]*process
	idp    *idp
	web    *http.Client // the browser
	client atomic.Value // the address that the proxy says it was called from
	tb     testing.TB

	program  *program // somebody's app
	platform *attorntest.Platform
	vouched  int
	kid      string            // of the key by which the provider asserts
	kids     map[string]string // of its keys, by algorithm
}

// clear ends what a script that failed has left.
func (s *stage) clear() {
	for _, p := range s.begun {
		p.kill()
	}
	if s.server != nil {
		s.server.kill()
	}
}

func (s *stage) dev(args []string) {
	args = append([]string{"dev", "--listen", "localhost:" + s.Getenv("PORT"), "--data", s.MkAbs("data")}, args...)
	var err error
	s.server, err = start(s.command("server", args))
	s.Check(err)
	_, err = s.server.says("ready in ")
	s.Check(err)
	if !s.known {
		link, err := s.server.says("  sign in   ")
		s.Check(err)
		s.Setenv("LINK", strings.Fields(link)[0])
	}
}

func (s *stage) shutdown([]string) { s.end(syscall.SIGTERM) }

func (s *stage) crash([]string) { s.end(syscall.SIGKILL) }

func (s *stage) end(sig syscall.Signal) {
	p := s.server
	s.server = nil
	s.Check(p.stop(sig, s.Getenv("WORK")))
	if links := strings.Count(p.out.String(), "/signin/link#"); s.known && links != 0 {
		s.Fatalf("it offers a first sign-in again: %s", p.out.String())
	}
	s.known = true
}

// command is attorn as who, in a process of its own.
func (s *stage) command(who string, args []string) *exec.Cmd {
	cmd := exec.Command("attorn", args...)
	cmd.Dir = s.MkAbs(".")
	for _, name := range []string{"PATH", "TMPDIR", "HOME"} {
		cmd.Env = append(cmd.Env, name+"="+s.Getenv(name))
	}
	cmd.Env = append(cmd.Env, "ATTORN_HOME="+s.home(who))
	return cmd
}

func (s *stage) home(who string) string { return filepath.Join(s.MkAbs("home"), who) }

// run runs attorn as who and gives its exit code.
func (s *stage) run(who string, args []string) int {
	s.Setenv("ATTORN_HOME", s.home(who))
	err := s.Exec("attorn", args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	s.Check(err)
	return 0
}

func (s *stage) as(args []string) {
	s.atLeast(args, 2)
	code := s.run(args[0], args[1:])
	s.judge(code, s.ReadFile("stdout"), s.ReadFile("stderr"), "0", "-")
}

func (s *stage) fails(args []string) {
	s.atLeast(args, 4)
	code := s.run(args[2], args[3:])
	s.judge(code, s.ReadFile("stdout"), s.ReadFile("stderr"), args[0], args[1])
}

// tries is what follows the sentence: lines that go on with it, one Try: line, and where to look.
var tries = regexp.MustCompile(`^(  .*\n)*Try: .+\n((Look at it|Why): .*\n)*$`)

// many is how a command about many things ends where some of them were refused.
var many = regexp.MustCompile(`(?m)^[0-9]+ of [0-9]+ agents? were refused \(refused\)$`)

// judge holds a command to its exit code, and to how attorn says that it failed: one sentence with the reason's code, then one Try: line. Nothing
// that it writes moves a cursor or turns text around.
func (s *stage) judge(code int, out, talk, want, reason string) {
	if i := strings.IndexFunc(out+talk, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
		s.Fatalf("what it wrote is not all printable: %q", (out + talk)[i:])
	}
	if strconv.Itoa(code) != want {
		s.Fatalf("it ended with %d, not %s", code, want)
	}
	if code == 0 || code == exitUnverified {
		return
	}
	if i := strings.LastIndex(talk, " …\n"); i >= 0 && strings.HasPrefix(talk[strings.LastIndex(talk[:i], "\n")+1:], "waiting for ") {
		talk = talk[i+len(" …\n"):] // what it said while it waited
	}
	if m := many.FindStringIndex(talk); m != nil {
		talk = talk[m[0]:] // what it said of each of many
	}
	sentence, rest, _ := strings.Cut(talk, "\n")
	switch {
	case reason != "-" && !strings.HasSuffix(sentence, " ("+reason+")"):
		s.Fatalf("it was not refused for %s", reason)
	case sentence == "" || !tries.MatchString(rest):
		s.Fatalf("a refusal is one sentence and one Try: line")
	}
}

func (s *stage) begin(args []string) {
	s.atLeast(args, 3)
	p, err := start(s.command(args[1], args[2:]))
	s.Check(err)
	s.begun[args[0]] = p
}

func (s *stage) ends(args []string) {
	s.atLeast(args, 1)
	p := s.begun[args[0]]
	if !waitFor(p.hasEnded) {
		s.Fatalf("it did not end; so far: %s%s", p.out.String(), p.talk.String())
	}
	delete(s.begun, args[0])
	io.WriteString(s.Stdout(), p.out.String())
	io.WriteString(s.Stderr(), p.talk.String())
	want := append(args[1:], "0", "-")
	s.judge(p.cmd.ProcessState.ExitCode(), p.out.String(), p.talk.String(), want[0], want[1])
}

func (s *stage) told(args []string) {
	s.atLeast(args, 3)
	p, want := s.begun[args[0]], regexp.MustCompile(args[2])
	var found []string
	if !waitFor(func() bool {
		found = want.FindStringSubmatch(p.out.String() + p.talk.String())
		return found != nil || p.hasEnded()
	}) || found == nil {
		s.Fatalf("nothing matches %s: %s%s", args[2], p.out.String(), p.talk.String())
	}
	s.Setenv(args[1], found[1])
}

func (s *stage) first(args []string) {
	name := ""
	if !waitFor(func() bool {
		for n, p := range s.begun {
			if p.hasEnded() {
				name = n
			}
		}
		return name != ""
	}) {
		s.Fatalf("none of %d has ended", len(s.begun))
	}
	s.ends(append([]string{name}, args...))
}

func (s *stage) pending(args []string) {
	s.atLeast(args, 2)
	want, err := strconv.Atoi(args[0])
	s.Check(err)
	var ids []string
	if !waitFor(func() bool {
		for name, p := range s.begun {
			if p.hasEnded() {
				s.Fatalf("%s did not wait: %s%s", name, p.out.String(), p.talk.String())
			}
		}
		out, err := s.command(args[1], []string{"approval", "ls", "-o", "id"}).Output()
		s.Check(err)
		ids = strings.Fields(string(out))
		return len(ids) == want
	}) {
		s.Fatalf("%d approvals are pending: %v", len(ids), ids)
	}
	if want > 0 {
		s.Setenv("APPROVAL", ids[0])
	}
}

func (s *stage) keep(args []string) {
	s.atLeast(args, 1)
	value := strings.TrimSpace(s.ReadFile("stdout"))
	if len(args) > 1 {
		found := regexp.MustCompile(args[1]).FindStringSubmatch(value)
		if found == nil {
			s.Fatalf("nothing matches %s", args[1])
		}
		value = found[1]
	}
	if value == "" {
		s.Fatalf("there is nothing to keep")
	}
	s.Setenv(args[0], value)
}

func (s *stage) mask(args []string) {
	text := masked(s.ReadFile("stdout"))
	if len(args) > 0 {
		at := regexp.MustCompile("(?m)^" + args[0]).FindStringIndex(text)
		if at == nil {
			s.Fatalf("no line begins with %s", args[0])
		}
		text = text[:at[0]]
	}
	io.WriteString(s.Stdout(), text)
}

// shapes are what -o json prints, by name.
var shapes = map[string]func() any{
	"Replayed": func() any { return &api.Replayed{} },
	"Me":       func() any { return &api.Me{} }, "User": func() any { return &api.User{} }, "Users": func() any { return &api.List[api.User]{} },
	"Agent": func() any { return &api.Agent{} }, "Agents": func() any { return &api.List[api.Agent]{} }, "Instances": func() any { return &api.List[api.Instance]{} }, "Line": func() any { return &api.List[api.KeyRecord]{} },
	"Bindings": func() any { return &api.List[api.Binding]{} }, "Permissions": func() any { return &api.List[api.EffectivePermission]{} }, "Bundle": func() any { return &api.Bundle{} }, "Checked": func() any { return &found{} }, "Published": func() any { return &api.Published{} }, "PolicyLog": func() any { return &api.List[api.Publication]{} }, "PolicySchema": func() any { return &api.PolicySchema{} }, "Server": func() any { return &api.Server{} },
	"Servers": func() any { return &api.List[api.Server]{} }, "Tools": func() any { return &api.List[api.Tool]{} }, "Link": func() any { return &delegation.Link{} },
	"Links": func() any { return &[]delegation.Link{} }, "Delegations": func() any { return &[]api.Delegation{} }, "Tree": func() any { return &api.Tree{} }, "Approvals": func() any { return &api.List[api.Approval]{} },
	"Approval": func() any { return &api.Approval{} }, "Events": func() any { return &api.List[api.Event]{} }, "Answer": func() any { return &api.Answer{} },
	"Identity": func() any { return &token.Identity{} }, "UserDetail": func() any { return &api.UserDetail{} }, "AgentDetail": func() any { return &api.AgentDetail{} },
	"PersonKeys": func() any { return &api.List[api.PersonKey]{} },
	"Device":     func() any { return &api.Device{} }, "DeviceMade": func() any { return &api.DeviceMade{} }, "TrustRule": func() any { return &api.TrustRule{} }, "TrustRules": func() any { return &api.List[api.TrustRule]{} }, "TrustTested": func() any { return &api.TrustTested{} },
	"TrustedIssuer": func() any { return &api.TrustedIssuer{} }, "TrustedIssuers": func() any { return &api.List[api.TrustedIssuer]{} },
	"Ended": func() any { return &api.Ended{} }, "Explanation": func() any { return &api.Explanation{} }, "Done": func() any { return &api.Done{} }, "Report": func() any { return &evidence.Report{} },
	"App": func() any { return &api.App{} }, "Apps": func() any { return &api.List[api.ConsentedApp]{} }, "ClientRules": func() any { return &api.List[api.ClientRule]{} }, "AppInvited": func() any { return &api.AppInvited{} },
	"ServerKeys": func() any { return &api.List[api.ServerKey]{} }, "RotatedKey": func() any { return &api.RotatedKey{} },
	"Head": func() any { return &api.Head{} }, "SignedIn": func() any { return &api.SignedIn{} }, "Enrolment": func() any { return &api.Enrolment{} }, "Accounts": func() any { return &accounts{} },
}

func (s *stage) decodes(args []string) {
	s.atLeast(args, 1)
	shape, ok := shapes[args[0]]
	if !ok {
		s.Fatalf("no type %s", args[0])
	}
	s.Check(jose.Decode([]byte(s.ReadFile("stdout")), shape(), jose.Limits{Bytes: 1 << 20}))
}

func (s *stage) upstream([]string) {
	server := mcp.NewServer(&mcp.Implementation{Name: "says", Version: "1"}, nil)
	type told struct {
		Word string `json:"word"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "says"}, func(_ context.Context, _ *mcp.CallToolRequest, in told) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Word}}}, nil, nil
	})
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	s.Defer(h.Close)
	s.Setenv("UPSTREAM", h.URL)
}

func (s *stage) fetch(args []string) {
	s.atLeast(args, 2)
	res, err := http.Get(s.Getenv("URL") + "/" + args[0])
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	if res.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", res.Status, body)
	}
	s.Check(os.WriteFile(s.MkAbs(args[1]), body, 0o600))
}

func (s *stage) flip(args []string) {
	s.atLeast(args, 1)
	s.Check(flipBit(s.MkAbs(args[0])))
}

func (s *stage) atLeast(args []string, n int) {
	if len(args) < n {
		s.Fatalf("there are too few words")
	}
}
