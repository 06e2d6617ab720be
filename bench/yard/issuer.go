package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/attorn/attorn/internal/server"
)

// serve starts the whole product on SQLite in dir, in this process, and prints the sign-in link's secret of its first administrator, "-" where there is one.
func serve(ctx context.Context, dir, url string) (stop func(), err error) {
	address := strings.TrimPrefix(url, "http://localhost:")
	l, err := net.Listen("tcp", "127.0.0.1:"+address)
	if err != nil {
		return nil, err
	}
	s, err := server.Open(ctx, server.Config{Dev: true, URL: url, Listen: l.Addr().String(), Data: dir, Node: "bench"})
	if err != nil {
		return nil, err
	}
	link, err := s.SignInLink(ctx)
	if err != nil {
		return nil, err
	}
	_, secret, _ := strings.Cut(link, "#")
	fmt.Println("link " + secret)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		if err := s.Serve(ctx, l); err != nil {
			log.Print(err)
		}
		close(ended)
	}()
	return func() { cancel(); <-ended; s.Close() }, nil
}
