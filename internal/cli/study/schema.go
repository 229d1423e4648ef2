package study

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/profiles/schema"
)

// schemaPrefix begins the name of a schema in 'kabench show'.
const schemaPrefix = "schema:"

// showSchema prints the JSON Schema of a kind of file, with and without --json.
func showSchema(s *cli.Streams, name string) error {
	if !slices.Contains(schema.Names(), name) {
		hint := "the schemas are " + schemaPrefix + strings.Join(schema.Names(), ", "+schemaPrefix)
		if near := nearest.Name(name, schema.Names()); near != "" {
			hint = "did you mean " + schemaPrefix + near + "?"
		}
		return fmt.Errorf("%s%s: there is no such schema; %s", schemaPrefix, name, hint)
	}
	_, err := io.WriteString(s.Out, schema.Text(name))
	return err
}

// schemaOf names the schema of a kind that 'kabench show' prints: a profile, an incident, a
// pool or a server.
func schemaOf(kind string) string {
	if kind == "incident" {
		return "profile"
	}
	return kind
}

func completeSchemas() (list []string) {
	for _, name := range schema.Names() {
		list = append(list, schemaPrefix+name+"\tthe JSON Schema of "+schema.About(name))
	}
	return list
}
