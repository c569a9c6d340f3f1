package main

import "github.com/praetor-engine/praetor/internal/demo"

// startEngine starts the engine that the demo plays against when it is not told
// of a running one.
var startEngine demo.Starter
