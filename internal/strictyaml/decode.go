package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A Decoder fills Go values from YAML nodes and collects complaints in Errs. It
// replaces the library's own decoder because that one takes bare numbers for
// durations, loses the position of errors from text forms, and stops at the
// first.
type Decoder struct {
	Source   string          // where the text comes from, for complaints: a file, or a flag with its value
	Lined    bool            // complaints name lines of Source
	Defaults reflect.Value   // the whole that paths lead through; null resets a field to its value there
	Places   map[string]Mark // where each field was set, by path
	Errs     Errors
	Warnings Errors // what is understood, but written in an old spelling

	// Preset returns the value of the named preset for a field of type t, and
	// whether values of t may begin with a preset at all. It is nil if none may.
	Preset func(t reflect.Type, name string) (v reflect.Value, may bool, err error)
	// NullText is a map type whose null values are the text "null". In other maps
	// a null takes the entry out.
	NullText reflect.Type
	// Elsewhere are paths that a complaint about an unknown key may propose.
	Elsewhere []string
}

// NewDecoder makes a decoder of fields of a value such as defaults.
func NewDecoder(defaults any) *Decoder {
	return &Decoder{Places: map[string]Mark{}, Defaults: reflect.ValueOf(defaults)}
}

// Mark is the place where a field was set.
type Mark struct {
	Source       string
	Line, Column int // from 1; 0: not known
}

// MarkOf returns the place of n.
func (d *Decoder) MarkOf(n ast.Node) Mark { return d.mark(placeOf(n)) }

func (d *Decoder) mark(t *token.Token) Mark {
	m := Mark{Source: d.Source}
	if d.Lined && t != nil && t.Position != nil {
		m.Line, m.Column = t.Position.Line, max(t.Position.Column, 1)
	}
	return m
}

