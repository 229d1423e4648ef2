package profiles

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) decodeDuration(path string, n ast.Node, v reflect.Value) {
	text, ok := d.scalar(path, n)
	if !ok {
		return
	}
	value, err := time.ParseDuration(text)
	if number, notBare := strconv.ParseFloat(text, 64); notBare == nil {
		if number != 0 && !math.IsNaN(number) && !math.IsInf(number, 0) {
			d.bad(path, placeOf(n), "%s has no unit; say \"%ss\" or \"%sms\"", text, text, text)
			return
		}
	}
	if err != nil {
		d.bad(path, placeOf(n), `%q is not a duration; say it with the units ns, us, ms, s, m or h, as in "250ms" or "1m30s"`, text)
		return
	}
	v.SetInt(int64(value))
}

// scalar is the text of n as written, without quotes.
func (d *decoder) scalar(path string, n ast.Node) (string, bool) {
	if block, ok := n.(*ast.LiteralNode); ok {
		return block.Value.GetToken().Value, true
	}
	if isScalar(n) {
		return n.GetToken().Value, true
	}
	d.bad(path, placeOf(n), "is %s; a single value belongs here", describe(n))
	return "", false
}

func isScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// setScalar sets v, which is of a plain kind, to what text says.
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
