package profiles

import (
	"fmt"
	"os"
	"strings"

	"github.com/kabench/kabench/internal/strictyaml"
)

// Open reads the profile of that name that comes with kabench, or the one in that file,
// and applies sets to it, each a path=value. "" makes a profile of sets alone.
func Open(nameOrFile string, sets []string) (*Profile, error) {
	switch {
	case nameOrFile == "":
		return Load("", nil, sets)
	case IsFile(nameOrFile):
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

// IsFile reports whether nameOrFile is the path of a file rather than a name: it has a dot or a
// slash in it.
func IsFile(nameOrFile string) bool { return strings.ContainsAny(nameOrFile, `./\`) }

// IsMatrix reports whether a YAML text is a matrix rather than a profile: it
// names axes, or a profile.
func IsMatrix(data []byte) bool {
	var d strictyaml.Decoder
	n := d.Document(data)
	return n != nil && (strictyaml.HasKey(n, "axes") || strictyaml.HasKey(n, "profile"))
}
