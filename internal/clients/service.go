package clients

import (
	"context"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Service is a resource server. It authenticates with private_key_jwt by its key (RFC 7523 §2.2).
type Service struct {
	ID        id.Service // its client_id
	Workspace id.Workspace
	Name      string
	Resource  string // its identifier (RFC 8707), the audience of tokens for it
	Prefix    string // tokens for it carry only permissions that begin so: "repo:acme"
	Key       jose.PublicKey
	CreatedAt time.Time
}

// Pattern covers the permissions that tokens for the service may carry: its prefix and whatever follows.
func (s Service) Pattern() (delegation.Pattern, error) {
	return delegation.ParsePermission(s.Prefix + ":*")
}

// NewService is what Register needs.
type NewService struct {
	ID        id.Service // zero: Register makes one
	Workspace id.Workspace
	Name      string // [a-z0-9][a-z0-9._-]{0,63}, unique in the workspace
	Resource  string // see CheckResource; unique in the server
	Prefix    string // a permission without "*"
	Key       jose.PublicKey
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Register stores a new service. That its resource is not one of the server's own is the caller's to check. Codes: service_invalid,
// resource_invalid, permission_invalid, name_taken, resource_taken.
func (room *Room) Register(tx *audit.Tx, n NewService) (Service, error) {
	switch {
	case n.Workspace.IsZero() || n.Key.IsZero():
		return Service{}, invalid("a service belongs to a workspace and has a public key")
	case !nameForm.MatchString(n.Name), len(n.Name) == len("svc_")+26 && n.Name[3] == '_':
		return Service{}, invalid("a service's name begins with a letter or digit and has letters a-z, digits, dots, underscores and hyphens, 64 at most; " +
			"it does not look like an identifier")
	}
	if err := CheckResource(n.Resource); err != nil {
		return Service{}, err
	}
	s := Service{n.ID, n.Workspace, n.Name, n.Resource, n.Prefix, n.Key, time.UnixMicro(tx.Now().UnixMicro())}
	if s.ID.IsZero() {
		s.ID = id.New[id.Service](tx.Now())
	}
	if p, err := delegation.ParsePermission(n.Prefix); err != nil {
		return Service{}, err
	} else if !p.Concrete() {
		return Service{}, invalid("a service's prefix has no *: what follows it is meant anyway")
	}
	if _, err := s.Pattern(); err != nil { // one segment more than the prefix
		return Service{}, err
	}
	if ok, err := insert(tx, s); err != nil {
		return Service{}, err
	} else if !ok {
		return Service{}, taken(tx, s)
	}
	return s, nil
}

// Remove ends the service: its id means nothing any more, and its name and resource are free again. It returns what it was. Code: not_found.
func (room *Room) Remove(tx *audit.Tx, ws id.Workspace, service id.Service) (Service, error) {
	return remove(tx, ws, service)
}

// Client reads the service that claims to be this client, before its key proves it; its workspace is then the caller's. Code: not_found.
func (room *Room) Client(ctx context.Context, service id.Service) (Service, error) {
	return room.client(ctx, service)
}

// Service reads a service of the workspace. Code: not_found.
func (room *Room) Service(ctx context.Context, ws id.Workspace, service id.Service) (Service, error) {
	return room.byID(ctx, ws, service)
}

// Find reads the service whose id or name text is. Code: not_found.
func (room *Room) Find(ctx context.Context, ws id.Workspace, text string) (Service, error) {
	if service, err := id.Parse[id.Service](text); err == nil { // no name has this form
		return room.byID(ctx, ws, service)
	}
	if !nameForm.MatchString(text) { // nor reaches the database, which may choke on its bytes
		return Service{}, notFound()
	}
	return room.byName(ctx, ws, text)
}

// ByResource reads the workspace's service with exactly this resource. Code: not_found.
func (room *Room) ByResource(ctx context.Context, ws id.Workspace, resource string) (Service, error) {
	if CheckResource(resource) != nil {
		return Service{}, notFound()
	}
	return room.byResource(ctx, ws, resource)
}

// List reads the workspace's services in the order of their ids, which is that of their registration: those after the given one (zero: from
// the first), at most limit and never more than 200; a limit outside 1 to 200 means 200.
func (room *Room) List(ctx context.Context, ws id.Workspace, after id.Service, limit int) ([]Service, error) {
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	return room.list(ctx, ws, after, limit)
}

const maxResource = 255 // bytes

var (
	dnsForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	portForm = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
)

// CheckResource says whether s may identify a resource (RFC 8707 §2): an absolute https URL, or http on a loopback host, without user info,
// query and fragment, in the one form that can be compared byte for byte: printable ASCII, lower-case scheme and host, no default port, no
// dot segments. Code: resource_invalid.
func CheckResource(s string) error {
	bad := func(reason string) error {
		return fault.New(fault.Invalid, "resource_invalid", "this cannot be a resource: %s", reason).Try("give an address like https://api.example.com/v1")
	}
	if s == "" || len(s) > maxResource || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return bad("it has 1 to 255 printable ASCII characters, no space and no backslash")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return bad("it is not an absolute URL")
	}
	host, port := u.Hostname(), u.Port()
	ip, notIP := netip.ParseAddr(host)
	switch {
	case strings.ContainsAny(s, "?#@"):
		return bad("it has user info, a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("it is not https")
	case notIP != nil && !dnsForm.MatchString(host), notIP == nil && host != ip.WithZone("").String():
		return bad("its host is neither a name in lower case nor an IP address in its usual form")
	case u.Scheme == "http" && host != "localhost" && (notIP != nil || !ip.IsLoopback()):
		return bad("http is for loopback hosts alone; use https")
	case strings.HasSuffix(u.Host, ":"), port != "" && (!portForm.MatchString(port) || len(port) == 5 && port > "65535"),
		u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return bad("its port is empty, the default one or out of range")
	case u.String() != s, u.Path != "" && u.Path != "/" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/"):
		return bad("its path is not in its normal form")
	}
	return nil
}

func invalid(reason string) error { return fault.New(fault.Invalid, "service_invalid", "%s", reason) }

// notFound says the same of what does not exist and of what is in another workspace.
func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no such service in this workspace").Try("see what there is: attorn service ls")
}
