// Package settings says how the fields of a pool are set in real clients. [Spellings]
// are the ways of one client, as its preset lists them under `settings:`. Spell writes
// a value in the client's words: the line, property or option, with the unit that the
// client takes.
//
// A value is never rounded up: a timeout that a client cannot express exactly becomes
// shorter, and one that would become 0 is refused.
package settings
