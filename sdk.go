// Package attorn is the Go SDK: an Agent acts with a key of its own under what people lent it, a Client administers a server in a person's name.
// Every request is proved by the key (RFC 9449); no private key ever leaves the process, or its file.
//
// Errors are of package fault and carry the server's code.
package attorn
