// Package files is a source of observations in two files, one of exposures and one
// of rewards, CSV or Parquet each, in a directory of the node.
//
// A tenant reads below its own part of the directory and nowhere else: no path, and
// no symbolic link, leads out of it. A file is read once from its start to its end.
// Its rows may be in any order: they are sorted by visitor, in memory as far as a
// bound, beyond it in temporary files that have no name.
package files
