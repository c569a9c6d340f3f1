//go:build !linux

package nodes

import "syscall"

func endWithParent() *syscall.SysProcAttr { return nil }
