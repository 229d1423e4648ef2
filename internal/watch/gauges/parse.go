package gauges

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kabench/kabench/internal/watch"
)

// Bounds of an answer.
const (
	maxBytes = 16 << 20  // of an answer
	maxLine  = 64 << 10  // bytes; a longer one holds no gauge of a pool
	maxPools = 1000      // of one answer
	maxLines = 20_000    // of an answer, with the name of a gauge of a pool
	noLimit  = 1<<31 - 1 // the largest int of Java, which pools without a limit show as theirs
	maxValue = 1e9       // connections; what says more lies
)

// errTooLarge is the error of an answer with more than maxBytes.
var errTooLarge = fmt.Errorf("it is larger than %d MB", maxBytes>>20)

// errTooMany is the error of an answer with more than maxLines.
var errTooMany = fmt.Errorf("it has more than %d lines with gauges of pools", maxLines)

// parse reads the gauges of pools in the text format of Prometheus or in OpenMetrics, and
// complains about lines that it had to leave out. Pools come in the order of their names.
//
// Only lines with a known name are parsed. So pages with many metrics cost little, and what
// the library does not read of OpenMetrics (types, exemplars) is not given to it: gauges have none.
func parse(in io.Reader, t table) (list []watch.Gauges, complaints []string, err error) {
	all := &io.LimitedReader{R: in, N: maxBytes + 1}
	lines := bufio.NewReaderSize(all, maxLine)
	pools := map[string]*values{}
	for n := 0; err == nil; {
		var line []byte
		line, err = lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
				_, err = lines.ReadSlice('\n')
			}
			continue
		}
		meanings, is := t[string(nameOf(line))] // Go makes no string for the question
		if !is {
			continue
		}
		if n++; n > maxLines {
			return nil, complaints, errTooMany
		}
		name := string(nameOf(line))
		metrics, wrong := parseLine(line)
		if wrong != nil {
			complaints = append(complaints, fmt.Sprintf("%s is not understood: %v", name, wrong))
			continue
		}
		for _, m := range metrics {
			if lie := add(pools, meanings, m); lie != "" {
				complaints = append(complaints, name+lie)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, complaints, err
	}
	if all.N <= 0 {
		return nil, complaints, errTooLarge
	}
	for _, v := range pools {
		list = append(list, v.gauges())
	}
	slices.SortFunc(list, func(a, b watch.Gauges) int { return cmp.Compare(a.Pool, b.Pool) })
	return list, complaints, nil
}

// nameOf returns the name of the metric of a line, with underscores for dots; nothing if it is a comment.
func nameOf(line []byte) []byte {
	line = bytes.TrimLeft(line, " \t")
	if quoted, ok := bytes.CutPrefix(line, []byte(`{"`)); ok { // a name in UTF-8, as of Prometheus 3
		name, _, _ := bytes.Cut(quoted, []byte(`"`))
		return bytes.ReplaceAll(name, []byte("."), []byte("_"))
	}
	end := bytes.IndexAny(line, "{ \t\r\n#")
	if end < 0 {
		end = len(line)
	}
	return line[:end]
}

// parseLine reads a line with one sample.
func parseLine(line []byte) ([]*dto.Metric, error) {
	line = append(bytes.TrimRight(line, " \t\r\n"), '\n')
	metrics, err := parseSample(line)
	if err != nil {
		// OpenMetrics has times in seconds with a fraction.
		if cut := bytes.LastIndexAny(bytes.TrimRight(line, "\n"), " \t"); cut > 0 {
			if again, ok := parseSample(append(slices.Clone(line[:cut]), '\n')); ok == nil {
				return again, nil
			}
		}
	}
	return metrics, err
}

func parseSample(line []byte) ([]*dto.Metric, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(line))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "text format parsing error in line 1: "))
	}
	var list []*dto.Metric
	for _, f := range slices.Collect(maps.Values(families)) {
		list = append(list, f.Metric...)
	}
	return list, nil
}

// values are the properties of a pool in an answer.
type values struct {
	client *client
	pool   string
	target string
	at     [fields]float64 // -1: nothing
}

// add adds a sample to its pool, and returns what is wrong with it.
func add(pools map[string]*values, meanings []meaning, m *dto.Metric) string {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[strings.ReplaceAll(l.GetName(), ".", "_")] = l.GetValue()
	}
	value := m.GetUntyped().GetValue() // without a TYPE line, everything is untyped
	for _, is := range meanings {
		if slices.ContainsFunc(is.labels, func(l [2]string) bool { return labels[l[0]] != l[1] }) {
			continue
		}
		if is.field == most && value >= noLimit {
			return "" // no limit
		}
		if math.IsNaN(value) || value < 0 || value > maxValue {
			return fmt.Sprintf(" is %v, which is no number of connections or requests", value)
		}
		v := poolOf(pools, is.client, labels)
		if v == nil {
			return fmt.Sprintf(" is of more than %d pools", maxPools)
		}
		v.at[is.field] = max(0, v.at[is.field]) + value
		return ""
	}
	return ""
}

// poolOf returns the pool that labels name, or nil if there are too many.
func poolOf(pools map[string]*values, c *client, labels map[string]string) *values {
	var said, target []string
	for _, l := range c.pool {
		if labels[l] != "" {
			said = append(said, l+"="+labels[l])
		}
	}
	for _, l := range c.target {
		if labels[l] != "" {
			target = append(target, labels[l])
		}
	}
	name := strings.TrimSpace(c.name + " " + strings.Join(said, " "))
	v := pools[name]
	if v == nil && len(pools) < maxPools {
		v = &values{client: c, pool: name, target: strings.Join(target, ":")}
		for f := range v.at {
			v.at[f] = -1
		}
		pools[name] = v
	}
	return v
}

// gauges computes what follows from other values.
func (v *values) gauges() watch.Gauges {
	at := v.at
	has := func(list ...field) bool {
		return !slices.ContainsFunc(list, func(f field) bool { return at[f] < 0 })
	}
	switch {
	case has(idle, leased) && !has(open):
		at[open] = at[idle] + at[leased]
	case has(open, leased) && !has(idle) && at[leased] <= at[open]: // with HTTP/2 a connection carries several
		at[idle] = at[open] - at[leased]
	case has(open, idle) && !has(leased) && at[idle] <= at[open]:
		at[leased] = at[open] - at[idle]
	}
	if has(open, free) && !has(most) {
		at[most] = at[open] + at[free]
	}
	return watch.Gauges{Pool: v.pool, Target: v.target, Idle: at[idle], Leased: at[leased], Open: at[open], Pending: at[pending], Max: at[most]}
}
