package server

import "context"

// follow hears what ends in the logs for as long as the server answers.
func (s *Server) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.guard.Follow(ctx, s.cfg.Node)
	}()
	s.unfollow = func() {
		cancel()
		<-over
	}
}
