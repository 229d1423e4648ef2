package strictyaml

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSize bounds the text of a document, in bytes.
const MaxSize = 64 << 10

// maxNesting bounds brackets in brackets and lists begun on one line: the
// parser's time grows with the square of the depth, and no document needs more
// than a few.
const maxNesting = 40

// Document parses the one YAML document in data. It returns nil if data is empty
// or not YAML; the latter is a complaint.
func (d *Decoder) Document(data []byte) ast.Node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > MaxSize:
		d.Complain("", nil, "longer than %d bytes; put large bodies into a target file (target.file)", MaxSize)
		return nil
	case !utf8.Valid(data):
		d.Complain("", nil, "not UTF-8 text")
		return nil
	}
	return d.parse("", string(data))
}

// parse parses the one YAML document in text, which is the value of the field at
// path. It returns nil if text is empty or not YAML.
func (d *Decoder) parse(path, text string) ast.Node {
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		d.Complain(path, t, "nested too deep")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.notYAML(path, err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			d.Complain(path, placeOf(doc.Body), "a second document begins here; keep one per file")
			return nil
		default:
			body = doc.Body
		}
	}
	if _, comment := body.(*ast.CommentGroupNode); comment {
		return nil
	}
	return body
}

// notYAML complains about a parser's error.
func (d *Decoder) notYAML(path string, err error) {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		d.Complain(path, nil, "not YAML: %v", err)
		return
	}
	message := syntax.GetMessage()
	if strings.Contains(message, "header option") { // the parser takes > for the head of a block of text
		message += "; put what begins with > in quotes, as in \"> 5\""
	}
	d.Complain(path, syntax.GetToken(), "not YAML: %s", message)
}

// tooDeep returns the token at which nesting exceeds maxNesting, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType:
			if dashes++; t.Position.Line != line {
				dashes, line = 1, t.Position.Line
			}
		}
		if brackets > maxNesting || dashes > maxNesting {
			return t
		}
	}
	return nil
}

// placeOf returns the token at which n begins. A block mapping's own token is
// its first colon, so its first key's token is taken instead.
func placeOf(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

// IsScalar reports whether n is a single value and not a list or a mapping.
func IsScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

// isNull reports whether n is a null that was written, and not a missing value.
func isNull(n ast.Node) bool {
	null, ok := n.(*ast.NullNode)
	return ok && null.GetToken().Type != token.ImplicitNullType
}

// Describe names the kind of n in a complaint.
func Describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// entries are the keys and values of a mapping.
func entries(n ast.Node) (values []*ast.MappingValueNode, isMapping bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// Member returns the value of a key of a mapping, or nil.
func Member(n ast.Node, key string) ast.Node {
	pairs, _ := entries(n)
	for _, pair := range pairs {
		if IsScalar(pair.Key) && pair.Key.GetToken().Value == key {
			return pair.Value
		}
	}
	return nil
}

// HasKey reports whether n is a mapping with that key.
func HasKey(n ast.Node, key string) bool {
	pairs, _ := entries(n)
	for _, pair := range pairs {
		if IsScalar(pair.Key) && pair.Key.GetToken().Value == key {
			return true
		}
	}
	return false
}
