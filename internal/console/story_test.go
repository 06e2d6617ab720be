package console_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

const rulesOfTheStory = `
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
@id("prod") @approve("1 of release-manager") @reason("Production needs a release manager.")
forbid (principal, action == Action::"tool:files:write_file", resource) when { context.args.path like "production/*" };
@id("never") @reason("Nobody wipes.") forbid (principal, action == Action::"tool:files:wipe", resource);
`

// story is Priya, who lends; Maya, a release manager; release-bot and deployer; and a call that waits for Maya.
type story struct {
	*rig
	priya, maya   *person
	bot, deployer *bot
	root, leaf    *delegation.Link
	asked         id.Approval
}

const theCall = `{"path":"production/app.yaml","content":"image: api-gateway:2.14.0\nreplicas: 4\n"}`

func prefix(s string) delegation.Constraint { return delegation.Constraint{Prefix: &s} }

func newStory(t testing.TB, more ...func(*story)) *story {
	t.Helper()
	s := &story{rig: newRig(t)}
	s.priya = s.firstOwner("Priya Nair")
	s.pass(time.Second)
	s.maya = s.priya.invite("Maya Chen", "release-manager")
	s.priya.addFiles(rulesOfTheStory)
	s.bot = s.priya.register("release-bot", "")
	s.pass(time.Second)
	s.deployer = s.priya.register("deployer", "")
	s.pass(time.Minute)
	s.root = s.priya.lend(s.bot, terms{depth: 2, ttl: 2 * time.Hour, task: "REL-481", purpose: "ship 2.14"},
		delegation.Permission{Permission: "tool:files:read_file"},
		delegation.Permission{Permission: "tool:files:write_file"},
		delegation.Permission{Permission: "tool:files:wipe"})
	s.pass(time.Second)
	s.leaf = s.bot.lend(s.deployer, s.root, terms{uses: 10, ttl: time.Hour, task: "REL-481"},
		delegation.Permission{Permission: "tool:files:write_file", Where: map[string]delegation.Constraint{"path": prefix("production/")}})
	s.pass(time.Minute)
	for _, f := range more {
		f(s)
	}
	s.asked = s.ask(theCall)
	s.pass(2 * time.Minute)
	return s
}

// ask makes a call that must be approved.
func (s *story) ask(args string) id.Approval {
	s.t.Helper()
	s.pass(time.Second) // ids of one moment have no order
	v := s.deployer.call(s.leaf, "write_file", args)
	if v.Outcome != evidence.Ask || v.Approval == nil {
		s.t.Fatalf("the call: %+v", v)
	}
	return v.Approval.ID
}
