package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kabench/kabench/results"
)

// Question identifies what run asked, and with which setting: two runs with the same
// question and setting are repeats of each other. Both are hexadecimal. They leave out the
// fields in which repeats may differ, such as the seed, and fields without a value, so
// that a later version of kabench may add fields. The error says that the document's
// profile cannot be read.
func Question(run *results.Run) (question, setting string, err error) {
	fields := map[string]string{"name": run.Name}
	if len(run.Profile) > 0 {
		if err := flatten(run.Profile, fields); err != nil {
			return "", "", fmt.Errorf("its profile: %w", err)
		}
	}
	fields["agents"] = strconv.Itoa(max(len(run.Agents), 1))
	q, s := sha256.New(), sha256.New()
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		if isWithin(path, ignored) || slices.Contains(unset, fields[path]) {
			continue
		}
		line := fmt.Appendf(nil, "%s=%q\n", path, fields[path])
		s.Write(line)
		if isWithin(path, asked) {
			q.Write(line)
		}
	}
	id := func(sum []byte) string { return hex.EncodeToString(sum[:8]) }
	return id(q.Sum(nil)), id(s.Sum(nil)), nil
}

// unset are the values of fields that are the same as no value.
var unset = []string{"", "0", "0s", "false", "null", "[]"}
