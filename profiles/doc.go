// Package profiles is named questions in YAML: load, pool, target and
// expectation, the library of those that come with kabench, and strict loading.
//
// [Load] reads a profile onto [Default], applies `--set path=value` changes and
// validates the outcome; every complaint names the file, the line and the
// field, and all of them come at once. [Marshal] writes a profile with nothing
// left out, so that it loads back to the same.
package profiles
