package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// load sends requests, each once, over as many connections, and demands the expected status and body of every answer: one other answer voids the
// run. Requests are bytes made beforehand, so that the client takes as little of the machine as it can.
func load(address string, connections int, requests [][]byte, status int, check func(n int64, body []byte) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			if err := drive(address, requests, &next, status, check); err != nil {
				failed.CompareAndSwap(nil, &err)
				next.Store(int64(len(requests))) // the others stop, too
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func drive(address string, requests [][]byte, next *atomic.Int64, status int, check func(n int64, body []byte) error) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		n := next.Add(1) - 1
		if n >= int64(len(requests)) {
			return nil
		}
		if _, err := c.Write(requests[n]); err != nil {
			return err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		if res.StatusCode != status {
			return fmt.Errorf("request %d: status %d, body %.300q", n, res.StatusCode, got)
		}
		if err := check(n, got); err != nil {
			return fmt.Errorf("request %d: body %.300q: %w", n, got, err)
		}
	}
}

// exactly demands one body.
func exactly(want string) func(int64, []byte) error {
	return func(_ int64, body []byte) error {
		if string(body) != want {
			return fmt.Errorf("it is not %q", want)
		}
		return nil
	}
}

// wire is a request as it goes over the connection.
func wire(method, path, host string, header map[string]string, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for name, value := range header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	if method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}
