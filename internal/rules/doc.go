// Package rules keeps what policy decides by: the bundles of policies that were published, which one is live, and who holds which role.
//
// Owns: bundles, the live bundle of each workspace, bindings.
//
// Promises: a bundle is immutable and named by the digest of its files; what Load returns was compiled from exactly those bytes; the live
// bundle changes at once and whole; nobody replaces a bundle that they have not seen if they say which one they saw.
//
// Tables: policy_file, bundle, live_bundle, binding.
package rules
