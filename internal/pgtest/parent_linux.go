package main

import "syscall"

// orphans says whether a process outlives its parent where nobody stops it.
const orphans = false

// dieWithParent has the kernel send s to the process when this one ends without having stopped it.
func dieWithParent(attr *syscall.SysProcAttr, s syscall.Signal) *syscall.SysProcAttr {
	attr.Pdeathsig = s
	return attr
}
