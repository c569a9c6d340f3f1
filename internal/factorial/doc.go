// Package factorial is the space in which an optimization looks for what works: its
// design factors with their levels, the variants they make, the combinations that
// are excluded, and the contexts in which a visitor can come. It holds what follows
// from a definition alone: numbers, limits, who is held out, whether a measured
// difference is one. It is pure: no clock, no input or output, no globals.
//
// # Variants
//
// The variants are the Cartesian product of the design factors' levels, in row-major
// order, the last factor fastest. With the sizes L₁ … L_k and the levels l₁ … l_k,
// each from 0,
//
//	variant = (…(l₁·L₂ + l₂)·L₃ + …)·L_k + l_k
//
// is the variant's index; its number, which clients see, is one more. Variant 0 is
// the baseline: the first level of every factor. An excluded combination keeps its
// number and is never served.
//
// # Contexts
//
// A context cell is numbered alike over the context factors, each of which has one
// more level than it was given, the last: unknown, for a visitor whose level is
// missing or was never defined.
package factorial
