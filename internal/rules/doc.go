// Package rules keeps what policy decides by: the bundles of policies that were published, which one is live, and who holds which role.
//
// Owns: bundles, the live bundle of each workspace, bindings, and the objects of resource types that are kept here.
//
// Promises: a bundle is immutable and named by the digest of its files; what Load returns was compiled from exactly those bytes; the live
// bundle changes at once and whole; nobody replaces a bundle that they have not seen if they say which one they saw.
//
// Tables: policy_file, bundle, live_bundle, binding, resource, resource_in.
package rules
