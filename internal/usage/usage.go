// Package usage reports command lines that kabench cannot use, and says what to type
// instead.
package usage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/nearest"
)

// Error is a command line that does not parse.
type Error struct {
	Command string // whose --help has more, as "kabench run"
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error.
func Errorf(command, format string, args ...any) error {
	return &Error{command, fmt.Errorf(format, args...)}
}

// One wants one argument, and says what it is.
func One(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Errorf(c.CommandPath(), "name %s", what)
		}
		return nil
	}
}

// AtMostOne wants one argument or none, and says what it is.
func AtMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return Errorf(c.CommandPath(), "%q is too much: '%s' takes one %s; a value with spaces wants quotes", args[1], c.CommandPath(), what)
		}
		return nil
	}
}

// None wants no argument.
func None(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Errorf(c.CommandPath(), "%q is too much: '%s' takes flags only", args[0], c.CommandPath())
	}
	return nil
}

// FlagError says what is wrong with a flag, and what to give instead.
func FlagError(c *cobra.Command, err error) error {
	say := func(format string, args ...any) error {
		return Errorf(c.CommandPath(), format, args...)
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return say("%s", noSuchFlag(c, e))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return say("--%s needs a value: %s", e.GetFlag().Name, e.GetFlag().Usage)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return say("--%s %s: want %s", e.GetFlag().Name, e.GetValue(), wanted(e))
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return say("%s is no flag; write --FLAG VALUE or --FLAG=VALUE", e.GetSpecifiedFlag())
	}
	return say("%w", err)
}

// wanted is what a flag takes in place of a value that is none.
func wanted(e *pflag.InvalidValueError) string {
	number := "a whole number"
	if errors.Is(e, strconv.ErrRange) {
		number = "a smaller number"
	}
	switch e.GetFlag().Value.Type() {
	case "int":
		return number
	case "uint64":
		return number + ", 0 or above"
	case "duration":
		return "a time with its unit, as 500ms, 30s or 2m"
	case "bool":
		return "no value, or true or false"
	}
	return e.GetFlag().Usage
}

// noSuchFlag names the flag that is meant: one of the command's that is spelled
// alike, or another command's.
func noSuchFlag(c *cobra.Command, e *pflag.NotExistError) string {
	name, given := e.GetSpecifiedName(), "--"+e.GetSpecifiedName()
	if group := e.GetSpecifiedShortnames(); group != "" {
		name, given = group, "-"+group // a long flag with one dash, perhaps
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := nearest.Name(name, names); near != "" {
		return fmt.Sprintf("%s is no flag of '%s'; did you mean --%s?", given, c.CommandPath(), near)
	}
	var others []string
	for _, other := range c.Root().Commands() {
		if f := other.Flags().Lookup(name); f != nil && !f.Hidden {
			others = append(others, "'"+other.CommandPath()+"'")
		}
	}
	if len(others) > 0 {
		return fmt.Sprintf("%s is no flag of '%s', but of %s", given, c.CommandPath(), strings.Join(others, ", "))
	}
	return fmt.Sprintf("%s is no flag of '%s'", given, c.CommandPath())
}

// DidYouMean is "; did you mean X?", or "" if nothing is near.
func DidYouMean(word string, all []string) string {
	if near := nearest.Name(word, all); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// UnknownCommand is the error about words that begin with no command's name; nil
// if they begin with one.
func UnknownCommand(root *cobra.Command, words []string) error {
	if _, _, err := root.Find(words); err == nil {
		return nil
	}
	i := slices.IndexFunc(words, func(word string) bool { return !strings.HasPrefix(word, "-") })
	if i < 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	text := fmt.Sprintf("%s is no command", words[i])
	if near := nearest.Name(words[i], names); near != "" {
		text += fmt.Sprintf("; did you mean 'kabench %s'?", near)
	}
	return &Error{"kabench", errors.New(text)}
}

// NewHelp is cobra's help command, but that a wrong name is an error.
func NewHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Say what a command does, and list its flags",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var list []string
			for _, other := range c.Root().Commands() {
				if len(args) == 0 && other.IsAvailableCommand() {
					list = append(list, other.Name()+"\t"+other.Short)
				}
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := UnknownCommand(c.Root(), args); err != nil {
				return err
			}
			about, _, _ := c.Root().Find(args)
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// SetCompletion makes wrong arguments of cobra's completion command errors.
func SetCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	c, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	var shells []string
	for _, shell := range c.Commands() {
		shells = append(shells, shell.Name())
		shell.Args = None
	}
	c.Args = nil
	c.RunE = func(c *cobra.Command, _ []string) error {
		return Errorf(c.CommandPath(), "name a shell: %s", strings.Join(shells, ", "))
	}
}

// Help returns the function that prints what a command does to out, its paragraphs as
// wide as the terminal.
func Help(out io.Writer) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		text := c.Long
		if text == "" {
			text = c.Short
		}
		if t, ok := out.(layout.Terminal); ok && t.Columns() > 0 {
			text = flowing(text)
		}
		_ = layout.Print(out, text+"\n\n"+c.UsageString(), 0) // nobody is left to report an error to
	}
}

// flowing joins the lines of each paragraph that is no example.
func flowing(text string) string {
	parts := strings.Split(text, "\n\n")
	for i, part := range parts {
		if !strings.Contains("\n"+part, "\n ") {
			parts[i] = strings.ReplaceAll(part, "\n", " ")
		}
	}
	return strings.Join(parts, "\n\n")
}

// Text is the text of err. What the system says of a file is put plainly.
func Text(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		text = strings.ReplaceAll(text, e.Error(), aboutFile(e))
	}
	return text
}

func aboutFile(e *fs.PathError) string {
	switch {
	case errors.Is(e, fs.ErrNotExist) && e.Op == "mkdir":
		return fmt.Sprintf("%s cannot be made: %s is not there", e.Path, filepath.Dir(e.Path))
	case errors.Is(e, fs.ErrNotExist):
		return e.Path + ": there is no such file or directory; check the name"
	case errors.Is(e, fs.ErrPermission):
		return fmt.Sprintf("%s: no permission to %s it", e.Path, e.Op)
	case errors.Is(e, syscall.ENOTDIR):
		return filepath.Dir(e.Path) + ": not a directory; name one"
	case errors.Is(e, syscall.EISDIR):
		return e.Path + ": a directory; name a file"
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}
