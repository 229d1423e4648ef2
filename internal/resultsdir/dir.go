// Package resultsdir finds and names the directories of results: where new results go,
// which are the newest, and which runs a directory holds.
package resultsdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/results/record"
)

// parent is where results go unless --out says otherwise.
const parent = "kabench-results"

// stamp is how the names of directories in it begin, in UTC.
const stamp = "20060102-150405.000"

// Out returns the directory for the results of a run with that name, given the value of
// --out; "" if they are not kept.
func Out(flag, name string) string {
	switch flag {
	case "none":
		return ""
	case "":
		return filepath.Join(parent, time.Now().UTC().Format(stamp)+"-"+record.Slug(name, "-_"))
	}
	return flag
}

// Newest returns the newest directory of results in kabench-results.
func Newest() (string, error) {
	entries, err := os.ReadDir(parent)
	newest, latest := "", time.Time{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue
		}
		if made := madeAt(info); newest == "" || made.After(latest) {
			newest, latest = e.Name(), made
		}
	}
	if err != nil || newest == "" {
		return "", errors.New("there are no results in " + parent + " here; name a directory of results")
	}
	return filepath.Join(parent, newest), nil
}

// madeAt returns when a directory of results was made. The name begins with that time,
// unless --out gave the name.
func madeAt(dir fs.FileInfo) time.Time {
	name := dir.Name()
	if at, err := time.Parse(stamp, name[:min(len(name), len(stamp))]); err == nil {
		return at
	}
	return dir.ModTime()
}

// Relative returns path relative to dir, or path itself if dir is "".
func Relative(dir, path string) string {
	if dir == "" {
		return path
	}
	from, err := filepath.Abs(dir)
	to, toErr := filepath.Abs(path)
	if err != nil || toErr != nil {
		return path
	}
	seen, err := filepath.Rel(from, to)
	if err != nil {
		return to
	}
	return filepath.ToSlash(seen)
}
