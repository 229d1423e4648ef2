package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/profiles"
)

// CommandLine returns the command line of c as a shell would take it, to be kept with the
// results. Secrets in it are blanked: values of flags, headers and parameters whose
// names say that they are secret, and users in URLs. --json is left out, because it changes
// no result.
func CommandLine(c *cobra.Command) string {
	words := strings.Fields(c.CommandPath())
	var given []string
	add := func(flag, value string) {
		given = append(given, value)
		words = append(words, quoted(shownArgument(flag, value)))
	}
	for _, arg := range c.Flags().Args() {
		add("", arg)
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "json" {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			if f.NoOptDefVal != "" { // --flag alone has this value, and a blank before another one is not allowed
				words = append(words, "--"+f.Name)
				if value != f.NoOptDefVal {
					words[len(words)-1] += "=" + quoted(shownArgument(f.Name, value))
				}
				continue
			}
			words = append(words, "--"+f.Name)
			add(f.Name, value)
		}
	})
	return profiles.WithoutSecrets(errors.New(strings.Join(words, " ")), given...).Error()
}

// shownArgument returns the value of a flag without the secrets that its form shows.
func shownArgument(flag, value string) string {
	path, set, isChange := strings.Cut(value, "=")
	switch {
	case secrets.Named(flag):
		return secrets.Blanked
	case flag == "set" && isChange:
		return path + "=" + profiles.RedactChange(map[string]string{path: set})[path]
	case flag == "driver":
		return profiles.RedactChange(map[string]string{flag: value})[flag]
	case strings.Contains(value, "://") && !strings.ContainsAny(value, " \t\n"):
		return secrets.RedactURL(value)
	}
	return value
}

// plain are the characters, beside letters and digits, that mean nothing to a shell.
const plain = "-_./:=,%@+"

// quoted returns an argument as a shell takes it for one word.
func quoted(arg string) string {
	special := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r < 0x80 && !strings.ContainsRune(plain, r)
	}
	if arg != "" && strings.IndexFunc(arg, special) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
