package measure

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/matrix"
)

// plan reads what to compare from the flags and, if it is one, the matrix file.
func (o *compareOptions) plan() (*matrix.Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	m, err := o.matrix(o.Profile)
	if err != nil {
		return nil, err
	}
	for _, ch := range o.Changes {
		if slices.ContainsFunc(m.Axes, func(a matrix.Axis) bool { return a.Path == ch.Path }) {
			return nil, usage.Errorf("kabench compare", "--%s and the axis %s set the same field; give one", ch.Flag, ch.Path)
		}
	}
	plan, err := m.Plan(o.AllSets())
	if none, ok := errors.AsType[*matrix.NoComparison](err); ok {
		return nil, &usage.Error{Command: "kabench compare", Err: none}
	}
	if err != nil {
		return nil, o.InFlags(err)
	}
	return plan, nil
}

// matrix reads the matrix file, or makes a matrix of the flags alone.
func (o *compareOptions) matrix(profileOrMatrix string) (*matrix.Matrix, error) {
	m, err := o.matrixFile(profileOrMatrix)
	if err != nil {
		return nil, err
	}
	if axis, given := o.clients(); given {
		m.Axes = append(matrix.Axes{axis}, m.Axes...)
	}
	for _, text := range o.axes {
		path, values, found := strings.Cut(text, "=")
		if !found || path == "" || values == "" {
			return nil, usage.Errorf("kabench compare", "--axis %s: give a field and its values, for example --axis pool.idle_timeout=0,15s,3s", text)
		}
		axis := matrix.Axis{Path: path, Values: splitValues(values)}
		for _, v := range axis.Values {
			axis.Sources = append(axis.Sources, "--axis "+path+"="+v)
		}
		m.Axes = append(m.Axes, axis)
	}
	return m, nil
}

// clients is the axis of --pool and --driver.
func (o *compareOptions) clients() (axis matrix.Axis, given bool) {
	for _, flag := range []struct {
		path   string
		values []string
	}{{"pool", o.pools}, {"driver", o.drivers}} {
		for _, v := range flag.values {
			axis.Path = flag.path
			axis.Values, axis.Paths = append(axis.Values, v), append(axis.Paths, flag.path)
			axis.Sources = append(axis.Sources, "--"+flag.path+" "+v)
		}
	}
	if len(o.pools) > 0 && len(o.drivers) > 0 {
		axis.Path = "client"
	} else {
		axis.Paths = nil
	}
	return axis, len(axis.Values) > 0
}

// matrixFile reads the matrix in a file, or makes one without axes of a profile. Flags
// that were given win over what the file says.
func (o *compareOptions) matrixFile(profileOrMatrix string) (*matrix.Matrix, error) {
	bare := &matrix.Matrix{Profile: profileOrMatrix, Repeats: o.repeats, CoolDown: o.coolDown, Seed: o.seed}
	if !strings.ContainsAny(profileOrMatrix, `./\`) {
		return bare, nil
	}
	data, err := os.ReadFile(profileOrMatrix)
	if err != nil || !profiles.IsMatrix(data) {
		return bare, err
	}
	m, err := matrix.Load(profileOrMatrix, data)
	if err != nil {
		return nil, err
	}
	if !m.Has["repeats"] || o.Has("repeats") {
		m.Repeats = o.repeats
	}
	if !m.Has["cool_down"] || o.Has("cool-down") {
		m.CoolDown = o.coolDown
	}
	if o.Has("seed") {
		m.Seed = o.seed
	}
	return m, nil
}

// estimate says how long the comparison will take.
func estimate(p *matrix.Plan) string {
	var load, cool time.Duration
	for _, arm := range p.Arms {
		load += arm.Profile.Takes()
		if arm.Profile.Network == nil && arm.Profile.Target.Lab == nil {
			cool += p.CoolDown
		}
	}
	load, cool = load*time.Duration(p.Repeats), cool*time.Duration(p.Repeats)
	text := fmt.Sprintf("%d settings × %d repeats = %d runs: about %v", len(p.Arms), p.Repeats, len(p.Arms)*p.Repeats, load.Round(time.Second))
	if cool > 0 {
		text += fmt.Sprintf(", plus up to %v of waiting for TIME_WAIT sockets to expire", cool.Round(time.Second))
	}
	return text
}

// splitValues splits text at commas that are outside brackets and quotes.
func splitValues(text string) (values []string) {
	depth, quote, from := 0, rune(0), 0
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case strings.ContainsRune("[{", r):
			depth++
		case strings.ContainsRune("]}", r):
			depth--
		case r == ',' && depth == 0:
			values = append(values, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	return append(values, strings.TrimSpace(text[from:]))
}
