package main

import "strings"

// elsewhere starts the other server, or ends the one that runs.
func (s *stage) elsewhere([]string) {
	if p := s.begun["elsewhere"]; p != nil {
		p.kill()
		delete(s.begun, "elsewhere")
		return
	}
	port, err := freePort()
	s.Check(err)
	p, err := start(s.command("elsewhere", []string{"dev", "--listen", "localhost:" + port, "--data", s.MkAbs("elsewhere")}))
	s.Check(err)
	s.begun["elsewhere"] = p
	_, err = p.says("ready in ")
	s.Check(err)
	link, err := p.says("  sign in   ")
	s.Check(err)
	s.Setenv("INVITED", strings.Fields(link)[0])
	s.Setenv("ELSEWHERE", "http://localhost:"+port)
}
