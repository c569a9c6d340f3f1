package nodes

import "syscall"

// endWithParent has the kernel kill a child whose parent is gone.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
