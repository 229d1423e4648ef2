// Package dialers makes connections, keeps them under a stated policy, performs
// exchanges on them, and says in which phase and why one failed.
//
// [Client] performs exchanges over connections whose rules are those of
// dialers/pool and whose sockets are real, all on the goroutine that starts
// them. It sends a request again only where those rules say so.
// [Stock] performs them over net/http's Transport as shipped and counts what
// that re-sends without a word. [Classify] turns what was seen of an exchange
// into its phase and cause.
package dialers
