// Package db opens the one database, SQLite or PostgreSQL, and hands out two capabilities: a Reader for every room, and a Writer that package
// audit alone is given, so that nothing changes state without leaving an event. One SQL text runs on both engines; what differs stands in
// dialect.go.
//
// Tables: schema_version.
package db
