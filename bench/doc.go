// Package bench measures a node from outside, over its HTTP API, and proves
// that what it acknowledged survives kill -9.
//
// Every figure is a comparison within one run: the variants take turns on the
// same machine with the same client, and what counts is their ratio round by
// round. A rate alone says more about the machine than about the engine. No
// test asserts a time.
//
// The engine runs in a process of its own, so client and server share neither a
// scheduler nor a garbage collector; the client sends bytes that were prepared
// before the clock started. See the package's README for the method.
package bench
