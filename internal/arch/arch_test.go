package arch_test

import (
	_ "embed"
	"os"
	"testing"

	"github.com/attorn/attorn/internal/arch"
)

//go:embed arch.txt
var policy string

func TestEveryLineKeepsToItsRoom(t *testing.T) {
	p, err := arch.Parse(policy)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	found, err := arch.Links(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}
