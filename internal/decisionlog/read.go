package decisionlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Read tells what was read.
type Read struct {
	Files   int `json:"files"`
	Records int `json:"records"`
	Torn    int `json:"torn"` // files whose last line was incomplete
	Bad     int `json:"bad"`  // lines that are no records; left out
}

func (r *Read) add(o Read) {
	r.Files, r.Records, r.Torn, r.Bad = r.Files+o.Files, r.Records+o.Records, r.Torn+o.Torn, r.Bad+o.Bad
}

// ReadAll reads the records of files, and of the files in directories and below,
// and calls f for each. Files that a node is writing are read as far as they are.
// A record may come twice.
func ReadAll(ctx context.Context, paths []string, f func(*Record) error) (all Read, err error) {
	files, err := find(paths)
	if err != nil {
		return all, err
	}
	for _, path := range files {
		read, err := readFile(ctx, path, f)
		all.add(read)
		if err != nil {
			return all, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}

// find returns the files of the paths, in the order of their names.
func find(paths []string) (files []string, err error) {
	for _, path := range paths {
		before := len(files)
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			// A file that was named is read whatever it is called.
			if name == path || isLog(name) {
				files = append(files, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s has no files of decisions", path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func isLog(name string) bool {
	return Format(strings.TrimPrefix(filepath.Ext(strings.TrimSuffix(name, endOpen)), ".")).Valid()
}

func readFile(ctx context.Context, path string, f func(*Record) error) (read Read, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if done, open := strings.CutSuffix(path, endOpen); open {
			return readFile(ctx, done, f) // completed meanwhile
		}
		return read, nil // deleted meanwhile
	}
	if err != nil {
		return read, err
	}
	defer file.Close()
	until := func(r *Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f(r)
	}
	if strings.HasSuffix(path, "."+string(Parquet)) {
		info, err := file.Stat()
		if err != nil {
			return read, err
		}
		read, err = readParquet(file, info.Size(), until)
		read.Files = 1
		return read, err
	}
	read, err = readLines(file, until)
	read.Files = 1
	return read, err
}

// readLines reads lines. One that is no record is left out and counted; an
// incomplete last one too.
func readLines(in io.Reader, f func(*Record) error) (read Read, err error) {
	lines := bufio.NewReaderSize(in, 256<<10)
	var long []byte
	for {
		part, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, part...); len(long) > 2*MaxRecord {
				return read, fmt.Errorf("a line is longer than %d bytes: this is no log of decisions", 2*MaxRecord)
			}
			continue
		case errors.Is(err, io.EOF):
			if len(part)+len(long) > 0 {
				read.Torn++
			}
			return read, nil
		case err != nil:
			return read, err
		}
		line := part
		if len(long) > 0 {
			line = append(long, part...)
			long = long[:0]
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		r, bad := Parse(line)
		if bad != nil {
			read.Bad++
			continue
		}
		read.Records++
		if err := f(r); err != nil {
			return read, err
		}
	}
}
