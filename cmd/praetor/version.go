package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the release build with -ldflags "-X main.version=v1.2.3".
var version string

type versionCommand struct{}

// Run prints the version, the commit where the build knows it, and what built it.
func (versionCommand) Run(env *environment) error {
	_, err := fmt.Fprintf(env.out, "praetor %s, %s, %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version // with the commit in it, when built from a repository
}
