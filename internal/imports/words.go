package imports

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// maxCommand bounds the text of a command, in bytes. A body may be long.
const maxCommand = 4 << 20

// Words splits a command into its words, as a shell does: quotes, backslashes at line ends and
// $'…' are understood. What only a running shell knows, such as variables, is refused.
func Words(text string) ([]string, error) {
	switch {
	case len(text) > maxCommand:
		return nil, fmt.Errorf("the command is longer than %d MiB", maxCommand>>20)
	case strings.Contains(text, `^"`) || strings.Contains(text, "^\n") || strings.Contains(text, "^\r\n"):
		return nil, errors.New("this is written for the command prompt of Windows; copy it as cURL (bash) instead")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		var at syntax.ParseError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("line %d, column %d: %s; copy the command again as cURL (bash), with all of its lines", at.Pos.Line(), at.Pos.Col(), at.Text)
		}
		return nil, fmt.Errorf("%w; copy the command again as cURL (bash), with all of its lines", err)
	}
	switch len(file.Stmts) {
	case 0:
		return nil, errors.New("there is no command; give one that begins with curl")
	case 1:
	default:
		return nil, fmt.Errorf("there are %d commands; import one at a time. A line that goes on ends with a backslash", len(file.Stmts))
	}
	stmt := file.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	switch {
	case !ok:
		return nil, errors.New("this is more than one command; give only the curl command, without pipes, loops and brackets")
	case len(stmt.Redirs) > 0, stmt.Background, stmt.Negated:
		return nil, errors.New("give only the curl command, without redirections, & and !; put a URL with & in quotes")
	case len(call.Assigns) > 0:
		return nil, errors.New("give only the curl command, without variables before it")
	}
	var words []string
	for _, w := range call.Args {
		word, err := literal(w)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

// literal returns the text of a word that depends on nothing outside of it.
func literal(w *syntax.Word) (text string, err error) {
	syntax.Walk(w, func(n syntax.Node) bool {
		if err != nil {
			return false
		}
		switch n := n.(type) {
		case *syntax.ParamExp:
			name := "…"
			if n.Param != nil {
				name = n.Param.Value
			}
			err = fmt.Errorf("$%s is a variable of a shell; write its value, or put the word in single quotes if it is none", name)
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp, *syntax.ExtGlob, *syntax.BraceExp:
			err = errors.New("a part of it would be run or expanded by a shell; write what comes out, or put the word in single quotes")
		}
		return err == nil
	})
	if err != nil {
		return "", err
	}
	return expand.Literal(nil, w)
}
