package profiles

import (
	"encoding"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A decoder fills Go values from YAML nodes, strictly, and goes on after a
// complaint. It stands in for the library's own decoder because that one takes
// bare numbers for durations, loses the position of errors from text forms, and
// stops at the first.
type decoder struct {
	source   string          // where the nodes come from; see Complaint
	lined    bool            // source has lines worth telling
	at       map[string]mark // where each field was set, by path
	defaults reflect.Value   // what null resets to: the whole that paths lead through
	preset   string          // of the pool, if one was named
	based    bool            // one was
	errs     Errors
}

// newDecoder makes a decoder of fields of a value such as defaults.
func newDecoder(defaults any) *decoder {
	return &decoder{at: map[string]mark{}, defaults: reflect.ValueOf(defaults)}
}

// mark is where a field was set.
type mark struct {
	source       string
	line, column int
}

func (d *decoder) mark(t *token.Token) mark {
	m := mark{source: d.source}
	if d.lined && t != nil && t.Position != nil {
		m.line, m.column = t.Position.Line, max(t.Position.Column, 1)
	}
	return m
}

func (d *decoder) bad(path string, t *token.Token, format string, args ...any) {
	m := d.mark(t)
	d.errs = append(d.errs, Complaint{m.source, m.line, m.column, path, fmt.Sprintf(format, args...)})
}

// placeOf is where n begins; a block mapping's own token is its first colon.
func placeOf(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

// maxNesting bounds brackets in brackets and lists begun on one line: the
// parser's time grows with the square of it, and no profile needs more than a
// few.
const maxNesting = 40

// tooDeep is the token with which tokens nest deeper than maxNesting; nil when
// they do not.
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

// parse is the one YAML document in text; nil when it is empty or not YAML.
func (d *decoder) parse(path, text string) ast.Node {
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		d.bad(path, t, "nested too deep")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			message := syntax.GetMessage()
			if strings.Contains(message, "header option") { // what YAML takes it for: the head of a block of text
				message += "; put what begins with > in quotes, as in \"> 5\""
			}
			d.bad(path, syntax.GetToken(), "not YAML: %s", message)
		} else {
			d.bad(path, nil, "not YAML: %v", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			d.bad(path, placeOf(doc.Body), "a second document begins here; keep one per file")
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

// yamlDecoder is what a type with a YAML form of its own implements.
type yamlDecoder interface {
	UnmarshalYAML(decode func(any) error) error
}

var durationType = reflect.TypeFor[time.Duration]()

// decode sets v, which is the field at path, to n.
func (d *decoder) decode(path string, n ast.Node, v reflect.Value) {
	if n == nil {
		d.bad(path, nil, "has no value")
		return
	}
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.bad(path, placeOf(n), "anchors, aliases and merge keys are not supported; write the value out")
		return
	case *ast.TagNode:
		d.bad(path, placeOf(n), "tags are not supported; remove %s", n.GetToken().Value)
		return
	case *ast.NullNode:
		d.decodeNull(path, n, v)
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(path, n, v.Elem())
		return
	}
	if d.beginWith(path, n, v) {
		return
	}
	switch to := v.Addr().Interface().(type) {
	case yamlDecoder:
		d.decodeByItself(path, n, to)
		return
	case encoding.TextUnmarshaler:
		if text, ok := d.scalar(path, n); ok {
			if err := to.UnmarshalText([]byte(text)); err != nil {
				d.bad(path, placeOf(n), "%v", err)
			}
		}
		return
	}
	switch {
	case v.Type() == durationType:
		d.decodeDuration(path, n, v)
	case v.Kind() == reflect.Struct:
		d.decodeStruct(path, n, v)
	case v.Kind() == reflect.Map:
		d.decodeMap(path, n, v)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		d.decodeList(path, n, v)
	default:
		if text, ok := d.scalar(path, n); ok {
			if err := setScalar(v, text); err != nil {
				d.bad(path, placeOf(n), "%v", err)
			}
		}
	}
}

// decodeNull takes an explicit null for "as if it had never been set", and a
// key without a value for a section whose keys are all left out.
func (d *decoder) decodeNull(path string, n *ast.NullNode, v reflect.Value) {
	if isNull(n) {
		v.Set(d.defaultOf(path, v.Type()))
		return
	}
	switch _, own := v.Addr().Interface().(yamlDecoder); {
	case v.Kind() == reflect.Pointer:
		d.bad(path, placeOf(n), "has no value; write {} for the defaults, or remove it")
	case own, v.Kind() != reflect.Struct && v.Kind() != reflect.Map && v.Kind() != reflect.Slice:
		d.bad(path, placeOf(n), "has no value; give one or remove it")
	}
}

// isNull reports whether n is a null that was written.
func isNull(n ast.Node) bool {
	null, ok := n.(*ast.NullNode)
	return ok && null.GetToken().Type != token.ImplicitNullType
}

// defaultOf is the default of the field at path, which is a t. Where the
// defaults have nothing, within a section or a list that they leave out, it is
// t's zero value.
func (d *decoder) defaultOf(path string, t reflect.Type) reflect.Value {
	if v, found := fieldAt(d.defaults, path); found && v.Type() == t {
		return v
	}
	return reflect.Zero(t)
}

func (d *decoder) decodeByItself(path string, n ast.Node, to yamlDecoder) {
	err := to.UnmarshalYAML(func(to any) error {
		within := &decoder{source: d.source, lined: d.lined, at: d.at, defaults: d.defaults}
		within.decode(path, n, reflect.ValueOf(to).Elem())
		return within.errs.asError()
	})
	var list Errors
	if errors.As(err, &list) {
		d.errs = append(d.errs, list...)
	} else if err != nil {
		d.bad(path, placeOf(n), "%v", err)
	}
}

func (d *decoder) decodeStruct(path string, n ast.Node, v reflect.Value) {
	for key, value := range d.pairs(path, n) {
		name := key.Value
		if i, known := fieldNamed(v.Type(), name); known {
			d.decode(join(path, name), value, v.FieldByIndex(i))
		} else if !isBasedOn(v.Type(), name) {
			d.bad(join(path, name), key, "%s", unknownKey(v.Type(), path, name, ""))
		}
	}
}

func (d *decoder) decodeMap(path string, n ast.Node, v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for key, value := range d.pairs(path, n) {
		if isNull(value) {
			var entry reflect.Value // the zero one takes it out
			if v.Type() == reflect.TypeFor[Changes]() {
				entry = reflect.ValueOf("null")
			}
			v.SetMapIndex(reflect.ValueOf(key.Value), entry)
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(join(path, key.Value), value, elem)
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	}
}

// pairs yields the keys and values of a mapping, after complaining about keys
// that are not plain or come twice, and marks where each is.
func (d *decoder) pairs(path string, n ast.Node) iter.Seq2[*token.Token, ast.Node] {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.bad(path, placeOf(n), "is %s; a mapping of keys to values belongs here", describe(n))
	}
	return func(yield func(*token.Token, ast.Node) bool) {
		seen := map[string]*token.Token{}
		for _, pair := range values {
			t := pair.Key.GetToken()
			if !isScalar(pair.Key) {
				d.bad(path, t, "a key must be a plain word, without anchors, tags or <<")
				continue
			}
			if first := seen[t.Value]; first != nil {
				d.bad(join(path, t.Value), t, "given twice, first on line %d; remove one", first.Position.Line)
				continue
			}
			seen[t.Value] = t
			d.at[join(path, t.Value)] = d.mark(t)
			if !yield(t, pair.Value) {
				return
			}
		}
	}
}

func (d *decoder) decodeList(path string, n ast.Node, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.bad(path, placeOf(n), "is %s; a list belongs here", describe(n))
		return
	}
	if v.Kind() == reflect.Slice && len(list.Values) == 0 {
		v.SetZero() // as if left out: a profile that is written and read is the same
		return
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	} else if len(list.Values) != v.Len() {
		d.bad(path, placeOf(n), "is a list of %d; %d belong here", len(list.Values), v.Len())
		return
	}
	for i, value := range list.Values {
		elem := join(path, strconv.Itoa(i))
		if value != nil {
			d.at[elem] = d.mark(placeOf(value))
		}
		d.decode(elem, value, v.Index(i))
	}
}
