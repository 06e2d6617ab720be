// Package server reads the configuration, wires the rooms, the door and the faces together, and listens. It alone reads environment, flags'
// values and the clock.
package server
