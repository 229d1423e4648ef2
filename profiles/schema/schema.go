// Package schema has the JSON Schemas of the files that kabench reads: profiles, matrices,
// pools and servers. Editors complete and check these files with them.
//
// The schemas follow the Go structs that the files are read into, with the comments of
// their fields. A test makes them again from the source and says when they are stale:
//
//	KABENCH_SCHEMA=write go test ./profiles/schema
package schema

import (
	"embed"
	"slices"
)

//go:embed *.schema.json
var files embed.FS

// names are the kinds of files, the usual one first.
var names = []string{"profile", "matrix", "pool", "server"}

// Names lists the kinds of files that have a schema.
func Names() []string { return slices.Clone(names) }

// Text returns the schema of one of Names, as JSON; "" for another name.
func Text(name string) string {
	text, err := files.ReadFile(file(name))
	if err != nil {
		return ""
	}
	return string(text)
}

// About says what a file of one of Names is, as the schema's description does.
func About(name string) string { return abouts[name] }

var abouts = map[string]string{
	"profile": "a question for kabench: load, pool, target and expectations",
	"matrix":  "a comparison for kabench: a profile, and fields that take one value after another",
	"pool":    "the pool of an HTTP client, or a profile with one",
	"server":  "a server as kabench serves it, or a profile with one",
}

func file(name string) string { return name + ".schema.json" }

// File is the name under which a file of one of Names refers to its schema: a file beside it,
// which 'kabench show schema:NAME' prints. So no editor asks a host on the network.
func File(name string) string { return "kabench-" + file(name) }

// Line is the first line of a file of one of Names that kabench writes: a comment with which
// editors find the schema.
func Line(name string) string { return "# yaml-language-server: $schema=" + File(name) + "\n" }
