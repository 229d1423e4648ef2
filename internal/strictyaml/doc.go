// Package strictyaml reads YAML into Go values without guessing, and writes
// them back so that they read the same.
//
// A struct field belongs to the document if it has a yaml tag; the tag's name
// is its key, and the names joined with dots are its path: pool.idle_timeout. A
// [Decoder] refuses what other readers pass over: an unknown or repeated key, a
// duration without a unit, an anchor, a tag, a second document. It continues
// after each complaint, so that a user sees all of them at once, each with file,
// line, field and fix ([Errors]). [Decoder.Set] changes one field by its path,
// as the flag --set does.
//
// Two things go beyond plain YAML. A mapping may begin with a preset's values:
// pool: {preset: okhttp, max_idle: 3} (see [Decoder.Preset]). And a number whose
// field has the tag none:"-1" may be written as the word none (see [Decoder.Decode]).
//
// The package knows nothing about profiles. [Marshal] is the other direction.

package strictyaml
