// Package learners measures the learners beside the libraries that specialists
// would use, on the same rows in the same run: what they predict, what a training
// takes, what a score takes, and what a training does to the scores meanwhile.
//
// The libraries run in a Python process of their own that fits what it is told
// (reference/reference.py); the ratios are taken round by round, ours and theirs
// in turn. No test asserts a time.
package learners
