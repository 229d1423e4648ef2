package drivers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// recipe changes when the way of building does, so that older builds are not used.
const recipe = 1

// Cache is the directory in which built drivers are kept: $KABENCH_DRIVERS, or
// kabench/drivers in the user's cache directory.
func Cache() (string, error) {
	if dir := os.Getenv("KABENCH_DRIVERS"); dir != "" {
		return filepath.Abs(dir)
	}
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for drivers: %w; set KABENCH_DRIVERS to a directory", err)
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "kabench", "drivers"), nil
}

// NotBuiltError says that a driver has to be built before it can run.
type NotBuiltError struct{ Driver string }

func (e *NotBuiltError) Error() string {
	return fmt.Sprintf("the driver %s is not built; run 'kabench driver build %s'", e.Driver, e.Driver)
}

// Built returns the command of the driver, if the cache has it as its sources and pins are now.
func (e Entry) Built() (external.Command, bool) {
	root, err := Cache()
	if err != nil {
		return external.Command{}, false
	}
	name, err := e.dirName()
	if err != nil {
		return external.Command{}, false
	}
	return e.builtIn(filepath.Join(root, name))
}

// builtIn returns the command of the driver that was built in dir.
func (e Entry) builtIn(dir string) (external.Command, bool) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return external.Command{}, false
	}
	c := e.command(dir)
	if filepath.IsAbs(c.Argv[0]) {
		if _, err := os.Stat(c.Argv[0]); err != nil {
			return external.Command{}, false // an interpreter that the driver links to is gone
		}
	}
	return c, true
}

// dirName is the name of the driver's directory in the cache. It changes with everything
// that the driver is built from.
func (e Entry) dirName() (string, error) {
	files, err := e.files()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if err := json.NewEncoder(h).Encode([]any{recipe, e.Language, e.Pins, e.Main}); err != nil {
		return "", err
	}
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n%s", f.name, len(f.data), f.data)
	}
	return e.Name + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// abandoned is the age at which an unfinished build is one whose process was killed.
const abandoned = 24 * time.Hour

// sweep removes builds that were never finished.
func sweep(root string) {
	left, _ := filepath.Glob(filepath.Join(root, unfinished+"*"))
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > abandoned {
			os.RemoveAll(dir)
		}
	}
}
