//go:build unix && !linux

package main

import "syscall"

const orphans = true

// dieWithParent does nothing here: only Linux can be asked to end a process together with its parent.
func dieWithParent(attr *syscall.SysProcAttr, _ syscall.Signal) *syscall.SysProcAttr { return attr }
