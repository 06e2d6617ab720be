package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage is what the kernel says of a process: its start, so that a restart is noticed, and user and system time in clock ticks of 10 ms.
type usage struct{ start, ticks int64 }

func usageOf(pid int) (usage, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	_, rest, ok := strings.Cut(string(raw), ") ") // the name may hold blanks
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return usage{}, fmt.Errorf("/proc/%d/stat is not in the form that proc(5) describes", pid)
	}
	var u usage
	for i, to := range map[int]*int64{11: nil, 12: nil, 19: &u.start} { // utime, stime, starttime: fields 14, 15, 22
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return usage{}, err
		}
		if to != nil {
			*to = n
		} else {
			u.ticks += n
		}
	}
	return u, nil
}

// listens reports whether the process holds the socket that listens on a port: a taken port would send the load elsewhere.
func listens(pid, port int) (bool, error) {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(raw)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil && inodes[to] {
			return true, nil
		}
	}
	return false, nil
}
