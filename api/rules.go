package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// PolicyFile is one Cedar source.
type PolicyFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// NewServer registers an MCP server: by URL, or by a command that attorn runs.
type NewServer struct {
	Name         string            `json:"name"`
	URL          string            `json:"url,omitempty"`
	AllowPrivate bool              `json:"allow_private,omitempty"`
	Command      []string          `json:"command,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	Environment  string            `json:"environment,omitempty"` // where it runs, as scopes of roles name it
}

// Server is an MCP server behind the gateway. Resource is its URL there, and the audience of tokens for it.
type Server struct {
	Name        string   `json:"name"`
	Transport   string   `json:"transport"`
	Resource    string   `json:"resource"`
	URL         string   `json:"url,omitempty"`
	Command     []string `json:"command,omitempty"`
	Environment string   `json:"environment,omitempty"` // where it runs, as scopes of roles and policies name it
	Era         string   `json:"era"`
	Status      string   `json:"status"`
	Suspended   bool     `json:"suspended,omitempty"` // nobody may call its tools for now
	Created     string   `json:"created"`
	Tools       []Tool   `json:"tools,omitempty"` // in the answer that added it
}

// Tool is a pinned definition.
type Tool struct {
	Server     string    `json:"server"`
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Permission string    `json:"permission"`
	Pin        id.Digest `json:"pin,omitzero"`
	SeenPin    id.Digest `json:"seen_pin,omitzero"`
	Class      string    `json:"class"`
	Status     string    `json:"status"`
	Suspended  bool      `json:"suspended,omitempty"` // nobody may call it for now

	OpenArguments bool `json:"open_arguments,omitempty"` // it takes arguments that its definition does not declare, which no policy sees
}

// Pin accepts a tool's definition by the pin that was shown.
type Pin struct {
	Pin   id.Digest `json:"pin"`
	Class string    `json:"class"`

	OpenArguments bool `json:"open_arguments,omitempty"` // let it take arguments that the definition does not declare, which no policy sees
}

// NewService registers a resource server.
type NewService struct {
	Name     string         `json:"name"`
	Resource string         `json:"resource"`
	Prefix   string         `json:"prefix"`
	JWK      jose.PublicKey `json:"jwk"`
}

// Service is a resource server; its id is its client_id.
type Service struct {
	ID       id.Service `json:"id"`
	Name     string     `json:"name"`
	Resource string     `json:"resource"`
	Prefix   string     `json:"prefix"`
	Key      id.Key     `json:"key"`
}
