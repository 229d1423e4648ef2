// Package dialers makes connections, keeps them under a stated policy, performs
// exchanges on them, and says in which phase and why one failed.
//
// [Client] performs exchanges over a [Pool], whose rules are those of
// dialers/pool and whose sockets are real. It never re-sends a request.
// [Stock] performs them over net/http's Transport as shipped and counts what
// that re-sends without a word. [Classify] turns what was seen of an exchange
// into its phase and cause.
package dialers
