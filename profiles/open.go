package profiles

import (
	"fmt"
	"os"
	"strings"
)

// Open reads the profile of that name that comes with kabench, or the one in that file,
// and applies sets to it, each a path=value. "" makes a profile of sets alone.
func Open(nameOrFile string, sets []string) (*Profile, error) {
	switch {
	case nameOrFile == "":
		return Load("", nil, sets)
	case isFile(nameOrFile):
		if data, err := os.ReadFile(nameOrFile); err == nil && IsMatrix(data) {
			return nil, fmt.Errorf("%s is a matrix of settings, not a profile: kabench compare %s", nameOrFile, nameOrFile)
		}
		return LoadFile(nameOrFile, sets)
	}
	embedded, found := Find(nameOrFile)
	if !found {
		return nil, NotFound(nameOrFile)
	}
	return Load(embedded.Name, []byte(embedded.Text), sets)
}

// isFile reports whether it is the path of a file rather than a name: it has a dot or a
// slash in it.
func isFile(nameOrFile string) bool { return strings.ContainsAny(nameOrFile, `./\`) }
