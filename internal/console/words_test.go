package console

import (
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
)

func TestWordsOfPermissions(t *testing.T) {
	for permission, want := range map[string]string{
		"*":                         "Do everything that you may do, whatever it is",
		"tool:*":                    "Use every tool, prompt and resource of every server",
		"tool:files:*":              "Use every tool, prompt and resource of files",
		"tool:files:read_file":      "Use the tool read_file of files",
		"tool:files:read*":          "Use tools whose names begin with read of files",
		"tool:*:read_file":          "Use the tool read_file of any server",
		"tool:git*:push":            "Use the tool push of servers whose names begin with git",
		"tool:files:prompts/*":      "Use every prompt of files",
		"tool:files:prompts/sum":    "Use the prompt sum of files",
		"tool:files:prompts/s*":     "Use prompts whose names begin with s of files",
		"tool:files:resources/read": "Read the resources of files",
		"tool:files":                "Use files",
		"tool:files:a:b":            "Use the tool a:b of files",
		"tool":                      "Use every tool, prompt and resource of every server",
		"attorn:*":                  "Manage this server, in everything that you may",
		"attorn:agent:create":       "Manage this server: agent, create",
		"attorn:agent:*":            "Manage this server: agent, any action",
		"repo:acme/web:read":        "Do read with repo acme/web",
		"repo:acme/web:*":           "Do anything with repo acme/web",
		"repo:acme*:read":           "Do read with repo whose name begins with acme",
		"repo:*:read":               "Do read with repo of any name",
		"repo:*":                    "Do anything with every repo",
		"repo:acme:web:read":        "Do read with repo acme:web",
		"deploy":                    "Do deploy",
		"dep*":                      "Do what begins with dep",
		"*:read":                    "Do read with everything",
		"repo:read":                 "Do read with repo",
	} {
		if _, err := delegation.ParsePermission(permission); err != nil {
			t.Errorf("%s: %v", permission, err)
		}
		if got := words(permission); got != want {
			t.Errorf("%s: %q, want %q", permission, got, want)
		}
	}
}

func TestLengthsAreExact(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * time.Second: "1 min 30 s", 8 * time.Hour: "8 h", 24 * time.Hour: "1 day", 7 * 24 * time.Hour: "7 days", 49*time.Hour + time.Second: "2 days 1 h 1 s", time.Second: "1 s",
	} {
		if got := exactly(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestFormTarget(t *testing.T) {
	for redirect, want := range map[string]string{
		"https://notes.example/cb":         "https://notes.example",
		"https://notes.example:8443/cb":    "https://notes.example:8443",
		"http://127.0.0.1:5173/cb":         "http://127.0.0.1:5173",
		"http://[::1]:5173/cb":             "http://*:5173",
		"http://[::1]/cb":                  "",
		"com.example.app:/cb":              "com.example.app:",
		"https://a;script-src *":           "",
		"https://*/cb":                     "",
		"https://a.example; default-src *": "",
		"https://ä.example/":               "",
		"//evil.example":                   "",
		"":                                 "",
	} {
		if got := formTarget(redirect); got != want {
			t.Errorf("%s: %q, want %q", redirect, got, want)
		}
	}
}
