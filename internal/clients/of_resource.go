package clients

import "context"

// OfResource reads the service that a resource is of, in whichever workspace it is: a token is asked for by the resource alone. Code: not_found.
func (room *Room) OfResource(ctx context.Context, resource string) (Service, error) {
	if CheckResource(resource) != nil { // nor does it reach the database, which may choke on its bytes
		return Service{}, notFound()
	}
	return scan(room.r.Row(ctx, `SELECT `+columns+` FROM service_client WHERE resource = $1`, resource))
}
