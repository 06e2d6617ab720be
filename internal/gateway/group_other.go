//go:build !unix

package gateway

import (
	"os"
	"os/exec"
)

// There are no process groups: only the child itself can be ended.

func ownGroup(*exec.Cmd) {}

func terminate(p *os.Process) { kill(p) }

func kill(p *os.Process) { _ = p.Kill() } // already gone: nothing to do
