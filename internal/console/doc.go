// Package console is the face for people's browsers: signing in, making a passkey, one page that shows agents, delegations, approvals and events, the
// page on which a person votes, and the explanation of an event.
//
// Owns: no tables. Promises: pages are whole GETs that change nothing; only a POST from our own origin does; a page shows what guard lets its
// reader see; text that came from others is printed as text, with what cannot be seen in it shown as marks; everything comes from this binary.
package console
