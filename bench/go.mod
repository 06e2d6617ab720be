module github.com/attorn/attorn/bench

go 1.26.0

require (
	github.com/attorn/attorn v0.0.0
	github.com/go-json-experiment/json v1.27.2
)

require (
	github.com/cedar-policy/cedar-go v1.9.0 // indirect
	github.com/dunglas/httpsfv v1.1.2 // indirect
	golang.org/x/exp v0.0.0-20220921023135-46d9e7742f1e // indirect
	golang.org/x/mod v0.42.0 // indirect
)

replace github.com/attorn/attorn => ../
