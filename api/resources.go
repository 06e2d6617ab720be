package api

import (
	"github.com/go-json-experiment/json/jsontext"
)

// SetResourceType makes or changes a resource type. Text is its file, as types/<name>.yaml in policies that are published.
type SetResourceType struct {
	Text string `json:"text"`
}

// ResourceType is a type of a service's own objects. Path is the file of the live policies that says so: below store/ for one that was made by itself.
type ResourceType struct {
	Name    string         `json:"name"`
	Doc     string         `json:"doc"`
	Source  string         `json:"source"` // stored: attorn keeps its objects; request: whoever asks says what they are like
	Path    string         `json:"path"`
	Parents []string       `json:"parents"`
	Actions []ResourceVerb `json:"actions"`

	Attributes map[string]string `json:"attributes"` // their types; one that may be absent ends in "?"
	Text       string            `json:"text,omitempty"`
}

// ResourceVerb is what is done with objects of a type; Action is its name in policies.
type ResourceVerb struct {
	Name    string            `json:"name"`
	Action  string            `json:"action"`
	Class   string            `json:"class"`
	Doc     string            `json:"doc"`
	Context map[string]string `json:"context"`
}

// Resource is an object of a type whose objects attorn keeps. In attributes a user or agent is an id, and an object of another type its id there.
type Resource struct {
	Type       string                    `json:"type"`
	ID         string                    `json:"id"`
	Parents    []ResourceName            `json:"parents,omitempty"`
	Attributes map[string]jsontext.Value `json:"attributes,omitempty"`
	Principal  string                    `json:"principal,omitempty"` // in answers: the user or agent that it stands for
	Changed    string                    `json:"changed,omitempty"`   // in answers
}

// ResourceName names an object.
type ResourceName struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}
