// Package usage explains what is wrong with a command line, and what to type instead.
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

// Error is what is wrong with a command line.
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

// Twice is the error of a flag that was given again and takes one value.
type Twice struct{ Flag, First, Second, Why string }

func (e *Twice) Error() string {
	return fmt.Sprintf("--%s is given twice, as %s and as %s: %s; leave one out", e.Flag, e.First, e.Second, e.Why)
}

// One accepts exactly one argument. what describes the argument in the error.
func One(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Errorf(c.CommandPath(), "name %s", what)
		}
		return nil
	}
}

// AtMostOne accepts one argument or none. what describes the argument in the error.
func AtMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return Errorf(c.CommandPath(), "unexpected argument %q: '%s' takes one %s; put a value with spaces in quotes", args[1], c.CommandPath(), what)
		}
		return nil
	}
}

// None accepts no argument.
func None(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Errorf(c.CommandPath(), "unexpected argument %q: '%s' takes only flags", args[0], c.CommandPath())
	}
	return nil
}

// NoSubcommand refuses the name of a command that c does not have. A command with
// subcommands has it as its Args.
func NoSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return noCommand(c, args[0])
}

// FlagError explains an error of the flag parser, and what to type instead.
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
	if e, ok := errors.AsType[*Twice](err); ok {
		return say("%w", e)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return say("--%s %s: want %s", e.GetFlag().Name, e.GetValue(), wanted(e))
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return say("%s is not a flag; write --FLAG VALUE or --FLAG=VALUE", e.GetSpecifiedFlag())
	}
	return say("%w", err)
}

// wanted describes the values that a flag takes.
func wanted(e *pflag.InvalidValueError) string {
	number := "a whole number"
	if errors.Is(e, strconv.ErrRange) {
		number = "a smaller number"
	}
	switch e.GetFlag().Value.Type() {
	case "int":
		return number
	case "uint64":
		return number + ", 0 or more"
	case "duration":
		return "a time with a unit, for example 500ms, 30s or 2m"
	case "bool":
		return "no value, or true or false"
	}
	return e.GetFlag().Usage
}

// noSuchFlag names the flag that was probably meant: one of this command with a similar
// name, or the same one of another command.
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
		return fmt.Sprintf("'%[2]s' has no flag %[1]s; did you mean --%[3]s?", given, c.CommandPath(), near)
	}
	var others []string
	for _, other := range c.Root().Commands() {
		if f := other.Flags().Lookup(name); f != nil && !f.Hidden {
			others = append(others, "'"+other.CommandPath()+"'")
		}
	}
	if len(others) > 0 {
		return fmt.Sprintf("'%[2]s' has no flag %[1]s; it is a flag of %[3]s", given, c.CommandPath(), strings.Join(others, ", "))
	}
	return fmt.Sprintf("'%[2]s' has no flag %[1]s", given, c.CommandPath())
}

// DidYouMean returns "; did you mean X?", or "" if no word is similar.
func DidYouMean(word string, all []string) string {
	if near := nearest.Name(word, all); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// UnknownCommand returns an error if words do not begin with the name of a command.
func UnknownCommand(root *cobra.Command, words []string) error {
	if _, _, err := root.Find(words); err == nil {
		return nil
	}
	i := slices.IndexFunc(words, func(word string) bool { return !strings.HasPrefix(word, "-") })
	if i < 0 {
		return nil
	}
	return noCommand(root, words[i])
}

// noCommand says that parent has no command of this name, and which it may be.
func noCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, c := range parent.Commands() {
		names = append(names, c.Name())
	}
	text := fmt.Sprintf("there is no command %s", strings.TrimPrefix(parent.CommandPath()+" "+name, "kabench "))
	if near := nearest.Name(name, names); near != "" {
		text += fmt.Sprintf("; did you mean '%s %s'?", parent.CommandPath(), near)
	}
	return &Error{parent.CommandPath(), errors.New(text)}
}

// NewHelp makes a help command like cobra's, for which a wrong name is an error.
func NewHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command and list its flags",
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

// SetCompletion makes cobra's completion command refuse wrong arguments.
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

// flowing joins the lines of each paragraph, except of examples.
func flowing(text string) string {
	parts := strings.Split(text, "\n\n")
	for i, part := range parts {
		if !strings.Contains("\n"+part, "\n ") {
			parts[i] = strings.ReplaceAll(part, "\n", " ")
		}
	}
	return strings.Join(parts, "\n\n")
}

// Text returns the text of err, with the system's messages about files in plain words.
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
		return fmt.Sprintf("%s cannot be made, because %s does not exist", e.Path, filepath.Dir(e.Path))
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
