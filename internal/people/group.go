package people

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Group is a set of people and agents of a workspace, by a name that policies and bindings speak of.
type Group struct {
	Name        string
	Description string
	CreatedAt   time.Time
}

// Member is somebody in a group, because of Source: "" for what an administrator did, else the upstream provider that says so.
type Member struct {
	Member    string // "usr_…" or "agt_…"
	Source    string
	CreatedAt time.Time
}

const (
	maxGroup       = 64 // bytes
	maxDescription = 500
)

// GoodGroup reports whether s can name a group: a lower-case letter or digit, then up to 63 of these, dots, hyphens and underscores. So no two
// groups look alike.
func GoodGroup(s string) bool {
	ok := s != "" && len(s) <= maxGroup
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '-' || c == '_'))
	}
	return ok
}

// CreateGroup makes an empty group. Codes: group_invalid, group_exists.
func (room *Room) CreateGroup(tx *audit.Tx, ws id.Workspace, name, description string) (Group, error) {
	if !GoodGroup(name) {
		return Group{}, fault.New(fault.Invalid, "group_invalid", "the name of a group is 1 to %d of a-z, 0-9 and, but first, dots, hyphens and underscores", maxGroup)
	}
	if len(description) > maxDescription || !utf8.ValidString(description) || strings.ContainsFunc(description, unicode.IsControl) {
		return Group{}, fault.New(fault.Invalid, "group_invalid", "a group's description is one line of at most %d bytes", maxDescription)
	}
	g := Group{name, description, stored(tx.Now())}
	ok, err := insertGroup(tx, ws, g)
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "group_exists", "there is a group %s already", name).Try("see who is in it: attorn group show %s", name)
	}
	return g, err
}

// DeleteGroup ends a group and all memberships of it. What was bound to its name is the caller's to end. Code: not_found.
func (room *Room) DeleteGroup(tx *audit.Tx, ws id.Workspace, name string) error {
	gone, err := deleteGroup(tx, ws, name)
	if err == nil && !gone {
		err = notFound("group")
	}
	return err
}

// AddToGroup makes member, a user or agent of the workspace, which is the caller's to see to, a member by an administrator's word. Codes:
// not_found, already_member.
func (room *Room) AddToGroup(tx *audit.Tx, ws id.Workspace, group, member string) error {
	if err := lockGroup(tx, ws, group); err != nil {
		return err
	}
	ok, err := insertMember(tx, ws, group, member, "")
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "already_member", "%s is in the group %s already", member, group).Try("there is nothing to do")
	}
	return err
}

// RemoveFromGroup ends a membership, whoever said so. Where an upstream provider still claims it, the next sign-in brings it back; the caller tells.
// Code: not_found.
func (room *Room) RemoveFromGroup(tx *audit.Tx, ws id.Workspace, group, member string) error {
	n, err := deleteMember(tx, ws, group, member)
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "%s is not in the group %s", member, group).Try("see who is: attorn group show %s", group)
	}
	return err
}

// SetUpstreamGroups makes the workspace's groups among names the person's groups by provider's word, in place of what it said before. Other
// names are passed over: a claim makes no group. What an administrator or another provider said stays. It changes what decisions rest on, so
// where it changes anything (see UpstreamGroups) its event is user.changed or group.changed with the person in What.User.
func (room *Room) SetUpstreamGroups(tx *audit.Tx, ws id.Workspace, person id.User, provider string, names []string) error {
	if provider == "" {
		return fault.New(fault.Internal, "no_provider", "a membership by an upstream provider names it")
	}
	if _, err := lock(tx, person); err != nil {
		return err
	}
	names = goodGroups(names)
	if err := deleteSource(tx, ws, person.String(), provider); err != nil {
		return err
	}
	for _, name := range names {
		if err := insertClaimed(tx, ws, name, person.String(), provider); err != nil {
			return err
		}
	}
	return nil
}

// maxClaimed bounds how many names of one claim are looked at.
const maxClaimed = 500

// goodGroups are the names that a group can have, each once, sorted: at most maxClaimed.
func goodGroups(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !GoodGroup(s) })
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxClaimed)]
}

// UpstreamGroups lists, sorted, the groups that the person is in by provider's word, and those that names would make of them: SetUpstreamGroups
// changes nothing where the two are equal.
func (room *Room) UpstreamGroups(ctx context.Context, ws id.Workspace, person id.User, provider string, names []string) (has, would []string, err error) {
	if has, err = room.sourced(ctx, ws, person.String(), provider); err != nil {
		return nil, nil, err
	}
	all, err := room.Groups(ctx, ws)
	for _, g := range all {
		if _, ok := slices.BinarySearch(goodGroups(names), g.Name); ok {
			would = append(would, g.Name)
		}
	}
	return has, would, err
}

// Groups lists the workspace's groups by name.
func (room *Room) Groups(ctx context.Context, ws id.Workspace) ([]Group, error) {
	return room.groups(ctx, ws)
}

// Group reads a group with its members, by identifier; somebody who is in it by several sources is there several times. Code: not_found.
func (room *Room) Group(ctx context.Context, ws id.Workspace, name string) (Group, []Member, error) {
	g, err := room.group(ctx, ws, name)
	if err != nil {
		return g, nil, err
	}
	all, err := room.membersOf(ctx, ws, name)
	return g, all, err
}

// GroupsOf lists, sorted, the groups that each of these users and agents is in.
func (room *Room) GroupsOf(ctx context.Context, ws id.Workspace, members ...string) (map[string][]string, error) {
	return room.groupsOf(ctx, ws, members)
}

// GroupsIn is GroupsOf inside a transaction.
func (*Room) GroupsIn(tx *audit.Tx, ws id.Workspace, members ...string) (map[string][]string, error) {
	return grouped(pairs(tx.Rows, ws, "member", members))
}

// MembersIn lists, sorted and each once, who is in a group, inside a transaction.
func (*Room) MembersIn(tx *audit.Tx, ws id.Workspace, group string) ([]string, error) {
	return membersAmong(pairs(tx.Rows, ws, "grp", []string{group}))
}

// InGroups lists, sorted and each once, who is in any of these groups.
func (room *Room) InGroups(ctx context.Context, ws id.Workspace, groups ...string) ([]string, error) {
	return room.inGroups(ctx, ws, groups)
}