// Located adds to a complaint the place where its field was set, or else the
// nearest section around it, or else the file as a whole.
func (d *Decoder) Located(c Complaint, file string) Complaint {
	for path := c.Path; path != ""; {
		if m, found := d.Places[path]; found {
			c.Source, c.Line, c.Column = m.Source, m.Line, m.Column
			return c
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	c.Source = file
	return c
}

// Complain adds a complaint about the field at path, which stands at t; a nil t
// means that the place is not known.
func (d *Decoder) Complain(path string, t *token.Token, format string, args ...any) {
	m := d.mark(t)
	d.Errs = append(d.Errs, Complaint{m.Source, m.Line, m.Column, path, fmt.Sprintf(format, args...)})
}

// yamlDecoder is what a type with a YAML form of its own implements.
type yamlDecoder interface {
	UnmarshalYAML(decode func(any) error) error
}

var durationType = reflect.TypeFor[time.Duration]()

// Decode sets v, which is the field at path, to n.
//
// The tag none:"-1" of a number lets the word none stand for -1. With the tag
// old:"0" beside it, 0 stands for -1 as well, as it did in an earlier version;
// Warnings has a note then.
func (d *Decoder) Decode(path string, n ast.Node, v reflect.Value) {
	if n == nil {
		d.Complain(path, nil, "has no value")
		return
	}
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.Complain(path, placeOf(n), "anchors, aliases and merge keys are not supported; write the value out")
		return
	case *ast.TagNode:
		d.Complain(path, placeOf(n), "tags are not supported; remove %s", n.GetToken().Value)
		return
	case *ast.NullNode:
		d.decodeNull(path, n, v)
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.Decode(path, n, v.Elem())
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
		if text, ok := d.Scalar(path, n); ok {
			if err := to.UnmarshalText([]byte(text)); err != nil {
				d.Complain(path, placeOf(n), "%v", err)
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
		if text, ok := d.Scalar(path, n); ok {
			if err := setScalar(v, d.inPlace(path, n, text)); err != nil {
				d.Complain(path, placeOf(n), "%v", err)
			}
		}
	}
}

// inPlace returns the text that n, whose own text is given, stands for in the
// field at path: the field's value for the word none, in place of that word or of
// its old spelling. The latter is a warning.
func (d *Decoder) inPlace(path string, n ast.Node, text string) string {
	field, found := fieldTypeAt(d.Defaults, path)
	none := field.Tag.Get("none")
	old, renamed := field.Tag.Lookup("old")
	switch {
	case !found || none == "":
		return text
	case text == "none":
		return none
	case renamed && text == old:
		m := d.MarkOf(n)
		d.Warnings = append(d.Warnings, Complaint{m.Source, m.Line, m.Column, path, text + " is an old spelling of no cap; write none, or " + none})
		return none
	}
	return text
}

// decodeNull resets a field whose value is an explicit null to its default. A
// key without a value is accepted for a section: all of its keys are left out.
func (d *Decoder) decodeNull(path string, n *ast.NullNode, v reflect.Value) {
	if isNull(n) {
		v.Set(d.defaultOf(path, v.Type()))
		return
	}
	switch _, own := v.Addr().Interface().(yamlDecoder); {
	case v.Kind() == reflect.Pointer:
		d.Complain(path, placeOf(n), "has no value; write {} for the defaults, or remove it")
	case own, v.Kind() != reflect.Struct && v.Kind() != reflect.Map && v.Kind() != reflect.Slice:
		d.Complain(path, placeOf(n), "has no value; give one or remove it")
	}
}

// defaultOf returns the default of the field at path, which is a t. It is t's zero
// value within a section or a list that the defaults leave out.
func (d *Decoder) defaultOf(path string, t reflect.Type) reflect.Value {
	if v, found := FieldAt(d.Defaults, path); found && v.Type() == t {
		return v
	}
	return reflect.Zero(t)
}

// decodeByItself lets a type with a YAML form of its own decode n.
func (d *Decoder) decodeByItself(path string, n ast.Node, to yamlDecoder) {
	err := to.UnmarshalYAML(func(to any) error {
		within := *d
		within.Errs, within.Warnings = nil, nil
		within.Decode(path, n, reflect.ValueOf(to).Elem())
		return within.Errs.Err()
	})
	var list Errors
	if errors.As(err, &list) {
		d.Errs = append(d.Errs, list...)
	} else if err != nil {
		d.Complain(path, placeOf(n), "%v", err)
	}
}

func (d *Decoder) decodeStruct(path string, n ast.Node, v reflect.Value) {
	for key, value := range d.Pairs(path, n) {
		name := key.Value
		if i, known := FieldNamed(v.Type(), name); known {
			d.Decode(Join(path, name), value, v.FieldByIndex(i))
		} else if name != PresetKey || !d.mayBegin(v.Type()) {
			d.Complain(Join(path, name), key, "%s", d.unknownKey(v.Type(), path, name, ""))
		}
	}
}

func (d *Decoder) decodeMap(path string, n ast.Node, v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for key, value := range d.Pairs(path, n) {
		if isNull(value) {
			var entry reflect.Value // the zero one takes it out
			if v.Type() == d.NullText {
				entry = reflect.ValueOf("null")
			}
			v.SetMapIndex(reflect.ValueOf(key.Value), entry)
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.Decode(Join(path, key.Value), value, elem)
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	}
}

// Pairs yields the keys and values of a mapping and notes their places. It
// complains about keys that are not plain words or come twice, and leaves them out.
func (d *Decoder) Pairs(path string, n ast.Node) iter.Seq2[*token.Token, ast.Node] {
	values, ok := entries(n)
	if !ok {
		d.Complain(path, placeOf(n), "is %s; a mapping of keys to values belongs here", Describe(n))
	}
	return func(yield func(*token.Token, ast.Node) bool) {
		seen := map[string]*token.Token{}
		for _, pair := range values {
			t := pair.Key.GetToken()
			if !IsScalar(pair.Key) {
				d.Complain(path, t, "a key must be a plain word, without anchors, tags or <<")
				continue
			}
			if first := seen[t.Value]; first != nil {
				d.Complain(Join(path, t.Value), t, "given twice, first on line %d; remove one", first.Position.Line)
				continue
			}
			seen[t.Value] = t
			d.Places[Join(path, t.Value)] = d.mark(t)
			if !yield(t, pair.Value) {
				return
			}
		}
	}
}

func (d *Decoder) decodeList(path string, n ast.Node, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.Complain(path, placeOf(n), "is %s; a list belongs here", Describe(n))
		return
	}
	if v.Kind() == reflect.Slice && len(list.Values) == 0 {
		v.SetZero() // as if left out: a profile that is written and read is the same
		return
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	} else if len(list.Values) != v.Len() {
		d.Complain(path, placeOf(n), "is a list of %d; %d belong here", len(list.Values), v.Len())
		return
	}
	for i, value := range list.Values {
		elem := Join(path, strconv.Itoa(i))
		if value != nil {
			d.Places[elem] = d.mark(placeOf(value))
		}
		d.Decode(elem, value, v.Index(i))
	}
}

func (d *Decoder) decodeDuration(path string, n ast.Node, v reflect.Value) {
	text, ok := d.Scalar(path, n)
	if !ok {
		return
	}
	value, err := time.ParseDuration(text)
	if number, notBare := strconv.ParseFloat(text, 64); notBare == nil {
		if number != 0 && !math.IsNaN(number) && !math.IsInf(number, 0) {
			d.Complain(path, placeOf(n), "%s has no unit; write \"%ss\" or \"%sms\"", text, text, text)
			return
		}
	}
	if err != nil {
		d.Complain(path, placeOf(n), `%q is not a duration; write it with a unit (ns, us, ms, s, m or h), as in "250ms" or "1m30s"`, text)
		return
	}
	v.SetInt(int64(value))
}

// Scalar returns the text of n as written, without quotes.
func (d *Decoder) Scalar(path string, n ast.Node) (string, bool) {
	if block, ok := n.(*ast.LiteralNode); ok {
		return block.Value.GetToken().Value, true
	}
	if IsScalar(n) {
		return n.GetToken().Value, true
	}
	d.Complain(path, placeOf(n), "is %s; a single value belongs here", Describe(n))
	return "", false
}

// setScalar parses text into v, which is a string, a bool or a number.
func setScalar(v reflect.Value, text string) error {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return nil
	case v.Kind() == reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "false":
			v.SetBool(len(text) == len("true"))
			return nil
		}
		return fmt.Errorf("%q is neither true nor false", text)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return notWhole(text, err)
		}
		v.SetInt(n)
		return nil
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || v.OverflowUint(n) {
			return notWhole(text, err)
		}
		v.SetUint(n)
		return nil
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(n)
		return nil
	}
	return fmt.Errorf("%v cannot be set from text", v.Type())
}

// notWhole says why text is not a whole number of the field's type.
func notWhole(text string, err error) error {
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s is too large", text)
	}
	if _, notOther := strconv.ParseInt(text, 0, 64); notOther == nil && strings.ContainsAny(text, "xXbBoO_") {
		return fmt.Errorf("%q is not plain decimal; write it with the digits 0 to 9 alone", text)
	}
	if strings.HasPrefix(text, "-") {
		return fmt.Errorf("%q is not a whole number from 0", text)
	}
	return fmt.Errorf("%q is not a whole number", text)
}
