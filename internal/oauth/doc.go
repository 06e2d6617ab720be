// Package oauth is the face of the authorization server: one file per endpoint or grant. A frame does what no endpoint may forget (method, size,
// strict form, limits, headers, rendering of refusals); a grant reads what it needs from the form and ends in one call of package guard.
package oauth
