// Package audit keeps the log. Record is the only way to change state: one transaction holds the change, its event, the single-use values it
// spent and the new signed tree head, and Record returns after the commit.
//
// Owns: the log of each workspace, its checkpoints, the values that may be used once, details that can be erased, content by digest.
//
// Promises: an acknowledged event is durable; an event has one place, forever; a change without an event, or an event without its change,
// does not exist; nothing is permitted after what it rests on has ended in the log.
//
// Tables: log, event, mention, tile, detail, content, seen, forgotten, subject_key, follower.
package audit
