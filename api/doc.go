// Package api holds the bodies of attorn's own HTTP API, its error form, and the route table that the server mounts: an endpoint cannot exist
// without its row. Bodies are strict JSON: an unknown member is refused, lists are [] and never null, times are RFC 3339 in UTC.
package api
