package profiles

import (
	"errors"
	"fmt"
	"strings"
)

// A Complaint is one thing wrong with a profile, and how to mend it.
type Complaint struct {
	Source       string // file, or the flag that set the field; empty when the profile has neither
	Line, Column int    // in the file, from 1; 0: the field is not in it
	Path         string // of the field, dotted as in --set
	Text         string
}

func (c Complaint) Error() string {
	var b strings.Builder
	if c.Source != "" {
		b.WriteString(c.Source)
		if c.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", c.Line, c.Column)
		}
		b.WriteString(": ")
	}
	if c.Path != "" && !strings.HasPrefix(c.Source, setFlag+c.Path+"=") {
		b.WriteString(c.Path + ": ")
	}
	b.WriteString(c.Text)
	return b.String()
}

// Errors is everything wrong with a profile.
type Errors []Complaint

// maxLines is how many complaints are worth printing.
const maxLines = 100

// Error is one line for each complaint, and one that counts the rest when there
// are more than a hundred.
func (e Errors) Error() string {
	var lines []string
	for i, c := range e {
		if i == maxLines {
			lines = append(lines, fmt.Sprintf("and %d more complaints", len(e)-i))
			break
		}
		lines = append(lines, c.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each complaint to errors.As.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, c := range e {
		list[i] = c
	}
	return list
}

// asError is e as an error: nil when there is nothing to complain about.
func (e Errors) asError() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// under turns the error of a section's Validate, whose complaints are joined
// and begin with the field's path within the section, into complaints.
func under(section string, err error) Errors {
	var list Errors
	for _, err := range unjoin(err) {
		field, text, found := strings.Cut(err.Error(), ": ")
		if !found {
			list = append(list, Complaint{Path: section, Text: err.Error()})
			continue
		}
		list = append(list, Complaint{Path: join(section, field), Text: text})
	}
	return list
}

func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// join is the path of a field within a section; the profile itself is "".
func join(section, field string) string {
	if section == "" {
		return field
	}
	return section + "." + field
}
