package applog

import (
	"regexp"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/secrets"
)

// Connection is the life of a connection as a log shows it.
type Connection struct {
	evidence.Connection
	Format string
	ID     string  // of the connection in the log; "" if it has none
	Host   string  // the server by its name, where the log has no address
	Quotes []Quote // the lines that decided how it ended
	Timed  bool    // its lines have times
	Alone  bool    // the log says nothing about the connection besides this request
	Early  bool    // its end came sooner after the request than any response did, so it was no reaction to the request
	Vague  bool    // a FIN and a RST look alike in this log
	Lazy   bool    // its client notices a close only when it uses the connection, so the close may be older than it looks
}

// Quote is a line of a log that decided something.
type Quote struct {
	File  string `json:"file,omitempty"`
	Line  int64  `json:"line"`
	Text  string `json:"text"`
	Shows string `json:"shows"` // what follows from it
}

// maxQuote is how many characters of a line are quoted.
const maxQuote = 240

// quote makes a quotation that is safe to print: without what controls a terminal, and
// without credentials.
func quote(l *line, shows string) Quote {
	return Quote{Line: l.number, Text: Safe(l.whole), Shows: shows}
}

// queryInText is a query, whose values are blanked where their names say so.
var queryInText = regexp.MustCompile(`[?&]([A-Za-z][\w.-]*)=([^&\s"'\]},]+)`)

// Safe returns a line of a log without control characters and credentials.
func Safe(text string) string {
	text = text[:min(len(text), 8*maxQuote)]
	text = queryInText.ReplaceAllStringFunc(text, func(pair string) string {
		if name, _, _ := strings.Cut(pair[1:], "="); secrets.Named(name) {
			return pair[:1] + name + "=" + secrets.Blanked
		}
		return pair
	})
	message := text
	if _, after, ok := strings.Cut(text, " --- ["); ok { // Spring's layout: the name of a logger is no secret's
		if _, rest, ok := strings.Cut(after, " : "); ok {
			message = rest
		}
	}
	for _, value := range secrets.InText(message) {
		if value = strings.TrimSpace(value); value != "" && !strings.HasPrefix(value, secrets.Blanked) {
			text = strings.ReplaceAll(text, value, secrets.Blanked)
		}
	}
	return layout.Clean(layout.Printable(text), maxQuote)
}
