package strictyaml

import (
	"errors"
	"fmt"
	"strings"
)

// A Complaint is one thing wrong with a document, and how to mend it.
type Complaint struct {
	Source       string // file, or the flag that set the field; empty if neither is known
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
	if c.Path != "" && !strings.HasPrefix(c.Source, SetFlag+c.Path+"=") {
		b.WriteString(c.Path + ": ")
	}
	b.WriteString(c.Text)
	return b.String()
}

// Errors is everything wrong with a document.
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

// Err returns e as an error: nil if there is no complaint.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Touch reports whether e complains about the field at path, a section around it
// or a field within it, or about the whole document.
func (e Errors) Touch(path string) bool {
	for _, c := range e {
		if c.Path == "" || c.Path == path || strings.HasPrefix(path, c.Path+".") || strings.HasPrefix(c.Path, path+".") {
			return true
		}
	}
	return false
}

// Under turns the error of a section's Validate into complaints. The error's
// joined errors begin with the field's path within the section.
func Under(section string, err error) Errors {
	var list Errors
	for _, err := range Unjoin(err) {
		field, text, found := strings.Cut(err.Error(), ": ")
		if !found {
			list = append(list, Complaint{Path: section, Text: err.Error()})
			continue
		}
		list = append(list, Complaint{Path: Join(section, field), Text: text})
	}
	return list
}

// Unjoin returns the errors that were joined into err, or err alone.
func Unjoin(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// Join returns the path of a field within a section; the document itself is "".
func Join(section, field string) string {
	if section == "" {
		return field
	}
	return section + "." + field
}
