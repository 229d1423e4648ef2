package trace

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/generator"
)

// keep is how many logs are remembered: the arms of a comparison and the steps of a search
// read the same ones again and again.
const keep = 4

var cache struct {
	mu   sync.Mutex
	logs []remembered // guarded by mu; the latest last
}

// remembered is a log as it was read.
type remembered struct {
	of      generator.Trace
	size    int64
	changed time.Time
	times   *generator.Times
	notes   []string
}

// Read reads the times of the requests that t selects, and what a reader of results should
// know about them, in sentences. t must be valid. The errors name the file, and the line where
// there is one. A log that has not changed is read once.
func Read(t generator.Trace) (*generator.Times, []string, error) {
	cache.mu.Lock()
	defer cache.mu.Unlock()
	info, err := os.Stat(t.File)
	if missing, is := errors.AsType[*fs.PathError](err); is {
		missing.Op = "open" // which says more to a reader than stat
	}
	if err != nil {
		return nil, nil, err
	}
	for _, r := range cache.logs {
		if r.of == t && r.size == info.Size() && r.changed.Equal(info.ModTime()) {
			return r.times, r.notes, nil
		}
	}
	times, notes, err := open(t)
	if err != nil {
		return nil, nil, err
	}
	cache.logs = append(cache.logs, remembered{t, info.Size(), info.ModTime(), times, slices.Clip(notes)})
	cache.logs = cache.logs[max(len(cache.logs)-keep, 0):]
	return times, notes, nil
}
