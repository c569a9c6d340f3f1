// Package encode holds what the linear learners share about features: which
// fields of a row are inputs, the keys of weights ("field" for a number,
// "field=value" for a category), a portable logistic function, and the reading
// of configurations and states with the path of everything that is wrong.
package encode
