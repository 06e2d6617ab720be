// Package rules keeps what policy decides by: the bundles of policies that were published, which one is live, and who holds which role.
//
// Owns: bundles, the live bundle of each workspace, bindings, what is activated of them, sets of roles that are held apart, and the objects of resource types that
// are kept here.
//
// Promises: a bundle is immutable and named by the digest of its files; what Load returns was compiled from exactly those bytes; the live
// bundle changes at once and whole; nobody replaces a bundle that they have not seen if they say which one they saw.
// A binding gives nothing at or after its end, and an eligible one nothing but while its holder has activated it; a workspace always has an owner without end.
//
// Tables: policy_file, bundle, live_bundle, binding, activation, duty_set, resource, resource_in.
package rules
