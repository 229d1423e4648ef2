package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// The files of an agent's directory. For each run there is a directory with what the agent
// knows about it, and the results.
const (
	fileLock  = "agent.lock"
	fileKnown = "agent.json"
	dirRun    = "run" // the results: a directory like that of any run
	dirFiles  = "files"
)

// keep is an agent's directory. Only one process uses it at a time.
type keep struct {
	dir  string
	lock *flock.Flock
}

// errInUse is the error of a directory that another process uses.
var errInUse = errors.New("another agent uses it")

// openKeep makes the directory if it is not there, and locks it.
func openKeep(dir string) (*keep, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the agent's directory cannot be made: %w; name another one with --dir", err)
	}
	lock := flock.New(filepath.Join(dir, fileLock))
	switch held, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("the agent's directory %s cannot be locked: %w; name another one with --dir", dir, err)
	case !held:
		return nil, fmt.Errorf("the agent's directory %s: %w; name another one with --dir, or give the agent another --name", dir, errInUse)
	}
	return &keep{dir, lock}, nil
}

// inUse reports whether a process uses the agent's directory.
func inUse(dir string) bool {
	k, err := openKeep(dir)
	if err == nil {
		k.close()
	}
	return errors.Is(err, errInUse)
}

func (k *keep) close() { _ = k.lock.Unlock() } // the lock ends with the process anyway

// of is the directory of a run.
func (k *keep) of(run string, index int) string {
	return filepath.Join(k.dir, fmt.Sprintf("%s-%d", run, index))
}

// found lists the runs that are in the directory and not delivered. Their processes have
// ended, so a run that was not over is torn, and one that had not begun has no results.
func (k *keep) found() ([]holding, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, err
	}
	var list []holding
	for _, e := range entries {
		dir := filepath.Join(k.dir, e.Name())
		h, err := readHolding(dir)
		if err != nil {
			continue // it is not ours, or damaged; it stays
		}
		switch h.Stage {
		case stageSending, stageStarting:
			h.Stage, h.Torn = stageEnded, true
			if h.Why == "" {
				h.Why = "its process ended before its run did"
			}
		case stagePreparing, stageReady, stageFailed:
			_ = os.RemoveAll(dir) // nothing was sent
			continue
		case stageDelivered:
			continue
		}
		list = append(list, h)
	}
	return list, nil
}

func readHolding(dir string) (h holding, err error) {
	data, err := os.ReadFile(filepath.Join(dir, fileKnown))
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err == nil && (!strings.HasPrefix(filepath.Base(dir), h.Run+"-") || h.Run == "") {
		err = errors.New("it belongs to another run")
	}
	return h, err
}

// write keeps what is known about a run in its directory.
func (k *keep) write(h holding) error {
	dir := k.of(h.Run, h.Index)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, fileKnown), h, 0o644)
}

// remove removes what is kept of a run.
func (k *keep) remove(h holding) { _ = os.RemoveAll(k.of(h.Run, h.Index)) }

// files puts the files that come with a profile into the directory of a run, and returns
// their paths by the names that they have in the profile.
func (k *keep) files(h holding, files map[string][]byte) (map[string]string, error) {
	paths := map[string]string{}
	if len(files) == 0 {
		return paths, nil
	}
	dir := filepath.Join(k.of(h.Run, h.Index), dirFiles)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for name, data := range files {
		paths[name] = filepath.Join(dir, fmt.Sprintf("%d", len(paths)))
		if err := os.WriteFile(paths[name], data, 0o600); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// withoutSecrets removes what came with a profile and may hold secrets.
func (k *keep) withoutSecrets(h holding) {
	_ = os.RemoveAll(filepath.Join(k.of(h.Run, h.Index), dirFiles))
}

// writeJSON writes v to a file, whole or not at all.
func writeJSON(path string, v any, mode fs.FileMode) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// isEmpty reports whether dir has nothing except what is named.
func isEmpty(dir string, except ...string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !slices.Contains(except, e.Name()) })
}
