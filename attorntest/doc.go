// Package attorntest lets other people's Go tests use attorn for real: the whole product beside the test, people and agents in it, and software authenticators
// that answer as a browser would.
package attorntest
