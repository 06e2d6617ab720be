package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// server is the measured process, and the issuer whose keys it reads.
type server struct {
	*maker
	address string
	port    int
	cmd     *exec.Cmd
	issuer  *http.Server
	issuing *issuer // the product, where a scenario measures it
	begun   usage
}

// start starts both on free ports of loopback.
func start(ctx context.Context, yard, profile string, product *product) (*server, error) {
	issuer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: free.Addr().String(), port: free.Addr().(*net.TCPAddr).Port}
	free.Close()
	if s.maker, err = newMaker("http://"+issuer.Addr().String(), "http://"+s.address); err != nil {
		return nil, err
	}
	s.issuer = &http.Server{Handler: s.documents()}
	go s.issuer.Serve(issuer)
	args := []string{"-issuer", s.maker.issuer, "-resource", s.resource, "-listen", s.address, "-cpuprofile", profile}
	if product != nil {
		args = append(args, "-attorn", product.url, "-data", product.dir, "-delegations", strconv.Itoa(product.delegations))
	}
	s.cmd = exec.CommandContext(ctx, yard, args...)
	s.cmd.Stderr = os.Stderr
	said, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	secret := ""
	for lines := bufio.NewReader(said); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			s.stop()
			return nil, fmt.Errorf("the measured server did not start: %q, %w", line, err)
		}
		if line == "ready\n" {
			break
		}
		if after, ok := strings.CutPrefix(line, "link "); ok {
			secret = strings.TrimSpace(after)
		}
	}
	if product != nil {
		if s.issuing, err = product.prepare(ctx, secret); err != nil {
			s.stop()
			return nil, err
		}
	}
	if res, err := http.Post(s.resource+"/profile", "", nil); err != nil {
		s.stop()
		return nil, err
	} else {
		res.Body.Close()
	}
	if s.begun, err = usageOf(s.cmd.Process.Pid); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
	s.issuer.Close()
}

// check sees to it that what is measured is what was started, and that it is what answers.
func (s *server) check() (usage, error) {
	u, err := usageOf(s.cmd.Process.Pid)
	if err != nil {
		return u, err
	}
	if u.start != s.begun.start {
		return u, fmt.Errorf("process %d is another one than was started", s.cmd.Process.Pid)
	}
	ports := []int{s.port}
	if s.issuing != nil {
		ports = append(ports, s.issuing.port)
	}
	for _, port := range ports {
		if ok, err := listens(s.cmd.Process.Pid, port); err != nil {
			return u, err
		} else if !ok {
			return u, fmt.Errorf("process %d does not listen on port %d: the load went elsewhere", s.cmd.Process.Pid, port)
		}
	}
	return u, nil
}

// costs is the CPU per request of every scenario, in clock ticks, for each repeat. The order rotates, so that none is always first.
func (s *server) costs(ctx context.Context, names []string, p plan) ([]map[string]float64, error) {
	size := map[string]int{}
	for _, name := range names { // find out how many requests it takes, which warms up as well
		size[name] = 2000
		for {
			ticks, err := s.run(ctx, name, size[name], p.callers)
			if err != nil {
				return nil, err
			}
			if ticks >= p.ticks {
				break
			}
			size[name] = min(size[name]*4, int(float64(size[name])*float64(p.ticks)*1.3/float64(max(ticks, 1)))+1000)
		}
	}
	var all []map[string]float64
	for n := range p.repeats {
		cost := map[string]float64{}
		for i := range names {
			name := names[(i+n)%len(names)]
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			for {
				ticks, err := s.run(ctx, name, size[name], p.callers)
				if err != nil {
					return nil, err
				}
				if ticks < p.ticks {
					size[name] += size[name] / 4
					continue
				}
				cost[name] = float64(ticks) / float64(size[name])
				break
			}
			fmt.Fprintf(os.Stderr, "\r%d/%d %-14s %6.1f µs of CPU a request (%d requests)   ", n+1, p.repeats, name, cost[name]*10_000, size[name])
		}
		all = append(all, cost)
	}
	fmt.Fprintln(os.Stderr)
	return all, nil
}

// run sends n requests of a scenario, made for this run alone, and says how much CPU they took.
func (s *server) run(ctx context.Context, name string, n, callers int) (int64, error) {
	b, err := s.make(ctx, name, n)
	if err != nil {
		return 0, err
	}
	grown := func() error { return nil }
	if b.events > 0 {
		if grown, err = s.issuing.growing(n*b.events, b.kind, b.outcome); err != nil {
			return 0, err
		}
	}
	before, err := s.check()
	if err != nil {
		return 0, err
	}
	if err := load(b.address, callers, b.requests, http.StatusOK, b.check); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	after, err := s.check()
	if err == nil {
		err = grown()
	}
	return after.ticks - before.ticks, err
}
