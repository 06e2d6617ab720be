// Package attorntest lets other people's Go tests use attorn for real: software authenticators that answer as a browser would.
package attorntest
