package external

import (
	"errors"
	"io"
	"strings"
)

// Command is how a driver is started.
type Command struct {
	Name string   // as it was asked for, for texts
	Argv []string // the program and its arguments
	Dir  string   // where it runs; "": here
	Env  []string // NAME=value, added to this process's environment
	// Install is how the program that the command runs gets onto a Debian, if that is known.
	Install string
	Stderr  io.Writer // also gets what the driver writes to stderr; nil: nobody does
}

// String is how texts call the driver.
func (c *Command) String() string {
	if c.Name != "" {
		return c.Name
	}
	return strings.Join(c.Argv, " ")
}

// ParseCommand splits a command as a shell would: at blanks, with '...', "..." and \.
// Nothing is expanded. The error says what is wrong with the quotes.
func ParseCommand(text string) (Command, error) {
	c := Command{Name: text}
	var word strings.Builder
	open := false // word has begun, even if it is empty
	var quote rune
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, open = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if open {
				c.Argv = append(c.Argv, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	switch {
	case quote != 0:
		return Command{}, errors.New("the command has a " + string(quote) + " without an end")
	case escaped:
		return Command{}, errors.New(`the command ends with a \ that escapes nothing`)
	}
	if open {
		c.Argv = append(c.Argv, word.String())
	}
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return Command{}, errors.New("the command is empty")
	}
	return c, nil
}
